"""French."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import units
from ..currencies import CurrencyName
from ..numbers import Number
from ..roman_numerals import parse_roman
from ..rules.rule import START, Match, Rules, text_after, text_before
from .romance import RomanceLanguage

_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip


class French(RomanceLanguage):
    """French of France: soixante-dix, quatre-vingts."""

    language_code = "fr"
    minus, plus, point, dot, slash, dash, underscore = (
        "moins",
        "plus",
        "virgule",
        "point",
        "slash",
        "tiret",
        "tiret bas",
    )
    at, colon, range_word, number_word, hashtag = "arobase", "deux-points", "à", "numéro", "hashtag"
    symbols: ClassVar = {
        "of": "sur", "per": "aux", "&": "et", "@": "arobase", "+": "plus", "=": "égale", "×": "fois", "÷": "divisé par", "<": "inférieur à", ">": "supérieur à",
        "≤": "inférieur ou égal à", "≥": "supérieur ou égal à", "±": "plus ou moins", "≈": "environ", "≠": "différent de", "~": "environ",
        "^": "puissance", "√": "racine carrée de", "∞": "l'infini", "°": "degrés", "§": "paragraphe", "©": "copyright", "®": "", "™": "",
        "%": "pour cent", "‰": "pour mille", "/": "sur", "?": "point d'interrogation", "→": "vers", "#": "dièse", "*": "étoile", "µ": "micro",
        "♯": "dièse", "x": "sur", "x times": "fois", "−": "moins", "№": "numéro", "$": "dollars", "€": "euros", "£": "livres",
        "¢": "cents", "¥": "yens", "π": "pi", "·": "fois", "′": "", "″": "",
    }  # fmt: skip
    weekdays: ClassVar = {
        "lun": "lundi",
        "mar": "mardi",
        "mer": "mercredi",
        "jeu": "jeudi",
        "ven": "vendredi",
        "sam": "samedi",
        "dim": "dimanche",
    }
    episode_format = "saison {}, épisode {}"
    weekday_range_words = "au|à|et|ou"
    months = _MONTHS
    month_forms: ClassVar = {
        "jan": 1, "janv": 1, "févr": 2, "fév": 2, "avr": 4, "juil": 7, "juill": 7, "sept": 9, "oct": 10, "nov": 11, "déc": 12, "fevrier": 2, "aout": 8,
        "decembre": 12,
    } | {month: at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
    first_of_month = "premier"
    half_suffixes = ("et demi", "et demie")
    halvable_units = "tasse|tasses/f cuillère|cuillères/f heure|heures/f tranche|tranches/f minute|minutes/f verre|verres jour|jours litre|litres kilo|kilos an|ans"
    date_cues = r"[Ll]e|[Dd]u|[Aa]u|[Ll]es"
    day_letter = "j"
    century_words = "siècles?|arrondissement|dynastie|République"
    feminine_nouns = (
        "heures?|minutes?|secondes?|pommes?|poires?|tartes?|cuillères?|tranches?|gousses?|feuilles?|lampes?|lumières?|personnes?|semaines?|portes?|fenêtres?|pièces?|fois|pages?|chambres?|"
        "nouvelles?|petites?|grandes?|bonnes?|seules?|premières?|dernières?|nuits?|journées|ampoules?|clés?|serrures?|listes?|"
        "chansons?|pistes?|zones?|salles?|plantes?|piles?|bougies?|enceintes?|vannes?|entités?|activités?|machines?|recettes?|"
        "prises?|caméras?|batteries?|tâches?|alarmes?|notifications?|années?|bouteilles?|tasses?|voitures?|mises?|places?|tonnes?|"
        "[a-zà-ÿ]+(?:tions?|ées?|ures?|ettes?|ances?|ences?)"
    )
    ambiguous_units = "in d b B K t A C F s a"
    per_word = "par"
    code_cues = r"PIN|code|Code|code PIN|mot de passe"
    version_cues = "version|Version|Python|iOS|Android|macOS|Firmware|firmware"
    abbreviations: ClassVar = {
        "M.": "monsieur", "MM.": "messieurs", "Mme": "madame", "Mme.": "madame", "Mmes": "mesdames", "Mlle": "mademoiselle", "Dr": "docteur", "Dr.": "docteur",
        "Pr": "professeur", "Me": "maître", "p. ex.": "par exemple", "P. ex.": "Par exemple", "Env.": "environ", "T°": "température", "c. à soupe": "cuillère à soupe", "c. à café": "cuillère à café", "chap.": "chapitre", "c.-à-d.": "c'est-à-dire", "etc.": "et cetera", "env.": "environ",
        "n°": "numéro", "N°": "numéro", "nº": "numéro", "no.": "numéro", "max.": "maximum", "min.": "minimum", "av.": "avenue",
        "bd": "boulevard", "bd.": "boulevard", "Bd": "boulevard", "St": "saint", "Ste": "sainte", "p.": "page", "tél.": "téléphone",
        "Tél.": "téléphone", "vs": "versus", "J.-C.": "Jésus-Christ", "av. J.-C.": "avant Jésus-Christ", "apr. J.-C.": "après Jésus-Christ", "ap. J.-C.": "après Jésus-Christ", "s.": "siècle", "appt.": "appartement",
        "hab.": "habitants", "et/ou": "et ou", "24/7": "vingt-quatre heures sur vingt-quatre", "24h/24": "vingt-quatre heures sur vingt-quatre",
        "7j/7": "sept jours sur sept", "km/h": "kilomètres par heure", "s.v.p.": "s'il vous plaît", "SVP": "s'il vous plaît", "temp.": "température",
        "lun.": "lundi", "mar.": "mardi", "mer.": "mercredi", "jeu.": "jeudi", "ven.": "vendredi", "sam.": "samedi", "dim.": "dimanche",
    }  # fmt: skip

    def inflect_for_gender(self, words: str, gender: str) -> str:
        if gender == "f":
            return re.sub(r"\bun$", "une", words)
        return words

    def plural_form(self, number: Number, forms: tuple[str, ...]) -> str:
        return self.noun_after_number(number, forms[0] if number.value < 2 else forms[-1])

    def ordinal(self, value: int, gender: str = "m") -> str:
        if value == 1:
            return "première" if gender == "f" else "premier"
        return re.sub("(vingt|cent)sième", r"\1ième", super().ordinal(value, gender))

    def per_unit(self, top: str, bottom: str) -> str:
        if bottom == "s":
            return "par seconde"
        return f"par {self._denominators[bottom]}"

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: CurrencyName) -> str:
        return f"{words} {self.trailing_cents(minor, names)}"

    def noun_after_million(self, noun: str) -> str:
        return f"d'{noun}" if noun[0] in "aeiouéh" and not noun.startswith("hryvnia") else f"de {noun}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        words = f"{self.cardinal_before_noun(hour, 'f')} heure{'' if hour < 2 else 's'}"
        if minute or second:
            words += f" {self.cardinal_before_noun(minute, 'f') if second else self.cardinal(minute)}"
        if second:
            words += f" minute{'' if minute < 2 else 's'} et {self.cardinal_before_noun(second, 'f')} seconde{'' if second < 2 else 's'}"
        return words

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date} à {time}"

    def fraction(self, top: int, bottom: int) -> str:
        if bottom == 2:
            return "un demi" if top == 1 else f"{self.cardinal(top)} demis"
        name = {3: "tiers", 4: "quart"}.get(bottom) or self.ordinal(bottom)
        return f"{self.cardinal(top)} {name}{'' if top == 1 or name.endswith('s') else 's'}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        words = {(1, 2): "et demi", (1, 4): "un quart", (3, 4): "trois quarts"}.get(
            (top, bottom)
        ) or self.fraction(top, bottom)
        return f"{self.cardinal(whole)} {words}"

    def half_before_noun(self, noun: str) -> str | None:
        return "une demi-" if self.gender_of(noun.split()[0]) == "f" else "un demi-"

    def telephone_group(self, digits: str) -> str:
        if len(digits) > 3:
            return self.spell_digits(digits)
        zeros = len(digits) - len(digits.lstrip("0"))
        rest = [self.cardinal(int(digits))] if zeros < len(digits) else []
        return self.join([*[self.cardinal(0)] * zeros, *rest])

    def century_number(self, value: int, word: str) -> str:
        return self.ordinal(value, "f" if word in {"dynastie", "République"} else "m")

    def regnal_number(self, name: str, value: int) -> str | None:
        return self.ordinal(1) if value == 1 else self.cardinal(value)

    def telephone_rules(self) -> Rules:
        yield "phone-fr", rf"{START}0\d(?:[ .-]?\d\d){{4}}(?!\d)", self._pairs
        yield from super().telephone_rules()

    def _pairs(self, m: Match) -> str:
        digits = re.sub(r"\D", "", m[0])
        return ", ".join(self.telephone_group(digits[at : at + 2]) for at in range(0, 10, 2))

    def leading_rules(self) -> Rules:
        counted = r"(?:étage|rang|place|jour|fois|tour|article|alinéa|partie|arrondissement)\b"
        yield "ordinal°", rf"{START}(?P<n>\d{{1,2}})°(?=\s{counted})", lambda m: self.ordinal(int(m["n"]))
        yield (
            "spoons",
            r"(?:(?P<n>\d+(?:[.,]\d+)?)|(?P<half>½|1/2))\s?c\.?\s?à\s?(?P<w>soupe|café|s\.|c\.)",
            self._spoons,
        )
        yield "roman-e", r"(?P<r>[IVX]+)(?:e|ème)(?!\w)", self._roman_e
        yield from super().leading_rules()

    def _spoons(self, m: Match) -> str:
        kind = "soupe" if m["w"].startswith("s") else "café"
        name = units.UnitName((f"cuillère à {kind}", f"cuillères à {kind}"), "f")
        return f"une demi-{name.one}" if m["half"] else self.quantity(self.parse_number(m["n"]), name)

    def _bytes(self, m: Match) -> str | None:
        """1,5 Go: French bytes are octets."""
        prefix = {"K": "kilo", "k": "kilo", "M": "méga", "G": "giga", "T": "téra"}[m["p"]]
        words = self.quantity(
            self.parse_number(m["n"]), units.UnitName((f"{prefix}octet", f"{prefix}octets"))
        )
        return f"{words} par seconde" if m["s"] else words

    def _roman_e(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        return self.ordinal(value) if value else None

    def time_rules(self) -> Rules:
        yield (
            "hour-h",
            r"(?:(?<=\bà )|(?<=\bde )|(?<=\bvers )|(?<=\bdès ))(?P<h>\d{1,2})\s?h(?!\w|\s?[-–]\s?\d)",
            lambda m: self.time(int(m["h"]), 0),
        )
        yield from super().time_rules()

    def language_rules(self) -> Rules:
        yield "bytes", rf"(?P<n>{self.num})\s?(?P<p>[kKMGT])o(?P<s>/s)?(?!\w)", self._bytes
        yield (
            "ordinal",
            rf"{START}(?P<n>\d+)(?P<s>ers?|res?|i?ères?|i?[èe]mes?|mes?|es?|è|nde?s?|ds?|ᵉʳ?ˢ?|ʳᵉˢ?)(?!\w)",
            self._ordinal,
        )
        yield "times", r"(?P<n>\d+)x(?!\w)", lambda m: f"{self.cardinal(int(m['n']))} fois"

    def _ordinal(self, m: Match) -> str | None:
        value = int(m["n"])
        many = "s" if m["s"][-1] in "sˢ" else ""
        if value == 1:
            masculine, feminine = (
                m["s"].startswith(("er", "ᵉʳ")),
                m["s"].startswith(("r", "ʳ", "ère", "ière")),
            )
            return f"premi{'er' if masculine else 'ère'}{many}" if masculine or feminine else None
        if m["s"] in {"nd", "nde", "d"} and value == 2:
            return "seconde" if m["s"].endswith("e") else "second"
        words = self.ordinal(value)
        return words + many

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        after = text_after(m)
        if written in {"M.", "Me", "Pr", "Dr", "Dr.", "St", "Ste", "MM.", "Mme", "Mme.", "Mlle", "Mmes"}:
            return self.abbreviations[written] if re.match(r"\s?-?[A-ZÀ-Þ]", after) else None
        if written in {"av.", "p.", "no.", "max.", "min."} and not re.match(r"\s?[\w]", after):
            return None
        if written == "s." and not re.search(r"[IVX]+(?:er|e|ème|ᵉ)\s$", text_before(m)):
            return None
        if written == "p." and not re.match(r"\s?\d", after):
            return None
        if written in {"lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."} and not re.match(
            r"\s\d", after
        ):
            return None
        return self.abbreviations[written]
