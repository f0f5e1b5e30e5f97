"""Text → sentences.

``splitter`` cuts text that arrives in chunks, ``boundaries`` decides what ends a sentence, ``clauses`` cuts
long sentences, ``joiner`` joins very short ones, ``abbreviations`` has the words whose full stop ends
nothing.
"""

from .clauses import FIRST_CLAUSE_AFTER, MAX_CHARACTERS, MAX_CHARACTERS_CJK
from .joiner import SentenceJoiner
from .splitter import SentenceSplitter, split_sentences

__all__ = [
    "FIRST_CLAUSE_AFTER",
    "MAX_CHARACTERS",
    "MAX_CHARACTERS_CJK",
    "SentenceJoiner",
    "SentenceSplitter",
    "split_sentences",
]
