"""Archives that are streamed while their files are made: ZIP, or a MIME message of several parts.

A truncated archive is recognizable: a ZIP lacks its central directory, a MIME message its last boundary.
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

MAX_STEM_LENGTH = 40
"""Characters of a file name's descriptive part: with four bytes each they fit every file system's limit."""

EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time a ZIP archive can store; a machine without a clock starts in 1970."""


class ArchiveContent(Protocol):
    """The content of a file."""

    @property
    def size(self) -> int:
        """Bytes."""
        raise NotImplementedError

    def blocks(self) -> Iterator[bytes]:
        """Yield the content in blocks from its beginning; may be called more than once."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class BytesContent:
    """Content that is in memory."""

    content: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def blocks(self) -> Iterator[bytes]:
        """Yield the content as one block."""
        if self.content:
            yield self.content


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file of an archive, or an entry without a file, such as an error."""

    name: str
    """Without slashes, quotes and control characters; empty for an entry without a file."""
    content_type: str
    content: ArchiveContent
    headers: Mapping[str, str] = field(default_factory=dict)
    """Additional headers, for archive formats that have them."""


class Archive(Protocol):
    """An archive format: turns files into bytes to send. Its methods block: call them in a thread."""

    content_type: str
    name: str
    """The file name of the archive."""

    def add(self, member: ArchiveMember) -> Iterator[bytes]:
        """Yield the bytes to send for a file."""
        raise NotImplementedError

    def finish(self) -> bytes:
        """Return the end of the archive."""
        raise NotImplementedError


class ZipArchive:
    """A ZIP archive. Files are stored uncompressed: audio hardly shrinks, and FLAC is available for that."""

    content_type = "application/zip"
    name = "speech.zip"

    def __init__(self) -> None:
        self._buffer = _WriteBuffer()
        self._file = zipfile.ZipFile(cast("IO[bytes]", self._buffer), "w")

    def add(self, member: ArchiveMember) -> Iterator[bytes]:
        """Yield the bytes to send for a file; nothing for an entry without one.

        Sizes and checksum precede the content, so that the archive can be unpacked while it arrives.
        ``zipfile`` would seek back to write them; here it only records the file for the central directory.
        """
        if not member.name:
            return
        entry = zipfile.ZipInfo(member.name, max(time.localtime()[:6], EARLIEST_TIME))
        entry.external_attr = 0o644 << 16  # permissions: readable for all
        entry.file_size = entry.compress_size = member.content.size
        entry.CRC = 0
        for block in member.content.blocks():
            entry.CRC = zlib.crc32(block, entry.CRC)
        entry.header_offset = self._buffer.tell()
        self._buffer.write(entry.FileHeader())
        for block in member.content.blocks():
            self._buffer.write(block)
            yield self._buffer.pop()
        if not member.content.size:
            yield self._buffer.pop()
        self._file.filelist.append(entry)
        self._file.start_dir = self._buffer.tell()

    def finish(self) -> bytes:
        """Return the central directory."""
        self._file.close()
        return self._buffer.pop()


class MultipartArchive:
    """A MIME message of parts (RFC 2046)."""

    name = "speech.mime"

    def __init__(self) -> None:
        self._boundary = uuid.uuid4().hex
        self.content_type = f"multipart/mixed; boundary={self._boundary}"

    def add(self, member: ArchiveMember) -> Iterator[bytes]:
        """Yield the bytes to send for an entry."""
        headers = {
            "Content-Type": member.content_type,
            **({"Content-Disposition": content_disposition(member.name)} if member.name else {}),
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


ARCHIVES: Mapping[str, type[ZipArchive | MultipartArchive]] = {
    "zip": ZipArchive,
    "multipart": MultipartArchive,
}
"""Archive formats by the name clients request them by."""


def content_disposition(name: str) -> str:
    """Return the Content-Disposition header of a file name (RFC 6266)."""
    return (
        f'attachment; filename="{name}"' if name.isascii() else f"attachment; filename*=UTF-8''{quote(name)}"
    )


def file_stem(text: str) -> str:
    """Return a file name from the first words of ``text``: letters, marks and digits only; may be empty.

    Everything with a meaning in a path, a shell or a terminal is removed.
    """
    text = unicodedata.normalize("NFC", text[: 10 * MAX_STEM_LENGTH])
    letters = "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in text)
    found = ""
    for word in letters.split():
        longer = f"{found}-{word}" if found else word[:MAX_STEM_LENGTH]
        if len(longer) > MAX_STEM_LENGTH:
            break
        found = longer
    return found


class _WriteBuffer:
    """The file interface that ``zipfile`` needs, without seeking. ``pop`` removes what was written.

    It is not an ``io.IOBase``: garbage collection closes those, and ``zipfile`` would then complain about an
    archive that was abandoned without its end.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._position = 0

    def write(self, data: bytes) -> int:
        self._data += data
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def pop(self) -> bytes:
        """Return what was written since the last call."""
        written = bytes(self._data)
        self._data.clear()
        return written
