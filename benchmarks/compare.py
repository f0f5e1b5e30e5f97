"""Compares this server with wyoming-piper, and prints the measurements of both and their ratio.

    python -m benchmarks.compare [--rounds N] [--only speech] …

Both servers run on this machine with their default options, each as a separate process, and are measured
alternately, so that other load on the machine affects both alike. Sections:

- ``start``: from the start of the process to the first response to ``describe``, and to the first audio,
- ``speech``: from a request to its first audio and to its end, texts of one to four sentences,
- ``describe``: duration of ``describe`` while other connections receive speech,
- ``memory``: resident memory after that.

Exit status: 0 measured, whatever the results; 1 a measurement failed, so that the results are unreliable.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import shlex
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for: python benchmarks/compare.py

from benchmarks import environment, speech_requests
from benchmarks.environment import ROOT, VOICE, EnvironmentSetupError, Piper
from benchmarks.servers import Program, Server, ServerFailedError, running
from benchmarks.speech_requests import LONG_TEXT, InvalidResponseError, SpeechTiming, TimedOutError, unique
from wyoming_qwen3tts.progress import Status, clear_line

STATUS = Status()
"""What is measured now."""
STARTS = 3
SLICES = 2
"""Slices of ``describe`` for each server."""
MAX_PAUSE = 0.2
"""Seconds between requests: the other server's idle threads spin for a while after its answer."""
PROBE_EVERY = 0.05
PROBE_TIMEOUT = 30.0
RATIO_TARGET = 0.25
DESCRIBE_TARGET = 0.050

