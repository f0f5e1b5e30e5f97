"""The circuit breaker of engines, remote servers and cache tiers."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence


class CircuitBreaker:
    """Counts failures in a row. Closed, calls are made; open, only a trial call after a rest.

    Calls that were running when another one failed do not count again: pass ``incidents``, read before the
    call, to ``record_failure``.
    """

    def __init__(self, rests: Sequence[float], *, threshold: int = 1) -> None:
        """``rests``: seconds before the first trial call, the second, …. ``threshold``: failures in a row."""
        self.is_open = False
        self.reason = ""
        """The last failure."""
        self.failures = 0
        """Failures since the last success; those of simultaneous calls count once."""
        self.incidents = 0
        """Failures since the beginning, counted in the same way."""
        self._rests = rests
        self._threshold = threshold
        self._trials = 0
        """Failed calls since it opened."""
        self._until = -math.inf

    @property
    def rest(self) -> float:
        """Seconds before the next trial call."""
        return self._rests[min(self._trials, len(self._rests) - 1)]

    @property
    def is_resting(self) -> bool:
        """Whether it is open and the rest is not over."""
        return self.is_open and time.monotonic() < self._until

    def record_failure(self, reason: str, incidents: int | None = None) -> bool:
        """Count a failed call; return whether the circuit is open now."""
        if incidents not in {None, self.incidents}:
            return self.is_open
        self.incidents += 1
        self.failures += 1
        if self.is_open:
            self._trials += 1
        elif self.failures >= self._threshold:
            self.is_open = True
        self.reason = reason
        self._until = time.monotonic() + self.rest
        return self.is_open

    def record_success(self) -> bool:
        """Close the circuit; return whether there had been failures."""
        failed = self.failures > 0 or self.is_open
        self.is_open = False
        self.failures = self._trials = 0
        self.end_rest()
        return failed

    def open(self, reason: str) -> None:
        """Open the circuit, however few failures there were."""
        self.is_open, self.reason = True, reason
        self._until = time.monotonic() + self.rest

    def end_rest(self) -> None:
        """Allow a trial call at once."""
        self._until = -math.inf
