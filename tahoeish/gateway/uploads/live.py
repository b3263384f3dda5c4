"""
One upload session at hand in this process: its state machine, its row in the catalogue, and the file on its way.

The machine decides, this carries out. What is told to a client has been written down before: first the bytes are with
the peers, then the row says so, then the answer goes out. Another process that claims the row ends all of this.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.errors import BadCheckpoint
from tahoeish.gateway.errors import problem_of
from tahoeish.gateway.uploads.asked import Asked, Limits
from tahoeish.gateway.uploads.content import HELD_MOST, Content, Stopped, TooMuch, held_back
from tahoeish.gateway.uploads.decisions import Begin, Decision, Discard, Finish, Forget, Reason, Refuse, RollBack, Stop
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.guest import Guest, Passing
from tahoeish.gateway.uploads.mishaps import LASTING, is_lasting
from tahoeish.gateway.uploads.rows import (
    KEPT,
    is_provisional,
    limits_of,
    peers_of,
    progress_of,
    standing_in,
    stored_in,
    with_standing,
    with_stored,
    without_standing,
)
from tahoeish.gateway.uploads.session import Phase, Session, SessionRecord
from tahoeish.grid.resumable import Progress, ResumableUpload, Standing, begin, discard, go_on
from tahoeish.grid.upload import Uploaded, Uploader
from tahoeish.namespace.errors import NoSuchUpload, Superseded
from tahoeish.namespace.uploads import UploadRow, UploadTable
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.digests import DigestError
from tahoeish.streams.threads import ThreadRunner

log = Logger()

ANSWER_KEPT_SECONDS = 24 * 3600
"""How long a client may take to ask for the answer again that it hasn't got."""


class Target(Protocol):
    """What becomes of the file when it is whole."""

    async def complete(self, uploaded: Uploaded) -> FinalAnswer:
        """May be called again for the same file, when a crash came between. Raises what is wrong with it."""


@dataclass(frozen=True)
class SessionMeans:
    """What all sessions of a process share. `now` is in Unix seconds; `held` is for what isn't verified yet."""

    table: UploadTable
    ask: ThreadRunner
    uploader: Uploader
    target_of: Callable[[UploadRow], Target]
    limits: Limits
    clock: IReactorTime
    now: Callable[[], float]
    held: ByteBudget


