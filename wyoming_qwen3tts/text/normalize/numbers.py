"""Numbers: parsed from text, and put into words by libraries.

num2words supports seven of the ten languages; inflect is the fallback in English. If a library fails on a
number, the failure is logged and the number stays as it is written.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_LOGGER = logging.getLogger(__name__)

MAX_DIGITS = 15
"""Digits of the longest number that is read as a quantity, up to the trillions; longer ones are read digit by
digit.
"""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written: ``-1,234.50`` has the parts 1234 and ``50``."""

    whole: str
    """Digits, no separators."""
    fraction: str = ""
    """Digits after the decimal mark, with trailing zeros: they are read too."""
    negative: bool = False

    @property
    def value(self) -> int:
        """The whole part."""
        return int(self.whole)

    @property
    def is_one(self) -> bool:
        """Whether it is exactly 1 or -1, which goes with a singular noun."""
        return self.whole.lstrip("0") == "1" and not self.fraction.strip("0")


def number_pattern(decimal: str) -> str:
    """Return a regular expression for a number without sign, in a language with the decimal mark ``decimal``.

    Home Assistant writes states with a point in every language, so a point that groups no thousands is a
    decimal mark everywhere, and so is a comma. After groups with an apostrophe (Swiss: 1'234.50) both are.
    """
    group = "," if decimal == "." else "."
    # A space groups digits where that is the custom; in English only before 000 ("May 5 2024", "10 000").
    space = " (?=000)" if decimal == "." else " "
    grouped = rf"[1-9]\d{{0,2}}(?:(?:[{group}\u00a0\u202f\u2009]|{space})\d{{3}})+(?!\d)"
    fraction = rf"(?:{re.escape(decimal)}\d+(?![.,]?\d))?"
    swiss = r"[1-9]\d{0,2}(?:['’]\d{3})+(?!\d)(?:[.,]\d+(?![.,]?\d))?"
    return rf"(?:{_foreign_grouping_pattern(decimal)}(?![.,]?\d)|{swiss}|{grouped}{fraction}|\d+(?:[.,]\d+)?)"


def _foreign_grouping_pattern(decimal: str) -> str:
    """Return a pattern for numbers that are grouped as in other languages, such as 1.234,56 in English.

    Two or more groups without decimals, 1,234,567, are unambiguous as well, but not where the point is the
    decimal mark: there 1.234.567 may be a version.
    """
    group = "," if decimal == "." else "."
    groups = rf"[1-9]\d{{0,2}}(?:{re.escape(decimal)}\d{{3}})"
    with_fraction = rf"{groups}+{re.escape(group)}\d{{1,2}}"
    return with_fraction if decimal == "." else rf"(?:{with_fraction}|{groups}{{2,}})"


def parse_number(text: str, decimal: str, *, negative: bool = False) -> Number:
    """Return the number in ``text``, a match of ``number_pattern``."""
    group = "," if decimal == "." else "."
    swiss = "'" in text or "’" in text
    text = re.sub(r"[\s'’]", "", text)
    if not swiss and re.fullmatch(_foreign_grouping_pattern(decimal), text):
        text = text.replace(decimal, "").replace(group, ".")
    elif not swiss and re.fullmatch(
        rf"[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+(?:{re.escape(decimal)}\d+)?", text
    ):
        text = text.replace(group, "")
    whole, _, fraction = text.replace(",", ".").partition(".")
    return Number(whole or "0", fraction, negative)


@functools.lru_cache(maxsize=4096)
def to_words(value: int, language: str, kind: str = "cardinal", **forms: str) -> str | None:
    """Return ``value`` in the words of ``language``; None if no library can.

    ``kind``: cardinal, ordinal or year. ``forms``: inflection (Russian: case, gender).
    """
    for library in (_num2words, _inflect) if language == "en" else (_num2words,):
        try:
            return library(value, language, kind, forms)
        except Exception:
            _LOGGER.warning(
                "normalize: library cannot verbalize a number library=%s number=%d language=%s",
                library.__name__[1:],
                value,
                language,
                exc_info=True,
            )
    return None


def _num2words(value: int, language: str, kind: str, forms: dict[str, str]) -> str:
    from num2words import num2words

    convert: Callable[..., str] = num2words
    return convert(value, lang=language, to=kind, **forms)


def _inflect(value: int, language: str, kind: str, forms: dict[str, str]) -> str:
    engine = _load_inflect()
    if kind == "year" and value >= 1000 and (value < 2000 or value % 1000 >= 10):
        tail = "hundred" if value % 100 == 0 else engine.number_to_words(f"{value % 100:02d}", group=2)
        return f"{engine.number_to_words(value // 100)} {tail.replace('zero', 'oh')}".replace(",", "")
    words = engine.number_to_words(value)
    return str(engine.ordinal(words) if kind == "ordinal" else words)


@functools.cache
def _load_inflect() -> Any:
    import inflect

    return inflect.engine()
