"""The one thread that owns the device: it loads the model, steps the scheduler, and lets go when idle."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

import torch

from ..base import EngineUnavailable
from . import checkpoint
from .codec import Codec
from .configuration import Configuration
from .decoder import Decoder, plain
from .graphs import Graphs
from .prompt import PromptBuilder, Speech
from .quantize import int8
from .scheduler import Limits, Scheduler, Take

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What there is to know about a model once it is loaded."""

    name: str
    kind: str
    speakers: tuple[str, ...]
    languages: tuple[str, ...]
    hears_instructions: bool
    where: str
    """Device and dtype, and why these."""


def _stopping() -> EngineUnavailable:
    return EngineUnavailable("the service is stopping", "stopping")


class Worker:
    """The device's thread. Every public method may be called from any thread."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._inbox: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._scheduler: Scheduler | None = None
        self._stopping = False
        self._closed = False
        """Nobody takes orders any more."""
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="qwen3-device", daemon=True)
        self._first: Future[Loaded] = Future()

    def start(self) -> Future[Loaded]:
        """Begin to load and warm up. The result may be EngineUnavailable."""
        self._thread.start()
        return self._first

    def stop(self, timeout: float) -> None:
        """End every take and the thread; wait so many seconds for it."""
        self._stopping = True
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def submit(self, take: Take) -> None:
        """Let ``take`` be spoken; it hears of everything else by itself."""
        self._order(take, lambda: self._submit(take))

    def push_text(self, take: Take, text: str, *, end: bool = False) -> None:
        """Give a live take more text, in pieces of any size; the first of it lets it begin."""
        self._order(take, lambda: self._push_text(take, text, end=end))

    def cancel(self, take: Take) -> None:
        """End ``take`` before the next frame."""
        take.cancel()
        self._inbox.put(None)

    def _order(self, take: Take, order: Callable[[], object]) -> None:
        with self._closing:
            if not self._closed:
                self._inbox.put(order)
                return
        take.end(_stopping())

    # ------------------------------------------------------------------ on the thread

    def _run(self) -> None:
        self._first.set_running_or_notify_cancel()  # whoever gives up waiting does not change it any more
        try:
            loaded = self._load()
        except EngineUnavailable as error:
            self._first.set_exception(error)
            return
        except Exception as error:
            _LOGGER.exception("Loading failed")
            self._first.set_exception(EngineUnavailable(f"the model cannot be loaded: {error}"))
            return
        self._first.set_result(loaded)
        while not self._stopping:
            self._take_orders()
            if self._scheduler is not None and not self._stopping:
                self._step(self._scheduler)
        with self._closing:
            self._closed = True
        while not self._inbox.empty():  # whoever came last hears of it too
            if (order := self._inbox.get()) is not None:
                order()
        if self._scheduler is not None:
            self._scheduler.fail(_stopping())
        self._scheduler = None

    def _take_orders(self) -> None:
        """Do what others have asked for; wait for that while there is nothing else to do."""
        idle = self._scheduler is None or self._scheduler.idle
        limit = self._configuration.idle_unload if self._scheduler is not None else 0
        try:
            order = self._inbox.get(block=idle, timeout=limit or None) if idle else self._inbox.get_nowait()
            while True:
                if order is not None:
                    order()
                order = self._inbox.get_nowait()
        except queue.Empty:
            if idle and limit and self._scheduler is not None and not self._busy():
                self._unload()

    def _busy(self) -> bool:
        assert self._scheduler is not None
        return bool(self._scheduler.waiting or self._scheduler.running)

    def _push_text(self, take: Take, text: str, *, end: bool) -> None:
        if take.stable is None:
            if not self._ready(take):
                return
            assert self._scheduler is not None
            take.stable = self._scheduler.builder.stable_text()
        known = take.stable.push(text, end=end)
        if take.speech.text:
            if self._scheduler is not None and (known or end):
                self._scheduler.push_text(take, known, end=end)
        elif known or end:
            take.speech = replace(take.speech, text=known, streaming=True, more=not end)
            take.live = not end
            self._submit(take)

    def _ready(self, take: Take) -> bool:
        """Load the model if need be; return whether it is there, and end ``take`` if not."""
        try:
            if self._scheduler is None and self._stopping:
                raise _stopping()  # noqa: TRY301 - one way to end a take
            if self._scheduler is None:
                self._load()
        except EngineUnavailable as error:
            take.end(error)
        except Exception as error:
            _LOGGER.exception("The model cannot be used")
            take.end(EngineUnavailable(f"the model cannot be used: {error}"))
        else:
            return True
        return False

    def _submit(self, take: Take) -> None:
        if not self._ready(take):
            return
        assert self._scheduler is not None
        try:
            self._scheduler.submit(take)
        except EngineUnavailable as error:
            take.end(error)

    def _step(self, scheduler: Scheduler) -> None:
        try:
            scheduler.step()
        except torch.OutOfMemoryError:
            scheduler.shrink()
        except Exception as error:
            _LOGGER.exception("The device's thread failed")
            scheduler.fail(EngineUnavailable(f"the model failed: {error}"))

    def _load(self) -> Loaded:
        """Load the model and warm it up. Raises EngineUnavailable."""
        said = self._configuration
        began = time.monotonic()
        device, why_device = checkpoint.choose_device(said.device)
        dtype, why_dtype = checkpoint.choose_dtype(said.dtype, device)
        where = f"on {device} ({why_device}), {str(dtype).removeprefix('torch.')} ({why_dtype})"
        if said.quantize != "none" and (device.type != "cpu" or dtype != torch.float32):
            raise EngineUnavailable(f"--quantize {said.quantize} works on a CPU and in float32 only")
        source = checkpoint.Source(said.model, said.revision, said.download_dir, said.local_files_only)
        directory = checkpoint.find(source)
        _LOGGER.info("Loading %s %s", directory, where)
        if device.type == "cuda":
            torch.cuda.set_device(device)  # graphs are recorded on the current one
        found = checkpoint.load(directory, device, dtype)
        linear = int8 if said.quantize == "int8" else plain
        builder = PromptBuilder(found.official)
        graphs = Graphs(record=True) if device.type == "cuda" else None
        slots, length = said.takes, said.length
        decoder = Decoder(found.model, slots=slots, length=length, linear=linear, graphs=graphs)
        codec = Codec(found.codec, slots=slots, length=2 * length, graphs=graphs)
        limits = Limits(waiting=said.waiting, frames_per_token=said.frames_per_token)
        scheduler = Scheduler(builder, decoder, codec, found.sampling, limits)
        _LOGGER.info("Loaded %s in %.1f s", found.name, time.monotonic() - began)
        self._warm(scheduler, decoder, codec)
        self._scheduler = scheduler
        return Loaded(
            found.name,
            builder.kind,
            tuple(builder.speakers),
            tuple(builder.languages),
            builder.hears_instructions,
            where,
        )

    def _warm(self, scheduler: Scheduler, decoder: Decoder, codec: Codec) -> None:
        """Do everything twice that is slow the first time: once to run it, once to record it."""
        from tqdm import tqdm

        began = time.monotonic()
        builder = scheduler.builder
        instruct = self._configuration.instruct if builder.hears_instructions else ""
        voices = [Speech("a", speaker=speaker, instruct=instruct) for speaker in builder.speakers]
        calls = [*decoder.warm_ups(), *codec.warm_ups()]
        calls += [partial(scheduler.remember, voice) for voice in voices]
        _LOGGER.info("Warming up")
        for call in tqdm(calls, "Warming up", leave=False, disable=None):  # on a terminal only
            for _ in range(2 if decoder.device.type == "cuda" else 1):
                call()
            if self._stopping:
                raise _stopping()
        if decoder.device.type == "cuda":
            torch.cuda.synchronize(decoder.device)
        _LOGGER.info("Warmed up in %.1f s", time.monotonic() - began)

    def _unload(self) -> None:
        """Free the device's memory until somebody speaks again."""
        self._scheduler = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _LOGGER.info("Idle for %g s: the model is unloaded", self._configuration.idle_unload)
