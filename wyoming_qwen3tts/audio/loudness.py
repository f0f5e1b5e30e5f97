"""Loudness: every voice at one level, by one gain a voice.

The gain belongs to the voice and not to the utterance, so that a whispered sentence stays softer than a
shouted one, equal utterances stay equal, and nothing swells inside a reply.

The level is that of the speech in a sound: the mean power of its frames that are within 10 dB of the mean
of those above -70 dBFS. These are the two gates of ITU-R BS.1770-4, with frames of 10 ms instead of blocks
of 400 ms (an utterance may be shorter than that) and without its weighting, since here speech is only ever
held against speech.
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
"""Seconds of speech after which a level is taken as known: two sentences or so."""
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


class Levels:
    """The level of every voice, and the gain that brings it to the target, within LARGEST_GAIN.

    A level that nobody has measured is measured once (``voices.calibration``) and then kept, so that a
    voice's gain never changes: not in a reply, and not from one start to the next.
    """

    def __init__(self, target: float | None, path: Path | None = None) -> None:
        """``target``: dBFS; ``None`` leaves every voice as it is. ``path``: a JSON file that keeps levels."""
        self.target = target
        self._path = path
        self._measured = _read(path)

    def level(self, voice: Voice) -> float | None:
        """Return the level of ``voice`` in dBFS, None where nobody knows it."""
        return voice.loudness if voice.loudness is not None else self._measured.get(identity(voice))

    def gain(self, voice: Voice) -> float:
        """Return the gain of ``voice`` in dB; 0 where its level is not known, or not to be changed."""
        level = self.level(voice)
        if self.target is None or level is None or voice.levelled:
            return 0.0
        return max(-LARGEST_GAIN, min(LARGEST_GAIN, self.target - level))

    def keep(self, voice: Voice, level: float) -> None:
        """Remember the level of ``voice``, in dBFS. Blocks, where there is a file: for a thread."""
        measured = {identity(voice): round(level, 2)}
        self._measured = {**self._measured, **measured}
        if self._path is None:
            return
        # Another process may have measured other voices meanwhile.
        found = json.dumps({**_read(self._path), **measured}, indent=1, sort_keys=True)
        try:
            atomic_file.make_private(self._path.parent)
            atomic_file.write(self._path, found.encode())
        except OSError as error:
            _LOGGER.warning(
                "Voices' levels cannot be kept, and are measured anew at the next start: %s", error
            )


def identity(voice: Voice) -> str:
    """Return a text of 32 hexadecimal digits for what the level of ``voice`` depends on.

    Neither style nor language: a whisper stays soft. It tells nobody's name.
    """
    digest = voice.reference.digest if voice.reference is not None else ""
    parts = (voice.engine, voice.version or "", voice.attribution.name, voice.model, voice.speaker, digest)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _read(path: Path | None) -> dict[str, float]:
    """Return the levels that a file keeps; none where it is not whole."""
    if path is None:
        return {}
    try:
        found = json.loads(path.read_bytes())
        return {str(key): float(level) for key, level in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        _LOGGER.warning("%s cannot be read, and voices' levels are measured anew: %s", path, error)
        return {}


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
