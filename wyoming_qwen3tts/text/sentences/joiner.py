"""Very short sentences → joined with the next one."""

from __future__ import annotations

from collections.abc import Iterable

from .characters import (
    CJK_STOP_CHARACTERS,
    QUOTATION_MARKS,
    SENTENCE_OPENERS,
    STOP_CHARACTERS,
    WIDE_CHARACTER,
)

SHORT_SENTENCE = 8
"""Characters up to which a sentence is spoken together with the next one; wide ones count twice."""


def _begins_with_plain_word(sentence: str) -> bool:
    """Tell whether it begins with a word, and is no item of a list nor a line of code."""
    return sentence.lstrip(SENTENCE_OPENERS)[:1].isalnum() and not (
        sentence[0] == "[" and sentence[1:2].isdigit()
    )


def _is_plain_sentence(sentence: str) -> bool:
    return (
        _begins_with_plain_word(sentence)
        and sentence.rstrip(QUOTATION_MARKS)[-1:] in STOP_CHARACTERS + CJK_STOP_CHARACTERS
    )


class SentenceJoiner:
    """Puts very short sentences together with the next one: a voice stumbles over a lone "OK.".

    The first sentence of a reply leaves at once: it is awaited. A short one after it waits for the next, for
    its listener still hears the one before. So what leaves depends on the text alone.
    """

    def __init__(self) -> None:
        self._has_output = False
        self._held = ""

    def push(self, sentences: Iterable[str]) -> list[str]:
        """Add sentences; return those that leave."""
        leaving = []
        for sentence in sentences:
            if self._held and not _begins_with_plain_word(sentence):
                leaving.append(self._held)
                self._held = ""
            wide = self._held and WIDE_CHARACTER.match(self._held[-2:-1])
            joined = f"{self._held}{'' if wide or not self._held else ' '}{sentence}"
            if (
                self._has_output
                and len(joined) + len(WIDE_CHARACTER.findall(joined)) <= SHORT_SENTENCE
                and _is_plain_sentence(sentence)
            ):
                self._held = joined
                continue
            leaving.append(joined)
            self._has_output, self._held = True, ""
        return leaving

    def flush(self) -> list[str]:
        """Return what waits, and go on."""
        waiting, self._held = self._held, ""
        return [waiting] if waiting else []

    def finish(self) -> list[str]:
        """Return what waits, and start over."""
        self._has_output = False
        return self.flush()
