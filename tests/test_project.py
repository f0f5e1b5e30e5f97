"""The repository apart from its code: README, pins, and which packages may import which."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "wyoming_qwen3tts"

LAYERS = [
    *("speech", "redis_url", "atomic_file", "breaker", "config", "progress", "telemetry"),
    *("audio", "text", "client", "cache", "engines", "voices", "pipeline", "server", "hints", "app", "cli"),
]
"""From the bottom up: a module imports only from layers below its own."""


def test_every_command_in_readme_names_something_that_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in set(re.findall(r"\bscript/[\w-]+", readme)):
        assert (ROOT / name).exists(), name
    for name in set(re.findall(r"\bbenchmarks[./](\w+)", readme)):
        assert (ROOT / "benchmarks" / f"{name}.py").exists() or (ROOT / "benchmarks" / name).exists(), name


def test_the_pins_are_within_the_ranges_the_package_asks_for() -> None:
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    wanted += [line for line in (ROOT / "requirements-qwen.txt").read_text().splitlines() if line[0] != "#"]
    for requirement in wanted:
        name, exact = re.match(r"([\w-]+)(?:==([^;]+))?", requirement).groups()  # type: ignore[union-attr]
        assert name in pinned, f"{name} is not pinned"
        assert exact in {None, pinned[name]}, name


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def test_imports_point_down() -> None:
    order = LAYERS
    for path in PACKAGE.rglob("*.py"):
        relative = path.relative_to(ROOT).with_suffix("")
        own = room(".".join(relative.parts))
        if own in {"__init__", "__main__"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = relative.parts[: -node.level]
                for name in [node.module] if node.module else [alias.name for alias in node.names]:
                    target = room(".".join((*base, name)))
                    if target in order and target != own:
                        assert order.index(target) < order.index(own), f"{relative} imports {target}"


def test_text_imports_only_speech_and_itself() -> None:
    for path in (PACKAGE / "text").rglob("*.py"):
        relative = path.relative_to(ROOT).with_suffix("")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = relative.parts[: -node.level]
                for name in [node.module] if node.module else [alias.name for alias in node.names]:
                    module = ".".join((*base, name))
                    assert room(module) in {"text", "speech"}, f"{relative} imports {module}"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert "wyoming_qwen3tts" not in {name.split(".")[0] for name in names}, relative


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    heavy = {
        "torch",
        "numpy",
        "onnxruntime",
        "hibari",
        "safetensors",
        "soundfile",
        "soxr",
        "libsonic",
        "pyrubberband",
        "zeroconf",
        "ifaddr",
        "num2words",
        "inflect",
        "emoji",
        "eld",
        "eldc",
        "ftlangdetect",
        "fastapi",
        "uvicorn",
        "pydantic",
        "redis",
    }
    for path in PACKAGE.rglob("*.py"):
        if path.name == "discovery.py" or path.parent.name in {"http", "web"}:  # imported only when asked for
            continue
        if path.parent.name == "qwen3" and path.name not in {
            "engine.py",
            "download.py",
        }:  # imported when the engine starts
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not heavy & {name.split(".")[0] for name in names}, path


def test_serving_without_a_model_imports_no_torch() -> None:
    code = (
        "import sys\nfrom wyoming_qwen3tts.app import Service\n"
        "from wyoming_qwen3tts.config.settings import Settings\n"
        "Service(Settings.of(model=('somewhere',)))\n"
        "print(sorted({'torch', 'numpy', 'qwen_tts', 'transformers'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
