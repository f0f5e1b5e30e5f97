"""Loudness: every voice at one level, by one gain a voice, or a manner of speaking that the model was told.

The gain belongs to the voice and not to the utterance, so that a whispered sentence stays softer than a
shouted one, equal utterances stay equal, and nothing swells inside a reply.

The level is that of the speech in a sound: the mean power of its frames that are within 10 dB of the mean
of those above -70 dBFS. These are the two gates of ITU-R BS.1770-4, with frames of 10 ms instead of blocks
of 400 ms (an utterance may be shorter than that) and without its weighting, since here speech is only ever
held against speech.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..speech import SAMPLE_RATE, Voice
from .pcm import FRAME, FULL_SCALE, from_db, limit, power, to_pcm, to_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .pcm import Samples

_LOGGER = logging.getLogger(__name__)

SILENCE = -70.0
"""dBFS under which a frame is not heard at all."""
PAUSE = -10.0
"""dB under the mean at which a frame counts as a pause."""
ENOUGH = 3.0
"""Seconds of speech after which a voice's level is taken as known: after two sentences or so."""
LARGEST_GAIN = 12.0
"""dB, either way: beyond it a voice's own noise would be raised with it."""


class Meter:
    """Measures the level of speech in what it is given."""

    def __init__(self) -> None:
        import numpy as np

        self._partial: Samples = np.zeros(0, np.int16)
        self._powers: NDArray[np.float64] = np.zeros(0)
        """Of every frame above SILENCE."""

    def push(self, samples: Samples) -> None:
        """Take ``samples`` into account; frames are counted from the first, however they come."""
        import numpy as np

        samples = np.concatenate((self._partial, samples))
        self._partial = samples[len(samples) // FRAME * FRAME :]
        powers = power(samples)
        self._powers = np.concatenate((self._powers, powers[powers > from_db(SILENCE)]))

    def add(self, other: Meter) -> None:
        """Take into account what another meter was given."""
        import numpy as np

        self._powers = np.concatenate((self._powers, other._powers))

    @property
    def seconds(self) -> float:
        """Seconds of speech so far, pauses not counted."""
        return len(self._speech()) * FRAME / SAMPLE_RATE

    @property
    def level(self) -> float:
        """The level in dBFS (RMS; a full-scale square wave is 0). Minus infinity where nothing was heard."""
        speech = self._speech()
        return 10 * math.log10(speech.mean()) if len(speech) else -math.inf

    def _speech(self) -> NDArray[np.float64]:
        if not len(self._powers):
            return self._powers
        speech: NDArray[np.float64] = self._powers[self._powers >= self._powers.mean() * from_db(PAUSE)]
        return speech


Manner = tuple[str, str, str]
"""What has a level of its own: a speaker, its recording's digest, and what it was told, in words."""


def manner(voice: Voice) -> Manner:
    """Return what the level of ``voice`` depends on. Speed, language and seed do not change it."""
    told = voice.style.instruct if voice.style is not None else ""
    return voice.speaker, voice.reference.digest if voice.reference is not None else "", told


class Levels:
    """The gain of every manner of every voice: what its level lacks to the target, within LARGEST_GAIN.

    A voice without a known level is heard as it is until it has spoken for ``ENOUGH`` seconds; then its gain
    is fixed for as long as the process lives. What it is told changes its level: until that is known too, it
    has the gain of the voice that was told nothing. Not for several threads.
    """

    def __init__(self, target: float | None) -> None:
        """``target``: dBFS; ``None`` leaves every voice as it is."""
        self._target = target
        self._learning: dict[Manner, Meter] = {}
        self._learned: Mapping[Manner, float] = {}

    def gains(self) -> Gains:
        """Return the gains as they are now: what a reply has begun with, it ends with."""
        return Gains(self._target, self._learned)

    def learn(self, voice: Voice, heard: Meter) -> None:
        """Take a finished utterance of a voice into account, unless its level is known."""
        own = manner(voice)
        if self.gains().level(voice) is not None:
            return
        meter = self._learning.setdefault(own, Meter())
        meter.add(heard)
        if meter.seconds >= ENOUGH:
            self._learned = {**self._learned, own: meter.level}
            del self._learning[own]
            _LOGGER.info(
                "%s speaks at %.1f dBFS: %+.1f dB from now on",
                voice.name,
                meter.level,
                self.gains().of(voice),
            )


class Gains:
    """Gains that do not change any more."""

    def __init__(self, target: float | None, learned: Mapping[Manner, float]) -> None:
        self._target = target
        self._learned = learned

    def of(self, voice: Voice) -> float:
        """Return the gain of ``voice`` in dB; 0 where its level is not known, or not to be changed."""
        level = self.level(voice)
        if level is None:
            speaker, digest, _ = manner(voice)
            level = voice.loudness if voice.loudness is not None else self._learned.get((speaker, digest, ""))
        if self._target is None or level is None:
            return 0.0
        return max(-LARGEST_GAIN, min(LARGEST_GAIN, self._target - level))

    def wants_to_hear(self, voice: Voice) -> bool:
        """Whether the level of ``voice`` is still to be learned."""
        return self._target is not None and self.level(voice) is None

    def level(self, voice: Voice) -> float | None:
        """Return the level of ``voice`` in dBFS, None where it is not known.

        What a voice says of itself is without any instruction.
        """
        own = manner(voice)
        return voice.loudness if voice.loudness is not None and not own[2] else self._learned.get(own)


class Gain:
    """Makes a sound louder or softer; peaks bend before full scale. A filter as in ``edges``."""

    def __init__(self, decibels: float) -> None:
        import numpy as np

        self._factor = np.float32(10 ** (decibels / 20))

    def push(self, samples: Samples) -> Samples:
        """Return all of it."""
        import numpy as np

        return to_samples(to_pcm(limit(samples.astype(np.float32) * (self._factor / FULL_SCALE))))

    def finish(self) -> Samples:
        """Return nothing: nothing is held back."""
        import numpy as np

        return np.zeros(0, np.int16)
