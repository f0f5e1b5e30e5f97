"""Speakers of the CustomVoice checkpoints, languages of the model, and its voices, local or remote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...speech import Attribution, CustomVoice, Voice, base_language
from ..base import EngineUnavailableError

URL = "https://github.com/QwenLM/Qwen3-TTS"
LICENSE = "Apache-2.0"
"""Of the published weights, and of the official package."""
AUTO = "auto"
"""The model's name for a language that it detects from the text."""

TAGS = {
    "chinese": "zh-CN",
    "english": "en-US",
    "japanese": "ja-JP",
    "korean": "ko-KR",
    "german": "de-DE",
    "french": "fr-FR",
    "russian": "ru-RU",
    "portuguese": "pt-BR",
    "spanish": "es-ES",
    "italian": "it-IT",
}
"""The model's names of languages → BCP 47."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker as the model card describes it."""

    language: str
    """Native language, in the model's name; it speaks the others too."""
    description: str
    """A few words, for users."""
    dialect: str = ""
    """Dialect of the native language; empty for none."""


SPEAKERS = {
    "aiden": Speaker("english", "sunny American man, clear"),
    "ryan": Speaker("english", "energetic man, strong rhythm"),
    "serena": Speaker("chinese", "gentle young woman, warm"),
    "uncle_fu": Speaker("chinese", "seasoned man, low and mellow"),
    "vivian": Speaker("chinese", "bright young woman, a little edgy"),
    "dylan": Speaker("chinese", "young man from Beijing, clear", "Beijing dialect"),
    "eric": Speaker("chinese", "lively man from Chengdu, slightly husky", "Sichuan dialect"),
    "ono_anna": Speaker("japanese", "playful woman, light and nimble"),
    "sohee": Speaker("korean", "warm woman, full of feeling"),
}
"""From the model card of Qwen3-TTS-12Hz CustomVoice, in the order in which they are listed.

Within a language the order is alphabetical, as in Home Assistant: the default voice of a pipeline is then the
same whether Home Assistant or the server chooses it.
"""


def native_language(speaker: str) -> str:
    """Return the model's name of a speaker's native language; ``english`` for an unknown speaker."""
    known = SPEAKERS.get(speaker)
    return known.language if known else "english"


def sort_by_preference(speakers: Sequence[str]) -> list[str]:
    """Return a checkpoint's speakers in the order in which they are listed; unknown ones come last."""
    known = list(SPEAKERS)
    return sorted(speakers, key=lambda name: known.index(name) if name in SPEAKERS else len(known))


def display_name(speaker: str) -> str:
    """Return a speaker's name for users: ``Uncle Fu`` for ``uncle_fu``."""
    return speaker.replace("_", " ").title()


def to_model_language(tag: str, known: Sequence[str] = tuple(TAGS)) -> str:
    """Return the model's name of a BCP 47 language; AUTO where it has none."""
    primary = base_language(tag)
    for name, own in TAGS.items():
        if base_language(own) == primary and name in known:
            return name
    return AUTO


@dataclass(frozen=True, slots=True)
class SpeakerModel:
    """A Qwen3-TTS model, local or remote, as a source of voices."""

    engine: str
    name: str
    """Its name in the engine."""
    model_description: str
    """Its name for users."""
    languages: Sequence[str] = tuple(TAGS)
    """In the model's names."""
    supports_instructions: bool = False

    def voice(self, name: str, description: str, language: str = "english", **more: Any) -> Voice:
        """Return a voice of the model; ``language``: its native language, in the model's name."""
        names = sorted((name for name in self.languages if name in TAGS), key=lambda known: known != language)
        return Voice(
            name,
            description,
            tuple(TAGS[known] for known in names),
            self.engine,
            Attribution(self.model_description, URL, LICENSE),
            model=self.name,
            supports_instructions=self.supports_instructions,
            **more,
        )

    def speaker(self, speaker: str, shown: str) -> Voice:
        """Return a speaker as a voice; ``shown``: its name."""
        known = SPEAKERS.get(speaker)
        dialect = f", {known.dialect}" if known and known.dialect else ""
        description = f": {known.description}{dialect}" if known else ""
        return self.voice(
            shown,
            f"{shown}{description} ({self.model_description})",
            native_language(speaker),
            accented=True,
            rank=1 if dialect else 0,
        )

    def clone(self, recorded: CustomVoice) -> Voice:
        """Return a recording as a voice of the model.

        Raises EngineUnavailableError where the model does not speak its language.
        """
        name, tag, description = recorded.name, recorded.language, recorded.description
        own = to_model_language(tag, self.languages) if tag else AUTO
        if tag and own == AUTO:
            raise EngineUnavailableError(f"{self.model_description} does not speak {tag}")
        made = f"{'designed' if recorded.designed else 'cloned'}, {self.model_description}"
        return self.voice(
            name,
            f"{name}{f': {description}' if description else ''} ({made})",
            own if tag else "english",
            accented=bool(tag),
            seed=recorded.seed,
            reference=recorded.reference,
            designed=bool(recorded.designed),
        )
