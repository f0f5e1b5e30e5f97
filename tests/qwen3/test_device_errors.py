"""Which exceptions mean that memory is used up, and which that the device is lost."""

from __future__ import annotations

import pytest
import torch

from wyoming_qwen3tts.engines.qwen3.device_errors import is_device_lost, is_out_of_memory


def accelerator_error(code: int, text: str = "CUDA error: what it says does not matter") -> Exception:
    """Return an exception as torch raises it for a CUDA error code."""
    error = torch.AcceleratorError(text)
    error.error_code = code  # type: ignore[attr-defined]
    return error


MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB"),
    accelerator_error(2),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
]
LOST = [
    accelerator_error(700),
    accelerator_error(710, "CUDA error: device-side assert triggered, out of memory or not"),
    accelerator_error(719),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
]
NEITHER = [
    accelerator_error(1),
    accelerator_error(900),
    RuntimeError("CUDA error: operation not permitted when stream is capturing"),
    RuntimeError("CUDA error: operation failed due to a previous error during capture"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    ValueError("the text mentions CUDA error: out of memory"),
    OSError("No space left on device"),
]


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_exhausted_memory_is_no_lost_device(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_device_lost(error)


@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_lost_device_is_no_exhausted_memory(error: Exception) -> None:
    assert is_device_lost(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", NEITHER, ids=str)
def test_other_errors_are_neither(error: Exception) -> None:
    assert not is_out_of_memory(error)
    assert not is_device_lost(error)
