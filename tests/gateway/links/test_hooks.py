"""When web hooks are told, and when they are told again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from tahoeish.gateway.links.hooks import PAUSES, Hooks, HookUnreachable, arrival, new_secret, signature
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.entries import Content
from tahoeish.namespace.upload_links import Bounds, Hook, UploadLinks
from tahoeish.namespace.users import Users

T = TypeVar("T")


def at_once(work: Callable[..., T], *arguments: Any) -> Deferred[T]:
    """Instead of a thread."""
    return maybeDeferred(work, *arguments)


@dataclass
class Server:
    """What answers with `status`, or not at all if it is 0."""

    status: int = 204
    heard: list[tuple[bytes, Mapping[str, str]]] = field(default_factory=list)

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        if not self.status:
            raise HookUnreachable("nobody there")
        self.heard.append((body, headers))
        return self.status


@dataclass
class Telling:
    links: UploadLinks
    server: Server
    hooks: Hooks
    now: list[float]

    def step(self, after: float = 0) -> int:
        """How many are to be told at a later time."""
        self.now[0] += after
        ended = Deferred.fromCoroutine(self.hooks.step())
        assert ended.called and ended.result == 0
        return len(self.server.heard)


@pytest.fixture
def telling(tmp_path: Path) -> Iterator[Telling]:
    now = [1_000_000.0]
    database = Database.open(sqlite_url(tmp_path / "catalogue.sqlite"))
    Users(database, lambda: now[0]).add("alice", None)
    links, catalogue = UploadLinks(database, lambda: now[0], os.urandom), Catalogue(database, lambda: now[0])
    link, _ = links.create("alice", (), Bounds(), hook=Hook("https://app.example/", new_secret(os.urandom)))
    links.take_in(catalogue, link.id, ("file",), Content("URI:LIT:me", 1), None, arrival)
    server = Server()
    yield Telling(links, server, Hooks(links, server, run_in_thread=at_once, now=lambda: now[0]), now)
    database.close()


def test_a_hook_that_hears_is_told_once(telling: Telling) -> None:
    assert [telling.step(), telling.step(after=1e6)] == [1, 1]


@pytest.mark.parametrize("status", [0, 302, 404, 500])
def test_one_that_does_not_is_told_again_and_again_and_then_no_more(telling: Telling, status: int) -> None:
    telling.server.status = status
    telling.step()
    for pause in PAUSES:
        before = telling.links.due_calls()
        telling.step(after=pause - 1)
        assert before == []
        telling.step(after=1)
    assert len(telling.server.heard) == (len(PAUSES) + 1 if status else 0)
    telling.step(after=1e9)
    telling.server.status = 204
    telling.step(after=1e9)
    assert len(telling.server.heard) == (len(PAUSES) + 1 if status else 0)


def test_one_that_is_gone_is_told_no_more(telling: Telling) -> None:
    telling.server.status = 410
    assert [telling.step(), telling.step(after=1e9)] == [1, 1]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of its specification.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
