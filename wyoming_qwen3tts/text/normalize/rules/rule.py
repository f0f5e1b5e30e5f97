"""What a rule is, and the parts of patterns that many rules share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..first_characters import FirstCharacters

Match = re.Match[str]
Rules = Iterator[tuple[str, str, Callable[[Match], str | None]]]
"""Name, pattern, and what says a match; None declines it."""
_NEAR = 100
"""Characters around a match that may tell what it means: so that a long line takes no longer for each of them."""


def text_before(m: Match) -> str:
    """Return what stands before a match, as far as it matters."""
    return m.string[max(0, m.start() - _NEAR) : m.start()]


def text_after(m: Match) -> str:
    """Return what stands after a match, as far as it matters."""
    return m.string[m.end() : m.end() + _NEAR]


LETTER = r"A-Za-zÀ-ÖØ-öø-ɏА-яЁё"
"""Letters that a number or a unit may not touch: Latin and Cyrillic (Han, kana and hangul may follow)."""
EDGE = rf"(?![{LETTER}\d²³µ])"
START = rf"(?<![{LETTER}\d_.,@#/$€£¥-])"
DASH = r"[-‐‑‒–—―−－]"
MINUS = r"[-−–－]"


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and what is said where it matches; a handler that returns None declines."""

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
    """Rules in their order, and which of them a match can begin with a given character."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._known: dict[str, list[Rule]] = {}

    def matching(self, character: str) -> list[Rule]:
        """Return the rules for what begins with ``character``."""
        known = self._known.get(character)
        if known is None:
            known = [rule for rule in self._rules if rule.first_characters.may_start_with(character)]
            self._known[character] = known
        return known
