"""Discrete-event simulation of many machines: sentences arrive, fronts forward them, servers synthesize them.

Real: the service times (``service_times``), and the load balancing of this server (``engines/remote``): a
front knows only its own requests, and chooses the server with the fewest of them. Assumptions: sentences
arrive independently at random times (Poisson), so that the second sentence of a reply has no head start; a
server shares its throughput equally among its active sentences; a sentence beyond its limit waits, first
come, first served. Not simulated: ``--remote-max-concurrent-requests`` (set it above the number of concurrent
requests), the network, and a front's own limits.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.service_times import Times, quantile

LEAST_REQUESTS, RANDOM, LEAST_REQUESTS_GLOBALLY = "least", "random", "shared"
POLICIES = (LEAST_REQUESTS, RANDOM, LEAST_REQUESTS_GLOBALLY)
"""A front's choice: the machine with the fewest own requests, a random one, or the fewest of all fronts."""
WARM_UP_FRACTION = 0.1
"""Fraction of the simulated time whose sentences are ignored."""


class NoMachineError(ValueError):
    """A value of a plan is out of range, such as no machine at all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Parameters of a simulation. Times are in seconds."""

    speakers: float
    """Mean number of voices that speak at the same time: seconds of audio requested per second."""
    machines: int
    fronts: int = 1
    policy: str = LEAST_REQUESTS
    hits: float = 0.0
    """Fraction of the sentences that are cached."""
    streams: int = 0
    """Maximum concurrent utterances of a machine; 0 is the largest measured number."""
    seconds: float = 60.0
    seed: int = 1
    fails: float = math.nan
    """Time at which the first machine fails for good; NaN for never."""
    notice: float = 2.0
    """Seconds until fronts notice: --remote-connect-timeout, or 0 if it refuses connections."""

    def __post_init__(self) -> None:
        if self.machines < 1:
            raise NoMachineError(f"machines: {self.machines}: must be at least 1")
        if self.fronts < 1:
            raise NoMachineError(f"fronts: {self.fronts}: must be at least 1")
        if self.speakers <= 0 or self.seconds <= 0 or self.streams < 0 or self.notice < 0:
            raise NoMachineError("speakers and seconds must be above 0, streams and notice at least 0")
        if not 0 <= self.hits <= 1:
            raise NoMachineError(f"hits: {self.hits}: must be from 0 to 1")
        if self.policy not in POLICIES:
            raise NoMachineError(f"policy: {self.policy}: must be one of {', '.join(POLICIES)}")


@dataclass(slots=True, eq=False)
class Sentence:
    """A requested sentence. Times are in seconds of the simulation."""

    arrived: float
    length: float
    """Seconds of audio."""
    front: int
    hit: bool = False
    machine: int = -1
    attempts: int = 0
    """Number of machines that it was sent to."""
    first: float = math.nan
    """Time of its first audio."""
    ended: float = math.nan
    """Time of its last audio; NaN if no machine was left."""

    @property
    def wait(self) -> float:
        """Seconds to the first audio."""
        return self.first - self.arrived

    @property
    def is_stalled(self) -> bool:
        """Whether playback in real time had to wait: its end arrived after its playback time."""
        return self.ended > self.first + self.length


@dataclass(slots=True)
class Result:
    """Result of a simulation: the sentences that arrived after the warm-up."""

    plan: Plan
    sentences: list[Sentence] = field(default_factory=list)
    mean_active: float = 0.0
    """Mean number of sentences at the machines, waiting or active, from the warm-up to the end."""
    requests: list[int] = field(default_factory=list)
    """Sentences sent to each machine."""

    @property
    def completed(self) -> list[Sentence]:
        """The sentences whose audio is complete."""
        return [each for each in self.sentences if not math.isnan(each.ended)]

    def wait(self, probability: float, since: float = 0.0, until: float = math.inf) -> float:
        """Return a quantile of the seconds to the first audio, of sentences that arrived in that time."""
        waits = sorted(each.wait for each in self.completed if since <= each.arrived < until)
        return quantile(waits, probability)

    @property
    def stalled_share(self) -> float:
        """Fraction of the sentences whose playback had to wait."""
        return sum(each.is_stalled for each in self.completed) / max(1, len(self.completed))

    @property
    def failed(self) -> int:
        """Number of sentences without a machine."""
        return len(self.sentences) - len(self.completed)


