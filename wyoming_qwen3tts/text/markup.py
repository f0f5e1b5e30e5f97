"""Markdown, HTML and emoji → plain text, for a whole document or one sentence cut out of it.

A sentence lacks its context: the ``**`` that closes what another sentence opened, the fence around its line.
So marks are judged by what stands beside them, not in pairs, and what only looks like markup stays: ``2*3``,
``snake_case``, ``a < b``, ``#1``. The rules are applied until nothing changes, which makes the result a fixed
point: ``plain(plain(text)) == plain(text)``.
"""

from __future__ import annotations

import re
from html.entities import html5

from . import chat, latex, phonemes
from .characters import REMOVED_MARK, has_only_plain_characters, simplify_characters
from .citations import may_have_textual_citations, remove_citations
from .ruby import replace_ruby

_MAX_ROUNDS = 12
"""More is needed only by texts that are escaped as often."""

_MARKUP_HINT = re.compile(
    r"[*_~`<&\\|\[\]\n]|^[ ]{0,3}(?:[-+>](?:\s|$|[A-Za-z])|#|[-=]{3})|^\s|\s$|  |\x00|>>|《", re.M
)
"""Without any of these a text of usual characters is plain."""

_MARKUP_CHARACTER = re.compile(r"[][*_~`<>&\\|\n\x00《#$^◁【\ue200¹²³⁰⁴-⁹\ufff9-\ufffb]")
_LINE_START_CHARACTERS = tuple(" \t-+=")
"""Without any of these, those only at the beginning, and a few words, a text of usual characters is plain."""

_CAPITAL = "A-ZÀ-ÖØ-ÞА-ЯЁ\u3040-\u9fff\uac00-\ud7a3"
_MENU = re.compile(rf"(?<!\w)([{_CAPITAL}][^\W\d_]['’\w/-]*)\s(?:>{{1,2}}|›)\s(?=[{_CAPITAL}][^\W\d_])")
"""Between two names, such as of menus, > is no comparison."""

_FENCE = re.compile(r"^[ ]*(?:```|~~~)[^`\n]*$\n?", re.M)
_RULE = re.compile(r"^[ ]*([-*_=])(?:[ ]*\1){2,}[ ]*$", re.M)
_TABLE_RULE = re.compile(r"^[ ]*\|?[ ]*:?-{2,}:?[ ]*(?:\|[ ]*:?-{2,}:?[ ]*)*\|?[ ]*$", re.M)
_ROW = re.compile(r"^[ ]*(?:\|.*\||\|.*[ ]\|[ ].*|.*[ ]\|)[ ]*$", re.M)
_HEADING = re.compile(r"^[ ]*#{1,6}(?:[ ]+(.*?))?(?:[ ]#+)?[ ]*$", re.M)
_QUOTE = re.compile(r"^[ ]*(?:>[ ]?)+(?=[^\W\d_]|[*_`\[\"'(#-]|$)", re.M)
_BULLET = re.compile(r"^[ ]*(?:[-*](?:[ ]+|$)|\+(?:[ ]+(?!\d)|$))(?:\[[ xX]\](?:[ ]+|$))?", re.M)
_BOX = re.compile(r"^([ ]*(?:\d{1,3}[.)][ ]+)?)\[[ xX]\][ ]+", re.M)

