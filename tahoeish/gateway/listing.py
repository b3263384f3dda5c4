"""A directory as a page."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from urllib.parse import quote

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory import Child, ChildCap, Children, Metadata
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.gateway.page import page
from tahoeish.gateway.pages.names import marked_up


def listing(name: str | None, cap: DirectoryCap, children: Children) -> str:
    """
    All children, those with a cap that is understood as links.

    A link leads to the child's own cap, so that whoever passes it on passes on that child and not the directory.
    """
    rows = "".join(_row(child_name, child) for child_name, child in children.items())
    table = f"<table><thead><tr><th>Name</th><th>Size</th><th>Changed</th></tr></thead><tbody>{rows}</tbody></table>"
    return page(
        f"Directory {name}" if name else "Directory",
        (table if children else "<p>It is empty.</p>") + f"<h2>Cap</h2><p><code>{html.escape(str(cap))}</code></p>",
    )


def _row(name: str, child: Child) -> str:
    return f"<tr><td>{_link(name, child.cap)}</td><td>{_size(child.cap)}</td><td>{_changed(child.metadata)}</td></tr>"


def _link(name: str, cap: ChildCap) -> str:
    quoted, text = quote(str(cap), safe=""), marked_up(name)
    match cap:
        case DirectoryCap():
            return f'<a href="/uri/{quoted}/">{text}/</a>'
        case ReadCap() | LiteralCap():
            return f'<a href="/file/{quoted}/@@named=/{quote(name, safe="")}">{text}</a>'
        case _:
            return f"{text} (unknown)"


def _size(cap: ChildCap) -> str:
    return f"{cap.size} bytes" if isinstance(cap, ReadCap | LiteralCap) else ""


def _changed(metadata: Metadata) -> str:
    """By the system's own account, or else by that of whoever made the link."""
    system = metadata.get("tahoe")
    seconds = system.get("linkmotime") if isinstance(system, dict) else None
    if seconds is None:
        seconds = metadata.get("mtime")
    if not isinstance(seconds, int | float):
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        # Anybody may write anything there.
        return ""
