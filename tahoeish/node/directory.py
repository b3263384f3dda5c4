"""The folder of one node: its settings, its secrets, and the lock that keeps a second process out."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from tahoeish.chk import base32
from tahoeish.node.config import Config, ConfigError, Problem, default_text, parse

SECRET_LENGTH = 32
ENVIRONMENT_VARIABLE = "TAHOEISH_NODE_DIR"

LEFTOVERS_SECONDS, LEFTOVERS_PAUSE = 15.0, 0.02
"""What the workers of a node that was killed get to clean up and end, and how often to look."""


class NodeDirectoryError(Exception):
    """A node directory that cannot be used, and why. The text is for the operator."""


def chosen_path(option: str | None, environ: Mapping[str, str]) -> Path:
    """Where the node lives: what the command line says, else the environment, else `~/.tahoeish`."""
    return Path(option or environ.get(ENVIRONMENT_VARIABLE) or "~/.tahoeish").expanduser().absolute()


class NodeDirectory:
    """
    The names in a node's folder, for reading. Nothing is made or changed, so it need not exist.

    To run a node in it, take an `OpenNodeDirectory`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "tahoeish.toml"
        self.url_path = path / "node.url"
        self.lock_path = path / "node.lock"
        self.private_path = path / "private"

    def config(self, *, peers_to_come: bool = False) -> Config:
        """
        What the configuration file says, or what a first start would write into it when there is none yet. With
        `peers_to_come` it may have too few peers.

        Raises `ConfigError` or `NodeDirectoryError`.
        """
        source = str(self.config_path)
        try:
            text = self.config_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = default_text()
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ConfigError([Problem(line, "", "not UTF-8 text")], source) from error
        except OSError as error:
            raise NodeDirectoryError(f"cannot read {source}: {error.strerror}") from error
        return parse(text, base=self.path, source=source, peers_to_come=peers_to_come)

    def _secret(self, name: str) -> bytes:
        path = self.private_path / name
        with told(f"cannot read {path}"):
            text = path.read_text(encoding="ascii", errors="replace").strip()
        try:
            secret = base32.decode(text)
        except ValueError as error:
            raise NodeDirectoryError(f"{path} holds no base32 text; put its backup in its place") from error
        if len(secret) != SECRET_LENGTH:
            raise NodeDirectoryError(
                f"{path} holds {len(secret)} bytes instead of {SECRET_LENGTH}; put its backup in its place"
            )
        return secret


class RunningNodeDirectory(NodeDirectory):
    """The folder of a node that runs, for what is part of it."""

    convergence_secret: bytes
    lease_secret: bytes

    def write_url(self, url: str) -> None:
        """Leave word for clients on this machine where the node listens. `close` takes it away again."""

    def close(self) -> None:
        """Let go of it."""


class VisitedNodeDirectory(RunningNodeDirectory):
    """A node's folder as a worker sees it: complete, and locked by the process that started the worker."""

    def __init__(self, path: Path) -> None:
        """Raises `NodeDirectoryError`."""
        super().__init__(path)
        self.convergence_secret = self._secret("convergence")
        self.lease_secret = self._secret("secret")


class OpenNodeDirectory(RunningNodeDirectory):
    """
    A node's folder in the hands of the one process that runs the node, complete with secrets and settings.

    Opening makes what is missing, so it also finishes a first start that was interrupted. The lock survives a
    fork, but names the process that took it: a daemon opens its directory after it has become one.
    """

    def __init__(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        """`random_bytes` makes the secrets of a first start. Raises `NodeDirectoryError`."""
        super().__init__(path)
        with told(f"cannot make the node directory {path}"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._locked()
        try:
            with told(f"cannot set up the node directory {path}"):
                self._complete(random_bytes)
            self.convergence_secret = self._secret("convergence")
            self.lease_secret = self._secret("secret")
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def lock(self) -> int:
        """The descriptor of the lock. A process that inherits it keeps others out as long as it lives."""
        return self._lock

    def write_url(self, url: str) -> None:
        with told(f"cannot write {self.url_path}"):
            write_durably(self.url_path, f"{url}\n".encode(), 0o600)

    def close(self) -> None:
        """Let another process have the directory."""
        self.url_path.unlink(missing_ok=True)
        # The lock file stays: whoever deletes one may delete what another process has just locked.
        os.close(self._lock)

    def __enter__(self) -> "OpenNodeDirectory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _locked(self) -> int:
        with told(f"cannot lock {self.lock_path}"):
            lock = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(lock)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(lock)
            raise NodeDirectoryError(f"cannot lock {self.lock_path}: {error.strerror}") from error
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _take(self, lock: int) -> None:
        deadline = time.monotonic() + LEFTOVERS_SECONDS
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
                # Who took the lock may have been killed. Its workers have it still, and notice that they are alone.
                if not holder.isdecimal() or _runs(int(holder)):
                    who = f"process {holder}" if holder else "another process"
                    raise NodeDirectoryError(f"{who} already runs the node in {self.path}") from error
                if time.monotonic() > deadline:
                    raise NodeDirectoryError(
                        f"workers that process {holder} has left behind still run the node in {self.path}; end them"
                    ) from error
            time.sleep(LEFTOVERS_PAUSE)

    def _complete(self, random_bytes: Callable[[int], bytes]) -> None:
        self.private_path.mkdir(mode=0o700, exist_ok=True)
        for name in ("convergence", "secret"):
            secret = self.private_path / name
            if not secret.exists():
                write_durably(secret, f"{base32.encode(random_bytes(SECRET_LENGTH))}\n".encode(), 0o600)
        # Last, so that whoever sees a configuration sees a whole directory.
        if not self.config_path.exists():
            write_durably(self.config_path, default_text().encode(), 0o600)
        # The parent may be closed to us, like a /home of mode 0711. The system syncs it in its own time then.
        with suppress(PermissionError):
            _sync_directory(self.path.parent)


def write_durably(path: Path, content: bytes, mode: int) -> None:
    """After a crash at any moment the file is there and whole, or not there at all."""
    # One name, not a random one, so that crashes leave no heap of them. The lock keeps other writers away.
    unfinished = path.with_name(f"{path.name}.new")
    with open(unfinished, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is somebody else's.
        return True
    return True


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Let one thread or process at a time do what follows, by the lock on the file `path`. Blocks."""
    with told(f"cannot lock {path}"):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn the system's error into one for the operator."""
    try:
        yield
    except OSError as error:
        raise NodeDirectoryError(f"{what}: {error.strerror}") from error
