"""What is to become of a file: a cap, or a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tahoeish.client.address import FILES
from tahoeish.client.steady import SteadyFile
from tahoeish.client.tus import UPLOADS


@dataclass(frozen=True, slots=True)
class ByCap:
    """The file is known by its cap only."""

    @property
    def key(self) -> str:
        """What tells one destination from another."""
        return ""

    @property
    def address(self) -> str:
        """Where a PUT goes."""
        return "/uri"

    @property
    def collection(self) -> str:
        """Where uploads are made that can be resumed."""
        return UPLOADS

    def headers(self, file: SteadyFile) -> Mapping[str, str]:
        return {}

    def metadata(self, file: SteadyFile) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, slots=True)
class ByName:
    """The file gets this name below `/files`, in a folder that is there, and keeps its time."""

    path: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        return address_of(self.path)

    @property
    def collection(self) -> str:
        return address_of(self.path[:-1]).rstrip("/") + "/"

    def headers(self, file: SteadyFile) -> Mapping[str, str]:
        return {"X-OC-Mtime": f"{file.modified:.6f}"}

    def metadata(self, file: SteadyFile) -> Mapping[str, str]:
        return {"filename": self.path[-1], "mtime": f"{file.modified:.6f}"}


Destination = ByCap | ByName


def address_of(path: tuple[str, ...]) -> str:
    return FILES + "/".join(quote(name, safe="") for name in path)
