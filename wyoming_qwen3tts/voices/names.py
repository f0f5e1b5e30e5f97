"""Names of voices and languages: how they are compared, checked and shown; names that are predefined."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ..engines.qwen3.engine import DESIGNED
from ..engines.qwen3.speakers import SPEAKERS
from ..speech import LANGUAGES, SpeechError, base_language
from ..text.language_tags import NAMES

OPENAI_VOICES = {
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
"""Voices of OpenAI's API, which many clients request → similar Qwen3-TTS speakers, the most similar first.

By sex and timbre, as the two model cards describe them.
"""

RESERVED_NAMES = (*(name.replace("_", " ").title() for name in SPEAKERS), DESIGNED, "heart")
"""Names of voices of models and packages, which no custom voice can have."""

LANGUAGE_NAMES = {tag: NAMES[tag] for tag in LANGUAGES}
"""Language (BCP 47) → its names, the one in the language itself first."""

LONGEST_NAME = 50
"""Characters of a custom voice's name: 200 bytes at most, of the 255 that file systems allow."""
LONGEST_SPLIT = 120
"""Characters of a name that are searched for two names: a voice (50), a style (40), a language."""
LONGEST_SHOWN = 80
"""Characters of a name of any origin that a message shows."""

_TAG = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{2,8})*")
_SEPARATOR = re.compile(r"[\W_]+")
_ALLOWED = (
    f"a name has 1 to {LONGEST_NAME} letters, digits, spaces, hyphens, underscores or apostrophes, at least "
    "one of them a letter or digit, and no space or hyphen at either end"
)


class InvalidNameError(SpeechError):
    """A custom voice cannot have a name; the message says which names are allowed."""

    code = "bad-name"


def name_key(name: str) -> str:
    """Return the key by which names are compared: letters, marks, digits and symbols, without case.

    A name without any of these is its own key.
    """
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(character for character in name if unicodedata.category(character)[0] in "LMNS") or name


def printable(name: str) -> str:
    """Return ``name`` with U+FFFD instead of characters that are not printable, such as line breaks."""
    return "".join(character if character.isprintable() else "\ufffd" for character in name)


def shorten(name: str) -> str:
    """Return ``name`` for a message: printable, at most LONGEST_SHOWN characters."""
    start = printable(name[:LONGEST_SHOWN])
    return start if len(name) <= LONGEST_SHOWN else f"{start[:-1]}…"


def check_name(name: str) -> str:
    """Return the name of a custom voice in NFC. Raises InvalidNameError, which says what is allowed."""
    # A name far over the limit is not normalized: NFC seldom shortens, and at most to a third.
    name = unicodedata.normalize("NFC", name) if len(name) <= 4 * LONGEST_NAME else name
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidNameError(f"a voice cannot have a name of {len(name):,} characters: {_ALLOWED}")
    kinds = [unicodedata.category(letter)[0] for letter in name]
    is_allowed = all(kind in "LNM" or letter in " -_'’" for kind, letter in zip(kinds, name, strict=True))
    if not is_allowed or not {"L", "N"} & set(kinds) or name[0] in " -" or name[-1] in " -":
        raise InvalidNameError(f"a voice cannot be called {printable(name)!r}: {_ALLOWED}")
    if name_key(name).startswith("espeak"):
        raise InvalidNameError(
            f"a voice cannot be called {name!r}: names that begin with espeak are reserved for its voices"
        )
    return name


def autonym(tag: str) -> str:
    """Return a language's name in the language itself; the tag (BCP 47) if it is none of LANGUAGES."""
    return LANGUAGE_NAMES.get(base_language(tag), (tag,))[0]


def find_language(name: str) -> str | None:
    """Return the tag (BCP 47) of the language called ``name``, which may be a tag too; None if unknown."""
    if _TAG.fullmatch(name) and base_language(name) in LANGUAGE_NAMES:
        return name.replace("_", "-")
    return _LANGUAGES_BY_NAME.get(name_key(name))


def split_name(name: str) -> Iterator[tuple[str, str]]:
    """Yield every way to split ``name`` into two names, such as ``Ryan`` and ``calm`` from ``ryan-calm``."""
    for separator in _SEPARATOR.finditer(name[:LONGEST_SPLIT]):
        first, second = name[: separator.start()], name[separator.end() :].rstrip(" )]-_·.")
        if first and second:
            yield first, second


_LANGUAGES_BY_NAME = {name_key(name): tag for tag, names in LANGUAGE_NAMES.items() for name in names}
