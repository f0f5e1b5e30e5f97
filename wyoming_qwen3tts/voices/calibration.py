"""Calibration: the level of a voice is measured once, with a fixed sentence, and stored.

If it were measured with the first text that a voice happens to speak, the same sentence would have another
level before and after, and again after a restart.
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
from ..telemetry import quote
from .design import SAMPLE_TEXTS

_LOGGER = logging.getLogger(__name__)

WAIT_TIMEOUT = 2.0
"""Seconds that speech waits for the level of its voice: a GPU measures it in one."""
LEAST_SPEECH = 0.5
"""Seconds of speech from which a level can be measured at all."""
PLAYBACK_DELAY = 5.0
"""Seconds to the playback deadline of a measurement: speech for listeners has an earlier one."""
MOST_AUDIO = 12.0
"""Seconds of audio that are measured if little of it is speech."""


class Calibration:
    """Measures voices of unknown level, one at a time."""

    def __init__(self, levels: Levels, pool: EnginePool) -> None:
        self.levels = levels
        self._pool = pool
        self._measuring: dict[str, asyncio.Task[float | None]] = {}
        """By ``identity``; a failed measurement stays here, and is not repeated until a restart."""
        self._waited: set[str] = set()
        """Identities of voices that speech has waited for once."""
        self._lock = asyncio.Lock()

    async def wait_measured(self, voice: Voice) -> None:
        """Wait until the level of ``voice`` is known, for WAIT_TIMEOUT at most, and once for each voice."""
        if self._known(voice) or identity(voice) in self._waited or not self._pool.up(voice.engine):
            return
        await asyncio.wait({self._task(voice)}, timeout=WAIT_TIMEOUT)
        self._waited.add(identity(voice))

    async def measure(self, voices: Sequence[Voice]) -> None:
        """Measure ``voices`` one after the other, as long as that is faster than real time."""
        for voice in voices:
            if self._known(voice):
                continue
            speed = await asyncio.shield(self._task(voice))
            if speed is not None and speed < 1:
                return  # it would delay speech for long: the others are measured when they are requested

    async def close(self) -> None:
        """Cancel all measurements."""
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
        """Measure a voice and store its level; return the audio made in a second (s), None on failure."""
        voice = replace(voice, style=None)
        async with self._lock:
            began = time.monotonic()
            meter = Meter()
            seconds = 0.0
            try:
                seconds = await self._speak(voice, meter)
            except EngineUnavailableError as error:
                del self._measuring[identity(voice)]  # the next request tries again
                fact = "voices: level not measured yet voice=%s reason=%s"
                _LOGGER.info(fact, quote(voice.speaker), quote(error))
                return None
            except SpeechError as error:
                fact = "voices: level cannot be measured voice=%s reason=%s"
                _LOGGER.warning(fact, quote(voice.speaker), quote(error))
            if meter.seconds < LEAST_SPEECH:
                return None
            level = meter.level
            await asyncio.to_thread(self.levels.store, voice, level)
            fact = "voices: level measured voice=%s level=%.1fdBFS gain=%+.1fdB"
            _LOGGER.info(fact, quote(voice.speaker), level, self.levels.gain(voice))
            return seconds / max(1e-6, time.monotonic() - began)

    async def _speak(self, voice: Voice, meter: Meter) -> float:
        """Push audio of a voice into ``meter``; return its seconds. Raises SpeechError."""
        tag = voice.languages[0]
        text = SAMPLE_TEXTS.get(base_language(tag), SAMPLE_TEXTS["en"])
        seconds = 0.0
        deadline = time.monotonic() + PLAYBACK_DELAY
        utterance = Utterance(text, voice, tag, seed=voice.seed, playback_deadline=deadline)
        async with aclosing(self._pool.speak(utterance)) as audio:
            while meter.seconds < ENOUGH_SPEECH and seconds < MOST_AUDIO:
                try:
                    chunk = await anext(audio, b"")
                except TruncatedAudioError:
                    break
                if not chunk:
                    break
                meter.push(to_samples(chunk))
                seconds += len(chunk) / BYTES_PER_SECOND
        return seconds
