"""The headers that say under which conditions, and with which locks, something may be done (RFC 4918 section 10.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tahoeish.gateway.conditions import entity_tags, http_date
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.conditions import NOWHERE, ConditionList, Conditions, HasTag, HasToken
from tahoeish.namespace.names import Path

_TOKEN = re.compile(
    r"""[ \t]* (?: (?P<open>\() | (?P<close>\)) | (?P<not>not) (?=[ \t]*[<\[])
                 | < (?P<address> [^<>\s]+ ) > | \[ (?P<tag> (?:W/)? " [^"]* " | [^\[\]"\s]+ ) \] )""",
    re.VERBOSE | re.IGNORECASE,
)


def parse_conditions(
    if_header: str | None,
    if_match: str | None,
    if_none_match: str | None,
    if_unmodified_since: str | None = None,
    *,
    path_of: Callable[[str], Path | None],
) -> Conditions:
    """
    What the headers demand, each None if it isn't there.

    `path_of` says what an address in `If` stands for: None for what isn't here. Raises `Refused`.
    """
    return Conditions(
        lists=() if if_header is None else parse_if(if_header, path_of),
        if_match=None if if_match is None else _tags("If-Match", if_match),
        if_none_match=None if if_none_match is None else _tags("If-None-Match", if_none_match),
        unmodified_since=http_date(if_unmodified_since),
    )


def parse_if(header: str, path_of: Callable[[str], Path | None]) -> tuple[ConditionList, ...]:
    """Raises `Refused` for what isn't written as RFC 4918 wants it."""
    lists: list[ConditionList] = []
    tokens = _tokens(header)
    on: Path | None = None
    unused_tag = False
    for kind, text in tokens:
        if kind == "address":
            on = path_of(text)
            on = NOWHERE if on is None else on
            unused_tag = True
        elif kind == "open":
            lists.append(ConditionList(_list(tokens), on))
            unused_tag = False
        else:
            raise _malformed(header)
    if not lists or unused_tag:
        raise _malformed(header)
    return tuple(lists)


def _list(tokens: Iterator[tuple[str, str]]) -> tuple[HasToken | HasTag, ...]:
    """What stands between two parentheses, of which the first has been taken."""
    conditions: list[HasToken | HasTag] = []
    negated = False
    for kind, text in tokens:
        match kind:
            case "not" if not negated:
                negated = True
                continue
            case "address":
                conditions.append(HasToken(text, negated))
            case "tag":
                conditions.append(HasTag(text, negated))
            case "close" if conditions and not negated:
                return tuple(conditions)
            case _:
                break
        negated = False
    raise Refused(400, "a list in the If header is not closed, empty, or has something else in it than conditions")


def _tokens(header: str) -> Iterator[tuple[str, str]]:
    position = 0
    end = len(header.rstrip())
    while position < end:
        match = _TOKEN.match(header, position)
        if match is None:
            raise _malformed(header)
        assert match.lastgroup is not None
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


def _malformed(header: str) -> Refused:
    return Refused(400, f"the If header is not as RFC 4918 has it: {header[:200]!r}")


def _tags(name: str, header: str) -> tuple[str, ...]:
    tags = entity_tags(header)
    if tags is None:
        raise Refused(400, f"{name} is * or a list of quoted tags, not {header[:200]!r}")
    return tags
