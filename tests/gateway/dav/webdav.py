"""WebDAV as a client speaks it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from tests.nodes import Answer, NodeProcess

Properties = dict[str, ET.Element]
"""Elements, by their names as ElementTree writes them: `{namespace}local`."""

LOCKINFO = (
    '<lockinfo xmlns="DAV:"><lockscope><{scope}/></lockscope><locktype><write/></locktype>'
    "<owner>somebody</owner></lockinfo>"
)


@dataclass(frozen=True)
class Folder:
    """A folder on a node. Paths are relative to it."""

    node: NodeProcess
    address: str

    def at(self, path: str) -> str:
        return f"{self.address}/{path}" if path else self.address

    def request(
        self, method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        content = body.encode() if isinstance(body, str) else body
        return self.node.request(method, self.at(path), content, headers)

    def put(self, path: str, content: bytes = b"content", **headers: str) -> Answer:
        """Headers with `_` for `-`. It succeeds."""
        answer = self.request("PUT", path, content, {name.replace("_", "-"): value for name, value in headers.items()})
        assert answer.status in (201, 204), answer
        return answer

    def get(self, path: str) -> bytes | None:
        answer = self.request("GET", path)
        return answer.body if answer.status == 200 else None

    def make(self, *paths: str) -> None:
        for path in paths:
            assert self.request("MKCOL", path).status == 201

    def transfer(self, method: str, source: str, destination: str, **headers: str) -> Answer:
        """COPY or MOVE."""
        return self.request(method, source, headers={"Destination": self.at(destination), **headers})

    def names(self, path: str = "") -> set[str]:
        """What is in a folder."""
        answer = self.request("PROPFIND", path, headers={"Depth": "1"})
        prefix = self.at(path).rstrip("/") + "/"
        return {unquote(href).removeprefix(prefix) for href in responses(answer)} - {""}

    def properties(self, path: str, *names: str) -> Properties:
        """Those that are there, of these or of all."""
        asked = "".join(f"<{local} xmlns='{namespace}'/>" for namespace, local in map(_parts, names))
        body = f"<propfind xmlns='DAV:'><prop>{asked}</prop></propfind>" if names else ""
        answer = self.request("PROPFIND", path, body, {"Depth": "0"})
        (found,) = responses(answer).values()
        return found.get(200, {})

    def property(self, path: str, name: str) -> str | None:
        """Its text."""
        element = self.properties(path, name).get(name)
        return None if element is None else "".join(element.itertext())

    def patch(self, path: str, changes: str, **headers: str) -> dict[int, Properties]:
        """PROPPATCH, with the content of the `propertyupdate`."""
        body = f"<D:propertyupdate xmlns:D='DAV:'>{changes}</D:propertyupdate>"
        (found,) = responses(self.request("PROPPATCH", path, body, headers)).values()
        return found

    def lock(self, path: str, scope: str = "exclusive", **headers: str) -> str:
        """The token."""
        answer = self.request("LOCK", path, LOCKINFO.format(scope=scope), headers)
        assert answer.status in (200, 201), answer
        return str(answer.headers["Lock-Token"])


def responses(answer: Answer) -> dict[str, dict[int, Properties]]:
    """Of a multistatus: the properties, by address and status."""
    assert answer.status == 207, answer
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    found: dict[str, dict[int, Properties]] = {}
    for response in ET.fromstring(answer.body):
        href = response.findtext("{DAV:}href")
        assert href is not None and href not in found
        found[href] = {}
        for each in response.iter("{DAV:}propstat"):
            status = int((each.findtext("{DAV:}status") or "").split()[1])
            found[href].setdefault(status, {}).update(
                {element.tag: element for element in each.find("{DAV:}prop") or ()}
            )
    return found


def condition(answer: Answer) -> str:
    """What an error is called."""
    return ET.fromstring(answer.body)[0].tag


def _parts(name: str) -> tuple[str, str]:
    namespace, brace, local = name.removeprefix("{").rpartition("}")
    return (namespace, local) if brace else ("", name)
