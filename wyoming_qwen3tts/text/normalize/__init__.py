"""Text normalization: written text → spoken form, in ten languages ("5 km" → "five kilometers").

``normalizer`` scans a text and applies rules, ``rules`` has those that all languages share, ``verbalizer`` puts
numbers, dates and the like into words, ``vocabulary`` declares the words and patterns that a language defines.

A new language, in the order of work:

1. ``tests/normalize/LANGUAGE.txt``: at least 35 lines ``input → spoken form``, written before the rules, and 8
   lines without an arrow, which must stay as they are. Add the tag to ``LANGUAGES`` in ``tests/test_normalize.py``.
2. ``speech.LANGUAGES``: append the tag. Its position is the column of the language in the tables below.
   ``text/language_tags.py`` needs its names in ``NAMES``, ``text/scripts.py`` its script if that is not Latin.
3. ``units.txt`` (three sections) and ``currencies.txt``: a column in every line. ``units.py``: ``_POWERS``, and
   spellings of symbols in ``_SPELLINGS`` that only this language has. ``currencies.py``: ``_LOCAL``, ``_FRANCS``.
4. ``powers_of_ten.py``: ``_WORDS`` and ``_NAMES``, unless the language has them in ``Vocabulary.amount_scales``.
5. ``maths.py``: a column in ``_SIGNS``, ``_FUNCTIONS`` and ``_PATTERNS``, a line in ``_GREEK``, and the tag in
   ``_ORDER``.
6. ``languages/LANGUAGE.py``: a class derived from ``Normalizer``, ``RomanceLanguage`` or ``CjkLanguage``. It defines
   the attributes of ``Vocabulary`` that have no default, and the methods of ``Verbalizer`` that raise
   NotImplementedError: ``per_unit``, ``date``, ``time`` and ``fraction``. ``cardinal`` and ``ordinal`` use num2words;
   override them if it lacks the language. Rules of its own go into ``leading_rules``, ``language_rules``,
   ``named_date_rules``, ``time_rules`` and ``telephone_rules``.
7. ``_NORMALIZERS`` below: the tag and the class.
8. ``number_context.py``: the nouns and verbs of the language, in each pattern.
9. ``text/sentences/abbreviations.py``: its abbreviations, common first words and ordinals, with sentences in
   ``tests/test_sentences.py``; ``tests/test_language.py``: sentences for language detection.
10. ``python -m pytest tests/test_normalize.py tests/test_sentences.py tests/test_language.py``, then
    ``python -m benchmarks.text`` for the figures in docs/text.md.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable

from ...speech import base_language
from .normalizer import Normalizer

_LOGGER = logging.getLogger(__name__)

_NORMALIZERS = {
    "en": "english:English",
    "de": "german:German",
    "fr": "french:French",
    "es": "spanish:Spanish",
    "pt": "portuguese:Portuguese",
    "it": "italian:Italian",
    "ru": "russian:Russian",
    "zh": "chinese:Chinese",
    "ja": "japanese:Japanese",
    "ko": "korean:Korean",
}
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
"""CO₂ is normalized like CO2."""
_MAX_ROUNDS = 5
"""A text is normalized until nothing changes, usually twice. More rounds are needed only where numbers, units and
letters are written without spaces."""
_LOADED: set[str] = set()


@functools.cache
def load_normalizer(language: str) -> Normalizer | None:
    """Return the normalizer for a BCP 47 tag, created on first use; None if there is none."""
    base, _, region = language.lower().replace("_", "-").partition("-")
    location = _NORMALIZERS.get(base)
    if location is None:
        return None
    module, _, name = location.partition(":")
    normalizer: type[Normalizer] = getattr(importlib.import_module(f".languages.{module}", __name__), name)
    supported = next((part for part in region.split("-") if part in normalizer.regions), "")  # zh-Hant-TW
    if region != supported:
        return load_normalizer(f"{base}-{supported}" if supported else base)
    _LOADED.add(base)
    return normalizer(region)


def is_loaded(language: str) -> bool:
    """Tell whether the normalizer of ``language`` is created already, or does not exist."""
    base = base_language(language)
    return base not in _NORMALIZERS or base in _LOADED


def interpret_say_as(kind: str, form: str, text: str, language: str) -> str:
    """Return the spoken form of SSML's ``say-as``; ``text`` itself if it is not text of that kind."""
    from .say_as import interpret

    rules = load_normalizer(language or "en")
    try:
        words = interpret(rules, kind.lower(), form, text) if rules is not None else None
    except Exception:
        _LOGGER.exception(
            "normalize: say-as failed, text stays interpret_as=%s language=%s text=%r",
            kind,
            language,
            text[:80],
        )
        words = None
    return text if words is None else words


def say_as_interpreter(language: str) -> Callable[[str, str, str, str], str]:
    """Return ``interpret_say_as`` for a document in ``language``, the default of its elements."""
    return lambda kind, form, text, tag: interpret_say_as(kind, form, text, tag or language)


def normalize(text: str, language: str) -> str:
    """Return the spoken form of plain ``text`` in ``language`` (BCP 47); unchanged in other languages.

    Never raises: where a rule fails, the text stays and the failure is logged.
    """
    rules = load_normalizer(language)
    if rules is None:
        return text
    text = text.translate(_SUBSCRIPTS)
    for _ in range(_MAX_ROUNDS):
        before, text = text, rules.normalize(text)
        if text == before:
            break
    return text
