"""Who looks at the catalogue, and how far they may see."""

from __future__ import annotations

from dataclasses import dataclass

from tahoeish.namespace.names import Path

# Who everybody is as long as no users are defined.
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Viewer:
    """
    A user, perhaps with a token that allows less than the user may.

    `below` is the only folder such a viewer gets into, by the same path as the user. The folders on the way
    to it show themselves and nothing else that is in them; all other paths are `Forbidden`. `by_link`: somebody to whom
    the user has given an address, and who has nothing else.
    """

    user: str
    read_only: bool = False
    below: Path = ()
    by_link: bool = False
