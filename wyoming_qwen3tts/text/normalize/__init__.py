"""Text as it is written → text as it is spoken, in ten languages."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable

from ...speech import base_language
from .normalizer import Normalizer

_LOGGER = logging.getLogger(__name__)

_GRAMMARS = {
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
"""CO₂ is read as CO2."""
_ROUNDS = 5
"""A text is said again until nothing changes, which a second time shows. More are needed only where numbers,
units and letters are run together."""
_LOADED: set[str] = set()


@functools.cache
def load_normalizer(language: str) -> Normalizer | None:
    """Return the grammar for a BCP 47 tag, made when it is first asked for; None if there is none."""
    base, _, region = language.lower().replace("_", "-").partition("-")
    where = _GRAMMARS.get(base)
    if where is None:
        return None
    module, _, name = where.partition(":")
    made: type[Normalizer] = getattr(importlib.import_module(f".languages.{module}", __name__), name)
    known = next((part for part in region.split("-") if part in made.regions), "")  # zh-Hant-TW
    if region != known:
        return load_normalizer(f"{base}-{known}" if known else base)
    _LOADED.add(base)
    return made(region)


def is_loaded(language: str) -> bool:
    """Tell whether the grammar of ``language`` is there already, or there is none."""
    base = base_language(language)
    return base not in _GRAMMARS or base in _LOADED


def interpret_say_as(kind: str, form: str, text: str, language: str) -> str:
    """Return ``text`` as SSML's ``say-as`` asks; as any text where it is not of that kind."""
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
    """Return ``say_as`` for a document in ``language``: what names no language of its own is in that."""
    return lambda kind, form, text, own: interpret_say_as(kind, form, text, own or language)


def normalize(text: str, language: str) -> str:
    """Return plain ``text`` as it is spoken in ``language`` (BCP 47); unchanged where that is not known.

    Never raises: what a rule fails on is left as it is written, with a line in the log.
    """
    rules = load_normalizer(language)
    if rules is None:
        return text
    text = text.translate(_SUBSCRIPTS)
    for _ in range(_ROUNDS):
        before, text = text, rules.normalize(text)
        if text == before:
            break
    return text
