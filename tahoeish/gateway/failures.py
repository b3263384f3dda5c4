"""What is answered to a request that failed: a page where a person reads it in a browser, else a line or JSON."""

from __future__ import annotations

import html
from dataclasses import replace
from urllib.parse import unquote

from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.gateway.access import known_viewer
from tahoeish.gateway.errors import (
    TITLES,
    Problem,
    is_mishap,
    prefers_html,
    prefers_json,
    problem_of,
    write_problem,
    write_text,
)
from tahoeish.gateway.page import page
from tahoeish.gateway.pages import policy
from tahoeish.gateway.pages.names import plain
from tahoeish.namespace.errors import NoSuchEntry, shown
from tahoeish.streams.request import StreamingRequest

log = Logger()

_BY_BROWSERS = frozenset({b"GET", b"HEAD", b"POST"})
"""File managers that are browsers, too, may ask for HTML where they want to have WebDAV."""


def answer_failure(request: StreamingRequest, failure: Failure) -> None:
    """Write the answer."""
    if is_mishap(failure.value):
        log.failure("{method} failed", failure, method=request.method.decode("ascii", "replace"))
    problem = _at_its_address(request, failure.value, problem_of(failure.value))
    for_a_person = prefers_html(request) and not prefers_json(request) and not problem.type
    if not for_a_person or request.method not in _BY_BROWSERS:
        write_problem(request, problem)
        return
    for name, value in problem.headers.items():
        request.setHeader(name, value)
    request.setHeader(b"Content-Security-Policy", policy.PLAIN)
    viewer = known_viewer(request)
    text = _page(problem, guest=viewer is None or viewer.by_link, form=request.method == b"POST")
    write_text(request, problem.status, text, "text/html; charset=utf-8")


def _at_its_address(request: StreamingRequest, error: BaseException | None, problem: Problem) -> Problem:
    """What isn't there is called as whoever looks for it has called it; the catalogue knows only the end of that."""
    address = unquote((request.path or b"").decode("ascii", "replace")).rstrip("/")
    if isinstance(error, NoSuchEntry) and error.path and address.endswith(shown(error.path)):
        return replace(problem, detail=f"there is nothing at {address}")
    return problem


def _page(problem: Problem, *, guest: bool, form: bool) -> str:
    title = problem.title or TITLES.get(problem.status, "Error")
    again = '<p><a href="">Try again</a></p>' if form or problem.status == 401 else ""
    return page(title, f"<p>{html.escape(plain(problem.detail))}</p>{again}", guest=guest)
