"""Cut text that arrives in pieces into sentences, as early as each is known to be complete.

Where text is cut depends on the text alone, never on how it was divided into pieces: every decision waits
until the characters it looks at are there. What can be decided at once ("Done. " is a sentence whatever
comes next) is; what cannot ("am 3. " may go on with a month) waits for the next word.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 200
"""Longer sentences are cut at a clause: a voice makes a sentence whole, so long ones sound late."""
MAX_CHARACTERS_CJK = 100
"""The same for Chinese and Japanese, whose characters take longer to say."""

_ENDERS = ".!?…؟।॥"
_CJK_ENDERS = "。！？｡"
_CLOSERS = "\"')]}»”’›」』）》】〕〉"
_ENDING = re.compile(rf"[{re.escape(_ENDERS)}]+[{re.escape(_CLOSERS)}]*")
_CJK_ENDING = re.compile(rf"[{_CJK_ENDERS}{re.escape(_ENDERS)}]+[{re.escape(_CLOSERS)}]*")
_CANDIDATE = re.compile(rf"[{re.escape(_ENDERS + _CJK_ENDERS)}\n]")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_SPACE = re.compile(r"\s*")
_LAST_TOKEN = re.compile(r"\S+$")
_WORD = re.compile(r"\w+")
_BULLET = re.compile(r"[-*•–—]\s|\d{1,3}[.)]\s")
_CLAUSES = (
    re.compile(r"[;:](?=\s)|[；：]"),
    re.compile(r"[,،](?=\s)|[，、]|(?<=\s)[-–—](?=\s)"),
    re.compile(
        r"(?=\s(?:and|or|but|because|und|oder|aber|weil|et|ou|mais|y|o|pero|e|ma|mas|и|а|но)\s)", re.I
    ),
    re.compile(r"(?=\s)"),
)
"""Where a long sentence is cut, best first; each matches up to the last character of the first part."""

_NEVER_LAST = frozenset(
    # English
    "mr mrs ms dr prof st mt rev gen col capt lt sgt vs eg e.g i.e fig nr approx ca dept est "
    # German
    "z.b d.h u.a bzw hr fr str tel abs evtl ggf inkl zzgl nr max min "
    # French, Spanish, Portuguese, Italian
    "mme mlle bd av p.ex sr sra srta dña núm pág sig dott ing "
    # Russian
    "ул г гг им т.е т.к напр см тыс руб".split()
)
"""Abbreviations that a sentence does not end with, lower case, without their last full stop."""
_SOMETIMES_LAST = frozenset("etc a.m p.m u.s u.k inc ltd co corp jr bros usw ecc т.д т.п др".split())
"""Abbreviations that end a sentence if a capital follows."""
_AFTER_ORDINAL = frozenset(
    "januar jänner februar märz april mai juni juli august september oktober november dezember "
    "montag dienstag mittwoch donnerstag freitag samstag sonntag "
    "etage stock stockwerk klasse mal platz jahrhundert quartal geburtstag".split()
)
"""Capitalised words before which a German number with a full stop is an ordinal."""


class SentenceSplitter:
    """Sentences from pieces of text; ``push`` what arrives, ``finish`` when nothing more will."""

    def __init__(self) -> None:
        self._text = ""
        self._scanned = 0
        """Everything before this index is known to hold no end of a sentence."""

    def push(self, piece: str) -> list[str]:
        """Add a piece of text; return the sentences that are now complete."""
        self._text += piece
        return self._sentences(final=False)

    @property
    def begun(self) -> str:
        """What is known to belong to the next sentence; it only grows until that sentence is complete."""
        known = min(self._scanned, _limit(self._text) // 3)
        return _tidy(self._text[:known])

    def finish(self) -> list[str]:
        """Return what is left, as one or more sentences, and start over."""
        sentences = self._sentences(final=True)
        rest = _tidy(self._text)
        self._text, self._scanned = "", 0
        return [*sentences, rest] if rest else sentences

    def _sentences(self, *, final: bool) -> list[str]:
        sentences = []
        while (end := self._find_end(final=final)) is not None:
            if sentence := _tidy(self._text[:end]):
                sentences.append(sentence)
            self._text, self._scanned = self._text[end:].lstrip(), 0
        return sentences

    def _find_end(self, *, final: bool) -> int | None:
        """Return the index after the first sentence; None if it is not complete, or not known to be."""
        text = self._text
        limit = _limit(text)
        while (candidate := _CANDIDATE.search(text, self._scanned)) and candidate.start() < limit:
            at = candidate.start()
            ending = _ending(text, at)
            verdict = _judge(text, at, ending, final=final)
            if verdict is None:
                self._scanned = at
                return None
            if verdict:
                return verdict
            self._scanned = at + len(ending)
        if len(text) > limit:
            return _clause_end(text, limit)
        if candidate is None:
            self._scanned = len(text)
        return None


def _ending(text: str, at: int) -> str:
    """Return the run of enders, closing quotes and brackets at ``at``; or a line break."""
    if text[at] == "\n":
        return "\n"
    match = (_CJK_ENDING if text[at] in _CJK_ENDERS else _ENDING).match(text, at)
    assert match is not None
    return match[0]


def _judge(text: str, at: int, ending: str, *, final: bool) -> int | None:
    """Return where the sentence with ``ending`` at ``at`` ends, 0 if it goes on, None if unknown."""
    if ending == "\n":
        return _judge_line(text, at, final=final)
    end = at + len(ending)
    if end == len(text) and not final:
        return None
    if ending[0] in _CJK_ENDERS:
        return end
    if end < len(text) and not text[end].isspace():
        return 0
    return _judge_spaced(text, at, ending, final=final)


def _judge_spaced(text: str, at: int, ending: str, *, final: bool) -> int | None:
    """Judge an ending that is followed by space, or by nothing."""
    end = at + len(ending)
    word_match = _LAST_TOKEN.search(text, 0, at)
    word = word_match[0].lstrip("\"'([{«“‘„¿¡") if word_match else ""
    following = _SPACE.match(text, end)
    assert following is not None
    next_at = following.end()
    unknown = next_at == len(text) and not final
    follower = text[next_at : next_at + 1]
    if ending == ".":
        if word.lower() in _NEVER_LAST or _is_initial(word):
            return 0
        if word.isdigit():
            return _judge_number(text, at - len(word), end, next_at, final=final)
        if word.lower() not in _SOMETIMES_LAST:
            return end
    elif ending[0] in "!?؟।॥" and ending[-1] in _ENDERS:
        return end
    # An ellipsis, a closing quote or an abbreviation: only what follows tells.
    if unknown:
        return None
    return 0 if follower.islower() else end


def _is_initial(word: str) -> bool:
    """Tell whether ``word`` is a letter that stands for a word: J., z., В., but not "I" nor "я"."""
    return len(word) == 1 and word != "I" and (word.isupper() or (word.isascii() and word.isalpha()))


def _judge_number(text: str, number_at: int, end: int, next_at: int, *, final: bool) -> int | None:
    """Judge a full stop after a number: the end, a list's marker, or an ordinal."""
    if not text[:number_at].strip():
        return 0
    word = _WORD.match(text, next_at)
    if (word.end() if word else next_at) == len(text) and not final:
        return None
    if word is None:
        return end
    return 0 if word[0][0].islower() or word[0].lower() in _AFTER_ORDINAL else end


def _judge_line(text: str, at: int, *, final: bool) -> int | None:
    """A line break ends a sentence before an empty line or a list's item; elsewhere it is a space."""
    following = _SPACE.match(text, at)
    assert following is not None
    next_at = following.end()
    if "\n" in text[at + 1 : next_at]:
        return next_at
    if len(text) - next_at < 5 and not final:
        return None
    return next_at if _BULLET.match(text, next_at) else 0


def _limit(text: str) -> int:
    head = text[:MAX_CHARACTERS_CJK]
    return MAX_CHARACTERS_CJK if len(_WIDE.findall(head)) * 2 > len(head) else MAX_CHARACTERS


def _clause_end(text: str, limit: int) -> int:
    """Return where to cut a sentence longer than ``limit``: the last good place in its later part."""
    for clause in _CLAUSES:
        ends = [match.end() for match in clause.finditer(text, limit // 3, limit) if match.end() <= limit]
        if ends:
            return ends[-1]
    return limit


def _tidy(sentence: str) -> str:
    return " ".join(sentence.split())
