"""``ref_audio``: a recording inside a request, cloned for that request only."""

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
from ...voices.recording import PreparedRecording
from ...voices.recording_error import InvalidRecordingError
from .context import AppContext

MAX_BYTES = 4 << 20
"""Bytes of a decoded recording: 20 s of 48 kHz stereo, of which 15 s are used."""
MAX_ENCODED_LENGTH = MAX_BYTES * 4 // 3 + 1024
"""Characters of an encoded recording."""
MAX_PREPARED = 16
"""Prepared recordings kept in memory, of at most 0.8 MB each: clients send the same one repeatedly."""
MAX_CONCURRENT = 2
"""Recordings prepared at a time; each takes about a second of one core."""
INVALID = "bad-ref-audio"
"""The error code of an invalid recording."""
NAME = "ref_audio"

_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[\w.+\"-]*)*(?P<base64>;base64)?,", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:|[.~]", re.IGNORECASE)
"""The beginning of a URL or a path; a single / is none, as an MP3 file in base64 begins with //."""


class ReferenceAudioCloner:
    """Turns recordings in requests into voices."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._prepared: OrderedDict[str, tuple[str, PreparedRecording]] = OrderedDict()
        """Digest of what was sent → digest of what the clone depends on, and the prepared recording."""
        self._concurrency = asyncio.Semaphore(MAX_CONCURRENT)

    async def voice(
        self, audio: str, transcript: str, language: str | None
    ) -> tuple[Voice, Callable[[], object]]:
        """Return the voice of a recording, and a function that deletes its file, to call after the request.

        ``audio``: a data URL or base64. ``language``: BCP 47. Raises SpeechError: ``not-possible`` if no
        engine can clone, INVALID if this is not a recording of one person, or too large.
        """
        engine = cloning_engine(self._context)
        async with self._concurrency:
            directory, digest, used = await asyncio.to_thread(self._write, audio, transcript)
        reference = Reference(directory / "voice.wav", digest, used)
        recorded = CustomVoice(f"{NAME} {digest[:8]}", reference, language)

        def delete() -> None:
            _ = asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, directory, True)

        try:
            # The recording is normalized; measuring a voice that is used once would only delay it.
            return replace(engine.clone(recorded), levelled=True), delete
        except EngineUnavailableError as error:
            delete()
            raise SpeechError(str(error), "not-possible") from error

    def _write(self, audio: str, transcript: str) -> tuple[Path, str, str]:
        """Return a directory with the prepared recording, its digest, and the used part of the transcript."""
        sent = hashlib.sha256(f"{transcript}\n{audio}".encode()).hexdigest()
        directory = Path(tempfile.mkdtemp(prefix="ref-audio-"))
        try:
            if (known := self._prepared.get(sent)) is None:
                known = self._prepared[sent] = _prepare(directory / NAME, decode(audio), transcript)
                while len(self._prepared) > MAX_PREPARED:
                    self._prepared.popitem(last=False)
            digest, prepared = known
            (directory / "voice.wav").write_bytes(recording.to_wav(prepared))
        except BaseException as error:
            shutil.rmtree(directory, ignore_errors=True)
            if isinstance(error, InvalidRecordingError):
                raise SpeechError(str(error), INVALID) from error
            if isinstance(error, OSError):
                raise SpeechError(f"no space for the recording: {error.strerror}", "no-room") from error
            raise
        return directory, digest, prepared.transcript


def cloning_engine(context: AppContext) -> Engine:
    """Return the first engine that can clone voices. Raises SpeechError (``not-possible``)."""
    reason = "cloning voices needs a Base checkpoint of Qwen3-TTS (--model)"
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
    """Return the bytes of a data URL or of base64. Raises SpeechError (INVALID)."""
    header = _DATA_URL.match(audio)
    if header is not None and header["base64"] is None:
        raise SpeechError(f"{NAME}: the data URL is not base64: it begins with {audio[:40]!r}", INVALID)
    if header is None and _ADDRESS.match(audio):
        what = f"{NAME} is an address ({audio[:60]!r}), which is not fetched"
        raise SpeechError(f"{what}: send the recording itself, as base64 or as a data URL", INVALID)
    encoded = "".join(audio[header.end() if header is not None else 0 :].split())
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SpeechError(f"{NAME} is not base64: {error}", INVALID) from error
    if len(data) > MAX_BYTES:
        what = f"{NAME} has over {MAX_BYTES >> 20} MB"
        raise SpeechError(f"{what}: send 5 to 15 s of one person's voice", INVALID)
    return data


def _prepare(path: Path, data: bytes, transcript: str) -> tuple[str, PreparedRecording]:
    """Return the digest of a clone, and the recording in the form engines expect.

    Raises InvalidRecordingError, OSError.
    """
    path.write_bytes(data)
    prepared = recording.prepare(path, transcript)
    return recording.digest(hashlib.sha256(data).hexdigest(), prepared.transcript), prepared
