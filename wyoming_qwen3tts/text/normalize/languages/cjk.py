"""The rules that Chinese, Japanese and Korean share."""

from __future__ import annotations

import functools
import re

from ..normalizer import Normalizer
from ..numbers import Number
from ..rules.rule import DASH, START, Match, Rules, text_after, text_before


class CjkLanguage(Normalizer):
    """Chinese, Japanese and Korean: year before month before day, no plural, denominator first."""

    decimal_mark = "."
    uses_spaces = False
    day_first = False
    date_words = ("年", "月", "日")
    minus_lookbehind = r"(?<![A-Za-z\d)°%])(?<!\d\.)"
    range_ends = ""
    """Characters that may end the first part of a range: hours, days, floors."""
    weekday_dash = "(?!)"
    """A pattern for the dash between two weekdays."""

    @functools.cached_property
    def _abbreviation_hint_pattern(self) -> re.Pattern[str]:
        return re.compile(rf"{super()._abbreviation_hint_pattern.pattern}|{self.weekday_dash}")

    def plural_form(self, number: Number, forms: tuple[str, ...]) -> str:
        return forms[0]

    def month(self, month: int) -> str:
        """Return the number of a month, as written before 月 or 월."""
        return self.cardinal(month)

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        words = f"{self.year(year)}{self.date_words[0]}" if year is not None else ""
        return f"{words}{self.month(month)}{self.date_words[1]}{self.cardinal(day)}{self.date_words[2]}"

    def spell_digits(self, text: str) -> str:
        return "".join(self.cardinal(int(digit)) for digit in text if digit.isdecimal())

    def version_word(self) -> str:
        return "版本"

    def _version(self, m: Match) -> str:
        word = "".join(self._version_words(m))
        return f"{word}{' ' if word and (word.isascii() or self.uses_spaces) else ''}{self.version(m['v'])}"

    def money(self, number: Number, code: str) -> str:
        if number.fraction and not number.fraction.strip("0"):
            number = Number(number.whole, "", number.negative)  # "5.00" is read as 5
        return super().money(number, code)

    def tilde_rules(self) -> Rules:
        """Yield the rule for 10~12, where ~ does not mean "about"."""
        numbers = rf"(?P<n>{self.num})\s?[〜～~]\s?(?P<to>{self.num})(?!\d|\s?{self.unit})"
        yield "tilde", numbers, self._range_of_numbers

    def _range_of_numbers(self, m: Match) -> str:
        low, high = self.number(self.parse_number(m["n"])), self.number(self.parse_number(m["to"]))
        return self.proportion(low, high) if self.is_score(m) else self.range(low, high)

    def leading_rules(self) -> Rules:
        yield (
            "from-to",
            rf"(?<=\d[{self.range_ends}])\s?(?:{DASH}|〜|～|~)\s?(?=\d)",
            lambda m: self.range_word + (" " if self.uses_spaces else ""),
        )
        yield "keypad", r"(?P<s>[#＃*＊])(?:[号號](?=[键鍵]))?(?![#＃*＊]\d)", self._keypad

    def _keypad(self, m: Match) -> str | None:
        """A telephone key, which needs no spaces around it here."""
        pressed = re.search(
            "按|押|누르|누릅|눌러|キー|ボタン|버튼|键|鍵|シャープ|우물|井号|星号|井號|星號", m.string
        )
        number = re.match(r"\s?\d", text_after(m))
        return self.symbols["#" if m["s"] in "#＃" else "*"] if pressed and not number else None

    def consumption(self, liters: str, distance: str) -> str:
        return f"{distance}{liters}"

    def date_and_time(self, date: str, time: str) -> str:
        return date + time

    def named_date_rules(self) -> Rules:
        y, mo, d = (re.escape(word) for word in self.date_words)
        yield (
            "days-range",
            rf"{START}(?P<a>1[0-2]|0?[1-9])/(?P<b>[0-3]?\d)\s?(?:{DASH}|〜|～|~)\s?(?P<c>1[0-2]|0?[1-9])/(?P<d>[0-3]?\d)(?![\d/])",
            self._days_range,
        )
        yield (
            "full",
            rf"(?P<y>\d{{4}})\s?{y}(?:\s?(?P<m>\d{{1,2}})\s?{mo}(?:\s?(?P<d>\d{{1,2}})\s?(?P<w>{d}|号|號))?)?",
            self._written_date,
        )
        yield (
            "month",
            rf"(?P<m>\d{{1,2}})\s?{mo}(?!份?[间間])(?:\s?(?P<d>\d{{1,2}})\s?(?P<w>{d}|号|號))?",
            self._written_date,
        )

    def time_rules(self) -> Rules:
        yield (
            "duration",
            rf"{START}(?P<h>\d+)\s?h\s?(?P<min>\d{{1,2}})\s?(?:min|m)(?![A-Za-z\d])",
            self._duration,
        )
        yield "clock-h", rf"{START}(?P<h>\d{{1,2}})h(?P<min>[0-5]\d)(?![A-Za-z\d])", self._clock_h
        yield from super().time_rules()

    def _clock_h(self, m: Match) -> str | None:
        hour, minute = int(m["h"]), int(m["min"])
        return self.time(hour, minute) if self.valid_time(hour, minute, None) else None

    def _year_month_day(self, m: Match) -> str | None:
        """A date; 2026.11.1 after a name in Latin letters is a version."""
        named = "." in m[0] and re.search(rf"(?:[A-Za-z]|{self.version_word()})\s?$", text_before(m))
        return None if named else super()._year_month_day(m)

    def _fraction(self, m: Match) -> str | None:
        """12/25 is a date if it can be one, unless it is a likely fraction."""
        top, bottom = int(m["a"]), int(m["b"])
        weekday = re.match(r"\s?[（(][月火水木金土日一二三四五六월화수목금토일][)）]", text_after(m))
        likely = 13 <= bottom <= 31 and not (top == 1 and bottom in {16, 20, 24, 25})
        if not m["w"] and 1 <= top <= 12 and 1 <= bottom <= 31 and (weekday or likely or top > bottom):
            return self.date(None, top, bottom)
        return super()._fraction(m)

    def _days_range(self, m: Match) -> str | None:
        """12/24-12/26, unless these can be fractions."""
        if max(int(m["b"]), int(m["d"])) < 13:
            return None
        return self.range(*(self.date(None, int(m[x]), int(m[y])) for x, y in ("ab", "cd")))

    def _written_date(self, m: Match) -> str | None:
        groups = m.groupdict()
        words = f"{self.year(int(groups['y']))}{self.date_words[0]}" if groups.get("y") else ""
        gap = " " if self.uses_spaces else ""
        if groups.get("m"):
            if not 1 <= int(m["m"]) <= 12:
                return None
            words += (gap if words else "") + f"{self.month(int(m['m']))}{self.date_words[1]}"
        if groups.get("d"):
            words += f"{gap}{self.cardinal(int(m['d']))}{m['w']}"
        return words

    def _number_letters(self, m: Match) -> str | None:
        words = super()._number_letters(m)
        return words.replace(" ", "") if words and not self.uses_spaces else words

    def _mixed_token(self, m: Match) -> str | None:
        words = super()._mixed_token(m)
        return words.replace(" ", "") if words and not self.uses_spaces else words
