"""PCM as files that can be played while they are written: WAV, MP3, FLAC, Opus, AAC and G.711.

What is sent cannot be changed any more, and a file's length stands at its beginning. So a streamed WAV file
states the greatest length, a streamed FLAC file none, and a streamed MP3 file lacks the frame that would
state it. A file that is sent only when it is whole is written by libsndfile, which goes back to its header.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..speech import CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH
from .pcm import to_samples

if TYPE_CHECKING:
    import soundfile

OPUS_PAGE = 100.0
"""Milliseconds of sound in a page of Ogg: 5 % more bytes than with the usual second, and heard sooner."""
ENDLESS = 0xFFFFFFFF
"""The length of a WAV file that nobody knows yet: the most that there can be."""
PCM, A_LAW, MU_LAW = 1, 6, 7
"""Codings of samples in a WAV file (RFC 2361)."""
TELEPHONE = 8000
"""Samples a second of a telephone line (G.711)."""
AAC_BITS = 96_000
"""Bits a second: transparent for one voice."""
_SET_OGG_PAGE_LATENCY_MS = 0x1302


class Encoder(Protocol):
    """Turns one reply into a file, piece by piece. Its work is for a thread."""

    def push(self, pcm: bytes) -> bytes:
        """Return what is ready after ``pcm`` (whole samples); may be empty."""
        raise NotImplementedError

    def finish(self) -> bytes:
        """Return the rest of the file."""
        raise NotImplementedError


class Raw:
    """The samples as they are."""

    def push(self, pcm: bytes) -> bytes:
        """Return ``pcm``."""
        return pcm

    def finish(self) -> bytes:
        """Return nothing."""
        return b""


class Wav:
    """A WAV file around encoded samples, whose header states no length."""

    def __init__(self, header: bytes, samples: Encoder) -> None:
        self._header = header
        self._samples = samples

    def push(self, pcm: bytes) -> bytes:
        """Return the encoded samples, the first time behind the header."""
        header, self._header = self._header, b""
        return header + self._samples.push(pcm)

    def finish(self) -> bytes:
        """Return the rest, or the header of an empty file."""
        return self.push(b"") + self._samples.finish()


def wav_header(rate: int, coding: int = PCM) -> bytes:
    """Return the header of a WAV file of unknown length. ``coding``: PCM, A_LAW or MU_LAW."""
    width = SAMPLE_WIDTH if coding == PCM else 1
    block = CHANNELS * width
    form = struct.pack("<HHIIHH", coding, CHANNELS, rate, rate * block, block, 8 * width)
    fact = b""
    if coding != PCM:  # other codings have an extension, which is empty, and say how many samples there are
        form += struct.pack("<H", 0)
        fact = struct.pack("<4sII", b"fact", 4, ENDLESS)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", ENDLESS, b"WAVE", b"fmt ", len(form))
        + form
        + fact
        + struct.pack("<4sI", b"data", ENDLESS)
    )


class Compressed:
    """A file that libsndfile writes while it is sent."""

    def __init__(self, kind: Mapping[str, Any], rate: int = SAMPLE_RATE) -> None:
        """``kind``: see ``Format``."""
        self._sink = _Sink()
        self._file = _sound_file(self._sink, kind, rate)
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


class Written:
    """A file that libsndfile writes and goes back in: nothing is left to send meanwhile."""

    def __init__(self, file: Any, kind: Mapping[str, Any], rate: int) -> None:
        """``file``: is left open. ``kind``: see ``Format``."""
        self._file = _sound_file(file, kind, rate)

    def push(self, pcm: bytes) -> bytes:
        """Write ``pcm``; return nothing."""
        self._file.write(to_samples(pcm))
        return b""

    def finish(self) -> bytes:
        """Complete the file; return nothing."""
        self._file.close()
        return b""


class Aac:
    """AAC in ADTS frames, encoded by FFmpeg through PyAV."""

    def __init__(self) -> None:
        import av

        self._sink = _Sink()
        self._file = av.open(self._sink, "w", format="adts")
        self._stream = self._file.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        self._stream.bit_rate = AAC_BITS
        self._written = 0

    def push(self, pcm: bytes) -> bytes:
        """Return the frames that are ready."""
        import av

        if pcm:
            frame = av.AudioFrame.from_ndarray(to_samples(pcm).reshape(CHANNELS, -1), "s16", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, self._written
            self._written += frame.samples
            self._file.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        """Return the rest."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._sink.take()


class Resampled:
    """Another encoder, given its samples at another rate."""

    def __init__(self, encoder: Encoder, rate: int) -> None:
        import soxr

        self._encoder = encoder
        self._stream = soxr.ResampleStream(SAMPLE_RATE, rate, CHANNELS, dtype="int16")

    def push(self, pcm: bytes) -> bytes:
        """Return what is ready after ``pcm``, at SAMPLE_RATE; the filter holds a few milliseconds back."""
        return self._encoder.push(self._resampled(pcm))

    def finish(self) -> bytes:
        """Return the rest."""
        return self._encoder.push(self._resampled(b"", last=True)) + self._encoder.finish()

    def _resampled(self, pcm: bytes, *, last: bool = False) -> bytes:
        samples: bytes = self._stream.resample_chunk(to_samples(pcm), last=last).astype("<i2").tobytes()
        return samples


