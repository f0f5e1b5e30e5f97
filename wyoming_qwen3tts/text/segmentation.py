"""Incoming text → segments that are synthesized one after the other, each as early as its text is known."""

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
from .sentences import FIRST_CLAUSE_AFTER, SentenceJoiner, SentenceSplitter

CHUNK_CHARACTERS = 1000
"""Characters passed to the splitter at once, so that a long text does not block the event loop."""
STALL_SECONDS = 0.5
"""Seconds without new text after which a sentence that seems complete is yielded without the next word.

A language model that calls a tool in the middle of a reply would otherwise delay what it has already written.
"""
SENTENCE_ENDS = ".!?…。！？"
PAUSE_WITHIN_SENTENCE = 0.0
"""Seconds of silence between two segments of one sentence, as SSML makes them by changing voice or speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A sentence or part of one, with its SSML settings; None means the value of the request."""

    text: str
    rest: TextFeed | None = None
    """The text after ``text``, while the sentence is still being written; None once it is complete."""
    language: str | None = None
    voice: str | None = None
    rate: float = 1.0
    """Factor applied to the speed of the request."""
    pause: float | None = None
    """Seconds of silence before the text; for a segment without text, after the segment before it."""


async def split_segments(
    feed: TextFeed, *, markup: str | None, language: str, first_clause: bool, live: bool
) -> AsyncGenerator[Segment, None]:
    """Yield the segments of ``feed``.

    ``markup``: ``ssml`` where the client says so; text that begins with ``<speak`` is treated as SSML as
    well. ``language`` (BCP 47): the language of SSML that names none. ``first_clause``: whether a long first
    sentence is cut after its first clause, for a lower latency. ``live``: whether a sentence is yielded while
    it is still being written.
    """
    chunks = _filtered_chunks(feed)
    async with aclosing(chunks):
        head = "" if markup == "ssml" else await _read_head(chunks)
        if markup == "ssml" or ssml.is_ssml(head):
            document = (head + "".join([chunk async for chunk in chunks])).rpartition(CANCEL)[2]
            for segment in await asyncio.to_thread(_split_ssml, document, language):
                yield segment
            return
        incremental = live and not feed.ended
        split = _split_live(head, chunks, first_clause) if incremental else _split(head, chunks, first_clause)
        async with aclosing(split) as segments:
            async for segment in segments:
                yield segment


async def find_first_segment(text: str, *, markup: str | None, language: str) -> Segment | None:
    """Return the first segment of a complete text, its first sentence uncut; None if there is none."""
    segments = split_segments(
        TextFeed.whole(text), markup=markup, language=language, first_clause=False, live=False
    )
    async with aclosing(segments):
        return await anext(segments, None)


def is_too_short_to_split(text: str) -> bool:
    """Tell whether a text is too short for its first sentence to be cut after the first clause."""
    return len(text) * (1 if text.isascii() else 2) <= FIRST_CLAUSE_AFTER


def split_fragments(sentence: str) -> list[str]:
    """Return the fragments in which a sentence may be in the cache.

    A sentence at the beginning of a reply may have been cut after its first clause, and short sentences that
    are joined later in a reply are separate at its beginning.
    """
    if is_too_short_to_split(sentence) and not any(mark in SENTENCE_ENDS for mark in sentence[:-1]):
        return [sentence]  # the usual case, a hundred times faster than the splitter
    splitter = SentenceSplitter(first_clause=True)
    return [*splitter.push(sentence), *splitter.finish()]


async def _filtered_chunks(feed: TextFeed) -> AsyncGenerator[str, None]:
    """Yield the text of a reply in chunks: without chat-template tokens, and with LaTeX as Unicode.

    CANCEL stands only at the beginning of a chunk.
    """
    chat, formulas = ChatFilter(), FormulaFilter()
    async for text in feed:
        reply = chat.push(text)
        if reply.startswith(CANCEL):
            formulas.clear()
        reply = formulas.push(reply)
        for at in range(0, len(reply), CHUNK_CHARACTERS):
            yield reply[at : at + CHUNK_CHARACTERS]
    if rest := formulas.push(chat.finish()) + formulas.finish():
        yield rest


async def _read_head(chunks: AsyncGenerator[str, None]) -> str:
    """Return enough of the text to tell SSML from anything else."""
    head = ""
    async for chunk in chunks:
        head += chunk
        stripped = head.lstrip()
        if stripped and not (
            "<speak ".startswith(stripped[:7]) or stripped.startswith(("<?xml", "<!DOCTYPE", "<!--"))
        ):
            break
        if ssml.is_ssml(head):
            break
    return head


async def _split(
    head: str, chunks: AsyncGenerator[str, None], first_clause: bool
) -> AsyncGenerator[Segment, None]:
    """Yield complete sentences."""
    splitter, joiner = SentenceSplitter(first_clause=first_clause), SentenceJoiner()
    for sentence in joiner.push(splitter.push(head)):
        yield Segment(text=sentence)
    pending = _read_next(chunks)
    try:
        while True:
            if splitter.is_complete and not (await asyncio.wait({pending}, timeout=STALL_SECONDS))[0]:
                for sentence in [*joiner.push(splitter.flush()), *joiner.flush()]:
                    yield Segment(text=sentence)
            if (chunk := await pending) is None:
                break
            pending = _read_next(chunks)
            if chunk.startswith(CANCEL):
                splitter.finish()
                joiner.flush()
            for sentence in joiner.push(splitter.push(chunk.removeprefix(CANCEL))):
                yield Segment(text=sentence)
    finally:
        pending.cancel()
        await asyncio.wait({pending})
    for sentence in [*joiner.push(splitter.finish()), *joiner.finish()]:
        yield Segment(text=sentence)