Pair = tuple[Server, Server]
"""This server, and wyoming-piper."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    ours: Program
    piper: Program
    texts: Sequence[Sequence[str]]
    rounds: int
    requests: int
    seconds: float


@dataclass(slots=True)
class Report:
    """The printed report."""

    lines: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def table(self, title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a Markdown table with aligned columns."""
        cells = [list(head), *map(list, rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
        padded = [
            f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
            for row in cells
        ]
        rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
        self.lines += [f"## {title}", "", padded[0], rule, *padded[1:], ""]

    def target(self, what: str, measured: float, limit: float, unit: str = "") -> None:
        """Add a target and whether it is met."""
        met = "met" if measured <= limit else "NOT MET"
        self.targets.append(f"- {what} at most {limit:g}{unit}: {measured:.3g}{unit}, {met}")

    def write(self) -> None:
        """Print everything."""
        clear_line()
        print("\n".join(self.lines))
        if self.targets:
            print("\n".join(["## Targets", "", *self.targets, ""]))
        print(f"Errors: {len(self.errors) or 'none'}")
        for error, times in Counter(self.errors).items():
            print(f"- {error}{f' ({times} times)' if times > 1 else ''}")


class ForeignTime:
    """The load of other processes: if it is high, only the ratios are meaningful."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._before = self._foreign()

    def share(self) -> float:
        """Return the share of all cores' time that other processes have used since the start."""
        machine = (time.perf_counter() - self._began) * (os.cpu_count() or 1)
        return max(0.0, self._foreign() - self._before) / machine

    def _foreign(self) -> float:
        """Return seconds; those of child processes are excluded once they have ended."""
        fields = [int(text) for text in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        busy = sum(fields) - fields[3] - fields[4]  # without idle and iowait; with steal
        used = os.times()
        own = used.user + used.system + used.children_user + used.children_system
        return busy / os.sysconf("SC_CLK_TCK") - own


def main() -> int:
    """Run the comparison; return the exit status."""
    options = _options()
    report = Report()
    clock = ForeignTime()
    try:
        piper = environment.find(options.piper_python)
        report.lines += _heading(piper, options)
        asyncio.run(_measure(_plan(piper, options), options.only or list(SECTIONS), report))
    except (KeyboardInterrupt, asyncio.CancelledError):
        report.errors.append("interrupted")
    except (EnvironmentSetupError, ServerFailedError) as error:
        report.errors.append(str(error))
    if report.lines:
        report.lines.append(f"Other processes used {clock.share():.0%} of the processor time meanwhile.\n")
    report.write()
    return 1 if report.errors else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=_count, default=6, help="requests for each text (%(default)s)")
    parser.add_argument(
        "--requests",
        type=_count,
        default=8,
        help="concurrent requests in describe and memory (%(default)s)",
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="duration of describe for each server (%(default)g)"
    )
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, metavar="SECTION", help=f"one of {', '.join(SECTIONS)}"
    )
    parser.add_argument(
        "--options", default="", metavar="TEXT", help="options of this server, such as '--builtin-threads 1'"
    )
    parser.add_argument(
        "--piper-python", type=Path, metavar="PATH", help="a Python with requirements.txt installed"
    )
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return int(text)


def _plan(piper: Piper, options: argparse.Namespace) -> Plan:
    uri = ("--uri", f"tcp://{speech_requests.HOST}:{{port}}")
    voice = ("--voice", VOICE, "--data-dir", str(piper.voices))
    return Plan(
        ours=Program("ours", (sys.executable, "-m", "wyoming_qwen3tts", *uri, *shlex.split(options.options))),
        piper=Program("piper", (str(piper.python), "-m", "wyoming_piper", *uri, *voice)),
        texts=piper.texts,
        rounds=options.rounds,
        requests=options.requests,
        seconds=options.seconds,
    )


def _heading(piper: Piper, options: argparse.Namespace) -> list[str]:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    ours = f"options {options.options!r}" if options.options else "default options"
    return ["", f"Ours ({ours}) and wyoming-piper {piper.version} ({VOICE}) on {machine}", ""]


async def _measure(plan: Plan, sections: Sequence[str], report: Report) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if "start" in sections:
        await measure_start(plan, report)
    if not set(sections) - {"start"}:
        return
    async with AsyncExitStack() as stack:
        pair = (
            await stack.enter_async_context(running(plan.ours)),
            await stack.enter_async_context(running(plan.piper)),
        )
        for server in pair:
            await server.ready()
            await _speak(
                server, plan.texts[0], report, streamed=False
            )  # piper loads its voice at the first request
        for name, section in SECTIONS.items():
            if section is not None and name in sections:
                STATUS.show(name)
                await section(plan, pair, report)


# -- start ---------------------------------------------------------------------------------------------------


async def measure_start(plan: Plan, report: Report) -> None:
    """Start both servers alternately."""
    answered: dict[str, list[float]] = {"ours": [], "piper": []}
    sounded: dict[str, list[float]] = {"ours": [], "piper": []}
    for number in range(STARTS):
        for program in (plan.ours, plan.piper):
            STATUS.show(f"start {number + 1}/{STARTS} {program.name}")
            async with running(program) as server:
                answered[program.name].append(await server.ready())
                asked = time.perf_counter()
                if answer := await _speak(server, plan.texts[0], report, streamed=False):
                    sounded[program.name].append(asked + answer.first - server.began)
    report.table(
        f"Start, median of {STARTS}",
        ("from the start of the process", "ours", "piper", "ratio"),
        [
            _row("to the first response to describe", answered["ours"], answered["piper"]),
            _row("to the first audio", sounded["ours"], sounded["piper"]),
        ],
    )


# -- speech --------------------------------------------------------------------------------------------------


async def measure_speech(plan: Plan, pair: Pair, report: Report) -> None:
    """Request every text in both forms, new and repeated, alternately from both servers."""
    timings: dict[tuple[str, str], dict[str, list[SpeechTiming]]] = {}
    for number in range(plan.rounds + 1):
        STATUS.show(f"speech {number}/{plan.rounds}")
        for text in plan.texts:
            for form in ("plain", "streamed"):
                for kind in ("unique", "repeated"):
                    sentences = unique(text) if kind == "unique" else text
                    for server in pair:
                        await asyncio.sleep(MAX_PAUSE)
                        answer = await _speak(server, sentences, report, streamed=form == "streamed")
                        if answer and number:  # the first round fills the cache
                            row = timings.setdefault((form, kind), {"ours": [], "piper": []})
                            row[server.name].append(answer)
    _report_speech(plan, timings, report)


def _report_speech(
    plan: Plan, timings: dict[tuple[str, str], dict[str, list[SpeechTiming]]], report: Report
) -> None:
    rows: list[list[str]] = []
    ratios: dict[str, list[float]] = {"first audio": [], "total": []}
    sound: dict[str, list[float]] = {"ours": [], "piper": []}
    for (form, kind), answers in timings.items():
        ours, piper = answers["ours"], answers["piper"]
        firsts = [answer.first for answer in ours], [answer.first for answer in piper]
        totals = [answer.total for answer in ours], [answer.total for answer in piper]
        rows.append([*_row(f"{form}, {kind}", *firsts), *_row("", *totals)[1:]])
        for what, (mine, theirs) in (("first audio", firsts), ("total", totals)):
            ratios[what].append(_ratio(_median(mine), _median(theirs)))
        for name in sound:
            sound[name] += [answer.sound for answer in answers[name]]
    report.table(
        f"Speech, median of {len(plan.texts)} texts x {plan.rounds} rounds",
        ("request, text", "first audio: ours", "piper", "ratio", "total: ours", "piper", "ratio"),
        rows,
    )
    lengths = {name: _median(seconds) for name, seconds in sound.items()}
    report.lines += [
        f"Median response: ours {lengths['ours']:.1f} s of audio, piper {lengths['piper']:.1f} s.",
        "",
    ]
    for what, found in ratios.items():
        worst = max(found, key=lambda ratio: math.inf if math.isnan(ratio) else ratio, default=math.nan)
        report.target(f"{what}, worst ratio ours/piper,", worst, RATIO_TARGET)


# -- describe ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Probes:
    """Durations of ``describe`` under load, in seconds."""

    took: list[float] = field(default_factory=list)
    timeouts: int = 0
    rates: list[float] = field(default_factory=list)
    """Seconds of audio per second that the load received."""


async def measure_describe(plan: Plan, pair: Pair, report: Report) -> None:
    """Measure both servers alternately under load."""
    probes = {server.name: Probes() for server in pair}
    for number in range(SLICES):
        for server in pair:
            STATUS.show(f"describe {number + 1}/{SLICES} {server.name}")
            try:
                await _probe_under_load(plan, server, probes[server.name], report)
            except InvalidResponseError as error:
                report.errors.append(f"{server.name}: {error}")
            await server.quiet()
    ours, piper = (probes[server.name] for server in pair)
    rows = [_row(f"p{share}", [_percentile(ours, share)], [_percentile(piper, share)]) for share in (50, 99)]
    rows.append(_row("max", [_percentile(ours, 100)], [_percentile(piper, 100)]))
    rows.append(["probes", str(len(ours.took)), str(len(piper.took)), ""])
    rows.append([f"longer than {PROBE_TIMEOUT:g} s", str(ours.timeouts), str(piper.timeouts), ""])
    rates = _median(ours.rates), _median(piper.rates)
    rows.append(["audio per second", *(f"{rate:.1f} s" for rate in rates), f"{_ratio(*rates):.3f}"])
    report.table(f"Describe during {plan.requests} concurrent requests", ("", "ours", "piper", "ratio"), rows)
    report.target(
        "our describe under load, p99,", _percentile(ours, 99) * 1000, DESCRIBE_TARGET * 1000, " ms"
    )


async def _probe_under_load(plan: Plan, server: Server, probes: Probes, report: Report) -> None:
    """Probe one server for one slice, one probe at a time, once every request of the load has audio."""
    load = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.background", str(server.port), str(plan.requests)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is handled by the parent process
    )
    assert load.stdout is not None
    try:
        await load.stdout.readline()
        end = time.perf_counter() + plan.seconds / SLICES
        while (began := time.perf_counter()) < end:
            try:
                probes.took.append(await speech_requests.describe(server.port, PROBE_TIMEOUT))
            except TimedOutError:
                probes.timeouts += 1
            await asyncio.sleep(began + PROBE_EVERY - time.perf_counter())
    finally:
        output, _ = await load.communicate(b"")  # closes its input, which ends the load
    if load.returncode:
        raise InvalidResponseError(f"the load failed with status {load.returncode}")
    result = json.loads(output)
    probes.rates.append(result["rate"])
    report.errors += [f"{server.name} under load: {failure}" for failure in result["failed"]]


