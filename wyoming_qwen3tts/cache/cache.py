"""The tiers together: memory first, then the others in their order, and whoever makes it last."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, TypeVar

from .entry import CacheCounts, Entry, Listed, Stock, Tier, TierError
from .memory import Memory
from .singleflight import AbandonedError, InFlightAudio

_LOGGER = logging.getLogger(__name__)

PATIENCE = 0.25
"""Seconds that speech waits for a tier: a disk answers in one or two milliseconds, a network in ten."""
REST = (5.0, 30.0, 300.0)
"""Seconds that a tier is left alone after it failed, failed again, and any further time."""
SLICE = 12_000
"""Bytes that are given at a time of what is known, a quarter of a second: what is next is light work."""
LIMIT = 10.0
"""Seconds that anything else may take that nobody waits for to speak."""
PIN, RETRY = 10.0, 0.2
"""Seconds that it is tried to keep an entry for ever, and between the tries."""
HOUSEKEEPING = 1.0
"""Seconds between looks at what other processes forgot: 50 µs on the tier's own thread."""
CLOSE = 5.0
"""Seconds that what is being written may take at the end."""

CLEARED = "the cache was cleared meanwhile"
SHARED = "shared"
"""In the place of a tier's name: another request has it made."""

_T = TypeVar("_T")
Make = Callable[[], AsyncGenerator[bytes, None]]


class PinError(Exception):
    """What was to be kept for ever is not; the message, half a sentence, says why."""


