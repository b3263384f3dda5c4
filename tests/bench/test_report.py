"""What a run has found stays readable: as JSON, as tables, and beside what an earlier run has found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.charts import PUT_RATE, SMALL_FILES
from bench.findings import Finding, charted, not_measured
from bench.report import CannotUpdate, Report, Run
from bench.sizes import GIB, MIB

MACHINE = {"commit": "abc1234", "load before": "0.10"}


def run_of(rows: dict[str, list[Finding]]) -> Run:
    return Run(datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "bench/run", {"runs": 3}, MACHINE, rows)


def rate(*values: float) -> Finding:
    return Finding("PUT of 1 GiB", "60 MB/s or more", list(values), "MB/s", min(values) >= 60)


def test_a_run_is_the_same_after_it_was_written_and_read() -> None:
    run = run_of({"grid": [rate(70, 80, 90)], "peers": [charted(PUT_RATE, "ours", GIB, [1.5, 2.5])]})
    assert Run.from_json(run.as_json()) == run


def test_what_was_written_before_there_were_charts_can_still_be_read() -> None:
    content = rate(70).as_json()
    del content["point"]
    assert Finding.from_json(content) == rate(70)


def test_a_point_stands_in_its_chart_s_table_and_nowhere_else() -> None:
    points = [
        charted(PUT_RATE, "ours", GIB, [100, 300, 200]),
        charted(PUT_RATE, "ours", MIB, [10]),
        charted(PUT_RATE, "theirs", MIB, [20]),
    ]
    lines = Report([run_of({"peers": points})]).markdown(["peers"]).splitlines()
    assert "| | 1 MiB | 1 GiB |" in lines
    assert "| ours | 10 | 200 (100..300) |" in lines
    assert "| theirs | 20 | - |" in lines
    assert sum("ours" in line for line in lines) == 1


def test_a_point_that_couldn_t_be_measured_is_no_point_but_a_line_that_says_why() -> None:
    broken = replace(charted(PUT_RATE, "theirs", MIB, [20]), values=[], remark="it broke off")
    lines = Report([run_of({"peers": [charted(PUT_RATE, "ours", MIB, [10]), broken]})]).markdown(["peers"]).splitlines()
    assert "| ours | 10 |" in lines
    (told,) = [line for line in lines if "it broke off" in line]
    assert "not measured" in told and not any(line.startswith("| theirs |") for line in lines)


def test_a_report_shows_pictures_only_where_there_are_some() -> None:
    report = Report([run_of({"peers": [charted(SMALL_FILES, "ours", "files/s", [100])]})])
    assert "](plots/small-files.svg)" in report.markdown(["peers"], "plots")
    assert ".svg" not in report.markdown(["peers"])


def test_a_row_that_was_measured_again_replaces_the_earlier_one() -> None:
    earlier = run_of({"grid": [rate(10)], "crowd": [rate(70)]})
    report = Report([earlier]).updated(run_of({"grid": [rate(80)]}))
    assert [list(run.rows) for run in report.runs] == [["crowd"], ["grid"]]


def test_what_can_t_be_measured_is_no_failure_and_what_was_missed_is() -> None:
    assert run_of({"peers": [not_measured("nginx", "there is no nginx here")]}).all_hold
    assert not run_of({"grid": [rate(50)]}).all_hold


def test_other_json_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"runs": [{}]}')
    with pytest.raises(CannotUpdate, match=r"results\.json"):
        Report.written(tmp_path / "results.md")
