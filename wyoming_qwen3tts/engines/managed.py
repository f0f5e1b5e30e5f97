"""One engine with its state, its queue and its circuit breaker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from dataclasses import replace
from enum import StrEnum
from typing import Any

from ..breaker import CircuitBreaker
from ..config.settings import LimitSettings
from ..speech import SpeechError, TextFeed, Utterance, Voice, internal_error
from ..telemetry import quote
from .attempt import END, Attempt
from .audio_check import AudioCheck
from .base import Engine, EngineUnavailableError
from .deadline_queue import DeadlineQueue

_LOGGER = logging.getLogger(__name__)

TRIPS = 3
"""Failures in a row that open the circuit: the first one may be due to the text."""
REST = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before the first probe or start after a failure, the second, …"""
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
    """Speaks utterances in turn, and counts failures; ``Supervisor`` starts and restarts it.

    An engine that fails, hangs or yields invalid audio opens its circuit breaker. Requests without audio so
    far fail at once, so that another engine can speak.
    """

    def __init__(
        self, engine: Engine, limits: LimitSettings, on_change: Callable[[], object] = lambda: None
    ) -> None:
        """``on_change`` is called for every new state."""
        self.engine = engine
        self.limits = limits
        self.state = State.STARTING
        self.reason = "it has not started"
        """Why it does not speak; the last failure where it does."""
        self.knows_voices = False
        self.is_loading = False
        """Whether its first start goes on in the background."""
        self.needs_restart = False
        """It exceeded a time limit and reports no progress: only a restart can tell whether it works."""
        self.failures = 0
        self.restarts = 0
        self.breaker = CircuitBreaker(REST, threshold=TRIPS)
        self.attempts: set[Attempt] = set()
        """What it works on."""
        self.last_voice: Voice | None = None
        """The voice of the last utterance, for the probe: it may be a custom voice."""
        self.has_failed = asyncio.Event()
        """Set while it does not speak after it did."""
        self._on_change = on_change
        self._queues: dict[str, DeadlineQueue] = {}
        """By model."""
        self._up = asyncio.Event()

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

    def set_state(self, state: State, reason: str = "") -> None:
        """Change the state. ``reason``: why it does not speak."""
        if state is self.state and reason == self.reason:
            return
        self.state, self.reason = state, reason
        if state is State.UP:
            self.breaker.record_success()
            self.needs_restart = False
            self.has_failed.clear()
            self._up.set()
        else:
            self._up.clear()
        self._on_change()

    async def wait_ready(self) -> bool:
        """Wait until it speaks, for ``engine_timeout`` at most; return whether it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.engine_timeout):
                while self.state is not State.UP:
                    await self._up.wait()
        return self.state is State.UP

    # -- failures -------------------------------------------------------------------------------------------

    def trip(self, error: EngineUnavailableError, *, abort_all: bool = False) -> None:
        """Open the circuit. ``abort_all``: also abort what the engine works on, where it has no audio yet."""
        if self.state is State.UP:
            _LOGGER.warning("engine: circuit open engine=%s reason=%s", self.name, quote(error))
            self.breaker.open(str(error))
            self.set_state(State.RESTING, str(error))
            self.has_failed.set()
        for queue in self._queues.values():
            queue.reject_waiting(error)
        for attempt in tuple(self.attempts) if abort_all else ():
            if not attempt.has_audio:
                attempt.abort(error)

    def _record_failure(self, error: EngineUnavailableError, attempt: Attempt) -> None:
        self.failures += 1
        if self.state is not State.UP:
            return
        is_open = self.breaker.record_failure(str(error), attempt.incidents)
        fault = self.engine.fault()
        if fault is not None or is_open:
            self.trip(fault or error)

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
            self.last_voice = utterance.voice
            attempt = Attempt(self.breaker.incidents, text)
            check = AudioCheck(self.name, utterance.text if text is None else None)
            utterance = replace(utterance, on_start=_also(attempt, utterance.on_start))
            self.attempts.add(attempt)
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
                    self.breaker.record_success()
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
                self.attempts.discard(attempt)

    def _turn(self, utterance: Utterance, *, is_probe: bool) -> AbstractAsyncContextManager[object]:
        """Wait for an utterance's turn; a probe has none to wait for."""
        if is_probe:
            return nullcontext()
        queue = self._queues.get(utterance.voice.model)
        if queue is None:
            queue = DeadlineQueue(self.engine.max_batch_size, self.limits.max_queue)
            self._queues[utterance.voice.model] = queue
        return queue.slot(utterance.playback_deadline)

    def _may_speak(self) -> bool:
        """Return whether to try it: while it rests, only where it would answer quickly."""
        if self.state is State.RESTING:
            return not self.needs_restart and self.engine.fault() is None
        return self.state is State.UP

    def _internal_failure(self, error: BaseException, attempt: Attempt) -> EngineUnavailableError:
        """Log a fault in an engine's code; return the error for the client."""
        _LOGGER.error("engine: failed engine=%s", self.name, exc_info=error)
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
