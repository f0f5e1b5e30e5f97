"""Capacity planning: how many machines are needed, by simulation with measured service times.

    python -m benchmarks.fleet                                     # the built-in voice, 1 to 8 machines
    python -m benchmarks.fleet --speakers 1000 --machines 20 24 --hits 0.5
    python -m benchmarks.fleet --measure [URI] --write FILE        # measure service times
    python -m benchmarks.fleet --times FILE                        # use them
    python -m benchmarks.fleet --check [URI]                       # compare a server with a simulated one

Prints the p95 of the time to the first audio by load and number of machines, compares load-balancing policies
of fronts, and shows the effect of a machine's failure. The same options and seed give the same numbers.
``simulation.py`` describes the model and its limits, ``service_times.py`` the measurement.
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

from benchmarks.load_clients import ClientFailedError
from benchmarks.plot import Line, Panel, draw
from benchmarks.servers import ServerFailedError
from benchmarks.service_times import InvalidTimesError, Times, built_in, measure, measure_poisson, quantile
from benchmarks.simulation import POLICIES, NoMachineError, Plan, Result, simulate

TIMES = Path(__file__).with_name("times-builtin.json")
LOADS = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Fractions of the throughput of all machines together."""
FAILURE_LOADS = (0.5, 0.7)
"""Loads at which a machine fails."""
CHECKED_LOADS = (0.25, 0.5, 0.7)
"""Loads at which the simulation is compared with a real server."""
MAX_PLOTTED = 500.0
"""Milliseconds; higher values are drawn as this."""
POLICY_NAMES = ("fewest own requests", "random", "fewest requests of all")
"""Column heads of ``POLICIES``."""
AFTER_FAILURE = 10.0
"""Seconds after a failure that have a column of their own."""
SINGLE = 1
"""With a single machine there is no choice, and no failure to survive."""
FRONT_LOAD = 0.5
"""Load of a front, which determines the number of fronts if ``--fronts`` is not given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 on an error."""
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
        Report(plan, times, options.machines, options.speakers, options.fronts).print_all(options.plot)
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
        help="mean numbers of voices that speak at the same time (default: fractions of the throughput)",
    )
    parser.add_argument(
        "--fronts",
        type=int,
        metavar="N",
        help="number of fronts (default: as many as are busy half the time)",
    )
    parser.add_argument(
        "--hits", type=float, default=0.0, metavar="FRACTION", help="fraction of sentences that are cached"
    )
    parser.add_argument(
        "--streams", type=int, default=0, metavar="N", help="maximum concurrent utterances of a machine"
    )
    parser.add_argument(
        "--notice",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="time until fronts notice a failed machine (default: %(default)g)",
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="duration of simulation or measurement")
    parser.add_argument("--seed", type=int, default=1, help="random seed")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="file for a plot, as SVG")
    parser.add_argument(
        "--measure",
        nargs="?",
        const="",
        metavar="URI",
        help="measure service times of the server at URI; without URI, start a server and a front",
    )
    parser.add_argument(
        "--check",
        nargs="?",
        const="",
        metavar="URI",
        help="send requests at random times to the server at URI, or a new one, and compare",
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="file for measured service times")
    return parser.parse_args(arguments)


async def check(times: Times, uri: str, seconds: float, seed: int) -> None:
    """Send requests at random times to a real server, and print its latency next to the simulated one."""
    async with built_in() if not uri else nullcontext(uri) as server:
        _row(["load", "sentences", "first audio p50 / p95, real", "simulated"])
        _row(["---"] * 4)
        for load in CHECKED_LOADS:
            speakers = load * times.points[-1].total
            real = await measure_poisson(server, speakers / times.mean_length, seconds, seed)
            simulated = simulate(Plan(speakers, 1, seconds=600, seed=seed), times)
            waits = [quantile(real, 0.5), quantile(real, 0.95), simulated.wait(0.5), simulated.wait(0.95)]
            shown = [f"{wait * 1000:.0f}" for wait in waits]
            _row([f"{load:.0%}", str(len(real)), " / ".join(shown[:2]), " / ".join(shown[2:])])


