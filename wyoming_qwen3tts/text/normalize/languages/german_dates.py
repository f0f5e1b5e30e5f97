"""Dates and times of day in German."""

from __future__ import annotations

import re

from ..rules.rule import LETTER, START, Match, Rules, text_after, text_before
from .german_words import DATIVE, DAYS, MONTH_FORMS, GermanWords

_FRANCS = re.compile(r"\s?\d+(?:['’]\d{3})*(?:\.\d\d)?(?![\d'’]|\.\d|\.\s?[A-ZÄÖÜ]|\s?Uhr)")
_PRICED = re.compile(
    r"(?:\b(?:kostet|kosten|für|zu|von|um|macht|beträgt|Preis:?|Total:?|Summe:?|nur|je)|[-–—−－:])\s$"
)
"""Text before "Fr. 5.50" that makes it Swiss francs and not a Friday."""


class GermanDates(GermanWords):
    """The rules for dates and times of day."""

    def named_date_rules(self) -> Rules:
        months = "|".join(sorted(MONTH_FORMS, key=len, reverse=True))
        days = "|".join(DAYS)
        yield (
            "named",
            rf"{START}(?P<d>\d{{1,2}})(?:\.\s?|\s)(?i:(?P<month>{months})(?![{LETTER}])\.?)(?:\s(?P<y>\d{{4}})(?!\d))?",
            self._named_date,
        )
        yield from self.month_first_rules()
        yield "short", rf"{START}(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.(?!\d)", self._short_date
        yield "day", rf"(?P<day>{days})\.?(?=,?\s\d|(?=x)x)", self._day

    def time_rules(self) -> Rules:
        one = r"\d{1,2}(?:[:.]\d{2})?"
        yield (
            "hours",
            rf"{START}(?P<h>\d{{1,3}}):(?P<min>[0-5]\d)\s?(?P<w>Std\.?|Stunden|h)(?!\w)",
            self._hours,
        )
        yield (
            "clock-range",
            rf"{START}(?P<a>{one})\s?(?:Uhr\s?|(?<=\d)h)?[-–]\s?(?P<b>{one})\s?(?:Uhr|h)(?!\w)",
            self._unless_label(self._range_clock),
        )
        yield (
            "clock-word",
            rf"{START}(?P<h>\d{{1,2}})(?:[:.](?P<min>\d{{2}})(?::(?P<s>\d{{2}}))?)?\s?(?:Uhr(?!\w)|(?<=:\d\d)\s?h(?!\w))",
            self._word_clock,
        )
        yield (
            "clocks-bis",
            rf"{START}(?P<a>\d{{1,2}})\s?h\sbis\s(?P<b>\d{{1,2}})\s?h(?!\w)",
            lambda m: f"{self.time(int(m['a']), 0)} bis {self.time(int(m['b']), 0)}",
        )
        yield "clocks-h", rf"{START}(?P<a>\d{{1,2}}h\d\d)\s?[-–]\s?(?P<b>\d{{1,2}}h\d\d)(?!\w)", self._clocks
        yield (
            "clock-h",
            rf"{START}(?P<h>\d{{1,2}})\s?h\s?(?P<min>[0-5]\d)(?!\w|\s?(?:m|[Mm]in)\b)(?:\sUhr\b)?",
            self._h_clock,
        )
        at = r"(?:(?<=\b[Uu]m )|(?<=\b[Aa]b )|(?<=\b[Gg]egen ))"
        yield "hour-h", rf"{at}(?P<h>\d{{1,2}})(?:\.(?P<min>[0-5]\d))?\s?h(?!\w)", self._word_clock
        yield (
            "duration",
            rf"{START}(?P<h>\d+)\s?(?:h|Std\.?)\s?(?P<min>\d{{1,2}})\s?(?:min|Min\.?)(?!\w)",
            self._duration,
        )
        yield from super().time_rules()

    def _two_short_dates(self, m: Match) -> str | None:
        """23.-25.11.: the month is read once."""
        before, month, year = text_before(m), int(m["m"]), int(m["y"]) if m["y"] else None
        if not 1 <= month <= 12:
            return None
        word = m["und"] if m["und"] in {"und", "bis"} else "bis"
        context = before if word == "und" or DATIVE.search(before) else "zum"
        first = self.inflect_ordinal(int(m["a"]), before)
        return f"{first} {word} {self.date(year, month, int(m['d']), context)}{self._sentence_stop(m)}"

    def _two_dates(self, m: Match) -> str:
        before = text_before(m)
        month = MONTH_FORMS[m["month"].lower()]
        word = {"-": "bis", "–": "bis"}.get(m["und"], m["und"]) + (
            " zum" if m["zum"] or m["und"] in "-–" else ""
        )
        first = self.inflect_ordinal(int(m["a"]), before)
        year = int(m["y"]) if m["y"] else None
        context = before if word == "und" else "zum"
        return f"{first} {word} {self.date(year, month, int(m['d']), context)}"

    @staticmethod
    def _is_francs(m: Match) -> bool:
        """Tell whether "Fr." means francs and not Friday: by the text before it, or by 1'234."""
        price = _FRANCS.match(text_after(m))
        return price is not None and (
            "'" in price[0] or "’" in price[0] or bool(_PRICED.search(text_before(m)))
        )

    def _day(self, m: Match) -> str | None:
        return None if m[0] == "Fr." and self._is_francs(m) else DAYS[m["day"]]

    def _named_date(self, m: Match) -> str | None:
        month, day = MONTH_FORMS[m["month"].lower()], int(m["d"])
        words = self._date_or_none(int(m["y"]) if m["y"] else None, month, day, text_before(m))
        return words + self._month_stop(m) if words else None

    def _short_date(self, m: Match) -> str | None:
        words = self._date_or_none(None, int(m["m"]), int(m["d"]), text_before(m))
        return words + "." if words and not text_after(m).strip() and text_before(m).strip() else words

    def _clock_words(self, text: str) -> str:
        hour, _, minute = text.replace(".", ":").partition(":")
        return self.time(int(hour), int(minute or 0))

    def _range_clock(self, m: Match) -> str:
        first, last = self._clock_words(m["a"]), self._clock_words(m["b"])
        if re.fullmatch(r"\d+", m["a"]):
            first = first.removesuffix(" Uhr")
        return f"{first} bis {last}"

    def _hours(self, m: Match) -> str | None:
        """1:30 Std. is a duration; 8:30 h is one only after words that say so."""
        timed = m["w"] != "h" or re.search(self.duration_cues, text_before(m), re.I)
        parts = [(str(int(m[unit])), unit) for unit in ("h", "min") if int(m[unit])]
        return self._duration_words(parts or [("0", "min")]) + self._sentence_stop(m) if timed else None

    def _h_clock(self, m: Match) -> str | None:
        """10h19 is a time of day, or a duration after words that say so."""
        if re.search(self.duration_cues, text_before(m), re.I):
            return self._duration(m)
        hour, minute = int(m["h"]), int(m["min"])
        return self.time(hour, minute) if self.valid_time(hour, minute, None) else None

    def _word_clock(self, m: Match) -> str | None:
        hour, minute = int(m["h"]), int(m["min"] or 0)
        second = int(m.groupdict().get("s") or 0) or None
        return self.time(hour, minute, second) if self.valid_time(hour, minute, second) else None
