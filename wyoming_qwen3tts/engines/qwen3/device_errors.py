"""Classifies exceptions of the device: its memory is used up, it is lost to this process, or neither."""

from __future__ import annotations

import re

import torch

OUT_OF_MEMORY = 2
"""``cudaErrorMemoryAllocation``. Instantiating a graph raises it, too, and then not as OutOfMemoryError."""
RECOVERABLE = frozenset({1, OUT_OF_MEMORY, 9, 98, 801, *range(900, 911)})
"""CUDA error codes after which the device works on: invalid value, memory, invalid configuration, invalid
device function, not supported, and the errors of stream capture. After others, such as an illegal address,
every call of the process fails."""
_LIBRARY_STATUS = re.compile(r"\bCU(?:BLAS|DNN|FFT|SOLVER|SPARSE)_STATUS_([A-Z_]+)")
_RECOVERABLE_STATUS = frozenset({"ALLOC_FAILED", "NOT_SUPPORTED", "INVALID_VALUE", "BAD_PARAM"})
_CUDA_PREFIX = "CUDA error: "
_OUT_OF_MEMORY_TEXT = f"{_CUDA_PREFIX}out of memory"
_CAPTURE_TEXT = "stream is capturing", "during capture"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the device's memory is used up: less work may succeed."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    if (code := _code(error)) is not None:
        return code == OUT_OF_MEMORY
    status = _library_status(error)
    return status == "ALLOC_FAILED" or (status is None and str(error).startswith(_OUT_OF_MEMORY_TEXT))


def is_device_lost(error: BaseException) -> bool:
    """Return whether every later call of this process to the device will fail."""
    if is_out_of_memory(error) or not isinstance(error, RuntimeError):
        return False
    if (code := _code(error)) is not None:
        return code not in RECOVERABLE
    if (status := _library_status(error)) is not None:
        return status not in _RECOVERABLE_STATUS
    text = str(error)
    return text.startswith(_CUDA_PREFIX) and not any(part in text for part in _CAPTURE_TEXT)


def _code(error: BaseException) -> int | None:
    """Return the CUDA error code; None if it has none, as where torch did not raise it."""
    code = getattr(error, "error_code", None) if isinstance(error, torch.AcceleratorError) else None
    return code if isinstance(code, int) else None


def _library_status(error: BaseException) -> str | None:
    """Return the status of a CUDA library: it reports no code."""
    found = _LIBRARY_STATUS.search(str(error)) if isinstance(error, RuntimeError) else None
    return None if found is None else found[1]
