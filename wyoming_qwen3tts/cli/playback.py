"""Audio output of the commands, to a WAV file or a player."""

from __future__ import annotations

import asyncio
import subprocess
import time
import wave
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO

from .. import client
from ..audio.player import PLAYERS, find_player
from ..client import ReceivedAudio, ServerError
from ..progress import Status, print_line


async def whole_text(text: str) -> AsyncGenerator[str, None]:
    """Yield ``text`` as one chunk."""
    yield text


async def write_speech(
    uri: str,
    text: AsyncIterable[str],
    voice: str | None,
    language: str | None,
    write: Callable[[ReceivedAudio], None],
    output: str | None,
) -> None:
    """Have a server speak a text, write its audio, and print the times. Raises ServerError.

    With ``voice``, no other voice speaks: that is an error.
    """
    began = time.monotonic()
    first: float | None = None
    seconds = 0.0
    with Status() as status:
        async with aclosing(
            client.speak(uri, text, voice, language, {"fallback": False} if voice else None)
        ) as received:
            async for audio in received:
                if first is None:
                    first = time.monotonic() - began
                seconds += audio.seconds
                await asyncio.to_thread(write, audio)
                status.show(f"{seconds:.1f} s of audio, first audio after {first * 1000:.0f} ms")
    total = time.monotonic() - began
    print_line(
        f"{output or 'played'}: {seconds:.1f} s of audio, "
        f"first audio after {(first or 0) * 1000:.0f} ms, all after {total * 1000:.0f} ms"
    )


@contextmanager
def open_output(output: str | None) -> Iterator[Callable[[ReceivedAudio], None]]:
    """Yield a function that writes audio, to the file ``output`` if given, else to a player.

    Raises ServerError if there is no player, OSError if the file cannot be written.
    """
    if output is None:
        with _player() as write:
            yield write
    else:
        path = Path(output)
        if path.exists() and not path.is_file():
            raise ServerError(f"--output: {output} is not a file; name one, such as hello.wav")
        if not path.parent.is_dir():
            raise ServerError(f"--output: there is no directory {path.parent}; create it first")
        with wav_file(path) as write:
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
    except OSError as error:
        if error.filename in {None, str(part)}:  # None: the disk is full
            error.filename = str(path)
        raise
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