class Cache:
    """Finds, shares and keeps whole utterances. ``start`` it, ``close`` it."""

    def __init__(self, memory: Memory, tiers: Sequence[Tier] = ()) -> None:
        """``tiers``: slower ones, the fastest first."""
        self.memory = memory
        self.generation = 0
        """Another one whenever something was forgotten: what of that was begun before is not kept."""
        self._void: dict[str | None, int] = {}
        """Voice → the generation before which nothing of it counts any more; None is everybody."""
        self._tiers = [_Guarded(tier) for tier in tiers]
        self._flying: dict[bytes, _InFlightEntry] = {}
        self._flights: set[InFlightAudio] = set()
        self._writing: set[asyncio.Task[None]] = set()
        self._housekeeping: asyncio.Task[None] | None = None
        self._closed = False
        self._closing = asyncio.Event()

    @property
    def counts(self) -> Mapping[str, CacheCounts]:
        """What became of calls since the process began, by the tiers' names, memory first."""
        return {"memory": self.memory.counts, **{each.tier.name: each.tier.counts for each in self._tiers}}

    async def start(self) -> None:
        """Begin to look after the tiers: what other processes forget leaves memory here, too."""
        if self._tiers:
            self._housekeeping = asyncio.create_task(self._keep_house(), name="cache")

    async def speak(
        self,
        key: bytes,
        make: Make,
        *,
        text: str = "",
        voice: str = "",
        keep: bool = True,
        found: Callable[[str], object] = lambda where: None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``key``: what is known of it, or what ``make`` gives, for all who ask at once.

        Kept is what ``make`` gave if it ended without raising, and if ``keep``. ``found`` is told, before the
        first piece, the name of the tier that has it, or SHARED where somebody else has asked for it; nothing
        where it is made for this call. Raises what ``make`` raises.
        """
        while True:
            if (entry := self.memory.find(key)) is not None:
                found(self.memory.name)
                for piece in _slices(entry.pcm):
                    yield piece
                return
            flying = self._flying.get(key)
            own = flying is None or flying.flight.leaving
            if flying is None or flying.flight.leaving:
                flying = _InFlightEntry(self.generation, voice, keep=keep)
                flying.flight = InFlightAudio(self._make(key, flying, make, text), self._landed(key))
                self._flying[key] = flying
                self._flights.add(flying.flight)
            flying.keep = flying.keep or keep
            heard = False
            try:
                async with aclosing(flying.flight.listen()) as sounds:
                    async for piece in sounds:
                        if not heard and (where := flying.tier or ("" if own else SHARED)):
                            found(where)
                        heard = True
                        yield piece
            except AbandonedError:
                if heard or self._closed:
                    raise
            else:
                return

    async def pin(self, key: bytes, entry: Entry, generation: int) -> None:
        """Keep an entry for ever, in one tier at least; try for PIN, even where they rest. Raises PinError.

        ``generation``: the one in which it was begun.
        """
        if not self._tiers:
            raise PinError("nothing is kept outside of memory (--cache-disk is 0)")
        known = self.memory.peek(key)
        entry = replace(entry, pinned=True, cost=known.cost if known is not None else entry.cost)
        until = time.monotonic() + PIN
        while True:
            failures = await asyncio.gather(
                *(self._put(each, key, entry, generation) for each in self._tiers)
            )
            if generation < self._void.get(entry.voice, 0):
                raise PinError(CLEARED)
            if not self._counts(entry, generation):  # all was cleared, and this is asked for all the same
                generation = self.generation
                continue
            if not all(failures):
                self._remember(key, entry, generation)
                return
            if time.monotonic() > until or all(each.full for each in self._tiers):
                raise PinError("; ".join(map(str, failures)))
            for each in self._tiers:
                each.wake()
            await asyncio.sleep(RETRY)

    async def knows(self, key: bytes, *, flying: bool = True) -> bool:
        """Tell whether ``speak`` need not make it; what a slower tier has is in memory then.

        ``flying``: what is being made counts too.
        """
        if key in self.memory or (flying and key in self._flying):
            return True
        return await self._look(key) is not None

    async def _look(self, key: bytes, found: Callable[[str], object] = lambda where: None) -> Entry | None:
        """Return an entry from a slower tier, and tell ``found`` its name; the faster ones have it then."""
        generation = self.generation
        for index, each in enumerate(self._tiers):
            if (entry := await each.get(key)) is not None:
                found(each.tier.name)
                self._remember(key, entry, generation)
                self._write(key, entry, self._tiers[:index], generation)
                return entry
        return None

    def _remember(self, key: bytes, entry: Entry, generation: int) -> None:
        if self._counts(entry, generation):
            self.memory.keep(key, entry)

    def _counts(self, entry: Entry, generation: int) -> bool:
        """Tell whether nobody has forgotten an entry since it was begun."""
        return generation >= max(self._void.get(entry.voice, 0), self._void.get(None, 0))

    def _forgotten(self, voice: str | None = None) -> None:
        """Begin a new generation of what a voice says, or of everything."""
        self.generation += 1
        self._void[voice] = self.generation

    def _landed(self, key: bytes) -> Callable[[InFlightAudio], None]:
        def landed(flight: InFlightAudio) -> None:
            self._flights.discard(flight)
            if key in self._flying and self._flying[key].flight is flight:
                del self._flying[key]

        return landed

    def _make(self, key: bytes, flying: _InFlightEntry, make: Make, text: str) -> Make:
        """Return what yields what a slower tier has, or what is made now, and keeps it when it is whole."""

        async def made() -> AsyncGenerator[bytes, None]:
            if (entry := await self._look(key, flying.found_in)) is not None:
                for piece in _slices(entry.pcm):
                    yield piece
                return
            began = time.monotonic()
            pieces = []
            async with aclosing(make()) as sounds:
                async for piece in sounds:
                    pieces.append(piece)
                    yield piece
            if pieces and flying.keep and not flying.flight.leaving:
                entry = Entry(b"".join(pieces), time.monotonic() - began, text, flying.voice)
                self._remember(key, entry, flying.generation)
                self._write(key, entry, self._tiers, flying.generation)

        return made

    def _write(self, key: bytes, entry: Entry, tiers: Sequence[_Guarded], generation: int) -> None:
        """Let tiers keep an entry, behind the back of whoever listens."""

        async def write() -> None:
            for each in tiers:
                await self._put(each, key, entry, generation)

        if tiers:
            task = asyncio.create_task(write(), name="cache")
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _put(self, each: _Guarded, key: bytes, entry: Entry, generation: int) -> str | None:
        """Let a tier keep an entry, if nobody has forgotten it; return why it does not."""
        if not self._counts(entry, generation):
            return CLEARED
        if (reason := await each.put(key, entry)) is not None:
            return reason
        await self._look_at(each, {})
        if self._counts(entry, generation):
            return None
        await each.drop(key)  # somebody forgot it while it was written
        return CLEARED

    async def forget(self, voice: str | None) -> Mapping[str, str]:
        """Drop what a voice said, because it is gone, or everything; nothing of it is to stay.

        Waits for CLOSE and LIMIT, for each tier, at the most. Returns why a tier has it still, by its name.
        """
        self._forget_in_memory(voice)
        failed = {}
        # From below: what is found in a tier meanwhile is copied to those above it, which come later.
        for each in reversed(self._tiers):
            if self._writing:
                await asyncio.wait(set(self._writing), timeout=CLOSE)
            if reason := await each.forget(voice):
                failed[each.tier.name] = reason
                said = "What was said" if voice is None else f"What {voice} said"
                _LOGGER.warning("%s may still be in the cache's %s: %s", said, each.tier.name, reason)
            self._forget_in_memory(voice)
        return failed

    def _forget_in_memory(self, voice: str | None) -> None:
        self._forgotten(voice)
        if voice is None:
            self.memory.clear()
        else:
            self.memory.forget(voice)

    async def drop(self, key: bytes) -> None:
        """Drop one entry, pinned or not, from all tiers; another server's memory may keep it for a while."""
        for each in reversed(self._tiers):
            await each.drop(key)
        self.memory.drop(key)

    async def stocks(self) -> Mapping[str, Stock | str]:
        """Return what is held, by the tiers' names, memory first; in the place of it, why nobody knows."""
        found: dict[str, Stock | str] = {self.memory.name: self.memory.stock()}
        for each in self._tiers:
            found[each.tier.name] = await each.ask(each.tier.stock())
        return found

    async def listed(
        self, search: str = "", voice: str | None = None, most: int = 100
    ) -> tuple[int, Sequence[Listed]]:
        """Return how many entries have ``search`` in their text, and ``most`` of them, the last used first.

        Of the first tier that outlives the process and answers; of memory where there is none.
        """
        for each in self._tiers:
            found = await each.ask(each.tier.listed(search, voice, most))
            if not isinstance(found, str):
                return found
        return self.memory.listed(search, voice, most)

    async def _keep_house(self) -> None:
        """Add up what was counted, and notice what was forgotten elsewhere."""
        while not self._closed:
            await self._look_round()
            with suppress(TimeoutError):
                async with asyncio.timeout(HOUSEKEEPING):
                    await self._closing.wait()

    async def _look_round(self) -> None:
        await asyncio.gather(*(self._look_at(each, self.counts) for each in self._tiers))

    async def _look_at(self, each: _Guarded, counts: Mapping[str, CacheCounts]) -> None:
        if await each.tally(counts):
            self._forgotten()
            self.memory.clear()

    async def close(self) -> None:
        """End what is being made, wait for what is being written, close the tiers: each within CLOSE."""
        self._closed = True
        self._closing.set()
        if self._housekeeping is not None:
            # It may be counting: what is broken off there is counted, and would be once more.
            await asyncio.wait({self._housekeeping}, timeout=CLOSE)
            self._housekeeping.cancel()
            await asyncio.wait({self._housekeeping})
        flights = [flight.end() for flight in self._flights]
        if flights:
            await asyncio.wait(flights, timeout=CLOSE)
        if self._writing:
            await asyncio.wait(self._writing, timeout=CLOSE)
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*(each.close(self.counts) for each in self._tiers))


