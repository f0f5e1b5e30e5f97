"""Who speaks next: of all utterances that wait for an engine, the one whose listener runs dry first.

This is scheduling by the earliest deadline (EDF).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .base import EngineUnavailableError

Waiting = tuple[float, int, asyncio.Future[None]]


class DeadlineQueue:
    """So many utterances at a time; the others wait, and the one that is due first goes first."""

    def __init__(self, takes: int, most: int) -> None:
        """``takes`` at a time; at most ``most`` wait."""
        self._free = takes
        self._most = most
        self._heap: list[Waiting] = []
        self._numbers = itertools.count()
        self.waiting = 0
        """Utterances that wait."""

    @asynccontextmanager
    async def turn(self, due: float) -> AsyncGenerator[None, None]:
        """Wait for a turn, and have it. ``due``: any clock's seconds, the same one for all.

        Raises EngineUnavailableError (``busy``), at once, where too many wait.
        """
        await self._wait(due)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, due: float) -> None:
        if self._free:
            self._free -= 1
            return
        if self.waiting >= self._most:
            raise EngineUnavailableError(f"{self.waiting} utterances are waiting already", "busy")
        own = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (due, next(self._numbers), own))
        self.waiting += 1
        try:
            await own
        except asyncio.CancelledError:
            if own.cancelled():
                self.waiting -= 1
            elif own.exception() is None:
                self._pass_on()  # it was told at the same moment
            raise

    def refuse(self, error: EngineUnavailableError) -> None:
        """Tell all who wait that they wait in vain."""
        for _, _, own in self._heap:
            if not own.done():
                self.waiting -= 1
                own.set_exception(EngineUnavailableError(str(error), error.code))
        self._heap.clear()

    def _pass_on(self) -> None:
        """Let the next one have the turn."""
        while self._heap:
            own = heapq.heappop(self._heap)[2]
            if not own.done():
                self.waiting -= 1
                own.set_result(None)
                return
        self._free += 1
