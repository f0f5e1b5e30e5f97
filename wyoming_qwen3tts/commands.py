"""For people: ``say``, ``voices`` and ``health``, against a running server; ``verify``, for a model."""

from __future__ import annotations

import argparse
import asyncio
import codecs
import contextlib
import os
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from . import client
from .client import ServerError, Sound, reachable
from .settings import VARIABLE_PREFIX, Settings

READ_SIZE = 4096

PLAYERS = (
    "aplay -q -t raw -f S16_LE -r {rate} -c {channels}",
    "paplay --raw --format=s16le --rate={rate} --channels={channels}",
    "play -q -t raw -e signed -b 16 -r {rate} -c {channels} -",
    "ffplay -loglevel error -nodisp -autoexit -f s16le -ar {rate} -ch_layout mono -i -",
)
"""Commands that play raw PCM from standard input, the first one found is used."""


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command; return its exit status: 0 done, 1 failed, 2 wrong arguments."""
    options = _parser(name).parse_args(arguments)
    try:
        return asyncio.run(COMMANDS[name](options))
    except (ServerError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def default_uri() -> str:
    """Return where the server of this machine listens, by the server's own variable or by default."""
    listening = os.environ.get(f"{VARIABLE_PREFIX}URI", "").split() + list(Settings().uri)
    return reachable(next(uri for uri in listening if not uri.startswith("stdio")))


def _parser(name: str) -> argparse.ArgumentParser:
    descriptions = {
        "say": "Speak a text with a running server: play it, or save it as a WAV file.",
        "voices": "List the voices of a running server.",
        "health": "Ask a running server whether it can speak; exit status 0 if so, 1 if not.",
    }
    built = argparse.ArgumentParser(prog=f"wyoming-qwen3tts {name}", description=descriptions[name])
    built.add_argument("--uri", default=default_uri(), help="the server's address (default: %(default)s)")
    if name == "say":
        built.add_argument("text", nargs="?", help="what to say; standard input, as it comes, if absent")
        built.add_argument("--voice", help="a voice's name, see: wyoming-qwen3tts voices")
        built.add_argument("--output", metavar="FILE", help="save as a WAV file instead of playing")
    else:
        built.add_argument(
            "--timeout", type=float, default=5.0, help="seconds to wait (default: %(default)g)"
        )
    return built


async def say(options: argparse.Namespace) -> int:
    """Speak a text to a file or a player."""
    pieces = _whole(options.text) if options.text is not None else _from_stdin()
    began = time.monotonic()
    first: float | None = None
    seconds = 0.0
    with _sink(options.output) as write, _progress() as show:
        async with aclosing(client.speak(options.uri, pieces, options.voice)) as sounds:
            async for sound in sounds:
                if first is None:
                    first = time.monotonic() - began
                seconds += sound.seconds
                await asyncio.to_thread(write, sound)
                show(f"{seconds:.1f} s of sound, the first after {first * 1000:.0f} ms")
    total = time.monotonic() - began
    print(
        f"{options.output or 'played'}: {seconds:.1f} s of sound, "
        f"the first after {(first or 0) * 1000:.0f} ms, all after {total * 1000:.0f} ms",
        file=sys.stderr,
    )
    return 0


async def voices(options: argparse.Namespace) -> int:
    """List voices: name, languages, description."""
    info = await client.describe(options.uri, timeout=options.timeout)
    rows = [(v.name, ", ".join(v.languages), v.description or "") for p in info.tts for v in p.voices]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, languages, description in rows:
        print(f"{name:{widths[0]}}  {languages:{widths[1]}}  {description}")
    return 0


def verify(settings: Settings) -> int:
    """Compare the engine with the official package on the settings' model; print a table."""
    from .engines.base import EngineUnavailable

    if len(settings.model) != 1:
        print("error: verify needs one --model", file=sys.stderr)
        return 2
    try:
        from .engines.qwen3 import checkpoint
        from .engines.qwen3.verify import Verification
    except ImportError as error:
        print(f"error: torch cannot be used ({error}); script/setup --qwen installs it", file=sys.stderr)
        return 1
    source = checkpoint.Source.parse(
        settings.model[0], settings.revision, settings.download_dir, settings.local_files_only
    )
    try:
        device, _ = checkpoint.choose_device(settings.device)
        dtype, _ = checkpoint.choose_dtype(settings.dtype, device)
        found = checkpoint.load(checkpoint.find(source), device, dtype)
    except EngineUnavailable as error:
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
    "voices": voices,
    "health": health,
}


async def _whole(text: str) -> AsyncGenerator[str, None]:
    yield text


async def _from_stdin() -> AsyncGenerator[str, None]:
    """Yield text as it arrives, never half a character."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while data := await asyncio.to_thread(os.read, 0, READ_SIZE):
        if text := decoder.decode(data):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


@contextmanager
def _sink(output: str | None) -> Iterator[Callable[[Sound], None]]:
    """Yield a function that takes sound, to a file if ``output`` is given, else to a player."""
    if output is None:
        with _player() as write:
            yield write
    else:
        with _wav_file(Path(output)) as write:
            yield write


@contextmanager
def _wav_file(path: Path) -> Iterator[Callable[[Sound], None]]:
    """Write a WAV file that appears under its name only when it is whole."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            writer = _WavWriter(file)
            try:
                yield writer.write
            finally:
                writer.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _WavWriter:
    """Writes a WAV file in the format of the first sound."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._wave: wave.Wave_write | None = None

    def write(self, sound: Sound) -> None:
        """Append ``sound``; the length in the header stays true."""
        if self._wave is None:
            self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - closed by close()
            self._wave.setframerate(sound.rate)
            self._wave.setsampwidth(sound.width)
            self._wave.setnchannels(sound.channels)
        self._wave.writeframes(sound.pcm)

    def close(self) -> None:
        """Finish the header."""
        if self._wave is not None:
            self._wave.close()


def find_player() -> str | None:
    """Return the first of PLAYERS that this machine has."""
    return next((template for template in PLAYERS if shutil.which(template.split()[0])), None)


@contextmanager
def _player() -> Iterator[Callable[[Sound], None]]:
    command = find_player()
    if command is None:
        names = ", ".join(template.split()[0] for template in PLAYERS)
        raise ServerError(f"no command to play sound was found ({names}); save it with --output FILE.wav")
    process: subprocess.Popen[bytes] | None = None

    def write(sound: Sound) -> None:
        nonlocal process
        if process is None:
            filled = command.format(rate=sound.rate, channels=sound.channels)
            process = subprocess.Popen(filled.split(), stdin=subprocess.PIPE)  # noqa: S603 - from PLAYERS
        assert process.stdin is not None
        process.stdin.write(sound.pcm)

    try:
        yield write
        if process is not None and process.stdin is not None:
            process.stdin.close()
            if process.wait():
                raise ServerError(f"{command.split()[0]} could not play it; save it with --output FILE.wav")
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a line of progress on a terminal, and nothing elsewhere."""
    terminal = sys.stderr.isatty()

    def show(line: str) -> None:
        if terminal:
            print(f"\r{line}", end="", file=sys.stderr, flush=True)

    with contextlib.ExitStack() as stack:
        if terminal:
            stack.callback(lambda: print("\r\033[K", end="", file=sys.stderr))
        yield show
