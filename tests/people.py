"""Users, tokens and shares of a node in a test, made as an administrator makes them: with commands."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import NamedTuple

from tahoeish.node.main import main
from tests.nodes import NodeProcess


class Done(NamedTuple):
    """How a command has ended."""

    status: int
    out: str
    err: str


def administer(node: NodeProcess, *command: str) -> Done:
    """Run one of the commands that work on a node's directory, whatever comes of it."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([*command, "--node-dir", str(node.directory)])
    return Done(status, out.getvalue(), err.getvalue())


def administered(node: NodeProcess, *command: str) -> str:
    """The same, where nothing is to go wrong; gives the output."""
    done = administer(node, *command)
    assert (done.status, done.err) == (0, ""), done
    return done.out


def password_of(user: str) -> str:
    """Every user of these tests has such a password."""
    return f"the password of {user}"


def add_user(node: NodeProcess, user: str, *options: str) -> str:
    file = node.directory / f"{user}.password"
    file.touch(mode=0o600)
    file.write_text(password_of(user) + "\n", encoding="utf-8")
    return administered(node, "user", "add", user, "--password-file", str(file), *options)


def new_token(node: NodeProcess, user: str, *options: str) -> str:
    return administered(node, "token", "create", user, *options).strip()


def basic(user: str, password: str | None = None) -> Mapping[str, str]:
    """The header; with the right password, unless there is another."""
    secret = password_of(user) if password is None else password
    return {"Authorization": "Basic " + b64encode(f"{user}:{secret}".encode()).decode()}


def bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}
