"""What somebody with an upload link sees in a browser."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tahoeish.gateway.errors import Problem, prefers_html, prefers_json, problem_of, write_text
from tahoeish.gateway.page import outcome, page
from tahoeish.gateway.pages import policy
from tahoeish.gateway.pages.names import marked_up
from tahoeish.gateway.pages.sizes import in_words
from tahoeish.gateway.pages.upload_panel import upload_panel
from tahoeish.namespace.errors import LinkOver, NoSuchLink
from tahoeish.namespace.upload_links import UploadLink
from tahoeish.streams.request import StreamingRequest

_FORM = (
    '<form method="post" enctype="multipart/form-data"><label for="file">Files</label>'
    '<input type="file" id="file" name="file" multiple required><button>Send</button></form>'
)
_KINDS = {
    "application/pdf": "PDF documents",
    "audio/*": "sound files",
    "image/*": "pictures",
    "text/*": "texts",
    "video/*": "films",
}
"""Types as people call them."""


def tell_over(request: StreamingRequest, error: NoSuchLink | LinkOver) -> None:
    """In words for people: nothing can be brought by the link, any more or at all."""
    problem = problem_of(error)
    if isinstance(error, LinkOver):
        title, why = "This link is over", f"{problem.detail[:1].upper()}{problem.detail[1:]}."
        note = "What was sent before has arrived, and stays there."
    else:
        title, why = "There is no such link", "Whoever gave it to you has ended it, or the address isn't complete."
        note = "Ask them for another one."
    request.setHeader(b"Content-Security-Policy", policy.PLAIN)
    request.setHeader(b"Cache-Control", b"no-store")
    words = f'<p>{html.escape(why)}</p><p class="note">{note}</p>'
    write_text(request, problem.status, page(title, words, guest=True), "text/html; charset=utf-8")


def show(request: StreamingRequest, link: UploadLink, address: str) -> None:
    """What can be brought by the link whose address this is."""
    if prefers_json(request) or not prefers_html(request):
        bounds = link.bounds
        told = {
            "label": link.label,
            "expires": bounds.expires,
            "max_size": bounds.max_size,
            "max_files": bounds.max_files,
            "files": link.files,
            "content_types": list(bounds.content_types),
        }
        write_text(request, 200, json.dumps(told) + "\n", "application/json")
        return
    request.setHeader(b"Content-Security-Policy", policy.SCRIPTED)
    request.setHeader(b"Cache-Control", b"no-store")
    panel = upload_panel(address, folder=False, otherwise=_FORM, inbox=True)
    words = f'<p class="note">{html.escape(" ".join(_sentences(link)))}</p>'
    write_text(request, 200, page(link.label or "Send files", words + panel, guest=True), "text/html; charset=utf-8")


def _sentences(link: UploadLink) -> Iterator[str]:
    bounds = link.bounds
    if bounds.max_size is not None:
        yield f"A file may have up to {in_words(bounds.max_size)}."
    if bounds.max_files is not None:
        left = bounds.max_files - link.files
        yield "One file can be sent." if left == 1 else f"{left} files can be sent."
    if bounds.content_types:
        kinds = [_KINDS.get(each, f"files of the type {each}") for each in bounds.content_types]
        yield f"Only {', '.join(kinds)} are taken."
    if bounds.expires is not None:
        yield f"The link is good until {datetime.fromtimestamp(bounds.expires, UTC):%Y-%m-%d %H:%M} UTC."


def answer_form(request: StreamingRequest, results: Sequence[tuple[str, Problem | None]]) -> None:
    """Say of each file of a form what has become of it."""
    problems = [problem for _, problem in results if problem is not None]
    status = problems[0].status if problems else 201
    if prefers_json(request):
        told = [
            {"name": name} if problem is None else {"name": name, "error": problem.as_json()}
            for name, problem in results
        ]
        write_text(request, status, json.dumps(told) + "\n", "application/json")
    elif prefers_html(request):
        rows = "".join(f"<li>{_marked_up(*result)}</li>" for result in results)
        request.setHeader(b"Content-Security-Policy", policy.PLAIN)
        title = outcome("sent", len(results) - len(problems), len(results))
        text = page(title, f'<ul>{rows}</ul><p><a href="">Send more</a></p>', guest=True)
        write_text(request, status, text, "text/html; charset=utf-8")
    else:
        write_text(request, status, "".join(f"{_line(*result)}\n" for result in results))


def _marked_up(name: str, problem: Problem | None) -> str:
    shown = marked_up(name)
    return shown if problem is None else f"{shown} was not stored: {html.escape(problem.detail)}"


def _line(name: str, problem: Problem | None) -> str:
    return name if problem is None else f"{name} was not stored: {problem.detail}"
