"""The built-in voice: hibari-tts, English, on the CPU, with its weights inside its package.

Measured on one core of a 2-core machine: real-time factor 0.013, word error rate 1.1 % over 30
home-automation sentences with Whisper base. Its model and phonemizer are not at home in every text, so
everything that reaches them goes through ``readable`` first.
"""

from __future__ import annotations

import asyncio
import logging
import re
import unicodedata
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..speech import Attribution, Utterance, Voice
from .base import CannotSpeak, EngineUnavailable

_LOGGER = logging.getLogger(__name__)

GAIN_DB = 6.0
"""hibari speaks at about -27 dBFS (RMS); other voices at about -20."""
MAX_DIGITS = 15
"""hibari reads numbers as words up to 36 digits and fails beyond; nobody follows past the trillions."""

_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")
_INLINE_PHONEMES = re.compile(r"\](?=\()")
_PLAIN = re.compile(r"[^A-Za-z0-9\s.,!?;:'-]+")


class BuiltinEngine:
    """hibari-tts on worker threads. Utterances are independent: any thread, same seed, same samples."""

    name = "builtin"

    def __init__(self, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="builtin-voice")
        self._hibari: Any = None
        self._voices: tuple[Voice, ...] = ()

    async def start(self) -> None:
        """Load the model and say something, so that the first request meets a warm voice."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._load)
        except (ImportError, OSError) as error:
            raise EngineUnavailable(f"the built-in voice cannot be loaded: {error}") from error

    def _load(self) -> None:
        import hibari

        self._hibari = hibari.Hibari(threads=1)
        self._say("Twenty one point five degrees outside, said the warm-up, zorbling.", 0)
        self._voices = (
            Voice(
                name="heart",
                description="Heart (American English, built-in)",
                languages=("en-US",),
                engine=self.name,
                attribution=Attribution("hibari-tts", "https://github.com/MMWilliams/hibari"),
                version=hibari.__version__,
            ),
        )

    async def close(self) -> None:
        """Let the running sentences finish and end the threads."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def voices(self) -> Sequence[Voice]:
        """Return the one voice whose weights are in the package."""
        return self._voices

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield the utterance as one piece: hibari makes a sentence in some 50 ms, and only whole."""
        loop = asyncio.get_running_loop()
        pcm = await loop.run_in_executor(self._pool, self._say, utterance.text, utterance.seed)
        if not pcm:
            raise CannotSpeak(f"the built-in voice finds nothing to say in {utterance.text[:40]!r}")
        yield pcm

    def _say(self, text: str, seed: int) -> bytes:
        """Return PCM for ``text``; empty where hibari finds nothing to say. Runs on a worker thread."""
        import numpy as np

        from ..audio.pcm import to_pcm

        prepared = readable(text)
        for attempt in (prepared, _PLAIN.sub(" ", prepared)):
            try:
                arrays = list(self._hibari.stream(attempt, seed=seed))
            except Exception:
                # Its phonemizer raises ValueError or IndexError on some symbols; without them it can go on.
                _LOGGER.warning("The built-in voice failed on %r", attempt, exc_info=True)
                continue
            return to_pcm(np.concatenate(arrays), GAIN_DB) if arrays else b""
        raise CannotSpeak(f"the built-in voice cannot say {text[:40]!r}")


def readable(text: str) -> str:
    """Return ``text`` as hibari can take it: known letters, no numbers without end, no control marks.

    - compatibility letters become plain ones (circled digits raise ValueError in hibari),
    - invisible format and control characters go,
    - longer numbers than MAX_DIGITS are read digit by digit,
    - ``[word](...)``, hibari's way to give phonemes, is kept from being read as such.
    """
    text = "".join(
        " " if unicodedata.category(c) == "Cc" else c
        for c in unicodedata.normalize("NFKC", text)
        if unicodedata.category(c) != "Cf"
    )
    text = _DIGITS.sub(lambda number: " ".join(number[0]), text)
    return _INLINE_PHONEMES.sub("] ", text)
