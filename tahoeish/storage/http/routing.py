"""
From a request to the endpoint that it is for.

Everything is checked from the head, in an order that tells nothing to those who aren't let in: is there such an
endpoint at all, does the client know the swissnum, has it brought the right secrets.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hmac import compare_digest

from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.chk import base32
from tahoeish.storage.http.answers import Refused
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.wire import CBOR, Secret, authorization, parse_secrets
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest

LEASE_SECRETS = (Secret.LEASE_RENEW, Secret.LEASE_CANCEL)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an endpoint. `storage_index` and `number` are what its path names, if it does."""

    request: StreamingRequest
    body: BodyStream
    storage_index: bytes
    number: int
    secrets: Mapping[Secret, bytes]

    @property
    def lease(self) -> LeaseSecrets:
        return LeaseSecrets(self.secrets[Secret.LEASE_RENEW], self.secrets[Secret.LEASE_CANCEL])

    async def message(self, limit: int) -> bytes:
        """The body, in CBOR; no more than `limit` bytes of it."""
        content_type = self.request.getHeader("Content-Type")
        if content_type is not None and content_type.partition(";")[0].strip().lower() != CBOR:
            raise Refused(415, f"the body must be {CBOR}")
        return await self.body.read_all(limit)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    `path` is that of the request, with `:si` for a storage index and `:n` for a share's number; `secrets` are all that
    the request must bring, and it must bring no others.
    """

    method: str
    path: str
    answer: Callable[[Call], Awaitable[None]]
    secrets: Sequence[Secret] = ()


@implementer(IStreamingResource)
class Router(Resource):
    """All endpoints of a site, for clients that know the swissnum."""

    isLeaf = True

    def __init__(self, swissnum: str, endpoints: Sequence[Endpoint]) -> None:
        super().__init__()
        self._authorization = authorization(swissnum).encode()
        self._routes: dict[re.Pattern[str], dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            self._routes.setdefault(_pattern(endpoint.path), {})[endpoint.method] = endpoint

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        named, endpoints = self._find(request)
        storage_index = _storage_index(named.get("storage_index", ""))
        endpoint = _of_method(endpoints, request.method.decode("ascii", "replace"))
        if not compare_digest(request.getHeader(b"Authorization") or b"", self._authorization):
            raise Refused(401, "Wrong Authorization header")
        values = request.requestHeaders.getRawHeaders("X-Tahoe-Authorization") or []
        secrets = parse_secrets(values, endpoint.secrets)
        number = int(named.get("number", 0))
        await endpoint.answer(Call(request, body, storage_index, number, secrets))

    def _find(self, request: StreamingRequest) -> tuple[Mapping[str, str], Mapping[str, Endpoint]]:
        path = request.path.decode("ascii", "replace")
        for pattern, endpoints in self._routes.items():
            if match := pattern.fullmatch(path):
                return match.groupdict(), endpoints
        raise Refused(404, "Not Found")


def _pattern(path: str) -> re.Pattern[str]:
    places = path.replace(":si", "(?P<storage_index>[a-z2-7]{26})").replace(":n", "(?P<number>[0-9]{1,20})")
    return re.compile(places, re.ASCII)


@lru_cache(maxsize=1024)
def _storage_index(text: str) -> bytes:
    """Many requests name the same."""
    try:
        return base32.decode(text)
    except ValueError:
        raise Refused(404, "Not Found") from None


def _of_method(endpoints: Mapping[str, Endpoint], method: str) -> Endpoint:
    endpoint = endpoints.get("GET" if method == "HEAD" else method)
    if endpoint is None:
        allowed = {*endpoints, *({"HEAD"} if "GET" in endpoints else ())}
        raise Refused(405, "Method Not Allowed", {"Allow": ", ".join(sorted(allowed))})
    return endpoint
