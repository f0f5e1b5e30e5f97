"""The wheel and the source distribution: what is in them, and that they serve where there is nothing else."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
import yaml

from tests import faults
from wyoming_qwen3tts import __version__

pytestmark = pytest.mark.xdist_group("package")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel, made from the source distribution, and that."""
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(place), str(ROOT)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return {path.suffix: path for path in place.iterdir()}


def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = set(wheel.namelist())
        meta = message_from_bytes(wheel.read(f"wyoming_qwen3tts-{__version__}.dist-info/METADATA"))
    package = ROOT / "wyoming_qwen3tts"
    ours = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if not name.startswith(f"wyoming_qwen3tts-{__version__}.")} == ours
    assert meta["Version"] == __version__
    assert meta["License-Expression"] == "Apache-2.0"
    assert f"wyoming_qwen3tts-{__version__}.dist-info/licenses/LICENSE" in names
    assert {"http", "redis", "remote", "qwen"} <= set(meta.get_all("Provides-Extra") or ())


def test_the_source_distribution_holds_what_it_is_built_from(built: dict[str, Path]) -> None:
    with tarfile.open(built[".gz"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"pyproject.toml", "README.md", "LICENSE", "wyoming_qwen3tts/__main__.py"}


def test_the_version_stands_in_one_place_and_the_others_follow() -> None:
    app = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert app["version"] == __version__
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == __version__
    for name in ("Dockerfile", "compose.yaml"):
        path = ROOT / name
        for found in re.findall(
            r"BUILD_VERSION[=:-]+\"?(\d[\w.]*)", path.read_text() if path.exists() else ""
        ):
            assert found == __version__, name


def test_the_licences_of_what_is_shipped_are_listed() -> None:
    loader = SourceFileLoader("licences", str(ROOT / "script" / "licences"))
    spec = importlib.util.spec_from_loader("licences", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    listed = (ROOT / "LICENCES.md").read_text()
    missing = [line for line in module.text().splitlines() if line.startswith("|") and line not in listed]
    assert not missing, "script/licences lists them anew"
    assert "| ? |" not in listed


@pytest.fixture(scope="module")
def clean(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment's programs, with the wheel, what it asks for, and nothing else."""
    place = tmp_path_factory.mktemp("clean")
    venv.create(place, with_pip=True)
    pip = [str(place / "bin" / "pip"), "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    installed = subprocess.run([*pip, f"{built['.whl']}[http,redis,remote]"], capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr[-2000:]
    return place / "bin"


async def test_the_wheel_serves_in_an_environment_of_its_own(clean: Path, tmp_path: Path) -> None:
    # Elsewhere than in this checkout, which Python would find first.
    before = ("/usr/bin/env", "-C", str(tmp_path), "-u", "PYTHONPATH")
    program = str(clean / "wyoming-qwen3tts")
    server = faults.house(
        "--data-dir", tmp_path / "data", program=[program], before=before, python=clean / "python"
    )
    async with server as running:
        assert len(await running.say("Dinner is ready.")) > 24_000
        arguments = ("say", "Hello.", "--uri", running.uri, "--output", "hello.wav")
        said = await asyncio.create_subprocess_exec(*before, program, *arguments)
        assert await said.wait() == 0
    assert (tmp_path / "hello.wav").stat().st_size > 24_000
