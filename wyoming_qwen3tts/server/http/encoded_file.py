"""Audio files that are encoded completely before they are sent, in memory or in a temporary file."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import Any

from ...audio.encode import Encoder
from ...audio.formats import Format
from ...speech import SpeechError
from ...telemetry import quote

IN_MEMORY = 2 << 20
"""Bytes of one file that are held in memory: 43 s of WAV. Larger files go to an unnamed file on disk."""
BLOCK = 64 * 1024
"""Bytes read at a time; after each block sending waits for a slow client."""

_LOGGER = logging.getLogger(__name__)


class EncodedFile:
    """A complete audio file: ``push``, ``finish``, then ``blocks``; ``close`` last.

    All of these run in threads, one at a time, and ``close`` waits for the others: a coroutine that awaits a
    thread may be cancelled, but the thread continues. They raise SpeechError (``no-room``) on a full disk.
    """

    def __init__(self, audio_format: Format) -> None:
        self._format = audio_format
        self._file = _Spool()
        self._encoder: Encoder | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.size = 0
        """Bytes, after ``finish``."""

    @property
    def on_disk(self) -> bool:
        """Whether the file was too large for memory."""
        return self._file.on_disk

    def push(self, pcm: bytes) -> None:
        """Encode and append ``pcm`` (whole samples)."""
        with self._lock:
            if self._closed:
                return
            with self._file.watched():
                self._encoder = self._encoder or self._format.encoder(self._file)
                self._file.write(self._encoder.push(pcm))

    def finish(self) -> None:
        """Complete the file."""
        with self._lock:
            if self._closed:
                return
            with self._file.watched():
                if self._encoder is not None:
                    self._file.write(self._encoder.finish())
                self.size = self._file.seek(0, io.SEEK_END)

    def blocks(self) -> Iterator[bytes]:
        """Yield the file's content, after ``finish``; stops when the file is closed."""
        at = 0
        while block := self._read(at):
            yield block
            at += len(block)

    def close(self) -> None:
        """Free memory and disk."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with suppress(RuntimeError):  # libsndfile still flushes, and the disk may be full
                if self._encoder is not None:
                    self._file.write(self._encoder.finish())
            with suppress(OSError):
                self._file.close()

    def close_later(self) -> None:
        """Close the file in a thread without waiting: for callers that may be cancelled."""
        _ = asyncio.get_running_loop().run_in_executor(None, self.close)

    def _read(self, at: int) -> bytes:
        with self._lock:
            if self._closed:
                return b""
            self._file.seek(at)
            return self._file.read(BLOCK)


async def iterate_in_thread(blocks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield blocks that are computed in threads; none may be empty."""
    while block := await asyncio.to_thread(next, blocks, b""):
        yield block


class _Spool:
    """The file interface that ``soundfile`` needs. It cannot pass errors on, so they are stored."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - close closes it
        self._error: OSError | None = None

    @property
    def on_disk(self) -> bool:
        return bool(self._file._rolled)  # type: ignore[attr-defined]

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self._error = error
            return 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Raise a stored error as SpeechError, instead of what soundfile raised because of it."""
        try:
            yield
        finally:
            if (error := self._error) is not None:
                reason = error.strerror or error
                _LOGGER.error("http: cannot write an answer's temporary file error=%s", quote(reason))
                message = f"no space for the answer's temporary file: {reason}"
                raise SpeechError(message, "no-room") from error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # seeking flushes what was written
            self._error = error
            return -1

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()
