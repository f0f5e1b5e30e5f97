"""Sound as it is kept outside of the process: small, and with a seal that tells whether it is what was kept.

FLAC is lossless, 37 to 56 % of the size, and takes 0.25 ms to decode a second of speech (measured on the
built-in voice).
"""

from __future__ import annotations

import hashlib
import io

from ..speech import SAMPLE_RATE

HEAD = 26
"""Bytes in which a FLAC file says how long it is."""


def seal(key: bytes, pcm: bytes) -> tuple[bytes, bytes]:
    """Return the seal and the FLAC of an entry. Work for a thread: 0.3 ms a second of sound."""
    import numpy as np
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    data = file.getvalue()
    return _seal(key, data), data


def opened(key: bytes, seal: bytes, data: bytes) -> bytes | None:
    """Return the PCM of an entry, None where it is not what was sealed under ``key``. Work for a thread."""
    import soundfile

    if seal != _seal(key, data):
        return None
    try:
        samples, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.SoundFileError:
        return None
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm


def seconds_of(head: bytes) -> float:
    """Return how long an entry's sound is, from the first HEAD bytes of its FLAC; 0 where they do not say.

    The stream's first block (STREAMINFO, RFC 9639, 8.2) ends its bytes 18 to 25 with 36 bits of samples.
    """
    if len(head) < HEAD or head[:4] != b"fLaC":
        return 0.0
    return (int.from_bytes(head[18:26], "big") & (1 << 36) - 1) / SAMPLE_RATE


def _seal(key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(key + data).digest()[:16]
