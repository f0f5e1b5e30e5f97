"""A formula → one line of Unicode."""

from __future__ import annotations

import re

from . import siunitx
from .atoms import Atom, classify_sign, format_fraction, format_rate, join_atoms, parenthesize, root_sign
from .commands import (
    BIG_OPERATORS,
    BRACKETS,
    COMMANDS_WITH_IGNORED_ARGUMENT,
    ESCAPED_SIGNS,
    FUNCTION_APPLICATION,
    FUNCTIONS,
    GREEK_LETTERS,
    GROUP,
    IGNORED_COMMANDS,
    OPERATORS,
    SIGNS,
    STYLE_COMMANDS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    TEXT_COMMANDS,
    UNITS,
)

_MAX_DEPTH = 30
_TOKEN = re.compile(
    rf"\\[A-Za-z]+\*?|\\.|\d+(?:[.,:]\d+)*|(?<![A-Za-z])(?:{'|'.join(sorted(UNITS))})(?![A-Za-z])|.", re.S
)
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{([a-z]+\*?)\}(?:\{[|lcr ]*\}|\[[a-z]\])?")


def read_formula(source: str) -> str:
    """Return the Unicode text of a formula."""
    parted = "cases" in source or "matrix" in source
    source = re.sub(r"\\\\(?:\[[^\]]*\])?", "," if parted or source.count("\\\\") else " ", source)
    source = re.sub(r"\\(?:left|right)\s*\.", " ", source)
    source = _ENVIRONMENT.sub(" ", source).replace("&", "," if parted else " ")
    source = re.sub(r"(?<=\d)(?:\{,\}(?=\d)|\\[,!](?=\d{3}(?!\d)))", ",", source)
    return FormulaParser(source).parse()


