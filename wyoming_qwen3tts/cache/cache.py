"""The cache of whole utterances: memory, slower tiers in their order, and synthesis as the last resort."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ..telemetry import quote
from .entry import CacheCounts, Entry, EntryInfo, Tier, TierContents
from .guarded import CLOSE_TIMEOUT, GuardedTier
from .memory import MemoryCache
from .singleflight import AbandonedError, InFlightAudio, Make, MayRetry

_LOGGER = logging.getLogger(__name__)

SLICE = 12_000
"""Bytes of a chunk of a cached utterance, 0.25 s: post-processing it is cheap enough for the event loop."""
PIN_TIMEOUT, PIN_RETRY = 10.0, 0.2
"""Seconds for pinning an entry, and between attempts."""
HOUSEKEEPING = 1.0
"""Seconds between looks at what other processes forgot: 50 µs on the tier's own thread."""

CLEARED = "the cache was cleared meanwhile"
SHARED = "shared"
"""Source of audio, instead of a tier's name: another request was making it."""


class PinError(Exception):
    """An entry cannot be pinned; the message, half a sentence, says why."""


class Cache:
    """Finds, shares and stores whole utterances. ``start`` it, ``close`` it."""

    def __init__(self, memory: MemoryCache, tiers: Sequence[Tier] = ()) -> None:
        """``tiers``: slower ones, the fastest first."""
        self.memory = memory
        self.generation = 0
        """Increased whenever entries are forgotten: audio of them that was begun before is not stored."""
        self._void: dict[str | None, int] = {}
        """Voice → generation before which its audio is void; None is every voice."""
        self._tiers = [GuardedTier(tier) for tier in tiers]
        self._in_flight: dict[bytes, _InFlightEntry] = {}
        self._running: set[InFlightAudio] = set()
        self._writing: set[asyncio.Task[None]] = set()
        self._housekeeper: asyncio.Task[None] | None = None
        self._is_closed = False
        self._closing = asyncio.Event()

    @property
    def counts(self) -> Mapping[str, CacheCounts]:
        """Hits, misses and so on since the process began, by the tiers' names, memory first."""
        return {"memory": self.memory.counts, **{each.tier.name: each.tier.counts for each in self._tiers}}

    async def start(self) -> None:
        """Begin to watch the tiers: entries that other processes forget leave memory, too."""
        if self._tiers:
            self._housekeeper = asyncio.create_task(self._housekeep(), name="cache")

    # -- speech ---------------------------------------------------------------------------------------------

    async def speak(
        self,
        key: bytes,
        make: Make,
        *,
        text: str = "",
        voice: str = "",
        keep: bool = True,
        pin: bool = False,
        may_retry: MayRetry | None = None,
        on_source: Callable[[str], object] = lambda source: None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the PCM of ``key``: cached, or as ``make`` yields it, once for all simultaneous requests.

        ``keep``: store it if ``make`` ends without an error. ``pin``: store it for ever, before the end.
        ``may_retry``: see ``InFlightAudio.make``. ``on_source`` is called before the first chunk with the
        name of the tier that has it, or SHARED; not where it is made for this request. Raises what ``make``
        raises, and PinError.
        """
        while True:
            generation = self.generation
            if (entry := self.memory.find(key)) is not None:
                on_source(self.memory.name)
                for chunk in _slices(entry.pcm):
                    yield chunk
                if pin:
                    await self.pin(key, replace(entry, text=text, voice=voice), generation)
                return
            flight = self._in_flight.get(key)
            is_own = flight is None or flight.audio.is_leaving
            if flight is None or flight.audio.is_leaving:
                flight = self._begin(key, make, may_retry, text, voice)
            flight.keep = flight.keep or keep
            audio, index = flight.audio, 0
            audio.attach()
            try:
                while (piece := await audio.chunk(index)) is not None:
                    if index == 0 and (source := flight.tier or ("" if is_own else SHARED)):
                        on_source(source)
                    index += 1
                    yield piece
            except AbandonedError:
                if index or self._is_closed:
                    raise
                continue
            finally:
                await audio.detach()
            if pin:
                entry = Entry(b"".join(audio.chunks), flight.cost, text, voice)
                await self.pin(key, entry, flight.generation)
            return

    async def knows(self, key: bytes, *, in_flight: bool = True) -> bool:
        """Return whether ``speak`` need not make it; an entry of a slower tier is in memory then.

        ``in_flight``: what is being made counts too.
        """
        if key in self.memory or (in_flight and key in self._in_flight):
            return True
        return await self._look(key) is not None

    def _begin(
        self, key: bytes, make: Make, may_retry: MayRetry | None, text: str, voice: str
    ) -> _InFlightEntry:
        """Start to find or make an utterance."""
        flight = _InFlightEntry(self.generation, voice)

        async def produce(audio: InFlightAudio) -> None:
            if (entry := await self._look(key, flight.found_in)) is not None:
                for chunk in _slices(entry.pcm):
                    audio.append(chunk)
                return
            began = time.monotonic()
            await audio.make(make, may_retry)
            flight.cost = time.monotonic() - began
            if audio.chunks and flight.keep and not audio.is_leaving:
                entry = Entry(b"".join(audio.chunks), flight.cost, text, voice)
                self._remember(key, entry, flight.generation)
                self._write(key, entry, self._tiers, flight.generation)

        def on_end(audio: InFlightAudio) -> None:
            self._running.discard(audio)
            if key in self._in_flight and self._in_flight[key].audio is audio:
                del self._in_flight[key]

        flight.audio = InFlightAudio(produce, on_end)
        self._in_flight[key] = flight
        self._running.add(flight.audio)
        return flight

    async def _look(
        self, key: bytes, on_source: Callable[[str], object] = lambda source: None
    ) -> Entry | None:
        """Return an entry from a slower tier, and store it in the faster ones."""
        generation = self.generation
        for index, each in enumerate(self._tiers):
            if (entry := await each.get(key)) is not None:
                on_source(each.tier.name)
                self._remember(key, entry, generation)
                self._write(key, entry, self._tiers[:index], generation)
                return entry
        return None

    # -- storing --------------------------------------------------------------------------------------------

    async def pin(self, key: bytes, entry: Entry, generation: int) -> None:
        """Store an entry for ever in one slower tier at least, within PIN_TIMEOUT. Raises PinError.

        ``generation``: the one in which it was begun.
        """
        if not self._tiers:
            raise PinError("nothing is kept outside of memory (--cache-disk is 0)")
        known = self.memory.peek(key)
        entry = replace(entry, pinned=True, cost=known.cost if known is not None else entry.cost)
        until = time.monotonic() + PIN_TIMEOUT
        while True:
            failures = await asyncio.gather(
                *(self._put(each, key, entry, generation) for each in self._tiers)
            )
            if generation < self._void.get(entry.voice, 0):
                raise PinError(CLEARED)
            if not self._is_valid(entry, generation):  # all was cleared, and this is asked for all the same
                generation = self.generation
                continue
            if not all(failures):
                self._remember(key, entry, generation)
                return
            if time.monotonic() > until or all(each.is_full for each in self._tiers):
                raise PinError("; ".join(map(str, failures)))
            for each in self._tiers:
                each.end_rest()
            await asyncio.sleep(PIN_RETRY)

    def _remember(self, key: bytes, entry: Entry, generation: int) -> None:
        if self._is_valid(entry, generation):
            self.memory.store(key, entry)

    def _is_valid(self, entry: Entry, generation: int) -> bool:
        """Return whether an entry was not forgotten since its generation."""
        return generation >= max(self._void.get(entry.voice, 0), self._void.get(None, 0))

    def _write(self, key: bytes, entry: Entry, tiers: Sequence[GuardedTier], generation: int) -> None:
        """Store an entry in tiers, in the background."""

        async def write() -> None:
            for each in tiers:
                await self._put(each, key, entry, generation)

        if tiers:
            task = asyncio.create_task(write(), name="cache")
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _put(self, each: GuardedTier, key: bytes, entry: Entry, generation: int) -> str | None:
        """Store an entry in a tier, unless it was forgotten; return why it is not stored."""
        if not self._is_valid(entry, generation):
            return CLEARED
        if (reason := await each.put(key, entry)) is not None:
            return reason
        await self._look_at(each, {})
        if self._is_valid(entry, generation):
            return None
        await each.drop(key)  # it was forgotten while it was written
        return CLEARED

    # -- forgetting -----------------------------------------------------------------------------------------

    async def forget(self, voice: str | None) -> Mapping[str, str]:
        """Drop the entries of a voice that is gone, or all.

        Waits for CLOSE_TIMEOUT and TIMEOUT for each tier at most. Returns why a tier still has them, by name.
        """
        self._forget_in_memory(voice)
        failed = {}
        # The slowest first: what is found in a tier meanwhile is copied to faster ones, which come later.
        for each in reversed(self._tiers):
            if self._writing:
                await asyncio.wait(set(self._writing), timeout=CLOSE_TIMEOUT)
            if reason := await each.forget(voice):
                failed[each.tier.name] = reason
                fact = "cache: tier may hold forgotten entries tier=%s voice=%s reason=%s"
                _LOGGER.warning(fact, each.tier.name, quote(voice or "all"), quote(reason))
            self._forget_in_memory(voice)
        return failed

    def _forget_in_memory(self, voice: str | None) -> None:
        self._begin_generation(voice)
        if voice is None:
            self.memory.clear()
        else:
            self.memory.forget(voice)

    def _begin_generation(self, voice: str | None = None) -> None:
        self.generation += 1
        self._void[voice] = self.generation

    async def drop(self, key: bytes) -> None:
        """Drop one entry, pinned or not, from all tiers; another server's memory may keep it for a while."""
        for each in reversed(self._tiers):
            await each.drop(key)
        self.memory.drop(key)

    # -- contents -------------------------------------------------------------------------------------------

    async def contents(self) -> Mapping[str, TierContents | str]:
        """Return what is stored, by tier name, memory first; for a tier that fails, why."""
        contents: dict[str, TierContents | str] = {self.memory.name: self.memory.contents()}
        for each in self._tiers:
            contents[each.tier.name] = await each.ask(each.tier.contents())
        return contents

    async def search(
        self, text: str = "", voice: str | None = None, limit: int = 100
    ) -> tuple[int, Sequence[EntryInfo]]:
        """Return the number of matching entries, and ``limit`` of them, the last used first.

        They are those of the first persistent tier that answers; of memory where there is none.
        """
        for each in self._tiers:
            found = await each.ask(each.tier.search(text, voice, limit))
            if not isinstance(found, str):
                return found
        return self.memory.search(text, voice, limit)

    # -- housekeeping ---------------------------------------------------------------------------------------

    async def _housekeep(self) -> None:
        """Check the tiers until the cache is closed."""
        while not self._is_closed:
            await self.check_tiers()
            with suppress(TimeoutError):
                async with asyncio.timeout(HOUSEKEEPING):
                    await self._closing.wait()

    async def check_tiers(self) -> None:
        """Add up counts, and drop from memory what other processes have forgotten."""
        await asyncio.gather(*(self._look_at(each, self.counts) for each in self._tiers))

    async def _look_at(self, each: GuardedTier, counts: Mapping[str, CacheCounts]) -> None:
        if await each.add_counts(counts):
            self._begin_generation()
            self.memory.clear()

    async def close(self) -> None:
        """Cancel what is being made, finish writing, close the tiers: each within CLOSE_TIMEOUT."""
        self._is_closed = True
        self._closing.set()
        if self._housekeeper is not None:
            # It may be counting: what is cancelled there is counted, and would be counted once more.
            await asyncio.wait({self._housekeeper}, timeout=CLOSE_TIMEOUT)
            self._housekeeper.cancel()
            await asyncio.wait({self._housekeeper})
        ending = [audio.end() for audio in self._running]
        if ending:
            await asyncio.wait(ending, timeout=CLOSE_TIMEOUT)
        if self._writing:
            await asyncio.wait(self._writing, timeout=CLOSE_TIMEOUT)
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*(each.close(self.counts) for each in self._tiers))


class _InFlightEntry:
    """An utterance that is being found or made, for all requests that want it."""

    audio: InFlightAudio

    def __init__(self, generation: int, voice: str) -> None:
        self.generation = generation
        self.voice = voice
        self.keep = False
        """Whether any of the requests wants it stored."""
        self.tier = ""
        """The name of the tier that has it; empty where it is made."""
        self.cost = 0.0
        """Seconds that it took to make."""

    def found_in(self, tier: str) -> None:
        """Record that it need not be made."""
        self.tier = tier


def _slices(pcm: bytes) -> Sequence[bytes]:
    return [pcm[at : at + SLICE] for at in range(0, len(pcm), SLICE)]
