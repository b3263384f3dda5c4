"""What everything needs that serves links and signed addresses."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from tahoeish.gateway.links.arrivals import Arrivals
from tahoeish.namespace.url_keys import UrlKeys


@dataclass(frozen=True)
class LinkMeans:
    """`digests`: with which addresses may be signed. `hook_origins`: the sites that may be told of files."""

    keys: UrlKeys
    digests: Collection[str]
    arrivals: Arrivals
    hook_origins: Collection[str]
    random_bytes: Callable[[int], bytes]
