"""The parts of a rule, and the patterns that many rules share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..first_characters import FirstCharacters

Match = re.Match[str]
Rules = Iterator[tuple[str, str, Callable[[Match], str | None]]]
"""Name, pattern, and handler: it returns the words for a match, or None to leave it to the next rule."""
_NEAR = 100
"""Characters around a match that a handler looks at: a bound, so that a long line takes no longer per match."""


def text_before(m: Match) -> str:
    """Return the text before a match, at most ``_NEAR`` characters."""
    return m.string[max(0, m.start() - _NEAR) : m.start()]


def text_after(m: Match) -> str:
    """Return the text after a match, at most ``_NEAR`` characters."""
    return m.string[m.end() : m.end() + _NEAR]


LETTER = r"A-Za-zÀ-ÖØ-öø-ɏА-яЁё"
"""Letters that may not touch a number or a unit: Latin and Cyrillic (Han, kana and hangul may)."""
EDGE = rf"(?![{LETTER}\d²³µ])"
START = rf"(?<![{LETTER}\d_.,@#/$€£¥-])"
DASH = r"[-‐‑‒–—―−－]"
MINUS = r"[-−–－]"


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern and its handler, ``verbalize``, which returns None to leave a match to the next rule."""

    name: str
    pattern: re.Pattern[str]
    verbalize: Callable[[Match], str | None]
    first_characters: FirstCharacters


def compile_rules(rules: Rules) -> Iterator[Rule]:
    """Yield the rules with compiled patterns."""
    for name, source, say in rules:
        pattern = re.compile(source)
        yield Rule(name, pattern, say, FirstCharacters(pattern))


class RulesByFirstCharacter:
    """Rules in their order, filtered by the first character of a match."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._known: dict[str, list[Rule]] = {}

    def matching(self, character: str) -> list[Rule]:
        """Return the rules that can match text starting with ``character``."""
        known = self._known.get(character)
        if known is None:
            known = [rule for rule in self._rules if rule.first_characters.may_start_with(character)]
            self._known[character] = known
        return known
