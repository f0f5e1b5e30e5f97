"""Counts of the Qwen3-TTS engine that need no GPU: kernel launches, host synchronizations, shapes.

    python -m benchmarks.engine_counts

On a tiny random checkpoint on a CPU, with captures of CUDA graphs simulated (``tests/qwen3/capture.py``).
Each count is a line ``name: number``:

- ``nodes_per_frame_0.6B`` and ``_1.7B``: operations that launch a kernel, of a frame of a full batch without
  the codec: talker, code predictor and sampling. Counted in tiny layers, and extrapolated to all layers, of
  which both sizes have as many. The 1.7B code predictor's projection, one more launch, is not counted.
- ``nodes_per_codec_call``: the same of a codec call of eight frames.
- ``transfers_per_step``: operations of a steady step, outside of graphs, that copy between host and device or
  wait.
- ``transfers_per_join``: the same of one generation that joins.
- ``shapes_not_warmed``: graphs that are run first, or captured, after the warm-up.
- ``graphs``: graphs after the warm-up.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from tests.qwen3 import checkpoints
from tests.qwen3.capture import Recording, SimulatedGraphs, index_of
from wyoming_qwen3tts.engines.qwen3 import checkpoint
from wyoming_qwen3tts.engines.qwen3.codec import Codec
from wyoming_qwen3tts.engines.qwen3.decoder import Decoder, Stack
from wyoming_qwen3tts.engines.qwen3.prompt import PromptBuilder, Speech
from wyoming_qwen3tts.engines.qwen3.scheduler import Generation, Scheduler

SLOTS, LENGTH = 8, 2048
TALKER_LAYERS, PREDICTOR_LAYERS = 28, 5
"""Of both sizes (the official configurations)."""
VIEWS = {
    *("view", "_unsafe_view", "slice", "select", "transpose", "permute", "expand", "unsqueeze", "squeeze"),
    *("split", "split_with_sizes", "chunk", "unbind", "t", "detach", "alias", "as_strided", "reshape"),
    *("_reshape_alias", "lift_fresh", "unfold", "empty", "empty_like", "new_empty", "empty_strided"),
}
"""Operations that launch no kernel."""
TRANSFERS = {"item", "tolist", "numpy", "cpu", "__int__", "__bool__", "__float__", "tensor"}
"""Functions that copy between host and device, or wait for the device."""
STEADY_STEPS = 6
"""Steps until a step has neither joins nor first codec calls."""


class Graphs(SimulatedGraphs):
    """Simulated graphs that know whether one of them runs."""

    inside = False

    def run(self, key: Any, function: Callable[[], Any]) -> Any:
        """Return what ``function`` returns."""
        self.inside = True
        try:
            return super().run(key, function)
        finally:
            self.inside = False


class Transfers(TorchFunctionMode):
    """Counts transfers outside of graphs."""

    def __init__(self, graphs: Graphs) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self._graphs = graphs

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        """Call a function of torch."""
        name = getattr(function, "__name__", str(function))
        if not self._graphs.inside:
            lists = sum(isinstance(each, list) for each in index_of(function, given))
            self.found[name] += lists + (name in TRANSFERS)
        return function(*given, **(named or {}))


def launches(call: Callable[[], object]) -> int:
    """Return the operations of a call that launch a kernel."""
    with torch.inference_mode(), Recording(permissive=True) as recording:
        call()
    return sum(each[0].overloadpacket.__name__ not in VIEWS for each in recording.calls)


@contextmanager
def layers(stack: Stack, count: int) -> Iterator[None]:
    """Leave only the first layers of a stack."""
    full = stack.layers
    stack.layers = full[:count]
    try:
        yield
    finally:
        stack.layers = full


def at_depth(call: Callable[[], object], stack: Stack, depth: int) -> int:
    """Return the launches of a call if ``stack`` had so many layers."""
    with layers(stack, 1):
        one = launches(call)
    with layers(stack, 2):
        return one + (depth - 1) * (launches(call) - one)


def counts(directory: Path) -> dict[str, int]:
    """Return all counts, of a tiny checkpoint in ``directory``."""
    found = checkpoint.load(directory, torch.device("cpu"), torch.float32)
    graphs = Graphs()
    decoder = Decoder(found.model, slots=SLOTS, length=LENGTH, graphs=graphs)
    codec = Codec(found.codec, slots=SLOTS, length=2 * LENGTH, graphs=graphs)
    result = dict.fromkeys(("nodes_per_frame_0.6B", "nodes_per_frame_1.7B"), _launches_per_frame(decoder))
    codes = torch.zeros(SLOTS, 8, codec.codebooks, dtype=torch.long)
    result["nodes_per_codec_call"] = launches(lambda: codec.decode_rows(codes, torch.arange(SLOTS)))
    scheduler = Scheduler(
        PromptBuilder(found.official), decoder, codec, found.sampling, frames_per_token=1e6, overlap=True
    )
    for call in [*decoder.warm_up_calls(), *codec.warm_up_calls()]:
        for _ in range(2):
            call()
    warmed = len(graphs.keys), len(graphs.captured)
    result |= {"graphs": warmed[1], **_serve(scheduler, decoder, graphs)}
    result["shapes_not_warmed"] = len(graphs.keys) + len(graphs.captured) - sum(warmed)
    return result


def _launches_per_frame(decoder: Decoder) -> int:
    rows = slice(0, SLOTS)
    variants = decoder._talker_sampling.variant(rows), decoder._predictor_sampling.variant(rows)
    advance = at_depth(lambda: decoder.advance_rows(rows, LENGTH), decoder.talker, TALKER_LAYERS)
    predict = at_depth(lambda: decoder.predict_rows(rows, *variants), decoder.predictor, PREDICTOR_LAYERS)
    return advance + predict


def _serve(scheduler: Scheduler, decoder: Decoder, graphs: Graphs) -> dict[str, int]:
    """Run a batch; return its transfers."""
    joins: Counter[str] = Counter()
    for number in range(SLOTS):
        speech = Speech("Good evening, all is well.", "english", "ryan")
        generation = Generation(speech, number, on_audio=lambda audio: None, on_end=lambda error: None)
        scheduler.submit(generation)
        with Transfers(graphs) as joined, torch.inference_mode():
            scheduler._admit()
        joins += joined.found
        decoder.end_from[number] = 1 << 30  # no generation ends
    steady: list[int] = []
    for _ in range(STEADY_STEPS + 8):
        with Transfers(graphs) as stepped:
            scheduler.step()
        steady.append(stepped.found.total())
    return {
        "transfers_per_join": round(joins.total() / SLOTS),
        "transfers_per_step": max(steady[STEADY_STEPS:]),
    }


def main() -> None:
    """Print the counts."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        for name, number in counts(checkpoints.make(Path(place, "tiny"), "custom_voice")).items():
            print(f"{name}: {number}")


if __name__ == "__main__":
    main()
