"""Portuguese: European, or Brazilian in text tagged pt-BR."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers, powers_of_ten, units
from ..currencies import CurrencyName
from ..numbers import Number
from ..rules.rule import START, Match, Rules, text_after, text_before
from .romance import RomanceLanguage

_MONTHS = (
    "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro",
)  # fmt: skip


_EUROPEAN = {
    "quilômetro": "quilómetro", "micrômetro": "micrómetro", "nanômetro": "nanómetro", "umidade": "humidade", "bilhões": "mil milhões",
    "bilhão": "mil milhões", "canadenses": "canadianos", "canadense": "canadiano", "mols": "moles", "lúmens": "lúmenes",
    "quadro": "fotograma", "pixels": "píxeis", "pixel": "píxel", "centavo": "cêntimo",
}  # fmt: skip
"""Brazilian beginnings of words, as in the tables → European."""
_BRAZILIAN = re.compile(rf"\b(?:{'|'.join(_EUROPEAN)})")


class Portuguese(RomanceLanguage):
    """Portuguese."""

    language_code = "pt"
    regions = frozenset({"br"})
    minus, plus, point, dot, slash, dash, underscore = (
        "menos",
        "mais",
        "vírgula",
        "ponto",
        "barra",
        "hífen",
        "sublinhado",
    )
    at, colon, range_word, number_word, hashtag = "arroba", "dois pontos", "a", "número", "hashtag"
    symbols: ClassVar = {
        "of": "de", "per": "por", "&": "e", "@": "arroba", "+": "mais", "=": "igual a", "×": "vezes", "÷": "dividido por", "<": "menor que", ">": "maior que",
        "≤": "menor ou igual a", "≥": "maior ou igual a", "±": "mais ou menos", "≈": "aproximadamente", "≠": "diferente de",
        "~": "aproximadamente", "^": "elevado a", "√": "raiz quadrada de", "∞": "infinito", "°": "graus", "§": "parágrafo",
        "©": "copyright", "®": "", "™": "", "%": "por cento", "‰": "por mil", "/": "barra", "?": "interrogação", "→": "para",
        "#": "cardinal", "*": "asterisco", "µ": "micro", "♯": "sustenido", "x": "por", "x times": "vezes", "−": "menos", "№": "número",
        "$": "dólares", "€": "euros", "£": "libras", "¢": "centavos", "¥": "ienes", "π": "pi", "·": "vezes", "′": "", "″": "",
    }  # fmt: skip
    weekdays: ClassVar = {
        "seg": "segunda",
        "ter": "terça",
        "qua": "quarta",
        "qui": "quinta",
        "sex": "sexta",
        "sáb": "sábado",
        "sab": "sábado",
        "dom": "domingo",
    }
    weekday_range_words = "a|à|e|ou"
    months = _MONTHS
    month_forms: ClassVar = {
        "jan": 1, "fev": 2, "mar": 3, "abr": 4, "mai": 5, "jun": 6, "jul": 7, "ago": 8, "set": 9, "out": 10, "nov": 11, "dez": 12,
    } | {month: at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
    episode_format = "temporada {}, episódio {}"
    date_preposition = "de"
    half_suffixes = ("e meio", "e meia")
    halvable_units = "xícara|xícaras/f chávena|chávenas/f colher|colheres/f hora|horas/f copo|copos dia|dias litro|litros quilo|quilos ano|anos"
    date_cues = r"[Dd]ia|[Ee]m|[Nn]o|[Aa]o|[Oo]|[Dd]o|até|[Aa]té"
    first_of_month = "primeiro"
    century_words = "[Ss]éculos?"
    articles = "o|no|do|ao|os|pelo|(na|da|à|as|pela)"
    feminine_nouns = (
        r"(?!dias?$|problemas?$|programas?$|sistemas?$|temas?$|mapas?$|idiomas?$|para$|cada$|gramas?$|quilogramas?$|miligramas?$)"
        r"(?:[a-zà-ÿ]+as?|[a-zà-ÿ]+(?:ções|ção|dades|dade|gens|gem)|vezes|vez|luzes|luz|noites?|partes?|tardes?|chaves?|colher(?:es)?|redes?|paredes?)"
    )
    ambiguous_units = "in d b B K t C F s A"
    per_word = "por"
    code_cues = r"PIN|pin|código|Código|senha|CEP"
    version_cues = "versão|Versão|Python|iOS|Android|macOS|firmware"
    abbreviations: ClassVar = {
        "Sr.": "senhor", "Sra.": "senhora", "Srta.": "senhorita", "Srs.": "senhores", "Dr.": "doutor", "Dra.": "doutora", "D.": "dom",
        "Prof.": "professor", "Profa.": "professora", "V. Exa.": "Vossa Excelência", "p. ex.": "por exemplo", "etc.": "et cetera",
        "aprox.": "aproximadamente", "n.º": "número", "n.°": "número", "nº": "número", "n°": "número", "Nº": "número", "núm.": "número", "pág.": "página",
        "págs.": "páginas", "máx.": "máximo", "mín.": "mínimo", "tel.": "telefone", "Tel.": "telefone", "Av.": "avenida", "R.": "rua",
        "Esq.": "esquerdo", "esq.": "esquerdo", "Dto.": "direito", "dto.": "direito", "Dt.º": "direito", "dt.º": "direito",
        "vs.": "versus", "a. C.": "antes de Cristo", "d. C.": "depois de Cristo", "séc.": "século", "temp.": "temperatura",
        "e/ou": "e ou", "24/7": "vinte e quatro horas por dia", "ex.": "exemplo", "apto.": "apartamento", "seg.": "segundos",
        "min.": "minutos", "obs.": "observação", "km/h": "quilômetros por hora", "H.A.": "H A",
    }  # fmt: skip

    def __init__(self, region: str = "") -> None:
        self._brazilian = region == "br"
        self._words = "pt_BR" if self._brazilian else "pt"  # dezenove in Brazil, dezanove in Portugal
        if not self._brazilian:
            self.first_of_month = ""  # um de janeiro
        super().__init__(region)

    def adapt_to_region(self, words: str, written: str) -> str:
        """Return the words in the variety of the region; cents are European, except those of the real."""
        if self._brazilian:
            return words.replace(self.symbols["#"], "cerquilha") if "#" in written else words
        reais = "R$" in written or "BRL" in written
        return _BRAZILIAN.sub(lambda m: m[0] if reais and m[0] == "centavo" else _EUROPEAN[m[0]], words)

    def _named_date(self, m: Match) -> str | None:
        words = super()._named_date(m)
        ordinal = re.match(r"1(?:\.?º|°)", m[0])
        return re.sub("^um ", "primeiro ", words) if words and ordinal else words

    def cardinal(self, value: int, gender: str = "m") -> str:
        return (numbers.to_words(value, self._words) or str(value)).replace(
            ",", ""
        )  # no pause between thousands and hundreds

    def inflect_for_gender(self, words: str, gender: str) -> str:
        if gender == "f":
            words = re.sub(r"\bum$", "uma", words)
            words = re.sub(r"\bdois(?=$| mil\b)", "duas", words)
            return re.sub(r"(?<=zent|cent|hent)os\b", "as", words)
        return words

    def gender_of(self, noun: str) -> str:
        return super().gender_of(noun) or "m"

    def ordinal(self, value: int, gender: str = "m") -> str:
        words = numbers.to_words(value, "pt", "ordinal") or str(value)
        return re.sub(r"o\b", "a", words) if gender == "f" else words

    def per_unit(self, top: str, bottom: str) -> str:
        return f"por {self._denominators[bottom]}"

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: CurrencyName) -> str:
        return f"{words} e {self.minor_amount(minor, names)}"

    def power_of_ten_name(self, power: int) -> units.UnitName | None:
        return powers_of_ten.power_name("pt-br" if self._brazilian else "pt", power)

    def noun_after_million(self, noun: str) -> str:
        return f"de {noun}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        words = self.inflect_for_gender(self.cardinal(hour), "f")
        hours = f"hora{'' if hour == 1 else 's'}"
        if second:
            return f"{words} {hours}, {self.cardinal(minute)} minuto{'' if minute == 1 else 's'} e {self.cardinal(second)} segundo{'' if second == 1 else 's'}"
        if not minute:
            return f"{words} {hours}"
        return f"{words} e {self.cardinal(minute)}" if minute != 30 or hour > 12 else f"{words} e meia"

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date} às {time}"

    def version_word(self) -> str:
        return "versão"

    def fraction(self, top: int, bottom: int) -> str:
        name = {2: "meio", 3: "terço", 4: "quarto"}.get(bottom)
        if name is None:
            name = (
                self.ordinal(bottom)
                if bottom <= 10 or bottom in {100, 1000}
                else f"{self.cardinal(bottom)} avos"
            )
        return f"{self.cardinal(top)} {name}{'' if top == 1 or name.endswith('avos') else 's'}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        words = {(1, 2): "meio"}.get((top, bottom)) or self.fraction(top, bottom)
        return f"{self.cardinal(whole)} e {words}"

    def half_before_noun(self, noun: str) -> str | None:
        return "meia " if self.gender_of(noun) == "f" else "meio "

    def regnal_number(self, name: str, value: int) -> str | None:
        if (
            name in {"Capítulo", "Tomo", "Parte", "Fase", "Tipo", "Volume", "Título", "Ato", "Guerra"}
            or value > 10
        ):
            return self.cardinal(value)
        return self.ordinal(value, "f" if name.endswith("a") or name == "Isabel" else "m")

    def leading_rules(self) -> Rules:
        yield "ordinal°", rf"{START}(?P<n>\d{{1,3}})°(?!\s?[CF]\b|\w)", self._degree_ordinal
        yield (
            "result-x",
            rf"{START}(?P<a>\d)\s?x\s?(?P<b>\d)(?!\w)",
            self._result,
        )
        yield from super().leading_rules()

    def telephone_rules(self) -> Rules:
        yield (
            "postcode",
            rf"{START}\d{{4}}-\d{{3}}(?= [A-ZÀ-Þ])",
            lambda m: ", ".join(map(self.spell_digits, m[0].split("-"))),
        )
        yield (
            "emergency",
            r"(?:(?<=[Ll]igue )|(?<=[Ll]igue para )|(?<=[Ll]igue para o ))1\d\d(?=\s*(?:[.,;!?]|$)|\s(?:e|ou|em|se|agora|imediatamente)\b)",
            self._digit_call,
        )
        yield "phone-pt", rf"{START}[29]\d{{2}} \d{{3}} \d{{3}}(?![\d.,]\d|\d)", self._phone
        yield "phone-br", rf"{START}(?:\(\d\d\)\s?)?9?\d{{4}}-\d{{4}}(?!\d)", self._phone
        yield from super().telephone_rules()

    def _result(self, m: Match) -> str | None:
        """2x1 is a score only after words such as "won"."""
        played = re.search(
            r"\b(?:placar|ganh|venc|perd|empat|resultado|jogo)[^.!?\d]{0,30}$", text_before(m), re.I
        )
        return (
            self.range(self._cardinal_or_digits(m["a"]), self._cardinal_or_digits(m["b"])) if played else None
        )

    def _digit_call(self, m: Match) -> str:
        return self.spell_digits(m[0])

    def time_rules(self) -> Rules:
        yield "hour-h", r"(?<=[sàa] )(?P<h>\d{1,2})\s?h(?![\w])", lambda m: self.time(int(m["h"]), 0)
        yield from super().time_rules()

    def language_rules(self) -> Rules:
        yield "ordinal", rf"{START}(?P<n>\d+)\.?(?P<s>[ºª])(?P<many>s?)(?!\w)", self._letter_ordinal
        letter = rf"{START}(?P<n>\d{{1,3}})\.?(?P<s>[oa])(?P<many>s?)(?=\s[a-zà-ÿ]{{3,}})"
        yield "ordinal-letter", letter, self._letter_ordinal
        yield (
            "times",
            r"(?P<n>\d+)x(?!\w)",
            lambda m: (
                f"{self.inflect_for_gender(self.cardinal(int(m['n'])), 'f')} {'vez' if m['n'] == '1' else 'vezes'}"
            ),
        )

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        before, after = text_before(m), text_after(m)
        if written in {"D.", "R.", "Av.", "Prof.", "Profa."} and not re.match(
            r"\s(?:d[aeo]s?\s)?[A-ZÀ-Þ]", after
        ):
            return None
        if written in {"seg.", "min."} and not re.search(r"\d\s?$", before):
            return None
        return self.abbreviations[written]
