"""Load test: latency, underruns, fairness and resource use with many concurrent clients.

    python -m benchmarks.load [--clients 1 8 32 128] [--minutes 2] [--engine builtin|tiny|both] …

Starts a server without a cache, records every reply once without other requests, and then requests them from
each number of clients, one step after another; prints a row per step. README.md explains the columns.

Exit status: 0 all replies were complete and nothing leaked; 1 a reply was truncated, wrong or missing, or a
resource grew. Rejections (``busy``, before any audio) are counted and are no failure.
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
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from wyoming.client import AsyncClient

from benchmarks import processes
from benchmarks.load_clients import (
    DIFFERS,
    TRUNCATED,
    WRONG,
    ClientFailedError,
    Item,
    Plan,
    Reply,
    receive_reply,
)
from benchmarks.processes import ProcessSample, ProcessTree
from benchmarks.servers import Program, Server, ServerFailedError, clients, running
from benchmarks.speech_requests import HOST, LONG_TEXT

SHORT = (
    "The front door is open.",
    "It is twenty one degrees in the kitchen.",
    "The washing machine has finished.",
    "Good evening, all the lights are off.",
    "The next bus leaves in six minutes.",
    "I have turned the heating down.",
)
MEDIUM = (
    "Tomorrow will be cloudy with some rain in the evening. The high is fourteen degrees.",
    "You have three appointments today. The first is at nine with the dentist. Shall I read the others?",
    "The garage has been open for an hour. Nobody is at home. I can close it if you like.",
    "The oven has reached its temperature. Put the bread on the middle shelf and wait for half an hour.",
)
LONG = (" ".join(LONG_TEXT[:5]), " ".join(LONG_TEXT[5:]))
TINY_VOICES = ("serena", "ryan")
"""Voices of a tiny checkpoint."""

MAX_PAUSE = 0.5
"""Longest pause of a client between its requests, seconds."""
REPLY_TIMEOUT = 240.0
"""Seconds for the last replies of a step to end, and for the results of the clients to arrive."""
WINDOW_SECONDS = 60.0
"""Seconds at the start and the end of a step that are compared, or a third of a shorter one."""
RAMP_UP_SECONDS = 10.0
"""Seconds after a step's start that are ignored, while buffers grow; a sixth of a shorter step."""
MAX_MEMORY_RATIO = 1.1
"""Ratio of memory at the end of a step to its start that is no leak."""
MAX_MEMORY_GROWTH_MIB = 32.0
"""MiB by which memory may always grow: allocators keep pages. As much audio is generated in some seconds."""
MAX_DESCRIPTOR_GROWTH = 8
MAX_THREAD_GROWTH = 8
"""Threads that may be added during a step: pools start theirs on demand."""
REJECTION_CODES = frozenset({"busy"})
"""Error codes that are no failure before any audio."""
COLUMNS = (
    "clients",
    "first audio p50 / p95 / p99",
    "underruns (replies of all), stalled",
    "fairness: fast / paced / first",
    "audio per second",
    "memory first -> last",
    "descriptors",
    "threads",
    "cores",
    "replies",
    "errors",
    "unlike reference",
    "lag",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure."""

    uri: str
    tree: ProcessTree | None
    """Its process; None if unknown."""
    server: Server | None = None
    """None for a server that was running before."""


@dataclass(slots=True)
class Step:
    """Measurements with one number of clients. Times are in seconds, memory in MiB."""

    engine: str
    clients: int
    seconds: float
    """Duration for which requests were sent."""
    replies: list[Reply] = field(default_factory=list)
    samples: list[ProcessSample] = field(default_factory=list)
    paced: Sequence[int] = ()
    lag: float = 0.0
    """By how much the clients' processes woke late, p99: the resolution of the times."""
    before: ProcessSample | None = None
    after: ProcessSample | None = None
    """After all clients have disconnected."""
    faults: list[str] = field(default_factory=list)

    @property
    def complete(self) -> list[Reply]:
        """The complete replies."""
        return [reply for reply in self.replies if not reply.error]

    @property
    def rejected(self) -> list[Reply]:
        """The requests that were rejected before any audio."""
        return [reply for reply in self.replies if reply.error in REJECTION_CODES and not reply.sound]

    def first_audio_times(self) -> list[float]:
        """Return the sorted times to first audio."""
        return sorted(reply.first for reply in self.replies if not math.isnan(reply.first))

    def audio_rates(self, *, paced: bool) -> list[float]:
        """Return the audio per second of demand of each client, of the paced ones or of the others."""
        found = []
        for mine in self._by_client():
            if (mine[0].client in self.paced) != paced:
                continue
            # A client that plays does not need audio before its playback time.
            wanted = sum(max(reply.total, reply.sound) if paced else reply.total for reply in mine)
            if wanted > 0:
                found.append(sum(reply.sound for reply in mine) / wanted)
        return found

    def median_first_audio_times(self) -> list[float]:
        """Return each client's median time to first audio."""
        first_audio_times = (
            [reply.first for reply in mine if not math.isnan(reply.first)] for mine in self._by_client()
        )
        return [statistics.median(mine) for mine in first_audio_times if mine]

    def _by_client(self) -> list[list[Reply]]:
        found: dict[int, list[Reply]] = {}
        for reply in self.replies:
            if not math.isnan(reply.total):
                found.setdefault(reply.client, []).append(reply)
        return list(found.values())


def main() -> int:
    """Run the load test; return the exit status."""
    options = _options()
    steps: list[Step] = []
    faults: list[str] = []
    try:
        asyncio.run(_measure(options, steps))
    except (KeyboardInterrupt, asyncio.CancelledError):
        faults.append("interrupted")
    except (ServerFailedError, ClientFailedError, OSError) as error:
        faults.append(str(error) or type(error).__name__)
    faults += [f"{step.engine}, {step.clients} clients: {fault}" for step in steps for fault in step.faults]
    if options.json:
        options.json.write_text(json.dumps({"faults": faults, "steps": [to_json(step) for step in steps]}))
    print(f"\nFaults: {len(faults) or 'none'}")
    for fault in faults:
        print(f"- {fault}")
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128], metavar="N")
    parser.add_argument("--minutes", type=float, default=2.0, help="duration of each step (%(default)g)")
    parser.add_argument(
        "--engine", choices=("builtin", "tiny", "both"), default="builtin", help="voice, or tiny checkpoint"
    )
    parser.add_argument(
        "--paced",
        choices=("half", "all", "none"),
        nargs="?",
        const="all",
        default="half",
        help="clients that read only as fast as they play; others read as fast as possible (%(default)s)",
    )
    parser.add_argument(
        "--uri", help="measure a running server, whose caches should be off, instead of starting one"
    )
    parser.add_argument("--pid", type=int, help="process of that server, to measure its resources")
    parser.add_argument("--data", type=Path, metavar="DIR", help="empty data directory for the server")
    parser.add_argument("--options", default="", metavar="TEXT", help="further options for the server")
    parser.add_argument("--processes", type=int, default=1, help="number of client processes (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all replies and resource samples")
    parser.add_argument("--log", type=Path, metavar="FILE", help="file for the log of the last server")
    return parser.parse_args()


