"""A SQLite file on a thread of its own, which is replaced if it is damaged or has been removed."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from .. import atomic_file
from ..telemetry import quote
from .entry import CacheCounts, TierError

_LOGGER = logging.getLogger(__name__)

VERSION = 1
"""Of the tables: a file of another version is set aside, and a new one is created."""
BUSY_TIMEOUT = 0.2
"""Seconds to wait for a lock that another process holds: speech may be waiting behind this."""

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
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_T = TypeVar("_T")


class SqliteFile:
    """The file of the disk tier. ``run`` runs on the event loop, all other methods on the file's thread."""

    def __init__(self, path: Path, counts: CacheCounts) -> None:
        """``counts``: counters for failures and damage."""
        self.path = path
        self.replacements = 0
        """How often another file had taken its place."""
        self._counts = counts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache-disk")
        self._database: sqlite3.Connection | None = None
        self._inode = 0

    async def run(self, call: Callable[[], _T], *without_file: _T) -> _T:
        """Return the result of ``call``, run on the file's thread. Raises TierError.

        ``without_file``: the result if there is no file; without it a file is created.
        """

        def run() -> _T:
            if without_file and self._database is None and not self.path.exists():
                return without_file[0]
            try:
                self._close_if_removed()
                return call()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                    self._replace_damaged(error)
                raise

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            self._counts.failures += 1
            raise TierError(f"{self.path}: {error}") from error

    def stop(self) -> None:
        """Let the thread end; a call that hangs in it is not waited for."""
        self._thread.shutdown(wait=False)

    # -- on the thread --------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._database is not None

    def open(self) -> sqlite3.Connection:
        """Return the connection; create or replace the file if necessary. Raises sqlite3.Error, OSError."""
        if self._database is not None:
            return self._database
        atomic_file.make_private(self.path.parent)
        began = time.monotonic()
        while True:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # created private to the user
            database = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None)
            try:
                _create_tables(database)
            except sqlite3.DatabaseError as error:
                database.close()
                if not isinstance(error, sqlite3.OperationalError):
                    self._set_aside(error)
                # Processes that create the file at the same time may conflict; SQLite does not wait then.
                elif error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > began + BUSY_TIMEOUT:
                    raise  # locked for longer, full, or read-only: a later call may succeed
                else:
                    time.sleep(0.01)
            else:
                break
        self._database = database
        self._inode = self.path.stat().st_ino
        return database

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all that is executed inside, or nothing after an error."""
        database = self.open()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _close_if_removed(self) -> None:
        """Close a file that is no longer at its path: its entries could not be found. Raises OSError."""
        if self._database is None:
            return
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = 0
        if inode != self._inode:
            _LOGGER.warning(
                "cache: the file was removed, a new one is created tier=disk path=%s", quote(self.path)
            )
            self.close()
            self.replacements += 1

    def _replace_damaged(self, error: sqlite3.DatabaseError) -> None:
        """Close a damaged file and set it aside. Raises OSError."""
        if self._database is None:
            return
        self.close()
        if self.path.exists() and self.path.stat().st_ino == self._inode:  # not set aside by another process
            self._set_aside(error)

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Rename a file that is damaged, or is no cache of this version. Raises OSError."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        self._counts.damaged += 1
        fact = "cache: the file cannot be used and was renamed tier=disk path=%s to=%s reason=%s"
        _LOGGER.warning(fact, quote(self.path), quote(aside.name), quote(error))
        for suffix in ("", "-wal", "-shm"):
            path = self.path.with_name(self.path.name + suffix)
            if path.exists():
                path.replace(aside.with_name(aside.name + suffix))


def _create_tables(database: sqlite3.Connection) -> None:
    """Create the tables that are missing. Raises sqlite3.DatabaseError if the file is something else."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA secure_delete = FAST")  # entries that were dropped cannot be recovered
    database.execute("PRAGMA synchronous = NORMAL")  # with WAL: consistent even after a power failure
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in {0, VERSION}:
        raise sqlite3.DatabaseError(f"it has version {version}; only version {VERSION} is supported")
    database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT")
