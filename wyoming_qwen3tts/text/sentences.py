"""Cut text that arrives in pieces into sentences, as early as each is known to be complete.

Where text is cut depends on the text alone, never on how it was divided into pieces: every decision waits
until the characters it looks at are there, and looks at no more than it needs. "Done. N" is decided; "Done. "
may go on with an emoji that belongs to it, and "am 3. " with a month.

Lines: a blank line ends a sentence; so does the end of a heading, of a table's row, of a line of code and of
what ends with a colon, and the beginning of a list's item. Any other line break is a space, unless a short
line without a stop is followed by a capital, as in addresses, poems and lists without marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..speech import base_language
from . import citations
from .abbreviations import (
    AFTER_ORDINAL,
    BEFORE_ORDINAL,
    JOINERS,
    ORDINAL_LANGUAGES,
    SMALL_STARTERS,
    STARTERS,
    Kind,
    goes_on,
    is_roman,
    kind,
)

MAX_CHARACTERS = 200
"""Longer sentences are cut at a clause: a voice makes a sentence whole, so long ones sound late."""
MAX_CHARACTERS_CJK = 100
"""The same for Chinese and Japanese, whose characters take longer to say: each counts as two others."""
FIRST_CLAUSE_AFTER = 60
"""With ``first_clause``, a first sentence longer than this is cut at a clause."""
FIRST_CLAUSE_LEAST = 20
"""Its first part has at least as many characters: about four words."""
SHORT = 8
"""Characters up to which a sentence is spoken together with the next one; wide ones count twice."""

_AT_ONCE = 1024
"""Characters looked at together: a text may be long, and what is left is copied for every sentence."""
_LOOKAHEAD = 40
"""No decision looks further, so that none waits for ever."""
_SHORT_LINE = 50
"""A line without a stop, up to this long, ends a sentence if the next begins one."""
_SHORT_LINE_CASELESS = 30
"""The same in scripts without capitals."""

_ENDERS = ".!?…⋯‽⁇⁈⁉؟۔।॥։።။"
_CJK_ENDERS = "。！？｡．"
_WAVES = "～〜"
_WITHOUT_SPACE = _CJK_ENDERS + "।॥។။።"
"""After these a sentence may begin at once."""
_SURE = _WITHOUT_SPACE + "!?‽⁇⁈⁉؟۔"
"""These end a sentence even before a small letter."""
_INVERTED = ("¿", "¡")
_DASHES = ("-", "–", "—")
_LAST_CASELESS = re.compile(r"[^\W\d_]+|^")
_CLOSERS = "\"')]}»«”’“‘›‹」』）》】〕〉*_~`"
_EMOJI = (
    "[\u2600-\u2604\u2606-\u2793\u231a\u231b\u23e9-\u23fa\u2b50\u2b55\U0001f000-\U0001faff"
    "\U000e0020-\U000e007f\u200d\ufe0f\u20e3]"
)
_WIDE_CHARACTERS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_STOPS = re.compile(rf"[{re.escape(_ENDERS + _CJK_ENDERS + _WAVES)}]{{1,40}}")
_CLOSING = re.compile(rf"(?:[{re.escape(_CLOSERS)}]|{_EMOJI}|<<|>>|{citations.SPACED_MARK}){{0,20}}")
_CLOSING_CJK = re.compile(rf"(?:[」』）》】〕〉”’\"')*_~`]|{_EMOJI}){{0,20}}")
"""Chinese quotes are never the other way round, so that “ after a stop opens the next."""
_CANDIDATE = re.compile(rf"[{re.escape(_ENDERS + _CJK_ENDERS + _WAVES)}\n]")
_LINE_END = re.compile(r"\n")
_SPACED_CLOSER = re.compile(r" (?:»|>>)(?=[\s,.;:!?…)]|\Z)")
_SPACED_EMOJI = re.compile(rf"(?: {_EMOJI}{{1,20}}){{1,3}}")
_SPACED_MARK = re.compile(rf"(?: ?(?:{citations.SPACED_MARK})){{1,6}}")
_MARK_BEGUN = re.compile(rf"(?: ?(?:{citations.SPACED_MARK})){{0,6}} ?(?:[<>]|{citations.MARK_BEGUN})?\Z")
_OPEN = "\"'([{«»“‘„‚‹「『（【*_~`"
_OPENERS = "\"'([{«»“‘„‚‹「『（【¿¡"
_OPENING = re.compile(rf"[\s{re.escape(_OPEN)}—–-]*")
_WIDE = re.compile(f"[{_WIDE_CHARACTERS}]")
_WORD = re.compile(r"[\w'’]+")
_GAP = re.compile(r"\s+")
_UNEVEN_GAP = re.compile(r"[^\S ]|  ")
_AFTER_WAVE = "的了哦啊呀呢吧吗嘛哈啦哟喔噢耶诶嗨呗好ねよすなわぞさたい"
_NUMBER = re.compile(r"(?:\d+\.?[-–/])?(\d{1,3})")
_DAY_AND_MONTH = re.compile(r"(?:[0-2]?\d|3[01])\.(?:0?\d|1[0-2])")
_MARKER = re.compile(r"\d{1,3}|[a-zA-Z]|[IVX]+")
_MARKUP = " \n\"'([{#>*-+•_☐"
_QUOTES = "\"'»«”’“‘›‹」』》〉"
_NO_PROSE = frozenset("js com net org io py md txt de ai app dev yaml json html".split())
"""What is no word of a sentence right after a full stop, even with a capital."""
_FENCES = ("```", "~~~")

_BLOCK = re.compile(
    r"[-*+•‣◦▪▫·–—●○■□◆☐☑☒✓✔✗✘➜➤►→※]\s|\d{1,3}[.)]\s|\d{1,3}、|\(?[a-zA-Z\d]{1,2}\)\s|#{1,6}\s|\|"
    r"|```|~~~|>|・|[-*_=]{3,}\s|[①-⑳]|\[(?:[ xX]|\d{1,3})\]\s|</?\w"
)
"""What a line begins with that is no continuation of the line before."""
_ITEM = re.compile(r"(?:[-*+•‣◦▪▫·●○■□◆☐☑☒✓✔✗✘➜➤►→]|\d{1,3}[.)]|\(?[a-zA-Z\d]{1,2}\))\s|・")
_WHOLE_LINE = re.compile(r"#{1,6}\s|\||```|~~~|[-*_=]{3,}$")
_BLOCK_LENGTH = 8
"""Characters that tell whether a line begins with one."""

_CONJUNCTIONS = (
    "and or but because while although so when if und oder aber weil denn sondern wenn dass et ou mais car "
    "donc quand y o pero porque aunque cuando e ma perché quando mas porque и или но а потому что если когда "
    "그리고 하지만 그래서 또는 그러나 और या लेकिन"
).split()
_CLAUSES = (
    re.compile(r"[;:](?=\s)|[；：]"),
    re.compile(r"[,،](?=\s)|[，、]"),
    re.compile(r"(?=\s[-–—]\s)|—(?=\w)|——"),
    re.compile(
        rf"(?=\s(?:{'|'.join(_CONJUNCTIONS)})\s)|(?=但是|因为|所以|而且|然后|并且|或者)|(?:ので|から|けど)",
        re.I,
    ),
    re.compile(r"(?=\s)"),
)
"""Where a long sentence is cut, best first; each matches up to the last character of the first part."""
_DANGLING = re.compile(rf"\s(?:{'|'.join(_CONJUNCTIONS)})[,;:]$", re.I)
"""A conjunction that belongs to what comes after it: "…, and, …"."""
_FIRST_CLAUSE = re.compile(r"[,;:،](?=\s)|[，；：、]")
_HELD = re.compile(r"(?:\d|\b(?:No|Nr|Dr|Mr|Mrs|St|ca|z|d|т)\.|(?<!\d )[€$£№§#])$")
_HOLDING = re.compile(r"\s(?:\d|[^\W\d_]{1,3}\b|[°%€$£µ‰]|[–—-]\s?\d|\S{0,3}\Z)")
"""What a space stands between that is said in one breath: a number and its unit, thousands, a name."""


class SentenceSplitter:
    """Sentences from pieces of text; ``push`` what arrives, ``finish`` when nothing more will.

    ``lang`` is a BCP 47 tag; without one, what every language writes is understood, and doubts are settled by
    the words around. With ``first_clause`` a long first sentence is cut after its first clause.
    """

    def __init__(self, lang: str | None = None, *, first_clause: bool = False) -> None:
        self._language = base_language(lang) if lang else None
        self._first_clause = first_clause
        self._clear()

    def _clear(self) -> None:
        self._text = ""
        self._scanned = 0
        """Everything before this index is known to hold no end of a sentence."""
        self._line_start = True
        """The text's first character is its line's."""
        self._line = ""
        """What of the current line belongs to earlier sentences."""
        self._code = False
        """Inside a fence."""
        self._marker = 0
        """The last number that marked an item."""
        self._hurry = self._first_clause

    def push(self, piece: str) -> list[str]:
        """Add a piece of text; return the sentences that are now complete."""
        sentences = []
        for at in range(0, len(piece), _AT_ONCE):
            self._add(piece[at : at + _AT_ONCE])
            sentences += self._sentences(final=False)
        return sentences

    @property
    def begun(self) -> str:
        """What is known to belong to the next sentence; it only grows until that sentence is complete."""
        least = FIRST_CLAUSE_LEAST if self._hurry else MAX_CHARACTERS // 3
        return _tidy(self._text[: min(self._scanned, _reach(self._text, least))])

    @property
    def is_whole(self) -> bool:
        """Whether what is held reads as a whole sentence, so that nothing is lost if it leaves now.

        More may come, but it would have to be unusual to belong to it: the last word is no number and no
        abbreviation.
        """
        text = self._text.rstrip()
        bare = text.rstrip(_CLOSERS)
        if self._code or not bare or bare[-1] not in _SURE + ".":
            return False
        words = _last_words(bare.rstrip(_ENDERS + _CJK_ENDERS))
        plain = words[-1][-1:].isalpha() and len(words[-1]) > 1
        return bare[-1] != "." or (
            plain and not bare.endswith("..") and kind(words, self._language)[0] is Kind.WORD
        )

    def flush(self) -> list[str]:
        """Return what is held, as one or more sentences, and go on."""
        hurry, code = self._hurry, self._code
        sentences = self.finish()
        self._hurry, self._code = hurry and not sentences, code
        return sentences

    def finish(self) -> list[str]:
        """Return what is left, as one or more sentences, and start over."""
        sentences = self._sentences(final=True)
        rest = _tidy(self._text)
        self._clear()
        return [*sentences, rest] if rest else sentences

    def _add(self, piece: str) -> None:
        """Append a piece; of spaces between words only what they tell is kept: a space, or line breaks."""
        if self._text[-1:].isspace() and piece[:1].isspace():
            tail = self._text.rstrip()
            piece = self._text[len(tail) :] + piece
            self._text = tail
            self._scanned = min(self._scanned, len(tail))  # the gap may turn out to be a line break
        self._text += _GAP.sub(_even, piece) if _UNEVEN_GAP.search(piece) else piece

    def _sentences(self, *, final: bool) -> list[str]:
        sentences = []
        while (end := self._find_end(final=final)) is not None:
            sentence = self._text[:end]
            sentences.append(_tidy(sentence))
            self._close(sentence)
            self._text, self._scanned = self._text[end:], 0
        return sentences

    def _close(self, sentence: str) -> None:
        """Take note of what a complete sentence says about its line."""
        if self._line_start and _is_fence(sentence):
            self._code = not self._code
        line = sentence.rpartition("\n")[2]
        self._line = line if "\n" in sentence else self._line + line
        self._line_start = self._hurry = False

    def _open(self) -> None:
        """Drop what separates the next sentence from the last, and note whether it begins a line."""
        start = len(self._text) - len(self._text.lstrip())
        if start:
            if "\n" in self._text[:start]:
                self._line_start, self._line = True, ""
            self._text = self._text[start:]

    def _find_end(self, *, final: bool) -> int | None:
        """Return the index after the first sentence; None if it is not complete, or not known to be."""
        self._open()
        text = self._text
        limit = _reach(text, MAX_CHARACTERS)
        pattern = _LINE_END if self._code or (self._line_start and text[:1] == "|") else _CANDIDATE
        while True:
            candidate = pattern.search(text, self._scanned)
            at = candidate.start() if candidate else len(text)
            if self._hurry and (clause := _first_clause_end(text, min(at, limit))):
                return clause
            if candidate is None or at >= limit:
                break
            verdict = self._judge(at, final=final)
            if verdict is None:
                self._scanned = at
                return None
            if verdict > limit:
                break
            if verdict > 0:
                return verdict
            self._scanned = -verdict
        if len(text) > limit:
            return _clause_end(text[: limit + 1], limit)
        self._scanned = len(text)
        return None

    def _judge(self, at: int, *, final: bool) -> int | None:
        """Return where the sentence with a stop or line break at ``at`` ends; None if that is unknown.

        If it goes on: the index to go on from, with a minus.
        """
        text = self._text
        if text[at] == "\n":
            ends = self._line_break(at, final=final)
            return None if ends is None else at if ends else -(at + 1)
        stops = _STOPS.match(text, at)
        assert stops is not None
        end = _with_what_closes(text, stops.end(), final=final)
        if end is None:
            return None
        closers = text[stops.end() : end]
        if not any(character.isalnum() for character in text[:at]):
            ends = False
        elif end < len(text) and not text[end].isspace():
            ends = self._attached(at, stops[0], closers, end, final=final)
        else:
            ends = self._spaced(at, stops[0], closers, end, final=final)
        return None if ends is None else end if ends else -stops.end()

    def _spaced(self, at: int, stops: str, closers: str, end: int, *, final: bool) -> bool | None:
        """Tell whether a sentence ends with stops that are followed by space, or by nothing."""
        text = self._text
        if not set(stops) - set(_WAVES):
            return text[at - 1] in _AFTER_WAVE
        if stops == "." and not set(closers) & set(_QUOTES):
            return self._full_stop(at, end, final=final)
        if text.startswith("\n\n", end):
            return True
        closed = set(closers) & set(_CLOSERS)
        dash = text[end : end + 1] == " " and text[end + 1 : end + 2] in _DASHES
        if set(stops) & set(_SURE) and not closed and not dash:
            return True
        # An ellipsis, or a closing quote or bracket: only what follows tells.
        follower = _follower(text, end, final=final)
        if follower is None or (follower.kind in {"capital", "caseless"} and follower.word is None):
            return None
        stammered = follower.word == _last_words(text[:at])[-1]
        return follower.kind != "small" and not stammered

    def _full_stop(self, at: int, end: int, *, final: bool) -> bool | None:
        """Tell whether a single full stop that is followed by space, or by nothing, ends a sentence."""
        text = self._text
        if self._is_marker(text[:at]):
            return False
        if text.startswith("\n\n", end):
            return True
        words = _last_words(text[:at])
        what, key = kind(words, self._language) if words[-1] else (Kind.LAST, "")
        number = _NUMBER.fullmatch(words[-1])
        if number or _DAY_AND_MONTH.fullmatch(words[-1]):
            return self._number(words, end, is_whole=bool(number), final=final)
        if what is Kind.WORD or what is Kind.TITLE:
            return what is Kind.WORD
        follower = _follower(text, end, final=final)
        if follower is None or (follower.kind == "capital" and follower.word is None):
            return None
        single = (
            follower.kind == "capital" and len(follower.word or "") == 1 and follower.word not in _INVERTED
        )
        if single and what is Kind.WEAK and text[follower.end : follower.end + 1] == ".":
            return False  # another initial
        return _ends_before(what, key, follower)

    def _number(self, words: list[str], end: int, *, is_whole: bool, final: bool) -> bool | None:
        """Tell whether a full stop after a number is a sentence's end, and not a list's nor an ordinal's."""
        follower = _follower(self._text, end, final=final)
        if follower is None or follower.word is None:
            return None
        word = follower.word
        before = words[-2].lower().strip(_MARKUP) if len(words) > 1 else ""
        ordinals = self._language in ORDINAL_LANGUAGES or self._language is None
        if follower.kind == "small":
            return not ordinals or word.lower() in SMALL_STARTERS
        if before.endswith(":") and words[-1] in {"1", str(self._marker + 1)}:
            self._marker = int(words[-1])
            return False
        if not ordinals or not is_whole:
            return True
        if follower.kind == "digit":
            dotted = self._text[follower.end : follower.end + 1]
            if not dotted and not final:
                return None
            return not (len(word) <= 2 and dotted == ".") and not re.fullmatch(r"\d{1,2}\.", before)
        if word.lower() in AFTER_ORDINAL:
            return False
        if len(words) > 2 and before in {"und", "oder", "bis"} and re.fullmatch(r"\d{1,3}\.", words[-3]):
            return word in STARTERS
        english = before == "am" and len(words) > 2 and words[-3] == "I"
        return before not in BEFORE_ORDINAL or english or word in STARTERS

    def _attached(self, at: int, stops: str, closers: str, end: int, *, final: bool) -> bool | None:
        """Tell whether a sentence ends with stops that something follows without a space."""
        text = self._text
        before, after = text[at - 1], text[end]
        if not set(stops) - set(_WAVES):
            return before in _AFTER_WAVE and not after.isdigit()
        if set(stops) & set(_WITHOUT_SPACE):
            return after not in "，、,；;：:" and not (closers and after in "とっ")
        if not set(stops) - set("…⋯") or (len(stops) > 1 and not stops.strip(".")):
            return (
                _is_caseless(after)
                and _is_caseless(before)
                and len(_LAST_CASELESS.findall(text, 0, at)[-1]) > 2
            )
        if set(closers) & set(_QUOTES) and "가" <= after <= "힣":
            return False  # a Korean particle: "…"라고
        if after in "¿¡<" or (_is_caseless(after) and (before.isalpha() or before in _CLOSERS)):
            return True
        if closers and closers[-1] not in "”»" and closers[-1] in _CLOSERS:
            return False
        return self._missing_space(at, stops, end, final=final)

    def _missing_space(self, at: int, stops: str, end: int, *, final: bool) -> bool | None:
        """Tell whether only a space is missing: "It is on.The door", not "example.com" nor "Node.js"."""
        text = self._text
        words = _last_words(text[:at])
        word = words[-1].rstrip(_CLOSERS)
        plain = len(word) > 1 and word.replace("-", "").replace("'", "").replace("’", "").isalpha()
        if not plain or not (text[end].isupper() or stops.endswith("!")):
            return False
        if stops[-1] in "!?":
            return text[end].isalpha()
        if not word[-1].islower() or kind(words, self._language)[0] is not Kind.WORD:
            return False
        following = _WORD.match(text, end, end + _LOOKAHEAD)
        assert following is not None
        rest = text[following.end() : following.end() + 2]
        if not final and following.end() < end + _LOOKAHEAD and rest in {"", "."}:
            return None
        prose = following[0] in STARTERS or following[0][1:].islower()
        ended = rest in {"", "."} or rest[0] in " \n,;:!?)”»" or (rest[0] == "." and rest[1].isspace())
        return prose and ended and following[0].lower() not in _NO_PROSE

    def _is_marker(self, head: str) -> bool:
        """Tell whether ``head``, from the sentence's beginning, is only an item's number or letter."""
        mark = head.strip(_MARKUP)
        if not _MARKER.fullmatch(mark):
            return False
        number = int(mark) if mark.isdigit() else 0
        if not self._line_start and not (number and number in {1, self._marker + 1}):
            return False
        self._marker = number
        return True

    def _line_break(self, at: int, *, final: bool) -> bool | None:
        """Tell whether a line break ends a sentence, or is a space."""
        text = self._text
        start = text.rfind("\n", 0, at) + 1
        line = text[start:at]
        if not start and self._line:
            line = f"{self._line} {line}"
        if self._code or _WHOLE_LINE.match(line):
            return True
        marker = self._line_start and _MARKER.fullmatch(text[:at].strip(_MARKUP + ".)"))
        if marker or text.startswith("\n\n", at) or line.rstrip(_CLOSERS)[-1:] in (":", "："):
            return not marker
        view = text[at + 1 : at + 1 + _LOOKAHEAD]
        if _BLOCK.match(view):
            return True
        short = len(view) < (_BLOCK_LENGTH if view.strip("-*_=") else _LOOKAHEAD)
        if short and not final and not _begins_with_word(view):
            return None
        follower = _follower(text, at, final=final)
        if follower is None:
            return None
        return _line_ends_before(line, follower)


