"""Who the client says it is, and where it has that from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tahoeish.client.credentials import (
    AppToken,
    Credentials,
    CredentialTrouble,
    Login,
    chosen_credentials,
    shown,
    without_credentials,
)

URL = "http://node.example:3456"
NO_NETRC = {"NETRC": "/nonexistent/netrc"}


def never_asked(user: str) -> str:
    raise AssertionError(user)


def chosen(url: str = URL, user: str | None = None, **environ: str) -> Credentials | None:
    return chosen_credentials(url, user, {**NO_NETRC, **environ}, never_asked)[1]


def netrc(path: Path, text: str, mode: int = 0o600) -> Mapping[str, str]:
    path.write_text(text)
    path.chmod(mode)
    return {"NETRC": str(path)}


def test_nobody_says_nothing() -> None:
    assert chosen() is None


def test_what_is_said_more_plainly_comes_first() -> None:
    url = "http://bob:p%40ss@node.example:3456"
    everything = {"TAHOEISH_TOKEN": "tahoeish_t", "TAHOEISH_USER": "carol", "TAHOEISH_PASSWORD": "secret"}
    assert chosen(url, "alice", **everything) == Login("alice", "secret")
    assert chosen(url, **everything) == Login("bob", "p@ss")
    assert chosen(**everything) == AppToken("tahoeish_t")
    del everything["TAHOEISH_TOKEN"]
    assert chosen(**everything) == Login("carol", "secret")


def test_a_password_that_was_not_given_is_asked_for() -> None:
    assert chosen_credentials(URL, "alice", NO_NETRC, lambda user: f"{user}'s") == (URL, Login("alice", "alice's"))


def test_the_url_comes_without_secrets() -> None:
    assert without_credentials("http://alice:secret@[::1]:3456/") == ("http://[::1]:3456/", Login("alice", "secret"))
    assert without_credentials(URL) == (URL, None)
    assert shown("ftp://alice:se@cret@host") == "ftp://host"


def test_netrc_is_asked_for_the_host(tmp_path: Path) -> None:
    environ = netrc(
        tmp_path / "netrc", "machine node.example login alice password secret\ndefault login x password y\n"
    )
    assert chosen(**environ) == Login("alice", "secret")
    assert chosen("http://other.example", **environ) is None


def test_a_netrc_that_others_can_read_is_refused(tmp_path: Path) -> None:
    environ = netrc(tmp_path / "netrc", "machine node.example login alice password secret\n", 0o644)
    with pytest.raises(CredentialTrouble, match="chmod 600"):
        chosen(**environ)
    assert chosen("http://other.example", **environ) is None


def test_a_netrc_that_makes_no_sense_is_refused_without_showing_it(tmp_path: Path) -> None:
    environ = netrc(tmp_path / "netrc", "machine node.example\nlogin alice secret\n")
    with pytest.raises(CredentialTrouble, match="can't be understood") as refused:
        chosen(**environ)
    assert "secret" not in str(refused.value)


def test_a_password_on_the_command_line_is_refused_without_showing_it() -> None:
    with pytest.raises(CredentialTrouble) as refused:
        chosen(user="alice:secret")
    assert "secret" not in str(refused.value)


def test_credentials_do_not_show_their_secret() -> None:
    assert "hunter2" not in repr([Login("alice", "hunter2"), AppToken("hunter2")])


def test_headers() -> None:
    assert Login("Aladdin", "open sesame").authorization == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert AppToken("tahoeish_x").authorization == "Bearer tahoeish_x"
