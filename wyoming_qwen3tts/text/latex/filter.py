"""LaTeX formulas in text that arrives in chunks."""

from __future__ import annotations

import re

from .commands import INVISIBLE_TIMES
from .formulas import FORMULA_START, INCOMPLETE_START, match_formula, may_be_formula
from .parser import read_formula


class FormulaFilter:
    """Replaces LaTeX formulas by Unicode in text that arrives in chunks.

    A formula is held back until it ends, so that no sentence is cut inside it: ``$5! = 120$``. Text that can
    no longer become a formula is returned at once.
    """

    def __init__(self) -> None:
        self._held = ""
        self._last_character = ""
        """The character before ``_held``."""
        self._ends_with_formula = False
        """Whether the text before ``_held`` ends with a formula."""

    def push(self, chunk: str) -> str:
        """Add a chunk of text; return the text that is complete."""
        return self._process(self._held + chunk, final=False)

    def finish(self) -> str:
        """Return the text that was held back."""
        return self._process(self._held, final=True)

    def clear(self) -> None:
        """Drop the text that was held back."""
        self._held = ""

    def convert(self, text: str) -> str:
        """Return a complete text with its formulas converted."""
        return self._process(text, final=True, whole=True)

    def _process(self, text: str, *, final: bool, whole: bool = False) -> str:
        if "\\" not in text and "$" not in text and not self._ends_with_formula:
            self._held, self._last_character = "", text[-1:] or self._last_character
            return text
        found = [" "] if self._ends_with_formula and _needs_space_before(text[:1]) else []
        self._ends_with_formula = self._ends_with_formula and not text
        text = self._last_character + text
        begin = at = len(self._last_character)
        end = len(text)
        while opener := FORMULA_START.search(text, at):
            start = opener.start()
            formula = match_formula(text, start, final=final, whole=whole)
            if formula is None and not final and may_be_formula(text, start):
                end = start
                break
            at = formula.end() if formula else start + (2 if text.startswith("$$", start) else 1)
            words = _replace_formula(formula) if formula else text[start:at]
            found.append(text[begin:start] + words)
            self._ends_with_formula = formula is not None and at == len(text) and not words.isspace()
            begin = at
        if end == len(text) and not final and (partial := INCOMPLETE_START.search(text, max(begin, end - 6))):
            end = partial.start()
        found.append(text[begin:end])
        self._held = text[end:]
        self._last_character = text[max(0, end - 1) : end]
        return "".join(found)


_ATTACHED_SIGNS = "⁽₍²³°%ꜝ₀₁₂₃₄₅₆₇₈₉⁰¹⁴⁵⁶⁷⁸⁹⁻"
"""Signs that follow a word without a space."""


def _replace_formula(formula: re.Match[str]) -> str:
    """Return the Unicode of a formula."""
    content = next(part for name, part in formula.groupdict().items() if part and name != "name")
    converted = read_formula(content)
    if not converted:
        return " "
    if (
        formula["inline"]
        and formula.string.startswith(".", formula.end())
        and re.search(r"\d\.\d+\Z", converted)
    ):
        converted += INVISIBLE_TIMES  # otherwise it would be a date in German: 3.5.
    ordinal = formula["close"] and re.fullmatch(r"[A-Za-z]|\d{1,3}", converted)
    return converted if ordinal else add_spaces(formula, converted)


def _needs_space_before(after: str) -> bool:
    """Tell whether a formula needs a space before ``after``."""
    return after.isascii() and (after.isalnum() or after in tuple("(["))


def add_spaces(match: re.Match[str], words: str) -> str:
    """Return the replacement of a match, with the spaces that separate it from the text around it."""
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    needs_space_after_word = before.isascii() and before.isalnum() and words[:1] not in _ATTACHED_SIGNS
    return f"{' ' if needs_space_after_word else ''}{words}{' ' if _needs_space_before(after) else ''}"
