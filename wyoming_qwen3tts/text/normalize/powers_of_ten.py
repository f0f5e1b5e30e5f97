"""Words for powers of ten between a number and its noun: 2,5 Mio. €, $3bn, 100 millions de kg."""

from __future__ import annotations

import functools

from . import units
from .numbers import Number

_ENGLISH_WORDS = {
    "thousand": 3,
    "million": 6,
    "millions": 6,
    "billion": 9,
    "trillion": 12,
    "trn": 12,
    "bn": 9,
    "mn": 6,
    "tn": 12,
}
"""English words, accepted in every language: US$76.3 trillion."""
SCALE_LETTERS = {"k": 3, "K": 3, "m": 6, "M": 6, "b": 9, "B": 9, "T": 12}
"""Letters for powers of ten; valid only next to a currency, because they are units elsewhere."""
_WORDS = {
    "de": "3 Tausend Tsd. Tsd; 6 Million Millionen Mio. Mio; 9 Milliarde Milliarden Mrd. Mrd; 12 Billion Billionen Bio. Bio; 0 Trillion Trillionen",
    "fr": "3 mille; 6 million millions; 9 milliard milliards Md Mds Mrd; 12 billions; 0 trillions",
    "es": "3 mil; 6 millón millones mill. mill mln; 9 mil_millones; 12 billón billones; 0 trillón trillones",
    "pt": "3 mil; 6 milhão milhões mi mln; 9 mil_milhões bilhão bilhões bi; 12 trilhão trilhões bilião biliões tri",
    "it": "3 mila mille; 6 milione milioni mln mil.; 9 miliardo miliardi mld mrd; 12 bilione bilioni; 0 trilione trilioni",
    "ru": "3 тыс. тыс тысяча тысячи тысяч; 6 млн. млн миллион миллиона миллионов; 9 млрд. млрд миллиард миллиарда миллиардов; "
    "12 трлн. трлн триллион триллиона триллионов",
    "zh": "0 万 亿 千 百万 千万 万亿 萬 億 百萬 千萬 萬億 兆",
    "ja": "0 万 億 千 百万 千万 兆",
    "ko": "0 만 억 천 백만 천만 조",
}  # fmt: skip
"""Power of ten and its spellings. 0: the word is kept as it is written."""
_NAMES = {
    "de": {6: "Million|Millionen/f", 9: "Milliarde|Milliarden/f", 12: "Billion|Billionen/f"},
    "fr": {6: "million|millions", 9: "milliard|milliards", 12: "billion|billions"},
    "es": {6: "millón|millones", 9: "mil millones", 12: "billón|billones"},
    "pt": {6: "milhão|milhões", 9: "mil milhões", 12: "bilião|biliões"},
    "pt-br": {6: "milhão|milhões", 9: "bilhão|bilhões", 12: "trilhão|trilhões"},
    "it": {6: "milione|milioni", 9: "miliardo|miliardi", 12: "bilione|bilioni"},
    "ru": {
        6: "миллион|миллиона|миллионов",
        9: "миллиард|миллиарда|миллиардов",
        12: "триллион|триллиона|триллионов",
    },
}


@functools.cache
def words_for_powers(language: str) -> dict[str, int]:
    """Return word → power of ten in ``language``; 0 for words that are kept as they are."""
    own: dict[str, int] = {}
    for group in filter(None, _WORDS.get(language, "").split("; ")):
        power, *words = group.split()
        own |= {word.replace("_", " "): int(power) for word in words}
    return _ENGLISH_WORDS | own


@functools.cache
def power_name(language: str, power: int) -> units.UnitName | None:
    """Return the noun for a power of ten; None in languages where it is part of the number."""
    column = _NAMES.get(language, {}).get(power)
    return units.parse_name(column) if column else None


def multiply_by_power(number: Number, power: int) -> Number:
    """Return ``number`` times a power of ten."""
    digits = number.fraction.ljust(power, "0")
    whole = (number.whole + digits[:power]).lstrip("0") or "0"
    return Number(whole, digits[power:].rstrip("0"), number.negative)
