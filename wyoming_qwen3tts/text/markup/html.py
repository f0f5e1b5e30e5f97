"""HTML elements and entities."""

from __future__ import annotations

import re
from html.entities import html5

from .. import chat

_INDEX = re.compile(r"\[(\d{1,6})\]")
CODE_SPAN = re.compile(r"(?<!`)(`{1,3})(?!`)(.{1,2000}?)(?<!`)\1(?!`)", re.S)
_INLINE = frozenset(
    """a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q rp rt
    ruby s samp small span strike strong sub sup time tt u var wbr""".split()
)
_BLOCK = frozenset(
    """address article aside audio blockquote body br button caption center dd details dialog div
    dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html iframe input
    legend li link main menu meta nav ol optgroup option p pre section select source summary svg
    table tbody tfoot textarea thead title tr ul video""".split()
)
_CELL = ("td", "th")
_ATTRIBUTES = r"(?:\s+[^<>=]*=[^<>]*)?\s*/?"
_ELEMENT = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9:_-]*)({_ATTRIBUTES})>")
_INVISIBLE_ELEMENT = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template|noscript)\b[^<>]*>.*?(?:</\1\s*>|\Z)"
    r"|<!DOCTYPE[^<>]*>|<\?xml[^<>]*\?>",
    re.S | re.I,
)
_RAISED = re.compile(r"(.{0,3})<(?P<tag>su[pb])>\s*(?P<digits>\[?[-−+]?\d{1,4}\]?)\s*</(?P=tag)>", re.I)
_SUPERSCRIPTS = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_ALTERNATIVE = re.compile(r"\balt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)
ADDRESS_IN_BRACKETS = re.compile(r"<((?:https?|ftp|mailto|tel):[^\s<>]*|[\w.+-]+@[\w-]+\.[\w.-]+)>")
ENTITY = re.compile(r"&(?:amp;)*(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
ESCAPED_ELEMENT = re.compile(r"&lt;(/?[A-Za-z][\w-]*)&gt;")


def remove_elements(text: str) -> str:
    """Remove HTML: comments and scripts with their content, other tags alone; blocks begin a line."""
    text = _CDATA.sub(r"\1", text)
    if "<!" in text or "<?" in text or re.search(r"<(?:script|style|template|noscript)\b", text, re.I):
        text = _INVISIBLE_ELEMENT.sub("", text)
    if "<su" in text or "<SU" in text:
        text = _RAISED.sub(_convert_raised, text)
    # In code a tag is kept as its name.
    text = CODE_SPAN.sub(lambda code: read_code(code[0]), text) if "`" in text else text
    return _ELEMENT.sub(_replace_element, text)


def _convert_raised(match: re.Match[str]) -> str:
    """Return raised or lowered digits; those after a word or a punctuation mark are a footnote mark."""
    before, digits = match[1], match["digits"]
    if match["tag"].lower() == "sub":
        return before + digits.translate(_SUBSCRIPTS)
    note = not before or digits[0] == "[" or re.fullmatch(r"[^\W\d_]{3}|.{0,2}[.,;:!?”»]", before)
    return before if note else before + digits.translate(_SUPERSCRIPTS)


def read_code(code: str) -> str:
    """Return the text of code: tags as their names, and no index that could be a citation mark."""
    return _INDEX.sub(r" \1 ", chat.replace_tags_with_names(_ELEMENT.sub(r" \2 ", code)))


def _replace_element(match: re.Match[str]) -> str:
    """Return the replacement of a tag; a name that HTML does not have is kept as text."""
    end, name, attributes = match[1], match[2].lower(), match[3]
    if name in _INLINE:
        return ""
    if name in _BLOCK:
        return "\n"
    if name in _CELL:
        return ", " if end else ""
    if name == "img":
        shown = _ALTERNATIVE.search(attributes)
        return f" {shown[1] or shown[2] or ''} " if shown else " "
    quoted = match.start() > 0 and match.string[match.start() - 1] in "\"'“„‘«「『"
    return f" {match[2]} " if quoted or not (end or attributes.strip()) else " "


def decode_entity(match: re.Match[str]) -> str:
    """Return the character of an entity; ``<`` gets a space after it, so that it begins no tag."""
    name = re.sub(r"^&(?:amp;)*", "", match[0])
    if name in {"", ";"}:
        return "&"
    if name[0] == "#":
        code = int(name[2:-1], 16) if name[1] in "xX" else int(name[1:-1])
        found: str | None = chr(code) if 0 < code < 0x110000 else ""
    else:
        found = html5.get(name)
    if found is None:
        return "&" + name if name != "amp;" else "&"
    return "< " if found == "<" else found
