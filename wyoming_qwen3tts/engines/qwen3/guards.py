"""Watchdogs of a take: what a model does that does not find its end.

Some 0.3 to 0.5 % of utterances babble, repeat themselves or fall silent until something stops them (reported
for Qwen3-TTS; rare texts, such as a lone count, much oftener).
"""

from __future__ import annotations

from dataclasses import dataclass

FRAMES_A_SECOND = 12.5

LOOP_SECONDS = 4.0
"""So long must codebook 0 repeat itself to be a loop: no vowel and no pause of a sentence is so long."""
LONGEST_PERIOD = 16
"""Frames of the longest repetition looked for, 1.3 s."""
SILENCE_SECONDS = 4.0
"""Longest silence within a sentence."""
SILENCE_PEAK = 10 ** (-50 / 20)
"""Peak, of full scale, under which a frame counts as silence."""
SLACK_FRAMES = 50
"""Frames (4 s) that every utterance may have beyond its tokens: breath, pauses, a slow style."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a take was ended: the end of a sentence for people."""

    name: str
    """For numbers."""
    reason: str
    device: bool = False
    """The device, not the text, is to blame."""


NOT_FINITE = Fault("not-finite", "the model gave values that are not numbers", device=True)
LOOP = Fault("loop", f"the voice repeated itself for {LOOP_SECONDS:g} s")
SILENCE = Fault("silence", f"the voice was silent for {SILENCE_SECONDS:g} s")
CAP = Fault("no-end", "the voice did not find its end")


def frame_cap(tokens: int, frames_per_token: float) -> int:
    """Return the most frames that a text of so many tokens may take."""
    return SLACK_FRAMES + round(tokens * frames_per_token)


class LoopWatch:
    """Sees codebook 0 repeat itself with a period of up to ``LONGEST_PERIOD`` frames."""

    def __init__(self) -> None:
        self._last: list[int] = []
        self._runs = [0] * LONGEST_PERIOD

    def looping(self, code: int) -> bool:
        """Take the next frame's code; return whether a loop has lasted ``LOOP_SECONDS``."""
        for period in range(1, min(len(self._last), LONGEST_PERIOD) + 1):
            repeated = self._last[-period] == code
            self._runs[period - 1] = self._runs[period - 1] + 1 if repeated else 0
        self._last.append(code)
        del self._last[:-LONGEST_PERIOD]
        return max(self._runs) >= LOOP_SECONDS * FRAMES_A_SECOND
