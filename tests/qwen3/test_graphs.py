"""Fixed shapes for CUDA: what can be shown without it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import pytest
import torch

from tests.qwen3.capture import CaptureError, SimulatedGraphs
from tests.qwen3.official import Official, scheduler
from tests.qwen3.test_scheduler import Heard, run, same, speech
from wyoming_qwen3tts.engines.qwen3.codec import SAMPLES_PER_FRAME, Codec
from wyoming_qwen3tts.engines.qwen3.graphs import Graphs, batch_buckets, length_buckets, smallest_bucket
from wyoming_qwen3tts.engines.qwen3.sampling import Sampling, SamplingParams
from wyoming_qwen3tts.engines.qwen3.scheduler import Scheduler


def test_sizes() -> None:
    assert batch_buckets(1) == [1]
    assert batch_buckets(8) == [1, 2, 4, 8]
    assert batch_buckets(12) == [1, 2, 4, 8, 12]
    assert length_buckets(2048) == [320, 640, 2048]
    assert length_buckets(256) == [256]
    assert smallest_bucket([1, 2, 4], 3) == 4
    assert smallest_bucket([1, 2, 4], 5) is None


class FakeCuda:
    """torch.cuda's streams and captures, whose captures fail as told: at their ``begin`` or ``end``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails: dict[str, Exception] = {}
        self.stream = "main"
        self.log: list[str] = []
        outer = self

        class Graph:
            def replay(self) -> None:
                outer.log.append("replay")

            def pool(self) -> str:
                return "pool"

        class Capture:
            """As torch.cuda.graph: what its end raises leaves the capture stream current."""

            def __init__(self, graph: Graph, pool: str | None) -> None:
                if (error := outer.fails.get("begin")) is not None:
                    raise error

                outer.log.append(f"record {pool}")

            def __enter__(self) -> None:
                outer.stream = "capture"

            def __exit__(self, *_: object) -> None:
                if (error := outer.fails.get("end")) is not None:
                    raise error
                outer.stream = "main"

        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
        monkeypatch.setattr(torch.cuda, "graph", Capture)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self.stream)
        monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: setattr(self, "stream", stream))


def test_a_key_is_run_then_recorded_then_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    log = FakeCuda(monkeypatch).log
    graphs = Graphs(capture=True)

    def function() -> int:
        log.append("run")
        return 7

    assert [graphs.run("a", function) for _ in range(3)] == [7, 7, 7]
    assert log == ["run", "record None", "run", "replay", "replay"]
    for _ in range(2):
        graphs.run("b", function)
    assert log[5:] == ["run", "record pool", "run", "replay"]
    assert len(graphs) == 2


@pytest.mark.parametrize("when", ["begin", "end"])
def test_a_key_whose_capture_fails_runs_eagerly_and_only_that_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    cuda = FakeCuda(monkeypatch)
    graphs = Graphs(capture=True)
    runs: list[str] = []
    cuda.fails[when] = RuntimeError("CUDA error: operation not permitted when stream is capturing")
    for _ in range(4):
        graphs.run("a", lambda: runs.append("a"))
    assert cuda.stream == "main"
    assert runs.count("a") >= 4
    del cuda.fails[when]
    for _ in range(4):
        graphs.run("b", lambda: runs.append("b"))
    assert runs.count("b") == 2, "run, captured, then replayed"
    assert len(graphs) == 1
    assert caplog.text.count("qwen3: graph cannot be captured, it runs without key=a") == 1


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
    ],
    ids=["memory", "graph memory", "cublas memory", "lost"],
)
def test_memory_and_a_lost_device_are_not_hidden_by_a_capture(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    cuda = FakeCuda(monkeypatch)
    cuda.fails["end"] = error
    graphs = Graphs(capture=True)
    graphs.run("a", lambda: None)
    with pytest.raises(type(error), match=str(error).split()[0]):
        graphs.run("a", lambda: None)
    assert cuda.stream == "main"


def test_every_shape_of_a_padded_run_is_one_of_few(custom_voice: Official) -> None:
    """Graphs captured for one voice serve every text, seed and batch size."""
    where = scheduler(custom_voice.own, slots=4, overlap=True)
    graphs = where._decoder._graphs
    assert graphs is not None
    for generations in (1, 2, 3, 4):
        run(where, *(Heard(speech(text % 3), text) for text in range(generations)))
    known = len(graphs)
    assert known < 40
    run(where, *(Heard(speech(1, speaker="eric"), seed) for seed in range(20, 24)))
    assert len(graphs) <= known + 2


def test_after_warming_up_nothing_is_new(custom_voice: Official) -> None:
    where = scheduler(custom_voice.own, slots=3, overlap=True)
    decoder, codec = where._decoder, where._codec
    for call in [*decoder.warm_up_calls(), *codec.warm_up_calls()]:
        call()
    assert decoder._graphs is not None
    known = len(decoder._graphs)
    generations = [Heard(speech(text), 5 + text) for text in range(3)]
    run(where, *generations)
    assert len(decoder._graphs) <= known
    for text, heard in enumerate(generations):
        alone = Heard(speech(text), 5 + text)
        run(scheduler(custom_voice.own, slots=1), alone)
        assert same(heard.sound, alone.sound)


def test_the_spare_slot_never_runs_out_of_positions(custom_voice: Official) -> None:
    codec = Codec(custom_voice.own.codec, slots=4, length=40, graphs=Graphs(capture=False))
    for _ in range(10):
        for slot in range(3):
            codec.reset(slot)
        sound = codec.decode(torch.zeros(3, 8, 16, dtype=torch.long), [0, 1, 2])
    assert sound.shape == (3, 8 * SAMPLES_PER_FRAME)


def test_padding_rows_keep_what_others_left_there(custom_voice: Official) -> None:
    """A row beyond the batch has the parameters of its last generation, and does not affect others."""
    where = scheduler(custom_voice.double, slots=4, overlap=True)
    wild = Sampling(SamplingParams(top_k=0, top_p=0.5), SamplingParams(do_sample=False), 1.5)
    first = [Heard(speech(), seed, sampling=wild) for seed in range(3)]
    run(where, *first)
    calm = Heard(speech(2), 5)
    run(where, calm)
    alone = Heard(speech(2), 5)
    run(scheduler(custom_voice.double, slots=1), alone)
    assert same(calm.sound, alone.sound)


def test_captured_graphs_give_the_audio_of_eager_execution(custom_voice: Official) -> None:
    eager = [Heard(speech(text), 7 + text) for text in range(3)]
    run(scheduler(custom_voice.own, overlap=True), *eager)
    graphs = SimulatedGraphs()
    captured = [Heard(speech(text), 7 + text) for text in range(3)]
    run(scheduler(custom_voice.own, overlap=True, graphs=graphs), *captured)
    assert len(graphs.captured) > 5
    assert sum(graph.replays for graph in graphs.captured.values()) > 50
    assert [heard.sound for heard in captured] == [heard.sound for heard in eager]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 0],
        lambda x: x[[0, 1]],
        lambda x: x.sum().item(),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
        lambda x: x.exponential_(),
    ],
    ids=["mask", "list", "item", "tensor", "random"],
)
def test_what_cuda_cannot_capture_fails_in_the_simulation(function: Callable[[torch.Tensor], object]) -> None:
    data = torch.arange(3.0)
    graphs = SimulatedGraphs()
    graphs.run("key", lambda: function(data))
    with pytest.raises(CaptureError):
        graphs._capture(lambda: function(data))


