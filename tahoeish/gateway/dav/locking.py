"""LOCK and UNLOCK."""

from __future__ import annotations

from functools import partial

from tahoeish.gateway.dav.answers import write_xml
from tahoeish.gateway.dav.bodies import parse_lock
from tahoeish.gateway.dav.elements import escape
from tahoeish.gateway.dav.headers import Depth, parse_depth, parse_lock_token, parse_timeout
from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.dav.properties import lock_discovery
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused, write_nothing
from tahoeish.namespace import locks
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import Locked
from tahoeish.namespace.locks import Lock, LockWish


class Locking:
    """Answers the methods that lock."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def lock(self, visit: Visit) -> None:
        depth = parse_depth(visit.header("Depth"))
        if depth is Depth.ONE:
            raise Refused(400, "a lock goes down to Depth 0 or infinity")
        seconds = parse_timeout(visit.header("Timeout"))
        body = await visit.xml()
        if not body.strip():
            await self._refresh(visit, seconds)
            return
        wish = parse_lock(body, locks.Depth(depth.value), seconds)
        visit.expect_wanted(visit.path)
        try:
            lock, created, is_folder = await self._names.run_in_thread(partial(self._locked, visit, wish))
        except Locked as error:
            where = "".join(f"<D:href>{escape(href(held.path, folder=False))}</D:href>" for held in error.locks)
            condition = f"<D:no-conflicting-lock>{where}</D:no-conflicting-lock>"
            raise Refused(423, str(error), condition=condition) from None
        visit.request.setHeader(b"Lock-Token", f"<{lock.token}>".encode())
        self._answer(visit, lock, 201 if created else 200, is_folder)

    async def _refresh(self, visit: Visit, seconds: int | None) -> None:
        if not visit.conditions.submitted:
            raise Refused(400, "a LOCK without a body renews the lock whose token is in the If header; there is none")
        lock = await self._names.ask(Catalogue.refresh, visit.viewer, visit.path, visit.conditions, seconds)
        entry = await self._names.ask(Catalogue.find, visit.viewer, visit.path)
        self._answer(visit, lock, 200, entry.is_folder)

    async def unlock(self, visit: Visit) -> None:
        token = parse_lock_token(visit.header("Lock-Token"))
        await self._names.ask(Catalogue.unlock, visit.viewer, visit.path, token)
        write_nothing(visit.request, 204)

    def _locked(self, visit: Visit, wish: LockWish) -> tuple[Lock, bool, bool]:
        """The lock, whether a file was made for it, and whether it is on a folder. Blocks."""
        catalogue = self._names.catalogue
        lock, created = catalogue.lock(visit.viewer, visit.path, wish, visit.conditions)
        return lock, created, not created and catalogue.find(visit.viewer, visit.path).is_folder

    def _answer(self, visit: Visit, lock: Lock, status: int, is_folder: bool) -> None:
        discovery = lock_discovery([lock], self._names.now(), visit.path, folder=is_folder)
        text = f'<?xml version="1.0" encoding="utf-8"?>\n<D:prop xmlns:D="DAV:">{discovery}</D:prop>\n'
        write_xml(visit.request, status, text)
