"""The tier on disk: one SQLite file, which several processes may share and a power cut leaves whole.

Everything happens on one thread of the tier's own, so that a slow disk keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from .. import atomic_file
from .entry import CacheCounts, Entry, Listed, Stock, TierError, matches
from .flac import HEAD, opened, seal, seconds_of

_LOGGER = logging.getLogger(__name__)

FILE = "cache.sqlite"
"""Its name in the data directory."""
VERSION = 1
"""Of the tables; a file of another one is set aside and a new one begun."""
SLACK = 0.9
"""Share of the room beside pins that stays in use when entries go: not each new one is to drive one out."""
BUSY = 0.2
"""Seconds that another process may hold the file: speech may wait behind who waits for it."""
WALK = 32
"""Entries that are read at a time where all are; between them other work gets its turn."""

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, size INTEGER NOT NULL, used REAL NOT NULL, made REAL NOT NULL,
    pinned INTEGER NOT NULL, cost REAL NOT NULL, text TEXT NOT NULL, voice TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sounds (key BLOB PRIMARY KEY, sum BLOB NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON entries (pinned, used, size);
CREATE TABLE IF NOT EXISTS counted (tier TEXT, what TEXT, total REAL NOT NULL, PRIMARY KEY (tier, what));
CREATE TABLE IF NOT EXISTS forgotten (times INTEGER NOT NULL);
INSERT INTO forgotten SELECT 0 WHERE NOT EXISTS (SELECT * FROM forgotten);
"""

_FIND = """
SELECT cost, text, voice, pinned, made, sum, data FROM entries JOIN sounds USING (key) WHERE key = ?
"""
_WALK = """
SELECT key, cost, text, voice, pinned, sum, data FROM entries LEFT JOIN sounds USING (key)
WHERE key > ? ORDER BY key LIMIT ?
"""
_HEAD = "SELECT substr(data, 1, ?) FROM sounds WHERE key = ?"
_COUNT = """
INSERT INTO counted VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total
"""
_GROUPS = "SELECT voice, pinned, COUNT(*), SUM(size) FROM entries GROUP BY voice, pinned ORDER BY voice"
_HELD = "SELECT COALESCE(SUM(size), 0), COALESCE(SUM(size * pinned), 0) FROM entries"

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_T = TypeVar("_T")


