"""What the commands for users, tokens, shares and locks print, and their exit status."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.entries import Content
from tahoeish.namespace.locks import Depth, LockWish, Scope
from tahoeish.namespace.passwords import Passwords
from tahoeish.namespace.tokens import Tokens
from tahoeish.namespace.users import User, Users
from tahoeish.namespace.viewer import Viewer
from tahoeish.node.main import main

NOW = 1_800_000_000.0
SECRET = "correct horse battery"


class Place:
    """A node's directory, and what the commands make of it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path.mkdir()
        (path / "tahoeish.toml").write_text('[[grid.peers]]\ndirectory = "peer"\n')
        self.path = path
        self._capsys = capsys
        self.password_file = path / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(f"{SECRET}\n")
        database = Database.open(sqlite_url(path / "catalogue.sqlite"))
        self.database = database
        self.users = Users(database, lambda: NOW)
        self.tokens = Tokens(database, lambda: NOW, os.urandom)
        self.catalogue = Catalogue(database, lambda: NOW)

    def run(self, *command: str) -> tuple[int, str, str]:
        """Exit status, output and errors."""
        try:
            status = main([*command, "--node-dir", str(self.path)])
        except SystemExit as misused:
            status = int(misused.code or 0)
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def done(self, *command: str) -> str:
        status, out, err = self.run(*command)
        assert (status, err) == (0, ""), err
        return out

    def user(self, name: str) -> User:
        user = self.users.find(name)
        assert user is not None
        return user

    def has_password(self, name: str, password: str) -> bool:
        return Passwords(os.urandom).match(password, self.user(name).password_hash)


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    place = Place(tmp_path / "node", capsys)
    yield place
    place.database.close()


