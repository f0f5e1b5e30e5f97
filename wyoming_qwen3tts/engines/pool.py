"""Engines that are relied on: in an order, each with a circuit breaker, limits of time, and restarts.

An engine that fails, hangs or gives rubbish stands aside (the breaker opens), and whoever has heard nothing
yet is told at once, so that the next engine can say it. It comes back after it has said a probe: no request
is the guinea pig. What was begun is finished by the engine that began it, if that comes back in time: the
same utterance is the same sound, so it is made again and goes on where it broke off.

Time is counted in ticks of our own, not read from a clock: a process that was stopped for a while, or a
machine that slept, has not made anybody late.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

from ..audio.pcm import AUDIBLE, difference, peak
from ..speech import BYTES_PER_SECOND, SAMPLE_WIDTH, SpeechError, TextFeed, Utterance, Voice, internal_error
from ..text import phonemes
from .base import DeviceLostError, Engine, EngineUnavailableError, TruncatedAudioError, UnsupportedTextError
from .deadline_queue import DeadlineQueue

_LOGGER = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between looks at whoever is at work; less where a limit is that short."""
TRIPS = 3
"""Failures in a row that open the breaker: one may be the text's."""
REST = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before a probe, or before the next start: after the first failure, the second, …"""
FIND = 15.0
"""Seconds that the service waits to know an engine's voices; a local file takes none, the hub one or two."""
ROOM, CHARACTER = 60.0, 1.0
"""Seconds of sound that an utterance may have, and for each character more: slow readers need a quarter."""
SAME = 8
"""Steps of 16 bits by which a sound may differ that is made again, -72 dBFS: in company a model rounds
otherwise (by 1 in float32: benchmarks.load)."""
SHORTEST_LETTER = 0.02
"""Seconds of speech for a letter below which audio seems truncated: fast readers take three times as long."""
_REPETITION = re.compile(r"(\w{1,4}?)\1+")
"""Letters or syllables in a row, as in a laugh: a voice shortens them."""
PROBE = "One."
"""What an engine has to say before it is relied on again."""
END = object()
"""What comes after the last piece of sound."""
NOT_ITS_FAULT = frozenset({"busy", "stopping"})
"""Codes of errors that say nothing about how an engine is."""


class _TooShortError(EngineUnavailableError):
    """An utterance ended well, after less audio than its text can take."""


class State(StrEnum):
    """How an engine is."""

    STARTING = "starting"
    """It loads, for the first time or again."""
    UP = "up"
    """It speaks."""
    RESTING = "resting"
    """It failed, and will be probed (the breaker is open)."""
    HUNG = "hung"
    """It gives no sign of life."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """Bounds for every engine; the settings have the defaults. Times are seconds."""

    waiting: int
    """Utterances that wait for their turn."""
    stall: float
    """Without a sign of life: then it has hung."""
    gap: float
    """To an utterance's next piece of sound, once it began."""
    restart: float
    """That it may hang before ``lost`` is told; 0 is for ever."""
    resume: bool
    """Finish what broke off."""


def _check_length(pcm: bytes | bytearray, text: str) -> None:
    """Raise _TooShortError for audio that is too short for its text; repeated letters count once."""
    letters = sum(map(str.isalnum, _REPETITION.sub(r"\1", phonemes.remove_pronunciations(text))))
    if (seconds := len(pcm) / BYTES_PER_SECOND) < letters * SHORTEST_LETTER:
        raise _TooShortError(f"{seconds:.2f} s of audio are too short for {letters} letters")


