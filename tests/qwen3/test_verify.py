"""``wyoming-qwen3tts verify``: the proof on anybody's checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.qwen3 import checkpoints
from tests.qwen3.official import replaced
from wyoming_qwen3tts.cli import main
from wyoming_qwen3tts.engines.qwen3 import verify


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The command sets up logging for a process of its own; this one goes on."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("custom_voice", "float32"),
        ("base", "float32"),
        ("voice_design", "float32"),
        ("custom_voice", "bfloat16"),
        pytest.param("base", "bfloat16", marks=pytest.mark.long),
        pytest.param("voice_design", "bfloat16", marks=pytest.mark.long),
    ],
)
def test_it_finds_the_engine_to_be_the_official_model(
    kind: str, dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = checkpoints.make(tmp_path, kind)
    status = main(["verify", "--model", str(model), "--device", "cpu", "--dtype", dtype])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "BAD" not in printed
    assert "prompts, row for row            4 of 4 the same" in printed
    if dtype == "float32":
        assert "codes, seeded                   4 of 4 the same" in printed
    else:
        assert "chosen alike after the official codes" in printed


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.long)])
def test_it_finds_what_is_not(tiny: Path, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Another norm: nothing raises, but the audio differs."""

    def other(
        x: torch.Tensor, shape: tuple[int, ...], weight: torch.Tensor | None, eps: float
    ) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, shape, weight, None, eps)

    with replaced(torch.nn.functional, "rms_norm", other):
        status = main(["verify", "--model", str(tiny), "--device", "cpu", "--dtype", dtype])
    assert status == 1
    assert "BAD  codes, the most likely ones" in capsys.readouterr().out


def test_it_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 2
    assert "verify needs one --model" in capsys.readouterr().err
    assert main(["verify", "--model", "/nowhere"]) == 1
    assert "error: there is no directory /nowhere" in capsys.readouterr().err
    assert main(["verify", "--mode", "x"]) == 2


def test_dictated_codes_leave_no_trace(tiny: Path) -> None:
    from wyoming_qwen3tts.engines.qwen3 import checkpoint

    found = checkpoint.load(tiny, torch.device("cpu"), torch.float32)
    checked = verify.Verification(found, frames=5)
    assert all(finding.passed for finding in checked.run_checks())
    assert "generate" not in found.model.__dict__
    assert "generate" not in found.model.talker.__dict__
