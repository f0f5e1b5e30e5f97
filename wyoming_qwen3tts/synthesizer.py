"""The road from text to sound: an async stream of text in, an async stream of PCM out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from .audio import pcm as sound
from .audio.finish import Finishing, Reply
from .audio.loudness import Levels
from .engines.base import CannotSpeak, CutShort, Engine, EngineUnavailable, LiveEngine
from .speech import (
    BYTES_PER_SECOND,
    FASTEST,
    SAMPLE_WIDTH,
    SLOWEST,
    SpeechRequest,
    TextFeed,
    Utterance,
)
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
    live_text: bool = False
    """Speak a sentence while it is being written, where the voice can."""


class Synthesizer:
    """Takes requests to sound: sentences, voices, engines, and one sentence made while another is sent."""

    def __init__(
        self,
        catalog: VoiceCatalog,
        engines: Mapping[str, Engine],
        limits: Limits,
        *,
        finishing: Finishing,
        loudness: float | None,
        speed: float,
    ) -> None:
        """``loudness``: dBFS that voices are brought to, or None. ``speed``: where a request has no own."""
        self.catalog = catalog
        self._engines = engines
        self._limits = limits
        self._finishing = finishing
        self._levels = Levels(loudness)
        self._speed = speed

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
            speed = self._speed if request.speed is None else request.speed
            speed = max(SLOWEST, min(FASTEST, speed))
            reply = Reply(self._finishing, self._levels.gains())
            live = self._limits.live_text and not request.text.ended
            cut = _live_sentences if live else _sentences
            async with aclosing(cut(request.text)) as sentences:
                async for sentence, rest in sentences:
                    if has_words(sentence):
                        reader = self.catalog.reader(voice, sentence)
                        language = self.catalog.language(reader, request.language)
                        utterance = Utterance(sentence, reader, language, speed=speed)
                        await self._say(utterance, reply, lead, rest)
            if reply.trail is None:
                await lead.put(sound.silence(NOTHING_TO_SAY))
            lead.close()
        except Exception as error:
            lead.close(error)

    async def _say(self, utterance: Utterance, reply: Reply, lead: _Lead, rest: TextFeed | None) -> None:
        """Put the sound of one utterance into ``lead``: whole, or as far as a voice that lost itself came.

        ``rest``: what its text goes on with, if it is still being written.
        """
        engine = self._engines[utterance.voice.engine]
        if rest is not None and not isinstance(engine, LiveEngine):
            utterance = replace(utterance, text=utterance.text + "".join([piece async for piece in rest]))
            rest = None
        _LOGGER.debug("%s says: %s", utterance.voice.name, utterance.text)
        pieces = 0
        whole = True
        finish = reply.begin(utterance.voice, utterance.speed)
        if rest is not None and isinstance(engine, LiveEngine):
            speaking = engine.speak_live(utterance, rest)
        else:
            speaking = engine.speak(utterance)
        async with aclosing(speaking) as stream:
            while True:
                try:
                    # While text is still to come the voice may be waiting for it, and its client has limits.
                    waits = rest is not None and not rest.ended
                    limit = None if waits else self._limits.engine_timeout
                    async with asyncio.timeout(limit) as patience:
                        piece = await anext(stream, None)
                except CutShort as cut:
                    _LOGGER.warning("%s was cut short: %s", utterance.text[:40], cut)
                    whole = False
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
                await lead.put(
                    finish.push(piece) if finish.light(piece) else await asyncio.to_thread(finish.push, piece)
                )
        if not pieces:
            raise CannotSpeak(f"the {engine.name} voice gave no sound for {utterance.text[:40]!r}")
        await lead.put(finish.finish() if finish.light(b"") else await asyncio.to_thread(finish.finish))
        if whole and finish.heard is not None:
            self._levels.learn(utterance.voice, finish.heard)


Sentence = tuple[str, TextFeed | None]
"""A sentence, or the beginning of one and what it goes on with."""


async def _bits(feed: TextFeed) -> AsyncGenerator[str, None]:
    """Yield the text in bits: a long one is cut between its sentences, not all at once on the event loop."""
    async for text in feed:
        for at in range(0, len(text), SPLIT_AT_A_TIME):
            yield text[at : at + SPLIT_AT_A_TIME]


async def _sentences(feed: TextFeed) -> AsyncGenerator[Sentence, None]:
    splitter = SentenceSplitter()
    async for text in _bits(feed):
        for sentence in splitter.push(text):
            yield sentence, None
    for sentence in splitter.finish():
        yield sentence, None


async def _live_sentences(feed: TextFeed) -> AsyncGenerator[Sentence, None]:
    """Yield each sentence as soon as its first word is known; the rest of it arrives while it is spoken."""
    found: asyncio.Queue[Sentence | Exception | None] = asyncio.Queue()
    cutter = asyncio.create_task(_cut(feed, found), name="cutter")
    try:
        while (item := await found.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        cutter.cancel()


async def _cut(feed: TextFeed, found: asyncio.Queue[Sentence | Exception | None]) -> None:
    splitter = SentenceSplitter()
    written = _Written(found)
    try:
        async for text in _bits(feed):
            for sentence in splitter.push(text):
                written.complete(sentence)
            written.begun(splitter.begun)
        for sentence in splitter.finish():
            written.complete(sentence)
        found.put_nowait(None)
    except Exception as error:
        written.fail(error)


class _Written:
    """The sentence that is being written, and where sentences go."""

    def __init__(self, found: asyncio.Queue[Sentence | Exception | None]) -> None:
        self._found = found
        self._said = ""
        self._rest: TextFeed | None = None

    def begun(self, text: str) -> None:
        """Give on what is new of the sentence's beginning."""
        if self._rest is not None:
            if text != self._said:
                self._rest.push(text.removeprefix(self._said))
            self._said = text
        elif has_words(text):
            self._rest, self._said = TextFeed(), text
            self._found.put_nowait((text, self._rest))

    def complete(self, sentence: str) -> None:
        """End the sentence."""
        if self._rest is None:
            self._found.put_nowait((sentence, None))
        else:
            self.begun(sentence)
            self._rest.end()
        self._rest = None

    def fail(self, error: Exception) -> None:
        """Say that the rest of the text never comes."""
        if self._rest is not None:
            self._rest.fail(error)
        self._found.put_nowait(error)


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
        """Add a piece, which may be empty; wait first while the limit is reached.

        Overshoots by at most one piece.
        """
        await self._room.wait()
        if not piece:
            return
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
