"""Services that live a short life: one a line of standard input, born of a process that has imported it all.

``python -m tests.nursery DIRECTORY``: each service shares the directory's cache file, and has clients that ask for
new sentences, to be pinned or not, as fast as they can. It says on standard output who was born
(``born PID``), what is stored (``stored TEXT``) and how it ended (``died STATUS``), and is meant to be killed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.house import connect, service
from tests.test_said_before import Repeatable
from wyoming_qwen3tts import client

CLIENTS = 4
MEGABYTES = 4.0
"""Of the file: few enough that old sentences have to go all the while."""


SETTINGS: dict[str, Any] = {
    "cache_memory": 1.0,
    "cache_disk": MEGABYTES,
    "normalize": "off",
    "language_detector": "off",
}


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def live(directory: Path, life: int) -> None:
    # The sound of a sentence in this directory is noise, 1 kB a character, so that the bounds are felt.
    engine = Repeatable()
    async with service([engine], data_dir=directory, **SETTINGS) as uri:
        numbers = itertools.count()

        async def ask() -> None:
            async with connect(uri) as connection:
                for number in numbers:
                    text = f"A{life} b{number} " + "so " * random.randrange(10)
                    text = text.strip() + "."
                    pin = number % 5 == 0
                    async for _ in client.synthesize(
                        connection, text, context={"cache": "pin" if pin else True}
                    ):
                        pass
                    if pin:
                        say(f"stored {text}")

        await asyncio.gather(*(ask() for _ in range(CLIENTS)))


async def warm() -> None:
    """Load what a service loads when it is first asked for something: once for all of them."""
    with tempfile.TemporaryDirectory() as place:
        async with (
            service([Repeatable()], data_dir=Path(place), **SETTINGS) as uri,
            connect(uri) as connection,
        ):
            async for _ in client.synthesize(connection, "Hello.", context={"cache": "pin"}):
                pass


def main() -> None:
    directory = Path(sys.argv[1])
    asyncio.run(warm())
    for life, _ in enumerate(sys.stdin):
        child = os.fork()
        if not child:
            try:
                asyncio.run(live(directory, life))
            finally:
                os._exit(3)
        say(f"born {child}")
        _, status = os.waitpid(child, 0)
        say(f"died {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
