"""The vocabulary of the house: what every room understands and none owns.

Sound between rooms is always 24 kHz, mono, signed 16 bit little endian PCM in ``bytes``
(24 kHz is what the Qwen3-TTS codec puts out), so that a format never changes inside a reply.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

SAMPLE_RATE = 24_000
"""Samples a second."""
SAMPLE_WIDTH = 2
"""Bytes a sample: signed 16 bit, little endian."""
CHANNELS = 1
LANGUAGES = ("en", "de", "fr", "es", "pt", "it", "ru", "zh", "ja", "ko")
"""The ten languages of Qwen3-TTS, BCP 47."""
SLOWEST, FASTEST = 0.5, 2.0
"""Bounds of a speed: beyond them speech is hard to follow, and every method makes it rough."""
LONGEST_NAME, LONGEST_TAG = 200, 35
"""Characters of a name that somebody may ask for, twice those of any voice with its style; and of a language
tag, as RFC 5646 (4.4.1) has it. What is longer is nobody's."""
KEYS = 1
"""Version of ``Utterance.key``: another one when the same key would mean another sound."""
BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_WIDTH * CHANNELS

UNDETERMINED = "und"
"""BCP 47 for a language that nobody named: a voice of many languages hears it from the text."""
PROGRAM = "qwen3-tts"
"""What this service calls itself. Home Assistant names its entity after it, so this never changes."""
DEFAULT, SECOND, LAST = "(default) ", "also ", "last resort, "
"""What descriptions of voices begin with, so that they sort: of the one that somebody chose, of second
choices, of last resorts. A bracket sorts before digits, capitals after those, small letters last."""

_UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")


def base_language(tag: str) -> str:
    """Return the language of a BCP 47 tag, without its region: ``pt`` of ``pt-BR`` or ``pt_BR``."""
    return tag.lower().replace("_", "-").partition("-")[0]


def unspeakable(text: str) -> tuple[str, int] | None:
    """Return what in a text is no character that can be said or written down, and where; None for nothing."""
    if text.isascii() and "\0" not in text:  # 100 times as quick as the expression, for a recording in base64
        return None
    if (found := _UNSPEAKABLE.search(text)) is None:
        return None
    return "NUL" if found[0] == "\0" else f"a lone surrogate (U+{ord(found[0]):X})", found.start()


class SpeechError(Exception):
    """Something cannot be said. ``code`` is for programs, the message for people."""

    code = "speech-error"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


def internal_error() -> SpeechError:
    """Return what a client is told of a fault of ours, which the log has with all its details."""
    return SpeechError("internal error; the server's log has the details", "internal-error")


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who made a voice, and where it comes from."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Style:
    """A manner of speaking that has a name, such as ``calm``."""

    name: str
    instruct: str = ""
    """What the model is told, in words; empty for nothing."""
    speed: float = 1.0
    """Times the pace that would be spoken at without it."""
    gain: float = 0.0
    """dB on top of the level that every voice is brought to."""
    language: str | None = None
    """BCP 47 tag: everything is read in this language, whatever it looks like."""
    seed: int | None = None
    """In the place of the voice's own."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording that a voice is cloned from, prepared: engines take it as it is."""

    path: Path
    """A WAV file, 24 kHz, mono, signed 16 bit. It may vanish at any time."""
    digest: str
    """SHA-256, hexadecimal, over all that the clone depends on: recording, preparation, transcript."""
    transcript: str = ""
    """What is said in it: with it a model goes on from the recording (ICL), without it gets an x-vector."""