class _Follower(NamedTuple):
    """What comes after a stop."""

    kind: str
    """"small" or "capital" letter, letter "caseless", "digit", "other", or "nothing"."""
    word: str | None
    """None while it may still grow."""
    end: int


def _follower(text: str, end: int, *, final: bool) -> _Follower | None:
    """Return the first word after ``end``, its quotes and dashes set aside; None if it is not there yet."""
    view = text[: end + _LOOKAHEAD]
    whole = final or len(text) >= end + _LOOKAHEAD
    opening = _OPENING.match(view, end)
    assert opening is not None
    start = opening.end()
    if start >= len(view):
        return _Follower("nothing", "", start) if whole else None
    first = view[start]
    found = _WORD.match(view, start)
    stop = found.end() if found else start + 1
    word = view[start:stop] if whole or stop < len(view) or not found else None
    if first in _INVERTED:
        return _Follower("capital", first, stop)
    if first.isdigit():
        return _Follower("digit", word, stop)
    if first.islower():
        if start + 1 == len(view) and not whole:
            return None
        return _Follower("capital" if view[start + 1 : start + 2].isupper() else "small", word, stop)
    if first.isupper():
        return _Follower("capital", word, stop)
    return _Follower("caseless" if first.isalpha() else "other", word, stop)


def _ends_before(what: Kind, key: str, follower: _Follower) -> bool:
    """Tell whether an abbreviation ends its sentence before ``follower``."""
    word = re.split("['’]", follower.word or "")[0]
    if follower.kind == "small":
        return what is Kind.NUMERIC
    if follower.kind == "digit":
        return what is Kind.LAST
    if follower.kind == "capital":
        if what is Kind.NUMERIC:
            return not is_roman(word)
        if what is Kind.LAST:
            return not goes_on(key, word)
        return what is Kind.DATE or word in STARTERS
    return what is not Kind.WEAK