class LiveSession:
    """`released` is called when nobody needs it here any more, and it is only in the catalogue."""

    def __init__(self, means: SessionMeans, row: UploadRow, released: Callable[[LiveSession], None]) -> None:
        self.row = row
        self._means = means
        self._released = released
        record = SessionRecord(row.offset, row.length, Phase(row.phase), row.deadline, row.answer)
        self.session = Session(limits_of(row, means.limits), record)
        self._upload: ResumableUpload | None = None
        self.dead = False
        """What is known here of the session isn't good any more."""
        self._stale = False
        self._guests: dict[int, Guest] = {}
        self._last_number = 0
        self._saving = DeferredLock()
        self._working: set[Deferred[None]] = set()
        self._quiet: list[Deferred[None]] = []

    @property
    def idle(self) -> bool:
        return not self._guests and not self._working

    @property
    def progress(self) -> Progress:
        """Before the first byte of this process, and when all have come, what is safe is all that is known."""
        return progress_of(self.row, self._upload)

    async def respond(
        self, asked: Asked, source: AsyncIterable[Buffer] | None = None, verified_by: Passing | None = None
    ) -> Decision:
        """
        The decision about one request, when all that it needs has been done.

        `source` is the content of an `Append`. Raises what broke it off, or was wrong with it; what came before is
        kept, unless it was to be verified first. When the wait is cancelled, what has come in is kept, too.
        """
        number = self._last_number = self._last_number + 1
        guest = self._guests[number] = Guest(asked, source, verified_by)
        self._carry_out(self.session.ask(number, asked))
        try:
            return await guest.decided
        except BaseException:
            self.session.left(number)
            raise
        finally:
            del self._guests[number]
            self._rest()

    def revive(self) -> None:
        """After a restart: go on with what was under way."""
        self._carry_out(self.session.revive(ends_with_length=not is_provisional(self.row)))

    def expire(self) -> None:
        """Its deadline may have passed. Only while it is idle."""
        match self.session.phase:
            case Phase.OPEN:
                self._carry_out(self.session.expire(self._means.now()))
            case Phase.FINISHING:
                # Whoever was at it is gone. When it fails again, it is open, and expires in its time.
                self.revive()
            case _:
                self._work(self._clear_away())

    async def remember(self, *, target: Mapping[str, object] | None = None, notes: object = None) -> None:
        """Write down what else becomes of the file, or what else the dialect needs to know."""

        async def write() -> None:
            if target is not None:
                before = json.loads(self.row.target)
                kept = {name: before[name] for name in KEPT if name in before}
                self.row = replace(self.row, target=json.dumps({**target, **kept}))
            if notes is not None:
                self.row = replace(self.row, notes=json.dumps(notes))
            await self._save_in_turn(None)

        await self._saving.run(lambda: Deferred.fromCoroutine(write()))

    async def stop(self) -> None:
        """Let go of it when what is under way has ended, so that another process can go on."""
        if not self.idle:
            quiet: Deferred[None] = Deferred()
            self._quiet.append(quiet)
            await quiet
        await self._let_go()

    def superseded(self) -> None:
        """Another process has claimed it."""
        self._fail(Superseded(self.row.id))

    # Carrying out decisions.

    def _carry_out(self, decisions: Sequence[Decision]) -> None:
        for number, decision in enumerate(decisions):
            match decision:
                case Begin():
                    self._work(self._bring(decision, self._guests[decision.request]))
                case Stop():
                    guest = self._guests.get(decision.request)
                    if guest is not None and guest.content is not None:
                        guest.content.stop()
                case RollBack():
                    self._stale = True
                case Finish():
                    self._work(self._finish(decision.length))
                case Discard():
                    self._work(self._discard(decisions[number + 1 :]))
                    return
                case Forget():
                    self._work(self._clear_away(decisions[number + 1 :]))
                    return
                case _:
                    if (guest := self._guests.get(decision.request)) is not None:
                        guest.decide(decision)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        working = Deferred.fromCoroutine(work)
        self._working.add(working)
        working.addErrback(self._failed).addBoth(self._worked, working)

    def _failed(self, failure: Failure) -> None:
        # That another process goes on with it, or nobody any more, is no mishap.
        if not failure.check(Superseded, NoSuchUpload):
            log.failure("an upload session broke", failure)
        self._fail(failure.value or RuntimeError("this can't be"))

    def _worked(self, _: object, working: Deferred[None]) -> None:
        self._working.discard(working)
        self._rest()

    def _rest(self) -> None:
        if self.idle:
            quiet, self._quiet = self._quiet, []
            for deferred in quiet:
                deferred.callback(None)
            self._released(self)

    async def _bring(self, begin: Begin, guest: Guest) -> None:
        """One request's content, and what follows from it."""
        assert guest.source is not None
        guest.content = Content(guest.source, begin.most)
        problem: Exception | None = None
        try:
            upload = await self._at_hand()
            if upload.position != self.session.offset:
                raise BadCheckpoint(f"{upload.position} of the {self.session.offset} bytes that were safe are there")
            upload.quiet = begin.verified
            await self._take_in(begin, guest, guest.content, upload)
        except Exception as error:
            problem = error
        standing, trouble = await self._settled(begin, problem)
        problem = problem or trouble
        decisions = self._decisions_after(begin, problem)
        await self._save(standing)
        # What has gone wrong with its request is more than that something newer has come.
        if problem is not None and not isinstance(problem, (Stopped, TooMuch)):
            guest.fail(problem)
        self._carry_out(decisions)

    async def _take_in(self, begin: Begin, guest: Guest, content: Content, upload: ResumableUpload) -> None:
        source: AsyncIterable[Buffer] = content
        if guest.verified_by is not None:
            source = guest.verified_by(source)
        size = HELD_MOST if guest.content_length is None else guest.content_length
        if not begin.verified or size > HELD_MOST:
            async for piece in source:
                await self._write(upload, piece)
            return
        with await self._means.held.lease(size):
            async for piece in held_back(source, size):
                await self._write(upload, piece)

    async def _write(self, upload: ResumableUpload, piece: Buffer) -> None:
        self.session.received_more(len(piece))
        await upload.write(piece)

    async def _settled(self, begin: Begin, problem: Exception | None) -> tuple[Standing | None, Exception | None]:
        """Make safe what has come, if it may be kept. What goes wrong with that is the second one."""
        upload, session = self._upload, self.session
        if upload is None or upload.broken:
            self._stale = True
            return None, None
        if begin.verified and problem is not None:
            return None, None
        try:
            standing = await upload.settle()
        except Exception as error:
            self._stale = True
            return None, error
        session.stored(standing.offset)
        return standing, None

    def _decisions_after(self, begin: Begin, problem: Exception | None) -> list[Decision]:
        session = self.session
        if isinstance(problem, TooMuch):
            return session.exceeded(begin.request)
        decisions = session.ended(begin.request, whole=problem is None)
        damaged = isinstance(problem, DigestError) and any(isinstance(decision, RollBack) for decision in decisions)
        if problem is not None and (damaged or isinstance(problem, LASTING)):
            decisions += session.lost(FinalAnswer.of_problem(problem_of(problem)).pack())
        return decisions

    async def _finish(self, length: int) -> None:
        """All bytes are there."""
        uploaded: Uploaded | None = None
        try:
            uploaded = stored_in(self.row) or await self._stored(length)
            answer = await self._means.target_of(self.row).complete(uploaded)
            decisions = self.session.finished(replace(answer, peers=peers_of(uploaded)).pack())
        except Exception as error:
            self._stale = True
            problem = problem_of(error)
            if problem.status == 500:
                log.failure("an upload could not be finished")
            lasting = is_lasting(error)
            if uploaded is not None and not lasting:
                self.row = with_stored(self.row, uploaded)
            decisions = self.session.failed(FinalAnswer.of_problem(problem).pack(), lasting=lasting)
        await self._save(None)
        self._carry_out(decisions)

    async def _stored(self, length: int) -> Uploaded:
        upload = await self._at_hand()
        if upload.position != length:
            raise BadCheckpoint(f"{upload.position} of the upload's {length} bytes are there")
        uploaded = await upload.finish()
        self._upload = None
        return uploaded

    async def _discard(self, afterwards: Sequence[Decision]) -> None:
        """Nobody needs to wait until the peers have heard of it, but it has to be certain that they will."""
        await self._save(None)
        self._carry_out(afterwards)
        if self.session.phase is Phase.FAILED:
            await self._take_back()
            self.row = without_standing(self.row)
            await self._save(None)
        else:
            await self._clear_away()

    async def _clear_away(self, afterwards: Sequence[Decision] = ()) -> None:
        await self._take_back()
        await self._means.ask(self._means.table.remove, self.row.id, self.row.epoch)
        self._carry_out(afterwards)

    async def _take_back(self) -> None:
        """Leave nothing on the peers."""
        standing = standing_in(self.row)
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.discard()
        elif standing is not None:
            await discard(standing, self._means.uploader.peers())

    # The file on its way, and the row.

    async def _at_hand(self) -> ResumableUpload:
        length = self.session.length
        if self._stale or (self._upload is not None and self._upload.could_use(length)):
            await self._let_go()
            self._stale = False
        if self._upload is None:
            means, standing = self._means, standing_in(self.row)
            if standing is None:
                self._upload = await begin(means.uploader, length, self._keep)
            else:
                records = await means.ask(means.table.records, self.row.id) if standing.segments else b""
                self._upload = await go_on(means.uploader, standing, records, self._keep, length)
        return self._upload

    async def _let_go(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.let_go()

    async def _keep(self, standing: Standing) -> None:
        await self._save(standing)

    async def _save(self, standing: Standing | None) -> None:
        """Write down how things are."""
        await self._saving.run(lambda: Deferred.fromCoroutine(self._save_in_turn(standing)))

    async def _save_in_turn(self, standing: Standing | None) -> None:
        means, record = self._means, self.session.record()
        row = replace(
            self.row,
            offset=record.offset if standing is None else standing.offset,
            length=record.length,
            phase=record.phase.value,
            answer=record.answer,
            deadline=self._deadline(),
        )
        if record.phase is Phase.COMPLETE:
            row = without_standing(row)
        elif record.phase in (Phase.CANCELLED, Phase.EXPIRED):
            # It may be some time until the peers have heard of it. Another one may have its name already.
            row = replace(row, key=None)
        if standing is None:
            await means.ask(means.table.save, row)
        else:
            row = with_standing(row, standing)
            save = partial(means.table.save, row, records=standing.records, first_segment=standing.first_segment)
            await means.ask(save)
            # Nobody is told of it before, nor if it couldn't be written down.
            self.session.stored(standing.offset)
        self.row = row

    def _deadline(self) -> float | None:
        ended = self.session.phase in (Phase.COMPLETE, Phase.FAILED)
        age = ANSWER_KEPT_SECONDS if ended else self._means.limits.max_age
        self.session.deadline = self._means.now() + age if age else None
        return self.session.deadline

    def _fail(self, error: BaseException) -> None:
        """What the row says is all that counts now."""
        self.dead = True
        for number, guest in list(self._guests.items()):
            if isinstance(error, Superseded) and guest.source is not None:
                guest.decide(Refuse(number, Reason.PREEMPTED, self.session.offset))
            guest.fail(error)
            if guest.content is not None:
                guest.content.stop()
        letting_go = Deferred.fromCoroutine(self._let_go())
        letting_go.addErrback(lambda failure: log.failure("an upload could not be let go", failure))
