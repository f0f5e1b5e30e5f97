"""Text as it arrives → parts to be spoken one after the other, as early as each is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from ..speech import TextFeed
from . import ssml
from .chat import CANCEL, ChatFilter
from .latex import FormulaFilter
from .normalize import say_as_interpreter
from .scripts import has_words
from .sentences import FIRST_CLAUSE_AFTER, Joiner, SentenceSplitter

AT_A_TIME = 1000
"""Characters given to the splitter at a time, so that a long text does not hold up the event loop."""
STALLED = 0.5
"""Seconds without text after which a sentence that seems whole is spoken, without the next word to show it.

A language model that calls a tool in mid-reply should be heard before the tool is done.
"""
ENDERS = ".!?…。！？"
MID_SENTENCE = 0.0
"""Seconds between two parts of one sentence, which SSML has said in two ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A sentence or a piece of one, and what SSML says about it; None: as the request says."""

    text: str
    rest: TextFeed | None = None
    """What the text goes on with, where it is still being written."""
    language: str | None = None
    voice: str | None = None
    rate: float = 1.0
    """Times the request's speed."""
    pause: float | None = None
    """Seconds of silence before it; without any text: after what came before."""


async def segments(
    feed: TextFeed, *, markup: str | None, language: str, first_clause: bool, live: bool
) -> AsyncGenerator[Segment, None]:
    """Yield the parts of ``feed``.

    ``markup``: ``ssml`` where the client said so; a text that begins with ``<speak`` is SSML too.
    ``language`` (BCP 47): of SSML that names none.
    ``first_clause``: a long first sentence may begin with its first clause. ``live``: a sentence may be
    yielded while it is being written.
    """
    bits = _bits(feed)
    async with aclosing(bits):
        head = "" if markup == "ssml" else await _head(bits)
        if markup == "ssml" or ssml.looks_like(head):
            document = (head + "".join([bit async for bit in bits])).rpartition(CANCEL)[2]
            for part in await asyncio.to_thread(_ssml_parts, document, language):
                yield part
            return
        begun = live and not feed.ended
        cut = _live(head, bits, first_clause) if begun else _whole(head, bits, first_clause)
        async with aclosing(cut) as found:
            async for part in found:
                yield part


async def first(text: str, *, markup: str | None, language: str) -> Segment | None:
    """Return the first part of a whole text, its first sentence uncut; None where it has none."""
    found = segments(TextFeed.whole(text), markup=markup, language=language, first_clause=False, live=False)
    async with aclosing(found):
        return await anext(found, None)


def is_short(text: str) -> bool:
    """Tell whether a text is too short for any reply to begin with a part of its first sentence."""
    return len(text) * (1 if text.isascii() else 2) <= FIRST_CLAUSE_AFTER


def pieces(sentence: str) -> list[str]:
    """Return the pieces in which a sentence may have been said: a reply may begin with its first clause.

    Short sentences that were put together stand alone at the beginning of a reply, too.
    """
    if is_short(sentence) and not any(mark in ENDERS for mark in sentence[:-1]):
        return [sentence]  # as nearly always, in a hundredth of the time
    splitter = SentenceSplitter(first_clause=True)
    return [*splitter.push(sentence), *splitter.finish()]


async def _bits(feed: TextFeed) -> AsyncGenerator[str, None]:
    """Yield the text of a reply: without what a chat template adds, and without LaTeX.

    A CANCEL stands only at the beginning of a piece.
    """
    chat, formulas = ChatFilter(), FormulaFilter()
    async for text in feed:
        reply = chat.push(text)
        if reply.startswith(CANCEL):
            formulas.clear()
        reply = formulas.push(reply)
        for at in range(0, len(reply), AT_A_TIME):
            yield reply[at : at + AT_A_TIME]
    if rest := formulas.push(chat.finish()) + formulas.finish():
        yield rest


async def _head(bits: AsyncGenerator[str, None]) -> str:
    """Return enough of the text to tell SSML from anything else."""
    head = ""
    async for bit in bits:
        head += bit
        begins = head.lstrip()
        if begins and not (
            "<speak ".startswith(begins[:7]) or begins.startswith(("<?xml", "<!DOCTYPE", "<!--"))
        ):
            break
        if ssml.looks_like(head):
            break
    return head


async def _whole(
    head: str, bits: AsyncGenerator[str, None], first_clause: bool
) -> AsyncGenerator[Segment, None]:
    splitter, joiner = SentenceSplitter(first_clause=first_clause), Joiner()
    for sentence in joiner.push(splitter.push(head)):
        yield Segment(text=sentence)
    coming = _next(bits)
    try:
        while True:
            if splitter.is_whole and not (await asyncio.wait({coming}, timeout=STALLED))[0]:
                for sentence in [*joiner.push(splitter.flush()), *joiner.flush()]:
                    yield Segment(text=sentence)
            if (bit := await coming) is None:
                break
            coming = _next(bits)
            if bit.startswith(CANCEL):
                splitter.finish()
                joiner.flush()
            for sentence in joiner.push(splitter.push(bit.removeprefix(CANCEL))):
                yield Segment(text=sentence)
    finally:
        coming.cancel()
        await asyncio.wait({coming})
    for sentence in [*joiner.push(splitter.finish()), *joiner.finish()]:
        yield Segment(text=sentence)


