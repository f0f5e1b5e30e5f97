"""The speakers of the CustomVoice checkpoints, and the model's languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
