"""A sentence that is spoken while it is being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from ..engines.base import EngineUnavailableError, UnsupportedTextError
from ..speech import TextFeed, Utterance
from ..text import segmentation
from ..text.frontend import Frontend
from ..text.scripts import has_words
from ..text.segmentation import Segment
from .fallback import Fallback
from .reply import Reply
from .speaker import UtteranceSpeaker


async def speak_live(
    utterance: Utterance,
    segment: Segment,
    language: str,
    reply: Reply,
    *,
    frontend: Frontend,
    speaker: UtteranceSpeaker,
    fallback: Fallback,
) -> None:
    """Speak a segment whose text is still being written, with an engine that ``supports_live_text``.

    Where it fails without audio, another engine speaks the sentence when it is whole. Raises SpeechError.
    """
    normalized = segmentation.spoken_while_written(
        segment, lambda text: frontend.spoken(frontend.plain(text, language), language)
    )
    rest = TextFeed()
    async with aclosing(normalized):
        first = await anext(normalized, "")
        written = [first]
        pump = asyncio.create_task(_pump(normalized, rest, written), name="live text")
        size = reply.buffer.size
        try:
            if has_words(first):
                await speaker.attempt(replace(utterance, text=first), reply, rest)
        except (EngineUnavailableError, UnsupportedTextError) as error:
            failed = [utterance.voice.engine]
            other = None
            if reply.buffer.size == size:
                other = fallback.replace(replace(utterance, text=first), language, reply, failed, error)
            if other is None:
                raise
            await asyncio.wait({pump})  # until the sentence is whole
            await speaker.speak(replace(other, text="".join(written)), reply, language)
        finally:
            pump.cancel()
            await asyncio.wait({pump})


async def _pump(text: AsyncGenerator[str, None], feed: TextFeed, written: list[str]) -> None:
    """Push what ``text`` yields into ``feed``, and append it to ``written``."""
    try:
        async for piece in text:
            written.append(piece)
            feed.push(piece)
        feed.end()
    except Exception as error:
        feed.fail(error)
