"""Half an hour of all that visitors do, and whether the server stays as it was.

    python -m benchmarks.soak [--minutes 30] [--visitors 8] [--plot soak.svg] [--json soak.json]

Starts a server with small caches and short patience, sends it visitors of every manner (``visitors.py``),
looks every second at what it takes, and has a sentence spoken that has to be made and one that is known.
Prints a row a minute as it comes, and in the end the first five minutes against the last five.

Exit status: 0 flat, and nothing but what was provoked went wrong; 1 otherwise.
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
from benchmarks.clients import ClientFailedError, Item, Reply, hear
from benchmarks.load import MORE_DESCRIPTORS, leaks, percentile, row
from benchmarks.plot import Panel
from benchmarks.processes import Look
from benchmarks.servers import Program, Server, ServerFailedError, clients, free_port, running
from benchmarks.talk import HOST

CACHE_MEMORY, CACHE_DISK = 8, 20
"""Megabytes: less than what is said in a minute, so that there is always something to evict."""
PATIENCE = ("--idle-timeout", "20", "--event-timeout", "4", "--send-timeout", "10")
"""The server's: short, so that its limits are met often. Python's streams take up to 256 kB at a time and
nothing until most of that is gone, so that who plays in real time may read nothing for 5.3 s."""
PROBE = "The probe is spoken once a second, and it always says the same."
KNOWN = "The known probe comes from the cache."
PROBE_EVERY = 1.0
PROBE_TIMEOUT = 30.0
WINDOW = 300.0
"""Seconds at the start and the end that are compared, or a third of a shorter run."""
RAMP = 60.0
"""Seconds after the start that do not count, while caches fill; a tenth of a shorter run."""
SLOWER = 1.5
"""The last median of a latency to the first that is still flat: neighbours on the machine do as much."""
SLOWER_BY = 0.005
"""Seconds that it may be more, whatever the ratio: what comes from the cache takes a millisecond."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One sentence with a stopwatch."""

    at: float
    made: float
    """Seconds to the first sound where it has to be made."""
    known: float
    """The same, where it comes from the cache."""


