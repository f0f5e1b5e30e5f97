"""Fixed shapes, and on CUDA a recorded graph for each: a thousand kernels a frame become three launches.

What runs here is a function of static tensors whose shapes and Python values are all in its key. The first
time a key is met the function simply runs, which is also its warm-up; the second time it is recorded; from
then on it is replayed. Recording runs nothing, so nothing happens twice.
"""

from __future__ import annotations

import bisect
import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

_LOGGER = logging.getLogger(__name__)

PREFILLS = (16, 32, 64, 128, 256)
"""Rows of a prefill, padded up; longer ones run as they are."""


def buckets(most: int) -> list[int]:
    """Return the batch sizes that steps are padded up to: powers of two, and ``most``."""
    sizes = [1]
    while sizes[-1] * 2 < most:
        sizes.append(sizes[-1] * 2)
    return sorted({*sizes, most})


def lengths(most: int) -> list[int]:
    """Return the positions that attention looks at, padded up: a sentence, a long one, and ``most``."""
    return sorted({min(320, most), min(640, most), most})


def at_least(sizes: Sequence[int], wanted: int) -> int | None:
    """Return the least of ``sizes``, rising, that holds ``wanted``."""
    place = bisect.bisect_left(sizes, wanted)
    return sizes[place] if place < len(sizes) else None


class Graphs:
    """Recorded functions by key. Belongs to the device's thread."""

    def __init__(self, *, record: bool) -> None:
        """``record``: False runs every function each time: the padded shapes without CUDA, for tests."""
        self._record = record
        self._met: set[Hashable] = set()
        self._recorded: dict[Hashable, tuple[Any, Any]] = {}
        self._pool: Any = None

    def __len__(self) -> int:
        return len(self._recorded) if self._record else len(self._met)

    def run(self, key: Hashable, function: Callable[[], Any]) -> Any:
        """Return what ``function`` returns; the same tensors each time once it is recorded."""
        if key not in self._met or not self._record:
            self._met.add(key)
            return function()
        if key not in self._recorded:
            try:
                self._recorded[key] = self._recording(function)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                _LOGGER.warning("CUDA graphs cannot be used, so every frame takes longer: %s", error)
                self._record = False
                self._recorded.clear()
                return function()
        graph, result = self._recorded[key]
        graph.replay()
        return result

    def _recording(self, function: Callable[[], Any]) -> tuple[Any, Any]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            result = function()
        self._pool = self._pool or graph.pool()
        return graph, result
