"""Background load for ``compare``, in a separate process, so that it does not disturb the measurement.

``python -m benchmarks.background PORT CONNECTIONS`` prints ``speaking`` once every connection has audio, runs
until its standard input ends, and then prints its results as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from benchmarks.speech_requests import LONG_TEXT, InvalidResponseError, speak, unique


class Background:
    """Connections that request a long text repeatedly."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._connections = connections
        self._silent = set(range(connections))
        self._failed: list[str] = []
        self._sound = 0.0

    async def run(self) -> None:
        """Run until standard input ends."""
        began = time.perf_counter()
        speakers = [asyncio.create_task(self._speak(number)) for number in range(self._connections)]
        await asyncio.to_thread(sys.stdin.read)
        rate = self._sound / (time.perf_counter() - began)
        for speaker in speakers:
            speaker.cancel()
        await asyncio.gather(*speakers, return_exceptions=True)
        print(json.dumps({"rate": rate, "failed": self._failed}))

    async def _speak(self, number: int) -> None:
        def on_audio(seconds: float) -> None:
            self._sound += seconds
            self._has_sound(number)

        try:
            while True:
                await speak(self._port, unique(LONG_TEXT), streamed=False, on_audio=on_audio)
        except InvalidResponseError as error:
            self._failed.append(str(error))
            self._has_sound(number)

    def _has_sound(self, number: int) -> None:
        if self._silent:
            self._silent.discard(number)
            if not self._silent:
                print("speaking", flush=True)


if __name__ == "__main__":
    asyncio.run(Background(int(sys.argv[1]), int(sys.argv[2])).run())
