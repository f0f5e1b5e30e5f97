"""The Qwen3-TTS engine against the official package, in turns, on random weights of the real dimensions.

    .venv/bin/python -m benchmarks.engine                            # tiny: overhead alone; a minute
    .venv/bin/python -m benchmarks.engine --size 0.6B                # some ten minutes on two cores
    .venv/bin/python -m benchmarks.engine --size 0.6B --quantize int8 --threads 1

Frames are fixed and the end is never chosen, so that both do the same work. Medians; ratios are ours to
theirs, and under 1 is faster. A checkpoint of your own: ``--model DIR``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.qwen3 import checkpoints
from wyoming_qwen3tts.engines.qwen3 import checkpoint
from wyoming_qwen3tts.engines.qwen3.codec import Codec
from wyoming_qwen3tts.engines.qwen3.decoder import Decoder, plain
from wyoming_qwen3tts.engines.qwen3.graphs import Graphs
from wyoming_qwen3tts.engines.qwen3.prompt import PromptBuilder, Speech
from wyoming_qwen3tts.engines.qwen3.quantize import int8
from wyoming_qwen3tts.engines.qwen3.scheduler import RAMP, Generation, Scheduler

TEXT = "Good evening, all is well."
"""26 tokens for the tokenizer of random checkpoints, which spells: as many as five seconds of speech have."""
FRAME_SECONDS = 0.08


@dataclass
class Run:
    """One run of some takes together: seconds from the start."""

    first: list[float]
    """To each take's first sound."""
    total: float
    steps: list[float]
    """That each step took."""


class Ours:
    """This engine, without its thread."""

    def __init__(self, found: checkpoint.Checkpoint, takes: int, linear: Any, frames: int) -> None:
        self.builder = PromptBuilder(found.official)
        graphs = Graphs(record=True) if found.device.type == "cuda" else None
        length = frames + 256
        self.decoder = Decoder(found.model, slots=takes, length=length, linear=linear, graphs=graphs)
        codec = Codec(found.codec, slots=takes, length=length, graphs=graphs)
        self.scheduler = Scheduler(self.builder, self.decoder, codec, found.sampling, frames)
        self.frames = frames

    def run(self, takes: int) -> Run:
        """Let so many takes be spoken together."""
        heard: dict[int, float] = {}
        ends: list[Exception | None] = []
        began = time.perf_counter()
        made = []
        for seed in range(takes):

            def hand_over(_: bytes, seed: int = seed) -> None:
                heard.setdefault(seed, time.perf_counter() - began)

            made.append(Generation(speech(self.builder), seed, hand_over=hand_over, ended=ends.append))
            self.scheduler.submit(made[-1])
        self.scheduler._admit()
        for take in made:
            take.cap = self.frames
        self.decoder.end_from[:takes] = 1 << 30
        steps = []
        while not self.scheduler.idle:
            step = time.perf_counter()
            self.scheduler.step()
            steps.append(time.perf_counter() - step)
        assert all(take.frames == self.frames for take in made), [str(end) for end in ends]
        # The last step only finds that there are frames enough.
        return Run([heard[seed] for seed in range(takes)], time.perf_counter() - began, steps[:-1])


class Theirs:
    """The official package."""

    def __init__(self, found: checkpoint.Checkpoint, frames: int) -> None:
        self.tts = found.official
        self.speech = speech(PromptBuilder(found.official))
        self.frames = frames
        eos = found.model.config.talker_config.codec_eos_token_id

        def never_ends(_: Any, __: Any, logits: torch.Tensor) -> None:
            logits[..., eos] = -1e4

        self.hook = found.model.talker.codec_head.registry_forward_hook(never_ends)

    def run(self) -> float:
        """Let it speak once; return the seconds that took."""
        torch.manual_seed(0)
        began = time.perf_counter()
        sounds, _ = self.tts.generate_custom_voice(
            text=self.speech.text,
            language=self.speech.language,
            speaker=self.speech.speaker,
            max_new_tokens=self.frames + 1,
        )
        took = time.perf_counter() - began
        assert len(sounds[0]) == self.frames * 1920, len(sounds[0])
        return took


class Faster:
    """faster-qwen3-tts (0.5.4), the peer with CUDA graphs. Installed by hand, with ``--no-deps``."""

    def __init__(self, directory: Path, device: torch.device, dtype: torch.dtype, frames: int) -> None:
        from faster_qwen3_tts import FasterQwen3TTS

        with contextlib.redirect_stdout(sys.stderr):
            self.tts = FasterQwen3TTS.from_pretrained(str(directory), device=str(device), dtype=dtype)
        self.frames = frames

    def run(self, chunk: int) -> tuple[float, float]:
        """Let it speak, ``chunk`` frames at a time; return the seconds to the first sound and to the end."""
        first = None
        began = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            for _ in self.tts.generate_custom_voice_streaming(
                text=TEXT,
                language="English",
                speaker="serena",
                max_new_tokens=self.frames,
                min_new_tokens=self.frames,
                chunk_size=chunk,
            ):
                first = first or time.perf_counter() - began
        assert first is not None
        return first, time.perf_counter() - began


