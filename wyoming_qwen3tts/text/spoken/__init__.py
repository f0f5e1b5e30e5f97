"""Text as it is written → text as it is spoken, in ten languages."""

from __future__ import annotations

import functools
import importlib
import logging

from .grammar import Grammar

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
LANGUAGES = tuple(_GRAMMARS)
"""The languages whose spoken form is known."""


@functools.cache
def grammar(language: str) -> Grammar | None:
    """Return the grammar for a BCP 47 tag, made when it is first asked for; None if there is none."""
    base, _, region = language.replace("_", "-").partition("-")
    where = _GRAMMARS.get(base.lower())
    if where is None:
        return None
    if region and base.lower() != "en":
        return grammar(base.lower())
    module, _, name = where.partition(":")
    made = getattr(importlib.import_module(f".{module}", __name__), name)
    built: Grammar = made(region.upper()) if region else made()
    return built


def spoken(text: str, language: str) -> str:
    """Return plain ``text`` as it is spoken in ``language`` (BCP 47); unchanged where that is not known.

    Never raises: what a rule fails on is left as it is written, with a line in the log.
    """
    rules = grammar(language)
    if rules is None:
        return text
    try:
        return rules.say(text)
    except Exception:
        _LOGGER.exception("No spoken form for %r in %s", text[:80], language)
        return text
