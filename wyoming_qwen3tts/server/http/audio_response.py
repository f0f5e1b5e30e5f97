"""The encoded audio of one HTTP or WebSocket request: as a stream or as a complete file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing

from ...audio.encode import Encoder
from ...audio.formats import Format
from ...speech import SpeechError, SpeechRequest
from ..request_log import GONE, OK, RequestLog, outcome_of
from .context import INTERFACE, AppContext
from .encoded_file import EncodedFile

MIN_ENCODED_BYTES, MAX_ENCODED_BYTES = 4_800, 48_000
"""Bytes of PCM encoded at a time, first and later: 0.1 s, the length of an Ogg page, and 1 s."""
MAX_FILE_SECONDS = 3600.0
"""Audio of an answer that is encoded before it is sent: 173 MB of WAV. A stream has no such limit."""
TOO_LONG = (
    f"the answer has over {MAX_FILE_SECONDS:g} s of audio, the limit of an answer that is not streamed: "
    'request a stream (without "stream": false, by HTTP/1.1), or send less text'
)


class AudioResponse:
    """Synthesizes and encodes one request: ``begin``, then ``chunks`` or ``make_file``."""

    def __init__(
        self,
        context: AppContext,
        request: SpeechRequest,
        audio_format: Format,
        on_end: Callable[[], object] | None = None,
    ) -> None:
        """``on_end``: called when synthesis has ended, in any way."""
        self._on_end = on_end
        self._audio = context.synthesizer.speak(request)
        self._format = audio_format
        self._encoder: Encoder | None = None
        self._first = b""
        self._slice_bytes = MIN_ENCODED_BYTES
        self._ended = False
        self.outcome = self._audio.outcome
        self._log = RequestLog(request, context.admission, context.history, INTERFACE)
        self._log.outcome = self.outcome
        self.request = request
        self.cancel_outcome = GONE
        """The outcome logged if the request is cancelled; by default the client's disconnect."""
        self._file: EncodedFile | None = None

    async def begin(self) -> None:
        """Wait for the first audio, so that errors before it get an error response. Raises SpeechError."""
        try:
            self._log.begin()
            self._first = await anext(self._audio)
        except BaseException as error:
            await self._audio.aclose()
            self._end(outcome_of(error, self.cancel_outcome))
            raise
        self._log.add_audio(self._first)

    @property
    def headers(self) -> Mapping[str, str]:
        """The response headers known after ``begin``; ``make_file`` adds more."""
        outcome = self.outcome
        found = {
            "X-Request-Id": self.request.id,
            "X-First-Audio-Ms": f"{self.first_audio_ms:.1f}",
            "X-Cache": outcome.cache,
            "X-Engine": outcome.engine,
        }
        if outcome.fallback:
            found["X-Fallback"] = outcome.fallback
        if self._file is not None:
            total, seconds = self.total_ms, self.audio_seconds
            found |= {
                "X-Total-Ms": f"{total:.1f}",
                "X-Audio-Seconds": f"{seconds:.3f}",
                "X-RTF": f"{total / 1000 / seconds:.4f}",
            }
        return found

    @property
    def first_audio_ms(self) -> float:
        """Time to first audio in milliseconds, after ``begin``."""
        return self._log.first_audio * 1000

    @property
    def total_ms(self) -> float:
        """Milliseconds since the request."""
        return self._log.elapsed * 1000

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio so far."""
        return self._log.audio_seconds

    @property
    def file(self) -> EncodedFile:
        """The complete file, after ``make_file``; the caller closes it, or this response."""
        assert self._file is not None
        return self._file

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the encoded audio. Raises SpeechError if it cannot be completed: then its end is missing."""
        try:
            async with aclosing(self._counted_audio()) as audio:
                async for pcm in audio:
                    for part in self._slices(pcm):
                        if chunk := await self._encode(part):
                            with self._log.sending():
                                yield chunk
            if chunk := await self._encode(None):
                with self._log.sending():
                    yield chunk
        except BaseException as error:
            self._end(outcome_of(error, self.cancel_outcome))
            raise
        self._end(OK)

    async def close(self) -> None:
        """Cancel the synthesis if it is running, and close the file if there is one."""
        await self._audio.aclose()
        self._end(self.cancel_outcome)
        if self._file is not None:
            self._file.close_later()

    def _end(self, outcome: str) -> None:
        """Log the request; only the first call has an effect."""
        if not self._ended:
            self._ended = True
            self._log.write(outcome)
            if self._on_end is not None:
                self._on_end()

    async def make_file(self) -> None:
        """Synthesize and encode everything into ``file``. Raises SpeechError."""
        file = EncodedFile(self._format)
        try:
            async with aclosing(self._counted_audio()) as audio:
                async for pcm in audio:
                    self._check_length()
                    with self._log.encoding():
                        await asyncio.to_thread(file.push, pcm)
            with self._log.encoding():
                await asyncio.to_thread(file.finish)
        except BaseException as error:
            file.close_later()
            self._end(outcome_of(error, self.cancel_outcome))
            raise
        self._file = file
        self._end(OK)

    def _check_length(self) -> None:
        if self.audio_seconds > MAX_FILE_SECONDS:
            raise SpeechError(TOO_LONG, "answer-too-long")

    async def _counted_audio(self) -> AsyncGenerator[bytes, None]:
        """Yield the PCM, and count it."""
        async with aclosing(self._audio):
            pcm, self._first = self._first, b""
            yield pcm
            async for pcm in self._audio:
                self._log.add_audio(pcm)
                yield pcm

    def _slices(self, pcm: bytes) -> Iterator[bytes]:
        """Yield ``pcm`` in slices to encode, short ones first: cached audio arrives all at once."""
        if self._format.is_light:
            yield pcm
            return
        at = 0
        while at < len(pcm):
            yield pcm[at : at + self._slice_bytes]
            at += self._slice_bytes
            self._slice_bytes = min(2 * self._slice_bytes, MAX_ENCODED_BYTES)

    async def _encode(self, pcm: bytes | None) -> bytes:
        """Return the encoder's output for ``pcm``; for None, the end of the file."""

        def encode() -> bytes:
            encoder = self._encoder = self._encoder or self._format.encoder()
            return encoder.finish() if pcm is None else encoder.push(pcm)

        with self._log.encoding():
            return encode() if self._format.is_light else await asyncio.to_thread(encode)
