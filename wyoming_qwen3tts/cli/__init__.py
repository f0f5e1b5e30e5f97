"""For people: ``say``, ``voices``, ``prerender``, ``cache`` and ``health``; ``verify``, for a model."""

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
from ..client import ServerError, reachable
from ..config.settings import Settings, SettingsError
from ..config.sources import VARIABLE_PREFIX, Parser
from ..speech import SpeechError
from . import arguments, cache, prerender, sound, voices

READ_SIZE = 4096


def run(name: str, words: Sequence[str], serve: prerender.Serve) -> int:
    """Run a command; return its exit status: 0 done, 1 failed, 2 wrong arguments.

    ``serve`` runs a server in this process, for a command that finds none.
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
        return _printed(asyncio.run(work))
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads what is printed has read enough
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


def _printed(status: int) -> int:
    """Return ``status`` once all that was printed is out. Raises BrokenPipeError."""
    sys.stdout.flush()
    return status


def default_uri() -> str:
    """Return where the server of this machine listens, by the server's own variable or by default."""
    listening = os.environ.get(f"{VARIABLE_PREFIX}URI", "").split() + list(Settings().server.uri)
    return reachable(next(uri for uri in listening if not uri.startswith("stdio")))


def _parser(name: str, uri: str) -> argparse.ArgumentParser:
    descriptions = {
        "say": "Speak a text with a running server: play it, or save it as a WAV file.",
        "health": "Ask a running server whether it can speak; exit status 0 if so, 1 if not.",
    }
    built = Parser(prog=f"wyoming-qwen3tts {name}", description=descriptions[name])
    built.add_argument("--uri", default=uri, help="the server's address (default: %(default)s)")
    if name == "say":
        built.add_argument(
            "text", nargs="?", type=arguments.text, help="what to say; standard input, as it comes, if absent"
        )
        built.add_argument(
            "--voice", type=arguments.text, help="a voice's name, see: wyoming-qwen3tts voices"
        )
        built.add_argument("--output", metavar="FILE", help="save as a WAV file instead of playing")
    else:
        built.add_argument(
            "--timeout", type=float, default=5.0, help="seconds to wait (default: %(default)g)"
        )
    return built


async def say(options: argparse.Namespace) -> int:
    """Speak a text to a file or a player."""
    pieces = sound.whole(options.text) if options.text is not None else _from_stdin()
    await sound.hear(options.uri, pieces, options.voice, options.output)
    return 0


def verify(settings: Settings) -> int:
    """Compare the engine with the official package on the settings' model; print a table."""
    from ..engines.base import EngineUnavailableError

    if len(settings.model.model) != 1:
        print("error: verify needs one --model", file=sys.stderr)
        return 2
    try:
        from ..engines.qwen3 import checkpoint, download
        from ..engines.qwen3.verify import Verification
    except ImportError as error:
        print(f"error: torch cannot be used ({error}); script/setup --qwen installs it", file=sys.stderr)
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
    for finding in Verification(found).findings():
        print(f"  {'ok ' if finding.good else 'BAD'}  {finding.what:30}  {finding.result}", flush=True)
        good = good and finding.good
    return 0 if good else 1


async def health(options: argparse.Namespace) -> int:
    """Check that the server answers and has a voice."""
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
    """Yield text as it arrives, in whole characters. Raises SettingsError where its bytes are not UTF-8."""
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
    """Yield what standard input has as it arrives, b"" last. Raises OSError.

    A thread that waits for input cannot be stopped, so it is a daemon: the command may end before its input.
    """
    loop = asyncio.get_running_loop()
    blocks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(1)

    def read() -> None:
        found: bytes | OSError = b"."
        with suppress(RuntimeError):  # the command has ended
            while found and isinstance(found, bytes):
                room.acquire()
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
        room.release()
    yield b""
