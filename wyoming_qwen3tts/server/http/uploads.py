"""Uploaded forms with a recording: written to a file as they arrive, then parsed in a thread, with limits."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ...speech import SpeechError

MEDIA_TYPE = "multipart/form-data"
MAX_CONCURRENT = 4
"""Uploads processed at a time; more are rejected."""
BLOCK = 1 << 16
"""Bytes."""
MAX_PARTS = 16
MAX_FIELD_BYTES = 16_384
"""Bytes of a field that is not a file."""
PARSE_TIMEOUT = 10.0
"""Seconds; a form of 100 MB takes one."""


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A parsed form."""

    fields: dict[str, str]
    recording: Path | None
    """A temporary file; its name does not depend on the client's."""


class UploadReceiver:
    """Receives forms, MAX_CONCURRENT at a time."""

    def __init__(self) -> None:
        self._free = MAX_CONCURRENT

    @asynccontextmanager
    async def receive(self, http: Request, files: frozenset[str]) -> AsyncIterator[UploadForm]:
        """Yield the form of a request; its files are deleted at exit.

        ``files``: names that the recording's field may have. Raises SpeechError: ``busy``, or ``bad-form``.
        """
        if not self._free:
            raise SpeechError(
                f"{MAX_CONCURRENT} uploads are in progress, the most allowed; try again later", "busy"
            )
        self._free -= 1
        try:
            directory = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="upload-")
            try:
                yield await _receive(http, Path(directory.name), files)
            finally:
                await asyncio.to_thread(directory.cleanup)
        finally:
            self._free += 1


async def _receive(http: Request, directory: Path, files: frozenset[str]) -> UploadForm:
    media_type, options = parse_options_header(http.headers.get("content-type"))
    if media_type != MEDIA_TYPE.encode() or not options.get(b"boundary"):
        raise SpeechError("send a form, with the header Content-Type: multipart/form-data", "bad-form")
    path = directory / "form"
    with await asyncio.to_thread(path.open, "wb") as file:
        buffer = bytearray()
        try:
            async for chunk in http.stream():
                buffer += chunk
                if len(buffer) >= BLOCK:
                    await asyncio.to_thread(file.write, bytes(buffer))
                    buffer.clear()
        except ClientDisconnect as error:
            raise SpeechError("the client disconnected before the end of the form", "bad-form") from error
        await asyncio.to_thread(file.write, bytes(buffer))
    return await asyncio.to_thread(_parse, path, options[b"boundary"], files)


def _parse(path: Path, boundary: bytes, files: frozenset[str]) -> UploadForm:
    """Parse a form; blocks. Raises SpeechError."""
    parts = _FormParts(path.with_name("recording"), files)
    config = {"UPLOAD_DIR": str(path.parent), "MAX_MEMORY_FILE_SIZE": BLOCK}
    deadline = time.monotonic() + PARSE_TIMEOUT
    with ExitStack() as stack:
        try:
            parser = FormParser(
                MEDIA_TYPE, parts.on_field, parts.on_file, parts.on_end, boundary, config=config
            )
            stack.callback(_close, parser)
            with path.open("rb") as form:
                while block := form.read(BLOCK):
                    parser.write(block)
                    if time.monotonic() > deadline:
                        raise SpeechError(f"parsing the form takes over {PARSE_TIMEOUT:g} s", "bad-form")
            parser.finalize()
        except (FormParserError, UnicodeDecodeError, ValueError, AssertionError) as error:
            reason = str(error)[:200] or "it is damaged"
            raise SpeechError(f"the form cannot be read: {reason}", "bad-form") from error
    if not parts.ended:
        raise SpeechError("the form cannot be read: it has no end", "bad-form")
    return UploadForm(parts.fields, parts.recording)


class _FormParts:
    """Collects the parts of a form while it is parsed. The methods raise SpeechError for invalid parts."""

    def __init__(self, path: Path, files: frozenset[str]) -> None:
        """``path``: where the recording is written. ``files``: names its field may have."""
        self.fields: dict[str, str] = {}
        self.recording: Path | None = None
        self.ended = False
        self._path = path
        self._files = files
        self._count = 0

    def on_field(self, field: Field) -> None:
        """Add a text field."""
        name = self._name(field.field_name)
        self.fields[name] = _text(field.value, name)

    def on_file(self, file: File) -> None:
        """Add the recording."""
        with closing(file.file_object) as content:
            name = self._name(file.field_name)
            if name not in self._files:
                raise SpeechError(f"{name[:40]!r} must not be a file", "bad-form")
            _copy(content, self._path)
        self.recording = self._path

    def on_end(self) -> None:
        """Mark the form as complete."""
        self.ended = True

    def _name(self, given: bytes | None) -> str:
        """Count one more part; return its name."""
        name = _text(given, "a name")
        self._count += 1
        if self._count > MAX_PARTS:
            raise SpeechError(f"the form has over {MAX_PARTS} parts", "bad-form")
        if name in self.fields or (name in self._files and self.recording is not None):
            raise SpeechError(f"the form has {name[:40]} twice", "bad-form")
        return name


def _close(parser: FormParser) -> None:
    with suppress(FormParserError, AssertionError):
        parser.close()


def _copy(source: IO[bytes], path: Path) -> None:
    source.seek(0)
    with path.open("wb") as file:
        while block := source.read(BLOCK):
            file.write(block)


def _text(value: bytes | None, what: str) -> str:
    if value is not None and len(value) > MAX_FIELD_BYTES:
        raise SpeechError(f"{what[:40]} has over {MAX_FIELD_BYTES} bytes", "bad-form")
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise SpeechError(f"{what[:40]} is not UTF-8", "bad-form") from error