class FormulaParser:
    """Parses a formula in one pass, from left to right."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._depth = 0

    def parse(self) -> str:
        """Return the formula as Unicode text."""
        return join_atoms(self._parse_until("")).strip(" ,")

    def _parse_until(self, end: str) -> list[Atom]:
        """Return the atoms up to the character ``end``, or the end of the formula."""
        atoms: list[Atom] = []
        while self._at < len(self._source):
            sign = _TOKEN.match(self._source, self._at)
            assert sign is not None
            if sign[0] == end:
                self._at = sign.end()
                break
            self._at = sign.end()
            self._parse_sign(sign[0], atoms)
        return atoms

    def _parse_sign(self, sign: str, atoms: list[Atom]) -> None:
        """Append the atoms of what ``sign`` begins."""
        if sign[0] == "\\":
            self._parse_command(sign[1:], atoms)
        elif sign == "{":
            if atoms_within := self._parse_group():
                atoms += atoms_within
        elif sign in "^_":
            self._parse_script(sign, atoms)
        elif sign == "'":
            primes = atoms.pop().text if atoms and atoms[-1].text.endswith("ʹ") else ""
            atoms.append(Atom(f"{primes}ʹ", "after"))
        elif sign == "!":
            atoms.append(Atom("ꜝ", "after"))
        elif sign == "%":
            atoms.append(Atom("%", "after"))
        elif sign == "|":
            self._parse_bar(atoms)
        elif not sign.isspace() and sign not in "}~&$":
            atoms.append(classify_sign(sign))

    def _parse_group(self) -> list[Atom]:
        self._depth += 1
        atoms = self._parse_until("}") if self._depth < _MAX_DEPTH else []
        self._depth -= 1
        return atoms

    def _parse_argument(self) -> list[Atom]:
        """Return the atoms of the next argument: a group, a command with its arguments, or a character."""
        sign = re.compile(r"\s*(\\[A-Za-z]+|\\.|\d|.)", re.S).match(self._source, self._at)
        if sign is None:
            return []
        self._at = sign.end()
        if sign[1] == "{":
            return self._parse_group()
        atoms: list[Atom] = []
        self._depth += 1
        if self._depth < _MAX_DEPTH:
            self._parse_sign(sign[1], atoms)
        self._depth -= 1
        return atoms

    def _parse_option(self) -> str:
        option = re.compile(r"\s*\[([^\[\]]*)\]").match(self._source, self._at)
        if option is None:
            return ""
        self._at = option.end()
        return FormulaParser(option[1]).parse() if self._depth < _MAX_DEPTH else ""

    def _read_raw_argument(self) -> str:
        """Return the next argument as it is written, without its braces."""
        raw = re.compile(rf"\s*(?:({GROUP})|(\w))").match(self._source, self._at)
        if raw is None:
            return ""
        self._at = raw.end()
        return raw[1][1:-1] if raw[1] else raw[2]

    def _parse_command(self, name: str, atoms: list[Atom]) -> None:
        name = name.rstrip("*")
        if name in TEXT_COMMANDS:
            from .convert import (
                convert_to_unicode as unicode_of,  # text in a formula may contain formulas: the modules import each other
            )

            text = re.sub(
                r"_\{?(\d+)\}?",
                lambda index: index[1].translate(SUBSCRIPTS),
                unicode_of(siunitx.convert_negative_power(self._read_raw_argument())),
            )
            atoms += [Atom(re.sub(r"\s+", " ", text), "word")] if text else []
        elif name in {"frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"}:
            above, below = self._parse_argument(), self._parse_argument()
            atoms.append(format_rate(above, below) or format_fraction(join_atoms(above), join_atoms(below)))
        elif name in siunitx.ARGUMENT_COUNTS:
            self._parse_option()
            words = siunitx.format_quantity(
                name, [self._read_raw_argument() for _ in range(siunitx.ARGUMENT_COUNTS[name])]
            )
            atoms.append(Atom(words, "word"))
        elif name == "sqrt":
            atoms += [
                Atom(root_sign(self._parse_option()), "before"),
                Atom(parenthesize(join_atoms(self._parse_argument())), "letter"),
            ]
        elif name == "binom":
            top, bottom = join_atoms(self._parse_argument()), join_atoms(self._parse_argument())
            atoms.append(Atom(f"binom{FUNCTION_APPLICATION}({top}, {bottom})", "letter"))
        elif name in COMMANDS_WITH_IGNORED_ARGUMENT:
            self._read_raw_argument()
        elif name in STYLE_COMMANDS:
            atoms += self._parse_argument()
        elif name in FUNCTIONS or name in BIG_OPERATORS:
            atoms.append(Atom(BIG_OPERATORS.get(name, name), "name"))
        elif name not in IGNORED_COMMANDS:
            self._parse_symbol_command(name, atoms)

    def _parse_symbol_command(self, name: str, atoms: list[Atom]) -> None:
        """Append the sign that a command without arguments stands for; an unknown command is its name."""
        if name in {"celsius", "textcelsius"}:
            atoms.append(Atom("°C", "after"))
        elif name in {"degree", "textdegree"} or (
            name == "circ" and not (atoms and atoms[-1].kind in {"letter", "close"})
        ):
            atoms.append(Atom("°", "after"))
        elif name == "circ":
            atoms.append(Atom("∘", "operator"))
        elif name in {"pmod", "bmod"}:
            atoms += [Atom("mod", "name"), *(self._parse_argument() if name == "pmod" else [])]
        elif name == "prime":
            atoms.append(Atom("ʹ", "after"))
        elif name == "%":
            atoms.append(Atom("%", "after"))
        elif name in {"|", "lVert", "rVert", "Vert", "lvert", "rvert", "vert"}:
            self._parse_bar(atoms)
        elif name in BRACKETS:
            atoms += [classify_sign(BRACKETS[name])] if BRACKETS[name] else []
        elif name in OPERATORS:
            atoms.append(Atom(OPERATORS[name], "operator"))
        elif sign := GREEK_LETTERS.get(name) or SIGNS.get(name) or ESCAPED_SIGNS.get(name):
            atoms.append(Atom(sign, "letter"))
        elif name.isalpha():
            atoms.append(Atom(name, "word"))

    def _parse_bar(self, atoms: list[Atom]) -> None:
        """Append an absolute value for text between two bars; a single bar is a condition."""
        closer = re.compile(r"[^|(){}]*(?:\([^|()]*\)[^|(){}]*){0,5}(?:\\[lr]?[vV]ert|\\?\|)").match(
            self._source, self._at
        )
        if closer is None or not closer[0].strip("|\\ "):
            atoms.append(Atom("∣", "operator"))
            return
        inner = re.sub(r"(?:\\(?:right|left))?(?:\\[lr]?[vV]ert|\\?\|)\Z", "", closer[0])
        self._at = closer.end()
        atoms.append(Atom(f"abs{FUNCTION_APPLICATION}({FormulaParser(inner).parse()})", "letter"))

    def _parse_script(self, sign: str, atoms: list[Atom]) -> None:
        """Append a power or an index."""
        text = join_atoms(self._parse_argument())
        text = "".join(text.split()) if text in {"t h", "s t", "n d", "r d"} else text
        if not text or text in {"*", "×", "†"}:
            return
        if atoms and atoms[-1].text.endswith("/s") and text == "2":
            atoms.append(Atom("^2", "after"))  # normalization knows m/s^2
            return
        named = bool(atoms) and atoms[-1].kind == "name"
        if sign == "_":
            text = re.sub(r"(?<=\d),(?=\d)", ", ", text)
            index = text.translate(SUBSCRIPTS) if text.isdecimal() and not named else f"₍{text}₎"
            atoms.append(Atom(index, "name" if named else "after"))
        elif text.strip("°ʹ") == "" or text in {"th", "st", "nd", "rd"}:
            atoms.append(Atom(text, "after"))
        else:
            plain = re.fullmatch(r"[-−]?\d+", text) and not named
            power = text.translate(SUPERSCRIPTS) if plain else f"⁽{text}⁾"
            atoms.append(Atom(power, "name" if named else "after"))
