"""The tier in memory: the least recently used leaves first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from ..speech import BYTES_PER_SECOND
from .entry import CacheCounts, Entry, Listed, Stock, matches

OVERHEAD = 300
"""Bytes that an entry takes beside its sound, about: measured with ``sys.getsizeof`` over its parts."""


class Memory:
    """Entries of the process, bounded in bytes. A larger one than all the room is not kept."""

    name = "memory"

    def __init__(self, limit: int) -> None:
        """``limit``: bytes."""
        self._limit = limit
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._derived: dict[bytes, tuple[Hashable, Any, int]] = {}
        self.bytes = 0
        self.counts = CacheCounts()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def peek(self, key: bytes) -> Entry | None:
        """Return an entry, which does not count as a hit."""
        return self._entries.get(key)

    def find(self, key: bytes) -> Entry | None:
        """Return an entry, None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            self.counts.misses += 1
            return None
        self._entries.move_to_end(key)
        self.counts.hits += 1
        self.counts.saved += entry.cost
        return entry

    def keep(self, key: bytes, entry: Entry) -> None:
        """Keep an entry; others leave if there is no room."""
        self.drop(key)
        size = _size(entry)
        if size > self._limit:
            return
        self._entries[key] = entry
        self.bytes += size
        self.counts.stored += 1
        self._evict()

    def derived(self, key: bytes, how: Hashable) -> Any | None:
        """Return what was made of an entry in the way ``how``: a hit; None where there is nothing."""
        found = self._derived.get(key)
        if found is None or found[0] != how or self.find(key) is None:
            return None
        return found[1]

    def keep_derived(self, key: bytes, how: Hashable, what: Any, size: int) -> None:
        """Keep what was made of an entry in one way, as long as the entry is kept. ``size``: bytes."""
        entry = self._entries.get(key)
        if entry is None or _size(entry) + size > self._limit:
            return
        self.bytes += size - self._derived.get(key, (None, None, 0))[2]
        self._derived[key] = (how, what, size)
        self._evict()

    def _evict(self) -> None:
        while self.bytes > self._limit:
            self.drop(next(iter(self._entries)))
            self.counts.evicted += 1

    def drop(self, key: bytes) -> None:
        """Forget an entry, and what was made of it."""
        if (entry := self._entries.pop(key, None)) is not None:
            self.bytes -= _size(entry) + self._derived.pop(key, (None, None, 0))[2]

    def forget(self, voice: str) -> None:
        """Drop what a voice said."""
        for key in [key for key, entry in self._entries.items() if entry.voice == voice]:
            self.drop(key)

    def stock(self) -> Stock:
        """Return what is held; the sizes are those in memory."""
        stock = Stock()
        for entry in self._entries.values():
            stock.add(entry.voice, len(entry.pcm), pinned=entry.pinned)
        return stock

    def listed(self, search: str, voice: str | None, most: int) -> tuple[int, list[Listed]]:
        """Return how many entries have ``search`` in their text, and the ``most`` last used of them."""
        found = [
            Listed(key, entry.text, entry.voice, len(entry.pcm) / BYTES_PER_SECOND, entry.pinned)
            for key, entry in reversed(self._entries.items())
            if matches(entry.text, entry.voice, search, voice)
        ]
        return len(found), found[:most]

    def clear(self) -> int:
        """Forget all; return how many there were."""
        count = len(self._entries)
        self._entries.clear()
        self._derived.clear()
        self.bytes = 0
        return count


def _size(entry: Entry) -> int:
    return len(entry.pcm) + len(entry.text) + len(entry.voice) + OVERHEAD
