"""The tags and tokens of chat templates: their names, and the patterns for complete and incomplete ones."""

from __future__ import annotations

import re
from functools import lru_cache

REASONING_NAMES = (
    "think thinking thought thoughts reasoning reflection scratchpad inner_monologue inner_thoughts "
    "chain_of_thought reasoning_content longcat_think cot_budget_reflect inner_thought internal_monologue "
    "internal_thoughts antthinking thinking_process thought_process thinking_mode self_reflection"
).split()
NAMES_AT_LINE_START = "analysis internal plan planning critique observation rationale tool tools".split()
"""Blocks and wrappers that are recognized only at the beginning of a line: ``Set <plan>`` names a value."""
WRAPPER_NAMES = "answer final response reply solution output result".split()
TOOL_NAMES = (
    "tool_call tool_calls tool_use tool_response tool_responses tool_result tool_results tool_output "
    "tool_outputs tool_code function_call function_calls function_response function_result function_results "
    "available_tools toolcall toolcalls tool_request start_function_call end_function_call "
    "start_function_response end_function_response longcat_tool_call"
).split()
FUNCTION_NAMES = ("function", "invoke")
"""Tool blocks whose tag contains the name of a function: ``<function=get_time>``."""
TOKEN_NAMES = (
    "bos eos pad unk cls sep mask sop eop eoa eoh eom eot start_of_turn end_of_turn start_of_image "
    "end_of_image image_soft_token "
    "end_of_utterance end_of_sentence begin_of_text end_of_text endoftext final_answer"
).split()
BRACKETED_NAMES = (
    "INST THINK TOOL_CALLS TOOL_CALL TOOL_RESULTS TOOL_CONTENT CALL_ID ARGS AVAILABLE_TOOLS SYSTEM_PROMPT "
    "BOS EOS PAD UNK CLS SEP MASK gMASK"
).split()
_SYNONYMS = {
    "thinking": "think",
    "thoughts": "thought",
    "ant_thinking": "antthinking",
    "toolcall": "tool_call",
    "toolcalls": "tool_calls",
}
BLOCK_NAMES = frozenset(
    [
        *REASONING_NAMES,
        *TOOL_NAMES,
        *FUNCTION_NAMES,
        "action",
        "tool_calls_section",
        "python_tag",
        "system_prompt",
        "unused94",
        "python",
        "fence",
        "details",
        *NAMES_AT_LINE_START,
    ]
)
JSON_BLOCK_NAMES = frozenset(["tool_call", "tool_calls", "python_tag"])
"""Blocks of JSON that often have no end tag, unless they are XML elements."""
HEADER_NAMES = frozenset(["im", "header_id", "header", "role", "turn"])
"""Tokens that are followed by a role: ``<|im_start|>assistant``."""
CHANNEL_NAMES = ("channel", "start")
"""``<|start|>assistant<|channel|>analysis<|message|>…<|end|>``: the channel tells a message's purpose."""
MESSAGE_END_NAMES = ("end", "return", "call", "/channel")
ROLES = "assistant system user model developer function ipython environment human tool bot".split()
BARE_ANALYSIS = "analysis"
BARE_FINAL = "assistantfinal"
"""``analysisThe user…assistantfinalHello``: channels whose special tokens were removed."""
FENCE = "```"
MAX_TAG_CHARACTERS = 300
"""The longest tag, in characters."""
_ELEMENT_NAMES = [*REASONING_NAMES, *TOOL_NAMES, *TOKEN_NAMES, *NAMES_AT_LINE_START, *WRAPPER_NAMES]
_NAMESPACES = ("antml:", "seed:", "minimax:", "xai:", "｜DSML｜")
_NAMESPACE = rf"(?:{'|'.join(_NAMESPACES)})"
_ATTRIBUTES = r"(?:\s+[\w:-]{1,40}\s*=\s*(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}'|[^\s<>\"']{1,200})){0,6}\s*"
_PARTIAL_VALUE = r"=\s*(?:\"[^\"<>]{0,200}|'[^'<>]{0,200}|[^\s<>\"']{0,200})"
_PARTIAL_ATTRIBUTES = rf"{_ATTRIBUTES}(?:\s[\w:-]{{0,40}}\s*(?:{_PARTIAL_VALUE})?)?/?"
_PIPED_TAG = r"<[|｜]/?\w[\w▁:. -]{0,46}"
_ONE_BAR_NAMES = "channel|tool_call|tool_response|tool|think|turn"
"""Names with one bar: ``<|channel>`` begins and ``<channel|>`` ends a block."""
TAG = re.compile(
    rf"(?:{_PIPED_TAG}[|｜]?>|<(?:{_ONE_BAR_NAMES})[|｜]>|</?(?:start_of_)?turn>)"
    rf"(?P<role>[ \n]*(?:{'|'.join(ROLES)})\b)?"
    rf"|(?i:</?(?:{_NAMESPACE})?(?:{'|'.join(_ELEMENT_NAMES)}){_ATTRIBUTES}/?>)"
    rf"|<(?:{_NAMESPACE})?(?:{'|'.join(FUNCTION_NAMES)})(?:=|\sname=)[^<>]{{1,200}}>"
    rf"|</(?:{_NAMESPACE})?(?:{'|'.join(FUNCTION_NAMES)})>"
    r"|<(?:unused|extra_id_|reserved_)\d{1,4}>|<0x[0-9A-F]{2}>|<</?SYS>>|◁/?think▷"
    rf"|\[/?(?:{'|'.join(BRACKETED_NAMES)})\]|\[\|/?[a-z_]{{2,20}}\|\]|\[UNUSED_TOKEN_\d{{1,4}}\]|{BARE_FINAL}"
    rf"|(?i:</?details{_ATTRIBUTES}>)|{FENCE}(?:tool_(?:code|calls?|outputs?) *\n)?"
)
_PLAIN_TAGS = [
    *(
        f"{start}{space}{name}>"
        for name in [*_ELEMENT_NAMES, *FUNCTION_NAMES, "details"]
        for start in ("<", "</")
        for space in ("", *_NAMESPACES)
    ),
    *("<<SYS>>", "<</SYS>>", "◁think▷", "◁/think▷", "<turn>", "</turn>"),
    *("<unused0", "<extra_id_0", "<reserved_0"),
    *(f"<{name}|>" for name in _ONE_BAR_NAMES.split("|")),
    *(f"{start}{name}]" for name in BRACKETED_NAMES for start in ("[", "[/")),
]
_TAG_PREFIXES = frozenset(tag[:length] for tag in _PLAIN_TAGS for length in range(1, len(tag) + 1))
_PARTIAL_TAG = re.compile(
    rf"{_PIPED_TAG}[|｜]?|<[|｜]/?"
    rf"|(?i:</?(?:{_NAMESPACE})?(?:{'|'.join(_ELEMENT_NAMES)}|details){_PARTIAL_ATTRIBUTES})"
    rf"|<(?:{_NAMESPACE})?(?:{'|'.join(FUNCTION_NAMES)})(?:=[^<>]{{0,200}}|\s(?:n|na|nam|name|name=[^<>]{{0,200}})?)"
    r"|<(?:unused|extra_id_|reserved_)\d{0,4}|<0x?[0-9A-F]{0,2}|\[\|(?:/?[a-z_]{0,20})?\|?|\[UNUSED_TOKEN_\d{0,4}"
)
"""Text that may become a tag, besides ``_TAG_PREFIXES``."""
PARTIAL_FENCE = re.compile(r"`{1,3}(?:t(?:o(?:o(?:l(?:_[a-z]{0,7} {0,5})?)?)?)?)?\Z")
TRUNCATED_TAG = re.compile(r"<[|｜]/?\w{2}|</?(?:\w+:)?(\w{3,})|\[/?[A-Z_]{4}|\[\|/?\w{2}|◁/?think", re.I)
"""The beginning of a tag that is long enough to be unambiguous, at the end of a text."""
REASONING_DETAILS = re.compile(r"\stype=[\"']?(?:reasoning|tool_calls)")
"""Open WebUI's element around reasoning; other ``<details>`` are HTML."""
TRUNCATED_BLOCK_NAMES = (*REASONING_NAMES, *TOOL_NAMES)
TRUNCATED_TOKEN_NAMES = (*TOKEN_NAMES, *FUNCTION_NAMES)
LINE_START_TAG = re.compile(rf"<(?:{'|'.join([*NAMES_AT_LINE_START, *WRAPPER_NAMES])})[\s>]", re.I)


