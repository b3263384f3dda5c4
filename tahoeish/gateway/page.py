"""The one page that people see."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

_STYLE = """
:root { color-scheme: light dark; --accent: #1a6b54; --line: #8885; }
@media (prefers-color-scheme: dark) { :root { --accent: #6fc7ab; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h1 a { color: inherit; text-decoration: none; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
a { color: var(--accent); } code { overflow-wrap: anywhere; font-size: .85em; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); border-radius: .4rem; }
form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; }
input { font: inherit; max-width: 100%; } input[type=text] { flex: 1 1 16rem; padding: .35rem .5rem; }
button { font: inherit; padding: .35rem 1rem; color: #fff; background: #1a6b54; border: 0; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem .3rem 0;
border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } .failed { color: #b3261e; }
@media (prefers-color-scheme: dark) { .failed { color: #ff8a80; } }
"""


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


def page(title: str, body: str) -> str:
    """A whole document around `body`, which is HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)} - tahoeish</title><style>{_STYLE}</style></head>"
        f'<body><h1><a href="/">tahoeish</a></h1><main><h2>{html.escape(title)}</h2>{body}</main></body></html>\n'
    )


def welcome(url: str, encoding: str, peers: Iterable[PeerLine]) -> str:
    """Where somebody lands who opens the node's address."""
    rows = "".join(f"<tr><td>{html.escape(peer.name)}</td><td>{html.escape(peer.room)}</td></tr>" for peer in peers)
    examples = f"curl -T FILE {url}/files/\ncurl -T FILE {url}/uri"
    return page(
        "Store a file",
        '<form action="/uri?t=upload" method="post" enctype="multipart/form-data">'
        '<label for="file">Files</label><input type="file" id="file" name="file" multiple required>'
        "<button>Store</button></form>"
        f"<p>or from a terminal, with a name in a folder or only for its cap:</p>"
        f"<pre><code>{html.escape(examples)}</code></pre>"
        '<h2>Folders</h2><p><a href="/files/">Your files</a> are at '
        f"<code>{html.escape(url)}/files/</code>, which is also a WebDAV folder: file managers, rclone and davfs2"
        " can open or mount it.</p>"
        "<h2>Fetch a file</h2>"
        '<form action="/uri" method="get"><label for="cap">Cap</label>'
        '<input type="text" id="cap" name="uri" placeholder="URI:CHK:&hellip;" required><button>Fetch</button></form>'
        f"<h2>The grid</h2><p>New files are encoded as {html.escape(encoding)}.</p>"
        f"<table><thead><tr><th>Peer</th><th>Room</th></tr></thead><tbody>{rows}</tbody></table>",
    )
