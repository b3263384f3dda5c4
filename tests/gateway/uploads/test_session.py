"""One upload over several requests: what is decided, and that nothing that was acknowledged is ever taken back."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tahoeish.gateway.uploads.asked import Append, Asked, Cancel, Limits, Query
from tahoeish.gateway.uploads.decisions import (
    Begin,
    Cancelled,
    Continue,
    Decision,
    Discard,
    Finish,
    Forget,
    Reason,
    Refuse,
    Replay,
    RollBack,
    Stop,
    Tell,
)
from tahoeish.gateway.uploads.session import Phase, Session, SessionRecord, length_of_all

NO_LIMITS = Limits()
ANSWER = b"201 and the cap"


def appending(
    offset: int | None,
    size: int | None = None,
    *,
    completes: bool | None = None,
    length: int | None = None,
    verified: bool = False,
    excess_is_fatal: bool = False,
) -> Append:
    return Append(offset, completes, size, length, verified, excess_is_fatal)


def begun(session: Session, request: int, append: Append) -> Begin:
    (decision,) = session.ask(request, append)
    assert isinstance(decision, Begin)
    return decision


def bring(session: Session, request: int, size: int) -> None:
    session.received_more(size)
    session.stored(session.received)


def refused(session: Session, request: int, asked: Asked) -> Refuse:
    decision, *_ = session.ask(request, asked)
    assert isinstance(decision, Refuse)
    return decision


def with_bytes(size: int, length: int | None = None, limits: Limits = NO_LIMITS) -> Session:
    return Session(limits, SessionRecord(offset=size, length=length))


def test_an_upload_of_known_length_in_two_requests() -> None:
    session = Session(NO_LIMITS)
    assert begun(session, 1, appending(0, 4, length=10)) == Begin(1, 0, 10, verified=False)
    bring(session, 1, 4)
    assert session.ended(1, whole=True) == [Continue(1, 4)]
    assert session.ask(2, Query()) == [Tell(2, 4, 10, complete=False)]
    assert begun(session, 3, appending(4, 6)) == Begin(3, 4, 6, verified=False)
    bring(session, 3, 6)
    assert session.ended(3, whole=True) == [Finish(10)]
    assert session.finished(ANSWER) == [Replay(3, ANSWER)]
    assert session.ask(4, Query()) == [Tell(4, 10, 10, complete=True)]


def test_an_upload_whose_end_is_told() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0, completes=False))
    bring(session, 1, 4)
    assert session.ended(1, whole=True) == [Continue(1, 4)]
    begun(session, 2, appending(4, 0, completes=True))
    assert session.ended(2, whole=True) == [Finish(4)]


def test_all_bytes_without_the_word_that_they_are_all_is_no_end() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0, 4, completes=False, length=4))
    bring(session, 1, 4)
    assert session.ended(1, whole=True) == [Continue(1, 4)]
    assert session.phase is Phase.OPEN


def test_an_empty_upload_is_complete_at_once() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0, 0, length=0))
    assert session.ended(1, whole=True) == [Finish(0)]


def test_a_length_may_be_told_later_but_never_changed() -> None:
    session = with_bytes(4)
    begun(session, 1, appending(4, 0, length=10))
    assert session.ended(1, whole=True) == [Continue(1, 4)]
    assert refused(session, 2, appending(4, 1, length=11)).reason is Reason.INCONSISTENT_LENGTH
    assert refused(with_bytes(4), 3, appending(4, 1, length=3)).reason is Reason.INCONSISTENT_LENGTH
    assert session.length == 10


def test_the_last_requests_length_is_the_uploads() -> None:
    session = with_bytes(4)
    assert begun(session, 1, appending(4, 6, completes=True)).most == 6
    assert session.length == 10
    session = with_bytes(4, length=10)
    assert refused(session, 2, appending(4, 5, completes=True)).reason is Reason.INCONSISTENT_LENGTH


def test_a_gap_or_an_overlap_is_refused_with_the_true_offset() -> None:
    session = with_bytes(4)
    for offset in (3, 5):
        assert refused(session, offset, appending(offset, 1)) == Refuse(offset, Reason.MISMATCH, 4, offset)
    assert begun(session, 6, appending(None, 1)).offset == 4


def test_only_what_is_safe_counts() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0, length=10))
    session.received_more(9)
    session.stored(6)
    assert session.ended(1, whole=False) == []
    assert session.ask(2, Query()) == [Tell(2, 6, 10, complete=False)]
    assert session.received == 6


def test_whoever_was_let_in_whole_but_is_not_safe_is_told_where_to_go_on() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0, 9, length=9))
    session.received_more(9)
    session.stored(6)
    assert session.ended(1, whole=True) == [Refuse(1, Reason.MISMATCH, 6, 0)]


def test_what_is_told_late_or_twice_does_no_harm() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0))
    session.received_more(9)
    for offset in (5, 3, 5, 9, 100):
        session.stored(offset)
    assert session.offset == 9
    assert session.ended(2, whole=True) == []
    assert session.ended(1, whole=True) == [Continue(1, 9)]
    assert session.ended(1, whole=True) == []


@pytest.mark.parametrize("newer", [appending(6, 4), Query()])
def test_a_newer_request_stops_the_writer_and_keeps_what_it_brought(newer: Asked) -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0, 10, length=10))
    session.received_more(6)
    assert session.ask(2, newer) == [Stop(1)]
    session.stored(6)
    first, second = session.ended(1, whole=False)
    assert first == Refuse(1, Reason.PREEMPTED, 6)
    assert second in (Begin(2, 6, 4, verified=False), Tell(2, 6, 10, complete=False))


def test_of_several_requests_the_newest_may_write() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0))
    assert session.ask(2, appending(0)) == [Stop(1)]
    assert session.ask(3, Query()) == [Refuse(2, Reason.PREEMPTED, 0)]
    assert session.ask(4, appending(0)) == []
    assert session.ended(1, whole=False) == [
        Refuse(1, Reason.PREEMPTED, 0),
        Tell(3, 0, None, complete=False),
        Begin(4, 0, None, verified=False),
    ]


def test_who_goes_away_while_waiting_is_forgotten() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0))
    session.ask(2, appending(0))
    session.left(2)
    assert session.ended(1, whole=False) == [Refuse(1, Reason.PREEMPTED, 0)]
    assert session.writer is None


def test_nothing_counts_before_it_is_verified() -> None:
    session = Session(NO_LIMITS)
    assert begun(session, 1, appending(0, 5, length=10, verified=True)).verified
    bring(session, 1, 5)
    assert session.offset == 0
    assert session.ended(1, whole=True) == [Continue(1, 5)]
    begun(session, 2, appending(5, 5, verified=True))
    bring(session, 2, 5)
    assert session.ended(2, whole=False) == [RollBack(5)]
    assert (session.offset, session.received) == (5, 5)


def test_cancelling_stops_the_writer_and_discards() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0))
    assert session.ask(2, Cancel()) == [Stop(1)]
    assert session.ended(1, whole=False) == [Refuse(1, Reason.GONE, 0), Discard(), Cancelled(2)]
    for request, asked in ((3, Query()), (4, appending(0)), (5, Cancel())):
        assert session.ask(request, asked) == [Refuse(request, Reason.GONE, 0)]


def test_cancelling_while_the_file_is_being_stored() -> None:
    session = with_bytes(4, length=4)
    begun(session, 1, appending(4, 0))
    assert session.ended(1, whole=True) == [Finish(4)]
    assert session.ask(2, Cancel()) == [Discard(), Refuse(1, Reason.GONE, 4), Cancelled(2)]
    assert session.finished(ANSWER) == []
    assert session.phase is Phase.CANCELLED


def test_cancelling_what_is_complete_keeps_the_file() -> None:
    session = Session(NO_LIMITS, SessionRecord(4, 4, Phase.COMPLETE, None, ANSWER))
    assert session.ask(1, Cancel()) == [Forget(), Cancelled(1)]


@pytest.mark.parametrize("append", [appending(4, 0), appending(4, 0, completes=True), appending(1, 3, completes=True)])
def test_a_lost_answer_is_given_again(append: Append) -> None:
    session = Session(NO_LIMITS, SessionRecord(4, 4, Phase.COMPLETE, None, ANSWER))
    assert session.ask(1, append) == [Replay(1, ANSWER)]


def test_asking_again_while_the_file_is_being_stored_waits_for_the_same_answer() -> None:
    session = with_bytes(4, length=4)
    begun(session, 1, appending(4, 0, completes=True))
    assert session.ended(1, whole=True) == [Finish(4)]
    assert session.ask(2, appending(4, 0, completes=True)) == []
    assert session.ask(3, Query()) == [Tell(3, 4, 4, complete=False)]
    assert session.ask(4, appending(4, 1, completes=False)) == [Refuse(4, Reason.COMPLETE, 4, 4)]
    session.left(1)
    assert session.finished(ANSWER) == [Replay(2, ANSWER)]


def test_what_brought_too_much_is_told_so_even_if_what_waits_behind_it_is_the_uploads_end() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, Append(0, None, None, 0))
    fatal = Append(0, None, 1, excess_is_fatal=True)
    session.ask(2, fatal)
    refused = [decision for decision in session.exceeded(1) if isinstance(decision, Refuse)]
    assert {refusal.request for refusal in refused} == {1, 2}


def test_a_failure_that_may_pass_lets_the_client_try_again() -> None:
    session = with_bytes(4, length=4)
    begun(session, 1, appending(4, 0))
    session.ended(1, whole=True)
    assert session.failed(b"503", lasting=False) == [Replay(1, b"503")]
    assert session.ask(2, appending(4, 0)) == [Finish(4)]
    assert session.failed(b"500", lasting=True) == [Replay(2, b"500"), Discard()]
    assert session.ask(3, appending(4, 0)) == [Replay(3, b"500")]
    assert session.ask(4, Query()) == [Refuse(4, Reason.GONE, 4)]


def test_an_upload_whose_safe_bytes_are_lost_is_over() -> None:
    session = Session(NO_LIMITS)
    begun(session, 1, appending(0))
    bring(session, 1, 5)
    assert session.lost(b"500") == [Stop(1), Discard()]
    assert session.ended(1, whole=True) == [Refuse(1, Reason.GONE, 5)]
    assert session.lost(b"500") == []


def test_only_what_nobody_writes_to_expires() -> None:
    session = Session(NO_LIMITS, SessionRecord(deadline=100.0))
    assert session.expire(99.9) == []
    begun(session, 1, appending(0))
    assert session.expire(200) == []
    session.ended(1, whole=True)
    assert session.expire(200) == [Discard()]
    assert session.expire(200) == []
    assert session.ask(2, Query()) == [Refuse(2, Reason.GONE, 0)]


def test_what_was_being_stored_is_stored_after_a_restart() -> None:
    session = with_bytes(4, length=4)
    begun(session, 1, appending(4, 0))
    session.ended(1, whole=True)
    revived = Session(NO_LIMITS, session.record())
    assert revived.revive(ends_with_length=True) == [Finish(4)]
    assert revived.record() == session.record()
    assert with_bytes(4).revive(ends_with_length=True) == []


def test_what_was_written_down_to_its_last_byte_is_stored_after_a_restart() -> None:
    assert with_bytes(4, length=4).revive(ends_with_length=True) == [Finish(4)]
    assert with_bytes(4, length=4).revive(ends_with_length=False) == []


@pytest.mark.parametrize(
    ("limits", "append", "reason"),
    [
        (Limits(max_size=9), appending(0, 1, length=10), Reason.TOO_LARGE),
        (Limits(max_size=9), appending(0, 10), Reason.TOO_LARGE),
        (Limits(min_size=5), appending(0, 1, length=4), Reason.TOO_SMALL),
        (Limits(max_append_size=4), appending(0, 5), Reason.TOO_LARGE),
        (Limits(min_append_size=4), appending(0, 3), Reason.TOO_SMALL),
        (Limits(min_append_size=4), appending(0, 3, completes=False, length=3), Reason.TOO_SMALL),
        (NO_LIMITS, appending(0, 5, length=4), Reason.TOO_LONG),
        (NO_LIMITS, appending(0, 5, completes=True, length=6), Reason.INCONSISTENT_LENGTH),
    ],
)
def test_limits_are_held_before_anything_is_read(limits: Limits, append: Append, reason: Reason) -> None:
    session = Session(limits)
    assert refused(session, 1, append).reason is reason
    assert (session.phase, session.length) == (Phase.OPEN, None)


@pytest.mark.parametrize("append", [appending(0, 0), appending(0, 3, completes=True), appending(0, 3, length=3)])
def test_the_smallest_append_is_not_for_the_last_one_nor_for_an_empty_one(append: Append) -> None:
    begun(Session(Limits(min_append_size=4)), 1, append)


def test_the_most_that_may_come_is_the_least_of_all_bounds() -> None:
    for limits, length, most in (
        (NO_LIMITS, None, None),
        (NO_LIMITS, 10, 6),
        (Limits(max_size=9), None, 5),
        (Limits(max_size=100, max_append_size=3), 10, 3),
    ):
        assert begun(with_bytes(4, length, limits), 1, appending(4)).most == most


def test_too_many_bytes_are_the_end_where_the_dialect_wants_that() -> None:
    session = with_bytes(4, length=6)
    assert session.ask(1, appending(4, 3, excess_is_fatal=True)) == [Refuse(1, Reason.TOO_LONG, 4, 4), Discard()]
    assert session.phase is Phase.FAILED
    session = with_bytes(4, length=6)
    begun(session, 1, appending(4, excess_is_fatal=True))
    bring(session, 1, 2)
    assert session.exceeded(1) == [Refuse(1, Reason.TOO_LONG, 6, 4), Discard()]
    assert session.ask(2, Query()) == [Refuse(2, Reason.GONE, 6)]


def test_too_many_bytes_leave_what_came_before_elsewhere() -> None:
    session = with_bytes(4, length=6)
    begun(session, 1, appending(4))
    bring(session, 1, 2)
    assert session.exceeded(1) == [Refuse(1, Reason.TOO_LONG, 6, 4)]
    session = with_bytes(4, limits=Limits(max_append_size=2))
    begun(session, 1, appending(4))
    bring(session, 1, 2)
    session.ask(2, Query())
    assert session.exceeded(1) == [Refuse(1, Reason.TOO_LARGE, 6, 4), Tell(2, 6, None, complete=False)]


def test_the_length_of_parts_together() -> None:
    complete = SessionRecord(4, 4, Phase.COMPLETE)
    assert length_of_all([complete, complete]) == 8
    assert length_of_all([complete, SessionRecord(3, 4)]) is None


class AnyOrderOfThings(RuleBasedStateMachine):
    """Whatever comes when, no acknowledged byte is lost, every request is answered once, and the session can end."""

    @initialize(
        length=st.none() | st.integers(0, 30),
        limits=st.builds(
            Limits, max_size=st.sampled_from([0, 25]), max_append_size=st.sampled_from([0, 8]), min_size=st.just(0)
        ),
    )
    def begin(self, length: int | None, limits: Limits) -> None:
        self.limits = limits
        self.session = Session(limits, SessionRecord(length=length, deadline=100.0))
        self.requests = 0
        self.unanswered: set[int] = set()
        self.writing: Begin | None = None
        self.finishing = False
        self.acknowledged = 0
        self.brought = 0
        self.discarded = False

    def carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            match decision:
                case Begin():
                    assert self.writing is None and not self.discarded
                    assert decision.request in self.unanswered
                    assert decision.offset == self.session.offset
                    assert decision.most is None or decision.most >= 0
                    self.writing, self.brought = decision, 0
                case Stop(request):
                    assert self.writing is not None and self.writing.request == request
                case RollBack(offset):
                    assert offset == self.session.offset
                case Finish(length):
                    assert length == self.session.offset == self.session.length
                    self.finishing = True
                case Discard():
                    assert not self.discarded
                    self.discarded, self.finishing = True, False
                case Tell(request, offset) | Continue(request, offset) | Refuse(request, _, offset):
                    assert offset >= self.acknowledged
                    self.acknowledged = offset
                    self.unanswered.remove(request)
                case Replay(request) | Cancelled(request):
                    self.unanswered.remove(request)

    def ask(self, asked: Asked) -> None:
        self.requests += 1
        self.unanswered.add(self.requests)
        self.carry_out(self.session.ask(self.requests, asked))

    @rule(
        distance=st.sampled_from([0, 0, 0, 0, -1, 1, None]),
        size=st.none() | st.integers(0, 12),
        completes=st.sampled_from([None, True, False]),
        length=st.none() | st.integers(0, 30),
        verified=st.booleans(),
        fatal=st.booleans(),
    )
    def append(
        self,
        distance: int | None,
        size: int | None,
        completes: bool | None,
        length: int | None,
        verified: bool,
        fatal: bool,
    ) -> None:
        offset = None if distance is None else max(0, self.session.offset + distance)
        self.ask(Append(offset, completes, size, length, verified, fatal))

    @rule()
    def query(self) -> None:
        self.ask(Query())

    @rule(unless=st.integers(0, 3))
    def cancel(self, unless: int) -> None:
        if not unless:
            self.ask(Cancel())

    @precondition(lambda self: self.writing is not None)
    @rule(size=st.integers(1, 12), safe=st.integers(0, 12))
    def bytes_come(self, size: int, safe: int) -> None:
        assert self.writing is not None
        if self.writing.most is not None and self.brought + size > self.writing.most:
            request, self.writing = self.writing.request, None
            self.carry_out(self.session.exceeded(request))
            return
        self.brought += size
        self.session.received_more(size)
        self.session.stored(self.session.offset + safe)

    @precondition(lambda self: self.writing is not None)
    @rule(whole=st.booleans(), safe=st.booleans())
    def content_ends(self, whole: bool, safe: bool) -> None:
        assert self.writing is not None
        request, self.writing = self.writing.request, None
        if safe:
            self.session.stored(self.session.received)
        self.carry_out(self.session.ended(request, whole=whole))
        if not whole:
            # Its client is gone, or gets an answer from whoever knows what went wrong.
            self.unanswered.discard(request)

    @precondition(lambda self: self.finishing)
    @rule(how=st.sampled_from(["well", "badly", "for now"]))
    def storing_ends(self, how: str) -> None:
        self.finishing = False
        if how == "well":
            self.carry_out(self.session.finished(ANSWER))
        else:
            self.carry_out(self.session.failed(b"sorry", lasting=how == "badly"))

    @precondition(lambda self: len(self.unanswered) > 1)
    @rule(data=st.data())
    def client_leaves(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.unanswered)))
        if self.writing is None or self.writing.request != request:
            self.session.left(request)
            self.unanswered.discard(request)

    @rule(now=st.sampled_from([99.0, 99.0, 100.0]))
    def time_passes(self, now: float) -> None:
        self.carry_out(self.session.expire(now))

    @rule(unless=st.integers(0, 9))
    def peers_lose_it(self, unless: int) -> None:
        if not unless:
            self.carry_out(self.session.lost(b"lost"))

    @rule()
    def node_restarts(self) -> None:
        self.session = Session(self.limits, self.session.record())
        self.unanswered.clear()
        self.writing = None
        self.finishing = False
        self.carry_out(self.session.revive(ends_with_length=True))

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        assert self.session.offset >= self.acknowledged
        assert self.session.received >= self.session.offset
        assert self.session.length is None or self.session.offset <= self.session.length
        assert self.session.writer == (None if self.writing is None else self.writing.request)

    def teardown(self) -> None:
        """It can be ended from wherever it is, and then nobody waits for anything."""
        if not hasattr(self, "session"):
            return
        self.ask(Cancel())
        if self.writing is not None:
            request, self.writing = self.writing.request, None
            self.carry_out(self.session.ended(request, whole=False))
        assert not self.unanswered
        assert self.session.phase in (Phase.CANCELLED, Phase.EXPIRED)


TestAnyOrderOfThings = AnyOrderOfThings.TestCase
TestAnyOrderOfThings.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
