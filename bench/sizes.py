"""Numbers of bytes, as people write them."""

import argparse
import re

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
MB = 10**6
"""Rates are in MB/s, as everybody's are."""

_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB}
_SIZE = re.compile(r"([0-9]+)\s*([KMG]?)(?:i?B)?", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> int:
    """For argparse: `64M`, `4 GiB`; powers of 1024 in any case."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256M or 4G")
    return int(match[1]) * _UNITS[match[2].upper()]


def shown(size: int) -> str:
    """`268435456` as `256 MiB`."""
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"
