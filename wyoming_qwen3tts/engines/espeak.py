"""eSpeak NG, the last fallback: some hundred languages, robotic, one process per utterance.

It runs as a command because of its licence (GPL-3.0), and so that a crash affects only one utterance. A
process costs about 15 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import unicodedata
from collections.abc import AsyncGenerator, Iterator, Sequence

from ..speech import SAMPLE_RATE, Attribution, Utterance, Voice
from ..text import phonemes
from .base import Engine, EngineUnavailableError, UnsupportedTextError

WORDS_PER_MINUTE = 140
"""Slower than its default of 175: a recogniser misheard 9 % of German words at 175 and 4 % at 135."""
LOUDNESS = -18.6
"""dBFS of its speech; measured by tests/test_loudness.py."""
COMMAND_TIMEOUT = 10.0
"""Seconds that ``espeak-ng --voices`` may take at start."""
MAX_CACHED_PRONUNCIATIONS = 1000
"""Pronunciations whose mnemonics are cached."""
ALL = "all"
NONE = "none"

_INNER_DOT = re.compile(r"\.(?=[^\s.]|\s+\S\.)")
_WAV_HEADER = 44
_ATTRIBUTION = Attribution("eSpeak NG", "https://github.com/espeak-ng/espeak-ng", "GPL-3.0-or-later")
_TAGS = {"cmn": "zh", "fr-fr": "fr"}
"""espeak-ng's language codes → tags that clients search for, where they differ.

Cantonese stays ``yue``: as ``zh-HK``, Home Assistant would choose it for Taiwan before any Mandarin voice.
"""
_MNEMONICS = dict(
    pair.split("=")
    for pair in (
        "tʃ=tS dʒ=dZ oʊ=oU əʊ=@U aɪ=aI aʊ=aU eɪ=eI ɔɪ=OI ɔʏ=OY ɔø=OY ɛ̃=E~ ɑ̃=A~ ɔ̃=O~ œ̃=W~ øː=Y: "
        "ə=@ ɐ=3 ɜ=3 ɚ=3 ʌ=V ɪ=I ʊ=U ɒ=0 æ=a ɑ=A ɔ=O ɛ=E œ=W ø=Y ʏ=y ɨ=y "
        "ɡ=g ʃ=S ʒ=Z θ=T ð=D ŋ=N ɲ=n^ ʎ=l^ ç=C ɣ=Q ʁ=r ɾ=* ɹ=r β=B ʔ=? ˈ=' ˌ=, ː=: .= ‿= \u0361="
    ).split()
)
"""IPA → espeak-ng's mnemonics, shared by many languages; ``_mnemonics`` checks each language."""
_IPA = re.compile("|".join(sorted(map(re.escape, _MNEMONICS), key=len, reverse=True)) + "|[a-zɥ]|.", re.S)
_LANGUAGE_FREE = str.maketrans({"ɹ": "r", "ɾ": "r", "ʁ": "r", "g": "ɡ"} | dict.fromkeys("ˈˌː.‿ \n\u0361", ""))
_NOTES = {"ja": "reads kana, not kanji"}


