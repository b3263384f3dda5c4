"""A configuration that is wrong is answered with everything that is wrong with it, and where."""

from pathlib import Path

import pytest

from tahoeish.node.config import Config, ConfigError, Problem, parse
from tahoeish.storage.nurl import Nurl

BASE = Path("/node")
ONE_PEER = '[[grid.peers]]\ndirectory = "peers/1"\n'
SWISSNUM = "zj6vmlqjdtwhfrukhtuk37uwi64jfixl"
NURL = f"pb://{'A' * 43}@node.example:3457/{SWISSNUM}#v=1"
STORAGE_NODE = f'[[grid.peers]]\nnurl = "{NURL}"\n'
HINT = 'write it like "tcp:3456:interface=127.0.0.1"'


def read(text: str) -> Config:
    return parse(f"{text}\n{ONE_PEER}", base=BASE)


def complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, base=BASE)
    return str(caught.value).splitlines()


def complaint(text: str) -> str:
    """The only complaint about a text that has a peer beside it."""
    only, *others = complaints(f"{text}\n{ONE_PEER}")
    assert not others
    return only


def test_defaults() -> None:
    config = read("")

    assert config.gateway.listen == ("tcp:3456:interface=127.0.0.1",)
    assert (config.encoding.needed, config.encoding.total, config.encoding.happy) == (2, 3, 0)
    assert config.encoding.segment_size == 1 << 20
    assert config.durability.sync
    assert config.grid.stall_timeout == 10.0


def test_values() -> None:
    config = read(
        """
        [gateway]
        listen = "tcp:80"
        max_upload_size = "2 GiB"
        idle_timeout = 90
        body_deadline = "1.5 h"
        [durability]
        sync = false
        [log]
        level = "debug"
        """
    )

    assert config.gateway.listen == ("tcp:80",)
    assert config.gateway.max_upload_size == 2 << 30
    assert config.gateway.idle_timeout == 90.0
    assert config.gateway.body_deadline == 5400.0
    assert not config.durability.sync
    assert config.log.level == "debug"


@pytest.mark.parametrize(
    "endpoint",
    ["tcp:0", "tcp:interface=127.0.0.1:port=80", "tcp6:80:interface=\\:\\:1", "unix:/a", "systemd:domain=INET:index=0"],
)
def test_endpoints_of_every_form_are_accepted(endpoint: str) -> None:
    assert read(f"[gateway]\nlisten = '{endpoint}'").gateway.listen == (endpoint,)