async def _measure(options: argparse.Namespace, steps: list[Step]) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    engines = ["builtin", "tiny"] if options.engine == "both" else [options.engine]
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", end="; ")
    print(f"{options.minutes:g} minutes per step, paced clients: {options.paced}")
    for engine in ["the server's"] if options.uri else engines:
        with tempfile.TemporaryDirectory() as directory:
            async with _target(engine, Path(directory), options) as target:
                items = await _speak_alone(engine, target, Path(directory))
                print(f"\n{row(COLUMNS)}\n{row(['---'] * len(COLUMNS))}", flush=True)
                for clients in options.clients:
                    step = Step(engine, clients, options.minutes * 60)
                    steps.append(step)
                    try:
                        await _step(step, target, _make_decks(items), options)
                    finally:
                        find_faults(step)
                        print(row(_cells(step)), flush=True)


# -- the server ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _target(engine: str, directory: Path, options: argparse.Namespace) -> AsyncIterator[Target]:
    """Yield the server at ``--uri``, or start one."""
    if options.uri:
        yield Target(options.uri, ProcessTree(options.pid) if options.pid else None)
        return
    async with running(_program(engine, directory, options)) as server:
        try:
            await server.ready()
            yield Target(f"tcp://{HOST}:{server.port}", server.tree, server)
        finally:
            if options.log:
                server.keep_log(options.log)


