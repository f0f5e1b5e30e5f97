"""Loads models when they are needed, and unloads the least recently used one when memory is short.

A checkpoint is read on a separate thread, on the host, as that takes seconds. Everything that uses the device
runs on the device's thread, in small units, so that other models keep generating meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ...config.settings import ModelSettings
from ...progress import LOGGER, Progress
from ...speech import Reference
from ...telemetry import quote
from ..base import EngineUnavailableError, LoadStep
from . import checkpoint, download, speakers
from .checkpoint import Checkpoint
from .clones import CloneCache
from .codec import Codec
from .decoder import Decoder, plain
from .device_errors import is_out_of_memory
from .download import CheckpointInfo, Source
from .graphs import Graphs
from .prompt import Clone, PromptBuilder, Speech
from .quantize import int8
from .scheduler import Scheduler, WorkCounts

_LOGGER = logging.getLogger(__name__)

GIGABYTE = 1_000_000_000

MIN_LOADED_SECONDS = 10.0
"""Seconds for which a model in use is not unloaded after it became ready.

Two long replies on two models would otherwise load a model for every sentence.
"""
IDLE_SECONDS = 0.5
"""Seconds without use after which a model may be unloaded: a reply's next sentence follows sooner."""

ReadyCallback = Callable[[EngineUnavailableError | None], object]
"""Called with None once a model is ready, or with the reason why it will not be."""


@dataclass(frozen=True, slots=True)
class ModelParts:
    """The inference objects built from a checkpoint."""

    builder: PromptBuilder
    decoder: Decoder
    codec: Codec
    graphs: Graphs | None


class LoadedModel:
    """A configured model and, while it is in memory, its scheduler."""

    def __init__(
        self,
        name: str,
        source: Source,
        directory: Path,
        info: CheckpointInfo,
        memory: int,
        clones: CloneCache,
    ) -> None:
        """``directory``: where ``source`` was found. ``memory``: estimated bytes on the device."""
        self.name = name
        """As the settings name it."""
        self.source = source
        self.directory = directory
        self.info = info
        self.memory = memory
        self.clones = clones
        self.work = WorkCounts()
        self.scheduler: Scheduler | None = None
        self.checkpoint: Checkpoint | None = None
        self.warm_up_calls: deque[Callable[[], object]] = deque()
        """Remaining calls before it is ready."""
        self.waiting_callbacks: deque[tuple[object, ReadyCallback]] = deque()
        """Called when it is ready, each with its owner (``ModelManager.cancel_waiting``)."""
        self.idle_callbacks: deque[ReadyCallback] = deque()
        """Called when no model has a generation."""
        self.is_evicting = False
        """Another model needs its memory: no new generation is started."""
        self.last_used = time.monotonic()
        self.ready_since = 0.0

    @property
    def ready(self) -> bool:
        """Whether a generation can start."""
        return self.scheduler is not None and not self.warm_up_calls and not self.is_evicting

    @property
    def is_busy(self) -> bool:
        """Whether it has generations."""
        return self.scheduler is not None and bool(self.scheduler.running or self.scheduler.waiting)

    @property
    def evictable_at(self) -> float:
        """The monotonic time from which on it may be unloaded, unless it is used before."""
        hold = self.ready_since + MIN_LOADED_SECONDS
        return hold if self.is_busy else min(hold, self.last_used + IDLE_SECONDS)

    def clone(self, reference: Reference) -> Clone:
        """Return the clone of a recording. The model must be loaded. Raises UnsupportedTextError."""
        assert self.checkpoint is not None
        assert self.scheduler is not None
        return self.clones.get(reference, self.checkpoint, self.scheduler)

    def run_callbacks(self, error: EngineUnavailableError | None) -> None:
        """Call the waiting callbacks, in order."""
        while self.waiting_callbacks:
            self.waiting_callbacks.popleft()[1](error)

    def fail_callbacks(self, error: EngineUnavailableError) -> None:
        """Call all callbacks with ``error``."""
        self.run_callbacks(error)
        while self.idle_callbacks:
            self.idle_callbacks.popleft()(error)