def test_everything_wrong_is_named_at_once() -> None:
    text = """\
colour = "red"
[gateway]
listn = "tcp:3456"
idle_timeout = "never"
listen = ["3456",
  "http://localhost:80"]
[gatway]
[encoding]
needed = 5
total = 4
sync = false
[grid]
[[grid.peers]]
directory = "peers/1"
[[grid.peers]]
directory = "./peers/1"
[[grid.peers]]
nicknme = "third"
[threads]
disk = "many"
"""

    assert complaints(text) == [
        "tahoeish.toml:1: colour: unknown key",
        'tahoeish.toml:3: [gateway] listn: unknown key; did you mean "listen"?',
        'tahoeish.toml:4: [gateway] idle_timeout: "never": not a number and a unit, such as "30 s"',
        f'tahoeish.toml:5: [gateway] listen: "3456" is no endpoint; {HINT}',
        f'tahoeish.toml:5: [gateway] listen: "http://localhost:80" is no endpoint; {HINT}',
        "tahoeish.toml:7: [gatway]: unknown section; did you mean [gateway]?",
        "tahoeish.toml:9: [encoding] needed: 5 shares needed of only 4 made (total)",
        "tahoeish.toml:11: [encoding] sync: unknown key; it belongs in [durability]",
        'tahoeish.toml:16: [[grid.peers]] directory: "/node/peers/1" is another peer\'s already',
        "tahoeish.toml:17: [[grid.peers]] directory: is missing, or nurl in its place",
        'tahoeish.toml:18: [[grid.peers]] nicknme: unknown key; did you mean "nickname"?',
        'tahoeish.toml:20: [threads] disk: must be a whole number, not "many"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[gateway]\nidle_timeout = true", "must be a duration such as"),
        ("[gateway]\nidle_timeout = 0", "must be 1 s or more, not 0"),
        ("[gateway]\nidle_timeout = inf", "must be 365 d or less, not Infinity"),
        ("[gateway]\nidle_timeout = nan", "must be a duration such as"),
        ("[gateway]\nidle_timeout = 1" + "0" * 400, "must be 365 d or less"),
        ("[gateway]\nbody_deadline = -1", "must be 0 s or more, not -1"),
        ("[gateway]\nmax_upload_size = 1.5", "must be a size such as"),
        ("[gateway]\nmax_upload_size = -1", "must be 0 or more, not -1"),
        ('[gateway]\nmax_upload_size = "2 XB"', '"2 XB": unknown unit XB; one of B, KiB'),
        ("[gateway]\nlisten = []", "must name at least one endpoint"),
        ("[gateway]\nlisten = [3456]", "must be an endpoint such as"),
        ('[gateway]\nlisten = "127.0.0.1:3456"', "is no endpoint"),
        ('[gateway]\nlisten = "localhost:3456"', "is no endpoint"),
        ('[gateway]\nlisten = "tcp:http"', "after tcp: comes a port, 0 to 65535"),
        ('[gateway]\nlisten = "tcp:65536"', "after tcp: comes a port, 0 to 65535"),
        ("[encoding]\nneeded = 0", "must be 1 to 256, not 0"),
        ("[encoding]\ntotal = 300", "must be 1 to 256, not 300"),
        ("[encoding]\ntotal = true", "must be a whole number, not true"),
        ("[encoding]\ntotal = 1", "2 shares needed of only 1 made (total)"),
        ("[encoding]\nhappy = 4", "3 shares (total) cannot lie on 4 different peers"),
        ('[encoding]\nsegment_size = "2 MiB"', 'must be 1 MiB or less, not "2 MiB"'),
        ("[encoding]\nsegment_size = 4095", "must be 4 KiB or more, not 4095"),
        ("[memory]\nuploads = 1", "must be 4 MiB or more, not 1"),
        ("[durability]\nsync = 1", "must be true or false, not 1"),
        ('[log]\nlevel = "loud"', 'must be one of "debug", "info", "warn", "error", "critical", not "loud"'),
        ("[threads]\ndisk = 0", "must be 1 to 256, not 0"),
        ("[[log]]", "must be a section, [log], not"),
        ("log = 3", "must be a section, [log], not 3"),
        ('"strange\\nkey" = 1', '"strange\\nkey": unknown key'),
    ],
)
def test_wrong_value(text: str, expected: str) -> None:
    told = complaints(f"{text}\n{ONE_PEER}")

    assert expected in told[0]
    assert told[0].startswith(("tahoeish.toml:1:", "tahoeish.toml:2:"))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a = 1\nb = \n", 2, "not TOML: Invalid value"),
        ("a = 1\n\na = 2\n", 3, "not TOML: Cannot overwrite a value"),
        ("a = '''\nb\n", 2, "not TOML: "),
        ("[gateway]\r\n\r\nlisten\r\n", 3, "not TOML: Expected '=' after a key in a key/value pair"),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, base=BASE)

    (problem,) = caught.value.problems
    assert problem.line == line
    assert problem.message.startswith(message)


def test_lines_are_counted_right_when_they_end_as_on_windows() -> None:
    assert complaint("[log]\r\n\r\nlevl = 1").startswith("tahoeish.toml:3: [log] levl:")


def test_the_file_is_called_what_the_caller_says() -> None:
    with pytest.raises(ConfigError, match=r"^/etc/node\.toml:1: x: unknown key$"):
        parse(f"x = 1\n{ONE_PEER}", base=BASE, source="/etc/node.toml")


def test_a_problem_that_stands_nowhere_has_no_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("", base=BASE)

    assert caught.value.problems == [
        Problem(None, "[grid] peers", "are missing; add one or more sections [[grid.peers]]")
    ]


