"""Single signs: operators, dashes, slashes, symbols."""

from __future__ import annotations

import re

from .. import number_context, units
from .base import RuleBase
from .rule import LETTER, MINUS, Match, Rules, text_after, text_before

_DIGRAPHS = {
    "<=>": "≈",
    "<=": "≤",
    ">=": "≥",
    "!=": "≠",
    "==": "=",
    "-->": "→",
    "->": "→",
    "=>": "→",
    "+/-": "±",
    "+-": "±",
}
_OR = frozenset("or oder ou o u или".split())
"""Words after a slash that make a pause superfluous: and/or."""
_COUNTED = r"[€$£¥₽%]|руб\.?|EUR|USD|CHF|k?g|кг|г|[lLл]|k?m|м²|m²|kWh"
"""What is counted per something, such as €/person."""


class SignRules(RuleBase):
    """The rules for single signs."""

    def sign_rules(self) -> Rules:
        """Yield the rules for single signs."""
        yield "between", rf"(?<=\s){MINUS}(?=\s\(?[-−–]?\d)", self._between
        yield "subtract", rf"(?<=[\d)]){MINUS}(?=\(?\d)", self._subtract
        yield "dash", r"(?:(?<!\S)|(?<=[：，。；]))[−－](?=\s)|(?<=\w\s)–(?=\d)", self._dash
        yield (
            "star",
            r"(?:(?<=[\d)])|(?<=[\d)]\s))\*\s?(?=[\d(])",
            lambda m: self._with_spaces(self.symbols["×"], m),
        )
        yield "divide", r"(?<=\d\s)/(?=\s\d)", lambda m: self.symbols["÷"]
        yield "key", r"(?<!\S)(?P<s>[*#＊＃])(?=[\s.,;!?]|-[A-Z]|$)", self._key
        yield "digraph", "|".join(map(re.escape, _DIGRAPHS)), self._digraph
        yield "caret", r"(?<=\w)\^(?=\d)", lambda m: self._between_spaces(self.symbols["^"])
        yield (
            "tilde-range",
            r"(?:(?<=\w)[~～〜](?=[^\W\d_])|(?<=[)）])[~～〜](?=\d))",
            lambda m: self._with_spaces(self.range_word, m),
        )
        yield (
            "about",
            r"[~≈∼]\s?(?=[-\d$€£])",
            lambda m: self.symbols["~"] + (" " if self.uses_spaces else ""),
        )
        yield "sharp", r"(?<=\b[A-G])[#♯](?!\w)", lambda m: f" {self.symbols['♯']}"
        yield "plus-plus", r"(?<=\w)\+\+", lambda m: f" {self.plus} {self.plus}"
        yield (
            "slash",
            r"(?:(?<=[^\W_])|(?<=[^\W_]\s)|(?<=[€$£¥₽%°℃])|(?<=[^\W\d_]\.)(?=/[^\W\d_]))/(?=\s?[^\W_]|[-−+]\d)",
            self._slash,
        )
        known = "".join(
            re.escape(s) for s in self.symbols if len(s) == 1 and not s.isalpha() and s not in "?/#*"
        )
        known += "π"
        yield "symbol", rf"(?P<s>[{known}])", self._symbol
        yield "drop", r"[*_^|\\`<>{}~¬¦¨¯¸•·‣▪▫■□●○◆◇★☆✓✔✗✘→←↑↓⇒]+", self._drop

    def _between(self, m: Match) -> str | None:
        """A spaced dash: minus in a calculation, "to" in a range, and else a pause."""
        before, after = text_before(m), text_after(m)
        first = re.search(rf"(?<![{LETTER}\d:/.,-])([-−–]?\d(?:[\d.,]*\d)?)\)?\s$", before)
        unit = rf"\s?[{LETTER}°%€$/²³]{{1,6}}"
        if re.search(rf"\d{unit}\s$", before) and re.match(rf"\s\d[\d.,]*(?:{unit})?\s?=", after):
            return self.symbols["−"]  # 5 kg - 2 kg = 3 kg
        if first is None or number_context.LABELS.search(before[: first.start()]):
            return None
        last = re.match(r"\s\(?[-−–]?\d(?:[\d.,]*\d)?\)?", after)
        rest = after[last.end() :] if last else ""
        start = before[: first.start()]
        if re.match(r"[:/-]\d", rest):
            return None  # a time or a date
        if self._is_calculation(start, rest) or number_context.SUMS.search(start):
            return self.symbols["−"]
        if m[0] == "–" or number_context.OPENING.search(start):
            return self.range_word
        if re.match(rf"\s?[\d$€£¥°℃%{LETTER}]|\.?[ºª]", rest):
            return None
        return self.range_word if re.match(r"\s[-−–]", after) else self.symbols["−"]

    def _subtract(self, m: Match) -> str | None:
        """A minus without spaces, in a calculation."""
        operands = re.search(r"[\d.,]+\)?$", text_before(m)), re.match(r"\(?[\d.,]+", text_after(m))
        if not all(operands):
            return None
        start = text_before(m)[: operands[0].start()] if operands[0] else ""
        sums = self._is_calculation(start, text_after(m)[operands[1].end() :]) if operands[1] else False
        return self._with_spaces(self.symbols["−"], m) if sums else None

    def _dash(self, m: Match) -> str | None:
        """A minus sign between words is a dash; between the letters of a formula it is a minus."""
        if m[0] == "–":
            return "– "
        formula = re.search(r"(?:^|\W)(?:\w|\d[\d.,]*)\)?\s$", text_before(m)) and re.match(
            r"\s\(?\w\b", text_after(m)
        )
        return None if formula else "–"

    def _key(self, m: Match) -> str | None:
        """A key of a telephone: * or # alone among words."""
        between_numbers = re.search(r"\d\s$", text_before(m)) and re.match(r"\s\d", text_after(m))
        word = self.key_name(m["s"])
        return None if between_numbers or not re.search(r"\w", text_before(m)) else word

    def _digraph(self, m: Match) -> str:
        return self._with_spaces(self.symbols[_DIGRAPHS[m[0]]], m)

    def _slash(self, m: Match) -> str | None:
        """A slash between words is a pause, between the letters of a name it is dropped: on/off, A/B, TCP/IP."""
        before, after = text_before(m), text_after(m)
        words = re.search(r"[^\W_]+\s?$", before), re.match(r"\s?[-−+]?[^\W_]+", after)
        if all(word and word[0].strip().isdecimal() for word in words):
            return None
        spaces = before[-1:].isspace(), after[:1].isspace()
        if any(spaces):
            return "–" if all(spaces) else ""
        if (
            self.per_word
            and words[1]
            and words[1][0].isalpha()
            and re.search(rf"\d[\d.,\s]*(?:{_COUNTED})$", before)
        ):
            bottom = units.canonical_symbol(words[1][0])
            return self._with_spaces(self.per_word, m) if bottom not in self._denominators else None
        if not self.uses_spaces and not before[-1:].isascii():
            return "、"
        name = all(word and (len(word[0]) == 1 or word[0].isupper()) for word in words)
        either = words[1] is not None and words[1][0].lower() in _OR
        return " " if name or either else ", "

    def _symbol(self, m: Match) -> str:
        return self._with_spaces(self.symbols[m["s"]], m)

    def _drop(self, m: Match) -> str:
        before, after = text_before(m)[-1:], text_after(m)[:1]
        return " " if before.isalnum() and after.isalnum() and self.uses_spaces else ""
