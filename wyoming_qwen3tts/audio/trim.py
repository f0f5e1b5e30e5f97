"""Silence trimming at both ends of an utterance, and fades that prevent clicks there.

Both are streaming filters (``postprocess.Stage``): ``push`` takes int16 samples, any number of them, and
returns those that are ready; ``finish`` returns the rest. The output does not depend on how the input was cut
into chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..speech import SAMPLE_RATE
from .pcm import FRAME, from_db, power

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .pcm import Samples

LONGEST_PAUSE = 5 * SAMPLE_RATE
"""Samples of silence held until it is known whether speech follows; longer silence is passed on unchanged."""
FADE = SAMPLE_RATE // 200
"""Samples of a fade: 5 ms, too short to be noticed, long enough to prevent a click."""


class SilenceTrimmer:
    """Removes silence at both ends, except for some padding; pauses in between are left unchanged.

    A frame of 10 ms is silent when its RMS is under ``threshold``. The padding keeps softer parts of words:
    the breath of an h, the end of an f.
    """

    def __init__(self, threshold: float, padding: float) -> None:
        """``threshold``: dBFS. ``padding``: seconds kept before the first and after the last loud frame."""
        import numpy as np

        self.leading_silence = 0.0
        """Seconds kept before the first loud frame; valid after the first output."""
        self.trailing_silence = 0.0
        """Seconds kept after the last loud frame; valid after ``finish``."""
        self._threshold = from_db(threshold)
        self._padding = round(padding * SAMPLE_RATE)
        self._max_held = max(LONGEST_PAUSE, self._padding)
        self._has_speech = False
        self._partial: Samples = np.zeros(0, np.int16)
        """An incomplete frame: frames are counted from the first sample, whatever the chunks."""
        self._held: Samples = self._partial
        """Silence since the last loud frame: a pause, or the end of the utterance."""
        self._passed = 0
        """Samples of that silence beyond ``_max_held``, which were passed on."""

    def push(self, samples: Samples) -> Samples:
        """Return the samples that are known to belong to the utterance."""
        import numpy as np

        samples = np.concatenate((self._partial, samples))
        whole = len(samples) // FRAME * FRAME
        self._partial = samples[whole:]
        return self._trim(samples[:whole], power(samples))

    def finish(self) -> Samples:
        """Return the padding after the last loud frame."""
        import numpy as np

        last = np.pad(self._partial, (0, -len(self._partial) % FRAME))
        scale = FRAME / max(1, len(self._partial))  # the mean over the samples without the padding
        ready = self._trim(self._partial, power(last) * scale)
        if not self._has_speech:
            return ready
        kept = self._held[: max(0, self._padding - self._passed)]
        self.trailing_silence = (self._passed + len(kept)) / SAMPLE_RATE
        return np.concatenate((ready, kept))

    def _trim(self, samples: Samples, powers: NDArray[np.float64]) -> Samples:
        """Return what is ready of the held silence and ``samples``; ``powers``: one for each frame."""
        import numpy as np

        loud = np.flatnonzero(powers >= self._threshold)
        after = min(len(samples), (int(loud[-1]) + 1) * FRAME) if len(loud) else 0
        ready = samples[:0]
        if after:
            ready = np.concatenate((self._held, samples[:after]))
            if not self._has_speech:
                silent = len(self._held) + int(loud[0]) * FRAME
                ready = ready[max(0, silent - self._padding) :]
                self.leading_silence = min(silent, self._padding) / SAMPLE_RATE
                self._has_speech = True
            self._held, self._passed = samples[:0], 0
        self._held = np.concatenate((self._held, samples[after:]))
        if not self._has_speech:
            self._held = self._held[max(0, len(self._held) - self._padding) :]
        elif (excess := len(self._held) - self._max_held) > 0:
            ready = np.concatenate((ready, self._held[:excess]))
            self._held = self._held[excess:]
            self._passed += excess
        return ready


class Fade:
    """Fades in and out: half a Hann window of ``FADE`` samples at each end.

    After ``SilenceTrimmer`` the ends are almost always silent, and the fade is not audible.
    """

    def __init__(self) -> None:
        import numpy as np

        self._window = np.square(np.sin(np.arange(1, FADE + 1) / (FADE + 1) * (np.pi / 2)))
        self._faded_in = 0
        """Samples of the fade-in that have passed, up to FADE."""
        self._held: Samples = np.zeros(0, np.int16)
        """The last samples so far, up to FADE: the utterance may end with them."""

    def push(self, samples: Samples) -> Samples:
        """Return all but the last ``FADE`` samples so far."""
        import numpy as np

        window = self._window[self._faded_in : self._faded_in + len(samples)]
        if len(window):
            start = np.round(samples[: len(window)] * window).astype(np.int16)
            samples = np.concatenate((start, samples[len(window) :]))
            self._faded_in += len(window)
        samples = np.concatenate((self._held, samples))
        ready = max(0, len(samples) - FADE)
        self._held = samples[ready:]
        return samples[:ready]

    def finish(self) -> Samples:
        """Return the last samples, faded out."""
        import numpy as np

        window = self._window[::-1][FADE - len(self._held) :]
        return np.round(self._held * window).astype(np.int16)
