"""Removes reasoning, tool calls and special tokens from the output of a language model: the reply stays.

A server that does not parse the output of a model passes on what the chat template adds:
``<think>…</think>``, ``<tool_call>…</tool_call>``, ``<|im_end|>``. Blocks are removed with their content,
other tokens alone. A tag in quotation marks or code is text about the tag, and stays.
"""

from __future__ import annotations

import re

from .tags import (
    BARE_ANALYSIS,
    BARE_FINAL,
    BLOCK_NAMES,
    CHANNEL_NAMES,
    FENCE,
    HEADER_NAMES,
    JSON_BLOCK_NAMES,
    LINE_START_TAG,
    MAX_TAG_CHARACTERS,
    MESSAGE_END_NAMES,
    PARTIAL_FENCE,
    REASONING_DETAILS,
    REASONING_NAMES,
    ROLES,
    TAG,
    TRUNCATED_BLOCK_NAMES,
    TRUNCATED_TAG,
    TRUNCATED_TOKEN_NAMES,
    find_incomplete_tag,
    tag_name,
)

CANCEL = "\x18"
"""The control character "cancel": the text before it is not part of the reply. It never comes from the text
itself.
"""
_ASSISTANT_HEADER = "assistant\n\n"
"""The header of a reply, after its special tokens were removed."""
_QUOTE_BEFORE_TAG = re.compile(r"(?:\A|[\s(])[`\"'“„‘«「『]\Z")
_JSON = re.compile(r"[\[{]|[\]}]|\n|[^\s,;]")
_WORD = re.compile(r"[^\W_]+")
_TAG_START = re.compile(r"[<\[◁]")
_TAG_CHARACTER = re.compile(r"[<\[◁`]")
"""Text without any of these contains no tag, and no beginning of one."""
_CLOSING_QUOTES = "`\"'”“’»«」』"


def extract_reply(text: str) -> str:
    """Return ``text`` without the additions of a chat template."""
    if not (_TAG_START.search(text) or "```tool" in text or begins_with_header(text.lstrip())):
        return text
    return ChatFilter().filter_text(text)


def begins_with_header(text: str) -> bool:
    """Tell whether a text may begin with a header whose special tokens were removed."""
    return text.startswith((BARE_ANALYSIS, _ASSISTANT_HEADER))


def replace_tags_with_names(text: str) -> str:
    """Return ``text`` with the names of special tokens in place of the tokens."""
    return TAG.sub(lambda tag: f" {' '.join(_WORD.findall(tag[0]))} ", text)