class Report:
    """Simulates variants of a plan and prints the results. Raises NoMachineError."""

    def __init__(
        self,
        plan: Plan,
        times: Times,
        machines: Sequence[int],
        speakers: Sequence[float] | None,
        fronts: int | None,
    ) -> None:
        """``speakers``: absolute numbers; None for LOADS, fractions of the throughput."""
        self._plan = plan
        self._times = times
        self._machines = machines
        self._speakers = speakers
        self._fronts = fronts
        self._max_throughput = times.points[-1].total

    def print_all(self, plot: Path | None) -> None:
        """Print the tables, and plot them. Raises NoMachineError, OSError."""
        front = self._times.front
        print(f"{self._times.name}; {self._times.source}\n")
        print(
            f"Throughput of a machine: {self._max_throughput:g} s of audio per second with "
            f"{self._times.max_streams} concurrent utterances; sentences of {self._times.mean_length:.1f} s;"
        )
        print(
            f"a front uses {front.passing * 1000:.1f} ms of a core per second of audio; "
            f"{self._fronts or 'enough'} fronts; cache hits {self._plan.hits:.0%}."
        )
        panels = [self._loads()]
        if self._machines[-1] > SINGLE:
            panels.append(self._policies())
            self._failure()
        if plot is not None:
            draw(plot, panels, "speakers" if self._speakers else "load, fraction of the throughput")

    def _run(self, load: float, machines: int, **more: Any) -> Result:
        """Simulate a number of machines at a load."""
        made = 1 - self._plan.hits
        wanted = load if self._speakers else load * self._max_throughput * machines / max(made, 0.01)
        fronts = self._fronts or max(1, math.ceil(wanted * made * self._times.front.passing / FRONT_LOAD))
        plan = replace(self._plan, machines=machines, speakers=wanted, fronts=fronts, **more)
        return simulate(plan, self._times)

    def _table(self, head: Sequence[str]) -> None:
        _row(["speakers" if self._speakers else "load", *head])
        _row(["---"] * (len(head) + 1))

    def _load(self, load: float) -> str:
        return f"{load:g}" if self._speakers else f"{load:.0%}"

    def _lines(self, names: Sequence[str], runs: Sequence[dict[str, Any]]) -> dict[str, Line]:
        """Print a table with a column per run; return its columns as lines of a plot."""
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        self._table(names)
        for load in self._speakers or LOADS:
            results = [self._run(load, **run) for run in runs]
            _row([self._load(load), *map(_cell, results)])
            for name, result in zip(names, results, strict=True):
                found[name].append((load, min(result.wait(0.95) * 1000, MAX_PLOTTED)))
        return dict(found)

    def _loads(self) -> Panel:
        print("\nFirst audio, p95 in ms (sentences whose playback had to wait):\n")
        names = [f"{number} machine{'s' * (number > 1)}" for number in self._machines]
        lines = self._lines(names, [{"machines": number} for number in self._machines])
        return Panel(f"First audio, p95, at most {MAX_PLOTTED:g} ms: {self._times.name}", lines)

    def _policies(self) -> Panel:
        number = self._machines[-1]
        print(f"\nLoad balancing of fronts, {number} machines: p95 in ms\n")
        runs = [{"machines": number, "policy": policy} for policy in POLICIES]
        title = f"Load balancing of fronts, {number} machines: p95, at most {MAX_PLOTTED:g} ms"
        return Panel(title, self._lines(POLICY_NAMES, runs))

    def _failure(self) -> None:
        """Print the effect of a machine's failure in the middle of the time."""
        number, middle = self._machines[-1], self._plan.seconds / 2
        print(f"\nOne of {number} machines fails in the middle; fronts notice {self._plan.notice:g} s later.")
        print("p95 in ms:\n")
        self._table(
            ["before", f"{AFTER_FAILURE:g} s after", "later", "repeated requests", "after the first audio"]
        )
        for load in [max(self._speakers)] if self._speakers else FAILURE_LOADS:
            result = self._run(load, number, fails=middle)
            repeated = [each for each in result.completed if each.attempts > 1]
            # Sentences that were active have their first audio before the failure.
            interrupted = sum(each.first <= middle for each in repeated)
            spans = ((0.0, middle), (middle, middle + AFTER_FAILURE), (middle + AFTER_FAILURE, math.inf))
            waits = [f"{result.wait(0.95, *span) * 1000:.0f}" for span in spans]
            _row([self._load(load), *waits, str(len(repeated)), str(interrupted)])


def _cell(result: Result) -> str:
    return f"{result.wait(0.95) * 1000:.0f} ({result.stalled_share:.1%})"


def _row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
