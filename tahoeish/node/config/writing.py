"""The configuration as text: the file of a first start, and what is in effect."""

from collections.abc import Iterator, Sequence
from typing import Any

from .kinds import write_string
from .model import Config, Peer
from .schema import keys_of, sections_of, summary, tables_of

DEFAULT_PEERS = ("peers/1", "peers/2", "peers/3")

_PREAMBLE = """\
# The configuration of this node.
#
# A line that begins with "#" and a key shows that key's default: take the "#" away to change it.
# Sizes are numbers of bytes or texts such as "64 MiB", durations numbers of seconds or texts such as "30 s".
# `tahoeish config` shows what is in effect, and everything that is wrong in here.
"""


def default_text(peers: Sequence[str] = DEFAULT_PEERS) -> str:
    """The file of a first start: every key with its sentence and default, and the peers spelt out."""
    return "\n".join([_PREAMBLE, *_default_sections(peers)])


def peer_text(peer: Peer) -> str:
    """A peer's section, without the keys that have their default."""
    keys = keys_of(Peer).values()
    values = [(key, getattr(peer, key.name)) for key in keys]
    lines = [f"{key.name} = {key.kind.write(value)}" for key, value in values if value != key.default]
    return "\n".join(["[[grid.peers]]", *lines, ""])


def effective_text(config: Config) -> str:
    """Every key with its value. Reads back as an equal `Config`, whatever the base."""
    return "\n".join(_effective_sections(config))


def _default_sections(peers: Sequence[str]) -> Iterator[str]:
    for section_name, section in sections_of(Config).items():
        lines = [f"# {summary(section)}", f"[{section_name}]"]
        for key in keys_of(section).values():
            lines += ["", f"# {key.doc}", f"#{key.name} = {key.kind.write(key.default)}"]
        for table_name, table in tables_of(section).items():
            lines += ["", f"# {summary(table)}"]
            for key in keys_of(table).values():
                lines += [f"# {key.name}: {key.doc}"]
            for directory in peers:
                lines += ["", f"[[{section_name}.{table_name}]]", f"directory = {write_string(directory)}"]
        yield "\n".join([*lines, "", ""])


def _effective_sections(config: Config) -> Iterator[str]:
    for section_name, section in sections_of(Config).items():
        value = getattr(config, section_name)
        yield f"[{section_name}]"
        yield from _values(section, value)
        for table_name, table in tables_of(section).items():
            for item in getattr(value, table_name):
                yield f"\n[[{section_name}.{table_name}]]"
                yield from _values(table, item)
        yield ""


def _values(section: type, values: Any) -> Iterator[str]:
    for key in keys_of(section).values():
        value = getattr(values, key.name)
        if value is not None:
            yield f"{key.name} = {key.kind.write(value)}"
