"""
Clients that change files and folders for ever, and know what must be so when the node has died meanwhile.

Each has a folder and a connection of its own, and knows what it was answered. What it was not answered may have
happened or not, but never by half.
"""

from __future__ import annotations

import http.client
import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.nodes import PATIENCE, content_of

SIZES = (0, 40, 3_000, 3_000, 200_000, 200_000, 2_500_000)
"""Of files: some fit into their caps, some into a segment."""

SEEDS = 200
PIECE = 50_000
LOCK_SECONDS = 2

OK = (200, 201, 204)
GONE = 404


class Content(NamedTuple):
    size: int
    seed: int

    @property
    def bytes(self) -> bytes:
        return content_of(self.size, self.seed)


NOTHING = None
Known = Content | None


class Died(Exception):
    """The node doesn't answer any more."""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connection:
    def __init__(self, url: str) -> None:
        self._http = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)

    def ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        return self._asked(method, target, body, {"Content-Length": str(len(body)), **(headers or {})})

    def ask_chunked(self, method: str, target: str, body: bytes) -> Answer:
        pieces = (body[start : start + PIECE] for start in range(0, len(body), PIECE))
        return self._asked(method, target, pieces, {})

    def change(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """The same, where only success will do."""
        answer = self.ask(method, target, body, headers)
        assert answer.status in OK, (method, target, answer)
        return answer

    def is_there(self, target: str) -> bool:
        status = self.ask("PROPFIND", target, headers={"Depth": "0"}).status
        assert status in (207, GONE), (target, status)
        return status == 207

    def members(self, target: str) -> set[str]:
        answer = self.ask("PROPFIND", f"{target}/", headers={"Depth": "1"})
        assert answer.status == 207, answer
        hrefs = re.findall(rb"<D:href>([^<]*)</D:href>", answer.body)
        return {href.decode().removeprefix(f"{target}/").rstrip("/") for href in hrefs} - {""}

    def close(self) -> None:
        self._http.close()

    def _asked(self, method: str, target: str, body: bytes | Iterator[bytes], headers: Mapping[str, str]) -> Answer:
        try:
            self._http.request(method, target, body, dict(headers))
            response = self._http.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Died from error


class Files:
    """What each name may stand for: one content or, as long as a change isn't answered, the old or the new one."""

    def __init__(self) -> None:
        self._known: dict[str, set[Known]] = {}

    def now(self, target: str) -> Known:
        (known,) = self._known.get(target, {NOTHING})
        return known

    @contextmanager
    def changing(self, target: str, new: Known) -> Iterator[None]:
        """Around a change. It is undecided if the block isn't left in good order."""
        self._known[target] = {self.now(target), new}
        yield
        self._known[target] = {new}

    def check(self, connection: Connection) -> None:
        """Compare all with what is there, which from then on is what is known."""
        for target, known in self._known.items():
            answer = connection.ask("GET", target)
            if answer.status == GONE:
                found: list[Known] = [NOTHING]
            else:
                assert answer.status == 200, (target, answer.status)
                found = [one for one in known if one is not NOTHING and one.bytes == answer.body]
            assert found and found[0] in known, (target, answer.status, len(answer.body), known)
            self._known[target] = {found[0]}


class Client(ABC):
    """Changes what is in a folder of its own, for ever."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.home = f"/files/{name}"
        self.chance = chance

    def prepare(self, connection: Connection) -> None:
        connection.change("MKCOL", self.home)

    @abstractmethod
    def change_something(self, connection: Connection) -> None: ...

    @abstractmethod
    def check(self, connection: Connection) -> None: ...

    def new_content(self) -> Content:
        return Content(self.chance.choice(SIZES), self.chance.randrange(SEEDS))


class Writing(Client):
    """Makes, replaces and removes files."""

    def __init__(self, name: str, chance: random.Random, *, chunked: bool) -> None:
        super().__init__(name, chance)
        self._chunked = chunked
        self._files = Files()

    def change_something(self, connection: Connection) -> None:
        target = f"{self.home}/{self.chance.randrange(6)}"
        if self._files.now(target) is not NOTHING and self.chance.random() < 0.2:
            with self._files.changing(target, NOTHING):
                connection.change("DELETE", target)
            return
        content = self.new_content()
        with self._files.changing(target, content):
            if self._chunked:
                answer = connection.ask_chunked("PUT", target, content.bytes)
                assert answer.status in OK, (target, answer)
            else:
                connection.change("PUT", target, content.bytes)

    def check(self, connection: Connection) -> None:
        self._files.check(connection)


class Storing(Client):
    """Stores files without names; those with a key from their content pass through a file of the gateway's."""

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name, chance)
        self._stored: list[tuple[str, Content]] = []

    def change_something(self, connection: Connection) -> None:
        content = self.new_content()
        answer = connection.change("PUT", "/uri?convergent=true", content.bytes)
        self._stored = [*self._stored[-4:], (answer.body.decode(), content)]

    def check(self, connection: Connection) -> None:
        for cap, content in self._stored:
            assert connection.ask("GET", f"/uri/{cap}").body == content.bytes


