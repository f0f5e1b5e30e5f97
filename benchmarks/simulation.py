"""Many machines in thought: sentences arrive, fronts pass them on, servers make them. Events, not clocks.

What is real: the service times (``times``), and how this server chooses (``engines/remote``): a front knows
only what it has asked itself, and asks whoever it has asked for least. What is thought: sentences arrive by
chance, each for itself (Poisson), so that the second sentence of a reply has no head start; a server shares
itself equally among what it makes; a sentence beyond its limit waits, first come, first served. Left out:
``--remote-max-concurrent-requests`` (set it above what is asked for at once), the network, and a front's own
bounds.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.times import Times, quantile

LEAST, RANDOM, SHARED = "least", "random", "shared"
POLICIES = (LEAST, RANDOM, SHARED)
"""Whom a front asks: whoever it has asked for least; anybody; whoever all fronts have asked for least."""
WARM_UP = 0.1
"""The part of the time whose sentences do not count."""


class NoMachineError(ValueError):
    """Nobody would be there who speaks; or another number that cannot be."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. Times are in seconds."""

    speakers: float
    """Voices that speak at a moment, on average: seconds of sound that are asked for in a second."""
    machines: int
    fronts: int = 1
    policy: str = LEAST
    hits: float = 0.0
    """The part of the sentences that a cache has."""
    streams: int = 0
    """Utterances that a machine makes at once; 0 is as many as were measured."""
    seconds: float = 60.0
    seed: int = 1
    fails: float = math.nan
    """When the first machine ends for good; not a number: never."""
    notice: float = 2.0
    """How long fronts go on asking it: --remote-connect-timeout where it is gone, 0 where it refuses."""

    def __post_init__(self) -> None:
        if self.machines < 1:
            raise NoMachineError(f"machines: {self.machines}: at least one has to speak")
        if self.fronts < 1:
            raise NoMachineError(f"fronts: {self.fronts}: at least one has to listen")
        if self.speakers <= 0 or self.seconds <= 0 or self.streams < 0 or self.notice < 0:
            raise NoMachineError("speakers and seconds have to be above 0, streams and notice not below")
        if not 0 <= self.hits <= 1:
            raise NoMachineError(f"hits: {self.hits}: a part from 0 to 1")
        if self.policy not in POLICIES:
            raise NoMachineError(f"policy: {self.policy}: one of {', '.join(POLICIES)}")


@dataclass(slots=True, eq=False)
class Sentence:
    """Something that somebody waits to hear. Times are in seconds of the simulation."""

    arrived: float
    length: float
    """Seconds of its sound."""
    front: int
    hit: bool = False
    machine: int = -1
    asked: int = 0
    """How many machines were asked."""
    first: float = math.nan
    """When its first sound is there."""
    ended: float = math.nan
    """When its last sound is there; not a number for one that nobody could make."""

    @property
    def wait(self) -> float:
        """Seconds to the first sound."""
        return self.first - self.arrived

    @property
    def dry(self) -> bool:
        """Whether playback in real time had to wait: its end came later than it would have been played."""
        return self.ended > self.first + self.length


@dataclass(slots=True)
class Result:
    """What came of it: sentences that arrived after the warm-up."""

    plan: Plan
    sentences: list[Sentence] = field(default_factory=list)
    working: float = 0.0
    """Mean number of sentences at the machines, waiting or being made, from the warm-up to the end."""
    asked: list[int] = field(default_factory=list)
    """Sentences that each machine was asked for."""

    @property
    def spoken(self) -> list[Sentence]:
        """The sentences that came to their end."""
        return [each for each in self.sentences if not math.isnan(each.ended)]

    def wait(self, chance: float, since: float = 0.0, until: float = math.inf) -> float:
        """Return a quantile of the seconds to the first sound, of what arrived in that time."""
        waits = sorted(each.wait for each in self.spoken if since <= each.arrived < until)
        return quantile(waits, chance)

    @property
    def dry(self) -> float:
        """The part of the sentences whose playback had to wait."""
        return sum(each.dry for each in self.spoken) / max(1, len(self.spoken))

    @property
    def lost(self) -> int:
        """Sentences that no machine was left for."""
        return len(self.sentences) - len(self.spoken)


class Machine:
    """A server that shares itself equally among up to ``limit`` sentences; others wait."""

    def __init__(self, times: Times, limit: int) -> None:
        self.up = True
        """It works. Fronts may not know yet that it does not."""
        self.known = True
        """Fronts think that it works."""
        self.making: list[tuple[float, int, Sentence]] = []
        """A heap, by how much each sentence was to have when the last of its sound is there."""
        self.waiting: deque[Sentence] = deque()
        self.version = 0
        """Of what is being made: when it changes, what was foreseen is no more."""
        self._times = times
        self._limit = limit
        self._given = 0.0
        """Seconds of sound that one sentence would have got since the beginning."""
        self._at = 0.0

    def __len__(self) -> int:
        return len(self.making) + len(self.waiting)

    def room(self) -> bool:
        """Return whether one more can be begun."""
        return len(self.making) < self._limit

    def advance(self, now: float) -> None:
        """Work until ``now``."""
        if self.making:
            self._given += (now - self._at) * self._times.speed(len(self.making))
        self._at = now

    def begin(self, now: float, sentence: Sentence, number: int, chance: float) -> None:
        """Begin with a sentence; it has been advanced to ``now``."""
        heapq.heappush(self.making, (self._given + sentence.length, number, sentence))
        self.version += 1
        if math.isnan(sentence.first):
            sentence.first = now + self._times.first(len(self.making), chance)

    def end(self) -> Sentence:
        """Take out the sentence that is made; it has been advanced to that moment."""
        given, _, sentence = heapq.heappop(self.making)
        self._given = max(self._given, given)
        self.version += 1
        return sentence

    def next_end(self) -> float:
        """Return when the next sentence is made if nothing changes."""
        left = max(0.0, self.making[0][0] - self._given)
        return self._at + left / self._times.speed(len(self.making))


