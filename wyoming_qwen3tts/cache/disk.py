"""The tier on disk: one SQLite file, which several processes may share and a power cut leaves whole.

Sound is kept as FLAC: lossless, 37 to 56 % of the size, and 0.25 ms to decode a second of speech (measured on
the built-in voice). Everything happens on one thread of the tier's own, so that a slow disk keeps nobody else
waiting.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ..speech import SAMPLE_RATE
from .entry import Counts, Entry, TierFailed

_LOGGER = logging.getLogger(__name__)

FILE = "cache.sqlite"
"""Its name in the data directory."""
VERSION = 1
"""Of the tables; a file of another one is set aside and a new one begun."""
SLACK = 0.9
"""Share of the limit that is left full when entries are evicted, so that it is not done for every new one."""
BUSY = 5.0
"""Seconds that another process may hold the file."""
TOUCHES = 256
"""Hits whose time of use is written together: a hit is not to cost a write."""

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, size INTEGER NOT NULL, used REAL NOT NULL, made REAL NOT NULL,
    pinned INTEGER NOT NULL, cost REAL NOT NULL, text TEXT NOT NULL, voice TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sounds (key BLOB PRIMARY KEY, sum BLOB NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON entries (pinned, used, size);
"""

_FIND = """
SELECT cost, text, voice, pinned, made, sum, data FROM entries JOIN sounds USING (key) WHERE key = ?
"""

_T = TypeVar("_T")


class Disk:
    """Entries in a file, bounded in bytes, and in age if asked; pinned ones stay."""

    name = "disk"

    def __init__(self, path: Path, limit: int, longest: float = 0.0) -> None:
        """``limit``: bytes of sound. ``longest``: seconds after which an entry is too old; 0 is never."""
        self._path = path
        self._limit = limit
        self._longest = longest
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache-disk")
        self._database: sqlite3.Connection | None = None
        self._touched: dict[bytes, float] = {}
        self.counts = Counts()

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None where there is none that is whole. Raises TierFailed."""
        return await self._run(lambda: self._get(key))

    async def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry; when this returns it is in the file. Raises TierFailed."""
        await self._run(lambda: self._put(key, entry))

    async def forget(self, voice: str) -> None:
        """Drop what a voice said, pinned or not. Raises TierFailed."""

        def forget() -> None:
            if self._path.exists():
                found = self._open().execute("SELECT key FROM entries WHERE voice = ?", (voice,))
                self._delete([key for (key,) in found])

        await self._run(forget)

    async def close(self) -> None:
        """Write what is left to write and close the file."""

        def close() -> None:
            if self._database is not None:
                self._touch()
                self._database.close()
                self._database = None

        try:
            await self._run(close)
        except TierFailed as error:
            _LOGGER.debug("Closing %s: %s", self._path, error)
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, do: Callable[[], _T]) -> _T:
        """Do something on the tier's thread. Raises TierFailed."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, do)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            self.counts.failures += 1
            raise TierFailed(f"{self._path}: {error}") from error

    # ------------------------------------------------------------------ on the thread

    def _open(self) -> sqlite3.Connection:
        if self._database is not None:
            return self._database
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA secure_delete = FAST")  # what is forgotten is not to be found there
            database.execute(
                "PRAGMA synchronous = NORMAL"
            )  # with WAL: nothing torn, after a power cut either
            _check_version(database)
            database.executescript(_TABLES)
            database.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.DatabaseError as error:
            database.close()
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, full, not to be written to: another time
            self._set_aside(error)
            return self._open()
        self._database = database
        return database

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Put a file that is no cache of ours out of the way. Raises OSError."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        _LOGGER.warning("%s cannot be used (%s); it is now %s", self._path, error, aside.name)
        for suffix in ("", "-wal", "-shm"):
            path = self._path.with_name(self._path.name + suffix)
            if path.exists():
                path.replace(aside.with_name(aside.name + suffix))

    def _get(self, key: bytes) -> Entry | None:
        database = self._open()
        row = database.execute(_FIND, (key,)).fetchone()
        if row is None:
            self.counts.misses += 1
            return None
        cost, text, voice, pinned, made, checksum, data = row
        late = self._longest and not pinned and time.time() - made > self._longest
        pcm = None if late else _decoded(key, checksum, data)
        if pcm is None:
            self.counts.misses += 1
            self.counts.damaged += not late
            if not late:
                _LOGGER.warning("%s: an entry is damaged, and made again: %.40r", self._path, text)
            self._delete([key])
            return None
        self.counts.hits += 1
        self.counts.saved += cost
        self._touched[key] = time.time()
        if len(self._touched) >= TOUCHES:
            self._touch()
        return Entry(pcm, cost, text, voice, bool(pinned))

    def _put(self, key: bytes, entry: Entry) -> None:
        database = self._open()
        data = _encoded(entry.pcm)
        now = time.time()
        database.execute("BEGIN IMMEDIATE")
        try:
            database.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, "
                "MAX(?, COALESCE((SELECT pinned FROM entries WHERE key = ?), 0)), ?, ?, ?)",
                (key, len(data), now, now, entry.pinned, key, entry.cost, entry.text, entry.voice),
            )
            database.execute(
                "INSERT OR REPLACE INTO sounds VALUES (?, ?, ?)", (key, _checksum(key, data), data)
            )
            database.execute("COMMIT")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self.counts.stored += 1
        self._evict()

    def _evict(self) -> None:
        """Let the least recently used go where there is too much."""
        database = self._open()
        (total,) = database.execute("SELECT COALESCE(SUM(size), 0) FROM entries").fetchone()
        if total <= self._limit:
            return
        self._touch()
        going = []
        for key, size in database.execute("SELECT key, size FROM entries WHERE pinned = 0 ORDER BY used"):
            if total <= self._limit * SLACK:
                break
            going.append(key)
            total -= size
        self._delete(going)
        self.counts.evicted += len(going)

    def _delete(self, keys: list[bytes]) -> None:
        database = self._open()
        database.execute("BEGIN IMMEDIATE")
        for table in ("entries", "sounds"):
            database.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in keys])  # noqa: S608
        database.execute("COMMIT")

    def _touch(self) -> None:
        """Write when what was used last."""
        touched = [(used, key) for key, used in self._touched.items()]
        self._touched.clear()
        database = self._open()
        database.execute("BEGIN IMMEDIATE")
        database.executemany("UPDATE entries SET used = ? WHERE key = ?", touched)
        database.execute("COMMIT")


def _check_version(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in {0, VERSION}:
        raise sqlite3.DatabaseError(f"it is of version {version}, and {VERSION} is understood")


def _encoded(pcm: bytes) -> bytes:
    """Return PCM as FLAC."""
    import numpy as np
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _decoded(key: bytes, checksum: bytes, data: bytes) -> bytes | None:
    """Return the PCM of an entry, None where it is not what was written."""
    import soundfile

    if checksum != _checksum(key, data):
        return None
    try:
        samples, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.SoundFileError:
        return None
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm


def _checksum(key: bytes, data: bytes) -> bytes:
    """Return what tells whether ``data`` is what was written under ``key``."""
    return hashlib.sha256(key + data).digest()[:16]
