"""Names on pages, which show what they are, whatever characters somebody has put into them."""

from __future__ import annotations

import html

# Control characters, ends of lines, and those by which letters are shown in another order than they have. Marks that
# only say in which direction their neighbours run, and joiners, belong into names of many languages.
_MISLEADING = (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_SHOWN = dict.fromkeys(_MISLEADING, "\N{REPLACEMENT CHARACTER}")


def plain(name: str) -> str:
    """As text: what can't be seen, but turns around what can, as in an exe that would look like a jpg, is seen."""
    return name.translate(_SHOWN)


def marked_up(name: str) -> str:
    """As HTML, in which the direction of the name's letters doesn't reach what stands beside it."""
    return f"<bdi>{html.escape(plain(name))}</bdi>"
