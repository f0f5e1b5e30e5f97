"""Very short sentences are joined with the next one."""

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
"""The longest sentence that is joined with the next one, in characters; wide ones count twice."""


def _begins_with_plain_word(sentence: str) -> bool:
    """Tell whether a sentence begins with a word, and is not a list item or a line of code."""
    return sentence.lstrip(SENTENCE_OPENERS)[:1].isalnum() and not (
        sentence[0] == "[" and sentence[1:2].isdigit()
    )


def _is_plain_sentence(sentence: str) -> bool:
    return (
        _begins_with_plain_word(sentence)
        and sentence.rstrip(QUOTATION_MARKS)[-1:] in STOP_CHARACTERS + CJK_STOP_CHARACTERS
    )


class SentenceJoiner:
    """Joins very short sentences with the next one: models are unreliable with a text such as "OK.".

    The first sentence of a reply is returned at once, for a low latency. A later short one waits for the next
    sentence, while the audio before it is still playing. The result depends on the text alone.
    """

    def __init__(self) -> None:
        self._has_output = False
        self._held = ""

    def push(self, sentences: Iterable[str]) -> list[str]:
        """Add sentences; return those that are complete."""
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
        """Return the sentence that is held, and continue."""
        waiting, self._held = self._held, ""
        return [waiting] if waiting else []

    def finish(self) -> list[str]:
        """Return the sentence that is held, and start over."""
        self._has_output = False
        return self.flush()
