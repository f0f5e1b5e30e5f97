"""Words with a pronunciation in the International Phonetic Alphabet: ``[tomato](/təˈmɑːtoʊ/)``.

Internally such a word is an interlinear annotation of Unicode: U+FFF9, the word, U+FFFA, its pronunciation,
U+FFFB. Engines that do not support pronunciations get the word alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

ANCHOR, SEPARATOR, TERMINATOR = "\ufff9", "\ufffa", "\ufffb"
_IPA_CHARACTERS = "a-zæçðøħŋœβθχɐ-ʯʰ-˿\u0300-\u036f‿.ˈˌː~| "
_PRONUNCIATION = re.compile(f"[{_IPA_CHARACTERS}]{{1,120}}")
_LINK_WITH_IPA = re.compile(
    rf"\[([^\[\]\n{ANCHOR}]{{1,80}})\]\((?:/([{_IPA_CHARACTERS}]{{1,120}})/|\[([{_IPA_CHARACTERS}]{{1,120}})\])\)"
)
_PATH = re.compile(r"[a-z]+(?:[./|][a-z]+)*")
_ANNOTATION = re.compile(
    f"{ANCHOR}([^{ANCHOR}{SEPARATOR}{TERMINATOR}]*){SEPARATOR}([^{ANCHOR}{SEPARATOR}{TERMINATOR}]*){TERMINATOR}"
)
_ANNOTATION_CHARACTER = re.compile(f"[{ANCHOR}{SEPARATOR}{TERMINATOR}]")


def annotate_word(word: str, pronunciation: str) -> str:
    """Return a word annotated with its pronunciation; the word alone if the pronunciation is invalid."""
    pronunciation = pronunciation.strip()
    if not word.strip() or not _PRONUNCIATION.fullmatch(pronunciation):
        return word
    return _format_annotation(word, pronunciation)


def annotate_links(text: str) -> str:
    """Return ``text`` with ``[word](/pronunciation/)`` as annotations. A path of plain letters is a link."""

    def annotation(match: re.Match[str]) -> str:
        pronunciation = match[2] or match[3]
        return match[0] if _PATH.fullmatch(pronunciation) else annotate_word(match[1], pronunciation)

    return _LINK_WITH_IPA.sub(annotation, text)


def replace_annotations(text: str, replace: Callable[[str, str], str], rest: Callable[[str], str]) -> str:
    """Return ``text`` with ``replace(word, pronunciation)`` for annotations, and ``rest`` for other text."""
    words, at = [], 0
    for match in _ANNOTATION.finditer(text):
        words += [rest(text[at : match.start()]), replace(match[1], match[2])]
        at = match.end()
    return "".join([*words, rest(text[at:])])


def remove_pronunciations(text: str) -> str:
    """Return ``text`` without pronunciations."""
    return (
        _ANNOTATION_CHARACTER.sub("", _ANNOTATION.sub(r"\1", text))
        if _ANNOTATION_CHARACTER.search(text)
        else text
    )


def remove_broken_annotations(text: str) -> str:
    """Return ``text`` without incomplete annotations."""
    return replace_annotations(text, _format_annotation, lambda rest: _ANNOTATION_CHARACTER.sub("", rest))


def _format_annotation(word: str, pronunciation: str) -> str:
    return f"{ANCHOR}{word}{SEPARATOR}{pronunciation}{TERMINATOR}"
