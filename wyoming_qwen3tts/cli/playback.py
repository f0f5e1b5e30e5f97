"""Where the sound of a command goes: a file or a player; and the line that shows how far it is."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO

from .. import client
from ..client import ServerError, Sound

PLAYERS = (
    "aplay -q -t raw -f S16_LE -r {rate} -c {channels}",
    "paplay --raw --format=s16le --rate={rate} --channels={channels}",
    "play -q -t raw -e signed -b 16 -r {rate} -c {channels} -",
    "ffplay -loglevel error -nodisp -autoexit -f s16le -ar {rate} -ch_layout mono -i -",
)
"""Commands that play raw PCM from standard input, the first one found is used."""


async def whole(text: str) -> AsyncGenerator[str, None]:
    """Yield ``text``."""
    yield text


async def hear(uri: str, pieces: AsyncIterable[str], voice: str | None, output: str | None) -> None:
    """Let a server speak a text, and say how long it took. Raises ServerError."""
    began = time.monotonic()
    first: float | None = None
    seconds = 0.0
    with sink(output) as write, progress() as show:
        async with aclosing(client.speak(uri, pieces, voice)) as sounds:
            async for sound in sounds:
                if first is None:
                    first = time.monotonic() - began
                seconds += sound.seconds
                await asyncio.to_thread(write, sound)
                show(f"{seconds:.1f} s of sound, the first after {first * 1000:.0f} ms")
    total = time.monotonic() - began
    print(
        f"{output or 'played'}: {seconds:.1f} s of sound, "
        f"the first after {(first or 0) * 1000:.0f} ms, all after {total * 1000:.0f} ms",
        file=sys.stderr,
    )


@contextmanager
def sink(output: str | None) -> Iterator[Callable[[Sound], None]]:
    """Yield a function that takes sound, to a file if ``output`` is given, else to a player."""
    if output is None:
        with _player() as write:
            yield write
    else:
        with wav_file(Path(output)) as write:
            yield write


@contextmanager
def wav_file(path: Path) -> Iterator[Callable[[Sound], None]]:
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
def progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a line of progress on a terminal, and nothing elsewhere."""
    terminal = sys.stderr.isatty()

    def show(line: str) -> None:
        if terminal:
            print(f"\r{line}", end="", file=sys.stderr, flush=True)

    with contextlib.ExitStack() as stack:
        if terminal:
            stack.callback(lambda: print("\r\033[K", end="", file=sys.stderr))
        yield show


def remark(line: str) -> None:
    """Say something beside a command's output."""
    print(line, file=sys.stderr, flush=True)
