"""Audio output of the commands, to a WAV file or a player; their progress line and notes."""

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
from ..client import ReceivedAudio, ServerError

PLAYERS = (
    "aplay -q -t raw -f S16_LE -r {rate} -c {channels}",
    "paplay --raw --format=s16le --rate={rate} --channels={channels}",
    "play -q -t raw -e signed -b 16 -r {rate} -c {channels} -",
    "ffplay -loglevel error -nodisp -autoexit -f s16le -ar {rate} -ch_layout mono -i -",
)
"""Commands that play raw PCM from standard input; the first one that is installed is used."""


async def whole_text(text: str) -> AsyncGenerator[str, None]:
    """Yield ``text`` as one chunk."""
    yield text


async def play_speech(uri: str, text: AsyncIterable[str], voice: str | None, output: str | None) -> None:
    """Have a server speak a text; play or save the audio, and print the times. Raises ServerError."""
    began = time.monotonic()
    first: float | None = None
    seconds = 0.0
    with open_output(output) as write, progress_line() as show:
        async with aclosing(client.speak(uri, text, voice)) as received:
            async for audio in received:
                if first is None:
                    first = time.monotonic() - began
                seconds += audio.seconds
                await asyncio.to_thread(write, audio)
                show(f"{seconds:.1f} s of audio, first audio after {first * 1000:.0f} ms")
    total = time.monotonic() - began
    print(
        f"{output or 'played'}: {seconds:.1f} s of audio, "
        f"first audio after {(first or 0) * 1000:.0f} ms, all after {total * 1000:.0f} ms",
        file=sys.stderr,
    )


@contextmanager
def open_output(output: str | None) -> Iterator[Callable[[ReceivedAudio], None]]:
    """Yield a function that writes audio, to the file ``output`` if given, else to a player."""
    if output is None:
        with _player() as write:
            yield write
    else:
        with wav_file(Path(output)) as write:
            yield write


@contextmanager
def wav_file(path: Path) -> Iterator[Callable[[ReceivedAudio], None]]:
    """Yield a function that writes a WAV file, which gets its name only when it is complete."""
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
    """Writes a WAV file in the format of the first chunk."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._wave: wave.Wave_write | None = None

    def write(self, audio: ReceivedAudio) -> None:
        """Append a chunk, and update the length in the header."""
        if self._wave is None:
            self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - closed by close()
            self._wave.setframerate(audio.rate)
            self._wave.setsampwidth(audio.width)
            self._wave.setnchannels(audio.channels)
        self._wave.writeframes(audio.pcm)

    def close(self) -> None:
        """Complete the header."""
        if self._wave is not None:
            self._wave.close()


def find_player() -> str | None:
    """Return the first of PLAYERS that is installed."""
    return next((template for template in PLAYERS if shutil.which(template.split()[0])), None)


@contextmanager
def _player() -> Iterator[Callable[[ReceivedAudio], None]]:
    command = find_player()
    if command is None:
        names = ", ".join(template.split()[0] for template in PLAYERS)
        raise ServerError(f"no audio player was found ({names}); save a file with --output FILE.wav")
    process: subprocess.Popen[bytes] | None = None

    def write(audio: ReceivedAudio) -> None:
        nonlocal process
        if process is None:
            filled = command.format(rate=audio.rate, channels=audio.channels)
            process = subprocess.Popen(filled.split(), stdin=subprocess.PIPE)  # noqa: S603 - from PLAYERS
        assert process.stdin is not None
        process.stdin.write(audio.pcm)

    try:
        yield write
        if process is not None and process.stdin is not None:
            process.stdin.close()
            if process.wait():
                message = f"{command.split()[0]} could not play the audio; save a file with --output FILE.wav"
                raise ServerError(message)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a progress line if standard error is a terminal, and else does nothing."""
    terminal = sys.stderr.isatty()

    def show(line: str) -> None:
        if terminal:
            print(f"\r{line}", end="", file=sys.stderr, flush=True)

    with contextlib.ExitStack() as stack:
        if terminal:
            stack.callback(lambda: print("\r\033[K", end="", file=sys.stderr))
        yield show


def print_note(line: str) -> None:
    """Print a line on standard error, apart from the command's output."""
    print(line, file=sys.stderr, flush=True)
