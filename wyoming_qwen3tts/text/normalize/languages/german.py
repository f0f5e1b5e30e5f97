"""German."""

from __future__ import annotations

import re

from .. import units
from ..numbers import Number
from ..roman_numerals import parse_roman
from ..rules.rule import LETTER, START, Match, Rules, text_after, text_before
from .german_dates import GermanDates
from .german_words import DATIVE, DATIVE_ONE, DAYS, MONTH_FORMS, WEAK

_QUEENS = re.compile("Elisabeth|Margarethe|Beatrix|(?!Attila|Mustafa|Costa)[A-ZÄÖÜ][a-zäöü]+a")
_BEFORE_NOUN = re.compile(
    r"\b(?:der|die|das|dem|den|des|im|am|zum|beim|vom|diese[rsnm]?|jede[rsnm]?)\s$", re.I
)
_MIXED = re.compile(r"\b(?:k?ein|mein|dein|sein|ihr|unser|euer)e?\s$", re.I)
_BARE_DATIVE = re.compile(r"\b(?:an|in|mit|auf|zu|bei|von|aus|nach)\s$", re.I)
_ORDINAL_BEFORE = (
    "Stock|Stockwerk|Etage|Klasse|Platz|Mal|mal|Jahrhundert|Jahrhunderts|Quartal|Geburtstag|Tag|Woche|Monat|Jahr|Stelle|"
    "Kapitel|Teil|Obergeschoss|Untergeschoss|Advent|Weltkrieg|Runde|Versuch|Zeile|Seite|Raum|Zimmer|Schritt|Punkt|Spieltag|"
    "FC|SC|Person|Gang|Stufe|Phase|Liga|Auflage|Staffel|Folge|Halbjahr|Vierteljahr|Semester|Viertel|Hälfte|Reihe|Bezirk|OG|UG"
)