def _line_ends_before(line: str, follower: _Follower) -> bool:
    """Tell whether a line that no stop ends is a sentence, given what begins the next."""
    last = line[-1:]
    if follower.kind == "small" or last in ",;，、；-–—/&(+=،":
        return False
    if _ITEM.match(line):
        return True
    if last in _ENDERS or follower.kind == "digit":
        return False
    length = len(line) + len(_WIDE.findall(line))
    if follower.kind == "capital":
        return length <= _SHORT_LINE and (":" in line or line.rpartition(" ")[2].lower() not in JOINERS)
    return length <= _SHORT_LINE_CASELESS


def _begins_with_word(view: str) -> bool:
    """Tell whether a line begins with a word, and not with an item's letter."""
    return len(view) > 2 and view[0].isalpha() and ")" not in view[1:3]


def _with_what_closes(text: str, end: int, *, final: bool) -> int | None:
    """Return where closing quotes, brackets, notes and emoji end that belong to the stop before ``end``."""
    closing = (_CLOSING_CJK if text[end - 1] in _CJK_ENDERS else _CLOSING).match(text, end)
    assert closing is not None
    end = closing.end()
    if final and end == len(text):
        return end
    if not final and (end == len(text) or _MARK_BEGUN.match(text, end)):
        return None
    if mark := _SPACED_MARK.match(text, end):
        return _with_what_closes(text, mark.end(), final=final)
    if text[end] != " ":
        return end
    if not final and (end + 1 == len(text) or text[end + 1 :] in {"»", ">", ">>"}):
        return None
    if closer := _SPACED_CLOSER.match(text, end):
        return _with_what_closes(text, closer.end(), final=final)
    emoji = _SPACED_EMOJI.match(text, end)
    if emoji is None:
        return end
    return None if not final and text[emoji.end() :] in {"", " "} else emoji.end()


