"""CUDA graph capture, simulated on a CPU.

A capture records the operations of a function without executing them: afterwards every tensor is as before. A
replay executes the recorded operations with the tensors and the Python values of the recording. Operations that
wait for the device, or copy from the host's memory, are errors, as on CUDA.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wyoming_qwen3tts.engines.qwen3.graphs import Graphs

FORBIDDEN = {
    *("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2"),  # the host waits for a value
    *("lift_fresh", "lift_fresh_copy", "is_pinned", "_pin_memory", "record_stream"),  # a copy from the host
    *("exponential_", "uniform_", "normal_", "bernoulli_", "multinomial"),  # the generator is not registered
}
"""Operations that cannot be captured."""


class CaptureError(RuntimeError):
    """An operation that CUDA does not permit while a stream is capturing."""


def index_of(function: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the parts of the index of a call that gets or sets items; none for other functions."""
    if getattr(function, "__name__", "") not in {"__getitem__", "__setitem__"}:
        return ()
    return arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)


def _check_index(function: Any, arguments: tuple[Any, ...]) -> None:
    for each in index_of(function, arguments):
        if isinstance(each, list) or (isinstance(each, Tensor) and each.dtype == torch.bool):
            raise CaptureError(f"not permitted when stream is capturing: index {type(each).__name__}")


class _PythonCalls(TorchFunctionMode):
    """Checks indices as they are written in Python: a list is copied to the device, a mask is waited for."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        _check_index(function, arguments)
        return function(*arguments, **(keywords or {}))


class Recording(TorchDispatchMode):
    """The operations of a function, and the contents of every tensor before its first change."""

    def __init__(self, *, permissive: bool = False) -> None:
        """``permissive``: operations that cannot be captured are no errors."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._permissive = permissive
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._own: set[int] = set()
        """Storages that the function itself has allocated."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in FORBIDDEN and not self._permissive:
            raise CaptureError(f"not permitted when stream is capturing: {name}")
        keywords = keywords or {}
        for position, declared in enumerate(function._schema.arguments):
            if declared.alias_info is not None and declared.alias_info.is_write:
                given = arguments[position:] or (keywords.get(declared.name),)
                self._save(given[0])
        result = function(*arguments, **keywords)
        if not any(each.alias_info for each in function._schema.returns):
            self._own |= {each.untyped_storage().data_ptr() for each in _tensors(result)}
        self.calls.append((function, arguments, keywords, result))
        return result

    def _save(self, given: Any) -> None:
        for each in _tensors(given):
            storage = each.untyped_storage()
            if storage.data_ptr() not in self._own and storage.data_ptr() not in self._before:
                self._before[storage.data_ptr()] = storage, storage.clone()

    def restore(self) -> None:
        """Put back what every tensor held before: capturing executes nothing."""
        for storage, content in self._before.values():
            storage.copy_(content)


def _tensors(given: Any) -> list[Tensor]:
    return [each for each in tree_leaves(given) if isinstance(each, Tensor)]


class Graph:
    """A captured function."""

    def __init__(self, recording: Recording) -> None:
        self._calls = recording.calls
        self.replays = 0

    @property
    def nodes(self) -> int:
        """Number of recorded operations."""
        return len(self._calls)

    def replay(self) -> None:
        """Execute the operations; the results are in the tensors of the recording."""
        self.replays += 1
        for function, arguments, keywords, result in self._calls:
            fresh = function(*arguments, **keywords)
            for old, new in zip(_tensors(result), _tensors(fresh), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class SimulatedGraphs(Graphs):
    """``Graphs`` whose captures are simulated."""

    def __init__(self) -> None:
        super().__init__(capture=True)

    @property
    def captured(self) -> dict[Any, Graph]:
        """The captured graphs by key."""
        return {key: graph for key, (graph, _) in self._graphs.items()}

    def _capture(self, function: Callable[[], Any]) -> tuple[Any, Any]:
        recording = Recording()
        with _PythonCalls(), recording:
            result = function()
        recording.restore()
        return Graph(recording), result
