"""Splits text that arrives in chunks into sentences, each as soon as it is complete.

The result depends on the text alone, never on its chunks: a decision waits for the characters that it needs,
and for no more. "Done. N" is decided; "Done. " may be followed by an emoji that belongs to it, and "am 3. "
by a month.

Lines: a blank line ends a sentence; so does the end of a heading, of a table row, of a line of code and of a
line with a colon at its end, and the beginning of a list item. Any other line break is a space, unless a
short line without a stop is followed by a capital, as in addresses, poems and lists without marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ...speech import base_language
from .abbreviations import (
    AFTER_ORDINAL,
    BEFORE_ORDINAL,
    ORDINAL_LANGUAGES,
    SMALL_STARTERS,
    STARTERS,
    WordKind,
    classify_word,
)
from .boundaries import (
    AFTER_WAVE_DASH,
    LOOKAHEAD,
    abbreviation_ends_before,
    begins_with_word,
    ends_without_space,
    extend_over_closing_marks,
    find_last_words,
    find_next_word,
    is_code_fence,
    line_ends_before,
)
from .characters import (
    CJK_STOP_CHARACTERS,
    CLOSING_MARKS,
    INVERTED_MARKS,
    QUOTATION_MARKS,
    STOP_CHARACTERS,
    UNAMBIGUOUS_STOPS,
    WAVE_DASHES,
    index_at_width,
    reduce_gap,
    to_one_line,
)
from .clauses import FIRST_CLAUSE_LEAST, MAX_CHARACTERS, find_clause_end, find_first_clause_end

_CHUNK_CHARACTERS = 1024
"""Characters that are examined together: the rest of a long text is copied for every sentence."""
_STOP_RUN = re.compile(rf"[{re.escape(STOP_CHARACTERS + CJK_STOP_CHARACTERS + WAVE_DASHES)}]{{1,40}}")
_CANDIDATE = re.compile(rf"[{re.escape(STOP_CHARACTERS + CJK_STOP_CHARACTERS + WAVE_DASHES)}\n]")
_LINE_END = re.compile(r"\n")
_DASHES = ("-", "–", "—")
_GAP = re.compile(r"\s+")
_IRREGULAR_GAP = re.compile(r"[^\S ]|  ")
_NUMBER = re.compile(r"(?:\d+\.?[-–/])?(\d{1,3})")
_DAY_AND_MONTH = re.compile(r"(?:[0-2]?\d|3[01])\.(?:0?\d|1[0-2])")
_MARKER = re.compile(r"\d{1,3}|[a-zA-Z]|[IVX]+")
_LIST_MARKUP = " \n\"'([{#>*-+•_☐"
_BLOCK = re.compile(
    r"[-*+•‣◦▪▫·–—●○■□◆☐☑☒✓✔✗✘➜➤►→※]\s|\d{1,3}[.)]\s|\d{1,3}、|\(?[a-zA-Z\d]{1,2}\)\s|#{1,6}\s|\|"
    r"|```|~~~|>|・|[-*_=]{3,}\s|[①-⑳]|\[(?:[ xX]|\d{1,3})\]\s|</?\w"
)
"""The beginning of a line that does not continue the line before it."""
_WHOLE_LINE = re.compile(r"#{1,6}\s|\||```|~~~|[-*_=]{3,}$")
_BLOCK_LENGTH = 8
"""Characters that are needed to recognize such a beginning."""


class SentenceSplitter:
    """Splits text into sentences: ``push`` chunks, then ``finish``.

    ``lang`` is a BCP 47 tag; without one the rules of all languages apply, and conflicts are decided by
    context. ``first_clause``: cut a long first sentence after its first clause.
    """

    def __init__(self, lang: str | None = None, *, first_clause: bool = False) -> None:
        self._language = base_language(lang) if lang else None
        self._first_clause = first_clause
        self._clear()

    def _clear(self) -> None:
        self._text = ""
        self._scanned = 0
        """No sentence ends before this index."""
        self._line_start = True
        """Whether the text begins at the beginning of a line."""
        self._line_prefix = ""
        """The part of the current line that belongs to earlier sentences."""
        self._in_code_fence = False
        """Whether the text is inside a fenced code block."""
        self._last_list_number = 0
        """The number of the last list item."""
        self._cut_first_clause = self._first_clause

    def push(self, chunk: str) -> list[str]:
        """Add a chunk of text; return the sentences that are now complete."""
        sentences = []
        for at in range(0, len(chunk), _CHUNK_CHARACTERS):
            self._append(chunk[at : at + _CHUNK_CHARACTERS])
            sentences += self._cut_sentences(final=False)
        return sentences

    @property
    def confirmed_text(self) -> str:
        """The text that certainly belongs to the next sentence.

        It only grows until that sentence is complete.
        """
        least = FIRST_CLAUSE_LEAST if self._cut_first_clause else MAX_CHARACTERS // 3
        return to_one_line(self._text[: min(self._scanned, index_at_width(self._text, least))])

    @property
    def is_complete(self) -> bool:
        """Whether the held text reads as a complete sentence.

        More text may belong to it, but that is unlikely: the last word is no number and no abbreviation.
        """
        text = self._text.rstrip()
        bare = text.rstrip(CLOSING_MARKS)
        if self._in_code_fence or not bare or bare[-1] not in UNAMBIGUOUS_STOPS + ".":
            return False
        words = find_last_words(bare.rstrip(STOP_CHARACTERS + CJK_STOP_CHARACTERS))
        plain = words[-1][-1:].isalpha() and len(words[-1]) > 1
        return bare[-1] != "." or (
            plain and not bare.endswith("..") and classify_word(words, self._language)[0] is WordKind.WORD
        )

    def flush(self) -> list[str]:
        """Return the held text, as one or more sentences, and continue."""
        hurry, code = self._cut_first_clause, self._in_code_fence
        sentences = self.finish()
        self._cut_first_clause, self._in_code_fence = hurry and not sentences, code
        return sentences

    def finish(self) -> list[str]:
        """Return the rest of the text, as one or more sentences, and start over."""
        sentences = self._cut_sentences(final=True)
        rest = to_one_line(self._text)
        self._clear()
        return [*sentences, rest] if rest else sentences

    def _append(self, chunk: str) -> None:
        """Append a chunk; white space is reduced to a space or to line breaks."""
        if self._text[-1:].isspace() and chunk[:1].isspace():
            tail = self._text.rstrip()
            chunk = self._text[len(tail) :] + chunk
            self._text = tail
            self._scanned = min(self._scanned, len(tail))  # the gap may become a line break
        self._text += _GAP.sub(reduce_gap, chunk) if _IRREGULAR_GAP.search(chunk) else chunk

    def _cut_sentences(self, *, final: bool) -> list[str]:
        sentences = []
        while (end := self._find_sentence_end(final=final)) is not None:
            sentence = self._text[:end]
            sentences.append(to_one_line(sentence))
            self._record_line_state(sentence)
            self._text, self._scanned = self._text[end:], 0
        return sentences

    def _record_line_state(self, sentence: str) -> None:
        """Record what a complete sentence tells about its line."""
        if self._line_start and is_code_fence(sentence):
            self._in_code_fence = not self._in_code_fence
        line = sentence.rpartition("\n")[2]
        self._line_prefix = line if "\n" in sentence else self._line_prefix + line
        self._line_start = self._cut_first_clause = False

    def _skip_leading_space(self) -> None:
        """Remove white space before the next sentence, and record whether it begins a line."""
        start = len(self._text) - len(self._text.lstrip())
        if start:
            if "\n" in self._text[:start]:
                self._line_start, self._line_prefix = True, ""
            self._text = self._text[start:]

    def _find_sentence_end(self, *, final: bool) -> int | None:
        """Return the index after the first sentence; None if it is not complete, or not known to be."""
        self._skip_leading_space()
        text = self._text
        limit = index_at_width(text, MAX_CHARACTERS)
        pattern = _LINE_END if self._in_code_fence or (self._line_start and text[:1] == "|") else _CANDIDATE
        while True:
            candidate = pattern.search(text, self._scanned)
            at = candidate.start() if candidate else len(text)
            if self._cut_first_clause and (clause := find_first_clause_end(text, min(at, limit))):
                return clause
            if candidate is None or at >= limit:
                break
            verdict = self._find_boundary(at, final=final)
            if verdict is None:
                self._scanned = at
                return None
            if verdict > limit:
                break
            if verdict > 0:
                return verdict
            self._scanned = -verdict
        if len(text) > limit:
            return find_clause_end(text[: limit + 1], limit)
        self._scanned = len(text)
        return None

    def _find_boundary(self, at: int, *, final: bool) -> int | None:
        """Return where the sentence with a stop or line break at ``at`` ends; None if that is unknown.

        A negative number means that it continues: minus the index at which to continue.
        """
        text = self._text
        if text[at] == "\n":
            ends = self._line_break_ends(at, final=final)
            return None if ends is None else at if ends else -(at + 1)
        stops = _STOP_RUN.match(text, at)
        assert stops is not None
        end = extend_over_closing_marks(text, stops.end(), final=final)
        if end is None:
            return None
        closers = text[stops.end() : end]
        if not any(character.isalnum() for character in text[:at]):
            ends = False
        elif end < len(text) and not text[end].isspace():
            ends = ends_without_space(text, at, stops[0], closers, end, self._language, final=final)
        else:
            ends = self._ends_before_space(at, stops[0], closers, end, final=final)
        return None if ends is None else end if ends else -stops.end()

    def _ends_before_space(self, at: int, stops: str, closers: str, end: int, *, final: bool) -> bool | None:
        """Tell whether a sentence ends with stops that are followed by a space, or by nothing."""
        text = self._text
        if not set(stops) - set(WAVE_DASHES):
            return text[at - 1] in AFTER_WAVE_DASH
        if stops == "." and not set(closers) & set(QUOTATION_MARKS):
            return self._full_stop_ends(at, end, final=final)
        if text.startswith("\n\n", end):
            return True
        closed = set(closers) & set(CLOSING_MARKS)
        dash = text[end : end + 1] == " " and text[end + 1 : end + 2] in _DASHES
        if set(stops) & set(UNAMBIGUOUS_STOPS) and not closed and not dash:
            return True
        # After an ellipsis, or a closing quote or bracket, the following word decides.
        following = find_next_word(text, end, final=final)
        if following is None or (following.kind in {"capital", "caseless"} and following.word is None):
            return None
        stammered = following.word == find_last_words(text[:at])[-1]
        return following.kind != "small" and not stammered

    def _full_stop_ends(self, at: int, end: int, *, final: bool) -> bool | None:
        """Tell whether a single full stop that is followed by a space, or by nothing, ends a sentence."""
        text = self._text
        if self._is_list_marker(text[:at]):
            return False
        if text.startswith("\n\n", end):
            return True
        words = find_last_words(text[:at])
        what, key = classify_word(words, self._language) if words[-1] else (WordKind.LAST, "")
        number = _NUMBER.fullmatch(words[-1])
        if number or _DAY_AND_MONTH.fullmatch(words[-1]):
            return self._number_ends(words, end, is_complete=bool(number), final=final)
        if what is WordKind.WORD or what is WordKind.TITLE:
            return what is WordKind.WORD
        following = find_next_word(text, end, final=final)
        if following is None or (following.kind == "capital" and following.word is None):
            return None
        single = (
            following.kind == "capital"
            and len(following.word or "") == 1
            and following.word not in INVERTED_MARKS
        )
        if single and what is WordKind.WEAK and text[following.end : following.end + 1] == ".":
            return False  # another initial
        return abbreviation_ends_before(what, key, following)

    def _number_ends(self, words: list[str], end: int, *, is_complete: bool, final: bool) -> bool | None:
        """Tell whether a full stop after a number ends a sentence, and belongs to no list or ordinal."""
        following = find_next_word(self._text, end, final=final)
        if following is None or following.word is None:
            return None
        word = following.word
        before = words[-2].lower().strip(_LIST_MARKUP) if len(words) > 1 else ""
        ordinals = self._language in ORDINAL_LANGUAGES or self._language is None
        if following.kind == "small":
            return not ordinals or word.lower() in SMALL_STARTERS
        if before.endswith(":") and words[-1] in {"1", str(self._last_list_number + 1)}:
            self._last_list_number = int(words[-1])
            return False
        if not ordinals or not is_complete:
            return True
        if following.kind == "digit":
            dotted = self._text[following.end : following.end + 1]
            if not dotted and not final:
                return None
            return not (len(word) <= 2 and dotted == ".") and not re.fullmatch(r"\d{1,2}\.", before)
        if word.lower() in AFTER_ORDINAL:
            return False
        if len(words) > 2 and before in {"und", "oder", "bis"} and re.fullmatch(r"\d{1,3}\.", words[-3]):
            return word in STARTERS
        english = before == "am" and len(words) > 2 and words[-3] == "I"
        return before not in BEFORE_ORDINAL or english or word in STARTERS

    def _is_list_marker(self, head: str) -> bool:
        """Tell whether ``head``, the beginning of a sentence, is the number or letter of a list item."""
        mark = head.strip(_LIST_MARKUP)
        if not _MARKER.fullmatch(mark):
            return False
        number = int(mark) if mark.isdigit() else 0
        if not self._line_start and not (number and number in {1, self._last_list_number + 1}):
            return False
        self._last_list_number = number
        return True

    def _line_break_ends(self, at: int, *, final: bool) -> bool | None:
        """Tell whether a line break ends a sentence; if not, it is a space."""
        text = self._text
        start = text.rfind("\n", 0, at) + 1
        line = text[start:at]
        if not start and self._line_prefix:
            line = f"{self._line_prefix} {line}"
        if self._in_code_fence or _WHOLE_LINE.match(line):
            return True
        marker = self._line_start and _MARKER.fullmatch(text[:at].strip(_LIST_MARKUP + ".)"))
        if marker or text.startswith("\n\n", at) or line.rstrip(CLOSING_MARKS)[-1:] in (":", "："):
            return not marker
        view = text[at + 1 : at + 1 + LOOKAHEAD]
        if _BLOCK.match(view):
            return True
        short = len(view) < (_BLOCK_LENGTH if view.strip("-*_=") else LOOKAHEAD)
        if short and not final and not begins_with_word(view):
            return None
        following = find_next_word(text, at, final=final)
        if following is None:
            return None
        return line_ends_before(line, following)


def split_sentences(chunks: Iterable[str], lang: str | None = None) -> Iterator[str]:
    """Yield the sentences of a text that arrives in ``chunks``, each as soon as it is complete.

    >>> list(split_sentences(["Dr. Smi", "th is in. He w", "aits."], "en"))
        ['Dr. Smith is in.', 'He waits.']
    """
    splitter = SentenceSplitter(lang)
    for chunk in chunks:
        yield from splitter.push(chunk)
    yield from splitter.finish()
