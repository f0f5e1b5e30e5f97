"""PCM as files that can be heard while they are written: WAV, MP3, FLAC, Opus.

What is sent cannot be changed any more, and how long a file is stands at its beginning. So files say here
what streams do: a WAV file that it is as long as can be, a FLAC file nothing, and an MP3 file has not got
the first frame, which would say it. Who can wait until a file is whole lets ``sound_file`` write it, where it
can go back.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..speech import BYTES_PER_SECOND, CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH
from .pcm import to_samples

if TYPE_CHECKING:
    import soundfile

OPUS_PAGE = 100.0
"""Milliseconds of sound in a page of Ogg: 5 % more bytes than with the usual second, and heard sooner."""
ENDLESS = 0xFFFFFFFF
"""The length of a WAV file that nobody knows yet: the most that there can be."""
_SET_OGG_PAGE_LATENCY_MS = 0x1302


class Encoder(Protocol):
    """Turns one reply into a file, piece by piece. Its work is for a thread."""

    def push(self, pcm: bytes) -> bytes:
        """Return what is ready after ``pcm`` (whole samples); may be empty."""
        raise NotImplementedError

    def finish(self) -> bytes:
        """Return the rest of the file."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file."""

    name: str
    content_type: str
    """Its media type (RFC 6838)."""
    encoder: Callable[[], Encoder]
    kind: Mapping[str, Any] | None = None
    """What libsndfile is to write, as soundfile names it; None for the samples as they are."""


class Raw:
    """The samples as they are."""

    def push(self, pcm: bytes) -> bytes:
        """Return ``pcm``."""
        return pcm

    def finish(self) -> bytes:
        """Return nothing."""
        return b""


class Wav:
    """A WAV file, whose header says at once what it has to."""

    def __init__(self) -> None:
        self._begun = False

    def push(self, pcm: bytes) -> bytes:
        """Return ``pcm``, the first time behind the header."""
        head = b"" if self._begun else wav_header()
        self._begun = True
        return head + pcm

    def finish(self) -> bytes:
        """Return nothing, or the header of an empty file."""
        return self.push(b"")


def wav_header() -> bytes:
    """Return the header of a WAV file of which nobody knows yet how long it is."""
    form = struct.pack(
        "<HHIIHH", 1, CHANNELS, SAMPLE_RATE, BYTES_PER_SECOND, CHANNELS * SAMPLE_WIDTH, 8 * SAMPLE_WIDTH
    )
    return (
        struct.pack("<4sI4s4sI", b"RIFF", ENDLESS, b"WAVE", b"fmt ", len(form))
        + form
        + struct.pack("<4sI", b"data", ENDLESS)
    )


class Compressed:
    """A file that libsndfile writes."""

    def __init__(self, kind: Mapping[str, Any]) -> None:
        """``kind``: see ``Format``."""
        self._sink = _Sink()
        self._file = sound_file(self._sink, kind)
        self._first_frame = kind["format"] == "MP3"
        if kind["subtype"] == "OPUS":
            _set_page(self._file, OPUS_PAGE)

    def push(self, pcm: bytes) -> bytes:
        """Return what the encoder has ready."""
        if pcm:
            self._file.write(to_samples(pcm))
        return self._taken()

    def finish(self) -> bytes:
        """Return the rest."""
        self._file.close()
        return self._taken()

    def _taken(self) -> bytes:
        taken = self._sink.take()
        if self._first_frame and taken:
            self._first_frame = False
            return taken[_mp3_frame(taken) :]
        return taken


def sound_file(file: Any, kind: Mapping[str, Any]) -> soundfile.SoundFile:
    """Return what writes samples to ``file``, which is left open; see ``Format`` for ``kind``."""
    import soundfile

    return soundfile.SoundFile(file, "w", SAMPLE_RATE, CHANNELS, **kind)


class _Sink(io.RawIOBase):
    """A file that only ever grows: what is written over what was taken already is lost, as it has to be."""

    def __init__(self) -> None:
        self._gone = 0
        """Bytes that were taken."""
        self._kept = bytearray()
        self._at = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        at = self._at - self._gone
        self._at += len(piece)
        if at + len(piece) > 0:
            late = max(0, -at)
            self._kept[max(0, at) : at + len(piece)] = piece[late:]
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._gone + len(self._kept)}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = bytes(self._kept)
        self._gone += len(taken)
        self._kept.clear()
        return taken


def _set_page(file: soundfile.SoundFile, milliseconds: float) -> None:
    """Let an Ogg file have pages of so many milliseconds; soundfile has no name for what libsndfile can."""
    import soundfile

    value = soundfile._ffi.new("double*", milliseconds)
    soundfile._snd.sf_command(file._file, _SET_OGG_PAGE_LATENCY_MS, value, 8)


def _mp3_frame(data: bytes) -> int:
    """Return the bytes of the MP3 frame that ``data`` begins with (MPEG-2 layer III, as 24 kHz is)."""
    kilobits = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)[data[2] >> 4]
    padding = data[2] >> 1 & 1
    return 72 * kilobits * 1000 // SAMPLE_RATE + padding


_WAV = {"format": "WAV", "subtype": "PCM_16"}
_FLAC = {"format": "FLAC", "subtype": "PCM_16"}
_OPUS = {"format": "OGG", "subtype": "OPUS"}
_MP3 = {
    "format": "MP3",
    "subtype": "MPEG_LAYER_III",
    "compression_level": 0.5,
    "bitrate_mode": "CONSTANT",
}
FORMATS = {
    each.name: each
    for each in (
        Format("wav", "audio/wav", Wav, _WAV),
        Format("mp3", "audio/mpeg", lambda: Compressed(_MP3), _MP3),
        Format("flac", "audio/flac", lambda: Compressed(_FLAC), _FLAC),
        Format("opus", "audio/ogg", lambda: Compressed(_OPUS), _OPUS),
        Format("pcm", f"audio/L16; rate={SAMPLE_RATE}; channels={CHANNELS}", Raw),
    )
}
"""What a reply can be sent as, by the names that OpenAI has for it."""
