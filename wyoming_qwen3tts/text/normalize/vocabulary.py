"""The words and patterns that a language provides for what all languages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class Vocabulary:
    """Words and patterns of a language."""

    language_code: ClassVar[str]
    decimal_mark: ClassVar[str] = ","
    uses_spaces: ClassVar[bool] = True
    """Whether words have spaces between them."""
    spells_acronyms: ClassVar[bool] = False
    """Whether letters in capitals are spelled; elsewhere a voice knows how to say them."""
    day_first: bool = True
    """Whether 3/12 is the third of December."""

    minus: ClassVar[str]
    plus: ClassVar[str]
    point: ClassVar[str]
    symbols: ClassVar[Mapping[str, str]]
    """Symbol → word, where nothing knows better: & @ + = × ÷ < > ≤ ≥ ± ≈ ≠ ~ ° § © № / → and more."""
    dot: ClassVar[str]
    """The point in an address."""
    slash: ClassVar[str]
    dash: ClassVar[str]
    """The hyphen in an address."""
    underscore: ClassVar[str]
    at: ClassVar[str]
    colon: ClassVar[str]
    range_word: ClassVar[str]
    """Between the ends of a range."""
    weekday_range_words: ClassVar[str] = "(?!)"
    """Words between the ends of a range of weekdays, as a pattern."""
    score_cues: ClassVar[str] = "(?!)"
    """Words before 3-0 that make it a result and no range, as a pattern."""
    episode_format: ClassVar[str]
    """How S02E05 is said, with {} for its numbers."""
    number_word: ClassVar[str]
    """What # before a number means."""
    hashtag: ClassVar[str]
    months: ClassVar[tuple[str, ...]]
    month_forms: ClassVar[Mapping[str, int]] = {}
    """Other forms and abbreviations of months, lower case, without full stop → 1 to 12."""
    weekdays: ClassVar[Mapping[str, str]] = {}
    """Abbreviation → weekday."""
    abbreviations: ClassVar[Mapping[str, str]] = {}
    """As written (with its full stops) → as spoken. Spaces inside are optional."""
    abbreviation_hint: ClassVar[str] = "(?!)"
    """Abbreviations that rules of the language know, as a pattern."""
    code_cues: ClassVar[str] = r"PIN|pin|OTP|code|Code"
    """Words before a number that is said digit by digit."""
    amount_scales: ClassVar[str] = ""
    """Words for powers of ten that go between an amount and its currency; empty: those of ``scales.py``."""
    duration_cues: ClassVar[str] = (
        r"(?:timer|remaining|duration|elapsed|countdown|uptime|Restzeit|noch|Dauer|Laufzeit|durée|restant|temps|duración|"
        r"restante|tiempo|duração|tempo|durata|rimanente|таймер|осталось|длительность|计时|剩余|倒计时|時間|残り|남은|타이머)"
        r"[^.!?\d]{0,20}$"
    )
    """What says that 01:30:00 is a length of time."""
    version_cues: ClassVar[str] = (
        "version|Version|Python|iOS|Android|macOS|Ubuntu|firmware|Firmware|release|Release"
    )
    per_word: ClassVar[str] = ""
    """Between what is counted and any noun that it comes per."""
    attached_prefixes: ClassVar[str] = ""
    """Letters after which a number has no space."""
    minus_lookbehind: ClassVar[str] = r"(?<![\w)°%])(?<!\d\.)"
    """What a minus sign may not follow, or it is a hyphen."""
    ambiguous_units: ClassVar[str] = ""
    """Units that are also words, and count only at the end of a clause."""

    regions: ClassVar[frozenset[str]] = frozenset()
    """Regions, lower case, in which something is said in another way."""
