"""The atoms of a formula, and the line of text that they make."""

from __future__ import annotations

import re
from typing import NamedTuple

from . import siunitx
from .commands import FUNCTION_APPLICATION, INVISIBLE_TIMES, OPERATORS, UNITS

_RELATIONS = frozenset("+−±∓=<>×÷∕*") | frozenset(OPERATORS.values())
PREFIX_OPERATORS = frozenset("+−±∓")
_UNIT = re.compile(
    "(?:[kMGTcmµnd]?(?:m|g|s|W|Wh|V|A|Hz|Pa|J|N|L|l|mol|B|K)|min|h|d|yr|t|°C|Ω|bar|kg|mi|ft|mph|month|year|day|[$€£])[²³]?"
)
_READABLE_BOTTOMS = frozenset({*range(2, 21), 24, 25, 32, 50, 60, 64, 100, 1000})
"""Denominators with a name: ``3/4``."""


class Atom(NamedTuple):
    """An element of a formula."""

    text: str
    kind: str
    """number, letter, word, name, operator, open, close, point, after, before."""


def classify_sign(sign: str) -> Atom:
    """Return the atom for a single character or a number."""
    if sign[0].isdigit():
        return Atom(sign, "number")
    if sign == "-":
        return Atom("−", "operator")
    if sign == "/":
        return Atom("∕", "operator")
    if sign in "*∗":
        return Atom("×", "operator")
    if sign in UNITS:
        return Atom(sign, "word")
    if sign in _RELATIONS:
        return Atom(sign, "operator")
    if sign in "([":
        return Atom(sign, "open")
    if sign in ")]":
        return Atom(sign, "close")
    if sign in ",;:.":
        return Atom(sign, "point")
    return Atom(sign, "after" if sign in "²³°" else "letter")


def format_fraction(top: str, bottom: str) -> Atom:
    """Return a fraction: ``3/4`` where it has a name, else with a fraction slash, ``(a + b) ∕ c``."""
    if top.isdecimal() and bottom.isdecimal() and int(top) < int(bottom) and int(bottom) in _READABLE_BOTTOMS:
        return Atom(f"{top}/{bottom}", "number")
    return Atom(f"{parenthesize(top)} ∕ {parenthesize(bottom)}", "word")


def format_rate(top: list[Atom], bottom: list[Atom]) -> Atom | None:
    """Return a fraction of two units as a unit, ``km/h``; None for anything else."""
    units = [join_atoms(atoms) for atoms in (top, bottom)]
    if top and bottom and top[0].kind == bottom[0].kind == "word" and all(map(_UNIT.fullmatch, units)):
        return Atom(siunitx.format_per_second("/".join(units)), "word")
    return None


def root_sign(degree: str) -> str:
    """Return the sign of a root, with its degree as a power before it: ``⁽n⁾√``."""
    return {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree, f"⁽{degree}⁾√")


def parenthesize(text: str) -> str:
    """Return ``text`` in parentheses if it contains a space."""
    return f"({text})" if " " in text else text


def join_atoms(atoms: list[Atom]) -> str:
    """Return atoms as text, with spaces between words."""
    atoms = _merge_names(_merge_units(atoms))
    text = ""
    before = Atom("", "open")
    for atom in atoms:
        text += _separator(before, atom) + atom.text
        if before.kind in {"open", "operator", "point"} and atom.text in PREFIX_OPERATORS:
            atom = Atom(atom.text, "before")
        before = atom
    return re.sub(" {2,}", " ", text).replace("= =", "=").strip()


def _merge_units(atoms: list[Atom]) -> list[Atom]:
    """Merge the parts of a unit: ``km∕h``, ``μ m`` and ``k Ω``; Ω after a number is a unit, too."""
    found: list[Atom] = []
    for at, atom in enumerate(atoms):
        before = found[-1] if found else Atom("", "open")
        following = atoms[at + 1] if at + 1 < len(atoms) else Atom("", "close")
        if atom.kind == "word" and before.text.endswith("/"):
            found[-1] = Atom(before.text + atom.text, before.kind)
        elif atom.text == "∕" and _is_rate(found, following):
            found[-1] = Atom(f"{before.text}/", before.kind)
        elif atom.text in {"m", "s", "g", "A", "F", "L", "l", "V", "W", "mol"} and before.text == "µ":
            found[-1] = Atom(f"µ{atom.text}", "word")
        elif atom.text == "μ" and (before.kind == "number" or following.kind == "word"):
            found.append(Atom("µ", "word") if following.text in {*"msgAFLlVW", "mol"} else atom)
        elif atom.text == "Ω" and before.text in {"k", "M"} and found[-2:-1] and found[-2].kind == "number":
            found[-1] = Atom(f"{before.text}Ω", "word")
        elif atom.text == "Ω" and before.kind == "number":
            found.append(Atom("Ω", "word"))
        else:
            found.append(atom)
    return found


def _is_rate(before: list[Atom], following: Atom) -> bool:
    """Tell whether a slash stands between two units, or an amount of money and a unit."""
    if not before or following.kind != "word" or not _UNIT.fullmatch(following.text):
        return False
    last = before[-1]
    money = last.kind == "number" and before[-2:-1] and before[-2].text in {"$", "€", "£"}
    return bool(money or last.text in {"$", "€", "£"} or (last.kind == "word" and _UNIT.fullmatch(last.text)))


def _merge_names(atoms: list[Atom]) -> list[Atom]:
    """Merge the letters of a unit, and a function with the limits at its name."""
    merged: list[Atom] = []
    for at, atom in enumerate(atoms):
        following = atoms[at + 1] if at + 1 < len(atoms) else Atom("", "close")
        if merged and atom.kind == "name" and merged[-1].kind == "name" and atom.text[0] in "₍⁽":
            merged[-1] = Atom(merged[-1].text + atom.text, "name")
        elif following == Atom("(", "open") and re.fullmatch(
            "[fghFGHPQOφψΓ]ʹ*", _function_name(merged, atom)
        ):
            name = _function_name(merged, atom)
            merged[len(merged) - (name != atom.text) :] = [Atom(name + FUNCTION_APPLICATION, "before")]
        else:
            merged.append(atom)
    return [
        Atom(atom.text + FUNCTION_APPLICATION, "name")
        if atom.kind == "name" and atom.text[0].isalpha()
        else atom
        for atom in merged
    ]


def _function_name(merged: list[Atom], atom: Atom) -> str:
    return f"{merged[-1].text}{atom.text}" if merged and atom.kind == "after" else atom.text


def _separator(before: Atom, atom: Atom) -> str:
    """Return the text between two atoms."""
    if before.kind in {"open", "before"} or atom.kind in {"close", "after", "point"}:
        return ""
    if before.kind == "number" and atom.kind == "letter" and atom.text[0].isalpha():
        return INVISIBLE_TIMES
    if before.kind == "word" and atom.text == "−":
        return f"{INVISIBLE_TIMES} "  # marks an operator: without it this would be a dash
    if before.text == "°" and atom.text in {"C", "F"}:
        return ""
    if before.kind == "word" and atom.kind == "word" and not (before.text[-1:] + atom.text[:1]).isalnum():
        return ""
    return " "
