"""The rules that French, Spanish, Portuguese and Italian share."""

from __future__ import annotations

import functools
import re

from .. import units
from ..normalizer import Normalizer
from ..numbers import Number
from ..roman_numerals import parse_roman
from ..rules.rule import LETTER, START, Match, Rules, text_after, text_before

_NO_NOUNS = frozenset(
    "plus moins dans sans sous vers après depuis mais puis alors más menos tras antes mas depois pelos nosotros anche oltre "
    "come quindi oggi invece mentre oppure".split()
)
"""Words after a number that are not counted nouns."""


class RomanceLanguage(Normalizer):
    """Dates as "3 [de] December [de] 2024", decimals read as numbers, centuries in Roman numerals."""

    date_preposition = ""
    """The word between day, month and year."""
    century_words = ""
    """Words next to the Roman numeral of a century, as a pattern."""
    first_of_month = ""
    feminine_nouns = ""
    """A pattern for feminine nouns after a number."""
    date_cues = ""
    """Words before 31/12 that make it a date, as a pattern."""
    half_suffixes = ("", "")
    """Words after a masculine and a feminine noun in "one cup and a half"."""
    halvable_units = ""
    """Nouns that are counted in halves, in the notation of ``units.txt``."""
    articles = "(?!)"
    """Words before an ordinal, as a pattern; its group has the feminine ones."""
    day_letter = "d"
    """The letter for days in 2 d 4 h."""

    def plural_form(self, number: Number, forms: tuple[str, ...]) -> str:
        return self.noun_after_number(number, super().plural_form(number, forms))

    def noun_after_number(self, number: Number, noun: str) -> str:
        """Return a noun in the form after a number: un millón de euros."""
        millions = not number.fraction and number.value and number.value % 1_000_000 == 0
        return self.noun_after_million(noun) if millions else noun

    def decimal_digits(self, text: str) -> str:
        stripped = text.lstrip("0")
        zeros = [self.cardinal(0)] * (len(text) - len(stripped))
        if len(text) > 3 or not stripped:
            return self.spell_digits(text)
        return self.join([*zeros, self.cardinal(int(stripped))])

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        words = self.first_of_month if day == 1 and self.first_of_month else self.cardinal(day)
        parts = [words, self.months[month - 1], *([self.year(year)] if year is not None else [])]
        return f" {self.date_preposition} ".join(parts) if self.date_preposition else " ".join(parts)

    def named_date_rules(self) -> Rules:
        months = "|".join(sorted(self.month_forms, key=len, reverse=True))
        de = rf"(?:{self.date_preposition}\s)?" if self.date_preposition else ""
        end = rf"(?![{LETTER}])\.?"
        yield (
            "named",
            rf"{START}(?P<d>\d{{1,2}})(?:er|º|ª|°|\.º)?\s{de}(?i:(?P<month>{months}){end})(?:\s(?:del?\s)?(?P<y>(?:1\d|20)\d\d)(?!\d))?",
            self._named_date,
        )
        yield from self.month_first_rules()
        yield (
            "day-month",
            r"(?<![\w/.,-])(?P<d>0?[1-9]|[12]\d|3[01])/(?P<m>0[1-9]|1[0-2])(?![\d/])",
            self._day_month,
        )
        yield (
            "day",
            rf"(?<!\w)(?P<day>{self._day_names})\b\.?(?=,?\s\d{{1,2}}(?:[/.]\d|\s{de}(?i:{months})(?![{LETTER}])))",
            lambda m: self._days[m["day"]],
        )
        yield (
            "month-year",
            rf"(?i:(?P<month>{months}){end})\s{de}(?P<y>(?:1\d|20)\d\d)(?!\d|[.,]\d)",
            self._month_year,
        )

    def _named_date(self, m: Match) -> str | None:
        month = self.month_forms[m["month"].lower()]
        words = self._date_or_none(int(m["y"]) if m["y"] else None, month, int(m["d"]), text_before(m))
        return words + (self._sentence_stop(m) if m["y"] else self._month_stop(m)) if words else None

    def _day_month(self, m: Match) -> str | None:
        """31/12; 3/12 only after an article or a weekday, because it may be a fraction or a score."""
        before = rf"(?:\b(?:{self.date_cues})\s|\b(?:{self._day_names})\.?,?\s|[’'])$"
        if int(m["d"]) <= 12 and not re.search(before, text_before(m)):
            return None
        return self._date_or_none(None, int(m["m"]), int(m["d"]), text_before(m))

    def _month_year(self, m: Match) -> str:
        return self.month_year(self.month_forms[m["month"].lower()], int(m["y"]))

    def month_year(self, month: int, year: int) -> str:
        parts = [self.months[month - 1], self.year(year)]
        return f" {self.date_preposition} ".join(parts) if self.date_preposition else " ".join(parts)

    def _letter_ordinal(self, m: Match) -> str | None:
        """1.º, 2a, 3os: the letters tell gender and number."""
        words = self.ordinal(int(m["n"]), "f" if m["s"][-1] in "ªa" else "m")
        return re.sub(r"[oa]\b", lambda end: f"{end[0]}s", words) if m["many"] else words

    def _degree_ordinal(self, m: Match) -> str | None:
        """2° is an ordinal between an article and a noun, else a temperature or an angle."""
        article = re.search(rf"(?:^|[^\w’'])(?:{self.articles})\s$", text_before(m), re.I)
        noun = re.match(rf"\s([{LETTER}]{{3,}})", text_after(m))
        if article is not None:
            return self.ordinal(int(m["n"]), "f" if article[1] else "m")
        if noun is None or not self.is_ordinal(int(m["n"]), noun[1]):
            return None
        return self.ordinal(int(m["n"]), "f" if self.is_feminine(noun[1]) else "m")

    def is_ordinal(self, value: int, noun: str) -> bool:
        """Tell whether a number with ° and without an article is an ordinal before ``noun``."""
        return False

    def is_feminine(self, noun: str) -> bool:
        """Tell whether a noun is feminine."""
        return self.gender_of(noun) == "f"

    def inflect_for_gender(self, words: str, gender: str) -> str:
        """Return a number in words in the gender of the counted noun."""
        return words

    def cardinal_before_noun(self, value: int, gender: str) -> str:
        return self.inflect_for_gender(self.cardinal(value), gender)

    def plain_number(self, number: Number, m: Match) -> str:
        after = text_after(m)
        if not number.fraction and (noun := re.match(rf"\s+(?:mil\s)?([{LETTER}]+)", after)):
            words = self.cardinal_before_noun(number.value, self.gender_of(noun[1].lower()))
            return self.join([self.minus, words]) if number.negative else words
        return self.number(number)

    def gender_of(self, noun: str) -> str:
        """Return the likely gender of a noun after a number: m, f, or "" if it is no noun."""
        return "f" if self.feminine_nouns and re.fullmatch(self.feminine_nouns, noun) else ""

    def leading_rules(self) -> Rules:
        yield (
            "chapter",
            r"(?P<w>[Cc]hapitre|[Tt]ome|[Aa]cte|[Cc]apítulo|[Tt]omo|[Aa]cto|[Aa]to|[Cc]apitolo|[Aa]tto|[Vv]olume|[Pp]arte|[Pp]artie)"
            r"\s(?P<r>[IVXLC]+)(?![\w'’-])",
            self._chapter,
        )
        yield "century", rf"(?P<w>{self.century_words})\s(?P<r>[IVXLCM]+)(?![\w'’-])", self._century
        yield (
            "century-2",
            rf"(?P<r>[IVX]+)(?P<s>er|e|ème|º|°|o)?\s(?P<w>{self.century_words})(?!\w)",
            self._century,
        )
        yield (
            "regnal",
            r"(?P<name>[A-ZÀ-Þ][a-zà-ÿ]+)\s(?P<r>[IVXL]+)(?P<er>er|º|°)?(?![\w'’-])",
            self._regnal,
        )

    def fraction_rules(self) -> Rules:
        yield (
            "millions-of",
            rf"{START}(?P<n>{self.num}(?<=000))\s(?P<noun>[a-zà-ÿ]{{3,}}[sx]|[a-zà-ÿ]{{4,}}[ie]|euro)(?![{LETTER}'’])",
            self._millions_of,
        )
        words = "|".join(sorted(self._halvable_unit_names, key=len, reverse=True))
        yield (
            "and-half",
            rf"(?<![\w/.,])(?P<n>\d{{1,2}})(?:\s1/2|\s?½)\s(?P<noun>{words})(?![{LETTER}])",
            lambda m: self.quantity_and_half(int(m["n"]), self._halvable_unit_names[m["noun"]]),
        )
        yield from super().fraction_rules()

    @functools.cached_property
    def _halvable_unit_names(self) -> dict[str, units.UnitName]:
        names = (units.parse_name(column) for column in self.halvable_units.split())
        return {form: name for name in names for form in name.forms}

    def quantity_and_half(self, value: int, name: units.UnitName) -> str:
        """Return one and a half of something: the half comes after the noun."""
        number = Number(str(value))
        words = self.quantity(number, name)
        return f"{words} {self.half_suffixes[name.gender == 'f']}"

    def _fraction_of_unit(self, whole: str | None, top: int, bottom: int, symbol: str) -> str | None:
        name = self._units.get(units.canonical_symbol(symbol))
        if whole and (top, bottom) == (1, 2) and name is not None:
            return self.quantity_and_half(int(whole), name)
        return super()._fraction_of_unit(whole, top, bottom, symbol)

    def _millions_of(self, m: Match) -> str | None:
        number = self.parse_number(m["n"])
        noun = self.noun_after_number(number, m["noun"])
        if noun == m["noun"] or m["noun"] in _NO_NOUNS or (noun[-1] in "ie" and self.language_code != "it"):
            return None
        return self.join([self.number(number), noun])

    def _chapter(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        return f"{m['w']} {self.cardinal(value)}" if value else None

    def _century(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        if value is None:
            return None
        words = self.century_number(value, m["w"])
        return f"{m['w']} {words}" if m.start("w") < m.start("r") else f"{words} {m['w']}"

    def century_number(self, value: int, word: str) -> str:
        """Return the number of a century in words."""
        return self.cardinal(value)

    def _regnal(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        if value is None or (len(m["r"]) == 1 and m["name"].endswith(("s", "ción")) and m["r"] != "I"):
            return None
        words = self.regnal_number(m["name"], value)
        return f"{m['name']} {words}" if words else None

    def time_rules(self) -> Rules:
        one = r"\d{1,2}(?::\d{2}|h\d{2}|h)"
        at = r"(?:(?<=\b[Aa] las )|(?<=\b[Ll]as )|(?<=\b[Aa]lle )|(?<=\b[ÀàÁá]s )|(?<=\b[Àà] ))"
        hours = r"\s?(?:[hH]s?|hrs?|horas|heures|ore)\b"
        yield "clock-h2", rf"(?:{START}(?P<h>\d{{1,2}}):(?P<min>\d{{2}})){hours}", self._h_clock
        yield "clock-hs", rf"{START}(?P<h>\d{{1,2}})\.(?P<min>[0-5]\d)\s?[hH]r?s\b", self._h_clock
        yield "clock-h3", rf"{at}(?P<h>\d{{1,2}})\.(?P<min>[0-5]\d){hours}", self._h_clock
        yield (
            "duration-d",
            rf"{START}(?P<d>\d+)\s?[d{self.day_letter}]\s?(?P<h>\d+)\s?h(?:\s?(?P<min>\d{{1,2}})\s?(?:min|m))?(?!\w)",
            self._duration,
        )
        yield "clocks", rf"{START}(?P<a>{one})\s?[-–]\s?(?P<b>{one})(?:\s[hH]s?\b)?(?![\d:])", self._clocks
        yield "duration", rf"{START}(?P<h>\d{{1,3}})\s?h\s?(?P<min>\d{{1,2}})\s?min(?!\w)", self._duration
        yield "clock-h", rf"{START}(?P<h>\d{{1,2}})\s?[hH]\s?(?P<min>\d{{2}})(?:\s?m)?(?![\w])", self._h_clock
        yield from super().time_rules()

    def _h_clock(self, m: Match) -> str | None:
        hour, minute = int(m["h"]), int(m["min"])
        if re.search(self.duration_cues, text_before(m), re.I):
            return self._duration(m)
        return self.time(hour, minute) if self.valid_time(hour, minute, None) else None