def _last_words(text: str) -> list[str]:
    """Return the last words of ``text``, up to four, without what opens them; the last may be empty."""
    words = re.split(r"[ \n]", text[-4 * _LOOKAHEAD :])[-4:]
    return [word.lstrip(_OPEN + "¿¡") for word in words]


def _is_caseless(character: str) -> bool:
    return character.isalpha() and not character.isupper() and not character.islower()


def _is_fence(line: str) -> bool:
    return line.startswith(_FENCES) and line[:3] not in line[3:].lstrip("`~")


def _reach(text: str, count: int) -> int:
    """Return the index up to which ``text`` counts ``count`` characters, wide ones twice."""
    if text.isascii() or not _WIDE.search(text, 0, count):
        return count
    index = 0
    for character in text[:count]:
        count -= 2 if _WIDE.match(character) else 1
        if count < 0:
            return index
        index += 1
    return index + count


def _first_clause_end(text: str, end: int) -> int:
    """Return where a long first sentence, which goes on to ``end`` at least, is cut; 0 for not (yet)."""
    early = _reach(text, FIRST_CLAUSE_AFTER)
    if end < early or len(text) <= early:
        return 0
    least = _reach(text, FIRST_CLAUSE_LEAST)
    cuts = [match.end() for match in _FIRST_CLAUSE.finditer(text, least, end + 1) if match.end() <= end]
    return max((cut for cut in cuts if cut <= early), default=min(cuts, default=0))


