"""
What a request demands to be so, from its headers If (RFC 4918 section 10.4), If-Match, If-None-Match and
If-Unmodified-Since (RFC 9110 section 13).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tahoeish.namespace.names import Path

# In `if_match` and `if_none_match`: any entity tag at all.
ANY = "*"

# For a list that is tagged with a resource that isn't in this catalogue: nothing is there, and no lock.
NOWHERE: Path = ("",)


@dataclass(frozen=True, slots=True)
class State:
    """An entry's tag and time, None when there is no such entry, and the tokens of all locks that cover the path."""

    etag: str | None
    tokens: frozenset[str]
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class HasToken:
    """`<token>`: the path is covered by this lock. `DAV:no-lock` never is one."""

    token: str
    negated: bool = False

    def holds(self, state: State | None) -> bool:
        return (state is not None and self.token in state.tokens) is not self.negated


@dataclass(frozen=True, slots=True)
class HasTag:
    """`["tag"]`: the entry has this tag; quoted, and with its `W/` if there was one, which never matches."""

    etag: str
    negated: bool = False

    def holds(self, state: State | None) -> bool:
        return (state is not None and self.etag == state.etag) is not self.negated


Condition: TypeAlias = HasToken | HasTag


@dataclass(frozen=True, slots=True)
class ConditionList:
    """Conditions of which all must hold, on the path that the list is tagged with or, if None, the request's own."""

    conditions: tuple[Condition, ...]
    on: Path | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """
    `lists`: the If header; empty if there was none. `if_match` and `if_none_match`: the tags in these headers, or
    `(ANY,)`; None if there was none. `tokens`: lock tokens that were submitted otherwise than in If.
    `unmodified_since`: Unix seconds, which mean nothing beside `if_match`, or for what isn't there.
    """

    lists: tuple[ConditionList, ...] = ()
    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None
    tokens: frozenset[str] = frozenset()
    unmodified_since: int | None = None

    @property
    def submitted(self) -> frozenset[str]:
        """All tokens that were mentioned anywhere: the locks that the request may act under."""
        return self.tokens | {
            condition.token
            for conditions in self.lists
            for condition in conditions.conditions
            if isinstance(condition, HasToken)
        }

    @property
    def demand_nothing(self) -> bool:
        return not self.lists and not self._about_own_state

    @property
    def _about_own_state(self) -> bool:
        return not (self.if_match is None and self.if_none_match is None and self.unmodified_since is None)

    def holds(self, path: Path, state_of: Callable[[Path], State | None]) -> bool:
        """
        Whether all is so, for a request about `path`. `state_of` gives None for a path that the viewer can't see.

        Of the lists, one is enough, whatever it is tagged with.
        """
        if self._about_own_state:
            own = state_of(path)
            etag = own.etag if own is not None else None
            if self.if_match is not None and not _listed(etag, self.if_match):
                return False
            if self.if_match is None and _is_later(own, self.unmodified_since):
                return False
            if self.if_none_match is not None and _listed(etag, [tag.removeprefix("W/") for tag in self.if_none_match]):
                return False
        return not self.lists or any(
            all(condition.holds(state_of(path if one.on is None else one.on)) for condition in one.conditions)
            for one in self.lists
        )


UNCONDITIONAL = Conditions()


def _listed(etag: str | None, tags: tuple[str, ...] | list[str]) -> bool:
    return etag is not None and (etag in tags or ANY in tags)


def _is_later(own: State | None, seconds: int | None) -> bool:
    if own is None or own.modified is None or seconds is None:
        return False
    # Dates in HTTP have no fractions.
    return int(own.modified) > seconds
