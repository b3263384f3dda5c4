"""
OpenStack Swift, all in one: a proxy, and one object server for each fragment of an erasure code.

It speaks no TLS, encrypts nothing and has no hash trees; it syncs what it stores, as it always does.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.http import Door
from bench.peers.installation import Program, debian_program, python_environment
from bench.peers.server import accepts, free_ports, running, until
from bench.process import Process
from bench.sizes import KIB, MIB
from bench.store import Store

REQUIREMENTS = ("swift==2.38.3", "pyeclib==1.8.0")

_LAUNCHER = Path(__file__).with_name("swift_launcher.py")
_CONTAINER = "/v1/AUTH_test/bench"
_SAMPLE = 8 * MIB

_POLICY = """\
[swift-hash]
swift_hash_path_prefix = bench
swift_hash_path_suffix = bench
[storage-policy:0]
name = coded
default = yes
policy_type = erasure_coding
ec_type = {kind}
ec_num_data_fragments = {needed}
ec_num_parity_fragments = {more}
"""

_SERVER = """\
[DEFAULT]
devices = {devices}
mount_check = false
disable_fallocate = true
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
recon_cache_path = {folder}
log_level = WARNING
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats tempauth proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{cache}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
"""


class NotCoded(Exception):
    """What lies on the disks isn't what an erasure code makes."""


@dataclass(frozen=True)
class _Place:
    """Where everything of one Swift is. The ports are those of the proxy, the cache, and the servers."""

    commands: Path
    memcached: Program
    directory: Path
    proxy: int
    cache: int
    account: int
    container: int
    objects: Sequence[int]

    @property
    def config(self) -> Path:
        return self.directory / "etc"

    def disk(self, number: int) -> Path:
        return self.directory / f"node{number}" / f"disk{number}"

    @property
    def disks(self) -> Sequence[Path]:
        return [self.disk(number) for number in range(1, len(self.objects) + 1)]

    def fragments(self) -> Sequence[Path]:
        return [fragment for disk in self.disks for fragment in disk.glob("objects*/**/*#*#d.data")]

    def empty(self) -> None:
        for disk in self.disks:
            for objects in disk.glob("objects*"):
                shutil.rmtree(objects)
        os.sync()


@contextmanager
def swift(directory: Path, needed: int, total: int) -> Iterator[Store]:
    """It is gone at the end, with all that it stored. Raises `NotInstalled`, or `NotCoded`."""
    commands = python_environment("swift", *REQUIREMENTS)
    memcached = debian_program("memcached", "memcached", "libevent-2.1-7")
    proxy, cache, account, container, *objects = free_ports(4 + total)
    place = _Place(commands, memcached, directory, proxy, cache, account, container, objects)
    place.config.mkdir(parents=True)
    _configure(place, needed)
    with ExitStack() as stack:
        # The first one is the proxy.
        processes = [stack.enter_context(_server(place, name)) for name in _servers(place)]
        token = _token(place)
        _check(place, token, needed)
        door = Door(f"{_CONTAINER}/{{name}}", f"{_CONTAINER}/{{file}}", (f"X-Auth-Token: {token}",))
        yield Store(("127.0.0.1", proxy), processes[-1], processes[:-1], place.empty, door)
    shutil.rmtree(directory)


def _servers(place: _Place) -> Sequence[str]:
    """The proxy comes last, when everybody is there whom it asks."""
    return ["memcached", "account", "container", *(f"object-{n}" for n in range(1, len(place.objects) + 1)), "proxy"]


@contextmanager
def _server(place: _Place, name: str) -> Iterator[Process]:
    log = place.directory / f"{name}.log"
    kind = name.partition("-")[0]
    port = _port(place, name)
    command: list[str | Path]
    if kind == "memcached":
        command = [place.memcached.path, "-l", "127.0.0.1", "-p", str(port), "-m", "64", "-u", _user()]
        variables = dict(place.memcached.variables)
    else:
        program = place.commands / f"swift-{kind}-server"
        command = [place.commands / "python", "-P", _LAUNCHER, place.config, program, place.config / f"{name}.conf"]
        variables = {"PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"}
    with running(command, log, variables=variables, directory=place.directory) as process:
        until(lambda: accepts(("127.0.0.1", port)), f"Swift's {name}", log)
        yield process