class Machine:
    """A server that shares its throughput equally among up to ``limit`` sentences; others wait."""

    def __init__(self, times: Times, limit: int) -> None:
        self.is_up = True
        """Whether it works."""
        self.believed_up = True
        """Whether fronts assume that it works."""
        self.active: list[tuple[float, int, Sentence]] = []
        """Heap of active sentences, by the value of ``_given`` at which each one is complete."""
        self.waiting: deque[Sentence] = deque()
        self.version = 0
        """Incremented when ``active`` changes: scheduled events of earlier versions are void."""
        self._times = times
        self._limit = limit
        self._given = 0.0
        """Seconds of audio that one sentence active since the start would have got."""
        self._at = 0.0

    def __len__(self) -> int:
        return len(self.active) + len(self.waiting)

    def has_capacity(self) -> bool:
        """Return whether another sentence can be started."""
        return len(self.active) < self._limit

    def advance(self, now: float) -> None:
        """Advance the state to ``now``."""
        if self.active:
            self._given += (now - self._at) * self._times.speed(len(self.active))
        self._at = now

    def start(self, now: float, sentence: Sentence, number: int, probability: float) -> None:
        """Start a sentence; call ``advance(now)`` before."""
        heapq.heappush(self.active, (self._given + sentence.length, number, sentence))
        self.version += 1
        if math.isnan(sentence.first):
            sentence.first = now + self._times.first(len(self.active), probability)

    def end(self) -> Sentence:
        """Remove and return the sentence that is complete; call ``advance`` before."""
        given, _, sentence = heapq.heappop(self.active)
        self._given = max(self._given, given)
        self.version += 1
        return sentence

    def next_end(self) -> float:
        """Return the time at which the next sentence is complete if nothing changes."""
        left = max(0.0, self.active[0][0] - self._given)
        return self._at + left / self._times.speed(len(self.active))


def simulate(plan: Plan, times: Times, length: Callable[[random.Random], float] | None = None) -> Result:
    """Simulate a plan. ``length`` draws a sentence's seconds; if None, one of the measured ones.

    The mean of ``length`` must be ``times.mean_length``, which determines the arrival rate.
    """
    return _Run(plan, times, length or (lambda probability: probability.choice(times.lengths))).run()


