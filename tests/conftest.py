from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId
from hypothesis import settings

from tests import house
from wyoming_qwen3tts.cache import guarded
from wyoming_qwen3tts.engines.base import Engine
from wyoming_qwen3tts.engines.builtin import BuiltinEngine
from wyoming_qwen3tts.speech import Utterance, Voice

COSTLY = {"heart", "home"}
"""Fixtures that take seconds to make: whatever needs one of them runs in the same worker."""
SLOW = {
    *("test_commands.py", "test_doors.py", "test_docs.py", "test_examples.py", "test_fleet.py"),
    *("test_hard_life.py", "test_image.py", "test_intelligibility.py", "test_openapi.py", "test_package.py"),
    *("test_page.py", "test_prerender.py", "test_shared.py", "test_systemd.py"),
}
"""Files of whole processes, installations, browsers, recognisers and simulations."""
LONGEST = {"test_page.py", "test_shared.py"}
"""Files whose tests take many seconds each. They are begun first, or one worker waits for them at the end."""


# A machine that has other work to do is no fault.
guarded.SPEECH_TIMEOUT = house.HANG
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    # Voices and styles of whoever runs the tests are nobody's business.
    os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="no-data-")
    if shutil.which("espeak-ng") is None:
        pytest.exit("espeak-ng is missing; install it: apt-get install espeak-ng", returncode=3)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no file of which every test is left out: torch, schemathesis and their like take seconds."""
    asked = config.option.markexpr
    left_out = "not torch" in asked and collection_path.name == "qwen3"
    return True if left_out or ("not slow" in asked and collection_path.name in SLOW) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.name in SLOW:
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest tests, and keep those of an ``xdist_group`` together.

    What takes minutes is left out unless it is asked for: -m long.

    pytest-xdist 3.8 groups by adding the group to a test's id, where pytest 9.2 does not look any more
    (pytest-dev/pytest-xdist#1386): the groups were no groups.
    """
    if "long" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    items.sort(key=lambda item: item.path.name not in LONGEST)
    for item in items:
        if COSTLY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("heart"))
        group = item.get_closest_marker("xdist_group")
        if group is not None and getattr(config.option, "loadgroup", False):
            grouped = f"{item.nodeid}@{group.args[0]}"
            item._id = NodeId.parse(grouped)
            assert item.nodeid == grouped, "pytest keeps the id elsewhere now"


@pytest.fixture(scope="session")
def heart() -> Iterator[BuiltinEngine]:
    """The built-in voice, which takes a second to load."""
    engine = BuiltinEngine()
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.close())


class Lent(Engine):
    """An engine for services that come and go: none of them starts or ends it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.max_batch_size = engine.name, engine.max_batch_size

    async def start(self) -> None:
        pass

    def voices(self) -> Sequence[Voice]:
        return self._engine.voices()

    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        return self._engine.speak(utterance)

    def identity(self, voice: Voice) -> str | None:
        return self._engine.identity(voice)

    def supports_phonemes(self, voice: Voice) -> bool:
        return self._engine.supports_phonemes(voice)


@pytest.fixture
def lent_heart(heart: BuiltinEngine) -> Engine:
    """The built-in voice, for a service with settings of its own."""
    return Lent(heart)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mDNS speak as ever, but not wait for the slowest of networks in between."""
    for name, milliseconds in (("_CHECK_TIME", 50), ("_REGISTER_TIME", 25), ("_UNREGISTER_TIME", 25)):
        monkeypatch.setattr(f"zeroconf._core.{name}", milliseconds)
    monkeypatch.setattr("zeroconf._core._PROBE_RANDOM_DELAY_INTERVAL", (1, 5))


@pytest.fixture(scope="session")
def home() -> Iterator[str]:
    """The URI of a service with its real voices."""
    with house.service_in_thread(builtin_threads=1) as uri:  # a second costs half as much again
        yield uri


@pytest.fixture
def engine() -> house.ScriptedEngine:
    return house.ScriptedEngine()


@pytest.fixture
async def scripted(engine: house.ScriptedEngine) -> AsyncIterator[str]:
    """The URI of a service whose only voices are those of ``engine``."""
    async with house.service([engine]) as uri:
        yield uri


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["XDG_DATA_HOME"], ignore_errors=True)
