"""The format of cached audio outside of the process: FLAC with a checksum.

FLAC is lossless, has 37 to 56 % of the size of PCM, and takes 0.25 ms to decode a second of speech (measured
with the built-in voice).
"""

from __future__ import annotations

import hashlib
import io

from ..speech import SAMPLE_RATE

HEADER_LENGTH = 26
"""Bytes at the start of a FLAC file that hold its number of samples."""


def encode(key: bytes, pcm: bytes) -> tuple[bytes, bytes]:
    """Return the checksum and the FLAC of an entry's PCM. Call it in a thread: 0.3 ms a second of audio.

    The checksum covers the key too: data that was stored under another key does not pass.
    """
    import numpy as np
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    data = file.getvalue()
    return _checksum(key, data), data


def decode(key: bytes, checksum: bytes, data: bytes) -> bytes | None:
    """Return the PCM of an entry, None if its data is damaged. Call it in a thread."""
    import soundfile

    if checksum != _checksum(key, data):
        return None
    try:
        samples, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.SoundFileError:
        return None
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm


def duration(header: bytes) -> float:
    """Return the seconds of audio, from the first HEADER_LENGTH bytes of a FLAC file; 0 if they do not tell.

    The stream's first block (STREAMINFO, RFC 9639, 8.2) ends its bytes 18 to 25 with 36 bits of samples.
    """
    if len(header) < HEADER_LENGTH or header[:4] != b"fLaC":
        return 0.0
    return (int.from_bytes(header[18:26], "big") & (1 << 36) - 1) / SAMPLE_RATE


def _checksum(key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(key + data).digest()[:16]