class _Attempt:
    """One utterance while an engine is at it."""

    def __init__(self, incidents: int, text: TextFeed | None = None) -> None:
        """``text``: what is still being written, if it is. ``incidents``: those that the engine has had."""
        self.text = text
        self.incidents = incidents
        self.begun = False
        """The engine is at it, and not at those before it."""
        self.heard = False
        self.audible = False
        """Something of it was more than silence."""
        self.error: EngineUnavailableError | None = None
        """Why it was given up."""
        self.waiting: asyncio.Timeout | None = None
        """While its next piece is waited for."""
        self.ticks = 0
        """So long has that been waited for."""

    def give_up(self, error: EngineUnavailableError) -> None:
        """Wait no longer."""
        if self.error is not None:
            return  # it is being told
        self.error = error
        if self.waiting is not None:
            self.waiting.reschedule(asyncio.get_running_loop().time())


class ManagedEngine:
    """An engine, and how it is."""

    def __init__(
        self,
        engine: Engine,
        limits: EngineLimits,
        *,
        alone: bool = True,
        changed: Callable[[], object] = lambda: None,
        lost: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """``alone``: no other could say what it does not. ``changed`` is told of every new state.

        ``lost`` is told why nothing but a new process will do.
        """
        self.engine = engine
        self.state = State.STARTING
        self.reason = "it has not started"
        """Why it does not speak; what the last failure was where it does."""
        self.known = False
        """Whether its voices are."""
        self.loading = False
        """Whether it is started for the first time, and that goes on."""
        self.failures = 0
        self.restarts = 0
        """Times that it was started again."""
        self._limits = limits
        self._alone = alone
        self._changed = changed
        self._lost = lost
        self._incidents = self._row = 0
        """Failures, those at the same time as one; in all, and since it last did well."""
        self._last: Voice | None = None
        """Who spoke last: a voice of its own, or somebody's."""
        self._stuck = False
        """It kept somebody waiting for too long and cannot be watched: it needs a new start."""
        self._turns: dict[str, DeadlineQueue] = {}
        self._attempts: set[_Attempt] = set()
        self._pulse: Hashable | None = None
        self._still = 0
        """Ticks without another pulse."""
        self.tick = min(TICK, limits.stall / 4, limits.gap / 4)
        """Seconds between calls of ``look``."""
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ how it is

    @property
    def name(self) -> str:
        """The engine's."""
        return self.engine.name

    @property
    def waiting(self) -> int:
        """Utterances that wait for their turn."""
        return sum(turns.waiting for turns in self._turns.values())

    def status(self) -> dict[str, Any]:
        """Return how it is, for people."""
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

    def _becomes(self, state: State, reason: str = "") -> None:
        if state is self.state and reason == self.reason:
            return
        self.state, self.reason = state, reason
        if state is State.UP:
            self._row = self._still = 0
            self._stuck = False
            self._down.clear()
            self._up.set()
        else:
            self._up.clear()
        self._changed()

    # ------------------------------------------------------------------ from start to end

    async def find(self) -> None:
        """Find out which voices there are, where that is quicker than to start."""
        if not self.engine.starts_in_background:
            return
        try:
            async with asyncio.timeout(FIND):
                await self.engine.find()
        except TimeoutError:
            self.reason = f"its voices were not known after {FIND:g} s"
        except Exception as error:
            if not isinstance(error, EngineUnavailableError):
                _LOGGER.exception("The voices of the %s engine cannot be found", self.name)
            self.reason = str(error) or repr(error)
        else:
            self.known, self.reason = True, "it is loading"
        if not self.known:
            _LOGGER.warning("No %s voices: %s", self.name, self.reason)

    async def start(self) -> None:
        """Start it, and look after it from now on; whether it speaks is in ``state``."""
        await self._start()
        self._look_after(tried=1)

    def start_later(self) -> None:
        """Start it in the background, and look after it."""
        self._look_after(tried=0)

    def _look_after(self, tried: int) -> None:
        self.loading = not tried
        self._keeper = asyncio.create_task(self._keep(tried), name=f"keeper of {self.name}")

    async def close(self) -> None:
        """End it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        hung = self.state is State.HUNG
        self._becomes(State.STOPPED, "the service is stopping")
        if not hung:  # it would not hear it
            await self._close()

    async def _close(self) -> None:
        try:
            await self.engine.close()
        except Exception:  # nothing of it is of use any more
            _LOGGER.exception("The %s engine cannot be closed", self.name)

    async def _start(self, then: State = State.UP) -> bool:
        """Start it; tell whether it has started. ``then``: how it is after that."""
        try:
            await self.engine.start()
        except EngineUnavailableError as error:
            reason = str(error)
        except Exception as error:
            _LOGGER.exception("The %s engine cannot be started", self.name)
            reason = f"it cannot be started: {error}"
        else:
            self.known = True
            self._becomes(then, "" if then is State.UP else self.reason)
            return True
        if reason != self.reason:
            _LOGGER.warning("No %s voices: %s", self.name, reason)
        self._becomes(State.STARTING, reason)
        return False

    async def _keep(self, tried: int) -> None:
        """Start it, which was tried so often, and bring it back whenever it fails."""
        while self.state is not State.UP:
            if tried:
                await asyncio.sleep(REST[min(tried, len(REST)) - 1])
            await self._start()
            self.loading = False
            tried += 1
        while True:
            await self._down.wait()
            try:
                await self._bring_back()
            except Exception:  # whatever it is, it is tried again
                _LOGGER.exception("The %s engine cannot be brought back", self.name)
                await asyncio.sleep(REST[-1])

    async def _bring_back(self) -> None:
        """Probe it, started again if need be, until it speaks; rest longer each time."""
        failed = 0
        while self.state is not State.UP:
            await asyncio.sleep(REST[min(failed, len(REST) - 1)])
            if self.state is State.HUNG:
                continue  # whatever it is told would wait behind what it is at
            fault = self._fault()
            if isinstance(fault, DeviceLostError) and self._limits.restart:
                self._lost(f"{self.name}: {fault}")
                return
            if (fault is not None or self._stuck) and not await self._start_again():
                failed += 1
                continue
            try:
                await self._probe()
            except EngineUnavailableError as error:
                failed += 1
                _LOGGER.info("The %s engine does not speak yet: %s", self.name, error)
                self._becomes(self.state, str(error))
            else:
                _LOGGER.info("The %s engine speaks again", self.name)
                self._becomes(State.UP)

    async def _start_again(self) -> bool:
        self.restarts += 1
        _LOGGER.info("The %s engine is started again", self.name)
        self._becomes(State.STARTING, self.reason)
        await self._close()
        started = await self._start(State.RESTING)
        self._becomes(State.RESTING, self.reason)
        return started

    async def _probe(self) -> None:
        """Let it say a word. Raises EngineUnavailableError."""
        voice = self._last or next(iter(self.engine.voices()), None)
        if voice is None:
            return  # nobody has ever spoken with it: whoever does will see
        word = Utterance(PROBE, voice, voice.languages[0], seed=voice.seed)
        heard = False
        with suppress(
            UnsupportedTextError, TruncatedAudioError
        ):  # a word it does not know says nothing about the next sentence
            async with aclosing(self._attempt(_Attempt(self._incidents), self.engine.speak, word)) as sounds:
                async for piece in sounds:
                    heard = heard or peak(piece) >= AUDIBLE
                    if heard:
                        return
            raise EngineUnavailableError(f"the {self.name} voice gave nothing to be heard")

    def _fault(self) -> EngineUnavailableError | None:
        return self.engine.fault()

    # ------------------------------------------------------------------ what goes wrong

    def look(self) -> None:
        """Look at it and at all that is waited for; once a ``tick``."""
        if self.state is State.STOPPED or (self.state is State.STARTING and not self.restarts):
            return  # how long a first start takes is nobody's business
        watched = self.engine.reports_progress
        if watched:
            self._look_at(self.engine)
        if self.state is State.STARTING:
            return
        for attempt in tuple(self._attempts):
            if attempt.waiting is None or (attempt.text is not None and not attempt.text.ended):
                continue  # it is not the engine that is waited for
            if watched and not attempt.begun:
                continue  # it waits in the engine: for others, or for a model to be loaded
            attempt.ticks += 1
            soon = not (attempt.heard or watched or self._alone)
            limit = min(self._limits.stall, self._limits.gap) if soon else self._limits.gap
            if attempt.ticks * self.tick >= limit:
                error = EngineUnavailableError(f"the {self.name} voice gave no sound for {limit:g} s")
                self._stuck = not watched
                attempt.give_up(error)
                self._trip(error)

    def _look_at(self, engine: Engine) -> None:
        fault, pulse = engine.fault(), engine.pulse()
        starting = self.state is State.STARTING
        if fault is not None and not starting:
            self._trip(fault, everybody=True)
        if pulse is None or pulse != self._pulse:
            self._pulse, self._still = pulse, 0
            if self.state is State.HUNG:
                _LOGGER.warning("The %s engine works again", self.name)
                self._becomes(State.RESTING, self.reason)
            return
        self._still += 1
        still = self._still * self.tick
        if still >= self._limits.stall and self.state is not State.HUNG and not starting:
            error = EngineUnavailableError(f"the {self.name} engine gave no sign of life for {still:g} s")
            self._trip(error, everybody=True)
            self._becomes(State.HUNG, str(error))
        if self._limits.restart and still >= self._limits.stall + self._limits.restart:
            self._lost(f"the {self.name} engine has hung for {still:.0f} s")

    def _trip(self, error: EngineUnavailableError, *, everybody: bool = False) -> None:
        """Open the breaker. ``everybody``: nobody who has heard nothing yet will hear anything."""
        if self.state is State.UP:
            _LOGGER.warning("The %s engine stands aside: %s", self.name, error)
            self._becomes(State.RESTING, str(error))
            self._down.set()
        for turns in self._turns.values():
            turns.refuse(error)
        for attempt in tuple(self._attempts) if everybody else ():
            if not attempt.heard:
                attempt.give_up(error)

    def _failed(self, error: EngineUnavailableError, attempt: _Attempt) -> None:
        self.failures += 1
        if attempt.incidents == self._incidents:  # else it is the same that others have met
            self._incidents += 1
            self._row += 1
        fault = self._fault()
        if fault is not None or self._row >= TRIPS:
            self._trip(fault or error)

    # ------------------------------------------------------------------ speech

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM as ``Engine.speak``, when it is the utterance's turn; all of it, or an error.

        Audio that breaks off or seems truncated is made again once, and goes on where it ended. Raises
        EngineUnavailableError before the first piece and for mere silence, where another engine may speak,
        and after it where the rest could not be made; UnsupportedTextError as the engine does;
        TruncatedAudioError after audio that still seems truncated or has no end.
        """
        given = bytearray()
        audible = False
        short: _TooShortError | None = None
        for again in (True, False):
            try:
                async with aclosing(self._after(given, utterance)) as sounds:
                    async for piece in sounds:
                        audible = audible or peak(piece) >= AUDIBLE
                        yield piece
                if audible:
                    _check_length(given, utterance.text)
            except EngineUnavailableError as error:
                short = error if isinstance(error, _TooShortError) else short
                if given and again and await self.wait_ready():
                    _LOGGER.warning("%.40r broke off (%s) and is taken up again", utterance.text, error)
                    continue
                if short is not None:
                    raise TruncatedAudioError(str(short)) from error
                raise
            if given and not audible:
                raise EngineUnavailableError(f"the {self.name} voice gave nothing to be heard")
            return

    async def _after(self, given: bytearray, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield the audio of ``utterance`` that follows ``given``, and append it there.

        Raises EngineUnavailableError where the engine does not make ``given`` again, TruncatedAudioError for
        endless audio.
        """
        most = int((ROOM + CHARACTER * len(utterance.text)) * BYTES_PER_SECOND)
        behind, made = len(given), bytearray()
        async with aclosing(self._in_turn(utterance, self.engine.speak)) as sounds:
            async for piece in sounds:
                new = piece
                if behind:
                    made += piece
                    if len(made) < behind:
                        continue
                    new, behind = self._beyond(made, given), 0
                if new:
                    given += new
                    if len(given) > most:
                        raise TruncatedAudioError(f"the {self.name} voice did not find its end")
                    yield new
        if behind:
            raise EngineUnavailableError(f"the {self.name} voice came back with less")

    def _beyond(self, made: bytearray, given: bytearray) -> bytes:
        """Return what was made beyond what was given.

        Raises EngineUnavailableError where that was different.
        """
        if difference(bytes(made[: len(given)]), bytes(given)) > SAME:
            raise EngineUnavailableError(f"the {self.name} voice came back with another sound")
        return bytes(made[len(given) :])

    async def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        """Yield PCM as ``Engine.speak_live``, in its turn; what breaks off is not taken up again."""
        speak = partial(self.engine.speak_live, text=text)
        async with aclosing(self._in_turn(utterance, speak, text)) as sounds:
            async for piece in sounds:
                yield piece

    async def wait_ready(self) -> bool:
        """Wait until it speaks, for as long as for any piece of sound; False where nothing is finished."""
        if not self._limits.resume:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.gap):
                while self.state is not State.UP:
                    await self._up.wait()
        return self.state is State.UP

    async def _in_turn(
        self,
        utterance: Utterance,
        speak: Callable[[Utterance], AsyncGenerator[bytes, None]],
        text: TextFeed | None = None,
    ) -> AsyncGenerator[bytes, None]:
        model = utterance.voice.model
        turns = self._turns.setdefault(model, DeadlineQueue(self.engine.max_batch_size, self._limits.waiting))
        async with turns.turn(utterance.playback_deadline):
            if not self._may_speak():
                raise EngineUnavailableError(f"the {self.name} engine does not speak now: {self.reason}")
            self._last = utterance.voice
            attempt = _Attempt(self._incidents, text)
            async with aclosing(self._attempt(attempt, speak, utterance)) as sounds:
                async for piece in sounds:
                    yield piece

    def _may_speak(self) -> bool:
        """Tell whether there is any sense in asking it: while it rests, only if it answers quickly."""
        if self.state is State.RESTING:
            return not self._stuck and self._fault() is None
        return self.state is State.UP

    async def _attempt(
        self,
        attempt: _Attempt,
        speak: Callable[[Utterance], AsyncGenerator[bytes, None]],
        utterance: Utterance,
    ) -> AsyncGenerator[bytes, None]:
        """Yield what an engine gives, and note how it does. Raises SpeechErrors only."""
        told = utterance.on_start

        def begun() -> None:
            attempt.begun = True
            if told is not None:
                told()

        self._attempts.add(attempt)
        try:
            async with aclosing(speak(replace(utterance, on_start=begun))) as sounds:
                while (piece := await self._next(sounds, attempt)) is not END:
                    if not isinstance(piece, bytes | bytearray) or not piece or len(piece) % SAMPLE_WIDTH:
                        raise self._rubbish(piece)  # noqa: TRY301
                    pcm = bytes(piece)
                    attempt.heard = True
                    attempt.audible = attempt.audible or peak(pcm) >= AUDIBLE
                    yield pcm
            if attempt.audible:
                self._row = 0
            else:
                self._failed(
                    EngineUnavailableError(f"the {self.name} voice gave nothing to be heard"), attempt
                )
        except EngineUnavailableError as error:
            if error.code not in NOT_ITS_FAULT:
                self._failed(error, attempt)
            raise
        except SpeechError:
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._broken(error, attempt) from error
        except (Exception, SystemExit) as error:
            raise self._broken(error, attempt) from error
        finally:
            self._attempts.discard(attempt)

    def _rubbish(self, piece: object) -> EngineUnavailableError:
        what = f"{len(piece)} bytes" if isinstance(piece, bytes | bytearray) else type(piece).__name__
        return EngineUnavailableError(f"the {self.name} voice gave {what}, not samples")

    def _broken(self, error: BaseException, attempt: _Attempt) -> EngineUnavailableError:
        """Return what is told of a fault that no engine ought to have."""
        _LOGGER.error("The %s engine failed", self.name, exc_info=error)
        told = internal_error()
        fault = EngineUnavailableError(str(told), told.code)
        self._failed(fault, attempt)
        return fault

    async def _next(self, sounds: AsyncGenerator[bytes, None], attempt: _Attempt) -> object:
        """Return the next piece, END at the end. Raises what ended it."""
        if attempt.error is not None:
            raise attempt.error
        attempt.ticks = 0
        try:
            async with asyncio.timeout(None) as attempt.waiting:
                return await anext(sounds, END)
        except TimeoutError:
            if attempt.error is None:
                raise
            raise attempt.error from None
        finally:
            attempt.waiting = None


class EnginePool(Mapping[str, Engine]):
    """All engines, in the order they are preferred; as a mapping, those whose voices are known, by name."""

    def __init__(
        self,
        engines: Sequence[Engine],
        limits: EngineLimits,
        *,
        fallback: bool = True,
        lost: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """``fallback``: where one does not speak, the next one does. ``lost``: see ``ManagedEngine``."""
        self.fallback = fallback
        self.watchers: list[Callable[[], object]] = []
        """Told whenever an engine comes or goes."""
        alone = len(engines) < 2 or not fallback
        self.members = {
            engine.name: ManagedEngine(engine, limits, alone=alone, changed=self._changed, lost=lost)
            for engine in engines
        }
        self._ticker: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> Engine:
        if not (member := self.members[name]).known:
            raise KeyError(name)
        return member.engine

    def __iter__(self) -> Iterator[str]:
        return (name for name, member in self.members.items() if member.known)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher()

    async def start(self) -> None:
        """Start all engines: those that take their time in the background, if others speak meanwhile."""
        members = self.members.values()
        await asyncio.gather(*(member.find() for member in members))
        slow = [member for member in members if member.engine.starts_in_background]
        await asyncio.gather(*(member.start() for member in members if member not in slow))
        self._ticker = asyncio.create_task(self._tick(), name="ticker")
        for member in slow:
            if self.fallback and self.speaking:
                member.start_later()
            else:
                await member.start()

    async def close(self) -> None:
        """End all engines."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})
        for member in self.members.values():
            await member.close()

    async def _tick(self) -> None:
        tick = min((member.tick for member in self.members.values()), default=TICK)
        while True:
            await asyncio.sleep(tick)
            for member in self.members.values():
                try:
                    member.look()
                except Exception:  # whatever an engine says of itself, the others are looked at
                    _LOGGER.exception("The %s engine cannot be looked at", member.name)

    @property
    def speaking(self) -> str:
        """The name of the first engine that speaks; empty for none."""
        return next((name for name, each in self.members.items() if each.state is State.UP), "")

    @property
    def preferred(self) -> str:
        """The name of the first engine that has voices; empty for none."""
        return next(iter(self), "")

    def up(self, name: str) -> bool:
        """Tell whether an engine speaks."""
        return self.members[name].state is State.UP

    def stand_ins(self, without: Sequence[str]) -> Sequence[str]:
        """Return the names of the engines that may say what others cannot, in their order."""
        if not self.fallback:
            return ()
        return [name for name in self if name not in without and self.up(name)]

    async def wait_ready(self, name: str) -> bool:
        """Wait until an engine speaks, as ``ManagedEngine`` does."""
        return await self.members[name].wait_ready()

    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Let its voice's engine say an utterance: ``ManagedEngine.speak``."""
        return self.members[utterance.voice.engine].speak(utterance)

    def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        """Let its voice's engine say what is being written: ``ManagedEngine.speak_live``."""
        return self.members[utterance.voice.engine].speak_live(utterance, text)
