"""A storage node's certificate, and what clients know it by."""

from __future__ import annotations

import json
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from OpenSSL import SSL

from tahoeish.storage.certificate import BadCertificate, ServerCertificate, tls_options
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.wire import authorization
from tahoeish.streams.tls import spki_hash

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "hash_vectors.json").read_text())


@pytest.fixture(scope="module")
def made() -> ServerCertificate:
    return ServerCertificate.generate()


@pytest.mark.parametrize("vector", VECTORS["spki"])
def test_the_hash_is_the_published_one(vector: dict[str, str]) -> None:
    certificate = x509.load_pem_x509_certificate(vector["cert_pem"].encode())
    assert Nurl(spki_hash(certificate), "host", 1, "swissnum").key_text == vector["spki_hash"]


@pytest.mark.parametrize("vector", VECTORS["swissnum_header"])
def test_the_authorization_is_the_published_one(vector: dict[str, str]) -> None:
    assert authorization(vector["swissnum"]) == vector["authorization"]


def test_a_new_one_signs_itself_and_never_expires(made: ServerCertificate) -> None:
    assert isinstance(made.key, EllipticCurvePrivateKey) and isinstance(made.key.curve, SECP256R1)
    made.certificate.verify_directly_issued_by(made.certificate)
    assert made.certificate.not_valid_before_utc < datetime(2020, 1, 1, tzinfo=UTC)
    assert made.certificate.not_valid_after_utc.year == 9999


def test_it_is_read_back_from_its_file(made: ServerCertificate) -> None:
    again = ServerCertificate.from_pem(made.to_pem())
    assert again.certificate == made.certificate
    assert again.to_pem() == made.to_pem()
    assert again.tub_id == made.tub_id and len(made.tub_id) == 20


def test_the_order_in_the_file_does_not_matter(made: ServerCertificate) -> None:
    key, separator, certificate = made.to_pem().partition(b"-----BEGIN CERTIFICATE")
    assert ServerCertificate.from_pem(separator + certificate + key).certificate == made.certificate


@pytest.mark.parametrize("part", ["key", "certificate", "neither"])
def test_half_a_file_is_refused(made: ServerCertificate, part: str) -> None:
    key, separator, certificate = made.to_pem().partition(b"-----BEGIN CERTIFICATE")
    content = {"key": key, "certificate": separator + certificate, "neither": b""}[part]
    with pytest.raises(BadCertificate, match="not a private key and a certificate"):
        ServerCertificate.from_pem(content)


def test_the_certificate_of_another_key_is_refused(made: ServerCertificate) -> None:
    other = ServerCertificate.generate()
    key = made.to_pem().partition(b"-----BEGIN CERTIFICATE")[0]
    _, separator, certificate = other.to_pem().partition(b"-----BEGIN CERTIFICATE")
    with pytest.raises(BadCertificate, match="not that of the private key"):
        ServerCertificate.from_pem(key + separator + certificate)


def test_repr_hides_the_key(made: ServerCertificate) -> None:
    assert "key" not in repr(made).lower()


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
def test_tls_is_1_2_or_better(made: ServerCertificate, version: ssl.TLSVersion, accepted: bool) -> None:
    server = SSL.Connection(tls_options(made).getContext())
    server.set_accept_state()
    client = SSL.Connection(_client_context(version))
    client.set_connect_state()
    try:
        _shake_hands(client, server)
    except SSL.Error:
        assert not accepted
    else:
        assert accepted
        shown = client.get_peer_certificate(as_cryptography=True)
        assert shown is not None and spki_hash(shown) == spki_hash(made.certificate)
        chain = client.get_peer_cert_chain()
        assert chain is not None and len(chain) == 1


def _client_context(version: ssl.TLSVersion) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    # Otherwise the client itself refuses old versions, and nothing is learnt of the server.
    context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
    return context


def _shake_hands(client: SSL.Connection, server: SSL.Connection) -> None:
    waiting = {client, server}
    for _ in range(20):
        for end, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                end.do_handshake()
                waiting.discard(end)
            with suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(65536))
        if not waiting:
            return
    raise AssertionError("they never agree")
