"""Abbreviations and weekdays."""

from __future__ import annotations

import functools
import re

from .base import RuleBase
from .rule import DASH, LETTER, Match, Rules, text_after


class AbbreviationRules(RuleBase):
    """The rules for abbreviations and weekdays."""

    def abbreviation_rules(self) -> Rules:
        """Yield the rules for abbreviations, and for weekdays in ranges and forecasts."""
        if self.weekdays:
            days = self._day_names
            between = rf"\s?[-–]\s?|\s(?:{self.weekday_range_words})\s"
            yield (
                "weekdays",
                rf"(?<!\w)(?P<a>{days})\b\.?(?P<to>{between})(?P<b>{days})\b(?P<stop>\.?)",
                self._weekdays,
            )
            yield (
                "forecast",
                rf"(?<!\w)(?P<day>{days})(?=(?::|\s{DASH})\s[-+−–]?\d[-\d.,–/ ]*\s?°)",
                lambda m: self._days[m["day"]],
            )
        if self.abbreviations:
            yield "abbreviation", self._abbreviation_pattern(), self._abbreviation

    @functools.cached_property
    def _days(self) -> dict[str, str]:
        """Written weekday, with and without a capital → its full name."""
        days = dict(self.weekdays) | {day: day for day in self.weekdays.values()}
        return days | {day[0].upper() + day[1:]: words for day, words in days.items()}

    @functools.cached_property
    def _day_names(self) -> str:
        """A pattern for all written weekdays, the longest first."""
        return "|".join(sorted(map(re.escape, self._days), key=len, reverse=True))

    def _abbreviation_pattern(self) -> str:
        sources = []
        for written in sorted(self.abbreviations, key=len, reverse=True):
            source = re.escape(written).replace(r"\ ", r"[ \u00a0\u202f]?")
            end = rf"(?![{LETTER}])" if written[-1] in ".°º" else rf"(?![{LETTER}\d]|\.[{LETTER}\d])"
            sources.append(f"{source}{end}")
        return rf"(?<![{LETTER}\d.@/-])(?:{'|'.join(sources)})"

    @functools.cached_property
    def _abbreviation_keys(self) -> dict[str, str]:
        return {re.sub(r"\s", "", written): written for written in self.abbreviations}

    def _abbreviation(self, m: Match) -> str | None:
        written = self._abbreviation_keys[re.sub(r"\s", "", m[0])]
        words = self.expand_abbreviation(written, m)
        if words is None:
            return None
        rest = text_after(m)
        if written.endswith(".") and not rest.strip() and not words.endswith("."):
            words += "."  # the full stop also ends the sentence
        return words

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        """Return the words for an abbreviation in its context; None if it is not an abbreviation there."""
        return self.abbreviations[written]

    def _weekdays(self, m: Match) -> str:
        to = m["to"].strip(" -–") or self.range_word
        stop = m["stop"] if self._days[m["b"]].lower() == m["b"].lower() else self._sentence_stop(m)
        return f"{self.weekday_range(self._days[m['a']], to, self._days[m['b']])}{stop}"
