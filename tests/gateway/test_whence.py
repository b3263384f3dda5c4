"""Where a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.web.test.requesthelper import DummyRequest

from tahoeish.gateway.whence import address_of, is_from_another_site, is_from_here, is_meant_for_here
from tahoeish.streams.request import StreamingRequest


def request_from(host: str, headers: Mapping[str, str] | None = None) -> StreamingRequest:
    address: IAddress
    if not host:
        address = UNIXAddress(b"/run/tahoeish.sock")
    elif ":" in host:
        address = IPv6Address("TCP", host, 50000)
    else:
        address = IPv4Address("TCP", host, 50000)
    request = DummyRequest([b""])
    request.client = address
    for name, value in (headers or {}).items():
        request.requestHeaders.addRawHeader(name, value)
    return cast(StreamingRequest, request)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_is_here(host: str) -> None:
    assert is_from_here(request_from(host))


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1", "0.0.0.0"]
)
def test_other_machines_are_not(host: str) -> None:
    assert not is_from_here(request_from(host))


def test_nobody_knows_where_is_not_here() -> None:
    assert not is_from_here(cast(StreamingRequest, DummyRequest([b""])))


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "Via"])
def test_what_a_proxy_on_this_machine_passes_on_may_come_from_anywhere(name: str) -> None:
    assert not is_from_here(request_from("127.0.0.1", {name: "127.0.0.1"}))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3456", "127.0.0.1:3456", "[::1]:3456", "node", "a.localhost.", "192.0.2.1", ""]
)
def test_names_that_nobody_elsewhere_can_give_away_are_this_machines(host: str) -> None:
    assert is_meant_for_here(request_from("127.0.0.1", {"Host": host}))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:3456", "evil.example.", "[evil", "localhost.a"]
)
def test_names_that_anybody_can_let_lead_here_are_not(host: str) -> None:
    assert not is_meant_for_here(request_from("127.0.0.1", {"Host": host}))


def test_failures_are_counted_by_address() -> None:
    assert address_of(request_from("192.0.2.1")) == "192.0.2.1"
    assert address_of(request_from("::ffff:192.0.2.1")) == "192.0.2.1"
    assert address_of(request_from("")) == "here"


def test_whoever_has_many_addresses_is_counted_once() -> None:
    assert address_of(request_from("2001:db8:1:2::1")) == address_of(request_from("2001:db8:1:2:3:4:5:6"))
    assert address_of(request_from("2001:db8:1:2::1")) != address_of(request_from("2001:db8:1:3::1"))


def test_behind_a_proxy_on_this_machine_it_is_the_clients_address_that_the_proxy_has_seen() -> None:
    headers = {"X-Forwarded-For": "made up, 192.0.2.1"}
    assert address_of(request_from("127.0.0.1", headers)) == "192.0.2.1"
    assert address_of(request_from("198.51.100.7", headers)) == "198.51.100.7"
    assert len(address_of(request_from("127.0.0.1", {"X-Forwarded-For": "x" * 1000}))) == 64


@pytest.mark.parametrize(
    ("headers", "is_other"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://node.example"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://node.example:3456"}, False),
        ({"Origin": "https://public.example", "X-Forwarded-Host": "public.example"}, False),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://[evil"}, True),
    ],
)
def test_a_browser_tells_whose_page_has_sent_it(headers: Mapping[str, str], is_other: bool) -> None:
    assert is_from_another_site(request_from("127.0.0.1", {"Host": "node.example:3456", **headers})) is is_other