def _program(engine: str, directory: Path, options: argparse.Namespace) -> Program:
    """Return the command for a server without a cache."""
    data = options.data or directory / "data"
    command = [
        *(sys.executable, "-m", "wyoming_qwen3tts", "--uri", f"tcp://{HOST}:{{port}}"),
        *("--data-dir", str(data), "--cache-memory", "0", "--cache-disk", "0", "--espeak-languages", "none"),
    ]
    command += ["--engine", "qwen3" if engine == "tiny" else "builtin"]  # no fallback
    if engine == "tiny":
        command += ["--model", str(tiny_checkpoint(directory)), "--device", "cpu", "--frames-per-token", "1"]
    return Program(engine, [*command, *shlex.split(options.options)])


def tiny_checkpoint(directory: Path) -> Path:
    """Create the smallest possible checkpoint with random weights; return its directory."""
    from tests.qwen3 import checkpoints  # imports torch

    return checkpoints.make(directory / "tiny")


# -- the replies ---------------------------------------------------------------------------------------------


async def _speak_alone(engine: str, target: Target, directory: Path) -> list[Item]:
    """Record every reply twice without other requests; return the items with their references.

    Raises ClientFailedError where both differ, so that there is no reference.
    """
    voices: Sequence[str | None] = TINY_VOICES if engine == "tiny" else (None,)
    planned = [
        Item([f"{end}" for end in _sentences(text)], voices[number % len(voices)], streamed)
        for streamed in (False, True)
        for number, text in enumerate((*SHORT, *MEDIUM, *LONG))
    ]
    client = AsyncClient.from_uri(target.uri)
    await client.connect()
    found: list[Item] = []
    began, sound = time.perf_counter(), 0.0
    try:
        for voice in voices:  # loudness is measured at a voice's first use
            await _speak(client, Item([SHORT[0]], voice, streamed=False))
        for number, item in enumerate(planned):
            pcm, reply = await _speak(client, item)
            sound += reply.sound
            file = directory / f"{number}.pcm"
            file.write_bytes(pcm)
            found.append(replace(item, reference=str(file)))
        repeated = [(await _speak(client, item))[1] for item in found]
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()
    took = time.perf_counter() - began
    changed = sum(bool(reply.verdict) for reply in repeated)
    print(
        f"\n{engine}: {len(found)} reference replies, {sound:.0f} s of audio, recorded twice in {took:.0f} s",
        end="",
    )
    print(f"; {changed or 'none'} differ", flush=True)
    if any(reply.verdict in {TRUNCATED, WRONG} for reply in repeated):
        raise ClientFailedError("the same request gave different audio twice")
    return found


def _sentences(text: str) -> list[str]:
    """Return a text's sentences; the texts of this benchmark have no other full stops."""
    marked = text.replace(". ", ".\n").replace("? ", "?\n")
    return marked.split("\n")


async def _speak(client: AsyncClient, item: Item) -> tuple[bytes, Reply]:
    """Return the samples of a reply; empty if it was compared with a reference."""
    reply = Reply(0, 0, time.perf_counter())
    return await receive_reply(client, item, reply, paced=False, stop=asyncio.Event()), reply


def _make_decks(items: Sequence[Item]) -> list[list[Item]]:
    """Return the items in four decks with the same mix: three short, two medium, one long."""
    size = len(SHORT) + len(MEDIUM) + len(LONG)
    forms = items[:size], items[size:]
    decks: list[list[Item]] = [[], [], [], []]
    for form, (first, second) in zip(forms, ((0, 1), (2, 3)), strict=True):
        for number, item in enumerate(form):
            decks[first if number % 2 else second].append(item)
    return decks


# -- a step --------------------------------------------------------------------------------------------------


