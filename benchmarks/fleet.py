"""How many machines for how many speakers: a simulation with service times that were measured.

    python -m benchmarks.fleet                                      # the built-in voice, 1 to 8 machines
    python -m benchmarks.fleet --times benchmarks/times-h200.json   # a GPU, by figures that others published
    python -m benchmarks.fleet --speakers 1000 --machines 20 24 --hits 0.5
    python -m benchmarks.fleet --measure [URI] --write FILE         # measure service times
    python -m benchmarks.fleet --check [URI]                        # one real server beside a simulated one

Prints the p95 of the time to the first sound against load and number of machines, whom fronts should ask, and
what a machine's end costs. The same options and seed give the same numbers. ``simulation.py`` says what is
simulated and what is left out, ``times.py`` what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.clients import ClientFailedError
from benchmarks.plot import Line, Panel, draw
from benchmarks.servers import ServerFailedError
from benchmarks.simulation import POLICIES, NoMachineError, Plan, Result, simulate
from benchmarks.times import InvalidTimesError, Times, built_in, by_chance, measure, quantile

TIMES = Path(__file__).with_name("times-builtin.json")
LOADS = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Parts of what all machines together can make."""
AT = (0.5, 0.7)
"""Loads at which one of them ends."""
CHECKED = (0.25, 0.5, 0.7)
"""Loads at which what is simulated is compared with a real server."""
HIGHEST = 500.0
"""Milliseconds; what is more is drawn as this."""
CHOICES = ("least asked by it", "anybody", "least asked by all")
"""Of ``POLICIES``."""
AFTER = 10.0
"""Seconds after that which are looked at for themselves."""
ALONE = 1
"""Fewer machines than two cannot be chosen from, nor lose one."""
BUSY = 0.5
"""The part of the time that a front works, where nobody says how many there are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit status: 1 where that could not be done."""
    options = _options(arguments)
    try:
        if options.measure is not None:
            found = asyncio.run(measure(options.measure or None, options.seconds or 10.0))
            found.write(options.write or TIMES)
            return 0
        times = Times.read(options.times)
        if options.check is not None:
            asyncio.run(check(times, options.check, options.seconds or 30.0, options.seed))
            return 0
        plan = Plan(
            speakers=1,
            machines=options.machines[0],
            hits=options.hits,
            streams=options.streams,
            seconds=options.seconds or 120.0,
            seed=options.seed,
            notice=options.notice,
        )
        Report(plan, times, options.machines, options.speakers, options.fronts).tell(options.plot)
    except (NoMachineError, InvalidTimesError, ServerFailedError, ClientFailedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--times", type=Path, default=TIMES, metavar="FILE", help="service times")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument(
        "--speakers",
        type=float,
        nargs="+",
        metavar="N",
        help="voices that speak at a moment, on average; without it parts of what the machines can make",
    )
    parser.add_argument(
        "--fronts", type=int, metavar="N", help="(default: as many as are busy half of the time)"
    )
    parser.add_argument("--hits", type=float, default=0.0, metavar="PART", help="of sentences in a cache")
    parser.add_argument(
        "--streams", type=int, default=0, metavar="N", help="utterances a machine makes at once"
    )
    parser.add_argument(
        "--notice",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="until fronts know that a machine is gone (default: %(default)g)",
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="that are simulated, or measured")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it as an SVG")
    parser.add_argument(
        "--measure",
        nargs="?",
        const="",
        metavar="URI",
        help="measure service times of the server there; without URI, of one of our own, and a front's",
    )
    parser.add_argument(
        "--check",
        nargs="?",
        const="",
        metavar="URI",
        help="let sentences arrive by chance at the server there, or one of our own, and compare",
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="where measured service times go")
    return parser.parse_args(arguments)


async def check(times: Times, uri: str, seconds: float, seed: int) -> None:
    """Let sentences arrive by chance at a real server, and print what it does beside what is simulated."""
    async with built_in() if not uri else nullcontext(uri) as server:
        _row(["load", "sentences", "first sound p50 / p95, real", "simulated"])
        _row(["---"] * 4)
        for load in CHECKED:
            speakers = load * times.points[-1].total
            real = await by_chance(server, speakers / times.mean_length, seconds, seed)
            thought = simulate(Plan(speakers, 1, seconds=600, seed=seed), times)
            waits = [quantile(real, 0.5), quantile(real, 0.95), thought.wait(0.5), thought.wait(0.95)]
            shown = [f"{wait * 1000:.0f}" for wait in waits]
            _row([f"{load:.0%}", str(len(real)), " / ".join(shown[:2]), " / ".join(shown[2:])])


