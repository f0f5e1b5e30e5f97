"""SSML's ``<say-as interpret-as="…">``: text whose author says what kind of text it is."""

from __future__ import annotations

import re
from collections.abc import Callable

from .normalizer import Normalizer

_ORDER = re.compile(r"[ymd]+")


def interpret(rules: Normalizer, kind: str, form: str, text: str) -> str | None:
    """Return ``text`` verbalized as ``kind``; None if it is not text of that kind.

    ``kind``: a name of the W3C's note or of the large speech platforms. ``form``: the ``format`` attribute,
    such as ``mdy`` for a date.
    """
    handler = _KINDS.get(kind)
    words = handler(rules, form, text.strip()) if handler is not None else None
    return rules.adapt_to_region(words, text) if words is not None else None


def _characters(rules: Normalizer, form: str, text: str) -> str | None:
    words = []
    for character in text:
        if character.isdecimal():
            words.append(rules.cardinal(int(character)))
        elif character.isalpha():
            words.append(character.upper())
        elif character in rules.symbols and character.strip():
            words.append(rules.symbols[character])
        elif character in ".-_:/@":
            words.append({".": rules.dot, "-": rules.dash, "_": rules.underscore, ":": rules.colon, "/": rules.slash, "@": rules.at}[character])  # fmt: skip
    return " ".join(words) or None


def _cardinal(rules: Normalizer, form: str, text: str) -> str | None:
    match = re.fullmatch(rf"(?P<sign>[-−+]?)(?P<n>{rules.num})", text)
    return rules.number(rules.parse_number(match["n"], match["sign"] or None)) if match else None


def _ordinal(rules: Normalizer, form: str, text: str) -> str | None:
    digits = re.match(r"\d+", text)
    return rules.ordinal(int(digits[0])) if digits else None


def _digits(rules: Normalizer, form: str, text: str) -> str | None:
    return rules.spell_digits(text) or None


def _date(rules: Normalizer, form: str, text: str) -> str | None:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    order = form.lower() if _ORDER.fullmatch(form.lower()) and len(form) == len(numbers) else ""
    if not order:
        return None
    found = dict(zip(order, numbers, strict=True))
    month, day, year = found.get("m"), found.get("d"), found.get("y")
    if month is None or not 1 <= month <= 12 or (day is not None and not 1 <= day <= 31):
        return None
    if day is None:
        return rules.month_year(month, year) if year is not None else rules.months[month - 1]
    return rules.date(year, month, day)


def _time(rules: Normalizer, form: str, text: str) -> str | None:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text)
    if match is None or not rules.valid_time(int(match[1]), int(match[2]), int(match[3] or 0)):
        return None
    return rules.time(int(match[1]), int(match[2]), int(match[3]) if match[3] else None)


def _telephone(rules: Normalizer, form: str, text: str) -> str | None:
    return rules.telephone(text) if any(character.isdecimal() for character in text) else None


def _fraction(rules: Normalizer, form: str, text: str) -> str | None:
    match = re.fullmatch(r"(?:(\d+)[ +])?(\d+)/(\d+)", text)
    if match is None or int(match[3]) == 0:
        return None
    top, bottom = int(match[2]), int(match[3])
    return rules.mixed_number(int(match[1]), top, bottom) if match[1] else rules.fraction(top, bottom)


def _expletive(rules: Normalizer, form: str, text: str) -> str | None:
    return "beep"


_KINDS: dict[str, Callable[[Normalizer, str, str], str | None]] = {
    "characters": _characters,
    "spell-out": _characters,
    "spellout": _characters,
    "verbatim": _characters,
    "letters": _characters,
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "digits": _digits,
    "number_digit": _digits,
    "date": _date,
    "time": _time,
    "telephone": _telephone,
    "phone": _telephone,
    "fraction": _fraction,
    "expletive": _expletive,
    "bleep": _expletive,
}
