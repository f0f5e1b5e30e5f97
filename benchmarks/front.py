"""Latency of a front: the first audio of a server, directly and through a server that forwards to it.

``python -m benchmarks.front`` starts a server with the built-in voice and no cache, and a front for it
(``--remote-uri``), on the same machine; requests alternate between both, over Wyoming. It prints the median
milliseconds to the first byte of audio, and the ratio.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from benchmarks.apis import ROUNDS, MeasureFirstAudio, measure, print_medians
from benchmarks.cache import PHRASES, connect, ours
from benchmarks.servers import running
from benchmarks.speech_requests import HOST

NO_CACHE = ("--cache-memory", "0", "--cache-disk", "0")


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        async with running(ours(Path(place, "back"), *NO_CACHE)) as back:
            await back.ready()
            uri = f"tcp://{HOST}:{back.port}"
            front = ours(Path(place, "front"), *NO_CACHE, "--engine", "remote", "--remote-uri", uri)
            async with running(front) as before:
                await before.ready()
                clients: dict[str, MeasureFirstAudio] = {
                    "direct": (await connect(back.port)).first,
                    "through a front": (await connect(before.port)).first,
                }
                await measure(clients, PHRASES[:5])
                medians = await measure(clients, PHRASES * ROUNDS)
    print_medians(medians, "direct")


if __name__ == "__main__":
    asyncio.run(main())
