"""Russian: numbers agree with their noun in gender and number, and take the case that a word governs."""

from __future__ import annotations

import re

from .. import units
from ..currencies import currency_symbols, find_currency
from ..numbers import Number
from ..roman_numerals import parse_roman
from ..rules.rule import START, Match, Rules, text_after, text_before
from .russian_dates import RussianDates
from .russian_words import AT, DAY_FORMS, GENITIVE

_ORDINAL_ENDINGS = {
    "й": ("n", "m"), "ый": ("n", "m"), "ой": ("n", "m"), "ий": ("n", "m"), "я": ("n", "f"), "ая": ("n", "f"), "е": ("n", "n"), "ое": ("n", "n"),
    "го": ("g", "m"), "ого": ("g", "m"), "его": ("g", "m"), "му": ("d", "m"), "ому": ("d", "m"), "м": ("p", "m"), "ом": ("p", "m"),
    "ю": ("a", "f"), "ую": ("a", "f"), "х": ("g", "pl"), "ых": ("g", "pl"),
}  # fmt: skip
_TAKES_NUMBERS = re.compile(r"\b(?:через|за|на|в|по|к|каждые|ещё|еще)\s*$", re.I)
"""Words after which a range gets no "от" and "до"."""
_ACCUSATIVE = re.compile(r"\b(?:через|на|за|каждую)\s*\+?$", re.I)
_TAKES_OBJECT = re.compile(r"(?:\b[А-ЯЁ][а-яё]+(?:ь|й|и|ьте|йте|ите)|[а-яё](?:ть|йте|ьте|ите))\s+$")
_FEMININE_TWO = re.compile(r"\s+(?:[а-яё]+(?:ые|ие|ых|их)\s+)*(?!или\b|ли\b)[а-яё]{2,}[ыи]\b")
"""After 2 the noun is in the genitive singular; only feminine nouns end so."""
_FEMININE_ONE = re.compile(
    r"\s+(?:[а-яё]+(?:ая|яя)\s+)?[а-яё]+(?:а|я|ь)\b(?<!день)(?<!уровень)(?<!рубль)(?<!человека)(?<!имя)(?<!время)"
)
_NEUTER_ONE = re.compile(r"\s+(?:[а-яё]+(?:ое|ее)\s+)?[а-яё]+(?:о|е)\b")


