"""What k of n costs: the same file in more and more shares, to folders and over TLS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.charts import CODE_COST, CODE_RATE
from bench.client import put
from bench.findings import Finding, charted
from bench.grid import gateway_to, storage_nodes
from bench.setting import WARM_UP, Setting
from bench.store import Store
from bench.transfer import Put, measured_put
from tahoeish.node.config import Encoding

ENCODINGS = ((1, 1), (2, 3), (4, 6), (3, 5), (7, 10), (5, 10), (3, 10))
"""From few bytes in shares to many."""


def measure(setting: Setting) -> Iterator[Finding]:
    with storage_nodes(setting.new_directory(), sync=False) as nodes:
        for needed, total in ENCODINGS:
            encoding = Encoding(needed=needed, happy=total, total=total)
            with setting.node(encoding=f"{needed}/{total}", sync=False) as node:
                local = _puts(setting, Store(node.address, node.process, [], node.empty))
            with gateway_to(nodes[:total], setting.new_directory(), encoding) as store:
                remote = _puts(setting, store)
            yield from _points("ours, folders, no TLS", f"{needed} of {total}", local)
            yield from _points("ours, nodes over TLS", f"{needed} of {total}", remote)


def _puts(setting: Setting, store: Store) -> Sequence[Put]:
    put(store.address, setting.new_body(WARM_UP))
    return [measured_put(store, setting.new_body(setting.scale.small)) for _ in range(setting.scale.runs)]


def _points(series: str, encoding: str, puts: Sequence[Put]) -> Iterator[Finding]:
    yield charted(CODE_RATE, series, encoding, [each.rate for each in puts])
    yield charted(CODE_COST, series, encoding, [each.cost.served for each in puts])
