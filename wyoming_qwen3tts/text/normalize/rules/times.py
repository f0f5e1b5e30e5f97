"""Times of day, durations, time zones and ratios."""

from __future__ import annotations

import re

from .base import RuleBase
from .rule import START, Match, Rules, text_before


class TimeRules(RuleBase):
    """The rules for times of day, durations, time zones and ratios."""

    def time_rules(self) -> Rules:
        """Yield the rules for times of day, time zones and ratios."""
        one = r"\d{1,2}:\d{2}"
        yield (
            "utc",
            r"(?<!\w)(?P<zone>UTC|GMT)\s?(?P<sign>[-+−])(?P<h>\d{1,2})(?::?(?P<min>\d{2}))?(?![\d:])",
            self._utc,
        )
        yield "clocks", rf"{START}(?P<a>{one})\s?[-–—~～〜]\s?(?P<b>{one})(?![\d:])", self._clocks
        yield "clock", rf"{START}(?P<h>\d{{1,2}}):(?P<min>\d{{2}})(?::(?P<s>\d{{2}}))?(?![\d:])", self._clock
        yield "ratio", rf"{START}(?P<a>\d+):(?P<b>\d+)(?![\d:])", self._ratio

    def _utc(self, m: Match) -> str:
        """UTC-5, GMT+05:30."""
        zone = self.spell_letters(m["zone"]) if self.spells_acronyms else m["zone"]
        words = [zone, self.plus if m["sign"] == "+" else self.minus, self.cardinal(int(m["h"]))]
        return " ".join([*words, self.cardinal(int(m["min"]))] if int(m["min"] or 0) else words)

    def _clock(self, m: Match) -> str | None:
        hour, minute, second = int(m["h"]), int(m["min"]), int(m["s"]) if m["s"] else None
        if second is not None and (m["h"] == "00" or re.search(self.duration_cues, text_before(m), re.I)):
            parts = [(str(n), unit) for n, unit in ((hour, "h"), (minute, "min"), (second, "s")) if n]
            return self._duration_words(parts or [("0", "s")])
        if not self.valid_time(hour, minute, second):
            return None
        return self.time(hour, minute, second, before=text_before(m))

    def _clocks(self, m: Match) -> str | None:
        ends = [[int(part or 0) for part in re.split("[:h.]", m[end])] for end in "ab"]
        if not all(self.valid_time(hour, minute, None) for hour, minute in ends):
            return None
        return self.range(*(self.time(hour, minute) for hour, minute in ends))

    def _duration(self, m: Match) -> str:
        """Hours and minutes, and days and seconds where the pattern has groups for them."""
        parts = [(n, unit) for unit in ("d", "h", "min", "s") if (n := m.groupdict().get(unit))]
        return self._duration_words(parts) + self._sentence_stop(m)

    def _ratio(self, m: Match) -> str:
        return self.proportion(self._cardinal_or_digits(m["a"]), self._cardinal_or_digits(m["b"]))