MEMBERS = 20


class Folders(Client):
    """What works on a folder with many files, which are so small that they are in their caps."""

    def prepare(self, connection: Connection) -> None:
        super().prepare(connection)
        connection.change("MKCOL", f"{self.home}/a")
        for number in range(MEMBERS):
            connection.change("PUT", f"{self.home}/a/{number}", b"%d" % number)

    def check_whole(self, connection: Connection, folder: str, *others: str) -> None:
        assert connection.members(folder) == {*map(str, range(MEMBERS)), *others}
        number = self.chance.randrange(MEMBERS)
        assert connection.ask("GET", f"{folder}/{number}").body == b"%d" % number


class Moving(Folders):
    """Moves a folder to and fro."""

    def change_something(self, connection: Connection) -> None:
        source, destination = self._where(connection)
        connection.change("MOVE", source, headers={"Destination": destination, "Overwrite": "F"})

    def check(self, connection: Connection) -> None:
        self.check_whole(connection, self._where(connection)[0])

    def _where(self, connection: Connection) -> tuple[str, str]:
        """Where the folder is, and where it isn't."""
        (there,) = connection.members(self.home)
        return (f"{self.home}/a", f"{self.home}/b") if there == "a" else (f"{self.home}/b", f"{self.home}/a")


class Copying(Folders):
    """Copies a folder over what was copied before."""

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name, chance)
        self._copied = 0
        self._copying = 0

    def change_something(self, connection: Connection) -> None:
        self._copying += 1
        connection.change("PUT", f"{self.home}/a/mark", b"%d" % self._copying)
        connection.change("COPY", f"{self.home}/a", headers={"Destination": f"{self.home}/b"})
        self._copied = self._copying

    def check(self, connection: Connection) -> None:
        if not connection.is_there(f"{self.home}/b"):
            assert self._copied == 0
            return
        self.check_whole(connection, f"{self.home}/b", "mark")
        mark = int(connection.ask("GET", f"{self.home}/b/mark").body)
        assert mark in (self._copied, self._copying)
        self._copied = mark


class Making(Client):
    """Makes a folder with a file in it, and removes it."""

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name, chance)
        self._files = Files()
        self._there = {False}

    def change_something(self, connection: Connection) -> None:
        folder, file = f"{self.home}/folder", f"{self.home}/folder/file"
        if self._there == {False}:
            self._there = {False, True}
            connection.change("MKCOL", folder)
            self._there = {True}
        content = self.new_content()
        with self._files.changing(file, content):
            connection.change("PUT", file, content.bytes)
        self._there = {False, True}
        with self._files.changing(file, NOTHING):
            connection.change("DELETE", folder)
        self._there = {False}

    def check(self, connection: Connection) -> None:
        there = connection.is_there(f"{self.home}/folder")
        assert there in self._there
        self._there = {there}
        self._files.check(connection)


class Locking(Client):
    """Locks a file, writes it and lets it go again, as file managers do."""

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name, chance)
        self._files = Files()
        self._target = f"{self.home}/file"
        self._locked_until = 0.0

    def change_something(self, connection: Connection) -> None:
        lockinfo = (
            b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
            b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
        )
        was_there = self._files.now(self._target) is not NOTHING
        # Locking makes an empty file where there is none.
        with self._files.changing(self._target, self._files.now(self._target) if was_there else Content(0, 0)):
            answer = connection.change("LOCK", self._target, lockinfo, {"Timeout": f"Second-{LOCK_SECONDS}"})
        self._locked_until = time.time() + LOCK_SECONDS
        token = answer.headers["Lock-Token"]
        content = self.new_content()
        with self._files.changing(self._target, content):
            connection.change("PUT", self._target, content.bytes, {"If": f"({token})"})
        connection.change("UNLOCK", self._target, headers={"Lock-Token": token})
        with self._files.changing(self._target, NOTHING):
            connection.change("DELETE", self._target)

    def check(self, connection: Connection) -> None:
        self._files.check(connection)
        # A lock that was being given when the node died counts from then on.
        until = max(self._locked_until, time.time()) + LOCK_SECONDS + 1
        content = self.new_content()
        with self._files.changing(self._target, content):
            while (answer := connection.ask("PUT", self._target, content.bytes)).status == 423:
                assert time.time() < until, "it is still locked"
                time.sleep(0.05)
            assert answer.status in OK, answer


def all_clients(chance: random.Random) -> list[Client]:
    def own() -> random.Random:
        return random.Random(chance.random())

    return [
        Writing("lengths", own(), chunked=False),
        Writing("chunks", own(), chunked=True),
        Storing("nameless", own()),
        Moving("moving", own()),
        Copying("copying", own()),
        Making("making", own()),
        Locking("locking", own()),
    ]
