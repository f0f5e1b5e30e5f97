"""What a cache keeps, and what it counts."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A whole utterance, as its engine gave it."""

    pcm: bytes
    """24 kHz, mono, signed 16 bit, little endian."""
    cost: float
    """Seconds that it took to make."""
    text: str = ""
    voice: str = ""
    """What is said and by whom, for people; neither is part of what it is found by."""
    pinned: bool = False
    """Never evicted."""


@dataclass(slots=True)
class Counts:
    """What became of a tier's calls since the process began."""

    hits: int = 0
    misses: int = 0
    stored: int = 0
    evicted: int = 0
    damaged: int = 0
    """Entries that were not what was written, and are gone."""
    failures: int = 0
    """Calls that the tier could not answer."""
    saved: float = 0.0
    """Seconds of making that hits have spared."""


class Tier(Protocol):
    """A place where entries are kept. Keys are digests of 32 bytes."""

    name: str
    counts: Counts

    def get(self, key: bytes) -> Awaitable[Entry | None]:
        """Return an entry, None where there is none. Raises TierFailed."""
        raise NotImplementedError

    def put(self, key: bytes, entry: Entry) -> Awaitable[None]:
        """Keep an entry; when this returns, another process finds it. Raises TierFailed."""
        raise NotImplementedError

    def forget(self, voice: str) -> Awaitable[None]:
        """Drop what a voice said, pinned or not. Raises TierFailed."""
        raise NotImplementedError

    def close(self) -> Awaitable[None]:
        """Give back files, connections and threads."""
        raise NotImplementedError


class TierFailed(Exception):  # noqa: N818 - what happened
    """A tier cannot be used now; the message, half a sentence, says why."""
