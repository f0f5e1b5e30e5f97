"""Many clients at once: how soon, how steadily and how fairly they are spoken to, and what that takes.

    python -m benchmarks.load [--clients 1 8 32 128] [--minutes 2] [--engine builtin|tiny|both] …

Starts a server that keeps nothing of what it says, has every reply spoken alone, and then lets so many
clients ask for them, one step after the other; prints a row a step as it comes. README.md has the columns.

Exit status: 0 all was whole and nothing grew; 1 something was cut, wrong, lost or leaked, or failed. Refusals
(``busy``, before any sound) are counted and are no failure.
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
from benchmarks.clients import CUT, DIFFERS, WRONG, ClientFailedError, Item, Plan, Reply, hear
from benchmarks.processes import Look, Tree
from benchmarks.servers import Program, Server, ServerFailedError, clients, running
from benchmarks.talk import HOST, LONG_TEXT

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
"""Of a tiny checkpoint."""

PAUSE = 0.5
"""Longest pause of a client between its requests, seconds."""
PATIENCE = 240.0
"""Seconds for the last replies of a step to end, and for what was noted to come back."""
WINDOW = 60.0
"""Seconds at the start and the end of a step that are compared, or a third of a shorter one."""
RAMP = 10.0
"""Seconds after a step's start that do not count, while buffers are made. A sixth of a shorter step."""
GROWTH = 1.1
"""Memory at the end of a step to its start that is no leak yet."""
SLACK = 32.0
"""MiB that memory may grow whatever it is: allocators keep pages. As much sound is made in some seconds."""
MORE_DESCRIPTORS = 8
MORE_THREADS = 8
"""Threads that may come during a step: pools start theirs when they are first wanted."""
REFUSALS = frozenset({"busy"})
"""Codes that are no failure where they come before any sound."""
HEAD = (
    "clients",
    "first audio p50 / p95 / p99",
    "underruns (replies of all), dry",
    "fairness: fast / paced / first",
    "sound a second",
    "memory first -> last",
    "descriptors",
    "threads",
    "cores",
    "replies",
    "errors",
    "not as alone",
    "lag",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A server to load."""

    uri: str
    tree: Tree | None
    """Its process, where that is known."""
    server: Server | None = None
    """Where we have started it."""


@dataclass(slots=True)
class Step:
    """What was measured with so many clients. Times are in seconds, memory in MiB."""

    engine: str
    clients: int
    seconds: float
    """For which requests were made."""
    replies: list[Reply] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    paced: Sequence[int] = ()
    lag: float = 0.0
    """How late the clients' processes woke, p99: no time here is better than that."""
    before: Look | None = None
    after: Look | None = None
    """When all clients have left."""
    faults: list[str] = field(default_factory=list)

    @property
    def whole(self) -> list[Reply]:
        """The replies that ended as they should."""
        return [reply for reply in self.replies if not reply.error]

    @property
    def refused(self) -> list[Reply]:
        """The requests that were refused before any sound."""
        return [reply for reply in self.replies if reply.error in REFUSALS and not reply.sound]

    def firsts(self) -> list[float]:
        """Return the times to first sound, in order."""
        return sorted(reply.first for reply in self.replies if not math.isnan(reply.first))

    def shares(self, *, paced: bool) -> list[float]:
        """Return each client's seconds of sound a second of wanting it, of those paced or of the others."""
        found = []
        for mine in self._by_client():
            if (mine[0].client in self.paced) != paced:
                continue
            # Who plays has no use for sound before its time.
            wanted = sum(max(reply.total, reply.sound) if paced else reply.total for reply in mine)
            if wanted > 0:
                found.append(sum(reply.sound for reply in mine) / wanted)
        return found

    def waits(self) -> list[float]:
        """Return each client's median time to first sound."""
        firsts = (
            [reply.first for reply in mine if not math.isnan(reply.first)] for mine in self._by_client()
        )
        return [statistics.median(mine) for mine in firsts if mine]

    def _by_client(self) -> list[list[Reply]]:
        found: dict[int, list[Reply]] = {}
        for reply in self.replies:
            if not math.isnan(reply.total):
                found.setdefault(reply.client, []).append(reply)
        return list(found.values())


def main() -> int:
    """Measure as the command line says; return the exit status."""
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
    parser.add_argument("--minutes", type=float, default=2.0, help="of every step (%(default)g)")
    parser.add_argument("--engine", choices=("builtin", "tiny", "both"), default="builtin")
    parser.add_argument(
        "--paced",
        choices=("half", "all", "none"),
        nargs="?",
        const="all",
        default="half",
        help="clients that read only as fast as they play; the others as fast as they can (%(default)s)",
    )
    parser.add_argument(
        "--uri", help="a server that runs, instead of one of our own; its caches should be off"
    )
    parser.add_argument("--pid", type=int, help="that server's process, to look at what it takes")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data directory; an empty one")
    parser.add_argument("--options", default="", metavar="TEXT", help="more options for the server")
    parser.add_argument("--processes", type=int, default=1, help="that the clients run in (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every reply and every look there")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the log of our last server there")
    return parser.parse_args()


async def _measure(options: argparse.Namespace, steps: list[Step]) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    engines = ["builtin", "tiny"] if options.engine == "both" else [options.engine]
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", end="; ")
    print(f"{options.minutes:g} minutes a step, {options.paced} of the clients paced")
    for engine in ["the server's"] if options.uri else engines:
        with tempfile.TemporaryDirectory() as place:
            async with _target(engine, Path(place), options) as target:
                items = await _alone(engine, target, Path(place))
                print(f"\n{row(HEAD)}\n{row(['---'] * len(HEAD))}", flush=True)
                for clients in options.clients:
                    step = Step(engine, clients, options.minutes * 60)
                    steps.append(step)
                    try:
                        await _step(step, target, _decks(items), options)
                    finally:
                        judge(step)
                        print(row(_cells(step)), flush=True)


# -- the server ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _target(engine: str, place: Path, options: argparse.Namespace) -> AsyncIterator[Target]:
    """Yield the server that was named, or one of our own."""
    if options.uri:
        yield Target(options.uri, Tree(options.pid) if options.pid else None)
        return
    async with running(_program(engine, place, options)) as server:
        try:
            await server.ready()
            yield Target(f"tcp://{HOST}:{server.port}", server.tree, server)
        finally:
            if options.log:
                server.keep_log(options.log)


def _program(engine: str, place: Path, options: argparse.Namespace) -> Program:
    """Return how to start a server that keeps nothing of what it says."""
    data = options.data or place / "data"
    command = [
        *(sys.executable, "-m", "wyoming_qwen3tts", "--uri", f"tcp://{HOST}:{{port}}"),
        *("--data-dir", str(data), "--cache-memory", "0", "--cache-disk", "0", "--espeak-languages", "none"),
    ]
    command += ["--engine", "qwen3" if engine == "tiny" else "builtin"]  # nobody else is to be heard
    if engine == "tiny":
        command += ["--model", str(tiny_checkpoint(place)), "--device", "cpu", "--frames-per-token", "1"]
    return Program(engine, [*command, *shlex.split(options.options)])


def tiny_checkpoint(place: Path) -> Path:
    """Make a checkpoint with random weights, as small as can be; return its directory."""
    from tests.qwen3 import checkpoints  # imports torch

    return checkpoints.make(place / "tiny")


# -- the replies ---------------------------------------------------------------------------------------------


async def _alone(engine: str, target: Target, place: Path) -> list[Item]:
    """Have every reply spoken alone, twice; return them with the files of their samples.

    Raises ClientFailedError where the second is not as the first: nothing could be compared with it.
    """
    voices: Sequence[str | None] = TINY_VOICES if engine == "tiny" else (None,)
    asked = [
        Item([f"{end}" for end in _sentences(text)], voices[number % len(voices)], streamed)
        for streamed in (False, True)
        for number, text in enumerate((*SHORT, *MEDIUM, *LONG))
    ]
    client = AsyncClient.from_uri(target.uri)
    await client.connect()
    found: list[Item] = []
    began, sound = time.perf_counter(), 0.0
    try:
        for voice in voices:  # what is measured once for a voice is measured now
            await _spoken(client, Item([SHORT[0]], voice, streamed=False))
        for number, item in enumerate(asked):
            pcm, reply = await _spoken(client, item)
            sound += reply.sound
            file = place / f"{number}.pcm"
            file.write_bytes(pcm)
            found.append(replace(item, reference=str(file)))
        again = [(await _spoken(client, item))[1] for item in found]
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()
    took = time.perf_counter() - began
    changed = sum(bool(reply.verdict) for reply in again)
    print(
        f"\n{engine}: {len(found)} replies, {sound:.0f} s of sound, spoken alone twice in {took:.0f} s",
        end="",
    )
    print(f"; {changed or 'none'} of the second differ from the first", flush=True)
    if any(reply.verdict in {CUT, WRONG} for reply in again):
        raise ClientFailedError("a reply that is spoken alone twice is not the same twice")
    return found


def _sentences(text: str) -> list[str]:
    """Return a text's sentences; ours have no other stops."""
    marked = text.replace(". ", ".\n").replace("? ", "?\n")
    return marked.split("\n")


async def _spoken(client: AsyncClient, item: Item) -> tuple[bytes, Reply]:
    """Return the samples of a reply, none where it has been compared with a reference."""
    reply = Reply(0, 0, time.perf_counter())
    return await hear(client, item, reply, paced=False, over=asyncio.Event()), reply


def _decks(items: Sequence[Item]) -> list[list[Item]]:
    """Return the items in four decks of one mix: three short, two of medium length, one long."""
    size = len(SHORT) + len(MEDIUM) + len(LONG)
    forms = items[:size], items[size:]
    decks: list[list[Item]] = [[], [], [], []]
    for form, (first, second) in zip(forms, ((0, 1), (2, 3)), strict=True):
        for number, item in enumerate(form):
            decks[first if number % 2 else second].append(item)
    return decks


# -- a step --------------------------------------------------------------------------------------------------


async def _step(step: Step, target: Target, decks: list[list[Item]], options: argparse.Namespace) -> None:
    """Let the clients ask; fill ``step``, also with what there is when it is cancelled."""
    numbers = range(step.clients)
    every = {"none": step.clients + 1, "half": 2, "all": 1}[options.paced]
    step.paced = [number for number in numbers if (number + 1) % every == 0]
    step.before = target.tree.look() if target.tree else None
    watching = asyncio.create_task(processes.watch(target.tree, step.looks)) if target.tree else None
    count = min(options.processes, step.clients)
    crews = [
        asyncio.create_task(
            _pool(Plan(target.uri, numbers[start::count], step.paced, step.seconds, PAUSE, decks))
        )
        for start in range(count)
    ]
    began = time.perf_counter()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(step.seconds):
                await asyncio.wait(crews)  # it ends only where a crew failed
    except asyncio.CancelledError:
        step.seconds = time.perf_counter() - began
        step.faults.append(f"interrupted after {step.seconds:.0f} s")
        raise
    finally:
        if watching:
            watching.cancel()
        await _come_home(step, crews)
    if target.server is not None:
        await target.server.quiet()
    step.after = target.tree.look() if target.tree else None


async def _pool(plan: Plan) -> dict[str, Any]:
    """Run a process of clients; return what it noted, also where it is cancelled and ends early."""
    async with clients("benchmarks.clients") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({**asdict(plan), "numbers": list(plan.numbers)}).encode() + b"\n")
        reading = asyncio.create_task(process.stdout.read())
        try:
            await asyncio.wait([reading], timeout=plan.seconds + PATIENCE)
        except asyncio.CancelledError:
            process.stdin.close()
            await asyncio.wait([reading], timeout=PATIENCE)
        if not reading.done():
            raise ClientFailedError("the clients did not come back")
        noted: dict[str, Any] = json.loads(reading.result() or b"{}")
        if not noted:
            raise ClientFailedError("the clients' process failed")
        return noted