class EspeakEngine(Engine):
    """The ``espeak-ng`` command, a few processes at a time."""

    name = "espeak"

    def __init__(self, languages: str = ALL, command: str = "espeak-ng", processes: int = 2) -> None:
        """``languages``: ``all``, ``none``, or BCP 47 tags separated by commas."""
        self._wanted = languages
        self._command = command
        self.max_batch_size = processes
        self._codes: dict[str, str] = {}
        self._mnemonics_cache: dict[tuple[str, str], str] = {}
        """Language code and pronunciation → mnemonics; empty where the language lacks a sound."""
        self._voices: tuple[Voice, ...] = ()

    async def start(self) -> None:
        """List the command's languages. Raises EngineUnavailableError where it cannot be run."""
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
            raise EngineUnavailableError(f"{path} cannot be run: {error}") from error
        found = re.search(r"\d+(\.\d+)+", version.decode(errors="replace"))
        voices = []
        for code, tag, label in parse_voices(listing.decode(errors="replace")):
            if self._wanted != ALL and not any(
                matches_language(tag, want) for want in self._wanted.split(",")
            ):
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
        # A tag without a region comes first: its voice is chosen for texts in that language.
        self._voices = tuple(sorted(voices, key=lambda v: ("-" in v.languages[0], v.languages[0])))

    async def close(self) -> None:
        """Do nothing: there are no resources between utterances."""

    def voices(self) -> Sequence[Voice]:
        """Return one voice per language."""
        return self._voices

    def identity(self, voice: Voice) -> str:
        """Return the command's version and the speaking rate."""
        return f"espeak-ng {voice.version} {WORDS_PER_MINUTE}"

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield the utterance as one chunk."""
        code = self._codes[utterance.voice.speaker]
        arguments = ("-v", code, "-s", str(WORDS_PER_MINUTE), "-b", "1", "--stdin", "--stdout")
        try:
            if utterance.on_start is not None:
                utterance.on_start()
            text = await self._prepare_text(utterance.text, code)
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

    def supports_phonemes(self, voice: Voice) -> bool:
        """Return True: pronunciations are used as far as the language has the sounds."""
        return True

    async def _prepare_text(self, text: str, code: str) -> str:
        """Return a text for espeak-ng, with pronunciations as mnemonics where the language has the sounds."""
        known: dict[str, str] = {}

        def note(word: str, pronunciation: str) -> str:
            known[pronunciation] = ""
            return ""

        phonemes.replace_annotations(text, note, str)
        for pronunciation in known:
            known[pronunciation] = await self._mnemonics(pronunciation, code)

        def replace_word(word: str, pronunciation: str) -> str:
            return f"[[{known[pronunciation]}]]" if known[pronunciation] else sanitize(word)

        return phonemes.replace_annotations(text, replace_word, sanitize)

    async def _mnemonics(self, pronunciation: str, code: str) -> str:
        """Return a pronunciation in mnemonics; empty where espeak-ng would speak something else.

        It stops at a sound that the language lacks, which only its printed IPA shows.
        """
        if (found := self._mnemonics_cache.get((code, pronunciation))) is not None:
            return found
        mnemonics = to_mnemonics(pronunciation)
        if mnemonics:
            printed = await self._run("-v", code, "-q", "--ipa", "--stdin", stdin=f"[[{mnemonics}]]")
            said = printed.decode(errors="replace").translate(_LANGUAGE_FREE)
            mnemonics = mnemonics if said == pronunciation.translate(_LANGUAGE_FREE) else ""
        if len(self._mnemonics_cache) < MAX_CACHED_PRONUNCIATIONS:
            self._mnemonics_cache[code, pronunciation] = mnemonics
        return mnemonics

    async def _run(self, *arguments: str, stdin: str = "") -> bytes:
        """Run the command; return its standard output. Cancelling kills the process.

        Raises UnsupportedTextError where a signal ended it, EngineUnavailableError for another status than 0.
        """
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
                f"{self._command} crashed on {stdin[:40]!r} (signal {-process.returncode})"
            )
        if process.returncode != 0:
            raise EngineUnavailableError(f"{self._command} ended with status {process.returncode}")
        return output


def parse_voices(listing: str) -> Iterator[tuple[str, str, str]]:
    """Yield (espeak-ng code, BCP 47 tag, name) for the languages in the output of ``espeak-ng --voices``.

    Excluded: English, which the built-in voice speaks better, regional dialects, and further spellings of
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


def matches_language(tag: str, wanted: str) -> bool:
    """Return whether ``tag`` matches ``wanted``, a tag with or without a region."""
    tag, wanted = tag.lower(), wanted.strip().lower().replace("_", "-")
    return tag == wanted or tag.startswith(f"{wanted}-")


def to_mnemonics(pronunciation: str) -> str:
    """Convert a pronunciation from IPA to espeak-ng's mnemonics; empty where it has none for a sound."""
    parts = _IPA.findall(pronunciation)
    if not all(part in _MNEMONICS or re.fullmatch("[a-z ]", part) for part in parts):
        return ""
    return "".join(_MNEMONICS.get(part, part) for part in parts)


def sanitize(text: str) -> str:
    """Return ``text`` without control characters and without ``[[``, espeak-ng's syntax for phonemes."""
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
