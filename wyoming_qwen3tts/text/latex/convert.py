"""Text with LaTeX → text with Unicode mathematics."""

from __future__ import annotations

import re

from . import siunitx
from .commands import (
    BIG_OPERATORS,
    FUNCTION_APPLICATION,
    FUNCTIONS,
    GREEK_LETTERS,
    GROUP,
    INVISIBLE_TIMES,
    OPERATORS,
    SIGNS,
    STYLE_COMMANDS,
    TEXT_COMMANDS,
)
from .filter import FormulaFilter, add_spaces
from .parser import read_formula

_KNOWN_COMMANDS = "|".join(
    sorted(
        {"frac", "dfrac", "tfrac", "nicefrac", "sfrac", "sqrt", *siunitx.ARGUMENT_COUNTS, "binom", "degree", *GREEK_LETTERS, *OPERATORS, *SIGNS, *BIG_OPERATORS, *TEXT_COMMANDS, *STYLE_COMMANDS, *FUNCTIONS} - {"S"},
        key=len,
        reverse=True,
    )
)  # fmt: skip
_COMMAND_OUTSIDE_FORMULA = re.compile(
    rf"(?<![A-Za-z]{{2}})(?<![:\\/.])\\(?:{_KNOWN_COMMANDS}|left|right|quad|item|[,;])(?![A-Za-z\\])(?:\[[^\[\]]{{0,20}}\])?(?:{GROUP}){{0,3}}"
    rf"(?:[_^](?:{GROUP}|\w))*|\\(?:begin|end)\{{[a-z]{{3,12}}\*?\}}|(?<=[\w)\]])(?:[_^](?:{GROUP}|\\(?:circ|degree|prime)(?![A-Za-z])))+"
)
"""A command outside a formula, with its arguments."""


def remove_invisible_operators(text: str) -> str:
    """Return ``text`` without the invisible operators, for engines that read mathematics themselves."""
    return text.replace(FUNCTION_APPLICATION, "").replace(INVISIBLE_TIMES, "")


def convert_to_unicode(text: str) -> str:
    """Return ``text`` with Unicode in place of its LaTeX formulas and commands."""
    if "\\" in text or "$" in text:
        text = FormulaFilter().convert(text)
    if "\\" in text or "^{" in text or "_{" in text:
        text = _COMMAND_OUTSIDE_FORMULA.sub(lambda bare: add_spaces(bare, read_formula(bare[0])), text)
    return text
