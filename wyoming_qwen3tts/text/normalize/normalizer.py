"""The grammar all languages share: what is recognised in a text, and in which order.

A text is walked once, from left to right. Wherever a word, a digit or a symbol begins, the rules are asked in
their order; the first whose pattern matches and whose handler has an answer says what stands there. What no
rule knows stays as it is, so a text without anything to say differently comes out unchanged.
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
"""Nothing but words, as far as signs tell: most sentences, which need not be walked."""
_CAPITALS = re.compile(
    rf"{GREEK_LETTER}|[⁰⁴-⁹ⁿʹꜝ]|"
    r"[A-ZÀ-ÖØ-ÞА-ЯЁ]{2}|\b(?![IA]\b)[A-ZА-Я]\b|[A-ZА-Я]\w+\sI(?:er)?\b|\b(?:siglo|s[eé]c[ou]l[oi])\sI\b|\bI(?:er)?\s(?:si|sec|век)|[a-zа-я][A-ZА-Я]|[²³¹½-¾⅐-⅞µª-º]"
)
"""Capitals that may be a name made of letters, a numeral or a unit, and letters that are signs."""


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
    """What is recognised in a text, and asked to be said; a language adds rules of its own."""

    def __init__(self, region: str = "") -> None:
        super().__init__(region)
        self._failed: set[str] = set()
        rules = list(compile_rules(self.all_rules()))
        self._rules = RulesByFirstCharacter(rules)
        self._rules_with_maths = RulesByFirstCharacter([*compile_rules(MathsRules(self).rules()), *rules])

    def all_rules(self) -> Rules:
        """Yield the rules: name, pattern, handler; in the order in which they are asked."""
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
        """Yield rules of this language that go before all others."""
        yield from ()

    def language_rules(self) -> Rules:
        """Yield rules of this language that go before plain numbers and signs."""
        yield from ()

    def normalize(self, text: str) -> str:
        """Return ``text`` as it is spoken; itself where there is nothing to say differently."""
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
        """What may be an abbreviation."""
        days = "|".join(f"{re.escape(day)}\\b" for day in self._days if day not in self.weekdays.values())
        full = "|".join(map(re.escape, self.weekdays.values()))
        words = self._abbreviation_pattern() if self.abbreviations else "(?!)"
        return re.compile(
            rf"{words}|(?<!\w)(?:{days or '(?!)'})|(?i:{full or '(?!)'})\s?[-–]|{self.abbreviation_hint}"
        )

    def _apply_rule(self, rule: Rule, match: Match) -> str | None:
        """Return what a rule says; one that fails says nothing, but for a line in the log."""
        try:
            return rule.verbalize(match)
        except Exception:
            if rule.name not in self._failed:  # once is enough to know
                _LOGGER.warning("%s: %s failed on %r", self.language_code, rule.name, match[0], exc_info=True)
            self._failed.add(rule.name)
            return None

    def _append_words(self, words: list[str], result: str, text: str, match: Match) -> None:
        """Add words with spaces where they would touch other words."""
        result = self.adapt_to_region(result, match[0])
        before = words[-1][-1:] if words and words[-1] else "".join(words[-3:])[-1:]
        after = text[match.end() : match.end() + 1]
        if after == "/" and re.match(r"[-−+]?[^\W_]", text[match.end() + 1 : match.end() + 3]):
            after = ""  # which is a pause
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
        """Tell whether a space goes between a word and what follows it in the text."""
        return True
