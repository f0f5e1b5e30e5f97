"""Argument types of the commands, for argparse."""

from __future__ import annotations

import argparse

from ..speech import unspeakable
from ..text.language_tags import parse_requested_language


def text(given: str) -> str:
    """Return a text unchanged. Raises ArgumentTypeError if it is not valid UTF-8."""
    if (found := unspeakable(given)) is not None:
        raise argparse.ArgumentTypeError(f"it is not UTF-8, at character {found[1]}: {given[:40]!a}")
    return given


def language(text: str) -> str | None:
    """Return the BCP 47 tag of a language's code or name. Raises ArgumentTypeError."""
    try:
        return parse_requested_language(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
