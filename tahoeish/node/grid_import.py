"""
The storage nodes that a Tahoe-LAFS client knows, as peers of ours.

A client keeps what introducers have announced to it in `private/introducer_*_cache.yaml`, and what its owner has
written by hand in `private/servers.yaml`, which counts more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from tahoeish.chk import base32
from tahoeish.node.config import Peer
from tahoeish.node.config.model import TUB_ID_SIZE
from tahoeish.node.peer_maker import permutation_seed
from tahoeish.storage.nurl import BadNurl, Nurl

_PUBLIC_KEY_ID = re.compile(r"v0-([a-z2-7]{52})")
_TUB_ID = re.compile(r"pb://([a-z2-7]+)@", re.IGNORECASE | re.ASCII)
_SHORT_ID = len("v0-") + 8


class NotATahoeClient(Exception):
    """A folder that isn't a Tahoe-LAFS client's, or a file in there that can't be read."""


class _Unusable(Exception):
    """Why one storage node can't be a peer."""


@dataclass(slots=True)
class Findings:
    """`unusable` says why, by what the storage node is called there."""

    peers: list[Peer] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)


def find_peers(client: Path) -> Findings:
    """Read a Tahoe-LAFS client's folder. Raises `NotATahoeClient`."""
    private = client / "private"
    caches, written = sorted(private.glob("introducer*cache.yaml")), private / "servers.yaml"
    if not caches and not written.exists():
        raise NotATahoeClient(
            f"{private} has neither announcements (introducer_*_cache.yaml) nor a servers.yaml; is {client} the node"
            " directory of a Tahoe-LAFS client that has been connected to its grid?"
        )
    known: dict[str, Mapping[str, Any]] = {}
    for cache in caches:
        known.update(_announced(cache))
    if written.exists():
        known.update(_written(written))
    findings = Findings()
    for server_id, announcement in known.items():
        try:
            findings.peers.append(peer_from(server_id, announcement))
        except _Unusable as reason:
            findings.unusable[_called(server_id, announcement)] = str(reason)
    return findings


def peer_from(server_id: str, announcement: Mapping[str, Any]) -> Peer:
    tub_id = _tub_id(announcement.get("anonymous-storage-FURL"))
    return Peer(
        nurl=_nurl(announcement.get("anonymous-storage-NURLs")),
        nickname=_called(server_id, announcement),
        permutation_seed=base32.encode(_seed(server_id, announcement.get("permutation-seed-base32"))),
        tub_id=base32.encode(tub_id) if len(tub_id) == TUB_ID_SIZE else "",
    )


def without_known(found: Iterable[Peer], known: Sequence[Peer]) -> list[Peer]:
    """Those of `found` that aren't among `known`, nor twice among themselves. No two have the same nickname then."""
    identities = {identity for peer in known for identity in _identities(peer)}
    nicknames = {peer.nickname for peer in known}
    new = []
    for peer in found:
        if identities.isdisjoint(_identities(peer)):
            identities.update(_identities(peer))
            new.append(replace(peer, nickname=_unique(peer.nickname, nicknames)))
            nicknames.add(new[-1].nickname)
    return new


def _identities(peer: Peer) -> Collection[bytes]:
    if peer.nurl is None:
        return ()
    return peer.nurl.spki_hash, permutation_seed(peer, peer.nurl)


def _unique(nickname: str, taken: Collection[str]) -> str:
    return next(name for name in _numbered(nickname) if name not in taken)


def _numbered(nickname: str) -> Iterator[str]:
    yield nickname
    number = 2
    while True:
        yield f"{nickname} ({number})"
        number += 1


# Files.


def _announced(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for entry in _list(_loaded(path)):
        announcement = _map(entry).get("ann")
        server_id = _map(entry).get("key_s")
        if isinstance(server_id, str) and _map(announcement).get("service-name", "storage") == "storage":
            yield server_id, _map(announcement)


def _written(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for server_id, entry in _map(_map(_loaded(path)).get("storage")).items():
        yield str(server_id), _map(_map(entry).get("ann"))


def _loaded(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise NotATahoeClient(f"cannot read {path}: {' '.join(str(error).split())}") from error


def _map(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


# Announcements.


def _called(server_id: str, announcement: Mapping[str, Any]) -> str:
    nickname = announcement.get("nickname")
    if isinstance(nickname, str) and nickname and nickname.isprintable():
        return nickname
    return server_id[:_SHORT_ID]


def _nurl(nurls: object) -> Nurl:
    """The first that we can use; the others lead to the same storage node."""
    problem = "it tells no NURL: it speaks only Foolscap, Tahoe-LAFS's older protocol"
    for text in nurls if isinstance(nurls, list | tuple | set) else ():
        try:
            return Nurl.parse(str(text))
        except BadNurl as error:
            problem = str(error)
    raise _Unusable(problem)


def _seed(server_id: str, announced: object) -> bytes:
    """As Tahoe-LAFS clients find it, so that both look for the same files in the same places."""
    if isinstance(announced, str) and announced:
        try:
            return base32.decode(announced)
        except ValueError as error:
            raise _Unusable(f"its permutation seed is wrong: {error}") from error
    if match := _PUBLIC_KEY_ID.fullmatch(server_id):
        try:
            return base32.decode(match[1])
        except ValueError as error:
            raise _Unusable(f"its id {server_id} is no public key: {error}") from error
    return sha256(server_id.encode()).digest()


def _tub_id(furl: object) -> bytes:
    match = _TUB_ID.match(furl) if isinstance(furl, str) else None
    try:
        return base32.decode(match[1].lower()) if match else b""
    except ValueError:
        return b""
