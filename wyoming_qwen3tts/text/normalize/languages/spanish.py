"""Spanish."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers
from ..currencies import CurrencyName
from ..numbers import Number
from ..rules.rule import START, Match, Rules, text_after, text_before
from .romance import RomanceLanguage

_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
)  # fmt: skip
_ORDINALS = (
    "cero", "primero", "segundo", "tercero", "cuarto", "quinto", "sexto", "séptimo", "octavo", "noveno", "décimo", "undécimo",
    "duodécimo",
)  # fmt: skip


class Spanish(RomanceLanguage):
    """Spanish."""

    language_code = "es"
    minus, plus, point, dot, slash, dash, underscore = (
        "menos",
        "más",
        "coma",
        "punto",
        "barra",
        "guion",
        "guion bajo",
    )
    at, colon, range_word, number_word, hashtag = "arroba", "dos puntos", "a", "número", "hashtag"
    symbols: ClassVar = {
        "of": "de", "per": "por cada", "&": "y", "@": "arroba", "+": "más", "=": "igual a", "×": "por", "÷": "dividido entre", "<": "menor que", ">": "mayor que",
        "≤": "menor o igual que", "≥": "mayor o igual que", "±": "más menos", "≈": "aproximadamente", "≠": "distinto de",
        "~": "aproximadamente", "^": "elevado a", "√": "raíz cuadrada de", "∞": "infinito", "°": "grados", "§": "sección",
        "©": "copyright", "®": "", "™": "", "%": "por ciento", "‰": "por mil", "/": "barra", "?": "interrogación", "→": "a",
        "#": "almohadilla", "*": "asterisco", "µ": "micro", "♯": "sostenido", "x": "por", "x times": "veces", "−": "menos", "№": "número",
        "$": "dólares", "€": "euros", "£": "libras", "¢": "centavos", "¥": "yenes", "π": "pi", "·": "por", "′": "", "″": "",
    }  # fmt: skip
    weekdays: ClassVar = {
        "lun": "lunes",
        "mar": "martes",
        "mié": "miércoles",
        "mie": "miércoles",
        "jue": "jueves",
        "vie": "viernes",
        "sáb": "sábado",
        "sab": "sábado",
        "dom": "domingo",
    }
    weekday_range_words = "a|al|y|o"
    months = _MONTHS
    month_forms: ClassVar = {
        "ene": 1, "feb": 2, "mar": 3, "abr": 4, "may": 5, "jun": 6, "jul": 7, "ago": 8, "sep": 9, "sept": 9, "setiembre": 9, "oct": 10,
        "nov": 11, "dic": 12,
    } | {month: at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
    episode_format = "temporada {}, episodio {}"
    date_preposition = "de"
    half_suffixes = ("y medio", "y media")
    halvable_units = "taza|tazas/f cucharada|cucharadas/f cucharadita|cucharaditas/f hora|horas/f vaso|vasos día|días litro|litros kilo|kilos año|años"
    date_cues = r"[Ee]l|[Dd]el|[Aa]l|[Dd]ía|hasta|desde"
    century_words = "[Ss]iglos?"
    articles = "el|del|al|los|(la|las)"
    feminine_nouns = (
        r"(?!días?$|problemas?$|programas?$|sistemas?$|temas?$|mapas?$|idiomas?$|kilómetros?$|a$|para$|hasta$|cada$|más$|pistas?$)"
        r"(?:[a-zà-ÿ]+as?|[a-zà-ÿ]+(?:ciones|ción|dades|dad)|veces|luces|luz|noches?|clases?|calles?|llaves?|partes?|tardes?)|pistas?|puertas?"
    )
    ambiguous_units = "in d b B K t C F s A"
    per_word = "por"
    code_cues = r"PIN|pin|código|Código|contraseña|clave"
    version_cues = "versión|Versión|Python|iOS|Android|macOS|firmware"
    abbreviations: ClassVar = {
        "Sr.": "señor", "Sra.": "señora", "Srta.": "señorita", "Sres.": "señores", "Dr.": "doctor", "Dra.": "doctora", "D.": "don",
        "Dña.": "doña", "Ud.": "usted", "Uds.": "ustedes", "Vd.": "usted", "p. ej.": "por ejemplo", "P. ej.": "por ejemplo", "etc.": "etcétera",
        "aprox.": "aproximadamente", "n.º": "número", "n.°": "número", "nº": "número", "n°": "número", "N.º": "número", "núm.": "número", "pág.": "página",
        "págs.": "páginas", "máx.": "máximo", "mín.": "mínimo", "tel.": "teléfono", "Tel.": "teléfono", "tfno.": "teléfono", "Av.": "avenida",
        "Avda.": "avenida", "C/": "calle ", "c/": "calle ", "EE. UU.": "Estados Unidos", "EE.UU.": "Estados Unidos", "vs.": "versus",
        "a. C.": "antes de Cristo", "d. C.": "después de Cristo", "a. de C.": "antes de Cristo", "d. de C.": "después de Cristo", "a. m.": "de la mañana", "p. m.": "de la tarde", "dcha.": "derecha",
        "izq.": "izquierda", "s.": "siglo", "temp.": "temperatura", "y/o": "y o", "cts.": "céntimos", "cts": "céntimos", "24/7": "veinticuatro siete", "Prof.": "profesor",
        "prov.": "provincia", "km/h": "kilómetros por hora",
    }  # fmt: skip

    def cardinal(self, value: int, gender: str = "m") -> str:
        words = super().cardinal(value)
        return re.sub(
            r"\b(veinti|y )?uno mil\b",
            lambda m: ("veintiún" if m[1] == "veinti" else f"{m[1] or ''}un") + " mil",
            words,
        )

    def inflect_for_gender(self, words: str, gender: str) -> str:
        if gender == "f":
            words = re.sub(r"uno$", "una", words)
            return re.sub(r"cientos(?=\b)", "cientas", re.sub(r"quinientos\b", "quinientas", words))
        if gender == "m":
            return re.sub(r"veintiuno$", "veintiún", re.sub(r"\buno$", "un", words))
        return words

    def gender_of(self, noun: str) -> str:
        if super().gender_of(noun):
            return "f"
        return (
            "m"
            if len(noun) > 2
            and noun
            not in {
                "para",
                "pero",
                "sin",
                "como",
                "cuando",
                "desde",
                "este",
                "esta",
                "por",
                "del",
                "hasta",
                "con",
                "más",
                "menos",
                "que",
                "son",
                "está",
            }
            else ""
        )

    def ordinal(self, value: int, gender: str = "m") -> str:
        words = (
            _ORDINALS[value]
            if value < len(_ORDINALS)
            else numbers.to_words(value, "es", "ordinal") or str(value)
        )
        return re.sub(r"o\b", "a", words) if gender == "f" else words

    def per_unit(self, top: str, bottom: str) -> str:
        return f"por {self._denominators[bottom]}"

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: CurrencyName) -> str:
        return f"{words} con {self.minor_amount(minor, names)}"

    def noun_after_million(self, noun: str) -> str:
        return f"de {noun}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        if second is not None:
            parts = [
                f"{self.cardinal_before_noun(hour, 'f')} hora{'' if hour == 1 else 's'}",
                f"{self.cardinal_before_noun(minute, 'm')} minuto{'' if minute == 1 else 's'}",
            ]
            return f"{' '.join(parts)} y {self.cardinal_before_noun(second, 'm')} segundo{'' if second == 1 else 's'}"
        words = "una" if hour == 1 else self.inflect_for_gender(self.cardinal(hour), "f")
        if minute:
            named = {15: "cuarto", 30: "media"}.get(minute) if hour <= 12 else None
            words += (
                f" y {named or self.cardinal(minute)}"
                if named or minute < 30
                else f" {self.cardinal(minute)}"
            )
        return f"{words} {half}".strip()

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date} a las {time}"

    def version_word(self) -> str:
        return "versión"

    def fraction(self, top: int, bottom: int) -> str:
        name = {2: "medio", 3: "tercio"}.get(bottom)
        if name is None:
            name = (
                self.ordinal(bottom)
                if bottom <= 10
                else re.sub(r"[aeiouáéíóú]$", "", self.cardinal(bottom)) + "avo"
            )
            if bottom == 100:
                name = "centésimo"
        return f"{'un' if top == 1 else self.cardinal(top)} {name}{'' if top == 1 else 's'}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        words = {(1, 2): "medio", (1, 4): "cuarto"}.get((top, bottom)) or self.fraction(top, bottom)
        return f"{self.cardinal(whole)} y {words}"

    def half_before_noun(self, noun: str) -> str | None:
        return "media " if self.gender_of(noun) == "f" else "medio "

    def regnal_number(self, name: str, value: int) -> str | None:
        if name in {"Capítulo", "Tomo", "Parte", "Fase", "Tipo", "Volumen", "Título", "Acto", "Guerra"}:
            return self.cardinal(value)
        if value > 10:
            return self.cardinal(value)
        feminine = name in {"Isabel", "Juana", "María", "Catalina", "Cristina", "Victoria", "Ana"} or (
            name.endswith("a") and name != "Juan"
        )
        return self.ordinal(value, "f" if feminine else "m")

    def telephone_rules(self) -> Rules:
        yield "phone-es", rf"{START}[6789]\d{{2}} \d{{3}} \d{{3}}(?![\d.,]\d|\d)", self._phone
        yield "phone-es2", rf"{START}9\d{{1,2}} \d{{2,3}} \d{{2}} \d{{2}}(?!\d)", self._phone
        yield from super().telephone_rules()

    def time_rules(self) -> Rules:
        yield (
            "one-o'clock",
            r"(?:(?<=\b[Aa] la )|(?<=\b[Ee]s la )|(?<=\b[Dd]e la )|(?<=\bdesde la )|(?<=\bhasta la )|(?<=\bsobre la ))1(?=\s(?:de|y|menos|en)\b|\s?[.,;!?](?![\wªº])|\s*$)",
            lambda m: "una",
        )
        yield (
            "clock-half",
            rf"{START}(?P<h>\d{{1,2}})(?::(?P<min>\d{{2}}))?\s?(?P<half>[ap])\.?\s?m\b(?P<stop>\.?)",
            self._half_clock,
        )
        yield from super().time_rules()

    def _half_clock(self, m: Match) -> str:
        hour = int(m["h"])
        half = (
            "de la mañana" if m["half"] == "a" else "de la tarde" if hour < 8 or hour == 12 else "de la noche"
        )
        return self.time(hour, int(m["min"] or 0), half=half) + self._sentence_stop(m)

    def language_rules(self) -> Rules:
        yield (
            "times",
            r"(?P<n>\d+)x(?!\w)",
            lambda m: (
                f"{self.inflect_for_gender(self.cardinal(int(m['n'])), 'f')} {'vez' if m['n'] == '1' else 'veces'}"
            ),
        )

    def leading_rules(self) -> Rules:
        yield "ordinal°", rf"{START}(?P<n>\d{{1,3}})°(?!\s?[CF]\b|\w)", self._degree_ordinal
        letters = r"[ºª]|era|er|ro|ra|do|da|to|ta|mo|ma|vo|va|no|na|[oa](?=s?\s[a-zà-ÿ]{3,})"
        yield (
            "ordinal",
            rf"{START}(?P<n>\d{{1,4}})\.?(?P<s>{letters})(?P<many>s?)(?!\w|\s?[CF]\b)(?:\.(?=\s[a-zà-ÿ]))?",
            self._ordinal,
        )
        yield from super().leading_rules()

    def _degree_ordinal(self, m: Match) -> str | None:
        words = super()._degree_ordinal(m)
        return (
            re.sub(r"(primer|tercer)o$", r"\1", words)
            if words and re.match(r"\s[a-z]", text_after(m))
            else words
        )

    def _ordinal(self, m: Match) -> str | None:
        words = self._letter_ordinal(m) or ""
        feminine = m["s"] == "ª" or m["s"].endswith("a")
        if m["s"] == "er" or (
            not feminine and not m["many"] and re.match(r"\s[a-zà-ÿ]{3,}", text_after(m)) and m["s"] != "ª"
        ):
            words = re.sub(r"(primer|tercer)o$", r"\1", words)
        return words

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        before, after = text_before(m), text_after(m)
        if written in {"D.", "Av.", "Prof."} and not re.match(r"\s?(?:de(?:l| la| los)?\s)?[A-ZÀ-Þ]", after):
            return None
        if written in {"s.", "prov."}:
            return self.abbreviations[written] if re.match(r"\s?[IVX]+\b", after) else None
        if written in {"a. m.", "p. m.", "D."} and not re.search(r"\d\s?$", before) and written != "D.":
            return None
        return self.abbreviations[written]
