"""The characters with which a match of a regular expression may start, so that most rules need not be tried.

The set may be too large, never too small: a rule that is tried in vain costs time, a rule that is skipped
changes the result.

It is computed from the parsed pattern. The standard library has no public parser for patterns, so this module
uses the private ``re._parser``. Where that module is missing, or its result has an unknown form,
``may_start_with`` returns True for every character: every rule is tried at every position, results stay the
same, and normalizing becomes about two times slower. ``tests/test_beginnings.py`` fails in that case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

try:
    import re._parser as _parser  # type: ignore[import-not-found]
except ImportError:  # pragma: no cover
    _parser = None

CharacterTest = Callable[[str], bool]
_CATEGORIES: dict[str, CharacterTest] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_WORD": lambda character: character.isalnum() or character == "_",
}
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_ZERO_WIDTH = frozenset({"AT", "ASSERT", "ASSERT_NOT"})


class FirstCharacters:
    """The characters with which a match of a pattern may start."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._characters: set[str] = set()
        self._tests: list[CharacterTest] = []
        try:
            parsed = _parser.parse(pattern.pattern, pattern.flags)
            if self._add_sequence(parsed, ignore_case=bool(pattern.flags & re.IGNORECASE)):
                self._tests.append(_accept_any)
        except Exception:
            self._tests = [_accept_any]

    def may_start_with(self, character: str) -> bool:
        """Tell whether a match may start with ``character``."""
        return (
            character in self._characters
            or any(test(character) for test in self._tests)
            or (not character.isascii() and not self._characters.isdisjoint(_case_variants(character)))
        )

    def _add_sequence(self, items: Iterable[tuple[Any, Any]], *, ignore_case: bool) -> bool:
        """Add the first characters of a sequence; return whether the sequence may be empty."""
        return all(self._add_item(str(op), value, ignore_case=ignore_case) for op, value in items)

    def _add_item(self, op: str, value: Any, *, ignore_case: bool) -> bool:
        if op in _ZERO_WIDTH:
            return True
        if op == "BRANCH":
            return max([self._add_sequence(branch, ignore_case=ignore_case) for branch in value[1]])
        if op == "SUBPATTERN":
            added, removed = value[1], value[2]
            ignore_case = (ignore_case or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
            return self._add_sequence(value[3], ignore_case=ignore_case)
        if op == "ATOMIC_GROUP":
            return self._add_sequence(value, ignore_case=ignore_case)
        if op in _REPEATS:
            return self._add_sequence(value[2], ignore_case=ignore_case) or value[0] == 0
        if op == "LITERAL":
            self._characters |= _case_variants(chr(value)) if ignore_case else {chr(value)}
        elif op == "IN":
            self._tests.append(_caseless_class_test(value) if ignore_case else _class_test(value))
        else:  # NOT_LITERAL, ANY or a group reference
            self._tests.append(_accept_any)
        return False


def _accept_any(character: str) -> bool:
    return True


def _case_variants(character: str) -> set[str]:
    """Return a character and those that are equal to it for a pattern that ignores case."""
    found = {character}
    for _ in range(2):  # two rounds, for chains such as ı, I, i
        for each in tuple(found):
            small = each.lower()[0]  # İ becomes a plain i, as in the re module
            found |= {small, small.upper()[0], each.upper()[0], each.casefold()[0]}
    return found


def _caseless_class_test(items: list[tuple[Any, Any]]) -> CharacterTest:
    """Return the test for a character class that ignores case."""
    if any(str(op) == "NEGATE" or (str(op) == "RANGE" and value[1] > 0x7F) for op, value in items):
        return _accept_any
    characters = {case for op, value in items if str(op) == "LITERAL" for case in _case_variants(chr(value))}
    test = _class_test(items)
    return lambda character: (
        not characters.isdisjoint(_case_variants(character)) or any(map(test, _case_variants(character)))
    )


def _class_test(items: list[tuple[Any, Any]]) -> CharacterTest:
    """Return the test for a character class."""
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    characters: set[str] = set()
    ranges: list[tuple[str, str]] = []
    classes: list[tuple[CharacterTest, bool]] = []
    for op, value in items[negated:]:
        if str(op) == "LITERAL":
            characters.add(chr(value))
        elif str(op) == "RANGE":
            ranges.append((chr(value[0]), chr(value[1])))
        else:
            name = str(value)
            classes.append((_CATEGORIES[name.replace("_NOT_", "_")], "_NOT_" not in name))

    def test(character: str) -> bool:
        found = (
            character in characters
            or any(low <= character <= high for low, high in ranges)
            or any(each(character) is wanted for each, wanted in classes)
        )
        return found is not negated

    return test