class TestUser:
    def test_the_first_one_is_told_what_that_means(self, place: Place) -> None:
        password = ("--password-file", str(place.password_file))
        told = place.done("user", "add", "alice", *password, "--quota", "10 GiB")
        assert "alice may come in now" in told and "first user" in told and SECRET not in told
        assert place.user("alice").quota == 10 * 1024**3
        assert place.has_password("alice", SECRET)
        assert place.done("user", "add", "bob", *password) == "bob may come in now.\n"

    def test_the_list_says_who_is_an_operator(self, place: Place) -> None:
        place.done("user", "add", "alice", "--generate", "--operator")
        place.done("user", "add", "bob", "--generate")
        assert [line.endswith("operator") for line in place.done("user", "list").splitlines()[1:]] == [True, False]
        place.done("user", "operator", "alice", "off")
        place.done("user", "operator", "bob", "on")
        assert [line.endswith("operator") for line in place.done("user", "list").splitlines()[1:]] == [False, True]
        assert place.run("user", "operator", "carol", "on")[0] == 1

    def test_a_generated_password_is_shown_once_and_works(self, place: Place) -> None:
        password = place.done("user", "add", "alice", "--generate").rpartition(": ")[2].strip()
        assert place.has_password("alice", password)

    @pytest.mark.parametrize(
        ("name", "told"),
        [("a/b", "can't be a user's name"), ("local", "as long as there are no users"), ("x" * 65, "at most 64")],
    )
    def test_a_bad_name_is_refused(self, place: Place, name: str, told: str) -> None:
        status, _, err = place.run("user", "add", name, "--generate")
        assert status == 1 and err.startswith("tahoeish: user add: ") and told in err and err.count("\n") == 1

    def test_a_bad_password_is_refused(self, place: Place) -> None:
        place.password_file.write_text("short\n")
        status, _, err = place.run("user", "add", "alice", "--password-file", str(place.password_file))
        assert (status, err) == (1, "tahoeish: user add: a password has at least 8 characters\n")
        assert place.users.find("alice") is None

    def test_a_password_file_that_others_can_read_is_refused(self, place: Place) -> None:
        place.password_file.chmod(0o644)
        status, _, err = place.run("user", "add", "alice", "--password-file", str(place.password_file))
        assert status == 1 and "chmod 600" in err

    def test_a_missing_password_file_is_told(self, place: Place) -> None:
        status, _, err = place.run("user", "add", "alice", "--password-file", "/nonexistent")
        assert (status, err) == (1, "tahoeish: user add: /nonexistent: No such file or directory\n")

    def test_a_bad_quota_is_a_mistake(self, place: Place) -> None:
        status, _, err = place.run("user", "add", "alice", "--generate", "--quota", "much")
        assert status == 2 and "not a number and a unit" in err

    @pytest.mark.parametrize("size", ["99999999999GiB", str(2**63), "9" * 5000])
    def test_a_quota_that_nobody_can_count_is_a_mistake(self, place: Place, size: str) -> None:
        place.users.add("alice", None)
        for command in (("user", "quota", "alice", size), ("user", "add", "bob", "--generate", "--quota", size)):
            status, _, err = place.run(*command)
            assert status == 2 and ("SIZE: " in err or "--quota: " in err)
        assert place.user("alice").quota is None

    def test_passwd_gives_another_password(self, place: Place) -> None:
        place.users.add("alice", None)
        place.done("user", "passwd", "alice", "--password-file", str(place.password_file))
        assert place.has_password("alice", SECRET)
        status, _, err = place.run("user", "passwd", "bob", "--generate")
        assert (status, err) == (1, "tahoeish: user passwd: there is no user bob\n")

    def test_list_tells_who_there_is(self, place: Place) -> None:
        assert "no users" in place.done("user", "list")
        place.users.add("alice", None, quota=1024**3)
        place.users.add("bob", None)
        place.catalogue.put(Viewer("bob"), ("file",), Content("URI:LIT:me", 1))
        place.users.remove("bob", keep_files=True)
        lines = place.done("user", "list").splitlines()
        assert [line.split() for line in lines] == [
            ["NAME", "USED", "QUOTA", "SINCE"],
            ["alice", "0", "B", "1.0", "GiB", "2027-01-15"],
            ["bob", "1", "B", "none", "2027-01-15", "removed,", "files", "kept"],
        ]

    def test_remove_wants_a_word_about_files(self, place: Place) -> None:
        place.users.add("alice", None)
        place.users.add("bob", None)
        place.catalogue.put(Viewer("alice"), ("file",), Content("URI:LIT:me", 1))
        status, _, err = place.run("user", "remove", "alice")
        assert status == 1 and "--keep-files" in err and "--delete-files" in err
        assert "The files stay" in place.done("user", "remove", "alice", "--keep-files")
        assert place.user("alice").disabled
        assert place.done("user", "remove", "alice", "--delete-files") == "alice can't come in any more.\n"
        assert place.users.find("alice") is None
        assert "That was the last user" in place.done("user", "remove", "bob")

    def test_quota_is_set_and_taken_away(self, place: Place) -> None:
        place.users.add("alice", None)
        place.done("user", "quota", "alice", "1000")
        assert place.user("alice").quota == 1000
        place.done("user", "quota", "alice", str(2**63 - 1))
        assert place.user("alice").quota == 2**63 - 1
        assert "alice" in place.done("user", "list")
        place.done("user", "quota", "alice", "none")
        assert place.user("alice").quota is None

    def test_the_password_is_asked_for_twice_on_a_terminal_and_not_shown(self, place: Place) -> None:
        primary, secondary = pty.openpty()
        command = [sys.executable, "-m", "tahoeish.node.main", "user", "add", "alice", "--node-dir", str(place.path)]
        process = subprocess.Popen(command, stdin=secondary, stdout=secondary, stderr=secondary, start_new_session=True)
        os.close(secondary)
        seen = b""
        for prompt in (b"Password for alice: ", b"The same again: "):
            while not seen.endswith(prompt):
                seen += os.read(primary, 1000)
            os.write(primary, f"{SECRET}\n".encode())
        assert process.wait(30) == 0
        os.close(primary)
        assert SECRET.encode() not in seen
        assert place.has_password("alice", SECRET)


class TestToken:
    def test_create_prints_the_secret_and_nothing_else(self, place: Place) -> None:
        place.users.add("alice", None)
        options = ("--label", "phone", "--read-only", "--folder", "/a/b", "--expires", "30d")
        secret = place.done("token", "create", "alice", *options).removesuffix("\n")
        token = place.tokens.find(secret)
        assert token is not None
        assert (token.label, token.read_only, token.below) == ("phone", True, ("a", "b"))
        assert token.expires is not None and token.expires - token.created == pytest.approx(30 * 86400, abs=60)

    def test_create_needs_a_user_and_a_folder_that_can_be(self, place: Place) -> None:
        status, _, err = place.run("token", "create", "alice")
        assert (status, err) == (1, "tahoeish: token create: there is no user alice\n")
        place.users.add("alice", None)
        status, _, err = place.run("token", "create", "alice", "--folder", "/a/..")
        assert status == 1 and "not names" in err
        assert place.run("token", "create", "alice", "--expires", "soon")[0] == 2

    def test_list_tells_all_but_the_secrets(self, place: Place) -> None:
        assert place.done("token", "list") == "There are no tokens.\n"
        place.users.add("alice", None)
        one, secret = place.tokens.create("alice", label="phone", read_only=True, below=("a",))
        other, _ = place.tokens.create("alice", expires=1.0)
        listed = place.done("token", "list", "alice")
        assert secret.rpartition("_")[2] not in listed
        rows = {line.split()[0]: " ".join(line.split()[1:]) for line in listed.splitlines()[1:]}
        assert rows == {
            one.id: "alice read /a 2027-01-15 never never phone",
            other.id: "alice read, write / 2027-01-15 expired never",
        }

    @pytest.mark.parametrize("time", ["3000000 d", "999999999999d"])
    def test_none_lasts_longer_than_dates_go(self, place: Place, time: str) -> None:
        place.users.add("alice", None)
        status, _, err = place.run("token", "create", "alice", "--expires", time)
        assert status == 2 and "would end after the year 9999" in err
        assert place.tokens.all() == []

    def test_one_that_lasts_longer_is_listed(self, place: Place) -> None:
        place.users.add("alice", None)
        place.tokens.create("alice", expires=1e30)
        assert "after 9999" in place.done("token", "list")

    def test_revoke(self, place: Place) -> None:
        place.users.add("alice", None)
        token, secret = place.tokens.create("alice")
        place.done("token", "revoke", token.id)
        assert place.tokens.find(secret) is None
        status, _, err = place.run("token", "revoke", token.id)
        assert status == 1 and "there is no token" in err

    def test_of_nobody_there_is_no_list(self, place: Place) -> None:
        status, out, err = place.run("token", "list", "nobody")
        assert (status, out, err) == (1, "", "tahoeish: token list: there is no user nobody\n")
        place.users.add("alice", None)
        assert place.done("token", "list", "alice") == "There are no tokens.\n"


