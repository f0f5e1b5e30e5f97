"""The timing of one streamed reply, drawn: when text is sent, audio arrives, and audio is played.

    python -m benchmarks.timeline [--plot streamed-reply.svg]

Words are sent one at a time, as a language model writes them, to a server without a cache (built-in voice).
"""

from __future__ import annotations

import argparse
import asyncio
import html
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop

from benchmarks.servers import Program, running
from benchmarks.service_times import NO_CACHE
from benchmarks.speech_requests import HOST, SPEAK_TIMEOUT, InvalidResponseError

TEXT = (
    "The washing machine has finished. It took an hour and ten minutes. "
    "Shall I remind you again in a quarter of an hour?"
)
WORD_INTERVAL = 0.1
"""Seconds between two words, ten words a second."""
WIDTH, LEFT, RIGHT = 900, 130, 20
ROW, BAR, TOP = 44, 20, 14
STYLE = (
    "<style>svg { font: 13px system-ui, sans-serif } text { fill: #59636e } .text { fill: #8250df } "
    ".audio { fill: #0969da } .play { fill: #1a7f37 } line { stroke: #8b949e; stroke-opacity: .4 }</style>"
)

Span = tuple[float, float]
"""Beginning and end, in seconds."""


@dataclass
class Timeline:
    """Times of one reply, in seconds from its first word."""

    words: list[float] = field(default_factory=list)
    audio: list[tuple[float, float]] = field(default_factory=list)
    """Arrival and length of each audio chunk."""

    @property
    def first_audio(self) -> float:
        """Arrival of the first audio."""
        return self.audio[0][0]

    def played(self) -> list[Span]:
        """Return when audio is played by a client that starts with the first chunk."""
        spans: list[Span] = []
        for arrival, length in self.audio:
            begin = max(arrival, spans[-1][1]) if spans else arrival
            if spans and begin - spans[-1][1] < 1e-9:
                spans[-1] = (spans[-1][0], begin + length)
            else:
                spans.append((begin, begin + length))
        return spans


async def record(port: int) -> Timeline:
    """Send the text word by word and record the reply. Raises InvalidResponseError."""
    found = Timeline()
    async with asyncio.timeout(SPEAK_TIMEOUT), AsyncTcpClient(HOST, port) as client:
        began = time.perf_counter()

        async def write() -> None:
            await client.write_event(SynthesizeStart().event())
            for number, word in enumerate(TEXT.split()):
                await asyncio.sleep(max(0.0, began + number * WORD_INTERVAL - time.perf_counter()))
                found.words.append(time.perf_counter() - began)
                await client.write_event(SynthesizeChunk(f"{word} ").event())
            await client.write_event(SynthesizeStop().event())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            while (event := await client.read_event()) is not None and not AudioStop.is_type(event.type):
                if Error.is_type(event.type):
                    raise InvalidResponseError(Error.from_event(event).text)
                if AudioChunk.is_type(event.type):
                    chunk = AudioChunk.from_event(event)
                    found.audio.append((time.perf_counter() - began, chunk.seconds))
    if event is None or not found.audio:
        raise InvalidResponseError("the reply ended without audio-stop, or without audio")
    return found


def draw(file: Path, found: Timeline) -> None:
    """Write the timeline as SVG."""
    end = found.played()[-1][1]

    def place(seconds: float) -> float:
        return LEFT + seconds / end * (WIDTH - LEFT - RIGHT)

    rows: Sequence[tuple[str, str, Sequence[Span]]] = (
        ("words sent", "text", [(at, at + 0.02) for at in found.words]),
        ("audio received", "audio", [(at, at + 0.02) for at, _ in found.audio]),
        ("audio played", "play", found.played()),
    )
    height = TOP + ROW * len(rows) + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">', STYLE]
    for second in range(int(end) + 1):
        x = place(second)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - 26}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{second} s</text>')
    for number, (name, kind, spans) in enumerate(rows):
        y = TOP + ROW * number + (ROW - BAR) / 2
        parts.append(f'<text x="{LEFT - 12}" y="{y + 15:.1f}" text-anchor="end">{html.escape(name)}</text>')
        parts += [
            f'<rect class="{kind}" x="{place(a):.1f}" y="{y:.1f}" '
            f'width="{max(1.0, place(b) - place(a)):.1f}" height="{BAR}"/>'
            for a, b in spans
        ]
    file.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


async def measure() -> Timeline:
    """Start a server, warm it up with one reply, and record the second one."""
    uri = ("--uri", f"tcp://{HOST}:{{port}}")
    command = (sys.executable, "-m", "wyoming_qwen3tts", *uri, "--engine", "builtin", *NO_CACHE)
    async with running(Program("builtin", command)) as started:
        await started.ready()
        await record(started.port)
        return await record(started.port)


def main() -> None:
    """Measure, print, and draw if asked to."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--plot", type=Path, metavar="FILE", help="draw an SVG")
    options = arguments.parse_args()
    found = asyncio.run(measure())
    gaps = found.played()
    print(f"{len(found.words)} words, the last one sent after {found.words[-1]:.2f} s")
    print(f"first audio after {found.first_audio:.2f} s, last after {found.audio[-1][0]:.2f} s")
    print(f"playback ends after {gaps[-1][1]:.2f} s, with {len(gaps) - 1} interruptions")
    if options.plot:
        draw(options.plot, found)


if __name__ == "__main__":
    main()
