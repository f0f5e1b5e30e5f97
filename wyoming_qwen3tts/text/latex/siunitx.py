r"""Numbers and units of LaTeX's package siunitx → plain text: ``\SI{5}{\kilo\meter}`` is ``5 km``."""

from __future__ import annotations

import re

ARGUMENT_COUNTS = {
    "SI": 2,
    "qty": 2,
    "si": 1,
    "unit": 1,
    "num": 1,
    "ang": 1,
    "SIrange": 3,
    "qtyrange": 3,
    "numrange": 2,
}
"""Command → number of arguments."""

_PREFIXES = {
    "kilo": "k", "mega": "M", "giga": "G", "tera": "T", "hecto": "h", "deci": "d", "centi": "c", "milli": "m",
    "micro": "µ", "nano": "n", "pico": "p",
}  # fmt: skip
_SYMBOLS = {
    "meter": "m", "metre": "m", "gram": "g", "kilogram": "kg", "second": "s", "minute": "min", "hour": "h",
    "day": "d", "liter": "L", "litre": "L", "celsius": "°C", "degreeCelsius": "°C", "degree": "°",
    "percent": "%", "watt": "W", "volt": "V", "ampere": "A", "ohm": "Ω", "hertz": "Hz", "pascal": "Pa",
    "bar": "bar", "joule": "J", "newton": "N", "mole": "mol", "kelvin": "K", "byte": "B", "bit": "bit",
    "lumen": "lm", "lux": "lx", "tonne": "t", "hectare": "ha", "decibel": "dB", "electronvolt": "eV",
    "volume": "L", "square": "²", "squared": "²", "cubic": "³", "cubed": "³", "per": "/",
}  # fmt: skip
_POWERS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_WORD = re.compile(r"\\([A-Za-z]+)\s*|(.)", re.S)
_RATE = re.compile(
    r"([A-Za-zµΩ]{1,3})(?:\\[,;: ]|\\cdot|[\s~·]){0,3}([A-Za-z]{1,3})\^(?:\{-([123])\}|-([123]))"
)
_BEFORE_UNIT = re.compile(r"([²³])([a-zA-ZµΩ°]+)")


def format_quantity(command: str, arguments: list[str]) -> str:
    """Return the text for a command of ``ARGUMENT_COUNTS``, given its arguments without braces."""
    if command in {"si", "unit"}:
        return _format_unit(arguments[0])
    numbers = [_format_number(argument) for argument in arguments]
    if command == "ang":
        return f"{numbers[0]}°"
    if command in {"num", "numrange"}:
        return "–".join(numbers)
    unit = _format_unit(arguments[-1])
    return f"{'–'.join(numbers[:-1])}{'' if unit in {'°', '%'} else ' '}{unit}"


def _format_number(source: str) -> str:
    number = source.strip().replace(" ", "").replace("+-", " ± ").replace("\\pm", " ± ")
    if power := re.fullmatch(r"(.+?)[eE]([+-]?\d+)", number):
        return f"{power[1]} × 10{power[2].lstrip('+').translate(_POWERS)}"
    return number


def _format_unit(source: str) -> str:
    """Return the symbol of a unit that is written as symbols, or as commands for its parts."""
    source = re.sub(r"\\tothe\{(\d)\}|\^\{?(-?\d)\}?", lambda m: (m[1] or m[2]).translate(_POWERS), source)
    parts = (
        (_PREFIXES.get(name) or _SYMBOLS.get(name) or name) if (name := part[1]) else part[2].strip(" {}~.")
        for part in _WORD.finditer(source)
    )
    unit = "".join(parts)
    return format_per_second(_BEFORE_UNIT.sub(r"\2\1", unit) if "\\" in source else unit)


def convert_negative_power(source: str) -> str:
    """Return a unit with a negative power, ``m s^{-1}``, as one with a slash."""
    if rate := _RATE.fullmatch(source):
        power = rate[3] or rate[4]
        return format_per_second(f"{rate[1]}/{rate[2]}{'' if power == '1' else power.translate(_POWERS)}")
    return source


def format_per_second(unit: str) -> str:
    """Return a unit in the spelling that normalization knows: ``m/s^2``."""
    return unit.replace("/s²", "/s^2")
