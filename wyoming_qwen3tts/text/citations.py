"""Citation marks are removed: ``[1]``, ``【4:0†source】`` and other marks that models put between words.

A citation mark follows a word, a number or a punctuation mark. At the beginning of a line it is a list item,
after "press" or "option" a label, and ``list[0]`` is code.
"""

from __future__ import annotations

import re

_NUMBERS = r"\^?[1-9]\d{0,2}(?:\s?[,;–-]\s?\^?[1-9]\d{0,2}){0,12}\^?"
_TARGET = r"\((?:[^()\s]|\([^()\s]{0,200}\)){1,500}(?:\s\"[^\"\n]{0,100}\")?\)"
_SOURCE = (
    r"(?i:sources?|see|via|refs?\.?|quellen?|siehe|voir|fuentes?|véase|fonti?|fontes?|vedi|источники?|см\.|来源|参考|出典|출처)"
    r"[:：]?"
)
_TURN = r"turn\d{1,3}[a-z]{3,12}\d{1,3}"
_CITE = rf"(?:(?:file)?cite[\ue202 ]?)?{_TURN}(?:[\ue202 ,]{{0,2}}{_TURN}){{0,20}}"
SPACED_MARK = rf"\[\^?{_NUMBERS}\]|【\d{{1,3}}】|【\d{{1,3}}(?::\d{{1,3}})?†[^】\n]{{0,40}}】|\ue200[^\ue201\n]{{0,100}}\ue201"
"""A mark that may follow a full stop and a space: the sentence splitter keeps it with its sentence."""
MARK_BEGUN = r"\[[\^\d][\^\d,;\s–-]{0,20}|\[|【(?:\d[^】\n]{0,45})?|\ue200[^\ue201\n]{0,100}"
"""The beginning of one."""
_SURE = "|".join(
    [
        rf"\[\^[\w-]{{1,30}}\^?\](?!:)|\[\[{_NUMBERS}\]\](?:{_TARGET})?|\[\\\[{_NUMBERS}\\\]\](?:{_TARGET})?",
        rf"【\d{{1,3}}(?::\d{{1,3}})?†[^】\n]{{0,80}}】|\ue200[^\ue201\n]{{0,300}}\ue201|(?<![A-Za-z\d]){_CITE}|[\[【]{_CITE}[\]】]",
        rf"\^\[{_NUMBERS}\]\^?|<sup>\s?\[{_NUMBERS}\](?:{_TARGET})?\s?</sup>",
        r"(?<=[A-Za-z.,;:!?]{2})<sup>\d{1,3}(?:\s?[,–-]\s?\d{1,3}){1,9}</sup>",
        r"\[(?i:sources?|quellen?|citations?|fuentes?|fontes?|fonti?|来源|出典|출처)(?::[^\[\]\n]{1,60}\](?!\()|\](?=[.,;]|\s?\Z))",
        r":contentReference\[oaicite:\d{1,3}\](?:\{index=\d{1,3}\})?|\[oaicite:\d{1,3}\]",
        r"\[cite(?:_start|_end|:[\s\d,.-]{1,60})\]|(?i:\[citation needed\])|【(?:oaicite|source|citation|web)[:：]?\d{0,3}】",
        rf"(?<![A-Za-z0-9_])\((?:{_SOURCE}\s?)?(?:\[{_NUMBERS}\](?:{_TARGET})?[,;]?\s?){{1,6}}\)",
        rf"\(\[[\w-]{{1,40}}(?:\.[\w-]{{1,40}}){{1,4}}\]{_TARGET}\)",
    ]
)
_LIKELY = (
    rf"\[{_NUMBERS}(?:, ?pp?\. ?\d{{1,4}}(?:[–-]\d{{1,4}})?|†[^\]\n]{{0,40}})?\](?:{_TARGET})?|【\d{{1,3}}】"
    r"|\[(?i:(?:docs?|sources?|refs?|web|news|file|citation|ref_|quelle|fuente|fonte|来源)[: ]{0,2}\d{1,3}(?:[,;] ?)?){1,6}\]"
)
_JOINED = r"(?: ?[,;–-] ?| (?:and|und|et|y|e|и) | ?)"
_MARKS = re.compile(
    rf"[ ]?(?:(?P<sure>{_SURE})|(?P<likely>{_LIKELY}))(?:{_JOINED}(?:{_SURE}|{_LIKELY})){{0,20}}"
)
_POSSIBLE = re.compile(r"[\[【\ue200<]")
_TURNS = re.compile(r"turn\d")
_RAISED_DIGIT = re.compile("[¹²³⁰⁴-⁹]")
_GROUNDED = re.compile(r"</?co(?:: ?\d{1,3}(?: ?[,:] ?\d{1,3}){0,20}(?:: ?\[[\d, ]{1,60}\])?)?>")
"""The tags of Cohere's models around text that has a source."""
_RAISED = re.compile(
    r"(?:(?<=[.,;:!?\"”»])|(?<=[A-Za-z]{3}) )[¹²³⁰⁴-⁹]{1,3}(?:,\s?[¹²³⁰⁴-⁹]{1,3}){0,9}(?=[.,;:!?]?(?:\s|\Z))"
)
_LINE_START = re.compile(r"(?:\A|\n)[\s>*_#+•\"'“-]*\Z")
_NEAR = 60
_CODE = re.compile(
    r"\w\([^()]*\)\Z|(?:^|(?<!\d)[^\w.°])(?:\w|\w*[_.]\w*|[a-z]+[A-Z]\w*|list|array|arr|args?|argv|items?|data|values?|rows?|dict|matrix|vec|vector|"
    r"nums?|index|results?|tmp|buf|str|params?|cells?|elements?|lights|sensors|states)\Z"
)
"""Code that an index follows directly."""
_CODE_LINE = re.compile(r"\w\(|[=!]=|[{}]|\w_\w|[-=]>|\w\[\w+\]\.")
"""Signs of a line of code, which a sentence does not have."""
_ASSIGNED = re.compile(r"\s?=[^=]|\.\w|\(|\[0")
_POINTING = frozenset(
    """press pressing push hit tap type enter option options key keys button buttons choose select pick choice item
    number no step steps figure fig table eq equation section chapter reference references ref see line level page
    question answer row column slot port channel exercise problem case part version interval range list array vector
    point points coordinates coordinate tuple set sets values value indices index is are was be equals returns return
    gives in of from to at by with between for than or and on the a an as via under over say says drücke drücken taste sie wähle wählt
    auf tippe tippen position positions seat seats rows pages columns
    lines steps items options zones kapitel seiten abschnitt zeile reihe laut gemäß après selon según secondo segundo
    согласно numbers integers digits scores grades temperatures prices sizes channels rooms floors
    option wähle nummer schritt siehe seite bild tabelle ist sind im von zu und oder mit nach für intervall liste
    appuyez touche choisissez étape voir page est sont dans de sur et ou pulse pulsa tecla opción elige paso véase
    son en y o lista intervalo premi tasto opzione scegli passo vedi è sono di e su prima opção escolha passo
    ver é são em нажмите клавишу кнопку клавиша кнопка вариант опция выберите шаг см в из и или на
    누르고 버튼 옵션 번호""".split()
)
"""Words before a label or a list of numbers."""
_LABELLED = frozenset(
    """gate exit player zone track door lane floor room terminal platform bay unit team group type phase stage day week
    season episode timer volume part bus route line seat class version device scene mode preset camera channel light lamp
    screen tab menu profile station tor gleis raum zimmer zone etage gruppe linie spieler kanal szene porte zone quai
    salle puerta zona sala porta stanza binario sala дверь зона комната""".split()
)
"""Nouns before a label, where they are capitalized: ``Gate [3]``."""
_ABBREVIATED = re.compile(
    r"(?<!\w)(?i:figs?|eqs?|nos?|nr|pp?|sec|ch|tab|abb|kap|gl|art|vol|núm|рис|табл)\.\Z"
)
_IN_BRACKETS = re.compile(r"\[(?!\^?\d)[^\[\]\n]{1,60}\]\Z")
"""The text of a reference link, ``[text][1]``, or a key in code."""
_POINTING_WIDE = re.compile(r"(?:[按选選键鍵項项步第图表见見押番号是为在]|キー|ボタン|オプション)\Z")
_STOPS = '.!?…。！？”"»)］]』」）'