@dataclass(frozen=True, slots=True)
class CustomVoice:
    """A household's own voice, before any engine has made it one of its own."""

    name: str
    reference: Reference
    language: str | None = None
    """BCP 47, its mother tongue; ``None`` where nobody said."""
    description: str = ""
    seed: int = 0
    model: str = ""
    """Which of the engine's models is to speak it; empty for the first that can."""
    designed: str = ""
    """The sentence it was designed from; empty for a voice that somebody has."""
    remarks: tuple[str, ...] = ()
    """Sentences about its recording, for a person."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that somebody can ask for by name."""

    name: str
    description: str
    """What a person reads in a list of voices; says plainly what the voice is worth."""
    languages: tuple[str, ...]
    """BCP 47 tags, the voice's own language first."""
    engine: str
    """The name of the engine that speaks it."""
    attribution: Attribution
    version: str | None = None
    loudness: float | None = None
    """Level of its speech, pauses aside, in dBFS (``audio.loudness`` says how it is measured).

    ``None`` where nobody has measured it: it is then learned from the voice's first seconds.
    """
    levelled: bool = False
    """Whoever speaks it brings it to a level of their own, which stays."""
    base: str = ""
    """The name of the voice that this one is a style of; empty if it is none."""
    style: Style | None = None
    seed: int = 0
    """Where the engine's chance begins: the same for everything the voice says."""
    model: str = ""
    """Which of the engine's models speaks it, if it has several."""
    reference: Reference | None = None
    """What it is cloned from."""
    designed: bool = False
    """Whether that was made of a description."""
    supports_instructions: bool = False
    """Whether ``Style.instruct`` changes anything."""
    accented: bool = False
    """Whether it has a mother tongue, its first language, and an accent in its others."""
    rank: int = 0
    """Of the voices of a language those of a lower rank come first: 1 for a dialect, 2 for a last resort."""

    @property
    def speaker(self) -> str:
        """What its engine knows it by: its name without any style."""
        return self.base or self.name


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence, ready to be said. Equal utterances sound the same, sample for sample."""

    text: str
    voice: Voice
    language: str
    """BCP 47 tag of the text; ``und`` where nobody said, for voices of several languages."""
    seed: int = 0
    speed: float = 1.0
    """Times the voice's own pace, ``SLOWEST`` to ``FASTEST``. Not the engine's work: it comes later."""
    on_start: Callable[[], object] | None = field(default=None, compare=False, repr=False)
    """The engine calls it, on any thread, when it begins: until then the utterance has waited its turn."""

    playback_deadline: float = field(default=0.0, compare=False)
    """When its listener runs dry (``time.monotonic``): the first one due is the next to be said."""
    hops: tuple[str, ...] = field(default=(), compare=False)
    """Servers that its request has come through, this one last."""

    def key(self, engine: str) -> bytes:
        """Return a digest, 32 bytes, of all that the engine's sound of this utterance depends on.

        ``engine``: what the engine adds to that. Left out is what comes after it: speed, gain, level. A
        recording is known by its digest, whatever its voice is called.
        """
        voice = self.voice
        who = voice.speaker if voice.reference is None else f"recording {voice.reference.digest}"
        told = voice.style.instruct if voice.style is not None else ""
        parts = (KEYS, engine, voice.engine, voice.model, who, told, self.language, self.seed, self.text)
        return hashlib.sha256(json.dumps(parts).encode()).digest()


class TextFeed:
    """The text of one request, arriving in pieces: one writer, one reader.

    The writer never waits, so that reading from a client goes on while sound is made. What is held is
    bounded by the writer: ``length`` counts every character ever pushed.
    """

    def __init__(self) -> None:
        self.length = 0
        self.waiting = False
        """True while the reader has taken everything and waits for more."""
        self._pieces: list[str] = []
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    @classmethod
    def whole(cls, text: str) -> TextFeed:
        """Return a feed that holds all of ``text`` and has ended."""
        feed = cls()
        feed.push(text)
        feed.end()
        return feed

    def push(self, piece: str) -> None:
        """Append a piece of text."""
        self.length += len(piece)
        self._pieces.append(piece)
        self._changed.set()

    def peek(self) -> str:
        """Return all that was pushed and is not read yet, and leave it."""
        return "".join(self._pieces)

    def end(self) -> None:
        """Say that no more text comes."""
        self._ended = True
        self._changed.set()

    @property
    def ended(self) -> bool:
        """Whether no more text comes."""
        return self._ended

    def fail(self, error: Exception) -> None:
        """Say that the rest of the text never comes: the reader gets ``error`` instead of what is left."""
        self._error = error
        self.end()

    def __aiter__(self) -> TextFeed:
        return self

    async def __anext__(self) -> str:
        """Return everything pushed since the last call; wait if that is nothing."""
        while True:
            if self._error is not None:
                raise self._error
            if self._pieces:
                text = "".join(self._pieces)
                self._pieces.clear()
                return text
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            self.waiting = True
            try:
                await self._changed.wait()
            finally:
                self.waiting = False


class Caching(Enum):
    """What a request wants of the cache."""

    OFF = "off"
    """Everything is made now, and nothing of it is kept."""
    AUTO = "auto"
    """As the settings say: they may leave voices out, and texts that are still being written."""
    ON = "on"
    """Kept, even if it is still being written."""
    PIN = "pin"
    """Kept for ever; an error where it cannot be."""


@dataclass(slots=True)
class SpeechRequest:
    """What a client wants to hear."""

    text: TextFeed
    voice: str | None = None
    """A voice's name; ``None`` is the default voice."""
    speaker: str | None = None
    """A style of the voice, or a voice's name where ``voice`` names none."""
    language: str | None = None
    """BCP 47 tag of the text; chooses the voice where ``voice`` is absent or unknown."""
    speed: float | None = None
    """Times the voice's own pace; ``None`` is what the settings say."""
    clone: Voice | None = None
    """A voice that is in no list, in the place of ``voice`` and ``speaker``."""
    markup: str | None = None
    """``ssml`` where the client says so; ``None`` is text, which may be Markdown or HTML."""
    instructions: str | None = None
    """How to speak, in words, for voices that listen; others refuse."""
    reject_unknown_voice: bool = False
    """A voice that nobody knows is an error, and not the default one's to speak for."""
    fallback: bool = True
    """Where its voice cannot speak, another engine's may."""
    hops: tuple[str, ...] = ()
    """Servers that have passed it on, the first one first: names that they gave themselves."""
    caching: Caching = Caching.AUTO
    source: str = field(default="")
    """Where the request came from, for the log."""
    listened: bool = True
    """Somebody waits to hear it: not so what is made for a file, or to be kept."""
    client: str = ""
    """Whose it is: an address, or a key's name. Those of nobody in particular are all one client's."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """For logs and headers."""
