"""Chat template output → the reply in it: reasoning, tool calls and special tokens are removed.

A server that does not parse the output of a language model passes on what its template adds:
``<think>…</think>``, ``<tool_call>…</tool_call>``, ``<|im_end|>``. Blocks are removed with their content,
other tokens alone. A tag in quotation marks or code is text about the tag, and stays.
"""

from __future__ import annotations

import re

CANCEL = "\x18"
"""The control character "cancel": text before it is not to be spoken. It never comes from the text itself."""

_REASONING = (
    "think thinking thought thoughts reasoning reflection scratchpad inner_monologue inner_thoughts "
    "chain_of_thought reasoning_content longcat_think cot_budget_reflect inner_thought internal_monologue "
    "internal_thoughts antthinking thinking_process thought_process thinking_mode self_reflection"
).split()
_AT_START = "analysis internal plan planning critique observation rationale tool tools".split()
"""Blocks, and wrappers of the reply, where no word stands before them: ``Set <plan>`` names a value."""
_WRAPPERS = "answer final response reply solution output result".split()
_TOOLS = (
    "tool_call tool_calls tool_use tool_response tool_responses tool_result tool_results tool_output "
    "tool_outputs tool_code function_call function_calls function_response function_result function_results "
    "available_tools toolcall toolcalls tool_request start_function_call end_function_call "
    "start_function_response end_function_response longcat_tool_call"
).split()
_FUNCTIONS = ("function", "invoke")
"""Tool blocks, where the name of a function follows: ``<function=get_time>``."""
_TOKENS = (
    "bos eos pad unk cls sep mask sop eop eoa eoh eom eot start_of_turn end_of_turn start_of_image "
    "end_of_image image_soft_token "
    "end_of_utterance end_of_sentence begin_of_text end_of_text endoftext final_answer"
).split()
_BRACKETED = (
    "INST THINK TOOL_CALLS TOOL_CALL TOOL_RESULTS TOOL_CONTENT CALL_ID ARGS AVAILABLE_TOOLS SYSTEM_PROMPT "
    "BOS EOS PAD UNK CLS SEP MASK gMASK"
).split()
_SAME = {
    "thinking": "think",
    "thoughts": "thought",
    "ant_thinking": "antthinking",
    "toolcall": "tool_call",
    "toolcalls": "tool_calls",
}
_BLOCKS = frozenset(
    [
        *_REASONING,
        *_TOOLS,
        *_FUNCTIONS,
        "action",
        "tool_calls_section",
        "python_tag",
        "system_prompt",
        "unused94",
        "python",
        "fence",
        "details",
        *_AT_START,
    ]
)
_LINE_BLOCKS = frozenset(["tool_call", "tool_calls", "python_tag"])
"""Blocks of JSON that often have no end of their own, unless they are XML elements."""
_HEADERS = frozenset(["im", "header_id", "header", "role", "turn"])
"""Tokens with the role of the speaker behind them: ``<|im_start|>assistant``."""
_CHANNELS = ("channel", "start")
"""``<|start|>assistant<|channel|>analysis<|message|>…<|end|>``: the channel tells what the message is for."""
_MESSAGE_ENDS = ("end", "return", "call", "/channel")
_ROLES = "assistant system user model developer function ipython environment human tool bot".split()
_BARE = "analysis"
_BARE_END = "assistantfinal"
"""``analysisThe user…assistantfinalHello``: channels, after the special tokens were removed."""