def _next(bits: AsyncGenerator[str, None]) -> asyncio.Task[str | None]:
    async def one() -> str | None:
        return await anext(bits, None)

    return asyncio.create_task(one(), name="next bit")


def _ssml_parts(document: str, language: str) -> list[Segment]:
    """Return what an SSML document says, sentence by sentence."""
    found: list[Segment] = []
    pause: float | None = None
    for each in ssml.parse(document, say_as=say_as_interpreter(language), pronunciations=True):
        if isinstance(each, ssml.Break):
            pause = (pause or 0.0) + each.seconds
            continue
        splitter = SentenceSplitter(each.language)
        for sentence in [*splitter.push(each.text), *splitter.finish()]:
            if not has_words(sentence):
                continue
            if pause is None and found and not found[-1].text.rstrip("\"'”’»)]").endswith(tuple(ENDERS)):
                pause = MID_SENTENCE
            found.append(
                Segment(text=sentence, language=each.language, voice=each.voice, rate=each.rate, pause=pause)
            )
            pause = None
    if pause:
        found.append(Segment(text="", pause=pause))
    return found


async def _live(
    head: str, bits: AsyncGenerator[str, None], first_clause: bool
) -> AsyncGenerator[Segment, None]:
    """Yield each sentence as soon as its first word is known; the rest of it arrives while it is spoken."""
    found: asyncio.Queue[Segment | Exception | None] = asyncio.Queue()
    cutter = asyncio.create_task(_cut(head, bits, first_clause, found), name="cutter")
    try:
        while (item := await found.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        cutter.cancel()
        await asyncio.wait({cutter})


async def _cut(
    head: str,
    bits: AsyncGenerator[str, None],
    first_clause: bool,
    found: asyncio.Queue[Segment | Exception | None],
) -> None:
    splitter = SentenceSplitter(first_clause=first_clause)
    written = _Written(found)
    try:
        written.more(splitter, head)
        async for text in bits:
            written.more(splitter, text)
        for sentence in splitter.finish():
            written.complete(sentence)
        found.put_nowait(None)
    except Exception as error:
        written.fail(error)


class _Written:
    """The sentence that is being written, and where sentences go."""

    def __init__(self, found: asyncio.Queue[Segment | Exception | None]) -> None:
        self._found = found
        self._said = ""
        self._rest: TextFeed | None = None

    def more(self, splitter: SentenceSplitter, text: str) -> None:
        """Give on what ``text`` adds."""
        if text.startswith(CANCEL):
            text = text.removeprefix(CANCEL)
            splitter.finish()
            if self._rest is not None:
                self.complete(self._said)
        for sentence in splitter.push(text):
            self.complete(sentence)
        self.begun(splitter.begun)

    def begun(self, text: str) -> None:
        """Give on what is new of the sentence's beginning."""
        if self._rest is not None:
            if text != self._said:
                self._rest.push(text.removeprefix(self._said))
            self._said = text
        elif has_words(text):
            self._rest, self._said = TextFeed(), text
            self._found.put_nowait(Segment(text=text, rest=self._rest))

    def complete(self, sentence: str) -> None:
        """End the sentence."""
        if self._rest is None:
            self._found.put_nowait(Segment(text=sentence))
        else:
            self.begun(sentence)
            self._rest.end()
        self._rest = None

    def fail(self, error: Exception) -> None:
        """Say that the rest of the text never comes."""
        if self._rest is not None:
            self._rest.fail(error)
        self._found.put_nowait(error)


async def whole(part: Segment) -> Segment:
    """Return ``part`` with the rest of its text, when that is written."""
    if part.rest is None:
        return part
    return replace(part, text=part.text + "".join([piece async for piece in part.rest]), rest=None)


async def spoken_while_written(part: Segment, speak: Callable[[str], str]) -> AsyncGenerator[str, None]:
    """Yield the spoken form of a sentence that is being written, piece by piece.

    What ``speak`` leaves as it is can be said at once, all but the last two words, which may belong to what
    follows. From the first word on that it changes, the sentence is said when it is whole.
    """
    written, said = "", ""
    async for piece in _written(part):
        written += piece
        known = _without_last_words(written)
        if len(known) > len(said) and speak(known) == known:
            yield known[len(said) :]
            said = known
    spoken = speak(written)
    yield spoken[len(said) :] if spoken.startswith(said) else speak(written[len(said) :])


async def _written(part: Segment) -> AsyncGenerator[str, None]:
    yield part.text
    if part.rest is not None:
        async for piece in part.rest:
            yield piece


def _without_last_words(text: str) -> str:
    words = text.rstrip().rsplit(None, 2)
    return text[: len(words[0])] if len(words) == 3 else ""
