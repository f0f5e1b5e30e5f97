"""Currencies in ten languages: the names of the unit and of its hundredth."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ...speech import LANGUAGES


@dataclass(frozen=True, slots=True)
class CurrencyName:
    """The names of a currency in one language; ``minor`` is empty where there is no smaller unit."""

    major: tuple[str, ...]
    minor: tuple[str, ...]
    gender: str = "m"
    minor_gender: str = "m"


_SYMBOLS = {
    "$": "USD", "US$": "USD", "USD": "USD", "€": "EUR", "EUR": "EUR", "£": "GBP", "GBP": "GBP", "¥": "JPY", "￥": "JPY",
    "JPY": "JPY", "CNY": "CNY", "RMB": "CNY", "₩": "KRW", "KRW": "KRW", "₽": "RUB", "RUB": "RUB", "R$": "BRL", "BRL": "BRL",
    "CHF": "CHF", "CAD": "CAD", "C$": "CAD", "CA$": "CAD", "AUD": "AUD", "A$": "AUD", "AU$": "AUD", "HK$": "HKD", "HKD": "HKD", "NT$": "TWD", "TWD": "TWD", "₹": "INR", "INR": "INR", "zł": "PLN", "PLN": "PLN", "₺": "TRY", "TRY": "TRY", "₴": "UAH", "UAH": "UAH",
    "MXN": "MXN", "MX$": "MXN", "SEK": "SEK", "kr": "SEK", "NOK": "NOK", "DKK": "DKK", "CZK": "CZK", "Kč": "CZK", "₿": "BTC", "BTC": "BTC", "¢": "cent",
}  # fmt: skip
_LOCAL = {
    "de": {"ct": "cent", "Ct": "cent", "SFr.": "CHF", "sFr.": "CHF", "Fr.": "CHF"},
    "en": {"SFr.": "CHF", "sFr.": "CHF"},
    "fr": {"Fr.": "CHF", "fr.": "CHF", "cts": "cent", "ct": "cent"},
    "it": {"Fr.": "CHF", "fr.": "CHF"},
    "zh": {"¥": "CNY", "￥": "CNY", "元": "CNY"},
    "ru": {"руб.": "RUB", "руб": "RUB", "р.": "RUB", "коп.": "kop"},
    "ja": {"円": "JPY"},
    "ko": {"원": "KRW"},
}


@functools.cache
def currency_symbols(language: str) -> dict[str, str]:
    """Return symbol or abbreviation → ISO 4217 code, as written in ``language``."""
    return {symbol: code for symbol, code in (_SYMBOLS | _LOCAL.get(language, {})).items() if code != "kop"}


_FRANCS = {
    "en": "franc francs Franken",
    "de": "Franken",
    "fr": "franc francs",
    "it": "franco franchi",
    "es": "franco francos",
    "pt": "franco francos",
}
"""Words for francs: they mean Swiss francs unless the text says otherwise."""
_NAMED = ("EUR", "USD", "CHF", "CAD", "AUD", "RUB", "UAH", "PLN")
"""Currencies whose names are unambiguous: pounds, for example, are a weight too."""


@functools.cache
def currency_names(language: str) -> dict[str, str]:
    """Return name → ISO 4217 code for the currencies in ``language``."""
    codes = [*_NAMED, "BRL"] if language == "pt" else _NAMED
    words = {form: code for code in codes for form in find_currency(language, code).major}
    return dict.fromkeys(_FRANCS.get(language, "").split(), "CHF") | words


@functools.cache
def find_currency(language: str, code: str) -> CurrencyName:
    """Return the names of the currency ``code`` (ISO 4217) in ``language``. Raises KeyError."""
    for line in (Path(__file__).parent / "currencies.txt").read_text("utf-8").splitlines():
        key, _, columns = line.partition(": ")
        if key == code:
            major, _, minor = columns.split("; ")[LANGUAGES.index(language)].partition(",")
            forms, _, gender = major.partition("/")
            minor_forms, _, minor_gender = minor.partition("/")
            return CurrencyName(
                tuple(forms.split("|")),
                tuple(minor_forms.split("|")) if minor_forms else (),
                gender or "m",
                minor_gender or "m",
            )
    raise KeyError(code)
