"""URLs at which somebody answers, but no node, or none that can be trusted: each is told at once, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from tahoeish.streams.site import StreamingSite
from tests.certificates import write_certificate
from tests.client.command import Command
from tests.client.nodes import CONTENT, MemoryNode, cap_for, listening


@contextmanager
def listening_with_tls(node: MemoryNode, folder: Path) -> Iterator[str]:
    """With the certificate that is in this folder."""
    context = DefaultOpenSSLContextFactory(str(folder / "key.pem"), str(folder / "cert.pem"))
    with listening(TLSMemoryBIOFactory(context, False, node.site())) as url:
        yield url.replace("http:", "https:")


@pytest.fixture
def tls_url(node: MemoryNode, tmp_path: Path) -> Iterator[str]:
    write_certificate(tmp_path)
    with listening_with_tls(node, tmp_path) as url:
        yield url


@pytest.fixture
def misnamed_url(node: MemoryNode, tmp_path: Path) -> Iterator[str]:
    write_certificate(tmp_path, address="127.0.0.2")
    with listening_with_tls(node, tmp_path) as url:
        yield url


@pytest.fixture
def plain_url(node: MemoryNode) -> Iterator[str]:
    with listening(StreamingSite(node, reactor=reactor)) as url:
        yield url


async def line_at_once(file: Path, url: str) -> str:
    """What is said when the file is sent there, which fails."""
    with Command("put", file, url=url) as command:
        status, _, err = await command.ended()
    assert (status, len(err.splitlines())) == (1, 1)
    return err


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_is_not_trusted_is_told_at_once_with_what_to_do(tls_url: str, file: Path) -> None:
    err = await line_at_once(file, tls_url)
    assert err.startswith(f"tahoeish: put: the certificate of {tls_url} isn't trusted here, ")
    assert "$SSL_CERT_FILE" in err


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_is_named_is_trusted(
    tls_url: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with Command("put", file, url=tls_url) as command:
        assert await command.ended() == (0, cap_for(CONTENT).encode() + b"\n", "")


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_another_name_is_told_at_once(
    misnamed_url: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    err = await line_at_once(file, misnamed_url)
    assert err.startswith(f"tahoeish: put: the certificate of {misnamed_url} is for another name; ")


@pytest_twisted.ensureDeferred
async def test_http_where_tls_is_spoken_is_told_at_once_with_the_other_url(tls_url: str, file: Path) -> None:
    plain = tls_url.replace("https:", "http:")
    err = await line_at_once(file, plain)
    assert err.startswith(f"tahoeish: put: the connection to {plain} broke: ")
    assert err.endswith(f"try {tls_url}\n")


@pytest_twisted.ensureDeferred
async def test_https_where_no_tls_is_spoken_is_told_at_once_with_the_other_url(plain_url: str, file: Path) -> None:
    err = await line_at_once(file, plain_url.replace("http:", "https:"))
    assert err.endswith(f"try {plain_url}\n")
