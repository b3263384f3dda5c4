"""What holds for all requests to a storage node, and what is asked of it besides shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from tahoeish.storage.shares import MAX_ADVISORIES, ShareStore
from tahoeish.storage.wire import (
    Secret,
    Version,
    authorization,
    corrupt_path,
    dump_corruption,
    immutable_path,
    lease_path,
    load_share_numbers,
    load_version,
    share_path,
    shares_path,
)
from tests.storage.serving import ALLOCATE, LEASE, SPACE, SWISSNUM, UPLOAD, Server
from tests.storage.stores import NAME, STORAGE_INDEX

VERSION = "/storage/v1/version"
SHARES = shares_path(STORAGE_INDEX)


class TestRouting:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/storage",
            "/storage/v1",
            "/storage/v2/version",
            "/storage/v1/version/",
            f"/storage/v1/immutable/{NAME[:-1]}/shares",
            f"/storage/v1/immutable/{NAME}a/shares",
            f"/storage/v1/immutable/{NAME.upper()}/shares",
            f"/storage/v1/immutable/{NAME[:-1]}7/shares",
            f"/storage/v1/immutable/{NAME}/x",
            f"/storage/v1/immutable/{NAME}/-1",
            f"/storage/v1/immutable/{NAME}/1/2",
            f"/storage/v1/immutable/../{NAME}/shares",
            f"/storage/v1/immutable/%61{NAME[1:]}/shares",
        ],
    )
    @pytest.mark.parametrize("authorized", [True, False])
    def test_nothing_is_elsewhere(self, server: Server, path: str, authorized: bool) -> None:
        answer = server.ask("GET", path, authorized=authorized)
        assert answer.status == 404
        assert answer.headers["Content-Type"].startswith("text/html")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", VERSION, "GET, HEAD"),
            ("GET", immutable_path(STORAGE_INDEX), "POST"),
            ("DELETE", share_path(STORAGE_INDEX, 0), "GET, HEAD, PATCH"),
        ],
    )
    @pytest.mark.parametrize("authorized", [True, False])
    def test_other_methods_are_refused(
        self, server: Server, method: str, path: str, allowed: str, authorized: bool
    ) -> None:
        answer = server.ask(method, path, authorized=authorized)
        assert answer.status == 405
        assert answer.headers["Allow"] == allowed


class TestAuthorization:
    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "Tahoe-LAFS",
            authorization(SWISSNUM[:-1]),
            authorization(SWISSNUM).lower(),
            authorization(SWISSNUM).replace("Tahoe-LAFS", "Bearer"),
            f"{authorization(SWISSNUM)}=",
        ],
    )
    def test_without_the_swissnum_nothing_is_learnt(self, server: Server, value: str | None) -> None:
        server.upload(0, b"share")
        headers = () if value is None else (("Authorization", value),)
        answers = [
            server.ask("GET", path, headers=headers, authorized=False)
            for path in (VERSION, SHARES, share_path(STORAGE_INDEX, 0), share_path(STORAGE_INDEX, 9))
        ]
        assert {(answer.status, answer.body) for answer in answers} == {(401, b"Wrong Authorization header")}

    def test_it_comes_before_the_secrets(self, server: Server) -> None:
        answer = server.ask("POST", immutable_path(STORAGE_INDEX), b"", authorized=False)
        assert answer.status == 401

    def test_the_client_is_not_invited_to_send_a_body(self, server: Server) -> None:
        headers = (("Expect", "100-continue"), ("Content-Range", "bytes 0-9/*"))
        answer = server.ask("PATCH", share_path(STORAGE_INDEX, 0), headers=headers, authorized=False)
        assert answer.status == 401


class TestSecrets:
    @pytest.mark.parametrize(
        "secrets",
        [
            (),
            LEASE,
            UPLOAD,
            (*ALLOCATE, (Secret.WRITE_ENABLER, b"w")),
            (*UPLOAD, (Secret.LEASE_RENEW, b"short"), LEASE[1]),
        ],
    )
    def test_exactly_the_wanted_ones_must_come(self, server: Server, secrets: tuple[tuple[Secret, bytes], ...]) -> None:
        assert server.ask("POST", immutable_path(STORAGE_INDEX), b"", secrets=secrets).status == 400

    def test_they_must_not_come_where_none_is_wanted(self, server: Server) -> None:
        assert server.ask("GET", VERSION, secrets=UPLOAD).status == 400

    def test_an_unknown_kind_is_refused(self, server: Server) -> None:
        assert server.ask("GET", VERSION, headers=(("X-Tahoe-Authorization", "other YQ=="),)).status == 400


class TestMessages:
    @pytest.mark.parametrize("content_type", ["application/cbor", "Application/CBOR; x=1", None])
    def test_bodies_are_cbor(self, server: Server, content_type: str | None) -> None:
        headers = () if content_type is None else (("Content-Type", content_type),)
        answer = server.ask("POST", immutable_path(STORAGE_INDEX), b"", secrets=ALLOCATE, headers=headers)
        assert answer.status == 400, "an empty body is no message"

    def test_other_bodies_are_refused(self, server: Server) -> None:
        headers = (("Content-Type", "application/json"),)
        answer = server.ask("POST", immutable_path(STORAGE_INDEX), b"{}", secrets=ALLOCATE, headers=headers)
        assert answer.status == 415

    def test_long_bodies_are_refused(self, server: Server) -> None:
        answer = server.ask("POST", immutable_path(STORAGE_INDEX), bytes(8193), secrets=ALLOCATE)
        assert answer.status == 413

    @pytest.mark.parametrize(
        ("accept", "status"),
        [
            ("application/cbor", 200),
            ("application/cbor, text/html;q=0.5", 200),
            ("text/html;q=0.5, application/cbor;q=0.8", 200),
            ("", 200),
            ("*/*", 406),
            ("application/json", 406),
            ("application/cbor;q=0.5, text/html", 406),
        ],
    )
    def test_answers_are_cbor(self, server: Server, accept: str, status: int) -> None:
        answer = server.ask("GET", SHARES, headers=(("Accept", accept),))
        assert answer.status == status
        assert (answer.headers["Content-Type"] == "application/cbor") == (status == 200)

    def test_refusing_an_answer_comes_after_the_work(self, server: Server) -> None:
        server.allocate({0}, 4)
        answer = server.ask(
            "PATCH",
            share_path(STORAGE_INDEX, 0),
            b"data",
            secrets=UPLOAD,
            headers=(("Content-Range", "bytes 0-3/*"), ("Accept", "*/*")),
        )
        assert answer.status == 406
        assert server.read(0).body == b"data"

    def test_a_failure_of_ours_tells_nothing_of_us(self, server: Server, quick_store: ShareStore) -> None:
        server.upload(0, b"share")
        (path,) = quick_store.directory.glob("shares/*/*/0")
        path.write_bytes(b"")
        answer = server.read(0)
        assert answer.status == 500
        assert "Processing Failed" in answer.text
        assert str(quick_store.directory) not in answer.text


class TestVersion:
    def test_it_tells_what_there_is_room_for(self, server: Server) -> None:
        Deferred.fromCoroutine(server.gauge.start())
        answer = server.ask("GET", VERSION)
        assert answer.status == 200
        assert load_version(answer.body) == Version(SPACE, 2**30, SPACE, "tahoeish/1")

    def test_it_answers_head(self, server: Server) -> None:
        answer = server.ask("HEAD", VERSION)
        assert (answer.status, answer.body) == (200, b"")

    def test_it_never_waits_for_a_disk(self, quick_store: ShareStore) -> None:
        stuck: list[Deferred[object]] = []

        def never(work: object, /, *args: object) -> Deferred[object]:
            stuck.append(Deferred())
            return stuck[-1]

        server = Server(quick_store, run_in_thread=never)  # type: ignore[arg-type]
        server.clock.advance(5)
        for _ in range(3):
            assert server.ask("GET", VERSION).status == 200
        assert len(stuck) == 1

    def test_the_room_is_measured_once_a_second(self, server: Server) -> None:
        Deferred.fromCoroutine(server.gauge.start())
        for space in (1, 2, 3):
            server.space = space
            server.clock.advance(0.6)
            server.ask("GET", VERSION)
        assert server.measured == 2
        assert load_version(server.ask("GET", VERSION).body).available_space == 2


class TestLeases:
    def test_without_shares_there_is_nothing_to_lease(self, server: Server) -> None:
        assert server.ask("PUT", lease_path(STORAGE_INDEX), secrets=LEASE).status == 404

    def test_all_shares_are_leased(self, server: Server, quick_store: ShareStore) -> None:
        server.upload(0, b"zero")
        server.upload(1, b"one")
        other = ((Secret.LEASE_RENEW, b"R" * 32), (Secret.LEASE_CANCEL, b"C" * 32))
        for _ in range(2):
            answer = server.ask("PUT", lease_path(STORAGE_INDEX), secrets=other)
            assert (answer.status, answer.body) == (204, b"")
        sizes = [path.stat().st_size for path in sorted(quick_store.directory.glob("shares/*/*/*"))]
        assert sizes == [12 + 4 + 2 * 72, 12 + 3 + 2 * 72]

    def test_both_secrets_are_wanted(self, server: Server) -> None:
        assert server.ask("PUT", lease_path(STORAGE_INDEX), secrets=LEASE[:1]).status == 400


class TestCorruption:
    @pytest.fixture
    def advisories(self, quick_store: ShareStore) -> Path:
        return quick_store.directory / "corruption-advisories"

    def report(self, server: Server, number: int, reason: str) -> int:
        return server.ask("POST", corrupt_path(STORAGE_INDEX, number), dump_corruption(reason)).status

    def test_it_is_noted(self, server: Server, advisories: Path) -> None:
        server.upload(0, b"share")
        assert self.report(server, 0, "block 3 is wrong") == 200
        (note,) = advisories.iterdir()
        assert "block 3 is wrong" in note.read_text()

    @pytest.mark.parametrize(("reason", "status"), [("", 400), ("x" * 32765, 413), ("x" * 32700, 200)])
    def test_a_reason_has_bounds(self, server: Server, reason: str, status: int) -> None:
        server.upload(0, b"share")
        assert self.report(server, 0, reason) == status

    def test_of_a_share_that_is_not_there_nothing_is_noted(self, server: Server, advisories: Path) -> None:
        assert self.report(server, 0, "what?") == 404
        assert not advisories.exists()

    def test_there_is_an_end_to_notes(self, server: Server, advisories: Path) -> None:
        server.upload(0, b"share")
        advisories.mkdir()
        for number in range(MAX_ADVISORIES):
            (advisories / str(number)).touch()
        assert self.report(server, 0, "once more") == 507


def test_shares_are_listed(server: Server) -> None:
    assert load_share_numbers(server.ask("GET", SHARES).body) == set()
    server.upload(5, b"five")
    server.upload(300, b"three hundred")
    server.allocate({7}, 100)
    assert load_share_numbers(server.ask("GET", SHARES).body) == {5, 300}
