"""What a process and its children take of the machine, read from /proc."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Look:
    """What a server took at one moment."""

    at: float
    """Seconds on ``time.perf_counter``, which all processes of this machine share."""
    memory: float
    """Resident set, MiB."""
    descriptors: int
    """Open files and sockets."""
    threads: int
    cpu: float
    """Seconds of all cores' time used so far."""


class Tree:
    """A process with its children."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def memory(self) -> tuple[float, float]:
        """Return what it holds now and held at most, in MiB."""
        now = peak = 0
        for pid in self._pids():
            for line in _proc(f"{pid}/status").splitlines():
                if line.startswith("VmRSS:"):
                    now += int(line.split()[1])
                elif line.startswith("VmHWM:"):
                    peak += int(line.split()[1])
        return now / 1024, peak / 1024

    def cpu_seconds(self) -> float:
        """Return the seconds of processor time it has used."""
        ticks = 0
        for pid in self._pids():
            fields = _proc(f"{pid}/stat").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:13]))
        return ticks / _TICKS

    def look(self) -> Look:
        """Return all that it takes now."""
        pids = self._pids()
        descriptors = sum(_entries(f"{pid}/fd") for pid in pids)
        threads = sum(_entries(f"{pid}/task") for pid in pids)
        return Look(time.perf_counter(), self.memory()[0], descriptors, threads, self.cpu_seconds())

    def _pids(self) -> list[int]:
        found = [self.pid]
        for pid in found:  # grows while it is walked
            for task in Path(f"/proc/{pid}/task").glob("*"):
                found += map(int, _proc(f"{pid}/task/{task.name}/children").split())
        return found


async def watch(tree: Tree, looks: list[Look], every: float = 1.0) -> None:
    """Add a look to ``looks`` every so many seconds, until cancelled; none of a process that has ended."""
    while True:
        look = tree.look()
        if look.threads:
            looks.append(look)
        await asyncio.sleep(every)


def ends(looks: Sequence[Look], window: float, ramp: float) -> tuple[Sequence[Look], Sequence[Look]]:
    """Return the looks of the first and the last ``window`` seconds, without the first ``ramp`` seconds."""
    if not looks:
        return (), ()
    first, last = looks[0].at + ramp, looks[-1].at
    return (
        [look for look in looks if first <= look.at <= first + window],
        [look for look in looks if look.at >= max(first, last - window)],
    )


def median(looks: Sequence[Look], of: Callable[[Look], float]) -> float:
    """Return the median of a number of the looks, not-a-number where there are none."""
    return statistics.median(map(of, looks)) if looks else float("nan")


def _proc(name: str) -> str:
    """Return a file of /proc, empty for a process that has just ended."""
    try:
        return Path("/proc", name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _entries(name: str) -> int:
    """Return how many entries a directory of /proc has, 0 for a process that has just ended."""
    try:
        return len(os.listdir(f"/proc/{name}"))  # noqa: PTH208 - once a second, for hundreds of entries
    except (FileNotFoundError, ProcessLookupError):
        return 0
