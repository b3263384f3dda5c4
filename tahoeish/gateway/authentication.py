"""Whether a client is who it claims to be; guessing is made slow, and being right cheap."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tahoeish.gateway.accounts import Accounts
from tahoeish.gateway.credentials import Bearer, Password
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.passwords import Passwords, Recollection
from tahoeish.namespace.throttle import Key, Throttle
from tahoeish.namespace.tokens import looks_like_token
from tahoeish.namespace.users import LONGEST_NAME
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.tasks import share_of
from tahoeish.streams.threads import ThreadRunner

log = Logger()

KEY_LENGTH = 32
LONGEST_WAIT = 35.0
"""What an attempt may wait for its turn. Longer than the longest delay, so that it gets its turn at all."""

MOST_WAITING = 256
MOST_WAITING_FOR_ONE = 16


Outcome: TypeAlias = "bool | TooManyAttempts"


class WrongCredentials(Exception):
    """The claim isn't true. The message tells no more than that, and not what was claimed."""


class TooManyAttempts(Refused):
    """So many are waiting to be checked that another one isn't let in."""

    def __init__(self, wait: float) -> None:
        seconds = max(1, math.ceil(wait))
        super().__init__(
            429,
            f"too many attempts to come in here have failed; try again in {seconds} seconds",
            {"Retry-After": str(seconds)},
        )


class Authenticator:
    """
    Turns claims into viewers.

    A password costs an argon2 hash the first time, a token only a look into the catalogue; a wrong claim that is
    repeated costs nothing and isn't held against anybody, a new wrong one makes the next new one wait.
    """

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        *,
        hash_in_thread: ThreadRunner,
        clock: IReactorTime,
        random_bytes: Callable[[int], bytes],
        throttle: Throttle | None = None,
    ) -> None:
        """`hash_in_thread` bounds how many hashes are computed, each in memory of its own, at the same time."""
        self._accounts = accounts
        self._passwords = passwords
        self._hash_in_thread = hash_in_thread
        self._clock = clock
        self._throttle = throttle or Throttle()
        self._recollection = Recollection(random_bytes(KEY_LENGTH))
        self._checks: dict[bytes, Deferred[Outcome]] = {}
        self._waiting: Counter[Key] = Counter()

    async def viewer(self, claim: Password | Bearer, address: str) -> Viewer:
        """Who it is. Raises `WrongCredentials`, or `TooManyAttempts`."""
        if isinstance(claim, Bearer):
            return await self._by_token(claim.secret, None, address)
        if looks_like_token(claim.secret):
            return await self._by_token(claim.secret, claim.user, address)
        return await self._by_password(claim, address)

    async def _by_token(self, secret: str, user: str | None, address: str) -> Viewer:
        token = await self._accounts.token(secret)
        # Tools that have nothing to put into the field for the name leave it empty.
        if token is not None and user in (None, "", token.user):
            return Viewer(token.user, read_only=token.read_only, below=token.below)
        digest = self._recollection.digest(user or "", secret, None)
        if self._recollection.verdict(digest, self._clock.seconds()) is None:
            with self._place(self._throttle.keys(address, None)):
                await self._turn(address, None)
            self._recollection.remember(digest, False, self._clock.seconds())
            log.info("a wrong token from {address}", address=address)
        raise WrongCredentials("the app token isn't valid: it is wrong, or was revoked, or has expired")

    async def _by_password(self, claim: Password, address: str) -> Viewer:
        user = await self._accounts.user(claim.user)
        known = user is not None and not user.disabled
        password_hash = user.password_hash if user is not None and known else None
        digest = self._recollection.digest(claim.user, claim.secret, password_hash)
        right = self._recollection.verdict(digest, self._clock.seconds())
        if right is None:
            right = await self._checked(claim, password_hash, digest, address)
            if not right:
                # Not who it was to be: people type passwords where the name belongs.
                log.info("a wrong user or password from {address}", address=address)
        if not right:
            raise WrongCredentials("the user or the password is wrong")
        return Viewer(claim.user)

    async def _checked(self, claim: Password, password_hash: str | None, digest: bytes, address: str) -> bool:
        """One check for all who make the same claim at the same time, as mounts do that begin with many requests."""
        check = self._checks.get(digest)
        if check is None:
            check = self._checks[digest] = Deferred.fromCoroutine(self._check(claim, password_hash, digest, address))
            check.addBoth(self._ended, digest)
        outcome = await share_of(check)
        if isinstance(outcome, TooManyAttempts):
            raise outcome
        return outcome

    def _ended(self, outcome: Outcome, digest: bytes) -> Outcome:
        self._checks.pop(digest, None)
        return outcome

    async def _check(
        self, claim: Password, password_hash: str | None, digest: bytes, address: str
    ) -> bool | TooManyAttempts:
        # What nobody can be called is counted like its beginning, so that long names take no room.
        user = claim.user[: LONGEST_NAME + 1]
        try:
            with self._place(self._throttle.keys(address, user)):
                await self._turn(address, user)
                right = await self._hash_in_thread(self._passwords.match, claim.secret, password_hash)
        except TooManyAttempts as error:
            # Returned, because several may wait for it, and each raises it for itself.
            return error
        if right:
            self._throttle.succeeded(address, user)
        self._recollection.remember(digest, right, self._clock.seconds())
        return right

    async def _turn(self, address: str, user: str | None) -> None:
        deadline = self._clock.seconds() + LONGEST_WAIT
        while wait := self._throttle.begin(address, user, self._clock.seconds()):
            if self._clock.seconds() + wait > deadline:
                raise TooManyAttempts(wait)
            await deferLater(self._clock, wait)

    @contextmanager
    def _place(self, keys: list[Key]) -> Iterator[None]:
        full = any(self._waiting[key] >= MOST_WAITING_FOR_ONE for key in keys)
        if full or len(self._checks) > MOST_WAITING:
            raise TooManyAttempts(self._throttle.patience.longest_delay)
        self._waiting.update(keys)
        try:
            yield
        finally:
            self._waiting.subtract(keys)
            for key in keys:
                if not self._waiting[key]:
                    del self._waiting[key]
