"""Sessions at hand and in the catalogue: how they end, who carries them on, and what is cleared away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
from twisted.internet.defer import Deferred

from tahoeish.chk.caps import ReadCap
from tahoeish.gateway.errors import Refused, problem_of
from tahoeish.gateway.uploads.asked import Append, Cancel, Query
from tahoeish.gateway.uploads.decisions import Cancelled, Continue, Reason, Refuse, Replay, Tell
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.keeper import WARM_SECONDS
from tahoeish.grid.errors import LengthNeeded, UploadUnhappy
from tahoeish.namespace.errors import NoSuchUpload
from tahoeish.namespace.uploads import UploadRow, discard
from tahoeish.streams.threads import direct
from tests.gateway.uploads.processes import AGE, DATA, OWNER, Processes, append, new_upload, running_processes
from tests.grid.faults import failing, full
from tests.grid.gridtools import Tap, failure_of, succeeded

P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture(autouse=True)
def no_lost_failures() -> None:
    """Targets that fail are logged, on purpose."""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with running_processes(tmp_path) as processes:
        yield processes


def expect_stored(processes: Processes) -> None:
    """One file, with the right content."""
    (uploaded,) = processes.shelf.stored
    assert isinstance(uploaded.cap, ReadCap)
    assert succeeded(processes.grid.fetch(uploaded.cap)) == DATA


# What nobody needs any more


def test_what_nobody_comes_for_is_given_up(processes: Processes) -> None:
    keeper = processes.begin()
    assert isinstance(succeeded(append(new_upload(keeper), DATA[:20_000], length=len(DATA))), Continue)
    assert processes.grid.files()
    processes.later = AGE + 1
    succeeded(keeper.tidy())
    assert processes.phases() == [] and processes.grid.files() == []


@pytest.mark.parametrize("trouble", [None, Refused(403, "not so")], ids=["complete", "failed"])
@pytest.mark.parametrize("at_hand", [True, False])
def test_an_answer_that_nobody_asks_for_any_more_is_forgotten(
    processes: Processes, trouble: Exception | None, at_hand: bool
) -> None:
    processes.shelf.trouble = trouble
    keeper = processes.begin()
    assert isinstance(succeeded(append(new_upload(keeper), DATA, length=len(DATA))), Replay)
    assert processes.phases() == ["failed" if trouble else "complete"]
    if not at_hand:
        processes.grid.clock.advance(WARM_SECONDS + 1)
        keeper = processes.begin()
    processes.later = 25 * 3600.0
    succeeded(keeper.tidy())
    assert processes.phases() == []


@pytest.mark.parametrize("status", [405, 409, 412, 423, 507])
@pytest.mark.parametrize("at_hand", [True, False])
def test_a_whole_file_waits_until_nothing_is_in_its_way_any_more(
    processes: Processes, status: int, at_hand: bool
) -> None:
    keeper = processes.begin()
    live = new_upload(keeper)
    processes.shelf.trouble = Refused(status, "not now")
    for offset in (0, len(DATA)):
        decision = succeeded(append(live, DATA[offset:], offset=offset, length=len(DATA)))
        assert isinstance(decision, Replay) and FinalAnswer.unpack(decision.answer).status == status
        assert processes.phases() == ["open"]
    there = processes.grid.files()
    if not at_hand:
        keeper = processes.begin()
    processes.shelf.trouble = None
    live = succeeded(keeper.find(OWNER, live.row.id))
    decision = succeeded(append(live, b"", offset=len(DATA)))
    assert isinstance(decision, Replay) and FinalAnswer.unpack(decision.answer).status == 201
    assert processes.phases() == ["complete"]
    assert processes.grid.files() == there, "it went to the peers once"
    (stored,) = processes.shelf.stored
    assert stored.missing == []


@pytest.mark.parametrize("size", [40_000, len(DATA)])
def test_another_process_knows_by_how_many_peers_it_was_confirmed(processes: Processes, size: int) -> None:
    live = new_upload(processes.begin())
    succeeded(append(live, DATA[:size], length=len(DATA)))
    _, progress = succeeded(processes.begin().look(OWNER, live.row.id))
    assert (progress.confirmed, progress.peers) == (size, len(processes.grid.peers))


def test_what_was_being_finished_by_a_process_that_is_gone_is_finished(processes: Processes) -> None:
    live = new_upload(processes.begin())
    finishing: Deferred[None] = Deferred()
    processes.grid.peers[0].fault = lambda what: finishing if what == "commit" else None
    append(live, DATA, length=len(DATA)).addErrback(lambda _: None)
    assert processes.phases() == ["finishing"]
    processes.grid.peers[0].fault = lambda what: None
    processes.later = AGE + 1
    successor = processes.begin()
    succeeded(successor.tidy())
    assert processes.phases() == ["complete"]
    assert len(processes.shelf.stored) == 1
    finishing.callback(None)


def test_what_isnt_wanted_any_more_while_it_is_being_finished_leaves_nothing(processes: Processes) -> None:
    keeper = processes.begin()
    live = new_upload(keeper)
    stuck: Deferred[None] = Deferred()
    processes.grid.peers[0].fault = lambda what: stuck if what == "commit" else None
    writing = append(live, DATA, length=len(DATA))
    _, cancelled = succeeded(keeper.respond(OWNER, live.row.id, Cancel()))
    assert isinstance(cancelled, Cancelled)
    refusal = succeeded(writing)
    assert isinstance(refusal, Refuse) and refusal.reason is Reason.GONE
    processes.grid.peers[0].fault = lambda what: None
    stuck.callback(None)
    assert processes.phases() == [] and processes.grid.files() == []
    assert processes.shelf.stored == []


def test_what_can_never_be_finished_expires_as_well(processes: Processes) -> None:
    processes.shelf.trouble = RuntimeError("never")
    keeper = processes.begin()
    succeeded(append(new_upload(keeper), DATA, length=len(DATA)))
    for _ in range(2):
        processes.later += AGE + 1
        succeeded(processes.begin().tidy())
    assert processes.phases() == []


def test_whoever_has_no_more_uploads_since_they_are_no_user_any_more_is_told(processes: Processes) -> None:
    live = new_upload(processes.begin())
    processes.table.remove(live.row.id)
    assert type(failure_of(append(live, DATA[:100], length=len(DATA)))) is NoSuchUpload


def test_one_that_was_found_and_then_not_asked_anything_is_let_go(processes: Processes) -> None:
    keeper = processes.begin()
    live = new_upload(keeper)
    succeeded(append(live, DATA[:20_000], length=len(DATA)))
    assert succeeded(keeper.find(OWNER, live.row.id)) is live
    assert processes.grid.held() > 0
    processes.grid.clock.advance(WARM_SECONDS + 1)
    assert processes.grid.held() == 0
    assert succeeded(keeper.find(OWNER, live.row.id)) is not live


def test_nothing_is_left_on_peers_of_somebody_who_is_no_user_any_more(processes: Processes) -> None:
    keeper = processes.begin()
    live = new_upload(keeper, key="a")
    succeeded(append(live, DATA[:20_000], length=len(DATA)))
    assert processes.grid.files()
    processes.database.write(lambda connection: discard(connection, OWNER.user))
    writing = succeeded(append(live, DATA[20_000:], offset=20_000))
    assert isinstance(writing, Refuse) and writing.reason is Reason.PREEMPTED
    succeeded(keeper.tidy())
    assert processes.phases() == [] and processes.grid.files() == []


# Several processes


def test_another_process_takes_over_and_the_first_one_s_requests_are_told(processes: Processes) -> None:
    one, two = processes.begin(), processes.begin()
    live, tap = new_upload(one), Tap()
    tap.bring(DATA[:20_000])
    writing = Deferred.fromCoroutine(live.respond(Append(0, None, len(DATA), len(DATA)), tap))
    waiting = Deferred.fromCoroutine(live.respond(Append(20_000, None, 1, len(DATA)), tap))
    succeeded(two.find(OWNER, live.row.id))
    again = Deferred.fromCoroutine(one.respond(OWNER, live.row.id, Query()))
    for superseded in (writing, waiting):
        decision = succeeded(superseded)
        assert isinstance(decision, Refuse) and decision.reason is Reason.PREEMPTED
    _, told = succeeded(again)
    assert isinstance(told, Tell)
    rest = succeeded(two.find(OWNER, live.row.id))
    done = succeeded(append(rest, DATA[told.offset :], offset=told.offset))
    assert isinstance(done, Replay)


@pytest.mark.parametrize("cleared_away", [False, True])
def test_whoever_has_ended_it_is_told_so_though_another_process_took_over_before_they_knew(
    processes: Processes, cleared_away: bool
) -> None:
    told: dict[str, Deferred[None]] = {}

    def late(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """What is written is known to be written only when the test says so."""
        outcome = direct(work, *args, **kwargs)
        name = getattr(work, "__name__", "")
        if name not in ("save", "claim"):
            return outcome
        telling: Deferred[None] = Deferred()
        told[name] = telling
        return telling.addCallback(lambda _: outcome)

    one, two = processes.begin(late), processes.begin()
    id_ = new_upload(one).row.id
    ending = Deferred.fromCoroutine(one.respond(OWNER, id_, Cancel()))
    assert processes.phases() == ["cancelled"] and not ending.called
    _, decision = succeeded(two.respond(OWNER, id_, Cancel()))
    assert isinstance(decision, Refuse) and decision.reason is Reason.GONE
    another = Deferred.fromCoroutine(one.respond(OWNER, id_, Query()))
    if cleared_away:
        processes.table.remove(id_)
    told["claim"].callback(None)
    told["save"].callback(None)
    for asking, cancelled in ((ending, True), (another, False)):
        _, decision = succeeded(asking)
        assert isinstance(decision, Cancelled) if cancelled else isinstance(decision, Refuse)


def test_what_is_at_hand_is_kept_alive_as_well(processes: Processes) -> None:
    keeper = processes.begin()
    succeeded(append(new_upload(keeper), DATA[:20_000], length=len(DATA)))
    asked: list[str] = []
    for peer in processes.grid.peers:
        peer.fault = asked.append
    succeeded(keeper.keep_alive())
    assert asked.count("keep_alive") == 5
    for peer in processes.grid.peers:
        peer.fault = failing("keep_alive")
    succeeded(keeper.keep_alive())


# Peers that want to know the length


def test_a_length_that_comes_later_comes_in_time_for_peers_that_need_it(processes: Processes) -> None:
    for peer in processes.grid.peers:
        peer.needs_length = True
    live = new_upload(processes.begin())
    assert isinstance(succeeded(append(live, DATA[:1000])), Continue)
    error = failure_of(append(live, DATA[1000:], offset=1000))
    assert type(error) is LengthNeeded
    problem = problem_of(error)
    assert problem.status == 411 and "Upload-Length" in problem.detail
    assert isinstance(succeeded(append(live, DATA[1000:], length=len(DATA), offset=1000)), Replay)
    assert len(processes.shelf.stored) == 1


def test_a_length_that_comes_with_the_next_bytes_is_used(processes: Processes) -> None:
    for peer in processes.grid.peers:
        peer.needs_length = True
    live = new_upload(processes.begin())
    succeeded(append(live, DATA[:1000]))
    assert isinstance(succeeded(append(live, DATA[1000:], length=len(DATA), offset=1000)), Replay)


@pytest.mark.parametrize("fault", [failing, full], ids=["away", "full"])
def test_what_peers_lose_is_brought_again_from_the_offset_that_is_told(
    processes: Processes, fault: Callable[[str], Callable[[str], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tahoeish.grid.resumable.CHECKPOINT_BYTES", 8_000)
    keeper = processes.begin()
    live = new_upload(keeper)
    succeeded(append(live, DATA[:20_000], length=len(DATA)))
    for peer in processes.grid.peers:
        peer.fault = fault("write")
    broken = append(live, DATA[20_000:40_000], offset=20_000)
    processes.grid.clock.advance(0)
    assert isinstance(failure_of(broken), UploadUnhappy)
    for peer in processes.grid.peers:
        peer.fault = lambda what: None

    _, told = succeeded(keeper.respond(OWNER, live.row.id, Query()))
    assert isinstance(told, Tell) and told.offset == 20_000
    finished = append(live, DATA[told.offset :], offset=told.offset)

    assert isinstance(succeeded(finished), Replay)
    expect_stored(processes)


def test_no_offset_is_told_that_could_not_be_written_down(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tahoeish.grid.resumable.CHECKPOINT_BYTES", 8_000)
    keeper = processes.begin()
    live = new_upload(keeper)
    succeeded(append(live, DATA[:20_000], length=len(DATA)))
    save = processes.table.save

    def save_but_once(row: UploadRow, **others: Any) -> None:
        if "records" in others:
            monkeypatch.setattr(processes.table, "save", save)
            raise OSError("the disk of the catalogue")
        save(row, **others)

    monkeypatch.setattr(processes.table, "save", save_but_once)
    assert isinstance(failure_of(append(live, DATA[20_000:40_000], offset=20_000)), OSError)

    _, told = succeeded(keeper.respond(OWNER, live.row.id, Query()))
    assert isinstance(told, Tell) and told.offset == 20_000
    assert isinstance(succeeded(append(live, DATA[20_000:], offset=20_000)), Replay)
    expect_stored(processes)
