"""Resource use of a process and its children, from /proc."""

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
class ProcessSample:
    """Resource use at one moment."""

    at: float
    """Seconds on ``time.perf_counter``, which all processes of this machine share."""
    memory: float
    """Resident set, MiB."""
    descriptors: int
    """Open files and sockets."""
    threads: int
    cpu: float
    """Seconds of all cores' time used so far."""


class ProcessTree:
    """A process and its descendants."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def memory(self) -> tuple[float, float]:
        """Return the resident set and its peak, in MiB."""
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

    def sample(self) -> ProcessSample:
        """Return the current resource use."""
        pids = self._pids()
        descriptors = sum(_entries(f"{pid}/fd") for pid in pids)
        threads = sum(_entries(f"{pid}/task") for pid in pids)
        return ProcessSample(time.perf_counter(), self.memory()[0], descriptors, threads, self.cpu_seconds())

    def _pids(self) -> list[int]:
        found = [self.pid]
        for pid in found:  # grows while it is walked
            for task in Path(f"/proc/{pid}/task").glob("*"):
                found += map(int, _proc(f"{pid}/task/{task.name}/children").split())
        return found


async def watch(tree: ProcessTree, samples: list[ProcessSample], every: float = 1.0) -> None:
    """Append a sample every ``every`` seconds, until cancelled; none once the process has ended."""
    while True:
        sample = tree.sample()
        if sample.threads:
            samples.append(sample)
        await asyncio.sleep(every)


def ends(
    samples: Sequence[ProcessSample], window: float, ramp: float
) -> tuple[Sequence[ProcessSample], Sequence[ProcessSample]]:
    """Return the samples of the first and the last ``window`` seconds, after the first ``ramp`` seconds."""
    if not samples:
        return (), ()
    first, last = samples[0].at + ramp, samples[-1].at
    return (
        [sample for sample in samples if first <= sample.at <= first + window],
        [sample for sample in samples if sample.at >= max(first, last - window)],
    )


def median(samples: Sequence[ProcessSample], of: Callable[[ProcessSample], float]) -> float:
    """Return the median of a value of the samples; NaN where there are none."""
    return statistics.median(map(of, samples)) if samples else float("nan")


def _proc(name: str) -> str:
    """Return the contents of a file of /proc; empty for a process that has just ended."""
    try:
        return Path("/proc", name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _entries(name: str) -> int:
    """Return the number of entries in a directory of /proc; 0 for a process that has just ended."""
    try:
        return len(os.listdir(f"/proc/{name}"))  # noqa: PTH208 - once a second, for hundreds of entries
    except (FileNotFoundError, ProcessLookupError):
        return 0
