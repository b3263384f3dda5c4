"""What the `tahoeish` command prints, and its exit status."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tahoeish.node.config import effective_text, parse
from tahoeish.node.main import main


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "node"


def write_config(node: Path, text: str) -> None:
    node.mkdir()
    (node / "tahoeish.toml").write_text(text)


def run(*arguments: str) -> int:
    """The exit status of a command line, whether a command or argparse has decided it."""
    try:
        return main(arguments)
    except SystemExit as argparse_exit:
        return int(argparse_exit.code or 0)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"tahoeish {version('tahoeish')}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0

    told = capsys.readouterr().out
    assert all(f"\n    {command} " in told for command in ("run", "config", "put", "get"))


def test_help_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("user",), ("user", "add")):
        assert run(*words, "--help") == 0
        asked = capsys.readouterr().out
        assert run("help", *words) == 0
        assert capsys.readouterr().out == asked


FILE, FOLDER = "URI:LIT:onzxg", "URI:DIR2-LIT:"


@pytest.mark.parametrize(
    "words",
    [
        ("get", FILE, "-q", "/dev/null"),
        ("get", FILE, "--quiet", "-"),
        ("get", FILE, "-q", "--", "/dev/null"),
        ("get", "-q", "--", FILE, "/dev/null"),
        ("get", FILE, "--user", "ann", "/dev/null"),
        ("restore", FOLDER, "--overwrite", "/before"),
        ("snapshot", "-q", "/photos"),
    ],
)
def test_an_option_may_stand_before_any_argument(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    # That the URL is refused shows that all words were understood.
    for at in (*words[:2], "--node-url=none", *words[2:]), (words[0], "--node-url=none", *words[1:]):
        assert run(*at) == 2
        assert "'none' is not the URL of a node" in capsys.readouterr().err


def test_a_file_whose_name_is_not_utf8_needs_another_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a\udcff"
    file.touch()
    assert run("put", str(file), "--to", "/files/", "--node-url=none") == 1
    told = capsys.readouterr().err
    assert "its name isn't UTF-8" in told and told.count("\n") == 1


@pytest.mark.parametrize("option", ["--jobs", "--retries"])
def test_a_number_without_measure_is_a_mistake(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("99999999999999", "9" * 5000):
        assert run("put", "file", option, number, "--node-url=none") == 2
        assert f"argument {option}: a number has at most 9 digits here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("get", FILE, "/a", "/b"), "/b"),
        (("get", FILE, "-q", "/a", "/b"), "/b"),
        (("get", FILE, "-q", "/a", "--bogus"), "--bogus"),
        (("put", "--", "-a", "-q"), "-q"),
    ],
)
def test_what_is_too_much_is_told(words: tuple[str, ...], left: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    assert f"error: unrecognized arguments: {left}\n" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "program"), [((), "tahoeish"), (("user",), "tahoeish user")])
def test_no_command_is_a_mistake(words: tuple[str, ...], program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert "the following arguments are required: COMMAND" in told
    assert f"`{program} --help` says more." in told


def test_help_does_not_wait_for_twisted() -> None:
    program = (
        "import sys; from tahoeish.node.main import main\n"
        "try: main(['--help'])\n"
        "finally: assert 'twisted' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


class TestConfig:
    def test_prints_what_is_in_effect(self, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = '[log]\nlevel = "debug"\n[[grid.peers]]\ndirectory = "a"\n'
        write_config(node, text)

        assert run("config", "--node-dir", str(node)) == 0

        printed = capsys.readouterr().out
        assert printed.startswith(effective_text(parse(text, base=node)))
        assert parse(printed, base=node) == parse(text, base=node)
        assert f'directory = "{node}/a"' in printed
        assert "erasure code is computed by" in printed

    def test_prints_everything_that_is_wrong(self, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_config(node, '[log]\nlevl = "debug"\n[gatway]\n[[grid.peers]]\ndirectory = "a"\n')

        assert run("config", "--node-dir", str(node)) == 2

        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.splitlines() == [
            f'{node}/tahoeish.toml:2: [log] levl: unknown key; did you mean "level"?',
            f"{node}/tahoeish.toml:3: [gatway]: unknown section; did you mean [gateway]?",
        ]

    def test_before_the_first_start_prints_the_defaults(
        self, node: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAHOEISH_NODE_DIR", str(node))

        assert run("config") == 0

        printed = capsys.readouterr().out
        assert printed.startswith(f"# There is no {node}/tahoeish.toml yet; ")
        assert len(parse(printed, base=node).grid.peers) == 3
        assert not node.exists()

    def test_counts_the_options_in(self, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
        options = ["--encoding", "3/10", "--listen", "tcp:1", "--listen", "tcp:2"]
        assert run("config", "--node-dir", str(node), *options) == 0

        config = parse(capsys.readouterr().out, base=node)
        assert (config.encoding.needed, config.encoding.total) == (3, 10)
        assert config.gateway.listen == ("tcp:1", "tcp:2")

    def test_refuses_an_encoding_that_cannot_be(self, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("config", "--node-dir", str(node), "--encoding", "10/3") == 2
        assert capsys.readouterr().err == (
            "tahoeish: --encoding: 10/3: 10 shares needed of only 3 made; did you mean 3/10?\n"
        )

    def test_tells_when_the_file_cannot_be_read(self, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (node / "tahoeish.toml").mkdir(parents=True)

        assert run("config", "--node-dir", str(node)) == 1
        assert capsys.readouterr().err == f"tahoeish: cannot read {node}/tahoeish.toml: Is a directory\n"


@pytest.mark.parametrize(
    "command", ["snapshot {}", "restore URI:DIR2-LIT: {}", "get URI:LIT: --user {}", "put x --node-url http://{}"]
)
def test_words_that_are_no_text_are_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command.format("\udcff").split()) == 2
    assert "\\udcff' isn't UTF-8\n" in capsys.readouterr().err
