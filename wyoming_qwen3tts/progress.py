"""Progress of long tasks on standard error: a bar on a terminal, plain lines elsewhere.

Engines report it to the logger ``LOGGER``, commands print it.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

LOGGER = logging.getLogger(__name__)
INTERVAL = 10.0
"""Seconds after which a plain line is printed in any case."""
SHORTEST_INTERVAL = 1.0
"""Seconds that are at least between plain lines: a short task has none."""
STEP = 10
"""Percent of progress after which a plain line is printed."""
BAR_WIDTH = 30
"""Characters of the bar."""

_lock = threading.Lock()
_drawn = False
"""Whether the terminal's current line is a bar or a status."""


def clear_line() -> None:
    """Erase the bar, before another line is written. It is drawn again with the next progress."""
    global _drawn
    with _lock:
        if _drawn:
            _drawn = False
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def print_line(line: str) -> None:
    """Print a line on standard error, apart from a command's output."""
    clear_line()
    print(line, file=sys.stderr, flush=True)


class Status:
    """What a task does now: the last line of a terminal, or a plain line every INTERVAL seconds.

    It is a context manager, which erases the line at the end.
    """

    def __init__(self, report: Callable[[str], object] = print_line) -> None:
        """``report``: takes the plain lines."""
        self._report = report
        self._terminal = sys.stderr.isatty()
        self._reported = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        clear_line()

    def show(self, text: str, *, every: float = INTERVAL) -> bool:
        """Show ``text``, as a plain line only every so many seconds; return whether it is shown."""
        global _drawn
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            with _lock:
                _drawn = True
                print(f"\r{text[:width]}\033[K", end="", file=sys.stderr, flush=True)
            return True
        if time.monotonic() - self._reported < every:
            return False
        self._reported = time.monotonic()
        self._report(text)
        return True


class Progress(Status):
    """How much of a task is done, and how long the rest will take."""

    def __init__(self, label: str, total: float, report: Callable[[str], object] = print_line) -> None:
        """``report``: takes the plain lines, ``LABEL percent=30 left=12s``."""
        super().__init__(report)
        self._label = label
        self.total = total
        self._began = time.monotonic()
        self._last_percent = 0
        self.share = 0.0
        """Part of the task that is done, 0 to 1."""

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the task is done; None while nothing of it is."""
        elapsed = time.monotonic() - self._began
        return elapsed / self.share - elapsed if self.share else None

    def update(self, done: float) -> None:
        """Show that ``done`` of the total is done."""
        self.share = min(1.0, done / self.total) if self.total else 1.0
        share, percent, seconds = self.share, int(100 * self.share), self.seconds_left
        left = "?" if seconds is None else format_seconds(seconds)
        if self._terminal:
            bar = "#" * int(BAR_WIDTH * share)
            self.show(f"{self._label} [{bar:-<{BAR_WIDTH}}] {percent:3} %, {left} left")
        else:
            every = SHORTEST_INTERVAL if percent >= self._last_percent + STEP else INTERVAL
            if self.show(f"{self._label} percent={percent} left={left.replace(' ', '')}", every=every):
                self._last_percent = percent


def format_seconds(seconds: float) -> str:
    """Return a time for a reader: ``12 s``, or ``3 min`` from 100 s on."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