class ModelManager:
    """All models of a device. Everything but ``find`` is for the device's thread."""

    def __init__(
        self,
        settings: ModelSettings,
        prompts: Path | None,
        post: Callable[[Callable[[], object]], object],
    ) -> None:
        """``prompts``: directory for clones. ``post`` queues a call for the device's thread."""
        self._settings = settings
        self._prompts = prompts
        self._post = post
        self._loading: LoadedModel | None = None
        self._load_queue: deque[LoadedModel] = deque()
        self._eviction_at: float | None = None
        """The monotonic time at which a model may be unloaded for the next one; None if none has to be."""
        self._steps: dict[str, tuple[str, Progress | None]] = {}
        """Model → what is done before it can speak, and how much of it is done."""
        self.all: tuple[LoadedModel, ...] = ()
        self.placement = ""
        """Device and dtype, each with the reason for it."""

    def find(self) -> None:
        """Find the device and every model, downloading missing ones.

        Models that cannot be used are skipped. Raises EngineUnavailableError where none can be used.
        """
        settings = self._settings
        self.device, why_device = checkpoint.choose_device(settings.device)
        self.dtype, why_dtype = checkpoint.choose_dtype(settings.dtype, self.device)
        self.placement = (
            f"on {self.device} ({why_device}), {str(self.dtype).removeprefix('torch.')} ({why_dtype})"
        )
        if settings.quantize != "none" and (self.device.type != "cpu" or self.dtype != torch.float32):
            raise EngineUnavailableError(f"--quantize {settings.quantize} works on a CPU and in float32 only")
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # graphs are captured on the current device
        found: list[LoadedModel] = []
        faults: list[EngineUnavailableError] = []
        for name in settings.model:
            try:
                found.append(self._inspect(name))
            except EngineUnavailableError as error:
                faults.append(error)
        if not found:
            raise faults[0]
        for fault in faults:
            _LOGGER.warning("qwen3: model skipped reason=%s", quote(fault))
        self.all = tuple(found)

    def load_step(self) -> LoadStep | None:
        """Return what is done before a model can speak; None if nothing. For any thread."""
        for model, (step, progress) in list(self._steps.items()):
            if progress is None:
                return LoadStep(step, model, None, None)
            return LoadStep(step, model, progress.share, progress.seconds_left)
        return None

    def _find(self, source: Source, name: str) -> Path:
        """Return a checkpoint's directory, downloading it if necessary. Raises EngineUnavailableError."""

        def report(progress: Progress) -> None:
            self._steps[name] = "downloading", progress

        try:
            return download.find(source, on_download=report)
        finally:
            self._steps.pop(name, None)

    def _inspect(self, name: str) -> LoadedModel:
        settings = self._settings
        source = Source.parse(name, settings.revision, settings.download_dir, settings.local_files_only)
        directory = self._find(source, name)
        info = download.read_info(directory)
        memory = info.estimate_memory(self.dtype, settings.max_batch_size, settings.max_seq_len)
        clones = CloneCache(self._prompts, download.fingerprint(directory, self.dtype))
        return LoadedModel(name, source, directory, info, memory, clones)

    def get(self, name: str) -> LoadedModel:
        """Return the model with this name in the settings. Raises EngineUnavailableError."""
        for loaded_model in self.all:
            if loaded_model.name == name:
                return loaded_model
        raise EngineUnavailableError(f"the model {name} is not available")

    @property
    def loaded(self) -> Sequence[LoadedModel]:
        """The models in memory."""
        return [loaded_model for loaded_model in self.all if loaded_model.scheduler is not None]

    # ------------------------------------------------------------------ requests

    def call_when_ready(
        self,
        loaded_model: LoadedModel,
        callback: ReadyCallback,
        *,
        owner: object = None,
        not_while_loading: bool = False,
    ) -> None:
        """Call ``callback`` now if the model is ready, else once it is; ``owner``: for ``cancel_waiting``.

        ``not_while_loading``: not while another model is read, which changes torch's default dtype for all
        threads.
        """
        if (
            loaded_model.ready
            and not loaded_model.waiting_callbacks
            and not (not_while_loading and self._loading is not None)
        ):
            callback(None)
            return
        loaded_model.waiting_callbacks.append((owner, callback))
        self._enqueue_load(loaded_model)

    def cancel_waiting(self, loaded_model: LoadedModel, owner: object) -> None:
        """Remove the callbacks of ``owner``."""
        loaded_model.waiting_callbacks = deque(
            entry for entry in loaded_model.waiting_callbacks if entry[0] is not owner
        )

    def call_when_idle(self, loaded_model: LoadedModel, callback: ReadyCallback) -> None:
        """Call ``callback`` when the model is loaded and no model has a generation.

        The model is loaded for it only if its memory is free.
        """
        if (error := self._too_large(loaded_model)) is not None:
            callback(error)
            return
        loaded_model.idle_callbacks.append(callback)
        if loaded_model.scheduler is None and (self._fits(loaded_model) or not self.loaded):
            self._enqueue_load(loaded_model)

    def unload_when_idle(self, loaded_model: LoadedModel, reason: str) -> None:
        """Unload a model that is loaded or loading, once no model has a generation and no call is waiting."""

        def unload(error: EngineUnavailableError | None) -> None:
            if error is None and not loaded_model.waiting_callbacks and not loaded_model.idle_callbacks:
                self.unload(loaded_model, reason)

        if loaded_model.scheduler is not None or loaded_model is self._loading:
            loaded_model.idle_callbacks.append(unload)

    def _enqueue_load(self, loaded_model: LoadedModel) -> None:
        if (
            loaded_model.scheduler is None
            and loaded_model is not self._loading
            and loaded_model not in self._load_queue
        ):
            self._load_queue.append(loaded_model)

    # ------------------------------------------------------------------ one unit of work at a time

    def run_next_task(self) -> bool:
        """Do one unit of work; return whether there was any."""
        self._eviction_at = None
        for loaded_model in self.loaded:
            if loaded_model.warm_up_calls:
                self._warm(loaded_model)
                return True
        if self._loading is not None:
            return False
        for loaded_model in self.loaded:
            if loaded_model.waiting_callbacks and loaded_model.ready:
                loaded_model.run_callbacks(None)
                return True
        if self._load_queue:
            return self._start_loading(self._load_queue[0])
        if not any(loaded_model.is_busy for loaded_model in self.all):
            for loaded_model in self.loaded:
                if loaded_model.idle_callbacks:
                    loaded_model.last_used = time.monotonic()
                    loaded_model.idle_callbacks.popleft()(None)
                    return True
        return False

    def _start_loading(self, loaded_model: LoadedModel) -> bool:
        """Start to read a model, unloading another one if necessary; return whether anything was done."""
        error = self._too_large(loaded_model)
        fits = self._fits(loaded_model) or not self.loaded
        # Idle callbacks do not unload other models; the generations that waited may have been cancelled.
        needed = bool(loaded_model.waiting_callbacks) or (bool(loaded_model.idle_callbacks) and fits)
        if needed and error is None and not fits:
            return self._evict()
        self._load_queue.popleft()
        for other in self.loaded:
            other.is_evicting = False
        if error is not None:
            self._fail_loading(loaded_model, error)
        elif needed:
            self._loading = loaded_model
            _LOGGER.info("qwen3: loading model=%s placement=%s", loaded_model.name, quote(self.placement))
            loader = threading.Thread(
                target=self._read, args=(loaded_model,), name="qwen3-loader", daemon=True
            )
            try:
                loader.start()
            except RuntimeError as fault:  # the limit of threads is reached
                self._fail_loading(
                    loaded_model, EngineUnavailableError(f"the model cannot be loaded: {fault}")
                )
        return True

    def _too_large(self, loaded_model: LoadedModel) -> EngineUnavailableError | None:
        budget = self._settings.memory_budget * GIGABYTE
        if not budget or loaded_model.memory <= budget:
            return None
        needs, has = loaded_model.memory / GIGABYTE, budget / GIGABYTE
        return EngineUnavailableError(
            f"{loaded_model.info.name} takes about {needs:.2g} GB, and --memory-budget is {has:.2g}"
        )

    def _fits(self, loaded_model: LoadedModel) -> bool:
        if budget := self._settings.memory_budget * GIGABYTE:
            return sum(other.memory for other in self.loaded) + loaded_model.memory <= budget
        free = free_memory(self.device)
        return free is None or loaded_model.memory <= free

    def _evict(self) -> bool:
        """Unload the least recently used model, or let it finish first; return whether one was unloaded."""
        now = time.monotonic()
        free = [model for model in self.loaded if model.is_evicting or model.evictable_at <= now]
        if not free:
            self._eviction_at = min(model.evictable_at for model in self.loaded)
            return False
        # A busy model is chosen only where all are busy, and then always the same one.
        oldest = min(free, key=lambda model: (model.is_busy, not model.is_evicting, model.last_used))
        if oldest.is_busy:
            oldest.is_evicting = True
            return False
        self.unload(oldest, "another model needs its memory")
        return True

    def _read(self, loaded_model: LoadedModel) -> None:
        """Read a checkpoint into the host's memory. Runs on the loader thread."""
        began = time.monotonic()
        try:
            directory = self._directory(loaded_model)
            self._steps[loaded_model.name] = "reading", None
            found = checkpoint.load(directory, torch.device("cpu"), self.dtype)
            # On a CPU the parts are built here too: it takes seconds in which other models would stall.
            parts = self._build(found) if self.device.type == "cpu" else None
        except EngineUnavailableError as error:
            self._post(partial(self._fail_loading, loaded_model, error))
        except (Exception, SystemExit) as error:
            _LOGGER.exception("qwen3: loading failed model=%s", loaded_model.name)
            fault = EngineUnavailableError(f"the model cannot be loaded: {error}")
            self._post(partial(self._fail_loading, loaded_model, fault))
        else:
            self._post(partial(self._finish_loading, loaded_model, found, parts, began))

    def _directory(self, loaded_model: LoadedModel) -> Path:
        """Return a checkpoint's directory; it is searched again only if it was removed or damaged.

        The new one may be another model, if a branch on the hub has moved, and has its own clones. Raises
        EngineUnavailableError.
        """
        try:
            download.check(loaded_model.directory)
        except EngineUnavailableError:
            directory = self._find(loaded_model.source, loaded_model.name)
            download.check(directory)
            clones = CloneCache(self._prompts, download.fingerprint(directory, self.dtype))
            self._post(partial(self._set_directory, loaded_model, directory, clones))
            return directory
        return loaded_model.directory

    def _set_directory(self, loaded_model: LoadedModel, directory: Path, clones: CloneCache) -> None:
        loaded_model.directory, loaded_model.clones = directory, clones

    def _build(self, found: Checkpoint) -> ModelParts:
        """Build the inference objects of a checkpoint, on its device. Runs on any thread."""
        settings, device = self._settings, self.device
        linear = int8 if settings.quantize == "int8" else plain
        with checkpoint.LOADING:  # torch's default dtype does not change meanwhile
            builder = PromptBuilder(found.official)
            graphs = Graphs(capture=True) if device.type == "cuda" else None
            decoder = Decoder(
                found.model,
                slots=settings.max_batch_size,
                length=settings.max_seq_len,
                linear=linear,
                graphs=graphs,
            )
            codec = Codec(
                found.codec,
                slots=settings.max_batch_size,
                length=2 * settings.max_seq_len,
                graphs=graphs,
            )
        return ModelParts(builder, decoder, codec, graphs)

    def _fail_loading(self, loaded_model: LoadedModel, error: EngineUnavailableError) -> None:
        if self._loading is loaded_model:
            self._loading = None
        self._steps.pop(loaded_model.name, None)
        loaded_model.fail_callbacks(error)

    def _finish_loading(
        self, loaded_model: LoadedModel, found: Checkpoint, parts: ModelParts | None, began: float
    ) -> None:
        """Move a model to the device, and start to warm it up."""
        self._loading = None
        try:
            self._move_to_device(loaded_model, found, parts)
        except Exception as error:
            if not is_out_of_memory(error):
                _LOGGER.exception("qwen3: loading failed model=%s", loaded_model.name)
                self._fail_loading(loaded_model, EngineUnavailableError(f"the model cannot be used: {error}"))
                self.unload(loaded_model, None)
                return
            del found, parts
            others = [other for other in self.loaded if other is not loaded_model and not other.is_busy]
            if not others:
                fault = EngineUnavailableError(
                    f"{loaded_model.info.name} does not fit into the device's memory"
                )
                self._fail_loading(loaded_model, fault)
                self.unload(loaded_model, None)
                return
            self.unload(loaded_model, None)
            self.unload(min(others, key=lambda other: other.last_used), "the device is out of memory")
            self._enqueue_load(loaded_model)
        else:
            _LOGGER.info("qwen3: loaded model=%s seconds=%.1f", loaded_model.name, time.monotonic() - began)
            self._warm_up_started = time.monotonic()
            label = f"qwen3: warming up model={loaded_model.name}"
            progress = Progress(label, len(loaded_model.warm_up_calls), LOGGER.info)
            self._steps[loaded_model.name] = "warming up", progress

    def _move_to_device(self, loaded_model: LoadedModel, found: Checkpoint, parts: ModelParts | None) -> None:
        settings, device = self._settings, self.device
        before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
        found.to(device)
        parts = parts or self._build(found)
        builder, decoder, codec = parts.builder, parts.decoder, parts.codec
        loaded_model.checkpoint = found
        loaded_model.scheduler = Scheduler(
            builder, decoder, codec, found.sampling, settings.frames_per_token, work=loaded_model.work
        )
        loaded_model.is_evicting = False
        loaded_model.last_used = time.monotonic()
        if device.type == "cuda":
            loaded_model.memory = torch.cuda.memory_allocated(device) - before
        instruct = settings.instruct or "" if loaded_model.info.supports_instructions else ""
        openings = [
            Speech("a", speakers.native_language(speaker), speaker, instruct=instruct)
            for speaker in builder.speakers
        ]
        trim()
        calls = [*decoder.warm_up_calls(), *codec.warm_up_calls()]
        calls += [partial(loaded_model.scheduler.cache_prefix, opening) for opening in openings]
        # On a GPU each call is made twice: the first one runs it, the second one captures its graph.
        loaded_model.warm_up_calls.extend(
            call for call in calls for _ in range(2 if parts.graphs is not None else 1)
        )

    def _warm(self, loaded_model: LoadedModel) -> None:
        call = loaded_model.warm_up_calls.popleft()
        try:
            call()
        except Exception as error:
            _LOGGER.exception("qwen3: warm-up failed model=%s", loaded_model.name)
            memory = is_out_of_memory(error)
            reason = "the device is out of memory" if memory else f"the model cannot be used: {error}"
            del call
            self._fail_loading(loaded_model, EngineUnavailableError(reason))
            self.unload(loaded_model, None)
            return
        _, progress = self._steps.get(loaded_model.name, ("", None))
        if progress is not None:
            progress.update(progress.total - len(loaded_model.warm_up_calls))
        if loaded_model.warm_up_calls:
            return
        self._steps.pop(loaded_model.name, None)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        loaded_model.last_used = loaded_model.ready_since = time.monotonic()
        _LOGGER.info(
            "qwen3: warmed up model=%s seconds=%.1f",
            loaded_model.name,
            loaded_model.last_used - self._warm_up_started,
        )
        loaded_model.run_callbacks(None)

    # ------------------------------------------------------------------ unloading

    def unload(self, loaded_model: LoadedModel, reason: str | None) -> None:
        """Free a model's memory until it is needed again. ``reason``: for the log; None logs nothing."""
        self._steps.pop(loaded_model.name, None)
        loaded_model.scheduler = loaded_model.checkpoint = None
        loaded_model.warm_up_calls.clear()
        loaded_model.is_evicting = False
        loaded_model.clones.clear()
        gc.collect()
        trim()
        if torch.cuda.is_available():
            with contextlib.suppress(RuntimeError):  # of a failed device; its next use reports it
                torch.cuda.empty_cache()
        if reason is not None:
            _LOGGER.info("qwen3: unloaded model=%s reason=%s", loaded_model.name, quote(reason))
        if loaded_model.waiting_callbacks:
            self._enqueue_load(loaded_model)

    def unload_idle(self, seconds: float) -> None:
        """Unload the models that were not used for so many seconds; 0 unloads none."""
        if not seconds:
            return
        for loaded_model in self.loaded:
            if loaded_model.idle_callbacks or not loaded_model.ready or loaded_model.is_busy:
                continue
            if loaded_model.last_used + seconds <= time.monotonic():
                self.unload(loaded_model, f"not used for {seconds:g} s")

    def seconds_until_due(self, idle_unload: float) -> float | None:
        """Return the seconds until ``unload_idle`` or ``run_next_task`` may have work; None for never."""
        idle = [
            model for model in self.loaded if model.ready and not model.is_busy and not model.idle_callbacks
        ]
        times = [model.last_used + idle_unload for model in idle] if idle_unload else []
        if self._eviction_at is not None:
            times.append(self._eviction_at)
        return max(0.001, min(times) - time.monotonic()) if times else None


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``, None where the C library has none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    found.argtypes, found.restype = (ctypes.c_size_t,), ctypes.c_int
    call: Callable[[int], int] = found
    return call


def trim() -> None:
    """Return freed memory to the system: glibc keeps some 1.5 GB after reading 0.6B in float32."""
    if (call := _malloc_trim()) is not None:
        call(0)


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes on a device; None where they are unknown."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return available[0] * 1024 if available else None
