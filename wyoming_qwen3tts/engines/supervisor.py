"""Supervision of one engine: start, circuit breaker, time limits, probes and restarts.

An engine that fails, hangs or yields invalid audio opens its circuit breaker. Requests without audio so far
fail at once, so that another engine can speak. The circuit closes again after the engine has spoken a probe:
no request is the trial.

Time is counted in ticks and not read from a clock: after the process was stopped or the machine slept, no
engine counts as late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from dataclasses import replace
from enum import StrEnum
from typing import Any

from ..breaker import CircuitBreaker
from ..config.settings import LimitSettings
from ..speech import SpeechError, TextFeed, Utterance, Voice, internal_error
from .attempt import END, Attempt
from .audio_check import AudioCheck
from .base import (
    DeviceLostError,
    Engine,
    EngineUnavailableError,
    TruncatedAudioError,
    UnsupportedTextError,
)
from .deadline_queue import DeadlineQueue

_LOGGER = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between looks at an engine; less where a limit is that short."""
TRIPS = 3
"""Failures in a row that open the circuit: the first one may be due to the text."""
REST = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before the first probe or start after a failure, the second, …"""
FIND_TIMEOUT = 15.0
"""Seconds that a start waits for an engine's voices; a local file takes none, the hub one or two."""
PROBE = "One."
"""What an engine has to speak before its circuit closes."""
NO_FAILURE = frozenset({"busy", "stopping"})
"""Codes of errors that say nothing about an engine's health."""


class State(StrEnum):
    """State of an engine."""

    STARTING = "starting"
    """It loads, for the first time or again."""
    UP = "up"
    """It speaks."""
    RESTING = "resting"
    """It failed, and will be probed: the circuit is open."""
    HUNG = "hung"
    """It makes no progress."""
    STOPPED = "stopped"


