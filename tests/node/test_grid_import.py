"""What is taken over from a Tahoe-LAFS client: `tahoeish grid import`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from tahoeish.chk import base32
from tahoeish.node.config import Peer
from tahoeish.node.directory import NodeDirectory
from tahoeish.node.grid_import import Findings, NotATahoeClient, find_peers, peer_from, without_known
from tahoeish.node.main import main
from tahoeish.storage.nurl import Nurl

SWISSNUM = "zj6vmlqjdtwhfrukhtuk37uwi64jfixl"
TUB_ID = "mrswmz3infvgw3dnnzxxa4lson2hk5tx"
SERVER_ID = f"v0-{base32.encode(bytes(range(32)))}"


def nurl(number: int = 1, *, version: str = "v=1") -> str:
    return str(Nurl(bytes([number]) * 32, f"node{number}.example", 3457, SWISSNUM)).replace("v=1", version)


def announcement(number: int = 1, others: Mapping[str, object] | None = None) -> dict[str, object]:
    return {
        "nickname": f"node-{number}",
        "anonymous-storage-FURL": f"pb://{TUB_ID}@tcp:node.example:3457/{SWISSNUM}",
        "anonymous-storage-NURLs": [nurl(number)],
        "permutation-seed-base32": base32.encode(bytes([number]) * 52),
        **(others or {}),
    }


class Client:
    """The node directory of a Tahoe-LAFS client. Its files are in JSON, which is YAML, too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.private = directory / "private"
        self.private.mkdir(parents=True)

    def knows(self, *announcements: dict[str, object], introducer: str = "default") -> None:
        cache = [
            {"ann": {"service-name": "storage", **announcement}, "key_s": f"{SERVER_ID}-{announcement['nickname']}"}
            for announcement in announcements
        ]
        (self.private / f"introducer_{introducer}_cache.yaml").write_text(json.dumps(cache))

    def is_told(self, text: str) -> None:
        (self.private / "servers.yaml").write_text(text)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path / "tahoe")


def nicknames(findings: Findings) -> list[str]:
    return [peer.nickname for peer in findings.peers]


class TestAnnouncements:
    def test_a_peer_is_what_is_announced(self) -> None:
        assert peer_from(SERVER_ID, announcement()) == Peer(
            nurl=Nurl.parse(nurl()),
            nickname="node-1",
            permutation_seed=base32.encode(b"\x01" * 52),
            tub_id=TUB_ID,
        )

    def test_without_a_seed_it_comes_from_the_public_key(self) -> None:
        peer = peer_from(SERVER_ID, announcement(1, {"permutation-seed-base32": None}))
        assert base32.decode(peer.permutation_seed) == bytes(range(32))

    def test_without_a_seed_and_a_public_key_it_comes_from_the_id(self) -> None:
        peer = peer_from("my friend's", announcement(1, {"permutation-seed-base32": None}))
        assert base32.decode(peer.permutation_seed) == sha256(b"my friend's").digest()

    def test_a_furl_that_leads_nowhere_has_a_tub_id_all_the_same(self) -> None:
        assert (
            peer_from(SERVER_ID, announcement(1, {"anonymous-storage-FURL": f"pb://{TUB_ID}@/none"})).tub_id == TUB_ID
        )

    @pytest.mark.parametrize("furl", [None, "pb://short@tcp:1.2.3.4:1/none", "pb://a0@tcp:1.2.3.4:1/none", 5])
    def test_another_tub_id_is_as_good_as_none(self, furl: object) -> None:
        assert peer_from(SERVER_ID, announcement(1, {"anonymous-storage-FURL": furl})).tub_id == ""

    def test_the_first_usable_nurl_is_taken(self) -> None:
        nurls = [nurl(7, version="v=9"), nurl(8), nurl(9)]
        assert peer_from(SERVER_ID, announcement(1, {"anonymous-storage-NURLs": nurls})).nurl == Nurl.parse(nurl(8))

    def test_without_a_nickname_it_is_called_by_its_id(self) -> None:
        assert peer_from(SERVER_ID, announcement(1, {"nickname": ""})).nickname == SERVER_ID[:11]


