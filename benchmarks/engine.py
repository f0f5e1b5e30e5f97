"""Compares the Qwen3-TTS engine with the official package, on random weights of the real dimensions.

    .venv/bin/python -m benchmarks.engine                            # tiny: overhead only; a minute
    .venv/bin/python -m benchmarks.engine --size 0.6B                # some ten minutes on two cores
    .venv/bin/python -m benchmarks.engine --size 0.6B --quantize int8 --threads 1

Both run alternately. The number of frames is fixed and the end token is never chosen, so that both do the
same work. Values are medians; ratios are this engine's time to the other's, so that under 1 is faster.
``--model DIR`` measures on a real checkpoint.
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
from wyoming_qwen3tts.engines.qwen3.scheduler import CODEC_CHUNK_FRAMES, Generation, Scheduler
from wyoming_qwen3tts.progress import Progress

TEXT = "Good evening, all is well."
"""26 tokens for the character tokenizer of random checkpoints: as many as five seconds of speech have."""
FRAME_SECONDS = 0.08


@dataclass
class Run:
    """Times of one batch, in seconds."""

    first: list[float]
    """From the start to each generation's first audio."""
    total: float
    steps: list[float]
    """Duration of each step."""


class Engine:
    """This engine, without its thread."""

    def __init__(self, found: checkpoint.Checkpoint, max_batch_size: int, linear: Any, frames: int) -> None:
        self.builder = PromptBuilder(found.official)
        graphs = Graphs(capture=True) if found.device.type == "cuda" else None
        length = frames + 256
        self.decoder = Decoder(found.model, slots=max_batch_size, length=length, linear=linear, graphs=graphs)
        codec = Codec(found.codec, slots=max_batch_size, length=length, graphs=graphs)
        self.scheduler = Scheduler(self.builder, self.decoder, codec, found.sampling, frames)
        self.frames = frames

    def run(self, batch_size: int) -> Run:
        """Run a batch in which all generations start together."""
        first_audio: dict[int, float] = {}
        ends: list[Exception | None] = []
        began = time.perf_counter()
        generations = []
        for seed in range(batch_size):

            def on_audio(_: bytes, seed: int = seed) -> None:
                first_audio.setdefault(seed, time.perf_counter() - began)

            generations.append(Generation(speech(self.builder), seed, on_audio=on_audio, on_end=ends.append))
            self.scheduler.submit(generations[-1])
        self.scheduler._admit()
        for generation in generations:
            generation.frame_limit = self.frames
        self.decoder.end_from[:batch_size] = 1 << 30
        steps = []
        while not self.scheduler.idle:
            step = time.perf_counter()
            self.scheduler.step()
            steps.append(time.perf_counter() - step)
        assert all(generation.frames == self.frames for generation in generations), [str(end) for end in ends]
        # The last step only reaches the frame limit.
        return Run([first_audio[seed] for seed in range(batch_size)], time.perf_counter() - began, steps[:-1])


class OfficialPackage:
    """The official package, one utterance at a time."""

    def __init__(self, found: checkpoint.Checkpoint, frames: int) -> None:
        self.tts = found.official
        self.speech = speech(PromptBuilder(found.official))
        self.frames = frames
        eos = found.model.config.talker_config.codec_eos_token_id

        def never_ends(_: Any, __: Any, logits: torch.Tensor) -> None:
            logits[..., eos] = -1e4

        self.hook = found.model.talker.codec_head.register_forward_hook(never_ends)

    def run(self) -> float:
        """Synthesize once; return the seconds it took."""
        torch.manual_seed(0)
        began = time.perf_counter()
        audio, _ = self.tts.generate_custom_voice(
            text=self.speech.text,
            language=self.speech.language,
            speaker=self.speech.speaker,
            max_new_tokens=self.frames + 1,
        )
        took = time.perf_counter() - began
        assert len(audio[0]) == self.frames * 1920, len(audio[0])
        return took


