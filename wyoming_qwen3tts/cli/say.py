"""``say``: speaks a text."""

from __future__ import annotations

import argparse
import asyncio
import codecs
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from ..client import ServerError
from ..config.settings import SettingsError
from ..config.sources import Parser
from . import arguments, playback, server

READ_SIZE = 4096


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument(
        "text", nargs="?", type=arguments.text, help="the text; by default standard input, streamed"
    )
    parser.add_argument(
        "--voice", type=arguments.text, metavar="NAME", help="a voice (wyoming-qwen3tts voices lists them)"
    )
    parser.add_argument(
        "--language", type=arguments.language, metavar="CODE", help="language of the text, such as de"
    )
    parser.add_argument("--output", metavar="FILE", help="save as a WAV file instead of playing")
    server.add_arguments(parser)


async def run(options: argparse.Namespace) -> int:
    """Have a server, or this process, speak a text; play or save the audio.

    Raises SettingsError, ServerError, OSError.
    """
    if options.text is not None and not options.text.strip():
        raise SettingsError("the text is empty")
    text = playback.whole_text(options.text) if options.text is not None else _from_stdin()
    with playback.open_output(options.output) as write:
        async with server.server_for(options) as uri:
            try:
                await playback.write_speech(uri, text, options.voice, options.language, write, options.output)
            except ServerError as error:
                if error.code != "voice-not-found":
                    raise
                raise ServerError(f"{error}; wyoming-qwen3tts voices lists them", error.code) from error
    return 0


async def _from_stdin() -> AsyncGenerator[str, None]:
    """Yield standard input as it arrives, in complete characters. Raises SettingsError if it is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    decoded = 0
    async with aclosing(_stdin_blocks()) as blocks:
        async for data in blocks:
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                wrong = f"byte 0x{error.object[error.start]:02x} at {decoded + error.start}"
                raise SettingsError(
                    f"standard input is not UTF-8 ({wrong}); iconv converts other encodings"
                ) from error
            decoded += len(text.encode())
            if text:
                yield text


async def _stdin_blocks() -> AsyncGenerator[bytes, None]:
    """Yield standard input in blocks as they arrive, b"" last. Raises OSError.

    The thread that reads is a daemon: it cannot be stopped, and the command may end before its input.
    """
    loop = asyncio.get_running_loop()
    blocks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    may_read = threading.Semaphore(1)

    def read() -> None:
        found: bytes | OSError = b"."
        with suppress(RuntimeError):  # the command has ended
            while found and isinstance(found, bytes):
                may_read.acquire()
                try:
                    found = os.read(0, READ_SIZE)
                except OSError as error:
                    found = error
                loop.call_soon_threadsafe(blocks.put_nowait, found)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while found := await blocks.get():
        if isinstance(found, OSError):
            raise found
        yield found
        may_read.release()
    yield b""
