"""German vocabulary and verbalization, with the cases of ordinals."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers
from ..currencies import CurrencyName
from ..normalizer import Normalizer
from ..numbers import Number

_MONTHS = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember",
)  # fmt: skip
MONTH_FORMS = {
    "jan": 1, "jänner": 1, "feb": 2, "febr": 2, "mär": 3, "mrz": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9,
    "okt": 10, "nov": 11, "dez": 12,
} | {month.lower(): at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
DATIVE = re.compile(r"\b(?:am|vom|zum|beim|dem|den|bis|ab|seit|im|ins|des|(?:ein|kein|mein|dein|sein|ihr|unser|eur)e[nm]|diesem|diesen|jedem|jeden|unserem|nach|"
                     r"(?:Mon|Diens|Donners|Frei|Sams|Sonn)tag,? (?:de[nm])|und|bis zum)\s*$", re.I)  # fmt: skip
_DAY_NAMES = r"(?:(?:Mon|Diens|Donners|Frei|Sams|Sonn)tag|Mittwoch|Sonnabend|(?:Mo|Di|Mi|Do|Fr|Sa|So)\b\.?)"
_ON_DAY = re.compile(
    rf"\b(?:am|vom|zum|bis|ab|seit|nächsten|kommenden|diesen|jeden)\s+{_DAY_NAMES},?\s*$", re.I
)
"""Text before a date in the dative after a weekday: am Montag, dreiundzwanzigsten November."""
DATIVE_ONE = re.compile(
    r"\b(?:in|mit|nach|vor|seit|bei|aus|von|zu|ab|binnen|innerhalb von)\s+"
    r"(?:\d+\s?[a-zA-ZäöüÄÖÜ]+\.?,?\s+und\s+)?$",
    re.I,
)
WEAK = re.compile(r"\b(?:der|die|das|diese[rs]?|jede[rs]?|welche[rs]?)\s*$", re.I)
DAYS = {
    "Mo": "Montag",
    "Di": "Dienstag",
    "Mi": "Mittwoch",
    "Do": "Donnerstag",
    "Fr": "Freitag",
    "Sa": "Samstag",
    "So": "Sonntag",
}
_NOUN_GENDER = {
    "f": "Stunde Minute Sekunde Lampe Person Woche Nachricht Tür Kamera Steckdose Etage Million Milliarde Frage Aufgabe Mail Datei "
         "Kerze Tasse Flasche Heizung Gruppe Szene Meldung Erinnerung Zeile Seite Packung Dose Portion Batterie",
    "m": "Tag Monat Meter Grad Sensor Raum Termin Alarm Timer Schalter Rollladen Eintrag Anruf Liter Euro Dollar Cent Schritt "
         "Artikel Ofen Ventilator Computer Drucker Gast Mensch Freund Löffel Teelöffel Esslöffel Wecker Kilometer Prozentpunkt",
    "n": "Licht Gerät Fenster Jahr Prozent Update Kind Bild Haus Zimmer Paket Stück Glas Kilo Gramm Watt Auto Ei Lied Tor Mal",
}  # fmt: skip
_GENDER = {noun: gender for gender, nouns in _NOUN_GENDER.items() for noun in nouns.split()}


class GermanWords(Normalizer):
    """The vocabulary and verbalization of German."""

    language_code = "de"
    minus, plus, point, dot, slash, dash, underscore = (
        "minus",
        "plus",
        "Komma",
        "Punkt",
        "Schrägstrich",
        "Minus",
        "Unterstrich",
    )
    at, colon, range_word, number_word, hashtag = "at", "Doppelpunkt", "bis", "Nummer", "Hashtag"
    symbols: ClassVar = {
        "of": "von", "per": "auf", "&": "und", "@": "at", "+": "plus", "=": "gleich", "×": "mal", "÷": "geteilt durch", "<": "kleiner als", ">": "größer als",
        "≤": "höchstens", "≥": "mindestens", "±": "plus minus", "≈": "ungefähr", "≠": "ungleich", "~": "ungefähr", "^": "hoch",
        "√": "Wurzel aus", "∞": "unendlich", "°": "Grad", "§": "Paragraf", "©": "Copyright", "®": "", "™": "", "%": "Prozent",
        "‰": "Promille", "/": "Schrägstrich", "?": "Fragezeichen", "→": "nach", "#": "Raute", "*": "Stern", "µ": "Mikro", "♯": "is", "x": "mal",
        "x times": "mal", "−": "minus", "№": "Nummer", "$": "Dollar", "€": "Euro", "£": "Pfund", "¢": "Cent", "¥": "Yen", "π": "Pi",
        "·": "mal", "′": "", "″": "",
    }  # fmt: skip
    months = _MONTHS
    month_forms = MONTH_FORMS
    weekdays = DAYS
    episode_format = "Staffel {}, Folge {}"
    score_cues = (
        r"(?:gew(?:ann|innt|onnen)|siegte?|verl(?:or|iert|oren)|führt|[Ee]s st(?:eht|and)|endete|Endstand|Spielstand|Ergebnis)"
        r"(?: mit| das Spiel| heute| gestern| jetzt| aktuell| ist| lautet| am Ende)*:?"
    )
    weekday_range_words = "bis|und|oder"
    ambiguous_units = "in d b B K t A C F s"
    per_word = "pro"
    code_cues = r"PIN|Pin|Code|Passwort|Geheimzahl|PLZ|Postleitzahl"
    version_cues = "Version|Python|iOS|Android|macOS|Firmware|Release"
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
        words = numbers.to_words(value, "de")
        if words is None:
            return str(value)
        words = re.sub(r"^ein(?=hundert|tausend)", "", words).replace(
            "einstausend", "eintausend"
        )  # 101 and 1000
        return re.sub(r"(?<=tausend)ein(?=hundert)", "ein", words)

    def cardinal_before_noun(self, value: int, gender: str) -> str:
        if value == 1:
            return "eine" if gender == "f" else "ein"
        return self.cardinal(value)

    def ordinal(self, value: int, gender: str = "m") -> str:
        words = numbers.to_words(value, "de", "ordinal") or str(value)
        return re.sub(r"^ein(?=hundert|tausend)", "", words)

    def year(self, value: int) -> str:
        if 1100 <= value < 2000:
            rest = value % 100
            return f"{self.cardinal(value // 100)}hundert{self.cardinal(rest) if rest else ''}"
        return self.cardinal(value)

    def inflect_ordinal(self, value: int, before: str) -> str:
        """Return an ordinal with the ending that the words before it require."""
        stem = self.ordinal(value)
        if DATIVE.search(before) or _ON_DAY.search(before):
            return f"{stem}n"
        return stem if WEAK.search(before) else f"{stem}r"

    def per_unit(self, top: str, bottom: str) -> str:
        return f"pro {self._denominators[bottom]}"

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: CurrencyName) -> str:
        return f"{words} {self.trailing_cents(minor, names)}"

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        tail = f" {self.year(year)}" if year is not None else ""
        return f"{self.inflect_ordinal(day, before)} {self.months[month - 1]}{tail}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        words = f"{'ein' if hour == 1 else self.cardinal(hour)} Uhr"
        if minute or second:
            words += f" {self.cardinal(minute)}"
        if second:
            unit = "Sekunde" if second == 1 else "Sekunden"
            words += f" und {self.cardinal_before_noun(second, 'f')} {unit}"
        return words

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

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        if (top, bottom) == (1, 2):
            return "eineinhalb" if whole == 1 else f"{self.cardinal(whole)}einhalb"
        return f"{self.cardinal_before_noun(whole, 'n') if whole > 1 else 'ein'} {self.fraction(top, bottom)}"

    def proportion(self, low: str, high: str) -> str:
        return f"{low} zu {high}"

    def version_word(self) -> str:
        return "Version"

    def power(self, base: str, exponent: Number) -> str:
        return f"{base} hoch {self.number(exponent)}"

    def range(self, low: str, high: str) -> str:
        return super().range("ein" if low == "eins" and not high.isalpha() else low, high)

    @staticmethod
    def half_of(gender: str, before: str) -> str:
        """Return "half a" in the case that the words before it require; the accusative by default."""
        if DATIVE_ONE.search(before):
            return "einer halben" if gender == "f" else "einem halben"
        if gender == "m":
            return "einen halben" if re.search(r"\w\s*$", before) else "ein halber"
        return "eine halbe" if gender == "f" else "ein halbes"

    @staticmethod
    def gender_of(noun: str) -> str:
        """Return the gender of a noun; "" if it is not known."""
        return _GENDER.get(noun) or (
            "f" if noun.endswith(("ung", "heit", "keit", "ion", "schaft", "e")) else ""
        )
