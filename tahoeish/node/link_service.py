"""Links and signed addresses of a gateway, and the web hooks that are told of what has come by them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tahoeish.gateway.dav.visit import Names
from tahoeish.gateway.links.arrivals import Arrivals
from tahoeish.gateway.links.hooks import Hooks, TreqPost
from tahoeish.gateway.links.means import LinkMeans
from tahoeish.gateway.links.signatures import DIGESTS
from tahoeish.namespace.database import Database
from tahoeish.namespace.upload_links import UploadLinks
from tahoeish.namespace.url_keys import UrlKeys
from tahoeish.node.config import Config
from tahoeish.streams.recurring import Recurring

HOOK_SECONDS = 2.0
"""How often somebody looks whether a hook is to be told anything."""


class LinkService:
    """`leads`: of several processes that share the catalogue, this one tells the hooks."""

    def __init__(
        self,
        config: Config,
        database: Database,
        names: Names,
        *,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        leads: bool,
    ) -> None:
        gateway = config.gateway
        links = UploadLinks(database, time.time, random_bytes)
        self.means = LinkMeans(
            UrlKeys(database, time.time, random_bytes),
            (*DIGESTS, *(("sha1",) if gateway.url_sha1 else ())),
            Arrivals(links, names, config.files.refuse),
            gateway.hook_origins,
            random_bytes,
        )
        hooks = Hooks(links, TreqPost(reactor), run_in_thread=names.run_in_thread, now=time.time)
        self._tells_hooks = leads and bool(gateway.hook_origins)
        self._recurring = Recurring(hooks.step, HOOK_SECONDS, reactor, doing="telling web hooks")

    def start(self) -> None:
        if self._tells_hooks:
            self._recurring.start()

    async def stop(self) -> None:
        await self._recurring.stop()
