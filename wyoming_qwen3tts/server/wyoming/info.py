"""The answer to ``describe``: the service's voices as a Wyoming ``Info``.

Home Assistant shows only the description of a voice, sorts the voices of a language by it, character by
character, and a new pipeline uses the first one. So descriptions begin in a way that sorts: the configured
default voice, then native voices of the language, then second choices, then last resorts.
"""

from __future__ import annotations

import re

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice, TtsVoiceSpeaker

from ... import __version__
from ...engines.pool import EnginePool
from ...speech import DEFAULT, LAST, PROGRAM, SECOND, Voice
from ...voices.catalog import VoiceCatalog
from ...voices.names import name_key
from ...voices.registry import Voices
from .framing import encode

ABOUT = "Qwen3-TTS for the home, with a built-in voice that needs no GPU"

_SORTS_FIRST = re.compile(r"[0-9A-Z]")
_LANGUAGE = re.compile(r".+(?=\s\()|[^:,;]+")
"""The text before the last bracket, which in a last resort's description states its quality."""


class DescribeResponse:
    """The answer to ``describe``, encoded again only when the voices or the engine in use have changed."""

    def __init__(self, voices: Voices, pool: EnginePool, *, streaming: bool) -> None:
        self._voices = voices
        self._pool = pool
        self._streaming = streaming
        self._seen: tuple[VoiceCatalog, str] | None = None
        self._encoded = b""

    def __call__(self) -> bytes:
        """Return the encoded event."""
        now = self._voices.catalog, fallback_notice(self._pool)
        if now != self._seen:
            self._encoded = encode(describe(*now, streaming=self._streaming).event())
            self._seen = now
        return self._encoded


def fallback_notice(pool: EnginePool) -> str:
    """Return which engine is used instead of the preferred one and why; empty if that one is used."""
    first, speaking = pool.preferred, pool.speaking
    if not first or first == speaking:
        return ""
    reason = pool.members[first].reason
    in_use = f"{speaking} is used" if speaking else "no engine is available"
    return f"{in_use}, because {first} is not ready: {reason}"


def describe(catalog: VoiceCatalog, notice: str = "", *, streaming: bool) -> Info:
    """Return the answer to ``describe``. ``notice``: appended to the service's description.

    Home Assistant skips a voice without a language or not ``installed``, and uses the first of a language.
    """
    return Info(
        tts=[
            TtsProgram(
                name=PROGRAM,
                description="; ".join(filter(None, (ABOUT, notice))),
                attribution=Attribution(name="Qwen team, Alibaba", url="https://github.com/QwenLM/Qwen3-TTS"),
                installed=True,
                version=__version__,
                voices=[_voice(voice, catalog) for voice in catalog.offered],
                supports_synthesize_streaming=streaming,
            )
        ]
    )


def _voice(voice: Voice, catalog: VoiceCatalog) -> TtsVoice:
    styles = [each.style.name for each in catalog.styles_of(voice) if each.style is not None]
    return TtsVoice(
        name=voice.name,
        description=sortable_description(
            voice, chosen=catalog.is_default_configured and voice.name == catalog.default.name
        ),
        attribution=Attribution(name=voice.attribution.name, url=voice.attribution.url),
        installed=True,
        version=voice.version,
        languages=list(voice.languages),
        speakers=[TtsVoiceSpeaker(name) for name in styles] or None,
    )


def sortable_description(voice: Voice, *, chosen: bool = False) -> str:
    """Return the description of ``voice``, beginning so that it sorts by rank. ``chosen``: it is the default.

    A style follows a colon, which sorts after the space or comma that follows the name in the description
    of the voice without a style.
    """
    name, rest = _parts(voice)
    style = f": {voice.style.name}" if voice.style is not None else ""
    text = f"{name}{style}{rest}"
    if chosen:
        return DEFAULT + text
    if voice.rank:
        return (SECOND if voice.rank == 1 else LAST) + text
    text = text[:1].upper() + text[1:]
    return text if _SORTS_FIRST.match(text) else f"Voice {text}"


def _parts(voice: Voice) -> tuple[str, str]:
    """Return the name that the description of ``voice`` begins with, and the rest of the description.

    A last resort may begin with its language instead of its name; other descriptions get the name prepended.
    """
    name, description = voice.speaker, voice.description
    start = description[: len(name)]
    if name_key(start) != name_key(name):
        match = _LANGUAGE.match(description) if voice.rank > 1 else None
        if match is None:
            return name, f" ({description})" if description else ""
        start = match[0]
    rest = description[len(start) :].strip()
    if rest[:1] in {":", ";", ","}:
        return start, f", {rest[1:].strip()}"
    return start, f" {rest}" if rest else ""
