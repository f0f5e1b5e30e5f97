"""Detection of files that are no recording, by their first bytes."""

from __future__ import annotations

from .recording_error import COPY_AGAIN, USE_RECORDING, InvalidRecordingError

HEAD = 512
"""Bytes at the start of a file that are examined: every audio format has a zero byte there, no text has."""
HEADER_TOLERANCE = 1024
"""Bytes by which the length in a header may be wrong: some programs count the header, or a padding byte."""
UNKNOWN_LENGTH = 2**31 - 2**16
"""Bytes: headers of streams, whose length was not known, state at least as many."""

_EXTRACT = "extract the audio first, for example with ffmpeg -i FILE voice.wav"
_CONVERT = "convert it to WAV first, for example with ffmpeg -i FILE voice.wav"
_UNPACK = "unpack it first"
_SIGNATURES = (
    (0, b"\x7fELF", "is a program (ELF), not a recording", USE_RECORDING),
    (0, b"MZ", "is a program (Windows), not a recording", USE_RECORDING),
    (0, b"\xfe\xed\xfa\xce", "is a program (Mach-O), not a recording", USE_RECORDING),
    (0, b"\xfe\xed\xfa\xcf", "is a program (Mach-O), not a recording", USE_RECORDING),
    (0, b"\xce\xfa\xed\xfe", "is a program (Mach-O), not a recording", USE_RECORDING),
    (0, b"\xcf\xfa\xed\xfe", "is a program (Mach-O), not a recording", USE_RECORDING),
    (0, b"\xca\xfe\xba\xbe", "is a program (Mach-O), not a recording", USE_RECORDING),
    (0, b"#!AMR", "is an AMR file, which has telephone quality", "record it again as WAV, FLAC or MP3"),
    (0, b"#!", "is a script, not a recording", USE_RECORDING),
    (0, b"PK\x03\x04", "is an archive (ZIP), not a recording", _UNPACK),
    (0, b"PK\x05\x06", "is an archive (ZIP), not a recording", _UNPACK),
    (0, b"\x1f\x8b", "is an archive (gzip), not a recording", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "is an archive (7z), not a recording", _UNPACK),
    (0, b"Rar!", "is an archive (RAR), not a recording", _UNPACK),
    (0, b"%PDF", "is a document (PDF), not a recording", USE_RECORDING),
    (0, b"\xff\xd8\xff", "is a picture (JPEG), not a recording", USE_RECORDING),
    (0, b"\x89PNG", "is a picture (PNG), not a recording", USE_RECORDING),
    (0, b"GIF8", "is a picture (GIF), not a recording", USE_RECORDING),
    (8, b"WEBP", "is a picture (WebP), not a recording", USE_RECORDING),
    (4, b"ftypavif", "is a picture (AVIF), not a recording", USE_RECORDING),
    (4, b"ftyphei", "is a picture (HEIC), not a recording", USE_RECORDING),
    (4, b"ftypM4A", "is an M4A file (AAC), which cannot be read here", _CONVERT),
    (4, b"ftypM4B", "is an M4A file (AAC), which cannot be read here", _CONVERT),
    (4, b"ftypqt", "is a video (MOV), not a recording", _EXTRACT),
    (4, b"ftyp", "is a video (MP4), not a recording", _EXTRACT),
    (4, b"moov", "is a video (MOV), not a recording", _EXTRACT),
    (4, b"mdat", "is a video (MOV), not a recording", _EXTRACT),
    (0, b"\x1a\x45\xdf\xa3", "is a video (Matroska or WebM), not a recording", _EXTRACT),
    (8, b"AVI ", "is a video (AVI), not a recording", _EXTRACT),
    (0, b"FLV\x01", "is a video (Flash), not a recording", _EXTRACT),
    (0, b"\x00\x00\x01\xba", "is a video (MPEG), not a recording", _EXTRACT),
    (0, b"\x30\x26\xb2\x75", "is a Windows Media file, which cannot be read here", _CONVERT),
)
"""Offset, bytes there, what the file is, and what to do about it; the first match counts."""


def check_head(head: bytes, size: int, name: str) -> None:
    """Raise InvalidRecordingError for a file that is no recording, or was cut off.

    ``head``: the first HEAD bytes of ``size``. ``name``: for the message.
    """
    for offset, signature, fact, advice in _SIGNATURES:
        if head.startswith(signature, offset):
            raise InvalidRecordingError(f"{name} {fact}: {advice}")
    if not any(byte < 32 and byte not in b"\t\n\f\r" for byte in head):
        try:
            text = head.decode("utf-8-sig", "strict" if size <= HEAD else "ignore").lstrip().lower()
        except UnicodeDecodeError:
            text = None
        if text is not None:
            is_html = text.startswith(("<!doctype html", "<html"))
            kind = "a web page" if is_html else "a text"
            raise InvalidRecordingError(f"{name} is {kind}, not a recording: {USE_RECORDING}")
    lengths = {
        b"RIFF": 8 + int.from_bytes(head[4:8], "little"),
        b"FORM": 8 + int.from_bytes(head[4:8], "big"),
        b".snd": int.from_bytes(head[4:8], "big") + int.from_bytes(head[8:12], "big"),
    }
    length = lengths.get(head[:4], 0)
    if size + HEADER_TOLERANCE < length < UNKNOWN_LENGTH:
        raise InvalidRecordingError(f"{name} is cut off: it has {size:,} of {length:,} bytes: {COPY_AGAIN}")
