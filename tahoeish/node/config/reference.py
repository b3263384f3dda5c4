"""
The reference page of the configuration, made from the declarations.

`python -m tahoeish.node.config.reference > docs/reference/configuration.md` writes it anew.
"""

from collections.abc import Iterator

from .model import Config
from .schema import Key, keys_of, sections_of, summary, tables_of
from .writing import DEFAULT_PEERS

_PREAMBLE = f"""\
# Configuration

When it starts, a node reads `tahoeish.toml` in its directory: `~/.tahoeish`, or what `--node-dir` or
`TAHOEISH_NODE_DIR` says. The first start writes one with every key in it, as a comment that shows the
default, and with the peers {", ".join(f"`{peer}`" for peer in DEFAULT_PEERS)}.

An unknown key or a wrong value keeps the node from starting; all of them are named at once, each with its
line. `tahoeish config` prints what is in effect, or what is wrong.

- A **size** is a number of bytes or a text such as `"64 MiB"` (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB).
- A **duration** is a number of seconds or a text such as `"30 s"` (ms, s, min, h, d).
- An **endpoint** is a text that says where to listen: `"tcp:3456:interface=127.0.0.1"`, `"tcp6:3456"`,
  `"unix:/run/tahoeish.sock"`, `"ssl:443:privateKey=/path/key.pem:certKey=/path/cert.pem"` for
  [HTTPS](../how-to/https.md), or any other of Twisted's server endpoint strings.

On the command line, `--encoding 3/10` takes the place of `needed` and `total` (and lets `happy` be chosen
anew), and `--listen` that of `listen`.
"""


def reference_text() -> str:
    """The whole page, as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _PREAMBLE
    for name, section in sections_of(Config).items():
        yield from _section(f"[{name}]", section)
        for table_name, table in tables_of(section).items():
            yield from _section(f"[[{name}.{table_name}]]", table)


def _section(header: str, section: type) -> Iterator[str]:
    yield f"## `{header}`\n"
    yield f"{summary(section)}\n"
    yield "| key | what it says | value | default |"
    yield "| --- | --- | --- | --- |"
    for key in keys_of(section).values():
        yield f"| `{key.name}` | {key.doc} | {key.kind.describe()} | {_default(key)} |"
    yield ""


def _default(key: Key) -> str:
    if key.required or key.default is None:
        return "none, required" if key.required else "none"
    return f"`{key.kind.write(key.default)}`"


if __name__ == "__main__":
    print(reference_text(), end="")
