"""
XML that strangers send, as a tree of elements, and back into text.

The parser knows no entities, no DTD and nothing outside the document, and bounds what it takes: whatever is more than a
client has any reason to send is refused. Namespaces are resolved here and not by expat, which would forget the
prefixes: an element that is stored as somebody's property is given back as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.parsers import expat

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_ELEMENTS = 10_000
MAX_ATTRIBUTES = 20_000
"""Of the whole document, namespace declarations included."""

DAV = "DAV:"
XML = "http://www.w3.org/XML/1998/namespace"

_XMLNS = "http://www.w3.org/2000/xmlns/"
_ENCODINGS = {"utf-8", "utf-16", "us-ascii", "iso-8859-1"}
# Long words without a colon are looked at once, and not once from each of their letters.
_PREFIX_IN_TEXT = re.compile(r"(?<![\w.-])([\w.-]++):", re.UNICODE)

Name: TypeAlias = tuple[str, str]
"""A namespace, empty for none, and a local name."""


class BadDocument(Exception):
    """It isn't well-formed, or not something that is taken here. The message says what and where."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The prefixes that are known at one place of a document."""

    declared: Mapping[str, str]
    around: Scope | None = None

    def namespace(self, prefix: str) -> str | None:
        scope: Scope | None = self
        while scope is not None:
            if prefix in scope.declared:
                return scope.declared[prefix]
            scope = scope.around
        return None


_OUTERMOST = Scope({"xml": XML, "": ""})


@dataclass(slots=True)
class Element:
    """An element as it was written, and what its name means."""

    name: Name
    tag: str
    attributes: dict[str, str]
    scope: Scope
    language: str | None
    """The `xml:lang` that holds for it, wherever it was written."""
    content: list[str | Element] = field(default_factory=list)

    @property
    def children(self) -> Iterator[Element]:
        return (part for part in self.content if isinstance(part, Element))

    @property
    def text(self) -> str:
        """Its own text, without that of its children."""
        return "".join(part for part in self.content if isinstance(part, str))

    def child(self, local: str, namespace: str = DAV) -> Element | None:
        return next((child for child in self.children if child.name == (namespace, local)), None)


def parse(data: bytes) -> Element:
    """The document's root. Raises `BadDocument`."""
    if len(data) > MAX_BYTES:
        raise BadDocument(f"the XML is longer than the {MAX_BYTES} bytes that are taken here")
    return _Builder().build(data)


def escape(text: str) -> str:
    """As the text of an element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escape_attribute(text: str) -> str:
    """Between double quotes."""
    return escape(text).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")


def standalone(element: Element) -> str:
    """The element as text that means the same in any other document: it brings all prefixes and the language along."""
    declarations = {
        prefix: element.scope.namespace(prefix) or ""
        for prefix in sorted(_prefixes_used(element))
        if prefix != "xml" and element.scope.namespace(prefix) is not None
    }
    attributes = {("xmlns:" + prefix if prefix else "xmlns"): uri for prefix, uri in declarations.items()}
    if element.language is not None:
        attributes["xml:lang"] = element.language
    return "".join(_written(element, element.attributes | attributes))


def _written(element: Element, attributes: Mapping[str, str]) -> Iterator[str]:
    yield f"<{element.tag}"
    for name, value in attributes.items():
        yield f' {name}="{escape_attribute(value)}"'
    if not element.content:
        yield "/>"
        return
    yield ">"
    for part in element.content:
        if isinstance(part, str):
            yield escape(part)
        else:
            yield from _written(part, part.attributes)
    yield f"</{element.tag}>"


def _prefixes_used(element: Element) -> set[str]:
    used = {_prefix(element.tag)}
    # Text may have names with a prefix in it, too; one declaration too many does no harm.
    for name, value in element.attributes.items():
        if ":" in name and not name.startswith("xmlns:"):
            used.add(_prefix(name))
        used.update(_PREFIX_IN_TEXT.findall(value))
    for part in element.content:
        if isinstance(part, str):
            used.update(_PREFIX_IN_TEXT.findall(part))
        else:
            used |= _prefixes_used(part)
    return used


def _prefix(name: str) -> str:
    return name.rpartition(":")[0]


class _Builder:
    """One document on its way from expat to elements."""

    def __init__(self) -> None:
        self._root: Element | None = None
        self._open: list[Element] = []
        self._elements = 0
        self._attributes = 0

    def build(self, data: bytes) -> Element:
        parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise BadDocument(f"the XML is not well-formed: {error}") from None
        except (LookupError, UnicodeError) as error:
            # Python's own codecs decode what expat doesn't know.
            raise BadDocument(f"the XML is in an encoding that can't be read: {error}") from None
        assert self._root is not None
        return self._root

    # What expat calls. Whatever these raise comes out of its `Parse`.

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise BadDocument(f"XML is taken in UTF-8 and UTF-16 here, not in {encoding[:40]}")

    def _doctype(self, *_: object) -> None:
        raise BadDocument("XML with a document type or entities of its own is not taken here")

    def _start(self, tag: str, flat: list[str]) -> None:
        self._elements += 1
        self._attributes += len(flat) // 2
        if len(self._open) >= MAX_DEPTH:
            raise BadDocument(f"the XML is nested more than {MAX_DEPTH} elements deep")
        if self._elements > MAX_ELEMENTS or self._attributes > MAX_ATTRIBUTES:
            raise BadDocument(f"the XML has more than {MAX_ELEMENTS} elements, or {MAX_ATTRIBUTES} attributes")
        around = self._open[-1] if self._open else None
        attributes = dict(zip(flat[::2], flat[1::2], strict=True))
        scope = _scope(attributes, around.scope if around is not None else _OUTERMOST)
        _check_attributes(attributes, scope)
        language = attributes.get("xml:lang", around.language if around is not None else None)
        element = Element(_name(tag, scope), tag, attributes, scope, language)
        if around is None:
            self._root = element
        else:
            around.content.append(element)
        self._open.append(element)

    def _end(self, tag: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].content.append(text)


def _scope(attributes: Mapping[str, str], around: Scope) -> Scope:
    declared: dict[str, str] = {}
    for name, value in attributes.items():
        if name == "xmlns":
            declared[""] = value
        elif name.startswith("xmlns:"):
            prefix = name.removeprefix("xmlns:")
            if not value:
                raise BadDocument(f"the XML declares the prefix {prefix!r} for no namespace at all")
            if prefix == "xmlns" or (prefix == "xml") != (value == XML) or value == _XMLNS:
                raise BadDocument(f"the XML declares the prefix {prefix!r} for what is reserved")
            declared[prefix] = value
        else:
            continue
        if name == "xmlns" and value in (XML, _XMLNS):
            raise BadDocument("the XML declares a reserved namespace as the default")
    return Scope(declared, around) if declared else around


def _check_attributes(attributes: Mapping[str, str], scope: Scope) -> None:
    qualified = [name for name in attributes if ":" in name and not name.startswith("xmlns:")]
    if len({_name(name, scope) for name in qualified}) != len(qualified):
        raise BadDocument("an element of the XML has the same attribute twice")


def _name(written: str, scope: Scope) -> Name:
    prefix, colon, local = written.rpartition(":")
    if (colon and not (prefix and local)) or ":" in prefix:
        raise BadDocument(f"{written[:80]!r} is no name in XML with namespaces")
    namespace = scope.namespace(prefix)
    if namespace is None or prefix == "xmlns":
        raise BadDocument(f"the XML uses the prefix {prefix[:80]!r} without declaring it")
    return namespace, local