class _InFlightEntry:
    """An utterance on its way to all who asked for it."""

    flight: InFlightAudio

    def __init__(self, generation: int, voice: str, *, keep: bool) -> None:
        self.generation = generation
        self.voice = voice
        self.keep = keep
        """Whether anybody who asked wants it kept."""
        self.tier = ""
        """The name of the one that has it; empty where it is made."""

    def found_in(self, tier: str) -> None:
        """Note that it need not be made."""
        self.tier = tier


class _Rest:
    """When a kind of call is to be left alone: after it failed, and longer after it failed again."""

    def __init__(self) -> None:
        self.reason = ""
        self._failures = 0
        self._since = self._until = -math.inf

    @property
    def resting(self) -> bool:
        return time.monotonic() < self._until

    @property
    def failing(self) -> bool:
        return self._failures > 0

    def failed(self, reason: str, began: float) -> None:
        """Rest. What began before the last rest did is the same failure."""
        if began < self._since:
            return
        self.reason = reason
        self._since = time.monotonic()
        self._until = self._since + REST[min(self._failures, len(REST) - 1)]
        self._failures += 1

    def wake(self) -> None:
        """Rest no more, whatever there was."""
        self._until = -math.inf

    def worked(self) -> bool:
        """Forget the failures; tell whether there were any."""
        failures, self._failures = self._failures, 0
        self.wake()
        return failures > 0


