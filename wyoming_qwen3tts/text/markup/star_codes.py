"""Dial codes with asterisks, such as ``*69``: their asterisks are not emphasis."""

from __future__ import annotations

import re

_NEAR_CODE = 12
"""The most characters between two codes of one list: ``*69 or *8``."""
_PRESS_WORDS, _PRESSED_PARTICLES = "按押", "を을를键キ号"
"""Next to these an asterisk is a telephone key, in scripts without spaces."""
_STAR_CODE = re.compile(
    r"(?<![A-Za-zÀ-ɏА-яё\d_*＊#/.\\])"
    r"(?:[*＊#]{1,4}\d{1,15}(?:[*＊#]{1,2}\+?\d{1,20}){0,4}#(?:\*#\*)?(?![A-Za-zÀ-ɏА-яё\d_#])"
    r"|[*＊#]{1,3}\d{1,3}#\+?\d{3,20}(?![A-Za-zÀ-ɏА-яё\d_#*])"
    r"|(?P<open>[*＊]{1,2}#?(?P<digits>\d{1,15})(?:[*＊]{1,2}\d{1,20}){0,4})"
    r"(?=[\s.,;:!?)\"'”»。，、！？_]|\Z|[^\W\da-zA-Z_]|\*\*(?!\*)))"
)
"""A dial code: ``*69``, ``*#06#``, ``**21*5551234#``."""
_DIAL_WORDS = re.compile(
    r"(?:dial|call|press|enter|code|text|ring|punch|type|use|is|or|wähle|wählen|drücke|drücken|lautet|composez|tapez|faites|marque|marca|"
    r"pulse|código|digita|digiti|componi|codice|disque|digite|наберите|код|拨|拨打|按|输入|码|是|ダイヤル|番号|は|押|누르|번호는)[:：]?\s?\Z",
    re.I,
)
_ALTERNATIVE_KEYS = re.compile(
    r"[*＊](?=\s?(?:か|または|もしくは|或者?|和|と|、|/)\s?[#＃])|(?<=[#＃][か或和と、/])[*＊]"
)
_CLOSING_STAR = re.compile(r"(?<=[^\s*])(\*{1,2})(?![\w*])")


def is_telephone_key(left: str, right: str) -> bool:
    """Tell whether an asterisk between these characters is a telephone key."""
    return left in _PRESS_WORDS or right in _PRESSED_PARTICLES or (left.isspace() and right in ",;:!?)")


def find_star_codes(text: str) -> frozenset[int]:
    """Return the positions of the asterisks that belong to dial codes."""
    found = {key.start() for key in _ALTERNATIVE_KEYS.finditer(text)}
    last = -_NEAR_CODE
    for code in _STAR_CODE.finditer(text):
        listed = code.start() - last < _NEAR_CODE and "\n" not in text[last : code.start()]
        if code["open"] is None or _is_dialled(text, code, listed=listed):
            found.update(range(code.start(), code.end()))
            last = code.end()
    return frozenset(found)


def _is_dialled(text: str, code: re.Match[str], *, listed: bool) -> bool:
    """Tell whether asterisks and digits without a # at the end are a dial code, and not emphasis.

    ``listed``: another code stands just before.
    """
    inner = re.search(r"\d[*＊]", code[0])
    line = text[code.end() : code.end() + 300].partition("\n")[0]
    closing = _CLOSING_STAR.search(line)
    if listed and not inner and not closing:
        return True
    if not inner and code[0][:2].strip("*＊") == "":
        return False
    if closing and closing[1] == "*" and not inner:
        return False
    spoken_of = _DIAL_WORDS.search(text[max(0, code.start() - 20) : code.start()]) is not None
    after_number = re.search(r"[\d)]\s?\Z", text[: code.start()][-3:]) is not None
    return spoken_of or bool(inner) or (2 <= len(code["digits"]) <= 3 and not after_number)
