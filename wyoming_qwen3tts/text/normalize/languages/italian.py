"""Italian."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers
from ..currencies import CurrencyName
from ..numbers import Number
from ..roman_numerals import parse_roman
from ..rules.rule import START, Match, Rules, text_after, text_before
from .romance import RomanceLanguage

_MONTHS = (
    "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre",
)  # fmt: skip


_NO_ORDINAL = frozenset(
    "gradi fuori dentro oggi domani ieri ora adesso stasera stanotte stamattina circa con per che sono ieri sopra sotto alle esterni interni "
    "celsius percepiti previsti massimi minimi anche poi mentre".split()
)
"""Words after a temperature in degrees, where ° is no ordinal."""
_NO_NOUNS = frozenset("per con poi dei del sul tra fra che non più meno alle dalle oppure".split())


class Italian(RomanceLanguage):
    """Italian."""

    language_code = "it"
    minus, plus, point, dot, slash, dash, underscore = (
        "meno",
        "più",
        "virgola",
        "punto",
        "barra",
        "trattino",
        "trattino basso",
    )
    at, colon, range_word, number_word, hashtag = "chiocciola", "due punti", "a", "numero", "hashtag"
    symbols: ClassVar = {
        "of": "su", "per": "ogni", "&": "e", "@": "chiocciola", "+": "più", "=": "uguale", "×": "per", "÷": "diviso", "<": "minore di", ">": "maggiore di",
        "≤": "minore o uguale a", "≥": "maggiore o uguale a", "±": "più o meno", "≈": "circa", "≠": "diverso da", "~": "circa",
        "^": "elevato a", "√": "radice quadrata di", "∞": "infinito", "°": "gradi", "§": "paragrafo", "©": "copyright", "®": "", "™": "",
        "%": "percento", "‰": "per mille", "/": "barra", "?": "punto interrogativo", "→": "a", "#": "cancelletto", "*": "asterisco", "µ": "micro",
        "♯": "diesis", "x": "per", "x times": "volte", "−": "meno", "№": "numero", "$": "dollari", "€": "euro", "£": "sterline",
        "¢": "centesimi", "¥": "yen", "π": "pi greco", "·": "per", "′": "", "″": "",
    }  # fmt: skip
    weekdays: ClassVar = {
        "lun": "lunedì",
        "mar": "martedì",
        "mer": "mercoledì",
        "gio": "giovedì",
        "ven": "venerdì",
        "sab": "sabato",
        "dom": "domenica",
    }
    episode_format = "stagione {}, episodio {}"
    weekday_range_words = "a|al|e|o"
    months = _MONTHS
    month_forms: ClassVar = {
        "gen": 1, "genn": 1, "feb": 2, "febbr": 2, "mar": 3, "apr": 4, "mag": 5, "giu": 6, "lug": 7, "ago": 8, "set": 9, "sett": 9,
        "ott": 10, "nov": 11, "dic": 12,
    } | {month: at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
    first_of_month = "primo"
    half_suffixes = ("e mezzo", "e mezza")
    halvable_units = "tazza|tazze/f ora|ore/f cucchiaio|cucchiai cucchiaino|cucchiaini bicchiere|bicchieri giorno|giorni litro|litri chilo|chili anno|anni"
    date_cues = r"[Ii]l|[Dd]el|[Dd]al|[Aa]l|giorno|entro"
    day_letter = "g"
    century_words = "[Ss]ecolo|[Ss]ecoli"
    articles = "il|al|del|dal|nel|sul|(la|alla|della|dalla|nella|sulla)"
    ambiguous_units = "in d b B K t C F s A"
    per_word = "a"
    code_cues = r"PIN|pin|codice|Codice|password|CAP"
    version_cues = "versione|Versione|Python|iOS|Android|macOS|firmware"
    abbreviations: ClassVar = {
        "Sig.": "signor", "sig.": "signor", "Sig.ra": "signora", "Sig.na": "signorina", "Sigg.": "signori", "Dott.": "dottor", "Dott.ssa": "dottoressa",
        "Dr.": "dottor", "Prof.": "professor", "Prof.ssa": "professoressa", "Ing.": "ingegner", "Avv.": "avvocato", "Arch.": "architetto",
        "p. es.": "per esempio", "ad es.": "ad esempio", "es.": "esempio", "ecc.": "eccetera", "etc.": "eccetera", "ca.": "circa", "n.": "numero",
        "N.": "numero", "n°": "numero", "nº": "numero", "pag.": "pagina", "pagg.": "pagine", "max.": "massimo", "min.": "minimo",
        "tel.": "telefono", "Tel.": "telefono", "V.le": "viale", "P.za": "piazza", "P.zza": "piazza", "C.so": "corso", "a. C.": "avanti Cristo",
        "d. C.": "dopo Cristo", "vs.": "versus", "e/o": "e o", "24/7": "ventiquattro ore su ventiquattro", "temp.": "temperatura",
        "cfr.": "confronta", "cap.": "capitolo", "art.": "articolo", "sec.": "secolo", "S.": "San", "km/h": "chilometri orari", "c.a.": "circa",
    }  # fmt: skip

    def cardinal(self, value: int, gender: str = "m") -> str:
        words = super().cardinal(value)
        if value > 20 and words.endswith("tre"):
            words = words[:-1] + "é"
        words = words.replace("dicotto", "diciotto")  # num2words elides a vowel wrongly: 118
        return words.replace("milione e ", "milione ").replace("milioni e ", "milioni ")

    def inflect_for_gender(self, words: str, gender: str) -> str:
        if words == "uno":
            return "una" if gender == "f" else "un" if gender == "m" else words
        return words

    def measure(self, number: Number, symbol: str) -> str | None:
        words = super().measure(number, symbol)
        return words.replace("una ora", "un'ora").replace("una oncia", "un'oncia") if words else words

    def plain_number(self, number: Number, m: Match) -> str:
        noun = re.match(r"\s+([a-zà-ÿ]{3,})", text_after(m))
        if m["n"] == "1" and not number.negative and noun and noun[1] not in _NO_NOUNS:
            word = noun[1]
            if self.is_feminine(word):
                return "un'" if word[0] in "aeiou" else "una"
            return "uno" if re.match(r"s[^aeiou]|z|gn|ps|x|y", word) else "un"
        return self.number(number)

    def is_feminine(self, noun: str) -> bool:
        """Tell whether a noun in the singular is feminine."""
        if noun.endswith("a"):
            return not noun.endswith(("ema", "amma")) or noun in {"crema", "fiamma", "gamma", "mamma"}
        return noun.endswith(("zione", "sione", "gione", "tà", "tù", "trice")) or noun in {
            "luce", "notte", "chiave", "parete", "rete", "voce", "parte", "neve", "mano", "foto", "auto", "radio", "stazione",
        }  # fmt: skip

    def ordinal(self, value: int, gender: str = "m") -> str:
        words = numbers.to_words(value, "it", "ordinal") or str(value)
        return words[:-1] + "a" if gender == "f" else words

    def decimal_digits(self, text: str) -> str:
        return self.spell_digits(text) if len(text) > 2 else super().decimal_digits(text)

    def per_unit(self, top: str, bottom: str) -> str:
        if (top, bottom) == ("km", "h"):
            return "orari"
        return self._denominators[bottom]

    def rate(self, number: Number, name: object, top: str, bottom: str) -> str:
        words = super().rate(number, name, top, bottom)  # type: ignore[arg-type]
        return words.replace("chilometro orari", "chilometro orario")

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: CurrencyName) -> str:
        return f"{words} e {self.trailing_cents(minor, names)}"

    def noun_after_million(self, noun: str) -> str:
        return f"di {noun}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        words = (
            "una"
            if hour == 1
            else "mezzanotte"
            if hour == 0 and not minute and not second
            else self.cardinal(hour)
        )
        if second:
            return f"{words} e {self.cardinal(minute)} e {self.cardinal(second)} second{'o' if second == 1 else 'i'}"
        return f"{words} e {self.cardinal(minute)}" if minute else words

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date} alle {time}"

    def version_word(self) -> str:
        return "versione"

    def fraction(self, top: int, bottom: int) -> str:
        name = "mezzo" if bottom == 2 else self.ordinal(bottom)
        return f"{'un' if top == 1 else self.cardinal(top)} {name if top == 1 else name[:-1] + 'i'}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        words = {(1, 2): "mezzo"}.get((top, bottom)) or self.fraction(top, bottom)
        return f"{self.cardinal(whole)} e {words}"

    def century_number(self, value: int, word: str) -> str:
        return self.ordinal(value)

    def half_before_noun(self, noun: str) -> str | None:
        return "mezza " if noun.endswith("a") else "mezzo "

    def regnal_number(self, name: str, value: int) -> str | None:
        if name in {"Capitolo", "Tomo", "Parte", "Fase", "Tipo", "Volume", "Titolo", "Atto"}:
            return self.cardinal(value)
        feminine = name.endswith("a") and name not in {"Andrea", "Luca", "Nicola"}
        return self.ordinal(value, "f" if feminine or name == "Elisabetta" else "m")

    def telephone_rules(self) -> Rules:
        yield "phone-it", rf"{START}3\d{{2}} \d{{3}} ?\d{{3,4}}(?![\d.,]\d|\d)", self._phone
        yield from super().telephone_rules()

    def time_rules(self) -> Rules:
        yield "hours", r"(?<!\w)[hH]\.?\s?(?P<h>\d{1,2})[.:](?P<min>[0-5]\d)(?![\d:])", self._hours
        yield "hours-at", r"(?:(?<=\b[Aa]lle )|(?<=\b[Dd]alle ))[hH]\.?\s?(?=\d{1,2}(?!\d))", lambda m: "ore "
        yield (
            "clock-dot",
            r"(?:(?<=\balle )|(?<=\bdalle )|(?<=\ble )|(?<=\bore ))(?P<h>\d{1,2})\.(?P<min>\d{2})(?!\d)",
            self._h_clock,
        )
        yield from super().time_rules()

    def language_rules(self) -> Rules:
        yield "ordinal", rf"{START}(?P<n>\d+)\.?(?P<s>[ºª])(?P<many>)(?!\w)", self._letter_ordinal
        letter = (
            rf"{START}(?P<n>\d{{1,3}})(?P<s>[oa])(?P<many>)(?=\s[a-zà-ÿ]{{3,}})(?!\s(?:per|con|che|ma)\b)"
        )
        yield "ordinal-letter", letter, self._letter_ordinal
        yield "one-elided", rf"{START}(?P<n>1)\s(?=[aeiou][a-zà-ÿ]{{2,}})", self._elided
        yield "times", r"(?P<n>\d+)x(?!\w)", lambda m: f"{self.cardinal(int(m['n']))} volte"

    def _elided(self, m: Match) -> str | None:
        """1 ora: the article is elided before a vowel."""
        noun = re.match(r"[a-zà-ÿ]+", text_after(m))
        return "un'" if noun and noun[0] not in _NO_NOUNS and self.is_feminine(noun[0]) else None

    def leading_rules(self) -> Rules:
        yield "mila", rf"{START}(?P<n>\d{{1,3}})mila(?:\s(?P<u>{self.unit}))?(?!\w)", self._mila
        yield "century-short", r"(?P<r>[IVX]+)\s(?P<w>sec\.)", self._short_century
        yield "ordinal°", rf"{START}(?P<n>\d{{1,3}})°(?!\s?[CF]\b|\w)", self._degree_ordinal
        yield from super().leading_rules()

    def _short_century(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        return f"{self.ordinal(value)} secolo" if value else None

    def _hours(self, m: Match) -> str | None:
        words = self._h_clock(m)
        return f"ore {words}" if words else None

    def _mila(self, m: Match) -> str | None:
        number = Number(m["n"] + "000")
        return self.measure(number, m["u"]) if m["u"] else self.number(number)

    def is_ordinal(self, value: int, noun: str) -> bool:
        return value < 100 and noun not in _NO_ORDINAL

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        after = text_after(m)
        if written in {"n.", "N.", "pag.", "cap.", "art."} and not re.match(r"\s?\d", after):
            return None
        if written in {"S.", "Ing.", "Avv.", "Arch."} and not re.match(r"\s?[A-ZÀ-Þ][a-z]", after):
            return None
        if written in {"max.", "min.", "es.", "sec."} and not re.match(r"\s?[\w-]", after):
            return None
        if written == "sec." and not (re.match(r"\s?[IVX]", after) or re.search(r"[IVX]\s$", text_before(m))):
            return None
        return self.abbreviations[written]
