from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from tests import house


def pytest_configure(config: pytest.Config) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.exit("espeak-ng is missing; install it: apt-get install espeak-ng", returncode=3)


@pytest.fixture(scope="session")
def home() -> Iterator[str]:
    """The URI of a service with its real voices."""
    with house.service_in_thread() as uri:
        yield uri


@pytest.fixture
def engine() -> house.ScriptedEngine:
    return house.ScriptedEngine()


@pytest.fixture
async def scripted(engine: house.ScriptedEngine) -> AsyncIterator[str]:
    """The URI of a service whose only voices are those of ``engine``."""
    async with house.service([engine]) as uri:
        yield uri