class TestShare:
    @pytest.fixture(autouse=True)
    def people(self, place: Place) -> None:
        for name in ("alice", "bob"):
            place.users.add(name, None)
        place.catalogue.make_folder(Viewer("alice"), ("photos",))

    def test_a_folder_is_shared_listed_and_unshared(self, place: Place) -> None:
        assert place.done("shares") == "Nothing is shared.\n"
        told = place.done("share", "/photos", "--from", "alice", "--with", "bob")
        assert told == "bob can read it as /@alice/photos.\n"
        told = place.done("share", "/photos", "--from", "alice", "--with", "bob", "--read-write")
        assert told == "bob can read and change it as /@alice/photos.\n"
        listed = place.done("shares").splitlines()
        assert [line.split() for line in listed[1:]] == [
            ["alice", "/photos", "bob", "/@alice/photos", "read,", "write"]
        ]
        place.done("unshare", "photos", "--from", "alice", "--with", "bob")
        assert place.done("shares") == "Nothing is shared.\n"

    @pytest.mark.parametrize(
        ("command", "told"),
        [
            (("share", "/nothing", "--from", "alice", "--with", "bob"), "there is nothing at /nothing"),
            (("share", "/photos", "--from", "alice", "--with", "nobody"), "there is no user nobody"),
            (("share", "/photos", "--from", "nobody", "--with", "bob"), "there is no user nobody"),
            (("share", "/photos", "--from", "alice", "--with", "alice"), "it is alice's own"),
            (("share", "/", "--from", "alice", "--with", "bob"), "--name"),
            (("unshare", "photos", "--from", "alice", "--with", "bob"), "nothing is shared"),
        ],
    )
    def test_what_cannot_be_is_told(self, place: Place, command: tuple[str, ...], told: str) -> None:
        status, out, err = place.run(*command)
        assert (status, out) == (1, "") and told in err and err.count("\n") == 1


class TestLock:
    def test_locks_are_listed_and_broken(self, place: Place) -> None:
        assert place.done("lock", "list") == "Nothing is locked.\n"
        place.users.add("alice", None)
        wish = LockWish(Scope.EXCLUSIVE, Depth.ZERO, None, 3600)
        lock, _ = place.catalogue.lock(Viewer("alice"), ("file",), wish)
        listed = place.done("lock", "list").splitlines()
        assert listed[1].split()[:4] == [lock.token, "/@alice/file", "alice", "exclusive"]
        place.done("lock", "break", lock.token)
        assert place.done("lock", "list") == "Nothing is locked.\n"
        assert place.run("lock", "break", lock.token)[0] == 1


def test_without_a_node_there_is_nothing_to_look_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "list", "--node-dir", str(tmp_path / "none")]) == 1
    assert "`tahoeish run` makes one" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "command",
    ["user add {} --generate", "user quota {} 1GB", "user remove {}", "token create {}", "token create ann --label {}",
     "token list {}", "url key add {}", "url sign GET /files/x --filename {}", "share x --from {} --with ann",
     "unshare {} --from ann --with bob", "lock break {}"],
)  # fmt: skip
def test_words_that_are_no_text_are_refused(place: Place, command: str) -> None:
    status, out, err = place.run(*command.format("\udcff").split())
    assert (status, out) == (2, "")
    assert err.endswith(": '\\udcff' isn't UTF-8\n") and err.count("\n") == 1
