"""Cache entries, counters, and the protocol of a cache tier."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A whole utterance as its engine made it, before post-processing."""

    pcm: bytes
    """24 kHz, mono, signed 16 bit, little endian."""
    cost: float
    """Seconds that it took to make."""
    text: str = ""
    voice: str = ""
    """Its text, and the name of its voice, for users; neither is part of the key."""
    pinned: bool = False
    """Whether it is never evicted."""


@dataclass(slots=True)
class CacheCounts:
    """Counters of a tier since the process began. Tiers store them by these names."""

    hits: int = 0
    misses: int = 0
    stored: int = 0
    evicted: int = 0
    damaged: int = 0
    """Entries that failed their checksum and were dropped, and files that could not be used."""
    failures: int = 0
    """Calls that raised TierError."""
    saved: float = 0.0
    """Seconds of synthesis that hits have saved."""

    def since(self, before: CacheCounts) -> CacheCounts:
        """Return the difference to ``before``."""
        return CacheCounts(*(getattr(self, each.name) - getattr(before, each.name) for each in fields(self)))


@dataclass(slots=True)
class TierContents:
    """Numbers and sizes of the entries in a tier."""

    entries: int = 0
    bytes: int = 0
    """Of audio, as it is stored."""
    pinned: int = 0
    pinned_bytes: int = 0
    voices: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Number and bytes of the entries of each voice."""

    def add(self, voice: str, size: int, *, pinned: bool, entries: int = 1) -> None:
        """Count entries of a voice. ``size``: bytes of all of them."""
        self.entries += entries
        self.bytes += size
        if pinned:
            self.pinned += entries
            self.pinned_bytes += size
        before = self.voices.get(voice, (0, 0))
        self.voices[voice] = (before[0] + entries, before[1] + size)


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """An entry without its audio."""

    key: bytes
    text: str
    voice: str
    seconds: float | None
    """Of audio; None if the tier would have to read it to know."""
    pinned: bool


def matches(info_text: str, info_voice: str, text: str, voice: str | None) -> bool:
    """Return whether an entry's text contains ``text`` and its voice is ``voice``, if given; ignore case."""
    is_voice = voice is None or info_voice.casefold() == voice.casefold()
    return is_voice and text.casefold() in info_text.casefold()


class Tier(Protocol):
    """A place outside of the process where entries are stored. Keys are digests of 32 bytes.

    All methods but ``close`` raise TierError while the place cannot be used.
    """

    name: str
    counts: CacheCounts

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None if there is none or it is damaged."""

    async def put(self, key: bytes, entry: Entry) -> bool:
        """Store an entry, and return whether there was room for it.

        After that other processes find it. An entry that is pinned already stays pinned.
        """
        raise NotImplementedError

    async def drop(self, key: bytes) -> None:
        """Drop an entry, pinned or not."""

    async def forget(self, voice: str | None = None) -> int:
        """Drop the entries of a voice, or all, pinned or not; return their number."""
        raise NotImplementedError

    def entries(self) -> AsyncGenerator[tuple[bytes, Entry | None], None]:
        """Yield all keys with their entries, None for a damaged one. This counts no hits."""
        raise NotImplementedError

    async def contents(self) -> TierContents:
        """Return numbers and sizes of the entries."""
        raise NotImplementedError

    async def search(self, text: str, voice: str | None, limit: int) -> tuple[int, list[EntryInfo]]:
        """Return the number of matching entries, and ``limit`` of them, the last used first if that is known.

        ``text``: a part of an entry's text, ``voice``: its voice, None for any; in upper or lower case.
        """
        raise NotImplementedError

    async def add_counts(self, counts: Mapping[str, CacheCounts]) -> int:
        """Add ``counts``, by tier name, to the stored totals.

        Returns the number of ``forget`` calls ever, by any process: when it changes, entries that were read
        before may no longer be valid.
        """
        raise NotImplementedError

    async def total_counts(self) -> dict[str, CacheCounts]:
        """Return the stored totals, by tier name, of all processes that share this tier."""
        raise NotImplementedError

    async def close(self) -> None:
        """Release files, connections and threads."""


class TierError(Exception):
    """A tier cannot be used now; the message, half a sentence, says why."""
