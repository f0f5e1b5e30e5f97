"""Which models are in memory: loaded when somebody needs them, the least recently used leaves first.

Reading a checkpoint takes seconds and happens on a thread of its own, on the host; what then touches the
device happens on the device's thread, a piece at a time, so that other models go on speaking meanwhile.
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
from tqdm import tqdm

from ...speech import Reference
from ..base import EngineUnavailableError
from . import checkpoint, download, speakers
from .checkpoint import Checkpoint
from .clones import Clones
from .codec import Codec
from .configuration import Configuration
from .decoder import Decoder, plain
from .download import About, Source
from .graphs import Graphs
from .prompt import Clone, PromptBuilder, Speech
from .quantize import int8
from .scheduler import Limits, Scheduler, Work

_LOGGER = logging.getLogger(__name__)

GIGABYTE = 1_000_000_000

HOLD = 10.0
"""Seconds that a model which has become ready keeps its place while it is used.

Two long replies on two models would otherwise load a model for every sentence.
"""
PAUSE = 0.5
"""Seconds without use after which nobody is taken to go on: a reply's next sentence follows sooner."""

Order = Callable[[EngineUnavailableError | None], object]
"""What is done once a model is there; it is told why, if it never will be."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What speaks with a checkpoint."""

    builder: PromptBuilder
    decoder: Decoder
    codec: Codec
    graphs: Graphs | None


class Resident:
    """A model that can be in memory, and what there is of it."""

    def __init__(
        self, name: str, source: Source, directory: Path, about: About, memory: int, clones: Clones
    ) -> None:
        """``directory``: where ``source`` was found. ``memory``: the bytes it will take, about."""
        self.name = name
        """As the settings name it."""
        self.source = source
        self.directory = directory
        self.about = about
        self.memory = memory
        self.clones = clones
        self.work = Work()
        self.scheduler: Scheduler | None = None
        self.checkpoint: Checkpoint | None = None
        self.warming: deque[Callable[[], object]] = deque()
        """What is left to be done before anybody hears it."""
        self.waiting: deque[tuple[object, Order]] = deque()
        """Each with what ``forget`` finds it by."""
        self.chores: deque[Order] = deque()
        """What is done when nobody speaks."""
        self.leaving = False
        """Another model wants its place: nothing new is begun."""
        self.used = time.monotonic()
        self.ready_since = 0.0

    @property
    def ready(self) -> bool:
        """Whether an utterance can begin."""
        return self.scheduler is not None and not self.warming and not self.leaving

    @property
    def speaking(self) -> bool:
        """Whether it has utterances to finish."""
        return self.scheduler is not None and bool(self.scheduler.running or self.scheduler.waiting)

    @property
    def held_until(self) -> float:
        """The time at which it may be told to leave, unless it is used again before."""
        hold = self.ready_since + HOLD
        return hold if self.speaking else min(hold, self.used + PAUSE)

    def clone(self, reference: Reference) -> Clone:
        """Return a cloned voice. Raises UnsupportedTextError. The model must be there."""
        assert self.checkpoint is not None
        assert self.scheduler is not None
        return self.clones.get(reference, self.checkpoint, self.scheduler)

    def tell(self, error: EngineUnavailableError | None) -> None:
        """Do what has waited, in order."""
        while self.waiting:
            self.waiting.popleft()[1](error)

    def give_up(self, error: EngineUnavailableError) -> None:
        """Tell everybody that it will not be there."""
        self.tell(error)
        while self.chores:
            self.chores.popleft()(error)


