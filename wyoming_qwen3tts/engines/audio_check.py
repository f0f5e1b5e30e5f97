"""Checks the audio of one utterance: format, silence, truncation and endless audio."""

from __future__ import annotations

import re

from ..audio.pcm import AUDIBLE, peak
from ..speech import BYTES_PER_SECOND, SAMPLE_WIDTH
from ..text import phonemes
from .base import EngineUnavailableError, SilentAudioError, TooShortAudioError, TruncatedAudioError

LONGEST_BASE, LONGEST_PER_CHARACTER = 60.0, 1.0
"""Seconds of audio that an utterance may have, and for each character more: slow readers need a quarter."""
SHORTEST_LETTER = 0.02
"""Seconds of audio for a letter below which it seems truncated: fast readers take three times as long."""
_REPETITION = re.compile(r"(\w{1,4}?)\1+")
"""Repeated letters or syllables, as in a laugh: voices shorten them, so they count once."""


class AudioCheck:
    """The check of one utterance's audio, chunk by chunk as the engine yields it."""

    def __init__(self, engine: str, text: str | None) -> None:
        """``engine``: its name, for messages. ``text``: None while it is still being written."""
        self._engine = engine
        self._text = text
        self.size = 0
        """Bytes so far."""
        self.is_audible = False
        """Whether anything so far was more than silence."""

    def push(self, chunk: object) -> bytes:
        """Return a chunk as PCM.

        Raises EngineUnavailableError where it is not whole samples, TruncatedAudioError for endless audio.
        """
        if not isinstance(chunk, bytes | bytearray):
            raise EngineUnavailableError(f"the {self._engine} voice gave {type(chunk).__name__}, not samples")
        if not chunk or len(chunk) % SAMPLE_WIDTH:
            raise EngineUnavailableError(f"the {self._engine} voice gave {len(chunk)} bytes, not samples")
        pcm = bytes(chunk)
        self.size += len(pcm)
        if self._text is not None:
            longest = LONGEST_BASE + LONGEST_PER_CHARACTER * len(self._text)
            if self.size > longest * BYTES_PER_SECOND:
                raise TruncatedAudioError(f"the {self._engine} voice did not end after {longest:g} s")
        self.is_audible = self.is_audible or peak(pcm) >= AUDIBLE
        return pcm

    def finish(self) -> None:
        """Check the whole.

        Raises SilentAudioError for silence, TooShortAudioError for less audio than the text takes.
        """
        if not self.is_audible:
            raise SilentAudioError(f"the {self._engine} voice gave nothing to be heard")
        if self._text is None:
            return
        letters = sum(map(str.isalnum, _REPETITION.sub(r"\1", phonemes.remove_pronunciations(self._text))))
        if (seconds := self.size / BYTES_PER_SECOND) < letters * SHORTEST_LETTER:
            raise TooShortAudioError(f"{seconds:.2f} s of audio are too short for {letters} letters")
