"""Whether a sentence ends at a full stop or a line break, judged by the text around it."""

from __future__ import annotations

import re
from typing import NamedTuple

from .. import citations
from .abbreviations import JOINERS, STARTERS, WordKind, classify_word, continues_sentence, is_roman_numeral
from .characters import (
    CJK_STOP_CHARACTERS,
    CLOSING_MARKS,
    EMOJI,
    INVERTED_MARKS,
    NO_SPACE_STOPS,
    OPENING_MARKS,
    QUOTATION_MARKS,
    STOP_CHARACTERS,
    WAVE_DASHES,
    WIDE_CHARACTER,
    is_caseless,
)

LOOKAHEAD = 40
"""The most characters that a decision looks ahead, so that every decision is made."""
_SHORT_LINE = 50
"""A line without a stop of at most this length ends a sentence if the next line begins one."""
_SHORT_LINE_CASELESS = 30
"""The same in scripts without capitals."""
_CLOSING = re.compile(rf"(?:[{re.escape(CLOSING_MARKS)}]|{EMOJI}|<<|>>|{citations.SPACED_MARK}){{0,20}}")
_CLOSING_CJK = re.compile(rf"(?:[」』）》】〕〉”’\"')*_~`]|{EMOJI}){{0,20}}")
"""Chinese quotation marks have one direction: “ after a stop opens the next sentence."""
_SPACED_CLOSER = re.compile(r" (?:»|>>)(?=[\s,.;:!?…)]|\Z)")
_SPACED_EMOJI = re.compile(rf"(?: {EMOJI}{{1,20}}){{1,3}}")
_SPACED_MARK = re.compile(rf"(?: ?(?:{citations.SPACED_MARK})){{1,6}}")
_MARK_BEGUN = re.compile(rf"(?: ?(?:{citations.SPACED_MARK})){{0,6}} ?(?:[<>]|{citations.MARK_BEGUN})?\Z")
_OPENING = re.compile(rf"[\s{re.escape(OPENING_MARKS)}—–-]*")
NEXT_WORD_PATTERN = re.compile(r"[\w'’]+")
_ITEM = re.compile(r"(?:[-*+•‣◦▪▫·●○■□◆☐☑☒✓✔✗✘➜➤►→]|\d{1,3}[.)]|\(?[a-zA-Z\d]{1,2}\))\s|・")

_LAST_CASELESS = re.compile(r"[^\W\d_]+|^")
AFTER_WAVE_DASH = "的了哦啊呀呢吧吗嘛哈啦哟喔噢耶诶嗨呗好ねよすなわぞさたい"
_NO_PROSE = frozenset("js com net org io py md txt de ai app dev yaml json html".split())
"""Words that do not begin a sentence right after a full stop, even capitalized."""


class NextWord(NamedTuple):
    """The word after a stop."""

    kind: str
    """"small" or "capital" letter, letter "caseless", "digit", "other", or "nothing"."""
    word: str | None
    """None while the text may still extend the word."""
    end: int


def find_next_word(text: str, end: int, *, final: bool) -> NextWord | None:
    """Return the first word after ``end``, without quotes and dashes; None if it has not arrived yet."""
    view = text[: end + LOOKAHEAD]
    whole = final or len(text) >= end + LOOKAHEAD
    opening = _OPENING.match(view, end)
    assert opening is not None
    start = opening.end()
    if start >= len(view):
        return NextWord("nothing", "", start) if whole else None
    first = view[start]
    found = NEXT_WORD_PATTERN.match(view, start)
    stop = found.end() if found else start + 1
    word = view[start:stop] if whole or stop < len(view) or not found else None
    if first in INVERTED_MARKS:
        return NextWord("capital", first, stop)
    if first.isdigit():
        return NextWord("digit", word, stop)
    if first.islower():
        if start + 1 == len(view) and not whole:
            return None
        return NextWord("capital" if view[start + 1 : start + 2].isupper() else "small", word, stop)
    if first.isupper():
        return NextWord("capital", word, stop)
    return NextWord("caseless" if first.isalpha() else "other", word, stop)


def abbreviation_ends_before(what: WordKind, key: str, following: NextWord) -> bool:
    """Tell whether an abbreviation ends its sentence before ``following``."""
    word = re.split("['’]", following.word or "")[0]
    if following.kind == "small":
        return what is WordKind.NUMERIC
    if following.kind == "digit":
        return what is WordKind.LAST
    if following.kind == "capital":
        if what is WordKind.NUMERIC:
            return not is_roman_numeral(word)
        if what is WordKind.LAST:
            return not continues_sentence(key, word)
        return what is WordKind.DATE or word in STARTERS
    return what is not WordKind.WEAK