def _port(place: _Place, name: str) -> int:
    kind, _, number = name.partition("-")
    if number:
        return place.objects[int(number) - 1]
    return {
        "memcached": place.cache,
        "account": place.account,
        "container": place.container,
        "proxy": place.proxy,
    }[kind]


def _configure(place: _Place, needed: int) -> None:
    total = len(place.objects)
    # With so many fragments beyond those that are needed, Swift refuses the matrix that it likes otherwise.
    kind = "isa_l_rs_vand" if total - needed <= 4 else "isa_l_rs_cauchy"
    folder = place.config
    (folder / "swift.conf").write_text(_POLICY.format(kind=kind, needed=needed, more=total - needed))
    (folder / "proxy.conf").write_text(_PROXY.format(port=place.proxy, user=_user(), folder=folder, cache=place.cache))
    shared = place.directory / "shared"
    (shared / "disk").mkdir(parents=True)
    for name, port in (("account", place.account), ("container", place.container)):
        _configure_server(place, name, name, port, shared)
        _ring(place, name, 1, [f"r1z1-127.0.0.1:{port}/disk"])
    for number, port in enumerate(place.objects, 1):
        place.disk(number).mkdir(parents=True)
        _configure_server(place, f"object-{number}", "object", port, place.disk(number).parent)
    devices = [f"r1z{number}-127.0.0.1:{port}/disk{number}" for number, port in enumerate(place.objects, 1)]
    _ring(place, "object", total, devices)


def _configure_server(place: _Place, name: str, kind: str, port: int, devices: Path) -> None:
    text = _SERVER.format(devices=devices, port=port, user=_user(), folder=place.config, kind=kind)
    (place.config / f"{name}.conf").write_text(text)


def _ring(place: _Place, kind: str, replicas: int, devices: Sequence[str]) -> None:
    def build(*arguments: str) -> None:
        builder = place.commands / "swift-ring-builder"
        done = subprocess.run(
            [builder, f"{kind}.builder", *arguments], cwd=place.config, capture_output=True, text=True, check=False
        )
        # It has a status of its own for a warning.
        assert done.returncode in (0, 1), done.stdout

    # 64 parts, and no waiting between changes.
    build("create", "6", str(replicas), "0")
    for device in devices:
        build("add", device, "1")
    build("rebalance")


def _token(place: _Place) -> str:
    """Also makes the account and the container."""
    user = {"X-Auth-User": "test:tester", "X-Auth-Key": "testing"}
    log = place.directory / "proxy.log"
    token = ""

    def made() -> bool:
        nonlocal token
        token = _ask(place, "GET", "/auth/v1.0", user)[1]
        return _ask(place, "PUT", _CONTAINER, {"X-Auth-Token": token})[0] in (201, 202)

    until(made, "Swift's container", log)
    return token


def _check(place: _Place, token: str, needed: int) -> None:
    """A status and a hash don't show that there was any coding; what lies on the disks does."""
    status, _ = _ask(place, "PUT", f"{_CONTAINER}/sample", {"X-Auth-Token": token}, os.urandom(_SAMPLE))
    sizes = [fragment.stat().st_size for fragment in place.fragments()]
    most = _SAMPLE // needed + 256 * KIB
    if status != 201 or len(sizes) != len(place.objects) or max(sizes) > most:
        raise NotCoded(f"Swift answered {status}, and made {len(sizes)} fragments of {_SAMPLE} bytes: {sizes}")


def _ask(place: _Place, method: str, path: str, fields: dict[str, str], body: bytes = b"") -> tuple[int, str]:
    """The status, and a token if there is one."""
    connection = HTTPConnection("127.0.0.1", place.proxy, timeout=30)
    try:
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("X-Auth-Token", "")
    except OSError:
        return 0, ""
    finally:
        connection.close()


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