_URL = re.compile(r"(?:https?|ftp)://[^\s<>\"`*|\\]+|\bwww\.[^\s<>\"`*|\\]+|[\w.+-]+@[\w-]+\.[\w.-]+")
_TARGET = r"\((?:[^()\s]|\([^()\s]*\))*(?:[ \n]+(?:\"[^\"\n]*\"|'[^'\n]*'))?[ ]*\)"
_LINK = re.compile(rf"!?\[(?!\d{{1,3}}\]\[)([^\[\]]*)\](?:{_TARGET}|\[[^\[\]\n]*\])")
_LINK_END = re.compile(r"\]\((?:https?://|/|#)[^()\s]*\)")
_LINK_BEGUN = re.compile(r"\A\[(?=[^\[\]]*\Z)")
_DEFINITION = re.compile(r"^[ ]{0,3}\[(?!\^)[^\[\]\n]+\]:[ ]+<?(?:https?://|/|#|mailto:)\S*.*$\n?", re.M)
_NOTE = re.compile(r"\[\^[^\[\]\s]+\](?::[ ]*)?")
_INDEX = re.compile(r"\[(\d{1,6})\]")
_CODE = re.compile(r"(?<!`)(`{1,3})(?!`)(.{1,2000}?)(?<!`)\1(?!`)", re.S)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_NEAR_CODE = 12
"""Characters between two codes that are named together: ``*69 or *8``."""
_PRESS, _PRESSED = "按押", "を을를键キ号"
"""Beside these an asterisk is a key of a telephone: scripts without spaces set it apart by nothing else."""
_STARS = re.compile(r"\*+")
_STAR_CODE = re.compile(
    r"(?<![A-Za-zÀ-ɏА-яё\d_*＊#/.\\])"
    r"(?:[*＊#]{1,4}\d{1,15}(?:[*＊#]{1,2}\+?\d{1,20}){0,4}#(?:\*#\*)?(?![A-Za-zÀ-ɏА-яё\d_#])"
    r"|[*＊#]{1,3}\d{1,3}#\+?\d{3,20}(?![A-Za-zÀ-ɏА-яё\d_#*])"
    r"|(?P<open>[*＊]{1,2}#?(?P<digits>\d{1,15})(?:[*＊]{1,2}\d{1,20}){0,4})"
    r"(?=[\s.,;:!?)\"'”»。，、！？_]|\Z|[^\W\da-zA-Z_]|\*\*(?!\*)))"
)
"""What is dialled: ``*69``, ``*#06#``, ``**21*5551234#``."""
_STRONG_CODE = re.compile(r"(?<!\*)\*\*([*＊#]{1,2}\d[\d*＊#]{0,30})\*\*(?![\w*])")
_DIALLED_SIGN = re.compile(r"[\d#＃]")
"""What every code has, besides asterisks."""
_DIALLED = re.compile(
    r"(?:dial|call|press|enter|code|text|ring|punch|type|use|is|or|wähle|wählen|drücke|drücken|lautet|composez|tapez|faites|marque|marca|"
    r"pulse|código|digita|digiti|componi|codice|disque|digite|наберите|код|拨|拨打|按|输入|码|是|ダイヤル|番号|は|押|누르|번호는)[:：]?\s?\Z",
    re.I,
)
_ALTERNATIVE_KEYS = re.compile(
    r"[*＊](?=\s?(?:か|または|もしくは|或者?|和|と|、|/)\s?[#＃])|(?<=[#＃][か或和と、/])[*＊]"
)
_CLOSING_STAR = re.compile(r"(?<=[^\s*])(\*{1,2})(?![\w*])")
_BARS = re.compile(r"_+")
_SPECIAL_METHOD = re.compile(r"\b__\w+?__(?=\.\w|\()")

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
_UNSPOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template|noscript)\b[^<>]*>.*?(?:</\1\s*>|\Z)"
    r"|<!DOCTYPE[^<>]*>|<\?xml[^<>]*\?>",
    re.S | re.I,
)
_RAISED = re.compile(r"(.{0,3})<(?P<tag>su[pb])>\s*(?P<digits>\[?[-−+]?\d{1,4}\]?)\s*</(?P=tag)>", re.I)
_SUPERSCRIPTS = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_ALTERNATIVE = re.compile(r"\balt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)
_ADDRESS = re.compile(r"<((?:https?|ftp|mailto|tel):[^\s<>]*|[\w.+-]+@[\w-]+\.[\w.-]+)>")
_ENTITY = re.compile(r"&(?:amp;)*(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPED_ELEMENT = re.compile(r"&lt;(/?[A-Za-z][\w-]*)&gt;")
_ANGLE_QUOTES = re.compile(
    r"(?<![\w<])<<(?![\"']?[A-Z_]{3,}[\"']?(?:\s|\Z)(?![^\n]*>>))(?=[^\W\d_]|[¿¡\"“'(]|\d[^<>\n]{0,100}>>(?![\w>]))"
    r"|(?:(?<=[^\W_])|(?<=[.!?…,;:)\"”'%°]))>>(?![\w>])"
    r"|(?:(?<=[^\W\d_])|(?<=[.!?…,;:)\"”'%°]))<<(?![\w<])"
    r"|(?<![\w>])(?<!^)(?<!\n)>>(?=[^\W\d_]|[¿¡\"“'(])|^>>(?=[^<>\n]{1,200}<<(?![\w<]))",
    re.M,
)
"""``<<`` and ``>>`` as quotation marks, close to the text; ``>>`` at the beginning of a line also quotes a
paragraph."""
_SPACED_QUOTES = re.compile(r"(?<![\w<])<< ([^\W\d_][^<>;\n]{1,200}?) >>(?![\w>])")
_SPACED_QUOTE = re.compile(r"(?:\A|(?<=[.!?:,;—–] ))<<(?= [^\W\d_])|(?<=[.!?…] )>>(?=[\s.,;:!?…]|\Z)")
"""The same with spaces, as in French."""

_REMOVED = re.compile(rf"\s*{REMOVED_MARK}(?:\s|{REMOVED_MARK})*")
_GAP = re.compile(r"[ ]*\n\s*|[ ]{2,}")


def remove_markup(text: str, *, emoji: str = "drop", lang: str = "en", pronunciations: bool = False) -> str:
    """Return ``text`` without markup: no marks, tags or decoration, single spaces, lines with something on.

    ``emoji``: "drop", or "name" to say them in the language ``lang`` (a BCP 47 tag). Links leave their text,
    images what they show, tables their cells; list numbers, URLs, arrows, units and raised digits stay.
    ``pronunciations``: words keep theirs, as ``phonemes`` has them.
    """
    for _ in range(_MAX_ROUNDS):
        if _is_plain(text):
            break
        before = text
        text = remove_citations(latex.convert_to_unicode(chat.extract_reply(text)))
        if ">" in text or "›" in text:
            text = _MENU.sub(r"\1, ", text)
        if not has_only_plain_characters(text):
            text = simplify_characters(text, emoji=emoji, lang=lang)
        if _MARKUP_HINT.search(text):
            text = _close_gaps(_remove_marks(text))
        if not pronunciations:
            text = phonemes.remove_pronunciations(text)
        if text == before:
            break
    return phonemes.remove_broken_annotations(text) if pronunciations else text


def _is_plain(text: str) -> bool:
    """Tell in a few microseconds, for most texts, that there is nothing to do."""
    return not (
        _MARKUP_CHARACTER.search(text)
        or text.startswith(_LINE_START_CHARACTERS)
        or text[-1:].isspace()
        or "  " in text
        or chat.begins_with_header(text)
        or may_have_textual_citations(text)
    ) and has_only_plain_characters(text)


def _remove_marks(text: str) -> str:
    text = replace_ruby(text)
    if "<|" in text or "<｜" in text:
        text = chat.replace_tags_with_names(text)
    if "<<" in text or ">>" in text:
        text = _SPACED_QUOTES.sub(r"« \1 »", text)
        text = _SPACED_QUOTE.sub(lambda quote: "»" if quote[0][0] == ">" else "«", text)
        text = _ANGLE_QUOTES.sub(lambda quote: "»" if quote[0][0] == ">" else "«", text)
    if "<" in text:
        text = _remove_elements(_ADDRESS.sub(r"\1", text))
    if "&" in text:
        text = _ENTITY.sub(_decode_entity, _ESCAPED_ELEMENT.sub(r"\1", text))
    text = _remove_line_marks(text)
    if "\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    if "[" in text or "](" in text:
        text = phonemes.annotate_links(text)
        for _ in range(3):  # a picture may be in a link
            text = _LINK.sub(r"\1", text)
        text = _NOTE.sub("", _DEFINITION.sub("", _LINK_END.sub("", text)))
        text = _LINK_BEGUN.sub("", text)
    if "`" in text:
        text = _CODE.sub(lambda code: _readable(code[2]), text).replace("`", "")
    if "~~" in text:
        text = text.replace("~~", "")
    if "*" in text or "_" in text:
        text = _remove_emphasis(text)
    return text


def _unescape(escape: re.Match[str]) -> str:
    """Return an escaped character; one that would be markup now as its wide twin, or apart."""
    following = escape.string[escape.end() : escape.end() + 1]
    if escape[1] == "*" and (following.isdigit() or following in "\\#" or _is_lone(escape, following)):
        return "＊"
    return "< " if escape[1] == "<" else escape[1]


def _is_lone(escape: re.Match[str], following: str) -> bool:
    """Tell whether an escaped asterisk is a word of its own."""
    before = escape.string[max(0, escape.start() - 1) : escape.start()]
    return following in "*.,;:!?)" and before in {" ", "*", "(", '"'}


def _remove_line_marks(text: str) -> str:
    """Drop what marks a line: fence, rule, heading, quotation, list item, box, cells of a table."""
    text = _FENCE.sub("", text)
    text = _TABLE_RULE.sub("", _RULE.sub("", text))
    text = _QUOTE.sub("", text)
    text = _BOX.sub(r"\1", _BULLET.sub("", text))
    text = _HEADING.sub(lambda heading: heading[1] or "", text)
    return _ROW.sub(_join_cells, text) if "|" in text else text


def _join_cells(match: re.Match[str]) -> str:
    cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", match[0]))
    return ", ".join(cell for cell in cells if cell)


def _remove_elements(text: str) -> str:
    """Drop HTML: comments and scripts whole, tags by themselves; blocks begin a line."""
    text = _CDATA.sub(r"\1", text)
    if "<!" in text or "<?" in text or re.search(r"<(?:script|style|template|noscript)\b", text, re.I):
        text = _UNSPOKEN.sub("", text)
    if "<su" in text or "<SU" in text:
        text = _RAISED.sub(_convert_raised, text)
    # In code a tag is a name.
    text = _CODE.sub(lambda code: _readable(code[0]), text) if "`" in text else text
    return _ELEMENT.sub(_replace_element, text)


def _convert_raised(match: re.Match[str]) -> str:
    """Return raised or lowered digits; those behind a word or a stop are the mark of a note."""
    before, digits = match[1], match["digits"]
    if match["tag"].lower() == "sub":
        return before + digits.translate(_SUBSCRIPTS)
    note = not before or digits[0] == "[" or re.fullmatch(r"[^\W\d_]{3}|.{0,2}[.,;:!?”»]", before)
    return before if note else before + digits.translate(_SUPERSCRIPTS)


def _readable(code: str) -> str:
    """Return code as it is read: tags by their names, and no index that could be a source mark."""
    return _INDEX.sub(r" \1 ", chat.replace_tags_with_names(_ELEMENT.sub(r" \2 ", code)))


def _replace_element(match: re.Match[str]) -> str:
    """Return what stands for a tag; the name of one that HTML does not have was meant to be read."""
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


def _decode_entity(match: re.Match[str]) -> str:
    """Return the character an entity stands for; a ``<`` is set apart from what it would make a tag of."""
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


def _remove_emphasis(text: str) -> str:
    """Drop the asterisks and underscores that emphasise, outside addresses."""
    if _DIALLED_SIGN.search(text):
        text = _STRONG_CODE.sub(r"\1", text)
    if "://" not in text and "@" not in text and "www." not in text:
        return _remove_emphasis_marks(text)
    parts: list[str] = []
    at = 0
    for match in _URL.finditer(text):
        end = match.end() - len(match[0]) + len(match[0].rstrip("_"))
        parts += [
            _remove_emphasis_marks(text[at : match.start()], after=match[0][0]),
            text[match.start() : end],
        ]
        at = end
    return "".join([*parts, _remove_emphasis_marks(text[at:], before="/" if at else " ")])


def _remove_emphasis_marks(text: str, before: str = " ", after: str = " ") -> str:
    def around(match: re.Match[str]) -> tuple[str, str]:
        start, end = match.span()
        return (text[start - 1] if start else before), (text[end] if end < len(text) else after)

    codes = _find_star_codes(text) if _DIALLED_SIGN.search(text) else frozenset()

    def star(match: re.Match[str]) -> str:
        left, right = around(match)
        single = len(match[0]) == 1
        if match.start() in codes or (single and _is_key(left if match.start() else ".", right)):
            return match[0]
        if left.isspace() and right.isspace():
            return match[0] if single else ""
        if single and (right in "./" or left in "./\\") and not (left.isalpha() or right.isspace()):
            following = text[match.end() + 1 : match.end() + 2]
            return match[0] if right == "/" or left != "." or following.isalnum() else ""
        if not (left.isalnum() or left == ")") or not (right.isalnum() or right in "(-"):
            return ""
        if single:
            return "" if _is_wide(left) or _is_wide(right) else match[0]
        return match[0] if left.isdigit() and right.isdigit() else ""

    if "*" in text:
        text = _STARS.sub(star, text)
    if "_" not in text:
        return text
    kept = [span for method in _SPECIAL_METHOD.finditer(text) for span in method.span()]

    def bar(match: re.Match[str]) -> str:
        left, right = around(match)
        inside = left.isalnum() and right.isalnum()
        path = left in "./:@=-" and right.isalnum() and match.start() > 0
        alone = left.isspace() and right.isspace() and len(match[0]) == 1
        method = match.start() in kept or match.end() in kept
        return match[0] if inside or path or alone or method else ""

    return _BARS.sub(bar, text)


def _is_key(left: str, right: str) -> bool:
    """Tell whether an asterisk between these characters is a key of a telephone."""
    return left in _PRESS or right in _PRESSED or (left.isspace() and right in ",;:!?)")


def _find_star_codes(text: str) -> frozenset[int]:
    """Return where the asterisks are that are dialled, and emphasise nothing."""
    found = {key.start() for key in _ALTERNATIVE_KEYS.finditer(text)}
    last = -_NEAR_CODE
    for code in _STAR_CODE.finditer(text):
        listed = code.start() - last < _NEAR_CODE and "\n" not in text[last : code.start()]
        if code["open"] is None or _is_dialled(text, code, listed=listed):
            found.update(range(code.start(), code.end()))
            last = code.end()
    return frozenset(found)


def _is_dialled(text: str, code: re.Match[str], *, listed: bool) -> bool:
    """Tell whether asterisks and digits without a # at the end are a code, and no emphasis.

    ``listed``: another code stands just before.
    """
    inner = re.search(r"\d[*＊]", code[0])
    line = text[code.end() : code.end() + 300].partition("\n")[0]
    closing = _CLOSING_STAR.search(line)
    if listed and not inner and not closing:
        return True
    if not inner and code[0][:2].strip("*＊") == "":
        return False
    if closing and closing[1] == "*" and not inner:
        return False
    spoken_of = _DIALLED.search(text[max(0, code.start() - 20) : code.start()]) is not None
    after_number = re.search(r"[\d)]\s?\Z", text[: code.start()][-3:]) is not None
    return spoken_of or bool(inner) or (2 <= len(code["digits"]) <= 3 and not after_number)


def _is_wide(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"


def _close_gaps(text: str) -> str:
    """Close the gaps that were left."""
    if REMOVED_MARK in text:
        text = _REMOVED.sub(lambda gap: _replace_gap(text, gap), text)
    return _GAP.sub(lambda gap: "\n" if "\n" in gap[0] else " ", text.strip())


def _replace_gap(text: str, gap: re.Match[str]) -> str:
    if "\n" in gap[0]:
        return "\n"
    return "" if text[gap.end() : gap.end() + 1] in tuple(".,;:!?…。，、！？") else " "
