"""MKCOL, DELETE, COPY, MOVE and PROPPATCH: changes of names and of what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tahoeish.gateway.conditions import http_date
from tahoeish.gateway.dav.answers import write_change, write_xml
from tahoeish.gateway.dav.bodies import parse_proppatch
from tahoeish.gateway.dav.elements import DAV, Element
from tahoeish.gateway.dav.headers import Depth, parse_depth, parse_mtime, parse_overwrite, seconds_of
from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.dav.multistatus import PropertyStatus, empty, response, whole
from tahoeish.gateway.dav.properties import is_protected
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused, write_nothing
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.entries import Outcome
from tahoeish.namespace.errors import AlreadyExists
from tahoeish.namespace.intent import Reading
from tahoeish.namespace.properties import PropertyChange, SetProperty

LAST_MODIFIED = (DAV, "lastmodified")
"""Seconds since 1970. rclone sets a file's time with it; it isn't kept as a property."""

WIN32_LAST_MODIFIED = ("urn:schemas-microsoft-com:", "Win32LastModifiedTime")
"""A date as in HTTP. Windows sets it, and is to find it again as it was written."""


class Changes:
    """Answers the methods that change names."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def mkcol(self, visit: Visit) -> None:
        if await _has_content(visit):
            raise Refused(415, "a folder is made without a body: nothing is known of what such a body would mean")
        visit.expect_wanted(visit.path)
        await self._names.ask(Catalogue.make_folder, visit.viewer, visit.path, visit.conditions)
        write_nothing(visit.request, 201)

    async def delete(self, visit: Visit) -> None:
        await self._expect_whole(visit, "a folder is removed with all that is in it")
        await self._names.ask(Catalogue.remove, visit.viewer, visit.path, visit.conditions)
        write_nothing(visit.request, 204)

    async def copy(self, visit: Visit) -> None:
        depth = parse_depth(visit.header("Depth"))
        if depth is Depth.ONE and await self._is_folder(visit):
            raise Refused(400, "a folder is copied with Depth 0 or infinity")
        await self._to_destination(visit, partial(Catalogue.copy, shallow=depth is Depth.ZERO))

    async def move(self, visit: Visit) -> None:
        await self._expect_whole(visit, "a folder is moved with all that is in it")
        await self._to_destination(visit, Catalogue.move)

    async def proppatch(self, visit: Visit) -> None:
        changes = parse_proppatch(await visit.xml())
        entry = await self._names.ask(Catalogue.check, visit.viewer, visit.path, visit.conditions, Reading())
        assert entry is not None, "a reader gets NoSuchEntry"
        refusals = [status for change, element in changes if (status := _refusal(change, element)) is not None]
        if refusals:
            statuses = [*refusals, _names_of(changes, 424, but=refusals)]
        else:
            await self._names.ask(
                Catalogue.change_properties,
                visit.viewer,
                visit.path,
                [change for change, _ in changes if change.name != LAST_MODIFIED],
                visit.conditions,
                _modified(changes),
            )
            statuses = [_names_of(changes, 200)]
        address = href(visit.path, folder=entry.is_folder, prefix=visit.prefix)
        write_xml(visit.request, 207, whole([response(address, statuses)]))

    async def _expect_whole(self, visit: Visit, why: str) -> None:
        """Raises `Refused` where less is wanted of a folder; a file has only one depth."""
        if parse_depth(visit.header("Depth")) is not Depth.INFINITY and await self._is_folder(visit):
            raise Refused(400, f"{why}; leave out Depth, or say Depth: infinity")

    async def _is_folder(self, visit: Visit) -> bool:
        return (await self._names.look(Catalogue.find, visit.viewer, visit.path)).is_folder

    async def _to_destination(self, visit: Visit, change: Callable[..., Outcome]) -> None:
        modified = parse_mtime(visit.header("X-OC-Mtime"))
        overwrite = parse_overwrite(visit.header("Overwrite"))
        destination = visit.destination()
        try:
            outcome = await self._names.ask(
                change,
                visit.viewer,
                visit.path,
                destination,
                overwrite=overwrite,
                conditions=visit.conditions,
                modified=modified,
            )
        except AlreadyExists as error:
            raise Refused(412, f"{error}, and Overwrite is F") from None
        if modified is not None:
            visit.request.setHeader(b"X-OC-Mtime", b"accepted")
        write_change(visit.request, created=outcome.created)


async def _has_content(visit: Visit) -> bool:
    if visit.body.length is not None:
        return visit.body.length > 0
    return bool(await visit.body.read())


def _refusal(change: PropertyChange, element: Element) -> PropertyStatus | None:
    """Why a change can't be made, if so."""
    if is_protected(change.name):
        return PropertyStatus(403, [empty(change.name)], "<D:cannot-modify-protected-property/>")
    if change.name == LAST_MODIFIED and isinstance(change, SetProperty) and seconds_of(element.text) is None:
        return PropertyStatus(409, [empty(change.name)], description="lastmodified is a number of seconds since 1970")
    return None


def _names_of(
    changes: Sequence[tuple[PropertyChange, Element]], status: int, but: Sequence[PropertyStatus] = ()
) -> PropertyStatus:
    told = {text for each in but for text in each.properties}
    texts = dict.fromkeys(empty(change.name) for change, _ in changes)
    return PropertyStatus(status, [text for text in texts if text not in told])


def _modified(changes: Sequence[tuple[PropertyChange, Element]]) -> float | None:
    """The time that the last of the changes sets which sets one."""
    modified = None
    for change, element in changes:
        if not isinstance(change, SetProperty):
            continue
        if change.name == LAST_MODIFIED:
            modified = seconds_of(element.text)
        elif change.name == WIN32_LAST_MODIFIED:
            seconds = http_date(element.text)
            if seconds is not None:
                # Otherwise it is only a property.
                modified = float(seconds)
    return modified
