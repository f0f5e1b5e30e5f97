"""Units of measure in ten languages: the table ``units.txt``, and the names that are derived from it.

A name has the forms that its language counts with: one, many (English, German and the Romance languages), or
one, few, many (Russian: 1, 2-4, 5 and more). ``/f`` marks a feminine, ``/n`` a neuter name. Names are those
of the SI Brochure (BIPM, 9th edition) and of its national editions.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from ...speech import LANGUAGES


@dataclass(frozen=True, slots=True)
class UnitName:
    """The name of a unit in one language."""

    forms: tuple[str, ...]
    gender: str = "m"

    @property
    def one(self) -> str:
        """The form that goes with 1."""
        return self.forms[0]


_TIME_WORDS = {
    "s": "second 秒 초",
    "min": "minute 分钟 分鐘 分 분",
    "h": "hour Stunde heure hora ora 小时 小時 時間 시간",
    "d": "day Tag jour día dia giorno день сутки 天 日 일",
    "wk": "week Woche 周 週 주",
    "mo": "month Monat mois mes mês mese месяц мес 月 월",
    "yr": "year Jahr año ano anno год 年 년",
}
"""Symbol → words for it in a denominator: kWh/day."""
_SYMBOL_OF_TIME_WORD = {word: symbol for symbol, words in _TIME_WORDS.items() for word in words.split()}
_SPELLINGS = {
    "L": "l", "mL": "ml", "cL": "cl", "dL": "dl", "hL": "hl", "ltr": "l", "TL": "tsp", "EL": "tbsp", "lbs": "lb", "ozs": "oz", "sec": "s", "secs": "s",
    "mins": "min", "hr": "h", "hrs": "h", "hs": "h", "Hs": "h", "yrs": "yr", "wks": "wk", "mos": "mo", "kph": "km/h",
    "kmh": "km/h", "KB": "kB", "kWH": "kWh", "KWh": "kWh", "kwh": "kWh", "Kwh": "kWh", "KW": "kW", "kw": "kW",
    "μm": "µm", "μg": "µg", "μs": "µs", "ug": "µg", "ºC": "°C", "ºF": "°F", "˚C": "°C", "˚F": "°F", "˚": "°", "° C": "°C",
    "° F": "°F", "℃": "°C", "℉": "°F", "Ω": "Ω", "ohm": "Ω", "ohms": "Ω", "lux": "lx", "hz": "Hz", "khz": "kHz",
    "Mhz": "MHz", "Ghz": "GHz", "MHZ": "MHz", "GHZ": "GHz", "Mbps": "Mb/s", "kbps": "kb/s", "Kbps": "kb/s",
    "Gbps": "Gb/s", "bps": "b/s", "Mbit/s": "Mb/s", "kbit/s": "kb/s", "Gbit/s": "Gb/s", "Mbit": "Mb", "kbit": "kb",
    "Gbit": "Gb", "bit": "b", "MBps": "MB/s", "dB(A)": "dBA", "db": "dB", "sqm": "m²", "qm": "m²", "m2": "m²", "m3": "m³",
    "cm2": "cm²", "cm3": "cm³", "km2": "km²", "mm2": "mm²", "m^2": "m²", "m^3": "m³", "ft2": "ft²", "ft3": "ft³", "dm3": "dm³",
    "sq ft": "ft²", "sq. ft.": "ft²", "sqft": "ft²", "sq m": "m²", "cu ft": "ft³", "sq km": "km²", "sq mi": "mi²", "in2": "in²",
    "cbm": "m³", "kts": "kn", "kt": "kn", "RPM": "rpm", "U/min": "rpm", "tr/min": "rpm", "об/мин": "rpm", "mpg": "mi/gal",
    "kcal": "kcal", "Kcal": "kcal", "hpa": "hPa", "HPa": "hPa", "kpa": "kPa", "mAH": "mAh", "% RH": "%RH", "%rh": "%RH",
    "VAr": "var", "kvar": "kvar",
    # other capitalization
    "KG": "kg", "Kg": "kg", "MG": "mg", "KM": "km", "Km": "km", "CM": "cm", "Cm": "cm", "MM": "mm", "ML": "ml", "Ml": "ml", "KMH": "km/h",
    "KM/H": "km/h", "Km/H": "km/h", "km/H": "km/h", "KPH": "km/h", "MPH": "mph", "Mph": "mph", "KWH": "kWh", "WH": "Wh", "wh": "Wh", "mwh": "MWh",
    "mbps": "Mb/s", "mbit": "Mb", "MBit": "Mb", "gbit": "Gb", "GBit": "Gb", "mbit/s": "Mb/s", "MBit/s": "Mb/s", "gbit/s": "Gb/s", "MBPS": "Mb/s", "gbps": "Gb/s", "GBPS": "Gb/s", "KBPS": "kb/s", "mb": "MB", "gb": "GB", "tb": "TB", "kb": "kB", "Mb/S": "Mb/s",
    "HZ": "Hz", "KHZ": "kHz", "Khz": "kHz", "mhz": "MHz", "ghz": "GHz", "HPA": "hPa", "KPA": "kPa", "PPM": "ppm", "PPB": "ppb", "LUX": "lx", "Lux": "lx", "LX": "lx",
    "DB": "dB", "Db": "dB", "dbm": "dBm", "DBM": "dBm", "°c": "°C", "°f": "°F", "ºc": "°C", "mah": "mAh", "MAH": "mAh", "LB": "lb", "LBS": "lb",
    "OZ": "oz", "FT": "ft",
    "КГ": "kg", "Кг": "kg", "КМ": "km", "Км": "km", "СМ": "cm", "ММ": "mm", "МЛ": "ml", "КВТ": "kW", "квт": "kW", "вт": "W", "ВТ": "W", "квт·ч": "kWh",
    "квтч": "kWh", "КВтч": "kWh", "гб": "GB", "мб": "MB", "тб": "TB", "гц": "Hz", "мгц": "MHz", "ггц": "GHz",
    # Russian
    "м": "m", "км": "km", "см": "cm", "мм": "mm", "дм": "dm", "г": "g", "кг": "kg", "мг": "mg", "мкг": "µg", "т": "t", "л": "l",
    "мл": "ml", "с": "s", "сек": "s", "мин": "min", "мин.": "min", "сек.": "s", "ч": "h", "час": "h", "мс": "ms", "дн": "d", "сут": "d", "Вт": "W", "кВт": "kW",
    "МВт": "MW", "Вт·ч": "Wh", "Вт*ч": "Wh", "Втч": "Wh", "кВт·ч": "kWh", "кВт*ч": "kWh", "кВтч": "kWh", "кВт⋅ч": "kWh", "кВт∙ч": "kWh",
    "кВт-ч": "kWh", "МВт·ч": "MWh", "В": "V", "кВ": "kV", "мВ": "mV", "А": "A", "мА": "mA", "мАч": "mAh", "мА·ч": "mAh", "А·ч": "Ah",
    "Гц": "Hz", "кГц": "kHz", "МГц": "MHz", "ГГц": "GHz", "Па": "Pa", "гПа": "hPa", "кПа": "kPa", "МПа": "MPa", "мбар": "mbar",
    "бар": "bar", "дБ": "dB", "лк": "lx", "лм": "lm", "Дж": "J", "кДж": "kJ", "ккал": "kcal", "кал": "cal", "Ом": "Ω",
    "кОм": "kΩ", "Б": "B", "КБ": "kB", "кБ": "kB", "МБ": "MB", "ГБ": "GB", "ТБ": "TB", "бит": "b", "Мбит": "Mb", "Кбит": "kb", "Гбит": "Gb",
    "га": "ha", "м²": "m²", "м2": "m²", "м³": "m³", "м3": "m³", "км²": "km²", "см²": "cm²", "см³": "cm³", "куб. м": "m³", "кв. м": "m²",
    "кв.м": "m²", "куб.м": "m³", "мм рт. ст.": "mmHg", "мм рт.ст.": "mmHg", "мкм": "µm", "нм": "nm", "Н": "N", "мкЗв": "µSv", "Зв": "Sv",
    # Chinese, Japanese and Korean keep their words; units in Latin letters are above.
    "Std.": "h", "Std": "h", "Min.": "min", "Sek.": "s", "Sek": "s",
}  # fmt: skip
"""Other spellings of a symbol → the symbol of the table."""

_PREFIXES_OF_UNIT = {
    "W": "kMGTmµ", "Wh": "kMGTm", "VA": "kM", "var": "kM", "V": "kMmµ", "A": "kmµ", "Ah": "km", "Hz": "kMGTm", "Pa": "khMG",
    "J": "kMG", "cal": "k", "N": "k", "Ω": "kMm", "Bq": "kM", "Sv": "mµ", "S_": "mµ", "b": "kMGT", "B": "kMGT", "mol": "mµ",
}  # fmt: skip
"""Unit → the prefixes it is used with."""
_WRITTEN_SYMBOL = {"S_": "S", "F_": "F"}


TIME_SYMBOLS = frozenset({"h", "s", "min", "d", "wk", "mo", "yr"})
"""Denominators that are a time: Chinese, Japanese and Korean put them first."""


@functools.cache
def _read_section(name: str) -> dict[str, tuple[str, ...]]:
    """Return a section of ``units.txt``: symbol → a column for each of LANGUAGES."""
    text = (Path(__file__).parent / "units.txt").read_text("utf-8")
    _, _, rest = text.partition(f"[{name}]\n")
    return _parse_rows(rest.partition("\n[")[0])


def _parse_rows(table: str) -> dict[str, tuple[str, ...]]:
    rows = {}
    for line in table.strip().splitlines():
        symbol, _, columns = line.partition(": ")
        rows[symbol] = tuple(column.strip() for column in columns.split(";"))
    return rows


def parse_name(column: str) -> UnitName:
    """Return the name in a column of ``units.txt``."""
    forms, _, gender = column.partition("/")
    return UnitName(tuple(forms.split("|")), gender or "m")


def _add_prefix(prefix: str, name: UnitName, language: str) -> UnitName:
    return UnitName(tuple(prefix + _lower_in_compound(form, language) for form in name.forms), name.gender)


def _lower_in_compound(form: str, language: str) -> str:
    """Return a German noun as a part of a compound."""
    return form[:1].lower() + form[1:] if language == "de" else form


_POWERS = {
    # language → (square, cubic) as patterns for (one, many); German, Chinese, Japanese and Korean use a prefix
    "en": (("square {}", "square {}"), ("cubic {}", "cubic {}")),
    "de": (("Quadrat{}", "Quadrat{}"), ("Kubik{}", "Kubik{}")),
    "fr": (("{} carré", "{} carrés"), ("{} cube", "{} cubes")),
    "es": (("{} cuadrado", "{} cuadrados"), ("{} cúbico", "{} cúbicos")),
    "pt": (("{} quadrado", "{} quadrados"), ("{} cúbico", "{} cúbicos")),
    "it": (("{} quadrato", "{} quadrati"), ("{} cubo", "{} cubi")),
    "ru": (
        ("квадратный {}", "квадратных {}", "квадратных {}"),
        ("кубический {}", "кубических {}", "кубических {}"),
    ),
    "zh": (("平方{}",), ("立方{}",)),
    "ja": (("平方{}",), ("立方{}",)),
    "ko": (("제곱{}",), ("세제곱{}",)),
}
_LENGTHS = ("m", "km", "dm", "cm", "mm", "mi", "yd", "ft", "in")


def _add_power(name: UnitName, patterns: tuple[str, ...], language: str) -> UnitName:
    forms = name.forms if len(name.forms) > 1 else name.forms * len(patterns)
    if name.gender == "f" and language in {"es", "pt", "it"}:  # milla cuadrada, polegadas cúbicas
        patterns = tuple(re.sub("o(s?)$", r"a\1", pattern) for pattern in patterns)
    pairs = zip(patterns, forms, strict=False)
    return UnitName(
        tuple(pattern.format(_lower_in_compound(form, language)) for pattern, form in pairs), name.gender
    )


@functools.cache
def unit_names(language: str) -> dict[str, UnitName]:
    """Return symbol → name for every unit that is not a rate, in ``language`` (one of LANGUAGES)."""
    column = LANGUAGES.index(language)
    names = {symbol: parse_name(row[column]) for symbol, row in _read_section("units").items()}
    prefixes = {symbol: row[column] for symbol, row in _read_section("prefixes").items()}
    for symbol, wanted in _PREFIXES_OF_UNIT.items():
        for letter in wanted:
            written = letter + _WRITTEN_SYMBOL.get(symbol, symbol)
            names.setdefault(written, _add_prefix(prefixes[letter], names[symbol], language))
    for exponent, sign in enumerate("²³"):
        for symbol in _LENGTHS:
            names[symbol + sign] = _add_power(names[symbol], _POWERS[language][exponent], language)
    return names


@functools.cache
def denominators(language: str) -> dict[str, str]:
    """Return symbol → words after "per" in ``language``."""
    column = LANGUAGES.index(language)
    return {symbol: row[column] for symbol, row in _read_section("per").items()}


def canonical_symbol(symbol: str) -> str:
    """Return the spelling of ``symbol`` in the table."""
    symbol = symbol.replace("μ", "µ").replace("\u2126", "Ω")
    return _SPELLINGS.get(symbol) or _SYMBOL_OF_TIME_WORD.get(symbol, symbol)


@functools.cache
def denominator_symbols(language: str) -> frozenset[str]:
    """Return every spelling of a denominator."""
    known = denominators(language)
    return frozenset(known).union(
        alias for alias, symbol in (_SPELLINGS | _SYMBOL_OF_TIME_WORD).items() if symbol in known
    )


def time_words() -> list[str]:
    """Return every word for a time in a denominator."""
    return list(_SYMBOL_OF_TIME_WORD)


@functools.cache
def unit_symbols() -> frozenset[str]:
    """Return every spelling of a unit that is not a rate."""
    known = {symbol for symbol in unit_names("en") if not symbol.endswith("_")}
    return frozenset(known).union(
        alias for alias, symbol in _SPELLINGS.items() if symbol in known or "/" in symbol
    )
