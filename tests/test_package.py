"""The wheel and the source distribution: what is in them, and that they serve where there is nothing else."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_bytes
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

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


@functools.cache
def script(name: str) -> Any:
    """Return a program of ``script/`` as a module."""
    loader = SourceFileLoader(name, str(ROOT / "script" / name))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_wheels_txt_is_of_the_pinned_versions() -> None:
    listed = script("wheels").read((ROOT / "wheels.txt").read_text())
    pinned = {f"{name}=={version}" for name, version in script("wheels").pinned().items()}
    assert set(listed) == pinned, "script/wheels writes it anew"


UNPINNED = {"setuptools"}
"""A wheel in pure Python that ``pip freeze`` leaves out."""
NO_WHEEL = {"docopt"}
"""Pure Python without any wheel: pip builds it without a compiler. num2words names it for its own command."""


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_everything_that_setup_installs_comes_as_a_wheel(python: str, processor: str) -> None:
    setup, licences = script("setup"), script("licences")
    assert setup.OLDEST <= tuple(map(int, python.split("."))) <= setup.NEWEST
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [
        *project["dependencies"],
        *(each for name in ("http", "redis", "remote") for each in extras[name]),
    ]
    asked += [*extras["dev"], *extras["qwen"], *licences.QWEN]
    machine = {"python_version": python, "python_full_version": f"{python}.2", "platform_machine": processor}
    names = {licences.normal(name) for name in licences.closure(*asked, environment=machine)}
    compiled = processor == "x86_64" and python in {"3.11", "3.12", "3.13"}
    assert {"numpy", "onnxruntime", "torch", "eldc" if compiled else "eld"} <= names
    listed = script("wheels").read((ROOT / "wheels.txt").read_text())
    wheels = {licences.normal(package.partition("==")[0]): able for package, able in listed.items()}
    missing = {name for name in names - UNPINNED if python not in wheels[name].get(processor, ())}
    assert missing <= NO_WHEEL, f"no wheel for Python {python} on {processor}"


def test_a_wheel_counts_for_the_pythons_and_processors_of_its_tags() -> None:
    def files(*names: str, python: str = ">=3.9") -> list[dict[str, str]]:
        return [{"filename": name, "requires-python": python} for name in names]

    targets = script("wheels").targets
    every = ["3.11", "3.12", "3.13", "3.14", "3.15"]
    assert targets(files("a-1.0-py3-none-any.whl"), "1.0") == {"x86_64": every, "aarch64": every}
    assert targets(files("a-1.0-py3-none-any.whl", python=">=3.9,<3.14"), "1") == {
        "x86_64": every[:3],
        "aarch64": every[:3],
    }
    assert targets(files("a-1.0-cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"), "1.0") == {
        "aarch64": ["3.12"]
    }
    assert targets(files("a-1.0-cp311-abi3-manylinux_2_28_x86_64.whl"), "1.0") == {"x86_64": every}
    others = ("a-1.0.tar.gz", "a-1.1-py3-none-any.whl", "a-1.0-cp312-cp312-win_amd64.whl")
    assert targets(files(*others, "a-1.0-cp312-cp312-manylinux_2_39_x86_64.whl"), "1.0") == {}


def test_the_licences_of_what_is_shipped_are_listed() -> None:
    module = script("licences")
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
