"""The choice of the part of a recording that a voice is cloned from: speech without long silence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..audio.loudness import SILENCE, Meter
from ..audio.pcm import FRAME, from_db
from ..speech import SAMPLE_RATE
from .recording_error import RECORD_AGAIN, SHORTEST, USE_SPEECH, InvalidRecordingError, too_short
from .recording_file import runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..audio.pcm import Samples

SHORT = 5.0
"""Seconds of audio: less is noted."""
LONGEST_EXCERPT = 15.0
"""Seconds that are used: the model reads them before every sentence, and more does not improve the voice."""
FAINTEST = -50.0
"""dBFS of speech: its softest parts, see SPEECH_RANGE, are then 20 dB over the rounding error of 16 bits."""
SPEECH_RANGE = 30.0
"""dB from the level of speech down to silence, the same as the default threshold of silence trimming."""
NOISY, DROWNED = 20.0, 10.0
"""dB from noise to speech: under the first the noise is audible in the clone; under the second, the relative
gate of ``Meter``, speech and pauses cannot be distinguished."""
PADDING = 5
"""Frames of silence kept at each end: 50 ms, the same as the default of silence trimming."""
PAUSE = 20
"""Frames of a pause: 200 ms. The closure of a t or k has half of that at most."""
LONG_PAUSE = 50
"""Frames of a pause between two sentences: 500 ms."""
SPEECH_SHARE = 0.5
"""Share of frames in the excerpt that must not be silent: a knock and a cough are not 3 s of speech."""


def speech_level(samples: Samples, name: str) -> float:
    """Return the level of the speech in dBFS. Raises InvalidRecordingError if it is too soft."""
    meter = Meter()
    meter.push(samples)
    if meter.level == -math.inf:
        raise InvalidRecordingError(f"{name} is silent: {RECORD_AGAIN}")
    if meter.level < FAINTEST:
        raise InvalidRecordingError(
            f"{name} is too quiet (its speech has {meter.level:.0f} dBFS): {RECORD_AGAIN}, louder or closer"
        )
    return meter.level


def silence_threshold(powers: NDArray[np.float64], level: float, notes: list[str]) -> float:
    """Return the power under which a frame is silent: SPEECH_RANGE under the speech, or 6 dB over the noise.

    ``powers``: of all frames. ``level``: of the speech, dBFS. The level of the noise is the quantile of 10 %:
    at least so much are pauses and closures, even in fast speech. Frames of digital silence come from an
    editor and are ignored. If the speech is hardly louder than the noise, all frames count as speech.
    """
    import numpy as np

    noise = 10 * math.log10(np.quantile(powers[powers > 0], 0.1))
    distance = level - noise
    if distance < DROWNED:
        notes.append(
            f"Its speech is hardly louder than its noise ({distance:.0f} dB): {RECORD_AGAIN} in a quiet room."
        )
        return from_db(max(SILENCE, level - SPEECH_RANGE))
    if distance < NOISY:
        notes.append(
            f"Its noise is only {distance:.0f} dB under the speech, and will be audible in the voice."
        )
    return from_db(max(SILENCE, level - SPEECH_RANGE, noise + min(6, distance / 2)))


def choose_excerpt(
    powers: NDArray[np.float64], threshold: float, name: str, notes: list[str]
) -> tuple[int, int, bool]:
    """Return the first frame of the excerpt, the one after its last, and whether speech was cut off.

    ``powers``: of all frames; ``threshold``: the power under which they are silent. Raises
    InvalidRecordingError if there is too little speech.
    """
    import numpy as np

    loud = powers >= threshold
    first, last = (int(frame) for frame in np.flatnonzero(loud)[[0, -1]])
    start, end = max(0, first - PADDING), min(len(loud), last + 1 + PADDING)
    seconds = (last + 1 - first) * FRAME / SAMPLE_RATE
    if seconds < SHORTEST:
        raise too_short(seconds, name)
    if seconds < SHORT:
        notes.append(
            f"It has only {seconds:.1f} s of audio: {SHORT:.0f} to {LONGEST_EXCERPT:.0f} s are better."
        )
    is_cut = end - start > _frames(LONGEST_EXCERPT)
    if is_cut:
        start, end = _between_pauses(loud, start, end) or _until_quietest(powers, start, notes)
        notes.append(
            f"It is {seconds:.0f} s long, and only {start * FRAME / SAMPLE_RATE:.1f} s "
            f"to {end * FRAME / SAMPLE_RATE:.1f} s of it are used."
        )
    speech = int(loud[start:end].sum()) * FRAME / SAMPLE_RATE
    if speech < SHORTEST * SPEECH_SHARE:
        raise InvalidRecordingError(
            f"{name} is mostly silent, with {speech:.1f} s of speech in it: {USE_SPEECH}"
        )
    return start, end, is_cut


def _frames(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE / FRAME)


def _between_pauses(loud: NDArray[np.bool_], start: int, end: int) -> tuple[int, int] | None:
    """Return the first excerpt of SHORT to LONGEST_EXCERPT seconds from pause to pause, if there is one.

    ``start``, ``end``: of the whole speech. Of the pauses that it could end in, a long and late one is
    chosen: the length, up to LONG_PAUSE, has the same weight as the position. Excerpts of mostly silence are
    skipped.
    """
    silences = (runs(~loud[start:end]) + start).tolist()
    pauses = [(begin, after) for begin, after in silences if after - begin >= PAUSE]
    shortest, longest = _frames(SHORT), _frames(LONGEST_EXCERPT)
    for first in [start, *(after - PADDING for _, after in pauses)]:
        best, highest = 0, -1.0
        for begin, after in pauses:
            at = max(begin + PADDING, first + shortest)
            if at <= min(after, first + longest):
                position = (at - first - shortest) / (longest - shortest)
                score = min(1, (after - begin) / LONG_PAUSE) + position
                best, highest = (at, score) if score > highest else (best, highest)
        if shortest <= end - first <= longest:
            best = end
        if best and loud[first:best].sum() >= SPEECH_SHARE * shortest:
            return first, best
    return None


def _until_quietest(powers: NDArray[np.float64], start: int, notes: list[str]) -> tuple[int, int]:
    """Return an excerpt from ``start`` to the softest 50 ms within SHORT to LONGEST_EXCERPT seconds."""
    import numpy as np

    notes.append("It has no pause where it could be cut, and may end within a word.")
    smoothed = np.convolve(powers, np.ones(5), "same")
    window = smoothed[start + _frames(SHORT) : start + _frames(LONGEST_EXCERPT)]
    return start, start + _frames(SHORT) + int(window.argmin())
