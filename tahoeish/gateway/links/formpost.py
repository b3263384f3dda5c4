"""Signed HTML forms, as OpenStack Swift's FormPost has them: a browser without a script sends files to a place."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from tahoeish.gateway.links.signatures import DIGESTS, Signature, parse_signature

FIELDS = frozenset(
    {
        "redirect",
        "max_file_size",
        "max_file_count",
        "expires",
        "signature",
        "x_delete_at",
        "x_delete_after",
        "content-type",
        "content-encoding",
    }
)
"""All others mean nothing."""

LONGEST_VALUE = 4096
"""Bytes of a field; what is behind is left out."""

_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)
_REDIRECTION = re.compile(r"(?:https?://|/)[^\s\\]*", re.ASCII | re.IGNORECASE)


class FormRefused(Exception):
    """The form won't be taken; the status and the words of Swift."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"FormPost: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Form:
    """What the fields of a form say that stand before its first file. Nobody knows yet whether it is signed right."""

    path: str
    """To which it was sent, percent-decoded."""
    redirect: str
    max_file_size: int
    max_file_count: int
    expires: int
    signature: Signature | None
    message: bytes

    def is_signed(self, keys: Collection[str]) -> bool:
        return self.signature is not None and self.signature.is_of([self.message], keys)

    def target(self, filename: str) -> str:
        """The path of a file in it: what it was sent to is a prefix, unless that is a whole container."""
        return self.path + ("/" if self.path.count("/") == _SLASHES_OF_A_CONTAINER else "") + bare_name(filename)

    def redirection(self, status: int, message: str) -> str | None:
        """Where to send the browser, if anywhere."""
        if not self.redirect:
            return None
        separator = "&" if "?" in self.redirect else "?"
        return f"{self.redirect}{separator}status={status}&message={quote(message, safe='')}"


_SLASHES_OF_A_CONTAINER = 3


def bare_name(filename: str) -> str:
    """Browsers of long ago send where the file lay with them."""
    return re.split(r"[/\\]", filename)[-1]


def read_form(path: str, fields: Mapping[str, str], digests: Collection[str] = DIGESTS) -> Form:
    """`fields` have names in lower case. Raises `FormRefused`."""
    texts = {name: fields.get(name, "0") for name in ("max_file_size", "max_file_count", "expires")}
    for name, text in texts.items():
        if not _INTEGER.fullmatch(text):
            raise FormRefused(400, f"{name} not an integer")
    for name in ("x_delete_at", "x_delete_after"):
        if name in fields:
            if not _INTEGER.fullmatch(fields[name]):
                raise FormRefused(400, f"{name} not an integer")
            raise FormRefused(400, f"{name} is not possible here, since files stay until somebody removes them")
    redirect = fields.get("redirect", "")
    if redirect and not _REDIRECTION.fullmatch(redirect):
        raise FormRefused(400, "redirect is no address")
    return Form(
        path,
        redirect,
        int(texts["max_file_size"]),
        int(texts["max_file_count"]),
        int(texts["expires"]),
        parse_signature(fields.get("signature", ""), digests),
        message(path, redirect, texts["max_file_size"], texts["max_file_count"], texts["expires"]),
    )


def message(path: str, redirect: str, max_file_size: str, max_file_count: str, expires: str) -> bytes:
    """What is signed; the numbers as they stand in the form."""
    return "\n".join([path, redirect, max_file_size, max_file_count, expires]).encode()


def value_of(content: bytes) -> str:
    """Of a plain field."""
    return content[:LONGEST_VALUE].decode("utf-8", "replace").rstrip("\r\n-")


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
