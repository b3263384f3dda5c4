"""What can go wrong between us and a node, in words for the person who asked for it."""

from __future__ import annotations


class ClientError(Exception):
    """Base of all of these."""


class NodeUnreachable(ClientError):
    """There is nobody to talk to."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no node answers at {url} ({reason}); start one with `tahoeish run` or give --node-url")
        self.url = url
        self.reason = reason


class Refused(ClientError):
    """The node said no. `title` names the kind of refusal, `detail` this one."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        said = ": ".join(part for part in (title, detail) if part)
        super().__init__(f"the node refused: {said} ({status})")
        self.status = status
        self.title = title
        self.detail = detail
        self.retry_after: float | None = None
        """In seconds, where the node has said when it is worth another try."""
        self.stands_at: str | None = None
        """Of an upload that can be resumed: how much is there, where the node has said that."""


class CredentialsRefused(Refused):
    """The node doesn't let in whoever we say we are, or wants to be told."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}; say who you are with --user NAME and $TAHOEISH_PASSWORD, or with an app token in"
            " $TAHOEISH_TOKEN"
        )


class CertificateRefused(ClientError):
    """Somebody is there, but may be anybody."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the certificate of {url} {reason}")


class TransferBroken(ClientError):
    """It began well, but the rest did not arrive, there or here."""


class FileChanged(ClientError):
    """The file grew or shrank while it was being sent, so the node was given none of it to keep."""


class GivenUp(ClientError):
    """It was tried again and again, to no avail."""

    def __init__(self, last: ClientError, tries: int) -> None:
        super().__init__(f"{last}; given up after {tries} tries" if tries > 1 else str(last))
        self.last = last


class UploadInProgress(ClientError):
    """Somebody else of us is at it."""


class NotAFolder(ClientError):
    """On the node, or in a directory, a file is where a folder should be."""


class NotAFile(ClientError):
    """In a directory, a folder is where a file should be."""
