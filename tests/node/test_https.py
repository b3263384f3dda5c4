"""A node that speaks TLS by itself, and HTTP/2 in it, with curl and h2's own client."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from h2.errors import ErrorCodes

from tests.certificates import write_certificate
from tests.nodes import NOT_DURABLE, NodeProcess, Transcript, content_of, curl, running, wait_until
from tests.streams.http2.client import SocketClient

MIB = 1024 * 1024


def endpoint(folder: Path) -> str:
    """One line of configuration."""
    return f"ssl:0:interface=127.0.0.1:privateKey={folder / 'key.pem'}:certKey={folder / 'cert.pem'}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the key and the certificate are."""
    folder = tmp_path_factory.mktemp("certificate")
    write_certificate(folder)
    return folder


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("https") / "node", NOT_DURABLE, "--listen", endpoint(folder)) as node:
        yield node
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said


def connect(node: NodeProcess) -> SocketClient:
    port = urlsplit(node.url).port
    assert port is not None
    return SocketClient(port)


def ask(folder: Path, *arguments: str) -> Transcript:
    return curl("--cacert", str(folder / "cert.pem"), *arguments)


def shown(node: NodeProcess) -> str:
    """The certificate that the node shows to a client that comes now."""
    address = urlsplit(node.url)
    assert address.hostname is not None and address.port is not None
    return ssl.get_server_certificate((address.hostname, address.port))


class TestHttp2:
    def test_a_large_file_goes_in_and_comes_back(self, node: NodeProcess, folder: Path, tmp_path: Path) -> None:
        assert node.url.startswith("https://127.0.0.1:")
        content = tmp_path / "content"
        content.write_bytes(content_of(100_000_000, seed=3))
        stored = ask(folder, "--http2", "-T", str(content), f"{node.url}/uri")
        assert stored.status == 0 and "HTTP/2 201" in stored.wire
        back = tmp_path / "back"
        fetched = ask(folder, "--http2", "-o", str(back), f"{node.url}/uri/{stored.output.decode()}")
        assert fetched.status == 0 and "HTTP/2 200" in fetched.wire
        assert back.read_bytes() == content.read_bytes()

    def test_http_1_1_is_spoken_with_whoever_wants_that(self, node: NodeProcess, folder: Path) -> None:
        page = ask(folder, "--http1.1", f"{node.url}/")
        assert "HTTP/1.1 200 OK" in page.wire and f"curl -T FILE {node.url}/files/".encode() in page.output

    def test_names_work_as_ever(self, node: NodeProcess, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "small").write_bytes(b"small")
        stored = ask(folder, "--http2", "-T", str(tmp_path / "small"), f"{node.url}/files/a")
        assert "HTTP/2 201" in stored.wire
        moved = ask(folder, "--http2", "-X", "MOVE", "-H", f"Destination: {node.url}/files/b", f"{node.url}/files/a")
        assert "HTTP/2 201" in moved.wire, moved.wire
        assert ask(folder, "--http2", f"{node.url}/files/b").output == b"small"

    def test_a_range_is_a_part(self, node: NodeProcess, folder: Path) -> None:
        content = content_of(3 * MIB, seed=4)
        with connect(node) as client:
            stream = client.begin("PUT", "/uri")
            client.upload(stream, content)
            cap = client.answer(stream).body.decode()
            part = client.ask("GET", f"/uri/{cap}", [("range", "bytes=1000000-1999999")])
            assert part.status == 206 and part.body == content[1_000_000:2_000_000]
            head = client.ask("HEAD", f"/uri/{cap}")
            assert head.fields["content-length"] == str(len(content)) and not head.body

    def test_a_reset_upload_leaves_nothing(self, folder: Path, tmp_path: Path) -> None:
        with running(tmp_path / "node", NOT_DURABLE, "--listen", endpoint(folder)) as node, connect(node) as client:
            stream = client.begin("PUT", "/uri", [("content-length", str(100 * MIB))])
            client.upload(stream, bytes(5 * MIB), ended=False)
            wait_until(node.incoming, "the upload is under way")
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            client.push()
            wait_until(node.is_empty, "nothing is left of it")
            assert client.ask("GET", "/?t=json").status == 200
            assert "Traceback" not in node.said

    def test_transfers_end_before_the_node_does(self, folder: Path, tmp_path: Path) -> None:
        content = content_of(20 * MIB, seed=5)
        with running(tmp_path / "node", NOT_DURABLE, "--listen", endpoint(folder)) as node, connect(node) as client:
            stream = client.begin("PUT", "/uri", [("content-length", str(len(content)))])
            client.upload(stream, content[: 5 * MIB], ended=False)
            wait_until(node.incoming, "the upload has begun")
            node.tell(signal.SIGTERM)
            wait_until(lambda: "waiting for 1 transfers" in node.said, "the node wants to end")
            client.deaf_to_farewells = True
            client.upload(stream, content[5 * MIB :])
            assert client.answer(stream).status == 201
            assert node.ended() == 0