def speech(builder: PromptBuilder) -> Speech:
    return Speech(TEXT, "english", builder.speakers[0])


def bandwidth(device: torch.device) -> float:
    """Return the bytes a second that this device reads and writes."""
    block = torch.ones(1 << 28, dtype=torch.uint8, device=device)
    target = torch.empty_like(block)

    def copy() -> None:
        target.copy_(block)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return 2 * block.numel() / statistics.median(timed(copy) for _ in range(9))


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def weights_read(found: checkpoint.Checkpoint) -> int:
    """Return the bytes of weights a frame reads: the talker once, the code predictor fifteen times."""
    talker = found.model.talker
    size = sum(weight.numel() for weight in talker.model.layers.parameters())
    size += talker.codec_head.weight.numel()
    size += 15 * sum(weight.numel() for weight in talker.code_predictor.model.layers.parameters())
    size += sum(head.weight.numel() for head in talker.code_predictor.lm_head)
    bytes_each: int = talker.codec_head.weight.element_size()
    return int(size) * bytes_each


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--size", choices=("tiny", "0.6B", "1.7B"), default="tiny")
    arguments.add_argument("--model", type=Path, help="a checkpoint's directory instead of random weights")
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--dtype", default="auto")
    arguments.add_argument("--quantize", choices=("none", "int8"), default="none")
    arguments.add_argument("--frames", type=int, default=63, help="63 are five seconds of sound")
    arguments.add_argument("--takes", type=int, nargs="+", default=[1, 4, 8, 16])
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--official", action=argparse.BooleanOptionalAction, default=True)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    logging.disable(logging.WARNING)  # every take reaches its limit
    with tempfile.TemporaryDirectory() as folder:
        directory = given.model or checkpoints.make(Path(folder), size=given.size)
        compare(given, directory)


def compare(given: argparse.Namespace, directory: Path) -> None:
    device, _ = checkpoint.choose_device(given.device)
    dtype, _ = checkpoint.choose_dtype(given.dtype, device)
    frames, most = given.frames, max(given.takes)
    ours_in = checkpoint.load(directory, device, dtype)
    size = weights_read(ours_in)
    quantized = given.quantize == "int8"
    # The official modules look into our weights, unless ours are others.
    theirs_in = checkpoint.load(directory, device, dtype) if quantized and given.official else ours_in
    ours = Ours(ours_in, most, int8 if quantized else plain, frames)
    theirs = Theirs(theirs_in, frames) if given.official else None
    print(f"{ours_in.name}, random weights" if given.model is None else ours_in.name, end=": ")
    print(f"{device}, {dtype}, quantize {given.quantize}, {given.threads} threads, {frames} frames")
    ours.run(most)
    official: list[float] = []
    runs: dict[int, list[Run]] = {takes: [] for takes in given.takes}
    for _ in range(given.runs):
        if theirs is not None:
            official.append(theirs.run())
        for takes in given.takes:
            runs[takes].append(ours.run(takes))
    whole = statistics.median(official) if official else float("nan")
    if official:
        print(f"official: {1e3 * whole / frames:.1f} ms a frame, the first sound after {whole:.2f} s")
    alone: float | None = None
    print(
        "takes  ms/frame  x real time  first sound p50/p95 (ms)  step x one  frame: official  first: official"
    )
    for takes, found in runs.items():
        total = statistics.median(run.total for run in found)
        firsts = [first for run in found for first in run.first]
        # A cycle of the ramp's last length: every step of it, the codec's share included.
        step = statistics.median(statistics.mean(run.steps[-RAMP[-1] :]) for run in found)
        alone = alone or step
        print(
            f"{takes:5d}  {1e3 * total / frames:8.1f}  {takes * frames * FRAME_SECONDS / total:11.2f}"
            f"  {1e3 * percentile(firsts, 0.5):12.0f} / {1e3 * percentile(firsts, 0.95):<11.0f}"
            f"  {step / alone:10.2f}  {total / whole:15.3f}  {percentile(firsts, 0.5) / whole:15.3f}"
        )
    speed = bandwidth(device)
    floor = size / speed
    one = statistics.median(run.total for run in runs[given.takes[0]]) / frames
    if device.type == "cuda" and importlib.util.find_spec("faster_qwen3_tts"):
        peer = Faster(directory, device, dtype, frames)
        for chunk in (1, 8):
            peer.run(chunk)
            found_there = [peer.run(chunk) for _ in range(given.runs)]
            first, total = (statistics.median(values) for values in zip(*found_there, strict=True))
            print(
                f"faster-qwen3-tts, {chunk} frames at a time: first sound {1e3 * first:.0f} ms,"
                f" {1e3 * total / frames:.1f} ms a frame; ours / its frame {one / (total / frames):.2f}"
            )
    if given.quantize == "none":
        print(
            f"floor: {size / 1e9:.2f} GB of weights a frame at {speed / 1e9:.1f} GB/s = {1e3 * floor:.2f} ms;"
            f" a frame of one take takes {one / floor:.1f} times that, codec included"
        )


if __name__ == "__main__":
    main()
