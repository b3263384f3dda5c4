"""Programs that write a body to one file and do nothing else with it: Flask behind gunicorn, and nginx."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.http import Door
from bench.peers.installation import debian_program, python_environment
from bench.peers.server import accepts, free_ports, running, until
from bench.store import Store

FLASK = ("flask==3.1.3", "gunicorn==27.0.1")

_APP = Path(__file__).with_name("flask_app.py")

_NGINX = """\
{user}worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {directory}/temporary;
  proxy_temp_path {directory}/temporary/proxy;
  fastcgi_temp_path {directory}/temporary/fastcgi;
  uwsgi_temp_path {directory}/temporary/uwsgi;
  scgi_temp_path {directory}/temporary/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    root {directory}/files;
    location / {{ dav_methods PUT; }}
  }}
}}
"""


@contextmanager
def flask(directory: Path) -> Iterator[Store]:
    """`request.stream` to a file, in one worker of gunicorn's usual kind. It gives nothing back."""
    gunicorn = python_environment("flask", *FLASK) / "gunicorn"
    files = directory / "files"
    files.mkdir(parents=True)
    address = ("127.0.0.1", free_ports(1)[0])
    log = directory / "gunicorn.log"
    # One that has waited for its turn is no worker that hangs, so none may be taken for that.
    command: list[str | Path] = [
        gunicorn,
        "--bind",
        f"127.0.0.1:{address[1]}",
        "--workers",
        "1",
        "--timeout",
        "0",
        f"{_APP.stem}:app",
    ]
    variables = {"BENCH_FOLDER": str(files), "PYTHONDONTWRITEBYTECODE": "1"}
    with running(command, log, variables=variables, directory=_APP.parent) as process:
        until(lambda: accepts(address), "gunicorn", log)
        yield Store(address, process, [], partial(_empty, files), Door("/upload", get_path=""))
    shutil.rmtree(directory)


@contextmanager
def nginx(directory: Path) -> Iterator[Store]:
    """Its dav module, in one worker."""
    program = debian_program("nginx", "nginx")
    files = directory / "files"
    files.mkdir(parents=True)
    (directory / "temporary").mkdir()
    address = ("127.0.0.1", free_ports(1)[0])
    config = directory / "nginx.conf"
    # Else its worker would be nobody, who may write nothing here.
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(_NGINX.format(user=user, directory=directory, port=address[1]))
    log = directory / "error.log"
    command: list[str | Path] = [program.path, "-e", log, "-c", config]
    with running(command, directory / "said.log", variables=program.variables, directory=directory) as process:
        until(lambda: accepts(address), "nginx", log)
        yield Store(address, process, [], partial(_empty, files), Door("/{name}", "/{file}"))
    shutil.rmtree(directory)


def _empty(files: Path) -> None:
    for file in files.iterdir():
        file.unlink()
    os.sync()
