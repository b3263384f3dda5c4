"""Files with names that come over several requests, sent to where they get them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from tahoeish.gateway.dav.addresses import is_folder_address
from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.dav.naming import expect_room, name_target
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused
from tahoeish.gateway.uploads.goal import Goal
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.gateway.uploads.room import with_room
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import NoSuchEntry
from tahoeish.namespace.names import check_name


class Resuming:
    """Answers PUT, PATCH and POST of what isn't a whole file."""

    def __init__(self, names: Names, intake: Intake) -> None:
        self._names = names
        self._intake = intake

    async def take(self, visit: Visit) -> bool:
        """False, with nothing done, for anything else. Raises what a PUT does, as early."""
        is_folder = is_folder_address(visit.request)

        async def prepare(name: str | None, length: int | None) -> Mapping[str, object]:
            path = visit.path
            if is_folder:
                if visit.request.method != b"POST":
                    raise Refused(
                        405, "an address that ends in a slash is that of a folder; a file can be posted there"
                    )
                if name is None:
                    raise Refused(400, "what is the file called? Say so with a filename in Content-Disposition")
                path = (*path, check_name(name))
            visit.expect_wanted(path)
            room = await expect_room(self._names, visit, path, length)
            return with_room(name_target(visit, path), room)

        async def expect_nothing() -> None:
            with suppress(NoSuchEntry):
                if (await self._names.look(Catalogue.find, visit.viewer, visit.path)).size:
                    raise Refused(
                        409,
                        "the file is complete, and nothing can be put behind it;"
                        " a PATCH of the first bytes of another one says so with Upload-Offset: 0",
                    )

        place = href(visit.path, folder=is_folder)
        goal = Goal(place, is_file=not is_folder, prepare=prepare, expect_nothing=expect_nothing)
        return await self._intake.take(visit.request, visit.body, goal)
