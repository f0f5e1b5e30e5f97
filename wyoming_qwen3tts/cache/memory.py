"""The cache tier in memory, with eviction of the least recently used entries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from ..speech import BYTES_PER_SECOND
from .entry import CacheCounts, Entry, EntryInfo, TierContents, matches

OVERHEAD = 300
"""Bytes of an entry besides its audio and texts, measured with ``sys.getsizeof`` over its parts."""


class MemoryCache:
    """The entries of this process, limited in bytes. An entry over the limit is not stored."""

    name = "memory"

    def __init__(self, limit: int) -> None:
        """``limit``: bytes."""
        self._limit = limit
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._processed: dict[bytes, tuple[Hashable, Any, int]] = {}
        """Key → settings of post-processing, its result, and the result's bytes."""
        self.bytes = 0
        """Of all entries, with post-processed audio."""
        self.counts = CacheCounts()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def peek(self, key: bytes) -> Entry | None:
        """Return an entry without counting a hit or changing the order of eviction."""
        return self._entries.get(key)

    def find(self, key: bytes) -> Entry | None:
        """Return an entry, None if there is none; count a hit or a miss."""
        entry = self._entries.get(key)
        if entry is None:
            self.counts.misses += 1
            return None
        self._entries.move_to_end(key)
        self.counts.hits += 1
        self.counts.saved += entry.cost
        return entry

    def store(self, key: bytes, entry: Entry) -> None:
        """Store an entry, and evict others if there is no room."""
        self.drop(key)
        size = _size(entry)
        if size > self._limit:
            return
        self._entries[key] = entry
        self.bytes += size
        self.counts.stored += 1
        self._evict()

    def processed(self, key: bytes, settings: Hashable) -> Any | None:
        """Return post-processed audio of an entry, and count a hit; None if it has none with ``settings``."""
        found = self._processed.get(key)
        if found is None or found[0] != settings or self.find(key) is None:
            return None
        return found[1]

    def store_processed(self, key: bytes, settings: Hashable, audio: Any, size: int) -> None:
        """Store post-processed audio beside its entry, with one ``settings`` at a time. ``size``: bytes."""
        entry = self._entries.get(key)
        if entry is None or _size(entry) + size > self._limit:
            return
        self.bytes += size - self._processed.get(key, (None, None, 0))[2]
        self._processed[key] = (settings, audio, size)
        self._evict()

    def _evict(self) -> None:
        while self.bytes > self._limit:
            self.drop(next(iter(self._entries)))
            self.counts.evicted += 1

    def drop(self, key: bytes) -> None:
        """Drop an entry with its post-processed audio."""
        if (entry := self._entries.pop(key, None)) is not None:
            self.bytes -= _size(entry) + self._processed.pop(key, (None, None, 0))[2]

    def forget(self, voice: str) -> None:
        """Drop the entries of a voice."""
        for key in [key for key, entry in self._entries.items() if entry.voice == voice]:
            self.drop(key)

    def contents(self) -> TierContents:
        """Return numbers and sizes of the entries, in bytes of PCM."""
        contents = TierContents()
        for entry in self._entries.values():
            contents.add(entry.voice, len(entry.pcm), pinned=entry.pinned)
        return contents

    def search(self, text: str, voice: str | None, limit: int) -> tuple[int, list[EntryInfo]]:
        """Return the number of matching entries, and ``limit`` of them, the last used first."""
        found = [
            EntryInfo(key, entry.text, entry.voice, len(entry.pcm) / BYTES_PER_SECOND, entry.pinned)
            for key, entry in reversed(self._entries.items())
            if matches(entry.text, entry.voice, text, voice)
        ]
        return len(found), found[:limit]

    def clear(self) -> int:
        """Drop all entries; return their number."""
        count = len(self._entries)
        self._entries.clear()
        self._processed.clear()
        self.bytes = 0
        return count


def _size(entry: Entry) -> int:
    return len(entry.pcm) + len(entry.text) + len(entry.voice) + OVERHEAD
