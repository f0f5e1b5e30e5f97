"""German as it is spoken."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers, units
from ..currencies import Money
from ..normalizer import Normalizer
from ..numbers import Number
from ..roman_numerals import roman
from ..rules.rule import LETTER, START, Match, Rules, left, right

_MONTHS = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember",
)  # fmt: skip
_MONTH_FORMS = {
    "jan": 1, "jänner": 1, "feb": 2, "febr": 2, "mär": 3, "mrz": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9,
    "okt": 10, "nov": 11, "dez": 12,
} | {month.lower(): at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
_DATIVE = re.compile(r"\b(?:am|vom|zum|beim|dem|den|bis|ab|seit|im|ins|des|(?:ein|kein|mein|dein|sein|ihr|unser|eur)e[nm]|diesem|diesen|jedem|jeden|unserem|nach|"
                     r"(?:Mon|Diens|Donners|Frei|Sams|Sonn)tag,? (?:de[nm])|und|bis zum)\s*$", re.I)  # fmt: skip
_QUEENS = re.compile("Elisabeth|Margarethe|Beatrix|(?!Attila|Mustafa|Costa)[A-ZÄÖÜ][a-zäöü]+a")
_DAY_NAMES = r"(?:(?:Mon|Diens|Donners|Frei|Sams|Sonn)tag|Mittwoch|Sonnabend|(?:Mo|Di|Mi|Do|Fr|Sa|So)\b\.?)"
_ON_DAY = re.compile(
    rf"\b(?:am|vom|zum|bis|ab|seit|nächsten|kommenden|diesen|jeden)\s+{_DAY_NAMES},?\s*$", re.I
)
"""What puts a date after a weekday in the dative: am Montag, dreiundzwanzigsten November."""
_DATIVE_ONE = re.compile(
    r"\b(?:in|mit|nach|vor|seit|bei|aus|von|zu|ab|binnen|innerhalb von)\s+"
    r"(?:\d+\s?[a-zA-ZäöüÄÖÜ]+\.?,?\s+und\s+)?$",
    re.I,
)
_BEFORE_NOUN = re.compile(
    r"\b(?:der|die|das|dem|den|des|im|am|zum|beim|vom|diese[rsnm]?|jede[rsnm]?)\s$", re.I
)
_MIXED = re.compile(r"\b(?:k?ein|mein|dein|sein|ihr|unser|euer)e?\s$", re.I)
_BARE_DATIVE = re.compile(r"\b(?:an|in|mit|auf|zu|bei|von|aus|nach)\s$", re.I)
_WEAK = re.compile(r"\b(?:der|die|das|diese[rs]?|jede[rs]?|welche[rs]?)\s*$", re.I)
_FRANCS = re.compile(r"\s?\d+(?:['’]\d{3})*(?:\.\d\d)?(?![\d'’]|\.\d|\.\s?[A-ZÄÖÜ]|\s?Uhr)")
_PRICED = re.compile(
    r"(?:\b(?:kostet|kosten|für|zu|von|um|macht|beträgt|Preis:?|Total:?|Summe:?|nur|je)|[-–—−－:])\s$"
)
"""What makes of "Fr. 5.50" Swiss francs, and no Friday."""
_DAYS = {
    "Mo": "Montag",
    "Di": "Dienstag",
    "Mi": "Mittwoch",
    "Do": "Donnerstag",
    "Fr": "Freitag",
    "Sa": "Samstag",
    "So": "Sonntag",
}
_ORDINAL_BEFORE = (
    "Stock|Stockwerk|Etage|Klasse|Platz|Mal|mal|Jahrhundert|Jahrhunderts|Quartal|Geburtstag|Tag|Woche|Monat|Jahr|Stelle|"
    "Kapitel|Teil|Obergeschoss|Untergeschoss|Advent|Weltkrieg|Runde|Versuch|Zeile|Seite|Raum|Zimmer|Schritt|Punkt|Spieltag|"
    "FC|SC|Person|Gang|Stufe|Phase|Liga|Auflage|Staffel|Folge|Halbjahr|Vierteljahr|Semester|Viertel|Hälfte|Reihe|Bezirk|OG|UG"
)
_NOUN_GENDER = {
    "f": "Stunde Minute Sekunde Lampe Person Woche Nachricht Tür Kamera Steckdose Etage Million Milliarde Frage Aufgabe Mail Datei "
         "Kerze Tasse Flasche Heizung Gruppe Szene Meldung Erinnerung Zeile Seite Packung Dose Portion Batterie",
    "m": "Tag Monat Meter Grad Sensor Raum Termin Alarm Timer Schalter Rollladen Eintrag Anruf Liter Euro Dollar Cent Schritt "
         "Artikel Ofen Ventilator Computer Drucker Gast Mensch Freund Löffel Teelöffel Esslöffel Wecker Kilometer Prozentpunkt",
    "n": "Licht Gerät Fenster Jahr Prozent Update Kind Bild Haus Zimmer Paket Stück Glas Kilo Gramm Watt Auto Ei Lied Tor Mal",
}  # fmt: skip
_GENDER = {noun: gender for gender, nouns in _NOUN_GENDER.items() for noun in nouns.split()}


class German(Normalizer):
    """German."""

    code = "de"
    minus, plus, point, dot, slash, dash, underscore = (
        "minus",
        "plus",
        "Komma",
        "Punkt",
        "Schrägstrich",
        "Minus",
        "Unterstrich",
    )
    at, colon, to, number_word, hashtag = "at", "Doppelpunkt", "bis", "Nummer", "Hashtag"
    symbols: ClassVar = {
        "of": "von", "per": "auf", "&": "und", "@": "at", "+": "plus", "=": "gleich", "×": "mal", "÷": "geteilt durch", "<": "kleiner als", ">": "größer als",
        "≤": "höchstens", "≥": "mindestens", "±": "plus minus", "≈": "ungefähr", "≠": "ungleich", "~": "ungefähr", "^": "hoch",
        "√": "Wurzel aus", "∞": "unendlich", "°": "Grad", "§": "Paragraf", "©": "Copyright", "®": "", "™": "", "%": "Prozent",
        "‰": "Promille", "/": "Schrägstrich", "?": "Fragezeichen", "→": "nach", "#": "Raute", "*": "Stern", "µ": "Mikro", "♯": "is", "x": "mal",
        "x times": "mal", "−": "minus", "№": "Nummer", "$": "Dollar", "€": "Euro", "£": "Pfund", "¢": "Cent", "¥": "Yen", "π": "Pi",
        "·": "mal", "′": "", "″": "",
    }  # fmt: skip
    months = _MONTHS
    month_forms = _MONTH_FORMS
    weekdays = _DAYS
    episode = "Staffel {}, Folge {}"
    scores = (
        r"(?:gew(?:ann|innt|onnen)|siegte?|verl(?:or|iert|oren)|führt|[Ee]s st(?:eht|and)|endete|Endstand|Spielstand|Ergebnis)"
        r"(?: mit| das Spiel| heute| gestern| jetzt| aktuell| ist| lautet| am Ende)*:?"
    )
    until = "bis|und|oder"
    bare_units = "in d b B K t A C F s"
    per_word = "pro"
    codes = r"PIN|Pin|Code|Passwort|Geheimzahl|PLZ|Postleitzahl"
    versions = "Version|Python|iOS|Android|macOS|Firmware|Release"
    abbreviations: ClassVar = {
        "z. B.": "zum Beispiel", "Z. B.": "Zum Beispiel", "D. h.": "Das heißt", "d. h.": "das heißt", "u. a.": "unter anderem", "u. U.": "unter Umständen", "i. d. R.": "in der Regel",
        "z. T.": "zum Teil", "o. Ä.": "oder Ähnliches", "o. ä.": "oder ähnlich", "v. a.": "vor allem", "s. o.": "siehe oben",
        "s. u.": "siehe unten", "m. E.": "meines Erachtens", "u. v. m.": "und vieles mehr", "bzw.": "beziehungsweise", "usw.": "und so weiter",
        "ca.": "circa", "Nr.": "Nummer", "evtl.": "eventuell", "ggf.": "gegebenenfalls", "inkl.": "inklusive", "exkl.": "exklusive",
        "zzgl.": "zuzüglich", "max.": "maximal", "min.": "minimal", "mind.": "mindestens", "Dr.": "Doktor", "Prof.": "Professor",
        "Hr.": "Herr", "Fr.": "Frau", "Str.": "Straße", "str.": "straße", "St.": "Sankt", "Tel.": "Telefon", "vgl.": "vergleiche",
        "sog.": "sogenannt", "v. Chr.": "vor Christus", "v. u. Z.": "vor unserer Zeitrechnung", "u. Z.": "unserer Zeitrechnung", "n. Chr.": "nach Christus", "Kap.": "Kapitel", "Gl.": "Gleis", "Max.": "Maximal", "Abs.": "Absatz", "Art.": "Artikel", "S.": "Seite", "Std.": "Stunden", "Min.": "Minuten", "Sek.": "Sekunden",
        "Mio.": "Millionen", "Mrd.": "Milliarden", "Tsd.": "Tausend", "geb.": "geboren", "gest.": "gestorben", "Jh.": "Jahrhundert",
        "etc.": "et cetera", "vs.": "versus", "bspw.": "beispielsweise", "allg.": "allgemein", "gem.": "gemäß", "lt.": "laut",
        "Temp.": "Temperatur", "Feb.": "Februar", "Dez.": "Dezember", "Okt.": "Oktober", "Nov.": "November", "Aug.": "August",
        "Jan.": "Januar", "Mo.": "Montag", "Di.": "Dienstag", "Mi.": "Mittwoch", "Do.": "Donnerstag", "Sa.": "Samstag", "So.": "Sonntag",
        "24/7": "rund um die Uhr", "&": "und", "und/oder": "und oder", "EG": "Erdgeschoss", "OG": "Obergeschoss", "UG": "Untergeschoss",
        "p. a.": "pro Jahr", "km/h": "Kilometer pro Stunde",
    }  # fmt: skip

    def cardinal(self, value: int, gender: str = "m") -> str:
        said = numbers.words(value, "de")
        if said is None:
            return str(value)
        said = re.sub(r"^ein(?=hundert|tausend)", "", said).replace("einstausend", "eintausend")  # 101,000
        return re.sub(r"(?<=tausend)ein(?=hundert)", "ein", said)

    def counted(self, value: int, gender: str) -> str:
        if value == 1:
            return "eine" if gender == "f" else "ein"
        return self.cardinal(value)

    def ordinal(self, value: int, gender: str = "m") -> str:
        said = numbers.words(value, "de", "ordinal") or str(value)
        return re.sub(r"^ein(?=hundert|tausend)", "", said)

    def year(self, value: int) -> str:
        if 1100 <= value < 2000:
            rest = value % 100
            return f"{self.cardinal(value // 100)}hundert{self.cardinal(rest) if rest else ''}"
        return self.cardinal(value)

    def inflected(self, value: int, before: str) -> str:
        """Return an ordinal with the ending that the words before it ask for."""
        stem = self.ordinal(value)
        if _DATIVE.search(before) or _ON_DAY.search(before):
            return f"{stem}n"
        return stem if _WEAK.search(before) else f"{stem}r"

    def per(self, top: str, bottom: str) -> str:
        return f"pro {self._per[bottom]}"

    def major_and_minor(self, said: str, whole: Number, minor: Number, names: Money) -> str:
        return f"{said} {self.hundredths(minor, names)}"

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        tail = f" {self.year(year)}" if year is not None else ""
        return f"{self.inflected(day, before)} {self.months[month - 1]}{tail}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        said = f"{'ein' if hour == 1 else self.cardinal(hour)} Uhr"
        if minute or second:
            said += f" {self.cardinal(minute)}"
        if second:
            unit = "Sekunde" if second == 1 else "Sekunden"
            said += f" und {self.counted(second, 'f')} {unit}"
        return said

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date} um {time}"

    def fraction(self, top: int, bottom: int) -> str:
        if bottom == 2:
            return "ein halb" if top == 1 else f"{self.cardinal(top)} halbe"
        stem = {3: "Drittel", 7: "Siebtel", 8: "Achtel"}.get(bottom)
        if stem is None:
            words = self.cardinal(bottom)
            stem = (words + ("tel" if bottom < 20 else "stel")).capitalize()
        return f"{'ein' if top == 1 else self.cardinal(top)} {stem}"

    def mixed(self, whole: int, top: int, bottom: int) -> str:
        if (top, bottom) == (1, 2):
            return "eineinhalb" if whole == 1 else f"{self.cardinal(whole)}einhalb"
        return f"{self.counted(whole, 'n') if whole > 1 else 'ein'} {self.fraction(top, bottom)}"

    def range_words(self, low: str, high: str) -> str:
        return f"{low} zu {high}"

    def version_word(self) -> str:
        return "Version"

    def power(self, base: str, exponent: Number) -> str:
        return f"{base} hoch {self.number(exponent)}"

    def range(self, low: str, high: str) -> str:
        return super().range("ein" if low == "eins" and not high.isalpha() else low, high)

    def _range(self, m: Match) -> str | None:
        said = super()._range(m)
        noun = re.match(r"\s[A-ZÄÖÜ]", right(m))  # one to two minutes
        return re.sub(r"^eins (?=bis)", "ein ", said) if said and noun else said

    def _measure(self, m: Match) -> str | None:
        said = super()._measure(m)
        return self._after_preposition(said, m) if said else None

    def _duration(self, m: Match) -> str:
        return self._after_preposition(super()._duration(m), m)

    @staticmethod
    def _after_preposition(said: str, m: Match) -> str:
        """Put "eine Stunde" into the dative where a preposition asks for it."""
        if not said.startswith(("ein ", "eine ")) or not _DATIVE_ONE.search(left(m)):
            return said
        return re.sub(r"^ein(e?) ", lambda one: "einer " if one[1] else "einem ", said)

    def _half_of(self, m: Match) -> str | None:
        noun = re.match(rf"[{LETTER}]+", right(m))
        gender = self.gender_of(noun[0]) if noun else ""
        return f"{self.a_half(gender, left(m))} " if gender else None

    def _fraction_unit(self, m: Match) -> str | None:
        half = not m["w"] and (m["a"], m["b"]) == ("1", "2")
        return self._half_unit(m) if half else super()._fraction_unit(m)

    def _vulgar_unit(self, m: Match) -> str | None:
        return self._half_unit(m) if m["f"] == "½" and not m["w"] else super()._vulgar_unit(m)

    def _half_unit(self, m: Match) -> str | None:
        name = self._units.get(units.canonical(m["u"]))
        return f"{self.a_half(name.gender, left(m))} {name.one}" if name else None

    @staticmethod
    def a_half(gender: str, before: str) -> str:
        """Return "half a" in the case that the words before it ask for: the accusative, unless nothing does."""
        if _DATIVE_ONE.search(before):
            return "einer halben" if gender == "f" else "einem halben"
        if gender == "m":
            return "einen halben" if re.search(r"\w\s*$", before) else "ein halber"
        return "eine halbe" if gender == "f" else "ein halbes"

    def bare_number(self, number: Number, m: Match) -> str:
        text, before, after = m["n"], left(m), right(m)
        if text.isdecimal() and len(text) == 4 and not number.negative and 1100 <= number.value < 2000:
            return self.year(number.value)  # so are prices and numbers of houses read
        if text == "1" and not number.negative:
            noun = re.match(r"\s+(?:[a-zäöüß]+e[ns]?\s+)?([A-ZÄÖÜ][\wäöüß]*)", after)
            gender = self.gender_of(noun[1]) if noun else ""
            if noun:
                dative = _DATIVE_ONE.search(before)
                return {"f": "einer" if dative else "eine"}.get(gender, "einem" if dative else "ein")
        return self.number(number)

    @staticmethod
    def gender_of(noun: str) -> str:
        """Return the gender of a noun, "" where it is not known."""
        return _GENDER.get(noun) or (
            "f" if noun.endswith(("ung", "heit", "keit", "ion", "schaft", "e")) else ""
        )

    # --- rules ---

    def own_first(self) -> Rules:
        months = "|".join(sorted(_MONTH_FORMS, key=len, reverse=True))
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
            lambda m: self.digits(m["n"]),
        )
        yield "roman-century", r"(?P<r>[IVX]+)\.\s(?P<w>Jahrhundert|Weltkrieg|Quartal)", self._roman_ordinal

    def named_dates(self) -> Rules:
        months = "|".join(sorted(_MONTH_FORMS, key=len, reverse=True))
        days = "|".join(_DAYS)
        yield (
            "named",
            rf"{START}(?P<d>\d{{1,2}})(?:\.\s?|\s)(?i:(?P<month>{months})(?![{LETTER}])\.?)(?:\s(?P<y>\d{{4}})(?!\d))?",
            self._named_date,
        )
        yield from self.month_first()
        yield "short", rf"{START}(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.(?!\d)", self._short_date
        yield "day", rf"(?P<day>{days})\.?(?=,?\s\d|(?=x)x)", self._day

    def times(self) -> Rules:
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
        yield from super().times()

    def own(self) -> Rules:
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
            lambda m: f"{self.inflected_noun(int(m['n']), m)} bis {self.inflected_noun(int(m['to']), m)}",
        )
        yield (
            "ordinal",
            rf"{START}(?P<n>\d{{1,3}})\.(?=\s(?:(?:und|oder|bis)\s\d{{1,3}}\.\s)?(?:{_ORDINAL_BEFORE})\b)",
            lambda m: self.inflected_noun(int(m["n"]), m),
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
        """Hauptstraße 5, 10115 Berlin."""
        street = re.search(r"[a-zß.]\s\d{1,3}\s?[a-z]?,\s$|\b(?:PLZ:?\s|D-)$", left(m))
        return self.digits(m[0]) if street else None

    def _round_money(self, m: Match) -> str | None:
        """5,- € has no cents."""
        priced = m["cur"] or re.search(r"(?:€|EUR|Euro|Preis:?|kostet|für)\s?$", left(m))
        code = "CHF" if re.search("Fr|CHF", m["cur"] or "") else "EUR"
        return self.money(self.parse(m["n"]), code) if priced else None

    def _two_short_dates(self, m: Match) -> str | None:
        """23.-25.11.: the month is said once."""
        before, month, year = left(m), int(m["m"]), int(m["y"]) if m["y"] else None
        if not 1 <= month <= 12:
            return None
        word = m["und"] if m["und"] in {"und", "bis"} else "bis"
        lead = before if word == "und" or _DATIVE.search(before) else "zum"
        first = self.inflected(int(m["a"]), before)
        return f"{first} {word} {self.date(year, month, int(m['d']), lead)}{self._end(m)}"

    def _two_dates(self, m: Match) -> str:
        before = left(m)
        month = _MONTH_FORMS[m["month"].lower()]
        word = {"-": "bis", "–": "bis"}.get(m["und"], m["und"]) + (
            " zum" if m["zum"] or m["und"] in "-–" else ""
        )
        first = self.inflected(int(m["a"]), before)
        year = int(m["y"]) if m["y"] else None
        lead = before if word == "und" else "zum"
        return f"{first} {word} {self.date(year, month, int(m['d']), lead)}"

    @staticmethod
    def _is_francs(m: Match) -> bool:
        """Tell Fr. 5.50 from a Friday: by what is before it, or by 1'234."""
        price = _FRANCS.match(right(m))
        return price is not None and ("'" in price[0] or "’" in price[0] or bool(_PRICED.search(left(m))))

    def _day(self, m: Match) -> str | None:
        return None if m[0] == "Fr." and self._is_francs(m) else _DAYS[m["day"]]

    def _named_date(self, m: Match) -> str | None:
        month, day = _MONTH_FORMS[m["month"].lower()], int(m["d"])
        said = self._date_or_none(int(m["y"]) if m["y"] else None, month, day, left(m))
        return said + self._month_stop(m) if said else None

    def _short_date(self, m: Match) -> str | None:
        said = self._date_or_none(None, int(m["m"]), int(m["d"]), left(m))
        return said + "." if said and not right(m).strip() and left(m).strip() else said

    def _hm(self, text: str) -> str:
        hour, _, minute = text.replace(".", ":").partition(":")
        return self.time(int(hour), int(minute or 0))

    def _range_clock(self, m: Match) -> str:
        first, last = self._hm(m["a"]), self._hm(m["b"])
        if re.fullmatch(r"\d+", m["a"]):
            first = first.removesuffix(" Uhr")
        return f"{first} bis {last}"

    def _hours(self, m: Match) -> str | None:
        """1:30 Std. is a length of time; 8:30 h is one where the words before it say so."""
        timed = m["w"] != "h" or re.search(self.timers, left(m), re.I)
        parts = [(str(int(m[unit])), unit) for unit in ("h", "min") if int(m[unit])]
        return self._length(parts or [("0", "min")]) + self._end(m) if timed else None

    def _h_clock(self, m: Match) -> str | None:
        """10h19 is a time, or a length of time where the words before it say so."""
        if re.search(self.timers, left(m), re.I):
            return self._duration(m)
        hour, minute = int(m["h"]), int(m["min"])
        return self.time(hour, minute) if self.valid_time(hour, minute, None) else None

    def _word_clock(self, m: Match) -> str | None:
        hour, minute = int(m["h"]), int(m["min"] or 0)
        second = int(m.groupdict().get("s") or 0) or None
        return self.time(hour, minute, second) if self.valid_time(hour, minute, second) else None

    def _compound(self, m: Match) -> str | None:
        name = self._units.get(units.canonical(m["u"]))
        return f"{self.cardinal(int(m['n'])).capitalize()}-{name.one}" if name else None

    def _times(self, m: Match) -> str:
        word = "fach" if "fach" in m["s"] else "mal"
        number = "ein" if m["n"] == "1" else self.cardinal(int(m["n"]))
        return number + word

    def inflected_noun(self, value: int, m: Match) -> str:
        before = left(m)
        noun = re.match(r"\s(\w+)", right(m))
        stem = self.ordinal(value)
        if noun and self.gender_of(noun[1]) == "f" and _BARE_DATIVE.search(before):
            return f"{stem}r"
        if _DATIVE.search(before):
            return f"{stem}n"
        if _WEAK.search(before):
            return stem
        if noun and noun[1] in {"Etage", "Klasse", "Woche", "Stelle", "Runde", "Zeile", "Seite", "Person", "Stufe", "Phase", "Liga",
                                "Auflage", "Staffel", "Folge", "Hälfte", "Reihe"}:  # fmt: skip
            return stem
        if noun and noun[1] in {"Mal", "mal", "Jahr", "Jahrhundert", "Quartal", "Halbjahr", "Vierteljahr", "Semester", "Viertel", "Stockwerk", "Kapitel", "Obergeschoss", "Untergeschoss",
                                "OG", "UG", "Zimmer"}:  # fmt: skip
            return f"{stem}s"
        return f"{stem}r"

    def _ordinal_word(self, m: Match) -> str | None:
        before = left(m)
        if not (_DATIVE.search(before) or _WEAK.search(before) or re.search(r"\bals $", before)):
            return None
        return self.inflected(int(m["n"]), before)

    def _ordinal_noun(self, m: Match) -> str | None:
        """Die 2. Lampe, ihr 1. Auto: what is before it tells the ending, or its gender does."""
        before, value = left(m), int(m["n"])
        if _BEFORE_NOUN.search(before):
            return self.inflected(value, before)
        noun = re.match(r"\s(\w+)", right(m))
        ending = {"m": "r", "f": "", "n": "s"}.get(self.gender_of(noun[1]) if noun else "")
        return None if ending is None or not _MIXED.search(before) else self.ordinal(value) + ending

    def _roman(self, m: Match) -> str | None:
        value = roman(m["r"])
        if value is None:
            return None
        if re.fullmatch("Kapitel|Teil|Band|Klasse|Typ|Weltkrieg|Stufe|Phase|Akt|Abschnitt|Hartz", m["name"]):
            return f"{m['name']} {self.cardinal(value)}{m['stop']}"
        ends = m["stop"] and not right(m).strip()
        if not m["stop"]:
            return None
        article = "die" if _QUEENS.fullmatch(m["name"]) else "der"
        return f"{m['name']} {article} {self.ordinal(value).capitalize()}{'.' if ends else ''}"

    def _roman_ordinal(self, m: Match) -> str | None:
        value = roman(m["r"])
        if value is None:
            return None
        before = left(m)
        ending = "n" if _DATIVE.search(before) else "" if _WEAK.search(before) else "s"
        return f"{self.ordinal(value)}{ending} {m['w']}"

    def expand(self, written: str, m: Match) -> str | None:
        before, after = left(m), right(m)
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
            return _DAYS[written[:-1]]
        if written in {"Mi.", "So.", "Do.", "Mo.", "Di.", "Sa.", "min.", "Temp."} and not after.strip():
            return None
        if written in {"So.", "Mi.", "Do.", "Di.", "Mo."}:
            return None
        if written == "&":
            return None
        return self.abbreviations[written]
