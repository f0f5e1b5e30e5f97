"""Faults of network and process: a server that is a process, a road that damages, ends without a word."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from wyoming.event import Event, async_read_event, write_event

from tests.house import HANG, connect, home_assistant_plain, sound_of, tone
from wyoming_qwen3tts.cache.sqlite import FILE_NAME, DiskTier

SCRIPTED = (
    "-c",
    """
from tests.test_said_before import Repeatable
from wyoming_qwen3tts import __main__, app
from wyoming_qwen3tts.cache import guarded
guarded.REST = (0.5,)
app.engines_for = lambda settings: [Repeatable()]
__main__.run()
""",
    *"--loudness off --trim-silence off --sentence-silence 0".split(),
    *"--language-detector off --normalize off".split(),
)
"""The service as it is started, with a voice that takes no second to load and comes through as it is, and a
cache that tries again after half a second what failed."""
POOL = min(32, (os.cpu_count() or 1) + 4)
"""Threads that the event loop's pool may have: they come as they are needed, and stay."""
SMALL = 16 * 1024
"""Bytes that the system may hold for a client that reads nothing."""


# -- what is owed -------------------------------------------------------------------------------------------


def wire(*events: Event) -> bytes:
    """Return events as a client sends them."""
    sent = BytesIO()
    for event in events:
        write_event(event, sent)
    return sent.getvalue()


class Heard:
    """What a client was sent, and how it ended."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.broken = ""
        """How the connection ended, if not between two events: ``reset``, or ``torn``."""

    @property
    def sound(self) -> bytes:
        return sound_of(self.events)

    @property
    def last(self) -> str:
        """The last event's type, or how the connection was broken off."""
        return self.broken or (self.events[-1].type if self.events else "")

    @property
    def failed(self) -> bool:
        """Whether a client knows that something is missing: the mere end of a connection is no word of it."""
        return self.last in {"error", "reset", "torn"}


async def hear(reader: asyncio.StreamReader, heard: Heard | None = None, until: str | None = None) -> Heard:
    """Read to the end of the connection, or to the first event of type ``until``."""
    heard = heard or Heard()
    async with asyncio.timeout(HANG):
        try:
            while (event := await async_read_event(reader)) is not None:
                heard.events.append(event)
                if event.type == until:
                    break
        except ConnectionResetError:
            heard.broken = "reset"
        except asyncio.IncompleteReadError:
            heard.broken = "torn"
    return heard


def audible(pcm: bytes) -> bytes:
    """Return sound without its silence: a tone has none, pauses have nothing else."""
    samples = np.frombuffer(pcm, "<i2")
    return bytes(samples[samples != 0].tobytes())


async def nothing_partial(data: Path) -> int:
    """Look through a cache's file: all in it must be whole; return how many there are."""
    disk = DiskTier(data / FILE_NAME, 1 << 40)
    found = [entry async for _, entry in disk.entries()]
    await disk.close()
    for entry in found:
        assert entry is not None, "an entry is damaged"
        assert entry.pcm == tone(entry.text), f"{entry.text!r} is not whole"
    return len(found)


async def until(true: Callable[[], bool], what: str | Callable[[], str]) -> None:
    """Wait for something that tells nobody; ``what`` it says if it never comes."""
    try:
        async with asyncio.timeout(HANG):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(what if isinstance(what, str) else what())


# -- ends without a word ------------------------------------------------------------------------------------


