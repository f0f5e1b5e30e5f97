"""Russian vocabulary and verbalization: numbers in their gender and case."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import numbers, units
from ..currencies import CurrencyName
from ..normalizer import Normalizer
from ..numbers import Number
from ..rules.rule import Match

MONTHS = (
    "января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря",
)  # fmt: skip
_PLACES = ("десятых", "сотых", "тысячных", "десятитысячных", "стотысячных", "миллионных")
_PLACES_ONE = ("десятая", "сотая", "тысячная", "десятитысячная", "стотысячная", "миллионная")
GENITIVE = re.compile(
    r"\b(?:нет|не было|не будет|около|до|от|после|с|со|из|без|более|менее|больше|меньше|свыше|для|у|из-за|порядка|кроме|против|выше|ниже|"
    r"в течение|в пределах|старше|моложе|дольше|ближе|дальше|ок\.|прим\.)\s*\+?$",
    re.I,
)
AT = re.compile(r"\b(?:во?|на)\s*$", re.I)
DAY_FORMS = {
    "понедельник": ("понедельника", "понедельник"), "вторник": ("вторника", "вторник"), "среда": ("среды", "среду"),
    "четверг": ("четверга", "четверг"), "пятница": ("пятницы", "пятницу"), "суббота": ("субботы", "субботу"),
    "воскресенье": ("воскресенья", "воскресенье"),
}  # fmt: skip
"""Weekday → genitive, accusative."""
_ON_DAY = re.compile(
    rf"(?:^|[^\w\s]\s*|(?<!\bв)(?<!\bво)\s)(?:{'|'.join(DAY_FORMS)}|пн|вт|ср|чт|пт|сб|вс),?\s*$", re.I
)
"""Text before a date that ends with a weekday in the nominative."""


class RussianWords(Normalizer):
    """The vocabulary and verbalization of Russian."""

    language_code = "ru"
    minus, plus, point, dot, slash, dash, underscore = (
        "минус",
        "плюс",
        "запятая",
        "точка",
        "слэш",
        "дефис",
        "подчёркивание",
    )
    at, colon, range_word, number_word, hashtag = "собака", "двоеточие", "до", "номер", "хештег"
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
    episode_format = "сезон {}, серия {}"
    weekday_range_words = "по|до|и|или"
    months = MONTHS
    month_forms: ClassVar = {
        "янв": 1, "фев": 2, "февр": 2, "мар": 3, "апр": 4, "июн": 6, "июл": 7, "авг": 8, "сен": 9, "сент": 9, "окт": 10, "ноя": 11,
        "нояб": 11, "дек": 12,
    } | {month: at for at, month in enumerate(MONTHS, 1)}  # fmt: skip
    ambiguous_units = "in d b B K t A C F s m a с г"
    per_word = "на"
    code_cues = r"PIN|пин|ПИН|код|Код|пароль|Пароль|индекс|пин-код|ПИН-код"
    version_cues = "версия|Версия|версии|Python|iOS|Android|macOS"
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
        words = numbers.to_words(value, "ru", "cardinal", gender=gender, case=case) or str(value)
        if 1000 <= value < 2000:
            words = re.sub(r"^(?:одна тысяча)\b", "тысяча", words)
        return words

    def cardinal_before_noun(self, value: int, gender: str) -> str:
        return self.cardinal(value, gender)

    def ordinal(self, value: int, gender: str = "m", case: str = "n") -> str:
        if gender == "pl":
            singular = self.ordinal(value, "m", "g")
            return re.sub(
                r"(?:ого|его)$", lambda m: "их" if singular.endswith("третьего") else "ых", singular
            )
        return numbers.to_words(value, "ru", "ordinal", gender=gender, case=case) or str(value)

    def plural_form(self, number: Number, forms: tuple[str, ...]) -> str:
        if number.fraction:
            return forms[min(1, len(forms) - 1)]
        value = number.value % 100
        if 11 <= value <= 14 or not 1 <= value % 10 <= 4:
            return forms[-1]
        return forms[0] if value % 10 == 1 else forms[min(1, len(forms) - 1)]

    def decimal(self, number: Number) -> str:
        digits = number.fraction
        if len(digits) > len(_PLACES):
            return f"{self.cardinal(number.value)} {self.point} {self.spell_digits(digits)}"
        whole = "целая" if number.value % 10 == 1 and number.value % 100 != 11 else "целых"
        part = int(digits)
        place = _PLACES_ONE if part % 10 == 1 and part % 100 != 11 else _PLACES
        return (
            f"{self.cardinal(number.value, 'f')} {whole} {self.cardinal(part, 'f')} {place[len(digits) - 1]}"
        )

    def year_ordinal(self, value: int, case: str = "g") -> str:
        """Return a year as an ordinal, as in Russian dates."""
        return self.ordinal(value, "m", case)

    def per_unit(self, top: str, bottom: str) -> str:
        name = self._denominators[bottom]
        return name if name.startswith(("на ", "за ")) else f"в {name}"

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: CurrencyName) -> str:
        return f"{words} {self.minor_amount(minor, names)}"

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        named = re.search(
            r"(?:^|\b(?:сегодня|завтра|вчера|это|дата)\b|[:—–−－-])\s*$", before, re.I
        ) or _ON_DAY.search(before)
        words = self.ordinal(day, "n", "n" if named else "g")
        tail = f" {self.year_ordinal(year)} года" if year is not None else ""
        return f"{words} {MONTHS[month - 1]}{tail}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        parts = [(hour, "h"), (minute, "min"), (second or 0, "s")]
        parts = [(value, unit) for value, unit in parts if value or unit == "h"]
        case = "g" if GENITIVE.search(before) else "d" if re.search(r"\bк[о]?\s+$", before, re.I) else ""
        if case:
            return " ".join(self._governed(value, unit, case) for value, unit in parts)
        words = " ".join(str(self.measure(Number(str(value)), unit)) for value, unit in parts)
        return self.accusative(words) if AT.search(before) else words

    @staticmethod
    def accusative(words: str) -> str:
        """Return a measure in the accusative: only "одна" and its noun change."""

        def one(m: Match) -> str:
            return f"одну {m[1]}{'ую' if m[2] == 'ая' else 'у' if m[2] == 'а' else 'ю'}"

        return re.sub(r"\bодна (\w+?)(ая|а|я)\b", one, words)

    def genitive(self, number: Number, gender: str = "m") -> str:
        """Return a number in the genitive."""
        sign = [self.minus] if number.negative else []
        if not number.fraction:
            return self.join([*sign, self.cardinal(number.value, gender, "g")])
        if len(number.fraction) > len(_PLACES):
            return self.join([*sign, self.decimal(number)])
        part = int(number.fraction)
        whole = "целой" if number.value % 10 == 1 and number.value % 100 != 11 else "целых"
        at = len(number.fraction) - 1
        place = _PLACES_ONE[at][:-2] + "ой" if part % 10 == 1 and part % 100 != 11 else _PLACES[at]
        words = [self.cardinal(number.value, "f", "g"), whole, self.cardinal(part, "f", "g"), place]
        return self.join([*sign, *words]).replace("ноля целых", "нуля целых")

    @staticmethod
    def genitive_form(number: Number, forms: tuple[str, ...]) -> str:
        """Return the form of a noun after a number in the genitive."""
        one = number.value % 10 == 1 and number.value % 100 != 11
        return forms[min(1, len(forms) - 1)] if one or number.fraction else forms[-1]

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

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        if (top, bottom) == (1, 2):
            return f"{self.cardinal(whole)} с половиной"
        name = "целая" if whole % 10 == 1 and whole % 100 != 11 else "целых"
        return f"{self.cardinal(whole, 'f')} {name} {self.fraction(top, bottom)}"

    def unit_of_fraction(self, name: units.UnitName) -> str:
        return name.forms[min(1, len(name.forms) - 1)]

    def range(self, low: str, high: str) -> str:
        return f"{low} — {high}"

    def telephone_group(self, digits: str) -> str:
        if len(digits) > 3:
            return self.spell_digits(digits)
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

    def half_before_noun(self, noun: str) -> str | None:
        return "половина " if noun.endswith(("и", "ы", "а", "я")) else None

    def regnal_number(self, name: str, value: int) -> str | None:
        feminine = name.endswith(("а", "я"))
        return self.ordinal(value, "f" if feminine else "m")