class TestFiles:
    def test_what_several_introducers_have_announced_is_found(self, client: Client) -> None:
        client.knows(announcement(1), announcement(2))
        client.knows(announcement(3), introducer="other")
        assert nicknames(find_peers(client.directory)) == ["node-1", "node-2", "node-3"]

    def test_what_is_written_by_hand_counts_more(self, client: Client) -> None:
        client.knows(announcement(1))
        client.is_told(
            f"""\
storage:
  {SERVER_ID}-node-1:
    ann:
      nickname: by-hand  # instead
      anonymous-storage-FURL: pb://{TUB_ID}@tcp:127.0.0.1:1/none
      anonymous-storage-NURLs:
        - {nurl(5)}
      permutation-seed-base32: {base32.encode(b"seed")}
"""
        )
        [peer] = find_peers(client.directory).peers
        assert (peer.nickname, peer.nurl) == ("by-hand", Nurl.parse(nurl(5)))

    def test_those_that_cannot_be_used_are_named(self, client: Client) -> None:
        client.knows(
            announcement(1, {"anonymous-storage-NURLs": []}),
            announcement(2, {"anonymous-storage-NURLs": [nurl(2, version="v=2")]}),
            announcement(3, {"permutation-seed-base32": "A"}),
            announcement(4),
        )
        findings = find_peers(client.directory)
        assert nicknames(findings) == ["node-4"]
        assert findings.unusable["node-1"].startswith("it tells no NURL")
        assert "v=1" in findings.unusable["node-2"]
        assert SWISSNUM not in findings.unusable["node-2"]
        assert findings.unusable["node-3"].startswith("its permutation seed is wrong")

    def test_other_services_are_none_of_our_business(self, client: Client) -> None:
        client.knows(announcement(1, {"service-name": "stub"}))
        assert find_peers(client.directory) == Findings()

    def test_a_folder_that_is_something_else_is_told(self, client: Client) -> None:
        with pytest.raises(NotATahoeClient, match=r"is .*tahoe the node directory of a Tahoe-LAFS client"):
            find_peers(client.directory)

    @pytest.mark.parametrize("text", ["storage: [", "a: !!python/object:os.system {}", "\x00"])
    def test_a_file_that_is_no_yaml_is_told(self, client: Client, text: str) -> None:
        client.is_told(text)
        with pytest.raises(NotATahoeClient, match=r"cannot read .*servers\.yaml: "):
            find_peers(client.directory)

    @pytest.mark.parametrize("text", ["", "[]", "storage: 5", "storage: {a: }", "storage: {a: {ann: []}}"])
    def test_files_with_other_things_in_them_are_no_trouble(self, client: Client, text: str) -> None:
        client.is_told(text)
        assert find_peers(client.directory).peers == []


class TestNews:
    def test_a_peer_is_known_by_its_key_or_its_seed(self) -> None:
        known = [peer_from(SERVER_ID, announcement(number)) for number in (1, 2)]
        same_key = peer_from(SERVER_ID, announcement(1, {"permutation-seed-base32": "aa"}))
        same_seed = peer_from(SERVER_ID, announcement(2, {"anonymous-storage-NURLs": [nurl(9)]}))
        new = peer_from(SERVER_ID, announcement(3))
        assert without_known([same_key, same_seed, new, new], known) == [new]

    def test_nicknames_are_made_unique(self) -> None:
        found = [peer_from(SERVER_ID, announcement(number, {"nickname": "storage"})) for number in (1, 2, 3)]
        known = [Peer(directory=Path("/disk"), nickname="storage (2)")]
        assert [peer.nickname for peer in without_known(found, known)] == ["storage", "storage (3)", "storage (4)"]


class TestCommand:
    @pytest.fixture
    def node(self, tmp_path: Path, client: Client) -> NodeDirectory:
        client.knows(announcement(1), announcement(2, {"anonymous-storage-NURLs": []}), announcement(3))
        return NodeDirectory(tmp_path / "node")

    def grid_import(self, node: NodeDirectory, client: Client, *options: str) -> int:
        return main(["grid", "import", str(client.directory), "--node-dir", str(node.path), *options])

    def test_prints_what_could_be_written(
        self, node: NodeDirectory, client: Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.grid_import(node, client) == 0
        told = capsys.readouterr()
        assert told.out.startswith(f'[[grid.peers]]\nnurl = "{nurl(1)}"\nnickname = "node-1"\npermutation_seed = ')
        assert told.out.count("[[grid.peers]]") == 2
        assert "node-2 is left out: it tells no NURL" in told.err
        assert "2 new peers, 0 are there already" in told.err
        assert not node.path.exists()

    def test_makes_a_node_of_those_peers(self, node: NodeDirectory, client: Client) -> None:
        assert self.grid_import(node, client, "--write") == 0
        assert [peer.nickname for peer in node.config().grid.peers] == ["node-1", "node-3"]
        assert node.config_path.stat().st_mode & 0o777 == 0o600

    def test_adds_what_is_new_to_a_node(
        self, node: NodeDirectory, client: Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        node.path.mkdir()
        node.config_path.write_text('# By hand.\n[[grid.peers]]\ndirectory = "peers/1"')
        node.config_path.chmod(0o640)
        self.grid_import(node, client, "--write")
        client.knows(announcement(1), announcement(4))
        self.grid_import(node, client, "--write")
        assert "1 new peers, 1 are there already" in capsys.readouterr().err
        assert [peer.nickname for peer in node.config().grid.peers] == ["peers/1", "node-1", "node-3", "node-4"]
        assert node.config_path.read_text().startswith("# By hand.\n")
        assert node.config_path.stat().st_mode & 0o777 == 0o640

    def test_a_node_may_have_had_no_peers_before(self, node: NodeDirectory, client: Client) -> None:
        node.path.mkdir()
        node.config_path.write_text("[encoding]\nneeded = 1\ntotal = 2\n")
        assert self.grid_import(node, client, "--write") == 0
        assert [peer.nickname for peer in node.config().grid.peers] == ["node-1", "node-3"]

    def test_changes_nothing_that_it_cannot_add_to(
        self, node: NodeDirectory, client: Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        node.path.mkdir()
        inline = '[grid]\npeers = [{ directory = "peers/1" }]\n'
        node.config_path.write_text(inline)
        assert self.grid_import(node, client, "--write") == 2
        assert "not TOML" in capsys.readouterr().err
        assert node.config_path.read_text() == inline

    def test_a_folder_that_is_something_else_is_told(
        self, node: NodeDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["grid", "import", str(tmp_path), "--node-dir", str(node.path)]) == 1
        assert capsys.readouterr().err.startswith("tahoeish: grid import: ")
