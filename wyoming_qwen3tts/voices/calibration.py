"""How loud a voice is: measured once, on a sentence that is always the same, and kept for ever.

A level that was learned from whatever a voice happened to say first would make the same sentence another
sound before and after, and another one again after the next start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from ..audio.loudness import ENOUGH_SPEECH, Levels, Meter, identity
from ..audio.pcm import to_samples
from ..engines.base import EngineUnavailableError, TruncatedAudioError
from ..engines.pool import EnginePool
from ..speech import BYTES_PER_SECOND, SpeechError, Utterance, Voice, base_language
from .design import TEXTS

_LOGGER = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that somebody who wants to hear a voice waits for its level: a GPU measures it in one."""
LEAST = 0.5
"""Seconds of speech that a level can be told from at all."""
LATER = 5.0
"""Seconds after which a measurement is due."""
LONGEST = 12.0
"""Seconds of sound that are listened to, where little of it is speech."""


class Calibration:
    """Measures voices whose level nobody knows, one at a time."""

    def __init__(self, levels: Levels, pool: EnginePool) -> None:
        self.levels = levels
        self._pool = pool
        self._measuring: dict[str, asyncio.Task[float | None]] = {}
        """By ``identity``; what could not be measured is not tried again until the next start."""
        self._waited: set[str] = set()
        """For whose level somebody has waited in vain."""
        self._turn = asyncio.Lock()

    async def ready(self, voice: Voice) -> None:
        """Wait until the level of ``voice`` is known, but for PATIENCE only, and once."""
        if self._known(voice) or identity(voice) in self._waited or not self._pool.up(voice.engine):
            return
        await asyncio.wait({self._task(voice)}, timeout=PATIENCE)
        self._waited.add(identity(voice))

    async def measure(self, voices: Sequence[Voice]) -> None:
        """Measure ``voices`` one after the other, for as long as that is faster than real time."""
        for voice in voices:
            if self._known(voice):
                continue
            speed = await asyncio.shield(self._task(voice))
            if speed is not None and speed < 1:
                return  # somebody may want to be heard: the others are measured when they are asked for

    async def close(self) -> None:
        """End what is being measured."""
        for task in self._measuring.values():
            task.cancel()
        await asyncio.gather(*self._measuring.values(), return_exceptions=True)

    def _known(self, voice: Voice) -> bool:
        return self.levels.target is None or voice.levelled or self.levels.level(voice) is not None

    def _task(self, voice: Voice) -> asyncio.Task[float | None]:
        own = identity(voice)
        if own not in self._measuring:
            self._measuring[own] = asyncio.create_task(self._measure(voice), name="calibration")
        return self._measuring[own]

    async def _measure(self, voice: Voice) -> float | None:
        """Measure a voice and keep its level; return how many seconds of sound it made in a second."""
        voice = replace(voice, style=None)
        async with self._turn:
            began = time.monotonic()
            meter = Meter()
            seconds = 0.0
            try:
                seconds = await self._listen(voice, meter)
            except EngineUnavailableError as error:
                del self._measuring[identity(voice)]  # it may be there the next time
                _LOGGER.info("The level of %s is not measured yet: %s", voice.speaker, error)
                return None
            except SpeechError as error:
                _LOGGER.warning("The level of %s cannot be measured: %s", voice.speaker, error)
            if meter.seconds < LEAST:
                return None
            level = meter.level
            await asyncio.to_thread(self.levels.store, voice, level)
            _LOGGER.info("%s speaks at %.1f dBFS: %+.1f dB", voice.speaker, level, self.levels.gain(voice))
            return seconds / max(1e-6, time.monotonic() - began)

    async def _listen(self, voice: Voice, meter: Meter) -> float:
        """Let ``meter`` hear a voice; return the seconds of sound. Raises SpeechError."""
        tag = voice.languages[0]
        text = TEXTS.get(base_language(tag), TEXTS["en"])
        seconds = 0.0
        later = time.monotonic() + LATER  # whoever wants to hear something goes first
        speaking = self._pool.speak(Utterance(text, voice, tag, seed=voice.seed, playback_deadline=later))
        async with aclosing(speaking) as sounds:
            while meter.seconds < ENOUGH_SPEECH and seconds < LONGEST:
                try:
                    piece = await anext(sounds, b"")
                except TruncatedAudioError:
                    break
                if not piece:
                    break
                meter.push(to_samples(piece))
                seconds += len(piece) / BYTES_PER_SECOND
        return seconds
