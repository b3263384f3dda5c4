"""Sizes as people read them; `words.js` has the same for scripts."""

from __future__ import annotations

_EXACT = {
    **{unit: 1000**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB"))},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}


def bound_in_words(size: int) -> str:
    """Exact, and as whoever has set it has said it: 60 MiB, or 2 GB."""
    count, unit = min((size // factor, unit) for unit, factor in _EXACT.items() if size % factor == 0)
    return f"{count} {unit}" if count < 10_000 else f"{in_words(size)} ({size} bytes)"


def in_words(size: int) -> str:
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.0f} PB"
