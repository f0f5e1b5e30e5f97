"""The speakers of the CustomVoice checkpoints, the model's languages, and its voices, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...speech import Attribution, CustomVoice, Voice, base_language
from ..base import EngineUnavailableError

URL = "https://github.com/QwenLM/Qwen3-TTS"
AUTO = "auto"
"""What the model calls a language that it is to hear from the text."""

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
"""The model's names of languages, and what clients call them."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """What the model card says about a speaker."""

    language: str
    """Its mother tongue, in the model's own name; it speaks the others too."""
    sound: str
    """A few words, for people."""
    dialect: str = ""
    """Of its mother tongue, where it speaks one."""


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
"""From the model card of Qwen3-TTS-12Hz CustomVoice, in the order they are offered.

Of each language that is the order in which Home Assistant lists them, by the alphabet: a pipeline then begins
with the same voice whether Home Assistant chooses or the server does.
"""


def mother_tongue(speaker: str) -> str:
    """Return the model's name of a speaker's language; ``english`` for one nobody has described."""
    known = SPEAKERS.get(speaker)
    return known.language if known else "english"


def ordered(speakers: Sequence[str]) -> list[str]:
    """Return a checkpoint's speakers in the order they are offered; those nobody has described come last."""
    known = list(SPEAKERS)
    return sorted(speakers, key=lambda name: known.index(name) if name in SPEAKERS else len(known))


def title(speaker: str) -> str:
    """Return what people call a speaker: ``Uncle Fu`` for ``uncle_fu``."""
    return speaker.replace("_", " ").title()


def language(tag: str, known: Sequence[str] = tuple(TAGS)) -> str:
    """Return the model's name of a BCP 47 language, AUTO where it has none."""
    primary = base_language(tag)
    for name, own in TAGS.items():
        if base_language(own) == primary and name in known:
            return name
    return AUTO


@dataclass(frozen=True, slots=True)
class SpeakerModel:
    """A model that speaks, wherever it runs."""

    engine: str
    name: str
    """What the engine calls it."""
    about: str
    """What it is, for people."""
    languages: Sequence[str] = tuple(TAGS)
    """In its own names."""
    supports_instructions: bool = False

    def voice(self, name: str, description: str, language: str = "english", **more: Any) -> Voice:
        """Return a voice of the model, whose mother tongue is ``language``, in the model's own name."""
        names = sorted((name for name in self.languages if name in TAGS), key=lambda known: known != language)
        return Voice(
            name,
            description,
            tuple(TAGS[known] for known in names),
            self.engine,
            Attribution(self.about, URL),
            model=self.name,
            supports_instructions=self.supports_instructions,
            **more,
        )

    def speaker(self, speaker: str, shown: str) -> Voice:
        """Return a speaker as a voice called ``shown``."""
        known = SPEAKERS.get(speaker)
        dialect = f", {known.dialect}" if known and known.dialect else ""
        sound = f": {known.sound}{dialect}" if known else ""
        return self.voice(
            shown,
            f"{shown}{sound} ({self.about})",
            mother_tongue(speaker),
            accented=True,
            rank=1 if dialect else 0,
        )

    def clone(self, recorded: CustomVoice) -> Voice:
        """Return a recording as a voice of the model. Raises EngineUnavailableError for its language."""
        name, tag, description = recorded.name, recorded.language, recorded.description
        own = language(tag, self.languages) if tag else AUTO
        if tag and own == AUTO:
            raise EngineUnavailableError(f"{self.about} does not speak {tag}")
        made = f"{'designed' if recorded.designed else 'cloned'}, {self.about}"
        return self.voice(
            name,
            f"{name}{f': {description}' if description else ''} ({made})",
            own if tag else "english",
            accented=bool(tag),
            seed=recorded.seed,
            reference=recorded.reference,
            designed=bool(recorded.designed),
        )
