"""What the service tells about itself: voices as a Wyoming ``Info``.

Home Assistant shows nothing of a voice but its description, sorts the voices of a language by it, character
by character, and a new pipeline takes the first. So descriptions begin in a way that sorts: the voice that
somebody chose, then those at home in their language, then second choices, then last resorts.
"""

from __future__ import annotations

import re

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice, TtsVoiceSpeaker

from ... import __version__
from ...engines.pool import EnginePool
from ...speech import DEFAULT, LAST, PROGRAM, SECOND, Voice
from ...voices.catalog import VoiceCatalog
from ...voices.names import key
from ...voices.registry import Voices
from .framing import encode

ABOUT = "Qwen3-TTS for the home, with a built-in voice that needs no GPU"

_SORTS = re.compile(r"[0-9A-Z]")
_LANGUAGE = re.compile(r".+(?=\s\()|[^:,;]+")
"""What stands before the last bracket, which says what a last resort is worth."""


class Description:
    """The answer to ``describe``, encoded once for as long as voices and who speaks stay the same."""

    def __init__(self, voices: Voices, pool: EnginePool, *, streaming: bool) -> None:
        self._voices = voices
        self._pool = pool
        self._streaming = streaming
        self._seen: tuple[VoiceCatalog, str] | None = None
        self._encoded = b""

    def __call__(self) -> bytes:
        """Return the event as it goes over the wire."""
        now = self._voices.catalog, who_speaks(self._pool)
        if now != self._seen:
            self._encoded = encode(describe(*now, streaming=self._streaming).event())
            self._seen = now
        return self._encoded


def who_speaks(pool: EnginePool) -> str:
    """Return why it is not the engine that ought to, as the end of a sentence; empty if it is."""
    first, speaking = pool.preferred, pool.speaking
    if not first or first == speaking:
        return ""
    reason = pool.members[first].reason
    return f"{speaking or 'nobody'} speaks, for {first} does not: {reason}"


def describe(catalog: VoiceCatalog, speaking: str = "", *, streaming: bool) -> Info:
    """Return the answer to ``describe``. ``speaking``: what people ought to know about who speaks.

    Home Assistant skips a voice without a language or not ``installed``, and takes the first of a language.
    """
    return Info(
        tts=[
            TtsProgram(
                name=PROGRAM,
                description="; ".join(filter(None, (ABOUT, speaking))),
                attribution=Attribution(name="Qwen team, Alibaba", url="https://github.com/QwenLM/Qwen3-TTS"),
                installed=True,
                version=__version__,
                voices=[_voice(voice, catalog) for voice in catalog.listed],
                supports_synthesize_streaming=streaming,
            )
        ]
    )


def _voice(voice: Voice, catalog: VoiceCatalog) -> TtsVoice:
    styles = [each.style.name for each in catalog.styles(voice) if each.style is not None]
    return TtsVoice(
        name=voice.name,
        description=shown(voice, chosen=catalog.chosen and voice.name == catalog.default.name),
        attribution=Attribution(name=voice.attribution.name, url=voice.attribution.url),
        installed=True,
        version=voice.version,
        languages=list(voice.languages),
        speakers=[TtsVoiceSpeaker(name) for name in styles] or None,
    )


def shown(voice: Voice, *, chosen: bool = False) -> str:
    """Return what a person reads of ``voice``, so that it sorts where it belongs. ``chosen``: as the default.

    A style stands behind a colon, which sorts after what begins the rest of its voice's own description: a
    space or a comma.
    """
    name, rest = _parts(voice)
    style = f": {voice.style.name}" if voice.style is not None else ""
    text = f"{name}{style}{rest}"
    if chosen:
        return DEFAULT + text
    if voice.rank:
        return (SECOND if voice.rank == 1 else LAST) + text
    text = text[:1].upper() + text[1:]
    return text if _SORTS.match(text) else f"Voice {text}"


def _parts(voice: Voice) -> tuple[str, str]:
    """Return what the description of ``voice`` calls it, and the rest of it.

    A last resort may go by its language, which says more than its name; others have their names added.
    """
    name, description = voice.speaker, voice.description
    start = description[: len(name)]
    if key(start) != key(name):
        match = _LANGUAGE.match(description) if voice.rank > 1 else None
        if match is None:
            return name, f" ({description})" if description else ""
        start = match[0]
    rest = description[len(start) :].strip()
    if rest[:1] in {":", ";", ","}:
        return start, f", {rest[1:].strip()}"
    return start, f" {rest}" if rest else ""
