"""Scheduling by the earliest deadline first (EDF): which waiting utterance an engine speaks next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .base import EngineUnavailableError

Entry = tuple[float, int, asyncio.Future[None]]
"""Deadline, sequence number (for equal deadlines), and the future that a waiting task awaits."""


class DeadlineQueue:
    """A limit on concurrent utterances; of those that wait, the one with the earliest deadline is next."""

    def __init__(self, max_active: int, max_waiting: int) -> None:
        self._free = max_active
        self._max_waiting = max_waiting
        self._heap: list[Entry] = []
        self._numbers = itertools.count()
        self.waiting = 0
        """Waiting utterances."""

    @asynccontextmanager
    async def slot(self, deadline: float) -> AsyncGenerator[None, None]:
        """Wait for a slot, and hold it. ``deadline``: seconds of one clock for all utterances.

        Raises EngineUnavailableError (``busy``) at once where ``max_waiting`` utterances wait.
        """
        await self._acquire(deadline)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, deadline: float) -> None:
        if self._free:
            self._free -= 1
            return
        if self.waiting >= self._max_waiting:
            raise EngineUnavailableError(f"{self.waiting} utterances are waiting already", "busy")
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (deadline, next(self._numbers), future))
        self.waiting += 1
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                self.waiting -= 1
            elif future.exception() is None:
                self._release()  # it got the slot at the same moment
            raise

    def reject_waiting(self, error: EngineUnavailableError) -> None:
        """Raise ``error`` in all waiting tasks."""
        for _, _, future in self._heap:
            if not future.done():
                self.waiting -= 1
                future.set_exception(EngineUnavailableError(str(error), error.code))
        self._heap.clear()

    def _release(self) -> None:
        """Give the slot to the next waiting task, if there is one."""
        while self._heap:
            future = heapq.heappop(self._heap)[2]
            if not future.done():
                self.waiting -= 1
                future.set_result(None)
                return
        self._free += 1