def remove_citations(text: str) -> str:
    """Return ``text`` without its citation marks."""
    if _POSSIBLE.search(text) or may_have_textual_citations(text):
        text = _MARKS.sub(_replace_marks, _GROUNDED.sub("", text))
    return _RAISED.sub("", text) if _RAISED_DIGIT.search(text) else text


def may_have_textual_citations(text: str) -> bool:
    """Tell whether there may be citation marks of letters and digits only."""
    return "cite" in text or ("turn" in text and _TURNS.search(text) is not None)


def _replace_marks(mark: re.Match[str]) -> str:
    """Return the replacement of citation marks: nothing, or a space between words."""
    text = mark.string
    before = text[max(0, mark.start() - _NEAR) : mark.start()]
    after = text[mark.end() : mark.end() + _NEAR].partition("\n")[0]
    if not mark["sure"] and not _is_citation(mark[0], before, after):
        return mark[0]
    spaced = after[:1].isascii() and after[:1].isalnum() and before[-1:].isascii()
    return " " if spaced else ""


def _is_citation(mark: str, before: str, after: str) -> bool:
    """Tell by the text around numbers in brackets whether they are a citation."""
    attached = mark[0] != " "
    if _LINE_START.search(before) or before[-1].isspace():
        return False
    if before[-1] == '"' and before[-2:-1] in ("", " ", "(", "\n"):
        return False
    if _ABBREVIATED.search(before) or (attached and _IN_BRACKETS.search(before)):
        return False
    if before[-1] in _STOPS or (attached and before[-1] in ",;"):
        return not (attached and before[-1] == ")" and _CODE.search(before))
    if not before[-1].isalnum() and before[-1] not in "%‰°*_²³$€£¥₩₽′″'’+":
        return False
    if _ASSIGNED.match(after):
        return False
    if attached and not before[-1].isdigit():
        return not any(
            look.search(before) for look in (_CODE, _POINTING_WIDE, _CODE_LINE)
        ) and not _CODE_LINE.search(after)
    words = before.split()
    if words[-1][:1].isupper() and words[-1].lower() in _LABELLED:
        return False
    if words[-1] == "es":
        return len(re.findall(r"\d+", mark)) == 1
    word = re.split(r"[\s('’\"“„]", before)[-1].strip("*_").lower()
    return word not in _POINTING and not _POINTING_WIDE.search(before)
