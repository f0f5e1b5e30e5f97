"""A token bucket: so many may come at once, and so many in a second after that."""

from __future__ import annotations


class Bucket:
    """Counts what comes. Times are seconds on whatever clock its owner has."""

    def __init__(self, most: float, a_second: float, now: float) -> None:
        """``most``: that may come at once."""
        self._most = most
        self._a_second = a_second
        self._left = most
        self._since = now

    def wait(self, now: float) -> float:
        """Count one; return 0, or the seconds until there is room for it: then it is not counted."""
        self._left = min(self._most, self._left + (now - self._since) * self._a_second)
        self._since = now
        if self._left < 1:
            return (1 - self._left) / self._a_second
        self._left -= 1
        return 0.0
