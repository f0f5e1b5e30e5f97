"""The grammar all languages share: what is recognised in a text, and in which order.

A text is walked once, from left to right. Wherever a word, a digit or a symbol begins, the rules are asked in
their order; the first whose pattern matches and whose handler has an answer says what stands there. What no
rule knows stays as it is, so a text without anything to say differently comes out unchanged.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import number_context, numbers, powers_of_ten, units
from .currencies import currency
from .currencies import names as currency_names
from .currencies import symbols as currency_symbols
from .first_characters import Beginnings
from .maths import GREEK_LETTER, MATHS, Maths, named_power
from .numbers import Number
from .verbalizer import Words

_LOGGER = logging.getLogger(__name__)

Match = re.Match[str]
Rules = Iterator[tuple[str, str, Callable[[Match], str | None]]]
"""Name, pattern, and what says a match; None declines it."""

_NEAR = 100
"""Characters around a match that may tell what it means: so that a long line takes no longer for each of them."""


def left(m: Match) -> str:
    """Return what stands before a match, as far as it matters."""
    return m.string[max(0, m.start() - _NEAR) : m.start()]


def right(m: Match) -> str:
    """Return what stands after a match, as far as it matters."""
    return m.string[m.end() : m.end() + _NEAR]


LETTER = r"A-Za-zÀ-ÖØ-öø-ɏА-яЁё"
"""Letters that a number or a unit may not touch: Latin and Cyrillic (Han, kana and hangul may follow)."""
EDGE = rf"(?![{LETTER}\d²³µ])"
START = rf"(?<![{LETTER}\d_.,@#/$€£¥-])"
DASH = r"[-‐‑‒–—―−－]"
MINUS = r"[-−–－]"


_CANDIDATE = re.compile(rf"[{LETTER}]+|\d|[^\w\s]|_|[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒²³¹⁰⁴-⁹ⁿʹꜝªºµΑ-Ωα-ω№]")
_WORDS = re.compile(r"(?:[^\W\d_]|[\s,!?;:'’\"“”„«»…()\-–—、。，！？；：「」]|\.(?=\s|$))*")
"""Nothing but words, as far as signs tell: most sentences, which need not be walked."""
_CAPITALS = re.compile(
    rf"{GREEK_LETTER}|[⁰⁴-⁹ⁿʹꜝ]|"
    r"[A-ZÀ-ÖØ-ÞА-ЯЁ]{2}|\b(?![IA]\b)[A-ZА-Я]\b|[A-ZА-Я]\w+\sI(?:er)?\b|\b(?:siglo|s[eé]c[ou]l[oi])\sI\b|\bI(?:er)?\s(?:si|sec|век)|[a-zа-я][A-ZА-Я]|[²³¹½-¾⅐-⅞µª-º]"
)
"""Capitals that may be a name made of letters, a numeral or a unit, and letters that are signs."""
_DOMAINS = frozenset(
    "air_quality alarm_control_panel alert assist_satellite automation binary_sensor button calendar camera climate "
    "conversation counter cover date datetime device_tracker event fan geo_location group humidifier image "
    "input_boolean input_button input_datetime input_number input_select input_text lawn_mower light lock "
    "media_player notify number person plant proximity remote scene schedule script select sensor siren stt sun "
    "switch tag text time timer todo tts update vacuum valve wake_word water_heater weather zone".split()
)
"""Home Assistant's entity domains: the first half of an entity id."""
_TLD = (
    "com|org|net|edu|gov|int|mil|info|biz|io|ai|app|dev|tv|me|eu|de|at|ch|fr|be|es|it|pt|br|ru|uk|us|ca|au|nl|pl|cn|jp|kr|"
    "in|mx|ar|local|lan|home|cloud|online|shop|site|tech|xyz"
)
_EXTENSIONS = (
    "yaml|yml|json|toml|txt|py|md|csv|log|mp3|mp4|wav|ogg|flac|jpg|jpeg|png|gif|svg|pdf|sh|js|ts|html|css|xml|conf|cfg|ini|db|zip|gz|"
    "tar|exe|apk|deb|iso|bin"
)
_FRACTIONS = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
    "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅐": (1, 7), "⅑": (1, 9), "⅒": (1, 10),
}  # fmt: skip
_DIGRAPHS = {
    "<=>": "≈",
    "<=": "≤",
    ">=": "≥",
    "!=": "≠",
    "==": "=",
    "-->": "→",
    "->": "→",
    "=>": "→",
    "+/-": "±",
    "+-": "±",
}
_ALONE = frozenset("kWh MWh mph hPa GHz MHz kHz dB ppm ppb rpm Mbps кВт·ч".split())
"""Units that are said in words without a number too."""
_MIXED = r"(?<![^\W_])(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])(?:[^\W_]*(?<![^\W\d_])[^\W\d_]{1,2}(?![^\W\d_])[^\W_]*|[^\W\d_]{3}\d+(?![^\W_]))"
"""Letters and digits in one word, where some letters are no syllable: j4n3, sda1, but no end2end."""
_OR = frozenset("or oder ou o u или".split())
"""What makes a pause out of place: and/or."""
_COUNTED = r"[€$£¥₽%]|руб\.?|EUR|USD|CHF|k?g|кг|г|[lLл]|k?m|м²|m²|kWh"
"""What is counted per something, such as €/person."""
_SHORT_SCALES = r"(?:mill|Tsd|Mio|Mrd|Bio|Mds?|mln|mld|тыс|млн|млрд|трлн)\.?"
"""Abbreviated powers of ten."""
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman(text: str) -> int | None:
    """Return the value of a Roman numeral, None if it is not a well-formed one."""
    if not text or not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(
        -value if value < max(values[at + 1 :], default=0) else value for at, value in enumerate(values)
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and what is said where it matches; a handler that returns None declines."""

    name: str
    pattern: re.Pattern[str]
    say: Callable[[Match], str | None]
    begins: Beginnings


def _compiled(rules: Rules) -> Iterator[Rule]:
    for name, source, say in rules:
        pattern = re.compile(source)
        yield Rule(name, pattern, say, Beginnings(pattern))


class RulesByBeginning:
    """Rules in their order, and which of them a match can begin with a given character."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._known: dict[str, list[Rule]] = {}

    def at(self, character: str) -> list[Rule]:
        """Return the rules for what begins with ``character``."""
        known = self._known.get(character)
        if known is None:
            known = [rule for rule in self._rules if rule.begins.include(character)]
            self._known[character] = known
        return known


class Grammar(Words):
    """What is recognised in a text, and asked to be said; a language adds rules of its own."""

    def __init__(self, region: str = "") -> None:
        super().__init__(region)
        self._failed: set[str] = set()
        rules = list(_compiled(self.sources()))
        self._rules = RulesByBeginning(rules)
        self._rules_with_maths = RulesByBeginning([*_compiled(Maths(self).rules()), *rules])

    # --- the walk ---

    def say(self, text: str) -> str:
        """Return ``text`` as it is spoken; itself where there is nothing to say differently."""
        if _WORDS.fullmatch(text) and not _CAPITALS.search(text) and not self._shortened.search(text):
            return text
        rules = self._rules_with_maths if MATHS.search(text) else self._rules
        said: list[str] = []
        at = 0
        while found := _CANDIDATE.search(text, at):
            said.append(text[at : found.start()])
            at = found.end()
            for rule in rules.at(found[0][0]):
                match = rule.pattern.match(text, found.start())
                if match and match.end() > found.start() and (spoken := self._ask(rule, match)) is not None:
                    self._append(said, spoken, text, match)
                    at = match.end()
                    break
            else:
                said.append(found[0])
        said.append(text[at:])
        spoken_text = "".join(said)
        return spoken_text if spoken_text == text else re.sub(" {2,}", " ", spoken_text)

    @functools.cached_property
    def _shortened(self) -> re.Pattern[str]:
        """What may be an abbreviation."""
        days = "|".join(f"{re.escape(day)}\\b" for day in self._days if day not in self.weekdays.values())
        full = "|".join(map(re.escape, self.weekdays.values()))
        words = self._abbreviation_pattern() if self.abbreviations else "(?!)"
        return re.compile(
            rf"{words}|(?<!\w)(?:{days or '(?!)'})|(?i:{full or '(?!)'})\s?[-–]|{self.short_words}"
        )

    @functools.cached_property
    def _days(self) -> dict[str, str]:
        """What a range of weekdays is made of, with a capital too: written → spoken."""
        days = dict(self.weekdays) | {day: day for day in self.weekdays.values()}
        return days | {day[0].upper() + day[1:]: said for day, said in days.items()}

    @functools.cached_property
    def _day_names(self) -> str:
        """A regular expression for all of them, the longest first."""
        return "|".join(sorted(map(re.escape, self._days), key=len, reverse=True))

    def _ask(self, rule: Rule, match: Match) -> str | None:
        """Return what a rule says; one that fails says nothing, but for a line in the log."""
        try:
            return rule.say(match)
        except Exception:
            if rule.name not in self._failed:  # once is enough to know
                _LOGGER.warning("%s: %s failed on %r", self.code, rule.name, match[0], exc_info=True)
            self._failed.add(rule.name)
            return None

    def _append(self, said: list[str], spoken: str, text: str, match: Match) -> None:
        """Add words with spaces where they would touch other words."""
        spoken = self.in_region(spoken, match[0])
        before = said[-1][-1:] if said and said[-1] else "".join(said[-3:])[-1:]
        after = text[match.end() : match.end() + 1]
        if after == "/" and re.match(r"[-−+]?[^\W_]", text[match.end() + 1 : match.end() + 3]):
            after = ""  # which is a pause
        if self.spaced and spoken:
            if (
                before
                and before not in self.clings
                and (before.isalnum() or before in '%°.,;:!?…)"”»')
                and spoken[0].isalnum()
            ):
                spoken = f" {spoken}"
            if after and (after.isalnum() or after in "(@#+&=<>×$€£~°/") and spoken[-1].isalnum():
                spoken = f"{spoken} " if self._separate(spoken[-1], after) else spoken
        said.append(spoken)

    def _separate(self, last: str, after: str) -> bool:
        """Tell whether a space goes between a word and what follows it in the text."""
        return True

    # --- the rules ---

    @functools.cached_property
    def num(self) -> str:
        """The pattern of a number without sign."""
        return numbers.pattern(self.decimal)

    @functools.cached_property
    def negative(self) -> str:
        """The pattern of a minus sign before a number: glued to it, for a dash with a space after it is a pause.

        An en dash behind a word is a sign only where the number can be negative: degrees, but no liters.
        """
        dash = rf"(?<![\w)])–(?:(?<!\w\s–)|(?={self.num}\s?{number_context.SIGNED}))"
        return rf"(?:{self.free}[-−－]|{dash})"

    @functools.cached_property
    def _bottoms(self) -> str:
        """The pattern of what a rate is per."""
        return "|".join(map(re.escape, sorted(units.below(self.code), key=len, reverse=True)))

    @functools.cached_property
    def unit(self) -> str:
        """The pattern of a unit; rates, ``X/Y``, are units too."""
        known = [s for s in units.symbols() if self.is_unit(s)]
        known.sort(key=len, reverse=True)
        bare = self.bare_units.split()
        plain = "|".join(re.escape(s) for s in known if s not in bare)
        tops = "|".join(map(re.escape, known))
        clause = rf"\s*(?:[.,;:!?)]|$)(?!(?<=\.)\s?[{LETTER}]{{1,2}}\.)"  # but no 200 d.C.
        ends = rf"|(?:{'|'.join(bare)})(?={clause})" if bare else ""
        ends += r"|(?<=\d\s)s" if "s" in bare else ""  # 45 s; what is set close is more: the 90s
        return rf"(?:(?:{tops})/(?:{self._bottoms})|{plain}{ends}){EDGE}"

    def sources(self) -> Rules:
        """Yield the rules: name, pattern, handler; in the order in which they are asked."""
        yield from self.own_first()
        yield from self.addresses()
        yield from self.dates()
        yield from self.times()
        yield from self.phones()
        yield from self.amounts()
        yield from self.own()
        yield from self.counts()
        yield from self.signs()

    def own_first(self) -> Rules:
        """Yield rules of this language that go before all others."""
        yield from ()

    def own(self) -> Rules:
        """Yield rules of this language that go before plain numbers and signs."""
        yield from ()

    def addresses(self) -> Rules:
        """Yield the rules for addresses of all kinds, and abbreviations."""
        if self.weekdays:
            days = self._day_names
            between = rf"\s?[-–]\s?|\s(?:{self.until})\s"
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
        yield "email", r"[A-Za-z0-9][\w.+-]{0,63}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?<![.-])", self._email
        yield "url", r"(?:https?|ftp|wss?|tcp|mqtt)://[^\s<>\"'»”]+|www\.[\w-]+\.[^\s<>\"'»”]+", self._url
        yield (
            "host",
            rf"(?<![\w@.])(?:[A-Za-z0-9-]{{1,63}}\.){{1,8}}(?:{_TLD})(?::\d+)?(?:/[^\s<>\"'»”)]*)?(?![\w-]|\.\w)",
            self._url,
        )
        yield (
            "ip",
            r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?P<port>:\d{1,5})?(?P<mask>/\d{1,2})?(?!\.?\d)",
            self._ip,
        )
        yield (
            "two-temperatures",
            rf"{START}(?P<sign>{self.negative})?(?P<a>\d{{1,3}})\s?/\s?(?P<sign2>{MINUS})?(?P<b>\d{{1,3}})\s?(?P<u>°[CF]?|℃|℉){EDGE}",
            self._two_temperatures,
        )
        yield "screen", rf"(?<![{LETTER}\d.,])(?P<n>[458])(?P<l>K)(?![{LETTER}\d/])", self._number_letters
        yield (
            "episode",
            rf"(?<![{LETTER}\d])[Ss](?P<s>\d{{1,2}})[Ee](?P<e>\d{{1,3}})(?![{LETTER}\d])",
            self._episode,
        )
        yield "hex", r"0x[0-9A-Fa-f]+\b", lambda m: self._hex_digits(m[0].replace("x", "X"))
        yield "mac", r"(?<!\w)[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?!\w)", self._hex
        part = rf"/[{LETTER}\d_.-]*[{LETTER}\d_]"
        yield "path", rf"(?<![{LETTER}\d_/.:])(?:~?(?:{part}){{2,}}|~{part})/?", self._email
        yield (
            "file",
            rf"[A-Za-z0-9][\w-]{{0,99}}(?:\.[\w-]{{1,99}}){{0,8}}\.(?:{_EXTENSIONS})(?![\w-]|\.\w)",
            self._email,
        )
        yield "entity", r"(?P<domain>[a-z_]+)\.(?P<object>[a-z0-9_]+)(?!\w|\.\w)", self._entity
        yield "snake", r"(?<![^\W_])[A-Za-z0-9]{1,64}(?:_[A-Za-z0-9]{1,64}){1,32}", self._snake
        yield (
            "status",
            r"(?P<word>HTTPS?|http)(?:[ /-]|\s(?:error|status|code|Fehler|erreur|error|ошибка)\s)(?P<code>[1-5]\d\d)\b",
            self._status,
        )
        yield "hashtag", r"[#＃](?P<tag>[^\W\d]\w*)", lambda m: f"{self.hashtag} {self._humps(m['tag'])}"
        yield (
            "handle",
            r"(?<![\w.])@(?P<name>[A-Za-z_][\w.]*\w)",
            lambda m: f"{self.at} {self._humps(m['name'])}",
        )

    def dates(self) -> Rules:
        """Yield the rules for dates."""
        clock = r"(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:[.,]\d+)?)?(?:\s?(?P<zone>Z|[+-]\d{2}:?\d{2})(?!\d))?"
        iso = r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
        yield "datetime", rf"{START}{iso}[T ]\s?{clock}(?![\d:])", self._datetime
        yield "iso", rf"{START}{iso}(?!-?\d|[{LETTER}])", self._ymd
        dots = (
            "[/.]" if not self.day_first and self.decimal == "." and not self.acronyms else "/"
        )  # 2024.12.1 is a version
        yield (
            "iso-slash",
            rf"{START}(?P<y>\d{{4}}){dots}(?P<m>\d{{1,2}}){dots}(?P<d>\d{{1,2}})(?![\d/])",
            self._ymd,
        )
        yield (
            "local",
            rf"{START}(?P<a>\d{{1,2}})(?P<sep>[/.-])(?P<b>\d{{1,2}})(?P=sep)(?P<y>\d{{4}}|\d{{2}})(?![\d/])",
            self._local_date,
        )
        yield from self.named_dates()

    def named_dates(self) -> Rules:
        """Yield the rules for dates with the month in letters."""
        yield from ()

    def times(self) -> Rules:
        """Yield the rules for times of day."""
        one = r"\d{1,2}:\d{2}"
        yield (
            "utc",
            r"(?<!\w)(?P<zone>UTC|GMT)\s?(?P<sign>[-+−])(?P<h>\d{1,2})(?::?(?P<min>\d{2}))?(?![\d:])",
            self._utc,
        )
        yield "clocks", rf"{START}(?P<a>{one})\s?[-–—~～〜]\s?(?P<b>{one})(?![\d:])", self._clocks
        yield "clock", rf"{START}(?P<h>\d{{1,2}}):(?P<min>\d{{2}})(?::(?P<s>\d{{2}}))?(?![\d:])", self._clock
        yield "ratio", rf"{START}(?P<a>\d+):(?P<b>\d+)(?![\d:])", self._ratio

    def phones(self) -> Rules:
        """Yield the rules for telephone numbers."""
        yield (
            "star-code",
            rf"(?<![{LETTER}\d_*＊#＃/])(?:[*＊#＃]{{1,4}}\+?\d{{1,20}}(?:[*＊#＃]{{1,2}}\+?\d{{1,20}}){{0,4}}[#＃*＊]{{0,4}}|\d{{1,20}}(?:[*＊]\d{{1,20}}){{1,4}}[#＃]|\d{{3,20}}[#＃])(?![{LETTER}\d_*＊#＃])",
            self._star_code,
        )
        yield "phone+", r"\+\d{1,3}(?:[ .()/-]{0,2}\d{1,5}){2,7}(?!\d)", self._phone
        yield "phone-1", rf"{START}(?:1[-. ])?\(?\d{{3}}\)?[-. ]\d{{3}}[-.]\d{{4}}(?!\d)", self._phone
        yield (
            "phone-2",
            rf"{START}\(0?\d{{2,4}}\)[ -]?\d{{3,5}}[- ]?\d{{2,5}}(?:[- ]\d{{2,4}})?(?!\d)",
            self._phone,
        )
        yield "phone-3", rf"{START}0\d{{1,4}}(?:[ /-]{{1,3}}\d{{2,8}}){{1,4}}(?![\d.,:]\d)", self._phone
        yield "phone-5", rf"{START}\d{{3}}-\d{{2}}-\d{{4}}(?![\d-])", self._phone
        yield "phone-4", rf"{START}\d{{3}}-\d{{4}}(?![\d-])", self._phone

    def amounts(self) -> Rules:
        """Yield the rules for money, measures and percentages."""
        signs = currency_symbols(self.code)
        money = "|".join(sorted(map(re.escape, signs), key=len, reverse=True))
        scale = rf"(?:\s?(?P<scale>{self.scale_pattern})(?![{LETTER}]))?"
        sign = rf"(?P<sign>{self.negative})?"
        num, unit, dash = self.num, self.unit, rf"\s?(?:{DASH}|~|〜|～|…|\.\.\.?)\s?"
        yield (
            "money-range",
            rf"(?P<cur>{money})\s?(?P<n>{num}){dash}(?:(?P=cur))?\s?(?P<to>{num})(?:{scale}|{EDGE})",
            self._money_range,
        )
        yield (
            "money-per",
            rf"(?:(?P<cur>{money})\s?(?P<n>{num}|\.\d{{1,2}}){scale.replace('scale>', 'scale2>')}|(?P<n2>{num}){scale}\s?(?P<cur2>{money}))(?:/|\s/\s)(?P<per>{self._bottoms}){EDGE}",
            self._money_per,
        )
        yield (
            "money-before",
            rf"{sign}(?P<cur>{money})\s?(?P<sign2>{MINUS})?(?P<n>{num}|\.\d{{1,2}}(?!\d))(?:[.,](?:[–—]|--?)(?!\w))?{scale}(?!\d)",
            self._money,
        )
        yield (
            "money-range-after",
            rf"(?P<n>{num})(?:\s?(?P<first>{money}))?{dash}(?P<to>{num}){scale}\s?(?P<cur>{money})(?![{LETTER}])",
            self._money_range_after,
        )
        words = "|".join(sorted(map(re.escape, currency_names(self.code)), key=len, reverse=True))
        yield (
            "money-word",
            rf"{sign}(?P<n>(?={num}(?<=[.,]\d\d)\s){num})\s(?P<cur>{words})(?![{LETTER}])",
            self._money_word,
        )
        yield "money-after", rf"{sign}(?P<n>{num}){scale}\s?(?P<cur>{money})(?![{LETTER}])", self._money
        yield (
            "range-unit",
            rf"{sign}(?P<n>{num})\s?(?P<u1>{unit})?{dash}(?:(?P<sign2>{MINUS})|\+)?(?P<to>{num})\s?(?P<u>{unit})",
            self._unit_range,
        )
        yield (
            "word-per",
            rf"(?:(?<=[{LETTER}]{{2}})/(?P<per>[kM]?Wh|кВт·ч|кВтч|m²|m³|km|км)|(?<=[{LETTER}]\.)/(?P<per2>{self._bottoms})){EDGE}",
            lambda m: self._set(self.per("", units.canonical(m["per"] or m["per2"])), m),
        )
        times = "|".join(sorted(units.time_words(), key=len, reverse=True))
        yield "word-per-time", rf"(?<=[{LETTER}]{{2}})/(?P<per>{times})(?!\w)", self._word_per_time
        yield (
            "money-alone",
            rf"(?P<cur>{money})/(?P<per>{self._bottoms}){EDGE}",
            lambda m: self.rated(currency(self.code, signs[m["cur"]]).major[-1], units.canonical(m["per"])),
        )
        yield "times-per", rf"(?P<n>\d+)\s?[x×]\s?/\s?(?P<per>{self._bottoms}){EDGE}", self._times_per
        yield (
            "dimensions",
            rf"(?P<n>{num})(?:\s?(?P<first>{unit}))?\s?[x×]\s?(?P<to>{num})(?:\s?[x×]\s?(?P<third>{num}))?\s?(?P<u>{unit})?(?![\w])",
            self._dimensions,
        )
        yield "consumption", rf"(?P<n>{num})\s?[lLл]/100\s?(?:km|км)(?!\w)", self._consumption
        yield (
            "share",
            rf"{START}(?P<a>\d{{1,4}})\s?/\s?(?P<b>\d{{2,4}})\s?(?P<u>[kKMGT]B|k?Wh|mAh){EDGE}",
            self._score,
        )
        yield (
            "fraction-unit",
            rf"{START}(?:(?P<w>\d{{1,3}}) )?(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})\s(?P<u>{unit})",
            self._fraction_unit,
        )
        yield (
            "scientific",
            rf"(?P<sign>{self.negative})?(?P<n>{num})[eE](?P<e>[-+]?\d{{1,3}})(?!\w)",
            self._scientific,
        )
        yield (
            "scaled-unit",
            rf"{sign}(?:(?P<low>{num}){dash})?(?P<n>{num})\s?(?P<scale>{self.scale_words})\s?(?P<u>{unit}|t(?![{LETTER}]))",
            self._scaled_unit,
        )
        if not self.scales:
            yield "thousands", rf"{START}(?P<n>\d+(?:[.,]\d{{1,2}})?)k(?![{LETTER}\d/])", self._thousands
        if powers_of_ten.name(self.code, 6):
            yield "scaled", rf"{sign}(?P<n>{num})\s?(?P<scale>{_SHORT_SCALES})(?!\w)", self._scaled_number
        yield (
            "rate",
            rf"{START}(?P<n>{num})/(?P<per>kg|lb|oz|kWh|MWh|k?m²|cm²|c?m³|min|h|s|km|[lL]|ml|dl|day|week|month|year|кг|кВт·ч|м²|м³|мин|ч|км|л){EDGE}",
            self._rate_of,
        )
        yield "current", rf"{sign}(?P<n>{num})\s?(?P<u>A)(?=[\s-])", self._current
        yield "measure", rf"{sign}(?P<n>{num}|(?<![\w.,])\.\d+)\s?(?P<u>{unit})", self._measure
        yield (
            "small-unit",
            rf"{START}(?P<n>\d+(?:[.,]\d+)?)(?P<u>[vw])(?!\w)",
            lambda m: self.measure(self.parse(m["n"]), m["u"].upper()),
        )
        yield "letter-power", r"(?<![A-Za-z])(?P<n>[a-zA-Z]{1,2})(?P<e>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", self._power
        yield "superscript", rf"(?P<n>{num})(?P<e>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", self._power
        yield "unit", rf"(?<![\w°]){unit}", self._unit

    def counts(self) -> Rules:
        """Yield the rules for what else is made of numbers."""
        vulgar = "".join(_FRACTIONS)
        num = self.num
        yield "vulgar-unit", rf"(?:(?P<w>\d+)\s?)?(?P<f>[{vulgar}])\s?(?P<u>{self.unit})", self._vulgar_unit
        yield "half", rf"(?<![\d/])(?:½|1/2)\s(?=[{LETTER}]{{3,}})", self._half_of
        yield "fraction-sign", rf"(?:(?P<w>\d+)\s?)?(?P<f>[{vulgar}])", self._vulgar
        yield (
            "score",
            rf"{START}(?P<a>\d+[.,]\d+)\s?/\s?(?P<b>\d{{1,4}})(?:\s?(?P<u>{self.unit}))?(?!\d|[.,/]\d)",
            self._score,
        )
        yield "season", rf"{START}(?P<a>(?:19|20)\d\d)/(?P<b>\d\d)(?![\d/])", self._season
        yield (
            "fraction",
            rf"{START}(?:(?P<w>\d{{1,3}}) )?(?P<a>\d{{1,3}})[/⁄](?P<b>\d{{1,4}})(?![\d/.,]\d|[\d/])",
            self._fraction,
        )
        yield (
            "version",
            rf"(?<![{LETTER}\d.])(?:[vV]er\.?\s?|[vV])(?P<v>\d+(?:\.\d+)*)(?!\.?\d|[{LETTER}])",
            self._version,
        )
        yield "version-word", rf"(?P<word>{self.versions})\s(?P<v>\d+(?:\.\d+)+)(?!\.?\d)", self._version
        yield "dotted", rf"{START}\d+(?:\.\d+){{2,}}(?!\.?\d)", self._dotted
        yield (
            "isbn",
            rf"{START}97[89](?:-\d+){{3}}-[\dX](?!\w)",
            lambda m: ", ".join(self._hex_digits(part) for part in m[0].split("-")),
        )
        yield "code", r"(?P<n>\d{3,12})(?![\d.,:]\d|\d)", self._code
        yield (
            "point",
            rf"(?<![\w.,])\.(?P<n>\d+)(?![.,]?\d|[{LETTER}])",
            lambda m: self.number(Number("0", m["n"])),
        )
        yield "number-sign", r"[#№＃]\s?(?P<n>\d+)(?!\w)", self._number_sign
        yield (
            "range",
            rf"{START}(?P<n>{num})(?:{DASH}|\s{DASH}\s)(?P<to>{num})(?!\s?{DASH}\s?\d|{DASH}?\d|[{LETTER}])",
            lambda m: self._range(m) if self._is_range(m) else None,
        )
        yield (
            "equation",
            rf"(?P<sign>{self.negative})?(?P<n>{num})(?=\s?[-−－+＋×*÷/=＝^<>≤≥≠±≈·]\s?-?[\d(])",
            self._operand,
        )
        yield (
            "letter-number",
            rf"(?<![{LETTER}\d])(?P<l>[{LETTER}]+)[-.]?(?P<n>\d+(?:[.,]\d+)?)(?P<r>[{LETTER}]{{0,3}})(?![{LETTER}\d])",
            self._mixed_token,
        )
        yield (
            "times-decimal",
            rf"{START}(?P<n>\d+[.,]\d+)x(?![{LETTER}\d])",
            lambda m: self.join([self.number(self.parse(m["n"])), self.symbols["x times"]]),
        )
        yield (
            "number-letter",
            rf"{START}(?P<n>\d+)(?P<l>[{LETTER}]{{1,3}})(?![{LETTER}\d])",
            self._number_letters,
        )
        yield "number", rf"(?P<sign>{self.negative})?(?P<n>{num})", self._number

    def signs(self) -> Rules:
        """Yield the rules for lone signs."""
        yield "between", rf"(?<=\s){MINUS}(?=\s\(?[-−–]?\d)", self._between
        yield "subtract", rf"(?<=[\d)]){MINUS}(?=\(?\d)", self._subtract
        yield "dash", r"(?:(?<!\S)|(?<=[：，。；]))[−－](?=\s)|(?<=\w\s)–(?=\d)", self._dash
        yield "star", r"(?:(?<=[\d)])|(?<=[\d)]\s))\*\s?(?=[\d(])", lambda m: self._set(self.symbols["×"], m)
        yield "divide", r"(?<=\d\s)/(?=\s\d)", lambda m: self.symbols["÷"]
        yield "key", r"(?<!\S)(?P<s>[*#＊＃])(?=[\s.,;!?]|-[A-Z]|$)", self._key
        yield "digraph", "|".join(map(re.escape, _DIGRAPHS)), self._digraph
        yield "caret", r"(?<=\w)\^(?=\d)", lambda m: self._spaced(self.symbols["^"])
        yield (
            "tilde-range",
            r"(?:(?<=\w)[~～〜](?=[^\W\d_])|(?<=[)）])[~～〜](?=\d))",
            lambda m: self._set(self.to, m),
        )
        yield "about", r"[~≈∼]\s?(?=[-\d$€£])", lambda m: self.symbols["~"] + (" " if self.spaced else "")
        yield "sharp", r"(?<=\b[A-G])[#♯](?!\w)", lambda m: f" {self.symbols['♯']}"
        yield "plus-plus", r"(?<=\w)\+\+", lambda m: f" {self.plus} {self.plus}"
        yield (
            "slash",
            r"(?:(?<=[^\W_])|(?<=[^\W_]\s)|(?<=[€$£¥₽%°℃])|(?<=[^\W\d_]\.)(?=/[^\W\d_]))/(?=\s?[^\W_]|[-−+]\d)",
            self._slash,
        )
        known = "".join(
            re.escape(s) for s in self.symbols if len(s) == 1 and not s.isalpha() and s not in "?/#*"
        )
        known += "π"
        yield "symbol", rf"(?P<s>[{known}])", self._symbol
        yield "drop", r"[*_^|\\`<>{}~¬¦¨¯¸•·‣▪▫■□●○◆◇★☆✓✔✗✘→←↑↓⇒]+", self._drop

    # --- handlers ---

    def _spaced(self, word: str) -> str:
        return f" {word} " if self.spaced else word

    def _plain(self, text: str) -> str:
        """A whole number; one that begins with 0, or is too long for a quantity, digit by digit."""
        if (len(text) > 1 and text[0] == "0") or len(text) > numbers.LONGEST:
            return self.digits(text)
        return self.cardinal(int(text))

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
        said = self.expand(written, m)
        if said is None:
            return None
        rest = right(m)
        if written.endswith(".") and not rest.strip() and not said.endswith("."):
            said += "."  # the full stop ends the sentence too
        return said

    def expand(self, written: str, m: Match) -> str | None:
        """Return what an abbreviation stands for here; None if it is not one here."""
        return self.abbreviations[written]

    def _humps(self, text: str) -> str:
        """CamelCase and snake_case apart."""
        text = re.sub(r"(?<=[a-zß-ÿа-яё0-9])(?=[A-ZÀ-ÞА-ЯЁ])", " ", text.replace("_", " "))
        return self.say(text) if any(c.isdigit() for c in text) else " ".join(text.split())

    def address(self, text: str) -> str:
        """Return an address in words: letters as they are, digits as numbers, signs by name.

        Letters and digits that are mixed are read one by one: j4n3, sda1, but no kitchen2.
        """
        said: list[str] = []
        signs = {".": self.dot, "/": self.slash, "-": self.dash, "_": self.underscore, ":": self.colon, "@": self.at,
                 "?": self.symbols["?"], "=": self.symbols["="], "&": self.symbols["&"], "#": self.hashtag, "+": self.plus,
                 "%": self.unit_alone("%") or "%", "~": "tilde"}  # fmt: skip
        for part in re.findall(
            rf"(?<![\d.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\d.])|{_MIXED}|\d+|[^\W\d_]+|[\W_]", text
        ):
            if "." in part[1:]:
                said.append(self.ip(part))
            elif len(part) > 1 and not part.isdecimal() and not part.isalpha():
                said += [self.digits(c) if c.isdecimal() else self.letters(c) for c in part]
            elif part in signs:
                said.append(signs[part])
            elif part.isdecimal():
                said.append(self._plain(part) if len(part) < 4 else self.digits(part))
            elif part.lower() == "www":
                said.append(self.letters(part))
            elif part.strip():
                said.append(part)
        return " ".join(said)

    def _email(self, m: Match) -> str:
        return self.address(m[0])

    def _url(self, m: Match) -> str | None:
        text = m[0]
        tail = re.search(r"[.,;:!?)\]]*$", text)
        stop = tail[0] if tail else ""
        text = text[: len(text) - len(stop)] if stop else text
        text = re.sub(r"^(?:https?|ftp|wss?|tcp|mqtt)://", "", text).rstrip("/")
        text, _, _ = text.partition("?")
        return self.address(text) + stop if text else None

    def _ip(self, m: Match) -> str | None:
        address = re.match(r"[\d.]+", m[0])
        assert address is not None
        if any(int(part) > 255 or re.match(r"0\d", part) for part in address[0].split(".")):
            return None  # 8.000.000.000 is a number
        said = [self.ip(address[0])]
        if m["port"]:
            said += [self.colon, self._plain(m["port"][1:]) if len(m["port"]) < 4 else self.digits(m["port"])]
        if m["mask"]:
            said += [self.slash, self._plain(m["mask"][1:])]
        return self.join(said)

    def _hex(self, m: Match) -> str:
        return ", ".join(self._hex_digits(pair) for pair in re.split("[:-]", m[0]))

    def _hex_digits(self, text: str) -> str:
        return " ".join(self.digits(c) if c.isdecimal() else c.upper() for c in text)

    def _episode(self, m: Match) -> str:
        return self.episode.format(self.cardinal(int(m["s"])), self.cardinal(int(m["e"])))

    def _entity(self, m: Match) -> str | None:
        if m["domain"] not in _DOMAINS:
            return None
        object_id = self._snake_words(m["object"])
        return f"{m['domain'].replace('_', ' ')} {self.dot} {object_id}"

    def _snake_words(self, text: str) -> str:
        words = text.replace("_", " ").split()
        return " ".join(self._plain(word) if word.isdecimal() else self._split_token(word) for word in words)

    def _split_token(self, word: str) -> str:
        if not any(c.isdigit() for c in word):
            return word
        parts = re.findall(r"\d+|\D+", word)
        return " ".join(self._plain(part) if part.isdecimal() else part for part in parts)

    def _snake(self, m: Match) -> str:
        return self._snake_words(m[0])

    def _status(self, m: Match) -> str:
        middle = m.string[m.end("word") : m.start("code")].strip(" /-")
        word = self.letters(m["word"]) if self.acronyms else m["word"].upper()
        return " ".join(part for part in (word, middle, self.status(m["code"])) if part)

    def _date_or_none(self, year: int | None, month: int, day: int, before: str) -> str | None:
        return self.date(year, month, day, before) if 1 <= month <= 12 and 1 <= day <= 31 else None

    def _ymd(self, m: Match) -> str | None:
        month, day = int(m["m"]), int(m["d"])
        if month > 12:
            month, day = day, month
        return self._date_or_none(int(m["y"]), month, day, left(m))

    def month_first(self) -> Rules:
        """Yield the rule for "jan. 15": a date whose month is short, and comes first."""
        short = "|".join(sorted((form for form in self.month_forms if len(form) < 6), key=len, reverse=True))
        yield (
            "month-first",
            rf"(?<!\w)(?i:(?P<month>{short}))\.\s(?P<d>[12]\d|3[01]|0?[1-9])(?:,?\s(?P<y>(?:1\d|20)\d\d)(?!\d))?(?![\d%°]|[.,:/]\d|\s?[{LETTER}])",
            self._month_first,
        )

    def _month_first(self, m: Match) -> str | None:
        year = int(m["y"]) if m["y"] else None
        return self._date_or_none(year, self.month_forms[m["month"].lower()], int(m["d"]), left(m))

    def _datetime(self, m: Match) -> str | None:
        date = self._ymd(m)
        second = int(m["s"]) if m["s"] else None
        if date is None or not self.valid_time(int(m["h"]), int(m["min"]), second):
            return None
        time = self.time(int(m["h"]), int(m["min"]), second or None)
        said = self.date_and_time(date, time)
        return f"{said} {self.zone(m['zone'])}" if m["zone"] else said

    def zone(self, written: str) -> str:
        """Return a time zone: Z, or its distance from UTC."""
        utc = self.letters("UTC") if self.acronyms else "UTC"
        if written == "Z":
            return utc
        hours, minutes = int(written[1:3]), int(written[-2:])
        said = [utc, self.plus if written[0] == "+" else self.minus, self.cardinal(hours)]
        return " ".join([*said, self.cardinal(minutes)] if minutes else said)

    def _utc(self, m: Match) -> str:
        """UTC-5, GMT+05:30."""
        zone = self.letters(m["zone"]) if self.acronyms else m["zone"]
        said = [zone, self.plus if m["sign"] == "+" else self.minus, self.cardinal(int(m["h"]))]
        return " ".join([*said, self.cardinal(int(m["min"]))] if int(m["min"] or 0) else said)

    def date_and_time(self, date: str, time: str) -> str:
        """Return a date and a time of day together."""
        return f"{date}, {time}" if self.spaced else date + time

    def _local_date(self, m: Match) -> str | None:
        first, second = int(m["a"]), int(m["b"])
        day, month = (first, second) if self.day_first or m["sep"] == "." else (second, first)
        if month > 12:
            day, month = month, day
        year = int(m["y"]) if len(m["y"]) == 4 else int(m["y"]) + (2000 if int(m["y"]) < 70 else 1900)
        if m["sep"] == "." and len(m["y"]) == 2 and self.decimal == ".":
            return None  # more likely a version
        return self._date_or_none(year, month, day, left(m))

    def _clock(self, m: Match) -> str | None:
        hour, minute, second = int(m["h"]), int(m["min"]), int(m["s"]) if m["s"] else None
        if second is not None and (m["h"] == "00" or re.search(self.timers, left(m), re.I)):
            parts = [(str(n), unit) for n, unit in ((hour, "h"), (minute, "min"), (second, "s")) if n]
            return self._length(parts or [("0", "s")])
        if not self.valid_time(hour, minute, second):
            return None
        return self.time(hour, minute, second, before=left(m))

    def _clocks(self, m: Match) -> str | None:
        ends = [[int(part or 0) for part in re.split("[:h.]", m[end])] for end in "ab"]
        if not all(self.valid_time(hour, minute, None) for hour, minute in ends):
            return None
        return self.range(*(self.time(hour, minute) for hour, minute in ends))

    def _duration(self, m: Match) -> str:
        """Hours and minutes, and whatever else has a group of its unit's name."""
        parts = [(n, unit) for unit in ("d", "h", "min", "s") if (n := m.groupdict().get(unit))]
        return self._length(parts) + self._end(m)

    def _length(self, parts: list[tuple[str, str]]) -> str:
        """Return a length of time: numbers, each with its unit."""
        return self.join([str(self.measure(Number(n), unit)) for n, unit in parts])

    def _ratio(self, m: Match) -> str:
        return self.range_words(self._plain(m["a"]), self._plain(m["b"]))

    def range_words(self, low: str, high: str) -> str:
        """Return a proportion or score."""
        return self.range(low, high)

    def _phone(self, m: Match) -> str | None:
        count = sum(c.isdecimal() for c in m[0])
        return self.phone(m[0]) if 6 <= count <= 15 else None

    def _money(self, m: Match) -> str | None:
        groups = m.groupdict()
        code = currency_symbols(self.code)[m["cur"]]
        number = self.parse(self.dollars(m), groups.get("sign") or groups.get("sign2"))
        if groups.get("scale"):
            return self.scaled_money(number, self.scale_word(m["scale"]), code)
        return self.money(number, code)

    @functools.cached_property
    def scale_pattern(self) -> str:
        """The pattern of a power of ten in an amount; single letters are set close to the number or the currency."""
        return (
            self.scales
            or rf"{self.scale_words}|(?:(?<=\d)|(?=.\s?[$€£¥₽₩]))[{''.join(powers_of_ten.LETTERS)}]"
        )

    @functools.cached_property
    def scale_words(self) -> str:
        """The pattern of a power of ten in letters."""
        words = "|".join(map(re.escape, sorted(powers_of_ten.written(self.code), key=len, reverse=True)))
        return rf"(?:{words})(?:(?<![{LETTER}])|(?![{LETTER}]))(?:\sd[ei]\b|\sd['’])?"

    def _thousands(self, m: Match) -> str:
        """10k: a small letter, for 4K is a resolution."""
        return self.number(powers_of_ten.shifted(self.parse(m["n"]), 3))

    def _scaled_unit(self, m: Match) -> str | None:
        """100 million kg, 5-10 million kg."""
        low = self.number(self.parse(m["low"], m["sign"])) if m["low"] else ""
        number = self.parse(m["n"], None if low else m["sign"])
        said = self.scaled_measure(number, self.scale_word(m["scale"]), m["u"])
        return self.range(low, said) if low and said else said

    def _scaled_number(self, m: Match) -> str:
        amount = self.scaled(self.parse(m["n"], m["sign"]), m["scale"])
        return (self.number(amount) if isinstance(amount, Number) else amount) + self._end(m)

    def _rate_of(self, m: Match) -> str:
        """12/kg: how many there are of what is not named."""
        return self.rated(self.number(self.parse(m["n"])), units.canonical(m["per"]))

    def _money_word(self, m: Match) -> str:
        """3,50 Euro: a name with hundredths in front of it; what is only called francs stays so."""
        code = currency_names(self.code)[m["cur"]]
        said = self.money(self.parse(m["n"], m["sign"]), code)
        forms = currency(self.code, code).major
        return (
            said
            if m["cur"] in forms
            else re.sub("|".join(map(re.escape, forms[::-1])), m["cur"], said, count=1)
        )

    def dollars(self, m: Match) -> str:
        """Return an amount as it is written; $1,234 and ¥1,000 are grouped as at home, in every language."""
        american = m["cur"][-1] in "$£¥￥₩₹" and re.fullmatch(r"[1-9]\d{0,2},\d{3}", m["n"])
        return m["n"].replace(",", "") if american else m["n"]

    def scale_word(self, written: str) -> str:
        """Return a power of ten without what only joins it to its noun."""
        return re.sub(r"\sd(?:[ei]|['’])$", "", written)

    def _consumption(self, m: Match) -> str:
        liters = str(self.measure(self.parse(m["n"]), "l"))
        return self.per_hundred(liters, str(self.measure(Number("100"), "km")))

    def per_hundred(self, liters: str, distance: str) -> str:
        """Return a consumption: litres per hundred kilometres."""
        return f"{liters} {self.symbols['per']} {distance}"

    def _fraction_unit(self, m: Match) -> str | None:
        return self._of_unit(m["w"], int(m["a"]), int(m["b"]), m["u"])

    def _two_temperatures(self, m: Match) -> str:
        """12/18 °C: the lowest and the highest of a day."""
        first = self.number(self.parse(m["a"], m["sign"]))
        second = self.measure(self.parse(m["b"], m["sign2"]), m["u"])
        return f"{first}, {second}" if self.spaced else f"{first}、{second}"

    def _of_unit(self, whole: str | None, top: int, bottom: int, symbol: str) -> str | None:
        name = self._units.get(units.canonical(symbol))
        if name is None or not 0 < top < bottom:
            return None
        if whole:
            return self.join([self.mixed(int(whole), top, bottom), self.plural(Number("2"), name.forms)])
        half = self.half(name.one) if (top, bottom) == (1, 2) else None
        return f"{half}{name.one}" if half else self.join([self.fraction(top, bottom), self.part_of(name)])

    def part_of(self, name: units.Name) -> str:
        """Return a unit of which there is a fraction."""
        return name.one

    def _money_per(self, m: Match) -> str:
        number, code = self.parse(m["n"] or m["n2"]), currency_symbols(self.code)[m["cur"] or m["cur2"]]
        scale = m["scale"] or m["scale2"]
        said = self.scaled_money(number, self.scale_word(scale), code) if scale else self.money(number, code)
        return self.rated(said, units.canonical(m["per"]))

    def rated(self, said: str, bottom: str) -> str:
        """Return what is counted, per a unit."""
        return f"{said} {self.per('', bottom)}"

    def _times_per(self, m: Match) -> str:
        said = self.join([self._plain(m["n"]), self.symbols["x times"]])
        return self.rated(said, units.canonical(m["per"]))

    def _money_range_after(self, m: Match) -> str | None:
        falls = self._is_spaced(m) and not self._rises(m)
        signs = currency_symbols(self.code)
        other = m["first"] and signs[m["first"]] != signs[m["cur"]]
        return None if falls or other or self._is_label(m) else self._money_range(m)

    def _money_range(self, m: Match) -> str:
        code = currency_symbols(self.code)[m["cur"]]
        high = self.parse(m["to"])
        said = (
            self.scaled_money(high, self.scale_word(m["scale"]), code)
            if m["scale"]
            else self.money(high, code)
        )
        return self.range(self.number(self.parse(m["n"])), said)

    def _unit_range(self, m: Match) -> str | None:
        """500 m-2 km has two units; with spaces around the dash these may be two measures."""
        falls = self._is_spaced(m) and not m["sign"] and not m["sign2"] and not self._rises(m)
        if (
            self._is_label(m)
            or self._is_letter(m)
            or self._is_sum(left(m), right(m))
            or (falls and units.canonical(m["u"]) != "h")
        ):
            return None
        if not m["u1"] or units.canonical(m["u1"]) == units.canonical(m["u"]):
            return self._range_unit(m)
        ends = self.measure(self.parse(m["n"], m["sign"]), m["u1"]), self.measure(self.parse(m["to"]), m["u"])
        spaced = re.search(rf"\s{DASH}\s", m[0])
        return None if spaced or not all(ends) else self.range(str(ends[0]), str(ends[1])) + self._end(m)

    def _range_unit(self, m: Match) -> str | None:
        high = self.measure(self.parse(m["to"], m["sign2"]), m["u"])
        if high is None:
            return None
        name = self._units.get(units.canonical(m["u"]))
        low = self.number(self.parse(m["n"], m["sign"]), name.gender if name else "m")
        return self.range(low, high) + self._end(m)

    def _dimensions(self, m: Match) -> str | None:
        if m["first"] and not m["u"]:
            return None
        last = m["third"] or m["to"]
        sides = [self.number(self.parse(n)) for n in (m["n"], m["to"], m["third"]) if n]
        if m["first"] and (first := self.measure(self.parse(m["n"]), m["first"])):
            sides[0] = first
        by = self.symbols["x"]
        if m["u"] and (measure := self.measure(self.parse(last), m["u"])):
            sides[-1] = measure
        elif "×" in m[0] or "=" in m.string[m.end() : m.end() + 3]:
            by = self.symbols["×"]
        return (f" {by} " if self.spaced else by).join(sides)

    def _is_letter(self, m: Match) -> bool:
        """Tell whether a unit of one letter is none: gate 7 B, 12 A in a street, but 230 V in line 5."""
        unit, digits, before = m["u"], m["n"], left(m)
        if len(unit) > 1 or not digits.isdecimal():
            return False
        if unit == "s" and re.fullmatch(r"(?:1[5-9]|20)\d0", digits):
            return number_context.DECADE.search(before) is not None
        if not unit.isupper() and unit not in "abcdef":
            return False
        if number_context.LETTERED.match(right(m)) or (
            unit in "NSEW" and number_context.ROAD.match(right(m))
        ):
            return True
        if unit in "BБ" and len(digits) < 3 and re.search(rf"[{LETTER}]{{3,}}\.?\s$", before):
            return not number_context.SIZED.search(before)
        named = unit in "NBS" and self.code != "de" and re.search(r"\w\s[A-Z][a-z]+\s$", before)
        if not named and number_context.NUMBERED.search(before) is None:
            return False
        return len(digits) < 3 or (len(digits) == 3 and unit not in "VWAВА")

    def _measure(self, m: Match) -> str | None:
        if self._is_letter(m):
            return None
        said = self.measure(self.parse(m["n"], m["sign"]), m["u"])
        return said + self._end(m) if said else None

    def _current(self, m: Match) -> str | None:
        """Say amperes before other words, where these words are about electricity."""
        return (
            self._measure(m)
            if number_context.CURRENT.search(left(m)) or number_context.VOLTAGE.match(right(m))
            else None
        )

    def _word_per_time(self, m: Match) -> str | None:
        """5 pills/day: something is counted there."""
        counted = re.search(r"\d\s?[^\W\d]+(?:\s[^\W\d]+)?$", left(m))
        return self._set(self.per("", units.canonical(m["per"])), m) if counted else None

    def _unit(self, m: Match) -> str | None:
        if not re.search(r"[/²³°℃℉µ%]", m[0]) and m[0] not in _ALONE:
            return None
        return self.unit_alone(m[0])

    def _power(self, m: Match) -> str:
        exponent = m["e"].translate(_SUPERSCRIPTS)
        base = " ".join(m["n"]) if m["n"].isalpha() else self.number(self.parse(m["n"]))
        return self.power(base, Number(exponent.lstrip("-+"), negative=exponent[0] == "-"))

    def _scientific(self, m: Match) -> str:
        exponent = Number(m["e"].lstrip("+-"), negative=m["e"].startswith("-"))
        ten = self.join([self.cardinal(10), self.symbols["^"], self.number(exponent)])
        return self.join([self.number(self.parse(m["n"], m["sign"])), self.symbols["×"], ten])

    def power(self, base: str, exponent: Number) -> str:
        """Return a power."""
        if named := named_power(self.code, exponent):
            return f"{base} {named}"
        return self.join([base, self.symbols["^"], self.number(exponent)])

    def _vulgar(self, m: Match) -> str:
        top, bottom = _FRACTIONS[m["f"]]
        return self.mixed(int(m["w"]), top, bottom) if m["w"] else self.fraction(top, bottom)

    def _vulgar_unit(self, m: Match) -> str | None:
        top, bottom = _FRACTIONS[m["f"]]
        return self._of_unit(m["w"], top, bottom, m["u"])

    def _half_of(self, m: Match) -> str | None:
        noun = re.match(rf"[{LETTER}]+", right(m))
        return self.half(noun[0].lower()) if noun else None

    def _score(self, m: Match) -> str:
        whole = self.measure(Number(m["b"]), m["u"]) if m["u"] else None
        return self.join([self.number(self.parse(m["a"])), self.symbols["of"], whole or self._plain(m["b"])])

    def _season(self, m: Match) -> str:
        return self.range(self.year(int(m["a"])), self.cardinal(int(m["b"])))

    def _fraction(self, m: Match) -> str | None:
        top, bottom = int(m["a"]), int(m["b"])
        if not (0 < top < bottom and (bottom <= 20 or bottom in {24, 25, 32, 50, 60, 64, 100, 1000})):
            if m["w"]:
                return None
            between = "" if top == bottom else self.symbols["/"]
            return self.join([self._plain(m["a"]), between, self._plain(m["b"])])
        return self.mixed(int(m["w"]), top, bottom) if m["w"] else self.fraction(top, bottom)

    def _number_sign(self, m: Match) -> str:
        said = self.digits(m["n"]) if len(m["n"]) > 3 else self._plain(m["n"])
        return self.join([self.number_word, said])

    def _version(self, m: Match) -> str:
        return " ".join([*self._version_words(m), self.version(m["v"])])

    def _version_words(self, m: Match) -> list[str]:
        """Return what stands before a version number, unless it stands there already: version v1.2."""
        if "word" in m.groupdict():
            return [m["word"]]
        said = re.search(rf"{self.version_word()[:5]}\w*\s?$", left(m), re.I)
        return [] if said else [self.version_word()]

    def _dotted(self, m: Match) -> str | None:
        grouped = self.decimal == "," and re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+", m[0])
        return None if grouped else self.version(m[0])

    def version_word(self) -> str:
        """Return what the v in v2.1 stands for."""
        return "version"

    @functools.cached_property
    def _code_before(self) -> re.Pattern[str]:
        is_ = "(?:is|ist|lautet|est|es|è|é|是|为|は|는|은)"
        return re.compile(rf"(?:{self.codes})(?:\s?{is_}|\s)?(?:\s?[:：#№]|\s?{DASH}(?=\s))?\s?$")

    def _code(self, m: Match) -> str | None:
        return self.digits(m["n"]) if self._code_before.search(left(m)) else None

    def _range(self, m: Match) -> str | None:
        low, high = self.parse(m["n"]), self.parse(m["to"])
        if all(len(n.whole) == 4 and not n.fraction and 1100 <= n.value <= 2100 for n in (low, high)):
            return self.range(self.year(low.value), self.year(high.value))
        if len(low.whole) > 1 and low.whole.startswith("0"):
            return None
        if self.is_score(m):
            return self.range_words(self.number(low), self.number(high))
        if low == high:
            return self.join([self.number(low), self.number(high)])
        return self.range(self.number(low), self.number(high))

    def _unless_label(self, say: Callable[[Match], str | None]) -> Callable[[Match], str | None]:
        """Return a handler of ranges that declines "room 5 - 21 °C"."""
        return lambda m: None if self._is_label(m) else say(m)

    def _is_label(self, m: Match) -> bool:
        """Tell whether the first of two numbers, with a spaced dash between them, numbers what is before it."""
        return self._is_spaced(m) and number_context.LABELS.search(left(m)) is not None

    def _is_range(self, m: Match) -> bool:
        """Tell whether two numbers are a range: with a spaced dash, neither a calculation nor a number and its contents."""
        before, after = left(m), right(m)
        if self._is_sum(before, after):
            return False
        if not self._is_spaced(m) or self.is_score(m) or number_context.RESULTS.search(before):
            return True
        asked = number_context.SUMS.search(before) and not re.match(rf"\s?[°%{LETTER}]", after)
        return (
            not asked and not number_context.LABELS.search(before) and self._rises(m) and self._may_range(m)
        )

    @staticmethod
    def _may_range(m: Match) -> bool:
        """Tell whether a minus sign between two numbers may stand for a dash: ages 3 − 5, 10 − 20 minutes."""
        if "−" not in m[0]:
            return True
        counted = re.match(rf"\s(?!{number_context.EQUALS})[{LETTER}]{{4,}}", right(m))
        named = re.search(rf"[{LETTER}]{{4,}}\s$", left(m)) and not re.match(
            rf"\s{number_context.EQUALS}", right(m)
        )
        return bool(counted or named)

    @staticmethod
    def _is_spaced(m: Match) -> bool:
        """Tell whether there are spaces around the dash between two numbers."""
        return re.search(rf"\s{DASH}\s", m[0]) is not None

    def _rises(self, m: Match) -> bool:
        """Tell whether the second number is the greater one."""
        low, high = self.parse(m["n"]), self.parse(m["to"])
        return (low.value, low.fraction) < (high.value, high.fraction)

    @staticmethod
    def _is_sum(before: str, after: str) -> bool:
        """Tell whether two numbers with a dash between them are part of a calculation: by what is around them."""
        return bool(
            re.search(r"[=＝+＋×÷*/]\s?\(?$", before) or re.match(r"\)?\s?(?:[=＝×÷*]|[+/＋]\s?\d)", after)
        )

    def _subtract(self, m: Match) -> str | None:
        """A minus without spaces around it, in a calculation."""
        operands = re.search(r"[\d.,]+\)?$", left(m)), re.match(r"\(?[\d.,]+", right(m))
        if not all(operands):
            return None
        start = left(m)[: operands[0].start()] if operands[0] else ""
        sums = self._is_sum(start, right(m)[operands[1].end() :]) if operands[1] else False
        return self._set(self.symbols["−"], m) if sums else None

    def _between(self, m: Match) -> str | None:
        """A spaced dash: minus in a calculation, "to" in a range, and a pause where it only parts two things."""
        before, after = left(m), right(m)
        first = re.search(rf"(?<![{LETTER}\d:/.,-])([-−–]?\d(?:[\d.,]*\d)?)\)?\s$", before)
        unit = rf"\s?[{LETTER}°%€$/²³]{{1,6}}"
        if re.search(rf"\d{unit}\s$", before) and re.match(rf"\s\d[\d.,]*(?:{unit})?\s?=", after):
            return self.symbols["−"]  # 5 kg - 2 kg = 3 kg
        if first is None or number_context.LABELS.search(before[: first.start()]):
            return None
        last = re.match(r"\s\(?[-−–]?\d(?:[\d.,]*\d)?\)?", after)
        rest = after[last.end() :] if last else ""
        start = before[: first.start()]
        if re.match(r"[:/-]\d", rest):
            return None  # a time or a date
        if self._is_sum(start, rest) or number_context.SUMS.search(start):
            return self.symbols["−"]
        if m[0] == "–" or number_context.OPENING.search(start):
            return self.to
        if re.match(rf"\s?[\d$€£¥°℃%{LETTER}]|\.?[ºª]", rest):
            return None
        return self.to if re.match(r"\s[-−–]", after) else self.symbols["−"]

    def _dash(self, m: Match) -> str | None:
        """A minus sign between words is a dash; between letters of a formula it is none."""
        if m[0] == "–":
            return "– "
        formula = re.search(r"(?:^|\W)(?:\w|\d[\d.,]*)\)?\s$", left(m)) and re.match(r"\s\(?\w\b", right(m))
        return None if formula else "–"

    def is_score(self, m: Match) -> bool:
        """Tell whether two numbers with a dash between them are a result."""
        result = self._is_spaced(m) and number_context.RESULTS.search(left(m))
        return bool(result or re.search(rf"(?:{self.scores})\s?$", left(m)))

    def _operand(self, m: Match) -> str:
        return self.number(self.parse(m["n"], m["sign"]))

    def _mixed_token(self, m: Match) -> str | None:
        """CO2, PM2.5, A4, MP3, B12: letters, then the number."""
        if "-" in m[0] and m["l"].islower():
            return None
        number = (
            self.number(self.parse(m["n"]))
            if not m["n"].startswith("0") or "." in m["n"]
            else self.digits(m["n"])
        )
        if m["n"].isdecimal() and len(m["n"]) > 3:
            number = self.year(int(m["n"])) if re.fullmatch(r"(?:19|20)\d\d", m["n"]) else self.digits(m["n"])
        letters = self.token_letters(m["l"])
        rest = f" {self.token_letters(m['r'])}" if m["r"] else ""
        return f"{letters} {number}{rest}"

    def token_letters(self, text: str) -> str:
        """Return the letters of a name such as CO2: spelled where the language spells."""
        return self.letters(text) if self.acronyms and text.isupper() and len(text) <= 4 else text

    def _number_letters(self, m: Match) -> str | None:
        """5G, 4K, 221B: the number, then letters."""
        if not m["l"].isupper() and m["l"] != "x":
            return None
        if m["l"] == "x":
            return self.join([self._plain(m["n"]), self.symbols["x times"]])
        return f"{self._plain(m['n'])} {self.letters(m['l'])}"

    def _number(self, m: Match) -> str | None:
        sign, text = m["sign"], m["n"]
        if text.isdecimal() and ((len(text) > 1 and text[0] == "0") or len(text) > numbers.LONGEST):
            said = self.digits(text)
            return self.join([self.minus, said]) if sign else said
        return self.bare_number(self.parse(text, sign), m)

    def bare_number(self, number: Number, m: Match) -> str:
        """Return a number that nothing else claims; its surroundings may tell its form."""
        return self.number(number)

    def _symbol(self, m: Match) -> str:
        return self._set(self.symbols[m["s"]], m)

    def _set(self, word: str, m: Match) -> str:
        """Set a word where a sign stood: apart from what is around it."""
        if not self.spaced:
            return word
        before, after = left(m)[-1:], right(m)[:1]
        if not word:
            return " " if before and not before.isspace() else ""
        lead = " " if before and not before.isspace() and before not in "([{\"'" else ""
        trail = " " if after and not after.isspace() and after not in ".,;:!?)]}\"'" else ""
        return f"{lead}{word}{trail}"

    def key(self, sign: str) -> str:
        """Return the name of a key of a telephone: * or #."""
        return self.symbols["*" if sign in "*＊" else "#"]

    def _star_code(self, m: Match) -> str | None:
        """Say what is dialled key by key; a lone # is a number's sign, and a * between numbers is a product."""
        if re.fullmatch(r"[#＃]\d+", m[0]) or re.search(r"[\d)]\s$", left(m)):
            return None
        said = [
            self.plus if key == "+" else self.digits(key) if key.isdecimal() else self.key(key)
            for key in m[0]
        ]
        return self.join(said)

    def _key(self, m: Match) -> str | None:
        """A key of a telephone: a sign that stands alone among words."""
        between_numbers = re.search(r"\d\s$", left(m)) and re.match(r"\s\d", right(m))
        word = self.key(m["s"])
        return None if between_numbers or not re.search(r"\w", left(m)) else word

    def _weekdays(self, m: Match) -> str:
        to = m["to"].strip(" -–") or self.to
        stop = m["stop"] if self._days[m["b"]].lower() == m["b"].lower() else self._end(m)
        return f"{self.weekday_range(self._days[m['a']], to, self._days[m['b']])}{stop}"

    def weekday_range(self, first: str, to: str, last: str) -> str:
        """Return "Monday to Friday"."""
        return f"{first} {to} {last}"

    def _end(self, m: Match) -> str:
        """Return the full stop of an abbreviation that ends the sentence too."""
        return "." if m[0].endswith(".") and not right(m).strip() else ""

    def _month_stop(self, m: Match) -> str:
        """Return the full stop after a month: one that the name did not need, or that ends the sentence too."""
        named = m["month"].lower() in map(str.lower, self.months)
        return "." if m[0].endswith(".") and (named or not right(m).strip()) else ""

    def _digraph(self, m: Match) -> str:
        return self._set(self.symbols[_DIGRAPHS[m[0]]], m)

    def _slash(self, m: Match) -> str | None:
        """A slash between words is a pause, between letters of a name nothing: on/off, A/B, TCP/IP."""
        before, after = left(m), right(m)
        words = re.search(r"[^\W_]+\s?$", before), re.match(r"\s?[-−+]?[^\W_]+", after)
        if all(word and word[0].strip().isdecimal() for word in words):
            return None
        spaces = before[-1:].isspace(), after[:1].isspace()
        if any(spaces):
            return "–" if all(spaces) else ""
        if (
            self.per_word
            and words[1]
            and words[1][0].isalpha()
            and re.search(rf"\d[\d.,\s]*(?:{_COUNTED})$", before)
        ):
            bottom = units.canonical(words[1][0])
            return self._set(self.per_word, m) if bottom not in self._per else None
        if not self.spaced and not before[-1:].isascii():
            return "、"
        name = all(word and (len(word[0]) == 1 or word[0].isupper()) for word in words)
        either = words[1] is not None and words[1][0].lower() in _OR
        return " " if name or either else ", "

    def _drop(self, m: Match) -> str:
        before, after = left(m)[-1:], right(m)[:1]
        return " " if before.isalnum() and after.isalnum() and self.spaced else ""
