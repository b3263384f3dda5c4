"""The door of a gateway: a guard before its resources, who knows the users in the node's catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from tahoeish.gateway.access import Guard
from tahoeish.gateway.accounts import Accounts
from tahoeish.gateway.authentication import Authenticator
from tahoeish.gateway.cors import Policy
from tahoeish.namespace.database import Database
from tahoeish.namespace.passwords import Passwords
from tahoeish.namespace.throttle import Throttle
from tahoeish.namespace.tokens import Tokens
from tahoeish.namespace.users import Users
from tahoeish.streams.threads import ThreadRunner


def guarded(
    root: IResource,
    database: Database,
    *,
    names: ThreadRunner,
    hashers: ThreadRunner,
    clock: IReactorTime,
    random_bytes: Callable[[int], bytes],
    throttle: Throttle,
    open_caps: bool,
    cors: Policy,
) -> Guard:
    """`root`, for those who may. `names` asks the catalogue, `hashers` checks passwords, few at a time."""
    accounts = Accounts(
        Users(database, time.time),
        Tokens(database, time.time, random_bytes),
        run_in_thread=names,
        clock=clock,
        now=time.time,
    )
    authenticator = Authenticator(
        accounts,
        Passwords(random_bytes),
        hash_in_thread=hashers,
        clock=clock,
        random_bytes=random_bytes,
        throttle=throttle,
    )
    return Guard(root, accounts, authenticator, open_caps=open_caps, cors=cors)
