"""A token bucket: limits how many events may happen at once, and how many per second in the long run."""

from __future__ import annotations


class TokenBucket:
    """Counts events. Times are seconds on the caller's clock."""

    def __init__(self, capacity: float, per_second: float, now: float) -> None:
        """``capacity``: events that may happen at once; ``per_second``: the rate at which it refills."""
        self._capacity = capacity
        self._per_second = per_second
        self._tokens = capacity
        self._updated = now

    def take(self, now: float) -> float:
        """Count one event and return 0; or, if it is one too many, return the seconds until it is allowed."""
        self._tokens = min(self._capacity, self._tokens + (now - self._updated) * self._per_second)
        self._updated = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0
