from __future__ import annotations

from pathlib import Path

import pytest

from tests.qwen3 import checkpoints
from tests.qwen3.official import Official

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("torch")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CustomVoice checkpoint's directory."""
    return checkpoints.make(tmp_path_factory.mktemp("custom_voice"))


@pytest.fixture(scope="session")
def custom_voice(tiny: Path) -> Official:
    return Official(tiny)


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Official:
    """As the 1.7B model: the code predictor is narrower than the talker."""
    return Official(checkpoints.make(tmp_path_factory.mktemp("narrow"), narrow=True))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Official:
    return Official(checkpoints.make(tmp_path_factory.mktemp("base"), "base"))


@pytest.fixture(scope="session")
def voice_design(tmp_path_factory: pytest.TempPathFactory) -> Official:
    return Official(checkpoints.make(tmp_path_factory.mktemp("voice_design"), "voice_design"))
