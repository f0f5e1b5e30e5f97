"""A form with a recording in it: taken to a file as it comes, then read in a thread, within bounds."""

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

KIND = "multipart/form-data"
AT_A_TIME = 4
"""Uploads that are taken at a time: more are refused."""
BLOCK = 1 << 16
"""Bytes."""
MOST_PARTS = 16
LONGEST_FIELD = 16_384
"""Bytes of a field that is no file."""
PARSE_SECONDS = 10.0
"""A form of 100 MB takes one."""


@dataclass(frozen=True, slots=True)
class Form:
    """What was uploaded."""

    fields: dict[str, str]
    recording: Path | None
    """A file of ours, whatever its sender calls it."""


class Uploads:
    """Takes forms, a few at a time."""

    def __init__(self) -> None:
        self._free = AT_A_TIME

    @asynccontextmanager
    async def take(self, http: Request, files: frozenset[str]) -> AsyncIterator[Form]:
        """Give what a request uploads, as long as it is wanted. ``files``: names a recording may have.

        Raises SpeechError: ``busy``, or ``bad-form``.
        """
        if not self._free:
            raise SpeechError(f"{AT_A_TIME} uploads are being taken already", "busy")
        self._free -= 1
        try:
            place = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="upload-")
            try:
                yield await _taken(http, Path(place.name), files)
            finally:
                await asyncio.to_thread(place.cleanup)
        finally:
            self._free += 1


async def _taken(http: Request, place: Path, files: frozenset[str]) -> Form:
    kind, options = parse_options_header(http.headers.get("content-type"))
    if kind != KIND.encode() or not options.get(b"boundary"):
        raise SpeechError("a form is wanted: Content-Type: multipart/form-data", "bad-form")
    path = place / "form"
    with await asyncio.to_thread(path.open, "wb") as file:
        held = bytearray()
        try:
            async for chunk in http.stream():
                held += chunk
                if len(held) >= BLOCK:
                    await asyncio.to_thread(file.write, bytes(held))
                    held.clear()
        except ClientDisconnect as error:
            raise SpeechError("the client left before all of the form was there", "bad-form") from error
        await asyncio.to_thread(file.write, bytes(held))
    return await asyncio.to_thread(_parsed, path, options[b"boundary"], files)


def _parsed(path: Path, boundary: bytes, files: frozenset[str]) -> Form:
    """Return what is in a form. Runs in a thread; raises SpeechError."""
    parts = _Parts(path.with_name("recording"), files)
    config = {"UPLOAD_DIR": str(path.parent), "MAX_MEMORY_FILE_SIZE": BLOCK}
    late = time.monotonic() + PARSE_SECONDS
    with ExitStack() as stack:
        try:
            parser = FormParser(KIND, parts.on_field, parts.on_file, parts.on_end, boundary, config=config)
            stack.callback(_close, parser)
            with path.open("rb") as form:
                while block := form.read(BLOCK):
                    parser.write(block)
                    if time.monotonic() > late:
                        raise SpeechError("the form takes too long to read", "bad-form")
            parser.finalize()
        except (FormParserError, UnicodeDecodeError, ValueError, AssertionError) as error:
            what = str(error)[:200] or "it is damaged"
            raise SpeechError(f"the form cannot be read: {what}", "bad-form") from error
    if not parts.ended:
        raise SpeechError("the form cannot be read: it has no end", "bad-form")
    return Form(parts.fields, parts.recording)


class _Parts:
    """Takes the parts of a form as they are found. All of it raises SpeechError for what is not wanted."""

    def __init__(self, place: Path, files: frozenset[str]) -> None:
        """``place``: where the one file goes, which may be called as in ``files``."""
        self.fields: dict[str, str] = {}
        self.recording: Path | None = None
        self.ended = False
        self._place = place
        self._files = files
        self._count = 0

    def on_field(self, field: Field) -> None:
        """Take a text."""
        name = self._name(field.field_name)
        self.fields[name] = _text(field.value, name)

    def on_file(self, file: File) -> None:
        """Take a file, if it is the one that is wanted."""
        with closing(file.file_object) as content:
            name = self._name(file.field_name)
            if name not in self._files:
                raise SpeechError(f"{name[:40]!r} is no file here", "bad-form")
            _keep(content, self._place)
        self.recording = self._place

    def on_end(self) -> None:
        """Note that the form is whole."""
        self.ended = True

    def _name(self, given: bytes | None) -> str:
        """Return the name of one more part."""
        name = _text(given, "a name")
        self._count += 1
        if self._count > MOST_PARTS:
            raise SpeechError(f"the form has over {MOST_PARTS} parts", "bad-form")
        if name in self.fields or (name in self._files and self.recording is not None):
            raise SpeechError(f"the form has {name[:40]} twice", "bad-form")
        return name


def _close(parser: FormParser) -> None:
    with suppress(FormParserError, AssertionError):
        parser.close()


def _keep(source: IO[bytes], path: Path) -> None:
    source.seek(0)
    with path.open("wb") as file:
        while block := source.read(BLOCK):
            file.write(block)


def _text(value: bytes | None, what: str) -> str:
    if value is not None and len(value) > LONGEST_FIELD:
        raise SpeechError(f"{what[:40]} has over {LONGEST_FIELD} bytes", "bad-form")
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise SpeechError(f"{what[:40]} is not UTF-8", "bad-form") from error
