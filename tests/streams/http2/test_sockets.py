"""HTTP/2 over TLS and real sockets, with h2's own client and the programs that people use."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from tests.certificates import write_certificate
from tests.nodes import PATIENCE, content_of, curl, wait_until
from tests.streams.http2.client import SocketClient
from tests.streams.http2.process import IDLE_TIMEOUT
from tests.streams.running_site import RunningSite

MIB = 1024 * 1024


class Site(RunningSite):
    """The site of `process`."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def connect(self) -> SocketClient:
        return SocketClient(self.port)

    def state(self) -> Any:
        with self.connect() as client:
            return json.loads(client.ask("GET", "/state").body)

    def most_memory(self) -> int:
        return self.memory("VmHWM")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, IDLE_TIMEOUT) as site:
        yield site


@pytest.fixture
def patient_site(tmp_path: Path) -> Iterator[Site]:
    """For programs of others, which a busy machine may hold up for a while."""
    with serving(tmp_path, PATIENCE) as site:
        yield site


def serving(folder: Path, patience: float) -> Site:
    key, certificate = write_certificate(folder)
    return Site("tests.streams.http2.process", str(key), str(certificate), str(patience))


def program(name: str, *arguments: str) -> str:
    """Run one of nghttp2's programs; gives what it has printed. Without it, the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"NOT TESTED: the program {name} is missing. Install it: apt-get install nghttp2-client")
    done = subprocess.run([path, *arguments], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


class TestUploads:
    def test_a_stalled_one_stops_no_other(self, site: Site) -> None:
        with site.connect() as client:
            stuck = client.begin("PUT", "/stuck", [("content-length", str(100 * MIB))])
            # Until nothing goes any more, and then the others through the same connection.
            client.fill(stuck)
            for number in range(3):
                stream = client.begin("PUT", f"/read{number}", [("content-length", str(20 * MIB))])
                client.upload(stream, content_of(20 * MIB))
                assert client.answer(stream).body == b"%d" % (20 * MIB)
            assert site.state()["received"]["/stuck"] < MIB
            assert client.ask("GET", "/go/stuck").status == 200
            client.until(lambda: client.room(stuck))

    def test_several_at_a_time_all_arrive(self, site: Site) -> None:
        size = 5 * MIB
        with site.connect() as client:
            left = {client.begin("PUT", f"/read{number}", [("content-length", str(size))]): size for number in range(8)}
            while any(left.values()):
                for stream, rest in left.items():
                    if rest:
                        left[stream] -= client.send(stream, bytes(min(rest, 256 * 1024)), ended=rest <= 256 * 1024)
                client.until(lambda: not any(left.values()) or any(client.room(it) for it in left if left[it]))
            assert {bytes(client.answer(stream).body) for stream in left} == {b"%d" % size}

    def test_what_nobody_reads_is_bounded(self, site: Site) -> None:
        site.state()
        before = site.most_memory()
        with site.connect() as client:
            streams = [client.begin("PUT", f"/stuck{number}") for number in range(90)]
            client.push()
            for stream in streams:
                client.fill(stream)
            client.ask("GET", "/state")
            assert site.most_memory() - before < 32 * MIB

    def test_a_reset_in_the_middle_cleans_up(self, site: Site) -> None:
        with site.connect() as client:
            stream = client.begin("PUT", "/read", [("content-length", str(100 * MIB))])
            client.fill(stream)
            client.ask("GET", "/state")
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            state = json.loads(client.ask("GET", "/state").body)
            assert state["transfers"] == 0 and state["errors"] == {"/read": "ClientGone"}

    def test_the_end_of_the_connection_cleans_up(self, site: Site) -> None:
        with site.connect() as client:
            client.begin("PUT", "/read", [("content-length", str(100 * MIB))])
            client.begin("PUT", "/read2", [("content-length", str(100 * MIB))])
            client.ask("GET", "/state")
        wait_until(lambda: site.state()["transfers"] == 0, "the uploads are given up")

    def test_long_quiet_processing_is_waited_for(self, site: Site) -> None:
        with site.connect() as client:
            stream = client.begin("PUT", "/read-slowly")
            client.upload(stream, b"abc")
            began = time.monotonic()
            assert client.answer(stream).body == b"3"
            assert time.monotonic() - began > 2 * IDLE_TIMEOUT

    def test_a_client_that_was_held_back_is_not_idle(self, site: Site) -> None:
        with site.connect() as client:
            stuck = client.begin("PUT", "/stuck", [("content-length", str(MIB))])
            sent = client.send(stuck, bytes(MIB))
            # Longer than the site has patience with a connection.
            client.answer(slow := client.begin("PUT", "/read-slowly", ended=True))
            assert client.answers[slow].status == 200
            client.ask("GET", "/go/stuck")
            client.upload(stuck, bytes(MIB - sent))
            assert client.answer(stuck).body == b"%d" % MIB


class TestEarlyAnswers:
    def test_a_refusal_while_the_client_sends(self, site: Site) -> None:
        with site.connect() as client:
            for _ in range(20):
                stream = client.begin("PUT", "/refused", [("content-length", str(100 * MIB))])
                client.upload(stream, bytes(20 * MIB))
                answer = client.answers[stream]
                assert answer.status == 413 and answer.body == b"no" and answer.whole
            stream = client.begin("PUT", "/read")
            client.upload(stream, bytes(MIB))
            assert client.answer(stream).body == b"%d" % MIB

    def test_curl_shows_it(self, site: Site, tmp_path: Path) -> None:
        body = tmp_path / "body"
        with body.open("wb") as file:
            file.truncate(50_000_000)
        for expect in ("Expect:", "Expect: 100-continue"):
            asking = curl("-k", "--http2", "-H", expect, "-T", str(body), f"{site.url}/refused")
            assert asking.output == b"no" and "HTTP/2 413" in asking.wire, asking.wire


class TestDownloads:
    def test_a_huge_one_flows_through_a_small_memory(self, site: Site) -> None:
        with site.connect() as client:
            client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
            client.h2.increment_flow_control_window(2**30)
            client.ask("GET", "/state")
            before = site.most_memory()
            stream = client.begin("GET", f"/bytes/{400 * MIB}", ended=True)
            size = 0
            while not client.answers[stream].over:
                client.until(lambda: client.answers[stream].body or client.answers[stream].over)
                size += len(client.answers[stream].body)
                client.answers[stream].body.clear()
            assert size == 400 * MIB
            assert site.most_memory() - before < 16 * MIB

    def test_a_client_that_takes_nothing_holds_up_only_itself(self, site: Site) -> None:
        with site.connect() as client:
            client.drinks = False
            slow = client.begin("GET", f"/bytes/{100 * MIB}", ended=True)
            client.until(lambda: len(client.answers[slow].body) == 65535)
            client.h2.increment_flow_control_window(100 * MIB)
            assert client.ask("GET", "/state").status == 200
            # It is given up, and the connection isn't.
            wait_until(lambda: client.ask("GET", "/state") and client.answers[slow].over, "the download is given up")
            assert client.answers[slow].reset == ErrorCodes.INTERNAL_ERROR


class TestBetweenHeadAndAnswer:
    def test_interim_responses_and_trailers(self, site: Site) -> None:
        with site.connect() as client:
            stream = client.begin("PUT", "/talk")
            client.until(lambda: client.answers[stream].interim)
            client.send(stream, b"abc")
            client.h2.send_headers(stream, [("content-md5", "x")], end_stream=True)
            answer = client.answer(stream)
            assert [said["upload-offset"] for said in answer.interim] == ["0", "3"]
            assert answer.body == b"[(b'Content-MD5', [b'x'])]"

    @pytest.mark.parametrize("version", ["--http1.1", "--http2"])
    def test_curl_takes_interim_responses(self, site: Site, version: str) -> None:
        asking = curl("-k", version, "-T", "-", f"{site.url}/talk", stdin=b"abc")
        assert asking.status == 0 and asking.output == b"[]" and " 104 " in asking.wire


class TestFloods:
    def test_rapid_resets(self, site: Site) -> None:
        with site.connect() as client, suppress(OSError):
            for number in range(2000):
                client.h2.reset_stream(client.begin("PUT", "/read-flood"))
                if number % 100 == 0:
                    client.push()
            assert client.ended()
            assert client.farewell is not None and client.farewell.error_code == ErrorCodes.ENHANCE_YOUR_CALM
        assert site.state()["transfers"] == 0

    def test_a_client_that_reads_nothing_of_many_responses(self, site: Site) -> None:
        site.state()
        before = site.most_memory()
        with site.connect() as client:
            client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
            client.h2.increment_flow_control_window(2**30)
            for _ in range(90):
                client.begin("GET", f"/bytes/{100 * MIB}", ended=True)
            client.push()
            wait_until(lambda: site.state()["transfers"] in (0, 90), "all are there, or given up again")
            assert site.most_memory() - before < 40 * MIB


class TestOtherClients:
    def test_curl_uploads_and_downloads(self, patient_site: Site) -> None:
        content = content_of(20 * MIB)
        done = curl("-k", "--http2", "-T", "-", f"{patient_site.url}/read", stdin=content)
        assert done.output == b"%d" % len(content) and "HTTP/2 200" in done.wire
        done = curl("-k", "--http2", f"{patient_site.url}/bytes/{20 * MIB}")
        assert len(done.output) == 20 * MIB

    def test_http_1_1_is_spoken_with_whoever_wants_that(self, patient_site: Site) -> None:
        done = curl("-k", "--http1.1", "-T", "-", f"{patient_site.url}/read", stdin=b"abc")
        assert done.output == b"3" and "HTTP/1.1 200 OK" in done.wire
        done = curl("-k", "--no-alpn", f"{patient_site.url}/bytes/65536")
        assert len(done.output) == 65536 and "HTTP/1.1 200 OK" in done.wire

    def test_nghttp_uploads(self, patient_site: Site, tmp_path: Path) -> None:
        body = tmp_path / "body"
        body.write_bytes(content_of(20 * MIB))
        assert program("nghttp", "-d", str(body), "-H:method: PUT", f"{patient_site.url}/read") == str(20 * MIB)

    def test_many_streams_of_many_connections(self, patient_site: Site) -> None:
        said = program("h2load", "-n", "200", "-c", "4", "-m", "20", f"{patient_site.url}/bytes/1048576")
        assert "200 succeeded, 0 failed, 0 errored" in said, said
        assert f"({200 * MIB}) data" in said, said
