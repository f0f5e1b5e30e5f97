"""Loudness: one gain for each voice brings all voices to the same level.

The gain is a property of the voice, not of the utterance: a whispered sentence stays softer than a shouted
one, equal utterances stay equal, and the level does not change within a reply.

The level is measured over speech only: the mean power of the frames within 10 dB of the mean of all frames
above -70 dBFS. These are the two gates of ITU-R BS.1770-4, with frames of 10 ms instead of blocks of 400 ms
(an utterance may be shorter than that) and without its frequency weighting, since speech is only compared
with speech.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from .. import atomic_file
from ..speech import SAMPLE_RATE, Voice
from ..telemetry import quote
from .pcm import FRAME, FULL_SCALE, from_db, limit, power, to_pcm, to_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .pcm import Samples

_LOGGER = logging.getLogger(__name__)

SILENCE = -70.0
"""dBFS: the absolute gate, under which a frame is silent."""
PAUSE = -10.0
"""dB to the mean: the relative gate, under which a frame counts as a pause."""
ENOUGH_SPEECH = 3.0
"""Seconds of speech, about two sentences, over which a level is accurate."""
LARGEST_GAIN = 12.0
"""dB, up or down: more would make the noise of a recording audible."""


class Meter:
    """Measures the level of speech."""

    def __init__(self) -> None:
        import numpy as np

        self._partial: Samples = np.zeros(0, np.int16)
        self._powers: NDArray[np.float64] = np.zeros(0)
        """Powers of all frames above SILENCE."""

    def push(self, samples: Samples) -> None:
        """Add ``samples``; frames are counted from the first sample, whatever the chunks."""
        import numpy as np

        samples = np.concatenate((self._partial, samples))
        self._partial = samples[len(samples) // FRAME * FRAME :]
        powers = power(samples)
        self._powers = np.concatenate((self._powers, powers[powers > from_db(SILENCE)]))

    @property
    def seconds(self) -> float:
        """Seconds of speech so far, without pauses."""
        return len(self._speech()) * FRAME / SAMPLE_RATE

    @property
    def level(self) -> float:
        """The level in dBFS (RMS; a full-scale square wave is 0); minus infinity where all was silent."""
        speech = self._speech()
        return 10 * math.log10(speech.mean()) if len(speech) else -math.inf

    def _speech(self) -> NDArray[np.float64]:
        if not len(self._powers):
            return self._powers
        speech: NDArray[np.float64] = self._powers[self._powers >= self._powers.mean() * from_db(PAUSE)]
        return speech


class Levels:
    """The level of each voice, and the gain that brings it to the target, within LARGEST_GAIN.

    An unknown level is measured once (``voices.calibration``) and then stored, so that a voice's gain never
    changes: neither within a reply nor after a restart.
    """

    def __init__(self, target: float | None, path: Path | None = None) -> None:
        """``target``: dBFS; None changes no level. ``path``: a JSON file for measured levels."""
        self.target = target
        self._path = path
        self._measured = _read(path)

    def level(self, voice: Voice) -> float | None:
        """Return the level of ``voice`` in dBFS, None if unknown."""
        return voice.loudness if voice.loudness is not None else self._measured.get(identity(voice))

    def gain(self, voice: Voice) -> float:
        """Return the gain of ``voice`` in dB; 0 if its level is unknown or must not be changed."""
        level = self.level(voice)
        if self.target is None or level is None or voice.levelled:
            return 0.0
        return max(-LARGEST_GAIN, min(LARGEST_GAIN, self.target - level))

    def store(self, voice: Voice, level: float) -> None:
        """Store the measured level of ``voice``, in dBFS. Blocks on the file: call it in a thread."""
        measured = {identity(voice): round(level, 2)}
        self._measured = {**self._measured, **measured}
        if self._path is None:
            return
        # Another process may have stored levels of other voices since.
        content = json.dumps({**_read(self._path), **measured}, indent=1, sort_keys=True)
        try:
            atomic_file.make_private(self._path.parent)
            atomic_file.write(self._path, content.encode())
        except OSError as error:
            fact = "voices: levels cannot be stored and are measured again after a restart reason=%s"
            _LOGGER.warning(fact, quote(error))


def identity(voice: Voice) -> str:
    """Return a digest, 32 hexadecimal digits, of everything that the level of ``voice`` depends on.

    Style and language are left out: a whisper stays soft. It does not disclose the voice's name.
    """
    digest = voice.reference.digest if voice.reference is not None else ""
    parts = (voice.engine, voice.version or "", voice.attribution.name, voice.model, voice.speaker, digest)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _read(path: Path | None) -> dict[str, float]:
    """Return the levels in a file by identity; none if it is missing or damaged."""
    if path is None:
        return {}
    try:
        levels = json.loads(path.read_bytes())
        return {str(key): float(level) for key, level in levels.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        fact = "voices: levels cannot be read and are measured again path=%s reason=%s"
        _LOGGER.warning(fact, quote(path), quote(error))
        return {}


class Gain:
    """A filter (``postprocess.Stage``) that changes the level; peaks are limited under full scale."""

    def __init__(self, decibels: float) -> None:
        import numpy as np

        self._factor = np.float32(10 ** (decibels / 20))

    def push(self, samples: Samples) -> Samples:
        """Return ``samples`` with the gain applied."""
        import numpy as np

        return to_samples(to_pcm(limit(samples.astype(np.float32) * (self._factor / FULL_SCALE))))

    def finish(self) -> Samples:
        """Return nothing: no samples are held."""
        import numpy as np

        return np.zeros(0, np.int16)
