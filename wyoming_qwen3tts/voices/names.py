"""Names that come with the house: what counts in one, OpenAI's voices, and what languages are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ..engines.qwen3.engine import DESIGNED
from ..engines.qwen3.speakers import SPEAKERS
from ..speech import LANGUAGES as SPOKEN
from ..speech import base_language
from ..text.language_tags import NAMES

OPENAI = {
    "alloy": ("Serena", "Vivian", "Sohee"),
    "ash": ("Ryan", "Aiden"),
    "ballad": ("Aiden", "Ryan"),
    "cedar": ("Ryan", "Uncle Fu"),
    "coral": ("Sohee", "Serena", "Vivian"),
    "echo": ("Aiden", "Ryan"),
    "fable": ("Aiden", "Ryan"),
    "marin": ("Serena", "Sohee", "Vivian"),
    "nova": ("Vivian", "Ono Anna", "Serena"),
    "onyx": ("Uncle Fu", "Ryan"),
    "sage": ("Serena", "Sohee"),
    "shimmer": ("Ono Anna", "Vivian", "Sohee"),
    "verse": ("Ryan", "Aiden"),
}
"""OpenAI's voices, which clients ask for without looking, and the Qwen3-TTS speakers most like them.

By sex and timbre, as the two model cards describe them, the likest first.
"""

RESERVED = (*(name.replace("_", " ").title() for name in SPEAKERS), DESIGNED, "heart")
"""Names of voices that come with models and packages: nobody's own voice can have them."""

LANGUAGES = {tag: NAMES[tag] for tag in SPOKEN}
"""Language (BCP 47) → its names, the one its speakers use first."""

LONGEST = 120
"""Characters of a name that are looked at for the names in it: a voice (50), a style (40), a language."""

SHOWN = 80
"""Characters of a name that a message shows, whoever made it up."""

_TAG = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{2,8})*")
_BETWEEN = re.compile(r"[\W_]+")


def key(name: str) -> str:
    """Return what counts in a name: letters, their marks, digits and symbols of any script, in no case.

    Of a name that has none of these, everything counts.
    """
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(character for character in name if unicodedata.category(character)[0] in "LMNS") or name


def brief(name: str) -> str:
    """Return ``name`` as a message shows it: on one line, no longer than SHOWN, nothing in it invisible."""
    start = "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:SHOWN])
    return start if len(name) <= SHOWN else f"{start[:-1]}…"


def autonym(tag: str) -> str:
    """Return what its speakers call a language (BCP 47); the tag itself for one that has no name here."""
    return LANGUAGES.get(base_language(tag), (tag,))[0]


def language(name: str) -> str | None:
    """Return the language (BCP 47) called ``name``: a tag, its English name, or its own; None if none is."""
    if _TAG.fullmatch(name) and base_language(name) in LANGUAGES:
        return name.replace("_", "-")
    return _LANGUAGES.get(key(name))


def two_names(name: str) -> Iterator[tuple[str, str]]:
    """Yield every way to read ``name`` as two names, such as ``Ryan`` and ``calm`` of ``ryan-calm``."""
    for between in _BETWEEN.finditer(name[:LONGEST]):
        first, second = name[: between.start()], name[between.end() :].rstrip(" )]-_·.")
        if first and second:
            yield first, second


_LANGUAGES = {key(name): tag for tag, names in LANGUAGES.items() for name in names}