class Report:
    """Runs a plan with other numbers, and prints what comes of it. Raises NoMachineError."""

    def __init__(
        self,
        plan: Plan,
        times: Times,
        machines: Sequence[int],
        speakers: Sequence[float] | None,
        fronts: int | None,
    ) -> None:
        """``speakers``: absolute numbers; None for parts of what the machines can make, LOADS."""
        self._plan = plan
        self._times = times
        self._machines = machines
        self._speakers = speakers
        self._fronts = fronts
        self._most = times.points[-1].total

    def tell(self, plot: Path | None) -> None:
        """Print the tables, and draw them. Raises NoMachineError, OSError."""
        front = self._times.front
        print(f"{self._times.name}; {self._times.source}\n")
        print(
            f"A machine makes {self._most:g} s of sound a second with {self._times.most} utterances at once; "
            f"sentences of {self._times.mean_length:.1f} s;"
        )
        print(
            f"a front takes {front.passing * 1000:.1f} ms of a core for a second of sound; "
            f"{self._fronts or 'enough'} fronts; cache hits {self._plan.hits:.0%}."
        )
        panels = [self._loads()]
        if self._machines[-1] > ALONE:
            panels.append(self._policies())
            self._failure()
        if plot is not None:
            draw(plot, panels, "speakers" if self._speakers else "load, part of what they can make")

    def _run(self, load: float, machines: int, **more: Any) -> Result:
        """Simulate so many machines at a load."""
        made = 1 - self._plan.hits
        wanted = load if self._speakers else load * self._most * machines / max(made, 0.01)
        fronts = self._fronts or max(1, math.ceil(wanted * made * self._times.front.passing / BUSY))
        plan = replace(self._plan, machines=machines, speakers=wanted, fronts=fronts, **more)
        return simulate(plan, self._times)

    def _table(self, head: Sequence[str]) -> None:
        _row(["speakers" if self._speakers else "load", *head])
        _row(["---"] * (len(head) + 1))

    def _load(self, load: float) -> str:
        return f"{load:g}" if self._speakers else f"{load:.0%}"

    def _lines(self, names: Sequence[str], runs: Sequence[dict[str, Any]]) -> dict[str, Line]:
        """Print a table with a column for each run; return it as lines."""
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        self._table(names)
        for load in self._speakers or LOADS:
            results = [self._run(load, **run) for run in runs]
            _row([self._load(load), *map(_cell, results)])
            for name, result in zip(names, results, strict=True):
                found[name].append((load, min(result.wait(0.95) * 1000, HIGHEST)))
        return dict(found)

    def _loads(self) -> Panel:
        print("\nFirst sound, p95 in ms (sentences whose playback had to wait):\n")
        names = [f"{number} machine{'s' * (number > 1)}" for number in self._machines]
        lines = self._lines(names, [{"machines": number} for number in self._machines])
        return Panel(f"First sound, p95, {HIGHEST:g} ms at most: {self._times.name}", lines)

    def _policies(self) -> Panel:
        number = self._machines[-1]
        print(f"\nWhom a front asks, {number} machines: p95 in ms\n")
        runs = [{"machines": number, "policy": policy} for policy in POLICIES]
        title = f"Whom a front asks, {number} machines: p95, {HIGHEST:g} ms at most"
        return Panel(title, self._lines(CHOICES, runs))

    def _failure(self) -> None:
        """Print what the end of a machine costs, in the middle of the time."""
        number, middle = self._machines[-1], self._plan.seconds / 2
        print(f"\nOne of {number} machines ends in the middle; fronts know it {self._plan.notice:g} s later.")
        print("p95 in ms:\n")
        self._table(["before", f"{AFTER:g} s from then on", "later", "asked again", "after the first sound"])
        for load in [max(self._speakers)] if self._speakers else AT:
            result = self._run(load, number, fails=middle)
            again = [each for each in result.spoken if each.asked > 1]
            # What had been begun has its first sound from before the end.
            broken = sum(each.first <= middle for each in again)
            spans = ((0.0, middle), (middle, middle + AFTER), (middle + AFTER, math.inf))
            waits = [f"{result.wait(0.95, *span) * 1000:.0f}" for span in spans]
            _row([self._load(load), *waits, str(len(again)), str(broken)])


def _cell(result: Result) -> str:
    return f"{result.wait(0.95) * 1000:.0f} ({result.dry:.1%})"


def _row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
