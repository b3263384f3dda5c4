"""The memory that all transfers share: never too much, never stuck."""

from __future__ import annotations

from typing import TypeVar, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import CancelledError, Deferred

from tahoeish.streams.budget import ByteBudget, Lease, SegmentAllowance

T = TypeVar("T")

MIB = 1024 * 1024


def had(deferred: Deferred[T]) -> bool:
    return deferred.called


class TestByteBudget:
    def test_leases_are_given_while_there_is_room(self) -> None:
        budget = ByteBudget(80)
        first, second, third = (budget.lease(35) for _ in range(3))
        assert had(first) and had(second) and not had(third)
        assert (budget.used, budget.waiting) == (70, 1)

    def test_what_is_given_back_goes_to_the_one_who_waits_longest(self) -> None:
        budget = ByteBudget(80)
        holder = now(budget.lease(70))
        waiting = [budget.lease(60), budget.lease(20)]
        assert not had(waiting[1]), "it would fit, but it has to wait its turn"
        holder.release()
        assert had(waiting[0]) and not had(waiting[1])

    def test_a_lease_that_shrinks_makes_room(self) -> None:
        budget = ByteBudget(80)
        lease = now(budget.lease(70))
        waiting = budget.lease(30)
        lease.shrink(50)
        assert not had(waiting)
        lease.shrink(40)
        assert had(waiting)
        lease.shrink(60)
        assert lease.size == 40, "it can't grow"

    def test_giving_back_twice_counts_once(self) -> None:
        budget = ByteBudget(80)
        lease = now(budget.lease(30))
        other = now(budget.lease(30))
        lease.release()
        lease.release()
        assert budget.used == 30
        with other:
            pass
        assert budget.used == 0

    def test_more_than_there_is_goes_alone(self) -> None:
        budget = ByteBudget(80)
        lease = now(budget.lease(10**9))
        assert budget.used <= 80
        waiting = budget.lease(20)
        assert not had(waiting)
        lease.release()
        assert had(waiting)

    def test_small_ones_pass_by_large_ones(self) -> None:
        budget = ByteBudget(64 * MIB)
        now(budget.lease(56 * MIB))
        large = budget.lease(30 * MIB)
        small = budget.lease(1000)
        assert had(small) and not had(large)

    def test_who_does_not_want_to_wait_any_more_is_out_of_the_way(self) -> None:
        budget = ByteBudget(80)
        now(budget.lease(30))
        large, behind = budget.lease(60), budget.lease(30)
        large.addErrback(lambda failure: failure.trap(CancelledError) and None)
        assert not had(behind)
        large.cancel()
        assert had(behind)

    def test_who_is_alone_may_have_all_of_it(self) -> None:
        budget = ByteBudget(80, crowd=30)
        assert all(had(budget.lease(7, "alone")) for _ in range(11))

    def test_the_more_there_are_the_less_they_have_together_down_to_what_a_crowd_may_have(self) -> None:
        budget = ByteBudget(1200, crowd=300)
        had_together = []
        for count in range(1, 7):
            leases = [budget.lease(10, holder) for _ in range(120) for holder in range(count)]
            had_together.append(budget.used)
            for lease in leases:
                lease.addCallback(Lease.release)
            assert (budget.used, budget.holders) == (0, 0)
        # Without the part that is kept for small leases.
        assert had_together == [1160, 560, 360, 260, 260, 260]

    def test_a_newcomer_goes_first_as_soon_as_one_that_was_alone_has_little_enough(self) -> None:
        budget = ByteBudget(80, crowd=30)
        alone = [now(budget.lease(10, "alone")) for _ in range(7)]
        newcomer, more = budget.lease(10, "newcomer"), budget.lease(10, "alone")
        for lease in alone[:4]:
            lease.release()
        assert budget.holders == 2 and not had(newcomer)
        alone[4].release()
        assert had(newcomer) and not had(more)

    def test_who_gives_up_waiting_makes_it_smaller_no_more(self) -> None:
        budget = ByteBudget(80, crowd=30)
        holder = [now(budget.lease(10, "alone")) for _ in range(7)]
        newcomer = budget.lease(10, "newcomer")
        newcomer.addErrback(lambda failure: failure.trap(CancelledError) and None)
        newcomer.cancel()
        assert budget.holders == 1
        holder[0].release()
        holder[0].release()
        assert had(budget.lease(10, "alone"))


