"""A storage node as a process: TLS, its NURL, and shares that survive."""

from __future__ import annotations

import re
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tahoeish.storage.certificate import ServerCertificate
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.wire import (
    AllocationRequest,
    Secret,
    authorization,
    content_range,
    dump_allocation_request,
    immutable_path,
    load_allocation,
    load_version,
    secret_header,
    share_path,
)
from tahoeish.streams.tls import spki_hash
from tests.nodes import ANY_PORT, NodeProcess, Settings, Transcript, curl, running, wait_until

STORAGE: Settings = {"storage": {"enabled": True, "listen": ANY_PORT}}
STORAGE_ONLY: Settings = {**STORAGE, "gateway": {"enabled": False}}
SI = bytes(range(16))
SECRETS = {Secret.LEASE_RENEW: b"r" * 32, Secret.LEASE_CANCEL: b"c" * 32, Secret.UPLOAD: b"u" * 32}


@pytest.fixture(scope="module")
def storage_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("storage") / "node", STORAGE) as node:
        yield node
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said


def nurl_command(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tahoeish.node.main", "storage", "nurl", "--node-dir", str(directory), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def nurl_of(node: NodeProcess) -> Nurl:
    return Nurl.parse(nurl_command(node.directory).stdout)


def ask(nurl: Nurl, path: str, *options: str, secrets: tuple[Secret, ...] = (), body: bytes = b"") -> Transcript:
    headers = [f"Authorization: {authorization(nurl.swissnum)}", "Accept:"]
    headers += [f"X-Tahoe-Authorization: {secret_header(kind, SECRETS[kind])}" for kind in secrets]
    arguments = [argument for header in headers for argument in ("--header", header)]
    return curl("--insecure", *arguments, *options, f"https://{nurl.location}{path}", stdin=body)


def upload(nurl: Nurl, content: bytes) -> None:
    data = ("--data-binary", "@-", "--header")
    message = dump_allocation_request(AllocationRequest(frozenset({0}), len(content)))
    asked = ask(nurl, immutable_path(SI), *data, "Content-Type: application/cbor", secrets=tuple(SECRETS), body=message)
    assert load_allocation(asked.output).allocated == {0}, asked.wire
    place = f"Content-Range: {content_range(0, len(content) - 1)}"
    written = ask(nurl, share_path(SI, 0), "--request", "PATCH", *data, place, secrets=(Secret.UPLOAD,), body=content)
    assert "HTTP/1.1 201" in written.wire, written.wire


class TestNurl:
    def test_it_leads_to_the_node(self, storage_node: NodeProcess) -> None:
        answer = ask(nurl_of(storage_node), "/storage/v1/version")
        assert re.fullmatch(r"tahoeish/[0-9.]+", load_version(answer.output).application)

    def test_it_is_printed_at_the_start(self, storage_node: NodeProcess) -> None:
        assert f"  storage {nurl_of(storage_node)}\n" in storage_node.said

    def test_it_names_the_key_that_the_server_has(self, storage_node: NodeProcess) -> None:
        nurl = nurl_of(storage_node)
        pem = ssl.get_server_certificate((nurl.host, nurl.port))
        assert spki_hash(x509.load_pem_x509_certificate(pem.encode())) == nurl.spki_hash

    def test_it_stays_the_same(self, tmp_path: Path) -> None:
        with running(tmp_path / "node", STORAGE) as node:
            before = nurl_of(node)
            node.stop()
            node.start()
            after = nurl_of(node)
        assert (after.spki_hash, after.swissnum) == (before.spki_hash, before.swissnum)

    def test_its_secrets_are_for_nobody_else(self, storage_node: NodeProcess) -> None:
        for name in ("storage.pem", "storage.swissnum", "storage.nurl"):
            path = storage_node.directory / "private" / name
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_the_log_does_not_tell_it(self, storage_node: NodeProcess) -> None:
        swissnum = nurl_of(storage_node).swissnum
        assert [line for line in storage_node.said.splitlines() if swissnum in line] == [
            f"  storage {nurl_of(storage_node)}"
        ]

    def test_for_a_tahoe_client(self, storage_node: NodeProcess) -> None:
        printed = nurl_command(storage_node.directory, "--servers-yaml").stdout
        certificate = ServerCertificate.from_pem((storage_node.directory / "private" / "storage.pem").read_bytes())
        lines = [
            r"storage:",
            r"  v0-[a-z2-7]{52}:",
            r"    ann:",
            r"      nickname: v0-[a-z2-7]{8}",
            r"      anonymous-storage-FURL: pb://[a-z2-7]{32}@tcp:127\.0\.0\.1:1/none",
            r"      anonymous-storage-NURLs:",
            rf"        - {re.escape(str(nurl_of(storage_node)))}",
            r"      permutation-seed-base32: [a-z2-7]{52}",
        ]
        assert re.fullmatch("\n".join(lines) + "\n", printed), printed
        assert spki_hash(certificate.certificate) == nurl_of(storage_node).spki_hash

    def test_a_node_that_never_ran_has_none(self, tmp_path: Path) -> None:
        told = nurl_command(tmp_path)
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr == f"tahoeish: {tmp_path} is no storage node; set enabled in [storage], and start it\n"


class TestServing:
    def test_without_tls_there_is_no_answer(self, storage_node: NodeProcess) -> None:
        nurl = nurl_of(storage_node)
        with socket.create_connection((nurl.host, nurl.port), timeout=30) as client:
            client.sendall(b"GET /storage/v1/version HTTP/1.1\r\nHost: x\r\n\r\n")
            received = client.recv(100)
        assert not received.startswith(b"HTTP")

    def test_only_http_1_is_spoken(self, storage_node: NodeProcess) -> None:
        nurl = nurl_of(storage_node)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        with socket.create_connection((nurl.host, nurl.port), timeout=30) as raw, context.wrap_socket(raw) as client:
            assert client.selected_alpn_protocol() == "http/1.1"

    def test_shares_outlive_the_process(self, tmp_path: Path) -> None:
        content = bytes(range(256)) * 4000
        with NodeProcess(tmp_path / "node", STORAGE_ONLY, peers=0) as node:
            nurl_file = node.directory / "private" / "storage.nurl"
            node.launch()
            wait_until(nurl_file.exists, "the storage node listens")
            upload(nurl_of(node), content)
            node.process.kill()  # type: ignore[union-attr]
            node.ended()
            nurl_file.unlink()
            node.launch()
            wait_until(nurl_file.exists, "the storage node listens again")
            part = ask(nurl_of(node), share_path(SI, 0), "--range", "1000-1999")
            assert part.output == content[1000:2000]
            assert node.stop() == 0, node.said
            assert not (node.directory / "node.url").exists()

    def test_too_many_connections_are_turned_away(self, tmp_path: Path) -> None:
        storage = {**STORAGE["storage"], "max_connections": 2}
        with running(tmp_path / "node", {"storage": storage}) as node:
            nurl = nurl_of(node)
            address = (nurl.host, nurl.port)
            with socket.create_connection(address, timeout=30), socket.create_connection(address, timeout=30):
                with socket.create_connection(address, timeout=30) as third:
                    assert third.recv(1) == b""
                assert ask(nurl, "/storage/v1/version").status != 0
            wait_until(lambda: ask(nurl, "/storage/v1/version").status == 0, "there is room again")
