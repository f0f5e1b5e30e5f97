"""The script of a text, and the languages that are written in it."""

from __future__ import annotations

import unicodedata
from collections import Counter

from ..speech import base_language

LATIN = "LATIN"

LANGUAGES_OF_SCRIPT = {
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "HANGUL": ("ko",),
    "CJK": ("zh", "ja", "yue", "hak"),
    "CYRILLIC": ("ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "tt", "ba", "cv", "nog"),
    "ARABIC": ("ar", "fa", "ur", "sd", "ug", "ku"),
    "HEBREW": ("he",),
    "GREEK": ("el", "grc"),
    "DEVANAGARI": ("hi", "mr", "ne", "kok"),
    "BENGALI": ("bn", "as", "bpy"),
    "GURMUKHI": ("pa",),
    "GUJARATI": ("gu",),
    "ORIYA": ("or",),
    "TAMIL": ("ta",),
    "TELUGU": ("te",),
    "KANNADA": ("kn",),
    "MALAYALAM": ("ml",),
    "SINHALA": ("si",),
    "THAI": ("th",),
    "MYANMAR": ("my", "shn"),
    "GEORGIAN": ("ka",),
    "ARMENIAN": ("hy", "hyw"),
    "ETHIOPIC": ("am",),
}
"""Script (as Unicode names its letters) → languages written in it, the most spoken first."""

_SCRIPT_OF = {language: script for script, languages in LANGUAGES_OF_SCRIPT.items() for language in languages}


def detect_script(text: str) -> str:
    """Return the script of most letters of ``text``; ``LATIN`` if there are none.

    Kana anywhere makes Han characters Japanese, as no other language mixes them.
    """
    counts: Counter[str] = Counter()
    for character in unicodedata.normalize("NFKC", text):
        if character.isalpha():
            counts[unicodedata.name(character, LATIN).split("-")[0].split()[0]] += 1
    kana = counts["HIRAGANA"] + counts["KATAKANA"]
    if kana:
        counts["HIRAGANA"] = kana + counts.pop("CJK", 0)
        counts.pop("KATAKANA", None)
    return max(counts, key=lambda name: counts[name]) if counts else LATIN


def can_read(language: str, written: str) -> bool:
    """Tell whether a voice for ``language`` (a BCP 47 tag) can read the script ``written``.

    Latin letters are read in every language: units, names and abbreviations are.
    """
    if written == LATIN:
        return True
    base = base_language(language)
    return base in LANGUAGES_OF_SCRIPT.get(written, ()) or _SCRIPT_OF.get(base) == written


def has_words(text: str) -> bool:
    """Tell whether there is a letter or a digit of any script."""
    return any(character.isalnum() for character in text)
