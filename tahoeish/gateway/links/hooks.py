"""Web hooks: telling somebody's server that a file has come, as Standard Webhooks has it, until it has heard."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from twisted.internet.error import ConnectError
from twisted.logger import Logger

from tahoeish.namespace.entries import Entry
from tahoeish.namespace.errors import CatalogueUnavailable
from tahoeish.namespace.upload_links import HookCall, UploadLink, UploadLinks
from tahoeish.streams.tasks import together
from tahoeish.streams.threads import ThreadRunner

log = Logger()

PAUSES = (5, 30, 120, 600, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 24 * 3600)
"""Seconds after each attempt that has failed; after the last one it is given up."""

AT_ONCE = 8
GONE = 410
"""The answer by which a server says that it doesn't want to hear of it any more."""

_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = 24


class Post(Protocol):
    """Sends something, and gives the status of the answer."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Raises `HookUnreachable`."""


class HookUnreachable(Exception):
    """Nobody has answered; the message says why."""


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    return _SECRET_PREFIX + b64encode(random_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """As the header `webhook-signature` has it."""
    key = b64decode(secret.removeprefix(_SECRET_PREFIX))
    code = hmac.digest(key, f"{identity}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{b64encode(code).decode()}"


def arrival(link: UploadLink, entry: Entry) -> str:
    """What is told of a file that has come."""
    assert entry.content is not None
    data: dict[str, Any] = {
        "link": link.id,
        "label": link.label,
        "path": "/files/" + "/".join(entry.path),
        "name": entry.name,
        "size": entry.content.size,
        "content_type": entry.content.content_type,
        "etag": entry.etag,
    }
    moment = datetime.fromtimestamp(entry.modified, UTC).isoformat()
    return json.dumps({"type": "file.arrived", "timestamp": moment, "data": data})


class Hooks:
    """Tells hooks what they are to be told. Of several processes that share the catalogue, one does."""

    def __init__(
        self, links: UploadLinks, post: Post, *, run_in_thread: ThreadRunner, now: Callable[[], float]
    ) -> None:
        """`now`: Unix seconds."""
        self._links = links
        self._post = post
        self._run_in_thread = run_in_thread
        self._now = now

    async def step(self) -> float:
        """Tell what is due, and return for how long to rest."""
        try:
            calls = await self._run_in_thread(self._links.due_calls, AT_ONCE)
            await together(self._tell(call) for call in calls)
        except CatalogueUnavailable as error:
            log.error("can't tell web hooks anything now: {problem}", problem=error)
        return 0

    async def _tell(self, call: HookCall) -> None:
        identity, timestamp, body = f"arrival-{call.id}", int(self._now()), call.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tahoeish",
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(call.hook.secret, identity, timestamp, body),
        }
        try:
            status = await self._post(call.hook.url, body, headers)
            problem = f"the answer was {status}"
        except HookUnreachable as error:
            status, problem = 0, str(error)
        if 200 <= status < 300:
            await self._run_in_thread(self._links.forget_call, call)
        elif status == GONE or call.attempts >= len(PAUSES):
            log.warn("gave up telling a web hook of a file: {problem}", problem=problem)
            await self._run_in_thread(self._links.forget_call, call)
        else:
            await self._run_in_thread(self._links.put_off_call, call, PAUSES[call.attempts])


class TreqPost:
    """Over the network. Redirections aren't followed: they would lead to where nobody has allowed anything."""

    def __init__(self, reactor: Any, *, timeout: float = 10.0) -> None:
        self._reactor = reactor
        self._timeout = timeout

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        # Most nodes have no hooks.
        import treq
        from twisted.internet.defer import CancelledError, TimeoutError
        from twisted.web.client import Agent, ResponseFailed
        from twisted.web.http_headers import Headers

        agent = Agent(self._reactor, connectTimeout=self._timeout)
        client = treq.client.HTTPClient(agent)
        try:
            response = await client.post(
                url,
                data=body,
                headers=Headers({name: [value] for name, value in headers.items()}),
                timeout=self._timeout,
                allow_redirects=False,
                reactor=self._reactor,
            )
            await treq.content(response).addTimeout(self._timeout, self._reactor)
        except (ConnectError, ResponseFailed, CancelledError, TimeoutError, OSError) as error:
            raise HookUnreachable(type(error).__name__) from error
        return int(response.code)
