"""Many files as one that is sent while they are made: a ZIP archive, or the parts of a MIME message.

What is in either is whole, and so is either only with its end: a ZIP archive without its directory, and a
message without its last boundary, are told from whole ones by whoever reads them.
"""

from __future__ import annotations

import time
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Protocol, cast
from urllib.parse import quote

LONGEST_STEM = 40
"""Characters of a file's name that say what is in it: with four bytes each, no file system has less room."""

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a ZIP archive knows; a small machine begins in 1970 until it is told the time."""


class Content(Protocol):
    """What is in a file."""

    @property
    def size(self) -> int:
        """Bytes."""
        raise NotImplementedError

    def blocks(self) -> Iterator[bytes]:
        """Yield it from its beginning, a little at a time; may be asked for again."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Given:
    """Content that is small and there."""

    content: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def blocks(self) -> Iterator[bytes]:
        """Yield it all."""
        if self.content:
            yield self.content


@dataclass(frozen=True, slots=True)
class Member:
    """A file, or what is there in its place."""

    name: str
    """Without slashes, quotes and control characters; empty for what is no file."""
    content_type: str
    content: Content
    headers: Mapping[str, str] = field(default_factory=dict)
    """More about it, where there is room for that."""


class Archive(Protocol):
    """Turns files into bytes to send, one after the other. Its work is for a thread."""

    content_type: str
    name: str
    """The archive's own."""

    def add(self, member: Member) -> Iterator[bytes]:
        """Yield what is to be sent for a file."""
        raise NotImplementedError

    def finish(self) -> bytes:
        """Return the end."""
        raise NotImplementedError


class Zip:
    """A ZIP archive. Files are stored as they are: sound gets hardly smaller, and FLAC is there for that."""

    content_type = "application/zip"
    name = "speech.zip"

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._file = zipfile.ZipFile(cast("IO[bytes]", self._pipe), "w")

    def add(self, member: Member) -> Iterator[bytes]:
        """Yield what is to be sent for a file; nothing for what is none.

        Sizes and checksum come first, so that it can be unpacked while it arrives. ``zipfile`` would go back
        for them; so it is only told where the file is, for the directory.
        """
        if not member.name:
            return
        entry = zipfile.ZipInfo(member.name, max(time.localtime()[:6], EARLIEST))
        entry.external_attr = 0o644 << 16  # a file that everybody may read
        entry.file_size = entry.compress_size = member.content.size
        entry.CRC = 0
        for block in member.content.blocks():
            entry.CRC = zlib.crc32(block, entry.CRC)
        entry.header_offset = self._pipe.tell()
        self._pipe.write(entry.FileHeader())
        for block in member.content.blocks():
            self._pipe.write(block)
            yield self._pipe.take()
        if not member.content.size:
            yield self._pipe.take()
        self._file.filelist.append(entry)
        self._file.start_dir = self._pipe.tell()

    def finish(self) -> bytes:
        """Return the directory, without which it is no archive."""
        self._file.close()
        return self._pipe.take()


class Multipart:
    """A MIME message of parts (RFC 2046)."""

    name = "speech.mime"

    def __init__(self) -> None:
        self._boundary = uuid.uuid4().hex
        self.content_type = f"multipart/mixed; boundary={self._boundary}"

    def add(self, member: Member) -> Iterator[bytes]:
        """Yield what is to be sent for a file, or for what is there in its place."""
        headers = {
            "Content-Type": member.content_type,
            **({"Content-Disposition": disposition(member.name)} if member.name else {}),
            "Content-Transfer-Encoding": "binary",
            "Content-Length": str(member.content.size),
            **member.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        yield f"--{self._boundary}\r\n{head}\r\n".encode()
        yield from member.content.blocks()
        yield b"\r\n"

    def finish(self) -> bytes:
        """Return the last boundary."""
        return f"--{self._boundary}--\r\n".encode()


ARCHIVES: Mapping[str, type[Zip | Multipart]] = {"zip": Zip, "multipart": Multipart}
"""What can be asked for, by name."""


def disposition(name: str) -> str:
    """Return the header that names a file (RFC 6266)."""
    return (
        f'attachment; filename="{name}"' if name.isascii() else f"attachment; filename*=UTF-8''{quote(name)}"
    )


def stem(text: str) -> str:
    """Return what a file may be called after ``text``: its first words, letters and digits alone, if any.

    Whatever a path, a shell or a terminal would understand is gone.
    """
    text = unicodedata.normalize("NFC", text[: 10 * LONGEST_STEM])
    letters = "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in text)
    found = ""
    for word in letters.split():
        longer = f"{found}-{word}" if found else word[:LONGEST_STEM]
        if len(longer) > LONGEST_STEM:
            break
        found = longer
    return found


class _Pipe:
    """What ``zipfile`` needs of a file that it cannot go back in. What was written is taken away.

    It is no ``io.IOBase``: that is closed when nobody needs it any more, and then an archive without an end
    could not be given up in silence.
    """

    def __init__(self) -> None:
        self._there = bytearray()
        self._at = 0

    def write(self, data: bytes) -> int:
        self._there += data
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = bytes(self._there)
        self._there.clear()
        return taken
