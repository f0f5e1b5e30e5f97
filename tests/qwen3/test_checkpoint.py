"""A checkpoint that is not whole, or none at all, is one clear sentence."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.engines.qwen3 import checkpoint, download
from wyoming_qwen3tts.engines.qwen3.sampling import Sampling, SamplingParams

CPU = torch.device("cpu")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def without(path: Path, name: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    del weights[name]
    save_file(weights, path, metadata={"format": "pt"})


def wider(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights["talker.codec_head.weight"] = torch.zeros(3, 3)
    save_file(weights, path, metadata={"format": "pt"})


CODEC = "speech_tokenizer"
DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda d: (d / "config.json").unlink(), "not a complete Qwen3-TTS checkpoint: config.json is missing"),
    (lambda d: (d / CODEC / "config.json").unlink(), "speech_tokenizer/config.json is missing"),
    (lambda d: (d / "model.safetensors").unlink(), "model.safetensors is missing"),
    (lambda d: (d / "vocab.json").unlink(), "vocab.json is missing"),
    (lambda d: edit(d / "config.json", model_type="llama"), r"another kind \(llama\)"),
    (lambda d: edit(d / "config.json", tts_model_type="singing"), "unknown kind, 'singing'"),
    (lambda d: (d / "config.json").write_text("{"), "config.json is not JSON"),
    (lambda d: (d / "config.json").write_text("[]"), "is not a JSON object"),
    (
        lambda d: edit(d / CODEC / "config.json", model_type="qwen3_tts_tokenizer_25hz"),
        "only the 12 Hz codec is supported",
    ),
    (lambda d: cut(d / "model.safetensors"), "is truncated"),
    (lambda d: cut(d / CODEC / "model.safetensors"), "is truncated"),
    (lambda d: (d / "model.safetensors").write_bytes(b""), "is damaged"),
    (lambda d: (d / "model.safetensors").write_bytes(b"version https://git-lfs"), "is damaged"),
    (lambda d: (d / "model.safetensors.index.json").write_text("{}"), "lists no files of weights"),
    (
        lambda d: (d / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "other.safetensors"}}'
        ),
        "other.safetensors is missing",
    ),
    (
        lambda d: without(d / "model.safetensors", "talker.codec_head.weight"),
        "lacks 1 of the weights, such as talker.codec_head.weight",
    ),
    (
        lambda d: without(d / CODEC / "model.safetensors", "decoder.pre_conv.conv.bias"),
        "lacks 1 of the codec's weights, such as decoder.pre_conv",
    ),
    (lambda d: wider(d / "model.safetensors"), "cannot be loaded"),
]


@pytest.mark.parametrize(("damage", "complaint"), DAMAGE)
def test_what_is_wrong_is_named(copy: Path, damage: Callable[[Path], object], complaint: str) -> None:
    damage(copy)
    with pytest.raises(EngineUnavailableError, match=complaint) as raised:
        checkpoint.load(copy, CPU, torch.float32)
    assert str(copy) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_whole_one_loads(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = checkpoint.load(tiny, CPU, torch.float32)
    assert found.name == "Qwen3-TTS 1.7B CustomVoice"
    assert found.sampling == Sampling()
    assert not any(weight.requires_grad for weight in found.model.parameters())
    assert capsys.readouterr().out == ""  # a client may be listening to standard output


def test_the_codec_stays_in_float32(tiny: Path) -> None:
    found = checkpoint.load(tiny, CPU, torch.bfloat16)
    assert found.model.talker.codec_head.weight.dtype == torch.bfloat16
    assert next(found.codec.parameters()).dtype == torch.float32


def test_sampling_comes_from_the_checkpoint(copy: Path) -> None:
    edit(
        copy / "generation_config.json", temperature=0.5, subtalker_top_k=7, repetition_penalty=1.2, top_p=0.8
    )
    found = checkpoint.load(copy, CPU, torch.float32)
    assert found.sampling == Sampling(
        SamplingParams(temperature=0.5, top_p=0.8), SamplingParams(top_k=7), 1.2
    )


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (download.Source("/no/where"), "there is no directory /no/where"),
        (download.Source("nowhere"), "there is no directory nowhere"),
        (download.Source("Owner/Not here!"), "neither a directory nor a model's name"),
        (
            download.Source("Qwen/absent"),
            "Qwen/absent has not been downloaded, and the hub cannot be reached",
        ),
        (
            download.Source("Qwen/absent", "v1", local_files_only=True),
            r"Qwen/absent \(revision v1\) has not been downloaded$",
        ),
    ],
)
def test_a_model_that_is_nowhere(source: download.Source, complaint: str) -> None:
    with pytest.raises(EngineUnavailableError, match=complaint):
        download.find(source)


def test_a_downloaded_model_is_found_without_the_network(tiny: Path, tmp_path: Path) -> None:
    """The hub's cache, as its client leaves it."""
    commit = "0123456789012345678901234567890123456789"
    repository = tmp_path / "models--Qwen--Tiny"
    shutil.copytree(tiny, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for revision in (None, commit):
        source = download.Source("Qwen/Tiny", revision, tmp_path, local_files_only=True)
        found = download.find(source)
        assert found == repository / "snapshots" / commit
        download.check(found)


def test_devices() -> None:
    device, why = checkpoint.choose_device("auto")
    assert device == CPU
    assert "no GPU" in why
    assert checkpoint.choose_device("cpu") == (CPU, "the settings say so")
    for absent in ("cuda", "cuda:3", "mps"):
        with pytest.raises(EngineUnavailableError, match=f"--device {absent}: torch sees no"):
            checkpoint.choose_device(absent)
    assert checkpoint.choose_dtype("auto", CPU)[0] == torch.float32
    assert checkpoint.choose_dtype("auto", torch.device("mps"))[0] == torch.float32
    assert checkpoint.choose_dtype("bfloat16", CPU)[0] == torch.bfloat16


def test_without_the_official_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qwen_tts", None)
    with pytest.raises(EngineUnavailableError, match="script/setup --qwen in a checkout"):
        checkpoint.official_package()


def test_the_tokenizer_nobody_has_a_checkpoint_for_is_refused() -> None:
    checkpoint.official_package()
    from qwen_tts.core.tokenizer_25hz.vq.speech_vq import WhisperEncoderVQ

    with pytest.raises(RuntimeError, match="25 Hz"):
        WhisperEncoderVQ()