async def deaf(uri: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect so that little is held for whoever does not read."""
    host, port = uri.removeprefix("tcp://").rsplit(":", 1)
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    opened.setblocking(False)
    await asyncio.get_running_loop().sock_connect(opened, (host, int(port)))
    return await asyncio.open_connection(sock=opened, limit=SMALL)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, as the system of a client that crashed does."""
    opened = writer.get_extra_info("socket")
    with suppress(OSError):  # the other end was quicker
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Road:
    """A proxy on the way to a server: it may damage what it carries, or carry nothing any more."""

    def __init__(self, uri: str, *, damage: float = 0.0, back: bool = False, seed: int = 0) -> None:
        """``damage``: share of the bytes to the server that arrive as others; ``back``: and of those from it."""
        self._to = uri
        self._share, self._back = damage, back
        self._chance = random.Random(seed)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.damaged = 0
        self.uri = ""

    def freeze(self) -> None:
        """Carry nothing from now on, and close nothing: a cable that was pulled."""
        self._open.clear()

    @asynccontextmanager
    async def built(self) -> AsyncIterator[Road]:
        """Open it for as long as somebody is on it: those who come from this side have to leave first."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
            theirs, ours = await deaf(self._to)
            await asyncio.gather(
                self._carry(reader, ours, damage=True), self._carry(theirs, writer, damage=self._back)
            )
            for each in (writer, ours):
                each.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.uri = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self._open.set()
            async with asyncio.timeout(HANG):
                await asyncio.gather(*self._tasks)
            await asyncio.sleep(0)  # until what was closed is closed

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, damage: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                await self._open.wait()
                writer.write(self._damage(data) if damage else data)
                await writer.drain()
            await self._open.wait()
            writer.write_eof()
            return
        writer.transport.abort()  # whoever is at the other end hears of it, too

    def _damage(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        for at in range(len(damaged)):
            if self._chance.random() < self._share:
                damaged[at] ^= self._chance.randrange(1, 256)
                self.damaged += 1
        return bytes(damaged)


# -- a server that is a process -----------------------------------------------------------------------------


class House:
    """A server that is a process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid
        self.uri = ""
        self.log: list[str] = []
        self.followed: asyncio.Task[None] | None = None

    async def say(self, text: str) -> bytes:
        """Return the sound of a text on a connection of its own."""
        async with connect(self.uri) as client:
            return await home_assistant_plain(client, text)

    async def speaks(self, text: str) -> None:
        """Hear one sentence, sample for sample."""
        assert await self.say(text) == tone(text)

    @property
    def descriptors(self) -> int:
        """Files that it has open, but for those of its cache, which are opened as they are needed."""
        found = 0
        for each in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found += FILE_NAME not in str(each.readlink())
        return found

    @property
    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))  # noqa: PTH208

    @property
    def memory(self) -> int:
        """Bytes that it has in memory."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def said(self, what: str) -> int:
        """Return in how many lines of its log something is."""
        return sum(what in line for line in self.log)

    async def logs(self, what: str) -> None:
        """Wait until its log has a line with that."""
        await until(lambda: self.said(what) > 0, f"the log never said {what!r}")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it stand still, as a machine that swaps or a container that is paused does."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    async def ends_with(self, status: int) -> None:
        """Wait for its end."""
        assert await asyncio.wait_for(self.process.wait(), HANG) == status, "\n".join(self.log)


@asynccontextmanager
async def house(
    *arguments: str | Path,
    program: Sequence[str] = SCRIPTED,
    before: Sequence[str] = (),
    python: str | Path = sys.executable,
) -> AsyncIterator[House]:
    """Start a server; give it when it is ready. ``before``: a command that it is started by."""
    process = await asyncio.create_subprocess_exec(
        *(*before, str(python), *program, "--uri", "tcp://127.0.0.1:0", *map(str, arguments)),
        stderr=asyncio.subprocess.PIPE,
    )
    running = House(process)
    try:
        assert process.stderr is not None
        async with asyncio.timeout(HANG):
            while "service: ready" not in "".join(running.log[-1:]):
                line = (await process.stderr.readline()).decode().rstrip()
                assert line, f"it ended: {running.log}"
                running.log.append(line)
                if "listening uri=tcp" in line:
                    running.uri = line.rpartition("uri=")[2]
        running.followed = asyncio.create_task(_follow(process.stderr, running.log))
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()
        if running.followed is not None:
            await running.followed


async def _follow(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode().rstrip())


@asynccontextmanager
async def unharmed(running: House, text: str, more: int = 0) -> AsyncIterator[None]:
    """Whatever happens inside: the next is spoken as ever, and nothing is left of what was.

    ``more``: files that may stay open, such as connections that wait for the next call.
    """
    await running.speaks("Warm up.")
    await settled(running)
    descriptors, threads = running.descriptors, running.threads
    yield
    await running.speaks(text)
    await until(
        lambda: running.descriptors <= descriptors + more,
        lambda: f"{running.descriptors} descriptors are open, there were {descriptors}",
    )
    assert running.threads <= threads + POOL


async def settled(running: House) -> None:
    """Wait until the server has noticed that those who left have left."""
    before = -1
    async with asyncio.timeout(HANG):
        while (now := running.descriptors) != before:
            before = now
            await asyncio.sleep(0.05)


def powerless() -> Sequence[str]:
    """Return the command that starts a program for which permissions count, though it is root's."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.fail("setpriv is missing; install it: apt-get install util-linux", pytrace=False)
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner")