class Residents:
    """All models of a device. Everything but ``find`` is for the device's thread."""

    def __init__(self, configuration: Configuration, post: Callable[[Callable[[], object]], object]) -> None:
        """``post`` lets the device's thread call something."""
        self._configuration = configuration
        self._post = post
        self._loading: Resident | None = None
        self._wanted: deque[Resident] = deque()
        self._room: float | None = None
        """The time at which somebody may leave for the one that waits for room, if nobody may yet."""
        self._bar: tqdm | None = None
        self.all: tuple[Resident, ...] = ()
        self.where = ""
        """Device and dtype, and why these."""

    def find(self) -> None:
        """Find the device and every model, downloading what is not there. Raises EngineUnavailableError.

        A model that is no good is left out, unless none is any good.
        """
        said = self._configuration
        self.device, why_device = checkpoint.choose_device(said.device)
        self.dtype, why_dtype = checkpoint.choose_dtype(said.dtype, self.device)
        self.where = (
            f"on {self.device} ({why_device}), {str(self.dtype).removeprefix('torch.')} ({why_dtype})"
        )
        if said.quantize != "none" and (self.device.type != "cpu" or self.dtype != torch.float32):
            raise EngineUnavailableError(f"--quantize {said.quantize} works on a CPU and in float32 only")
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # graphs are recorded on the current one
        found: list[Resident] = []
        faults: list[EngineUnavailableError] = []
        for name in said.models:
            try:
                found.append(self._look(name))
            except EngineUnavailableError as error:
                faults.append(error)
        if not found:
            raise faults[0]
        for fault in faults:
            _LOGGER.warning("One model less: %s", fault)
        self.all = tuple(found)

    def _look(self, name: str) -> Resident:
        said = self._configuration
        source = Source.parse(name, said.revision, said.download_dir, said.local_files_only)
        directory = download.find(source)
        about = download.about(directory)
        memory = about.memory(self.dtype, said.max_batch_size, said.max_seq_len)
        clones = Clones(said.prompts, download.fingerprint(directory, self.dtype))
        return Resident(name, source, directory, about, memory, clones)

    def named(self, name: str) -> Resident:
        """Return the model that the settings call ``name``. Raises EngineUnavailableError."""
        for resident in self.all:
            if resident.name == name:
                return resident
        raise EngineUnavailableError(f"the model {name} is not there")

    @property
    def loaded(self) -> Sequence[Resident]:
        """The models in memory."""
        return [resident for resident in self.all if resident.scheduler is not None]

    # ------------------------------------------------------------------ what others ask for

    def when_ready(
        self, resident: Resident, order: Order, *, of: object = None, undisturbed: bool = False
    ) -> None:
        """Do ``order`` now if the model is there, else once it is.

        ``undisturbed``: not while another one is read, which changes torch's default dtype for all threads.
        """
        if resident.ready and not resident.waiting and not (undisturbed and self._loading is not None):
            order(None)
            return
        if len(resident.waiting) >= self._configuration.max_queue:
            order(EngineUnavailableError(f"{len(resident.waiting)} utterances are waiting already", "busy"))
            return
        resident.waiting.append((of, order))
        self._want(resident)

    def forget(self, resident: Resident, of: object) -> None:
        """Forget what waits for a model."""
        resident.waiting = deque(each for each in resident.waiting if each[0] is not of)

    def when_quiet(self, resident: Resident, order: Order) -> None:
        """Do ``order`` when the model is there and nobody speaks; load it if there is room for it."""
        if (error := self._too_large(resident)) is not None:
            order(error)
            return
        resident.chores.append(order)
        if resident.scheduler is None and (self._fits(resident) or not self.loaded):
            self._want(resident)

    def dismiss(self, resident: Resident, reason: str) -> None:
        """Unload a model that is there, or comes, when nobody speaks or needs it."""

        def leave(error: EngineUnavailableError | None) -> None:
            if error is None and not resident.waiting and not resident.chores:
                self.unload(resident, reason)

        if resident.scheduler is not None or resident is self._loading:
            resident.chores.append(leave)

    def _want(self, resident: Resident) -> None:
        if resident.scheduler is None and resident is not self._loading and resident not in self._wanted:
            self._wanted.append(resident)

    # ------------------------------------------------------------------ a piece of work at a time

    def tend(self) -> bool:
        """Do one piece of what there is to do; tell whether there was any."""
        self._room = None
        for resident in self.loaded:
            if resident.warming:
                self._warm(resident)
                return True
        if self._loading is not None:
            return False
        for resident in self.loaded:
            if resident.waiting and resident.ready:
                resident.tell(None)
                return True
        if self._wanted:
            return self._begin(self._wanted[0])
        if not any(resident.speaking for resident in self.all):
            for resident in self.loaded:
                if resident.chores:
                    resident.used = time.monotonic()
                    resident.chores.popleft()(None)
                    return True
        return False

    def _begin(self, resident: Resident) -> bool:
        """Begin to read a model, if there is room or can be made; tell whether anything was done."""
        error = self._too_large(resident)
        fits = self._fits(resident) or not self.loaded
        # Chores drive nobody out; whoever has waited may have left.
        needed = bool(resident.waiting) or (bool(resident.chores) and fits)
        if needed and error is None and not fits:
            return self._make_room()
        self._wanted.popleft()
        for other in self.loaded:
            other.leaving = False
        if error is not None:
            self._failed(resident, error)
        elif needed:
            self._loading = resident
            _LOGGER.info("Loading %s %s", resident.name, self.where)
            loader = threading.Thread(target=self._read, args=(resident,), name="qwen3-loader", daemon=True)
            try:
                loader.start()
            except RuntimeError as fault:  # there are too many threads
                self._failed(resident, EngineUnavailableError(f"the model cannot be loaded: {fault}"))
        return True

    def _too_large(self, resident: Resident) -> EngineUnavailableError | None:
        budget = self._configuration.memory_budget * GIGABYTE
        if not budget or resident.memory <= budget:
            return None
        needs, has = resident.memory / GIGABYTE, budget / GIGABYTE
        return EngineUnavailableError(
            f"{resident.about.name} takes about {needs:.2g} GB, and --memory-budget is {has:.2g}"
        )

    def _fits(self, resident: Resident) -> bool:
        if budget := self._configuration.memory_budget * GIGABYTE:
            return sum(other.memory for other in self.loaded) + resident.memory <= budget
        free = free_memory(self.device)
        return free is None or resident.memory <= free

    def _make_room(self) -> bool:
        """Let the least recently used model go, or finish; tell whether anything was done."""
        now = time.monotonic()
        free = [each for each in self.loaded if each.leaving or each.held_until <= now]
        if not free:
            self._room = min(each.held_until for each in self.loaded)
            return False
        # One that is used only where all are, and of these always the same one.
        oldest = min(free, key=lambda each: (each.speaking, not each.leaving, each.used))
        if oldest.speaking:
            oldest.leaving = True
            return False
        self.unload(oldest, "another model needs its memory")
        return True

    def _read(self, resident: Resident) -> None:
        """Read a checkpoint into the host's memory. On a thread of its own."""
        began = time.monotonic()
        try:
            found = checkpoint.load(self._directory(resident), torch.device("cpu"), self.dtype)
            # On a CPU that is done here too, for it takes seconds in which the others would be silent.
            parts = self._build(found) if self.device.type == "cpu" else None
        except EngineUnavailableError as error:
            self._post(partial(self._failed, resident, error))
        except (Exception, SystemExit) as error:
            _LOGGER.exception("Loading failed")
            fault = EngineUnavailableError(f"the model cannot be loaded: {error}")
            self._post(partial(self._failed, resident, fault))
        else:
            self._post(partial(self._settle, resident, found, parts, began))

    def _directory(self, resident: Resident) -> Path:
        """Return where a checkpoint is; only if it has gone is it looked for again.

        Raises EngineUnavailableError.

        What a branch on the hub has moved to meanwhile is another model, whose clones are others.
        """
        try:
            download.check(resident.directory)
        except EngineUnavailableError:
            directory = download.find(resident.source)
            download.check(directory)
            clones = Clones(self._configuration.prompts, download.fingerprint(directory, self.dtype))
            self._post(partial(self._moved, resident, directory, clones))
            return directory
        return resident.directory

    def _moved(self, resident: Resident, directory: Path, clones: Clones) -> None:
        resident.directory, resident.clones = directory, clones

    def _build(self, found: Checkpoint) -> Parts:
        """Return what speaks with a checkpoint, on its device. On any thread."""
        said, device = self._configuration, self.device
        linear = int8 if said.quantize == "int8" else plain
        with checkpoint.LOADING:  # torch's default dtype stays what it is
            builder = PromptBuilder(found.official)
            graphs = Graphs(record=True) if device.type == "cuda" else None
            decoder = Decoder(
                found.model, slots=said.max_batch_size, length=said.max_seq_len, linear=linear, graphs=graphs
            )
            codec = Codec(found.codec, slots=said.max_batch_size, length=2 * said.max_seq_len, graphs=graphs)
        return Parts(builder, decoder, codec, graphs)

    def _failed(self, resident: Resident, error: EngineUnavailableError) -> None:
        if self._loading is resident:
            self._loading = None
        resident.give_up(error)

    def _settle(self, resident: Resident, found: Checkpoint, parts: Parts | None, began: float) -> None:
        """Bring a model to the device, and begin to warm it up."""
        self._loading = None
        try:
            self._place(resident, found, parts)
        except torch.OutOfMemoryError:
            del found, parts
            others = [other for other in self.loaded if other is not resident and not other.speaking]
            if not others:
                fault = EngineUnavailableError(f"{resident.about.name} does not fit into the device's memory")
                self._failed(resident, fault)
                self.unload(resident, None)
                return
            self.unload(resident, None)
            self.unload(min(others, key=lambda other: other.used), "the device is out of memory")
            self._want(resident)
        except Exception as error:
            _LOGGER.exception("The model cannot be used")
            self._failed(resident, EngineUnavailableError(f"the model cannot be used: {error}"))
            self.unload(resident, None)
        else:
            _LOGGER.info("Loaded %s in %.1f s", found.name, time.monotonic() - began)
            self._warming_began = time.monotonic()
            self._bar = tqdm(total=len(resident.warming), desc="Warming up", leave=False, disable=None)

    def _place(self, resident: Resident, found: Checkpoint, parts: Parts | None) -> None:
        said, device = self._configuration, self.device
        before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
        found.to(device)
        parts = parts or self._build(found)
        builder, decoder, codec = parts.builder, parts.decoder, parts.codec
        limits = Limits(waiting=said.max_queue, frames_per_token=said.frames_per_token)
        resident.checkpoint = found
        resident.scheduler = Scheduler(builder, decoder, codec, found.sampling, limits, work=resident.work)
        resident.leaving = False
        resident.used = time.monotonic()
        if device.type == "cuda":
            resident.memory = torch.cuda.memory_allocated(device) - before
        instruct = said.instruct if resident.about.supports_instructions else ""
        openings = [
            Speech("a", speakers.mother_tongue(speaker), speaker, instruct=instruct)
            for speaker in builder.speakers
        ]
        trim()
        calls = [*decoder.warm_ups(), *codec.warm_ups()]
        calls += [partial(resident.scheduler.remember, opening) for opening in openings]
        # What is slow the first time is done twice on a GPU: once to run it, once to record it.
        resident.warming.extend(call for call in calls for _ in range(2 if parts.graphs is not None else 1))

    def _warm(self, resident: Resident) -> None:
        call = resident.warming.popleft()
        try:
            call()
        except Exception as error:
            _LOGGER.exception("Warming up failed")
            memory = isinstance(error, torch.OutOfMemoryError)
            reason = "the device is out of memory" if memory else f"the model cannot be used: {error}"
            del call
            self._failed(resident, EngineUnavailableError(reason))
            self.unload(resident, None)
            return
        if self._bar is not None:
            self._bar.update()
        if resident.warming:
            return
        if self._bar is not None:
            self._bar.close()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        resident.used = resident.ready_since = time.monotonic()
        _LOGGER.info("Warmed up in %.1f s", resident.used - self._warming_began)
        resident.tell(None)

    # ------------------------------------------------------------------ leaving

    def unload(self, resident: Resident, reason: str | None) -> None:
        """Free a model's memory until somebody needs it again. ``reason``: for the log."""
        resident.scheduler = resident.checkpoint = None
        resident.warming.clear()
        resident.leaving = False
        resident.clones.forget()
        gc.collect()
        trim()
        if torch.cuda.is_available():
            with contextlib.suppress(RuntimeError):  # of a device that has failed; whoever uses it says so
                torch.cuda.empty_cache()
        if reason is not None:
            _LOGGER.info("%s is unloaded: %s", resident.about.name, reason)
        if resident.waiting:
            self._want(resident)

    def unload_idle(self, seconds: float) -> None:
        """Free the models that nobody has needed for so long; 0: none."""
        if not seconds:
            return
        for resident in self.loaded:
            if resident.chores or not resident.ready or resident.speaking:
                continue
            if resident.used + seconds <= time.monotonic():
                self.unload(resident, f"nobody has spoken for {seconds:g} s")

    def due(self, seconds: float) -> float | None:
        """Return in how many seconds ``unload_idle`` or ``tend`` may have something to do, None for never."""
        idle = [each for each in self.loaded if each.ready and not each.speaking and not each.chores]
        times = [each.used + seconds for each in idle] if seconds else []
        if self._room is not None:
            times.append(self._room)
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
    """Give back to the system what was freed: glibc keeps some 1.5 GB after reading 0.6B in float32."""
    if (call := _malloc_trim()) is not None:
        call(0)


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that are free on a device, None where nobody says."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return available[0] * 1024 if available else None