async def _come_home(step: Step, crews: Iterable[asyncio.Task[dict[str, Any]]]) -> None:
    """Put what the clients noted into ``step``, when all have heard their last reply to its end."""
    if step.faults:
        for crew in crews:
            crew.cancel()
    for noted in await asyncio.gather(*crews, return_exceptions=True):
        if isinstance(noted, BaseException):
            step.faults.append(str(noted) or type(noted).__name__)
            continue
        step.lag = max(step.lag, noted["lag"])
        for each in noted["replies"]:
            found: dict[str, Any] = {
                name: math.nan if value is None else value for name, value in each.items()
            }
            step.replies.append(Reply(**found))


# -- the verdict ---------------------------------------------------------------------------------------------


def judge(step: Step) -> None:
    """Add to ``step`` what was cut, wrong, lost or leaked."""
    for verdict in (CUT, WRONG, *([DIFFERS] if step.engine == "builtin" else [])):
        if bad := sum(reply.verdict == verdict for reply in step.replies):
            step.faults.append(f"{bad} replies {verdict}")
    refused = set(map(id, step.refused))
    broken = [reply for reply in step.replies if reply.error and id(reply) not in refused]
    for (code, sounded), times in Counter((reply.error, reply.sound > 0) for reply in broken).items():
        step.faults.append(f"{times} times {code} {'after' if sounded else 'before'} the first sound")
    if not step.whole:
        step.faults.append("no reply came to its end")
    step.faults += leaks(step.looks, *_windows(step))
    if step.before and step.after:
        left = step.after.descriptors - step.before.descriptors
        if left > MORE_DESCRIPTORS:
            step.faults.append(f"{left} more descriptors are open than before the clients came")


