"""Supervision of one engine: start, time limits, probes and restarts.

After a failure the engine is probed, and restarted if need be, before it gets requests again: no request is
the trial. Time is counted in ticks and not read from a clock: after the process was stopped or the machine
slept, no engine counts as late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from contextlib import aclosing, suppress

from ..speech import Utterance
from ..telemetry import quote
from .audio_check import AudioCheck
from .base import DeviceLostError, EngineUnavailableError, TruncatedAudioError, UnsupportedTextError
from .managed import REST, ManagedEngine, State

_LOGGER = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between looks at an engine; less where a limit is that short."""
FIND_TIMEOUT = 15.0
"""Seconds that a start waits for an engine's voices; a local file takes none, the hub one or two."""
PROBE = "One."
"""What an engine has to speak before its circuit closes."""


class Supervisor:
    """Starts, watches and restarts an engine."""

    def __init__(
        self,
        managed: ManagedEngine,
        *,
        is_alone: bool = True,
        on_lost: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """``is_alone``: no other engine could replace it.

        ``on_lost`` is called, with the reason, where only a new process can help.
        """
        self._managed = managed
        self._engine = managed.engine
        self._limits = managed.limits
        self._is_alone = is_alone
        self._on_lost = on_lost
        self._pulse: Hashable | None = None
        self._ticks_without_pulse = 0
        self._keeper: asyncio.Task[None] | None = None
        self.tick = min(TICK, self._limits.stall_timeout / 4, self._limits.engine_timeout / 4)
        """Seconds between calls of ``look``."""

    @property
    def name(self) -> str:
        """The engine's name."""
        return self._engine.name

    @property
    def is_slow(self) -> bool:
        """Whether its start takes long, and its voices are known before."""
        return self._engine.starts_in_background

    # -- start, restart, close ------------------------------------------------------------------------------

    async def find(self) -> None:
        """Find out which voices there are, where that is quicker than a start."""
        if not self._engine.starts_in_background:
            return
        try:
            async with asyncio.timeout(FIND_TIMEOUT):
                await self._engine.find()
        except TimeoutError:
            self._managed.reason = f"its voices were not known after {FIND_TIMEOUT:g} s"
        except Exception as error:
            if not isinstance(error, EngineUnavailableError):
                _LOGGER.exception("engine: voices cannot be found engine=%s", self.name)
            self._managed.reason = str(error) or repr(error)
        else:
            self._managed.knows_voices, self._managed.reason = True, "it is loading"
        if not self._managed.knows_voices:
            _LOGGER.warning("engine: no voices engine=%s reason=%s", self.name, quote(self._managed.reason))

    async def start(self) -> None:
        """Start it and supervise it from now on; ``state`` says whether it speaks."""
        await self._start()
        self._supervise(tried=True)

    def start_later(self) -> None:
        """Start it in the background, and supervise it."""
        self._supervise(tried=False)

    def _supervise(self, *, tried: bool) -> None:
        self._managed.is_loading = not tried
        self._keeper = asyncio.create_task(self._keep(tried=tried), name=f"supervisor of {self.name}")

    async def close(self) -> None:
        """Stop it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        hung = self._managed.state is State.HUNG
        self._managed.set_state(State.STOPPED, "the service is stopping")
        if not hung:  # it would not react
            await self._close()

    async def _close(self) -> None:
        try:
            await self._engine.close()
        except Exception:  # it is replaced in any case
            _LOGGER.exception("engine: cannot be closed engine=%s", self.name)

    async def _start(self, then: State = State.UP) -> bool:
        """Start it; return whether it has started. ``then``: its state after that."""
        try:
            await self._engine.start()
        except EngineUnavailableError as error:
            reason = str(error)
        except Exception as error:
            _LOGGER.exception("engine: cannot be started engine=%s", self.name)
            reason = f"it cannot be started: {error}"
        else:
            self._managed.knows_voices = True
            self._ticks_without_pulse = 0
            self._managed.set_state(then, "" if then is State.UP else self._managed.reason)
            return True
        if reason != self._managed.reason:
            _LOGGER.warning("engine: no voices engine=%s reason=%s", self.name, quote(reason))
        self._managed.set_state(State.STARTING, reason)
        return False

    async def _keep(self, *, tried: bool) -> None:
        """Start it until it speaks, and bring it back whenever it fails. ``tried``: it was started before."""
        while self._managed.state is not State.UP:
            if tried:
                self._managed.breaker.open(self._managed.reason)
                await asyncio.sleep(self._managed.breaker.rest)
                self._managed.breaker.record_failure(self._managed.reason)
            await self._start()
            self._managed.is_loading = False
            tried = True
        while True:
            await self._managed.has_failed.wait()
            try:
                await self._bring_back()
            except Exception:  # whatever it is, it is tried again
                _LOGGER.exception("engine: cannot be brought back engine=%s", self.name)
                await asyncio.sleep(REST[-1])

    async def _bring_back(self) -> None:
        """Probe it, restarted if need be, until it speaks; rest longer each time."""
        while self._managed.state is not State.UP:
            await asyncio.sleep(self._managed.breaker.rest)
            if self._managed.state is State.HUNG:
                continue  # a probe would wait behind the work that hangs
            fault = self._engine.fault()
            if isinstance(fault, DeviceLostError) and self._limits.exit_when_hung_for:
                self._on_lost(f"{self.name}: {fault}")
                return
            if (fault is not None or self._managed.needs_restart) and not await self._restart():
                self._managed.breaker.record_failure(self._managed.reason)
                continue
            try:
                await self._probe()
            except EngineUnavailableError as error:
                self._managed.breaker.record_failure(str(error))
                _LOGGER.info("engine: probe failed engine=%s reason=%s", self.name, quote(error))
                self._managed.set_state(self._managed.state, str(error))
            else:
                _LOGGER.info("engine: speaks again engine=%s", self.name)
                self._ticks_without_pulse = 0
                self._managed.set_state(State.UP)

    async def _restart(self) -> bool:
        self._managed.restarts += 1
        _LOGGER.info("engine: restarting engine=%s", self.name)
        self._managed.set_state(State.STARTING, self._managed.reason)
        await self._close()
        started = await self._start(State.RESTING)
        self._managed.set_state(State.RESTING, self._managed.reason)
        return started

    async def _probe(self) -> None:
        """Speak a word, up to its first audible chunk. Raises EngineUnavailableError."""
        voice = self._managed.last_voice or next(iter(self._engine.voices()), None)
        if voice is None:
            return  # it has never spoken: the first request is the trial
        word = Utterance(PROBE, voice, voice.languages[0], seed=voice.seed)
        with suppress(UnsupportedTextError, TruncatedAudioError):  # both say nothing about other texts
            check = AudioCheck(self.name, None)
            async with aclosing(self._managed.speak(word, is_probe=True)) as audio:
                async for chunk in audio:
                    check.push(chunk)
                    if check.is_audible:
                        return

    # -- time limits ----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Check its progress and every wait for its audio; call it once a ``tick``."""
        if self._managed.state is State.STOPPED or (
            self._managed.state is State.STARTING and not self._managed.restarts
        ):
            return  # a first start has no limit of time
        reports_progress = self._engine.reports_progress
        if reports_progress:
            self._look_at_progress()
        if self._managed.state is State.STARTING:
            return
        for attempt in tuple(self._managed.attempts):
            if not attempt.waits_for_engine or (reports_progress and not attempt.started):
                continue  # in the engine's own queue, or its model is being loaded
            limit = self._limits.engine_timeout
            if not (attempt.has_audio or reports_progress or self._is_alone):
                limit = min(self._limits.stall_timeout, limit)
            if attempt.count_tick() * self.tick >= limit:
                error = EngineUnavailableError(f"the {self.name} voice gave no sound for {limit:g} s")
                self._managed.needs_restart = not reports_progress
                attempt.abort(error)
                self._managed.trip(error)

    def _look_at_progress(self) -> None:
        fault, pulse = self._engine.fault(), self._engine.pulse()
        starting = self._managed.state is State.STARTING
        if fault is not None and not starting:
            self._managed.trip(fault, abort_all=True)
        if pulse is None or pulse != self._pulse:
            self._pulse, self._ticks_without_pulse = pulse, 0
            if self._managed.state is State.HUNG:
                _LOGGER.warning("engine: makes progress again engine=%s", self.name)
                self._managed.set_state(State.RESTING, self._managed.reason)
            return
        self._ticks_without_pulse += 1
        still = self._ticks_without_pulse * self.tick
        stall, restart = self._limits.stall_timeout, self._limits.exit_when_hung_for
        if still >= stall and self._managed.state is not State.HUNG and not starting:
            error = EngineUnavailableError(f"the {self.name} engine made no progress for {still:g} s")
            self._managed.trip(error, abort_all=True)
            self._managed.set_state(State.HUNG, str(error))
        if restart and still >= stall + restart:
            self._on_lost(f"the {self.name} engine has hung for {still:.0f} s")
