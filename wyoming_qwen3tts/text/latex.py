"""LaTeX → Unicode mathematics, which the spoken form has words for in every language.

What Unicode cannot write in one line has brackets: ``x⁽n+1⁾`` is a power, ``x₍i₎`` an index, ``∑₍i = 1₎⁽n⁾`` a sum
with its limits, ``(a + b) ∕ c`` a fraction. U+2061 stands behind the name of a function and U+2062 between a
number and its variable, so that ``5⁢m`` is no length; ``ꜝ`` is a factorial, which ends no sentence.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from . import siunitx

APPLY = "\u2061"
TIMES = "\u2062"
_LONGEST = 2000
"""Characters of a formula with delimiters of its own; in single dollars a quarter of that."""
_DEEPEST = 30

_GREEK = {
    name: letter
    for names, letters in (
        (
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
            "upsilon phi chi psi omega",
            "αβγδεζηθικλμνξοπρστυφχψω",
        ),
        ("Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega", "ΓΔΘΛΞΠΣΥΦΨΩ"),
        ("varepsilon vartheta varphi varrho varsigma varpi", "εθφρσπ"),
    )
    for name, letter in zip(names.split(), letters, strict=True)
}
_OPERATORS = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "pm": "±", "mp": "∓", "leq": "≤", "le": "≤", "leqslant": "≤",
    "geq": "≥", "ge": "≥", "geqslant": "≥", "neq": "≠", "ne": "≠", "lt": "<", "gt": ">", "approx": "≈", "sim": "≈",
    "simeq": "≈", "equiv": "≡", "cong": "≅", "propto": "∝", "ll": "≪", "gg": "≫", "in": "∈", "notin": "∉", "ni": "∋",
    "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "supseteq": "⊇", "cup": "∪", "cap": "∩", "setminus": "∖",
    "to": "→", "rightarrow": "→", "longrightarrow": "→", "leftarrow": "←", "gets": "←", "mapsto": "↦",
    "Rightarrow": "⟹", "Longrightarrow": "⟹", "implies": "⟹", "Leftrightarrow": "⟺", "Longleftrightarrow": "⟺",
    "iff": "⟺", "leftrightarrow": "⟺", "xrightarrow": "→", "rightleftharpoons": "⇌", "land": "∧", "wedge": "∧",
    "lor": "∨", "vee": "∨", "perp": "⊥", "parallel": "∥", "mid": "∣", "therefore": "∴", "because": "∵",
    "coloneqq": "=", "oplus": "⊕", "otimes": "⊗", "colon": ":", "doteq": "=", "triangleq": "=", "uparrow": "↑", "downarrow": "↓",
}  # fmt: skip
_SIGNS = {
    "infty": "∞", "partial": "∂", "nabla": "∇", "emptyset": "∅", "varnothing": "∅", "forall": "∀", "exists": "∃",
    "nexists": "∄", "neg": "¬", "lnot": "¬", "angle": "∠", "ell": "l", "hbar": "ħ", "Re": "Re", "Im": "Im", "aleph": "ℵ",
    "dots": "‥", "ldots": "‥", "cdots": "‥", "vdots": "‥", "ddots": "‥", "dotsc": "‥", "dotsb": "‥", "euro": "€",
    "pounds": "£", "copyright": "©", "checkmark": "✓", "imath": "i", "jmath": "j", "S": "§", "texteuro": "€",
    "textdollar": "$", "ohm": "Ω",
}  # fmt: skip
_BIG = {
    "sum": "∑",
    "prod": "∏",
    "int": "∫",
    "iint": "∬",
    "iiint": "∭",
    "oint": "∮",
    "bigcup": "⋃",
    "bigcap": "⋂",
}
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp lim min max sup inf det gcd lcm arg "
    "argmin argmax mod dim ker".split()
)
_TEXT = frozenset(
    "text textbf textit texttt textrm textsf textnormal mathrm mathit mathsf mathtt mbox operatorname emph ce "
    "textsc textup url underline hbox section subsection subsubsection paragraph chapter title author".split()
)
_FACES = frozenset(
    "mathbf mathbb mathcal mathfrak boldsymbol bm vec hat bar overline tilde widehat widetilde dot ddot boxed "
    "fbox overrightarrow underbrace overbrace mathscr pmb cancel displaylines ensuremath bcancel".split()
)
_SKIPPED = frozenset(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr displaystyle textstyle limits nolimits middle "
    "quad qquad nonumber notag hline hfill centering noindent small large Large rm bf it cal scriptstyle "
    "blacksquare square Box qed smallskip medskip bigskip newline item maketitle".split()
)
_DROPPED = {
    "label": 1,
    "tag": 1,
    "color": 1,
    "hspace": 1,
    "vspace": 1,
    "textcolor": 1,
    "begin": 1,
    "end": 1,
    "ref": 1,
    "cite": 1,
    "href": 1,
    "phantom": 1,
    "overset": 1,
    "underset": 1,
    "stackrel": 1,
}
"""Commands whose first argument is none of the formula."""
_BRACKETS = {"lvert": "|", "rvert": "|", "vert": "|", "lVert": "‖", "rVert": "‖", "Vert": "‖", "|": "‖", "langle": "(",
             "rangle": ")", "lfloor": "(", "rfloor": ")", "lceil": "(", "rceil": ")", "lbrace": "", "rbrace": "", "{": "", "}": "",
             "lbrack": "[", "rbrack": "]"}  # fmt: skip
_ESCAPED = {"%": "%", "$": "$", "&": "&", "#": "#", "_": " "}
_UNITS = frozenset(
    "kg km cm mm ms kW kWh Hz kHz MHz GHz Pa kPa mol mL ml min mg kJ nm rad dB eV mA kV".split()
)
_SUPERSCRIPTS = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_CLOSE = "⁽₍²³°%ꜝ₀₁₂₃₄₅₆₇₈₉⁰¹⁴⁵⁶⁷⁸⁹⁻"
"""What stands close to the word before it."""
_RELATIONS = frozenset("+−±∓=<>×÷∕*") | frozenset(_OPERATORS.values())
_PREFIXES = frozenset("+−±∓")
_UNIT = re.compile(
    "(?:[kMGTcmµnd]?(?:m|g|s|W|Wh|V|A|Hz|Pa|J|N|L|l|mol|B|K)|min|h|d|yr|t|°C|Ω|bar|kg|mi|ft|mph|month|year|day|[$€£])[²³]?"
)
_READABLE_BOTTOMS = frozenset({*range(2, 21), 24, 25, 32, 50, 60, 64, 100, 1000})
"""Denominators with a name: ``3/4``."""

_TOKEN = re.compile(
    rf"\\[A-Za-z]+\*?|\\.|\d+(?:[.,:]\d+)*|(?<![A-Za-z])(?:{'|'.join(sorted(_UNITS))})(?![A-Za-z])|.", re.S
)
_COMMANDS = "|".join(
    sorted(
        {"frac", "dfrac", "tfrac", "nicefrac", "sfrac", "sqrt", *siunitx.COMMANDS, "binom", "degree", *_GREEK, *_OPERATORS, *_SIGNS, *_BIG, *_TEXT, *_FACES, *_FUNCTIONS} - {"S"},
        key=len,
        reverse=True,
    )
)  # fmt: skip
_GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,200}\}){0,300}\}){0,400}\}"
_BARE = re.compile(
    rf"(?<![A-Za-z]{{2}})(?<![:\\/.])\\(?:{_COMMANDS}|left|right|quad|item|[,;])(?![A-Za-z\\])(?:\[[^\[\]]{{0,20}}\])?(?:{_GROUP}){{0,3}}"
    rf"(?:[_^](?:{_GROUP}|\w))*|\\(?:begin|end)\{{[a-z]{{3,12}}\*?\}}|(?<=[\w)\]])(?:[_^](?:{_GROUP}|\\(?:circ|degree|prime)(?![A-Za-z])))+"
)
"""A command outside of a formula, with its arguments."""
_TEXT_ENVIRONMENTS = (
    r"(?:itemize|enumerate|description|document|verbatim|center|quote|tabular|figure|table|abstract)\*?\}"
)
_SPACED_LETTERS = "A-Za-zÀ-ÖØ-öø-ɏЀ-ӿ"
"""Letters of languages with spaces between words: a dollar sign that touches one is no delimiter."""
_TOUCHED = re.compile(f"[{_SPACED_LETTERS}\\d_$\\\\]")
_FORMULA = re.compile(
    rf"(?<!\\)\$\$(?P<display>[^$]{{1,{_LONGEST}}}?)\$\$|(?<!\\)\\\[(?P<brackets>.{{1,{_LONGEST}}}?)\\\]"
    rf"|(?<!\\)\\\((?P<parens>.{{1,{_LONGEST}}}?)\\\)"
    rf"|(?P<environment>(?<!\\)\\begin\{{(?!{_TEXT_ENVIRONMENTS})(?P<name>[a-z]{{3,12}}\*?)\}}.{{0,{_LONGEST}}}?\\end\{{(?P=name)\}})"
    rf"|(?<![{_SPACED_LETTERS}\d_$\\])\$(?!\s)(?P<inline>(?:[^$\\\n]|\\.){{1,{_LONGEST // 4}}})(?<![\s\\])\$(?![{_SPACED_LETTERS}\d_$])"
    rf"|(?<![{_SPACED_LETTERS}\d_$\\])(?<!\d )\$(?P<apart> [A-Za-z\\(][^$\n]{{1,300}} )\$(?![{_SPACED_LETTERS}\d_$])"
    rf"|(?<![{_SPACED_LETTERS}\d_$\\])\$(?P<close>(?:[A-Za-z]|\d{{1,3}})(?=\$[tsnr])|[^\s$\n](?:[^$\\\n]|\\.){{0,80}})\$(?=[{_SPACED_LETTERS}])"
    r"|(?<=[\w)])\$(?P<script>(?:\s?[_^](?:\w|\{[^{}$\n]{1,40}\}|\\[a-z]{1,10})){1,2})\$",
    re.S,
)
_OPENERS = re.compile(r"\\(?:[(\[]|begin\{)|\$")
_PARTIAL = re.compile(r"\\(?:b(?:e(?:g(?:i(?:n)?)?)?)?)?\Z|\$\Z")
_SIGNED = re.compile(r"[=^_<>+*/|\\{}²³×÷±≤≥≠≈√π]|[^\W\d_]\(")
_EDGES = re.compile(
    r"\A(?:\$\$|\\[(\[]|\\begin\{\w*\*?\}?)\s*|\s*(?:\$\$?|\\(?:[)\]]|e(?:nd?)?(?:\{\w*\*?\}?)?)?)?\Z"
)
_TWO_WORDS = re.compile(r"(?<![\\{A-Za-z])[^\W\d_]{2,}[,.]?\s+(?!(?:sin|cos|tan|log|ln)\b)[^\W\d_]{2,}")
_LONG_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}(?![A-Za-z]*\})")
_TWO_PRICES = re.compile(r"\d[\d.,]*\s*,?\s[^\W\d_]{1,4}\s\d[\d.,]*")
"""Two numbers with a word between them, as of "$5 or 10$"."""
_WIDE = re.compile("[\u3040-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_IN_ARGUMENT = re.compile(r"\\[A-Za-z]+\*?|\{[^{}]*(?:\}|\Z)")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{([a-z]+\*?)\}(?:\{[|lcr ]*\}|\[[a-z]\])?")


def remove_invisible_operators(text: str) -> str:
    """Return ``text`` without the invisible operators, for a voice that reads mathematics itself."""
    return text.replace(APPLY, "").replace(TIMES, "")


def convert_to_unicode(text: str) -> str:
    """Return ``text`` with Unicode in place of its LaTeX formulas and commands."""
    if "\\" in text or "$" in text:
        text = FormulaFilter().take_whole(text)
    if "\\" in text or "^{" in text or "_{" in text:
        text = _BARE.sub(lambda bare: _spaced(bare, _read(bare[0])), text)
    return text


class FormulaFilter:
    """Put Unicode in place of LaTeX formulas in text that arrives in pieces.

    A formula is held back until it ends, so that no sentence is cut inside it: ``$5! = 120$``. What cannot
    be one any more leaves at once.
    """

    def __init__(self) -> None:
        self._held = ""
        self._last = ""
        """The character before ``_held``."""
        self._formula_last = False
        """Whether that ended a formula."""

    def push(self, piece: str) -> str:
        """Add a piece of text; return what is complete."""
        return self._take(self._held + piece, final=False)

    def finish(self) -> str:
        """Return what was held back."""
        return self._take(self._held, final=True)

    def clear(self) -> None:
        """Forget what was held back."""
        self._held = ""

    def take_whole(self, text: str) -> str:
        """Return a whole text."""
        return self._take(text, final=True, whole=True)

    def _take(self, text: str, *, final: bool, whole: bool = False) -> str:
        if "\\" not in text and "$" not in text and not self._formula_last:
            self._held, self._last = "", text[-1:] or self._last
            return text
        found = [" "] if self._formula_last and _touches(text[:1]) else []
        self._formula_last = self._formula_last and not text
        text = self._last + text
        begin = at = len(self._last)
        end = len(text)
        while opener := _OPENERS.search(text, at):
            start = opener.start()
            formula = _formula(text, start, final=final, whole=whole)
            if formula is None and not final and _may_be_formula(text, start):
                end = start
                break
            at = formula.end() if formula else start + (2 if text.startswith("$$", start) else 1)
            said = _replaced(formula) if formula else text[start:at]
            found.append(text[begin:start] + said)
            self._formula_last = formula is not None and at == len(text) and not said.isspace()
            begin = at
        if end == len(text) and not final and (partial := _PARTIAL.search(text, max(begin, end - 6))):
            end = partial.start()
        found.append(text[begin:end])
        self._held = text[end:]
        self._last = text[max(0, end - 1) : end]
        return "".join(found)


def _formula(text: str, at: int, *, final: bool, whole: bool) -> re.Match[str] | None:
    """Return the formula that begins at ``at``; None if there is none, or it is not known to end yet.

    ``whole``: nothing waits, so that what looks like a price may be a formula.
    """
    formula = _FORMULA.match(text, at)
    if formula and not formula["inline"] and _has_blank_line(formula[0]):
        return None
    if formula and formula["apart"]:
        apart = formula["apart"].strip()
        return formula if whole and _is_maths(apart) and re.search(r"[=\\^<>]", apart) else None
    if formula and (close := formula["close"]):
        ordinal = re.fullmatch(r"[A-Za-z]|\d{1,3}", close) and text[formula.end()] in "tsnr"
        maths = ordinal or re.search(r"\\[A-Za-z]|\^", close)
        return formula if maths and _is_maths(close) else None
    if formula and formula["inline"]:
        undecided = formula.end() == len(text) and not final
        if undecided or not (whole or _is_no_price(formula["inline"])) or not _is_maths(formula["inline"]):
            return None
    return formula


def _has_blank_line(formula: str) -> bool:
    """Tell whether there is a blank line inside a formula, whose end may not have arrived: then it is none."""
    return "\n\n" in _EDGES.sub("", formula)


def _may_be_formula(text: str, at: int) -> bool:
    """Tell whether a formula begins at ``at`` that more text may end."""
    rest = text[at : at + _LONGEST + 20]
    if not rest.startswith("$") or rest.startswith("$$"):
        return len(rest) < _LONGEST and not _has_blank_line(rest) and text[at - 1 : at] != "\\"
    content = rest[1:]
    if at and _TOUCHED.match(text[at - 1]):
        return not content or (content[0] in "_^" and len(content) < 50 and " " not in content)
    if content[:1].isspace() or "\n" in content or len(content) > _LONGEST // 4:
        return False
    return _is_no_price(content) and _is_maths(content, whole=False)


def _is_no_price(content: str) -> bool:
    """Tell whether what follows a dollar sign can be a formula: a price is not to wait for the next dollar sign."""
    return not content[:1].isdigit() or re.match(r"\d++ *+(?:[!^_\\=+*/<>(]|\Z)", content) is not None


def _replaced(formula: re.Match[str]) -> str:
    """Return the Unicode of a formula."""
    content = next(part for name, part in formula.groupdict().items() if part and name != "name")
    read = _read(content)
    if not read:
        return " "
    if formula["inline"] and formula.string.startswith(".", formula.end()) and re.search(r"\d\.\d+\Z", read):
        read += TIMES  # or it would be a date in German: 3.5.
    ordinal = formula["close"] and re.fullmatch(r"[A-Za-z]|\d{1,3}", read)
    return read if ordinal else _spaced(formula, read)


def _is_maths(content: str, *, whole: bool = True) -> bool:
    """Tell whether what stands between dollars is a formula, or its beginning, and no prices."""
    bare = _IN_ARGUMENT.sub("", content)
    if _TWO_WORDS.search(bare) or _LONG_WORD.search(bare) or _WIDE.search(bare):
        return False
    if _TWO_PRICES.fullmatch(content):
        return False
    if not whole:
        return True
    if (
        content[0].isspace()
        or content.count("(") != content.count(")")
        or re.search(r"(?<!\^)[-–,;/]\Z", content)
    ):
        return False
    return bool(_SIGNED.search(content)) or len(bare) <= 12


def _touches(after: str) -> bool:
    """Tell whether a formula needs a space before ``after``."""
    return after.isascii() and (after.isalnum() or after in tuple("(["))


def _spaced(match: re.Match[str], said: str) -> str:
    """Return what replaces a match, apart from the words around it."""
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    lead = before.isascii() and before.isalnum() and said[:1] not in _CLOSE
    return f"{' ' if lead else ''}{said}{' ' if _touches(after) else ''}"


def _read(source: str) -> str:
    """Return a formula in Unicode."""
    parted = "cases" in source or "matrix" in source
    source = re.sub(r"\\\\(?:\[[^\]]*\])?", "," if parted or source.count("\\\\") else " ", source)
    source = re.sub(r"\\(?:left|right)\s*\.", " ", source)
    source = _ENVIRONMENT.sub(" ", source).replace("&", "," if parted else " ")
    source = re.sub(r"(?<=\d)(?:\{,\}(?=\d)|\\[,!](?=\d{3}(?!\d)))", ",", source)
    return _Reader(source).read()


class _Atom(NamedTuple):
    """A part of a formula."""

    text: str
    kind: str
    """number, letter, word, name, operator, open, close, point, after, before."""


class _Reader:
    """Reads a formula once, from left to right."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        """Return the formula in Unicode."""
        return _joined(self._atoms("")).strip(" ,")

    def _atoms(self, end: str) -> list[_Atom]:
        """Return the atoms up to the character ``end``, or the end of the formula."""
        atoms: list[_Atom] = []
        while self._at < len(self._source):
            sign = _TOKEN.match(self._source, self._at)
            assert sign is not None
            if sign[0] == end:
                self._at = sign.end()
                break
            self._at = sign.end()
            self._atom(sign[0], atoms)
        return atoms

    def _atom(self, sign: str, atoms: list[_Atom]) -> None:
        """Add what ``sign`` begins."""
        if sign[0] == "\\":
            self._command(sign[1:], atoms)
        elif sign == "{":
            if atoms_within := self._group():
                atoms += atoms_within
        elif sign in "^_":
            self._script(sign, atoms)
        elif sign == "'":
            primes = atoms.pop().text if atoms and atoms[-1].text.endswith("ʹ") else ""
            atoms.append(_Atom(f"{primes}ʹ", "after"))
        elif sign == "!":
            atoms.append(_Atom("ꜝ", "after"))
        elif sign == "%":
            atoms.append(_Atom("%", "after"))
        elif sign == "|":
            self._bar(atoms)
        elif not sign.isspace() and sign not in "}~&$":
            atoms.append(_atom_of(sign))

    def _group(self) -> list[_Atom]:
        self._depth += 1
        atoms = self._atoms("}") if self._depth < _DEEPEST else []
        self._depth -= 1
        return atoms

    def _argument(self) -> list[_Atom]:
        """Return the atoms of the next argument: a group, a command with its own, or a character."""
        sign = re.compile(r"\s*(\\[A-Za-z]+|\\.|\d|.)", re.S).match(self._source, self._at)
        if sign is None:
            return []
        self._at = sign.end()
        if sign[1] == "{":
            return self._group()
        atoms: list[_Atom] = []
        self._depth += 1
        if self._depth < _DEEPEST:
            self._atom(sign[1], atoms)
        self._depth -= 1
        return atoms

    def _option(self) -> str:
        option = re.compile(r"\s*\[([^\[\]]*)\]").match(self._source, self._at)
        if option is None:
            return ""
        self._at = option.end()
        return _Reader(option[1]).read() if self._depth < _DEEPEST else ""

    def _raw(self) -> str:
        """Return the next argument as it is written, without its braces."""
        raw = re.compile(rf"\s*(?:({_GROUP})|(\w))").match(self._source, self._at)
        if raw is None:
            return ""
        self._at = raw.end()
        return raw[1][1:-1] if raw[1] else raw[2]

    def _command(self, name: str, atoms: list[_Atom]) -> None:
        name = name.rstrip("*")
        if name in _TEXT:
            text = re.sub(
                r"_\{?(\d+)\}?",
                lambda index: index[1].translate(_SUBSCRIPTS),
                convert_to_unicode(siunitx.as_rate(self._raw())),
            )
            atoms += [_Atom(re.sub(r"\s+", " ", text), "word")] if text else []
        elif name in {"frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"}:
            above, below = self._argument(), self._argument()
            atoms.append(_rate(above, below) or _fraction(_joined(above), _joined(below)))
        elif name in siunitx.COMMANDS:
            self._option()
            said = siunitx.quantity(name, [self._raw() for _ in range(siunitx.COMMANDS[name])])
            atoms.append(_Atom(said, "word"))
        elif name == "sqrt":
            atoms += [
                _Atom(_root(self._option()), "before"),
                _Atom(_grouped(_joined(self._argument())), "letter"),
            ]
        elif name == "binom":
            top, bottom = _joined(self._argument()), _joined(self._argument())
            atoms.append(_Atom(f"binom{APPLY}({top}, {bottom})", "letter"))
        elif name in _DROPPED:
            self._raw()
        elif name in _FACES:
            atoms += self._argument()
        elif name in _FUNCTIONS or name in _BIG:
            atoms.append(_Atom(_BIG.get(name, name), "name"))
        elif name not in _SKIPPED:
            self._sign(name, atoms)

    def _sign(self, name: str, atoms: list[_Atom]) -> None:
        """Add the sign that a command without arguments stands for; one that is not known is its name."""
        if name in {"celsius", "textcelsius"}:
            atoms.append(_Atom("°C", "after"))
        elif name in {"degree", "textdegree"} or (
            name == "circ" and not (atoms and atoms[-1].kind in {"letter", "close"})
        ):
            atoms.append(_Atom("°", "after"))
        elif name == "circ":
            atoms.append(_Atom("∘", "operator"))
        elif name in {"pmod", "bmod"}:
            atoms += [_Atom("mod", "name"), *(self._argument() if name == "pmod" else [])]
        elif name == "prime":
            atoms.append(_Atom("ʹ", "after"))
        elif name == "%":
            atoms.append(_Atom("%", "after"))
        elif name in {"|", "lVert", "rVert", "Vert", "lvert", "rvert", "vert"}:
            self._bar(atoms)
        elif name in _BRACKETS:
            atoms += [_atom_of(_BRACKETS[name])] if _BRACKETS[name] else []
        elif name in _OPERATORS:
            atoms.append(_Atom(_OPERATORS[name], "operator"))
        elif sign := _GREEK.get(name) or _SIGNS.get(name) or _ESCAPED.get(name):
            atoms.append(_Atom(sign, "letter"))
        elif name.isalpha():
            atoms.append(_Atom(name, "word"))

    def _bar(self, atoms: list[_Atom]) -> None:
        """Read what two bars enclose as an absolute value; a single one is a condition."""
        closer = re.compile(r"[^|(){}]*(?:\([^|()]*\)[^|(){}]*){0,5}(?:\\[lr]?[vV]ert|\\?\|)").match(
            self._source, self._at
        )
        if closer is None or not closer[0].strip("|\\ "):
            atoms.append(_Atom("∣", "operator"))
            return
        inner = re.sub(r"(?:\\(?:right|left))?(?:\\[lr]?[vV]ert|\\?\|)\Z", "", closer[0])
        self._at = closer.end()
        atoms.append(_Atom(f"abs{APPLY}({_Reader(inner).read()})", "letter"))

    def _script(self, sign: str, atoms: list[_Atom]) -> None:
        """Add a power or an index."""
        text = _joined(self._argument())
        text = "".join(text.split()) if text in {"t h", "s t", "n d", "r d"} else text
        if not text or text in {"*", "×", "†"}:
            return
        if atoms and atoms[-1].text.endswith("/s") and text == "2":
            atoms.append(_Atom("^2", "after"))  # the spoken form knows m/s^2
            return
        named = bool(atoms) and atoms[-1].kind == "name"
        if sign == "_":
            text = re.sub(r"(?<=\d),(?=\d)", ", ", text)
            index = text.translate(_SUBSCRIPTS) if text.isdecimal() and not named else f"₍{text}₎"
            atoms.append(_Atom(index, "name" if named else "after"))
        elif text.strip("°ʹ") == "" or text in {"th", "st", "nd", "rd"}:
            atoms.append(_Atom(text, "after"))
        else:
            plain = re.fullmatch(r"[-−]?\d+", text) and not named
            power = text.translate(_SUPERSCRIPTS) if plain else f"⁽{text}⁾"
            atoms.append(_Atom(power, "name" if named else "after"))


def _atom_of(sign: str) -> _Atom:
    """Return the atom that a single character or a number is."""
    if sign[0].isdigit():
        return _Atom(sign, "number")
    if sign == "-":
        return _Atom("−", "operator")
    if sign == "/":
        return _Atom("∕", "operator")
    if sign in "*∗":
        return _Atom("×", "operator")
    if sign in _UNITS:
        return _Atom(sign, "word")
    if sign in _RELATIONS:
        return _Atom(sign, "operator")
    if sign in "([":
        return _Atom(sign, "open")
    if sign in ")]":
        return _Atom(sign, "close")
    if sign in ",;:.":
        return _Atom(sign, "point")
    return _Atom(sign, "after" if sign in "²³°" else "letter")


def _fraction(top: str, bottom: str) -> _Atom:
    if top.isdecimal() and bottom.isdecimal() and int(top) < int(bottom) and int(bottom) in _READABLE_BOTTOMS:
        return _Atom(f"{top}/{bottom}", "number")
    return _Atom(f"{_grouped(top)} ∕ {_grouped(bottom)}", "word")


def _rate(top: list[_Atom], bottom: list[_Atom]) -> _Atom | None:
    """Return a fraction of two units as a unit, ``km/h``; None if it is something else."""
    units = [_joined(atoms) for atoms in (top, bottom)]
    if top and bottom and top[0].kind == bottom[0].kind == "word" and all(map(_UNIT.fullmatch, units)):
        return _Atom(siunitx.by_second("/".join(units)), "word")
    return None


def _root(degree: str) -> str:
    return {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree, f"⁽{degree}⁾√")


def _grouped(text: str) -> str:
    """Return ``text`` in brackets, if it is more than one thing."""
    return f"({text})" if " " in text else text


def _joined(atoms: list[_Atom]) -> str:
    """Return atoms as text, with spaces where words are to be."""
    atoms = _merged(_with_units(atoms))
    text = ""
    before = _Atom("", "open")
    for atom in atoms:
        text += _between(before, atom) + atom.text
        if before.kind in {"open", "operator", "point"} and atom.text in _PREFIXES:
            atom = _Atom(atom.text, "before")
        before = atom
    return re.sub(" {2,}", " ", text).replace("= =", "=").strip()


def _with_units(atoms: list[_Atom]) -> list[_Atom]:
    """Put together the parts of a unit: ``km∕h``, ``μ m`` and ``k Ω``; Ω behind a number is one, too."""
    found: list[_Atom] = []
    for at, atom in enumerate(atoms):
        before = found[-1] if found else _Atom("", "open")
        following = atoms[at + 1] if at + 1 < len(atoms) else _Atom("", "close")
        if atom.kind == "word" and before.text.endswith("/"):
            found[-1] = _Atom(before.text + atom.text, before.kind)
        elif atom.text == "∕" and _is_rate(found, following):
            found[-1] = _Atom(f"{before.text}/", before.kind)
        elif atom.text in {"m", "s", "g", "A", "F", "L", "l", "V", "W", "mol"} and before.text == "µ":
            found[-1] = _Atom(f"µ{atom.text}", "word")
        elif atom.text == "μ" and (before.kind == "number" or following.kind == "word"):
            found.append(_Atom("µ", "word") if following.text in {*"msgAFLlVW", "mol"} else atom)
        elif atom.text == "Ω" and before.text in {"k", "M"} and found[-2:-1] and found[-2].kind == "number":
            found[-1] = _Atom(f"{before.text}Ω", "word")
        elif atom.text == "Ω" and before.kind == "number":
            found.append(_Atom("Ω", "word"))
        else:
            found.append(atom)
    return found


def _is_rate(before: list[_Atom], following: _Atom) -> bool:
    """Tell whether a slash stands between two units, or an amount of money and a unit."""
    if not before or following.kind != "word" or not _UNIT.fullmatch(following.text):
        return False
    last = before[-1]
    money = last.kind == "number" and before[-2:-1] and before[-2].text in {"$", "€", "£"}
    return bool(money or last.text in {"$", "€", "£"} or (last.kind == "word" and _UNIT.fullmatch(last.text)))


def _merged(atoms: list[_Atom]) -> list[_Atom]:
    """Put together the letters of a unit, and a function with what stands at its name."""
    merged: list[_Atom] = []
    for at, atom in enumerate(atoms):
        following = atoms[at + 1] if at + 1 < len(atoms) else _Atom("", "close")
        if merged and atom.kind == "name" and merged[-1].kind == "name" and atom.text[0] in "₍⁽":
            merged[-1] = _Atom(merged[-1].text + atom.text, "name")
        elif following == _Atom("(", "open") and re.fullmatch("[fghFGHPQOφψΓ]ʹ*", _function(merged, atom)):
            name = _function(merged, atom)
            merged[len(merged) - (name != atom.text) :] = [_Atom(name + APPLY, "before")]
        else:
            merged.append(atom)
    return [
        _Atom(atom.text + APPLY, "name") if atom.kind == "name" and atom.text[0].isalpha() else atom
        for atom in merged
    ]


def _function(merged: list[_Atom], atom: _Atom) -> str:
    return f"{merged[-1].text}{atom.text}" if merged and atom.kind == "after" else atom.text


def _between(before: _Atom, atom: _Atom) -> str:
    """Return what stands between two atoms."""
    if before.kind in {"open", "before"} or atom.kind in {"close", "after", "point"}:
        return ""
    if before.kind == "number" and atom.kind == "letter" and atom.text[0].isalpha():
        return TIMES
    if before.kind == "word" and atom.text == "−":
        return f"{TIMES} "  # tells the operator from a dash
    if before.text == "°" and atom.text in {"C", "F"}:
        return ""
    if before.kind == "word" and atom.kind == "word" and not (before.text[-1:] + atom.text[:1]).isalnum():
        return ""
    return " "
