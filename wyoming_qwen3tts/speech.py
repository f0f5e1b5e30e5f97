"""The data types that all packages share: request, utterance, voice, text feed, audio format.

Audio between packages is always PCM in ``bytes``: 24 kHz (the rate of the Qwen3-TTS codec), mono, signed
16 bit, little endian.
"""

from __future__ import annotations

import asyncio
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
"""Bounds of a speaking rate: beyond them speech is hard to follow, and every method distorts it."""
LONGEST_NAME, LONGEST_TAG = 200, 35
"""Characters of a requested voice name, twice those of any voice with its style; and of a language tag (RFC
5646, 4.4.1). Longer ones are cut."""
BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_WIDTH * CHANNELS

UNDETERMINED = "und"
"""BCP 47 for an unknown language: a voice of many languages detects it in the text."""
PROGRAM = "qwen3-tts"
"""The name of the service. Home Assistant names its entity after it, so it never changes."""
DEFAULT, SECOND, LAST = "(default) ", "also ", "last resort, "
"""Prefixes of voice descriptions, which Home Assistant sorts: of the configured default, of second choices,
of last resorts. A bracket sorts before digits, capitals after those, small letters last."""

_UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")


def base_language(tag: str) -> str:
    """Return the language of a BCP 47 tag, without its region: ``pt`` of ``pt-BR`` or ``pt_BR``."""
    return tag.lower().replace("_", "-").partition("-")[0]


def unspeakable(text: str) -> tuple[str, int] | None:
    """Return the first character of a text that cannot be encoded or spoken, and its index; None for none."""
    if text.isascii() and "\0" not in text:  # 100 times faster than the expression, for base64 of recordings
        return None
    if (found := _UNSPEAKABLE.search(text)) is None:
        return None
    return "NUL" if found[0] == "\0" else f"a lone surrogate (U+{ord(found[0]):X})", found.start()


class SpeechError(Exception):
    """Some text cannot be spoken. ``code`` is stable, for programs; the message is for users."""

    code = "speech-error"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


def internal_error() -> SpeechError:
    """Return the error for a client after a fault in this service, whose details are in the log."""
    return SpeechError("internal error; the server's log has the details", "internal-error")


@dataclass(frozen=True, slots=True)
class Attribution:
    """The maker of a voice, and its source."""

    name: str
    url: str
    license: str = ""
    """SPDX identifier of the license of the model or program; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class Style:
    """A named manner of speaking, such as ``calm``."""

    name: str
    instruct: str = ""
    """Instruction for the model, in words; empty for none."""
    speed: float = 1.0
    """Factor on the speaking rate."""
    gain: float = 0.0
    """dB above the level that every voice is brought to."""
    language: str | None = None
    """BCP 47: all text is spoken in this language; None is detected."""
    seed: int | None = None
    """Random seed instead of the voice's own."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference recording that a voice is cloned from, prepared for engines."""

    path: Path
    """WAV file, 24 kHz, mono, signed 16 bit. It may be deleted at any time."""
    digest: str
    """SHA-256, hexadecimal, of everything the clone depends on: recording, preparation, transcript."""
    transcript: str = ""
    """Its text: with it a model continues the recording (ICL), without it the model gets an x-vector."""


