"""eSpeak NG, the voice of last resort: some hundred languages, robotic, a process for every utterance.

It is run as a command because its licence (GPL-3.0) asks for that distance, and because a process that
crashes on a text takes nobody with it. A process costs about 15 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import unicodedata
from collections.abc import AsyncGenerator, Iterator, Sequence

from ..speech import SAMPLE_RATE, Attribution, Utterance, Voice
from .base import EngineUnavailableError, UnsupportedTextError

WORDS_PER_MINUTE = 140
"""Slower than its default of 175: a recogniser misheard 9 % of German words at 175 and 4 % at 135."""
LOUDNESS = -18.6
"""dBFS of its speech; measured by tests/test_loudness.py."""
COMMAND_TIMEOUT = 10.0
"""Seconds that ``espeak-ng --voices`` may take at start."""
ALL = "all"
NONE = "none"

_INNER_DOT = re.compile(r"\.(?=[^\s.]|\s+\S\.)")
_WAV_HEADER = 44
_ATTRIBUTION = Attribution("eSpeak NG", "https://github.com/espeak-ng/espeak-ng")
_TAGS = {"cmn": "zh", "fr-fr": "fr"}
"""espeak-ng's language codes that are not the tags clients look for.

Cantonese stays ``yue``: as ``zh-HK`` it is what Home Assistant chooses for Taiwan, before any Mandarin voice.
"""
_NOTES = {"ja": "reads kana, not kanji"}


class EspeakEngine:
    """The ``espeak-ng`` command, a few processes at a time."""

    name = "espeak"

    def __init__(self, languages: str = ALL, command: str = "espeak-ng", processes: int = 2) -> None:
        """``languages``: ``all``, ``none``, or BCP 47 tags with commas between them."""
        self._wanted = languages
        self._command = command
        self.max_batch_size = processes
        self._codes: dict[str, str] = {}
        self._voices: tuple[Voice, ...] = ()

    async def start(self) -> None:
        """Ask the command which languages it has. Raises EngineUnavailableError where it does not exist."""
        path = shutil.which(self._command)
        if path is None:
            raise EngineUnavailableError(f"the command {self._command} is not installed")
        self._command = path
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                version, listing = await asyncio.gather(self._run("--version"), self._run("--voices"))
        except TimeoutError as error:
            raise EngineUnavailableError(f"{path} printed nothing for {COMMAND_TIMEOUT:g} s") from error
        except OSError as error:
            raise EngineUnavailableError(f"{path} does not answer: {error}") from error
        found = re.search(r"\d+(\.\d+)+", version.decode(errors="replace"))
        voices = []
        for code, tag, label in parse_voices(listing.decode(errors="replace")):
            if self._wanted != ALL and not any(same_language(tag, want) for want in self._wanted.split(",")):
                continue
            note = _NOTES.get(code)
            voice = Voice(
                name=f"espeak-{code}",
                description=f"{label} (eSpeak NG, robotic{f'; {note}' if note else ''})",
                languages=(tag,),
                engine=self.name,
                attribution=_ATTRIBUTION,
                version=found[0] if found else None,
                loudness=LOUDNESS,
                rank=2,
            )
            self._codes[voice.name] = code
            voices.append(voice)
        if not voices:
            raise EngineUnavailableError(f"{path} has no voice for {self._wanted!r}")
        # A language without a region first: it is what a text in that language gets.
        self._voices = tuple(sorted(voices, key=lambda v: ("-" in v.languages[0], v.languages[0])))

    async def close(self) -> None:
        """Nothing is held between utterances."""

    def voices(self) -> Sequence[Voice]:
        """Return a voice a language."""
        return self._voices

    def identity(self, voice: Voice) -> str:
        """Return the command's version and pace."""
        return f"espeak-ng {voice.version} {WORDS_PER_MINUTE}"

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield the utterance in one piece."""
        code = self._codes[utterance.voice.speaker]
        arguments = ("-v", code, "-s", str(WORDS_PER_MINUTE), "-b", "1", "--stdin", "--stdout")
        try:
            if utterance.begun is not None:
                utterance.begun()
            text = readable(utterance.text)
            try:
                wav = await self._run(*arguments, stdin=text)
            except UnsupportedTextError:
                # espeak-ng 1.51 aborts on hundreds of letters with dots between them: "u.s.a.u.s.a.…"
                wav = await self._run(*arguments, stdin=_INNER_DOT.sub(" ", text))
        except OSError as error:
            raise EngineUnavailableError(f"{self._command} cannot be run: {error}") from error
        pcm = await asyncio.to_thread(_to_pcm, wav)
        if not pcm:
            raise UnsupportedTextError(f"{self._command} finds nothing to say in {utterance.text[:40]!r}")
        yield pcm

    async def _run(self, *arguments: str, stdin: str = "") -> bytes:
        """Return what the command prints; ends the process when cancelled."""
        process = await asyncio.create_subprocess_exec(
            self._command,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            output, _ = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode is not None and process.returncode < 0:
            raise UnsupportedTextError(
                f"{self._command} died of {stdin[:40]!r} (signal {-process.returncode})"
            )
        if process.returncode != 0:
            raise EngineUnavailableError(f"{self._command} ended with status {process.returncode}")
        return output


def parse_voices(listing: str) -> Iterator[tuple[str, str, str]]:
    """Yield (espeak-ng code, BCP 47 tag, name) for the languages in the output of ``espeak-ng --voices``.

    Left out: English, which the built-in voice speaks better, regional dialects, and second spellings of
    the same language.
    """
    seen = set()
    for line in listing.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 5:
            continue
        code, label = fields[1], fields[3]
        language, _, region = code.partition("-")
        if language == "en" or "-" in region or "latn" in region or code in seen:
            continue
        seen.add(code)
        tag = _TAGS.get(code, f"{language}-{region.upper()}" if region else language)
        yield code, tag, re.sub(r",? ?latin as \w+", "", label.replace("_", " ")).strip()


def same_language(tag: str, wanted: str) -> bool:
    """Tell whether ``tag`` is what ``wanted`` (a tag, perhaps without a region) asks for."""
    tag, wanted = tag.lower(), wanted.strip().lower().replace("_", "-")
    return tag == wanted or tag.startswith(f"{wanted}-")


def readable(text: str) -> str:
    """Return ``text`` without control characters and without ``[[``, espeak-ng's way to give phonemes."""
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in text)
    return text.replace("[[", "[ [")


def _to_pcm(wav: bytes) -> bytes:
    """Convert espeak-ng's WAV (mono s16le, its length field unset as it streams) to PCM at 24 kHz."""
    import numpy as np
    import soxr

    from ..audio.pcm import to_pcm

    rate = int.from_bytes(wav[24:28], "little")
    samples = np.frombuffer(wav[_WAV_HEADER : len(wav) & ~1], "<i2")
    if not samples.any():
        return b""
    return to_pcm(soxr.resample(samples.astype(np.float32) / 32768, rate, SAMPLE_RATE))
