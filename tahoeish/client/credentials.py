"""What the client tells a node about who it is, and where it has that from."""

from __future__ import annotations

import getpass
import netrc
import os
import re
import stat
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit


class CredentialTrouble(Exception):
    """There is no telling who to be. The message shows no secret."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user with a password, or with an app token in its place."""

    user: str
    password: str = field(repr=False)

    @property
    def authorization(self) -> str:
        return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class AppToken:
    """A token, which tells itself whose it is."""

    secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        return f"Bearer {self.secret}"


Credentials = Login | AppToken


def without_credentials(url: str) -> tuple[str, Credentials | None]:
    """A URL without the `user:password@` in it, and that."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return url, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, Login(unquote(parts.username or ""), unquote(parts.password or ""))


def shown(url: str) -> str:
    """The URL for an error, be it ever so wrong."""
    return re.sub(r"//.*@", "//", url)


def chosen_credentials(
    url: str, user: str | None, environ: Mapping[str, str], ask: Callable[[str], str]
) -> tuple[str, Credentials | None]:
    """
    The URL without secrets, and who to be there: `user` from the command line, else what the URL says, else
    $TAHOEISH_TOKEN, else $TAHOEISH_USER, else what a netrc file says for the host, else nobody.

    A user's password is $TAHOEISH_PASSWORD; `ask` gets the user's name where that isn't set.

    Raises `CredentialTrouble`.
    """
    bare, said = without_credentials(url)
    if user is None and said is not None:
        return bare, said
    if user is None and (token := environ.get("TAHOEISH_TOKEN")):
        return bare, AppToken(_plain(token, "$TAHOEISH_TOKEN"))
    user = user or environ.get("TAHOEISH_USER")
    if user:
        if ":" in user:
            raise CredentialTrouble("there is a colon in the user's name; the password belongs into $TAHOEISH_PASSWORD")
        password = environ.get("TAHOEISH_PASSWORD")
        return bare, Login(user, ask(user) if password is None else password)
    return bare, _from_netrc(urlsplit(bare).hostname or "", environ)


def ask_terminal(user: str) -> str:
    """Raises `CredentialTrouble` where there is no terminal."""
    try:
        # Also when standard input is what is to be stored.
        with open("/dev/tty", "rb"):
            pass
        return getpass.getpass(f"Password for {user}: ")
    except (OSError, EOFError):
        raise CredentialTrouble(
            f"there is no terminal to ask for the password of {user}; set $TAHOEISH_PASSWORD"
        ) from None


def _from_netrc(host: str, environ: Mapping[str, str]) -> Credentials | None:
    path = Path(environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
        # Not `authenticators`, which has a default for hosts that aren't named: that one isn't meant for us.
        entry = netrc.netrc(path).hosts.get(host)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialTrouble(f"{path}: {error.strerror}") from error
    except netrc.NetrcParseError:
        # Its own words may quote a secret.
        raise CredentialTrouble(f"{path}: can't be understood") from None
    except UnicodeDecodeError:
        raise CredentialTrouble(f"{path}: not UTF-8 text") from None
    if entry is None:
        return None
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CredentialTrouble(f"others can read {path}, where there is a password; `chmod 600 {path}` keeps them out")
    login, account, password = entry
    return Login(login or account or "", password or "")


def _plain(token: str, where: str) -> str:
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialTrouble(f"what {where} says is no app token")
    return token
