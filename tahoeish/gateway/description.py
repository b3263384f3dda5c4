"""What `t=json` tells of a cap, in Tahoe-LAFS's words."""

from __future__ import annotations

import json
from typing import TypeAlias

from tahoeish.chk.caps import ReadCap, VerifyCap
from tahoeish.chk.directory import Children, Metadata, UnknownCap
from tahoeish.chk.directory_caps import AnyCap, DirectoryCap, DirectoryVerifyCap

Description: TypeAlias = tuple[str, dict[str, object]]


def description_of(cap: AnyCap | UnknownCap, metadata: Metadata | None = None) -> Description:
    """Its kind, and the facts; among them the metadata, if there is a directory that has some."""
    known_by_directory = {} if metadata is None else {"metadata": metadata}
    match cap:
        case DirectoryCap() | DirectoryVerifyCap():
            return "dirnode", {"mutable": False, **_caps(cap), **known_by_directory}
        case UnknownCap():
            # An entry may have been written without a cap.
            return "unknown", {**({"ro_uri": str(cap)} if cap.text else {}), **known_by_directory}
        case _:
            facts: dict[str, object] = {"mutable": False, "format": "CHK", "size": cap.size}
            return "filenode", {**facts, **_caps(cap), **known_by_directory}


def description_with(cap: DirectoryCap, children: Children) -> Description:
    """That of a directory that has been read."""
    kind, facts = description_of(cap)
    return kind, {**facts, "children": {name: description_of(it.cap, it.metadata) for name, it in children.items()}}


def as_json(description: Description) -> str:
    return json.dumps(description, indent=1) + "\n"


def _caps(cap: AnyCap) -> dict[str, str]:
    if isinstance(cap, VerifyCap | DirectoryVerifyCap):
        return {"verify_uri": str(cap)}
    caps = {"ro_uri": str(cap)}
    if isinstance(cap, ReadCap | DirectoryCap) and cap.verify_cap is not None:
        caps["verify_uri"] = str(cap.verify_cap)
    return caps
