"""The tiers together: memory first, then the others in their order, and whoever makes it last."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from .entry import Entry, Tier, TierFailed
from .flight import Abandoned, Flight
from .memory import Memory

_LOGGER = logging.getLogger(__name__)

PATIENCE = 0.25
"""Seconds that speech waits for a tier: a disk answers in one or two milliseconds, a network in ten."""
REST = (5.0, 30.0, 300.0)
"""Seconds that a tier is left alone after it failed, failed again, and any further time."""
SLICE = 12_000
"""Bytes that are given at a time of what is known, a quarter of a second: what is next is light work."""
CLOSE = 5.0
"""Seconds that what is being written may take at the end."""

Make = Callable[[], AsyncGenerator[bytes, None]]


class Cache:
    """Finds, shares and keeps whole utterances."""

    def __init__(self, memory: Memory, tiers: Sequence[Tier] = ()) -> None:
        """``tiers``: slower ones, the fastest first."""
        self.memory = memory
        self._tiers = [_Rested(tier) for tier in tiers]
        self._flights: dict[bytes, Flight] = {}
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def tiers(self) -> Sequence[Tier]:
        """The tiers below memory."""
        return [rested.tier for rested in self._tiers]

    async def speak(
        self, key: bytes, make: Make, *, text: str = "", voice: str = "", keep: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``key``: what is known of it, or what ``make`` gives, for all who ask at once.

        Kept is what ``make`` gave if it ended without raising, and if ``keep``. Raises what ``make`` raises.
        """
        while True:
            if (entry := self.memory.find(key)) is not None:
                for piece in _slices(entry.pcm):
                    yield piece
                return
            flight = self._flights.get(key)
            if flight is None or flight.leaving:
                flight = Flight(lambda: self._make(key, make, text, voice, keep), self._landed(key))
                self._flights[key] = flight
            heard = False
            try:
                async with aclosing(flight.listen()) as sounds:
                    async for piece in sounds:
                        heard = True
                        yield piece
            except Abandoned:
                if heard:
                    raise
            else:
                return

    def _landed(self, key: bytes) -> Callable[[Flight], None]:
        def landed(flight: Flight) -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]

        return landed

    async def _make(
        self, key: bytes, make: Make, text: str, voice: str, keep: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield what a slower tier has, or what is made now; keep it when it is whole."""
        for index, tier in enumerate(self._tiers):
            if (entry := await tier.get(key)) is not None:
                self.memory.keep(key, entry)
                self._write(key, entry, self._tiers[:index])
                for piece in _slices(entry.pcm):
                    yield piece
                return
        began = time.monotonic()
        pieces = []
        async with aclosing(make()) as sounds:
            async for piece in sounds:
                pieces.append(piece)
                yield piece
        if keep and pieces:
            entry = Entry(b"".join(pieces), time.monotonic() - began, text, voice)
            self.memory.keep(key, entry)
            self._write(key, entry, self._tiers)

    def _write(self, key: bytes, entry: Entry, tiers: Sequence[_Rested]) -> None:
        """Let tiers keep an entry, behind the back of whoever listens."""

        async def write() -> None:
            for tier in tiers:
                await tier.put(key, entry)

        if tiers:
            task = asyncio.create_task(write(), name="cache")
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def forget(self, voice: str) -> None:
        """Drop what a voice said: it is gone, and nothing of it is to stay."""
        if self._writing:
            await asyncio.wait(set(self._writing))
        self.memory.forget(voice)
        for rested in self._tiers:
            try:
                await rested.tier.forget(voice)
            except TierFailed as error:
                _LOGGER.warning(
                    "What %s said may still be in the cache's %s: %s", voice, rested.tier.name, error
                )

    async def close(self) -> None:
        """Wait for what is being written, within CLOSE, and close the tiers."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=CLOSE)
        for task in self._writing:
            task.cancel()
        for rested in self._tiers:
            await rested.tier.close()


class _Rested:
    """A tier that is left alone for a while after it failed: speech does not wait for it twice."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._failures = 0
        self._again = 0.0

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None where there is none, or nobody to say."""
        if time.monotonic() < self._again:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                entry = await self.tier.get(key)
        except TierFailed as error:
            self._failed(str(error))
            return None
        except TimeoutError:
            self._failed(f"it gave no answer for {PATIENCE:g} s")
            return None
        self._worked()
        return entry

    async def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry, if the tier can."""
        if time.monotonic() < self._again:
            return
        try:
            await self.tier.put(key, entry)
        except TierFailed as error:
            self._failed(str(error))
        else:
            self._worked()

    def _failed(self, reason: str) -> None:
        rest = REST[min(self._failures, len(REST) - 1)]
        if not self._failures:
            _LOGGER.warning("The cache goes on without its %s: %s", self.tier.name, reason)
        self._failures += 1
        self._again = time.monotonic() + rest

    def _worked(self) -> None:
        if self._failures:
            _LOGGER.info("The cache has its %s again", self.tier.name)
        self._failures = 0


def _slices(pcm: bytes) -> Sequence[bytes]:
    return [pcm[at : at + SLICE] for at in range(0, len(pcm), SLICE)]
