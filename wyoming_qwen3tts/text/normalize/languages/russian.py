"""Russian as it is spoken: numbers agree with what they count, in gender, number and, where a word governs it, case."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers, units
from ..currencies import Money, currency
from ..currencies import symbols as currency_symbols
from ..normalizer import Normalizer
from ..numbers import Number
from ..roman_numerals import roman
from ..rules.rule import LETTER, START, Match, Rules, left, right

_MONTHS = (
    "января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря",
)  # fmt: skip
_NOMINATIVE = (
    "январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
)  # fmt: skip
_PLACES = ("десятых", "сотых", "тысячных", "десятитысячных", "стотысячных", "миллионных")
_PLACES_ONE = ("десятая", "сотая", "тысячная", "десятитысячная", "стотысячная", "миллионная")
_ORDINAL_ENDINGS = {
    "й": ("n", "m"), "ый": ("n", "m"), "ой": ("n", "m"), "ий": ("n", "m"), "я": ("n", "f"), "ая": ("n", "f"), "е": ("n", "n"), "ое": ("n", "n"),
    "го": ("g", "m"), "ого": ("g", "m"), "его": ("g", "m"), "му": ("d", "m"), "ому": ("d", "m"), "м": ("p", "m"), "ом": ("p", "m"),
    "ю": ("a", "f"), "ую": ("a", "f"), "х": ("g", "pl"), "ых": ("g", "pl"),
}  # fmt: skip
_GENITIVE = re.compile(
    r"\b(?:нет|не было|не будет|около|до|от|после|с|со|из|без|более|менее|больше|меньше|свыше|для|у|из-за|порядка|кроме|против|выше|ниже|"
    r"в течение|в пределах|старше|моложе|дольше|ближе|дальше|ок\.|прим\.)\s*\+?$",
    re.I,
)
_TAKES_NUMBERS = re.compile(r"\b(?:через|за|на|в|по|к|каждые|ещё|еще)\s*$", re.I)
"""Words after which a range has no "from" and "to" of its own."""
_ACCUSATIVE = re.compile(r"\b(?:через|на|за|каждую)\s*\+?$", re.I)
_AT = re.compile(r"\b(?:во?|на)\s*$", re.I)
_AFTER_DAY = re.compile(
    r"\b(?:понедельник|вторник|сред[ау]|четверг|пятниц[ау]|суббот[ау]|воскресенье|пн|вт|ср|чт|пт|сб|вс),?\s$",
    re.I,
)
_TAKES_OBJECT = re.compile(r"(?:\b[А-ЯЁ][а-яё]+(?:ь|й|и|ьте|йте|ите)|[а-яё](?:ть|йте|ьте|ите))\s+$")
_DAY_FORMS = {
    "понедельник": ("понедельника", "понедельник"), "вторник": ("вторника", "вторник"), "среда": ("среды", "среду"),
    "четверг": ("четверга", "четверг"), "пятница": ("пятницы", "пятницу"), "суббота": ("субботы", "субботу"),
    "воскресенье": ("воскресенья", "воскресенье"),
}  # fmt: skip
"""Weekday → genitive, accusative."""
_ON_DAY = re.compile(
    rf"(?:^|[^\w\s]\s*|(?<!\bв)(?<!\bво)\s)(?:{'|'.join(_DAY_FORMS)}|пн|вт|ср|чт|пт|сб|вс),?\s*$", re.I
)
"""A weekday in front of a date, and nothing in front of that which puts both into a case."""
_FEMININE_TWO = re.compile(r"\s+(?:[а-яё]+(?:ые|ие|ых|их)\s+)*(?!или\b|ли\b)[а-яё]{2,}[ыи]\b")
"""After 2 stands the genitive singular; it ends so in feminine nouns only."""
_FEMININE_ONE = re.compile(
    r"\s+(?:[а-яё]+(?:ая|яя)\s+)?[а-яё]+(?:а|я|ь)\b(?<!день)(?<!уровень)(?<!рубль)(?<!человека)(?<!имя)(?<!время)"
)
_NEUTER_ONE = re.compile(r"\s+(?:[а-яё]+(?:ое|ее)\s+)?[а-яё]+(?:о|е)\b")


class Russian(Normalizer):
    """Russian."""

    code = "ru"
    minus, plus, point, dot, slash, dash, underscore = (
        "минус",
        "плюс",
        "запятая",
        "точка",
        "слэш",
        "дефис",
        "подчёркивание",
    )
    at, colon, to, number_word, hashtag = "собака", "двоеточие", "до", "номер", "хештег"
    symbols: ClassVar = {
        "of": "из", "per": "на", "&": "и", "@": "собака", "+": "плюс", "=": "равно", "×": "умножить на", "÷": "разделить на", "<": "меньше", ">": "больше",
        "≤": "не больше", "≥": "не меньше", "±": "плюс-минус", "≈": "примерно", "≠": "не равно", "~": "примерно", "^": "в степени",
        "√": "корень из", "∞": "бесконечность", "°": "градусов", "§": "параграф", "©": "копирайт", "®": "", "™": "", "%": "процентов",
        "‰": "промилле", "/": "дробь", "?": "знак вопроса", "→": "в", "#": "решётка", "*": "звёздочка", "µ": "микро", "♯": "диез", "x": "на", "x times": "раз",
        "−": "минус", "№": "номер", "$": "долларов", "€": "евро", "£": "фунтов", "¢": "центов", "¥": "иен", "₽": "рублей", "π": "пи",
        "·": "умножить на", "′": "", "″": "",
    }  # fmt: skip
    weekdays: ClassVar = {
        "пн": "понедельник",
        "вт": "вторник",
        "ср": "среда",
        "чт": "четверг",
        "пт": "пятница",
        "сб": "суббота",
        "вс": "воскресенье",
    }
    episode = "сезон {}, серия {}"
    until = "по|до|и|или"
    months = _MONTHS
    month_forms: ClassVar = {
        "янв": 1, "фев": 2, "февр": 2, "мар": 3, "апр": 4, "июн": 6, "июл": 7, "авг": 8, "сен": 9, "сент": 9, "окт": 10, "ноя": 11,
        "нояб": 11, "дек": 12,
    } | {month: at for at, month in enumerate(_MONTHS, 1)}  # fmt: skip
    bare_units = "in d b B K t A C F s m a с г"
    per_word = "на"
    codes = r"PIN|пин|ПИН|код|Код|пароль|Пароль|индекс|пин-код|ПИН-код"
    versions = "версия|Версия|версии|Python|iOS|Android|macOS"
    abbreviations: ClassVar = {
        "т. е.": "то есть", "т. к.": "так как", "Т. е.": "То есть", "Т. к.": "Так как", "и т. д.": "и так далее", "и т. п.": "и тому подобное", "и др.": "и другие", "и пр.": "и прочее",
        "т. д.": "так далее", "т. п.": "тому подобное", "т. н.": "так называемый", "т. о.": "таким образом", "т. ч.": "том числе",
        "напр.": "например", "ул.": "улица", "пр.": "проспект", "пр-т": "проспект", "пл.": "площадь", "пер.": "переулок", "д.": "дом",
        "кв.": "квартира", "корп.": "корпус", "стр.": "страница", "им.": "имени", "см.": "смотри", "г.": "город", "гг.": "годы", "обл.": "область",
        "р-н": "район", "ок.": "около", "прим.": "примерно", "мин.": "минут", "сек.": "секунд", "ч.": "часов", "тыс.": "тысяч", "млн": "миллионов",
        "млрд": "миллиардов", "млн.": "миллионов", "млрд.": "миллиардов", "тел.": "телефон", "проф.": "профессор", "д-р": "доктор",
        "г-н": "господин", "г-жа": "госпожа", "макс.": "максимум", "эт.": "этаж", "шт.": "штук", "чел.": "человек", "коп.": "копеек",
        "до н. э.": "до нашей эры", "н. э.": "нашей эры", "24/7": "круглосуточно", "и/или": "и или", "темп.": "температура",
        "пн": "понедельник", "вт": "вторник", "ср": "среда", "чт": "четверг", "пт": "пятница", "сб": "суббота", "вс": "воскресенье",
        "Пн": "понедельник", "Вт": "вторник", "Ср": "среда", "Чт": "четверг", "Пт": "пятница", "Сб": "суббота", "Вс": "воскресенье",
    }  # fmt: skip

    def cardinal(self, value: int, gender: str = "m", case: str = "n") -> str:
        said = numbers.words(value, "ru", "cardinal", gender=gender, case=case) or str(value)
        if 1000 <= value < 2000:
            said = re.sub(r"^(?:одна тысяча)\b", "тысяча", said)
        return said

    def counted(self, value: int, gender: str) -> str:
        return self.cardinal(value, gender)

    def ordinal(self, value: int, gender: str = "m", case: str = "n") -> str:
        if gender == "pl":
            singular = self.ordinal(value, "m", "g")
            return re.sub(
                r"(?:ого|его)$", lambda m: "их" if singular.endswith("третьего") else "ых", singular
            )
        return numbers.words(value, "ru", "ordinal", gender=gender, case=case) or str(value)

    def plural(self, number: Number, forms: tuple[str, ...]) -> str:
        if number.fraction:
            return forms[min(1, len(forms) - 1)]
        value = number.value % 100
        if 11 <= value <= 14 or not 1 <= value % 10 <= 4:
            return forms[-1]
        return forms[0] if value % 10 == 1 else forms[min(1, len(forms) - 1)]

    def decimal_words(self, number: Number) -> str:
        digits = number.fraction
        if len(digits) > len(_PLACES):
            return f"{self.cardinal(number.value)} {self.point} {self.digits(digits)}"
        whole = "целая" if number.value % 10 == 1 and number.value % 100 != 11 else "целых"
        part = int(digits)
        place = _PLACES_ONE if part % 10 == 1 and part % 100 != 11 else _PLACES
        return (
            f"{self.cardinal(number.value, 'f')} {whole} {self.cardinal(part, 'f')} {place[len(digits) - 1]}"
        )

    def year_ordinal(self, value: int, case: str = "g") -> str:
        """Return a year as Russians say it: an ordinal."""
        return self.ordinal(value, "m", case)

    def per(self, top: str, bottom: str) -> str:
        name = self._per[bottom]
        return name if name.startswith(("на ", "за ")) else f"в {name}"

    def major_and_minor(self, said: str, whole: Number, minor: Number, names: Money) -> str:
        return f"{said} {self.minor_money(minor, names)}"

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        named = re.search(
            r"(?:^|\b(?:сегодня|завтра|вчера|это|дата)\b|[:—–−－-])\s*$", before, re.I
        ) or _ON_DAY.search(before)
        said = self.ordinal(day, "n", "n" if named else "g")
        tail = f" {self.year_ordinal(year)} года" if year is not None else ""
        return f"{said} {_MONTHS[month - 1]}{tail}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        parts = [(hour, "h"), (minute, "min"), (second or 0, "s")]
        parts = [(value, unit) for value, unit in parts if value or unit == "h"]
        case = "g" if _GENITIVE.search(before) else "d" if re.search(r"\bк[о]?\s+$", before, re.I) else ""
        if case:
            return " ".join(self._governed(value, unit, case) for value, unit in parts)
        said = " ".join(str(self.measure(Number(str(value)), unit)) for value, unit in parts)
        return self.accusative(said) if _AT.search(before) else said

    @staticmethod
    def accusative(said: str) -> str:
        """Return a measure in the accusative: only "одна" and what it counts differ."""

        def one(m: Match) -> str:
            return f"одну {m[1]}{'ую' if m[2] == 'ая' else 'у' if m[2] == 'а' else 'ю'}"

        return re.sub(r"\bодна (\w+?)(ая|а|я)\b", one, said)

    def genitive(self, number: Number, gender: str = "m") -> str:
        """Return any number in the genitive."""
        sign = [self.minus] if number.negative else []
        if not number.fraction:
            return self.join([*sign, self.cardinal(number.value, gender, "g")])
        if len(number.fraction) > len(_PLACES):
            return self.join([*sign, self.decimal_words(number)])
        part = int(number.fraction)
        whole = "целой" if number.value % 10 == 1 and number.value % 100 != 11 else "целых"
        at = len(number.fraction) - 1
        place = _PLACES_ONE[at][:-2] + "ой" if part % 10 == 1 and part % 100 != 11 else _PLACES[at]
        said = [self.cardinal(number.value, "f", "g"), whole, self.cardinal(part, "f", "g"), place]
        return self.join([*sign, *said]).replace("ноля целых", "нуля целых")

    @staticmethod
    def genitive_form(number: Number, forms: tuple[str, ...]) -> str:
        """Return the form of a noun after a number in the genitive."""
        one = number.value % 10 == 1 and number.value % 100 != 11
        return forms[min(1, len(forms) - 1)] if one or number.fraction else forms[-1]

    def _clocks(self, m: Match) -> str | None:
        """From one time to another, in the genitive."""
        if (said := super()._clocks(m)) is None:
            return said
        hours = [[int(part) for part in m[end].split(":")] for end in "ab"]
        first, last = (self.time(hour, minute, before="до ") for hour, minute in hours)
        begun = re.search(r"\b(?:со?|от)\s+$", left(m), re.I)
        return f"{'' if begun else 'с '}{first} до {last}"

    def _weekdays(self, m: Match) -> str:
        to, first, last = m["to"].strip(" -–"), self._days[m["a"]].lower(), self._days[m["b"]].lower()
        if to in {"и", "или"}:
            return super()._weekdays(m)
        start = "" if re.search(r"\b[сС]о?\s+$", left(m)) else "со " if first == "вторник" else "с "
        end = _DAY_FORMS[last][0 if to == "до" else 1]
        stop = m["stop"] if self._days[m["b"]].lower() == m["b"].lower() else self._end(m)
        return f"{start}{_DAY_FORMS[first][0]} {to or 'по'} {end}{stop}"

    def _governed(self, value: int, unit: str, case: str) -> str:
        """Return hours, minutes or seconds in the genitive or dative."""
        name = self._units[unit]
        one = value % 10 == 1 and value % 100 != 11
        singular = {"h": "часа часу", "min": "минуты минуте", "s": "секунды секунде"}[unit].split()
        plural = {"h": "часов часам", "min": "минут минутам", "s": "секунд секундам"}[unit].split()
        word = (singular if one else plural)["gd".index(case)]
        return f"{self.cardinal(value, name.gender, case)} {word}"

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date}, {time}"

    def version_word(self) -> str:
        return "версия"

    def fraction(self, top: int, bottom: int) -> str:
        if (top, bottom) == (1, 2):
            return "одна вторая"
        below = self.ordinal(bottom, "f" if top == 1 else "pl", "n" if top == 1 else "g")
        return f"{self.cardinal(top, 'f')} {below}"

    def mixed(self, whole: int, top: int, bottom: int) -> str:
        if (top, bottom) == (1, 2):
            return f"{self.cardinal(whole)} с половиной"
        name = "целая" if whole % 10 == 1 and whole % 100 != 11 else "целых"
        return f"{self.cardinal(whole, 'f')} {name} {self.fraction(top, bottom)}"

    def part_of(self, name: units.Name) -> str:
        return name.forms[min(1, len(name.forms) - 1)]

    def range(self, low: str, high: str) -> str:
        return f"{low} — {high}"

    def phone_group(self, digits: str) -> str:
        if len(digits) > 3:
            return self.digits(digits)
        zeros = len(digits) - len(digits.lstrip("0"))
        rest = [self.cardinal(int(digits))] if zeros < len(digits) else []
        return self.join([*[self.cardinal(0)] * zeros, *rest])

    def power(self, base: str, exponent: Number) -> str:
        if exponent.whole in {"2", "3"} and not exponent.negative:
            return f"{base} в {'квадрате' if exponent.whole == '2' else 'кубе'}"
        return f"{base} в степени {self.number(exponent)}"

    def genitive_range(self, low: Number, high: Number) -> str:
        """Return "from five to ten"."""
        return f"от {self.cardinal(low.value, 'm', 'g')} до {self.cardinal(high.value, 'm', 'g')}"

    def _range(self, m: Match) -> str | None:
        low, high = self.parse(m["n"]), self.parse(m["to"])
        before = left(m)
        if low.fraction or high.fraction or low == high:
            return super()._range(m)
        if _GENITIVE.search(before):
            return self.range(self.genitive(low), self.genitive(high))
        if _TAKES_NUMBERS.search(before):
            gender = "f" if _FEMININE_TWO.match(right(m)) else "m"
            case = "a" if gender == "f" and low.value == 1 and _ACCUSATIVE.search(before) else "n"
            return self.range(self.cardinal(low.value, gender, case), self.cardinal(high.value, gender))
        return self.genitive_range(low, high)

    def _range_unit(self, m: Match) -> str | None:
        low, high = self.parse(m["n"], m["sign"]), self.parse(m["to"], m["sign2"])
        found = self._unit_name(m["u"])
        if found is None:
            return super()._range_unit(m)
        name, per = found
        before = left(m)
        if not _GENITIVE.search(before) and (per or low.negative or _TAKES_NUMBERS.search(before)):
            return super()._range_unit(m)
        ends = self.genitive(low, name.gender), self.genitive(high, name.gender)
        said = self.range(*ends) if _GENITIVE.search(before) else f"от {ends[0]} до {ends[1]}"
        return self.join([said, self.genitive_form(high, name.forms), per]) + self._end(m)

    def _unit_name(self, symbol: str) -> tuple[units.Name, str] | None:
        """Return what a unit is called, and per what it is."""
        symbol = units.canonical(symbol)
        if (name := self._units.get(symbol)) is not None:
            return name, ""
        top, _, bottom = symbol.partition("/")
        top, bottom = units.canonical(top), units.canonical(bottom)
        name = self._units.get(top)
        return (name, self.per(top, bottom)) if name is not None and bottom in self._per else None

    def _measure(self, m: Match) -> str | None:
        number, before = self.parse(m["n"], m["sign"]), left(m)
        found = self._unit_name(m["u"])
        if found is None or not _GENITIVE.search(before):
            said = super()._measure(m)
            past = right(m).startswith(" назад")
            return self.accusative(said) if said and (past or _ACCUSATIVE.search(before)) else said
        name, per = found
        words = [self.genitive(number, name.gender), self.genitive_form(number, name.forms), per]
        return self.join(words) + self._end(m)

    def _money(self, m: Match) -> str | None:
        groups = m.groupdict()
        number = self.parse(m["n"], groups.get("sign") or groups.get("sign2"))
        if groups.get("scale") or number.fraction or not _GENITIVE.search(left(m)):
            return super()._money(m)
        name = currency("ru", currency_symbols("ru")[m["cur"]])
        return self.join([self.genitive(number, name.gender), self.genitive_form(number, name.major)])

    def bare_number(self, number: Number, m: Match) -> str:
        before, after = left(m), right(m)
        if number.fraction:
            return self._bare_decimal(number, before)
        value = number.value
        if number.negative:
            return f"{self.minus} {self.cardinal(value, 'm', 'g' if _GENITIVE.search(before) else 'n')}"
        if re.match(r"[-–]", after):
            return self.number(number)
        ending = re.match(r"\s+(?:[а-яё]+(?:ым|им|ыми|ими|ых|их)\s+)?[а-яё]+?(ами|ями|ам|ям|ах|ях)\b", after)
        if ending and value % 10 != 1:
            case = {"м": "d", "и": "i", "х": "p"}[ending[1][-1]]
            return self.cardinal(value, "f" if value % 10 == 2 and case == "n" else "m", case)
        if _GENITIVE.search(before):
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
        if _GENITIVE.search(before):
            return self.genitive(number)
        said = self.number(number)
        return self.accusative(said) if _ACCUSATIVE.search(before) else said

    def half(self, noun: str) -> str | None:
        return "половина " if noun.endswith(("и", "ы", "а", "я")) else None

    def _half_of(self, m: Match) -> str | None:
        said = super()._half_of(m)
        return "половину " if said and _TAKES_OBJECT.search(left(m)) else said

    def regnal(self, name: str, value: int) -> str | None:
        feminine = name.endswith(("а", "я"))
        return self.ordinal(value, "f" if feminine else "m")

    # --- rules ---

    def own_first(self) -> Rules:
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

    def named_dates(self) -> Rules:
        months = "|".join(sorted(self.month_forms, key=len, reverse=True))
        yield (
            "named",
            rf"{START}(?P<d>\d{{1,2}})(?P<e>-?го|-?е)?\s(?i:(?P<month>{months})(?![{LETTER}])\.?)(?:\s(?P<y>(?:1\d|20)\d\d)(?!\d)(?:\s?(?:г\.|года|год|г)(?!\w))?)?",
            self._named_date,
        )
        yield (
            "from-date",
            rf"(?P<a>\d{{1,2}})\s(?P<to>по|до)\s(?P<d>\d{{1,2}})\s(?P<month>{'|'.join(_MONTHS)})(?!\w)",
            self._from_date,
        )
        yield (
            "range-date",
            rf"{START}(?P<a>\d{{1,2}})\s?[-–]\s?(?P<d>\d{{1,2}})\s(?P<month>{'|'.join(_MONTHS)})(?!\w)",
            self._range_date,
        )
        yield from self.month_first()
        nominative = "|".join(_NOMINATIVE)
        yield (
            "month-year",
            rf"(?i:(?P<month>{nominative}|{'|'.join(_MONTHS)}))\s(?P<y>(?:1\d|20)\d\d)(?:\s?(?:г\.|года|год))?(?!\w)",
            self._month_year,
        )
        yield (
            "year",
            r"(?P<y>(?:1\d|20)\d\d|(?<!\d)\d{1,4}(?=[^\s\d]{0,3}\s?(?:год[уа]?|г\.)\s(?:до\s)?н\.\s?э))"
            r"(?:-?(?P<e>й|м|го|му))?\s?(?P<w>году|года|годом|годе|год|гг\.|г\.|г)(?!\w)",
            self._year,
        )
        yield (
            "years",
            r"(?P<a>(?:1\d|20)\d\d)\s?[-–—]\s?(?P<y>(?:1\d|20)\d\d)\s?(?:гг\.|годы|годов|годах)(?!\w)",
            self._years,
        )
        yield "decade", r"(?P<n>(?:1[5-9]|20)?\d0)-(?P<e>е|х|ых)(?!\w)", self._decade
        yield (
            "short",
            rf"{START}(?P<d>\d{{1,2}})\.(?P<m>0\d|1[0-2])(?![.,]?\d|\s?(?:{self.unit}))",
            self._short_date,
        )

    def times(self) -> Rules:
        yield (
            "duration",
            rf"{START}(?P<h>\d+)\s?ч\.?\s?(?P<min>\d{{1,2}}(?=\s?мин)|[0-5]\d)(?:\s?мин\.?)?(?!\w)",
            self._duration,
        )
        at = r"(?:(?<=\b[вВкКсС]\s)|(?<=\b[дД]о\s))"
        yield (
            "clock-dash",
            rf"{at}(?P<h>\d{{1,2}})-(?P<min>00|30|45)(?![\d-]|\s?(?!до\b)[а-яё%°])",
            self._word_clock,
        )
        yield (
            "clock-h",
            rf"{START}(?P<h>\d{{1,2}}):(?P<min>\d\d)\s?(?:ч\.?|час(?:ов|а)?)(?!\w)",
            self._word_clock,
        )
        yield from super().times()

    def phones(self) -> Rules:
        yield (
            "phone-ru",
            r"(?:\+7|(?<!\d)8)[ -]?\(?\d{3}\)?[ -]?\d{3}[- ]?\d{2}[- ]?\d{2}(?!\d)",
            self._phone,
        )
        yield "phone-ru7", rf"{START}\d{{3}}-\d{{2}}-\d{{2}}(?!\d)", self._phone
        yield from super().phones()

    def own(self) -> Rules:
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
            lambda m: f"{self.cardinal(int(m['n']))} {self.plural(Number(m['n']), ('раз', 'раза', 'раз'))}",
        )
        yield "floor", rf"{START}(?P<n>\d{{1,3}})\s(?P<w>этаж(?:[еу]|ом)?)(?!\w)", self._floor
        yield "grams", rf"{START}(?P<n>{self.num})\s?г(?=\s[а-яё]{{3,}})", self._grams
        yield "adjective", rf"{START}(?P<n>\d{{1,4}})-(?P<w>[а-яё]{{4,}})", self._adjective

    def _word_clock(self, m: Match) -> str | None:
        hour, minute = int(m["h"]), int(m["min"])
        said = self.time(hour, minute, before=left(m))
        return said + self._end(m) if self.valid_time(hour, minute, None) else None

    def _century(self, m: Match) -> str | None:
        value = roman(m["r"].replace("Х", "X"))
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
        value = roman(m["r"])
        said = self.regnal(m["name"], value) if value else None
        if (
            said
            and re.search(r"(?:а|я)$", m["name"])
            and m["name"] in {"Петра", "Николая", "Александра", "Павла", "Ивана", "Людовика", "Генриха"}
        ):
            said = self.ordinal(value or 1, "m", "g")
        return f"{m['name']} {said}" if said else None

    def _scaled(self, m: Match) -> str:
        number = self.parse(m["n"])
        forms = {"тыс": ("тысяча", "тысячи", "тысяч"), "млн": ("миллион", "миллиона", "миллионов"),
                 "млрд": ("миллиард", "миллиарда", "миллиардов")}[m["s"].rstrip(".")]  # fmt: skip
        return f"{self.number(number, 'f' if forms[0] == 'тысяча' else 'm')} {self.plural(number, forms)}"

    def _scaled_rubles(self, m: Match) -> str:
        return f"{self._scaled(m)} рублей"

    def _rubles(self, m: Match) -> str:
        number = self.parse(m["n"])
        forms = ("рубль", "рубля", "рублей")
        if _GENITIVE.search(left(m)) and not m["k"]:
            return f"{self.genitive(number)} {self.genitive_form(number, forms)}{self._end(m)}"
        said = f"{self.number(number)} {self.plural(number, forms)}"
        if m["k"]:
            cents = Number(m["k"])
            said += f" {self.number(cents, 'f')} {self.plural(cents, ('копейка', 'копейки', 'копеек'))}"
        return said + self._end(m)

    def _kopecks(self, m: Match) -> str:
        cents = Number(m["n"])
        return (
            f"{self.number(cents, 'f')} {self.plural(cents, ('копейка', 'копейки', 'копеек'))}{self._end(m)}"
        )

    def _named_date(self, m: Match) -> str | None:
        month = self.month_forms[m["month"].lower()]
        said = self._date_or_none(int(m["y"]) if m["y"] else None, month, int(m["d"]), left(m))
        genitive = self.ordinal(int(m["d"]), "n", "g")
        if said and (m["e"] or "").endswith("го") and not said.startswith(genitive):
            said = said.replace(self.ordinal(int(m["d"]), "n"), genitive, 1)
        return said + self._end(m) if said else None

    def _range_date(self, m: Match) -> str:
        return (
            f"с {self.ordinal(int(m['a']), 'n', 'g')} по {self.ordinal(int(m['d']), 'n', 'n')} {m['month']}"
        )

    def _from_date(self, m: Match) -> str | None:
        """From the 23rd up to the 25th of November, as far as the word before says so."""
        if not re.search(r"\bсо?\s$", left(m), re.I):
            return None
        last = self.ordinal(int(m["d"]), "n", "n" if m["to"] == "по" else "g")
        return f"{self.ordinal(int(m['a']), 'n', 'g')} {m['to']} {last} {m['month']}"

    def _month_year(self, m: Match) -> str:
        return f"{m['month']} {self.year_ordinal(int(m['y']))} года{self._end(m)}"

    def _year(self, m: Match) -> str:
        word = m["w"]
        case = {"году": "p", "годе": "p", "года": "g", "год": "n", "годом": "i"}.get(word)
        if case is None:
            in_ = re.search(r"\b[вВ]\s+$", left(m))
            case, word = ("p", "году") if in_ else ("g", "года")
        return f"{self.ordinal(int(m['y']), 'm', case)} {word}{self._end(m)}"

    def _years(self, m: Match) -> str:
        return f"{self.ordinal(int(m['a']), 'm', 'n')} — {self.ordinal(int(m['y']), 'm', 'n')} годы{self._end(m)}"

    def _decade(self, m: Match) -> str:
        genitive = self.ordinal(int(m["n"]), "pl")
        return genitive if m["e"] != "е" else re.sub("х$", "е", genitive)

    def _short_date(self, m: Match) -> str | None:
        before = left(m)
        if not re.search(r"(?:^|\b(?:с|до|от|по|на|к|дата:?)\s)\s*$", before, re.I) and not _AFTER_DAY.search(
            before
        ):
            return None
        return self._date_or_none(None, int(m["m"]), int(m["d"]), left(m))

    def _ordinal(self, m: Match) -> str:
        case, gender = _ORDINAL_ENDINGS[m["e"]]
        if m["e"] == "м" and not re.search(r"\b(?:во?|на|об?|при)\s+$", left(m), re.I):
            case = "i"  # he came in first
        return self.ordinal(int(m["n"]), gender, case)

    def _floor(self, m: Match) -> str:
        case = {"этаже": "p", "этажу": "d", "этажом": "i"}.get(m["w"], "n")
        return f"{self.ordinal(int(m['n']), 'm', case)} {m['w']}"

    def _grams(self, m: Match) -> str | None:
        """250 г масла: four digits are a year more often."""
        return self.measure(self.parse(m["n"]), "g") if len(m["n"]) < 4 or "," in m["n"] else None

    def _spoons(self, m: Match) -> str:
        adjective = {"ч": "чайн", "ст": "столов"}[m["w"]]
        if m["f"]:
            half = "половину" if _TAKES_OBJECT.search(left(m)) else "половина"
            return f"{half} {adjective}ой ложки"
        number = self.parse(m["n"])
        forms = (f"{adjective}ая ложка", f"{adjective}ые ложки", f"{adjective}ых ложек")
        noun = f"{adjective}ой ложки" if number.fraction else self.plural(number, forms)
        return f"{self.number(number, 'f')} {noun}"

    def _adjective(self, m: Match) -> str:
        return (
            f"{self.cardinal(int(m['n']), 'm', 'g').replace(' ', '')}{m['w']}"
            if int(m["n"]) != 100
            else f"сто{m['w']}"
        )

    def expand(self, written: str, m: Match) -> str | None:
        before, after = left(m), right(m)
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
                _DAY_FORMS[self.weekdays[written.lower()]][1]
                if _AT.search(before)
                else self.abbreviations[written]
            )
        return self.abbreviations[written]