def line_ends_before(line: str, following: NextWord) -> bool:
    """Tell whether a line without a stop is a sentence, given the beginning of the next line."""
    last = line[-1:]
    if following.kind == "small" or last in ",;，、；-–—/&(+=،":
        return False
    if _ITEM.match(line):
        return True
    if last in STOP_CHARACTERS or following.kind == "digit":
        return False
    length = len(line) + len(WIDE_CHARACTER.findall(line))
    if following.kind == "capital":
        return length <= _SHORT_LINE and (":" in line or line.rpartition(" ")[2].lower() not in JOINERS)
    return length <= _SHORT_LINE_CASELESS


def begins_with_word(view: str) -> bool:
    """Tell whether a line begins with a word, and not with the letter of a list item."""
    return len(view) > 2 and view[0].isalpha() and ")" not in view[1:3]


def extend_over_closing_marks(text: str, end: int, *, final: bool) -> int | None:
    """Return the end of the closing marks, citations and emoji that belong to the stop before ``end``.

    None if more of them may arrive.
    """
    closing = (_CLOSING_CJK if text[end - 1] in CJK_STOP_CHARACTERS else _CLOSING).match(text, end)
    assert closing is not None
    end = closing.end()
    if final and end == len(text):
        return end
    if not final and (end == len(text) or _MARK_BEGUN.match(text, end)):
        return None
    if mark := _SPACED_MARK.match(text, end):
        return extend_over_closing_marks(text, mark.end(), final=final)
    if text[end] != " ":
        return end
    if not final and (end + 1 == len(text) or text[end + 1 :] in {"»", ">", ">>"}):
        return None
    if closer := _SPACED_CLOSER.match(text, end):
        return extend_over_closing_marks(text, closer.end(), final=final)
    emoji = _SPACED_EMOJI.match(text, end)
    if emoji is None:
        return end
    return None if not final and text[emoji.end() :] in {"", " "} else emoji.end()


def find_last_words(text: str) -> list[str]:
    """Return the last words of ``text``, up to four, without opening marks; the last may be empty."""
    words = re.split(r"[ \n]", text[-4 * LOOKAHEAD :])[-4:]
    return [word.lstrip(OPENING_MARKS + "¿¡") for word in words]


def is_code_fence(line: str) -> bool:
    """Tell whether a line begins or ends a block of code."""
    return line.startswith(_FENCES) and line[:3] not in line[3:].lstrip("`~")


_FENCES = ("```", "~~~")


def ends_without_space(
    text: str, at: int, stops: str, closers: str, end: int, language: str | None, *, final: bool
) -> bool | None:
    """Tell whether a sentence ends with stops that are followed by other text without a space."""
    before, after = text[at - 1], text[end]
    if not set(stops) - set(WAVE_DASHES):
        return before in AFTER_WAVE_DASH and not after.isdigit()
    if set(stops) & set(NO_SPACE_STOPS):
        return after not in "，、,；;：:" and not (closers and after in "とっ")
    if not set(stops) - set("…⋯") or (len(stops) > 1 and not stops.strip(".")):
        return is_caseless(after) and is_caseless(before) and len(_LAST_CASELESS.findall(text, 0, at)[-1]) > 2
    if set(closers) & set(QUOTATION_MARKS) and "가" <= after <= "힣":
        return False  # a Korean particle: "…"라고
    if after in "¿¡<" or (is_caseless(after) and (before.isalpha() or before in CLOSING_MARKS)):
        return True
    if closers and closers[-1] not in "”»" and closers[-1] in CLOSING_MARKS:
        return False
    return _lacks_space(text, at, stops, end, language, final=final)


def _lacks_space(
    text: str, at: int, stops: str, end: int, language: str | None, *, final: bool
) -> bool | None:
    """Tell whether a space is missing: "It is on.The door", but not "example.com" nor "Node.js"."""
    words = find_last_words(text[:at])
    word = words[-1].rstrip(CLOSING_MARKS)
    plain = len(word) > 1 and word.replace("-", "").replace("'", "").replace("’", "").isalpha()
    if not plain or not (text[end].isupper() or stops.endswith("!")):
        return False
    if stops[-1] in "!?":
        return text[end].isalpha()
    if not word[-1].islower() or classify_word(words, language)[0] is not WordKind.WORD:
        return False
    following = NEXT_WORD_PATTERN.match(text, end, end + LOOKAHEAD)
    assert following is not None
    rest = text[following.end() : following.end() + 2]
    if not final and following.end() < end + LOOKAHEAD and rest in {"", "."}:
        return None
    prose = following[0] in STARTERS or following[0][1:].islower()
    ended = rest in {"", "."} or rest[0] in " \n,;:!?)”»" or (rest[0] == "." and rest[1].isspace())
    return prose and ended and following[0].lower() not in _NO_PROSE
