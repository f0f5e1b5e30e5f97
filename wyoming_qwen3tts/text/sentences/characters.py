"""Classes of characters that end, close or open a sentence, and the width of a text."""

from __future__ import annotations

import re

STOP_CHARACTERS = ".!?…⋯‽⁇⁈⁉؟۔।॥։።။"
CJK_STOP_CHARACTERS = "。！？｡．"
WAVE_DASHES = "～〜"
NO_SPACE_STOPS = CJK_STOP_CHARACTERS + "।॥។။።"
"""Stops after which a sentence may begin without a space."""
UNAMBIGUOUS_STOPS = NO_SPACE_STOPS + "!?‽⁇⁈⁉؟۔"
"""Stops that end a sentence even before a small letter."""
INVERTED_MARKS = ("¿", "¡")
CLOSING_MARKS = "\"')]}»«”’“‘›‹」』）》】〕〉*_~`"
OPENING_MARKS = "\"'([{«»“‘„‚‹「『（【*_~`"
SENTENCE_OPENERS = "\"'([{«»“‘„‚‹「『（【¿¡"
QUOTATION_MARKS = "\"'»«”’“‘›‹」』》〉"
EMOJI = (
    "[\u2600-\u2604\u2606-\u2793\u231a\u231b\u23e9-\u23fa\u2b50\u2b55\U0001f000-\U0001faff"
    "\U000e0020-\U000e007f\u200d\ufe0f\u20e3]"
)
_WIDE_CHARACTERS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WIDE_CHARACTER = re.compile(f"[{_WIDE_CHARACTERS}]")


def is_caseless(character: str) -> bool:
    """Tell whether a character is a letter of a script without capitals."""
    return character.isalpha() and not character.isupper() and not character.islower()


def index_at_width(text: str, count: int) -> int:
    """Return the index at which ``text`` reaches a width of ``count``; wide characters count twice."""
    if text.isascii() or not WIDE_CHARACTER.search(text, 0, count):
        return count
    index = 0
    for character in text[:count]:
        count -= 2 if WIDE_CHARACTER.match(character) else 1
        if count < 0:
            return index
        index += 1
    return index + count


def reduce_gap(gap: re.Match[str]) -> str:
    """Return a gap between words as a space, a line break, or a paragraph break."""
    breaks = gap[0].count("\n") + gap[0].count("\u2028") + 2 * gap[0].count("\u2029")
    return ("\n\n" if breaks > 1 else "\n") if breaks else " "


def to_one_line(sentence: str) -> str:
    """Return a sentence with its line breaks as spaces."""
    return sentence.replace("\n\n", " ").replace("\n", " ").strip()
