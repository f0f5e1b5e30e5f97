"""Soak test: half an hour of mixed traffic, and whether memory, descriptors and latency stay constant.

    python -m benchmarks.soak [--minutes 30] [--clients 8] [--plot soak.svg] [--json soak.json]

Starts a server with small caches and short timeouts, and runs clients of all kinds (``soak_clients.py``).
Every second it measures the server's resources and the first audio of an uncached and of a cached sentence.
Prints a row per minute, and at the end a comparison of the first with the last five minutes.

Exit status: 0 constant, and only provoked errors; 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import platform
import shlex
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from benchmarks import plot, processes
from benchmarks.load import MAX_DESCRIPTOR_GROWTH, find_growth, percentile, row
from benchmarks.load_clients import ClientFailedError, Item, Reply, receive_reply
from benchmarks.plot import Panel
from benchmarks.processes import ProcessSample
from benchmarks.servers import Program, Server, ServerFailedError, clients, free_port, running
from benchmarks.speech_requests import HOST

CACHE_MEMORY, CACHE_DISK = 8, 20
"""Megabytes: less than the audio of a minute, so that entries are evicted all the time."""
SHORT_TIMEOUTS = ("--idle-timeout", "20", "--event-timeout", "4", "--send-timeout", "10")
"""Options of the server: short, so that its timeouts are reached often. Python's streams buffer up to 256 kB
and
read on when most of it is consumed, so that a client that plays in real time may read nothing for 5.3 s."""
UNCACHED_TEXT = "The probe is spoken once a second, and it always says the same."
CACHED_TEXT = "The known probe comes from the cache."
PROBE_EVERY = 1.0
PROBE_TIMEOUT = 30.0
WINDOW_SECONDS = 300.0
"""Seconds at the start and the end that are compared; a third of a shorter run."""
RAMP_UP_SECONDS = 60.0
"""Seconds after the start that are ignored, while caches fill; a tenth of a shorter run."""
MAX_LATENCY_RATIO = 1.5
"""Ratio of a latency's last median to its first that counts as constant: other processes cause as much."""
MAX_LATENCY_GROWTH = 0.005
"""Seconds by which a median may always grow: a cached sentence takes a millisecond."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Times to first audio, in seconds."""

    at: float
    uncached: float
    """Of a sentence that has to be synthesized."""
    cached: float
    """Of a sentence from the cache."""


@dataclass(slots=True)
class Soak:
    """Measurements and faults."""

    began: float = 0.0
    samples: list[ProcessSample] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    client_report: dict[str, Any] = field(default_factory=dict)
    """The clients' last report."""
    cache: dict[str, Any] = field(default_factory=dict)
    """The server's cache statistics at the end."""
    faults: list[str] = field(default_factory=list)
    before: ProcessSample | None = None
    after: ProcessSample | None = None
    """After all clients have disconnected."""

    @property
    def seconds(self) -> float:
        """Duration so far."""
        return self.samples[-1].at - self.began if self.samples else 0.0


def main() -> int:
    """Run the soak test; return the exit status."""
    options = _options()
    soak = Soak()
    try:
        asyncio.run(_soak(options, soak))
    except (KeyboardInterrupt, asyncio.CancelledError):
        soak.faults.append(f"interrupted after {soak.seconds / 60:.1f} minutes")
    except (ServerFailedError, ClientFailedError, OSError) as error:
        soak.faults.append(str(error) or type(error).__name__)
    rows = _summarize(soak)
    print("\n" + "\n".join(rows))
    _print_client_report(soak)
    if options.json:
        options.json.write_text(json.dumps(asdict(soak)))
    if options.plot:
        plot.draw(options.plot, _panels(soak), "minutes")
    print(f"\nFaults: {len(soak.faults) or 'none'}")
    for fault in soak.faults:
        print(f"- {fault}")
    return 1 if soak.faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="duration (%(default)g)")
    parser.add_argument("--clients", type=int, default=8, help="number of clients (%(default)s)")
    parser.add_argument("--options", default="", metavar="TEXT", help="further options for the server")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw memory, descriptors and latency")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all samples and probes")
    parser.add_argument("--log", type=Path, metavar="FILE", help="file for the server's log")
    options = parser.parse_args()
    if options.plot and options.plot.suffix != ".svg":
        parser.error("plots are SVG: name a file that ends in .svg")
    return options


async def _soak(options: argparse.Namespace, soak: Soak) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", end="; ")
    print(f"{options.minutes:g} minutes, {options.clients} clients\n")
    http_port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        async with running(_program(Path(directory), http_port, options)) as server:
            await server.ready()
            await _probe(server.port)  # also fills the cache with the cached sentence
            soak.before = server.tree.sample()
            try:
                await _measure(server, http_port, options, soak)
            finally:
                soak.faults += [f"log: {line}" for line in server.logged("ERROR", "CRITICAL")[:20]]
                if options.log:
                    server.keep_log(options.log)