class FasterQwen3TTS:
    """faster-qwen3-tts (0.5.4), another engine with CUDA graphs. Installed by hand, with ``--no-deps``."""

    def __init__(self, directory: Path, device: torch.device, dtype: torch.dtype, frames: int) -> None:
        import faster_qwen3_tts

        with contextlib.redirect_stdout(sys.stderr):
            self.tts = faster_qwen3_tts.FasterQwen3TTS.from_pretrained(
                str(directory), device=str(device), dtype=dtype
            )
        self.frames = frames

    def run(self, chunk: int) -> tuple[float, float]:
        """Synthesize in chunks of ``chunk`` frames; return the seconds to the first audio and to the end."""
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
    """Return the memory bandwidth of the device in bytes per second, reads and writes together."""
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
    """Return the bytes of weights read per frame: the talker once, the code predictor fifteen times."""
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
    arguments.add_argument("--size", choices=("tiny", "0.6B", "1.7B"), default="tiny", help="dimensions")
    arguments.add_argument("--model", type=Path, help="directory of a checkpoint, instead of random weights")
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--dtype", default="auto")
    arguments.add_argument("--quantize", choices=("none", "int8"), default="none")
    arguments.add_argument("--frames", type=int, default=63, help="frames per utterance; 63 are five seconds")
    arguments.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1, 4, 8, 16], help="numbers of concurrent generations"
    )
    arguments.add_argument("--runs", type=int, default=3, help="runs for each batch size")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    arguments.add_argument(
        "--official", action=argparse.BooleanOptionalAction, default=True, help="compare with the package"
    )
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    logging.disable(logging.WARNING)  # every generation reaches its frame limit
    with tempfile.TemporaryDirectory() as folder:
        directory = given.model or checkpoints.make(Path(folder), size=given.size)
        compare(given, directory)


def compare(given: argparse.Namespace, directory: Path) -> None:
    device, _ = checkpoint.choose_device(given.device)
    dtype, _ = checkpoint.choose_dtype(given.dtype, device)
    frames, max_batch_size = given.frames, max(given.batch_sizes)
    loaded = checkpoint.load(directory, device, dtype)
    size = weights_read(loaded)
    quantized = given.quantize == "int8"
    # The official modules share the engine's weights, unless those are quantized.
    official_loaded = checkpoint.load(directory, device, dtype) if quantized and given.official else loaded
    engine = Engine(loaded, max_batch_size, int8 if quantized else plain, frames)
    official = OfficialPackage(official_loaded, frames) if given.official else None
    print(f"{loaded.name}, random weights" if given.model is None else loaded.name, end=": ")
    print(f"{device}, {dtype}, quantize {given.quantize}, {given.threads} threads, {frames} frames")
    engine.run(max_batch_size)
    official_times: list[float] = []
    runs: dict[int, list[Run]] = {batch_size: [] for batch_size in given.batch_sizes}
    with Progress("benchmark:", given.runs * (len(runs) + (official is not None))) as progress:
        for _ in range(given.runs):
            if official is not None:
                official_times.append(official.run())
            for batch_size in given.batch_sizes:
                runs[batch_size].append(engine.run(batch_size))
                progress.update(len(official_times) + sum(map(len, runs.values())))
    whole = statistics.median(official_times) if official_times else float("nan")
    if official_times:
        print(f"official package: {1e3 * whole / frames:.1f} ms per frame, first audio after {whole:.2f} s")
    single: float | None = None
    print(
        "batch  ms/frame  x real time  first audio p50/p95 (ms)  relative step"
        "  frame: official  first: official"
    )
    for batch_size, found in runs.items():
        total = statistics.median(run.total for run in found)
        firsts = [first for run in found for first in run.first]
        # The steps between two codec calls with the largest chunk, so that the codec's share is included.
        step = statistics.median(statistics.mean(run.steps[-CODEC_CHUNK_FRAMES[-1] :]) for run in found)
        single = single or step
        print(
            f"{batch_size:5d}  {1e3 * total / frames:8.1f}"
            f"  {batch_size * frames * FRAME_SECONDS / total:11.2f}"
            f"  {1e3 * percentile(firsts, 0.5):12.0f} / {1e3 * percentile(firsts, 0.95):<11.0f}"
            f"  {step / single:13.2f}  {total / whole:15.3f}  {percentile(firsts, 0.5) / whole:15.3f}"
        )
    speed = bandwidth(device)
    floor = size / speed
    frame_seconds = statistics.median(run.total for run in runs[given.batch_sizes[0]]) / frames
    if device.type == "cuda" and importlib.util.find_spec("faster_qwen3_tts"):
        faster = FasterQwen3TTS(directory, device, dtype, frames)
        for chunk in (1, 8):
            faster.run(chunk)
            times = [faster.run(chunk) for _ in range(given.runs)]
            first, total = (statistics.median(values) for values in zip(*times, strict=True))
            print(
                f"faster-qwen3-tts, chunks of {chunk} frames: first audio {1e3 * first:.0f} ms,"
                f" {1e3 * total / frames:.1f} ms per frame; ratio {frame_seconds / (total / frames):.2f}"
            )
    if given.quantize == "none":
        print(
            f"lower bound: {size / 1e9:.2f} GB of weights per frame at {speed / 1e9:.1f} GB/s ="
            f" {1e3 * floor:.2f} ms; a frame of the first batch size takes"
            f" {frame_seconds / floor:.1f} times that, codec included"
        )


if __name__ == "__main__":
    main()
