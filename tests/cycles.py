"""What is let go by itself, because nothing of it is in a circle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """It doesn't come by itself."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