class TestSegmentAllowance:
    def test_alone_one_gets_what_it_asks_for(self) -> None:
        assert now(SegmentAllowance(64 * MIB).admit(MIB)).segment_size == MIB

    def test_in_a_crowd_segments_get_smaller(self) -> None:
        allowance = SegmentAllowance(64 * MIB)
        sizes = [now(allowance.admit(MIB)).segment_size for _ in range(500)]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-1] == 64 * 1024
        assert allowance.promised <= allowance.capacity

    def test_when_nothing_is_left_the_next_one_waits(self) -> None:
        allowance = SegmentAllowance(4 * MIB)
        promises = [allowance.admit(MIB) for _ in range(100)]
        admitted = [promise for promise in promises if had(promise)]
        assert len(admitted) < 100 and allowance.promised <= 4 * MIB
        now(admitted[-1]).release()
        now(admitted[-1]).release()
        assert sum(map(had, promises)) == len(admitted) + 1

    def test_an_exact_size_waits_for_all_its_room(self) -> None:
        allowance = SegmentAllowance(MIB)
        crowd = [now(allowance.admit_exactly(MIB // 4)) for _ in range(4)]
        exact = allowance.admit_exactly(MIB)
        for promise in crowd[:3]:
            promise.release()
        assert not had(exact)
        crowd[3].release()
        assert now(exact).segment_size == MIB

    def test_one_upload_is_always_let_in(self) -> None:
        assert had(SegmentAllowance(MIB).admit_exactly(5 * MIB))

    def test_who_leaves_the_queue_is_forgotten(self) -> None:
        allowance = SegmentAllowance(MIB)
        holder = now(allowance.admit_exactly(MIB))
        large, behind = allowance.admit_exactly(MIB), allowance.admit_exactly(MIB)
        large.addErrback(lambda failure: failure.trap(CancelledError) and None)
        large.cancel()
        holder.release()
        assert had(behind)


class BudgetMachine(RuleBasedStateMachine):
    """Leases come, shrink, go, and lose patience, in any order."""

    CAPACITY = 1000

    def __init__(self) -> None:
        super().__init__()
        self.budget = ByteBudget(self.CAPACITY, crowd=400)
        self.held: list[Lease] = []
        self.waiting: list[Deferred[Lease]] = []

    @rule(size=st.integers(0, 1500), holder=st.sampled_from([None, "a", "b", "c"]))
    def ask(self, size: int, holder: str | None) -> None:
        asked = self.budget.lease(size, holder)
        self.waiting.append(asked)

        def given(lease: Lease) -> None:
            self.waiting.remove(asked)
            self.held.append(lease)

        asked.addCallbacks(given, lambda failure: failure.trap(CancelledError) and None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.held))
        self.held.remove(lease)
        lease.release()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def shrink(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.held)).shrink(data.draw(st.integers(0, 1000)))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def lose_patience(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(asked)
        asked.cancel()

    @invariant()
    def never_too_much(self) -> None:
        assert self.budget.used == sum(lease.size for lease in self.held) <= self.CAPACITY
        assert self.budget.waiting == len(self.waiting)

    @invariant()
    def never_stuck(self) -> None:
        assert self.budget.used > 0 or not self.waiting


TestAnyOrder = BudgetMachine.TestCase
TestAnyOrder.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def now(deferred: Deferred[T]) -> T:
    """What it has fired with already."""
    assert deferred.called
    return cast(T, deferred.result)
