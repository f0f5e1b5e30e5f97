"""Files that are whole before anybody gets any of them, and are in no one's way until then."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import Any

from ...audio.encode import Encoder, Format
from ...speech import SpeechError

IN_MEMORY = 2 << 20
"""Bytes of one file that are held in memory: 43 s of WAV. What is longer goes to disk, without a name."""
BLOCK = 64 * 1024
"""Bytes that are read at a time: a client that is slow makes us wait after each."""

_LOGGER = logging.getLogger(__name__)


class WholeFile:
    """A reply as a file that says how long it is: ``push``, ``finish``, then ``blocks``; ``close`` last.

    All of that is work for threads, one at a time, and ``close`` waits for it: whoever awaits a thread may be
    cancelled, but the thread goes on. Raises SpeechError, ``no-room``, where the disk does not take it.
    """

    def __init__(self, form: Format) -> None:
        self._form = form
        self._file = _Spool()
        self._encoder: Encoder | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.size = 0
        """Bytes, after ``finish``."""

    @property
    def on_disk(self) -> bool:
        """Whether it is too large for memory."""
        return self._file.on_disk

    def push(self, pcm: bytes) -> None:
        """Add ``pcm`` (whole samples)."""
        with self._lock:
            if self._closed:
                return
            with self._file.watched():
                self._encoder = self._encoder or self._form.encoder(self._file)
                self._file.write(self._encoder.push(pcm))

    def finish(self) -> None:
        """Let the file be whole."""
        with self._lock:
            if self._closed:
                return
            with self._file.watched():
                if self._encoder is not None:
                    self._file.write(self._encoder.finish())
                self.size = self._file.seek(0, io.SEEK_END)

    def blocks(self) -> Iterator[bytes]:
        """Yield the file, after ``finish``; of one that is closed, no more."""
        at = 0
        while block := self._read(at):
            yield block
            at += len(block)

    def close(self) -> None:
        """Give back memory and disk."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with suppress(RuntimeError):  # libsndfile has not said all, and there may be no room for it
                if self._encoder is not None:
                    self._file.write(self._encoder.finish())
            with suppress(OSError):
                self._file.close()

    def drop(self) -> None:
        """Close it, soon, in a thread: for whoever must not wait, and may be cancelled."""
        _ = asyncio.get_running_loop().run_in_executor(None, self.close)

    def _read(self, at: int) -> bytes:
        with self._lock:
            if self._closed:
                return b""
            self._file.seek(at)
            return self._file.read(BLOCK)


async def threaded(pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield pieces that are made in threads, none of them empty."""
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


class _Spool:
    """What ``soundfile`` needs of a file. It cannot be told of errors meanwhile: they are kept."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - close closes it
        self._fault: OSError | None = None

    @property
    def on_disk(self) -> bool:
        return bool(self._file._rolled)  # type: ignore[attr-defined]

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self._fault = error
            return 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Raise SpeechError for what went wrong, in the place of what soundfile has made of it."""
        try:
            yield
        finally:
            if (fault := self._fault) is not None:
                _LOGGER.error("No room for an answer's file: %s", fault)
                reason = fault.strerror or fault
                raise SpeechError(f"there is no room for the answer's file: {reason}", "no-room") from fault

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # what was written is written only now
            self._fault = error
            return -1

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()
