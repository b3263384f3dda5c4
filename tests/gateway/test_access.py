"""Who may do what at a node that runs: users, tokens of every kind, and everybody else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.nodes import NOT_DURABLE, Answer, NodeProcess, curl, head, running, wait_until
from tests.people import add_user, administered, basic, bearer, new_token, password_of

CHANGING = ["PUT", "POST", "DELETE", "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "UNLOCK", "PATCH", "MADE-UP"]
READING = ["GET", "HEAD", "PROPFIND"]
ADDRESSES = ["/", "/?t=json", "/uri", "/uri/URI:LIT:me", "/cap/URI:LIT:me", "/file/URI:LIT:me", "/named/URI:LIT:me/a",
             "/files", "/files/", "/files/a", "/nothing", "//files", "/files/../files"]  # fmt: skip


@dataclass
class People:
    """A node with users, and what they have."""

    node: NodeProcess
    reading: str
    folder: str
    both: str

    def ask(self, method: str, target: str, who: Mapping[str, str], **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.node.request(method, target, b"x" if method in ("PUT", "PATCH") else b"", {**who, **named})


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with running(tmp_path_factory.mktemp("people") / "node", NOT_DURABLE) as node:
        add_user(node, "alice")
        add_user(node, "Jürgen")
        folder = ("--folder", "/photos/2026")
        people = People(
            node,
            reading=new_token(node, "alice", "--read-only"),
            folder=new_token(node, "alice", *folder),
            both=new_token(node, "alice", *folder, "--read-only"),
        )
        # Until the node has noticed.
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        for path in ("photos", "photos/2026", "letters"):
            assert people.ask("MKCOL", f"/files/{path}", basic("alice")).status == 201
        for path in ("top", "photos/old", "photos/2026/new", "letters/secret"):
            assert people.ask("PUT", f"/files/{path}", basic("alice")).status == 201
        yield people
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said
        secrets = [password_of("alice"), people.reading, people.folder, people.both]
        assert not [secret for secret in secrets if secret in node.said]


class TestAnonymous:
    @pytest.mark.parametrize("method", [*READING, *CHANGING])
    @pytest.mark.parametrize("address", ADDRESSES)
    def test_nothing_goes_without_credentials(self, people: People, method: str, address: str) -> None:
        answer = people.ask(method, address, {})
        assert answer.status == 401
        assert answer.headers.get_all("WWW-Authenticate") == ['Basic realm="tahoeish", charset="UTF-8"', "Bearer"]

    @pytest.mark.parametrize("target", ["*", "/", "/files", "/files/", "/files/a/b", "/uri"])
    def test_but_asking_what_is_possible(self, people: People, target: str) -> None:
        assert people.ask("OPTIONS", target, {}).status == 200

    def test_what_is_possible_does_not_tell_what_there_is(self, people: People) -> None:
        there, not_there = (people.ask("OPTIONS", f"/files/{name}", {}) for name in ("top", "nothing"))
        fixed = [[field for field in each.headers.items() if field[0] != "Date"] for each in (there, not_there)]
        assert fixed[0] == fixed[1]

    @pytest.mark.parametrize("target", ["/uri", "/files/big"])
    def test_is_told_before_any_byte_of_the_body(self, people: People, target: str) -> None:
        with people.node.connect() as client:
            client.send(head("PUT", target, {"Content-Length": str(10**9), "Expect": "100-continue"}))
            assert client.interim_or_final().status == 401

    def test_programs_are_told_in_their_language(self, people: People) -> None:
        answer = people.ask("GET", "/uri/URI:LIT:me", {}, Accept="application/json")
        assert answer.json()["status"] == 401 and "password" in answer.json()["detail"]

    @pytest.mark.parametrize(
        "header", ["Digest x", "Basic", "Basic !", "Basic eA==", "Bearer", "Bearer tahoeish_x", "Bearer x y"]
    )
    def test_what_proves_nothing_is_as_good_as_nothing(self, people: People, header: str) -> None:
        assert people.ask("GET", "/", {"Authorization": header}).status == 401


class TestUsers:
    def test_come_in_by_their_password(self, people: People) -> None:
        assert people.ask("GET", "/files/top", basic("alice")).body == b"x"
        assert people.ask("PUT", "/uri", basic("alice")).status == 201
        assert people.ask("GET", "/", basic("Jürgen")).status == 200

    def test_come_in_from_windows(self, people: People) -> None:
        who = basic("WORKGROUP\\alice", password_of("alice"))
        assert people.ask("PROPFIND", "/files/", who, Depth="0").status == 207

    def test_come_in_with_curl(self, people: People) -> None:
        done = curl("-u", f"alice:{password_of('alice')}", f"{people.node.url}/files/top")
        assert done.output == b"x"

    @pytest.mark.parametrize(("user", "password"), [("alice", "wrong one"), ("nobody", "wrong one"), ("alice", "")])
    def test_do_not_come_in_by_another(self, people: People, user: str, password: str) -> None:
        answer = people.ask("GET", "/files/top", basic(user, password))
        assert (answer.status, answer.text) == (401, "the user or the password is wrong\n")

    def test_have_files_of_their_own(self, people: People) -> None:
        assert people.ask("GET", "/files/top", basic("Jürgen")).status == 404

    @pytest.mark.parametrize("method", ["COPY", "MOVE"])
    def test_send_nothing_to_addresses_of_others(self, people: People, method: str) -> None:
        source = "/remote.php/dav/files/alice/sent"
        assert people.ask("PUT", source, basic("alice")).status in (201, 204)
        for destination in ("/remote.php/dav/files/J%C3%BCrgen/sent", "/remote.php/dav/files/bob/sent"):
            answer = people.ask(method, source, basic("alice"), Destination=destination)
            assert answer.status == 403 and "you are alice" in answer.text
        assert people.ask("GET", "/files/sent", basic("alice")).body == b"x"
        own = "/remote.php/dav/files/alice/sent-to"
        assert people.ask(method, source, basic("alice"), Destination=own).status == 201
        assert people.ask("DELETE", own, basic("alice")).status == 204


class TestTokenForReading:
    def test_may_read(self, people: People) -> None:
        for who in (bearer(people.reading), basic("alice", people.reading), basic("", people.reading)):
            assert people.ask("GET", "/files/letters/secret", who).body == b"x"
            assert people.ask("PROPFIND", "/files/letters/", who, Depth="1").status == 207
            assert people.ask("HEAD", "/", who).status == 200

    @pytest.mark.parametrize("method", CHANGING)
    @pytest.mark.parametrize("target", ["/uri", "/files/top", "/files/new", "/"])
    def test_may_change_nothing(self, people: People, method: str, target: str) -> None:
        answer = people.ask(method, target, bearer(people.reading), Destination="/files/elsewhere")
        assert answer.status == 403
        assert "reading only" in answer.text

    def test_is_told_before_any_byte_of_the_body(self, people: People) -> None:
        with people.node.connect() as client:
            expecting = {"Content-Length": str(10**9), "Expect": "100-continue", **bearer(people.reading)}
            client.send(head("PUT", "/files/big", expecting))
            assert client.interim_or_final().status == 403

    def test_is_of_no_use_to_another_user(self, people: People) -> None:
        assert people.ask("GET", "/files/top", basic("Jürgen", people.reading)).status == 401


class TestTokenForAFolder:
    def test_may_do_everything_in_it(self, people: People) -> None:
        who = bearer(people.folder)
        assert people.ask("PUT", "/files/photos/2026/a", who).status == 201
        moved = people.ask("MOVE", "/files/photos/2026/a", who, Destination="/files/photos/2026/b")
        assert moved.status == 201
        assert people.ask("DELETE", "/files/photos/2026/b", who).status == 204
        listed = people.ask("PROPFIND", "/files/photos/2026/", who, Depth="1")
        assert listed.status == 207 and "/files/photos/2026/new" in listed.text

    @pytest.mark.parametrize("method", [*READING, *CHANGING])
    @pytest.mark.parametrize(
        "target",
        ["/files/top", "/files/letters", "/files/letters/secret", "/files/photos/old", "/files/photos/2026x",
         "/files/photos/2026%2f../old", "/files/photos/2026/../old", "/files/photos/2026/%2e%2e/old", "/files/@Jürgen",
         "/files/nothing", "/uri", "/uri/URI:LIT:me", "/cap/URI:LIT:me", "/file/URI:LIT:me", "/named/URI:LIT:me/a"],
    )  # fmt: skip
    def test_may_do_nothing_elsewhere(self, people: People, method: str, target: str) -> None:
        inside = "/files/photos/2026/copy"
        answer = people.ask(method, target.replace("ü", "%C3%BC"), bearer(people.folder), Destination=inside)
        assert answer.status in ((400, 403) if ".." in target or "%2e" in target else (403,))

    @pytest.mark.parametrize("method", ["COPY", "MOVE"])
    @pytest.mark.parametrize("destination", ["/files/out", "/files/letters/out", "/files/photos/out", "/files/photos"])
    def test_may_carry_nothing_out_of_it(self, people: People, method: str, destination: str) -> None:
        answer = people.ask(method, "/files/photos/2026/new", bearer(people.folder), Destination=destination)
        assert answer.status == 403
        assert people.ask("GET", "/files/photos/2026/new", bearer(people.folder)).status == 200

    def test_sees_on_the_way_there_only_the_way(self, people: People) -> None:
        who = bearer(people.folder)
        for folder, onward in (("/files/", "/files/photos/"), ("/files/photos/", "/files/photos/2026/")):
            listed = people.ask("PROPFIND", folder, who, Depth="1")
            assert listed.status == 207
            assert onward in listed.text
            assert not [name for name in ("top", "letters", "old", "secret") if name in listed.text]

    @pytest.mark.parametrize("method", CHANGING)
    @pytest.mark.parametrize("target", ["/files/", "/files/photos", "/files/photos/"])
    def test_may_not_change_the_way(self, people: People, method: str, target: str) -> None:
        assert people.ask(method, target, bearer(people.folder), Destination="/files/photos/2026/x").status == 403

    @pytest.mark.parametrize("method", ["DELETE", "MOVE"])
    def test_may_not_take_the_folder_itself_away(self, people: People, method: str) -> None:
        answer = people.ask(method, "/files/photos/2026/", bearer(people.folder), Destination="/files/photos/2026/x")
        assert answer.status == 403

    def test_reaches_the_uploads_that_go_there(self, people: People) -> None:
        who = {**bearer(people.folder), "Upload-Draft-Interop-Version": "8"}
        begun = people.ask("PUT", "/files/photos/2026/slow", who, Upload_Complete="?0")
        assert begun.status == 201
        location = begun.headers["Location"]
        assert people.ask("HEAD", location, who).status == 204
        assert people.ask("HEAD", location, bearer(people.reading)).status == 204
        assert people.ask("DELETE", location, bearer(people.reading)).status == 403
        assert people.ask("GET", location, basic("Jürgen")).status == 404
        ending = {"Upload_Offset": begun.headers["Upload-Offset"], "Upload_Complete": "?1"}
        done = people.ask("PATCH", location, who, Content_Type="application/partial-upload", **ending)
        assert done.status == 201
        assert people.ask("DELETE", "/files/photos/2026/slow", who).status == 204

    def test_reaches_no_uploads_that_go_elsewhere(self, people: People) -> None:
        for target in ("/uri", "/files/photos/slow", "/files/photos/2026x"):
            location = people.ask("PUT", target, basic("alice"), Upload_Complete="?0").headers["Location"]
            for method in ("HEAD", "GET", "PATCH", "DELETE"):
                assert people.ask(method, location, bearer(people.folder)).status == 404
            assert people.ask("GET", f"{location}/events", bearer(people.folder)).status == 404
            assert people.ask("DELETE", location, basic("alice")).status == 204
        for method in ("POST", "PUT", "PATCH"):
            assert people.ask(method, "/uploads/", bearer(people.folder), Upload_Complete="?0").status == 403

    def test_may_only_read_there_if_it_is_for_that(self, people: People) -> None:
        assert people.ask("GET", "/files/photos/2026/new", bearer(people.both)).body == b"x"
        assert people.ask("PUT", "/files/photos/2026/new", bearer(people.both)).status == 403
        assert people.ask("GET", "/files/top", bearer(people.both)).status == 403


class TestComingAndGoing:
    def test_a_revoked_token_is_out_at_once(self, people: People) -> None:
        token = new_token(people.node, "alice")
        assert people.ask("GET", "/", bearer(token)).status == 200
        administered(people.node, "token", "revoke", token.split("_")[1])
        wait_until(lambda: people.ask("GET", "/", bearer(token)).status == 401, "the token is out")

    def test_an_expired_token_is_out(self, people: People) -> None:
        assert people.ask("GET", "/", bearer(new_token(people.node, "alice", "--expires", "0 s"))).status == 401

    def test_another_password_is_the_only_one(self, people: People) -> None:
        add_user(people.node, "carol")
        wait_until(lambda: people.ask("GET", "/", basic("carol")).status == 200, "carol is in")
        told = administered(people.node, "user", "passwd", "carol", "--generate")
        new = told.rpartition(": ")[2].strip()
        wait_until(lambda: people.ask("GET", "/", basic("carol", new)).status == 200, "the new password works")
        assert people.ask("GET", "/", basic("carol")).status == 401

    def test_a_removed_user_is_out(self, people: People) -> None:
        add_user(people.node, "dave")
        token = new_token(people.node, "dave")
        wait_until(lambda: people.ask("GET", "/", basic("dave")).status == 200, "dave is in")
        administered(people.node, "user", "remove", "dave")
        wait_until(lambda: people.ask("GET", "/", basic("dave")).status == 401, "dave is out")
        wait_until(lambda: people.ask("GET", "/", bearer(token)).status == 401, "his token is out")


class TestOtherSites:
    def test_may_not_let_a_browser_change_anything(self, people: People) -> None:
        forged = people.ask("POST", "/uri", basic("alice"), Origin="http://evil.example")
        assert forged.status == 403 and "another site" in forged.text

    def test_may_lead_a_browser_here(self, people: People) -> None:
        assert people.ask("GET", "/", basic("alice"), Sec_Fetch_Site="cross-site").status == 200


class TestCommandLine:
    def run(self, people: People, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tahoeish.node.main", *arguments],
            env={**os.environ, "TAHOEISH_NODE_DIR": str(people.node.directory), "NETRC": "/nonexistent", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_says_who_it_is(self, people: People, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(os.urandom(100))
        token = new_token(people.node, "alice")
        put = self.run(people, "put", str(file), "--user", "alice", TAHOEISH_PASSWORD=password_of("alice"))
        assert put.returncode == 0, put.stderr
        cap = put.stdout.strip()
        assert self.run(people, "check", cap, TAHOEISH_TOKEN=token).returncode == 0
        url = people.node.url.replace("//", f"//alice:{token}@")
        assert self.run(people, "get", cap, str(tmp_path / "back"), "--node-url", url).returncode == 0
        assert (tmp_path / "back").read_bytes() == file.read_bytes()

    def test_says_what_to_do_where_it_is_not_let_in(self, people: People) -> None:
        anonymous = self.run(people, "get", "URI:LIT:me")
        assert anonymous.returncode == 1
        assert "--user NAME" in anonymous.stderr and "$TAHOEISH_TOKEN" in anonymous.stderr
        url = people.node.url.replace("//", "//alice:hunter2@")
        wrong = self.run(people, "get", "URI:LIT:me", "--node-url", url)
        assert wrong.returncode == 1
        assert "the password is wrong" in wrong.stderr and "hunter2" not in wrong.stderr


def test_open_caps_let_everybody_read_what_they_have_the_cap_of(tmp_path: Path) -> None:
    with running(tmp_path / "node", {**NOT_DURABLE, "gateway": {"open_caps": True}}) as node:
        add_user(node, "alice")
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        cap = node.request("PUT", "/uri", b"x" * 100, basic("alice")).text
        for address in (f"/uri/{cap}", f"/cap/{cap}", f"/file/{cap}", f"/named/{cap}/name"):
            assert node.get(address).body == b"x" * 100
            assert node.request("HEAD", address).status == 200
            assert node.request("PUT", address).status == 401
        assert node.request("POST", f"/uri/{cap}?t=check").status == 401
        assert node.request("PUT", "/uri", b"x").status == 401
        assert node.get("/files/").status == 401
        assert node.get("/").status == 401


def test_without_users_only_this_machine_is_served_and_the_first_user_gets_what_is_there(tmp_path: Path) -> None:
    with running(tmp_path / "node", NOT_DURABLE, "--listen", "tcp:0:interface=0.0.0.0") as node:
        assert "tahoeish user add NAME" in node.said
        assert node.request("PUT", "/files/mine", b"mine").status == 201
        elsewhere = node.get("/files/mine", {"X-Forwarded-For": "192.0.2.1"})
        assert elsewhere.status == 403 and "tahoeish user add NAME" in elsewhere.text
        with node.connect() as client:
            client.send(b"GET /files/mine HTTP/1.1\r\nHost: evil.example:3456\r\n\r\n")
            assert client.answer().status == 403
        # Whoever is used to give a password may go on to.
        assert node.get("/files/mine", basic("somebody")).status == 200

        told = add_user(node, "alice")

        assert "belongs to alice" in told
        wait_until(lambda: node.get("/files/mine").status == 401, "the node knows that it has users")
        assert node.get("/files/mine", basic("alice")).body == b"mine"
        assert node.get("/files/mine", {"X-Forwarded-For": "192.0.2.1", **basic("alice")}).body == b"mine"


def test_a_node_that_listens_only_on_its_own_machine_has_nothing_to_warn_of(tmp_path: Path) -> None:
    with running(tmp_path / "node", NOT_DURABLE) as node:
        assert "no users" not in node.said
