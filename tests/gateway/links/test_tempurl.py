"""What signed URLs say, and which of them are good: the reference's vectors, and everything tampered with."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.gateway.links.signatures import DIGESTS, parse_signature, sign
from tahoeish.gateway.links.tempurl import (
    METHODS,
    SwiftPath,
    TempUrl,
    disposition,
    message,
    parse_moment,
    read,
    signed_address,
)

KEY = "mykey"
OBJECT = "/v1/AUTH_account/container/object"
NOW = 1_500_000_000
EXPIRES = 1_512_508_563
ALL_DIGESTS = ("sha1", *DIGESTS)

VECTORS = [
    (
        message("GET", EXPIRES, OBJECT),
        "sha256",
        "732fcac368abb10c78a4cbe95c3fab7f311584532bf779abd5074e13cbe8b88b",
    ),
    (
        message("GET", EXPIRES, OBJECT),
        "sha512",
        "sha512:FV_kcQtXVbzr3sQV-sX-SCAxMVs_noJegKuf_sPXxpNrTP349WJcgxmr0xnfnZXtcXV0dv5dPI9pw15cOGQL_w==",
    ),
    (message("GET", EXPIRES, OBJECT), "sha1", "a83dcf0587a84542b5f23a7807c38ff4bcaa6924"),
    (
        message("PUT", 1_700_000_000, "/v1/AUTH_test/up/big.iso"),
        "sha256",
        "670640686ed16d2b839f4f382555b722d5de84200cd38802a6eedfae68336638",
    ),
    (
        message("GET", EXPIRES, "/v1/AUTH_account/container/pre", is_prefix=True),
        "sha256",
        "32f398a48a1a8ca6f2711efcca444100723360239733c6e7b31d868f62f66b47",
    ),
    (
        message("GET", 1_648_082_711, OBJECT, ip_range="1.2.3.4"),
        "sha256",
        "3f48476acaf5ec272acd8e99f7b5bad96c52ddba53ed27c60613711774a06f0c",
    ),
    (
        message("GET", 1_648_082_711, OBJECT, ip_range="1.2.3.0/24"),
        "sha256",
        "6ff81256b8a3ba11d239da51a703b9c06a56ffddeb8caab74ca83af8f73c9c83",
    ),
]


@pytest.mark.parametrize(("signed", "digest", "signature"), VECTORS)
def test_vectors_of_swift(signed: bytes, digest: str, signature: str) -> None:
    assert sign(KEY, signed, digest) == signature
    parsed = parse_signature(signature, ALL_DIGESTS)
    assert parsed is not None and parsed.is_of([signed], ["another", KEY])
    assert not parsed.is_of([signed], ["another"]) and not parsed.is_of([signed], [])


def asked(address: str, method: str = "GET", digests: tuple[str, ...] = DIGESTS) -> TempUrl | None:
    """As a request by this address is understood."""
    path, _, query = address.partition("?")
    return read(method, path.encode(), query.encode(), digests)


def is_good(address: str, method: str = "GET", *, now: float = NOW, client: str = "1.2.3.4") -> bool:
    url = asked(address, method)
    return url is not None and url.is_good([KEY], now, client)


class TestSignature:
    def test_sha1_is_only_taken_where_it_is_allowed(self) -> None:
        text = sign(KEY, b"x", "sha1")
        assert parse_signature(text) is None and parse_signature(text, ALL_DIGESTS) is not None

    @pytest.mark.parametrize(
        "text",
        ["", "x", "0" * 63, "0" * 65, "g" * 64, " " + "0" * 63, "md5:AAAA", "sha256:", "sha256:!!!!", "sha256:AAAA",
         "sha512:" + "A" * 43, ":" + "A" * 43, "sha3_256:" + "A" * 43, "sha256:" + "A" * 42 + "B"],
    )  # fmt: skip
    def test_anything_else_is_none(self, text: str) -> None:
        assert parse_signature(text, ALL_DIGESTS) is None

    @pytest.mark.parametrize("digest", ["sha256", "sha512"])
    def test_every_form_of_the_same_code_is_understood(self, digest: str) -> None:
        parsed = parse_signature(sign(KEY, b"x", digest))
        assert parsed is not None
        urlsafe = sign(KEY, b"x", "sha512").partition(":")[2] if digest == "sha512" else None
        forms = [parsed.code.hex(), parsed.code.hex().upper()]
        if urlsafe is not None:
            standard = urlsafe.replace("-", "+").replace("_", "/")
            forms += [f"sha512:{form}" for form in (urlsafe, urlsafe.rstrip("="), standard, standard.rstrip("="))]
        assert all(parse_signature(form) == parsed for form in forms)

    def test_it_is_not_shown(self) -> None:
        parsed = parse_signature(sign(KEY, b"x"))
        assert parsed is not None and repr(parsed) == "Signature(digest='sha256')"


class TestUrl:
    def test_of_the_documentation(self) -> None:
        signature = "732fcac368abb10c78a4cbe95c3fab7f311584532bf779abd5074e13cbe8b88b"
        address = f"{OBJECT}?temp_url_sig={signature}&temp_url_expires=2017-12-05T21:16:03Z"
        assert is_good(address) and is_good(address, now=EXPIRES) and not is_good(address, now=EXPIRES + 1)
        assert is_good(address.replace("2017-12-05T21:16:03Z", str(EXPIRES)))

    @pytest.mark.parametrize(
        ("signed", "also"),
        [("GET", {"HEAD"}), ("PUT", {"HEAD"}), ("POST", {"HEAD"}), ("HEAD", set()), ("DELETE", set())],
    )
    def test_is_good_for_its_method_and_for_looking(self, signed: str, also: set[str]) -> None:
        address = signed_address(KEY, signed, EXPIRES, OBJECT)
        assert {method for method in (*METHODS, "PATCH", "PROPFIND", "MOVE") if is_good(address, method)} == {
            signed,
            *also,
        }

    def test_signs_the_decoded_path(self) -> None:
        path = "/v1/Jürgen/c d/ü%41?#&\n x"
        address = signed_address(KEY, "GET", EXPIRES, path)
        assert is_good(address)
        url = asked(address)
        assert url is not None and url.place == SwiftPath("Jürgen", "c d", "ü%41?#&\n x")

    def test_a_slash_is_a_slash_however_it_is_written(self) -> None:
        address = signed_address(KEY, "GET", EXPIRES, "/v1/a/c/x/y").replace("x/y", "x%2Fy")
        url = asked(address)
        assert is_good(address) and url is not None and url.place.names == ("c", "x", "y")

    @pytest.mark.parametrize(
        "path",
        ["/v1", "/v1/", "/v1/a", "/v1/a/", "/v1/a/c/", "/v1//c/o", "/v1/a//o", "/v2/a/c/o", "/files/a", "v1/a/c/o"],
    )
    def test_is_of_an_object(self, path: str) -> None:
        assert asked(signed_address(KEY, "GET", EXPIRES, path)) is None

    def test_can_be_of_a_file_in_no_folder(self) -> None:
        address = signed_address(KEY, "GET", EXPIRES, "/v1/alice/notes.txt")
        url = asked(address)
        assert is_good(address) and url is not None and url.place.names == ("notes.txt",)

    @pytest.mark.parametrize(
        "moment", ["", "-1", "+1", "1e12", "٣", "1512508563.0", "2017-12-05", "2017-12-05T21:16:03",
                   "2017-13-05T21:16:03Z", "2017-12-05T21:16:03+00:00", " 1512508563", "9" * 30],
    )  # fmt: skip
    def test_expires_at_a_moment(self, moment: str) -> None:
        assert parse_moment(moment) is None

    def test_the_first_of_repeated_parameters_counts(self) -> None:
        address = signed_address(KEY, "GET", EXPIRES, OBJECT)
        assert is_good(address + "&temp_url_expires=1&temp_url_sig=00")
        assert not is_good(address.replace("?", "?temp_url_expires=1&"))

    @given(st.binary(max_size=60), st.binary(max_size=60))
    def test_whatever_is_asked_is_answered(self, path: bytes, value: bytes) -> None:
        names = ("temp_url_sig", "temp_url_expires", "temp_url_prefix", "temp_url_ip_range", "filename")
        url = read("GET", b"/v1/" + path, urlencode(dict.fromkeys(names, value)).encode() + value)
        assert url is None or not url.is_good([KEY], NOW, "1.2.3.4")


class TestPrefix:
    ADDRESS = signed_address(KEY, "GET", EXPIRES, "/v1/a/c/pre", prefix=True)

    @pytest.mark.parametrize("object_", ["pre", "prefix", "pre/x/y", "pre%0A"])
    def test_lets_in_what_begins_with_it(self, object_: str) -> None:
        assert is_good(self.ADDRESS.replace("/c/pre?", f"/c/{object_}?"))

    @pytest.mark.parametrize("place", ["/c/pr", "/c/other", "/d/pre", "/c/x/pre", "/pre"])
    def test_and_nothing_else(self, place: str) -> None:
        assert not is_good(self.ADDRESS.replace("/c/pre?", f"{place}?"))

    def test_can_be_empty(self) -> None:
        address = signed_address(KEY, "PUT", EXPIRES, "/v1/a/c/", prefix=True)
        assert is_good(address.replace("/c/?", "/c/anything?"), "PUT")
        assert not is_good(address.replace("/c/?", "/d/anything?"), "PUT")

    def test_is_compared_in_the_spelling_in_which_names_are_kept(self) -> None:
        address = signed_address(KEY, "GET", EXPIRES, "/v1/a/c/e", prefix=True)
        assert not is_good(address.replace("/c/e?", "/c/e%CC%81?"))


class TestAddressRange:
    @pytest.mark.parametrize(
        ("range_", "client", "good"),
        [
            ("1.2.3.4", "1.2.3.4", True),
            ("1.2.3.4", "::ffff:1.2.3.4", True),
            ("1.2.3.4", "1.2.3.5", False),
            ("1.2.3.0/24", "1.2.3.255", True),
            ("1.2.3.0/24", "1.2.4.0", False),
            ("1.2.3.4/24", "1.2.3.4", False),
            ("2001:db8::/32", "2001:db8::1", True),
            ("2001:db8::/32", "2001:db9::1", False),
            ("fe80::/10", "fe80::1%eth0", True),
            ("2001:db8::/32", "1.2.3.4", False),
            ("", "1.2.3.4", False),
            ("here", "here", False),
            ("0.0.0.0/0", "", False),
        ],
    )
    def test_holds_who_may(self, range_: str, client: str, good: bool) -> None:
        address = signed_address(KEY, "GET", EXPIRES, OBJECT, ip_range=range_)
        assert is_good(address, client=client) is good


class TestTampering:
    FULL = signed_address(
        KEY, "PUT", EXPIRES, "/v1/a/c/pre", prefix=True, ip_range="1.2.3.0/24", max_size=1000, filename="f", inline=True
    )

    def test_what_was_signed_is_good(self) -> None:
        assert is_good(self.FULL, "PUT")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("/v1/a/", "/v1/b/"),
            ("/c/pre?", "/d/pre?"),
            (str(EXPIRES), str(EXPIRES + 1)),
            ("temp_url_prefix=pre", "temp_url_prefix=pr"),
            ("temp_url_prefix=pre", "temp_url_prefix="),
            ("&temp_url_prefix=pre", ""),
            ("1.2.3.0%2F24", "1.2.0.0%2F16"),
            ("&temp_url_ip_range=1.2.3.0%2F24", ""),
            ("temp_url_max_size=1000", "temp_url_max_size=1001"),
            ("temp_url_max_size=1000", "temp_url_max_size=01000"),
            ("temp_url_max_size=1000", "temp_url_max_size="),
            ("&temp_url_max_size=1000", ""),
            ("temp_url_sig=", "temp_url_sig=sha512:"),
            ("temp_url_sig=", "temp_url_sig=sha1:"),
            ("temp_url_sig=", "other="),
            ("temp_url_expires=", "other="),
        ],
    )
    def test_any_other_address_is_not(self, old: str, new: str) -> None:
        assert old in self.FULL
        assert not is_good(self.FULL.replace(old, new), "PUT")

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "put"])
    def test_nor_is_another_method(self, method: str) -> None:
        assert not is_good(self.FULL, method)

    def test_what_is_not_signed_may_be_changed(self) -> None:
        assert is_good(self.FULL.replace("filename=f", "filename=g").replace("&inline", ""), "PUT")

    @pytest.mark.parametrize("digest", DIGESTS)
    def test_nor_is_one_with_a_single_other_bit_in_its_signature(self, digest: str) -> None:
        url = asked(signed_address(KEY, "GET", EXPIRES, OBJECT, digest=digest))
        assert url is not None and url.is_good([KEY], NOW, "")
        code = url.signature.code
        for bit in range(8 * len(code)):
            other = bytearray(code)
            other[bit // 8] ^= 1 << bit % 8
            tampered = replace(url, signature=replace(url.signature, code=bytes(other)))
            assert not tampered.is_good([KEY], NOW, "")

    @pytest.mark.parametrize("digest", DIGESTS)
    def test_nor_in_the_text_of_it(self, digest: str) -> None:
        address = signed_address(KEY, "GET", EXPIRES, OBJECT, digest=digest)
        text = parse_qs(urlsplit(address).query)["temp_url_sig"][0]
        allowed = parse_signature(text)
        for place in range(len(text)):
            for bit in range(7):
                other = text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]
                parsed = parse_signature(other)
                # Capitals are the same digits.
                assert parsed is None or parsed != allowed or other.lower() == text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
        ("&inline", "inline"),
        ("&inline=0", "inline"),
        ("&filename=x/y", "attachment; filename=\"x/y\"; filename*=UTF-8''x/y"),
        ("&filename=%C3%BC%22%0A%3B", "attachment; filename=\"%C3%BC%22%0A%3B\"; filename*=UTF-8''%C3%BC%22%0A%3B"),
        ("&inline&filename=q q", "inline; filename=\"q q\"; filename*=UTF-8''q%20q"),
    ],
)
def test_a_file_is_called_what_the_address_says(query: str, told: str) -> None:
    url = asked(signed_address(KEY, "GET", EXPIRES, "/v1/a/c/d/a b.txt") + query)
    assert url is not None and disposition(url) == told
