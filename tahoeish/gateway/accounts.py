"""The users and tokens of the catalogue, as requests see them: looked up in a thread, and at most a second old."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.namespace.tokens import Token, Tokens
from tahoeish.namespace.users import User, Users
from tahoeish.streams.threads import ThreadRunner

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

log = Logger()

FRESH_SECONDS = 1.0
"""How long after a change by another process this one may still go by what was before."""

MOST_KEPT = 1000
USE_NOTED_SECONDS = 600.0
"""How exactly a token's last use is known. Each note is a transaction."""


class Accounts:
    """Who there is."""

    def __init__(
        self,
        users: Users,
        tokens: Tokens,
        *,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        """`now` is the time as it is stored, in seconds since 1970; `clock` is only for durations."""
        self._tokens = tokens
        self._run_in_thread = run_in_thread
        self._now = now
        self._any: _Recent[None, bool] = _Recent(lambda _: users.there_are_any(), run_in_thread, clock)
        self._user: _Recent[str, User | None] = _Recent(users.find, run_in_thread, clock)
        self._token: _Recent[str, Token | None] = _Recent(tokens.find, run_in_thread, clock)

    async def there_are_users(self) -> bool:
        """Without any, nobody needs credentials."""
        return await self._any.get(None)

    async def user(self, name: str) -> User | None:
        """Also one who isn't let in."""
        return await self._user.get(name)

    async def token(self, secret: str) -> Token | None:
        """The token with this secret, if it is good for anything now. Notes that it was used."""
        token = await self._token.get(secret)
        now = self._now()
        if token is None or not token.is_valid(now):
            return None
        if token.last_used is None or now - token.last_used >= USE_NOTED_SECONDS:
            self._note_use(token, now)
            self._token.put(secret, token.used(now))
        return token

    def _note_use(self, token: Token, now: float) -> None:
        # Nobody waits for it, and nobody is turned away because it can't be written down.
        self._run_in_thread(self._tokens.note_use, token.id, now).addErrback(
            lambda failure: log.warn("a token's use was not noted: {reason}", reason=failure.value)
        )


class _Recent(Generic[K, V]):
    """Answers that were looked up not long ago."""

    def __init__(self, look_up: Callable[[K], V], run_in_thread: ThreadRunner, clock: IReactorTime) -> None:
        self._look_up = look_up
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()

    async def get(self, key: K) -> V:
        asked = self._clock.seconds()
        if key in self._answers:
            good_until, answer = self._answers[key]
            if asked < good_until:
                return answer
        answer = await self._run_in_thread(self._look_up, key)
        # From when it was asked: what was changed since may be missing in the answer.
        self._keep(key, asked + FRESH_SECONDS, answer)
        return answer

    def put(self, key: K, answer: V) -> None:
        """What the answer is by now."""
        self._keep(key, self._clock.seconds() + FRESH_SECONDS, answer)

    def _keep(self, key: K, good_until: float, answer: V) -> None:
        self._answers[key] = (good_until, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > MOST_KEPT:
            self._answers.popitem(last=False)
