"""The tiers together: memory first, then the others in their order, and whoever makes it last."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from .entry import Counts, Entry, Tier, TierFailed
from .flight import Abandoned, Flight
from .memory import Memory

_LOGGER = logging.getLogger(__name__)

PATIENCE = 0.25
"""Seconds that speech waits for a tier: a disk answers in one or two milliseconds, a network in ten."""
REST = (5.0, 30.0, 300.0)
"""Seconds that a tier is left alone after it failed, failed again, and any further time."""
SLICE = 12_000
"""Bytes that are given at a time of what is known, a quarter of a second: what is next is light work."""
PIN = 30.0
"""Seconds that whoever wants an entry kept for ever waits until it is."""
HOUSEKEEPING = 1.0
"""Seconds between looks at what other processes forgot: 50 µs on the tier's own thread."""
CLOSE = 5.0
"""Seconds that what is being written may take at the end."""

Make = Callable[[], AsyncGenerator[bytes, None]]


class NotKept(Exception):  # noqa: N818 - what it says
    """What was to be kept for ever is not; the message, half a sentence, says why."""


class Cache:
    """Finds, shares and keeps whole utterances. ``start`` it, ``close`` it."""

    def __init__(self, memory: Memory, tiers: Sequence[Tier] = ()) -> None:
        """``tiers``: slower ones, the fastest first."""
        self.memory = memory
        self._tiers = [_Rested(tier) for tier in tiers]
        self._flying: dict[bytes, _Flying] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._housekeeping: asyncio.Task[None] | None = None

    @property
    def tiers(self) -> Sequence[Tier]:
        """The tiers below memory."""
        return [rested.tier for rested in self._tiers]

    @property
    def counts(self) -> Mapping[str, Counts]:
        """What became of calls since the process began, by the tiers' names, memory first."""
        return {"memory": self.memory.counts, **{tier.name: tier.counts for tier in self.tiers}}

    async def start(self) -> None:
        """Begin to look after the tiers: what other processes forget leaves memory here, too."""
        if self._tiers:
            self._housekeeping = asyncio.create_task(self._keep_house(), name="cache")

    async def speak(
        self, key: bytes, make: Make, *, text: str = "", voice: str = "", keep: bool = True, pin: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``key``: what is known of it, or what ``make`` gives, for all who ask at once.

        Kept is what ``make`` gave if it ended without raising, and if ``keep``. With ``pin`` it is kept for
        ever: when the generator ends, a tier outside of the process has it. Raises what ``make`` raises, and
        NotKept after the sound where it could not be pinned.
        """
        keep = keep and not pin  # once is enough
        while True:
            if (entry := self.memory.find(key)) is not None:
                for piece in _slices(entry.pcm):
                    yield piece
                break
            flying = self._flying.get(key)
            if flying is None or flying.flight.leaving:
                flying = _Flying(voice, keep=keep)
                flying.flight = Flight(self._make(key, flying, make, text), self._landed(key))
                self._flying[key] = flying
            flying.keep = flying.keep or keep
            heard = False
            try:
                async with aclosing(flying.flight.listen()) as sounds:
                    async for piece in sounds:
                        heard = True
                        yield piece
            except Abandoned:
                if heard:
                    raise
            else:
                entry = flying.entry
                break
        if pin and entry is not None:
            await self._pin(key, replace(entry, pinned=True))

    async def knows(self, key: bytes) -> bool:
        """Tell whether ``speak`` need not make it; what a slower tier has is in memory then."""
        if key in self.memory or key in self._flying:
            return True
        return await self._look(key) is not None

    async def _look(self, key: bytes) -> Entry | None:
        """Return an entry from a slower tier; the faster ones have it then, too."""
        for index, rested in enumerate(self._tiers):
            if (entry := await rested.get(key)) is not None:
                self.memory.keep(key, entry)
                self._write(key, entry, self._tiers[:index])
                return entry
        return None

    def _landed(self, key: bytes) -> Callable[[Flight], None]:
        def landed(flight: Flight) -> None:
            if key in self._flying and self._flying[key].flight is flight:
                del self._flying[key]

        return landed

    def _make(self, key: bytes, flying: _Flying, make: Make, text: str) -> Make:
        """Return what yields what a slower tier has, or what is made now, and keeps it when it is whole."""

        async def made() -> AsyncGenerator[bytes, None]:
            if (entry := await self._look(key)) is not None:
                flying.entry = entry
                for piece in _slices(entry.pcm):
                    yield piece
                return
            began = time.monotonic()
            pieces = []
            async with aclosing(make()) as sounds:
                async for piece in sounds:
                    pieces.append(piece)
                    yield piece
            if pieces:
                cost = time.monotonic() - began
                flying.entry = entry = Entry(b"".join(pieces), cost, text, flying.voice)
                if flying.keep:
                    self.memory.keep(key, entry)
                    self._write(key, entry, self._tiers)

        return made

    def _write(self, key: bytes, entry: Entry, tiers: Sequence[_Rested]) -> None:
        """Let tiers keep an entry, behind the back of whoever listens."""

        async def write() -> None:
            for tier in tiers:
                await tier.put(key, entry)

        if tiers:
            task = asyncio.create_task(write(), name="cache")
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _pin(self, key: bytes, entry: Entry) -> None:
        """Keep an entry for ever, in all tiers and in one at least. Raises NotKept."""
        if not self._tiers:
            raise NotKept("nothing is kept outside of memory")
        try:
            async with asyncio.timeout(PIN):
                failures = await asyncio.gather(*(tier.put(key, entry) for tier in self._tiers))
        except TimeoutError:
            raise NotKept(f"it was not written within {PIN:g} s") from None
        if all(failures):
            raise NotKept("; ".join(map(str, failures)))
        self.memory.keep(key, entry)

    async def _keep_house(self) -> None:
        """Add up what was counted, and notice what was forgotten elsewhere."""
        while True:
            await self._look_round()
            await asyncio.sleep(HOUSEKEEPING)

    async def _look_round(self) -> None:
        for rested in self._tiers:
            if await rested.tally(self.counts):
                self.memory.clear()

    async def forget(self, voice: str) -> None:
        """Drop what a voice said: it is gone, and nothing of it is to stay."""
        for flying in self._flying.values():
            if flying.voice == voice:
                flying.keep = False
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
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.wait({self._housekeeping})
        if self._writing:
            await asyncio.wait(self._writing, timeout=CLOSE)
        for task in self._writing:
            task.cancel()
        if self._housekeeping is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE):
                    await self._look_round()
        for rested in self._tiers:
            await rested.tier.close()


class _Flying:
    """An utterance on its way to all who asked for it."""

    flight: Flight
    entry: Entry | None = None
    """It, once it is whole."""

    def __init__(self, voice: str, *, keep: bool) -> None:
        self.voice = voice
        self.keep = keep
        """Whether anybody who asked wants it kept."""


class _Rested:
    """A tier that is left alone for a while after it failed: speech does not wait for it twice."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._failures = 0
        self._again = 0.0
        self._reason = ""
        self._full = False
        self._told: dict[str, Counts] = {}
        self._forgotten: int | None = None

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

    async def put(self, key: bytes, entry: Entry) -> str | None:
        """Keep an entry, if the tier can; return why not, None where it does."""
        if time.monotonic() < self._again:
            return self._reason
        try:
            room = await self.tier.put(key, entry)
        except TierFailed as error:
            self._failed(str(error))
            return self._reason
        self._worked()
        if room:
            self._full = False
            return None
        reason = f"the cache's {self.tier.name} has no room for it beside what has to stay"
        if not self._full:
            _LOGGER.warning("Nothing new is kept: %s", reason)
        self._full = True
        return reason

    async def tally(self, counts: Mapping[str, Counts]) -> bool:
        """Let the tier add up what was counted; tell whether anything was forgotten since the last time."""
        if time.monotonic() < self._again:
            return False
        now = {name: replace(counted) for name, counted in counts.items()}
        news = {name: now[name].since(self._told.get(name, Counts())) for name in now}
        try:
            forgotten = await self.tier.tally(news)
        except TierFailed as error:
            self._failed(str(error))
            return False
        self._worked()
        before, self._forgotten, self._told = self._forgotten, forgotten, now
        return before is not None and forgotten != before

    def _failed(self, reason: str) -> None:
        rest = REST[min(self._failures, len(REST) - 1)]
        if not self._failures:
            _LOGGER.warning("The cache goes on without its %s: %s", self.tier.name, reason)
        self._failures += 1
        self._reason = reason
        self._again = time.monotonic() + rest

    def _worked(self) -> None:
        if self._failures:
            _LOGGER.info("The cache has its %s again", self.tier.name)
        self._failures = 0


def _slices(pcm: bytes) -> Sequence[bytes]:
    return [pcm[at : at + SLICE] for at in range(0, len(pcm), SLICE)]
