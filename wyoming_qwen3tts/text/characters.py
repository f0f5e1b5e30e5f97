"""Unusual characters: invisible ones, decoration and emoji are removed, compatibility forms replaced."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from ..speech import base_language

_ARROWS = {"\u27a1": "→", "\u2b05": "←", "\u2b06": "↑", "\u2b07": "↓", "\u2b95": "→"}
_MARKS = {"\u203c": "!!", "\u2049": "!?", "\U0001f51f": "10"}
_LETTERS = (
    "\ufb00-\ufb06\u2160-\u217f\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
    "\uff05\uff0b\uff1d\uff20\uff04\uffe0-\uffe6"
)
_SQUARED = (
    "\u2100-\u214f\u3200-\u321e\u3260-\u327e\u3300-\u33ff\u32c0-\u32cb"
    "\u2460-\u2473\u24b6-\u24ea\U0001d400-\U0001d7ff"
)
_KANA = "\uff61-\uffdc"
_NEGATIVE_CIRCLED = "\u2776-\u2793\u24eb-\u24fe"
_KEPT = set("ℓ№℗℠™℡℻⅍℮ℵℶℷℸ")
"""Compatibility characters that normalization handles itself."""
_INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060\u2063-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff0-\ufff8\ufffc\ufffd\ue000-\uf8ff\ud800-\udfff\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_JOINERS = "\u200c\u200d"
_SPACES = "\t\x0b\x0c\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_LINES = "\r\x85\u2028\u2029"
_DECORATION = "\u2022\u2023\u2043\u203b\u2500-\u266c\u2670-\u27bf\u2b00-\u2bff"
_PICTURES = "\U0001f000-\U0001faff\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u3297\u3299"

_UNUSUAL = re.compile(
    f"[{_LETTERS}{_SQUARED}{_KANA}{_NEGATIVE_CIRCLED}{_INVISIBLE}{_JOINERS}{_SPACES}{_LINES}{_DECORATION}{_PICTURES}"
    "\u20e3\u203c\u2049]"
)
_TWINS = re.compile(f"[{_KANA}]+|[{_LETTERS}{_SQUARED}{_NEGATIVE_CIRCLED}{''.join(_ARROWS | _MARKS)}]\ufe0f?")
_KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")
_TONE = "[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
_PICTURE = f"[{_PICTURES}{_DECORATION}]{_TONE}"
_EMOJI = re.compile(f"[\U0001f1e6-\U0001f1ff]{{2}}|{_PICTURE}(?:\u200d(?:{_PICTURE}|[♀♂]\ufe0f?))*")
_HIDDEN = re.compile(
    f"[{_INVISIBLE}]|(?<![^\\W\\d_a-zA-Z]|[^\\x00-\u0300\\s])[{_JOINERS}]|[{_JOINERS}](?![^\\W\\d_a-zA-Z])"
)
_LINE = re.compile("\r\n|[\r\x85\u2028\u2029]")
_SPACE = re.compile(f"[{_SPACES}]")

REMOVED_MARK = "\x00"
"""Replaces what was removed between words; ``markup`` turns it into a space, or into nothing."""


def has_only_plain_characters(text: str) -> bool:
    """Tell whether ``simplify_characters`` would return the same text."""
    return (text.isascii() and text.isprintable()) or not _UNUSUAL.search(text)


def simplify_characters(text: str, *, emoji: str, lang: str) -> str:
    """Return ``text`` in usual characters, with ``REMOVED_MARK`` in place of decoration.

    ``emoji``: "name" replaces emoji by their names in the language ``lang``, "drop" removes them.
    """
    text = _LINE.sub("\n", _KEYCAP.sub(r"\1", text))
    text = _TWINS.sub(_replace_with_plain_form, text)
    text = _EMOJI.sub(lambda match: _name_emoji(match[0], lang) if emoji == "name" else REMOVED_MARK, text)
    return _SPACE.sub(" ", _HIDDEN.sub(lambda match: "" if match[0] != REMOVED_MARK else REMOVED_MARK, text))


def _replace_with_plain_form(match: re.Match[str]) -> str:
    """Return the plain form of a compatibility character, or of a run of half-width kana."""
    character = match[0].rstrip("\ufe0f")
    if "\uff61" <= character[0] <= "\uffdc":
        return unicodedata.normalize("NFKC", character)
    if character in _ARROWS or character in _MARKS:
        return (_ARROWS | _MARKS)[character]
    if "\u2776" <= character <= "\u2793" or "\u24eb" <= character <= "\u24fe":
        return str(int(unicodedata.numeric(character)))
    return "".join(_decompose(part) for part in character)


@cache
def _decompose(character: str) -> str:
    """Return the compatibility decomposition; raised digits stay raised: ㎡ is m²."""
    kind, *codes = unicodedata.decomposition(character).split() or [""]
    if character in _KEPT or kind in {"", "<super>", "<fraction>", "<sub>"}:
        return character
    if not kind.startswith("<"):
        codes = [kind, *codes]
    return "".join(_decompose(chr(int(code, 16))) for code in codes)


def _name_emoji(sequence: str, lang: str) -> str:
    """Return the name of an emoji in ``lang``, else in English; ``REMOVED_MARK`` for decoration."""
    import emoji  # half a megabyte of names, loaded only if emoji are named

    base = base_language(lang)
    known = base if base in emoji.LANGUAGES else "en"
    # Without its variation selector a sign is decoration by default; the table has both forms.
    for written in (sequence, sequence + "\ufe0f", sequence.replace("\ufe0f", "")):
        if emoji.is_emoji(written):
            name = emoji.demojize(written, language=known, delimiters=("", ""))
            return f" {' '.join(name.replace('_', ' ').split())} " if name != written else REMOVED_MARK
    return REMOVED_MARK