class ManagedEngine:
    """An engine with its state, its queue and its circuit breaker."""

    def __init__(
        self,
        engine: Engine,
        limits: LimitSettings,
        *,
        is_alone: bool = True,
        on_change: Callable[[], object] = lambda: None,
        on_lost: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """``is_alone``: no other engine could replace it. ``on_change`` is called for every new state.

        ``on_lost`` is called, with the reason, where only a new process can help.
        """
        self.engine = engine
        self.state = State.STARTING
        self.reason = "it has not started"
        """Why it does not speak; the last failure where it does."""
        self.knows_voices = False
        self.is_loading = False
        """Whether its first start goes on in the background."""
        self.failures = 0
        self.restarts = 0
        self._limits = limits
        self._is_alone = is_alone
        self._on_change = on_change
        self._on_lost = on_lost
        self._breaker = CircuitBreaker(REST, threshold=TRIPS)
        self._last_voice: Voice | None = None
        """The voice of the last utterance, for the probe: it may be a custom voice."""
        self._needs_restart = False
        """It exceeded a time limit and reports no progress: only a restart can tell whether it works."""
        self._queues: dict[str, DeadlineQueue] = {}
        """By model."""
        self._attempts: set[Attempt] = set()
        self._pulse: Hashable | None = None
        self._ticks_without_pulse = 0
        self.tick = min(TICK, limits.stall_timeout / 4, limits.engine_timeout / 4)
        """Seconds between calls of ``look``."""
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    # -- state ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.engine.name

    @property
    def waiting(self) -> int:
        """Utterances in the queue."""
        return sum(queue.waiting for queue in self._queues.values())

    def status(self) -> dict[str, Any]:
        """Return the state, as reported by /health."""
        return {
            "name": self.name,
            "state": self.state,
            "ready": self.state is State.UP,
            "reason": self.reason,
            "voices": len(self.engine.voices()),
            "waiting": self.waiting,
            "failures": self.failures,
            "restarts": self.restarts,
        }

    def _set_state(self, state: State, reason: str = "") -> None:
        if state is self.state and reason == self.reason:
            return
        self.state, self.reason = state, reason
        if state is State.UP:
            self._breaker.record_success()
            self._ticks_without_pulse = 0
            self._needs_restart = False
            self._down.clear()
            self._up.set()
        else:
            self._up.clear()
        self._on_change()

    async def wait_ready(self) -> bool:
        """Wait until it speaks, for ``engine_timeout`` at most; return whether it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.engine_timeout):
                while self.state is not State.UP:
                    await self._up.wait()
        return self.state is State.UP

    # -- start, restart, close ------------------------------------------------------------------------------

    async def find(self) -> None:
        """Find out which voices there are, where that is quicker than a start."""
        if not self.engine.starts_in_background:
            return
        try:
            async with asyncio.timeout(FIND_TIMEOUT):
                await self.engine.find()
        except TimeoutError:
            self.reason = f"its voices were not known after {FIND_TIMEOUT:g} s"
        except Exception as error:
            if not isinstance(error, EngineUnavailableError):
                _LOGGER.exception("engine %s: voices cannot be found", self.name)
            self.reason = str(error) or repr(error)
        else:
            self.knows_voices, self.reason = True, "it is loading"
        if not self.knows_voices:
            _LOGGER.warning("engine %s: no voices reason=%s", self.name, self.reason)

    async def start(self) -> None:
        """Start it and supervise it from now on; ``state`` says whether it speaks."""
        await self._start()
        self._supervise(tried=True)

    def start_later(self) -> None:
        """Start it in the background, and supervise it."""
        self._supervise(tried=False)

    def _supervise(self, *, tried: bool) -> None:
        self.is_loading = not tried
        self._keeper = asyncio.create_task(self._keep(tried=tried), name=f"supervisor of {self.name}")

    async def close(self) -> None:
        """Stop it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        hung = self.state is State.HUNG
        self._set_state(State.STOPPED, "the service is stopping")
        if not hung:  # it would not react
            await self._close()

    async def _close(self) -> None:
        try:
            await self.engine.close()
        except Exception:  # it is replaced in any case
            _LOGGER.exception("engine %s: cannot be closed", self.name)

    async def _start(self, then: State = State.UP) -> bool:
        """Start it; return whether it has started. ``then``: its state after that."""
        try:
            await self.engine.start()
        except EngineUnavailableError as error:
            reason = str(error)
        except Exception as error:
            _LOGGER.exception("engine %s: cannot be started", self.name)
            reason = f"it cannot be started: {error}"
        else:
            self.knows_voices = True
            self._set_state(then, "" if then is State.UP else self.reason)
            return True
        if reason != self.reason:
            _LOGGER.warning("engine %s: no voices reason=%s", self.name, reason)
        self._set_state(State.STARTING, reason)
        return False

    async def _keep(self, *, tried: bool) -> None:
        """Start it until it speaks, and bring it back whenever it fails. ``tried``: it was started before."""
        while self.state is not State.UP:
            if tried:
                self._breaker.open(self.reason)
                await asyncio.sleep(self._breaker.rest)
                self._breaker.record_failure(self.reason)
            await self._start()
            self.is_loading = False
            tried = True
        while True:
            await self._down.wait()
            try:
                await self._bring_back()
            except Exception:  # whatever it is, it is tried again
                _LOGGER.exception("engine %s: cannot be brought back", self.name)
                await asyncio.sleep(REST[-1])

    async def _bring_back(self) -> None:
        """Probe it, restarted if need be, until it speaks; rest longer each time."""
        while self.state is not State.UP:
            await asyncio.sleep(self._breaker.rest)
            if self.state is State.HUNG:
                continue  # a probe would wait behind the work that hangs
            fault = self.engine.fault()
            if isinstance(fault, DeviceLostError) and self._limits.exit_when_hung_for:
                self._on_lost(f"{self.name}: {fault}")
                return
            if (fault is not None or self._needs_restart) and not await self._restart():
                self._breaker.record_failure(self.reason)
                continue
            try:
                await self._probe()
            except EngineUnavailableError as error:
                self._breaker.record_failure(str(error))
                _LOGGER.info("engine %s: probe failed reason=%s", self.name, error)
                self._set_state(self.state, str(error))
            else:
                _LOGGER.info("engine %s: speaks again", self.name)
                self._set_state(State.UP)

    async def _restart(self) -> bool:
        self.restarts += 1
        _LOGGER.info("engine %s: restarting", self.name)
        self._set_state(State.STARTING, self.reason)
        await self._close()
        started = await self._start(State.RESTING)
        self._set_state(State.RESTING, self.reason)
        return started

    async def _probe(self) -> None:
        """Speak a word, up to its first audible chunk. Raises EngineUnavailableError."""
        voice = self._last_voice or next(iter(self.engine.voices()), None)
        if voice is None:
            return  # it has never spoken: the first request is the trial
        word = Utterance(PROBE, voice, voice.languages[0], seed=voice.seed)
        with suppress(UnsupportedTextError, TruncatedAudioError):  # both say nothing about other texts
            check = AudioCheck(self.name, None)
            async with aclosing(self.speak(word, is_probe=True)) as audio:
                async for chunk in audio:
                    check.push(chunk)
                    if check.is_audible:
                        return

    # -- failures -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Check its progress and every wait for its audio; call it once a ``tick``."""
        if self.state is State.STOPPED or (self.state is State.STARTING and not self.restarts):
            return  # a first start has no limit of time
        reports_progress = self.engine.reports_progress
        if reports_progress:
            self._look_at_progress()
        if self.state is State.STARTING:
            return
        for attempt in tuple(self._attempts):
            if not attempt.waits_for_engine or (reports_progress and not attempt.started):
                continue  # in the engine's own queue, or its model is being loaded
            limit = self._limits.engine_timeout
            if not (attempt.has_audio or reports_progress or self._is_alone):
                limit = min(self._limits.stall_timeout, limit)
            if attempt.count_tick() * self.tick >= limit:
                error = EngineUnavailableError(f"the {self.name} voice gave no sound for {limit:g} s")
                self._needs_restart = not reports_progress
                attempt.abort(error)
                self._trip(error)

    def _look_at_progress(self) -> None:
        fault, pulse = self.engine.fault(), self.engine.pulse()
        starting = self.state is State.STARTING
        if fault is not None and not starting:
            self._trip(fault, abort_all=True)
        if pulse is None or pulse != self._pulse:
            self._pulse, self._ticks_without_pulse = pulse, 0
            if self.state is State.HUNG:
                _LOGGER.warning("engine %s: makes progress again", self.name)
                self._set_state(State.RESTING, self.reason)
            return
        self._ticks_without_pulse += 1
        still = self._ticks_without_pulse * self.tick
        stall, restart = self._limits.stall_timeout, self._limits.exit_when_hung_for
        if still >= stall and self.state is not State.HUNG and not starting:
            error = EngineUnavailableError(f"the {self.name} engine made no progress for {still:g} s")
            self._trip(error, abort_all=True)
            self._set_state(State.HUNG, str(error))
        if restart and still >= stall + restart:
            self._on_lost(f"the {self.name} engine has hung for {still:.0f} s")

    def _trip(self, error: EngineUnavailableError, *, abort_all: bool = False) -> None:
        """Open the circuit. ``abort_all``: also abort what the engine works on, where it has no audio yet."""
        if self.state is State.UP:
            _LOGGER.warning("engine %s: circuit open reason=%s", self.name, error)
            self._breaker.open(str(error))
            self._set_state(State.RESTING, str(error))
            self._down.set()
        for queue in self._queues.values():
            queue.reject_waiting(error)
        for attempt in tuple(self._attempts) if abort_all else ():
            if not attempt.has_audio:
                attempt.abort(error)

    def _record_failure(self, error: EngineUnavailableError, attempt: Attempt) -> None:
        self.failures += 1
        if self.state is not State.UP:
            return
        is_open = self._breaker.record_failure(str(error), attempt.incidents)
        fault = self.engine.fault()
        if fault is not None or is_open:
            self._trip(fault or error)

    # -- speech ---------------------------------------------------------------------------------------------

    async def speak(
        self, utterance: Utterance, text: TextFeed | None = None, *, is_probe: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield PCM as ``Engine.speak``, after the utterance's turn in the queue; all of it, or an error.

        ``text``: the rest of a text that is still being written, for ``Engine.speak_live``. Raises
        EngineUnavailableError, for silence SilentAudioError; UnsupportedTextError; TruncatedAudioError after
        endless audio, TooShortAudioError after audio that seems truncated.
        """
        async with self._turn(utterance, is_probe=is_probe):
            if not is_probe and not self._may_speak():
                raise EngineUnavailableError(f"the {self.name} engine does not speak now: {self.reason}")
            self._last_voice = utterance.voice
            attempt = Attempt(self._breaker.incidents, text)
            check = AudioCheck(self.name, utterance.text if text is None else None)
            utterance = replace(utterance, on_start=_also(attempt, utterance.on_start))
            self._attempts.add(attempt)
            try:
                audio = (
                    self.engine.speak(utterance) if text is None else self.engine.speak_live(utterance, text)
                )
                async with aclosing(audio):
                    while (chunk := await attempt.next(audio)) is not END:
                        pcm = check.push(chunk)
                        attempt.has_audio = True
                        yield pcm
                if check.is_audible and self.state is State.UP:
                    self._breaker.record_success()
                check.finish()
            except SpeechError as error:
                if isinstance(error, EngineUnavailableError) and error.code not in NO_FAILURE:
                    self._record_failure(error, attempt)
                raise
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                raise self._internal_failure(error, attempt) from error
            except (Exception, SystemExit) as error:
                raise self._internal_failure(error, attempt) from error
            finally:
                self._attempts.discard(attempt)

    def _turn(self, utterance: Utterance, *, is_probe: bool) -> AbstractAsyncContextManager[object]:
        """Wait for an utterance's turn; a probe has none to wait for."""
        if is_probe:
            return nullcontext()
        queue = self._queues.get(utterance.voice.model)
        if queue is None:
            queue = DeadlineQueue(self.engine.max_batch_size, self._limits.max_queue)
            self._queues[utterance.voice.model] = queue
        return queue.slot(utterance.playback_deadline)

    def _may_speak(self) -> bool:
        """Return whether to try it: while it rests, only where it would answer quickly."""
        if self.state is State.RESTING:
            return not self._needs_restart and self.engine.fault() is None
        return self.state is State.UP

    def _internal_failure(self, error: BaseException, attempt: Attempt) -> EngineUnavailableError:
        """Log a fault in an engine's code; return the error for the client."""
        _LOGGER.error("engine %s: failed", self.name, exc_info=error)
        shown = internal_error()
        failure = EngineUnavailableError(str(shown), shown.code)
        self._record_failure(failure, attempt)
        return failure


def _also(attempt: Attempt, on_start: Callable[[], object] | None) -> Callable[[], None]:
    """Return a callback that marks an attempt as started, and calls ``on_start``."""

    def started() -> None:
        attempt.started = True
        if on_start is not None:
            on_start()

    return started
