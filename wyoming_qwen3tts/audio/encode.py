"""Encoders of PCM for streams and files: WAV, MP3, FLAC, Opus, AAC and G.711.

Headers hold the length of a file, but the header of a stream is sent before its length is known. So a
streamed WAV file states the largest length, a streamed FLAC file none, and a streamed MP3 file lacks the
first frame, which would state it. A file that is sent after it is complete is written by libsndfile, which
seeks back to complete the header.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..speech import CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH
from .pcm import to_samples

if TYPE_CHECKING:
    import soundfile

OPUS_PAGE = 100.0
"""Milliseconds of audio in an Ogg page: 5 % more bytes than with the usual second, for less latency."""
UNKNOWN_LENGTH = 0xFFFFFFFF
"""Bytes that the header of a streamed WAV file states: the largest number."""
PCM, A_LAW, MU_LAW = 1, 6, 7
"""Format codes of a WAV file (RFC 2361)."""
AAC_BIT_RATE = 96_000
"""Bits a second: transparent for one voice."""
_SET_OGG_PAGE_LATENCY_MS = 0x1302


class Encoder(Protocol):
    """Encodes one reply, chunk by chunk. Call it in a thread unless ``Format.is_light``."""

    def push(self, pcm: bytes) -> bytes:
        """Encode ``pcm`` (whole samples); return the bytes that are ready, may be empty."""
        raise NotImplementedError

    def finish(self) -> bytes:
        """Return the rest of the file."""
        raise NotImplementedError


class PcmEncoder:
    """Passes PCM on unchanged."""

    def push(self, pcm: bytes) -> bytes:
        """Return ``pcm``."""
        return pcm

    def finish(self) -> bytes:
        """Return nothing."""
        return b""


class WavEncoder:
    """Writes a header of unknown length before the output of another encoder."""

    def __init__(self, header: bytes, samples: Encoder) -> None:
        self._header = header
        self._samples = samples

    def push(self, pcm: bytes) -> bytes:
        """Return the encoded samples; in the first call after the header."""
        header, self._header = self._header, b""
        return header + self._samples.push(pcm)

    def finish(self) -> bytes:
        """Return the rest; the header too if nothing was pushed."""
        return self.push(b"") + self._samples.finish()


def wav_header(rate: int, code: int = PCM) -> bytes:
    """Return the header of a WAV file of unknown length. ``code``: PCM, A_LAW or MU_LAW."""
    width = SAMPLE_WIDTH if code == PCM else 1
    block = CHANNELS * width
    fmt = struct.pack("<HHIIHH", code, CHANNELS, rate, rate * block, block, 8 * width)
    fact = b""
    if code != PCM:  # all formats but PCM have an extension, here empty, and a chunk with the sample count
        fmt += struct.pack("<H", 0)
        fact = struct.pack("<4sII", b"fact", 4, UNKNOWN_LENGTH)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", UNKNOWN_LENGTH, b"WAVE", b"fmt ", len(fmt))
        + fmt
        + fact
        + struct.pack("<4sI", b"data", UNKNOWN_LENGTH)
    )


class StreamEncoder:
    """Encodes with libsndfile for a stream: bytes that were returned are never changed."""

    def __init__(self, options: Mapping[str, Any], rate: int = SAMPLE_RATE) -> None:
        """``options``: see ``Format.file_options``."""
        self._output = _AppendOnlyFile()
        self._file = _open_sound_file(self._output, options, rate)
        self._skips_first_frame = options["format"] == "MP3"
        if options["subtype"] == "OPUS":
            _set_ogg_page(self._file, OPUS_PAGE)

    def push(self, pcm: bytes) -> bytes:
        """Encode ``pcm``; return the bytes that are ready."""
        if pcm:
            self._file.write(to_samples(pcm))
        return self._take()

    def finish(self) -> bytes:
        """Return the rest."""
        self._file.close()
        return self._take()

    def _take(self) -> bytes:
        data = self._output.take()
        if self._skips_first_frame and data:
            self._skips_first_frame = False
            return data[_mp3_frame_length(data) :]
        return data


class FileEncoder:
    """Encodes into a seekable file with libsndfile, so that its header is complete; returns no bytes."""

    def __init__(self, file: Any, options: Mapping[str, Any], rate: int) -> None:
        """``file``: stays open after ``finish``. ``options``: see ``Format.file_options``."""
        self._file = _open_sound_file(file, options, rate)

    def push(self, pcm: bytes) -> bytes:
        """Write ``pcm``; return nothing."""
        self._file.write(to_samples(pcm))
        return b""

    def finish(self) -> bytes:
        """Complete the file; return nothing."""
        self._file.close()
        return b""


class AacEncoder:
    """Encodes AAC in ADTS frames with FFmpeg, through PyAV."""

    def __init__(self) -> None:
        import av

        self._output = _AppendOnlyFile()
        self._file = av.open(self._output, "w", format="adts")
        self._stream = self._file.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        self._stream.bit_rate = AAC_BIT_RATE
        self._samples_written = 0

    def push(self, pcm: bytes) -> bytes:
        """Return the frames that are ready."""
        import av

        if pcm:
            frame = av.AudioFrame.from_ndarray(to_samples(pcm).reshape(CHANNELS, -1), "s16", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, self._samples_written
            self._samples_written += frame.samples
            self._file.mux(self._stream.encode(frame))
        return self._output.take()

    def finish(self) -> bytes:
        """Return the rest."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._output.take()