class Russian(RussianDates):
    """Russian."""

    def _range(self, m: Match) -> str | None:
        low, high = self.parse_number(m["n"]), self.parse_number(m["to"])
        before = text_before(m)
        if low.fraction or high.fraction or low == high:
            return super()._range(m)
        if GENITIVE.search(before):
            return self.range(self.genitive(low), self.genitive(high))
        if _TAKES_NUMBERS.search(before):
            gender = "f" if _FEMININE_TWO.match(text_after(m)) else "m"
            case = "a" if gender == "f" and low.value == 1 and _ACCUSATIVE.search(before) else "n"
            return self.range(self.cardinal(low.value, gender, case), self.cardinal(high.value, gender))
        return self.genitive_range(low, high)

    def _range_unit(self, m: Match) -> str | None:
        low, high = self.parse_number(m["n"], m["sign"]), self.parse_number(m["to"], m["sign2"])
        found = self._unit_name(m["u"])
        if found is None:
            return super()._range_unit(m)
        name, per = found
        before = text_before(m)
        if not GENITIVE.search(before) and (per or low.negative or _TAKES_NUMBERS.search(before)):
            return super()._range_unit(m)
        ends = self.genitive(low, name.gender), self.genitive(high, name.gender)
        words = self.range(*ends) if GENITIVE.search(before) else f"от {ends[0]} до {ends[1]}"
        return self.join([words, self.genitive_form(high, name.forms), per]) + self._sentence_stop(m)

    def _unit_name(self, symbol: str) -> tuple[units.UnitName, str] | None:
        """Return the name of a unit, and the words for its denominator."""
        symbol = units.canonical_symbol(symbol)
        if (name := self._units.get(symbol)) is not None:
            return name, ""
        top, _, bottom = symbol.partition("/")
        top, bottom = units.canonical_symbol(top), units.canonical_symbol(bottom)
        name = self._units.get(top)
        return (
            (name, self.per_unit(top, bottom)) if name is not None and bottom in self._denominators else None
        )

    def _measure(self, m: Match) -> str | None:
        number, before = self.parse_number(m["n"], m["sign"]), text_before(m)
        found = self._unit_name(m["u"])
        if found is None or not GENITIVE.search(before):
            result = super()._measure(m)
            past = text_after(m).startswith(" назад")
            return self.accusative(result) if result and (past or _ACCUSATIVE.search(before)) else result
        name, per = found
        words = [self.genitive(number, name.gender), self.genitive_form(number, name.forms), per]
        return self.join(words) + self._sentence_stop(m)

    def _money(self, m: Match) -> str | None:
        groups = m.groupdict()
        number = self.parse_number(m["n"], groups.get("sign") or groups.get("sign2"))
        if groups.get("scale") or number.fraction or not GENITIVE.search(text_before(m)):
            return super()._money(m)
        name = find_currency("ru", currency_symbols("ru")[m["cur"]])
        return self.join([self.genitive(number, name.gender), self.genitive_form(number, name.major)])

    def plain_number(self, number: Number, m: Match) -> str:
        before, after = text_before(m), text_after(m)
        if number.fraction:
            return self._bare_decimal(number, before)
        value = number.value
        if number.negative:
            return f"{self.minus} {self.cardinal(value, 'm', 'g' if GENITIVE.search(before) else 'n')}"
        if re.match(r"[-–]", after):
            return self.number(number)
        ending = re.match(r"\s+(?:[а-яё]+(?:ым|им|ыми|ими|ых|их)\s+)?[а-яё]+?(ами|ями|ам|ям|ах|ях)\b", after)
        if ending and value % 10 != 1:
            case = {"м": "d", "и": "i", "х": "p"}[ending[1][-1]]
            return self.cardinal(value, "f" if value % 10 == 2 and case == "n" else "m", case)
        if GENITIVE.search(before):
            feminine = re.match(r"\s+(?:минут|секунд|тысяч|недел|ламп|комнат|штук)", after)
            return self.cardinal(value, "f" if feminine else "m", "g")
        if value % 10 == 1 and value % 100 != 11 and re.match(r"\s+(?:[а-яё]+ую\s+)?[а-яё]+[ую]\b", after):
            return self.cardinal(value, "f", "a")
        noun = re.match(r"\s+[а-яё]", after)
        tens = value % 100
        if noun and value % 10 == 1 and tens != 11:
            if re.match(r"\s+(?:час|день|градус|человек|процент|раз|месяц|год|метр|литр)", after):
                return self.cardinal(value)
            if _FEMININE_ONE.match(after):
                return self.cardinal(value, "f")
            if _NEUTER_ONE.match(after):
                return self.cardinal(value, "n")
        if noun and value % 10 == 2 and tens != 12 and _FEMININE_TWO.match(after):
            return self.cardinal(value, "f")
        return self.cardinal(value)

    def _bare_decimal(self, number: Number, before: str) -> str:
        if GENITIVE.search(before):
            return self.genitive(number)
        words = self.number(number)
        return self.accusative(words) if _ACCUSATIVE.search(before) else words

    def _half_of(self, m: Match) -> str | None:
        words = super()._half_of(m)
        return "половину " if words and _TAKES_OBJECT.search(text_before(m)) else words

    def leading_rules(self) -> Rules:
        yield "spoons", r"(?:(?P<n>\d+(?:[.,]\d+)?)|(?P<f>½|1/2))\s?(?P<w>ч|ст)\.\s?л\.", self._spoons
        yield "century", r"(?P<r>[IVXХ]+)\s(?P<w>век[а-яё]*|столети[а-яё]*|в\.)(?!\w)", self._century
        yield "regnal", r"(?P<name>[А-ЯЁ][а-яё]+)\s(?P<r>[IVX]+)(?![\w'’-])", self._regnal
        yield (
            "money-scale",
            r"(?P<n>\d+(?:[.,]\d+)?)\s?(?P<s>тыс\.?|млн\.?|млрд\.?)\s(?:руб\.|рублей|₽)",
            self._scaled_rubles,
        )
        yield (
            "rub",
            r"(?P<n>\d+(?:[ \u00a0]\d{3})*)\s?(?:руб\.|руб|р\.|₽)\s?(?:(?P<k>\d{1,2})\s?коп\.?)?(?![\w/])",
            self._rubles,
        )
        yield "kop", r"(?P<n>\d{1,2})\s?коп\.?(?!\w)", self._kopecks

    def telephone_rules(self) -> Rules:
        yield (
            "phone-ru",
            r"(?:\+7|(?<!\d)8)[ -]?\(?\d{3}\)?[ -]?\d{3}[- ]?\d{2}[- ]?\d{2}(?!\d)",
            self._phone,
        )
        yield "phone-ru7", rf"{START}\d{{3}}-\d{{2}}-\d{{2}}(?!\d)", self._phone
        yield from super().telephone_rules()

    def language_rules(self) -> Rules:
        endings = "|".join(sorted(_ORDINAL_ENDINGS, key=len, reverse=True))
        yield (
            "cardinal-letters",
            rf"{START}(?P<n>(?:\d\d?(?=-?[тм]и)|[2-4](?=-?(?:[уёе]?х))))-?(?:ти|ми|[уёе]?х)(?!\w)",
            lambda m: self.cardinal(int(m["n"]), "m", "g"),
        )
        yield "ordinal", rf"{START}(?P<n>\d+)-?(?P<e>{endings})(?!\w)", self._ordinal
        yield (
            "times",
            r"(?P<n>\d+)x(?!\w)",
            lambda m: (
                f"{self.cardinal(int(m['n']))} {self.plural_form(Number(m['n']), ('раз', 'раза', 'раз'))}"
            ),
        )
        yield "floor", rf"{START}(?P<n>\d{{1,3}})\s(?P<w>этаж(?:[еу]|ом)?)(?!\w)", self._floor
        yield "grams", rf"{START}(?P<n>{self.num})\s?г(?=\s[а-яё]{{3,}})", self._grams
        yield "adjective", rf"{START}(?P<n>\d{{1,4}})-(?P<w>[а-яё]{{4,}})", self._adjective

    def _century(self, m: Match) -> str | None:
        value = parse_roman(m["r"].replace("Х", "X"))
        if value is None:
            return None
        word = "век" if m["w"] == "в." else m["w"]
        case, gender = {"века": ("g", "m"), "веке": ("p", "m"), "веку": ("d", "m"), "веков": ("g", "pl")}.get(
            word, ("n", "m")
        )
        if word.startswith("столети"):
            case, gender = {"столетия": ("g", "n"), "столетии": ("p", "n")}.get(word, ("n", "n"))
        return f"{self.ordinal(value, gender, case)} {word}"

    def _regnal(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        words = self.regnal_number(m["name"], value) if value else None
        if (
            words
            and re.search(r"(?:а|я)$", m["name"])
            and m["name"] in {"Петра", "Николая", "Александра", "Павла", "Ивана", "Людовика", "Генриха"}
        ):
            words = self.ordinal(value or 1, "m", "g")
        return f"{m['name']} {words}" if words else None

    def _scaled(self, m: Match) -> str:
        number = self.parse_number(m["n"])
        forms = {"тыс": ("тысяча", "тысячи", "тысяч"), "млн": ("миллион", "миллиона", "миллионов"),
                 "млрд": ("миллиард", "миллиарда", "миллиардов")}[m["s"].rstrip(".")]  # fmt: skip
        return (
            f"{self.number(number, 'f' if forms[0] == 'тысяча' else 'm')} {self.plural_form(number, forms)}"
        )

    def _scaled_rubles(self, m: Match) -> str:
        return f"{self._scaled(m)} рублей"

    def _rubles(self, m: Match) -> str:
        number = self.parse_number(m["n"])
        forms = ("рубль", "рубля", "рублей")
        if GENITIVE.search(text_before(m)) and not m["k"]:
            return f"{self.genitive(number)} {self.genitive_form(number, forms)}{self._sentence_stop(m)}"
        words = f"{self.number(number)} {self.plural_form(number, forms)}"
        if m["k"]:
            cents = Number(m["k"])
            words += f" {self.number(cents, 'f')} {self.plural_form(cents, ('копейка', 'копейки', 'копеек'))}"
        return words + self._sentence_stop(m)

    def _kopecks(self, m: Match) -> str:
        cents = Number(m["n"])
        return f"{self.number(cents, 'f')} {self.plural_form(cents, ('копейка', 'копейки', 'копеек'))}{self._sentence_stop(m)}"

    def _ordinal(self, m: Match) -> str:
        case, gender = _ORDINAL_ENDINGS[m["e"]]
        if m["e"] == "м" and not re.search(r"\b(?:во?|на|об?|при)\s+$", text_before(m), re.I):
            case = "i"  # instrumental: "he came in first"
        return self.ordinal(int(m["n"]), gender, case)

    def _floor(self, m: Match) -> str:
        case = {"этаже": "p", "этажу": "d", "этажом": "i"}.get(m["w"], "n")
        return f"{self.ordinal(int(m['n']), 'm', case)} {m['w']}"

    def _grams(self, m: Match) -> str | None:
        """250 г масла: after four digits г is more often a year."""
        return self.measure(self.parse_number(m["n"]), "g") if len(m["n"]) < 4 or "," in m["n"] else None

    def _spoons(self, m: Match) -> str:
        adjective = {"ч": "чайн", "ст": "столов"}[m["w"]]
        if m["f"]:
            half = "половину" if _TAKES_OBJECT.search(text_before(m)) else "половина"
            return f"{half} {adjective}ой ложки"
        number = self.parse_number(m["n"])
        forms = (f"{adjective}ая ложка", f"{adjective}ые ложки", f"{adjective}ых ложек")
        noun = f"{adjective}ой ложки" if number.fraction else self.plural_form(number, forms)
        return f"{self.number(number, 'f')} {noun}"

    def _adjective(self, m: Match) -> str:
        return (
            f"{self.cardinal(int(m['n']), 'm', 'g').replace(' ', '')}{m['w']}"
            if int(m["n"]) != 100
            else f"сто{m['w']}"
        )

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        before, after = text_before(m), text_after(m)
        if written in {"д.", "кв.", "корп.", "стр.", "эт."} and not re.match(r"\s?\d", after):
            return None
        if written == "г." and not re.match(r"\s?[А-ЯЁ]", after):
            return None
        if written in {"мин.", "сек.", "ч.", "шт.", "чел.", "тыс.", "млн", "млрд", "млн.", "млрд."}:
            found = re.search(r"(?:\d|тыс\.?|млн\.?|млрд\.?)\s?$", before)
            return self.abbreviations[written] if found else None
        if written in {"пр.", "ул.", "пл.", "пер.", "им."} and not re.match(r"\s?[А-ЯЁ\d]", after):
            return None
        if written == "см." and (re.search(r"\d\s?$", before)):
            return None
        if written.lower() in self.weekdays:
            if not re.match(r"[,.]?\s\d|\s?[-–]", after):
                return None
            return (
                DAY_FORMS[self.weekdays[written.lower()]][1]
                if AT.search(before)
                else self.abbreviations[written]
            )
        return self.abbreviations[written]
