"""Markdown, HTML and emoji → plain text, for a whole document or one sentence cut out of it.

A sentence lacks its context: the ``**`` that closes what another sentence opened, the fence around its line.
So marks are judged by what stands beside them, not in pairs, and what only looks like markup stays: ``2*3``,
``snake_case``, ``a < b``, ``#1``. The rules are applied until nothing changes, which makes the result a fixed
point: ``plain(plain(text)) == plain(text)``.
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
        text = remove_elements(ADDRESS_IN_BRACKETS.sub(r"\1", text))
    if "&" in text:
        text = ENTITY.sub(decode_entity, ESCAPED_ELEMENT.sub(r"\1", text))
    text = _remove_line_marks(text)
    if "\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    if "[" in text or "](" in text:
        text = phonemes.annotate_links(text)
        for _ in range(3):  # a picture may be in a link
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
    text = _CHECKBOX.sub(r"\1", _BULLET.sub("", text))
    text = _HEADING.sub(lambda heading: heading[1] or "", text)
    return _ROW.sub(_join_cells, text) if "|" in text else text


def _join_cells(match: re.Match[str]) -> str:
    cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", match[0]))
    return ", ".join(cell for cell in cells if cell)


def _close_gaps(text: str) -> str:
    """Close the gaps that were left."""
    if REMOVED_MARK in text:
        text = _REMOVED.sub(lambda gap: _replace_gap(text, gap), text)
    return _GAP.sub(lambda gap: "\n" if "\n" in gap[0] else " ", text.strip())


def _replace_gap(text: str, gap: re.Match[str]) -> str:
    if "\n" in gap[0]:
        return "\n"
    return "" if text[gap.end() : gap.end() + 1] in tuple(".,;:!?…。，、！？") else " "
