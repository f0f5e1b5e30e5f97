"""The words and patterns that a language defines for the shared rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class Vocabulary:
    """The words and patterns of a language. A pattern that must match nothing is ``(?!)``."""

    language_code: ClassVar[str]
    decimal_mark: ClassVar[str] = ","
    uses_spaces: ClassVar[bool] = True
    """Whether words have spaces between them."""
    spells_acronyms: ClassVar[bool] = False
    """Whether words in capitals are spelled; in other languages the engine pronounces them."""
    day_first: bool = True
    """Whether 3/12 is the third of December."""

    minus: ClassVar[str]
    plus: ClassVar[str]
    point: ClassVar[str]
    symbols: ClassVar[Mapping[str, str]]
    """Symbol → word: & @ + = × ÷ < > ≤ ≥ ± ≈ ≠ ~ ° § © № / → and more."""
    dot: ClassVar[str]
    """The point in an address."""
    slash: ClassVar[str]
    dash: ClassVar[str]
    """The hyphen in an address."""
    underscore: ClassVar[str]
    at: ClassVar[str]
    colon: ClassVar[str]
    range_word: ClassVar[str]
    """The word between the ends of a range."""
    weekday_range_words: ClassVar[str] = "(?!)"
    """Words between the ends of a range of weekdays, as a pattern."""
    score_cues: ClassVar[str] = "(?!)"
    """Words before 3-0 that make it a score and not a range, as a pattern."""
    episode_format: ClassVar[str]
    """The words for S02E05, with {} for its numbers."""
    number_word: ClassVar[str]
    """The word for # before a number."""
    hashtag: ClassVar[str]
    months: ClassVar[tuple[str, ...]]
    month_forms: ClassVar[Mapping[str, int]] = {}
    """Other forms and abbreviations of months, lower case, without full stop → 1 to 12."""
    weekdays: ClassVar[Mapping[str, str]] = {}
    """Abbreviation → weekday."""
    abbreviations: ClassVar[Mapping[str, str]] = {}
    """Abbreviation, with its full stops → words. Spaces inside are optional."""
    abbreviation_hint: ClassVar[str] = "(?!)"
    """Abbreviations that only rules of the language expand, as a pattern."""
    code_cues: ClassVar[str] = r"PIN|pin|OTP|code|Code"
    """Words before a number that is read digit by digit."""
    amount_scales: ClassVar[str] = ""
    """Words for powers of ten between an amount and its currency; empty: those of ``powers_of_ten.py``."""
    duration_cues: ClassVar[str] = (
        r"(?:timer|remaining|duration|elapsed|countdown|uptime|Restzeit|noch|Dauer|Laufzeit|durée|restant|temps|duración|"
        r"restante|tiempo|duração|tempo|durata|rimanente|таймер|осталось|длительность|计时|剩余|倒计时|時間|残り|남은|타이머)"
        r"[^.!?\d]{0,20}$"
    )
    """Words before 01:30:00 that make it a duration, as a pattern."""
    version_cues: ClassVar[str] = (
        "version|Version|Python|iOS|Android|macOS|Ubuntu|firmware|Firmware|release|Release"
    )
    per_word: ClassVar[str] = ""
    """The word between an amount and the noun it is counted per."""
    attached_prefixes: ClassVar[str] = ""
    """Letters after which a number has no space."""
    minus_lookbehind: ClassVar[str] = r"(?<![\w)°%])(?<!\d\.)"
    """A lookbehind for a minus sign; elsewhere it is a hyphen."""
    ambiguous_units: ClassVar[str] = ""
    """Units that are also words: they are units only at the end of a clause."""

    regions: ClassVar[frozenset[str]] = frozenset()
    """Regions, lower case, that differ in some words."""
