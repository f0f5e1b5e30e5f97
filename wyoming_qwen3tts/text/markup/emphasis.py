"""Asterisks and underscores: emphasis, or part of a word, a formula or a dial code."""

from __future__ import annotations

import re

from .star_codes import find_star_codes, is_telephone_key

_URL = re.compile(r"(?:https?|ftp)://[^\s<>\"`*|\\]+|\bwww\.[^\s<>\"`*|\\]+|[\w.+-]+@[\w-]+\.[\w.-]+")
_ASTERISKS = re.compile(r"\*+")
_DIGIT_OR_HASH = re.compile(r"[\d#＃]")
"""A character that every dial code contains, besides asterisks."""
_EMPHASIZED_CODE = re.compile(r"(?<!\*)\*\*([*＊#]{1,2}\d[\d*＊#]{0,30})\*\*(?![\w*])")
_UNDERSCORES = re.compile(r"_+")
_SPECIAL_METHOD = re.compile(r"\b__\w+?__(?=\.\w|\()")


def remove_emphasis(text: str) -> str:
    """Remove the asterisks and underscores of emphasis, outside URLs and e-mail addresses."""
    if _DIGIT_OR_HASH.search(text):
        text = _EMPHASIZED_CODE.sub(r"\1", text)
    if "://" not in text and "@" not in text and "www." not in text:
        return _remove_emphasis_marks(text)
    parts: list[str] = []
    at = 0
    for match in _URL.finditer(text):
        end = match.end() - len(match[0]) + len(match[0].rstrip("_"))
        parts += [
            _remove_emphasis_marks(text[at : match.start()], after=match[0][0]),
            text[match.start() : end],
        ]
        at = end
    return "".join([*parts, _remove_emphasis_marks(text[at:], before="/" if at else " ")])


def _remove_emphasis_marks(text: str, before: str = " ", after: str = " ") -> str:
    def around(match: re.Match[str]) -> tuple[str, str]:
        start, end = match.span()
        return (text[start - 1] if start else before), (text[end] if end < len(text) else after)

    codes = find_star_codes(text) if _DIGIT_OR_HASH.search(text) else frozenset()

    def star(match: re.Match[str]) -> str:
        left, right = around(match)
        single = len(match[0]) == 1
        if match.start() in codes or (single and is_telephone_key(left if match.start() else ".", right)):
            return match[0]
        if left.isspace() and right.isspace():
            return match[0] if single else ""
        if single and (right in "./" or left in "./\\") and not (left.isalpha() or right.isspace()):
            following = text[match.end() + 1 : match.end() + 2]
            return match[0] if right == "/" or left != "." or following.isalnum() else ""
        if not (left.isalnum() or left == ")") or not (right.isalnum() or right in "(-"):
            return ""
        if single:
            return "" if _is_wide(left) or _is_wide(right) else match[0]
        return match[0] if left.isdigit() and right.isdigit() else ""

    if "*" in text:
        text = _ASTERISKS.sub(star, text)
    if "_" not in text:
        return text
    kept = [span for method in _SPECIAL_METHOD.finditer(text) for span in method.span()]

    def bar(match: re.Match[str]) -> str:
        left, right = around(match)
        inside = left.isalnum() and right.isalnum()
        path = left in "./:@=-" and right.isalnum() and match.start() > 0
        alone = left.isspace() and right.isspace() and len(match[0]) == 1
        method = match.start() in kept or match.end() in kept
        return match[0] if inside or path or alone or method else ""

    return _UNDERSCORES.sub(bar, text)


def _is_wide(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"
