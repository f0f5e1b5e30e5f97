"""Server processes: started on a free port, observed through /proc, and stopped."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import ROOT, without_options
from benchmarks.processes import ProcessTree
from benchmarks.speech_requests import HOST, InvalidResponseError, TimedOutError, describe

START_TIMEOUT = 120.0
STOP_TIMEOUT = 15.0
END_TIMEOUT = 5.0
POLL = 0.005
QUIET_TIMEOUT = 60.0


class ServerFailedError(Exception):
    """A server did not start, or ended; the message contains the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """The command of a server; ``{port}`` is replaced by a free port."""

    name: str
    command: Sequence[str]


class Server:
    """A running server."""

    def __init__(self, name: str, port: int, process: asyncio.subprocess.Process, log: int) -> None:
        """``log``: descriptor of its log file."""
        self.name = name
        self.port = port
        self.began = time.perf_counter()
        """Start time of its process."""
        self.tree = ProcessTree(process.pid)
        self._process = process
        self._log = log

    async def ready(self) -> float:
        """Wait until it responds; return the seconds since the start of its process."""
        while self._process.returncode is None:
            left = self.began + START_TIMEOUT - time.perf_counter()
            try:
                await describe(self.port, max(POLL, left))
                return time.perf_counter() - self.began
            except TimedOutError as error:
                raise self._failure(f"did not respond within {START_TIMEOUT:g} s") from error
            except InvalidResponseError:
                await asyncio.sleep(POLL)  # it is not listening yet
        raise self._failure(f"ended with status {self._process.returncode}")

    async def quiet(self) -> None:
        """Wait until it is idle, also after cancelled requests."""
        give_up = time.perf_counter() + QUIET_TIMEOUT
        before = self.tree.cpu_seconds()
        while time.perf_counter() < give_up:
            await asyncio.sleep(0.5)
            now = self.tree.cpu_seconds()
            if now - before <= 0.02:
                return
            before = now
        raise self._failure(f"was still busy {QUIET_TIMEOUT:g} s after its last request")

    def memory(self) -> tuple[float, float]:
        """Return the resident set and its peak, children included, in MiB."""
        return self.tree.memory()

    def logged(self, *levels: str) -> list[str]:
        """Return the lines of its log with one of these levels, such as ``ERROR``."""
        return [line for line in self._lines() if any(f" {level} " in line[:40] for level in levels)]

    def keep_log(self, file: Path) -> None:
        """Write its log to a file."""
        file.write_text("\n".join((*self._lines(), "")), encoding="utf-8")

    def _failure(self, what: str) -> ServerFailedError:
        return ServerFailedError("\n".join((f"{self.name} {what}; end of its log:", *self._lines()[-15:])))

    def _lines(self) -> list[str]:
        size = os.fstat(self._log).st_size
        return os.pread(self._log, size, 0).decode(errors="replace").splitlines()


@asynccontextmanager
async def running(program: Program) -> AsyncIterator[Server]:
    """Start a server, yield it at once, end it."""
    port = free_port()
    command = [word.replace("{port}", str(port)) for word in program.command]
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=without_options(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is handled by the parent process
        )
        try:
            yield Server(program.name, port, process, log.fileno())
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def clients(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process of clients, which reads its work from standard input and prints its results."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is handled by the parent process
        limit=1 << 30,
    )
    try:
        yield process
    finally:
        await _gone(process)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Wait for a process to end, and kill it after ``END_TIMEOUT``."""
    try:
        async with asyncio.timeout(END_TIMEOUT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