class TestPeers:
    def test_directories_count_from_the_base(self) -> None:
        config = parse('[[grid.peers]]\ndirectory = "a/../b"\n[[grid.peers]]\ndirectory = "/disk"', base=BASE)

        assert [peer.directory for peer in config.grid.peers] == [Path("/node/b"), Path("/disk")]

    def test_are_called_by_their_nickname_or_as_their_folder_is_written(self) -> None:
        config = parse(f'{ONE_PEER}[[grid.peers]]\ndirectory = "b"\nnickname = "big disk"', base=BASE)

        assert [peer.nickname for peer in config.grid.peers] == ["peers/1", "big disk"]

    def test_two_of_one_nickname_are_refused(self) -> None:
        second = '[[grid.peers]]\ndirectory = "b"\nnickname = "peers/1"\n'

        assert complaints(ONE_PEER + second) == [
            'tahoeish.toml:5: [[grid.peers]] nickname: "peers/1" is another peer\'s already'
        ]

    def test_inline_ones_are_found_in_their_lines(self) -> None:
        assert complaints('[grid]\npeers = [\n  { directory = "a" },\n  { directory = "b", nickname = 1 },\n]') == [
            "tahoeish.toml:4: [[grid.peers]] nickname: must be a text of printable characters, not 1"
        ]

    def test_a_storage_node_is_called_by_its_address(self) -> None:
        (peer,) = parse(STORAGE_NODE, base=BASE).grid.peers

        assert peer.nurl == Nurl.parse(NURL)
        assert peer.nickname == "node.example:3457"
        assert peer.directory is None

    def test_is_a_folder_or_a_storage_node(self) -> None:
        assert complaints(f'{STORAGE_NODE}directory = "b"\n[[grid.peers]]\nnickname = "nowhere"') == [
            "tahoeish.toml:2: [[grid.peers]] nurl: a peer is a storage node or a folder (directory), not both",
            "tahoeish.toml:4: [[grid.peers]] directory: is missing, or nurl in its place",
        ]

    def test_one_storage_node_is_one_peer(self) -> None:
        moved = STORAGE_NODE.replace("node.example", "moved.example")

        assert complaints(STORAGE_NODE + moved) == [
            "tahoeish.toml:4: [[grid.peers]] nurl: its key is another peer's already"
        ]

    def test_a_wrong_nurl_is_told_without_its_secret(self) -> None:
        (told,) = complaints(STORAGE_NODE.replace("v=1", "v=2"))

        assert told.startswith("tahoeish.toml:2: [[grid.peers]] nurl: is no NURL: ")
        assert SWISSNUM not in told

    def test_what_goes_with_storage_nodes_is_refused_for_folders(self) -> None:
        assert complaints(f'{ONE_PEER}permutation_seed = "aa"\ntub_id = "{"a" * 32}"') == [
            "tahoeish.toml:3: [[grid.peers]] permutation_seed: is for storage nodes (nurl); a folder brings its own",
            "tahoeish.toml:4: [[grid.peers]] tub_id: is for storage nodes (nurl); a folder brings its own",
        ]

    def test_a_tub_id_has_twenty_bytes(self) -> None:
        assert complaints(f'{STORAGE_NODE}tub_id = "aa"') == [
            'tahoeish.toml:3: [[grid.peers]] tub_id: "aa" stands for 1 bytes; there must be 20'
        ]

    def test_disabled_ones_do_not_count(self) -> None:
        config = parse(f'{ONE_PEER}[[grid.peers]]\ndirectory = "b"\nenabled = false', base=BASE)

        assert [peer.nickname for peer in config.grid.enabled_peers] == ["peers/1"]
        assert complaints(f"{ONE_PEER}enabled = false") == ["tahoeish.toml:1: [grid] peers: are all disabled"]

    def test_one_pair_of_brackets_is_too_few(self) -> None:
        assert complaints('[grid.peers]\ndirectory = "a"') == [
            "tahoeish.toml:1: [grid] peers: must be a list of sections, each headed [[grid.peers]]"
        ]

    @pytest.mark.parametrize("directory", ["", "~/shares", "a\\u0000b"])
    def test_a_folder_that_cannot_be_is_refused(self, directory: str) -> None:
        (told,) = complaints(f'[[grid.peers]]\ndirectory = "{directory}"')

        assert told.startswith("tahoeish.toml:2: [[grid.peers]] directory: must be")

    def test_fewer_than_must_hold_shares_are_refused(self) -> None:
        assert complaint("[encoding]\nhappy = 2") == (
            "tahoeish.toml:2: [encoding] happy: 2 different peers must hold shares, but there are only 1"
        )


class TestRoles:
    STORAGE_ONLY = "[gateway]\nenabled = false\n[storage]\nenabled = true\n"

    def test_a_storage_node_needs_no_peers(self) -> None:
        config = parse(self.STORAGE_ONLY, base=Path("/node"))
        assert config.grid.peers == ()
        assert config.storage.directory == Path("/node/storage")

    def test_a_node_with_no_role_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"\[storage\] must be enabled, or the node has nothing to do"):
            parse("[gateway]\nenabled = false\n", base=Path("/node"))

    @pytest.mark.parametrize(
        ("key", "value", "words"),
        [
            ("location", "storage.example.net", "no host and port"),
            ("location", "https://storage.example.net:1", "no host and port"),
            ("permutation_seed", "A0", "only a-z and 2-7"),
        ],
    )
    def test_what_goes_into_the_nurl_is_checked(self, key: str, value: str, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            parse(f'{self.STORAGE_ONLY}{key} = "{value}"\n', base=Path("/node"))