class ChatFilter:
    """Removes the additions of a chat template from text that arrives in chunks.

    Text is held back only while it may become a tag. The result depends on the text alone, not on the chunks,
    with one exception: a ``</think>`` without its beginning cancels the text before it, and CANCEL is
    returned if some of that was returned already.
    """

    def __init__(self) -> None:
        self._held = ""
        self._preceding = ""
        """The last two characters before ``_held``."""
        self._block = ""
        """The name of the current block, or empty."""
        self._channel: str | None = None
        """The header of a message as far as it is known; None inside the message."""
        self._json_block = False
        """Whether the block ends together with its JSON."""
        self._depth: int | None = None
        """Open brackets in such a block; None before the first."""
        self._has_output = False
        """Whether text was returned that may have to be cancelled."""
        self._reasoning_ended = False
        self._nested_blocks = 0
        """Open blocks of the same name inside ``_block``."""
        self._text_after_nested: str | None = None
        """The text after the end of such a block: it is reasoning if the outer block ends as well."""
        self._quoted_tag = ""
        """The name of the last tag in quotation marks or code."""
        self._text_since_quoted_tag = ""
        """The text from that tag on, up to the character after it."""

    def push(self, chunk: str) -> str:
        """Add a chunk of text; return the part of the reply that is now certain."""
        return self._process(self._held + chunk.replace(CANCEL, ""), final=False)

    def finish(self) -> str:
        """Return the text that was held back; an open block is not part of the reply."""
        return self._process(self._held, final=True)

    def filter_text(self, text: str) -> str:
        """Return the reply in a complete text."""
        return self._process(text.replace(CANCEL, ""), final=True)

    def _process(self, text: str, *, final: bool) -> str:
        found: list[str] = []
        at = 0
        if not self._preceding:
            text_without_header = self._skip_header(text, final=final)
            if text_without_header is None:
                self._held = text
                return ""
            text = text_without_header
        if not (self._block or self._quoted_tag or _TAG_CHARACTER.search(text)):
            self._held, self._preceding = "", (self._preceding + text)[-2:]
            self._has_output |= bool(text)
            return text
        end = len(text)
        past = 0
        for tag in TAG.finditer(text):
            if tag.start() < at:
                continue
            if not final and self._may_be_incomplete(text, tag):
                end = tag.start()
                break
            self._append(text[at : tag.start()], found)
            at = tag.start()
            past = tag.start() + len(tag[0].removesuffix(tag["role"] or ""))
            if self._is_quoted_tag(text, tag):
                self._quoted_tag, self._text_since_quoted_tag = tag_name(tag[0]), ""
                continue
            token = text[at:past]
            at = tag.end() if tag_name(token) in HEADER_NAMES else past
            self._handle_tag(token, found)
        incomplete = find_incomplete_tag(text, max(at, past))
        if not final:
            end = max(at, min(end, incomplete, len(text) - len(BARE_FINAL) * (self._block == BARE_ANALYSIS)))
        elif not self._block and self._is_truncated_tag(text, incomplete):
            text = text[:incomplete]
            end = incomplete
        self._append(text[at:end], found)
        if final and self._text_after_nested is not None:
            found.append(ChatFilter().filter_text(self._text_after_nested))
        self._preceding = (self._preceding + text[max(0, end - 2) : end])[-2:]
        self._held = text[end:]
        return self._assemble(found)

    def _skip_header(self, text: str, *, final: bool) -> str | None:
        """Return the beginning of a reply without its role; None if it is not known yet."""
        begins = text.lstrip()
        if not final and (BARE_ANALYSIS.startswith(begins) or _ASSISTANT_HEADER[:-1].startswith(begins)):
            return None
        if re.match(rf"{BARE_ANALYSIS}[A-Z]", begins):
            self._block = BARE_ANALYSIS
        while begins.startswith(_ASSISTANT_HEADER):
            text = begins = begins.removeprefix(_ASSISTANT_HEADER)
        return text

    def _assemble(self, found: list[str]) -> str:
        text = "".join(found)
        cancelled = CANCEL in text
        text = text.rpartition(CANCEL)[2]
        if cancelled and self._has_output:
            text = CANCEL + text
        self._has_output |= bool(text)
        return text

    def _may_be_incomplete(self, text: str, tag: re.Match[str]) -> bool:
        """Tell whether more text may still belong to a tag: a role, or the language of a code block."""
        if tag[0] == FENCE:
            return PARTIAL_FENCE.match(text, tag.start()) is not None
        token = tag[0].removesuffix(tag["role"] or "")
        if tag_name(token) not in HEADER_NAMES:
            return False
        rest = text[tag.start() + len(token) :].lstrip(" \n")
        return any(role.startswith(rest) for role in ROLES)

    def _is_quoted_tag(self, text: str, tag: re.Match[str]) -> bool:
        """Tell whether a tag is in quotation marks or code, or has no meaning at its position."""
        if tag[0] in (BARE_FINAL, FENCE):
            return self._block != (BARE_ANALYSIS if tag[0] == BARE_FINAL else "fence")
        if tag[0][1:].lstrip("/").lower().startswith("details"):
            return self._block != "details" and not REASONING_DETAILS.search(tag[0])
        before = (self._preceding + text[max(0, tag.start() - 2) : tag.start()])[-2:]
        if LINE_START_TAG.match(tag[0]) and not self._block and before[-1:] not in ("", "\n", ">", "]"):
            return True
        if not self._block and tag_name(tag[0]) == f"/{self._quoted_tag}" and self._quotation_continues:
            return True
        return bool(_QUOTE_BEFORE_TAG.search(before)) or (before[-1:] == "`" and not self._block)

    @property
    def _quotation_continues(self) -> bool:
        """Whether the quotation of the last tag continues after it: `<think>…</think>`."""
        behind = re.search(r"[>\]▷](.)", self._text_since_quoted_tag, re.S)
        return behind is not None and behind[1] not in _CLOSING_QUOTES

    def _is_truncated_tag(self, text: str, start: int) -> bool:
        """Tell whether a complete text ends inside a tag that begins at ``start``."""
        cut = TRUNCATED_TAG.match(text, start)
        before = (self._preceding + text[max(0, start - 2) : start])[-2:]
        if text[start:] in {"</", "<|", "<｜"}:
            return not (before[-1:].isspace() or before == "")
        if cut is None or _QUOTE_BEFORE_TAG.search(before) or before[-1:] == "`":
            return False
        if cut[1] is None:
            return True
        stem = re.split(r"[\s=/>]", cut[1].lower())[0]
        if re.search(r"\s", text[start:].rstrip()) and "=" not in text[start:]:
            return False
        if any(name.startswith(stem) for name in TRUNCATED_BLOCK_NAMES):
            return True
        if len(stem) > 4 and any(name.startswith(stem) for name in TRUNCATED_TOKEN_NAMES):
            return True
        return before[-1:] in ("", "\n", ">", "]")

    def _append(self, text: str, found: list[str]) -> None:
        """Append text that is not in a block."""
        if self._json_block:
            text = self._skip_json(text)
        if not self._block:
            found.append(text)
            if self._quoted_tag:
                self._text_since_quoted_tag += text
                self._quoted_tag = (
                    self._quoted_tag if len(self._text_since_quoted_tag) < MAX_TAG_CHARACTERS else ""
                )
        elif self._text_after_nested is not None:
            self._text_after_nested += text
        elif self._channel is not None and len(self._channel) < MAX_TAG_CHARACTERS:
            self._channel += text

    def _skip_json(self, text: str) -> str:
        """Return the text after the JSON of the block."""
        for mark in _JSON.finditer(text):
            if mark[0] in "[{]}":
                self._depth = (self._depth or 0) + (1 if mark[0] in "[{" else -1)
            elif self._depth == 0:
                self._block, self._json_block = "", False
                return text[mark.start() :]
        return text

    def _handle_tag(self, written: str, found: list[str]) -> None:
        """Begin or end a block, or drop a token."""
        name = tag_name(written)
        if self._block == "channel" or (name in CHANNEL_NAMES and not self._block):
            self._handle_channel_tag(name)
        elif self._json_block and name == self._block:
            self._depth = None
        elif self._block:
            self._handle_tag_in_block(name, written)
        elif name in BLOCK_NAMES:
            self._block, self._depth, self._nested_blocks = name, None, 0
            self._json_block = name in JSON_BLOCK_NAMES and not re.match(r"</?\w", written)
            found.append(" " if name in REASONING_NAMES else "\n\n")
        elif name[1:] in REASONING_NAMES and not self._reasoning_ended:
            self._reasoning_ended = True
            found.append(CANCEL)
        else:
            found.append("\n\n" if name in HEADER_NAMES else " ")

    def _handle_tag_in_block(self, name: str, written: str) -> None:
        """End the block, or one inside it."""
        ends = name == f"/{self._block}" or (self._block == "python_tag" and name.startswith("eo"))
        if ends and self._nested_blocks:
            self._nested_blocks -= 1
            self._text_after_nested = ""
        elif ends:
            self._reasoning_ended |= self._block in REASONING_NAMES
            self._block, self._json_block, self._text_after_nested = "", False, None
        elif self._text_after_nested is not None:
            self._text_after_nested += written
        elif name == self._block and name in REASONING_NAMES:
            self._nested_blocks += 1

    def _handle_channel_tag(self, name: str) -> None:
        """Read the header of a message; a message that is not part of the reply is a block."""
        self._block = "channel"
        if name in CHANNEL_NAMES:
            self._channel = f"{self._channel or ''} " if name == "channel" else ""
        elif name == "constrain":
            self._channel = "to="
        elif name in MESSAGE_END_NAMES:
            self._block, self._channel = "", None
        elif name == "message":
            header, self._channel = self._channel or "", None
            if "analysis" not in header and "to=" not in header:
                self._block = ""