_ROLE_LEFT = "assistant\n\n"
"""The header of a reply, after the special tokens were removed."""
_FENCE = "```"
_LONGEST = 300
"""Characters of a tag, at most."""
_NAMED = [*_REASONING, *_TOOLS, *_TOKENS, *_AT_START, *_WRAPPERS]
_SPACES = ("antml:", "seed:", "minimax:", "xai:", "｜DSML｜")
_SPACE = rf"(?:{'|'.join(_SPACES)})"
_ATTRIBUTES = r"(?:\s+[\w:-]{1,40}\s*=\s*(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}'|[^\s<>\"']{1,200})){0,6}\s*"
_VALUE_BEGUN = r"=\s*(?:\"[^\"<>]{0,200}|'[^'<>]{0,200}|[^\s<>\"']{0,200})"
_ATTRIBUTES_BEGUN = rf"{_ATTRIBUTES}(?:\s[\w:-]{{0,40}}\s*(?:{_VALUE_BEGUN})?)?/?"
_PIPED = r"<[|｜]/?\w[\w▁:. -]{0,46}"
_CLOSERS = "channel|tool_call|tool_response|tool|think|turn"
"""Names with one bar: ``<|channel>`` begins and ``<channel|>`` ends a block."""
_TAG = re.compile(
    rf"(?:{_PIPED}[|｜]?>|<(?:{_CLOSERS})[|｜]>|</?(?:start_of_)?turn>)"
    rf"(?P<role>[ \n]*(?:{'|'.join(_ROLES)})\b)?"
    rf"|(?i:</?(?:{_SPACE})?(?:{'|'.join(_NAMED)}){_ATTRIBUTES}/?>)"
    rf"|<(?:{_SPACE})?(?:{'|'.join(_FUNCTIONS)})(?:=|\sname=)[^<>]{{1,200}}>"
    rf"|</(?:{_SPACE})?(?:{'|'.join(_FUNCTIONS)})>"
    r"|<(?:unused|extra_id_|reserved_)\d{1,4}>|<0x[0-9A-F]{2}>|<</?SYS>>|◁/?think▷"
    rf"|\[/?(?:{'|'.join(_BRACKETED)})\]|\[\|/?[a-z_]{{2,20}}\|\]|\[UNUSED_TOKEN_\d{{1,4}}\]|{_BARE_END}"
    rf"|(?i:</?details{_ATTRIBUTES}>)|{_FENCE}(?:tool_(?:code|calls?|outputs?) *\n)?"
)
_STARTS = [
    *(
        f"{start}{space}{name}>"
        for name in [*_NAMED, *_FUNCTIONS, "details"]
        for start in ("<", "</")
        for space in ("", *_SPACES)
    ),
    *("<<SYS>>", "<</SYS>>", "◁think▷", "◁/think▷", "<turn>", "</turn>"),
    *("<unused0", "<extra_id_0", "<reserved_0"),
    *(f"<{name}|>" for name in _CLOSERS.split("|")),
    *(f"{start}{name}]" for name in _BRACKETED for start in ("[", "[/")),
]
_PREFIXES = frozenset(tag[:length] for tag in _STARTS for length in range(1, len(tag) + 1))
_BEGUN = re.compile(
    rf"{_PIPED}[|｜]?|<[|｜]/?"
    rf"|(?i:</?(?:{_SPACE})?(?:{'|'.join(_NAMED)}|details){_ATTRIBUTES_BEGUN})"
    rf"|<(?:{_SPACE})?(?:{'|'.join(_FUNCTIONS)})(?:=[^<>]{{0,200}}|\s(?:n|na|nam|name|name=[^<>]{{0,200}})?)"
    r"|<(?:unused|extra_id_|reserved_)\d{0,4}|<0x?[0-9A-F]{0,2}|\[\|(?:/?[a-z_]{0,20})?\|?|\[UNUSED_TOKEN_\d{0,4}"
)
"""What may become a tag when more text comes, besides ``_PREFIXES``."""
_FENCE_BEGUN = re.compile(r"`{1,3}(?:t(?:o(?:o(?:l(?:_[a-z]{0,7} {0,5})?)?)?)?)?\Z")
_CUT = re.compile(r"<[|｜]/?\w{2}|</?(?:\w+:)?(\w{3,})|\[/?[A-Z_]{4}|\[\|/?\w{2}|◁/?think", re.I)
"""The beginning of a tag that is long enough to be nothing else, where the text ends in it."""
_HIDDEN_DETAILS = re.compile(r"\stype=[\"']?(?:reasoning|tool_calls)")
"""What Open WebUI has around reasoning; other ``<details>`` are HTML."""
_CUT_NAMES = (*_REASONING, *_TOOLS)
_CUT_TOKENS = (*_TOKENS, *_FUNCTIONS)
_PLACED = re.compile(rf"<(?:{'|'.join([*_AT_START, *_WRAPPERS])})[\s>]", re.I)
_MENTION = re.compile(r"(?:\A|[\s(])[`\"'“„‘«「『]\Z")
_JSON = re.compile(r"[\[{]|[\]}]|\n|[^\s,;]")
_WORD = re.compile(r"[^\W_]+")
_TAG_BEGINS = re.compile(r"[<\[◁]")
_CHARACTERS = re.compile(r"[<\[◁`]")
"""Without any of these a piece of text has no tag, and begins none."""
_CLOSING_QUOTES = "`\"'”“’»«」』"


