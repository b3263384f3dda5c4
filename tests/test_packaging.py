"""What is installed is whole: the package, its command, and the plugin of `twistd` and `twist`."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest
from twisted.application.service import IServiceMaker, ServiceMaker
from twisted.plugin import getPlugins

ROOT = Path(__file__).parents[1]
PLUGIN = "twisted/plugins/tahoeish_plugin.py"


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Standard output of a command that must succeed, without anything of this process's environment for Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because building leaves things beside the sources, and with what one's own use leaves."""
    source = tmp_path_factory.mktemp("source") / "tahoeish"
    for part in ("tahoeish", "twisted", "tests"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source)
    (source / "twisted" / "plugins" / "dropin.cache").write_bytes(b"a pickle of this machine")
    target = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"]
    run([*pip, "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", target, "."], source)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment that has the wheel, and sees our dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install"]
    run([*pip, "--no-deps", "--no-index", wheel], environment)
    site_packages = Path(
        run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], environment).strip()
    )
    # Read after the environment's own, and without the .pth files in it: ours of an editable install counts not.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin"


def test_the_plugin_is_found() -> None:
    (maker,) = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "tahoeish"]

    assert isinstance(maker, ServiceMaker)
    assert maker.module == "tahoeish.node.tap"


def test_the_wheel_holds_the_package_and_the_plugin_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tahoeish").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "tahoeish/py.typed" in package
    assert names == package | {PLUGIN}


def test_the_wheel_carries_the_licence(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (licence,) = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_what_is_installed_is_what_runs(installed: Path, tmp_path: Path) -> None:
    place = run([installed / "python", "-c", "import tahoeish; print(tahoeish.__file__)"], tmp_path)

    assert Path(place).is_relative_to(installed.parent)


def test_the_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    assert run([installed / "tahoeish", "--help"], tmp_path).startswith("usage: tahoeish ")


@pytest.mark.parametrize("runner", ["twistd", "twist"])
def test_the_installed_plugin_is_listed(installed: Path, tmp_path: Path, runner: str) -> None:
    # The script belongs to this process's environment, but runs in the new one.
    script = Path(sysconfig.get_path("scripts")) / runner

    assert "\n    tahoeish " in run([installed / "python", script, "--help"], tmp_path)
    assert "--node-dir" in run([installed / "python", script, "tahoeish", "--help"], tmp_path)