class Disk:
    """Entries in a file, bounded in bytes, and in age if asked; pinned ones stay."""

    name = "disk"

    def __init__(self, path: Path, limit: int, longest: float = 0.0) -> None:
        """``limit``: bytes of sound. ``longest``: seconds after which an entry is too old; 0 is never."""
        self.path = path
        self._limit = limit
        self._longest = longest
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache-disk")
        self._database: sqlite3.Connection | None = None
        self._inode = self._replaced = 0
        self._touched: dict[bytes, float] = {}
        self._uncounted: Counter[tuple[str, str]] = Counter()
        self.counts = CacheCounts()

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None where there is none that is whole. Raises TierError."""
        return await self._run(lambda: self._get(key))

    async def put(self, key: bytes, entry: Entry) -> bool:
        """Keep an entry and tell whether there was room; it is in the file then. Raises TierError."""
        return await self._run(lambda: self._put(key, entry))

    async def drop(self, key: bytes) -> None:
        """Drop an entry, pinned or not. Raises TierError."""
        await self._run(lambda: self._delete([key]), None)

    async def forget(self, voice: str | None = None) -> int:
        """Drop what a voice said, or everything; return how many entries that were. Raises TierError."""
        return await self._run(lambda: self._forget(voice), 0)

    async def walk(self) -> AsyncGenerator[tuple[bytes, Entry | None], None]:
        """Yield all keys with their entries, None for one that is damaged. Raises TierError."""
        last = b""
        none: Sequence[tuple[bytes, Entry | None]] = ()
        while found := await self._run(partial(self._some, last), none):
            for pair in found:
                yield pair
            last = found[-1][0]

    async def stock(self) -> Stock:
        """Return what the file holds. Raises TierError."""
        return await self._run(self._stock, Stock())

    async def listed(self, search: str, voice: str | None, most: int) -> tuple[int, list[Listed]]:
        """Return how many entries have ``search`` in their text, and the ``most`` last used of them.

        Raises TierError.
        """
        return await self._run(lambda: self._listed(search, voice, most), (0, []))

    async def tally(self, counts: Mapping[str, CacheCounts]) -> int:
        """Add to what was ever counted, by the tiers' names. Raises TierError.

        Returns how often anything was forgotten, by any process: what was read before is then void.
        """
        there_is_news = any(counted != CacheCounts() for counted in counts.values())
        return await self._run(lambda: self._tally(counts), *([] if there_is_news else [0]))

    async def totals(self) -> dict[str, CacheCounts]:
        """Return what was ever counted, by the tiers' names. Raises TierError."""
        return await self._run(self._totals, {})

    async def check(self) -> str:
        """Return what SQLite finds wrong with the file, empty for nothing. Raises TierError."""

        def check() -> str:
            (found,) = self._open().execute("PRAGMA quick_check(1)").fetchone()
            return "" if found == "ok" else str(found)

        return await self._run(check, "")

    async def close(self) -> None:
        """Write what is left to write and close the file."""

        def close() -> None:
            if self._database is not None:
                with suppress(sqlite3.Error):
                    self._touch()
                self._database.close()
                self._database = None

        try:
            await self._run(close)
        except TierError as error:
            _LOGGER.debug("Closing %s: %s", self.path, error)
        finally:
            self._thread.shutdown(wait=False)  # what hangs in there is not waited for

    async def _run(self, do: Callable[[], _T], *without: _T) -> _T:
        """Do something on the tier's thread. Raises TierError.

        ``without``: what to return where there is no file yet; else one is made.
        """

        def run() -> _T:
            if without and self._database is None and not self.path.exists():
                return without[0]
            try:
                self._check_there()
                return do()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                    self._leave(error)
                raise

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            self.counts.failures += 1
            raise TierError(f"{self.path}: {error}") from error

    # ------------------------------------------------------------------ on the thread

    def _open(self) -> sqlite3.Connection:
        if self._database is not None:
            return self._database
        atomic_file.make_private(self.path.parent)
        began = time.monotonic()
        while True:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # it is nobody else's business
            database = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None)
            try:
                _prepare(database)
            except sqlite3.DatabaseError as error:
                database.close()
                if not isinstance(error, sqlite3.OperationalError):
                    self._set_aside(error)
                # Two that begin a file at once can be in each other's way, and SQLite does not wait then.
                elif error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > began + BUSY:
                    raise  # locked for long, full, not to be written to: another time
                else:
                    time.sleep(0.01)
            else:
                break
        self._database = database
        self._inode = self.path.stat().st_ino
        return database

    def _check_there(self) -> None:
        """Let go of a file that was taken away: nobody finds what is written to it. Raises OSError."""
        if self._database is None:
            return
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = 0
        if inode != self._inode:
            _LOGGER.warning("%s was taken away; a new one is begun", self.path)
            self._database.close()
            self._database = None
            self._replaced += 1

    def _leave(self, error: sqlite3.DatabaseError) -> None:
        """Begin anew: the file is damaged, and a new one costs less than no cache at all. Raises OSError."""
        if self._database is None:
            return
        self._database.close()
        self._database = None
        if (
            self.path.exists() and self.path.stat().st_ino == self._inode
        ):  # or another process was here before
            self._set_aside(error)

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Put a file that is no cache of ours out of the way. Raises OSError."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        self.counts.damaged += 1
        _LOGGER.warning("%s cannot be used (%s); it is now %s", self.path, error, aside.name)
        for suffix in ("", "-wal", "-shm"):
            path = self.path.with_name(self.path.name + suffix)
            if path.exists():
                path.replace(aside.with_name(aside.name + suffix))

    def _get(self, key: bytes) -> Entry | None:
        row = self._open().execute(_FIND, (key,)).fetchone()
        if row is None:
            self.counts.misses += 1
            return None
        cost, text, voice, pinned, made, checksum, data = row
        late = self._longest and not pinned and time.time() - made > self._longest
        pcm = None if late else opened(key, checksum, data)
        if pcm is None:
            self.counts.misses += 1
            self.counts.damaged += not late
            if not late:
                _LOGGER.warning("%s: an entry is damaged, and made again: %.40r", self.path, text)
            with suppress(sqlite3.Error):
                self._delete([key])
            return None
        self.counts.hits += 1
        self.counts.saved += cost
        self._touched[key] = time.time()  # written now and then: a hit is not to cost a write
        return Entry(pcm, cost, text, voice, bool(pinned))

    def _put(self, key: bytes, entry: Entry) -> bool:
        checksum, data = seal(key, entry.pcm)
        text, voice = (each.encode(errors="replace").decode() for each in (entry.text, entry.voice))
        now = time.time()
        with self._writing() as database:
            before = database.execute("SELECT pinned, size FROM entries WHERE key = ?", (key,)).fetchone()
            was_pinned, its_size = before or (0, 0)
            _, pinned_bytes = database.execute(_HELD).fetchone()
            if pinned_bytes - was_pinned * its_size + len(data) > self._limit:
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
        """Let the least recently used go where there is too much."""
        database = self._open()
        total, pinned = database.execute(_HELD).fetchone()
        if total <= self._limit:
            return
        self._touch()
        goal = pinned + SLACK * (self._limit - pinned)
        going = []
        for key, size in database.execute("SELECT key, size FROM entries WHERE pinned = 0 ORDER BY used"):
            if total <= goal:
                break
            going.append(key)
            total -= size
        self._delete(going)
        self.counts.evicted += len(going)

    def _forget(self, voice: str | None) -> int:
        where, values = ("WHERE voice = ?", (voice,)) if voice is not None else ("", ())
        with self._writing() as database:
            found = database.execute(f"SELECT key FROM entries {where}", values).fetchall()  # noqa: S608
            _delete(database, [key for (key,) in found])
            database.execute("UPDATE forgotten SET times = times + 1")
        if voice is None:
            with suppress(sqlite3.OperationalError):  # another process reads: it stays as large as it was
                database.execute("VACUUM")
        return len(found)

    def _some(self, after: bytes) -> Sequence[tuple[bytes, Entry | None]]:
        """Return the next entries in the order of their keys."""
        rows = self._open().execute(_WALK, (after, WALK)).fetchall()
        found = []
        for key, cost, text, voice, pinned, checksum, data in rows:
            pcm = opened(key, checksum, data) if data is not None else None
            found.append((key, None if pcm is None else Entry(pcm, cost, text, voice, bool(pinned))))
        return found

    def _stock(self) -> Stock:
        stock = Stock()
        for voice, pinned, count, size in self._open().execute(_GROUPS):
            stock.add(voice, size, pinned=bool(pinned), entries=count)
        return stock

    def _listed(self, search: str, voice: str | None, most: int) -> tuple[int, list[Listed]]:
        database = self._open()
        rows = database.execute("SELECT key, text, voice, pinned, used FROM entries")
        found = [row for row in rows if matches(row[1], row[2], search, voice)]
        found.sort(key=lambda row: self._touched.get(row[0], row[4]), reverse=True)
        listed = []
        for key, text, said_by, pinned, _ in found[:most]:
            (head,) = database.execute(_HEAD, (HEAD, key)).fetchone() or (b"",)
            listed.append(Listed(key, text, said_by, seconds_of(head), bool(pinned)))
        return len(found), listed

    def _delete(self, keys: Sequence[bytes]) -> None:
        with self._writing() as database:
            _delete(database, keys)

    def _touch(self) -> None:
        """Write when what was used last."""
        touched = [(used, key) for key, used in self._touched.items()]
        if touched:
            with self._writing() as database:
                database.executemany("UPDATE entries SET used = ? WHERE key = ?", touched)
        self._touched.clear()

    def _tally(self, counts: Mapping[str, CacheCounts]) -> int:
        (times,) = self._open().execute("SELECT times FROM forgotten").fetchone()
        forgotten = int(times) + (self._replaced << 32)
        if not counts:
            return forgotten
        # Only now: whoever is told that it failed tells it again.
        for tier, counted in counts.items():
            for what, number in dataclasses.asdict(counted).items():
                self._uncounted[tier, what] += number
        with suppress(sqlite3.OperationalError):  # it is full, or another process writes: another time
            rows = [(tier, what, number) for (tier, what), number in self._uncounted.items() if number]
            if rows:
                with self._writing() as database:
                    database.executemany(_COUNT, rows)
                self._uncounted.clear()
            self._touch()
        return forgotten

    def _totals(self) -> dict[str, CacheCounts]:
        found: dict[str, CacheCounts] = {}
        for tier, what, total in self._open().execute("SELECT tier, what, total FROM counted ORDER BY tier"):
            counts = found.setdefault(tier, CacheCounts())
            setattr(counts, what, total if what == "saved" else int(total))
        return found

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is in the file at the end, or none of it."""
        database = self._open()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise


def _delete(database: sqlite3.Connection, keys: Sequence[bytes]) -> None:
    for table in ("entries", "sounds"):
        database.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in keys])  # noqa: S608


def _prepare(database: sqlite3.Connection) -> None:
    """Make an open file a cache. Raises sqlite3.DatabaseError where it is something else."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA secure_delete = FAST")  # what is forgotten is not to be found there
    database.execute("PRAGMA synchronous = NORMAL")  # with WAL: nothing torn, after a power cut either
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in {0, VERSION}:
        raise sqlite3.DatabaseError(f"it is of version {version}, and {VERSION} is understood")
    database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT")
