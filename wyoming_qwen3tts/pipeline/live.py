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


class LiveSpeaker:
    """Speaks segments whose text is still being written."""

    def __init__(self, frontend: Frontend, speaker: UtteranceSpeaker, fallback: Fallback) -> None:
        self._frontend = frontend
        self._speaker = speaker
        self._fallback = fallback

    async def speak(self, utterance: Utterance, segment: Segment, language: str, reply: Reply) -> None:
        """Speak a segment with an engine that ``supports_live_text``; its text need not be complete.

        Where the engine fails without audio, another one speaks the sentence when it is complete.
        ``language``: of the text, BCP 47. Raises SpeechError.
        """
        normalized = segmentation.normalize_incrementally(
            segment, lambda text: self._normalize(text, language)
        )
        rest = TextFeed()
        async with aclosing(normalized):
            first = await anext(normalized, "")
            written = [first]
            pump = asyncio.create_task(_pump(normalized, rest, written), name="live text")
            size = reply.buffer.size
            try:
                if has_words(first):
                    await self._speaker.attempt(replace(utterance, text=first), reply, rest)
            except (EngineUnavailableError, UnsupportedTextError) as error:
                other = None
                if reply.buffer.size == size:
                    failed, begun = [utterance.voice.engine], replace(utterance, text=first)
                    other = self._fallback.replace(begun, language, reply, failed, error)
                if other is None:
                    raise
                await asyncio.wait({pump})  # until the sentence is complete
                await self._speaker.speak(replace(other, text="".join(written)), reply, language)
            finally:
                pump.cancel()
                await asyncio.wait({pump})

    def _normalize(self, text: str, language: str) -> str:
        return self._frontend.normalize(self._frontend.remove_markup(text, language), language)


async def _pump(text: AsyncGenerator[str, None], feed: TextFeed, written: list[str]) -> None:
    """Push what ``text`` yields into ``feed``, and append it to ``written``."""
    try:
        async for piece in text:
            written.append(piece)
            feed.push(piece)
        feed.end()
    except Exception as error:
        feed.fail(error)