class _Guarded:
    """A tier that may fail, hang or be wrong in any way, and harms nobody.

    What fails is left alone for a while, reading and writing each for itself: a full disk can still be read.
    """

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.full = False
        """Whether there was no room for the last entry."""
        self._reading, self._writing = _Rest(), _Rest()
        self._told: dict[str, CacheCounts] = {}
        self._forgotten: int | None = None
        self._blind = False

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None where there is none, or nobody to say."""
        if self._reading.resting:
            return None
        entry, _ = await self._try(self._reading, self.tier.get(key), PATIENCE)
        return entry

    async def put(self, key: bytes, entry: Entry) -> str | None:
        """Keep an entry, if the tier can; return why not, None where it does."""
        if self._writing.resting:
            return self._writing.reason
        room, reason = await self._try(self._writing, self.tier.put(key, entry), LIMIT)
        if reason is not None:
            return reason
        before, self.full = self.full, not room
        if room:
            return None
        name = self.tier.name
        reason = f"the cache's {name} has no room for it beside what has to stay (--cache-{name})"
        if not before:
            _LOGGER.warning("Nothing new is kept: %s", reason)
        return reason

    def wake(self) -> None:
        """Let the next entry be tried at once."""
        self._writing.wake()

    async def tally(self, counts: Mapping[str, CacheCounts]) -> bool:
        """Let the tier add up what was counted; tell whether anything was forgotten since the last time.

        Without ``counts`` it only looks, which is quick.
        """
        now = {name: replace(counted) for name, counted in counts.items()}
        news = {name: now[name].since(self._told.get(name, CacheCounts())) for name in now}
        try:
            async with asyncio.timeout(LIMIT):
                forgotten = await _own(self.tier.tally(news))
        except Exception as error:
            _LOGGER.debug("Nobody knows what was forgotten in the cache's %s: %r", self.tier.name, error)
            self._blind = True
            return False
        before, self._forgotten = self._forgotten, forgotten
        self._told |= now
        blind, self._blind = self._blind, False
        return forgotten != before if before is not None else blind

    async def forget(self, voice: str | None) -> str | None:
        """Drop what a voice said, or everything; return why not, None where it is dropped."""
        answer = await self.ask(self.tier.forget(voice))
        return answer if isinstance(answer, str) else None

    async def ask(self, call: Coroutine[Any, Any, _T]) -> _T | str:
        """Return what a call gives that nobody waits for to speak, or why it gives nothing."""
        try:
            async with asyncio.timeout(LIMIT):
                return await _own(call)
        except TimeoutError:
            return f"it gave no answer for {LIMIT:g} s"
        except Exception as error:
            return str(error)

    async def drop(self, key: bytes) -> None:
        """Drop an entry, if the tier can."""
        try:
            async with asyncio.timeout(LIMIT):
                await _own(self.tier.drop(key))
        except Exception as error:
            _LOGGER.warning("Something forgotten may be in the cache's %s: %r", self.tier.name, error)

    async def close(self, counts: Mapping[str, CacheCounts]) -> None:
        """Let the tier add up the last, and close it: all within CLOSE."""
        try:
            async with asyncio.timeout(CLOSE):
                await self.tally(counts)
                await _own(self.tier.close())
        except Exception as error:
            _LOGGER.warning("The cache's %s could not be closed: %r", self.tier.name, error)

    async def _try(
        self, rest: _Rest, call: Coroutine[Any, Any, _T], limit: float
    ) -> tuple[_T | None, str | None]:
        """Return what a call gives, or why it gives nothing; ``rest`` then."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit):
                result = await _own(call)
        except TierError as error:
            reason = str(error)
        except TimeoutError:
            reason = f"it gave no answer for {limit:g} s"
        except Exception as error:  # no fault in there is worth the silence of a voice
            reason = repr(error)
        else:
            if rest.worked() and not self._failing:
                _LOGGER.info("The cache has its %s again", self.tier.name)
            return result, None
        before = self._failing
        rest.failed(reason, began)
        if not before:
            _LOGGER.warning("The cache goes on without its %s: %s", self.tier.name, reason)
        return None, reason

    @property
    def _failing(self) -> bool:
        return self._reading.failing or self._writing.failing


async def _own(call: Coroutine[Any, Any, _T]) -> _T:
    """Return what a call gives. Raises RuntimeError where it was cancelled from inside, and not by us."""
    try:
        return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("it was cancelled from inside") from None


def _slices(pcm: bytes) -> Sequence[bytes]:
    return [pcm[at : at + SLICE] for at in range(0, len(pcm), SLICE)]