def extract_reply(text: str) -> str:
    """Return ``text`` without what a chat template adds."""
    if not (_TAG_BEGINS.search(text) or "```tool" in text or begins_with_header(text.lstrip())):
        return text
    return ChatFilter().take_whole(text)


def begins_with_header(text: str) -> bool:
    """Tell whether a text may begin with what is left of a header."""
    return text.startswith((_BARE, _ROLE_LEFT))


def replace_tags_with_names(text: str) -> str:
    """Return ``text`` with the names of special tokens in place of the tokens."""
    return _TAG.sub(lambda tag: f" {' '.join(_WORD.findall(tag[0]))} ", text)


class ChatFilter:
    """Remove what a chat template adds from text that arrives in pieces.

    Text is held back only while it may still become a tag. The result depends on the text alone, except
    that a ``</think>`` without its beginning takes back the text before it: CANCEL stands for what has left.
    """

    def __init__(self) -> None:
        self._held = ""
        self._before = ""
        """The last two characters before ``_held``."""
        self._block = ""
        """The name of the block that the text is in."""
        self._channel: str | None = None
        """What is read of a message's header; None inside the message."""
        self._lines = False
        """The block ends with its JSON."""
        self._depth: int | None = None
        """Open brackets in such a block; None before the first."""
        self._left = False
        """Whether text has left that may be taken back."""
        self._reasoned = False
        self._nested = 0
        """Blocks of the same name that are open inside of ``_block``."""
        self._unsure: str | None = None
        """What stands behind the end of such a block: reasoning, if the outer block ends too."""
        self._quoted = ""
        """The name of the last tag that was text about it."""
        self._since_quoted = ""
        """The text from that tag on, up to the character behind it."""

    def push(self, piece: str) -> str:
        """Add a piece of text; return what of the reply is now known."""
        return self._take(self._held + piece.replace(CANCEL, ""), final=False)

    def finish(self) -> str:
        """Return what was held back; a block that is still open is none of the reply."""
        return self._take(self._held, final=True)

    def take_whole(self, text: str) -> str:
        """Return what of a whole text is the reply."""
        return self._take(text.replace(CANCEL, ""), final=True)

    def _take(self, text: str, *, final: bool) -> str:
        found: list[str] = []
        at = 0
        if not self._before:
            begun = self._begin(text, final=final)
            if begun is None:
                self._held = text
                return ""
            text = begun
        if not (self._block or self._quoted or _CHARACTERS.search(text)):
            self._held, self._before = "", (self._before + text)[-2:]
            self._left |= bool(text)
            return text
        end = len(text)
        past = 0
        for tag in _TAG.finditer(text):
            if tag.start() < at:
                continue
            if not final and self._may_grow(text, tag):
                end = tag.start()
                break
            self._add(text[at : tag.start()], found)
            at = tag.start()
            past = tag.start() + len(tag[0].removesuffix(tag["role"] or ""))
            if self._is_mention(text, tag):
                self._quoted, self._since_quoted = _name(tag[0]), ""
                continue
            token = text[at:past]
            at = tag.end() if _name(token) in _HEADERS else past
            self._tag(token, found)
        certain = _certain(text, max(at, past))
        if not final:
            end = max(at, min(end, certain, len(text) - len(_BARE_END) * (self._block == _BARE)))
        elif not self._block and self._is_cut(text, certain):
            text = text[:certain]
            end = certain
        self._add(text[at:end], found)
        if final and self._unsure is not None:
            found.append(ChatFilter().take_whole(self._unsure))
        self._before = (self._before + text[max(0, end - 2) : end])[-2:]
        self._held = text[end:]
        return self._spoken(found)

    def _begin(self, text: str, *, final: bool) -> str | None:
        """Return the beginning of a reply without the role; None if it is not known yet."""
        begins = text.lstrip()
        if not final and (_BARE.startswith(begins) or _ROLE_LEFT[:-1].startswith(begins)):
            return None
        if re.match(rf"{_BARE}[A-Z]", begins):
            self._block = _BARE
        while begins.startswith(_ROLE_LEFT):
            text = begins = begins.removeprefix(_ROLE_LEFT)
        return text

    def _spoken(self, found: list[str]) -> str:
        text = "".join(found)
        cancelled = CANCEL in text
        text = text.rpartition(CANCEL)[2]
        if cancelled and self._left:
            text = CANCEL + text
        self._left |= bool(text)
        return text

    def _may_grow(self, text: str, tag: re.Match[str]) -> bool:
        """Tell whether the role behind a tag is still being written, or the language of a code block."""
        if tag[0] == _FENCE:
            return _FENCE_BEGUN.match(text, tag.start()) is not None
        token = tag[0].removesuffix(tag["role"] or "")
        if _name(token) not in _HEADERS:
            return False
        rest = text[tag.start() + len(token) :].lstrip(" \n")
        return any(role.startswith(rest) for role in _ROLES)

    def _is_mention(self, text: str, tag: re.Match[str]) -> bool:
        """Tell whether a tag stands in quotation marks or code, or is nothing here."""
        if tag[0] in (_BARE_END, _FENCE):
            return self._block != (_BARE if tag[0] == _BARE_END else "fence")
        if tag[0][1:].lstrip("/").lower().startswith("details"):
            return self._block != "details" and not _HIDDEN_DETAILS.search(tag[0])
        before = (self._before + text[max(0, tag.start() - 2) : tag.start()])[-2:]
        if _PLACED.match(tag[0]) and not self._block and before[-1:] not in ("", "\n", ">", "]"):
            return True
        if not self._block and _name(tag[0]) == f"/{self._quoted}" and self._in_quotation:
            return True
        return bool(_MENTION.search(before)) or (before[-1:] == "`" and not self._block)

    @property
    def _in_quotation(self) -> bool:
        """Whether the quotation of the last tag goes on behind it: `<think>…</think>`."""
        behind = re.search(r"[>\]▷](.)", self._since_quoted, re.S)
        return behind is not None and behind[1] not in _CLOSING_QUOTES

    def _is_cut(self, text: str, start: int) -> bool:
        """Tell whether the text, which has ended, ends inside of a tag that begins at ``start``."""
        cut = _CUT.match(text, start)
        before = (self._before + text[max(0, start - 2) : start])[-2:]
        if text[start:] in {"</", "<|", "<｜"}:
            return not (before[-1:].isspace() or before == "")
        if cut is None or _MENTION.search(before) or before[-1:] == "`":
            return False
        if cut[1] is None:
            return True
        stem = re.split(r"[\s=/>]", cut[1].lower())[0]
        if re.search(r"\s", text[start:].rstrip()) and "=" not in text[start:]:
            return False
        if any(name.startswith(stem) for name in _CUT_NAMES):
            return True
        if len(stem) > 4 and any(name.startswith(stem) for name in _CUT_TOKENS):
            return True
        return before[-1:] in ("", "\n", ">", "]")

    def _add(self, text: str, found: list[str]) -> None:
        """Add text, where it is not in a block."""
        if self._lines:
            text = self._after_line(text)
        if not self._block:
            found.append(text)
            if self._quoted:
                self._since_quoted += text
                self._quoted = self._quoted if len(self._since_quoted) < _LONGEST else ""
        elif self._unsure is not None:
            self._unsure += text
        elif self._channel is not None and len(self._channel) < _LONGEST:
            self._channel += text

    def _after_line(self, text: str) -> str:
        """Return what follows the JSON that the block is."""
        for mark in _JSON.finditer(text):
            if mark[0] in "[{]}":
                self._depth = (self._depth or 0) + (1 if mark[0] in "[{" else -1)
            elif self._depth == 0:
                self._block, self._lines = "", False
                return text[mark.start() :]
        return text

    def _tag(self, written: str, found: list[str]) -> None:
        """Begin or end a block, or drop a token."""
        name = _name(written)
        if self._block == "channel" or (name in _CHANNELS and not self._block):
            self._in_channel(name)
        elif self._lines and name == self._block:
            self._depth = None
        elif self._block:
            self._in_block(name, written)
        elif name in _BLOCKS:
            self._block, self._depth, self._nested = name, None, 0
            self._lines = name in _LINE_BLOCKS and not re.match(r"</?\w", written)
            found.append(" " if name in _REASONING else "\n\n")
        elif name[1:] in _REASONING and not self._reasoned:
            self._reasoned = True
            found.append(CANCEL)
        else:
            found.append("\n\n" if name in _HEADERS else " ")

    def _in_block(self, name: str, written: str) -> None:
        """End the block, or one inside of it."""
        ends = name == f"/{self._block}" or (self._block == "python_tag" and name.startswith("eo"))
        if ends and self._nested:
            self._nested -= 1
            self._unsure = ""
        elif ends:
            self._reasoned |= self._block in _REASONING
            self._block, self._lines, self._unsure = "", False, None
        elif self._unsure is not None:
            self._unsure += written
        elif name == self._block and name in _REASONING:
            self._nested += 1

    def _in_channel(self, name: str) -> None:
        """Follow the header of a message, and the message where it is none of the reply."""
        self._block = "channel"
        if name in _CHANNELS:
            self._channel = f"{self._channel or ''} " if name == "channel" else ""
        elif name == "constrain":
            self._channel = "to="
        elif name in _MESSAGE_ENDS:
            self._block, self._channel = "", None
        elif name == "message":
            header, self._channel = self._channel or "", None
            if "analysis" not in header and "to=" not in header:
                self._block = ""


