"""Audio formats of replies: their names, media types, rates and encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..speech import CHANNELS, SAMPLE_RATE
from .encode import (
    A_LAW,
    MU_LAW,
    AacEncoder,
    Encoder,
    FileEncoder,
    PcmEncoder,
    ResamplingEncoder,
    StreamEncoder,
    WavEncoder,
    wav_header,
)

TELEPHONE_RATE = 8000
"""Samples a second of a telephone line (G.711)."""
AAC_MODULE = "av"
"""The module of PyAV, which only the format ``aac`` needs."""


@dataclass(frozen=True, slots=True)
class Format:
    """An audio file format with a sample rate."""

    name: str
    media_type: str
    """RFC 6838, with ``{rate}`` where it states the rate."""
    stream_encoder: Callable[[int], Encoder]
    """Returns an encoder for a stream, given its sample rate."""
    file_options: Mapping[str, Any] | None = None
    """Format arguments of ``soundfile.SoundFile`` for a complete file; None if it equals a stream."""
    rate: int = SAMPLE_RATE
    """Samples a second."""
    any_rate: bool = False
    """Whether it allows other rates."""
    uncompressed: bool = False
    """Whether its encoder only copies, which costs less than a call in a thread."""
    file_extension: str = ""
    """Of a file's name, without the dot; empty if it equals ``name``."""

    def at(self, rate: int) -> Format:
        """Return the format with another rate. Raises ValueError if it does not allow that."""
        if rate != self.rate and not self.any_rate:
            able = ", ".join(name for name, each in FORMATS.items() if each.any_rate)
            raise ValueError(f"{self.name} has {self.rate} samples a second; other rates have {able}")
        return replace(self, rate=rate)

    @property
    def content_type(self) -> str:
        """Its media type."""
        return self.media_type.format(rate=self.rate)

    @property
    def extension(self) -> str:
        """The extension of a file's name, without the dot."""
        return self.file_extension or self.name

    @property
    def is_light(self) -> bool:
        """Whether encoding is cheap enough for the event loop."""
        return self.uncompressed and self.rate == SAMPLE_RATE

    def encoder(self, file: Any = None) -> Encoder:
        """Return an encoder of PCM at SAMPLE_RATE. Imports its library: call it in a thread.

        ``file``: a seekable file for a complete file, where the format has ``file_options``; without it all
        bytes are returned by the encoder, as a stream.
        """
        if file is not None and self.file_options is not None:
            encoder: Encoder = FileEncoder(file, self.file_options, self.rate)
        else:
            encoder = self.stream_encoder(self.rate)
        return encoder if self.rate == SAMPLE_RATE else ResamplingEncoder(encoder, self.rate)


def _wav(rate: int) -> Encoder:
    return WavEncoder(wav_header(rate), PcmEncoder())


_WAV = {"format": "WAV", "subtype": "PCM_16"}
_FLAC = {"format": "FLAC", "subtype": "PCM_16"}
_OPUS = {"format": "OGG", "subtype": "OPUS"}
_MP3 = {
    "format": "MP3",
    "subtype": "MPEG_LAYER_III",
    "compression_level": 0.5,
    "bitrate_mode": "CONSTANT",
}


def _g711(name: str, media_type: str, subtype: str, code: int, extension: str) -> Iterator[Format]:
    """Yield a G.711 codec without a header, and in a WAV file. ``subtype``: libsndfile's name."""

    def without_header(rate: int) -> Encoder:
        return StreamEncoder({"format": "RAW", "subtype": subtype}, rate)

    def wav(rate: int) -> Encoder:
        return WavEncoder(wav_header(rate, code), without_header(rate))

    options = {"format": "WAV", "subtype": subtype}
    telephone: dict[str, Any] = {"rate": TELEPHONE_RATE, "any_rate": True}
    yield Format(name, media_type, without_header, file_extension=extension, **telephone)
    yield Format(f"wav_{name}", "audio/wav", wav, options, file_extension="wav", **telephone)


_COPY: dict[str, Any] = {"any_rate": True, "uncompressed": True}
FORMATS = {
    each.name: each
    for each in (
        Format("wav", "audio/wav", _wav, _WAV, **_COPY),
        Format("mp3", "audio/mpeg", lambda rate: StreamEncoder(_MP3), _MP3),
        Format("flac", "audio/flac", lambda rate: StreamEncoder(_FLAC, rate), _FLAC, any_rate=True),
        Format("opus", "audio/ogg", lambda rate: StreamEncoder(_OPUS), _OPUS),
        Format("aac", "audio/aac", lambda rate: AacEncoder()),
        Format("pcm", f"audio/L16; rate={{rate}}; channels={CHANNELS}", lambda rate: PcmEncoder(), **_COPY),
        *_g711("mulaw", "audio/PCMU; rate={rate}", "ULAW", MU_LAW, "ulaw"),
        *_g711("alaw", "audio/PCMA; rate={rate}", "ALAW", A_LAW, "alaw"),
    )
}  # fmt: skip
"""Formats of a reply by name: those of OpenAI's API, and G.711 (ITU-T) for telephones."""
