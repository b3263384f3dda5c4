"""A folder as a page for people: a head, any number of rows, and a foot."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.page import NAVIGATION
from tahoeish.gateway.pages.assets import style_link
from tahoeish.gateway.pages.names import marked_up, plain
from tahoeish.gateway.pages.sizes import in_words
from tahoeish.gateway.pages.upload_panel import upload_panel
from tahoeish.namespace.entries import Entry, Version
from tahoeish.namespace.names import Path


@dataclass(frozen=True, slots=True)
class Order:
    """How a folder's rows are sorted."""

    column: str = "name"
    descending: bool = False

    @property
    def is_natural(self) -> bool:
        """It is the order in which entries come, so that none need be kept."""
        return self == Order()

    def __str__(self) -> str:
        return ("-" if self.descending else "") + self.column

    def sorted(self, entries: Sequence[Entry]) -> list[Entry]:
        return sorted(entries, key=_KEYS[self.column], reverse=self.descending)


_KEYS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda entry: entry.name.casefold(),
    "size": lambda entry: entry.size,
    "date": lambda entry: entry.modified,
}
_WITHOUT_SCRIPT = '<p class="note">To put files in here, allow scripts, or open this folder by WebDAV.</p>'
_UNSEEN_GET = '<span class="unseen">Get it</span>'
_COLUMNS = {"name": "Name", "size": "Size", "date": "Changed"}


def parse_order(text: str | None) -> Order:
    """`name`, `size` or `date`, backwards with a minus before it; anything else is by name."""
    column = (text or "").removeprefix("-")
    return Order(column, (text or "").startswith("-")) if column in _KEYS else Order()


def head(path: Path, order: Order, note: str = "") -> str:
    """Up to the first row."""
    titles = "".join(_title(column, title, order) for column, title in _COLUMNS.items())
    return (
        _opening(path)
        + upload_panel(href(path, folder=True), folder=True, otherwise=_WITHOUT_SCRIPT)
        + (f'<p class="note">{html.escape(note)}</p>' if note else "")
        + f'<table><thead><tr>{titles}<th class="get">{_UNSEEN_GET}</th></tr></thead><tbody>\n'
    )


def rows(entries: Sequence[Entry]) -> str:
    return "".join(map(_row, entries))


def foot(path: Path, *, empty: bool) -> str:
    """From behind the last row on."""
    told = '<p class="note">This folder is empty.</p>' if empty else ""
    versions = f'<a href="{html.escape(href(path, folder=True))}?versions">Earlier versions</a>'
    return f"</tbody></table>{told}<footer>{versions}</footer></main></body></html>\n"


def versions_page(path: Path, versions: Sequence[Version], removed: Sequence[Version], *, is_folder: bool) -> str:
    """What a name stood for before; of a folder, also the names that are no longer in it."""
    parts = [_opening(path)]
    own = [_version_row(path, version, version.name) for version in versions]
    gone = [_version_row((*path, version.name), version, version.name) for version in removed]
    for title, lines in (("Earlier versions", own), ("Removed from here", gone)):
        if lines:
            heads = '<th>Name</th><th class="size">Size</th><th>Until</th>'
            heads += f'<th class="get">{_UNSEEN_GET}</th>'
            parts.append(
                f"<h2>{title}</h2><table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
            )
    if not own and not gone:
        parts.append('<p class="note">There are no earlier versions.</p>')
    address = html.escape(href(path if is_folder else path[:-1], folder=True))
    parts.append(f'<footer><a href="{address}">Back to the folder</a></footer></main></body></html>\n')
    return "".join(parts)


def _opening(path: Path) -> str:
    title = html.escape(plain(path[-1]) if path else "Files")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} - tahoeish</title>{style_link()}</head>"
        f'<body class="listing"><header><p class="home"><a href="/">tahoeish</a></p>{NAVIGATION}</header>'
        f'<nav aria-label="Path">{_breadcrumbs(path)}</nav><main>'
        f'<h1 class="unseen">{title}</h1>'
    )


def _breadcrumbs(path: Path) -> str:
    crumbs = [((), "Files"), *((path[: depth + 1], name) for depth, name in enumerate(path))]
    links = [f'<a href="{html.escape(href(folder, folder=True))}">{marked_up(name)}</a>' for folder, name in crumbs]
    links[-1] = f'<span aria-current="page">{marked_up(crumbs[-1][1])}</span>'
    return "<i>/</i>".join(links)


def _title(column: str, title: str, order: Order) -> str:
    current = column == order.column
    other = Order(column, descending=current and not order.descending)
    state = f' aria-sort="{"descending" if order.descending else "ascending"}"' if current else ""
    return f'<th class="{column}"{state}><a href="?sort={other}">{title}</a></th>'


def _row(entry: Entry) -> str:
    address = html.escape(href(entry.path, folder=entry.is_folder))
    name = marked_up(entry.name)
    if entry.is_folder:
        link, get = f'<a class="folder" href="{address}">{name}/</a>', ""
    else:
        link, get = f'<a href="{address}">{name}</a>', f'<a href="{address}?save=true" download>Download</a>'
    return (
        f'<tr><td>{link}</td><td class="size">{_size(entry.size)}</td>'
        f'<td class="date">{_date(entry.modified)}</td><td class="get">{get}</td></tr>\n'
    )


def _version_row(path: Path, version: Version, name: str) -> str:
    address = html.escape(href(path, folder=False))
    text = marked_up(name) + ("/" if version.content is None else "")
    link = text if version.content is None else f'<a href="{address}?version={version.id}">{text}</a>'
    restore = f'<form method="post" action="{address}?restore={version.id}"><button>Restore</button></form>'
    return (
        f'<tr><td>{link}</td><td class="size">{_size(version.size)}</td>'
        f'<td class="date">{_date(version.replaced)}</td><td class="get">{restore}</td></tr>\n'
    )


def _size(size: int) -> str:
    return f'<span title="{size} bytes">{in_words(size)}</span>'


def _date(seconds: float) -> str:
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))
    except OverflowError:
        return ""
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}" title="UTC">{when:%Y-%m-%d %H:%M}</time>'
