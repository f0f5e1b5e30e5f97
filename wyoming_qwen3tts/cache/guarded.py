"""A cache tier behind time limits and circuit breakers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ..breaker import CircuitBreaker
from ..telemetry import quote
from .entry import CacheCounts, Entry, Tier, TierError

_LOGGER = logging.getLogger(__name__)

SPEECH_TIMEOUT = 0.25
"""Seconds that speech waits for a tier: a disk answers in one or two milliseconds, a network in ten."""
TIMEOUT = 10.0
"""Seconds for calls that no speech waits for."""
CLOSE_TIMEOUT = 5.0
"""Seconds for the last writes when the service stops."""
REST = (5.0, 30.0, 300.0)
"""Seconds that a tier is not used after it failed, failed again, and any further time."""

_T = TypeVar("_T")


class GuardedTier:
    """A tier that may fail, hang or raise anything: no call of this class does.

    Reading and writing have a circuit breaker each: a full disk can still be read.
    """

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.is_full = False
        """Whether there was no room for the last entry."""
        self._reading, self._writing = CircuitBreaker(REST), CircuitBreaker(REST)
        self._reported: dict[str, CacheCounts] = {}
        self._clearings: int | None = None
        """How often anything was forgotten in it, by any process, at the last look."""
        self._missed_a_look = False

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry; None where there is none, or the tier cannot be used."""
        if self._reading.is_resting:
            return None
        entry, _ = await self._try(self._reading, self.tier.get(key), SPEECH_TIMEOUT)
        return entry

    async def put(self, key: bytes, entry: Entry) -> str | None:
        """Store an entry; return why it is not stored, None where it is."""
        if self._writing.is_resting:
            return self._writing.reason
        has_room, reason = await self._try(self._writing, self.tier.put(key, entry), TIMEOUT)
        if reason is not None:
            return reason
        was_full, self.is_full = self.is_full, not has_room
        if has_room:
            return None
        name = self.tier.name
        reason = f"the cache's {name} has no room for it beside pinned entries (--cache-{name})"
        if not was_full:
            _LOGGER.warning("cache: nothing new is stored reason=%s", quote(reason))
        return reason

    def end_rest(self) -> None:
        """Allow the next write at once."""
        self._writing.end_rest()

    async def add_counts(self, counts: Mapping[str, CacheCounts]) -> bool:
        """Add up what was counted; return whether anything was forgotten since the last look, by any process.

        Without ``counts`` it only looks, which is quick.
        """
        now = {name: replace(counted) for name, counted in counts.items()}
        news = {name: now[name].since(self._reported.get(name, CacheCounts())) for name in now}
        try:
            async with asyncio.timeout(TIMEOUT):
                clearings = await _own(self.tier.add_counts(news))
        except Exception as error:
            _LOGGER.debug(
                "cache: counts cannot be added tier=%s reason=%s", self.tier.name, quote(repr(error))
            )
            self._missed_a_look = True
            return False
        before, self._clearings = self._clearings, clearings
        self._reported |= now
        missed, self._missed_a_look = self._missed_a_look, False
        return clearings != before if before is not None else missed

    async def forget(self, voice: str | None) -> str | None:
        """Drop the entries of a voice, or all; return why they are not dropped, None where they are."""
        answer = await self.ask(self.tier.forget(voice))
        return answer if isinstance(answer, str) else None

    async def ask(self, call: Coroutine[Any, Any, _T]) -> _T | str:
        """Return the result of a call that no speech waits for, or why there is none."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await _own(call)
        except TimeoutError:
            return f"it gave no answer for {TIMEOUT:g} s"
        except Exception as error:
            return str(error)

    async def drop(self, key: bytes) -> None:
        """Drop an entry, if the tier can."""
        try:
            async with asyncio.timeout(TIMEOUT):
                await _own(self.tier.drop(key))
        except Exception as error:
            _LOGGER.warning(
                "cache: tier may hold a dropped entry tier=%s reason=%s", self.tier.name, quote(repr(error))
            )

    async def close(self, counts: Mapping[str, CacheCounts]) -> None:
        """Add up the last counts and close the tier, within CLOSE_TIMEOUT."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.add_counts(counts)
                await _own(self.tier.close())
        except Exception as error:
            _LOGGER.warning(
                "cache: tier cannot be closed tier=%s reason=%s", self.tier.name, quote(repr(error))
            )

    async def _try(
        self, breaker: CircuitBreaker, call: Coroutine[Any, Any, _T], timeout: float
    ) -> tuple[_T | None, str | None]:
        """Return the result of a call, or why there is none; ``breaker`` records it."""
        incidents = breaker.incidents
        try:
            async with asyncio.timeout(timeout):
                result = await _own(call)
        except TierError as error:
            reason = str(error)
        except TimeoutError:
            reason = f"it gave no answer for {timeout:g} s"
        except Exception as error:  # no fault of a tier may silence speech
            reason = repr(error)
        else:
            if breaker.record_success() and not self._is_failing:
                _LOGGER.info("cache: tier works again tier=%s", self.tier.name)
            return result, None
        was_failing = self._is_failing
        breaker.record_failure(reason, incidents)
        if not was_failing:
            _LOGGER.warning("cache: tier not used tier=%s reason=%s", self.tier.name, quote(reason))
        return None, reason

    @property
    def _is_failing(self) -> bool:
        return self._reading.is_open or self._writing.is_open


async def _own(call: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of a call. Raises RuntimeError where it was cancelled from inside, and not by us."""
    try:
        return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("it was cancelled from inside") from None