@dataclass(frozen=True, slots=True)
class CustomVoice:
    """A custom voice of the store, before an engine has made a ``Voice`` of it."""

    name: str
    reference: Reference
    language: str | None = None
    """BCP 47, its native language; None if unknown."""
    description: str = ""
    seed: int = 0
    model: str = ""
    """The engine's model that is to speak it; empty for the first that can."""
    designed: str = ""
    """The description it was designed from; empty for a recorded voice."""
    notes: tuple[str, ...] = ()
    """Sentences about its recording, for users."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that can be requested by name."""

    name: str
    description: str
    """Its line in a list of voices, with a plain word on its quality."""
    languages: tuple[str, ...]
    """BCP 47 tags, its native language first."""
    engine: str
    """The name of the engine that speaks it."""
    attribution: Attribution
    version: str | None = None
    loudness: float | None = None
    """Level of its speech, pauses aside, in dBFS (``audio.loudness`` says how it is measured).

    None if it was not measured: it is then measured from the voice's first seconds.
    """
    levelled: bool = False
    """Whether its engine brings it to a level of its own, which is then left unchanged."""
    base: str = ""
    """The voice that this one is a style of; empty if it is no style."""
    style: Style | None = None
    seed: int = 0
    """Random seed, the same for every utterance of the voice."""
    model: str = ""
    """The engine's model that speaks it, if the engine has several."""
    reference: Reference | None = None
    """The recording that it is cloned from; None if it is no clone."""
    designed: bool = False
    """Whether the recording was generated from a description."""
    supports_instructions: bool = False
    """Whether its model follows ``Style.instruct``."""
    accented: bool = False
    """Whether it speaks its first language natively, and the others with an accent."""
    rank: int = 0
    """Order among the voices of a language, the lowest first: 1 for a dialect, 2 for a last resort."""

    @property
    def speaker(self) -> str:
        """Its name without a style, which the engine knows it by."""
        return self.base or self.name


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence, ready for an engine. Equal utterances have equal audio, sample for sample."""

    text: str
    voice: Voice
    language: str
    """BCP 47 tag of the text; ``und`` if unknown, for voices of several languages."""
    seed: int = 0
    speed: float = 1.0
    """Factor on the voice's own rate, SLOWEST to FASTEST. Post-processing applies it, not the engine."""
    on_start: Callable[[], object] | None = field(default=None, compare=False, repr=False)
    """The engine calls it, on any thread, when it begins with the utterance."""
    playback_deadline: float = field(default=0.0, compare=False)
    """When its listener runs out of audio (``time.monotonic``): the earliest deadline is served first."""
    hops: tuple[str, ...] = field(default=(), compare=False)
    """Servers that its request has passed through, this one last."""


class TextFeed:
    """The text of one request, which may still arrive: one writer, one reader.

    The writer never waits, so that reading from a client goes on during synthesis. The writer bounds what is
    held: ``length`` counts every character that was pushed.
    """

    def __init__(self) -> None:
        self.length = 0
        self.waiting = False
        """Whether the reader has taken everything and waits for more."""
        self._pieces: list[str] = []
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    @classmethod
    def whole(cls, text: str) -> TextFeed:
        """Return a feed of a text that is complete."""
        feed = cls()
        feed.push(text)
        feed.end()
        return feed

    def push(self, piece: str) -> None:
        """Append text."""
        self.length += len(piece)
        self._pieces.append(piece)
        self._changed.set()

    def peek(self) -> str:
        """Return all text that was pushed and not read yet, without taking it."""
        return "".join(self._pieces)

    def end(self) -> None:
        """End the text."""
        self._ended = True
        self._changed.set()

    @property
    def ended(self) -> bool:
        """Whether the text has ended."""
        return self._ended

    def fail(self, error: Exception) -> None:
        """End the text with an error, which the reader gets instead of what is left."""
        self._error = error
        self.end()

    def __aiter__(self) -> TextFeed:
        return self

    async def __anext__(self) -> str:
        """Return all text pushed since the last call; wait for some."""
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
    """How a request uses the cache."""

    OFF = "off"
    """Nothing is looked up, nothing is stored."""
    AUTO = "auto"
    """As the settings say, which may exclude voices and text that is still being written."""
    ON = "on"
    """Stored, even if the text is still being written."""
    PIN = "pin"
    """Stored for ever; an error where that is not possible."""


@dataclass(slots=True)
class SpeechRequest:
    """A request for speech."""

    text: TextFeed
    voice: str | None = None
    """A voice's name; None is the default voice."""
    speaker: str | None = None
    """A style of the voice; a voice's name where ``voice`` is None."""
    language: str | None = None
    """BCP 47 tag of the text; chooses the voice where ``voice`` is None or unknown."""
    speed: float | None = None
    """Factor on the voice's own rate; None is the settings'."""
    clone: Voice | None = None
    """A voice for this request alone, instead of ``voice`` and ``speaker``."""
    markup: str | None = None
    """``ssml`` if the client says so; None is text, which may have Markdown or HTML in it."""
    instructions: str | None = None
    """How to speak, in words; an error for voices that do not support instructions."""
    reject_unknown_voice: bool = False
    """Whether an unknown voice is an error; if not, the default voice speaks."""
    fallback: bool = True
    """Whether another engine's voice may speak where the requested one cannot."""
    hops: tuple[str, ...] = ()
    """Servers that have passed it on, in order, by the names they gave themselves."""
    caching: Caching = Caching.AUTO
    source: str = field(default="")
    """Its connection or interface, for the log."""
    is_interactive: bool = True
    """Whether a listener waits for it; not so for files and prerendering."""
    client: str = ""
    """Whom its limits count for: an address or an API key; all requests without one are one client's."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """For logs and headers."""
