"""The edges of an utterance: silence off at both ends, and no click where the sound begins and ends.

Both are filters of one shape: ``push`` takes samples (int16, any number of them) and returns those that are
ready, ``finish`` returns what is left. What comes out does not depend on how the sound was cut into pieces.
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
"""Samples of silence held back until it is known whether speech goes on; what is over passes as it is."""
FADE = SAMPLE_RATE // 200
"""Samples of a fade: 5 ms, too short to be heard as one, long enough to take a click away."""


class Trim:
    """Takes the silence off both ends, save for some padding; pauses between are left as they are.

    A frame of 10 ms is silent when its RMS is under ``threshold``. The padding keeps what is softer than
    that and yet belongs to a word: the breath of an h, the end of an f.
    """

    def __init__(self, threshold: float, padding: float) -> None:
        """``threshold``: dBFS. ``padding``: seconds kept before the first and after the last loud frame."""
        import numpy as np

        self.lead = 0.0
        """Seconds of silence kept before the first loud frame; known when something came out."""
        self.trail = 0.0
        """Seconds of silence kept after the last loud frame; known after ``finish``."""
        self._threshold = from_db(threshold)
        self._padding = round(padding * SAMPLE_RATE)
        self._longest = max(LONGEST_PAUSE, self._padding)
        self._begun = False
        self._partial: Samples = np.zeros(0, np.int16)
        """Less than a frame: frames are counted from the first sample, however it came."""
        self._quiet: Samples = self._partial
        """Silence since the last loud frame: a pause, or the end."""
        self._passed = 0
        """Samples of that silence that were too many to hold."""

    def push(self, samples: Samples) -> Samples:
        """Return what is now known to belong to the utterance."""
        import numpy as np

        samples = np.concatenate((self._partial, samples))
        whole = len(samples) // FRAME * FRAME
        self._partial = samples[whole:]
        return self._sort(samples[:whole], power(samples))

    def finish(self) -> Samples:
        """Return the padding after the last loud frame."""
        import numpy as np

        last = np.pad(self._partial, (0, -len(self._partial) % FRAME))
        scale = FRAME / max(1, len(self._partial))  # the mean is of the samples that are there
        ready = self._sort(self._partial, power(last) * scale)
        if not self._begun:
            return ready
        kept = self._quiet[: max(0, self._padding - self._passed)]
        self.trail = (self._passed + len(kept)) / SAMPLE_RATE
        return np.concatenate((ready, kept))

    def _sort(self, samples: Samples, powers: NDArray[np.float64]) -> Samples:
        """Return ``samples`` as far as they are settled; ``powers``: one for every frame in them."""
        import numpy as np

        loud = np.flatnonzero(powers >= self._threshold)
        after = min(len(samples), (int(loud[-1]) + 1) * FRAME) if len(loud) else 0
        ready = samples[:0]
        if after:
            ready = np.concatenate((self._quiet, samples[:after]))
            if not self._begun:
                silent = len(self._quiet) + int(loud[0]) * FRAME
                ready = ready[max(0, silent - self._padding) :]
                self.lead = min(silent, self._padding) / SAMPLE_RATE
                self._begun = True
            self._quiet, self._passed = samples[:0], 0
        self._quiet = np.concatenate((self._quiet, samples[after:]))
        if not self._begun:
            self._quiet = self._quiet[max(0, len(self._quiet) - self._padding) :]
        elif (over := len(self._quiet) - self._longest) > 0:
            ready = np.concatenate((ready, self._quiet[:over]))
            self._quiet = self._quiet[over:]
            self._passed += over
        return ready


class Fade:
    """Lets a sound begin and end at nothing: half a Hann window of ``FADE`` samples at each end.

    Where it is silent there anyway, as almost always after ``Trim``, nothing changes that could be heard.
    """

    def __init__(self) -> None:
        import numpy as np

        self._rise = np.square(np.sin(np.arange(1, FADE + 1) / (FADE + 1) * (np.pi / 2)))
        self._at = 0
        """Samples so far, as far as the fade in is concerned."""
        self._held: Samples = np.zeros(0, np.int16)
        """The last samples so far: they may be the end."""

    def push(self, samples: Samples) -> Samples:
        """Return all but the last ``FADE`` samples so far."""
        import numpy as np

        rising = self._rise[self._at : self._at + len(samples)]
        if len(rising):
            begin = np.round(samples[: len(rising)] * rising).astype(np.int16)
            samples = np.concatenate((begin, samples[len(rising) :]))
            self._at += len(rising)
        samples = np.concatenate((self._held, samples))
        ready = max(0, len(samples) - FADE)
        self._held = samples[ready:]
        return samples[:ready]

    def finish(self) -> Samples:
        """Return the last samples, fading."""
        import numpy as np

        falling = self._rise[::-1][FADE - len(self._held) :]
        return np.round(self._held * falling).astype(np.int16)
