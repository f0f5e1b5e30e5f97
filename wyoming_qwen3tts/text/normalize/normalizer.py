"""The normalizer: it applies the rules of a language to a text.

A text is scanned once, from left to right. Wherever a word, a digit or a symbol begins, the rules are tried
in their order; the first one whose pattern matches, and whose handler does not return None, replaces the
match. Text that no rule matches stays, so a text without anything to normalize is returned unchanged.
"""

from __future__ import annotations

import functools
import logging
import re

from .maths import GREEK_LETTER, MATHS_CHARACTER, MathsRules
from .rules.abbreviations import AbbreviationRules
from .rules.addresses import AddressRules
from .rules.dates import DateRules
from .rules.measures import MeasureRules
from .rules.money import MoneyRules
from .rules.numbers import NumberRules
from .rules.rule import LETTER, Match, Rule, Rules, RulesByFirstCharacter, compile_rules
from .rules.signs import SignRules
from .rules.telephone import TelephoneRules
from .rules.times import TimeRules

_LOGGER = logging.getLogger(__name__)
_CANDIDATE = re.compile(rf"[{LETTER}]+|\d|[^\w\s]|_|[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒²³¹⁰⁴-⁹ⁿʹꜝªºµΑ-Ωα-ω№]")
_WORDS = re.compile(r"(?:[^\W\d_]|[\s,!?;:'’\"“”„«»…()\-–—、。，！？；：「」]|\.(?=\s|$))*")
"""Text of words and punctuation only, as most sentences are; it needs no scan."""
_CAPITALS = re.compile(
    rf"{GREEK_LETTER}|[⁰⁴-⁹ⁿʹꜝ]|"
    r"[A-ZÀ-ÖØ-ÞА-ЯЁ]{2}|\b(?![IA]\b)[A-ZА-Я]\b|[A-ZА-Я]\w+\sI(?:er)?\b|\b(?:siglo|s[eé]c[ou]l[oi])\sI\b|\bI(?:er)?\s(?:si|sec|век)|[a-zа-я][A-ZА-Я]|[²³¹½-¾⅐-⅞µª-º]"
)
"""Capitals that may be an acronym, a Roman numeral or a unit, and letters that are signs."""


class Normalizer(
    AbbreviationRules,
    AddressRules,
    DateRules,
    TimeRules,
    TelephoneRules,
    MoneyRules,
    MeasureRules,
    NumberRules,
    SignRules,
):
    """All rules in their order, and the scan of a text; the base class of a language."""

    def __init__(self, region: str = "") -> None:
        super().__init__(region)
        self._failed: set[str] = set()
        rules = list(compile_rules(self.all_rules()))
        self._rules = RulesByFirstCharacter(rules)
        self._rules_with_maths = RulesByFirstCharacter([*compile_rules(MathsRules(self).rules()), *rules])

    def all_rules(self) -> Rules:
        """Yield name, pattern and handler of each rule, in the order in which they are tried."""
        yield from self.leading_rules()
        yield from self.abbreviation_rules()
        yield from self.web_address_rules()
        yield from self.early_measure_rules()
        yield from self.identifier_rules()
        yield from self.date_rules()
        yield from self.time_rules()
        yield from self.telephone_rules()
        yield from self.money_rules()
        yield from self.rate_rules()
        yield from self.measure_rules()
        yield from self.language_rules()
        yield from self.fraction_rules()
        yield from self.number_rules()
        yield from self.sign_rules()

    def leading_rules(self) -> Rules:
        """Yield the rules of this language that are tried before all others."""
        yield from ()

    def language_rules(self) -> Rules:
        """Yield the rules of this language that are tried before plain numbers and signs."""
        yield from ()

    def normalize(self, text: str) -> str:
        """Return the spoken form of ``text``; the same string if there is nothing to normalize."""
        if (
            _WORDS.fullmatch(text)
            and not _CAPITALS.search(text)
            and not self._abbreviation_hint_pattern.search(text)
        ):
            return text
        rules = self._rules_with_maths if MATHS_CHARACTER.search(text) else self._rules
        words: list[str] = []
        at = 0
        while found := _CANDIDATE.search(text, at):
            words.append(text[at : found.start()])
            at = found.end()
            for rule in rules.matching(found[0][0]):
                match = rule.pattern.match(text, found.start())
                if (
                    match
                    and match.end() > found.start()
                    and (result := self._apply_rule(rule, match)) is not None
                ):
                    self._append_words(words, result, text, match)
                    at = match.end()
                    break
            else:
                words.append(found[0])
        words.append(text[at:])
        spoken_text = "".join(words)
        return spoken_text if spoken_text == text else re.sub(" {2,}", " ", spoken_text)

    @functools.cached_property
    def _abbreviation_hint_pattern(self) -> re.Pattern[str]:
        """A pattern for text that may contain an abbreviation."""
        days = "|".join(f"{re.escape(day)}\\b" for day in self._days if day not in self.weekdays.values())
        full = "|".join(map(re.escape, self.weekdays.values()))
        words = self._abbreviation_pattern() if self.abbreviations else "(?!)"
        return re.compile(
            rf"{words}|(?<!\w)(?:{days or '(?!)'})|(?i:{full or '(?!)'})\s?[-–]|{self.abbreviation_hint}"
        )

    def _apply_rule(self, rule: Rule, match: Match) -> str | None:
        """Return the result of a rule; None, and a warning in the log, if its handler raises."""
        try:
            return rule.verbalize(match)
        except Exception:
            if rule.name not in self._failed:  # log each rule only once
                _LOGGER.warning(
                    "normalize: rule failed, text stays language=%s rule=%s text=%r",
                    self.language_code,
                    rule.name,
                    match[0],
                    exc_info=True,
                )
            self._failed.add(rule.name)
            return None

    def _append_words(self, words: list[str], result: str, text: str, match: Match) -> None:
        """Append the result of a rule, separated by spaces from the words around it."""
        result = self.adapt_to_region(result, match[0])
        before = words[-1][-1:] if words and words[-1] else "".join(words[-3:])[-1:]
        after = text[match.end() : match.end() + 1]
        if after == "/" and re.match(r"[-−+]?[^\W_]", text[match.end() + 1 : match.end() + 3]):
            after = ""  # a slash becomes a pause
        if self.uses_spaces and result:
            if (
                before
                and before not in self.attached_prefixes
                and (before.isalnum() or before in '%°.,;:!?…)"”»')
                and result[0].isalnum()
            ):
                result = f" {result}"
            if after and (after.isalnum() or after in "(@#+&=<>×$€£~°/") and result[-1].isalnum():
                result = f"{result} " if self._needs_space_after(result[-1], after) else result
        words.append(result)

    def _needs_space_after(self, last: str, after: str) -> bool:
        """Tell whether a space goes between the result's ``last`` character and the character after it."""
        return True
