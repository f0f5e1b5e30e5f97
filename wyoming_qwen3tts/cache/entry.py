"""What a cache keeps, what it counts, and what a tier of it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, fields
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
class CacheCounts:
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

    def since(self, before: CacheCounts) -> CacheCounts:
        """Return what has come on top of ``before``."""
        return CacheCounts(*(getattr(self, each.name) - getattr(before, each.name) for each in fields(self)))


@dataclass(slots=True)
class Stock:
    """What a tier holds."""

    entries: int = 0
    bytes: int = 0
    """Of sound, as it is kept."""
    pinned: int = 0
    pinned_bytes: int = 0
    voices: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Entries and bytes of each voice."""

    def add(self, voice: str, size: int, *, pinned: bool, entries: int = 1) -> None:
        """Count entries of a voice, of ``size`` bytes together."""
        self.entries += entries
        self.bytes += size
        if pinned:
            self.pinned += entries
            self.pinned_bytes += size
        before = self.voices.get(voice, (0, 0))
        self.voices[voice] = (before[0] + entries, before[1] + size)


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry without its sound."""

    key: bytes
    text: str
    voice: str
    seconds: float | None
    """Of sound; None where a tier does not know without reading it."""
    pinned: bool


def matches(text: str, voice: str, search: str, wanted: str | None) -> bool:
    """Tell whether an entry's text has ``search`` in it, and its voice is the wanted one, if any is."""
    return search.casefold() in text.casefold() and (wanted is None or voice.casefold() == wanted.casefold())


class Tier(Protocol):
    """A place outside of the process where entries are kept. Keys are digests of 32 bytes.

    All of it raises TierError where the place cannot be used, ``close`` excepted.
    """

    name: str
    counts: CacheCounts

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None where there is none that is whole."""

    async def put(self, key: bytes, entry: Entry) -> bool:
        """Keep an entry; pinned is what was pinned once. Tell whether there was room for it.

        When this returns True, another process finds it.
        """
        raise NotImplementedError

    async def drop(self, key: bytes) -> None:
        """Drop an entry, pinned or not."""

    async def forget(self, voice: str | None = None) -> int:
        """Drop what a voice said, or everything, pinned or not; return how many entries that were."""
        raise NotImplementedError

    def walk(self) -> AsyncGenerator[tuple[bytes, Entry | None], None]:
        """Yield all keys with their entries, None for one that is damaged. Counts nothing as a hit."""
        raise NotImplementedError

    async def stock(self) -> Stock:
        """Return what is held."""
        raise NotImplementedError

    async def listed(self, search: str, voice: str | None, most: int) -> tuple[int, list[Listed]]:
        """Return how many entries have ``search`` in their text, and the ``most`` last used of them.

        ``voice``: only what this one said. Upper and lower case are the same.
        """
        raise NotImplementedError

    async def tally(self, counts: Mapping[str, CacheCounts]) -> int:
        """Add to what was ever counted, by the tiers' names, so that it outlives the process.

        Returns how often anything was forgotten, by any process: what was read before is then void.
        """
        raise NotImplementedError

    async def totals(self) -> dict[str, CacheCounts]:
        """Return what was ever counted, by the tiers' names, by all processes that share this tier."""
        raise NotImplementedError

    async def close(self) -> None:
        """Give back files, connections and threads."""


class TierError(Exception):
    """A tier cannot be used now; the message, half a sentence, says why."""
