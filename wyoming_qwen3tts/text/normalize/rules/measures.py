"""Numbers with units, and powers."""

from __future__ import annotations

import re

from .. import number_context, powers_of_ten, units
from ..numbers import Number
from .fractions import FractionRules
from .rule import DASH, EDGE, LETTER, MINUS, START, Match, Rules, text_after, text_before

_ALONE = frozenset("kWh MWh mph hPa GHz MHz kHz dB ppm ppb rpm Mbps кВт·ч".split())
"""Units that are put into words even without a number."""
_SHORT_SCALES = r"(?:mill|Tsd|Mio|Mrd|Bio|Mds?|mln|mld|тыс|млн|млрд|трлн)\.?"
"""Abbreviated powers of ten."""
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


class MeasureRules(FractionRules):
    """The rules for numbers with units, and for powers."""

    def early_measure_rules(self) -> Rules:
        """Yield the rules for measures that look like a date or another unit: 12/18 °C, 4K."""
        yield (
            "two-temperatures",
            rf"{START}(?P<sign>{self.negative})?(?P<a>\d{{1,3}})\s?/\s?(?P<sign2>{MINUS})?(?P<b>\d{{1,3}})\s?(?P<u>°[CF]?|℃|℉){EDGE}",
            self._two_temperatures,
        )
        yield "screen", rf"(?<![{LETTER}\d.,])(?P<n>[458])(?P<l>K)(?![{LETTER}\d/])", self._number_letters

    def rate_rules(self) -> Rules:
        """Yield the rules for ranges, rates, dimensions and shares."""
        sign = rf"(?P<sign>{self.negative})?"
        num, unit, dash = self.num, self.unit, rf"\s?(?:{DASH}|~|〜|～|…|\.\.\.?)\s?"
        yield (
            "range-unit",
            rf"{sign}(?P<n>{num})\s?(?P<u1>{unit})?{dash}(?:(?P<sign2>{MINUS})|\+)?(?P<to>{num})\s?(?P<u>{unit})",
            self._unit_range,
        )
        yield (
            "word-per",
            rf"(?:(?<=[{LETTER}]{{2}})/(?P<per>[kM]?Wh|кВт·ч|кВтч|m²|m³|km|км)|(?<=[{LETTER}]\.)/(?P<per2>{self._denominator_pattern})){EDGE}",
            lambda m: self._with_spaces(self.per_unit("", units.canonical_symbol(m["per"] or m["per2"])), m),
        )
        times = "|".join(sorted(units.time_words(), key=len, reverse=True))
        yield "word-per-time", rf"(?<=[{LETTER}]{{2}})/(?P<per>{times})(?!\w)", self._word_per_time
        yield (
            "times-per",
            rf"(?P<n>\d+)\s?[x×]\s?/\s?(?P<per>{self._denominator_pattern}){EDGE}",
            self._times_per,
        )
        yield (
            "dimensions",
            rf"(?P<n>{num})(?:\s?(?P<first>{unit}))?\s?[x×]\s?(?P<to>{num})(?:\s?[x×]\s?(?P<third>{num}))?\s?(?P<u>{unit})?(?![\w])",
            self._dimensions,
        )
        yield "consumption", rf"(?P<n>{num})\s?[lLл]/100\s?(?:km|км)(?!\w)", self._consumption
        yield (
            "share",
            rf"{START}(?P<a>\d{{1,4}})\s?/\s?(?P<b>\d{{2,4}})\s?(?P<u>[kKMGT]B|k?Wh|mAh){EDGE}",
            self._score,
        )
        yield (
            "fraction-unit",
            rf"{START}(?:(?P<w>\d{{1,3}}) )?(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})\s(?P<u>{unit})",
            self._fraction_unit,
        )

    def measure_rules(self) -> Rules:
        """Yield the rules for a number with a unit or a power of ten, and for powers."""
        sign = rf"(?P<sign>{self.negative})?"
        num, unit, dash = self.num, self.unit, rf"\s?(?:{DASH}|~|〜|～|…|\.\.\.?)\s?"
        yield (
            "scientific",
            rf"(?P<sign>{self.negative})?(?P<n>{num})[eE](?P<e>[-+]?\d{{1,3}})(?!\w)",
            self._scientific,
        )
        yield (
            "scaled-unit",
            rf"{sign}(?:(?P<low>{num}){dash})?(?P<n>{num})\s?(?P<scale>{self.scale_words})\s?(?P<u>{unit}|t(?![{LETTER}]))",
            self._scaled_unit,
        )
        if not self.amount_scales:
            yield "thousands", rf"{START}(?P<n>\d+(?:[.,]\d{{1,2}})?)k(?![{LETTER}\d/])", self._thousands
        if powers_of_ten.power_name(self.language_code, 6):
            yield "scaled", rf"{sign}(?P<n>{num})\s?(?P<scale>{_SHORT_SCALES})(?!\w)", self._scaled_number
        yield (
            "rate",
            rf"{START}(?P<n>{num})/(?P<per>kg|lb|oz|kWh|MWh|k?m²|cm²|c?m³|min|h|s|km|[lL]|ml|dl|day|week|month|year|кг|кВт·ч|м²|м³|мин|ч|км|л){EDGE}",
            self._rate_of,
        )
        yield "current", rf"{sign}(?P<n>{num})\s?(?P<u>A)(?=[\s-])", self._current
        yield "measure", rf"{sign}(?P<n>{num}|(?<![\w.,])\.\d+)\s?(?P<u>{unit})", self._measure
        yield (
            "small-unit",
            rf"{START}(?P<n>\d+(?:[.,]\d+)?)(?P<u>[vw])(?!\w)",
            lambda m: self.measure(self.parse_number(m["n"]), m["u"].upper()),
        )
        yield "letter-power", r"(?<![A-Za-z])(?P<n>[a-zA-Z]{1,2})(?P<e>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", self._power
        yield "superscript", rf"(?P<n>{num})(?P<e>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", self._power
        yield "unit", rf"(?<![\w°]){unit}", self._unit

    def _two_temperatures(self, m: Match) -> str:
        """12/18 °C: the lowest and the highest temperature of a day."""
        first = self.number(self.parse_number(m["a"], m["sign"]))
        second = self.measure(self.parse_number(m["b"], m["sign2"]), m["u"])
        return f"{first}, {second}" if self.uses_spaces else f"{first}、{second}"

    def _unit_range(self, m: Match) -> str | None:
        """A range with two units, 500 m-2 km; with spaces around the dash these are two measures."""
        falls = self._is_spaced(m) and not m["sign"] and not m["sign2"] and not self._rises(m)
        if (
            self._is_label(m)
            or self._is_letter_after_number(m)
            or self._is_calculation(text_before(m), text_after(m))
            or (falls and units.canonical_symbol(m["u"]) != "h")
        ):
            return None
        if not m["u1"] or units.canonical_symbol(m["u1"]) == units.canonical_symbol(m["u"]):
            return self._range_unit(m)
        ends = (
            self.measure(self.parse_number(m["n"], m["sign"]), m["u1"]),
            self.measure(self.parse_number(m["to"]), m["u"]),
        )
        spaced = re.search(rf"\s{DASH}\s", m[0])
        return (
            None
            if spaced or not all(ends)
            else self.range(str(ends[0]), str(ends[1])) + self._sentence_stop(m)
        )

    def _range_unit(self, m: Match) -> str | None:
        high = self.measure(self.parse_number(m["to"], m["sign2"]), m["u"])
        if high is None:
            return None
        name = self._units.get(units.canonical_symbol(m["u"]))
        low = self.number(self.parse_number(m["n"], m["sign"]), name.gender if name else "m")
        return self.range(low, high) + self._sentence_stop(m)

    def _word_per_time(self, m: Match) -> str | None:
        """5 pills/day: only after something that is counted."""
        counted = re.search(r"\d\s?[^\W\d]+(?:\s[^\W\d]+)?$", text_before(m))
        return self._with_spaces(self.per_unit("", units.canonical_symbol(m["per"])), m) if counted else None

    def _times_per(self, m: Match) -> str:
        words = self.join([self._cardinal_or_digits(m["n"]), self.symbols["x times"]])
        return self.amount_per_unit(words, units.canonical_symbol(m["per"]))

    def _dimensions(self, m: Match) -> str | None:
        if m["first"] and not m["u"]:
            return None
        last = m["third"] or m["to"]
        sides = [self.number(self.parse_number(n)) for n in (m["n"], m["to"], m["third"]) if n]
        if m["first"] and (first := self.measure(self.parse_number(m["n"]), m["first"])):
            sides[0] = first
        by = self.symbols["x"]
        if m["u"] and (measure := self.measure(self.parse_number(last), m["u"])):
            sides[-1] = measure
        elif "×" in m[0] or "=" in m.string[m.end() : m.end() + 3]:
            by = self.symbols["×"]
        return (f" {by} " if self.uses_spaces else by).join(sides)

    def _consumption(self, m: Match) -> str:
        liters = str(self.measure(self.parse_number(m["n"]), "l"))
        return self.consumption(liters, str(self.measure(Number("100"), "km")))

    def _scientific(self, m: Match) -> str:
        exponent = Number(m["e"].lstrip("+-"), negative=m["e"].startswith("-"))
        ten = self.join([self.cardinal(10), self.symbols["^"], self.number(exponent)])
        return self.join([self.number(self.parse_number(m["n"], m["sign"])), self.symbols["×"], ten])

    def _scaled_unit(self, m: Match) -> str | None:
        """100 million kg, 5-10 million kg."""
        low = self.number(self.parse_number(m["low"], m["sign"])) if m["low"] else ""
        number = self.parse_number(m["n"], None if low else m["sign"])
        words = self.scaled_measure(number, self.clean_scale_word(m["scale"]), m["u"])
        return self.range(low, words) if low and words else words

    def _thousands(self, m: Match) -> str:
        """10k, in lower case: 4K is a resolution."""
        return self.number(powers_of_ten.multiply_by_power(self.parse_number(m["n"]), 3))

    def _scaled_number(self, m: Match) -> str:
        amount = self.scaled_number(self.parse_number(m["n"], m["sign"]), m["scale"])
        return (self.number(amount) if isinstance(amount, Number) else amount) + self._sentence_stop(m)

    def _rate_of(self, m: Match) -> str:
        """12/kg: a number of something that is not named."""
        return self.amount_per_unit(self.number(self.parse_number(m["n"])), units.canonical_symbol(m["per"]))

    def _current(self, m: Match) -> str | None:
        """Amperes before other words, only where these words are about electricity."""
        return (
            self._measure(m)
            if number_context.CURRENT.search(text_before(m)) or number_context.VOLTAGE.match(text_after(m))
            else None
        )

    def _measure(self, m: Match) -> str | None:
        if self._is_letter_after_number(m):
            return None
        words = self.measure(self.parse_number(m["n"], m["sign"]), m["u"])
        return words + self._sentence_stop(m) if words else None

    def _is_letter_after_number(self, m: Match) -> bool:
        """Tell whether a unit of one letter is part of a name: gate 7 B, but not 230 V in line 5."""
        unit, digits, before = m["u"], m["n"], text_before(m)
        if len(unit) > 1 or not digits.isdecimal():
            return False
        if unit == "s" and re.fullmatch(r"(?:1[5-9]|20)\d0", digits):
            return number_context.DECADE.search(before) is not None
        if not unit.isupper() and unit not in "abcdef":
            return False
        if number_context.LETTERED.match(text_after(m)) or (
            unit in "NSEW" and number_context.ROAD.match(text_after(m))
        ):
            return True
        if unit in "BБ" and len(digits) < 3 and re.search(rf"[{LETTER}]{{3,}}\.?\s$", before):
            return not number_context.SIZED.search(before)
        named = unit in "NBS" and self.language_code != "de" and re.search(r"\w\s[A-Z][a-z]+\s$", before)
        if not named and number_context.NUMBERED.search(before) is None:
            return False
        return len(digits) < 3 or (len(digits) == 3 and unit not in "VWAВА")

    def _power(self, m: Match) -> str:
        exponent = m["e"].translate(_SUPERSCRIPTS)
        base = " ".join(m["n"]) if m["n"].isalpha() else self.number(self.parse_number(m["n"]))
        return self.power(base, Number(exponent.lstrip("-+"), negative=exponent[0] == "-"))

    def _unit(self, m: Match) -> str | None:
        if not re.search(r"[/²³°℃℉µ%]", m[0]) and m[0] not in _ALONE:
            return None
        return self.unit_name(m[0])