def _percentile(probes: Probes, share: int) -> float:
    """Return a percentile (nearest rank); ``share``: percent; a timeout counts as its limit."""
    values = sorted([*probes.took, *[PROBE_TIMEOUT] * probes.timeouts])
    return values[math.ceil(len(values) * share / 100) - 1] if values else math.nan


# -- memory --------------------------------------------------------------------------------------------------


async def measure_memory(plan: Plan, pair: Pair, report: Report) -> None:
    """Measure both servers' memory after many concurrent requests."""
    held = {}
    for server in pair:
        STATUS.show(f"memory {server.name}")
        await asyncio.gather(
            *(_speak(server, unique(LONG_TEXT), report, streamed=False) for _ in range(plan.requests))
        )
        held[server.name] = server.memory()
    rows = []
    for column, what in enumerate(("resident", "peak resident")):
        ours, piper = held["ours"][column], held["piper"][column]
        rows.append([what, f"{ours:.0f} MiB", f"{piper:.0f} MiB", f"{_ratio(ours, piper):.3f}"])
    report.table(f"Memory after {plan.requests} concurrent requests", ("", "ours", "piper", "ratio"), rows)


# ------------------------------------------------------------------------------------------------------------

SECTIONS: dict[str, Callable[[Plan, Pair, Report], Awaitable[None]] | None] = {
    "start": None,  # starts its servers itself
    "speech": measure_speech,
    "describe": measure_describe,
    "memory": measure_memory,
}


async def _speak(
    server: Server, sentences: Sequence[str], report: Report, *, streamed: bool
) -> SpeechTiming | None:
    """Return the timing of a request; report an error and return None where it failed."""
    try:
        return await speech_requests.speak(server.port, sentences, streamed=streamed)
    except InvalidResponseError as error:
        form = "streamed" if streamed else "plain"
        report.errors.append(f"{server.name}, {form}, {sentences[0][:30]!r}: {error}")
        return None


def _row(what: str, ours: Sequence[float], piper: Sequence[float]) -> list[str]:
    mine, theirs = _median(ours), _median(piper)
    return [what, _milliseconds(mine), _milliseconds(theirs), f"{_ratio(mine, theirs):.3f}"]


def _milliseconds(seconds: float) -> str:
    return "none" if math.isnan(seconds) else f"{seconds * 1000:.0f} ms"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def _ratio(ours: float, piper: float) -> float:
    return ours / piper if piper else math.nan


if __name__ == "__main__":
    sys.exit(main())
