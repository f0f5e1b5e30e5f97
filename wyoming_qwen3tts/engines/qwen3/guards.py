"""Guards: they stop a generation that does not reach its end.

Some 0.3 to 0.5 % of utterances babble, repeat themselves or fall silent until something stops them (reported
for Qwen3-TTS; some texts, such as a single number, much more often).
"""

from __future__ import annotations

from dataclasses import dataclass

FRAMES_PER_SECOND = 12.5

LOOP_SECONDS = 4.0
"""Duration for which codebook 0 must repeat itself to be a loop: longer than any vowel or pause in speech."""
MAX_PERIOD_FRAMES = 16
"""Longest period of a repetition that is detected, 1.3 s."""
SILENCE_SECONDS = 4.0
"""Longest silence within a sentence."""
SILENCE_PEAK = 10 ** (-50 / 20)
"""Peak, of full scale, under which a frame counts as silence."""
SLACK_FRAMES = 50
"""Frames (4 s) allowed in addition to those for the tokens of a text: breath, pauses, slow styles."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a generation was stopped."""

    name: str
    """Label in metrics and logs."""
    reason: str
    """Error message."""
    device: bool = False
    """The device, not the text, is the cause."""


NOT_FINITE = Fault("not-finite", "the model returned values that are not finite", device=True)
LOOP = Fault("loop", f"the voice repeated itself for {LOOP_SECONDS:g} s")
SILENCE = Fault("silence", f"the voice was silent for {SILENCE_SECONDS:g} s")
NO_END = Fault("no-end", "the voice did not end within its frame limit")


def frame_limit(tokens: int, frames_per_token: float) -> int:
    """Return the maximum number of frames for a text of so many tokens."""
    return SLACK_FRAMES + round(tokens * frames_per_token)


class LoopDetector:
    """Detects that codebook 0 repeats itself with a period of up to ``MAX_PERIOD_FRAMES`` frames."""

    def __init__(self) -> None:
        self._last: list[int] = []
        self._runs = [0] * MAX_PERIOD_FRAMES

    def push(self, code: int) -> bool:
        """Add the next frame's code; return whether a loop has lasted ``LOOP_SECONDS``."""
        for period in range(1, min(len(self._last), MAX_PERIOD_FRAMES) + 1):
            repeated = self._last[-period] == code
            self._runs[period - 1] = self._runs[period - 1] + 1 if repeated else 0
        self._last.append(code)
        del self._last[:-MAX_PERIOD_FRAMES]
        return max(self._runs) >= LOOP_SECONDS * FRAMES_PER_SECOND
