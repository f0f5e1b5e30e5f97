"""Numbers without a unit: versions, codes, ranges, letters with digits, plain numbers."""

from __future__ import annotations

import functools
import re

from .. import number_context, numbers
from ..numbers import Number
from .base import RuleBase
from .rule import DASH, LETTER, START, Match, Rules, text_after, text_before


class NumberRules(RuleBase):
    """The rules for numbers without a unit."""

    def number_rules(self) -> Rules:
        """Yield the rules for numbers without a unit."""
        num = self.num
        yield (
            "version",
            rf"(?<![{LETTER}\d.])(?:[vV]er\.?\s?|[vV])(?P<v>\d+(?:\.\d+)*)(?!\.?\d|[{LETTER}])",
            self._version,
        )
        yield "version-word", rf"(?P<word>{self.version_cues})\s(?P<v>\d+(?:\.\d+)+)(?!\.?\d)", self._version
        yield "dotted", rf"{START}\d+(?:\.\d+){{2,}}(?!\.?\d)", self._dotted
        yield (
            "isbn",
            rf"{START}97[89](?:-\d+){{3}}-[\dX](?!\w)",
            lambda m: ", ".join(self._hex_digits(part) for part in m[0].split("-")),
        )
        yield "code", r"(?P<n>\d{3,12})(?![\d.,:]\d|\d)", self._code
        yield (
            "point",
            rf"(?<![\w.,])\.(?P<n>\d+)(?![.,]?\d|[{LETTER}])",
            lambda m: self.number(Number("0", m["n"])),
        )
        yield "number-sign", r"[#№＃]\s?(?P<n>\d+)(?!\w)", self._number_sign
        yield (
            "range",
            rf"{START}(?P<n>{num})(?:{DASH}|\s{DASH}\s)(?P<to>{num})(?!\s?{DASH}\s?\d|{DASH}?\d|[{LETTER}])",
            lambda m: self._range(m) if self._is_range(m) else None,
        )
        yield (
            "equation",
            rf"(?P<sign>{self.negative})?(?P<n>{num})(?=\s?[-−－+＋×*÷/=＝^<>≤≥≠±≈·]\s?-?[\d(])",
            self._operand,
        )
        yield (
            "letter-number",
            rf"(?<![{LETTER}\d])(?P<l>[{LETTER}]+)[-.]?(?P<n>\d+(?:[.,]\d+)?)(?P<r>[{LETTER}]{{0,3}})(?![{LETTER}\d])",
            self._mixed_token,
        )
        yield (
            "times-decimal",
            rf"{START}(?P<n>\d+[.,]\d+)x(?![{LETTER}\d])",
            lambda m: self.join([self.number(self.parse_number(m["n"])), self.symbols["x times"]]),
        )
        yield (
            "number-letter",
            rf"{START}(?P<n>\d+)(?P<l>[{LETTER}]{{1,3}})(?![{LETTER}\d])",
            self._number_letters,
        )
        yield "number", rf"(?P<sign>{self.negative})?(?P<n>{num})", self._number

    def _version(self, m: Match) -> str:
        return " ".join([*self._version_words(m), self.version(m["v"])])

    def _version_words(self, m: Match) -> list[str]:
        """Return the word before a version number, unless the text has it already: version v1.2."""
        if "word" in m.groupdict():
            return [m["word"]]
        words = re.search(rf"{self.version_word()[:5]}\w*\s?$", text_before(m), re.I)
        return [] if words else [self.version_word()]

    def _dotted(self, m: Match) -> str | None:
        grouped = self.decimal_mark == "," and re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+", m[0])
        return None if grouped else self.version(m[0])

    @functools.cached_property
    def _code_before(self) -> re.Pattern[str]:
        is_ = "(?:is|ist|lautet|est|es|è|é|是|为|は|는|은)"
        return re.compile(rf"(?:{self.code_cues})(?:\s?{is_}|\s)?(?:\s?[:：#№]|\s?{DASH}(?=\s))?\s?$")

    def _code(self, m: Match) -> str | None:
        return self.spell_digits(m["n"]) if self._code_before.search(text_before(m)) else None

    def _number_sign(self, m: Match) -> str:
        words = self.spell_digits(m["n"]) if len(m["n"]) > 3 else self._cardinal_or_digits(m["n"])
        return self.join([self.number_word, words])

    def _range(self, m: Match) -> str | None:
        low, high = self.parse_number(m["n"]), self.parse_number(m["to"])
        if all(len(n.whole) == 4 and not n.fraction and 1100 <= n.value <= 2100 for n in (low, high)):
            return self.range(self.year(low.value), self.year(high.value))
        if len(low.whole) > 1 and low.whole.startswith("0"):
            return None
        if self.is_score(m):
            return self.proportion(self.number(low), self.number(high))
        if low == high:
            return self.join([self.number(low), self.number(high)])
        return self.range(self.number(low), self.number(high))

    def _is_range(self, m: Match) -> bool:
        """Tell whether two numbers are a range, and not a calculation, or a label and its value."""
        before, after = text_before(m), text_after(m)
        if self._is_calculation(before, after):
            return False
        if not self._is_spaced(m) or self.is_score(m) or number_context.RESULTS.search(before):
            return True
        asked = number_context.SUMS.search(before) and not re.match(rf"\s?[°%{LETTER}]", after)
        return (
            not asked and not number_context.LABELS.search(before) and self._rises(m) and self._may_range(m)
        )

    @staticmethod
    def _may_range(m: Match) -> bool:
        """Tell whether a minus sign between two numbers may be a dash: ages 3 − 5, 10 − 20 minutes."""
        if "−" not in m[0]:
            return True
        counted = re.match(rf"\s(?!{number_context.EQUALS})[{LETTER}]{{4,}}", text_after(m))
        named = re.search(rf"[{LETTER}]{{4,}}\s$", text_before(m)) and not re.match(
            rf"\s{number_context.EQUALS}", text_after(m)
        )
        return bool(counted or named)

    def _operand(self, m: Match) -> str:
        return self.number(self.parse_number(m["n"], m["sign"]))

    def _mixed_token(self, m: Match) -> str | None:
        """CO2, PM2.5, A4, MP3, B12: letters, then a number."""
        if "-" in m[0] and m["l"].islower():
            return None
        number = (
            self.number(self.parse_number(m["n"]))
            if not m["n"].startswith("0") or "." in m["n"]
            else self.spell_digits(m["n"])
        )
        if m["n"].isdecimal() and len(m["n"]) > 3:
            number = (
                self.year(int(m["n"]))
                if re.fullmatch(r"(?:19|20)\d\d", m["n"])
                else self.spell_digits(m["n"])
            )
        letters = self.spell_token_letters(m["l"])
        rest = f" {self.spell_token_letters(m['r'])}" if m["r"] else ""
        return f"{letters} {number}{rest}"

    def _number(self, m: Match) -> str | None:
        sign, text = m["sign"], m["n"]
        if text.isdecimal() and ((len(text) > 1 and text[0] == "0") or len(text) > numbers.MAX_DIGITS):
            words = self.spell_digits(text)
            return self.join([self.minus, words]) if sign else words
        return self.plain_number(self.parse_number(text, sign), m)

    def plain_number(self, number: Number, m: Match) -> str:
        """Return a number that no other rule matches; a language may inflect it by the text around it."""
        return self.number(number)
