"""What a front costs: the first sound from a server, and from one that lets that server speak.

``python -m benchmarks.front`` serves the built-in voice with nothing kept, and a front before it
(``--remote-uri``), on the same machine; both are asked in turn, over Wyoming. It prints the median of the
milliseconds to the first byte of sound, and the ratio.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from benchmarks.cache import PHRASES, connect, ours
from benchmarks.doors import ROUNDS, First, measure, tell
from benchmarks.servers import running
from benchmarks.talk import HOST

NOT_KEPT = ("--cache-memory", "0", "--cache-disk", "0")


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        async with running(ours(Path(place, "back"), *NOT_KEPT)) as back:
            await back.ready()
            uri = f"tcp://{HOST}:{back.port}"
            front = ours(Path(place, "front"), *NOT_KEPT, "--engine", "remote", "--remote-uri", uri)
            async with running(front) as before:
                await before.ready()
                clients: dict[str, First] = {
                    "direct": (await connect(back.port)).first,
                    "through a front": (await connect(before.port)).first,
                }
                await measure(clients, PHRASES[:5])
                found = await measure(clients, PHRASES * ROUNDS)
    tell(found, "direct")


if __name__ == "__main__":
    asyncio.run(main())
