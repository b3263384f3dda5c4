"""A node's directory is made whole, kept private, and held by one process."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tahoeish.chk import base32
from tahoeish.node import directory as directory_module
from tahoeish.node.config import ConfigError, default_text
from tahoeish.node.directory import NodeDirectory, NodeDirectoryError, OpenNodeDirectory, chosen_path


@pytest.fixture
def random_bytes() -> Callable[[int], bytes]:
    """Not random, but never the same twice."""
    numbers = count(1)
    return lambda length: bytes([next(numbers)] * length)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "node"


def contents(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != "node.lock"
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestFirstStart:
    def test_makes_everything(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        with OpenNodeDirectory(path, random_bytes) as directory:
            assert directory.convergence_secret == b"\x01" * 32
            assert directory.lease_secret == b"\x02" * 32

        assert contents(path) == {
            "private/convergence": base32.encode(b"\x01" * 32).encode() + b"\n",
            "private/secret": base32.encode(b"\x02" * 32).encode() + b"\n",
            "tahoeish.toml": default_text().encode(),
        }

    def test_keeps_it_private_whatever_the_umask(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        old = os.umask(0)
        try:
            OpenNodeDirectory(path, random_bytes).close()
        finally:
            os.umask(old)

        assert mode(path) == 0o700
        assert mode(path / "private") == 0o700
        assert mode(path / "private" / "convergence") == 0o600
        assert mode(path / "private" / "secret") == 0o600

    def test_that_cannot_make_it_says_where_and_why(self, tmp_path: Path, random_bytes: Callable[[int], bytes]) -> None:
        (tmp_path / "file").touch()

        with pytest.raises(NodeDirectoryError, match=r"cannot make the node directory .*/file/node: Not a directory"):
            OpenNodeDirectory(tmp_path / "file" / "node", random_bytes)


class TestSecondStart:
    def test_changes_nothing(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        OpenNodeDirectory(path, random_bytes).close()
        (path / "tahoeish.toml").write_text("# mine")
        before = contents(path)

        OpenNodeDirectory(path, random_bytes).close()

        assert contents(path) == before

    @pytest.mark.parametrize("step", ["mkdir", "open", "fsync", "replace"])
    @pytest.mark.parametrize("number", range(6))
    def test_completes_a_first_one_that_was_interrupted_anywhere(
        self,
        path: Path,
        random_bytes: Callable[[int], bytes],
        monkeypatch: pytest.MonkeyPatch,
        step: str,
        number: int,
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, step, interrupted_at(number, getattr(os, step)))
            try:
                OpenNodeDirectory(path, random_bytes).close()
            except KeyboardInterrupt:
                assert not (path / "tahoeish.toml").exists() or step == "fsync"
        kept = contents(path) if path.exists() else {}

        with OpenNodeDirectory(path, random_bytes) as directory:
            assert len({directory.convergence_secret, directory.lease_secret}) == 2

        whole = contents(path)
        assert set(whole) == {"private/convergence", "private/secret", "tahoeish.toml"}
        # What had its name already was whole, and may be in use.
        assert all(whole[name] == content for name, content in kept.items() if not name.endswith(".new"))

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "holds 0 bytes instead of 32"),
            ("abc", "holds no base32 text"),
            ("mzxw6ytb", "holds 5 bytes instead of 32"),
        ],
    )
    def test_with_a_spoilt_secret_is_refused(
        self, path: Path, random_bytes: Callable[[int], bytes], text: str, fault: str
    ) -> None:
        OpenNodeDirectory(path, random_bytes).close()
        (path / "private" / "secret").write_text(text)

        with pytest.raises(NodeDirectoryError, match=f"private/secret {fault}; put its backup in its place"):
            OpenNodeDirectory(path, random_bytes)


class TestLock:
    def test_keeps_another_process_out_and_names_it(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        program = (
            "import sys; from pathlib import Path; from tahoeish.node.directory import OpenNodeDirectory;"
            "directory = OpenNodeDirectory(Path(sys.argv[1]), bytes); print(flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", program, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()

            with pytest.raises(NodeDirectoryError, match=f"^process {other.pid} already runs the node in {path}$"):
                OpenNodeDirectory(path, random_bytes)

            other.kill()
            other.wait()
            OpenNodeDirectory(path, random_bytes).close()

    def test_left_to_workers_by_one_that_was_killed_comes_free_with_their_end(
        self, path: Path, random_bytes: Callable[[int], bytes]
    ) -> None:
        with lock_of_the_dead(path) as let_go, ThreadPoolExecutor() as threads:
            opening = threads.submit(OpenNodeDirectory, path, random_bytes)
            let_go()
            opening.result().close()

    def test_of_workers_that_never_end_is_refused(
        self, path: Path, random_bytes: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(directory_module, "LEFTOVERS_SECONDS", 0.05)
        with (
            lock_of_the_dead(path),
            pytest.raises(NodeDirectoryError, match=r"^workers that process \d+ has left behind still run "),
        ):
            OpenNodeDirectory(path, random_bytes)

    def test_is_let_go_at_the_end(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        OpenNodeDirectory(path, random_bytes).close()
        OpenNodeDirectory(path, random_bytes).close()

    def test_is_let_go_when_opening_fails(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        OpenNodeDirectory(path, random_bytes).close()
        secret = path / "private" / "secret"
        whole = secret.read_text()
        secret.write_text("")
        with pytest.raises(NodeDirectoryError):
            OpenNodeDirectory(path, random_bytes)
        secret.write_text(whole)

        OpenNodeDirectory(path, random_bytes).close()


def test_the_url_is_there_while_the_node_runs(path: Path, random_bytes: Callable[[int], bytes]) -> None:
    with OpenNodeDirectory(path, random_bytes) as directory:
        directory.write_url("http://127.0.0.1:3456")
        directory.write_url("http://127.0.0.1:3457")

        assert (path / "node.url").read_text() == "http://127.0.0.1:3457\n"

    assert not (path / "node.url").exists()


class TestConfig:
    def test_of_a_directory_that_is_not_there_yet_is_the_default(self, path: Path) -> None:
        config = NodeDirectory(path).config()

        assert [peer.directory for peer in config.grid.peers] == [path / f"peers/{number}" for number in (1, 2, 3)]
        assert not path.exists()

    def test_is_the_files(self, path: Path) -> None:
        path.mkdir(parents=True)
        (path / "tahoeish.toml").write_text('[[grid.peers]]\ndirectory = "a"')

        assert [peer.directory for peer in NodeDirectory(path).config().grid.peers] == [path / "a"]

    def test_problems_name_the_file_in_full(self, path: Path) -> None:
        path.mkdir(parents=True)
        (path / "tahoeish.toml").write_bytes(b"# fine\n# caf\xe9\n")

        with pytest.raises(ConfigError, match=f"^{path}/tahoeish.toml:2: not UTF-8 text$"):
            NodeDirectory(path).config()

    def test_that_cannot_be_read_is_told(self, path: Path) -> None:
        (path / "tahoeish.toml").mkdir(parents=True)

        with pytest.raises(NodeDirectoryError, match=f"^cannot read {path}/tahoeish.toml: Is a directory$"):
            NodeDirectory(path).config()


@pytest.mark.parametrize(
    ("option", "environ", "expected"),
    [
        ("/a", {"TAHOEISH_NODE_DIR": "/b"}, Path("/a")),
        (None, {"TAHOEISH_NODE_DIR": "/b"}, Path("/b")),
        (None, {"TAHOEISH_NODE_DIR": ""}, Path.home() / ".tahoeish"),
        (None, {}, Path.home() / ".tahoeish"),
        ("~/a", {}, Path.home() / "a"),
        ("a", {}, Path.cwd() / "a"),
    ],
)
def test_the_place_of_a_node(option: str | None, environ: dict[str, str], expected: Path) -> None:
    assert chosen_path(option, environ) == expected


@contextmanager
def lock_of_the_dead(path: Path) -> Iterator[Callable[[], None]]:
    """A process that has inherited the lock of one that is no more; the call lets it end."""
    program = (
        "import os, subprocess, sys; from pathlib import Path; from tahoeish.node.directory import OpenNodeDirectory;"
        "lock = OpenNodeDirectory(Path(sys.argv[1]), bytes).lock; subprocess.Popen(['cat'], pass_fds=[lock])"
    )
    reading, writing = os.pipe()
    with open(writing, "wb") as end, open(reading, "rb") as beginning:
        subprocess.run([sys.executable, "-c", program, str(path)], stdin=beginning, check=True)
        yield end.close


def interrupted_at(number: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, but the one after `number` of them is as far as its process gets."""
    calls: Iterator[int] = count()

    def counted(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            raise KeyboardInterrupt
        return call(*args, **kwargs)

    return counted
