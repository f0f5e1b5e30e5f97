from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator

import pytest

from tests import house


def pytest_configure(config: pytest.Config) -> None:
    # Voices and styles of whoever runs the tests are nobody's business.
    os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="no-data-")
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


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["XDG_DATA_HOME"], ignore_errors=True)
