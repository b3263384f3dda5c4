"""What can be wrong with a share store, and one place that turns the operating system's errors into these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path


class StoreError(Exception):
    """The store couldn't do what it was asked. The message names the file."""


class StoreInUse(StoreError):
    """Another store, as a rule in another process, owns the directory."""


class StoreFull(StoreError):
    """There is no room for it."""


class NoSuchShare(StoreError):
    """The store doesn't hold this share, or not all of it yet."""


class ShareExists(StoreError):
    """The store holds this share already. Shares never change."""


class ShareInProgress(StoreError):
    """Somebody is writing this share just now."""


class BadShareFile(StoreError):
    """The file isn't a container of a share."""


class WrongKind(NoSuchShare):
    """There is a share, but of a mutable file where one of an immutable file is meant, or the other way round."""


class BadWriteEnabler(StoreError):
    """The share belongs to somebody else."""


@contextmanager
def errors_about(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise StoreFull(f"{path}: {error.strerror}") from error
        raise StoreError(f"{path}: {error.strerror}") from error
