"""What people write who know that `request.files` waits for all of the body: `request.stream` to a file."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from flask import Flask, request  # type: ignore[import-not-found, unused-ignore]

PIECE = 64 * 1024

app = Flask(__name__)


def upload() -> tuple[str, int]:
    name = uuid4().hex
    with (Path(os.environ["BENCH_FOLDER"]) / name).open("wb") as file:
        while piece := request.stream.read(PIECE):
            file.write(piece)
    return name, 201


app.add_url_rule("/upload", view_func=upload, methods=["PUT"])
