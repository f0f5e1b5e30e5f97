"""Markdown, HTML and emoji → plain text, for a whole document or a single sentence of it.

A sentence lacks its context: the ``**`` that closes emphasis of an earlier sentence, the fence around its
line. So marks are judged by the text around them, not in pairs, and text that only looks like markup stays:
``2*3``, ``snake_case``, ``a < b``, ``#1``. The rules are applied until nothing changes, so the result is a
fixed point: ``remove_markup(remove_markup(text)) == remove_markup(text)``.
"""

from __future__ import annotations

import re

from .. import chat, latex, phonemes
from ..characters import REMOVED_MARK, has_only_plain_characters, simplify_characters
from ..citations import may_have_textual_citations, remove_citations
from ..ruby import replace_ruby
from .emphasis import remove_emphasis
from .html import (
    ADDRESS_IN_BRACKETS,
    CODE_SPAN,
    ENTITY,
    ESCAPED_ELEMENT,
    decode_entity,
    read_code,
    remove_elements,
)

_MAX_ROUNDS = 12
"""The most times that the rules are applied; text that is escaped more often stays escaped."""
_MARKUP_HINT = re.compile(
    r"[*_~`<&\\|\[\]\n]|^[ ]{0,3}(?:[-+>](?:\s|$|[A-Za-z])|#|[-=]{3})|^\s|\s$|  |\x00|>>|《", re.M
)
"""Text of usual characters without any of these is plain."""
_MARKUP_CHARACTER = re.compile(r"[][*_~`<>&\\|\n\x00《#$^◁【\ue200¹²³⁰⁴-⁹\ufff9-\ufffb]")
_LINE_START_CHARACTERS = tuple(" \t-+=")
"""Text of usual characters that does not begin with these, and has none of the signs and words above, is
plain.
"""
_CAPITAL = "A-ZÀ-ÖØ-ÞА-ЯЁ\u3040-\u9fff\uac00-\ud7a3"
_MENU = re.compile(rf"(?<!\w)([{_CAPITAL}][^\W\d_]['’\w/-]*)\s(?:>{{1,2}}|›)\s(?=[{_CAPITAL}][^\W\d_])")
"""A > between two capitalized names, such as of menus; it is not a comparison."""
_FENCE = re.compile(r"^[ ]*(?:```|~~~)[^`\n]*$\n?", re.M)
_RULE = re.compile(r"^[ ]*([-*_=])(?:[ ]*\1){2,}[ ]*$", re.M)
_TABLE_RULE = re.compile(r"^[ ]*\|?[ ]*:?-{2,}:?[ ]*(?:\|[ ]*:?-{2,}:?[ ]*)*\|?[ ]*$", re.M)
_ROW = re.compile(r"^[ ]*(?:\|.*\||\|.*[ ]\|[ ].*|.*[ ]\|)[ ]*$", re.M)
_HEADING = re.compile(r"^[ ]*#{1,6}(?:[ ]+(.*?))?(?:[ ]#+)?[ ]*$", re.M)
_QUOTE = re.compile(r"^[ ]*(?:>[ ]?)+(?=[^\W\d_]|[*_`\[\"'(#-]|$)", re.M)
_BULLET = re.compile(r"^[ ]*(?:[-*](?:[ ]+|$)|\+(?:[ ]+(?!\d)|$))(?:\[[ xX]\](?:[ ]+|$))?", re.M)
_CHECKBOX = re.compile(r"^([ ]*(?:\d{1,3}[.)][ ]+)?)\[[ xX]\][ ]+", re.M)
_TARGET = r"\((?:[^()\s]|\([^()\s]*\))*(?:[ \n]+(?:\"[^\"\n]*\"|'[^'\n]*'))?[ ]*\)"
_LINK = re.compile(rf"!?\[(?!\d{{1,3}}\]\[)([^\[\]]*)\](?:{_TARGET}|\[[^\[\]\n]*\])")
_LINK_END = re.compile(r"\]\((?:https?://|/|#)[^()\s]*\)")
_LINK_START = re.compile(r"\A\[(?=[^\[\]]*\Z)")
_DEFINITION = re.compile(r"^[ ]{0,3}\[(?!\^)[^\[\]\n]+\]:[ ]+<?(?:https?://|/|#|mailto:)\S*.*$\n?", re.M)
_NOTE = re.compile(r"\[\^[^\[\]\s]+\](?::[ ]*)?")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_ANGLE_QUOTES = re.compile(
    r"(?<![\w<])<<(?![\"']?[A-Z_]{3,}[\"']?(?:\s|\Z)(?![^\n]*>>))(?=[^\W\d_]|[¿¡\"“'(]|\d[^<>\n]{0,100}>>(?![\w>]))"
    r"|(?:(?<=[^\W_])|(?<=[.!?…,;:)\"”'%°]))>>(?![\w>])"
    r"|(?:(?<=[^\W\d_])|(?<=[.!?…,;:)\"”'%°]))<<(?![\w<])"
    r"|(?<![\w>])(?<!^)(?<!\n)>>(?=[^\W\d_]|[¿¡\"“'(])|^>>(?=[^<>\n]{1,200}<<(?![\w<]))",
    re.M,
)
"""``<<`` and ``>>`` as quotation marks, close to the text; ``>>`` at the beginning of a line may also quote a
paragraph.
"""
_SPACED_QUOTES = re.compile(r"(?<![\w<])<< ([^\W\d_][^<>;\n]{1,200}?) >>(?![\w>])")
_SPACED_QUOTE = re.compile(r"(?:\A|(?<=[.!?:,;—–] ))<<(?= [^\W\d_])|(?<=[.!?…] )>>(?=[\s.,;:!?…]|\Z)")
"""The same with spaces, as in French."""
_REMOVED = re.compile(rf"\s*{REMOVED_MARK}(?:\s|{REMOVED_MARK})*")
_GAP = re.compile(r"[ ]*\n\s*|[ ]{2,}")


