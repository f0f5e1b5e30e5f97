"""Dates in digits."""

from __future__ import annotations

from .base import RuleBase
from .rule import LETTER, START, Match, Rules, text_after, text_before


class DateRules(RuleBase):
    """The rules for dates in digits; a language adds those with the month in letters."""

    def date_rules(self) -> Rules:
        """Yield the rules for dates."""
        clock = r"(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:[.,]\d+)?)?(?:\s?(?P<zone>Z|[+-]\d{2}:?\d{2})(?!\d))?"
        iso = r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
        yield "datetime", rf"{START}{iso}[T ]\s?{clock}(?![\d:])", self._datetime
        yield "iso", rf"{START}{iso}(?!-?\d|[{LETTER}])", self._year_month_day
        dots = (
            "[/.]" if not self.day_first and self.decimal_mark == "." and not self.spells_acronyms else "/"
        )  # 2024.12.1 is a version
        yield (
            "iso-slash",
            rf"{START}(?P<y>\d{{4}}){dots}(?P<m>\d{{1,2}}){dots}(?P<d>\d{{1,2}})(?![\d/])",
            self._year_month_day,
        )
        yield (
            "local",
            rf"{START}(?P<a>\d{{1,2}})(?P<sep>[/.-])(?P<b>\d{{1,2}})(?P=sep)(?P<y>\d{{4}}|\d{{2}})(?![\d/])",
            self._local_date,
        )
        yield from self.named_date_rules()

    def named_date_rules(self) -> Rules:
        """Yield the rules for dates with the month in letters."""
        yield from ()

    def month_first_rules(self) -> Rules:
        """Yield the rule for "jan. 15": a date with an abbreviated month first."""
        short = "|".join(sorted((form for form in self.month_forms if len(form) < 6), key=len, reverse=True))
        yield (
            "month-first",
            rf"(?<!\w)(?i:(?P<month>{short}))\.\s(?P<d>[12]\d|3[01]|0?[1-9])(?:,?\s(?P<y>(?:1\d|20)\d\d)(?!\d))?(?![\d%°]|[.,:/]\d|\s?[{LETTER}])",
            self._month_first,
        )

    def _month_first(self, m: Match) -> str | None:
        year = int(m["y"]) if m["y"] else None
        return self._date_or_none(year, self.month_forms[m["month"].lower()], int(m["d"]), text_before(m))

    def _year_month_day(self, m: Match) -> str | None:
        month, day = int(m["m"]), int(m["d"])
        if month > 12:
            month, day = day, month
        return self._date_or_none(int(m["y"]), month, day, text_before(m))

    def _local_date(self, m: Match) -> str | None:
        first, second = int(m["a"]), int(m["b"])
        day, month = (first, second) if self.day_first or m["sep"] == "." else (second, first)
        if month > 12:
            day, month = month, day
        year = int(m["y"]) if len(m["y"]) == 4 else int(m["y"]) + (2000 if int(m["y"]) < 70 else 1900)
        if m["sep"] == "." and len(m["y"]) == 2 and self.decimal_mark == ".":
            return None  # more likely a version
        return self._date_or_none(year, month, day, text_before(m))

    def _datetime(self, m: Match) -> str | None:
        date = self._year_month_day(m)
        second = int(m["s"]) if m["s"] else None
        if date is None or not self.valid_time(int(m["h"]), int(m["min"]), second):
            return None
        time = self.time(int(m["h"]), int(m["min"]), second or None)
        words = self.date_and_time(date, time)
        return f"{words} {self.time_zone(m['zone'])}" if m["zone"] else words

    def _month_stop(self, m: Match) -> str:
        """Return the full stop after a month, unless it only belongs to the abbreviation."""
        named = m["month"].lower() in map(str.lower, self.months)
        return "." if m[0].endswith(".") and (named or not text_after(m).strip()) else ""
