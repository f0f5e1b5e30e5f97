"""Chinese numerals, for Chinese and Japanese."""

from __future__ import annotations

DIGITS = "零一二三四五六七八九"
_SMALL = ("", "十", "百", "千")


def cardinal(value: int, myriads: tuple[str, ...], *, one: bool, zero: bool) -> str:
    """Return ``value`` in Chinese numerals.

    ``myriads``: the words for 10^4, 10^8, 10^12 and so on, after an empty one. ``one``: write 一 before 百 and
    千 (Chinese); ``zero``: write 零 for skipped places (Chinese).
    """
    if value == 0:
        return DIGITS[0]
    groups = []
    while value:
        value, group = divmod(value, 10_000)
        groups.append(group)
    words = ""
    for at in range(len(groups) - 1, -1, -1):
        group = groups[at]
        if not group:
            continue
        if (
            zero
            and words
            and (group < 1000 or (groups[at + 1] % 10 == 0 and groups[at + 1] != 0 and group < 1000))
        ) or (zero and words and any(not g for g in groups[at + 1 :][:1])):
            words += DIGITS[0]
        words += (
            _group(group, one=one or (at > 0 and group >= 1000), zero=zero, first=not words) + myriads[at]
        )
    return words


def _group(value: int, *, one: bool, zero: bool, first: bool) -> str:
    words, skipped = "", False
    for place in (3, 2, 1, 0):
        digit = value // 10**place % 10
        if not digit:
            skipped = bool(words)
            continue
        if zero and skipped and words:
            words += DIGITS[0]
        skipped = False
        bare = digit == 1 and place > 0 and (not one or (place == 1 and not words and first))
        words += ("" if bare else DIGITS[digit]) + _SMALL[place]
    return words


def spell_digits(text: str, zero: str = "零") -> str:
    """Return digits one by one."""
    return "".join(zero if digit == "0" else DIGITS[int(digit)] for digit in text if digit.isdecimal())
