"""What the service tells about itself: voices as a Wyoming ``Info``."""

from __future__ import annotations

from collections.abc import Sequence

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice

from .. import __version__
from ..speech import Voice

PROGRAM = "qwen3-tts"
"""Home Assistant names its entity after the program, so this never changes."""


def describe(voices: Sequence[Voice], *, streaming: bool) -> Info:
    """Return the answer to ``describe``.

    Home Assistant skips a voice without a language or not ``installed``, and takes the first of a language.
    """
    return Info(
        tts=[
            TtsProgram(
                name=PROGRAM,
                description="Qwen3-TTS for the home, with a built-in voice that needs no GPU",
                attribution=Attribution(name="Qwen team, Alibaba", url="https://github.com/QwenLM/Qwen3-TTS"),
                installed=True,
                version=__version__,
                voices=[_voice(voice) for voice in voices],
                supports_synthesize_streaming=streaming,
            )
        ]
    )


def _voice(voice: Voice) -> TtsVoice:
    return TtsVoice(
        name=voice.name,
        description=voice.description,
        attribution=Attribution(name=voice.attribution.name, url=voice.attribution.url),
        installed=True,
        version=voice.version,
        languages=list(voice.languages),
    )
