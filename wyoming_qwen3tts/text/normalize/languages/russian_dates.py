"""Dates, years and times of day in Russian."""

from __future__ import annotations

import re

from ..rules.rule import LETTER, START, Match, Rules, text_before
from .russian_words import DAY_FORMS, MONTHS, RussianWords

_NOMINATIVE = (
    "январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
)  # fmt: skip
_AFTER_DAY = re.compile(
    r"\b(?:понедельник|вторник|сред[ау]|четверг|пятниц[ау]|суббот[ау]|воскресенье|пн|вт|ср|чт|пт|сб|вс),?\s$",
    re.I,
)


class RussianDates(RussianWords):
    """The rules for dates, years and times of day."""

    def _clocks(self, m: Match) -> str | None:
        """A range of times of day, in the genitive."""
        if (words := super()._clocks(m)) is None:
            return words
        hours = [[int(part) for part in m[end].split(":")] for end in "ab"]
        first, last = (self.time(hour, minute, before="до ") for hour, minute in hours)
        has_preposition = re.search(r"\b(?:со?|от)\s+$", text_before(m), re.I)
        return f"{'' if has_preposition else 'с '}{first} до {last}"

    def _weekdays(self, m: Match) -> str:
        to, first, last = m["to"].strip(" -–"), self._days[m["a"]].lower(), self._days[m["b"]].lower()
        if to in {"и", "или"}:
            return super()._weekdays(m)
        start = "" if re.search(r"\b[сС]о?\s+$", text_before(m)) else "со " if first == "вторник" else "с "
        end = DAY_FORMS[last][0 if to == "до" else 1]
        stop = m["stop"] if self._days[m["b"]].lower() == m["b"].lower() else self._sentence_stop(m)
        return f"{start}{DAY_FORMS[first][0]} {to or 'по'} {end}{stop}"

    def named_date_rules(self) -> Rules:
        months = "|".join(sorted(self.month_forms, key=len, reverse=True))
        yield (
            "named",
            rf"{START}(?P<d>\d{{1,2}})(?P<e>-?го|-?е)?\s(?i:(?P<month>{months})(?![{LETTER}])\.?)(?:\s(?P<y>(?:1\d|20)\d\d)(?!\d)(?:\s?(?:г\.|года|год|г)(?!\w))?)?",
            self._named_date,
        )
        yield (
            "from-date",
            rf"(?P<a>\d{{1,2}})\s(?P<to>по|до)\s(?P<d>\d{{1,2}})\s(?P<month>{'|'.join(MONTHS)})(?!\w)",
            self._from_date,
        )
        yield (
            "range-date",
            rf"{START}(?P<a>\d{{1,2}})\s?[-–]\s?(?P<d>\d{{1,2}})\s(?P<month>{'|'.join(MONTHS)})(?!\w)",
            self._range_date,
        )
        yield from self.month_first_rules()
        nominative = "|".join(_NOMINATIVE)
        yield (
            "month-year",
            rf"(?i:(?P<month>{nominative}|{'|'.join(MONTHS)}))\s(?P<y>(?:1\d|20)\d\d)(?:\s?(?:г\.|года|год))?(?!\w)",
            self._month_year,
        )
        yield (
            "year",
            r"(?P<y>(?:1\d|20)\d\d|(?<!\d)\d{1,4}(?=[^\s\d]{0,3}\s?(?:год[уа]?|г\.)\s(?:до\s)?н\.\s?э))"
            r"(?:-?(?P<e>й|м|го|му))?\s?(?P<w>году|года|годом|годе|год|гг\.|г\.|г)(?!\w)",
            self._year,
        )
        yield (
            "years",
            r"(?P<a>(?:1\d|20)\d\d)\s?[-–—]\s?(?P<y>(?:1\d|20)\d\d)\s?(?:гг\.|годы|годов|годах)(?!\w)",
            self._years,
        )
        yield "decade", r"(?P<n>(?:1[5-9]|20)?\d0)-(?P<e>е|х|ых)(?!\w)", self._decade
        yield (
            "short",
            rf"{START}(?P<d>\d{{1,2}})\.(?P<m>0\d|1[0-2])(?![.,]?\d|\s?(?:{self.unit}))",
            self._short_date,
        )

    def time_rules(self) -> Rules:
        yield (
            "duration",
            rf"{START}(?P<h>\d+)\s?ч\.?\s?(?P<min>\d{{1,2}}(?=\s?мин)|[0-5]\d)(?:\s?мин\.?)?(?!\w)",
            self._duration,
        )
        at = r"(?:(?<=\b[вВкКсС]\s)|(?<=\b[дД]о\s))"
        yield (
            "clock-dash",
            rf"{at}(?P<h>\d{{1,2}})-(?P<min>00|30|45)(?![\d-]|\s?(?!до\b)[а-яё%°])",
            self._word_clock,
        )
        yield (
            "clock-h",
            rf"{START}(?P<h>\d{{1,2}}):(?P<min>\d\d)\s?(?:ч\.?|час(?:ов|а)?)(?!\w)",
            self._word_clock,
        )
        yield from super().time_rules()

    def _word_clock(self, m: Match) -> str | None:
        hour, minute = int(m["h"]), int(m["min"])
        words = self.time(hour, minute, before=text_before(m))
        return words + self._sentence_stop(m) if self.valid_time(hour, minute, None) else None

    def _named_date(self, m: Match) -> str | None:
        month = self.month_forms[m["month"].lower()]
        words = self._date_or_none(int(m["y"]) if m["y"] else None, month, int(m["d"]), text_before(m))
        genitive = self.ordinal(int(m["d"]), "n", "g")
        if words and (m["e"] or "").endswith("го") and not words.startswith(genitive):
            words = words.replace(self.ordinal(int(m["d"]), "n"), genitive, 1)
        return words + self._sentence_stop(m) if words else None

    def _range_date(self, m: Match) -> str:
        return (
            f"с {self.ordinal(int(m['a']), 'n', 'g')} по {self.ordinal(int(m['d']), 'n', 'n')} {m['month']}"
        )

    def _from_date(self, m: Match) -> str | None:
        """From the 23rd up to the 25th of November: only after the preposition "с"."""
        if not re.search(r"\bсо?\s$", text_before(m), re.I):
            return None
        last = self.ordinal(int(m["d"]), "n", "n" if m["to"] == "по" else "g")
        return f"{self.ordinal(int(m['a']), 'n', 'g')} {m['to']} {last} {m['month']}"

    def _month_year(self, m: Match) -> str:
        return f"{m['month']} {self.year_ordinal(int(m['y']))} года{self._sentence_stop(m)}"

    def _year(self, m: Match) -> str:
        word = m["w"]
        case = {"году": "p", "годе": "p", "года": "g", "год": "n", "годом": "i"}.get(word)
        if case is None:
            in_ = re.search(r"\b[вВ]\s+$", text_before(m))
            case, word = ("p", "году") if in_ else ("g", "года")
        return f"{self.ordinal(int(m['y']), 'm', case)} {word}{self._sentence_stop(m)}"

    def _years(self, m: Match) -> str:
        return f"{self.ordinal(int(m['a']), 'm', 'n')} — {self.ordinal(int(m['y']), 'm', 'n')} годы{self._sentence_stop(m)}"

    def _decade(self, m: Match) -> str:
        genitive = self.ordinal(int(m["n"]), "pl")
        return genitive if m["e"] != "е" else re.sub("х$", "е", genitive)

    def _short_date(self, m: Match) -> str | None:
        before = text_before(m)
        if not re.search(r"(?:^|\b(?:с|до|от|по|на|к|дата:?)\s)\s*$", before, re.I) and not _AFTER_DAY.search(
            before
        ):
            return None
        return self._date_or_none(None, int(m["m"]), int(m["d"]), text_before(m))
