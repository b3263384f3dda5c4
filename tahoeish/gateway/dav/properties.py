"""Live properties: what the node itself knows of files and folders; and which properties are told of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from twisted.web.http import datetimeToString

from tahoeish.gateway.checksums import checksums_text
from tahoeish.gateway.dav.bodies import Wanted
from tahoeish.gateway.dav.elements import DAV, Name, escape
from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.dav.multistatus import PropertyStatus, empty
from tahoeish.gateway.filenames import served_type
from tahoeish.namespace.entries import Entry, Usage
from tahoeish.namespace.locks import Lock
from tahoeish.namespace.names import Path

OWNCLOUD = "http://owncloud.org/ns"

TAHOEISH = "urn:tahoeish"

MODIFIED = (TAHOEISH, "modified")
"""In seconds since 1970, to the microsecond: for those who want to know whether a file is still the same."""

CHECKSUMS = (OWNCLOUD, "checksums")
QUOTA = ((DAV, "quota-available-bytes"), (DAV, "quota-used-bytes"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUPPORTED_LOCK = (
    "<D:supportedlock>"
    "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
    "<D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
    "</D:supportedlock>"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """One resource, and all that its properties are made of, at the time `now`."""

    entry: Entry
    now: float
    dead: Mapping[Name, str]
    locks: Sequence[Lock]
    usage: Usage | None


def statuses(subject: Subject, wanted: Wanted) -> list[PropertyStatus]:
    """The properties that are wanted of a resource, and those that it doesn't have."""
    found: dict[Name, str] = {}
    missing: list[str] = []
    if wanted.everything:
        found = {name: text for name in _EVERYTHING if (text := _LIVE[name](subject)) is not None}
        found |= subject.dead
    for name in wanted.names:
        text = property_of(subject, name)
        if text is None:
            missing.append(empty(name))
        else:
            found[name] = text
    texts = [empty(name) for name in found] if wanted.names_only else list(found.values())
    return [PropertyStatus(200, texts), PropertyStatus(404, missing)]


def property_of(subject: Subject, name: Name) -> str | None:
    """The property's element; None if there is none."""
    # What a client has set goes first: it can't have set what is protected.
    text = subject.dead.get(name)
    if text is None and (live := _LIVE.get(name)) is not None:
        text = live(subject)
    return text


def is_protected(name: Name) -> bool:
    """Only the node changes it."""
    return name in _LIVE and name != (DAV, "displayname")


def lock_discovery(locks: Iterable[Lock], now: float, path: Path, *, folder: bool) -> str:
    """The property that tells of the locks on what lies at the path, which may have been put on a folder above it."""
    texts = (_active_lock(lock, now, folder or lock.path != path) for lock in locks)
    return f"<D:lockdiscovery>{''.join(texts)}</D:lockdiscovery>"


def _active_lock(lock: Lock, now: float, folder: bool) -> str:
    return (
        "<D:activelock><D:locktype><D:write/></D:locktype>"
        f"<D:lockscope><D:{lock.scope.value}/></D:lockscope><D:depth>{lock.depth.value}</D:depth>"
        f"{lock.owner_xml or ''}<D:timeout>Second-{max(0, round(lock.expires - now))}</D:timeout>"
        f"<D:locktoken><D:href>{escape(lock.token)}</D:href></D:locktoken>"
        f"<D:lockroot><D:href>{escape(href(lock.path, folder=folder))}</D:href></D:lockroot></D:activelock>"
    )


def _creation_date(subject: Subject) -> str | None:
    try:
        created = _EPOCH + timedelta(seconds=int(subject.entry.created))
    except OverflowError:
        return None
    return f"<D:creationdate>{created:%Y-%m-%dT%H:%M:%SZ}</D:creationdate>"


def _display_name(subject: Subject) -> str | None:
    name = subject.entry.path[-1] if subject.entry.path else "files"
    if not name.isprintable():
        # XML has no way to write these two.
        name = name.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    return f"<D:displayname>{escape(name)}</D:displayname>"


def _content_length(subject: Subject) -> str | None:
    content = subject.entry.content
    return None if content is None else f"<D:getcontentlength>{content.size}</D:getcontentlength>"


def _content_type(subject: Subject) -> str | None:
    content = subject.entry.content
    if content is None:
        return None
    return f"<D:getcontenttype>{escape(served_type(subject.entry.name, content.content_type))}</D:getcontenttype>"


def _etag(subject: Subject) -> str | None:
    return f"<D:getetag>{subject.entry.etag}</D:getetag>"


def _last_modified(subject: Subject) -> str | None:
    return f"<D:getlastmodified>{datetimeToString(subject.entry.modified).decode()}</D:getlastmodified>"


def _modified(subject: Subject) -> str | None:
    return f'<t:modified xmlns:t="{TAHOEISH}">{subject.entry.modified:.6f}</t:modified>'


def _resource_type(subject: Subject) -> str | None:
    if subject.entry.is_folder:
        return "<D:resourcetype><D:collection/></D:resourcetype>"
    return "<D:resourcetype/>"


def _lock_discovery(subject: Subject) -> str | None:
    return lock_discovery(subject.locks, subject.now, subject.entry.path, folder=subject.entry.is_folder)


def _supported_lock(subject: Subject) -> str | None:
    return _SUPPORTED_LOCK


def _available(subject: Subject) -> str | None:
    if subject.usage is None or subject.usage.available is None or not subject.entry.is_folder:
        return None
    return f"<D:quota-available-bytes>{subject.usage.available}</D:quota-available-bytes>"


def _used(subject: Subject) -> str | None:
    if subject.usage is None or not subject.entry.is_folder:
        return None
    return f"<D:quota-used-bytes>{subject.usage.used}</D:quota-used-bytes>"


def _checksums(subject: Subject) -> str | None:
    content = subject.entry.content
    if content is None or not content.checksums:
        return None
    text = escape(checksums_text(content.checksums))
    return f'<oc:checksums xmlns:oc="{OWNCLOUD}"><oc:checksum>{text}</oc:checksum></oc:checksums>'


_EVERYTHING_BY_NAME: dict[str, Callable[[Subject], str | None]] = {
    "resourcetype": _resource_type,
    "displayname": _display_name,
    "creationdate": _creation_date,
    "getlastmodified": _last_modified,
    "getcontentlength": _content_length,
    "getcontenttype": _content_type,
    "getetag": _etag,
    "supportedlock": _supported_lock,
    "lockdiscovery": _lock_discovery,
}
_EVERYTHING = tuple((DAV, local) for local in _EVERYTHING_BY_NAME)
"""What is told to those who want everything. Quotas are not, since they may be costly, as RFC 4331 has it."""

_LIVE: Mapping[Name, Callable[[Subject], str | None]] = {
    **{(DAV, local): live for local, live in _EVERYTHING_BY_NAME.items()},
    QUOTA[0]: _available,
    QUOTA[1]: _used,
    CHECKSUMS: _checksums,
    MODIFIED: _modified,
}
