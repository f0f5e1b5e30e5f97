"""Patterns and helpers for the rules of several kinds of text."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from .. import number_context, numbers, powers_of_ten, units
from ..numbers import Number
from ..verbalizer import Verbalizer
from .rule import DASH, EDGE, LETTER, Match, text_after, text_before


class RuleBase(Verbalizer):
    """Patterns and helpers; the base class of every group of rules."""

    def normalize(self, text: str) -> str:
        """Return the spoken form of ``text``; for handlers whose match contains further text."""
        raise NotImplementedError

    @functools.cached_property
    def num(self) -> str:
        """A pattern for a number without sign."""
        return numbers.number_pattern(self.decimal_mark)

    @functools.cached_property
    def negative(self) -> str:
        """Return a pattern for the minus sign of a number, which touches it; a dash with a space is a pause.

        An en dash after a word is a minus only where the number can be negative: degrees, but not liters.
        """
        dash = rf"(?<![\w)])–(?:(?<!\w\s–)|(?={self.num}\s?{number_context.SIGNED}))"
        return rf"(?:{self.minus_lookbehind}[-−－]|{dash})"

    @functools.cached_property
    def _denominator_pattern(self) -> str:
        """A pattern for the denominator of a rate."""
        return "|".join(
            map(re.escape, sorted(units.denominator_symbols(self.language_code), key=len, reverse=True))
        )

    @functools.cached_property
    def unit(self) -> str:
        """A pattern for a unit or a rate, ``X/Y``."""
        known = [s for s in units.unit_symbols() if self.is_unit(s)]
        known.sort(key=len, reverse=True)
        bare = self.ambiguous_units.split()
        plain = "|".join(re.escape(s) for s in known if s not in bare)
        tops = "|".join(map(re.escape, known))
        clause = rf"\s*(?:[.,;:!?)]|$)(?!(?<=\.)\s?[{LETTER}]{{1,2}}\.)"  # but not 200 d.C.
        ends = rf"|(?:{'|'.join(bare)})(?={clause})" if bare else ""
        ends += r"|(?<=\d\s)s" if "s" in bare else ""  # 45 s are seconds, the 90s are not
        return rf"(?:(?:{tops})/(?:{self._denominator_pattern})|{plain}{ends}){EDGE}"

    @functools.cached_property
    def scale_words(self) -> str:
        """A pattern for a power of ten in letters."""
        words = "|".join(
            map(re.escape, sorted(powers_of_ten.words_for_powers(self.language_code), key=len, reverse=True))
        )
        return rf"(?:{words})(?:(?<![{LETTER}])|(?![{LETTER}]))(?:\sd[ei]\b|\sd['’])?"

    def _between_spaces(self, word: str) -> str:
        return f" {word} " if self.uses_spaces else word

    def _with_spaces(self, word: str, m: Match) -> str:
        """Return ``word`` with the spaces that it needs in place of the match."""
        if not self.uses_spaces:
            return word
        before, after = text_before(m)[-1:], text_after(m)[:1]
        if not word:
            return " " if before and not before.isspace() else ""
        prefix = " " if before and not before.isspace() and before not in "([{\"'" else ""
        suffix = " " if after and not after.isspace() and after not in ".,;:!?)]}\"'" else ""
        return f"{prefix}{word}{suffix}"

    def _cardinal_or_digits(self, text: str) -> str:
        """Return a whole number in words; digit by digit if it begins with 0 or is too long."""
        if (len(text) > 1 and text[0] == "0") or len(text) > numbers.MAX_DIGITS:
            return self.spell_digits(text)
        return self.cardinal(int(text))

    def _sentence_stop(self, m: Match) -> str:
        """Return the full stop of an abbreviation if it also ends the sentence."""
        return "." if m[0].endswith(".") and not text_after(m).strip() else ""

    def _hex_digits(self, text: str) -> str:
        return " ".join(self.spell_digits(c) if c.isdecimal() else c.upper() for c in text)

    def _number_letters(self, m: Match) -> str | None:
        """5G, 4K, 221B: a number, then letters."""
        if not m["l"].isupper() and m["l"] != "x":
            return None
        if m["l"] == "x":
            return self.join([self._cardinal_or_digits(m["n"]), self.symbols["x times"]])
        return f"{self._cardinal_or_digits(m['n'])} {self.spell_letters(m['l'])}"

    def _date_or_none(self, year: int | None, month: int, day: int, before: str) -> str | None:
        return self.date(year, month, day, before) if 1 <= month <= 12 and 1 <= day <= 31 else None

    def _duration_words(self, parts: list[tuple[str, str]]) -> str:
        """Return a duration in words: numbers, each with its unit."""
        return self.join([str(self.measure(Number(n), unit)) for n, unit in parts])

    @staticmethod
    def _is_spaced(m: Match) -> bool:
        """Tell whether there are spaces around the dash between two numbers."""
        return re.search(rf"\s{DASH}\s", m[0]) is not None

    def _rises(self, m: Match) -> bool:
        """Tell whether the second number is greater than the first."""
        low, high = self.parse_number(m["n"]), self.parse_number(m["to"])
        return (low.value, low.fraction) < (high.value, high.fraction)

    @staticmethod
    def _is_calculation(before: str, after: str) -> bool:
        """Tell by the text around two numbers with a dash whether they are part of a calculation."""
        return bool(
            re.search(r"[=＝+＋×÷*/]\s?\(?$", before) or re.match(r"\)?\s?(?:[=＝×÷*]|[+/＋]\s?\d)", after)
        )

    def _is_label(self, m: Match) -> bool:
        """Tell whether the first of two numbers with a spaced dash labels the noun before it."""
        return self._is_spaced(m) and number_context.LABELS.search(text_before(m)) is not None

    def _unless_label(self, verbalize: Callable[[Match], str | None]) -> Callable[[Match], str | None]:
        """Return a handler that returns None for "room 5 - 21 °C", and else calls ``verbalize``."""
        return lambda m: None if self._is_label(m) else verbalize(m)

    def is_score(self, m: Match) -> bool:
        """Tell whether two numbers with a dash between them are a score."""
        result = self._is_spaced(m) and number_context.RESULTS.search(text_before(m))
        return bool(result or re.search(rf"(?:{self.score_cues})\s?$", text_before(m)))