@dataclass(slots=True)
class Soak:
    """What was measured."""

    began: float = 0.0
    looks: list[Look] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    visits: dict[str, Any] = field(default_factory=dict)
    """What the visitors told last."""
    cache: dict[str, Any] = field(default_factory=dict)
    """What the server says of its caches in the end."""
    faults: list[str] = field(default_factory=list)
    before: Look | None = None
    after: Look | None = None
    """When all visitors have left."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.looks[-1].at - self.began if self.looks else 0.0


def main() -> int:
    """Soak as the command line says; return the exit status."""
    options = _options()
    soak = Soak()
    try:
        asyncio.run(_soak(options, soak))
    except (KeyboardInterrupt, asyncio.CancelledError):
        soak.faults.append(f"interrupted after {soak.seconds / 60:.1f} minutes")
    except (ServerFailedError, ClientFailedError, OSError) as error:
        soak.faults.append(str(error) or type(error).__name__)
    rows = _verdict(soak)
    print("\n" + "\n".join(rows))
    _tell_visits(soak)
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
    parser.add_argument("--minutes", type=float, default=30.0, help="of traffic (%(default)g)")
    parser.add_argument("--visitors", type=int, default=8, help="at a time (%(default)s)")
    parser.add_argument("--options", default="", metavar="TEXT", help="more options for the server")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw memory, descriptors and latency")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every look and every probe there")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the server's log there")
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
    print(f"{options.minutes:g} minutes, {options.visitors} visitors\n")
    http_port = free_port()
    with tempfile.TemporaryDirectory() as place:
        async with running(_program(Path(place), http_port, options)) as server:
            await server.ready()
            await _probe(server.port)  # connects, and makes the known sentence known
            soak.before = server.tree.look()
            try:
                await _traffic(server, http_port, options, soak)
            finally:
                soak.faults += [f"log: {line}" for line in server.logged("ERROR", "CRITICAL")[:20]]
                if options.log:
                    server.keep_log(options.log)


def _program(place: Path, http_port: int, options: argparse.Namespace) -> Program:
    """Return how to start a server that has to evict, and whose patience is short."""
    command = [
        *(sys.executable, "-m", "wyoming_qwen3tts", "--uri", f"tcp://{HOST}:{{port}}"),
        *("--http-port", str(http_port), "--data-dir", str(place), "--espeak-languages", "de,es,fr"),
        *("--cache-memory", str(CACHE_MEMORY), "--cache-disk", str(CACHE_DISK), "--cache-live", *PATIENCE),
    ]
    return Program("server", [*command, *shlex.split(options.options)])


async def _traffic(server: Server, http_port: int, options: argparse.Namespace, soak: Soak) -> None:
    """Let the visitors come, and look at the server until the time is over; fill ``soak``."""
    soak.began = time.perf_counter()
    helpers = [
        asyncio.create_task(processes.watch(server.tree, soak.looks)),
        asyncio.create_task(_probes(server.port, soak)),
        asyncio.create_task(_minutes(soak)),
    ]
    try:
        async with _visitors(server.port, http_port, options.visitors, soak) as process:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.minutes * 60):
                    await asyncio.wait(
                        [asyncio.create_task(process.wait()), *helpers], return_when=asyncio.FIRST_COMPLETED
                    )
                    soak.faults.append("the visitors or the probes ended early")
    finally:
        for helper in helpers:
            helper.cancel()
        for ended in await asyncio.gather(*helpers, return_exceptions=True):
            if isinstance(ended, Exception):
                soak.faults.append(f"{type(ended).__name__}: {ended}")
    await server.quiet()
    soak.after = server.tree.look()
    soak.cache = await _caches(http_port)


@asynccontextmanager
async def _visitors(
    port: int, http_port: int, count: int, soak: Soak
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the visitors' process; note what it tells."""
    async with clients("benchmarks.visitors", str(port), str(http_port), str(count)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        noting = asyncio.create_task(_note(process.stdout, soak))
        try:
            yield process
        finally:
            process.stdin.close()
            await asyncio.wait([noting], timeout=20)


async def _note(told: asyncio.StreamReader, soak: Soak) -> None:
    while line := await told.readline():
        soak.visits = json.loads(line)


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
    """Have both sentences spoken, on a new connection; the time to connect is not counted."""
    client = AsyncTcpClient(HOST, port)
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await client.connect()
            began = time.perf_counter()
            made = await _first(client, _Uncached([PROBE], None, streamed=False))
            known = await _first(client, Item([KNOWN], None, streamed=False))
            return Probe(began, made, known)
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()


class _Uncached(Item):
    """Something that has to be made, whatever is kept."""

    __slots__ = ()

    def events(self) -> list[Event]:
        """Return what a client sends."""
        (event,) = Item.events(self)
        event.data["context"] = {"cache": False}
        return [event]


async def _first(client: AsyncTcpClient, item: Item) -> float:
    reply = Reply(0, 0, time.perf_counter())
    await hear(client, item, reply, paced=False, over=asyncio.Event())
    return reply.first


async def _caches(http_port: int) -> dict[str, Any]:
    """Return what the server says of its caches."""
    reader, writer = await asyncio.open_connection(HOST, http_port)
    writer.write(b"GET /v1/cache HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read(-1)
    writer.close()
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


# -- as it goes ----------------------------------------------------------------------------------------------


async def _minutes(soak: Soak) -> None:
    """Print a row a minute."""
    head = (
        "minute",
        "memory",
        "descriptors",
        "threads",
        "cores",
        "made, p50",
        "known, p50",
        "visits",
        "faults",
    )
    print(f"{row(head)}\n{row(['---'] * len(head))}", flush=True)
    for minute in range(1, 1_000_000):
        await asyncio.sleep(soak.began + minute * 60 - time.perf_counter())
        since = soak.began + minute * 60 - 60
        looks = [look for look in soak.looks if look.at >= since]
        probes = [probe for probe in soak.probes if probe.at >= since]
        cells = [
            str(minute),
            f"{processes.median(looks, lambda look: look.memory):.0f} MiB",
            f"{processes.median(looks, lambda look: look.descriptors):.0f}",
            f"{processes.median(looks, lambda look: look.threads):.0f}",
            f"{_cores(looks):.2f}",
            _milliseconds([probe.made for probe in probes]),
            _milliseconds([probe.known for probe in probes]),
            str(sum(soak.visits.get("visits", {}).values())),
            str(soak.visits.get("faults", 0) + len(soak.faults)),
        ]
        print(row(cells), flush=True)


def _cores(looks: Sequence[Look]) -> float:
    """Return how many cores were busy on average."""
    if len(looks) < 2:
        return math.nan
    return (looks[-1].cpu - looks[0].cpu) / (looks[-1].at - looks[0].at)


def _milliseconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values) * 1000:.1f} ms" if values else "-"


