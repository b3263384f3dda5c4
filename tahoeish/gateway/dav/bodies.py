"""What clients ask for in the XML that they send."""

from __future__ import annotations

from dataclasses import dataclass

from tahoeish.gateway.dav.elements import DAV, MAX_BYTES, BadDocument, Element, Name, parse, standalone
from tahoeish.namespace.locks import Depth, LockWish, Scope
from tahoeish.namespace.properties import PropertyChange, RemoveProperty, SetProperty

MAX_NAMES = 1000
"""Properties in one request. All of them may have to be told of ten thousand entries."""

MAX_NAME_TEXT = 64 * 1024
"""Characters of the names in one PROPFIND: namespaces may be long, and are told with each of them."""

MAX_OWNER = 8 * 1024
"""Of whoever holds a lock, as text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What PROPFIND asks for: properties by name, or everything, or only the names of everything.

    `names` are wanted beside everything, too, if that is.
    """

    names: tuple[Name, ...] = ()
    everything: bool = False
    names_only: bool = False


def parse_propfind(body: bytes) -> Wanted:
    """Raises `BadDocument`."""
    if not body.strip():
        return Wanted(everything=True)
    root = _root(body, "propfind")
    if (properties := root.child("prop")) is not None:
        return Wanted(_names(properties))
    if root.child("propname") is not None:
        return Wanted(everything=True, names_only=True)
    if root.child("allprop") is not None:
        include = root.child("include")
        return Wanted(_names(include) if include is not None else (), everything=True)
    raise BadDocument("a propfind has prop, propname or allprop in it")


def parse_proppatch(body: bytes) -> list[tuple[PropertyChange, Element]]:
    """The changes in the order in which they are to be made, each with the property's element. Raises `BadDocument`."""
    changes: list[tuple[PropertyChange, Element]] = []
    size = 0
    for instruction in _root(body, "propertyupdate").children:
        if instruction.name not in ((DAV, "set"), (DAV, "remove")):
            continue
        properties = instruction.child("prop")
        if properties is None:
            raise BadDocument("in a propertyupdate, set and remove have a prop in them")
        for element in properties.children:
            if instruction.name == (DAV, "set"):
                value = standalone(element)
                # Each brings along the namespaces around it, so that a short document could become very long ones.
                size += len(value)
                if size > MAX_BYTES:
                    raise BadDocument(f"the properties are longer than the {MAX_BYTES} characters that are taken here")
                changes.append((SetProperty(element.name, value), element))
            else:
                changes.append((RemoveProperty(element.name), element))
    if not changes:
        raise BadDocument("a propertyupdate sets or removes a property, and this one does neither")
    if len(changes) > MAX_NAMES:
        raise BadDocument(f"at most {MAX_NAMES} properties can be changed at a time")
    return changes


def parse_lock(body: bytes, depth: Depth, seconds: int | None) -> LockWish:
    """Raises `BadDocument`."""
    root = _root(body, "lockinfo")
    kind, wanted = root.child("locktype"), root.child("lockscope")
    if kind is None or kind.child("write") is None:
        raise BadDocument("what can be had here are locks of the type write")
    scopes = [scope for scope in Scope if wanted is not None and wanted.child(scope.value) is not None]
    if len(scopes) != 1:
        raise BadDocument("the scope of a lock is either exclusive or shared")
    owner = root.child("owner")
    text = None if owner is None else standalone(owner)
    if text is not None and len(text) > MAX_OWNER:
        raise BadDocument(f"the owner of a lock is told in at most {MAX_OWNER} characters")
    return LockWish(scopes[0], depth, text, seconds)


def _root(body: bytes, local: str) -> Element:
    root = parse(body)
    if root.name != (DAV, local):
        raise BadDocument(f"the XML should be a {local} in the namespace DAV:, and is {root.tag[:80]!r}")
    return root


def _names(properties: Element) -> tuple[Name, ...]:
    names = tuple(dict.fromkeys(element.name for element in properties.children))
    if len(names) > MAX_NAMES:
        raise BadDocument(f"at most {MAX_NAMES} properties can be asked for at a time")
    if sum(len(namespace) + len(local) for namespace, local in names) > MAX_NAME_TEXT:
        raise BadDocument(f"the names of the properties are longer than {MAX_NAME_TEXT} characters in all")
    return names
