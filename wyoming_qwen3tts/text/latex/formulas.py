"""Where a formula begins and ends in a text, and how it differs from similar text such as prices."""

from __future__ import annotations

import re

MAX_FORMULA_CHARACTERS = 2000
"""The longest formula, in characters; in single dollars a quarter of that."""
_TEXT_ENVIRONMENTS = (
    r"(?:itemize|enumerate|description|document|verbatim|center|quote|tabular|figure|table|abstract)\*?\}"
)
_SPACED_LETTERS = "A-Za-zÀ-ÖØ-öø-ɏЀ-ӿ"
"""Letters of scripts with spaces between words: a dollar sign next to one is not a delimiter."""
_TOUCHED = re.compile(f"[{_SPACED_LETTERS}\\d_$\\\\]")
_FORMULA = re.compile(
    rf"(?<!\\)\$\$(?P<display>[^$]{{1,{MAX_FORMULA_CHARACTERS}}}?)\$\$|(?<!\\)\\\[(?P<brackets>.{{1,{MAX_FORMULA_CHARACTERS}}}?)\\\]"
    rf"|(?<!\\)\\\((?P<parens>.{{1,{MAX_FORMULA_CHARACTERS}}}?)\\\)"
    rf"|(?P<environment>(?<!\\)\\begin\{{(?!{_TEXT_ENVIRONMENTS})(?P<name>[a-z]{{3,12}}\*?)\}}.{{0,{MAX_FORMULA_CHARACTERS}}}?\\end\{{(?P=name)\}})"
    rf"|(?<![{_SPACED_LETTERS}\d_$\\])\$(?!\s)(?P<inline>(?:[^$\\\n]|\\.){{1,{MAX_FORMULA_CHARACTERS // 4}}})(?<![\s\\])\$(?![{_SPACED_LETTERS}\d_$])"
    rf"|(?<![{_SPACED_LETTERS}\d_$\\])(?<!\d )\$(?P<apart> [A-Za-z\\(][^$\n]{{1,300}} )\$(?![{_SPACED_LETTERS}\d_$])"
    rf"|(?<![{_SPACED_LETTERS}\d_$\\])\$(?P<close>(?:[A-Za-z]|\d{{1,3}})(?=\$[tsnr])|[^\s$\n](?:[^$\\\n]|\\.){{0,80}})\$(?=[{_SPACED_LETTERS}])"
    r"|(?<=[\w)])\$(?P<script>(?:\s?[_^](?:\w|\{[^{}$\n]{1,40}\}|\\[a-z]{1,10})){1,2})\$",
    re.S,
)
FORMULA_START = re.compile(r"\\(?:[(\[]|begin\{)|\$")
INCOMPLETE_START = re.compile(r"\\(?:b(?:e(?:g(?:i(?:n)?)?)?)?)?\Z|\$\Z")
_SIGNED = re.compile(r"[=^_<>+*/|\\{}²³×÷±≤≥≠≈√π]|[^\W\d_]\(")
_EDGES = re.compile(
    r"\A(?:\$\$|\\[(\[]|\\begin\{\w*\*?\}?)\s*|\s*(?:\$\$?|\\(?:[)\]]|e(?:nd?)?(?:\{\w*\*?\}?)?)?)?\Z"
)
_TWO_WORDS = re.compile(r"(?<![\\{A-Za-z])[^\W\d_]{2,}[,.]?\s+(?!(?:sin|cos|tan|log|ln)\b)[^\W\d_]{2,}")
_LONG_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}(?![A-Za-z]*\})")
_TWO_PRICES = re.compile(r"\d[\d.,]*\s*,?\s[^\W\d_]{1,4}\s\d[\d.,]*")
"""Two numbers with a word between them, as in "$5 or 10$"."""
_WIDE = re.compile("[\u3040-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_IN_ARGUMENT = re.compile(r"\\[A-Za-z]+\*?|\{[^{}]*(?:\}|\Z)")


def match_formula(text: str, at: int, *, final: bool, whole: bool) -> re.Match[str] | None:
    """Return the formula that begins at ``at``; None if there is none, or its end is not known yet.

    ``whole``: the text is complete, so text that looks like a price may be a formula.
    """
    formula = _FORMULA.match(text, at)
    if formula and not formula["inline"] and _has_blank_line(formula[0]):
        return None
    if formula and formula["apart"]:
        apart = formula["apart"].strip()
        return formula if whole and _is_formula_content(apart) and re.search(r"[=\\^<>]", apart) else None
    if formula and (close := formula["close"]):
        ordinal = re.fullmatch(r"[A-Za-z]|\d{1,3}", close) and text[formula.end()] in "tsnr"
        maths = ordinal or re.search(r"\\[A-Za-z]|\^", close)
        return formula if maths and _is_formula_content(close) else None
    if formula and formula["inline"]:
        undecided = formula.end() == len(text) and not final
        if (
            undecided
            or not (whole or _cannot_be_price(formula["inline"]))
            or not _is_formula_content(formula["inline"])
        ):
            return None
    return formula


def _has_blank_line(formula: str) -> bool:
    """Tell whether a formula contains a blank line: then it is none, its end may be missing."""
    return "\n\n" in _EDGES.sub("", formula)


def may_be_formula(text: str, at: int) -> bool:
    """Tell whether more text may complete a formula that begins at ``at``."""
    rest = text[at : at + MAX_FORMULA_CHARACTERS + 20]
    if not rest.startswith("$") or rest.startswith("$$"):
        return len(rest) < MAX_FORMULA_CHARACTERS and not _has_blank_line(rest) and text[at - 1 : at] != "\\"
    content = rest[1:]
    if at and _TOUCHED.match(text[at - 1]):
        return not content or (content[0] in "_^" and len(content) < 50 and " " not in content)
    if content[:1].isspace() or "\n" in content or len(content) > MAX_FORMULA_CHARACTERS // 4:
        return False
    return _cannot_be_price(content) and _is_formula_content(content, whole=False)


def _cannot_be_price(content: str) -> bool:
    """Tell whether text after a dollar sign can be a formula; a price must not wait for another dollar sign."""
    return not content[:1].isdigit() or re.match(r"\d++ *+(?:[!^_\\=+*/<>(]|\Z)", content) is not None


def _is_formula_content(content: str, *, whole: bool = True) -> bool:
    """Tell whether text between dollars is a formula, or the beginning of one, and not two prices."""
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
