"""What is shown as a picture and a table, and not line by line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """`x` is "size", "clients" or "encoding"; `y` says what the values are."""

    name: str
    title: str
    x: str
    y: str


@dataclass(frozen=True)
class Point:
    """Where in a chart a finding stands: in whose line, and how far along."""

    chart: str
    series: str
    x: float | str


PUT_RATE = Chart("put-rate", "PUT: rate by size", "size", "MB/s")
PUT_COST = Chart("put-cost", "PUT: processor seconds per GiB, all processes of the server, by size", "size", "s/GiB")
LAST_BYTE = Chart("last-byte", "PUT: from the last byte to the answer, by size", "size", "s")
GET_RATE = Chart("get-rate", "GET: rate by size", "size", "MB/s")
GET_COST = Chart("get-cost", "GET: processor seconds per GiB, all processes of the server, by size", "size", "s/GiB")
MEMORY = Chart("gateway-memory", "The gateway's peak memory by the number of uploads at once", "clients", "MiB")
SMALL_FILES = Chart("small-files", "Small files, eight at a time", "files", "files/s")
CODE_COST = Chart("code-cost", "Cost of k of n: processor seconds per GiB, all processes", "encoding", "s/GiB")
CODE_RATE = Chart("code-rate", "Rate of a PUT by k of n", "encoding", "MB/s")

CHARTS = (PUT_RATE, PUT_COST, LAST_BYTE, GET_RATE, GET_COST, MEMORY, SMALL_FILES, CODE_RATE, CODE_COST)
