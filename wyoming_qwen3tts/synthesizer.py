"""The road from text to sound: an async stream of text in, an async stream of PCM out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from .audio import pcm as sound
from .engines.base import CannotSpeak, CutShort, Engine, EngineUnavailable
from .speech import BYTES_PER_SECOND, SAMPLE_WIDTH, SpeechRequest, TextFeed, Utterance
from .text.scripts import has_words
from .text.sentences import SentenceSplitter
from .voices.catalog import VoiceCatalog

_LOGGER = logging.getLogger(__name__)

NOTHING_TO_SAY = 0.1
"""Seconds of silence that answer a text without words: Home Assistant cannot convert an empty stream."""
KEEP_ALIVE = 0.05
"""Seconds of silence a second that keep a stream alive while its listener still has sound."""
BRIDGE_STEP = 0.2
"""Seconds of silence at a time once the listener has run dry, in real time."""
SPLIT_AT_A_TIME = 1000
"""Characters given to the splitter at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one request; the settings have their defaults."""

    lead_seconds: float
    """Sound made ahead of what the client has taken."""
    engine_timeout: float
    """Seconds an engine may take for its next piece of sound."""
    bridge_silence: float
    """Seconds without text, once sound began, after which silence is sent; 0 sends none."""


class Synthesizer:
    """Takes requests to sound: sentences, voices, engines, and one sentence made while another is sent."""

    def __init__(self, catalog: VoiceCatalog, engines: Mapping[str, Engine], limits: Limits) -> None:
        self.catalog = catalog
        self._engines = engines
        self._limits = limits

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``request`` in order: PCM pieces of whole samples, of any length above zero.

        Raises SpeechError when some of the text cannot be said: whatever came before is then not the whole.
        Closing the generator (``aclosing``) cancels the work.
        """
        lead = _Lead(self._limits.lead_seconds)
        maker = asyncio.create_task(self._make(request, lead), name="maker")
        clock = asyncio.get_running_loop().time
        playback = sound.PlaybackClock()
        wait: float | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout(wait) as patience:
                        piece = await lead.take()
                    wait = self._limits.bridge_silence or None
                except TimeoutError:
                    if not patience.expired():
                        raise  # the voice's own
                    if not request.text.waiting:
                        continue  # the engine is at work: this pause is not the text's
                    in_hand = playback.in_hand(clock())
                    piece = sound.silence(BRIDGE_STEP if in_hand <= BRIDGE_STEP else KEEP_ALIVE)
                    wait = min(self._limits.bridge_silence, max(BRIDGE_STEP, in_hand - BRIDGE_STEP))
                if piece is None:
                    return
                playback.sent(piece, clock())
                yield piece
        finally:
            maker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await maker

    async def _make(self, request: SpeechRequest, lead: _Lead) -> None:
        """Fill ``lead`` with the sound of ``request``; runs as a task beside whoever empties it."""
        try:
            voice = self.catalog.find(request.voice, request.language)
            said = False
            async with aclosing(_sentences(request.text)) as sentences:
                async for sentence in sentences:
                    if has_words(sentence):
                        reader = self.catalog.reader(voice, sentence)
                        language = self.catalog.language(reader, request.language)
                        await self._say(Utterance(sentence, reader, language), lead)
                        said = True
            if not said:
                await lead.put(sound.silence(NOTHING_TO_SAY))
            lead.close()
        except Exception as error:
            lead.close(error)

    async def _say(self, utterance: Utterance, lead: _Lead) -> None:
        """Put the sound of one utterance into ``lead``: whole, or as far as a voice that lost itself came."""
        engine = self._engines[utterance.voice.engine]
        _LOGGER.debug("%s says: %s", utterance.voice.name, utterance.text)
        pieces = 0
        async with aclosing(engine.speak(utterance)) as stream:
            while True:
                try:
                    async with asyncio.timeout(self._limits.engine_timeout) as patience:
                        piece = await anext(stream, None)
                except CutShort as cut:
                    _LOGGER.warning("%s was cut short: %s", utterance.text[:40], cut)
                    break
                except TimeoutError as error:
                    if not patience.expired():
                        raise
                    wait = f"{self._limits.engine_timeout:g} s"
                    raise EngineUnavailable(f"the {engine.name} voice gave no sound for {wait}") from error
                if piece is None:
                    break
                if not piece or len(piece) % SAMPLE_WIDTH:
                    raise EngineUnavailable(f"the {engine.name} voice gave {len(piece)} bytes, not samples")
                pieces += 1
                await lead.put(piece)
        if not pieces:
            raise CannotSpeak(f"the {engine.name} voice gave no sound for {utterance.text[:40]!r}")


async def _sentences(feed: TextFeed) -> AsyncGenerator[str, None]:
    splitter = SentenceSplitter()
    async for text in feed:
        # A long text is cut bit by bit between its sentences, not all at once on the event loop.
        for at in range(0, len(text), SPLIT_AT_A_TIME):
            for sentence in splitter.push(text[at : at + SPLIT_AT_A_TIME]):
                yield sentence
    for sentence in splitter.finish():
        yield sentence


class _Lead:
    """Sound made and not yet taken: a queue bounded in seconds, one maker, one taker."""

    def __init__(self, seconds: float) -> None:
        self._limit = int(seconds * BYTES_PER_SECOND)
        self._held = 0
        self._pieces: deque[bytes] = deque()
        self._closed = False
        self._error: Exception | None = None
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, piece: bytes) -> None:
        """Add a piece; wait first while the limit is reached. Overshoots by at most one piece."""
        await self._room.wait()
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= self._limit:
            self._room.clear()
        self._filled.set()

    def close(self, error: Exception | None = None) -> None:
        """Say that nothing more comes, or that ``error`` does."""
        self._closed, self._error = True, error
        self._filled.set()

    async def take(self) -> bytes | None:
        """Return the next piece, None at the end; raise the maker's error in its place in the order."""
        await self._filled.wait()
        if self._pieces:
            piece = self._pieces.popleft()
            self._held -= len(piece)
            if self._held < self._limit:
                self._room.set()
            if not self._pieces and not self._closed:
                self._filled.clear()
            return piece
        if self._error is not None:
            raise self._error
        return None
