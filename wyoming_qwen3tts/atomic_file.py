"""Atomic file writes: after a crash or power failure a file is complete, or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PART = ".part"
"""Extension of a file that is being written."""


def make_private(directory: Path) -> None:
    """Create a directory that only the user can read, and its parents. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a file in an existing directory. Blocks until it is on disk. Raises OSError."""
    file, part = tempfile.mkstemp(PART, f".{path.name}.", path.parent)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(file)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a directory, are on disk. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