def test_a_simulated_capture_executes_nothing_and_a_replay_uses_the_same_tensors() -> None:
    count, graphs = torch.zeros(1), SimulatedGraphs()

    def step() -> torch.Tensor:
        count.add_(1)
        return count * 2

    assert graphs.run("key", step).tolist() == [2.0]
    second = graphs.run("key", step)
    assert (count.tolist(), second.tolist()) == ([2.0], [4.0])
    third = graphs.run("key", step)
    assert third is second
    assert (count.tolist(), third.tolist()) == ([3.0], [6.0])


def warmed(official: Official, **options: Any) -> tuple[Scheduler, set[Hashable]]:
    """Return a scheduler after its warm-up, and the shapes that it knows."""
    where = scheduler(official.own, overlap=True, **options)
    for call in [*where._decoder.warm_up_calls(), *where._codec.warm_up_calls()]:
        call()
    assert where._codec._graphs is not None
    return where, set(where._codec._graphs.keys)


@pytest.mark.parametrize("count", [1, 16, 17, 255, 256, 257, 400, 500])
def test_a_prefill_of_any_length_runs_in_warmed_shapes(custom_voice: Official, count: int) -> None:
    where, known = warmed(custom_voice, length=512)
    decoder, exact = where._decoder, scheduler(custom_voice.own, length=512)._decoder
    rows = torch.randn(count, decoder._prefill_rows.shape[1], generator=torch.Generator().manual_seed(1))
    for each in (decoder, exact):
        each.prefill(rows, 3)
    assert decoder._graphs is not None
    assert decoder._graphs.keys == known
    slot = decoder.staging
    assert decoder.position[slot] == exact.position[slot] == count + 3
    torch.testing.assert_close(decoder.hidden[slot], exact.hidden[slot], atol=1e-4, rtol=1e-4)
    end = count + 3
    torch.testing.assert_close(decoder.kv[:, slot, 3:end], exact.kv[:, slot, 3:end], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frames", range(1, 9))
def test_the_last_frames_of_a_generation_run_in_a_warmed_shape(custom_voice: Official, frames: int) -> None:
    where, known = warmed(custom_voice, slots=2)
    codec, exact = where._codec, scheduler(custom_voice.own, slots=2)._codec
    codes = torch.randint(0, 64, (1, 8 + frames, 16), generator=torch.Generator().manual_seed(frames))
    for each in (codec, exact):
        each.reset(1)
        each.decode(codes[:, :8], [1])
    last, expected = codec.decode_last(codes[:, 8:], [1]), exact.decode(codes[:, 8:], [1])
    assert last.shape == expected.shape == (1, frames * SAMPLES_PER_FRAME)
    torch.testing.assert_close(last, expected, atol=1e-4, rtol=0)
    assert codec._graphs is not None
    assert codec._graphs.keys == known


def test_the_state_after_a_recording_is_computed_in_warmed_shapes(custom_voice: Official) -> None:
    where, known = warmed(custom_voice)
    codes = torch.randint(0, 64, (23, 16), generator=torch.Generator().manual_seed(3))
    state = where.compute_codec_state(codes)
    for part, expected in zip(state, scheduler(custom_voice.own).compute_codec_state(codes), strict=True):
        torch.testing.assert_close(part, expected, atol=1e-3, rtol=1e-3)
    assert where._codec._graphs is not None
    assert where._codec._graphs.keys == known
