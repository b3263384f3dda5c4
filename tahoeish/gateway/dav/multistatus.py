"""`207 Multi-Status`, written piece by piece: OPENING, any number of responses, CLOSING."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tahoeish.gateway.dav.elements import DAV, XML, Name, escape, escape_attribute

CONTENT_TYPE = "application/xml; charset=utf-8"

OPENING = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'
CLOSING = "</D:multistatus>\n"

_REASONS = {
    200: "OK",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    423: "Locked",
    424: "Failed Dependency",
    507: "Insufficient Storage",
}


@dataclass(frozen=True, slots=True)
class PropertyStatus:
    """What holds for several properties of one resource: each is an element, with its value or without."""

    status: int
    properties: Sequence[str]
    condition: str = ""
    """The element that names why, if it has a name."""
    description: str = ""


def response(href: str, statuses: Iterable[PropertyStatus]) -> str:
    """What is to be told of one resource. Statuses without properties are left out."""
    # There is a propstat in every response, even if nothing was asked for.
    parts = [_propstat(each) for each in statuses if each.properties] or [_propstat(PropertyStatus(200, ()))]
    return f"<D:response><D:href>{escape(href)}</D:href>{''.join(parts)}</D:response>\n"


def empty(name: Name) -> str:
    """A property without a value."""
    namespace, local = name
    if namespace == XML:
        # No document may give it another prefix, or make it the default.
        return f"<xml:{local}/>"
    return f"<D:{local}/>" if namespace == DAV else f'<{local} xmlns="{escape_attribute(namespace)}"/>'


def whole(responses: Iterable[str]) -> str:
    """A document, where there is little to tell."""
    return OPENING + "".join(responses) + CLOSING


def error(condition: str, message: str = "") -> str:
    """The body of an error that has a name: `condition` is the element that names it."""
    # Some clients show their users what stands in an element of this name, in whatever namespace.
    told = f'<s:message xmlns:s="http://sabredav.org/ns">{escape(message)}</s:message>' if message else ""
    return f'<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:">{condition}{told}</D:error>\n'


def _propstat(each: PropertyStatus) -> str:
    condition = f"<D:error>{each.condition}</D:error>" if each.condition else ""
    told = f"<D:responsedescription>{escape(each.description)}</D:responsedescription>" if each.description else ""
    return (
        f"<D:propstat><D:prop>{''.join(each.properties)}</D:prop>"
        f"<D:status>HTTP/1.1 {each.status} {_REASONS[each.status]}</D:status>{condition}{told}</D:propstat>"
    )
