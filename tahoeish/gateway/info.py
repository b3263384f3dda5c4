"""`t=info`: what is known of a file or a directory as a page, and what can be done with it."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

from tahoeish.chk.caps import LiteralCap, VerifyCap
from tahoeish.chk.directory import Metadata
from tahoeish.chk.directory_caps import AnyCap, DirectoryCap, DirectoryVerifyCap
from tahoeish.gateway.description import description_of
from tahoeish.gateway.errors import write_text
from tahoeish.gateway.page import page
from tahoeish.gateway.pages import policy
from tahoeish.gateway.pages.names import plain
from tahoeish.streams.request import StreamingRequest

_ROWS = {
    "size": "Bytes",
    "ro_uri": "Cap to read it",
    "verify_uri": "Cap that only verifies it",
    "metadata": "Its directory says",
}
"""What `description_of` calls it, and what people do."""


def write_info(request: StreamingRequest, cap: AnyCap, metadata: Metadata | None) -> None:
    request.setHeader(b"Content-Security-Policy", policy.PLAIN)
    write_text(request, 200, info(cap, metadata), "text/html; charset=utf-8")


def info(cap: AnyCap, metadata: Metadata | None = None) -> str:
    """A page, from which the file can be fetched, checked and repaired as far as the cap allows."""
    kind, facts = description_of(cap, metadata)
    rows = "".join(_row(title, facts[name]) for name, title in _ROWS.items() if facts.get(name))
    title = "About a directory" if kind == "dirnode" else "About a file"
    return page(title, f"<table><tbody>{rows}</tbody></table>{_fetching(cap)}{_checking(cap)}")


def _row(title: str, fact: object) -> str:
    text = fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
    return f"<tr><th>{title}</th><td><code>{html.escape(plain(text))}</code></td></tr>"


def _fetching(cap: AnyCap) -> str:
    if isinstance(cap, VerifyCap | DirectoryVerifyCap):
        return ""
    here = f"/uri/{quote(str(cap), safe='')}"
    return f'<p><a href="{here}">Fetch it</a>, or <a href="{here}?t=json">what is known of it as JSON</a></p>'


def _checking(cap: AnyCap) -> str:
    contents = cap.contents if isinstance(cap, DirectoryCap | DirectoryVerifyCap) else cap
    if isinstance(contents, LiteralCap):
        return "<p>It is in its cap: there are no shares of it that could get lost.</p>"
    buttons = [("", "Are all shares there?"), ("&verify=true", "Read every share")]
    if not isinstance(contents, VerifyCap):
        buttons.append(("&verify=true&repair=true", "Repair"))
    address = f"/uri/{quote(str(cap), safe='')}?t=check"
    return (
        '<h2>Check it</h2><form method="post">'
        + "".join(f'<button formaction="{address}{html.escape(how)}">{text}</button>' for how, text in buttons)
        + "</form>"
    )