def simulate(plan: Plan, times: Times, length: Callable[[random.Random], float] | None = None) -> Result:
    """Return what comes of a plan. ``length`` draws a sentence's seconds; without it, one that was measured.

    The mean of what is drawn has to be ``times.mean_length``, which says how many arrive.
    """
    return _Run(plan, times, length or (lambda chance: chance.choice(times.lengths))).run()


class _Run:
    def __init__(self, plan: Plan, times: Times, length: Callable[[random.Random], float]) -> None:
        self._plan, self._times, self._length = plan, times, length
        # Each has its own, so that plans of one seed have the same sentences at the same times.
        self._arrivals = random.Random(plan.seed)
        self._choices = random.Random(plan.seed + 1)
        self._firsts = random.Random(plan.seed + 2)
        limit = plan.streams or times.most
        self._machines = [Machine(times, limit) for _ in range(plan.machines)]
        self._asked = [[0] * plan.machines for _ in range(plan.fronts)]
        """What each front has asked each machine for and not yet got."""
        self._last = [[0] * plan.machines for _ in range(plan.fronts)]
        self._free = [0.0] * plan.fronts
        """When each front has done what it has to do."""
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = itertools.count()
        self._result = Result(plan, asked=[0] * plan.machines)
        self._warm = plan.seconds * WARM_UP
        self._working, self._since, self._area = 0, self._warm, 0.0

    def run(self) -> Result:
        """Run it to the end of the last sentence."""
        plan = self._plan
        self._later(self._gap(), self._arrive)
        if not math.isnan(plan.fails):
            self._later(plan.fails, self._fail)
        while self._events:
            now, _, happens = heapq.heappop(self._events)
            happens(now)
        self._result.working = self._area / (plan.seconds - self._warm)
        return self._result

    def _later(self, at: float, happens: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._count), happens))

    def _gap(self) -> float:
        return self._arrivals.expovariate(self._plan.speakers / self._times.mean_length)

    def _works(self, now: float, more: int) -> None:
        """Note that so many sentences more are at the machines."""
        until = min(now, self._plan.seconds)
        if until > self._since:
            self._area += self._working * (until - self._since)
            self._since = until
        self._working += more

    def _arrive(self, now: float) -> None:
        if now >= self._plan.seconds:
            return
        length = self._length(self._arrivals)
        hit = self._arrivals.random() < self._plan.hits
        front = int(self._arrivals.random() * self._plan.fronts)
        sentence = Sentence(now, length, front, hit)
        if now >= self._warm:
            self._result.sentences.append(sentence)
        costs = self._times.front
        # The front is one thread: what it has to do for all stands in a row.
        self._free[front] = max(now, self._free[front]) + (costs.hit if hit else costs.passing * length)
        if hit:
            sentence.first = sentence.ended = self._free[front]
        else:
            self._later(self._free[front] + costs.first, lambda at: self._ask(at, sentence))
        self._later(now + self._gap(), self._arrive)

    def _ask(self, now: float, sentence: Sentence) -> None:
        """Ask a machine for a sentence; nobody left is the end of it."""
        number = self._choose(sentence.front)
        if number is None:
            return
        machine = self._machines[number]
        sentence.machine = number
        sentence.asked += 1
        self._asked[sentence.front][number] += 1
        self._last[sentence.front][number] = next(self._count)
        self._result.asked[number] += 1
        self._works(now, 1)
        if machine.up and machine.room():
            self._begin(now, machine, sentence)
        else:
            machine.waiting.append(sentence)

    def _choose(self, front: int) -> int | None:
        able = [number for number, machine in enumerate(self._machines) if machine.known]
        if not able:
            return None
        if self._plan.policy == RANDOM:
            return self._choices.choice(able)
        last, own = self._last[front], self._asked[front]
        if self._plan.policy == SHARED:
            return min(able, key=lambda number: (len(self._machines[number]), last[number]))
        return min(able, key=lambda number: (own[number], last[number]))

    def _begin(self, now: float, machine: Machine, sentence: Sentence) -> None:
        machine.advance(now)
        machine.begin(now, sentence, next(self._count), self._firsts.random())
        self._foresee(machine)

    def _foresee(self, machine: Machine) -> None:
        if machine.making:
            version = machine.version
            self._later(machine.next_end(), lambda at: self._made(at, machine, version))

    def _made(self, now: float, machine: Machine, version: int) -> None:
        if machine.version != version:
            return
        machine.advance(now)
        sentence = machine.end()
        sentence.ended = max(now, sentence.first)
        self._asked[sentence.front][sentence.machine] -= 1
        self._works(now, -1)
        if machine.waiting and machine.room():
            machine.begin(now, machine.waiting.popleft(), next(self._count), self._firsts.random())
        self._foresee(machine)

    def _fail(self, now: float) -> None:
        machine = self._machines[0]
        machine.advance(now)
        machine.up = False
        machine.version += 1
        for _, _, sentence in machine.making:
            if sentence.first > now:  # nothing of it was heard
                sentence.first = math.nan
        self._later(now + self._plan.notice, self._noticed)

    def _noticed(self, now: float) -> None:
        """Every front asks another machine for what the one that is gone was asked for."""
        machine = self._machines[0]
        machine.known = False
        stuck = [sentence for _, _, sentence in sorted(machine.making)] + list(machine.waiting)
        machine.making.clear()
        machine.waiting.clear()
        for sentence in stuck:
            self._asked[sentence.front][0] -= 1
            self._works(now, -1)
        for sentence in stuck:
            self._ask(now, sentence)
