"""What Twisted says of a connection that fails, in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    TimeoutError,
)
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from tahoeish.client.errors import CertificateRefused, NodeUnreachable, TransferBroken
from tahoeish.streams.failures import innermost

_VERIFY_FAILED = "certificate verify failed"
_NOT_TRUSTED = (
    "isn't trusted here, or its time is over; if it is the right one, name the file with it, or with the certificate of"
    " who has signed it, in $SSL_CERT_FILE"
)
_OTHER_NAME = "is for another name; ask for the node by one that is in its certificate"

_NO_TLS = {"wrong version number", "record layer failure", "packet length too long", "http request", "unknown protocol"}
"""What OpenSSL's versions make of an answer that isn't TLS."""


@contextmanager
def translated(url: str, *, answered_before: bool) -> Iterator[None]:
    """`answered_before`: there is a node at this URL, so that is right."""
    try:
        yield
    except ConnectingCancelledError:
        raise CancelledError() from None
    except (ConnectError, DNSLookupError, TimeoutError) as error:
        number = getattr(error, "osError", None)
        raise NodeUnreachable(url, os.strerror(number) if number else str(error).rstrip(".")) from error
    except (
        RequestGenerationFailed,
        RequestTransmissionFailed,
        ResponseNeverReceived,
        ResponseFailed,
    ) as error:
        cause = innermost(error.reasons[0])
        # What the source of the body has raised isn't about the connection.
        if isinstance(error, RequestGenerationFailed) or isinstance(cause, CancelledError):
            raise cause from None
        if isinstance(cause, VerificationError):
            raise CertificateRefused(url, _OTHER_NAME) from error
        reasons = _reasons(cause)
        if _VERIFY_FAILED in reasons:
            raise CertificateRefused(url, _NOT_TRUSTED) from error
        broken = f"the connection to {url} broke: {', '.join(reasons)}"
        raise TransferBroken(broken if answered_before else broken + _advice(url, cause, reasons)) from error


def _reasons(cause: BaseException) -> list[str]:
    if isinstance(cause, SSL.Error) and cause.args and cause.args[0]:
        return [str(reason) for *_, reason in cause.args[0]]
    return [str(cause).rstrip(".")]


def _advice(url: str, cause: BaseException, reasons: list[str]) -> str:
    """Where nothing has ever answered, the URL may be wrong."""
    scheme, _, rest = url.partition(":")
    if scheme == "https" and _NO_TLS & set(reasons):
        return f"; what is there doesn't speak TLS, so try http:{rest}"
    if scheme == "http" and isinstance(cause, ConnectionDone | ConnectionLost):
        return f"; nothing there has answered yet, so if it speaks TLS, try https:{rest}"
    return ""