def remove_markup(text: str, *, emoji: str = "drop", lang: str = "en", pronunciations: bool = False) -> str:
    """Return ``text`` without markup: no marks, tags or decoration, single spaces, no empty lines.

    ``emoji``: "drop", or "name" to replace them by names in the language ``lang`` (a BCP 47 tag). Links are
    replaced by their text, images by their alternative text, tables by their cells; list numbers, URLs,
    arrows, units and raised digits stay. ``pronunciations``: keep annotated pronunciations, as ``phonemes``
    writes them.
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
    """Tell in a few microseconds, for most texts, that there is no markup."""
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
        text = remove_elements(ADDRESS_IN_BRACKETS.sub(r"\1", text))
    if "&" in text:
        text = ENTITY.sub(decode_entity, ESCAPED_ELEMENT.sub(r"\1", text))
    text = _remove_line_marks(text)
    if "\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    if "[" in text or "](" in text:
        text = phonemes.annotate_links(text)
        for _ in range(3):  # an image may be inside a link
            text = _LINK.sub(r"\1", text)
        text = _NOTE.sub("", _DEFINITION.sub("", _LINK_END.sub("", text)))
        text = _LINK_START.sub("", text)
    if "`" in text:
        text = CODE_SPAN.sub(lambda code: read_code(code[2]), text).replace("`", "")
    if "~~" in text:
        text = text.replace("~~", "")
    if "*" in text or "_" in text:
        text = remove_emphasis(text)
    return text


def _unescape(escape: re.Match[str]) -> str:
    """Return an escaped character; one that would now be markup as its wide form, or with a space."""
    following = escape.string[escape.end() : escape.end() + 1]
    if escape[1] == "*" and (following.isdigit() or following in "\\#" or _is_lone(escape, following)):
        return "＊"
    return "< " if escape[1] == "<" else escape[1]


def _is_lone(escape: re.Match[str], following: str) -> bool:
    """Tell whether an escaped asterisk stands alone."""
    before = escape.string[max(0, escape.start() - 1) : escape.start()]
    return following in "*.,;:!?)" and before in {" ", "*", "(", '"'}


def _remove_line_marks(text: str) -> str:
    """Remove the marks of lines: fence, rule, heading, quotation, list item, checkbox, table cells."""
    text = _FENCE.sub("", text)
    text = _TABLE_RULE.sub("", _RULE.sub("", text))
    text = _QUOTE.sub("", text)
    text = _CHECKBOX.sub(r"\1", _BULLET.sub("", text))
    text = _HEADING.sub(lambda heading: heading[1] or "", text)
    return _ROW.sub(_join_cells, text) if "|" in text else text


def _join_cells(match: re.Match[str]) -> str:
    cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", match[0]))
    return ", ".join(cell for cell in cells if cell)


def _close_gaps(text: str) -> str:
    """Remove the gaps that other removals left."""
    if REMOVED_MARK in text:
        text = _REMOVED.sub(lambda gap: _replace_gap(text, gap), text)
    return _GAP.sub(lambda gap: "\n" if "\n" in gap[0] else " ", text.strip())


def _replace_gap(text: str, gap: re.Match[str]) -> str:
    if "\n" in gap[0]:
        return "\n"
    return "" if text[gap.end() : gap.end() + 1] in tuple(".,;:!?…。，、！？") else " "
