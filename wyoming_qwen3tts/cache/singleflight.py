"""One synthesis for everybody who asks for the same at the same time.

The first to ask sets it going, and all hear it from its beginning as it grows. It ends when it is whole, or
when the last of them has left; the first one's leaving is nobody else's end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing


class AbandonedError(Exception):
    """Nobody was left to listen."""


class InFlightAudio:
    """A sound while it is made."""

    def __init__(
        self, make: Callable[[], AsyncGenerator[bytes, None]], landed: Callable[[InFlightAudio], object]
    ) -> None:
        """``make`` gives the sound; ``landed`` is told once that nothing more comes."""
        self._pieces: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._listeners = 0
        self._over = self._left = False
        self._error: Exception | None = None
        self._landed = landed
        self._task = asyncio.create_task(self._make(make), name="flight")

    @property
    def sound(self) -> bytes | None:
        """All of it once it has ended well, else None."""
        return b"".join(self._pieces) if self._over and self._error is None else None

    @property
    def leaving(self) -> bool:
        """Whether everybody has left it, so that it is about to end."""
        return self._left

    def end(self) -> asyncio.Task[None]:
        """End it, whoever listens; return the task that is over then."""
        self._left = True
        self._task.cancel()
        return self._task

    async def _make(self, make: Callable[[], AsyncGenerator[bytes, None]]) -> None:
        try:
            async with aclosing(make()) as sounds:
                async for piece in sounds:
                    self._pieces.append(piece)
                    self._wake()
        except Exception as error:
            self._error = error
        except asyncio.CancelledError:
            if not self._left:
                self._error = RuntimeError("what makes the sound was cancelled from inside")
                return
            self._error = AbandonedError("everybody who listened has left")
            raise
        finally:
            self._over = True
            self._landed(self)
            self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Yield the sound from its beginning. Raises what ended it. Close the generator to leave."""
        self._listeners += 1
        at = 0
        try:
            while True:
                if at < len(self._pieces):
                    at += 1
                    yield self._pieces[at - 1]
                elif self._over:
                    break
                else:
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiting.append(waiter)
                    await waiter
            if self._error is not None:
                raise self._error
        finally:
            self._listeners -= 1
            if not self._listeners and not self._over:
                await asyncio.wait({self.end()})
