"""What a check's result reads like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tahoeish.client.errors import TransferBroken
from tahoeish.client.report import CheckReport


def checked(good: int, *, hosts: int, problems: list[str] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "storage-index": "a" * 26,
        "summary": "not read",
        "results": {
            "count-shares-good": good,
            "count-shares-needed": 3,
            "count-shares-expected": 10,
            "count-good-share-hosts": hosts,
            "healthy": good == 10,
            "recoverable": good >= 3,
        },
    }
    return answer if problems is None else {**answer, "problems": problems}


def repaired(before: int, after: int, *, attempted: bool, problems: list[str]) -> dict[str, Any]:
    return {
        "storage-index": "a" * 26,
        "repair-attempted": attempted,
        "repair-successful": attempted and after == 10,
        "pre-repair-results": checked(before, hosts=before),
        "post-repair-results": checked(after, hosts=after),
        "problems": problems,
    }


def said(answer: object) -> str:
    return str(CheckReport.parse(json.dumps(answer)))


@pytest.mark.parametrize(
    ("good", "headline"),
    [
        (10, "Healthy: 10 of 10 shares on 7 peers; any 3 are enough"),
        (9, "Not healthy: 9 of 10 shares on 7 peers; any 3 are enough"),
        (2, "Not recoverable: 2 of 10 shares on 7 peers; any 3 are enough"),
    ],
)
def test_a_check(good: int, headline: str) -> None:
    assert said(checked(good, hosts=7)) == headline


def test_each_problem_has_a_line() -> None:
    lines = said(checked(10, hosts=7, problems=["a: is switched off", "b: lies"])).splitlines()
    assert lines[1:] == ["- a: is switched off", "- b: lies"]


@pytest.mark.parametrize(
    ("before", "after", "attempted", "deed"),
    [
        (10, 10, False, "There was nothing to repair."),
        (9, 10, True, "It has been repaired."),
        (8, 9, True, "The repair has failed."),
        (2, 2, False, "It can't be repaired."),
    ],
)
def test_a_repair(before: int, after: int, attempted: bool, deed: str) -> None:
    report = CheckReport.parse(json.dumps(repaired(before, after, attempted=attempted, problems=["what happened"])))
    assert report.healthy == (after == 10)
    assert str(report).splitlines()[1:] == [deed, "- what happened"]


def test_a_small_file() -> None:
    literal = {"storage-index": "", "results": {"healthy": True}}
    told = "Healthy: the file is in its cap, so no share of it can get lost"
    assert said(literal) == told
    both = {"pre-repair-results": literal, "post-repair-results": literal}
    repair = {"storage-index": "", "repair-attempted": False, "repair-successful": False, **both}
    assert said(repair) == f"{told}\nThere was nothing to repair."


@pytest.mark.parametrize(
    "text", ["", "<html>", "[]", "{}", '{"storage-index": "a"}', '{"repair-attempted": true}', "1"]
)
def test_something_else_is_not_taken_for_a_result(text: str) -> None:
    with pytest.raises(TransferBroken, match="not the result of a check"):
        CheckReport.parse(text)
