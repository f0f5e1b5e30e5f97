"""Fractions, scores and seasons: two numbers with a slash between them."""

from __future__ import annotations

import re

from .. import units
from ..numbers import Number
from .base import RuleBase
from .rule import LETTER, START, Match, Rules, text_after

_FRACTIONS = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
    "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅐": (1, 7), "⅑": (1, 9), "⅒": (1, 10),
}  # fmt: skip


class FractionRules(RuleBase):
    """The rules for fractions, scores and seasons."""

    def fraction_rules(self) -> Rules:
        """Yield the rules for fractions, scores and seasons."""
        vulgar = "".join(_FRACTIONS)
        yield "vulgar-unit", rf"(?:(?P<w>\d+)\s?)?(?P<f>[{vulgar}])\s?(?P<u>{self.unit})", self._vulgar_unit
        yield "half", rf"(?<![\d/])(?:½|1/2)\s(?=[{LETTER}]{{3,}})", self._half_of
        yield "fraction-sign", rf"(?:(?P<w>\d+)\s?)?(?P<f>[{vulgar}])", self._vulgar
        yield (
            "score",
            rf"{START}(?P<a>\d+[.,]\d+)\s?/\s?(?P<b>\d{{1,4}})(?:\s?(?P<u>{self.unit}))?(?!\d|[.,/]\d)",
            self._score,
        )
        yield "season", rf"{START}(?P<a>(?:19|20)\d\d)/(?P<b>\d\d)(?![\d/])", self._season
        yield (
            "fraction",
            rf"{START}(?:(?P<w>\d{{1,3}}) )?(?P<a>\d{{1,3}})[/⁄](?P<b>\d{{1,4}})(?![\d/.,]\d|[\d/])",
            self._fraction,
        )

    def _vulgar(self, m: Match) -> str:
        top, bottom = _FRACTIONS[m["f"]]
        return self.mixed_number(int(m["w"]), top, bottom) if m["w"] else self.fraction(top, bottom)

    def _vulgar_unit(self, m: Match) -> str | None:
        top, bottom = _FRACTIONS[m["f"]]
        return self._fraction_of_unit(m["w"], top, bottom, m["u"])

    def _fraction_unit(self, m: Match) -> str | None:
        return self._fraction_of_unit(m["w"], int(m["a"]), int(m["b"]), m["u"])

    def _fraction_of_unit(self, whole: str | None, top: int, bottom: int, symbol: str) -> str | None:
        name = self._units.get(units.canonical_symbol(symbol))
        if name is None or not 0 < top < bottom:
            return None
        if whole:
            return self.join(
                [self.mixed_number(int(whole), top, bottom), self.plural_form(Number("2"), name.forms)]
            )
        half = self.half_before_noun(name.one) if (top, bottom) == (1, 2) else None
        return (
            f"{half}{name.one}"
            if half
            else self.join([self.fraction(top, bottom), self.unit_of_fraction(name)])
        )

    def _half_of(self, m: Match) -> str | None:
        noun = re.match(rf"[{LETTER}]+", text_after(m))
        return self.half_before_noun(noun[0].lower()) if noun else None

    def _score(self, m: Match) -> str:
        whole = self.measure(Number(m["b"]), m["u"]) if m["u"] else None
        return self.join(
            [
                self.number(self.parse_number(m["a"])),
                self.symbols["of"],
                whole or self._cardinal_or_digits(m["b"]),
            ]
        )

    def _season(self, m: Match) -> str:
        return self.range(self.year(int(m["a"])), self.cardinal(int(m["b"])))

    def _fraction(self, m: Match) -> str | None:
        top, bottom = int(m["a"]), int(m["b"])
        if not (0 < top < bottom and (bottom <= 20 or bottom in {24, 25, 32, 50, 60, 64, 100, 1000})):
            if m["w"]:
                return None
            between = "" if top == bottom else self.symbols["/"]
            return self.join([self._cardinal_or_digits(m["a"]), between, self._cardinal_or_digits(m["b"])])
        return self.mixed_number(int(m["w"]), top, bottom) if m["w"] else self.fraction(top, bottom)
