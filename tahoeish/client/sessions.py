"""What is remembered of uploads that aren't done yet, so that the same command goes on with them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tahoeish.client.errors import UploadInProgress
from tahoeish.client.steady import Fingerprint

STALE_SECONDS = 30 * 24 * 3600.0
"""No node keeps an upload that long that nobody goes on with."""

_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Remembered:
    """Where the node has what was sent of a file."""

    address: str
    file: Fingerprint
    begun: float


class Slot:
    """One upload's place in the memory: this one's of the process itself, and with it everything is forgotten."""

    def __init__(self) -> None:
        self._remembered: Remembered | None = None

    def recall(self) -> Remembered | None:
        return self._remembered

    def remember(self, remembered: Remembered) -> None:
        self._remembered = remembered

    def forget(self) -> None:
        self._remembered = None

    def release(self) -> None:
        """Let others have it."""


class StoredSlot(Slot):
    """In an open file, which is locked."""

    def __init__(self, path: Path, fd: int) -> None:
        super().__init__()
        self._path = path
        self._fd = fd
        self._remembered = _understood(os.pread(fd, _LONGEST, 0))

    def remember(self, remembered: Remembered) -> None:
        super().remember(remembered)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(asdict(remembered)).encode(), 0)
        os.fsync(self._fd)

    def release(self) -> None:
        if self._remembered is None:
            # While it is locked, it can't be anybody else's.
            self._path.unlink(missing_ok=True)
        os.close(self._fd)


class SessionStore:
    """A folder with a small file for each upload, which no other user can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> SessionStore:
        state = Path(environ.get("XDG_STATE_HOME") or "")
        if not state.is_absolute():
            state = Path("~/.local/state").expanduser()
        return cls(state / "tahoeish" / "uploads")

    def claim(self, url: str, file: Path, target: str) -> Slot:
        """
        The place for what is sent from this file to this target of a node. Raises `UploadInProgress` while another
        process has it, and `OSError` where nothing can be written down.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = b"\0".join([url.encode(), os.fsencode(file.absolute()), target.encode()])
        path = self._folder / f"{hashlib.sha256(key).hexdigest()[:32]}.json"
        fd = _locked(path)
        if fd is None:
            raise UploadInProgress(f"another process is uploading {file} just now")
        # Still in use, so not stale.
        os.utime(fd)
        return StoredSlot(path, fd)

    def clear_stale(self, now: float) -> None:
        """Forget what nobody has gone on with."""
        try:
            old = [path for path in self._folder.glob("*.json") if path.lstat().st_mtime < now - STALE_SECONDS]
            for path in old:
                fd = _locked(path)
                if fd is not None:
                    path.unlink(missing_ok=True)
                    os.close(fd)
        except OSError:
            # Somebody else tidies up as well, or may; there is time.
            return


def _locked(path: Path) -> int | None:
    """The file, open and locked; None if somebody else has locked it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        # Who had it before may have removed it in between.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.lstat()):
                os.fchmod(fd, stat.S_IRUSR | stat.S_IWUSR)
                return fd
        os.close(fd)


def _understood(text: bytes) -> Remembered | None:
    """A crash may have left half of it, which is as good as nothing."""
    try:
        said = json.loads(text)
        file = Fingerprint(int(said["file"]["size"]), int(said["file"]["mtime_ns"]), int(said["file"]["inode"]))
        return Remembered(str(said["address"]), file, float(said["begun"]))
    except (ValueError, TypeError, KeyError):
        return None
