"""The built-in voice: hibari-tts, English, on the CPU, with its weights inside its package.

Measured on one core of a 2-core machine: real-time factor 0.013, word error rate 1.1 % over 30
home-automation sentences with Whisper base. Its phonemizer fails on some characters, so every text goes
through ``sanitize`` first.

hibari returns a sentence as one array. Its network needs the whole sentence, but the signal processing after
it does not: the first half second is computed and sent alone, then the rest, with the samples of the whole.
That needs the same noise for both, whatever their length: see ``NoiseSource``.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import threading
import unicodedata
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ..speech import Attribution, Utterance, Voice
from ..telemetry import quote
from ..text import phonemes
from .base import Engine, EngineUnavailableError, UnsupportedTextError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)

LOUDNESS = -23.8
"""dBFS of hibari's speech; measured by tests/test_loudness.py."""
MAX_DIGITS = 15
"""Digits of the longest number read as words: hibari fails beyond 36, listeners get lost past trillions."""
FIRST_FRAMES = 40
"""Frames (of 12.5 ms) computed and sent before the rest of a sentence; the first 20 or so are silent."""
LOOKAHEAD_FRAMES = 8
"""Following frames that a frame's samples depend on: half the analysis window is 2, overlap-add needs 4."""
THREAD_NAME_PREFIX = "builtin-voice"
"""Prefix of the worker thread's name."""
NOISE_FRAMES = 1200
"""Frames of precomputed noise, 15 s; repeated for longer sentences."""

_MISAKI = dict(
    pair.split("=")
    for pair in (
        "eɪ=A aɪ=I oʊ=O əʊ=O aʊ=W ɔɪ=Y tʃ=ʧ dʒ=ʤ ɚ=əɹ ɝ=ɜɹ r=ɹ g=ɡ a=æ e=ɛ o=O ɐ=ə ɫ=l l̩=ᵊl n̩=ᵊn ɾ=T"
    ).split()
)
"""IPA → the model's alphabet (misaki, American); the first match applies."""
_STRESS = re.compile("([ˈˌ])([^AIOQWYaiuyæɑɒɔəɛɜɪʊʌᵊᵻˈˌ ]*)")
_NOT_IN_MISAKI = re.compile("[ː.‿\u0361\u035c\u032f]")
_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")
_SPELLED_A = re.compile(r"\bA (?=[A-Z]\b)")
_INLINE_PHONEMES = re.compile(r"\](?=\()")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9\s.,!?;:'-]+")


class BuiltinEngine(Engine):
    """hibari-tts on a worker thread, one sentence at a time; the same seed gives the same samples."""

    name = "builtin"
    max_batch_size = 2
    """One is synthesized, and the next one is queued for the worker thread."""

    def __init__(self, threads: int = 2) -> None:
        """``threads``: CPU threads of the network."""
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._hibari: Any = None
        self._voices: tuple[Voice, ...] = ()

    async def start(self) -> None:
        """Load the model and warm it up."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=THREAD_NAME_PREFIX)
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._load)
        except (ImportError, OSError) as error:
            raise EngineUnavailableError(f"the built-in voice cannot be loaded: {error}") from error

    def _load(self) -> None:
        import hibari

        self._hibari = hibari.Hibari(threads=self._threads)
        # The last word is in no dictionary: this also loads the network that guesses pronunciations.
        warm_up = "Twenty one point five degrees outside, said the warm-up, zorbling."
        self._run_job(_BuiltinJob(warm_up, 0, lambda pcm: None))
        self._voices = (
            Voice(
                name="heart",
                description="Heart (American English, built-in)",
                languages=("en-US",),
                engine=self.name,
                attribution=Attribution("hibari-tts", "https://github.com/MMWilliams/hibari", "Apache-2.0"),
                version=hibari.__version__,
                loudness=LOUDNESS,
            ),
        )

    async def close(self) -> None:
        """Stop the thread after its current sentence, without waiting for it: it might hang."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def voices(self) -> Sequence[Voice]:
        """Return the one voice whose weights are in the package."""
        return self._voices

    def identity(self, voice: Voice) -> str:
        """Return the package's version: its weights come with it."""
        return f"hibari-tts {voice.version}"

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield the first half second as soon as it is computed, then the rest."""
        if self._pool is None:
            raise EngineUnavailableError("the built-in voice is not loaded")
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        job = _BuiltinJob(
            utterance.text,
            utterance.seed,
            lambda pcm: loop.call_soon_threadsafe(chunks.put_nowait, pcm),
            utterance.on_start,
        )
        work = loop.run_in_executor(self._pool, self._run_job, job)
        work.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            await work
        finally:
            job.cancelled.set()
            work.cancel()

    def _run_job(self, job: _BuiltinJob) -> None:
        """Synthesize ``job``, passing chunks to its ``on_audio``. Runs on the worker thread."""
        from ..audio.pcm import to_pcm

        if job.on_start is not None:
            job.on_start()
        sentences = self._phonemes(job.text)
        if not sentences:
            raise UnsupportedTextError(f"the built-in voice finds nothing to say in {job.text[:40]!r}")
        for sentence in sentences:
            for samples in self._synthesize(self._hibari.ids(sentence), get_noise(job.seed)):
                if job.cancelled.is_set():
                    return
                job.on_audio(to_pcm(samples))

    def _phonemes(self, text: str) -> list[str]:
        """Return the sentences of ``text`` in hibari's phonemes; none where it finds no words.

        Raises UnsupportedTextError where hibari fails.
        """
        prepared = phonemes.replace_annotations(text, self._inline_phonemes, sanitize)
        for attempt in (prepared, _NOT_PLAIN.sub(" ", sanitize(phonemes.remove_pronunciations(text)))):
            try:
                found: list[str] = self._hibari.phonemize(attempt)
            except Exception:
                # It raises ValueError or IndexError on some symbols; the second attempt is without them.
                _LOGGER.warning("builtin: phonemizer failed text=%s", quote(attempt), exc_info=True)
            else:
                return found
        raise UnsupportedTextError(f"the built-in voice cannot say {text[:40]!r}")

    def supports_phonemes(self, voice: Voice) -> bool:
        """Return True: pronunciations are supported."""
        return True

    def _inline_phonemes(self, word: str, pronunciation: str) -> str:
        """Return a word with its pronunciation in hibari's syntax; alone where its alphabet lacks a sound."""
        said = to_misaki(pronunciation)
        known = said and all(character in self._hibari.vocab for character in said)
        return f"[{sanitize(word)}](/{said}/)" if known else sanitize(word)

    def _synthesize(self, ids: list[int], noise: NoiseSource) -> Iterator[NDArray[np.float32]]:
        """Yield a sentence's samples, 24 kHz float32: the first FIRST_FRAMES, then the rest.

        ``ids``: phoneme ids with a 0 at both ends. The network gives five spectra of [601, frames] and the
        pitch of [frames]; ``dsp.synth`` makes 300 samples a frame of them.
        """
        import numpy as np
        from hibari import dsp

        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.ones(1, np.float32)}
        outputs = [output[0] for output in self._hibari.sess.run(None, inputs)]
        frames = outputs[0].shape[-1]
        start = 0
        if frames > 2 * (FIRST_FRAMES + LOOKAHEAD_FRAMES):
            head = [output[..., : FIRST_FRAMES + LOOKAHEAD_FRAMES] for output in outputs]
            start = FIRST_FRAMES * dsp.HOP
            yield dsp.synth(*head, noise)[:start]
        yield dsp.synth(*outputs, noise)[start:]


