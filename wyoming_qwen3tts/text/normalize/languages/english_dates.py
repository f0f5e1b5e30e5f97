"""Dates, times of day, durations, feet and inches in English."""

from __future__ import annotations

import re

from ..numbers import Number
from ..rules.rule import EDGE, START, Match, Rules, text_after, text_before
from .english_words import DAYS, MONTH_FORMS, MONTHS, EnglishWords


class EnglishDates(EnglishWords):
    """The rules for dates, times of day, durations, feet and inches."""

    def named_date_rules(self) -> Rules:
        months = "|".join(sorted(MONTH_FORMS, key=len, reverse=True))
        caps = rf"(?i:(?P<month>{months})\b\.?)"
        days = "|".join(sorted(DAYS, key=len, reverse=True))
        year = r"(?P<y>(?:1[1-9]|20)\d\d|\d\d)"
        yield (
            "month-dashes",
            rf"(?<![\w-])(?i:(?P<month>{months}))-(?P<d>\d{{1,2}})-{year}(?![\w-])",
            self._dashed_date,
        )
        yield (
            "day-dashes",
            rf"(?<![\w-])(?P<d>\d{{1,2}})-(?i:(?P<month>{months}))-{year}(?![\w-])",
            self._dashed_date,
        )
        yield (
            "month-day",
            rf"{caps}\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:\s?[-–]\s?(?P<to>\d{{1,2}})(?:st|nd|rd|th)?)?(?:,?\s(?P<y>(?:1[1-9]|20)\d\d))?(?![\d:%°]|\.\d|,\d|\s?(?:{self.unit}))",
            self._named_date,
        )
        yield (
            "day-month",
            rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?{caps}(?:,?\s(?P<y>(?:1[1-9]|20)\d\d))?(?!\d|\s(?:I|you|we|he|she|they)\b)",
            self._named_date,
        )
        yield (
            "month-year",
            rf"(?i:(?P<month>{months})\b\.?),?\s(?P<y>(?:1[1-9]|20)\d\d)(?!\d|[.,]\d)",
            self._month_year,
        )
        yield (
            "day-alone",
            rf"(?:(?<=\bon )|(?<=\bby )|(?<=\buntil )|(?<=\bthis )|(?<=\bnext )|(?<=\blast )|(?<=\bevery )|(?<=\bsince )|(?<=\bbefore )|(?<=\bafter )|(?<=\barrives )|(?<=\byou ))(?P<day>{days})\b(?P<stop>\.?)(?=\s*$|[,;!?]|\s[a-z])",
            self._weekday,
        )
        yield (
            "weekday",
            rf"(?:(?<=day to )|(?<=day through )|(?=[A-Z][a-z]{{2,4}}\.?(?:,?\s(?:\d|(?i:{months})\b)|,? at\b|\s(?:to|through|until)\b)))"
            rf"(?P<day>{days})\b(?P<stop>\.?)",
            self._weekday,
        )
        yield (
            "days-month",
            rf"{START}(?P<a>\d{{1,2}})\s?[-–]\s?(?P<d>\d{{1,2}})\s{caps}(?:,?\s(?P<y>(?:1[1-9]|20)\d\d))?(?!\d)",
            self._days_month,
        )
        yield "month-day-short", rf"{START}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})(?![\d/])", self._short_date

    def time_rules(self) -> Rules:
        half = r"(?P<half>[aApP])\.?\s?[mM]\b(?P<stop>\.?)"
        clock = r"(?P<h>\d{1,2})(?:[:.](?P<min>\d{2}))?(?::(?P<s>\d{2}))?"
        yield (
            "half-range",
            rf"{START}(?P<a>{clock}\s?[aApP]\.?\s?[mM]\b\.?)\s?[-–]\s?(?P<b>\d{{1,2}}(?:[:.]\d\d)?\s?[aApP]\.?\s?[mM]\b)",
            lambda m: f"{self.normalize(m['a'])} to {self.normalize(m['b'])}",
        )
        yield (
            "clock-range",
            rf"{START}(?P<a>\d{{1,2}}(?::\d{{2}})?)\s?[-–]\s?(?P<b>\d{{1,2}}(?::\d{{2}})?)\s?{half}",
            self._half_range,
        )
        yield "clock-half", rf"{START}{clock}\s?{half}", self._half_clock
        days = r"(?:(?P<d>\d+)\s?d(?:ays?)?,?\s?)?"
        hours = r"(?P<h>\d+)\s?h(?:rs?|ours?)?,?\s?"
        minutes = r"(?P<min>\d{1,2})\s?(?:m(?:ins?|inutes?)?)?"
        seconds = r"(?:,?\s?(?P<s>\d{1,2})\s?s(?:ecs?|econds?)?)?"
        yield "duration", rf"{START}{days}{hours}{minutes}{seconds}{EDGE}", self._duration
        yield "duration-d", rf"{START}(?P<d>\d+)\s?d\s?(?P<h>\d+)\s?h{EDGE}", self._duration
        yield (
            "duration-s",
            rf"{START}(?P<min>\d+)\s?m(?:ins?)?\s?(?P<s>\d{{1,2}})\s?s(?:ecs?)?{EDGE}",
            self._duration,
        )
        yield "ago", rf"{START}(?P<min>\d+)\s?m(?=\s(?:ago|left|remaining)\b)", self._duration
        yield "feet-inches", rf"{START}(?P<f>\d+)\s?ft\.?,?\s(?P<i>\d{{1,2}})\s?in\b\.?", self._feet
        yield (
            "inches-of",
            rf"{START}(?P<n>\d*\.\d+|\d+(?=\s?in\s(?:of|tall|wide|long|deep|thick|high)\b))\s?in\b(?!\s(?:the|a|an|my|our|your|total|all|this|that|each|both|most)\b)",
            self._inches,
        )
        yield "feet", rf"{START}(?P<f>\d+)['′]\s?(?:(?P<i>\d{{1,2}})[\"″”])?(?!\w)", self._feet
        yield (
            "inches",
            rf"{START}(?P<n>\d+(?:\.\d+)?)[\"″](?=\s+(?:x|by|wide|tall|long|screen|TV|pipe|display)|[,.]|$)",
            self._inches,
        )
        yield from super().time_rules()

    def _named_date(self, m: Match) -> str | None:
        month, day = MONTH_FORMS[m["month"].lower()], int(m["d"])
        if not 1 <= day <= 31 or (
            m["month"][0].islower()
            and m["month"] in {"may", "mar", "march", "dec", "sept", "jan"}
            and (m["month"] == "may" or m.string[m.end("month") - 1 : m.end("month") + 1].find(".") < 0)
        ):
            return None
        year = int(m["y"]) if m["y"] else None
        tail = f", {self.year(year)}" if year is not None else ""
        if "to" not in m.groupdict():  # the day is written first
            the = "" if re.search(r"\bthe\s*$", text_before(m), re.I) else "the "
            return f"{the}{self.ordinal(day)} of {MONTHS[month - 1]}{tail}"
        to = f" to {self.ordinal(int(m['to']))}" if m["to"] else ""
        return f"{MONTHS[month - 1]} {self.ordinal(day)}{to}{tail}"

    def _days_month(self, m: Match) -> str | None:
        """24-26 Dec."""
        last = self._named_date(m) if m["month"] != "may" and int(m["a"]) < int(m["d"]) else None
        return f"the {self.ordinal(int(m['a']))} to {last}" if last else None

    def _dashed_date(self, m: Match) -> str | None:
        """Jan-15-2020 and 15-Jan-2020."""
        year = int(m["y"]) if len(m["y"]) == 4 else int(m["y"]) + (2000 if int(m["y"]) < 70 else 1900)
        return self._date_or_none(year, MONTH_FORMS[m["month"].lower()], int(m["d"]), text_before(m))

    def _month_year(self, m: Match) -> str | None:
        if m["month"][0].islower():
            return None
        return f"{MONTHS[MONTH_FORMS[m['month'].lower()] - 1]} {self.year(int(m['y']))}"

    def _weekday(self, m: Match) -> str:
        return DAYS[m["day"]] + self._stop(m)

    def _short_date(self, m: Match) -> str | None:
        """6/12 is a date only after words that ask for one."""
        before = text_before(m)
        sure = re.search(
            r"\b(?:on|due|ships|arrives|starts|ends|expires|dated?|today is|tomorrow is|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?(?:\s[-–—−])?)\s$",
            before,
            re.I,
        )
        likely = re.search(r"\b(?:by|from|since|until|till|before|after|through|for)\s$", before, re.I)
        if not sure and not (likely and int(m["b"]) > 8):
            return None
        day, month = (int(m["a"]), int(m["b"])) if self.day_first else (int(m["b"]), int(m["a"]))
        return self._date_or_none(None, month, day, before)

    @staticmethod
    def _half(m: Match) -> str:
        return "A M" if m["half"] in "aA" else "P M"

    def _stop(self, m: Match) -> str:
        rest = text_after(m)
        ends = not rest.strip() or re.match(rf"\s+(?!(?i:{'|'.join(MONTH_FORMS)})\b)[A-Z]", rest)
        return "." if m["stop"] and ends else ""

    def _half_clock(self, m: Match) -> str | None:
        hour, minute = int(m["h"]), int(m["min"] or 0)
        if not 0 <= hour <= 23 or minute > 59:
            return None
        return self.time(hour, minute, int(m["s"]) if m["s"] else None, self._half(m)) + self._stop(m)

    def _bare_clock(self, text: str) -> str:
        hour, _, minute = text.partition(":")
        return self.time(int(hour), int(minute or 0), half=" ").strip()

    def _half_range(self, m: Match) -> str:
        to = "and" if re.search(r"\bbetween\s$", text_before(m), re.I) else self.range_word
        return f"{self._bare_clock(m['a'])} {to} {self._bare_clock(m['b'])} {self._half(m)}{self._stop(m)}"

    def _feet(self, m: Match) -> str | None:
        feet = self.measure(Number(m["f"]), "ft")
        if m["i"]:
            return f"{feet} {self.measure(Number(m['i']), 'in')}"
        return feet

    def _inches(self, m: Match) -> str | None:
        return self.measure(self.parse_number(m["n"]), "in")