# -- in the end ----------------------------------------------------------------------------------------------


def _verdict(soak: Soak) -> list[str]:
    """Return the table of the first minutes against the last; add to the faults what is not flat."""
    window, ramp = min(WINDOW, soak.seconds / 3), min(RAMP, soak.seconds / 10)
    first, last = processes.ends(soak.looks, window, ramp)
    if not first or not last:
        return ["There is too little to compare."]
    soak.faults += leaks(soak.looks, window, ramp)
    if soak.before and soak.after:
        left = soak.after.descriptors - soak.before.descriptors
        if left > MORE_DESCRIPTORS:
            soak.faults.append(f"{left} more descriptors are open than before the visitors came")
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
    numbers: dict[str, Callable[[Look], float]] = {
        "memory, MiB": lambda look: look.memory,
        "descriptors": lambda look: look.descriptors,
        "threads": lambda look: look.threads,
    }
    after_ramp = [look for look in soak.looks if look.at >= soak.began + ramp]
    for name, number in numbers.items():
        a_trend = trend([(look.at / 3600, number(look)) for look in after_ramp])
        rows.append(_row(name, processes.median(first, number), processes.median(last, number), a_trend))
    early = [probe for probe in soak.probes if first[0].at <= probe.at <= first[-1].at]
    late = [probe for probe in soak.probes if probe.at >= last[0].at]
    for name in ("made", "known"):
        before, after = (sorted(getattr(probe, name) for probe in some) for some in (early, late))
        for share in (50, 95):
            a, b = percentile(before, share) * 1000, percentile(after, share) * 1000
            rows.append(_row(f"first sound, {name}, p{share}, ms", a, b))
            if share == 50 and b > max(a * SLOWER, a + SLOWER_BY * 1000):
                soak.faults.append(f"first sound, {name}: {a:.1f} ms became {b:.1f} ms")
    return rows


def _row(name: str, before: float, after: float, a_trend: float = math.nan) -> str:
    ratio = after / before if before else math.nan
    shown = "" if math.isnan(a_trend) else f"{a_trend:+.1f} an hour"
    return row((name, f"{before:.1f}", f"{after:.1f}", f"{ratio:.2f}", shown))


def trend(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line through points, by least squares."""
    if len(points) < 2:
        return math.nan
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _tell_visits(soak: Soak) -> None:
    """Print what the visitors did and what the caches hold; make faults of theirs ours."""
    visits = soak.visits.get("visits", {})
    print(
        f"\n{sum(visits.values())} visits, {soak.visits.get('sound', 0):.0f} s of sound: ",
        end="",
    )
    print(", ".join(f"{count} {kind}" for kind, count in sorted(visits.items())) or "none")
    if soak.cache:
        print(f"Caches: {json.dumps(soak.cache)}")
    soak.faults += soak.visits.get("shown", [])
    if (more := soak.visits.get("faults", 0) - len(soak.visits.get("shown", []))) > 0:
        soak.faults.append(f"and {more} more faults of visits")
    soak.faults += [f"a visitor died: {ended}" for ended in soak.visits.get("ended", [])]


def _panels(soak: Soak) -> list[Panel]:
    """Return what is drawn: looks as they are, latencies as medians of ten."""

    def line(of: Callable[[Look], float]) -> list[tuple[float, float]]:
        return [((look.at - soak.began) / 60, of(look)) for look in soak.looks]

    def latency(of: Callable[[Probe], float]) -> list[tuple[float, float]]:
        tens = [soak.probes[start : start + 10] for start in range(0, len(soak.probes), 10)]
        return [((ten[0].at - soak.began) / 60, statistics.median(map(of, ten)) * 1000) for ten in tens]

    return [
        Panel("Resident memory, MiB", {"memory": line(lambda look: look.memory)}),
        Panel(
            "Open descriptors and threads",
            {
                "descriptors": line(lambda look: look.descriptors),
                "threads": line(lambda look: look.threads),
            },
        ),
        Panel("First sound of a sentence that is made, ms", {"made": latency(lambda probe: probe.made)}),
        Panel("First sound of a sentence that is known, ms", {"known": latency(lambda probe: probe.known)}),
    ]


if __name__ == "__main__":
    sys.exit(main())
