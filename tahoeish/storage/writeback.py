"""Telling the system to begin writing a file to the disk, without waiting for it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE of Linux."""


def _find() -> Callable[..., Any] | None:
    try:
        function: Any = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function  # type: ignore[no-any-return]


_sync_file_range = _find()


def begin_writing(file: int) -> None:
    """
    All of what has been written to this open file. It is a hint: where the system knows none of this, nothing happens,
    and whether it worked, only a sync tells.
    """
    if _sync_file_range is not None:
        _sync_file_range(file, 0, 0, _WRITE)
