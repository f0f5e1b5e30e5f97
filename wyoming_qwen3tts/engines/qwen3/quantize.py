"""Eight-bit linear layers for CPUs, where reading weights dominates the time.

Weights are rounded to int8 with one scale per output channel, inputs to int8 with one scale per row.
(torch's dynamic quantization has one scale for the whole batch: audio would depend on the rest of the batch.)
The effect on the audio quality of a real checkpoint is unknown: none was available to listen to.
"""

from __future__ import annotations

import platform
import warnings

import torch
from torch import Tensor

from ..base import EngineUnavailableError
from .decoder import Linear

LEVELS = 127
ZERO = 128
"""Zero point of the inputs' unsigned bytes."""


def int8(weight: Tensor) -> Linear:
    """Return the linear map of ``weight``, [out, in] on a CPU, in int8. Raises EngineUnavailableError."""
    engine = "qnnpack" if platform.machine() in {"aarch64", "arm64"} else "fbgemm"
    if engine not in torch.backends.quantized.supported_engines:
        raise EngineUnavailableError(f"--quantize int8: this build of torch has no {engine}")
    torch.backends.quantized.engine = engine
    multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    weight = weight.detach().float()
    scales = (weight.abs().amax(1) / LEVELS).clamp_min(torch.finfo(torch.float32).tiny).double()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch moves quantization to torchao, which is slower than float32 here
        zeros = torch.zeros(len(weight), dtype=torch.long)
        rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(rounded, None)

    def linear(x: Tensor) -> Tensor:
        largest = x.abs().amax(-1, keepdim=True).clamp_min(1e-12)
        result: Tensor = multiply(x / largest, 1 / LEVELS, ZERO, packed)
        return result.mul_(largest)

    return linear
