"""The program: runs a command, the server if none is named, and ends the process."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn

from .cli import main

ENGINE_THREADS = "qwen3-", "builtin-voice"
"""How the names of engines' threads begin."""
CACHE_THREADS = "cache-disk"
"""How the name of the thread begins that has the cache's file."""
PATIENCE = 0.5
"""Seconds that such a thread may take to end, once it was told to."""


def run() -> None:
    """Run the program of the command line."""
    try:
        leave(main(sys.argv[1:]))
    except KeyboardInterrupt:  # a second one, or before there was anything to stop
        leave(130)


def leave(status: int) -> NoReturn:
    """End the process, at once if an engine's thread still works.

    A model cannot be stopped while it is read. The thread that does it is inside C++ then, and the process
    would be aborted (status 134) if the interpreter were taken down under it. And a disk that hangs would
    hold the process up for as long.
    """
    for thread in threading.enumerate():
        if thread.name.startswith((ENGINE_THREADS[1], CACHE_THREADS)):
            thread.join(PATIENCE)
    if any(thread.name.startswith((*ENGINE_THREADS, CACHE_THREADS)) for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
                stream.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
