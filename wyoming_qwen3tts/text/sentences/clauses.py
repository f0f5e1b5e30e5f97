"""Where a long sentence is cut."""

from __future__ import annotations

import re
import unicodedata

from .characters import index_at_width

MAX_CHARACTERS = 200
"""Longer sentences are cut at a clause: an engine synthesizes a sentence at once, so a long one delays its
audio.
"""
MAX_CHARACTERS_CJK = 100
"""The same for Chinese and Japanese, whose characters take longer to read: each counts as two."""
FIRST_CLAUSE_AFTER = 60
"""With ``first_clause``, a first sentence longer than this is cut at a clause."""
FIRST_CLAUSE_LEAST = 20
"""The shortest first clause, in characters: about four words."""
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
"""Where a long sentence is cut, the best places first; a match ends with the first part."""
_DANGLING = re.compile(rf"\s(?:{'|'.join(_CONJUNCTIONS)})[,;:]$", re.I)
"""A conjunction that belongs to the text after it: "…, and, …"."""
_FIRST_CLAUSE = re.compile(r"[,;:،](?=\s)|[，；：、]")
_HELD = re.compile(r"(?:\d|\b(?:No|Nr|Dr|Mr|Mrs|St|ca|z|d|т)\.|(?<!\d )[€$£№§#])$")
_HOLDING = re.compile(r"\s(?:\d|[^\W\d_]{1,3}\b|[°%€$£µ‰]|[–—-]\s?\d|\S{0,3}\Z)")
"""Text after a space that must not be cut from the text before it: a unit, a group of digits, a name."""


def find_first_clause_end(text: str, end: int) -> int:
    """Return where a long first sentence, of which ``end`` characters are known, is cut; 0 for not (yet)."""
    early = index_at_width(text, FIRST_CLAUSE_AFTER)
    if end < early or len(text) <= early:
        return 0
    least = index_at_width(text, FIRST_CLAUSE_LEAST)
    cuts = [match.end() for match in _FIRST_CLAUSE.finditer(text, least, end + 1) if match.end() <= end]
    return max((cut for cut in cuts if cut <= early), default=min(cuts, default=0))


def find_clause_end(text: str, limit: int) -> int:
    """Return where a sentence longer than ``limit`` is cut: the last good place in its later part."""
    least = index_at_width(text, MAX_CHARACTERS // 3)
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
