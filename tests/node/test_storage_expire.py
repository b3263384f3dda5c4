"""`tahoeish storage expire`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tahoeish.node.main import main
from tests.storage.containers import immutable_container, lease_number, put
from tests.storage.stores import NAME

DAY = 24 * 60 * 60
NOON = 12 * 60 * 60
LONG_AGO = 1_600_000_000 // DAY * DAY + NOON
EXPIRED = immutable_container(2, b"share", [lease_number(1, expiry=LONG_AGO)])
LEASED = immutable_container(2, b"share", [lease_number(1, expiry=2**32 - 1)])
TAKEN = f"shares/{NAME[:2]}/{NAME}"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    node = tmp_path / "node"
    node.mkdir()
    (node / "tahoeish.toml").write_text("[gateway]\nenabled = false\n[storage]\nenabled = true\n")
    return node


def expire(node: Path, *options: str) -> int:
    return main(["storage", "expire", "--node-dir", str(node), *options])


def test_prints_what_is_gone(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expired = put(node / "storage", 10, EXPIRED)
    leased = put(node / "storage", 2, LEASED)

    assert expire(node) == 0

    assert capsys.readouterr().out.splitlines() == [
        f"2020-09-13            89  {TAKEN}/10",
        "1 of 2 shares have expired, 89 bytes (now removed)",
    ]
    assert (expired.exists(), leased.exists()) == (False, True)


def test_dry_run_prints_what_would_go(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expired = put(node / "storage", 10, EXPIRED)

    assert expire(node, "--dry-run") == 0

    assert capsys.readouterr().out.splitlines() == [
        f"2020-09-13            89  {TAKEN}/10",
        "1 of 1 shares have expired, 89 bytes (nothing was removed)",
    ]
    assert expired.exists()


def test_goes_by_the_duration_in_the_configuration(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (node / "tahoeish.toml").open("a") as file:
        file.write('expire_after = "60 d"\n')
    now = int(time.time())
    ended_a_week_ago = immutable_container(2, b"share", [lease_number(1, expiry=now - 7 * DAY)])
    ended_a_month_ago = immutable_container(2, b"share", [lease_number(1, expiry=now - 30 * DAY)])
    paths = [put(node / "storage", number, each) for number, each in enumerate((ended_a_week_ago, ended_a_month_ago))]

    assert expire(node) == 0

    assert [path.exists() for path in paths] == [True, False]


def test_names_what_cannot_be_read(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(node / "storage", 0, b"")

    assert expire(node) == 0

    output = capsys.readouterr()
    assert output.err == f"tahoeish: storage expire: {path}: 0 bytes are too few for a share container\n"
    assert output.out == "1 can't be read and stay; 0 of 1 shares have expired, 0 bytes (now removed)\n"


def test_says_when_there_are_no_shares_to_look_at(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert expire(node) == 1
    assert capsys.readouterr().err == (f"tahoeish: storage expire: {node}/storage/shares: No such file or directory\n")


def test_ends_quietly_when_nobody_reads_on(node: Path) -> None:
    put(node / "storage", 0, EXPIRED)
    readable, writable = os.pipe()
    os.close(readable)
    command = [sys.executable, "-m", "tahoeish.node.main", "storage", "expire", "--dry-run", "--node-dir", str(node)]
    ended = subprocess.run(command, stdout=writable, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2], check=False)
    os.close(writable)

    assert (ended.returncode, ended.stderr) == (141, b"")