async def _step(step: Step, target: Target, decks: list[list[Item]], options: argparse.Namespace) -> None:
    """Run the clients of a step and fill ``step``, with partial results if cancelled."""
    numbers = range(step.clients)
    every = {"none": step.clients + 1, "half": 2, "all": 1}[options.paced]
    step.paced = [number for number in numbers if (number + 1) % every == 0]
    step.before = target.tree.sample() if target.tree else None
    watching = asyncio.create_task(processes.watch(target.tree, step.samples)) if target.tree else None
    count = min(options.processes, step.clients)
    client_tasks = [
        asyncio.create_task(
            _run_clients(Plan(target.uri, numbers[start::count], step.paced, step.seconds, MAX_PAUSE, decks))
        )
        for start in range(count)
    ]
    began = time.perf_counter()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(step.seconds):
                await asyncio.wait(client_tasks)  # it ends early only on a failure
    except asyncio.CancelledError:
        step.seconds = time.perf_counter() - began
        step.faults.append(f"interrupted after {step.seconds:.0f} s")
        raise
    finally:
        if watching:
            watching.cancel()
        await _collect_replies(step, client_tasks)
    if target.server is not None:
        await target.server.quiet()
    step.after = target.tree.sample() if target.tree else None


async def _run_clients(plan: Plan) -> dict[str, Any]:
    """Run a process of clients; return its results, partial ones if cancelled."""
    async with clients("benchmarks.load_clients") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({**asdict(plan), "numbers": list(plan.numbers)}).encode() + b"\n")
        reading = asyncio.create_task(process.stdout.read())
        try:
            await asyncio.wait([reading], timeout=plan.seconds + REPLY_TIMEOUT)
        except asyncio.CancelledError:
            process.stdin.close()
            await asyncio.wait([reading], timeout=REPLY_TIMEOUT)
        if not reading.done():
            raise ClientFailedError("the clients' process did not end")
        results: dict[str, Any] = json.loads(reading.result() or b"{}")
        if not results:
            raise ClientFailedError("the clients' process failed")
        return results


async def _collect_replies(step: Step, client_tasks: Iterable[asyncio.Task[dict[str, Any]]]) -> None:
    """Add the clients' results to ``step``, when all have received their last reply."""
    if step.faults:
        for client_task in client_tasks:
            client_task.cancel()
    for results in await asyncio.gather(*client_tasks, return_exceptions=True):
        if isinstance(results, BaseException):
            step.faults.append(str(results) or type(results).__name__)
            continue
        step.lag = max(step.lag, results["lag"])
        for each in results["replies"]:
            found: dict[str, Any] = {
                name: math.nan if value is None else value for name, value in each.items()
            }
            step.replies.append(Reply(**found))


# -- faults --------------------------------------------------------------------------------------------------


def find_faults(step: Step) -> None:
    """Add the faults of ``step``: truncated, wrong and failed replies, and leaks."""
    for verdict in (TRUNCATED, WRONG, *([DIFFERS] if step.engine == "builtin" else [])):
        if bad := sum(reply.verdict == verdict for reply in step.replies):
            step.faults.append(f"{bad} replies {verdict}")
    rejected = set(map(id, step.rejected))
    broken = [reply for reply in step.replies if reply.error and id(reply) not in rejected]
    for (code, sounded), times in Counter((reply.error, reply.sound > 0) for reply in broken).items():
        step.faults.append(f"{times} times {code} {'after' if sounded else 'before'} the first sound")
    if not step.complete:
        step.faults.append("no reply was complete")
    step.faults += find_growth(step.samples, *_windows(step))
    if step.before and step.after:
        left = step.after.descriptors - step.before.descriptors
        if left > MAX_DESCRIPTOR_GROWTH:
            step.faults.append(f"{left} more descriptors are open than before the clients connected")


def find_growth(samples: Sequence[ProcessSample], window: float, ramp_up: float) -> list[str]:
    """Return which medians grew from the first ``window`` seconds after ``ramp_up`` to the last ones."""
    first, last = processes.ends(samples, window, ramp_up)
    found = []
    before, after = (processes.median(some, lambda sample: sample.memory) for some in (first, last))
    if after > max(before * MAX_MEMORY_RATIO, before + MAX_MEMORY_GROWTH_MIB):
        found.append(f"memory grew from {before:.0f} to {after:.0f} MiB")
    before, after = (processes.median(some, lambda sample: sample.descriptors) for some in (first, last))
    if after > before + MAX_DESCRIPTOR_GROWTH:
        found.append(f"descriptors grew from {before:.0f} to {after:.0f}")
    before, after = (processes.median(some, lambda sample: sample.threads) for some in (first, last))
    if after > before + MAX_THREAD_GROWTH:
        found.append(f"threads grew from {before:.0f} to {after:.0f}")
    return found


