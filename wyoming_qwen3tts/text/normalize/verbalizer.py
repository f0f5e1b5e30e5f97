"""Numbers, measures, money, dates and times in words.

``Verbalizer`` has what all languages share, and declares what each language must define. Its methods are
named after the semiotic class that they verbalize (cardinal, ordinal, decimal, fraction, measure, money,
date, time, telephone), the standard terms of text normalization.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import numbers, powers_of_ten, units
from .currencies import CurrencyName, find_currency
from .maths import named_power
from .numbers import Number
from .vocabulary import Vocabulary

MINUS_SIGNS = frozenset("-−–‐‑—－")


class Verbalizer(Vocabulary):
    """Puts numbers and other semiotic classes into words; a language overrides what it says differently."""

    def __init__(self, region: str = "") -> None:
        """``region``: one of ``regions``, or empty."""
        self._units = units.unit_names(self.language_code)
        self._denominators = units.denominators(self.language_code)

    def adapt_to_region(self, words: str, written: str) -> str:
        """Return ``words`` in the variety of the region. ``written``: the text that they stand for."""
        return words

    # --- words and numbers ---

    def cardinal(self, value: int, gender: str = "m") -> str:
        """Return a whole number, 0 or more, in words. ``gender`` (m, f, n): of the noun that is counted."""
        return numbers.to_words(value, self.language_code) or str(value)

    def cardinal_before_noun(self, value: int, gender: str) -> str:
        """Return a whole number in words, in the form before a noun."""
        return self.cardinal(value, gender)

    def ordinal(self, value: int, gender: str = "m") -> str:
        """Return an ordinal in words, in the form without a noun."""
        return numbers.to_words(value, self.language_code, "ordinal") or str(value)

    def year(self, value: int) -> str:
        """Return a year in words."""
        return self.cardinal(value)

    def spell_digits(self, text: str) -> str:
        """Return the digits of ``text`` one by one; other characters are dropped."""
        return self.join(self.cardinal(int(digit)) for digit in text if digit.isdecimal())

    def join(self, words: Iterator[str] | list[str]) -> str:
        """Return words joined with spaces, or without in languages that have none."""
        return (" " if self.uses_spaces else "").join(word for word in words if word)

    def decimal_digits(self, text: str) -> str:
        """Return the digits after the decimal mark in words: one by one."""
        return self.spell_digits(text)

    def number(self, number: Number, gender: str = "m", *, before_noun: bool = False) -> str:
        """Return any number in words. ``before_noun``: a noun follows."""
        if len(number.whole) > numbers.MAX_DIGITS:
            words = self.spell_digits(number.whole)
        elif number.fraction:
            words = self.decimal(number)
        elif before_noun:
            words = self.cardinal_before_noun(number.value, gender)
        else:
            words = self.cardinal(number.value, gender)
        if number.negative:
            words = self.join([self.minus, words])
        return words

    def decimal(self, number: Number) -> str:
        """Return a decimal in words, without its sign."""
        return self.join([self.cardinal(number.value), self.point, self.decimal_digits(number.fraction)])

    def parse_number(self, text: str, sign: str | None = None) -> Number:
        """Return the number that ``text`` writes in this language."""
        return numbers.parse_number(text, self.decimal_mark, negative=(sign or "").strip() in MINUS_SIGNS)

    def plural_form(self, number: Number, forms: tuple[str, ...]) -> str:
        """Return the form of a noun that goes with ``number``."""
        return forms[0] if number.is_one and not number.fraction else forms[-1]

    # --- measures ---

    def measure(self, number: Number, symbol: str) -> str | None:
        """Return a number with its unit in words; None if the unit is not known."""
        symbol = units.canonical_symbol(symbol)
        name = self._units.get(symbol)
        if name is not None:
            return self.quantity(number, name)
        top, _, bottom = symbol.partition("/")
        top, bottom = units.canonical_symbol(top), units.canonical_symbol(bottom)
        name = self._units.get(top)
        if name is None or bottom not in self._denominators:
            return None
        return self.rate(number, name, top, bottom)

    def quantity(self, number: Number, name: units.UnitName) -> str:
        """Return a quantity of a unit in words."""
        return self.join(
            [self.number(number, name.gender, before_noun=True), self.plural_form(number, name.forms)]
        )

    def rate(self, number: Number, name: units.UnitName, top: str, bottom: str) -> str:
        """Return a quantity of a unit per another unit in words."""
        return f"{self.quantity(number, name)} {self.per_unit(top, bottom)}"

    def per_unit(self, top: str, bottom: str) -> str:
        """Return "per hour" and the like."""
        raise NotImplementedError

    def unit_name(self, symbol: str) -> str | None:
        """Return the name of a unit without a number: its plural."""
        words = self.measure(Number("5"), symbol)
        return words.replace(self.cardinal(5), "", 1).strip() if words is not None else None

    def is_unit(self, symbol: str) -> bool:
        """Tell whether ``symbol`` is a unit with a name."""
        return self.measure(Number("2"), symbol) is not None

    # --- money ---

    def money(self, number: Number, code: str) -> str:
        """Return an amount in words. ``code``: ISO 4217."""
        names = find_currency(self.language_code, code)
        cents = number.fraction.ljust(2, "0") if number.fraction and len(number.fraction) <= 2 else ""
        if number.fraction and (not cents or not names.minor):
            return self.join([self.number(number, names.gender), self.plural_form(number, names.major)])
        sign = [self.minus] if number.negative else []
        whole, minor = Number(number.whole), Number(str(int(cents or "0")))
        if minor.value and not whole.value:
            return self.join([*sign, self.minor_amount(minor, names)])
        words = self.join(
            [self.number(whole, names.gender, before_noun=True), self.plural_form(whole, names.major)]
        )
        if minor.value:
            words = self.join_major_and_minor(words, whole, minor, names)
        return self.join([*sign, words])

    def minor_amount(self, minor: Number, names: CurrencyName) -> str:
        """Return cents in words."""
        gender = names.minor_gender
        return self.join([self.number(minor, gender, before_noun=True), self.plural_form(minor, names.minor)])

    def trailing_cents(self, minor: Number, names: CurrencyName) -> str:
        """Return cents after euros: the number without "cents", unless it is one."""
        return self.minor_amount(minor, names) if minor.is_one else self.cardinal(minor.value)

    def join_major_and_minor(self, words: str, whole: Number, minor: Number, names: CurrencyName) -> str:
        """Return an amount of euros and cents; ``words`` are the euros."""
        return self.join([words, self.minor_amount(minor, names)])

    def scaled_number(self, number: Number, scale: str) -> Number | str:
        """Return a number times a power of ten: as a number, or in words where the power is a noun."""
        power = (powers_of_ten.words_for_powers(self.language_code) | powers_of_ten.SCALE_LETTERS).get(
            scale, 0
        )
        if self.amount_scales or not power:
            return self.join([self.number(number, before_noun=number.value == 2), scale])
        noun = self.power_of_ten_name(power)
        if noun is None:
            return powers_of_ten.multiply_by_power(number, power)
        if number.is_one and noun.one.startswith("mil "):
            return noun.one
        if scale in noun.forms:  # 1,5 million, 1,5 millions: keep the written form
            return self.join([self.number(number, noun.gender, before_noun=True), scale])
        return self.quantity(number, noun)

    def power_of_ten_name(self, power: int) -> units.UnitName | None:
        """Return the noun for a power of ten."""
        return powers_of_ten.power_name(self.language_code, power)

    def noun_after_million(self, noun: str) -> str:
        """Return a noun in the form after millions."""
        return noun

    def scaled_money(self, number: Number, scale: str, code: str) -> str:
        """Return "one point five million dollars"."""
        amount = self.scaled_number(number, scale)
        if isinstance(amount, Number):
            return self.money(amount, code)
        return self.join([amount, self.noun_after_million(find_currency(self.language_code, code).major[-1])])

    def scaled_measure(self, number: Number, scale: str, symbol: str) -> str | None:
        """Return "one hundred million kilograms"; None if the unit is not known."""
        amount, name = self.scaled_number(number, scale), self.unit_name(symbol)
        if isinstance(amount, Number):
            return self.measure(amount, symbol)
        return self.join([amount, self.noun_after_million(name)]) if name else None

    # --- time ---

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        """Return a date in words. ``before``: the text in front of it, which may govern its case."""
        raise NotImplementedError

    def month_year(self, month: int, year: int) -> str:
        """Return "December 2024" in words."""
        return self.join([self.months[month - 1], self.year(year)])

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        """Return a time of day in words. ``half``: am or pm, where written."""
        raise NotImplementedError

    def valid_time(self, hour: int, minute: int, second: int | None) -> bool:
        """Tell whether hour, minute and second are a time of day."""
        return hour <= 24 and minute < 60 and (second is None or second < 60)

    # --- everything else ---

    def fraction(self, top: int, bottom: int) -> str:
        """Return a common fraction in words."""
        raise NotImplementedError

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        """Return a whole number and a fraction in words."""
        return self.join([self.cardinal(whole), self.symbols["&"], self.fraction(top, bottom)])

    def half_before_noun(self, noun: str) -> str | None:
        """Return half of what ``noun`` names, without the noun; None where a fraction is used."""
        return None

    def spell_letters(self, text: str) -> str:
        """Return letters spelled out."""
        return " ".join(text.upper())

    def ip_address(self, text: str) -> str:
        """Return an IPv4 address in words."""
        dot = f" {self.dot} " if self.uses_spaces else self.dot
        return dot.join(self.ip_octet(part) for part in text.split("."))

    def ip_octet(self, text: str) -> str:
        """Return a part of an IPv4 address in words."""
        return self.cardinal(int(text))

    def telephone(self, text: str) -> str:
        """Return a telephone number digit by digit, with pauses between groups."""
        groups = re.findall(r"\d+", text)
        words = ", ".join(self.telephone_group(group) for group in groups)
        return f"{self.plus} {words}" if text.startswith("+") else words

    def telephone_group(self, digits: str) -> str:
        """Return a group of a telephone number."""
        return self.spell_digits(digits)

    def http_status(self, code: str) -> str:
        """Return an HTTP status digit by digit."""
        return self.spell_digits(code)

    def version(self, text: str) -> str:
        """Return a version number: numbers with points between them."""
        point = self.point if self.decimal_mark == "." else self.dot
        separator = f" {point} " if self.uses_spaces else point
        return separator.join(
            self.spell_digits(part)
            if part.startswith("0") and len(part) > 1
            else (self.year if re.fullmatch(r"(?:19|20)\d\d", part) else self.cardinal)(int(part))
            for part in text.split(".")
        )

    def range(self, low: str, high: str) -> str:
        """Return a range of two numbers that are already in words."""
        return self.join([low, self.range_word, high])

    def regnal_number(self, name: str, value: int) -> str | None:
        """Return the meaning of a Roman numeral after ``name``; None if it is no numeral."""
        return None

    def key_name(self, sign: str) -> str:
        """Return the name of a telephone key: * or #."""
        return self.symbols["*" if sign in "*＊" else "#"]

    def weekday_range(self, first: str, to: str, last: str) -> str:
        """Return "Monday to Friday"."""
        return f"{first} {to} {last}"

    def date_and_time(self, date: str, time: str) -> str:
        """Return a date and a time of day together."""
        return f"{date}, {time}" if self.uses_spaces else date + time

    def time_zone(self, written: str) -> str:
        """Return a time zone: Z, or an offset from UTC."""
        utc = self.spell_letters("UTC") if self.spells_acronyms else "UTC"
        if written == "Z":
            return utc
        hours, minutes = int(written[1:3]), int(written[-2:])
        words = [utc, self.plus if written[0] == "+" else self.minus, self.cardinal(hours)]
        return " ".join([*words, self.cardinal(minutes)] if minutes else words)

    def proportion(self, low: str, high: str) -> str:
        """Return a proportion or score."""
        return self.range(low, high)

    def amount_per_unit(self, words: str, bottom: str) -> str:
        """Return an amount per unit; ``words`` are the amount."""
        return f"{words} {self.per_unit('', bottom)}"

    def consumption(self, liters: str, distance: str) -> str:
        """Return a consumption: liters per hundred kilometers."""
        return f"{liters} {self.symbols['per']} {distance}"

    def unit_of_fraction(self, name: units.UnitName) -> str:
        """Return the name of a unit after a fraction."""
        return name.one

    def clean_scale_word(self, written: str) -> str:
        """Return a word for a power of ten without the preposition after it."""
        return re.sub(r"\sd(?:[ei]|['’])$", "", written)

    def power(self, base: str, exponent: Number) -> str:
        """Return a power in words; ``base`` already is."""
        if named := named_power(self.language_code, exponent):
            return f"{base} {named}"
        return self.join([base, self.symbols["^"], self.number(exponent)])

    def version_word(self) -> str:
        """Return the word for the v in v2.1."""
        return "version"

    def spell_token_letters(self, text: str) -> str:
        """Return the letters of a name such as CO2, spelled where the language spells acronyms."""
        return (
            self.spell_letters(text) if self.spells_acronyms and text.isupper() and len(text) <= 4 else text
        )
