"""Everybody who is measured beside us, and ourselves: all there at the same time, and none but one awake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from time import sleep

from bench.findings import told
from bench.grid import WIDE, gateway_to, storage_nodes
from bench.node import NodeFailed
from bench.peers.installation import NotInstalled
from bench.peers.plain import flask, nginx
from bench.peers.server import DoesNotStart
from bench.peers.swift import NotCoded, swift
from bench.setting import Setting
from bench.stock import stock_gateway, stock_nodes
from bench.store import Store
from tahoeish.node.config import Encoding
from tests.interop.installation import NotInstalled as TahoeNotInstalled
from tests.interop.installation import installed

OURS = "ours, 3 of 10, TLS"
OURS_SYNCED = "ours, 3 of 10, TLS, synced"
OURS_NARROW = "ours, 4 of 6, TLS, synced"
OURS_LOCAL = "ours, 3 of 10, ten folders, no TLS"
OURS_NARROW_LOCAL = "ours, 4 of 6, six folders, no TLS, synced"
TAHOE = "Tahoe-LAFS 1.20, 3 of 10, HTTP, TLS"
FOOLSCAP = "Tahoe-LAFS 1.20, 3 of 10, Foolscap, TLS"
SWIFT_WIDE = "Swift 3+7, synced"
SWIFT_NARROW = "Swift 4+2, synced"
FLASK = "Flask request.stream"
NGINX = "nginx dav"

ALL = (
    OURS,
    OURS_SYNCED,
    OURS_NARROW,
    OURS_LOCAL,
    OURS_NARROW_LOCAL,
    TAHOE,
    FOOLSCAP,
    SWIFT_WIDE,
    SWIFT_NARROW,
    FLASK,
    NGINX,
)

NARROW = Encoding(needed=4, happy=6, total=6)

WAKING = 2.0
"""Seconds in which a program that was paused notices that time has passed."""

_REASONS = (NotInstalled, TahoeNotInstalled, DoesNotStart, NotCoded, NodeFailed, AssertionError, OSError)


@dataclass(frozen=True)
class Contender:
    """One that is measured, asleep but for its turn."""

    name: str
    store: Store

    @property
    def gives_back(self) -> bool:
        return bool(self.store.door.get_path)

    @contextmanager
    def turn(self) -> Iterator[Store]:
        """It is awake while the block lasts."""
        for process in self.store.processes:
            process.resume()
        try:
            # Who polls others, or gives up on them, does that first.
            sleep(WAKING)
            yield self.store
        finally:
            self.pause()

    def pause(self) -> None:
        for process in self.store.processes:
            process.pause()


@dataclass(frozen=True)
class Field:
    """Who takes part, and why the others don't."""

    contenders: Mapping[str, Contender]
    absent: Mapping[str, str]


@contextmanager
def everybody(setting: Setting) -> Iterator[Field]:
    """They are gone at the end, with all that they stored."""
    present: dict[str, Contender] = {}
    absent: dict[str, str] = {}
    with ExitStack() as running:

        def add(makers: Mapping[str, Callable[[], AbstractContextManager[Store]]]) -> None:
            for name, make in makers.items():
                try:
                    contender = Contender(name, running.enter_context(make()))
                except _REASONS as error:
                    absent[name] = told(error)
                    continue
                # Whoever is paused can't be told to end.
                running.callback(_awaken, contender)
                present[name] = contender

        add(_ours(setting, running))
        add(_others(setting))
        try:
            add(_tahoe(setting, running))
        except _REASONS as error:
            absent.update(dict.fromkeys((TAHOE, FOOLSCAP), told(error)))
        for contender in present.values():
            contender.pause()
        yield Field({name: present[name] for name in ALL if name in present}, absent)


def _awaken(contender: Contender) -> None:
    for process in contender.store.processes:
        process.resume()


def _ours(setting: Setting, running: ExitStack) -> Mapping[str, Callable[[], AbstractContextManager[Store]]]:
    new = setting.new_directory
    nodes = running.enter_context(storage_nodes(new(), sync=False))
    synced = running.enter_context(storage_nodes(new(), sync=True))
    return {
        OURS: lambda: gateway_to(nodes, new()),
        OURS_SYNCED: lambda: gateway_to(synced, new()),
        OURS_NARROW: lambda: gateway_to(synced[: NARROW.total], new(), NARROW),
        OURS_LOCAL: lambda: _local(setting, WIDE, sync=False),
        OURS_NARROW_LOCAL: lambda: _local(setting, NARROW, sync=True),
    }


def _others(setting: Setting) -> Mapping[str, Callable[[], AbstractContextManager[Store]]]:
    new = setting.new_directory
    return {
        SWIFT_WIDE: lambda: swift(new(), 3, 10),
        SWIFT_NARROW: lambda: swift(new(), 4, 6),
        FLASK: lambda: flask(new()),
        NGINX: lambda: nginx(new()),
    }


def _tahoe(setting: Setting, running: ExitStack) -> Mapping[str, Callable[[], AbstractContextManager[Store]]]:
    program = installed()
    directory = setting.new_directory()
    nodes = running.enter_context(stock_nodes(program, directory / "nodes"))
    return {
        TAHOE: lambda: stock_gateway(program, nodes, directory / "http"),
        FOOLSCAP: lambda: stock_gateway(program, nodes, directory / "foolscap", foolscap=True),
    }


@contextmanager
def _local(setting: Setting, encoding: Encoding, *, sync: bool) -> Iterator[Store]:
    """One node with a folder for each share."""
    with setting.node(encoding=f"{encoding.needed}/{encoding.total}", sync=sync) as node:
        yield Store(node.address, node.process, [], node.empty)
