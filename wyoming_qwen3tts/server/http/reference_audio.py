"""``ref_audio``: a recording inside a request, whose voice speaks that request and no other."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...engines.base import Engine, EngineUnavailableError
from ...speech import CustomVoice, Reference, SpeechError, Voice
from ...voices import recording
from ...voices.recording import InvalidRecordingError, Prepared
from .context import AppContext

LARGEST = 4 << 20
"""Bytes of a decoded recording: 20 s of 48 kHz stereo, where 15 s are used."""
LARGEST_ENCODED = LARGEST * 4 // 3 + 1024
"""Characters of a recording in a request."""
KEPT = 16
"""Prepared recordings kept in memory, of at most 0.8 MB each: clients send the same one again and again."""
AT_A_TIME = 2
"""Recordings that are prepared at a time, each about a second of one core."""
BAD = "bad-ref-audio"
NAME = "ref_audio"

_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[\w.+\"-]*)*(?P<base64>;base64)?,", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:|[.~]", re.IGNORECASE)
"""What begins like an address or a path; an MP3 file in base64 begins with //."""


class RequestClones:
    """Turns recordings in requests into voices."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._prepared: OrderedDict[str, tuple[str, Prepared]] = OrderedDict()
        """Digest of what was sent → digest of what a clone depends on, and the prepared recording."""
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def voice(
        self, audio: str, transcript: str, language: str | None
    ) -> tuple[Voice, Callable[[], object]]:
        """Return the voice of a recording, and what drops its file, to be called when it has spoken.

        ``audio``: a data URL or base64. ``language``: BCP 47. Raises SpeechError: ``not-possible`` where no
        engine clones, BAD for what is no recording of one person, or too large.
        """
        engine = cloning_engine(self._context)
        async with self._turns:
            place, digest, used = await asyncio.to_thread(self._write, audio, transcript)
        recorded = CustomVoice(f"{NAME} {digest[:8]}", Reference(place / "voice.wav", digest, used), language)

        def drop() -> None:
            _ = asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, place, True)

        try:
            # The recording was brought to a level; measuring what is said once is not worth the wait.
            return replace(engine.clone(recorded), levelled=True), drop
        except EngineUnavailableError as error:
            drop()
            raise SpeechError(str(error), "not-possible") from error

    def _write(self, audio: str, transcript: str) -> tuple[Path, str, str]:
        """Return a directory with the prepared recording, its digest, and what is used of the transcript."""
        sent = hashlib.sha256(f"{transcript}\n{audio}".encode()).hexdigest()
        place = Path(tempfile.mkdtemp(prefix="ref-audio-"))
        try:
            if (known := self._prepared.get(sent)) is None:
                known = self._prepared[sent] = _prepare(place / NAME, decode(audio), transcript)
                while len(self._prepared) > KEPT:
                    self._prepared.popitem(last=False)
            digest, prepared = known
            (place / "voice.wav").write_bytes(recording.wav(prepared))
        except BaseException as error:
            shutil.rmtree(place, ignore_errors=True)
            if isinstance(error, InvalidRecordingError):
                raise SpeechError(str(error), BAD) from error
            if isinstance(error, OSError):
                raise SpeechError(f"there is no room for a recording: {error.strerror}", "no-room") from error
            raise
        return place, digest, prepared.transcript


def cloning_engine(context: AppContext) -> Engine:
    """Return the first engine that clones voices. Raises SpeechError (``not-possible``)."""
    reason = "that needs a Base checkpoint of Qwen3-TTS (--model)"
    for engine in context.pool.values():
        if engine.supports_cloning:
            try:
                engine.clone(_ANY)
            except EngineUnavailableError as error:
                reason = str(error)
            else:
                return engine
    raise SpeechError(reason, "not-possible")


_ANY = CustomVoice("any", Reference(Path(), ""))


def decode(audio: str) -> bytes:
    """Return the bytes of a data URL or of base64. Raises SpeechError (BAD)."""
    header = _DATA_URL.match(audio)
    if header is not None and header["base64"] is None:
        raise SpeechError(f"{NAME}: the data URL is not base64: it begins with {audio[:40]!r}", BAD)
    if header is None and _ADDRESS.match(audio):
        what = f"{NAME} is an address ({audio[:60]!r}), and none is fetched"
        raise SpeechError(f"{what}: send the recording itself, as base64 or as a data URL", BAD)
    encoded = "".join(audio[header.end() if header is not None else 0 :].split())
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SpeechError(f"{NAME} is not base64: {error}", BAD) from error
    if len(data) > LARGEST:
        raise SpeechError(f"{NAME} has over {LARGEST >> 20} MB: 5 to 15 s of one person are enough", BAD)
    return data


def _prepare(path: Path, data: bytes, transcript: str) -> tuple[str, Prepared]:
    """Return the digest of a clone, and the recording as engines take it.

    Raises InvalidRecordingError, OSError.
    """
    path.write_bytes(data)
    prepared = recording.prepare(path, transcript)
    return recording.digest(hashlib.sha256(data).hexdigest(), prepared.transcript), prepared
