"""
What `tahoeish.toml` says: text in, a frozen `Config` out, or a `ConfigError` that names all that is wrong.

Its nouns: a `Kind` reads and writes one sort of value (a size, a duration); a key is a kind, a default and a
sentence of documentation, declared once in `model`; a `Problem` is what a person has to mend, and where.
"""

from .model import Catalogue, Config, Durability, Encoding, Files, Gateway, Grid, Log, Memory, Peer, Storage, Threads
from .problems import ConfigError, Problem
from .reading import parse
from .writing import default_text, effective_text, peer_text

__all__ = [
    "Catalogue",
    "Config",
    "ConfigError",
    "Durability",
    "Encoding",
    "Files",
    "Gateway",
    "Grid",
    "Log",
    "Memory",
    "Peer",
    "Problem",
    "Storage",
    "Threads",
    "default_text",
    "effective_text",
    "parse",
    "peer_text",
]
