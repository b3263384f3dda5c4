"""The page for somebody who opens the node's address, and the frame of other short ones."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

from tahoeish.gateway.pages.assets import style_link
from tahoeish.gateway.pages.names import plain
from tahoeish.gateway.pages.upload_panel import upload_panel


@dataclass(frozen=True)
class PeerLine:
    """What the page tells of a peer."""

    name: str
    room: str


@dataclass(frozen=True)
class WorkerLine:
    """A process that serves clients, and how many requests it is answering; the one that asks is among them."""

    pid: int
    transfers: int


_FORM = (
    '<form action="/uri?t=upload" method="post" enctype="multipart/form-data">'
    '<label for="file">Files</label><input type="file" id="file" name="file" multiple required>'
    "<button>Store</button></form>"
)

NAVIGATION = '<nav aria-label="This node"><a href="/files/">Files</a><a href="/status">Status</a></nav>'


def page(title: str, body: str, *, wide: bool = False, guest: bool = False) -> str:
    """
    A whole document around `body`, which is HTML already; `wide` with large tables. A `guest` is led nowhere else: all
    other pages would ask who they are.
    """
    heading = html.escape(plain(title))
    top = "<h1>tahoeish</h1>" if guest else f'<h1><a href="/">tahoeish</a></h1>{NAVIGATION}'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading} - tahoeish</title>{style_link()}</head>"
        f'<body class="{"wide" if wide else "narrow"}"><header>{top}</header>'
        f"<main><h2>{heading}</h2>{body}</main></body></html>\n"
    )


def outcome(done: str, count: int, of: int) -> str:
    """The title of a page that tells of so many files, out of how many, that they were `done`."""
    if not count:
        return f"Not {done}"
    return done.capitalize() if count == of else f"Not all of it was {done}"


def welcome(url: str, encoding: str, peers: Iterable[PeerLine]) -> str:
    """Where somebody lands who opens the node's address."""
    rows = "".join(f"<tr><td>{html.escape(peer.name)}</td><td>{html.escape(peer.room)}</td></tr>" for peer in peers)
    examples = f"curl -T FILE {url}/files/\ncurl -T FILE {url}/uri"
    return page(
        "Store files",
        upload_panel("/uploads/", folder=False, otherwise=_FORM)
        + "<p>From a terminal, with a name in a folder or only for its cap:</p>"
        f"<pre><code>{html.escape(examples)}</code></pre>"
        '<h2>Folders</h2><p><a href="/files/">Your files</a> are at '
        f"<code>{html.escape(url)}/files/</code>, which is also a WebDAV folder: file managers, rclone and davfs2"
        " can open or mount it.</p>"
        "<h2>Fetch a file</h2>"
        '<form action="/uri" method="get"><label for="cap">Cap</label>'
        '<input type="text" id="cap" name="uri" placeholder="URI:CHK:&hellip;" required><button>Fetch</button></form>'
        f"<h2>The grid</h2><p>Of a new file, any {html.escape(encoding)} shares rebuild it.</p>"
        f"<table><thead><tr><th>Peer</th><th>Room</th></tr></thead><tbody>{rows}</tbody></table>",
    )