class ResamplingEncoder:
    """Changes the sample rate before another encoder."""

    def __init__(self, encoder: Encoder, rate: int) -> None:
        import soxr

        self._encoder = encoder
        self._stream = soxr.ResampleStream(SAMPLE_RATE, rate, CHANNELS, dtype="int16")

    def push(self, pcm: bytes) -> bytes:
        """Encode ``pcm``, which has SAMPLE_RATE; the resampler delays it by a few milliseconds."""
        return self._encoder.push(self._resample(pcm))

    def finish(self) -> bytes:
        """Return the rest."""
        return self._encoder.push(self._resample(b"", last=True)) + self._encoder.finish()

    def _resample(self, pcm: bytes, *, last: bool = False) -> bytes:
        samples: bytes = self._stream.resample_chunk(to_samples(pcm), last=last).astype("<i2").tobytes()
        return samples


def _open_sound_file(file: Any, options: Mapping[str, Any], rate: int) -> soundfile.SoundFile:
    import soundfile

    return soundfile.SoundFile(file, "w", rate, CHANNELS, **options)


class _AppendOnlyFile(io.RawIOBase):
    """The output of an encoder that seeks: writes into bytes that were taken already have no effect."""

    def __init__(self) -> None:
        self._taken = 0
        """Bytes that ``take`` has returned."""
        self._buffer = bytearray()
        """The bytes after those."""
        self._position = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        written = bytes(data)
        at = self._position - self._taken
        self._position += len(written)
        if at + len(written) > 0:
            too_late = max(0, -at)
            self._buffer[max(0, at) : at + len(written)] = written[too_late:]
        return len(written)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        end = self._taken + len(self._buffer)
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: end}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        """Return the bytes that were written since the last call."""
        taken = bytes(self._buffer)
        self._taken += len(taken)
        self._buffer.clear()
        return taken


def _set_ogg_page(file: soundfile.SoundFile, milliseconds: float) -> None:
    """Set the length of an Ogg file's pages, by a libsndfile command that soundfile does not wrap."""
    import soundfile

    value = soundfile._ffi.new("double*", milliseconds)
    soundfile._snd.sf_command(file._file, _SET_OGG_PAGE_LATENCY_MS, value, 8)


def _mp3_frame_length(data: bytes) -> int:
    """Return the bytes of the MP3 frame at the start of ``data`` (MPEG-2 layer III: all at 24 kHz are)."""
    kilobits = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)[data[2] >> 4]
    padding = data[2] >> 1 & 1
    return 72 * kilobits * 1000 // SAMPLE_RATE + padding
