"""A process that ends while a model is read."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests import house

SERVER = """
import sys
import torch
from wyoming_qwen3tts import __main__
from wyoming_qwen3tts.engines.qwen3 import checkpoint

def load(*_):
    print("reading", flush=True)
    numbers = torch.ones(300, 300)
    while True:  # most of the time in C++, and without Python's lock
        numbers @ numbers

checkpoint.load = load
__main__.run()
"""


def test_a_service_that_is_stopped_while_a_model_is_read_ends_as_asked(tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVER, "--model", str(tiny), "--device", "cpu"]
    command += ["--uri", "tcp://127.0.0.1:0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "reading\n"
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=house.HANG)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert "terminate called" not in said
    assert said.endswith("service: stopped\n")