def _windows(step: Step) -> tuple[float, float]:
    """Return the seconds of the compared windows, and of the ramp-up."""
    return min(WINDOW_SECONDS, step.seconds / 3), min(RAMP_UP_SECONDS, step.seconds / 6)


def jain(values: Sequence[float]) -> float:
    """Return Jain's fairness index: 1 where all values are equal, 1/n where all but one are 0."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else math.nan


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile of sorted values (nearest rank); ``share``: percent."""
    return values[math.ceil(len(values) * share / 100) - 1] if values else math.nan


# -- the table -----------------------------------------------------------------------------------------------


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(step: Step) -> list[str]:
    first_audio_times = step.first_audio_times()
    stalled = [reply for reply in step.replies if reply.underruns]
    fairness = (
        jain(step.audio_rates(paced=False)),
        jain(step.audio_rates(paced=True)),
        jain(step.median_first_audio_times()),
    )
    failed = [reply for reply in step.replies if reply.error]
    errors = Counter(f"{reply.error}{' after sound' if reply.sound else ''}" for reply in failed)
    verdicts = Counter(reply.verdict for reply in step.replies)
    del verdicts[""]
    similar = [reply for reply in step.replies if reply.verdict == DIFFERS]
    return [
        str(step.clients),
        " / ".join(f"{percentile(first_audio_times, share) * 1000:.0f}" for share in (50, 95, 99)) + " ms",
        f"{sum(reply.underruns for reply in stalled)} ({len(stalled)} of {len(step.complete)}),"
        f" {sum(reply.stall_seconds for reply in stalled):.1f} s",
        " / ".join("-" if math.isnan(each) else f"{each:.3f}" for each in fairness),
        f"{sum(reply.seconds_in_time for reply in step.replies) / step.seconds:.1f} s"
        if step.seconds
        else "-",
        *_resource_cells(step),
        str(len(step.complete)),
        ", ".join(f"{times} {code}" for code, times in errors.most_common()) or "none",
        ", ".join(f"{times} {verdict}" for verdict, times in verdicts.most_common())
        + _describe_difference(similar)
        or "none",
        f"{step.lag * 1000:.0f} ms",
    ]


def _describe_difference(similar: Sequence[Reply]) -> str:
    """Return by how much similar replies differ from their references."""
    if not similar:
        return ""
    least, most = min(reply.correlation for reply in similar), max(reply.max_difference for reply in similar)
    return f" (by {most} of 32768 at most, correlation from {least:.8f} on)"


def _resource_cells(step: Step) -> list[str]:
    """Return the cells for memory, descriptors, threads and cores."""
    first, last = processes.ends(step.samples, *_windows(step))
    if not first or not last:
        return ["-"] * 4
    before, after = (processes.median(some, lambda sample: sample.memory) for some in (first, last))
    descriptors = (processes.median(some, lambda sample: sample.descriptors) for some in (first, last))
    threads = (processes.median(some, lambda sample: sample.threads) for some in (first, last))
    wall = step.samples[-1].at - step.samples[0].at
    cores = (step.samples[-1].cpu - step.samples[0].cpu) / wall if wall else math.nan
    return [
        f"{before:.0f} -> {after:.0f} MiB ({after / before:.2f})",
        " -> ".join(f"{each:.0f}" for each in descriptors),
        " -> ".join(f"{each:.0f}" for each in threads),
        f"{cores:.2f}",
    ]


def to_json(step: Step) -> dict[str, Any]:
    """Return all measurements of a step."""
    kept: dict[str, Any] = asdict(step)
    return {**kept, "replies": [reply.to_json() for reply in step.replies], "paced": list(step.paced)}


if __name__ == "__main__":
    sys.exit(main())