class _Run:
    def __init__(self, plan: Plan, times: Times, length: Callable[[random.Random], float]) -> None:
        self._plan, self._times, self._length = plan, times, length
        # Separate generators, so that plans with one seed have the same sentences at the same times.
        self._arrivals = random.Random(plan.seed)
        self._choices = random.Random(plan.seed + 1)
        self._firsts = random.Random(plan.seed + 2)
        limit = plan.streams or times.max_streams
        self._machines = [Machine(times, limit) for _ in range(plan.machines)]
        self._pending = [[0] * plan.machines for _ in range(plan.fronts)]
        """Pending requests of each front to each machine."""
        self._last = [[0] * plan.machines for _ in range(plan.fronts)]
        self._free = [0.0] * plan.fronts
        """Time from which on each front is idle."""
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = itertools.count()
        self._result = Result(plan, requests=[0] * plan.machines)
        self._warm = plan.seconds * WARM_UP_FRACTION
        self._working, self._since, self._area = 0, self._warm, 0.0

    def run(self) -> Result:
        """Run the simulation to the end of the last sentence."""
        plan = self._plan
        self._schedule(self._next_interval(), self._on_arrival)
        if not math.isnan(plan.fails):
            self._schedule(plan.fails, self._on_failure)
        while self._events:
            now, _, callback = heapq.heappop(self._events)
            callback(now)
        self._result.mean_active = self._area / (plan.seconds - self._warm)
        return self._result

    def _schedule(self, at: float, callback: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._count), callback))

    def _next_interval(self) -> float:
        return self._arrivals.expovariate(self._plan.speakers / self._times.mean_length)

    def _record_active(self, now: float, more: int) -> None:
        """Record a change of the number of sentences at the machines."""
        until = min(now, self._plan.seconds)
        if until > self._since:
            self._area += self._working * (until - self._since)
            self._since = until
        self._working += more

    def _on_arrival(self, now: float) -> None:
        if now >= self._plan.seconds:
            return
        length = self._length(self._arrivals)
        hit = self._arrivals.random() < self._plan.hits
        front = int(self._arrivals.random() * self._plan.fronts)
        sentence = Sentence(now, length, front, hit)
        if now >= self._warm:
            self._result.sentences.append(sentence)
        costs = self._times.front
        # A front has one thread: its work for all sentences is sequential.
        self._free[front] = max(now, self._free[front]) + (costs.hit if hit else costs.passing * length)
        if hit:
            sentence.first = sentence.ended = self._free[front]
        else:
            self._schedule(self._free[front] + costs.first, lambda at: self._forward(at, sentence))
        self._schedule(now + self._next_interval(), self._on_arrival)

    def _forward(self, now: float, sentence: Sentence) -> None:
        """Send a sentence to a machine; do nothing where none is left."""
        number = self._choose(sentence.front)
        if number is None:
            return
        machine = self._machines[number]
        sentence.machine = number
        sentence.attempts += 1
        self._pending[sentence.front][number] += 1
        self._last[sentence.front][number] = next(self._count)
        self._result.requests[number] += 1
        self._record_active(now, 1)
        if machine.is_up and machine.has_capacity():
            self._start(now, machine, sentence)
        else:
            machine.waiting.append(sentence)

    def _choose(self, front: int) -> int | None:
        able = [number for number, machine in enumerate(self._machines) if machine.believed_up]
        if not able:
            return None
        if self._plan.policy == RANDOM:
            return self._choices.choice(able)
        last, own = self._last[front], self._pending[front]
        if self._plan.policy == LEAST_REQUESTS_GLOBALLY:
            return min(able, key=lambda number: (len(self._machines[number]), last[number]))
        return min(able, key=lambda number: (own[number], last[number]))

    def _start(self, now: float, machine: Machine, sentence: Sentence) -> None:
        machine.advance(now)
        machine.start(now, sentence, next(self._count), self._firsts.random())
        self._schedule_next_end(machine)

    def _schedule_next_end(self, machine: Machine) -> None:
        if machine.active:
            version = machine.version
            self._schedule(machine.next_end(), lambda at: self._on_made(at, machine, version))

    def _on_made(self, now: float, machine: Machine, version: int) -> None:
        if machine.version != version:
            return
        machine.advance(now)
        sentence = machine.end()
        sentence.ended = max(now, sentence.first)
        self._pending[sentence.front][sentence.machine] -= 1
        self._record_active(now, -1)
        if machine.waiting and machine.has_capacity():
            machine.start(now, machine.waiting.popleft(), next(self._count), self._firsts.random())
        self._schedule_next_end(machine)

    def _on_failure(self, now: float) -> None:
        machine = self._machines[0]
        machine.advance(now)
        machine.is_up = False
        machine.version += 1
        for _, _, sentence in machine.active:
            if sentence.first > now:  # no audio was sent yet
                sentence.first = math.nan
        self._schedule(now + self._plan.notice, self._on_failure_noticed)

    def _on_failure_noticed(self, now: float) -> None:
        """Send all sentences of the failed machine to other machines."""
        machine = self._machines[0]
        machine.believed_up = False
        stuck = [sentence for _, _, sentence in sorted(machine.active)] + list(machine.waiting)
        machine.active.clear()
        machine.waiting.clear()
        for sentence in stuck:
            self._pending[sentence.front][0] -= 1
            self._record_active(now, -1)
        for sentence in stuck:
            self._forward(now, sentence)
