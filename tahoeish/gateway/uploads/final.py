"""The one answer that an upload gets in the end, kept for clients that ask again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tahoeish.gateway.errors import Problem, write_problem, write_text
from tahoeish.streams.request import StreamingRequest


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What the target says of the whole file: where it is, or why it isn't there."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cap: str | None = None
    problem: Problem | None = None
    peers: int = 0
    """How many have a share of the file."""

    @classmethod
    def of_problem(cls, problem: Problem) -> FinalAnswer:
        return cls(problem.status, problem=problem)

    def pack(self) -> bytes:
        problem = None
        if self.problem is not None:
            given = self.problem
            problem = [
                given.status,
                given.detail,
                given.title,
                dict(given.headers),
                dict(given.more),
                given.condition,
                given.type,
            ]
        return json.dumps([self.status, self.text, dict(self.headers), self.cap, problem, self.peers]).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> FinalAnswer:
        # Those that were packed before peers were counted end earlier.
        status, text, headers, cap, problem, *peers = json.loads(packed)
        return cls(status, text, headers, cap, None if problem is None else Problem(*problem), *peers)

    def write(self, request: StreamingRequest, more: Mapping[str, str] | None = None) -> None:
        """`more`: headers that the dialect adds."""
        for name, value in {**self.headers, **(more or {})}.items():
            request.setHeader(name, value)
        if self.problem is not None:
            write_problem(request, self.problem)
        else:
            write_text(request, self.status, self.text)
