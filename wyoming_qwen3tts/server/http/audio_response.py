"""The sound of one request on its way out, in a format."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing

from ...audio.encode import Encoder, Format
from ...speech import SpeechError, SpeechRequest
from ..request_log import GONE, OK, RequestLog, outcome_of
from .context import DOOR, AppContext
from .whole import WholeFile

FEWEST, MOST = 4_800, 48_000
"""Bytes of PCM that are encoded at a time, first and later: 0.1 s, a page of Ogg, and 1 s."""
WHOLE_SECONDS = 3600.0
"""Of sound in a file that is made before it is sent: 173 MB of WAV. A stream may be as long as its text."""
TOO_LONG = (
    f"the answer has over {WHOLE_SECONDS:g} s of sound, too much for a file that is made before it is sent: "
    'ask for it as a stream (without "stream": false, by HTTP/1.1), or for less at a time'
)


class AudioResponse:
    """One request, and what it was answered: ``begin``, then ``pieces`` or ``whole``."""

    def __init__(
        self,
        context: AppContext,
        request: SpeechRequest,
        form: Format,
        over: Callable[[], object] | None = None,
    ) -> None:
        """``over`` is called when nothing more is made."""
        self._when_over = over
        self._sounds = context.synthesizer.speak(request)
        self._form = form
        self._encoder: Encoder | None = None
        self._first = b""
        self._part = FEWEST
        self._over = False
        self._log = RequestLog(request, context.requests, DOOR)
        self.request = request
        self.given_up = GONE
        """The outcome where nobody wants the rest: the client left, unless somebody knows better."""
        self._file: WholeFile | None = None

    async def begin(self) -> None:
        """Wait for the first sound: what goes wrong before has an answer of its own. Raises SpeechError."""
        try:
            self._log.begin()
            self._first = await anext(self._sounds)
        except BaseException as error:
            await self._sounds.aclose()
            self._ended(outcome_of(error, self.given_up))
            raise
        self._log.sent(self._first)

    @property
    def headers(self) -> Mapping[str, str]:
        """What is known of it by now, for the response: after ``begin``, and more after ``whole``."""
        report = self.request.report
        found = {
            "X-Request-Id": report.id,
            "X-First-Audio-Ms": f"{self.first_audio_ms:.1f}",
            "X-Cache": report.cache,
            "X-Engine": report.engine,
        }
        if report.fallback:
            found["X-Fallback"] = report.fallback
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
        """Milliseconds to the first sound, after ``begin``."""
        return self._log.first * 1000

    @property
    def total_ms(self) -> float:
        """Milliseconds so far."""
        return self._log.seconds * 1000

    @property
    def audio_seconds(self) -> float:
        """Seconds of sound so far."""
        return self._log.audio_seconds

    @property
    def file(self) -> WholeFile:
        """The file, after ``whole``; whoever gets so far drops it, itself or by ``close``."""
        assert self._file is not None
        return self._file

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the file. Raises SpeechError where it cannot be whole: then it has no end."""
        try:
            async with aclosing(self._heard()) as sounds:
                async for sound in sounds:
                    for part in self._slices(sound):
                        if piece := await self._encoded(part):
                            with self._log.sending():
                                yield piece
            if piece := await self._encoded(None):
                with self._log.sending():
                    yield piece
        except BaseException as error:
            self._ended(outcome_of(error, self.given_up))
            raise
        self._ended(OK)

    async def close(self) -> None:
        """End the work if it goes on, and drop the file if there is one."""
        await self._sounds.aclose()
        self._ended(self.given_up)
        if self._file is not None:
            self._file.drop()

    def _ended(self, outcome: str) -> None:
        """Log what became of it, once."""
        if not self._over:
            self._over = True
            self._log.write(outcome)
            if self._when_over is not None:
                self._when_over()

    async def whole(self) -> None:
        """Make all of the file, ``file``. Raises SpeechError."""
        file = WholeFile(self._form)
        try:
            async with aclosing(self._heard()) as sounds:
                async for sound in sounds:
                    self._check_length()
                    with self._log.encoding():
                        await asyncio.to_thread(file.push, sound)
            with self._log.encoding():
                await asyncio.to_thread(file.finish)
        except BaseException as error:
            file.drop()
            self._ended(outcome_of(error, self.given_up))
            raise
        self._file = file
        self._ended(OK)

    def _check_length(self) -> None:
        if self.audio_seconds > WHOLE_SECONDS:
            raise SpeechError(TOO_LONG, "answer-too-long")

    async def _heard(self) -> AsyncGenerator[bytes, None]:
        """Yield the sound, and count it."""
        async with aclosing(self._sounds):
            sound, self._first = self._first, b""
            yield sound
            async for sound in self._sounds:
                self._log.sent(sound)
                yield sound

    def _slices(self, sound: bytes) -> Iterator[bytes]:
        """Yield ``sound`` as it is to be encoded: a little at first, for a known phrase comes all at once."""
        if self._form.is_light:
            yield sound
            return
        at = 0
        while at < len(sound):
            yield sound[at : at + self._part]
            at += self._part
            self._part = min(2 * self._part, MOST)

    async def _encoded(self, sound: bytes | None) -> bytes:
        """Return what the encoder makes of ``sound``; of None, the file's end."""

        def encode() -> bytes:
            encoder = self._encoder = self._encoder or self._form.encoder()
            return encoder.finish() if sound is None else encoder.push(sound)

        with self._log.encoding():
            return encode() if self._form.is_light else await asyncio.to_thread(encode)
