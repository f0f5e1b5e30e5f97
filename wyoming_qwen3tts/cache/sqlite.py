"""The cache tier on disk: one SQLite file, which processes may share and which survives power failures.

All work is done on one thread of the tier's own, so that a slow disk does not block the event loop.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..telemetry import quote
from . import flac
from .entry import CacheCounts, Entry, EntryInfo, TierContents, TierError, matches
from .sqlite_file import SqliteFile

_LOGGER = logging.getLogger(__name__)

FILE_NAME = "cache.sqlite"
"""In the data directory."""
EVICTION_TARGET = 0.9
"""Share of the room beside pinned entries that stays in use after an eviction, so that not every new entry
causes one."""
BATCH = 32
"""Entries that are read at a time by ``entries``; other calls run between batches."""

_SELECT_ENTRY = """
SELECT cost, text, voice, pinned, made, sum, data FROM entries JOIN sounds USING (key) WHERE key = ?
"""
_SELECT_BATCH = """
SELECT key, cost, text, voice, pinned, sum, data FROM entries LEFT JOIN sounds USING (key)
WHERE key > ? ORDER BY key LIMIT ?
"""
_SELECT_HEADER = "SELECT substr(data, 1, ?) FROM sounds WHERE key = ?"
_ADD_COUNT = """
INSERT INTO counted VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total
"""
_SELECT_GROUPS = (
    "SELECT voice, pinned, COUNT(*), SUM(size) FROM entries GROUP BY voice, pinned ORDER BY voice"
)
_SELECT_SIZES = "SELECT COALESCE(SUM(size), 0), COALESCE(SUM(size * pinned), 0) FROM entries"


class DiskTier:
    """Entries in a file, limited in bytes and optionally in age; pinned entries stay."""

    name = "disk"

    def __init__(self, path: Path, limit: int, max_age: float = 0.0) -> None:
        """``limit``: bytes of audio. ``max_age``: seconds after which an entry is dropped; 0 is never."""
        self.path = path
        self.counts = CacheCounts()
        self._limit = limit
        self._max_age = max_age
        self._file = SqliteFile(path, self.counts)
        self._used: dict[bytes, float] = {}
        """Key → when it was last used (``time.time``), for entries where this is not written yet."""
        self._unwritten_counts: Counter[tuple[str, str]] = Counter()
        """By the names of tier and counter."""

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None if there is none or it is damaged. Raises TierError."""
        return await self._file.run(lambda: self._get(key))

    async def put(self, key: bytes, entry: Entry) -> bool:
        """Store an entry, and return whether there was room; it is in the file then. Raises TierError."""
        return await self._file.run(lambda: self._put(key, entry))

    async def drop(self, key: bytes) -> None:
        """Drop an entry, pinned or not. Raises TierError."""
        await self._file.run(lambda: self._delete([key]), None)

    async def forget(self, voice: str | None = None) -> int:
        """Drop the entries of a voice, or all; return their number. Raises TierError."""
        return await self._file.run(lambda: self._forget(voice), 0)

    async def entries(self) -> AsyncGenerator[tuple[bytes, Entry | None], None]:
        """Yield all keys with their entries, None for a damaged one. Raises TierError."""
        last = b""
        none: Sequence[tuple[bytes, Entry | None]] = ()
        while found := await self._file.run(partial(self._read_batch, last), none):
            for pair in found:
                yield pair
            last = found[-1][0]

    async def contents(self) -> TierContents:
        """Return numbers and sizes of the entries. Raises TierError."""
        return await self._file.run(self._contents, TierContents())

    async def search(self, text: str, voice: str | None, limit: int) -> tuple[int, list[EntryInfo]]:
        """Return the number of matching entries, and ``limit`` of them, the last used first.

        Raises TierError.
        """
        return await self._file.run(lambda: self._search(text, voice, limit), (0, []))

    async def add_counts(self, counts: Mapping[str, CacheCounts]) -> int:
        """Add ``counts``, by tier name, to the stored totals; return the number of ``forget`` calls ever.

        Raises TierError.
        """
        is_zero = all(added == CacheCounts() for added in counts.values())
        return await self._file.run(lambda: self._add_counts(counts), *([0] if is_zero else []))

    async def total_counts(self) -> dict[str, CacheCounts]:
        """Return the stored totals by tier name. Raises TierError."""
        return await self._file.run(self._total_counts, {})

    async def check(self) -> str:
        """Return the first fault that SQLite finds in the file, empty for none. Raises TierError."""

        def check() -> str:
            (found,) = self._file.open().execute("PRAGMA quick_check(1)").fetchone()
            return "" if found == "ok" else str(found)

        return await self._file.run(check, "")

    async def close(self) -> None:
        """Write what is not written yet, and close the file."""

        def close() -> None:
            if self._file.is_open:
                with suppress(sqlite3.Error):
                    self._write_used()
                self._file.close()

        try:
            await self._file.run(close)
        except TierError as error:
            _LOGGER.debug("cache: tier cannot be closed tier=disk reason=%s", quote(error))
        finally:
            self._file.stop()

    # -- on the file's thread -------------------------------------------------------------------------------

    def _get(self, key: bytes) -> Entry | None:
        row = self._file.open().execute(_SELECT_ENTRY, (key,)).fetchone()
        if row is None:
            self.counts.misses += 1
            return None
        cost, text, voice, pinned, made, checksum, data = row
        is_too_old = self._max_age and not pinned and time.time() - made > self._max_age
        pcm = None if is_too_old else flac.decode(key, checksum, data)
        if pcm is None:
            self.counts.misses += 1
            self.counts.damaged += not is_too_old
            if not is_too_old:
                fact = "cache: damaged entry dropped tier=disk path=%s text=%s"
                _LOGGER.warning(fact, quote(self.path), quote(text[:40]))
            with suppress(sqlite3.Error):
                self._delete([key])
            return None
        self.counts.hits += 1
        self.counts.saved += cost
        self._used[key] = time.time()  # written later: a hit must not cost a write
        return Entry(pcm, cost, text, voice, bool(pinned))

    def _put(self, key: bytes, entry: Entry) -> bool:
        checksum, data = flac.encode(key, entry.pcm)
        text, voice = (each.encode(errors="replace").decode() for each in (entry.text, entry.voice))
        now = time.time()
        with self._file.transaction() as database:
            before = database.execute("SELECT pinned, size FROM entries WHERE key = ?", (key,)).fetchone()
            was_pinned, old_size = before or (0, 0)
            _, pinned_bytes = database.execute(_SELECT_SIZES).fetchone()
            if pinned_bytes - was_pinned * old_size + len(data) > self._limit:
                return False
            pinned = entry.pinned or bool(was_pinned)
            database.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key, len(data), now, now, pinned, entry.cost, text, voice),
            )
            database.execute("INSERT OR REPLACE INTO sounds VALUES (?, ?, ?)", (key, checksum, data))
        self.counts.stored += 1
        self._evict()
        return True

    def _evict(self) -> None:
        """Drop the least recently used entries if there are too many bytes."""
        database = self._file.open()
        total, pinned = database.execute(_SELECT_SIZES).fetchone()
        if total <= self._limit:
            return
        self._write_used()
        target = pinned + EVICTION_TARGET * (self._limit - pinned)
        evicted = []
        for key, size in database.execute("SELECT key, size FROM entries WHERE pinned = 0 ORDER BY used"):
            if total <= target:
                break
            evicted.append(key)
            total -= size
        self._delete(evicted)
        self.counts.evicted += len(evicted)

    def _forget(self, voice: str | None) -> int:
        where, values = ("WHERE voice = ?", (voice,)) if voice is not None else ("", ())
        with self._file.transaction() as database:
            found = database.execute(f"SELECT key FROM entries {where}", values).fetchall()  # noqa: S608
            _delete(database, [key for (key,) in found])
            database.execute("UPDATE forgotten SET times = times + 1")
        if voice is None:
            with suppress(sqlite3.OperationalError):  # another process reads: the file keeps its size
                self._file.open().execute("VACUUM")
        return len(found)

    def _read_batch(self, after: bytes) -> Sequence[tuple[bytes, Entry | None]]:
        """Return the next entries after a key, in the order of keys."""
        rows = self._file.open().execute(_SELECT_BATCH, (after, BATCH)).fetchall()
        found = []
        for key, cost, text, voice, pinned, checksum, data in rows:
            pcm = flac.decode(key, checksum, data) if data is not None else None
            found.append((key, None if pcm is None else Entry(pcm, cost, text, voice, bool(pinned))))
        return found

    def _contents(self) -> TierContents:
        contents = TierContents()
        for voice, pinned, count, size in self._file.open().execute(_SELECT_GROUPS):
            contents.add(voice, size, pinned=bool(pinned), entries=count)
        return contents

    def _search(self, text: str, voice: str | None, limit: int) -> tuple[int, list[EntryInfo]]:
        database = self._file.open()
        rows = database.execute("SELECT key, text, voice, pinned, used FROM entries")
        found = [row for row in rows if matches(row[1], row[2], text, voice)]
        found.sort(key=lambda row: self._used.get(row[0], row[4]), reverse=True)
        infos = []
        for key, its_text, its_voice, pinned, _ in found[:limit]:
            (header,) = database.execute(_SELECT_HEADER, (flac.HEADER_LENGTH, key)).fetchone() or (b"",)
            infos.append(EntryInfo(key, its_text, its_voice, flac.duration(header), bool(pinned)))
        return len(found), infos

    def _delete(self, keys: Sequence[bytes]) -> None:
        with self._file.transaction() as database:
            _delete(database, keys)

    def _write_used(self) -> None:
        """Write when entries were last used."""
        rows = [(used, key) for key, used in self._used.items()]
        if rows:
            with self._file.transaction() as database:
                database.executemany("UPDATE entries SET used = ? WHERE key = ?", rows)
        self._used.clear()

    def _add_counts(self, counts: Mapping[str, CacheCounts]) -> int:
        (times,) = self._file.open().execute("SELECT times FROM forgotten").fetchone()
        forgotten = int(times) + (self._file.replacements << 32)  # a new file counts as forgotten too
        if not counts:
            return forgotten
        # Only after the query: if that fails, the caller adds the same counts again.
        for tier, added in counts.items():
            for name, number in dataclasses.asdict(added).items():
                self._unwritten_counts[tier, name] += number
        with suppress(sqlite3.OperationalError):  # the disk is full, or another process writes: retried later
            rows = [(tier, name, number) for (tier, name), number in self._unwritten_counts.items() if number]
            if rows:
                with self._file.transaction() as database:
                    database.executemany(_ADD_COUNT, rows)
                self._unwritten_counts.clear()
            self._write_used()
        return forgotten

    def _total_counts(self) -> dict[str, CacheCounts]:
        totals: dict[str, CacheCounts] = {}
        for tier, name, total in self._file.open().execute(
            "SELECT tier, what, total FROM counted ORDER BY tier"
        ):
            setattr(totals.setdefault(tier, CacheCounts()), name, total if name == "saved" else int(total))
        return totals


def _delete(database: sqlite3.Connection, keys: Sequence[bytes]) -> None:
    for table in ("entries", "sounds"):
        database.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in keys])  # noqa: S608