def _clause_end(text: str, limit: int) -> int:
    """Return where to cut a sentence longer than ``limit``: the last good place in its later part."""
    least = _reach(text, MAX_CHARACTERS // 3)
    for clause in _CLAUSES:
        ends = [match.end() for match in clause.finditer(text, least) if match.end() <= limit]
        ends = [end for end in ends if not (_HELD.search(text, 0, end) and _HOLDING.match(text, end))]
        ends = [end for end in ends if not _DANGLING.search(text, 0, end)]
        if ends:
            return ends[-1]
    space = text.rfind(" ", least)
    if space > 0:
        return space
    end = limit
    while end > least and text[end - 1].isascii() and text[end].isascii() and not text[end - 1].isspace():
        end -= 1
    end = limit if end == least else end
    while end > least and (
        unicodedata.combining(text[end]) or text[end] in "\u200d\ufe0f" or text[end - 1] == "\u200d"
    ):
        end -= 1
    return end


def _even(gap: re.Match[str]) -> str:
    """Return what a gap between words tells: that there is one, a new line, or a new paragraph."""
    breaks = gap[0].count("\n") + gap[0].count("\u2028") + 2 * gap[0].count("\u2029")
    return ("\n\n" if breaks > 1 else "\n") if breaks else " "


def _tidy(sentence: str) -> str:
    return sentence.replace("\n\n", " ").replace("\n", " ").strip()


def split_sentences(chunks: Iterable[str], lang: str | None = None) -> Iterator[str]:
    """Yield the sentences of a text that arrives in ``chunks``, each as soon as it is known.

    >>> list(split_sentences(["Dr. Smi", "th is in. He w", "aits."], "en"))
    ['Dr. Smith is in.', 'He waits.']
    """
    splitter = SentenceSplitter(lang)
    for chunk in chunks:
        yield from splitter.push(chunk)
    yield from splitter.finish()


def _begins_plainly(sentence: str) -> bool:
    """Tell whether it begins with a word, and is no item of a list nor a line of code."""
    return sentence.lstrip(_OPENERS)[:1].isalnum() and not (sentence[0] == "[" and sentence[1:2].isdigit())


def _is_plain(sentence: str) -> bool:
    return _begins_plainly(sentence) and sentence.rstrip(_QUOTES)[-1:] in _ENDERS + _CJK_ENDERS


class Joiner:
    """Puts very short sentences together with the next one: a voice stumbles over a lone "OK.".

    The first sentence of a reply leaves at once: it is awaited. A short one after it waits for the next, for
    its listener still hears the one before. So what leaves depends on the text alone.
    """

    def __init__(self) -> None:
        self._begun = False
        self._waiting = ""

    def push(self, sentences: Iterable[str]) -> list[str]:
        """Add sentences; return those that leave."""
        leaving = []
        for sentence in sentences:
            if self._waiting and not _begins_plainly(sentence):
                leaving.append(self._waiting)
                self._waiting = ""
            wide = self._waiting and _WIDE.match(self._waiting[-2:-1])
            joined = f"{self._waiting}{'' if wide or not self._waiting else ' '}{sentence}"
            if self._begun and len(joined) + len(_WIDE.findall(joined)) <= SHORT and _is_plain(sentence):
                self._waiting = joined
                continue
            leaving.append(joined)
            self._begun, self._waiting = True, ""
        return leaving

    def flush(self) -> list[str]:
        """Return what waits, and go on."""
        waiting, self._waiting = self._waiting, ""
        return [waiting] if waiting else []

    def finish(self) -> list[str]:
        """Return what waits, and start over."""
        self._begun = False
        return self.flush()
