"""Amounts of money."""

from __future__ import annotations

import functools
import re

from .. import powers_of_ten, units
from ..currencies import currency_names, currency_symbols, find_currency
from .base import RuleBase
from .rule import DASH, EDGE, LETTER, MINUS, Match, Rules


class MoneyRules(RuleBase):
    """The rules for amounts of money."""

    def money_rules(self) -> Rules:
        """Yield the rules for money."""
        signs = currency_symbols(self.language_code)
        money = "|".join(sorted(map(re.escape, signs), key=len, reverse=True))
        scale = rf"(?:\s?(?P<scale>{self.scale_pattern})(?![{LETTER}]))?"
        sign = rf"(?P<sign>{self.negative})?"
        num, dash = self.num, rf"\s?(?:{DASH}|~|〜|～|…|\.\.\.?)\s?"
        yield (
            "money-range",
            rf"(?P<cur>{money})\s?(?P<n>{num}){dash}(?:(?P=cur))?\s?(?P<to>{num})(?:{scale}|{EDGE})",
            self._money_range,
        )
        yield (
            "money-per",
            rf"(?:(?P<cur>{money})\s?(?P<n>{num}|\.\d{{1,2}}){scale.replace('scale>', 'scale2>')}|(?P<n2>{num}){scale}\s?(?P<cur2>{money}))(?:/|\s/\s)(?P<per>{self._denominator_pattern}){EDGE}",
            self._money_per,
        )
        yield (
            "money-before",
            rf"{sign}(?P<cur>{money})\s?(?P<sign2>{MINUS})?(?P<n>{num}|\.\d{{1,2}}(?!\d))(?:[.,](?:[–—]|--?)(?!\w))?{scale}(?!\d)",
            self._money,
        )
        yield (
            "money-range-after",
            rf"(?P<n>{num})(?:\s?(?P<first>{money}))?{dash}(?P<to>{num}){scale}\s?(?P<cur>{money})(?![{LETTER}])",
            self._money_range_after,
        )
        words = "|".join(sorted(map(re.escape, currency_names(self.language_code)), key=len, reverse=True))
        yield (
            "money-word",
            rf"{sign}(?P<n>(?={num}(?<=[.,]\d\d)\s){num})\s(?P<cur>{words})(?![{LETTER}])",
            self._money_word,
        )
        yield "money-after", rf"{sign}(?P<n>{num}){scale}\s?(?P<cur>{money})(?![{LETTER}])", self._money
        yield (
            "money-alone",
            rf"(?P<cur>{money})/(?P<per>{self._denominator_pattern}){EDGE}",
            lambda m: self.amount_per_unit(
                find_currency(self.language_code, signs[m["cur"]]).major[-1], units.canonical_symbol(m["per"])
            ),
        )

    @functools.cached_property
    def scale_pattern(self) -> str:
        """A pattern for a power of ten in an amount; single letters only next to the number or the currency."""
        return (
            self.amount_scales
            or rf"{self.scale_words}|(?:(?<=\d)|(?=.\s?[$€£¥₽₩]))[{''.join(powers_of_ten.SCALE_LETTERS)}]"
        )

    def amount_text(self, m: Match) -> str:
        """Return the number of an amount; $1,234 and ¥1,000 are grouped with a comma in every language."""
        american = m["cur"][-1] in "$£¥￥₩₹" and re.fullmatch(r"[1-9]\d{0,2},\d{3}", m["n"])
        return m["n"].replace(",", "") if american else m["n"]

    def _money(self, m: Match) -> str | None:
        groups = m.groupdict()
        code = currency_symbols(self.language_code)[m["cur"]]
        number = self.parse_number(self.amount_text(m), groups.get("sign") or groups.get("sign2"))
        if groups.get("scale"):
            return self.scaled_money(number, self.clean_scale_word(m["scale"]), code)
        return self.money(number, code)

    def _money_word(self, m: Match) -> str:
        """3,50 Euro: an amount with hundredths before the name; "francs" keeps its name."""
        code = currency_names(self.language_code)[m["cur"]]
        words = self.money(self.parse_number(m["n"], m["sign"]), code)
        forms = find_currency(self.language_code, code).major
        return (
            words
            if m["cur"] in forms
            else re.sub("|".join(map(re.escape, forms[::-1])), m["cur"], words, count=1)
        )

    def _money_per(self, m: Match) -> str:
        number, code = (
            self.parse_number(m["n"] or m["n2"]),
            currency_symbols(self.language_code)[m["cur"] or m["cur2"]],
        )
        scale = m["scale"] or m["scale2"]
        words = (
            self.scaled_money(number, self.clean_scale_word(scale), code)
            if scale
            else self.money(number, code)
        )
        return self.amount_per_unit(words, units.canonical_symbol(m["per"]))

    def _money_range_after(self, m: Match) -> str | None:
        falls = self._is_spaced(m) and not self._rises(m)
        signs = currency_symbols(self.language_code)
        other = m["first"] and signs[m["first"]] != signs[m["cur"]]
        return None if falls or other or self._is_label(m) else self._money_range(m)

    def _money_range(self, m: Match) -> str:
        code = currency_symbols(self.language_code)[m["cur"]]
        high = self.parse_number(m["to"])
        words = (
            self.scaled_money(high, self.clean_scale_word(m["scale"]), code)
            if m["scale"]
            else self.money(high, code)
        )
        return self.range(self.number(self.parse_number(m["n"])), words)