def _program(directory: Path, http_port: int, options: argparse.Namespace) -> Program:
    """Return the command of a server with small caches and short timeouts."""
    command = [
        *(sys.executable, "-m", "wyoming_qwen3tts", "--uri", f"tcp://{HOST}:{{port}}"),
        *("--http-port", str(http_port), "--data-dir", str(directory), "--espeak-languages", "de,es,fr"),
        *(
            "--cache-memory",
            str(CACHE_MEMORY),
            "--cache-disk",
            str(CACHE_DISK),
            "--cache-live",
            *SHORT_TIMEOUTS,
        ),
    ]
    return Program("server", [*command, *shlex.split(options.options)])


async def _measure(server: Server, http_port: int, options: argparse.Namespace, soak: Soak) -> None:
    """Run the clients and measure the server until the time is over; fill ``soak``."""
    soak.began = time.perf_counter()
    helpers = [
        asyncio.create_task(processes.watch(server.tree, soak.samples)),
        asyncio.create_task(_probes(server.port, soak)),
        asyncio.create_task(_print_minutes(soak)),
    ]
    try:
        async with _run_clients(server.port, http_port, options.clients, soak) as process:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.minutes * 60):
                    await asyncio.wait(
                        [asyncio.create_task(process.wait()), *helpers], return_when=asyncio.FIRST_COMPLETED
                    )
                    soak.faults.append("the clients or the probes ended early")
    finally:
        for helper in helpers:
            helper.cancel()
        for ended in await asyncio.gather(*helpers, return_exceptions=True):
            if isinstance(ended, Exception):
                soak.faults.append(f"{type(ended).__name__}: {ended}")
    await server.quiet()
    soak.after = server.tree.sample()
    soak.cache = await _caches(http_port)


