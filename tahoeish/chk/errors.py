"""What can be wrong with a cap, a share, a file, or an upload's length."""


class ChkError(Exception):
    """Base of everything the file format has to complain about."""


class BadCap(ChkError):
    """A text isn't a cap. The message never repeats the text: it may hold a key."""


class MutableCap(BadCap):
    """It is one, but of something that can change, which has no place in what can't."""


class BadDirectory(ChkError):
    """A file isn't a directory's table, or what a directory should hold can't be put into one."""


class CorruptShare(ChkError):
    """One share holds something other than what its file's cap vouches for: try another one."""

    def __init__(self, share_number: int, where: str, problem: str = "does not match its hash") -> None:
        super().__init__(f"share {share_number} is corrupt: its {where} {problem}")
        self.share_number = share_number
        self.where = where


class CorruptFile(ChkError):
    """What the cap itself vouches for does not fit together: no other share can help."""


class WrongLength(ChkError):
    """The plaintext is longer or shorter than the encoder was told."""


class CannotBeSaved(ChkError):
    """Half of a file's encoding can't be put aside on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "a half-encoded file can't be put aside here: that needs OpenSSL's libcrypto as a shared library, with its "
            "SHA256 functions"
        )


class BadCheckpoint(ChkError):
    """What was put aside of a half-encoded file isn't whole, or isn't understood."""