def _sound_file(file: Any, kind: Mapping[str, Any], rate: int) -> soundfile.SoundFile:
    import soundfile

    return soundfile.SoundFile(file, "w", rate, CHANNELS, **kind)


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


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file, and the rate of its samples."""

    name: str
    media_type: str
    """RFC 6838, with ``{rate}`` where it states the rate."""
    make: Callable[[int], Encoder]
    """Returns an encoder of samples at a rate, for a file that is sent while it is written."""
    kind: Mapping[str, Any] | None = None
    """What libsndfile writes where the file is whole before it is sent; None where ``make`` does that too."""
    rate: int = SAMPLE_RATE
    """Samples a second."""
    any_rate: bool = False
    """Whether it can have other rates."""
    uncompressed: bool = False
    """Whether its encoder only copies, which costs less than handing it to a thread."""
    extension: str = ""
    """Of a file's name; empty where it is ``name``."""

    def at(self, rate: int) -> Format:
        """Return the format with another rate. Raises ValueError where it has none."""
        if rate != self.rate and not self.any_rate:
            able = ", ".join(name for name, each in FORMATS.items() if each.any_rate)
            raise ValueError(f"{self.name} has {self.rate} samples a second; other rates have {able}")
        return replace(self, rate=rate)

    @property
    def content_type(self) -> str:
        """Its media type."""
        return self.media_type.format(rate=self.rate)

    @property
    def ending(self) -> str:
        """The end of a file's name, without the dot."""
        return self.extension or self.name

    @property
    def is_light(self) -> bool:
        """Whether encoding need not run in a thread."""
        return self.uncompressed and self.rate == SAMPLE_RATE

    def encoder(self, file: Any = None) -> Encoder:
        """Return an encoder of PCM at SAMPLE_RATE. Imports the library that it needs: for a thread.

        ``file``: where it writes what it can go back in; None gives everything to its caller.
        """
        whole = file is not None and self.kind is not None
        encoder = Written(file, self.kind or {}, self.rate) if whole else self.make(self.rate)
        return encoder if self.rate == SAMPLE_RATE else Resampled(encoder, self.rate)


_WAV = {"format": "WAV", "subtype": "PCM_16"}
_FLAC = {"format": "FLAC", "subtype": "PCM_16"}
_OPUS = {"format": "OGG", "subtype": "OPUS"}
_MP3 = {
    "format": "MP3",
    "subtype": "MPEG_LAYER_III",
    "compression_level": 0.5,
    "bitrate_mode": "CONSTANT",
}


def _g711(name: str, media_type: str, subtype: str, coding: int, extension: str) -> Iterator[Format]:
    """Yield a G.711 coding without a header, and in a WAV file. ``subtype``: libsndfile's name."""

    def samples(rate: int) -> Encoder:
        return Compressed({"format": "RAW", "subtype": subtype}, rate)

    def wav(rate: int) -> Encoder:
        return Wav(wav_header(rate, coding), samples(rate))

    kind = {"format": "WAV", "subtype": subtype}
    telephone: dict[str, Any] = {"rate": TELEPHONE, "any_rate": True}
    yield Format(name, media_type, samples, extension=extension, **telephone)
    yield Format(f"wav_{name}", "audio/wav", wav, kind, extension="wav", **telephone)


_COPIED: dict[str, Any] = {"any_rate": True, "uncompressed": True}
FORMATS = {
    each.name: each
    for each in (
        Format("wav", "audio/wav", lambda rate: Wav(wav_header(rate), Raw()), _WAV, **_COPIED),
        Format("mp3", "audio/mpeg", lambda rate: Compressed(_MP3), _MP3),
        Format("flac", "audio/flac", lambda rate: Compressed(_FLAC, rate), _FLAC, any_rate=True),
        Format("opus", "audio/ogg", lambda rate: Compressed(_OPUS), _OPUS),
        Format("aac", "audio/aac", lambda rate: Aac()),
        Format("pcm", f"audio/L16; rate={{rate}}; channels={CHANNELS}", lambda rate: Raw(), **_COPIED),
        *_g711("mulaw", "audio/PCMU; rate={rate}", "ULAW", MU_LAW, "ulaw"),
        *_g711("alaw", "audio/PCMA; rate={rate}", "ALAW", A_LAW, "alaw"),
    )
}  # fmt: skip
"""What a reply can be sent as: OpenAI's names, and G.711 (ITU-T) for telephones."""
AAC_MODULE = "av"
"""The module of PyAV, which only ``aac`` needs."""
