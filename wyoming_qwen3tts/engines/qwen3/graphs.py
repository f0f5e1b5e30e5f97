"""Fixed shapes, and on CUDA a captured graph for each: a thousand kernels per frame become three launches.

A function that runs here depends only on static tensors, and all its shapes and Python values are in its key.
The first call with a key runs the function, which is also its warm-up; the second call captures and replays a
graph; later calls replay it. Capturing executes nothing, so nothing is computed twice.
"""

from __future__ import annotations

import bisect
import logging
from collections.abc import Callable, Hashable, Sequence, Set
from typing import Any

import torch

from ...telemetry import quote
from .device_errors import is_device_lost, is_out_of_memory

_LOGGER = logging.getLogger(__name__)

PREFILL_ROWS = (16, 32, 64, 128, 256)
"""Row counts that prefills are padded to; longer ones run in pieces."""


def batch_buckets(max_batch_size: int) -> list[int]:
    """Return the batch sizes that steps are padded to: powers of two, and ``max_batch_size``."""
    sizes = [1]
    while sizes[-1] * 2 < max_batch_size:
        sizes.append(sizes[-1] * 2)
    return sorted({*sizes, max_batch_size})


def length_buckets(max_length: int) -> list[int]:
    """Return the attention lengths that are padded to: a sentence, a long sentence, and ``max_length``."""
    return sorted({min(320, max_length), min(640, max_length), max_length})


def smallest_bucket(sizes: Sequence[int], size: int) -> int | None:
    """Return the smallest of the sorted ``sizes`` that is at least ``size``; None where there is none."""
    index = bisect.bisect_left(sizes, size)
    return sizes[index] if index < len(sizes) else None


class Graphs:
    """Captured graphs by key. For the device's thread."""

    def __init__(self, *, capture: bool) -> None:
        """``capture``: False runs the functions instead, for tests of the padded shapes without CUDA."""
        self._capture_enabled = capture
        self._seen_keys: set[Hashable] = set()
        self._graphs: dict[Hashable, tuple[Any, Any]] = {}
        self._eager_keys: set[Hashable] = set()
        """Keys whose capture has failed; they run without a graph."""
        self._pool: Any = None

    @property
    def keys(self) -> Set[Hashable]:
        """The keys that were run."""
        return frozenset(self._seen_keys)

    def __len__(self) -> int:
        return len(self._graphs) if self._capture_enabled else len(self._seen_keys)

    def run(self, key: Hashable, function: Callable[[], Any]) -> Any:
        """Return what ``function`` returns; the same tensors each time once it is captured."""
        if key not in self._seen_keys or key in self._eager_keys or not self._capture_enabled:
            self._seen_keys.add(key)
            return function()
        if key not in self._graphs:
            try:
                self._graphs[key] = self._capture(function)
            except RuntimeError as error:
                if is_out_of_memory(error) or is_device_lost(error):
                    raise
                _LOGGER.warning(
                    "qwen3: graph cannot be captured, it runs without key=%s error=%s",
                    quote(key),
                    quote(error),
                )
                self._eager_keys.add(key)
                return function()
        graph, result = self._graphs[key]
        graph.replay()
        return result

    def _capture(self, function: Callable[[], Any]) -> tuple[Any, Any]:
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                result = function()
        finally:
            # If the end of the capture raises, torch.cuda.graph leaves its own stream as the current one.
            torch.cuda.set_stream(stream)
        self._pool = self._pool or graph.pool()
        return graph, result
