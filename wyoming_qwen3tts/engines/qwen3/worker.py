"""The one thread that owns the device: it loads models, steps their schedulers, and lets go when idle."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ...speech import Reference
from ..base import DeviceLostError, EngineUnavailableError, UnsupportedTextError
from .configuration import Configuration
from .model_manager import LoadedModel, ModelManager
from .prompt import Speech
from .scheduler import Generation, Scheduler

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A take, the model that speaks it, and the recording it is cloned from, if any."""

    take: Generation
    model: str
    reference: Reference | None = None
    orders: deque[Callable[[LoadedModel, Job], object]] = field(default_factory=deque)
    """What is to be done with it, in order, once its model is there. For the device's thread."""


def _ended() -> EngineUnavailableError:
    return EngineUnavailableError("the model's thread has ended")


def _of_no_use(error: Exception) -> bool:
    """Tell whether CUDA says no to everything from now on: an error that sticks to the process."""
    if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error):
        return False
    return isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error)


class Worker:
    """The device's thread. Every public method may be called from any thread."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._inbox: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._residents = ModelManager(configuration, self._inbox.put)
        self._stopping = False
        self._closed = False
        """Nobody takes orders any more."""
        self._closing = threading.Lock()
        self._takes: set[Generation] = set()
        self._promises: set[Future[None]] = set()
        """Who hears of the thread's end even if it was at them, or had just taken their order."""
        self._beats = 0
        """Pieces of work done."""
        self._working = False
        self._lost: DeviceLostError | None = None
        self._thread = threading.Thread(target=self._run, name="qwen3-device", daemon=True)
        self._first: Future[Sequence[LoadedModel]] = Future()

    def start(self) -> Future[Sequence[LoadedModel]]:
        """Begin to load and warm up. The result is the models there are, or EngineUnavailableError."""
        self._thread.start()
        return self._first

    @property
    def pulse(self) -> int | None:
        """The number of pieces of work done so far; None while there is nothing to do."""
        return self._beats if self._working else None

    @property
    def fault(self) -> EngineUnavailableError | None:
        """Why it does no work any more; None while it does, and before it has begun."""
        if self._lost is not None:
            return self._lost
        return _ended() if self._closed else None

    @property
    def where(self) -> str:
        """Device and dtype, and why these."""
        return self._residents.where

    @property
    def device(self) -> torch.device:
        """Where models are loaded."""
        return self._residents.device

    @property
    def device_bytes(self) -> int:
        """Bytes of the device's memory that this process holds; 0 for a CPU's."""
        if self._thread.is_alive() and self.device.type == "cuda":
            return int(torch.cuda.memory_reserved(self.device))
        return 0

    @property
    def model_manager(self) -> Sequence[LoadedModel]:
        """All models; they change on the device's thread, and are only to be looked at."""
        return self._residents.all

    def stop(self, timeout: float) -> None:
        """End every take and the thread; wait so many seconds for it."""
        self._stopping = True
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def submit(self, job: Job) -> None:
        """Let a take be spoken; it hears of everything else by itself."""
        self._order(job, self._submit)

    def push_text(self, job: Job, text: str, *, end: bool = False) -> None:
        """Give a live take more text, in pieces of any size; the first of it lets it begin."""
        self._order(job, lambda loaded_model, job: self._push_text(loaded_model, job, text, end=end))

    def cancel(self, job: Job) -> None:
        """End a take before the next frame."""
        job.take.cancel()
        self._takes.discard(job.take)
        self._give(lambda: self._drop(job))

    def prepare(self, model: str, reference: Reference, languages: Sequence[str]) -> Future[None]:
        """Make a cloned voice ready when nobody speaks, for these of the model's languages.

        The result may be EngineUnavailableError or UnsupportedTextError.
        """
        done: Future[None] = Future()
        self._promises.add(done)
        done.add_done_callback(self._promises.discard)

        def do(error: EngineUnavailableError | None) -> None:
            if not done.set_running_or_notify_cancel():
                return  # nobody waits for it any more
            try:
                if error is not None:
                    raise error  # noqa: TRY301 - one way to fail
                loaded_model = self._residents.named(model)
                clone = loaded_model.clone(reference)
                assert loaded_model.scheduler is not None
                for language in languages:
                    loaded_model.scheduler.remember(
                        Speech("a", language, clone=clone, streaming=clone.codes is not None)
                    )
            except Exception as fault:
                done.set_exception(fault)
            else:
                done.set_result(None)

        def order() -> None:
            try:
                self._residents.when_quiet(self._residents.named(model), do)
            except EngineUnavailableError as error:
                do(error)

        if not self._give(order):
            do(self._over())
        return done

    def unload(self, model: str) -> None:
        """Free a model's memory, once it has nothing to say, until somebody needs it again."""

        def order() -> None:
            self._residents.dismiss(self._residents.named(model), "it has done its work")

        self._give(order)

    def _order(self, job: Job, do: Callable[[LoadedModel, Job], object]) -> None:
        """Let ``do`` be called on the thread when the job's model is there; or end the take."""

        def order() -> None:
            if job.take.ended:
                return
            try:
                if self._closed:
                    raise self._over()
                loaded_model = self._residents.named(job.model)
            except EngineUnavailableError as error:
                job.take.end(error)
                return
            if loaded_model.scheduler is not None and loaded_model.scheduler.has(job.take):
                self._do(loaded_model, job, do)  # its model stays until it has ended: nothing to wait for
                return
            job.orders.append(do)
            if len(job.orders) > 1:
                return  # it waits already
            new = job.reference is not None and not loaded_model.clones.known(job.reference)
            self._residents.when_ready(
                loaded_model, lambda error: self._do_all(loaded_model, job, error), of=job, undisturbed=new
            )

        self._takes.add(job.take)
        if not self._give(order):
            job.take.end(self._over())

    def _over(self) -> EngineUnavailableError:
        """Return why nothing more comes."""
        return EngineUnavailableError("the service is stopping", "stopping") if self._stopping else _ended()

    def _give(self, order: Callable[[], object]) -> bool:
        """Put ``order`` where the thread takes it from; tell whether it will."""
        with self._closing:
            if not self._closed:
                self._inbox.put(order)
            return not self._closed

    # ------------------------------------------------------------------ on the thread

    def _run(self) -> None:
        self._first.set_running_or_notify_cancel()  # whoever gives up waiting does not change it any more
        try:
            if self._find():
                self._work()
        finally:
            self._end()

    def _find(self) -> bool:
        """Find device and models; tell whether there are any."""
        try:
            self._residents.find()
        except EngineUnavailableError as error:
            self._first.set_exception(error)
        except Exception as error:
            _LOGGER.exception("Looking for the model failed")
            self._first.set_exception(EngineUnavailableError(f"the model cannot be found: {error}"))
        else:
            return True
        return False

    def _work(self) -> None:
        if self._configuration.eager:
            self._begin(list(self._residents.all), [])
        else:
            self._first.set_result(self._residents.all)
        progress = True
        while not self._stopping:
            self._beats += 1
            self._take_orders(wait=not progress)
            progress = False
            for loaded_model in self._residents.loaded:
                if loaded_model.scheduler is not None and not loaded_model.scheduler.idle:
                    self._step(loaded_model, loaded_model.scheduler)
                    progress = True
            progress = self._guarded(self._residents.tend) or progress

    def _begin(self, models: list[LoadedModel], faults: list[EngineUnavailableError]) -> None:
        """Load the first model that can be; say so, or why none can."""
        loaded_model = models.pop(0)

        def loaded(error: EngineUnavailableError | None) -> None:
            if error is None:
                self._first.set_result(self._residents.all)
                return
            faults.append(error)
            self._note(error)
            if models and not self._stopping:
                _LOGGER.warning("One model less: %s", error)
                self._residents.all = tuple(models)
                self._begin(models, faults)
            else:
                self._first.set_exception(faults[0])
                self._stopping = True

        self._residents.when_ready(loaded_model, loaded)

    def _end(self) -> None:
        """Tell everybody that nothing more comes, whether the thread was told to end or was ended."""
        self._working = False
        if (error := sys.exception()) is not None:
            _LOGGER.error("The device's thread was ended: %r", error)
        with self._closing:
            self._closed = True
        while not self._inbox.empty():  # whoever came last hears of it too
            if (order := self._inbox.get()) is not None:
                self._guarded(order)
        for loaded_model in self._residents.all:
            loaded_model.give_up(self._over())
            if loaded_model.scheduler is not None:
                loaded_model.scheduler.fail(self._over())
            loaded_model.scheduler = loaded_model.checkpoint = None
            loaded_model.warming.clear()
            loaded_model.clones.forget()
        for take in tuple(self._takes):
            take.end(self._over())
        promises: tuple[Future[Any], ...] = (self._first, *self._promises)
        for promise in promises:
            with suppress(InvalidStateError):  # it was kept, or nobody waits for it any more
                promise.set_exception(self._over())

    def _take_orders(self, *, wait: bool) -> None:
        """Do what others have asked for; wait for that if there is nothing else to do."""
        limit = self._residents.due(self._configuration.idle_unload)
        try:
            self._working = not wait
            order = self._inbox.get(timeout=limit) if wait else self._inbox.get_nowait()
            self._working = True
            while True:
                self._beats += 1
                if order is not None:
                    self._guarded(order)
                order = self._inbox.get_nowait()
        except queue.Empty:
            self._working = True
            if wait and limit is not None:
                self._guarded(lambda: self._residents.unload_idle(self._configuration.idle_unload))

    def _guarded(self, do: Callable[[], object]) -> bool:
        """Call ``do`` and return what it does; the thread outlives whatever goes wrong."""
        try:
            return bool(do())
        except Exception:
            _LOGGER.exception("The device's thread failed")
            return True

    def _do_all(self, loaded_model: LoadedModel, job: Job, error: EngineUnavailableError | None) -> None:
        """Do what has waited for the job's model."""
        orders = list(job.orders)
        job.orders.clear()
        if error is not None:
            job.take.end(error)
        for do in orders:
            if not job.take.ended:
                self._do(loaded_model, job, do)

    def _drop(self, job: Job) -> None:
        """End a take that was cancelled while its model was not there; the scheduler ends the others."""
        if job.orders:
            job.orders.clear()
            self._residents.forget(self._residents.named(job.model), job)
            job.take.end()

    def _do(self, loaded_model: LoadedModel, job: Job, do: Callable[[LoadedModel, Job], object]) -> None:
        """Call ``do``; whatever goes wrong ends the take, and nothing else."""
        loaded_model.used = time.monotonic()
        try:
            do(loaded_model, job)
        except (EngineUnavailableError, UnsupportedTextError) as fault:
            job.take.end(fault)
        except Exception as fault:
            _LOGGER.exception("The model cannot be used")
            self._note(fault)
            job.take.end(EngineUnavailableError(f"the model cannot be used: {fault}"))

    def _push_text(self, loaded_model: LoadedModel, job: Job, text: str, *, end: bool) -> None:
        take, scheduler = job.take, loaded_model.scheduler
        assert scheduler is not None
        if take.stable is None:
            take.stable = scheduler.builder.stable_text()
        known = take.stable.push(text, end=end)
        if take.speech.text:
            if known or end:
                scheduler.push_text(take, known, end=end)
        elif known or end:
            take.speech = replace(take.speech, text=known, streaming=True, more=not end)
            take.live = not end
            self._submit(loaded_model, job)

    def _submit(self, loaded_model: LoadedModel, job: Job) -> None:
        take = job.take
        if job.reference is not None and not take.cancelled:
            clone = loaded_model.clone(job.reference)
            # By example, the text stands beside the reference and is all there before the first frame; this
            # is the official package's layout for clones too. With an x-vector there is nothing for it to
            # stand beside, and the voice would hurry towards the end (Qwen3-TTS#239).
            streaming = take.speech.streaming or clone.codes is not None
            take.speech = replace(take.speech, clone=clone, streaming=streaming)
        assert loaded_model.scheduler is not None
        loaded_model.scheduler.submit(take)

    def _step(self, loaded_model: LoadedModel, scheduler: Scheduler) -> None:
        loaded_model.used = time.monotonic()
        try:
            scheduler.step()
        except torch.OutOfMemoryError:
            scheduler.shrink()
        except Exception as error:
            _LOGGER.exception("The device's thread failed")
            self._note(error)
            scheduler.fail(self._lost or EngineUnavailableError(f"the model failed: {error}"))

    def _note(self, error: Exception) -> None:
        """Remember an error after which the device is of no use to this process."""
        if _of_no_use(error):
            self._lost = DeviceLostError(f"the device failed: {error}")
