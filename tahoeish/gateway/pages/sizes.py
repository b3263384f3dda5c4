"""Sizes as people read them; `words.js` has the same for scripts."""

from __future__ import annotations


def in_words(size: int) -> str:
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.0f} PB"
