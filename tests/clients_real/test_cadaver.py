"""cadaver, the command line client, with a script for its standard input."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients_real.programs import program, run
from tests.nodes import NodeProcess, content_of

pytestmark = pytest.mark.clients


def cadaver(node: NodeProcess, folder: Path, *commands: str) -> str:
    script = "\n".join([*commands, "quit", ""])
    return run(
        program("cadaver", "cadaver"),
        f"{node.url}/files/",
        stdin=script.encode(),
        # Not the settings of whoever runs this.
        environment={"HOME": str(folder), "EDITOR": "false"},
        cwd=folder,
    )


def test_a_session(node: NodeProcess, tmp_path: Path) -> None:
    content = content_of(300_000)
    (tmp_path / "file").write_bytes(content)

    told = cadaver(
        node,
        tmp_path,
        "mkcol cadaver",
        "cd cadaver",
        "put file",
        "copy file again",
        "move again moved",
        "propset moved colour green",
        "propget moved colour",
        "chexec + moved",
        "mkcol below",
        "move moved below/",
        "ls below",
        "lock file",
        "discover file",
        "unlock file",
        "get below/moved back",
        "delete file",
        "rmcol below",
        "ls",
    )

    assert (tmp_path / "back").read_bytes() == content
    assert "Value of colour is: green" in told, told
    assert "failed" not in told.lower(), told
    assert node.get("/files/cadaver/file").status == 404
    assert node.get("/files/cadaver/below/moved").status == 404