@asynccontextmanager
async def _run_clients(
    port: int, http_port: int, count: int, soak: Soak
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the clients' process, and read its reports."""
    async with clients("benchmarks.soak_clients", str(port), str(http_port), str(count)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        noting = asyncio.create_task(_read_reports(process.stdout, soak))
        try:
            yield process
        finally:
            process.stdin.close()
            await asyncio.wait([noting], timeout=20)


async def _read_reports(output: asyncio.StreamReader, soak: Soak) -> None:
    while line := await output.readline():
        soak.client_report = json.loads(line)


async def _probes(port: int, soak: Soak) -> None:
    """Probe once a second; a probe that fails is a fault."""
    while True:
        began = time.perf_counter()
        try:
            soak.probes.append(await _probe(port))
        except (ClientFailedError, OSError, TimeoutError) as error:
            soak.faults.append(f"probe: {str(error) or type(error).__name__}")
        await asyncio.sleep(began + PROBE_EVERY - time.perf_counter())


async def _probe(port: int) -> Probe:
    """Synthesize both sentences on a new connection; the time to connect is excluded."""
    client = AsyncTcpClient(HOST, port)
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await client.connect()
            began = time.perf_counter()
            uncached = await _first_audio(client, _Uncached([UNCACHED_TEXT], None, streamed=False))
            cached = await _first_audio(client, Item([CACHED_TEXT], None, streamed=False))
            return Probe(began, uncached, cached)
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()


class _Uncached(Item):
    """A request that bypasses the cache."""

    __slots__ = ()

    def events(self) -> list[Event]:
        """Return the events that a client sends."""
        (event,) = Item.events(self)
        event.data["context"] = {"cache": False}
        return [event]


async def _first_audio(client: AsyncTcpClient, item: Item) -> float:
    reply = Reply(0, 0, time.perf_counter())
    await receive_reply(client, item, reply, paced=False, stop=asyncio.Event())
    return reply.first


async def _caches(http_port: int) -> dict[str, Any]:
    """Return the server's cache statistics."""
    reader, writer = await asyncio.open_connection(HOST, http_port)
    writer.write(b"GET /v1/cache HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read(-1)
    writer.close()
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


# -- progress ------------------------------------------------------------------------------------------------


async def _print_minutes(soak: Soak) -> None:
    """Print a row every minute."""
    head = (
        "minute",
        "memory",
        "descriptors",
        "threads",
        "cores",
        "uncached, p50",
        "cached, p50",
        "requests",
        "faults",
    )
    print(f"{row(head)}\n{row(['---'] * len(head))}", flush=True)
    for minute in range(1, 1_000_000):
        await asyncio.sleep(soak.began + minute * 60 - time.perf_counter())
        since = soak.began + minute * 60 - 60
        samples = [sample for sample in soak.samples if sample.at >= since]
        probes = [probe for probe in soak.probes if probe.at >= since]
        cells = [
            str(minute),
            f"{processes.median(samples, lambda sample: sample.memory):.0f} MiB",
            f"{processes.median(samples, lambda sample: sample.descriptors):.0f}",
            f"{processes.median(samples, lambda sample: sample.threads):.0f}",
            f"{_cores(samples):.2f}",
            _milliseconds([probe.uncached for probe in probes]),
            _milliseconds([probe.cached for probe in probes]),
            str(sum(soak.client_report.get("requests", {}).values())),
            str(soak.client_report.get("faults", 0) + len(soak.faults)),
        ]
        print(row(cells), flush=True)


def _cores(samples: Sequence[ProcessSample]) -> float:
    """Return the mean number of busy cores."""
    if len(samples) < 2:
        return math.nan
    return (samples[-1].cpu - samples[0].cpu) / (samples[-1].at - samples[0].at)


def _milliseconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values) * 1000:.1f} ms" if values else "-"


# -- summary -------------------------------------------------------------------------------------------------


def _summarize(soak: Soak) -> list[str]:
    """Return the table that compares the first with the last minutes; add a fault for all that grew."""
    window, ramp_up = min(WINDOW_SECONDS, soak.seconds / 3), min(RAMP_UP_SECONDS, soak.seconds / 10)
    first, last = processes.ends(soak.samples, window, ramp_up)
    if not first or not last:
        return ["Not enough samples to compare."]
    soak.faults += find_growth(soak.samples, window, ramp_up)
    if soak.before and soak.after:
        left = soak.after.descriptors - soak.before.descriptors
        if left > MAX_DESCRIPTOR_GROWTH:
            soak.faults.append(f"{left} more descriptors are open than before the clients connected")
    rows = [
        row(
            (
                "median of",
                f"first {window / 60:.1f} minutes",
                f"last {window / 60:.1f} minutes",
                "ratio",
                "trend",
            )
        ),
        row(["---"] * 5),
    ]
    numbers: dict[str, Callable[[ProcessSample], float]] = {
        "memory, MiB": lambda sample: sample.memory,
        "descriptors": lambda sample: sample.descriptors,
        "threads": lambda sample: sample.threads,
    }
    after_ramp = [sample for sample in soak.samples if sample.at >= soak.began + ramp_up]
    for name, number in numbers.items():
        slope = trend([(sample.at / 3600, number(sample)) for sample in after_ramp])
        rows.append(_row(name, processes.median(first, number), processes.median(last, number), slope))
    early = [probe for probe in soak.probes if first[0].at <= probe.at <= first[-1].at]
    late = [probe for probe in soak.probes if probe.at >= last[0].at]
    for name in ("uncached", "cached"):
        before, after = (sorted(getattr(probe, name) for probe in some) for some in (early, late))
        for share in (50, 95):
            a, b = percentile(before, share) * 1000, percentile(after, share) * 1000
            rows.append(_row(f"first audio, {name}, p{share}, ms", a, b))
            if share == 50 and b > max(a * MAX_LATENCY_RATIO, a + MAX_LATENCY_GROWTH * 1000):
                soak.faults.append(f"first audio, {name}: {a:.1f} ms became {b:.1f} ms")
    return rows


def _row(name: str, before: float, after: float, slope: float = math.nan) -> str:
    ratio = after / before if before else math.nan
    shown = "" if math.isnan(slope) else f"{slope:+.1f} per hour"
    return row((name, f"{before:.1f}", f"{after:.1f}", f"{ratio:.2f}", shown))


def trend(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the linear regression of points."""
    if len(points) < 2:
        return math.nan
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _print_client_report(soak: Soak) -> None:
    """Print the clients' requests and the cache statistics; add the clients' faults."""
    client_report = soak.client_report.get("requests", {})
    print(
        f"\n{sum(client_report.values())} requests, {soak.client_report.get('sound', 0):.0f} s of audio: ",
        end="",
    )
    print(", ".join(f"{count} {kind}" for kind, count in sorted(client_report.items())) or "none")
    if soak.cache:
        print(f"Caches: {json.dumps(soak.cache)}")
    soak.faults += soak.client_report.get("shown", [])
    if (more := soak.client_report.get("faults", 0) - len(soak.client_report.get("shown", []))) > 0:
        soak.faults.append(f"and {more} more faults of requests")
    soak.faults += [f"a client failed: {ended}" for ended in soak.client_report.get("ended", [])]


def _panels(soak: Soak) -> list[Panel]:
    """Return the panels of the plot: all resource samples, and latencies as medians of ten."""

    def line(of: Callable[[ProcessSample], float]) -> list[tuple[float, float]]:
        return [((sample.at - soak.began) / 60, of(sample)) for sample in soak.samples]

    def latency(of: Callable[[Probe], float]) -> list[tuple[float, float]]:
        tens = [soak.probes[start : start + 10] for start in range(0, len(soak.probes), 10)]
        return [((ten[0].at - soak.began) / 60, statistics.median(map(of, ten)) * 1000) for ten in tens]

    return [
        Panel("Resident memory, MiB", {"memory": line(lambda sample: sample.memory)}),
        Panel(
            "Open descriptors and threads",
            {
                "descriptors": line(lambda sample: sample.descriptors),
                "threads": line(lambda sample: sample.threads),
            },
        ),
        Panel("First audio of an uncached sentence, ms", {"uncached": latency(lambda probe: probe.uncached)}),
        Panel("First audio of a cached sentence, ms", {"cached": latency(lambda probe: probe.cached)}),
    ]


if __name__ == "__main__":
    sys.exit(main())
