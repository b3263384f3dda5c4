"""How dataclass fields carry what a configuration key is, so that one declaration serves every use of it."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, cast

from .kinds import Kind

T = TypeVar("T")

_METADATA_KEY = "tahoeish"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section."""

    name: str
    kind: Kind[Any]
    default: Any
    doc: str
    required: bool


@dataclass(frozen=True, slots=True)
class _KeyDeclaration:
    kind: Kind[Any]
    doc: str


@dataclass(frozen=True, slots=True)
class _TablesDeclaration:
    section: type


def key(kind: Kind[T], default: T | None, doc: str) -> T:
    """A field for one key. With no default it must be written."""
    metadata = {_METADATA_KEY: _KeyDeclaration(kind, doc)}
    if default is None:
        return cast(T, field(metadata=metadata))
    return field(default=default, metadata=metadata)


def optional(kind: Kind[T], doc: str) -> T | None:
    """A field for a key that may be missing, which is then None and isn't written."""
    return field(default=None, metadata={_METADATA_KEY: _KeyDeclaration(kind, doc)})


def tables(section: type[T]) -> tuple[T, ...]:
    """A field for sub-tables, `[[section.name]]`, of which there must be one or more."""
    return field(default=(), metadata={_METADATA_KEY: _TablesDeclaration(section)})


def keys_of(section: type) -> dict[str, Key]:
    """The keys that a section declares, in their order."""
    return {
        each.name: Key(each.name, declaration.kind, each.default, declaration.doc, each.default is MISSING)
        for each, declaration in _declarations(section)
        if isinstance(declaration, _KeyDeclaration)
    }


def tables_of(section: type) -> dict[str, type]:
    """The sub-tables that a section declares, by name."""
    return {
        each.name: declaration.section
        for each, declaration in _declarations(section)
        if isinstance(declaration, _TablesDeclaration)
    }


def sections_of(config: type) -> Mapping[str, type]:
    """The sections of a configuration: its fields, each a dataclass of keys."""
    return {each.name: cast(type, each.type) for each in fields(config)}


def summary(section: type) -> str:
    """The sentence that tells what a section is about."""
    return (section.__doc__ or "").strip().splitlines()[0]


def _declarations(section: type) -> Iterator[tuple["Field[Any]", object]]:
    for each in fields(section):
        yield each, each.metadata[_METADATA_KEY]