@lru_cache(1024)
def tag_name(tag: str) -> str:
    """Return the name of a tag, ``/name`` for an end tag; the same for all templates."""
    if tag == BARE_FINAL:
        return f"/{BARE_ANALYSIS}"
    if tag.startswith(FENCE):
        return "/fence" if tag == FENCE else "fence"
    tag = re.sub(r"[|｜]DSML[|｜]", "", tag)
    bare = tag.strip("<>[]◁▷|｜")
    ends = bare.startswith("/") or (tag[-2] in "|｜" and tag[1] not in "|｜/")
    name = re.split(r"[\s=]", bare.strip("/"), maxsplit=1)[0] if tag[1] not in "|｜" else bare.strip("/")
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", re.sub(r"[▁ .-]", "_", name)).lower().rpartition(":")[2]
    if match := re.fullmatch(r"(?:begin|start)_(?:of_)?(\w+)|(\w+?)_(?:begin|start)", name):
        name = match[1] or match[2]
    elif match := re.fullmatch(r"end_(?:of_)?(\w+)|(\w+?)_end", name):
        ends, name = True, match[1] or match[2]
    name = _SYNONYMS.get(name, name)
    return "/unused94" if name == "unused95" else f"/{name}" if ends else name


def find_incomplete_tag(text: str, at: int) -> int:
    """Return where an incomplete tag begins; the length of ``text`` if there is none."""
    if (fence := PARTIAL_FENCE.search(text, max(at, len(text) - 20))) and "`" in fence[0]:
        return fence.start()
    angle = text.rfind("<", at)
    starts = [angle, angle - 1 if text[max(at, angle - 1) : angle] == "<" else angle]
    starts += [text.rfind(opener, at) for opener in "[◁"]
    for start in sorted(index for index in starts if index >= at and len(text) - index < MAX_TAG_CHARACTERS):
        tail = text[start:]
        if _PARTIAL_TAG.fullmatch(tail) or tail in _TAG_PREFIXES or tail.lower() in _TAG_PREFIXES:
            return start
    return len(text)
