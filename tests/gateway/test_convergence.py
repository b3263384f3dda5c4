"""Convergent uploads and hints of the length, through a real node."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tahoeish.chk import base32
from tests.nodes import NOT_DURABLE, NodeProcess, content_of

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "chk_vectors.json").read_text())[
    "vectors"
]
CODES = sorted({(vector["k"], vector["n"]) for vector in VECTORS})


def sample_of(vector: dict[str, Any]) -> bytes:
    seed, length = base64.b64decode(vector["sample"]["seed_b64"]), vector["sample"]["length"]
    return bytes(itertools.islice(itertools.cycle(seed), length))


@pytest.mark.parametrize(("needed", "total"), CODES)
def test_the_published_caps_come_out_and_read_back(tmp_path: Path, needed: int, total: int) -> None:
    settings = {
        **NOT_DURABLE,
        "encoding": {"needed": needed, "total": total, "segment_size": 131072},
    }
    with NodeProcess(tmp_path / "node", settings) as node:
        node.start()
        # The larger samples once per code: what they are made of doesn't matter to the road.
        seen: set[int] = set()
        for vector in (vector for vector in VECTORS if (vector["k"], vector["n"]) == (needed, total)):
            sample = sample_of(vector)
            if len(sample) > 1_000_000 and len(sample) in seen:
                continue
            seen.add(len(sample))
            secret = base32.encode(base64.b64decode(vector["secret_b64"]))
            answer = node.request("PUT", f"/uri?convergence-secret={secret}", sample)
            assert (answer.status, answer.text) == (201, vector["cap"])
            assert node.get("/uri/" + quote(vector["cap"])).body == sample


def test_the_same_file_twice_takes_the_room_of_one(node: NodeProcess) -> None:
    data = content_of(200_000, seed=77)
    answers = [node.request("PUT", "/uri?convergent=true", data) for _ in range(2)]
    assert answers[0].text == answers[1].text
    assert answers[0].headers["tahoeish-spooled"] == "true"
    assert len(node.shares(answers[0].text)) == 3


@pytest.mark.parametrize(
    "target", ["/uri?size-hint=ten", "/uri?size-hint=-1", "/uri?convergence-secret=1", "/uri?convergent=x"]
)
def test_nonsense_is_refused(node: NodeProcess, target: str) -> None:
    assert node.request("PUT", target, b"x" * 100).status == 400