def _name(tag: str) -> str:
    """Return the name of a tag, ``/name`` at the end of a block: in all templates the same."""
    if tag == _BARE_END:
        return f"/{_BARE}"
    if tag.startswith(_FENCE):
        return "/fence" if tag == _FENCE else "fence"
    tag = re.sub(r"[|｜]DSML[|｜]", "", tag)
    bare = tag.strip("<>[]◁▷|｜")
    ends = bare.startswith("/") or (tag[-2] in "|｜" and tag[1] not in "|｜/")
    name = re.split(r"[\s=]", bare.strip("/"), maxsplit=1)[0] if tag[1] not in "|｜" else bare.strip("/")
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", re.sub(r"[▁ .-]", "_", name)).lower().rpartition(":")[2]
    if match := re.fullmatch(r"(?:begin|start)_(?:of_)?(\w+)|(\w+?)_(?:begin|start)", name):
        name = match[1] or match[2]
    elif match := re.fullmatch(r"end_(?:of_)?(\w+)|(\w+?)_end", name):
        ends, name = True, match[1] or match[2]
    name = _SAME.get(name, name)
    return "/unused94" if name == "unused95" else f"/{name}" if ends else name


def _certain(text: str, at: int) -> int:
    """Return where a tag may begin whose end has not arrived; the length of ``text`` if there is none."""
    if (fence := _FENCE_BEGUN.search(text, max(at, len(text) - 20))) and "`" in fence[0]:
        return fence.start()
    angle = text.rfind("<", at)
    starts = [angle, angle - 1 if text[max(at, angle - 1) : angle] == "<" else angle]
    starts += [text.rfind(opener, at) for opener in "[◁"]
    for start in sorted(each for each in starts if each >= at and len(text) - each < _LONGEST):
        tail = text[start:]
        if _BEGUN.fullmatch(tail) or tail in _PREFIXES or tail.lower() in _PREFIXES:
            return start
    return len(text)
