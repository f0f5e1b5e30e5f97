"""The meaning of LaTeX commands: letters, operators, functions, and commands that are ignored."""

from __future__ import annotations

FUNCTION_APPLICATION = "\u2061"
INVISIBLE_TIMES = "\u2062"
GREEK_LETTERS = {
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
OPERATORS = {
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
SIGNS = {
    "infty": "∞", "partial": "∂", "nabla": "∇", "emptyset": "∅", "varnothing": "∅", "forall": "∀", "exists": "∃",
    "nexists": "∄", "neg": "¬", "lnot": "¬", "angle": "∠", "ell": "l", "hbar": "ħ", "Re": "Re", "Im": "Im", "aleph": "ℵ",
    "dots": "‥", "ldots": "‥", "cdots": "‥", "vdots": "‥", "ddots": "‥", "dotsc": "‥", "dotsb": "‥", "euro": "€",
    "pounds": "£", "copyright": "©", "checkmark": "✓", "imath": "i", "jmath": "j", "S": "§", "texteuro": "€",
    "textdollar": "$", "ohm": "Ω",
}  # fmt: skip
BIG_OPERATORS = {
    "sum": "∑",
    "prod": "∏",
    "int": "∫",
    "iint": "∬",
    "iiint": "∭",
    "oint": "∮",
    "bigcup": "⋃",
    "bigcap": "⋂",
}
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp lim min max sup inf det gcd lcm arg "
    "argmin argmax mod dim ker".split()
)
TEXT_COMMANDS = frozenset(
    "text textbf textit texttt textrm textsf textnormal mathrm mathit mathsf mathtt mbox operatorname emph ce "
    "textsc textup url underline hbox section subsection subsubsection paragraph chapter title author".split()
)
STYLE_COMMANDS = frozenset(
    "mathbf mathbb mathcal mathfrak boldsymbol bm vec hat bar overline tilde widehat widetilde dot ddot boxed "
    "fbox overrightarrow underbrace overbrace mathscr pmb cancel displaylines ensuremath bcancel".split()
)
IGNORED_COMMANDS = frozenset(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr displaystyle textstyle limits nolimits middle "
    "quad qquad nonumber notag hline hfill centering noindent small large Large rm bf it cal scriptstyle "
    "blacksquare square Box qed smallskip medskip bigskip newline item maketitle".split()
)
COMMANDS_WITH_IGNORED_ARGUMENT = {
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
"""Commands whose first argument is not part of the formula."""
BRACKETS = {"lvert": "|", "rvert": "|", "vert": "|", "lVert": "‖", "rVert": "‖", "Vert": "‖", "|": "‖", "langle": "(",
             "rangle": ")", "lfloor": "(", "rfloor": ")", "lceil": "(", "rceil": ")", "lbrace": "", "rbrace": "", "{": "", "}": "",
             "lbrack": "[", "rbrack": "]"}  # fmt: skip
ESCAPED_SIGNS = {"%": "%", "$": "$", "&": "&", "#": "#", "_": " "}
UNITS = frozenset(
    "kg km cm mm ms kW kWh Hz kHz MHz GHz Pa kPa mol mL ml min mg kJ nm rad dB eV mA kV".split()
)
SUPERSCRIPTS = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,200}\}){0,300}\}){0,400}\}"