class TestCertificates:
    def test_a_new_one_is_shown_without_a_restart(self, tmp_path: Path) -> None:
        write_certificate(tmp_path)
        with running(tmp_path / "node", NOT_DURABLE, "--listen", endpoint(tmp_path)) as node:
            first = shown(node)
            assert first == (tmp_path / "cert.pem").read_text()
            write_certificate(tmp_path)
            assert shown(node) == (tmp_path / "cert.pem").read_text() != first

    def test_a_broken_one_changes_nothing(self, tmp_path: Path) -> None:
        write_certificate(tmp_path)
        with running(tmp_path / "node", NOT_DURABLE, "--listen", endpoint(tmp_path)) as node:
            first = shown(node)
            (tmp_path / "cert.pem").write_text("half of")
            assert shown(node) == shown(node) == first
            assert node.said.count("the certificate stays the old one: no key") == 1

    def test_a_file_may_hold_the_whole_chain(self, tmp_path: Path) -> None:
        others = tmp_path / "others"
        others.mkdir()
        write_certificate(others)
        write_certificate(tmp_path)
        with (tmp_path / "cert.pem").open("a") as file:
            file.write((others / "cert.pem").read_text())
        with running(tmp_path / "node", NOT_DURABLE, "--listen", endpoint(tmp_path)) as node:
            program = shutil.which("openssl")
            if program is None:
                pytest.skip("NOT TESTED: the program openssl is missing. Install it: apt-get install openssl")
            from subprocess import run

            address = urlsplit(node.url).netloc
            said = run([program, "s_client", "-showcerts", "-connect", address], input=b"", capture_output=True).stdout
            assert said.count(b"BEGIN CERTIFICATE") == 2

    @pytest.mark.parametrize(
        ("missing", "complaint"), [("cert.pem", "No such file or directory"), ("key.pem", "No such file or directory")]
    )
    def test_without_one_the_node_does_not_start(self, tmp_path: Path, missing: str, complaint: str) -> None:
        write_certificate(tmp_path)
        (tmp_path / missing).unlink()
        with NodeProcess(tmp_path / "node") as node:
            node.launch("--listen", endpoint(tmp_path))
            assert node.ended() == 1
            assert f"{tmp_path / missing}: {complaint}" in node.said

    def test_a_key_of_another_certificate_is_told(self, tmp_path: Path) -> None:
        write_certificate(tmp_path)
        certificate = (tmp_path / "cert.pem").read_text()
        write_certificate(tmp_path)
        (tmp_path / "cert.pem").write_text(certificate)
        with NodeProcess(tmp_path / "node") as node:
            node.launch("--listen", endpoint(tmp_path))
            assert node.ended() == 1
            assert "no key without a password and its certificate in" in node.said


class TestWorkers:
    def test_they_share_an_https_address(self, folder: Path, tmp_path: Path) -> None:
        settings = {**NOT_DURABLE, "gateway": {"workers": 2}}
        with running(tmp_path / "node", settings, "--listen", endpoint(folder)) as node:
            assert node.url.startswith("https://")
            with connect(node) as first, connect(node) as second:
                for client in (first, second):
                    stream = client.begin("PUT", "/uri")
                    client.upload(stream, content_of(MIB))
                    assert client.answer(stream).status == 201
            assert node.stop() == 0
            assert "Traceback" not in node.said


def test_what_speaks_no_tls_is_turned_away(node: NodeProcess) -> None:
    address = urlsplit(node.url)
    with socket.create_connection((address.hostname, address.port or 0)) as plain:
        plain.settimeout(60)
        plain.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        said = b""
        try:
            while data := plain.recv(1000):
                said += data
        except ConnectionResetError:
            pass
    assert b"HTTP/1.1" not in said