def leaks(looks: Sequence[Look], window: float, ramp: float) -> list[str]:
    """Return what grew from the first ``window`` seconds after ``ramp`` to the last; medians."""
    first, last = processes.ends(looks, window, ramp)
    found = []
    before, after = (processes.median(some, lambda look: look.memory) for some in (first, last))
    if after > max(before * GROWTH, before + SLACK):
        found.append(f"memory grew from {before:.0f} to {after:.0f} MiB")
    before, after = (processes.median(some, lambda look: look.descriptors) for some in (first, last))
    if after > before + MORE_DESCRIPTORS:
        found.append(f"descriptors grew from {before:.0f} to {after:.0f}")
    before, after = (processes.median(some, lambda look: look.threads) for some in (first, last))
    if after > before + MORE_THREADS:
        found.append(f"threads grew from {before:.0f} to {after:.0f}")
    return found


def _windows(step: Step) -> tuple[float, float]:
    """Return the seconds that are compared, and those before that do not count."""
    return min(WINDOW, step.seconds / 3), min(RAMP, step.seconds / 6)


def jain(values: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 where all got the same, 1/n where one got all."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else math.nan


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted ``values`` that ``share`` percent are not above."""
    return values[math.ceil(len(values) * share / 100) - 1] if values else math.nan


# -- the table -----------------------------------------------------------------------------------------------


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(step: Step) -> list[str]:
    firsts = step.firsts()
    dry = [reply for reply in step.replies if reply.underruns]
    fairness = (jain(step.shares(paced=False)), jain(step.shares(paced=True)), jain(step.waits()))
    failed = [reply for reply in step.replies if reply.error]
    errors = Counter(f"{reply.error}{' after sound' if reply.sound else ''}" for reply in failed)
    verdicts = Counter(reply.verdict for reply in step.replies)
    del verdicts[""]
    near = [reply for reply in step.replies if reply.verdict == DIFFERS]
    return [
        str(step.clients),
        " / ".join(f"{percentile(firsts, share) * 1000:.0f}" for share in (50, 95, 99)) + " ms",
        f"{sum(reply.underruns for reply in dry)} ({len(dry)} of {len(step.whole)}),"
        f" {sum(reply.dry for reply in dry):.1f} s",
        " / ".join("-" if math.isnan(each) else f"{each:.3f}" for each in fairness),
        f"{sum(reply.in_time for reply in step.replies) / step.seconds:.1f} s" if step.seconds else "-",
        *_taken(step),
        str(len(step.whole)),
        ", ".join(f"{times} {code}" for code, times in errors.most_common()) or "none",
        ", ".join(f"{times} {verdict}" for verdict, times in verdicts.most_common()) + _how(near) or "none",
        f"{step.lag * 1000:.0f} ms",
    ]


def _how(near: Sequence[Reply]) -> str:
    """Return by how much replies differ that nearly are as alone."""
    if not near:
        return ""
    least, most = min(reply.correlation for reply in near), max(reply.most for reply in near)
    return f" (by {most} of 32768 at most, correlation from {least:.8f} on)"


def _taken(step: Step) -> list[str]:
    """Return the cells for memory, descriptors, threads and cores."""
    first, last = processes.ends(step.looks, *_windows(step))
    if not first or not last:
        return ["-"] * 4
    before, after = (processes.median(some, lambda look: look.memory) for some in (first, last))
    descriptors = (processes.median(some, lambda look: look.descriptors) for some in (first, last))
    threads = (processes.median(some, lambda look: look.threads) for some in (first, last))
    wall = step.looks[-1].at - step.looks[0].at
    cores = (step.looks[-1].cpu - step.looks[0].cpu) / wall if wall else math.nan
    return [
        f"{before:.0f} -> {after:.0f} MiB ({after / before:.2f})",
        " -> ".join(f"{each:.0f}" for each in descriptors),
        " -> ".join(f"{each:.0f}" for each in threads),
        f"{cores:.2f}",
    ]


def to_json(step: Step) -> dict[str, Any]:
    """Return all that was measured in a step."""
    kept: dict[str, Any] = asdict(step)
    return {**kept, "replies": [reply.to_json() for reply in step.replies], "paced": list(step.paced)}


if __name__ == "__main__":
    sys.exit(main())