class German(GermanDates):
    """German."""

    def _range(self, m: Match) -> str | None:
        words = super()._range(m)
        noun = re.match(r"\s[A-ZÄÖÜ]", text_after(m))  # one to two minutes
        return re.sub(r"^eins (?=bis)", "ein ", words) if words and noun else words

    def _measure(self, m: Match) -> str | None:
        words = super()._measure(m)
        return self._after_preposition(words, m) if words else None

    def _duration(self, m: Match) -> str:
        return self._after_preposition(super()._duration(m), m)

    @staticmethod
    def _after_preposition(words: str, m: Match) -> str:
        """Return "eine Stunde" in the dative after a preposition that governs it."""
        if not words.startswith(("ein ", "eine ")) or not DATIVE_ONE.search(text_before(m)):
            return words
        return re.sub(r"^ein(e?) ", lambda one: "einer " if one[1] else "einem ", words)

    def _half_of(self, m: Match) -> str | None:
        noun = re.match(rf"[{LETTER}]+", text_after(m))
        gender = self.gender_of(noun[0]) if noun else ""
        return f"{self.half_of(gender, text_before(m))} " if gender else None

    def _fraction_unit(self, m: Match) -> str | None:
        half = not m["w"] and (m["a"], m["b"]) == ("1", "2")
        return self._half_unit(m) if half else super()._fraction_unit(m)

    def _vulgar_unit(self, m: Match) -> str | None:
        return self._half_unit(m) if m["f"] == "½" and not m["w"] else super()._vulgar_unit(m)

    def _half_unit(self, m: Match) -> str | None:
        name = self._units.get(units.canonical_symbol(m["u"]))
        return f"{self.half_of(name.gender, text_before(m))} {name.one}" if name else None

    def plain_number(self, number: Number, m: Match) -> str:
        text, before, after = m["n"], text_before(m), text_after(m)
        if text.isdecimal() and len(text) == 4 and not number.negative and 1100 <= number.value < 2000:
            return self.year(number.value)  # prices and house numbers are read in this way too
        if text == "1" and not number.negative:
            noun = re.match(r"\s+(?:[a-zäöüß]+e[ns]?\s+)?([A-ZÄÖÜ][\wäöüß]*)", after)
            gender = self.gender_of(noun[1]) if noun else ""
            if noun:
                dative = DATIVE_ONE.search(before)
                return {"f": "einer" if dative else "eine"}.get(gender, "einem" if dative else "ein")
        return self.number(number)

    def leading_rules(self) -> Rules:
        months = "|".join(sorted(MONTH_FORMS, key=len, reverse=True))
        yield "street", r"(?P<l>[A-ZÄÖÜ][\wäöüß]+)str\.(?!\w)", lambda m: f"{m['l']}straße"
        yield (
            "round-money",
            r"(?P<n>\d+(?:['’]\d{3})*)[,.](?:-{1,2}|–|—)(?P<cur>\s?€|\s?Euro(?!\w)|\s?Fr\.|\s?CHF|\s?Franken)?",
            self._round_money,
        )
        yield "zip", r"\d{5}(?=\s[A-ZÄÖÜ]|$)", self._zip
        yield (
            "dates",
            rf"{START}(?P<a>\d{{1,2}})\.\s?(?P<und>und|bis|-|–)\s?(?:(?P<zum>zum)\s)?(?P<d>\d{{1,2}})\.\s?(?i:(?P<month>{months})\b\.?)(?:\s(?P<y>\d{{4}}))?(?!\d)",
            self._two_dates,
        )
        yield (
            "dates-short",
            rf"{START}(?P<a>\d{{1,2}})\.\s?(?P<und>und|bis|-|–)\s?(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.(?P<y>\d{{4}})?(?!\d)",
            self._two_short_dates,
        )
        yield (
            "roman-name",
            r"(?P<name>[A-ZÄÖÜ][a-zäöüß]+)\s(?P<r>[IVXL]+)(?P<stop>\.?)(?![\w'’])",
            self._roman,
        )
        yield (
            "postcode",
            r"(?:(?<=\d, )|(?<=\d[a-z], ))(?P<n>\d{5})(?= [A-ZÄÖÜ][a-zäöü])",
            lambda m: self.spell_digits(m["n"]),
        )
        yield "roman-century", r"(?P<r>[IVX]+)\.\s(?P<w>Jahrhundert|Weltkrieg|Quartal)", self._roman_ordinal

    def language_rules(self) -> Rules:
        yield (
            "decade",
            r"(?P<n>(?:1[1-9]|20)?\d0)(?P<e>ern?)(?!\w)",
            lambda m: self.year(int(m["n"])) + m["e"],
        )
        yield (
            "ordinal-letters",
            rf"{START}(?P<n>\d{{1,3}})s?te(?P<e>[rnms]?)(?!\w)",
            lambda m: self.ordinal(int(m["n"])) + m["e"],
        )
        yield "compound", rf"{START}(?P<n>\d+)-(?P<u>{self.unit})(?=-[A-ZÄÖÜ])", self._compound
        yield "times", r"(?P<n>\d+)(?P<s>-?mal|-?fach|x)(?!\w)", self._times
        yield (
            "ordinals",
            rf"{START}(?P<n>\d{{1,3}})\.\s?(?:[-–]|bis)\s?(?P<to>\d{{1,3}})\.(?=\s(?:{_ORDINAL_BEFORE})\b)",
            lambda m: (
                f"{self.inflect_ordinal_before_noun(int(m['n']), m)} bis {self.inflect_ordinal_before_noun(int(m['to']), m)}"
            ),
        )
        yield (
            "ordinal",
            rf"{START}(?P<n>\d{{1,3}})\.(?=\s(?:(?:und|oder|bis)\s\d{{1,3}}\.\s)?(?:{_ORDINAL_BEFORE})\b)",
            lambda m: self.inflect_ordinal_before_noun(int(m["n"]), m),
        )
        yield (
            "ordinal-word",
            r"(?<=[a-zäöü] )(?P<n>\d{1,3})\.(?=\s[a-zäöü])(?<!\bum \d\.)(?<!\bum \d\d\.)",
            self._ordinal_word,
        )
        yield (
            "ordinal-noun",
            r"(?<=[a-z] )(?P<n>\d{1,3})\.(?=\s[A-ZÄÖÜ][a-zäöüß])"
            r"(?!\s(?:D(?:er|ie|as|ann|anach|ort|u)|Es|Er|Sie|Ich|Wir|Und|Oder|Aber|Wenn|Ist|Bitte|Soll|Was|Wie|Heute|Morgen|Hier)\b)",
            self._ordinal_noun,
        )

    def _zip(self, m: Match) -> str | None:
        """A postal code in an address: Hauptstraße 5, 10115 Berlin."""
        street = re.search(r"[a-zß.]\s\d{1,3}\s?[a-z]?,\s$|\b(?:PLZ:?\s|D-)$", text_before(m))
        return self.spell_digits(m[0]) if street else None

    def _round_money(self, m: Match) -> str | None:
        """5,- €: an amount without cents."""
        priced = m["cur"] or re.search(r"(?:€|EUR|Euro|Preis:?|kostet|für)\s?$", text_before(m))
        code = "CHF" if re.search("Fr|CHF", m["cur"] or "") else "EUR"
        return self.money(self.parse_number(m["n"]), code) if priced else None

    def _compound(self, m: Match) -> str | None:
        name = self._units.get(units.canonical_symbol(m["u"]))
        return f"{self.cardinal(int(m['n'])).capitalize()}-{name.one}" if name else None

    def _times(self, m: Match) -> str:
        word = "fach" if "fach" in m["s"] else "mal"
        number = "ein" if m["n"] == "1" else self.cardinal(int(m["n"]))
        return number + word

    def inflect_ordinal_before_noun(self, value: int, m: Match) -> str:
        before = text_before(m)
        noun = re.match(r"\s(\w+)", text_after(m))
        stem = self.ordinal(value)
        if noun and self.gender_of(noun[1]) == "f" and _BARE_DATIVE.search(before):
            return f"{stem}r"
        if DATIVE.search(before):
            return f"{stem}n"
        if WEAK.search(before):
            return stem
        if noun and noun[1] in {"Etage", "Klasse", "Woche", "Stelle", "Runde", "Zeile", "Seite", "Person", "Stufe", "Phase", "Liga",
                                "Auflage", "Staffel", "Folge", "Hälfte", "Reihe"}:  # fmt: skip
            return stem
        if noun and noun[1] in {"Mal", "mal", "Jahr", "Jahrhundert", "Quartal", "Halbjahr", "Vierteljahr", "Semester", "Viertel", "Stockwerk", "Kapitel", "Obergeschoss", "Untergeschoss",
                                "OG", "UG", "Zimmer"}:  # fmt: skip
            return f"{stem}s"
        return f"{stem}r"

    def _ordinal_word(self, m: Match) -> str | None:
        before = text_before(m)
        if not (DATIVE.search(before) or WEAK.search(before) or re.search(r"\bals $", before)):
            return None
        return self.inflect_ordinal(int(m["n"]), before)

    def _ordinal_noun(self, m: Match) -> str | None:
        """Die 2. Lampe, ihr 1. Auto: the words before, or the gender, decide the ending."""
        before, value = text_before(m), int(m["n"])
        if _BEFORE_NOUN.search(before):
            return self.inflect_ordinal(value, before)
        noun = re.match(r"\s(\w+)", text_after(m))
        ending = {"m": "r", "f": "", "n": "s"}.get(self.gender_of(noun[1]) if noun else "")
        return None if ending is None or not _MIXED.search(before) else self.ordinal(value) + ending

    def _roman(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        if value is None:
            return None
        if re.fullmatch("Kapitel|Teil|Band|Klasse|Typ|Weltkrieg|Stufe|Phase|Akt|Abschnitt|Hartz", m["name"]):
            return f"{m['name']} {self.cardinal(value)}{m['stop']}"
        ends = m["stop"] and not text_after(m).strip()
        if not m["stop"]:
            return None
        article = "die" if _QUEENS.fullmatch(m["name"]) else "der"
        return f"{m['name']} {article} {self.ordinal(value).capitalize()}{'.' if ends else ''}"

    def _roman_ordinal(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        if value is None:
            return None
        before = text_before(m)
        ending = "n" if DATIVE.search(before) else "" if WEAK.search(before) else "s"
        return f"{self.ordinal(value)}{ending} {m['w']}"

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        before, after = text_before(m), text_after(m)
        if written in {"EG", "OG", "UG", "S.", "Art.", "Abs."} and not (
            re.search(r"(?:[Ii]m|[.\d]) ?$", before) or re.match(r"\s?\d", after)
        ):
            return None
        if written == "Fr." and self._is_francs(m):
            return None
        if written in {"Max.", "Kap.", "Gl."} and not re.match(r"\s?[-−+\d]", after):
            return None
        if written == "Min." and not re.search(r"\d\s?$", before) and re.match(r"\s?[-−+\d]", after):
            return "Minimal"
        if written in {"Std.", "Min.", "Sek."} and re.search(r"\b1\s?$", before):
            return self.abbreviations[written][:-1]
        if written in {"Fr.", "Mi.", "So.", "Do.", "Mo.", "Di.", "Sa."} and re.match(
            r",?\s(?:de[rnm]\s)?\d", after
        ):
            return DAYS[written[:-1]]
        if written in {"Mi.", "So.", "Do.", "Mo.", "Di.", "Sa.", "min.", "Temp."} and not after.strip():
            return None
        if written in {"So.", "Mi.", "Do.", "Di.", "Mo."}:
            return None
        if written == "&":
            return None
        return self.abbreviations[written]