class _BuiltinJob:
    """A text for the worker thread, and its callbacks."""

    def __init__(
        self,
        text: str,
        seed: int,
        on_audio: Callable[[bytes], object],
        on_start: Callable[[], object] | None = None,
    ) -> None:
        self.text = text
        self.seed = seed
        self.on_audio = on_audio
        self.on_start = on_start
        self.cancelled = threading.Event()


class NoiseSource:
    """Replaces the random generator that hibari draws its noise from.

    The noise of a frame depends only on its index, not on the number of frames. (Drawing noise for every
    sentence also took a third of the signal processing's time.)
    """

    def __init__(self, seed: int, bins: int) -> None:
        import numpy as np

        shape = (bins, 2 * NOISE_FRAMES)
        self._table = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)

    def standard_normal(self, shape: tuple[int, int], dtype: type) -> NDArray[np.float32]:
        """Return a copy of [bins, 2 * frames] normal values, real and imaginary parts interleaved."""
        import numpy as np

        repeats = -(-shape[1] // self._table.shape[1])
        table = self._table if repeats == 1 else np.tile(self._table, (1, repeats))
        return table[:, : shape[1]].astype(dtype)


@functools.lru_cache(maxsize=4)
def get_noise(seed: int) -> NoiseSource:
    """Return the noise of a seed."""
    from hibari import dsp

    return NoiseSource(seed, dsp.N_FFT // 2 + 1)


def to_misaki(pronunciation: str) -> str:
    """Convert a pronunciation from IPA to the model's alphabet."""
    text = _NOT_IN_MISAKI.sub("", pronunciation).strip()
    text = re.sub("|".join(_MISAKI), lambda part: _MISAKI[part[0]], text)
    return _STRESS.sub(r"\2\1", text)  # in misaki, stress is marked before the vowel


def sanitize(text: str) -> str:
    """Return ``text`` without what hibari fails on or misreads.

    - Compatibility characters become plain ones (circled digits raise ValueError in hibari).
    - Control characters become spaces; invisible format characters are removed.
    - Numbers with more than MAX_DIGITS digits are split into digits.
    - A spelled A ("A C") is written so that it is not read as the article.
    - ``[word](...)``, hibari's syntax for phonemes, is broken up.
    """
    text = "".join(
        " " if unicodedata.category(c) == "Cc" else c
        for c in unicodedata.normalize("NFKC", text)
        if unicodedata.category(c) != "Cf"
    )
    text = _DIGITS.sub(lambda number: " ".join(number[0]), text)
    text = _SPELLED_A.sub("A. ", text)
    return _INLINE_PHONEMES.sub("] ", text)
