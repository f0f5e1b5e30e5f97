"""The commands: ``say``, ``voices``, ``prerender``, ``cache``, ``health`` and ``verify``.

Without one of them the program is the server.
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any

from .. import client
from ..client import ServerError, client_uri
from ..config.settings import Settings, SettingsError
from ..config.sources import VARIABLE_PREFIX, Parser
from ..speech import SpeechError
from . import arguments, cache, playback, prerender, voices

READ_SIZE = 4096


def run(name: str, words: Sequence[str], serve: prerender.Serve) -> int:
    """Run a command other than ``verify``; return its exit status: 0 done, 1 failed, 2 invalid arguments.

    ``serve`` runs a server in this process, for ``prerender`` if none is running.
    """
    uri = default_uri()
    try:
        if name == "prerender":
            work = prerender.run(prerender.parse(words, uri), serve)
        elif name == "cache":
            work = cache.run(cache.parse(words))
        elif name == "voices":
            work = voices.run(voices.parse(words, uri))
        else:
            work = COMMANDS[name](_parser(name, uri).parse_args(words))
        return _flush_output(asyncio.run(work))
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the program that reads the output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except (ServerError, SpeechError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _flush_output(status: int) -> int:
    """Flush standard output; return ``status``. Raises BrokenPipeError."""
    sys.stdout.flush()
    return status


def default_uri() -> str:
    """Return the URI of this machine's server, from the server's own variable, or its default."""
    listening = os.environ.get(f"{VARIABLE_PREFIX}URI", "").split() + list(Settings().server.uri)
    return client_uri(next(uri for uri in listening if not uri.startswith("stdio")))


def _parser(name: str, uri: str) -> argparse.ArgumentParser:
    descriptions = {
        "say": "Have a running server speak a text; play the audio, or save it as a WAV file.",
        "health": "Check that a running server answers and has a voice; exit status 0 if so, else 1.",
    }
    built = Parser(prog=f"wyoming-qwen3tts {name}", description=descriptions[name])
    built.add_argument("--uri", default=uri, help="the server's address (default: %(default)s)")
    if name == "say":
        built.add_argument(
            "text", nargs="?", type=arguments.text, help="the text; by default standard input, streamed"
        )
        built.add_argument(
            "--voice", type=arguments.text, help="name of a voice (wyoming-qwen3tts voices lists them)"
        )
        built.add_argument("--output", metavar="FILE", help="save as a WAV file instead of playing")
    else:
        built.add_argument(
            "--timeout", type=float, default=5.0, help="seconds to wait (default: %(default)g)"
        )
    return built


async def say(options: argparse.Namespace) -> int:
    """Have a text spoken, to a file or a player."""
    text = playback.whole_text(options.text) if options.text is not None else _from_stdin()
    await playback.play_speech(options.uri, text, options.voice, options.output)
    return 0


def verify(settings: Settings) -> int:
    """Compare the engine's output with the official package's, for the configured model; print a table."""
    from ..engines.base import EngineUnavailableError

    if len(settings.model.model) != 1:
        print(f"error: verify needs one --model, not {len(settings.model.model)}", file=sys.stderr)
        return 2
    try:
        from ..engines.qwen3 import checkpoint, download
        from ..engines.qwen3.verify import Verification
    except ImportError as error:
        print(f"error: cannot import torch ({error}); script/setup --qwen installs it", file=sys.stderr)
        return 1
    source = download.Source.parse(
        settings.model.model[0],
        settings.model.revision,
        settings.model.download_dir,
        settings.model.local_files_only,
    )
    try:
        device, _ = checkpoint.choose_device(settings.model.device)
        dtype, _ = checkpoint.choose_dtype(settings.model.dtype, device)
        found = checkpoint.load(download.find(source), device, dtype)
    except EngineUnavailableError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{found.name} on {device}, {str(dtype).removeprefix('torch.')}, against the official package")
    good = True
    for result in Verification(found).run_checks():
        print(f"  {'ok ' if result.passed else 'BAD'}  {result.check:30}  {result.result}", flush=True)
        good = good and result.passed
    return 0 if good else 1


async def health(options: argparse.Namespace) -> int:
    """Check that the server answers and has an installed voice."""
    began = time.monotonic()
    info = await client.describe(options.uri, timeout=options.timeout)
    installed = [
        voice for program in info.tts if program.installed for voice in program.voices if voice.installed
    ]
    if not installed:
        raise ServerError(f"{options.uri} answers, but has no voice")
    elapsed = (time.monotonic() - began) * 1000
    print(f"ok: {len(installed)} voices, {installed[0].name} first, answered in {elapsed:.0f} ms")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, int]]] = {
    "say": say,
    "health": health,
}


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
