"""What only real sockets show: how much piles up where, and what of an answer gets through."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes import RawClient, curl, head, wait_until
from tests.streams.running_site import RunningSite
from tests.streams.site_process import IDLE_TIMEOUT

GIB = 1024 * 1024 * 1024


class Site(RunningSite):
    """The site of `site_process`."""

    def connect(self) -> RawClient:
        return RawClient(("127.0.0.1", self.port))

    def ask(self, target: str) -> str:
        with self.connect() as client:
            client.send(head("GET", target, {}))
            return client.answer().text

    def received(self) -> int:
        """Bytes of the body that is held back that have left the kernel."""
        return int(self.ask("/received"))

    def memory_held(self) -> int:
        return self.memory("VmRSS")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site("tests.streams.site_process") as site:
        yield site


def fill_up(client: RawClient) -> int:
    """Send until nothing goes any more; gives how much went."""
    client.socket.settimeout(0.5)
    sent = 0
    piece = bytes(1024 * 1024)
    try:
        while sent < GIB:
            sent += client.socket.send(piece)
    except TimeoutError:
        pass
    client.socket.settimeout(30)
    return sent


def test_a_body_that_is_not_read_gets_stuck(site: Site) -> None:
    with site.connect() as client:
        # Whatever is made once, for the first request, is made now.
        site.received()
        client.send(head("PUT", "/held", {"Content-Length": str(GIB)}))
        before = site.memory_held()
        sent = fill_up(client)
        assert sent < 64 * 1024 * 1024, "the kernel's buffers are smaller"
        assert site.received() <= 256 * 1024
        assert site.memory_held() - before < 2 * 1024 * 1024


def test_a_client_that_was_held_back_is_not_idle(site: Site) -> None:
    with site.connect() as client:
        client.send(head("PUT", "/held", {"Content-Length": str(200 * 1024 * 1024)}))
        sent = fill_up(client)
        # Nothing to wait for: it is the time itself that must not matter.
        time.sleep(1.5 * IDLE_TIMEOUT)
        site.ask("/go")
        client.send(bytes(200 * 1024 * 1024 - sent))
        assert client.answer().body == b"%d" % (200 * 1024 * 1024)


def test_a_client_that_sends_nothing_is_given_up(site: Site) -> None:
    with site.connect() as client:
        client.send(head("PUT", "/held", {"Content-Length": "1000"}))
        wait_until(lambda: site.ask("/go") == "", "the body is being read")
        answer = client.answer()
        assert answer.status == 408


@pytest.mark.parametrize("size", [1_000_000, 50_000_000])
def test_a_refusal_reaches_a_client_that_reads_only_at_the_end(site: Site, size: int) -> None:
    request = head("PUT", "/refused", {"Content-Length": str(size)}) + bytes(size)
    for _ in range(3):
        with site.connect() as client:
            client.send(request)
            assert client.answer().status == 413
            assert client.ended()


def test_curl_shows_a_refusal(site: Site, tmp_path: Path) -> None:
    body = tmp_path / "body"
    with body.open("wb") as file:
        file.truncate(50_000_000)
    url = f"http://127.0.0.1:{site.port}/refused"
    asking = curl("-T", str(body), "-H", "Expect: 100-continue", url)
    assert asking.output == b"no" and "100 Continue" not in asking.wire
    for _ in range(2):
        assert curl("-T", str(body), "-H", "Expect:", url).output == b"no"