def _read_next(chunks: AsyncGenerator[str, None]) -> asyncio.Task[str | None]:
    async def read() -> str | None:
        return await anext(chunks, None)

    return asyncio.create_task(read(), name="next text chunk")


def _split_ssml(document: str, language: str) -> list[Segment]:
    """Return the segments of an SSML document, a sentence each."""
    segments: list[Segment] = []
    pause: float | None = None
    for item in ssml.parse_ssml(document, say_as=say_as_interpreter(language), pronunciations=True):
        if isinstance(item, ssml.SsmlBreak):
            pause = (pause or 0.0) + item.seconds
            continue
        splitter = SentenceSplitter(item.language)
        for sentence in [*splitter.push(item.text), *splitter.finish()]:
            if not has_words(sentence):
                continue
            ended = segments and segments[-1].text.rstrip("\"'”’»)]").endswith(tuple(SENTENCE_ENDS))
            if pause is None and segments and not ended:
                pause = PAUSE_WITHIN_SENTENCE
            segments.append(
                Segment(text=sentence, language=item.language, voice=item.voice, rate=item.rate, pause=pause)
            )
            pause = None
    if pause:
        segments.append(Segment(text="", pause=pause))
    return segments


async def _split_live(
    head: str, chunks: AsyncGenerator[str, None], first_clause: bool
) -> AsyncGenerator[Segment, None]:
    """Yield each sentence as soon as its first word is known; its ``rest`` is fed while it is synthesized."""
    output: asyncio.Queue[Segment | Exception | None] = asyncio.Queue()
    task = asyncio.create_task(_feed_live(head, chunks, first_clause, output), name="live segmentation")
    try:
        while (item := await output.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _feed_live(
    head: str,
    chunks: AsyncGenerator[str, None],
    first_clause: bool,
    output: asyncio.Queue[Segment | Exception | None],
) -> None:
    splitter = SentenceSplitter(first_clause=first_clause)
    writer = _LiveSegmentWriter(output)
    try:
        writer.push(splitter, head)
        async for text in chunks:
            writer.push(splitter, text)
        for sentence in splitter.finish():
            writer.complete(sentence)
        output.put_nowait(None)
    except Exception as error:
        writer.fail(error)


class _LiveSegmentWriter:
    """Puts segments into a queue, and feeds the rest of the sentence that is still being written."""

    def __init__(self, output: asyncio.Queue[Segment | Exception | None]) -> None:
        self._output = output
        self._sent = ""
        """The part of the current sentence that is in its segment or its ``rest``."""
        self._rest: TextFeed | None = None

    def push(self, splitter: SentenceSplitter, text: str) -> None:
        """Add ``text`` to the splitter, and pass on what it adds to the sentences."""
        if text.startswith(CANCEL):
            text = text.removeprefix(CANCEL)
            splitter.finish()
            if self._rest is not None:
                self.complete(self._sent)
        for sentence in splitter.push(text):
            self.complete(sentence)
        self._extend(splitter.confirmed_text)

    def _extend(self, text: str) -> None:
        """Pass on the part of ``text``, the sentence so far, that was not sent before."""
        if self._rest is not None:
            if text != self._sent:
                self._rest.push(text.removeprefix(self._sent))
            self._sent = text
        elif has_words(text):
            self._rest, self._sent = TextFeed(), text
            self._output.put_nowait(Segment(text=text, rest=self._rest))

    def complete(self, sentence: str) -> None:
        """End the current sentence, whose whole text is ``sentence``."""
        if self._rest is None:
            self._output.put_nowait(Segment(text=sentence))
        else:
            self._extend(sentence)
            self._rest.end()
        self._rest = None

    def fail(self, error: Exception) -> None:
        """Report ``error`` to the reader of the segments, and of the current sentence."""
        if self._rest is not None:
            self._rest.fail(error)
        self._output.put_nowait(error)


async def complete_segment(segment: Segment) -> Segment:
    """Wait until the text of ``segment`` is complete, and return the segment with all of it."""
    if segment.rest is None:
        return segment
    return replace(segment, text=segment.text + "".join([text async for text in segment.rest]), rest=None)


async def normalize_incrementally(
    segment: Segment, normalize: Callable[[str], str]
) -> AsyncGenerator[str, None]:
    """Yield the spoken form of a sentence while it is being written.

    Text that ``normalize`` does not change is yielded at once, except for the last two words: they may belong
    to a number or a unit that follows. From the first word on that it changes, the rest is yielded when the
    sentence is complete.
    """
    written, yielded = "", ""
    async for text in _read_text(segment):
        written += text
        known = _without_last_words(written)
        if len(known) > len(yielded) and normalize(known) == known:
            yield known[len(yielded) :]
            yielded = known
    words = normalize(written)
    yield words[len(yielded) :] if words.startswith(yielded) else normalize(written[len(yielded) :])


async def _read_text(segment: Segment) -> AsyncGenerator[str, None]:
    yield segment.text
    if segment.rest is not None:
        async for text in segment.rest:
            yield text


def _without_last_words(text: str) -> str:
    words = text.rstrip().rsplit(None, 2)
    return text[: len(words[0])] if len(words) == 3 else ""
