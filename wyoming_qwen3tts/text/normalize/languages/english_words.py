"""English vocabulary and verbalization."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers
from ..normalizer import Normalizer
from ..numbers import Number
from ..rules.rule import Match, text_after, text_before
from .english_addresses import STREET_HINT

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
MONTH_FORMS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "nov": 11,
    "dec": 12,
} | {month.lower(): at for at, month in enumerate(MONTHS, 1)}  # fmt: skip
_REGNAL = frozenset(
    "Henry Louis Charles George Edward Richard William James Elizabeth Mary Paul John Benedict Francis Pius Leo Clement "
    "Gregory Innocent Urban Boniface Alexander Nicholas Peter Catherine Ivan Napoleon Philip Frederick Ramesses Ptolemy "
    "Cleopatra Ferdinand Alfonso Leopold Albert Wilhelm Friedrich Otto Robert David Malcolm Margaret Christian Gustav "
    "Gustavus Adolf Carl Harald Olaf Haakon Juan Felipe Carlos Xerxes Darius Constantine Justinian Theodosius".split()
)
_YEAR_BEFORE = re.compile(
    r"(?:\b(?:in|since|until|till|by|from|year|before|after|of|late|early|mid|circa|during|summer|winter|spring|fall|"
    r"autumn|q[1-4]|fy|"
    + "|".join(MONTH_FORMS)
    + r")\.?,?|\bc\.|\bA\.?\s?D\.?|©|copyright|\b(?:1[0-9]|20)\d\d (?:to|and|or|through|until))\s*$",
    re.I,
)
_COUNTED_AFTER = re.compile(
    r"\s+(?:[a-z]{3,}s\b(?<!\bwas)(?<!\bhas)|of\b|people|more|times|euro|percent|degrees?|feet|children)",
    re.I,
)
DAYS = {"Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
         "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday"}  # fmt: skip
_DIGIT_CALLS = r"(?:[Cc]all|[Dd]ial|[Rr]ing|[Tt]ext|[Pp]hone|[Pp]ress)(?:ed|ing|s)?"


class EnglishWords(Normalizer):
    """The vocabulary and verbalization of English."""

    language_code = "en"
    decimal_mark = "."
    episode_format = "season {}, episode {}"
    spells_acronyms = True
    day_first = False
    regions = frozenset({"gb", "ie", "au", "nz", "in", "za"})
    minus, plus, point, dot, slash, dash, underscore = (
        "minus",
        "plus",
        "point",
        "dot",
        "slash",
        "dash",
        "underscore",
    )
    at, colon, range_word, number_word, hashtag = "at", "colon", "to", "number", "hashtag"
    symbols: ClassVar = {
        "of": "out of", "per": "per", "&": "and", "@": "at", "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "<": "is less than",
        ">": "is greater than", "≤": "is less than or equal to", "≥": "is greater than or equal to", "±": "plus or minus", "≈": "about", "≠": "is not equal to",
        "~": "about", "^": "to the power of", "√": "the square root of", "∞": "infinity", "°": "degrees", "§": "section",
        "©": "copyright", "®": "registered", "™": "trademark", "%": "percent", "‰": "per mille", "/": "slash", "?": "question mark",
        "→": "to", "#": "pound", "*": "star", "µ": "micro", "♯": "sharp", "x": "by", "x times": "times", "−": "minus", "№": "number",
        "$": "dollars", "€": "euros", "£": "pounds", "¢": "cents", "¥": "yen", "π": "pi", "·": "times",
    }  # fmt: skip
    months = MONTHS
    month_forms = MONTH_FORMS
    weekdays = DAYS
    abbreviation_hint = STREET_HINT
    weekday_range_words = "to|through|until|and|or"
    amount_scales = r"thousand|million|billion|trillion|[kKMB](?=\b)|(?<=\d)[mbT](?=\b)|bn|mn|mio"
    ambiguous_units = "in d t b B s mo C F"
    code_cues = r"P\.?\s?O\.? [Bb]ox|PIN|pin|OTP|[Cc]ode|[Pp]asscode|[Pp]assword|[Zz][Ii][Pp](?: code)?|[Ee]xtension|[Ee]xt\.|ending in|ends in|last four(?: digits)?|ISBN(?:-1[03])?"
    abbreviations: ClassVar = {
        "Mr.": "mister", "Mrs.": "missus", "Ms.": "miz", "Dr.": "doctor", "Prof.": "professor", "St.": "saint", "Ave.": "avenue",
        "Blvd.": "boulevard", "Rd.": "road", "Jr.": "junior", "Sr.": "senior", "vs.": "versus", "vs": "versus", "etc.": "et cetera",
        "e.g.": "for example", "i.e.": "that is", "approx.": "approximately", "No.": "number", "no.": "number", "Nr.": "number",
        "min.": "minimum", "max.": "maximum", "dept.": "department", "Dept.": "department", "est.": "estimated", "Gov.": "governor",
        "Gen.": "general", "Capt.": "captain", "Lt.": "lieutenant", "Sgt.": "sergeant", "Col.": "colonel", "Rev.": "reverend",
        "Hon.": "honorable", "Inc.": "incorporated", "Ltd.": "limited", "Co.": "company", "Corp.": "corporation", "Mt.": "mount",
        "Ft.": "fort", "apt.": "apartment", "Apt.": "apartment", "w/o": "without", "w/": "with", "A/C": "A C", "c.": "circa", "ca.": "circa", "c/o": "care of", "b/c": "because",
        "a.m.": "A M", "p.m.": "P M", "A.M.": "A M", "P.M.": "P M", "a.k.a.": "also known as", "aka": "also known as",
        "Fig.": "figure", "fig.": "figure", "vol.": "volume", "Vol.": "volume", "ch.": "chapter", "temp.": "temperature",
        "hr.": "hour", "hrs.": "hours", "mins.": "minutes", "secs.": "seconds", "Wi-Fi": "Wi-Fi", "N/A": "not available",
        "n/a": "not available", "24/7": "twenty four seven", "9/11": "nine eleven", "U.S.": "U S", "U.K.": "U K", "U.S.A.": "U S A", "Ph.D.": "P H D",
        "and/or": "and or", "AC/DC": "A C D C", "AM/FM": "A M F M", "P.S.": "P S", "p.": "page", "ext.": "extension", "Ext.": "extension", "pp.": "pages", "Q&A": "Q and A", "R&D": "R and D", "AT&T": "A T and T",
        "lbs.": "pounds", "oz.": "ounces",
    }  # fmt: skip

    def __init__(self, region: str = "") -> None:
        self.day_first = region in self.regions
        super().__init__(region)

    def key_name(self, sign: str) -> str:
        return "hash" if sign in "#＃" and self.day_first else super().key_name(sign)

    @staticmethod
    def _without_hyphens(words: str | None, value: int) -> str:
        return words.replace("-", " ").replace(",", "") if words is not None else str(value)

    def cardinal(self, value: int, gender: str = "m") -> str:
        return self._without_hyphens(numbers.to_words(value, "en"), value)

    def ordinal(self, value: int, gender: str = "m") -> str:
        return self._without_hyphens(numbers.to_words(value, "en", "ordinal"), value)

    def year(self, value: int) -> str:
        if 2000 <= value < 2010 or not 1010 <= value < 2100:
            return self.cardinal(value)
        return self._without_hyphens(numbers.to_words(value, "en", "year"), value)

    def decade(self, value: int) -> str:
        """Return "nineteen eighties" for 1980."""
        words = self.year(value) if value > 99 else self.cardinal(value)
        return words[:-1] + "ies" if words.endswith("y") else words + "s"

    def per_unit(self, top: str, bottom: str) -> str:
        return f"per {self._denominators[bottom]}"

    def measure(self, number: Number, symbol: str) -> str | None:
        symbol = {"C": "°C", "F": "°F"}.get(symbol, symbol)
        return super().measure(number, symbol)

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: object) -> str:
        return f"{words} and {self.minor_amount(minor, names)}"  # type: ignore[arg-type]

    def clean_scale_word(self, written: str) -> str:
        return {"k": "thousand", "K": "thousand", "M": "million", "m": "million", "mn": "million", "mio": "million", "B": "billion",
                "b": "billion", "bn": "billion", "T": "trillion"}.get(written, written)  # fmt: skip

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        tail = f", {self.year(year)}" if year is not None else ""
        if self.day_first:
            the = "" if re.search(r"\bthe\s*$", before, re.I) else "the "
            return f"{the}{self.ordinal(day)} of {self.months[month - 1]}{tail}"
        return f"{self.months[month - 1]} {self.ordinal(day)}{tail}"

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date} at {time}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        if second:
            minutes = f"oh {self.cardinal(minute)}" if 0 < minute < 10 else self.cardinal(minute)
            text = f"{self.cardinal(hour)} {minutes} and {self.cardinal(second)} second{'' if second == 1 else 's'}"
        elif minute == 0:
            if half:
                text = self.cardinal(hour)
            elif hour in {0, 24}:
                text = "midnight"
            elif hour > 12:
                text = f"{self.cardinal(hour)} hundred"
            else:
                text = f"{self.cardinal(hour)} o'clock"
        else:
            low = f"oh {self.cardinal(minute)}" if minute < 10 else self.cardinal(minute)
            text = f"{self.cardinal(hour)} {low}" if hour or not minute else f"zero {low}"
        return f"{text} {half}".strip()

    def fraction(self, top: int, bottom: int) -> str:
        if bottom == 2:
            return "one half" if top == 1 else f"{self.cardinal(top)} halves"
        name = "quarter" if bottom == 4 else self.ordinal(bottom)
        return f"{self.cardinal(top)} {name}{'' if top == 1 else 's'}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        words = {(1, 2): "a half", (1, 4): "a quarter"}.get((top, bottom)) or self.fraction(top, bottom)
        return f"{self.cardinal(whole)} and {words}"

    def ip_octet(self, text: str) -> str:
        return self.spell_digits(text)

    def http_status(self, code: str) -> str:
        return " ".join("oh" if digit == "0" else self.cardinal(int(digit)) for digit in code) if code[1:] != "00" else (
            f"{self.cardinal(int(code[0]))} hundred"
        )  # fmt: skip

    def telephone_group(self, digits: str) -> str:
        return (
            f"{self.cardinal(int(digits[0]))} hundred"
            if re.fullmatch(r"[89]00", digits)
            else self.spell_digits(digits)
        )

    def power(self, base: str, exponent: Number) -> str:
        named = {"2": "squared", "3": "cubed"}.get(exponent.whole) if not exponent.negative else None
        return f"{base} {named}" if named else super().power(base, exponent)

    def plain_number(self, number: Number, m: Match) -> str:
        text, before, after = m["n"], text_before(m), text_after(m)
        if text.isdecimal() and len(text) == 4 and not number.negative and 1010 <= number.value < 2100:
            alone = not before.strip() and not after.strip(" .!?")
            if (alone or _YEAR_BEFORE.search(before)) and not _COUNTED_AFTER.match(after):
                return self.year(number.value)
        if text.isdecimal() and len(text) == 3 and re.search(_DIGIT_CALLS + r"\s+$", before):
            return self.spell_digits(text)
        return self.number(number)

    def regnal_number(self, name: str, value: int) -> str | None:
        return f"the {self.ordinal(value)}" if name in _REGNAL else None
