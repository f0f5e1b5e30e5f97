"""English as it is spoken. American where the two differ, but for dates in a text tagged en-GB and its kin."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers, units
from ..normalizer import Normalizer
from ..numbers import Number
from ..roman_numerals import roman
from ..rules.rule import EDGE, LETTER, START, Match, Rules, left, right
from .english_addresses import DIRECTIONS, SHORT_WORDS, Addresses

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTH_FORMS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "nov": 11,
    "dec": 12,
} | {month.lower(): at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
_WORDS_IN_CAPITALS = frozenset(
    # read as words
    "NASA NATO UNESCO UNICEF OPEC FIFA UEFA IKEA LEGO NAS RAM ROM SIM PIN GIF JPEG LASER RADAR SONAR SCUBA COVID AIDS "
    "WLAN LAN WAN LIDAR YAML JSON TOML ASCII CRUD SOAP ASAP MAC "
    # words that somebody wrote loud
    "A I OK AM PM ON OFF IN IT IS BE DO GO IF NO NOT NOW NEW OLD OUT UP DOWN YES ALL AND ANY ARE BUT CAN DAY DID FOR GET "
    "HAD HAS HER HIM HIS HOT HOW ITS LET MAY OUR OWN PUT RUN SAY SEE SHE THE TOO TRY TWO USE WAS WAY WHO WHY YOU AT BY "
    "AN AS OR SO TO US WE ME MY OF HI OH LOW HIGH STOP HELP OPEN SHUT LOCK FIRE DOOR HOME AWAY ALERT NOTE TEST WAIT WARN "
    "LEFT BACK FULL EMPTY READY ERROR DONE FAIL SAFE VERY MUST NEVER MORE LESS THIS THAT WITH FROM HAVE WILL WHAT WHEN "
    "THEN ONLY JUST PLAY PAUSE NEXT LAST FIRST PLEASE ALWAYS COLD WARM HEAT COOL AUTO DRY FAN ECO LIVE LOVE GOOD BAD BIG "
    "RED ONE SIX TEN CAR KEY CAT DOG BOX EAT END FUN GAS LOT MAN MEN OIL PAY SET SUN TOP WET WIN ADD AGE AGO AIR ART ASK "
    "BAG BED BUS BUY CUT EGG EYE FEW FIX FLY GUN GUY HIT JOB LAW LEG LIE MAP MIX MOM DAD".split()
)
_REGNAL = frozenset(
    "Henry Louis Charles George Edward Richard William James Elizabeth Mary Paul John Benedict Francis Pius Leo Clement "
    "Gregory Innocent Urban Boniface Alexander Nicholas Peter Catherine Ivan Napoleon Philip Frederick Ramesses Ptolemy "
    "Cleopatra Ferdinand Alfonso Leopold Albert Wilhelm Friedrich Otto Robert David Malcolm Margaret Christian Gustav "
    "Gustavus Adolf Carl Harald Olaf Haakon Juan Felipe Carlos Xerxes Darius Constantine Justinian Theodosius".split()
)
_YEAR_BEFORE = re.compile(
    r"(?:\b(?:in|since|until|till|by|from|year|before|after|of|late|early|mid|circa|during|summer|winter|spring|fall|"
    r"autumn|q[1-4]|fy|"
    + "|".join(_MONTH_FORMS)
    + r")\.?,?|\bc\.|\bA\.?\s?D\.?|©|copyright|\b(?:1[0-9]|20)\d\d (?:to|and|or|through|until))\s*$",
    re.I,
)
_COUNTED_AFTER = re.compile(
    r"\s+(?:[a-z]{3,}s\b(?<!\bwas)(?<!\bhas)|of\b|people|more|times|euro|percent|degrees?|feet|children)",
    re.I,
)
_DAYS = {"Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
         "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday"}  # fmt: skip
_DIGIT_CALLS = r"(?:[Cc]all|[Dd]ial|[Rr]ing|[Tt]ext|[Pp]hone|[Pp]ress)(?:ed|ing|s)?"


class English(Normalizer):
    """English."""

    code = "en"
    decimal = "."
    episode = "season {}, episode {}"
    acronyms = True
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
    at, colon, to, number_word, hashtag = "at", "colon", "to", "number", "hashtag"
    symbols: ClassVar = {
        "of": "out of", "per": "per", "&": "and", "@": "at", "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "<": "is less than",
        ">": "is greater than", "≤": "is less than or equal to", "≥": "is greater than or equal to", "±": "plus or minus", "≈": "about", "≠": "is not equal to",
        "~": "about", "^": "to the power of", "√": "the square root of", "∞": "infinity", "°": "degrees", "§": "section",
        "©": "copyright", "®": "registered", "™": "trademark", "%": "percent", "‰": "per mille", "/": "slash", "?": "question mark",
        "→": "to", "#": "pound", "*": "star", "µ": "micro", "♯": "sharp", "x": "by", "x times": "times", "−": "minus", "№": "number",
        "$": "dollars", "€": "euros", "£": "pounds", "¢": "cents", "¥": "yen", "π": "pi", "·": "times",
    }  # fmt: skip
    months = _MONTHS
    month_forms = _MONTH_FORMS
    weekdays = _DAYS
    short_words = SHORT_WORDS
    until = "to|through|until|and|or"
    scales = r"thousand|million|billion|trillion|[kKMB](?=\b)|(?<=\d)[mbT](?=\b)|bn|mn|mio"
    bare_units = "in d t b B s mo C F"
    codes = r"P\.?\s?O\.? [Bb]ox|PIN|pin|OTP|[Cc]ode|[Pp]asscode|[Pp]assword|[Zz][Ii][Pp](?: code)?|[Ee]xtension|[Ee]xt\.|ending in|ends in|last four(?: digits)?|ISBN(?:-1[03])?"
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

    def key(self, sign: str) -> str:
        return "hash" if sign in "#＃" and self.day_first else super().key(sign)

    @staticmethod
    def _plainly(words: str | None, value: int) -> str:
        return words.replace("-", " ").replace(",", "") if words is not None else str(value)

    def cardinal(self, value: int, gender: str = "m") -> str:
        return self._plainly(numbers.words(value, "en"), value)

    def ordinal(self, value: int, gender: str = "m") -> str:
        return self._plainly(numbers.words(value, "en", "ordinal"), value)

    def year(self, value: int) -> str:
        if 2000 <= value < 2010 or not 1010 <= value < 2100:
            return self.cardinal(value)
        return self._plainly(numbers.words(value, "en", "year"), value)

    def decade(self, value: int) -> str:
        """Return "nineteen eighties" for 1980."""
        words = self.year(value) if value > 99 else self.cardinal(value)
        return words[:-1] + "ies" if words.endswith("y") else words + "s"

    def per(self, top: str, bottom: str) -> str:
        return f"per {self._per[bottom]}"

    def measure(self, number: Number, symbol: str) -> str | None:
        symbol = {"C": "°C", "F": "°F"}.get(symbol, symbol)
        return super().measure(number, symbol)

    def major_and_minor(self, said: str, whole: Number, minor: Number, names: object) -> str:
        return f"{said} and {self.minor_money(minor, names)}"  # type: ignore[arg-type]

    def scale_word(self, written: str) -> str:
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

    def mixed(self, whole: int, top: int, bottom: int) -> str:
        said = {(1, 2): "a half", (1, 4): "a quarter"}.get((top, bottom)) or self.fraction(top, bottom)
        return f"{self.cardinal(whole)} and {said}"

    def octet(self, text: str) -> str:
        return self.digits(text)

    def status(self, code: str) -> str:
        return " ".join("oh" if digit == "0" else self.cardinal(int(digit)) for digit in code) if code[1:] != "00" else (
            f"{self.cardinal(int(code[0]))} hundred"
        )  # fmt: skip

    def phone_group(self, digits: str) -> str:
        return (
            f"{self.cardinal(int(digits[0]))} hundred"
            if re.fullmatch(r"[89]00", digits)
            else self.digits(digits)
        )

    def power(self, base: str, exponent: Number) -> str:
        named = {"2": "squared", "3": "cubed"}.get(exponent.whole) if not exponent.negative else None
        return f"{base} {named}" if named else super().power(base, exponent)

    def bare_number(self, number: Number, m: Match) -> str:
        text, before, after = m["n"], left(m), right(m)
        if text.isdecimal() and len(text) == 4 and not number.negative and 1010 <= number.value < 2100:
            alone = not before.strip() and not after.strip(" .!?")
            if (alone or _YEAR_BEFORE.search(before)) and not _COUNTED_AFTER.match(after):
                return self.year(number.value)
        if text.isdecimal() and len(text) == 3 and re.search(_DIGIT_CALLS + r"\s+$", before):
            return self.digits(text)
        return self.number(number)

    def regnal(self, name: str, value: int) -> str | None:
        return f"the {self.ordinal(value)}" if name in _REGNAL else None

    # --- rules ---

    def own_first(self) -> Rules:
        yield from Addresses(self).rules()
        yield (
            "era",
            rf"{START}(?P<y>\d{{1,4}})\s?(?P<era>A\.\s?D\.|B\.\s?C\.(?:\s?E\.)?|C\.\s?E\.|AD|BCE?|CE)(?!\w)",
            self._era,
        )
        year = r"(?P<y>(?:\s?(?:1[89]|20)\d\d|\s?['’]\d\d|\d\d))"
        yield "quarter", rf"(?<![\w.,$])(?P<n>[1-4])(?P<l>[QH]){year}(?!\w|[.,:]\d)", self._quarter
        yield (
            "quarter-year",
            r"(?<!\w)(?P<l>[QH])(?P<n>[1-4])(?:[-/ ]?['’]|\s)(?P<y>\d{4}|\d{2}(?<=['’]..))(?!\w|[.,:]\d)",
            self._quarter,
        )
        yield (
            "fiscal",
            r"(?<!\w)FY(?P<y>\s?['’]?(?:\d{4}|\d\d))(?:[-–/](?P<to>\d{2}))?(?!\w|[.,:]\d)",
            self._fiscal,
        )
        yield (
            "fraction-th",
            rf"{START}(?:(?P<w>\d{{1,3}}) )?(?P<a>\d{{1,3}})/(?P<b>\d{{1,4}})(?:ths?|rds?|nds?|sts?)\b",
            self._fraction,
        )
        yield (
            "distance-run",
            rf"{START}(?P<n>\d{{1,3}}) (?P<l>K)(?:(?= (?:run|race|walk|fun)\b)|(?<=\ba \d K)|(?<=\ba \d\d K))",
            self._number_letters,
        )
        yield (
            "direction",
            rf"(?:(?<=mph )|(?<=km/h ))(?P<way>{'|'.join(sorted(DIRECTIONS, key=len, reverse=True))})(?!\w)",
            lambda m: DIRECTIONS[m["way"]],
        )
        yield (
            "thousands-of",
            rf"{START}(?P<n>\d+(?:\.\d+)?) K(?=\s[a-z]{{3,}}s\b)",
            lambda m: f"{self.number(self.parse(m['n']))} {self.scale_word('K')}",
        )
        yield "decade-apart", r"(?<!\w)(?P<y>(?:1[1-9]|20)\d0) s\b", self._decade_apart
        yield "decade", r"(?<!\w)(?P<y>(?:1[1-9]|20)\d0)['’]?s\b", lambda m: self.decade(int(m["y"]))
        yield (
            "decade-short",
            r"(?:(?<=the )|(?<=\d0s[-–/])|(?<=\d0s (?:or|to) )|(?<=\d0s and )|(?<=mid-)|(?<=\bhis )|(?<=\bher )|(?<=\bmy )|(?<=\byour )|(?<=\btheir )|(?<=\bearly )|(?<=\blate )|(?<=\b(?:low|mid) )|(?<=\b(?:high) )|(?<=\b(?:upper|lower) )|['’])(?P<y>[2-9]0)['’]?s\b(?!\w)",
            lambda m: self.decade(int(m["y"])),
        )
        yield (
            "decade-music",
            r"(?<![\w.,$])(?P<y>[2-9]0)['’]?s(?=/\d0s| (?:music|songs?|hits|rock|pop|style|films?|movies?|fashion|party|playlist|dance|disco|metal|classics|kids?|TV|radio)\b)",
            lambda m: self.decade(int(m["y"])),
        )
        yield (
            "glued-scale",
            rf"{START}(?P<n>\d+\.\d+)(?P<l>[MB])(?![{LETTER}\d/]|\s(?:USD|EUR|GBP|CHF|CAD|AUD)\b)",
            self._glued,
        )
        yield "lines", r"(?<!\w)(?P<n>480|720|1080|1440|2160)(?P<l>[piP])(?!\w)", self._lines
        yield "label", rf"{START}(?P<n>\d{{1,4}}) ?(?P<l>[A-Z])(?![{LETTER}\d/'’])", self._label
        yield (
            "pence",
            rf"{START}(?P<n>[1-9]\d?)p(?![\w/])",
            lambda m: self.money(Number("0", m["n"].zfill(2)), "GBP"),
        )
        yield "zip", r"(?<=\b[A-Z]{2} )(?P<n>\d{5})(?P<four>-\d{4})?(?!\d)", lambda m: self.digits(m[0])
        yield "rated", rf"{START}(?P<a>\d{{1,2}})/(?P<b>5|10|100)(?![\d/])", self._rated
        yield "more", r"(?<=\s)(?P<s>[<>≥≤])(?=\s?[\d$€£-])", self._more
        yield "variable", r"\$(?P<n>[A-Z][A-Z_]+)\b", lambda m: f"dollar {m['n'].replace('_', ' ').lower()}"
        yield (
            "degree-letter",
            rf"(?P<sign>{self.negative})?(?P<n>\d{{1,3}}(?:\.\d)?)\s?(?P<u>[CF])(?=\s(?:outside|inside|indoors|outdoors|today|tonight|tomorrow|now|overnight|right now)\b)",
            self._measure,
        )
        yield (
            "glued",
            rf"{START}(?P<n>\d+(?:\.\d+)?)(?P<l>[KkBb])(?![{LETTER}\d/]|\s(?:USD|EUR|GBP|CHF|CAD|AUD)\b)",
            self._glued,
        )
        yield "roman-name", r"(?P<name>[A-Za-z][a-z]+)\s(?P<r>[IVXLCM]+)(?![\w'’-])", self._roman
        yield "possessive", rf"(?P<l>[A-Z]{{2,5}})(?P<s>['’]s|s)(?![{LETTER}])", self._plural_acronym
        yield "dotted-letters", rf"(?<![{LETTER}.])(?:[A-Z]\.){{2,}}(?![{LETTER}])", self._dotted_letters

    def named_dates(self) -> Rules:
        months = "|".join(sorted(_MONTH_FORMS, key=len, reverse=True))
        caps = rf"(?i:(?P<month>{months})\b\.?)"
        days = "|".join(sorted(_DAYS, key=len, reverse=True))
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

    def times(self) -> Rules:
        half = r"(?P<half>[aApP])\.?\s?[mM]\b(?P<stop>\.?)"
        clock = r"(?P<h>\d{1,2})(?:[:.](?P<min>\d{2}))?(?::(?P<s>\d{2}))?"
        yield (
            "half-range",
            rf"{START}(?P<a>{clock}\s?[aApP]\.?\s?[mM]\b\.?)\s?[-–]\s?(?P<b>\d{{1,2}}(?:[:.]\d\d)?\s?[aApP]\.?\s?[mM]\b)",
            lambda m: f"{self.say(m['a'])} to {self.say(m['b'])}",
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
        yield from super().times()

    def own(self) -> Rules:
        yield (
            "ordinal",
            rf"(?:{START}|(?<=[stndrh]/))(?P<n>\d{{1,3}}(?:,\d{{3}})+|\d+)(?:st|nd|rd|th|ST|ND|RD|TH)\b",
            self._ordinal,
        )
        yield (
            "compound-unit",
            rf"{START}(?P<n>{self.num})-(?P<u>min|hr|sec|km|mi|ft|cm|mm|kg|lb|oz|gal|ml|L|V|W|kW|kWh|Hz|GB|TB)(?=\s[a-z])",
            self._compound_unit,
        )
        yield "compound", rf"{START}(?P<n>\d+)(?P<th>st|nd|rd|th)?-(?=[a-z]{{2,}})", self._compound
        yield (
            "star",
            r"(?P<n>\d+(?:\.\d)?)\s?[★⭐]",
            lambda m: f"{self.number(self.parse(m['n']))} star{'' if m['n'] == '1' else 's'}",
        )
        yield "acronym", r"(?<![\w'’])(?P<l>[A-Z]{2,5})(?![\w]|['’][A-Za-z]{2})", self._acronym

    # --- handlers ---

    def _era(self, m: Match) -> str:
        """Say a year of an era: 340 A.D. is no current."""
        ends = "." if m["era"].endswith(".") and not right(m).strip() else ""
        return f"{self.year(int(m['y']))} {self.letters(re.sub(r'[^A-Z]', '', m['era']))}{ends}"

    def _full_year(self, text: str) -> str:
        year = int(text.strip(" '’"))
        return self.year(year if year > 99 else year + (2000 if year < 70 else 1900))

    def _quarter(self, m: Match) -> str | None:
        """Say 2Q22 and Q3 2021; a half has only two."""
        if m["l"] == "H" and m["n"] not in "12":
            return None
        year = self._full_year(m["y"])
        if m.start("l") < m.start("n"):
            return f"{m['l']} {self.cardinal(int(m['n']))} {year}"
        the = (
            "the "
            if re.search(r"\b(?:in|of|for|during|since|from|to|until|by|and|than|after|before)\s$", left(m))
            else ""
        )
        return f"{the}{self.ordinal(int(m['n']))} {'quarter' if m['l'] == 'Q' else 'half'} of {year}"

    def _fiscal(self, m: Match) -> str | None:
        """Say FY22; after a quarter its letters are enough."""
        if re.search(r"\b[QH][1-4]\s$", left(m)):
            return None
        to = f" to {self.cardinal(int(m['to']))}" if m["to"] else ""
        return f"fiscal year {self._full_year(m['y'])}{to}"

    def _decade_apart(self, m: Match) -> str | None:
        """Say "the 1980 s", whose s is no second."""
        decade = re.search(r"\b(?:the|early|mid|late|mid-|early-|late-)\s?$", left(m), re.I)
        return self.decade(int(m["y"])) if decade else None

    def _roman(self, m: Match) -> str | None:
        value = roman(m["r"])
        if value is None:
            return None
        if said := self.regnal(m["name"], value):
            return f"{m['name']} {said}"
        keyed = re.fullmatch(
            r"War|Chapter|Part|Act|Volume|Section|Phase|Type|Class|Level|Stage|Scene|Book|Article|Title|Appendix|Mark|Bowl|"
            r"Fantasy|Episode|Tier|Season|Round|Grade|Figure|Table|Schedule|Category|Division|Rocky|Option|Step|Item",
            m["name"].capitalize(),
        )
        if keyed or (
            m["name"][0].isupper()
            and len(m["r"]) > 1
            and set(m["r"]) <= set("IVX")
            and m["r"] not in {"XX", "XXX"}
        ):
            return f"{m['name']} {self.cardinal(value)}"
        return None

    def _spells(self, word: str, text: str) -> bool:
        if word in _WORDS_IN_CAPITALS:
            return False
        letters = [c for c in text if c.isalpha()]
        loud = sum(c.isupper() for c in letters) > 0.6 * len(letters) and len(text.split()) > 2
        if loud:  # a whole sentence in capitals: only what can be nothing else
            return not re.search("[AEIOUY]", word)
        return len(word) <= 4 or not re.search("[AEIOUY]", word)

    def _acronym(self, m: Match) -> str | None:
        word = m["l"]
        value = roman(word)
        if (
            value is not None
            and set(word) <= set("IVX")
            and word not in {"IV", "XI", "VI", "XX", "II", "III"}
        ):
            return None
        return self.letters(word) if self._spells(word, left(m) + word + right(m)) else None

    def _plural_acronym(self, m: Match) -> str | None:
        if not self._spells(m["l"], left(m) + m["l"] + right(m)) or m["l"] in {"I", "A"}:
            return None
        return f"{self.letters(m['l'])}{m['s'] if len(m['s']) > 1 else chr(39) + 's'}"

    def _dotted_letters(self, m: Match) -> str | None:
        if m[0] in {"P.S.", "A.M.", "P.M."} or len(m[0]) > 12:
            return None
        stop = "" if right(m).strip() else "."
        return self.letters(m[0].replace(".", "")) + stop

    def _named_date(self, m: Match) -> str | None:
        month, day = _MONTH_FORMS[m["month"].lower()], int(m["d"])
        if not 1 <= day <= 31 or (
            m["month"][0].islower()
            and m["month"] in {"may", "mar", "march", "dec", "sept", "jan"}
            and (m["month"] == "may" or m.string[m.end("month") - 1 : m.end("month") + 1].find(".") < 0)
        ):
            return None
        year = int(m["y"]) if m["y"] else None
        tail = f", {self.year(year)}" if year is not None else ""
        if "to" not in m.groupdict():  # the day comes first
            the = "" if re.search(r"\bthe\s*$", left(m), re.I) else "the "
            return f"{the}{self.ordinal(day)} of {_MONTHS[month - 1]}{tail}"
        to = f" to {self.ordinal(int(m['to']))}" if m["to"] else ""
        return f"{_MONTHS[month - 1]} {self.ordinal(day)}{to}{tail}"

    def _days_month(self, m: Match) -> str | None:
        """Say 24-26 Dec."""
        last = self._named_date(m) if m["month"] != "may" and int(m["a"]) < int(m["d"]) else None
        return f"the {self.ordinal(int(m['a']))} to {last}" if last else None

    def _dashed_date(self, m: Match) -> str | None:
        """Say Jan-15-2020 and 15-Jan-2020."""
        year = int(m["y"]) if len(m["y"]) == 4 else int(m["y"]) + (2000 if int(m["y"]) < 70 else 1900)
        return self._date_or_none(year, _MONTH_FORMS[m["month"].lower()], int(m["d"]), left(m))

    def _month_year(self, m: Match) -> str | None:
        if m["month"][0].islower():
            return None
        return f"{_MONTHS[_MONTH_FORMS[m['month'].lower()] - 1]} {self.year(int(m['y']))}"

    def _weekday(self, m: Match) -> str:
        return _DAYS[m["day"]] + self._stop(m)

    def _short_date(self, m: Match) -> str | None:
        """6/12 as a date, where the words before it ask for one."""
        before = left(m)
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
        rest = right(m)
        ends = not rest.strip() or re.match(rf"\s+(?!(?i:{'|'.join(_MONTH_FORMS)})\b)[A-Z]", rest)
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
        to = "and" if re.search(r"\bbetween\s$", left(m), re.I) else self.to
        return f"{self._bare_clock(m['a'])} {to} {self._bare_clock(m['b'])} {self._half(m)}{self._stop(m)}"

    def _feet(self, m: Match) -> str | None:
        feet = self.measure(Number(m["f"]), "ft")
        if m["i"]:
            return f"{feet} {self.measure(Number(m['i']), 'in')}"
        return feet

    def _inches(self, m: Match) -> str | None:
        return self.measure(self.parse(m["n"]), "in")

    def _compound_unit(self, m: Match) -> str | None:
        """A 30-min walk has one minute in its name."""
        name = self._units.get(units.canonical(m["u"]))
        return f"{self.number(self.parse(m['n']))} {name.one}" if name else None

    def _compound(self, m: Match) -> str:
        return f"{self.ordinal(int(m['n'])) if m['th'] else self._plain(m['n'])} "

    def _ordinal(self, m: Match) -> str:
        return self.ordinal(int(m["n"].replace(",", "")))

    def _more(self, m: Match) -> str | None:
        """Compare: "is < 5", "costs < 5" and "for <5" have their verb, or need none."""
        verb = r"\b(?:is|are|was|were|be|been|costs?|takes?|needs?|uses?|has|have|had|for|at|with|in|by|to|of|only|still|now)\s$"
        if re.match(r"\s", right(m)) and not re.search(verb, left(m)):
            return None
        return {"<": "less than", ">": "more than", "≥": "at least", "≤": "at most"}[m["s"]] + " "

    def _label(self, m: Match) -> str | None:
        """Seat 14A, exit 12V: a name and no measure."""
        named = re.search(
            r"\b(?:exit|seat|gate|room|apartment|apt\.?|unit|flat|platform|bus|line|row|section|terminal|level|model|type|class|grade|"
            r"building|block|suite|door|dock|lane|zone|table|box|locker|aisle|number|no\.|highway|route|figure|fig\.?|chapter|appendix|"
            r"part|lot|bay|bed|coach|carriage|track|stop|pier|berth|hall|house|form|hepatitis|vitamin|option|answer|question|team|group|wing|tower|stall|session|pool|division|page|item|step|exercise|problem|size|shelf|drawer|cell|court|field|pitch)\s$",
            left(m),
            re.I,
        )
        return f"{self._plain(m['n'])} {m['l']}" if named else None

    def _lines(self, m: Match) -> str:
        """1080p: how many lines a picture has, in pairs of digits."""
        first, last = divmod(int(m["n"]), 100)
        return f"{self.cardinal(first)} {self.cardinal(last)} {self.letters(m['l'])}"

    def _rated(self, m: Match) -> str | None:
        before, after = left(m), right(m)
        praise = re.search(
            r"\b(?:a|rated|rating|scored?|scoring|gives?(?: it| this)?(?: a)?|gave(?: it)?(?: a)?|got(?: a)?|is|was|at)\s$",
            before,
            re.I,
        )
        said = re.match(r"\s(?:stars?|ratings?|points?|score)", after)
        praise = praise or re.search(r"\b(?:volume|level|brightness|speed)\b[^.!?]{0,20}\s$", before, re.I)
        whole = int(m["b"]) == 10 and int(m["a"]) > 4
        if not (said or (praise and (whole or int(m["b"]) == 100))):
            return None
        return f"{self._plain(m['a'])} out of {self._plain(m['b'])}"

    def _glued(self, m: Match) -> str:
        """10k, 4K, 12B: a letter that stands for a thousand, or for itself."""
        scale = m["l"] == "k" or "." in m["n"]
        letter = self.scale_word(m["l"]) if scale else self.letters(m["l"])
        return f"{self.number(self.parse(m['n']))} {letter}"

    def expand(self, written: str, m: Match) -> str | None:
        before, after = left(m), right(m)
        if written == "St.":
            road = re.search(r"(?:[A-Z][a-z]+(?:['’]s)?|\d(?:st|nd|rd|th))\s$", before)
            return (
                "street"
                if road and not re.match(r"\s[A-Z][a-z]+\s?(?:St\b|Ave|Road|Church)", after)
                else "saint"
            )
        if (
            written == "Dr."
            and re.search(r"[A-Z][a-z]+\s$", before)
            and re.match(r"\s*(?:[,.;!?]|$|[a-z])", after)
        ):
            return "drive"
        if written in {"No.", "no."}:
            return "number" if re.match(r"\s?\d", after) else None
        if written in {"p.", "pp.", "c.", "ca.", "ext.", "Ext."}:
            return self.abbreviations[written] if re.match(r"\s?\d", after) else None
        if written in {"min.", "max.", "est.", "fig.", "Fig.", "vol.", "Vol.", "ch."}:
            return self.abbreviations[written] if re.match(r"\s?[-\w]", after) else None
        if written in {"Co.", "Gen.", "Col.", "Sr.", "Jr.", "Inc.", "Ltd.", "Corp."} and not before.strip():
            return None
        if written in {"vs", "aka", "w/"}:
            return self.abbreviations[written] + (" " if written == "w/" and after[:1].isalnum() else "")
        return self.abbreviations[written]
