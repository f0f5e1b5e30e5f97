"""Single-flight: one synthesis for all requests that want the same utterance at the same time.

The first request starts it, and every request gets its audio from the beginning as it grows. It ends when it
is whole, or when the last request has left; that the first one leaves does not end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from ..audio.pcm import max_difference

LARGEST_DIFFERENCE = 8
"""Steps of 16 bits by which audio may differ that is made again, -72 dBFS: a model rounds otherwise in a
batch (by 1 in float32: benchmarks.load)."""

Make = Callable[[], AsyncGenerator[bytes, None]]
"""Starts a synthesis."""
MayRetry = Callable[[Exception], Awaitable[bool]]
"""Returns, when the time has come, whether a synthesis that raised this error may be started again."""


class AbandonedError(Exception):
    """The last listener left before the end."""


class InFlightAudio:
    """The audio of an utterance while it is made."""

    def __init__(
        self,
        produce: Callable[[InFlightAudio], Awaitable[None]],
        on_end: Callable[[InFlightAudio], object],
    ) -> None:
        """``produce`` appends all chunks, by ``append`` or ``make``; ``on_end`` is called once after it."""
        self.chunks: list[bytes] = []
        """What exists so far: PCM, in order. Nothing else on the way holds it."""
        self.is_leaving = False
        """Whether every listener has left, so that it is about to end."""
        self._waiting: list[asyncio.Future[None]] = []
        self._listeners = 0
        self._is_over = False
        self._error: Exception | None = None
        self._on_end = on_end
        self._task = asyncio.create_task(self._run(produce), name="in-flight audio")

    async def _run(self, produce: Callable[[InFlightAudio], Awaitable[None]]) -> None:
        try:
            await produce(self)
        except Exception as error:
            self._error = error
        except asyncio.CancelledError:
            if not self.is_leaving:
                self._error = RuntimeError("the synthesis was cancelled from inside")
                return
            self._error = AbandonedError("all listeners have left")
            raise
        finally:
            self._is_over = True
            self._on_end(self)
            self._wake()

    # -- writing --------------------------------------------------------------------------------------------

    def append(self, chunk: bytes) -> None:
        """Add a chunk."""
        self.chunks.append(chunk)
        self._wake()

    async def make(self, make: Make, may_retry: MayRetry | None = None) -> None:
        """Append what a synthesis yields. Raises what it raises.

        A synthesis that fails after its first chunk is started once more, if ``may_retry`` allows it; what is
        here already is skipped. Where that fails too or yields other audio, the first error is raised.
        """
        try:
            await self._collect(make)
        except Exception as error:
            if not self.chunks or may_retry is None or not await may_retry(error):
                raise
            try:
                await self._collect(make, error)
            except Exception as second:
                raise error from second

    async def _collect(self, make: Make, first_error: Exception | None = None) -> None:
        """Append what a synthesis yields beyond the chunks that are here.

        Raises ``first_error`` where it does not repeat those.
        """
        existing, repeated = b"".join(self.chunks), bytearray()
        async with aclosing(make()) as audio:
            async for chunk in audio:
                missing = len(existing) - len(repeated)
                repeated += chunk[:missing]
                is_same = missing == 0 or len(repeated) < len(existing) or _is_same(repeated, existing)
                if not is_same and first_error is not None:
                    raise first_error
                if len(chunk) > missing:
                    self.append(chunk[missing:])
        if len(repeated) < len(existing) and first_error is not None:
            raise first_error

    # -- reading --------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Count a listener; call ``detach`` in any case."""
        self._listeners += 1

    async def detach(self) -> None:
        """Remove a listener; with the last one the synthesis ends."""
        self._listeners -= 1
        if not self._listeners and not self._is_over:
            await asyncio.wait({self.end()})

    def end(self) -> asyncio.Task[None]:
        """Cancel it, even if there are listeners; return the task that ends with it."""
        self.is_leaving = True
        self._task.cancel()
        return self._task

    async def chunk(self, index: int) -> bytes | None:
        """Return a chunk as soon as it exists, None after the last. Raises what ended the synthesis."""
        while index >= len(self.chunks):
            if self._error is not None:
                raise self._error
            if self._is_over:
                return None
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        return self.chunks[index]

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()


def _is_same(repeated: bytes | bytearray, existing: bytes) -> bool:
    return max_difference(bytes(repeated), existing) <= LARGEST_DIFFERENCE
