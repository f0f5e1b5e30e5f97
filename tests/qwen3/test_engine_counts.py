"""Counts of the engine that need no GPU stay within their bounds."""

from __future__ import annotations

from pathlib import Path

from benchmarks import engine_counts
from tests.qwen3 import checkpoints

BOUNDS = {
    "nodes_per_frame_0.6B": 2105,
    "nodes_per_frame_1.7B": 2105,
    "nodes_per_codec_call": 351,
    "transfers_per_join": 8,
    "transfers_per_step": 7,
    "shapes_not_warmed": 0,
}
"""Counted by ``python -m benchmarks.engine_counts``; lower them with the engine."""


def test_launches_transfers_and_shapes_do_not_grow(tmp_path: Path) -> None:
    found = engine_counts.counts(checkpoints.make(tmp_path / "tiny", "custom_voice"))
    assert found.pop("graphs") > 20
    assert {name: number for name, number in found.items() if number > BOUNDS[name]} == {}
