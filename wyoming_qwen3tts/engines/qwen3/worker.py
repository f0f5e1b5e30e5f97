"""The thread that owns the device: it loads models, steps their schedulers, and unloads idle models."""

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
from pathlib import Path
from typing import Any

import torch

from ...config.settings import ModelSettings
from ...speech import Reference
from ...telemetry import quote
from ..base import DeviceLostError, EngineUnavailableError, LoadStep, UnsupportedTextError
from .device_errors import is_device_lost, is_out_of_memory
from .model_manager import LoadedModel, ModelManager
from .prompt import Speech
from .scheduler import Generation, Scheduler

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class GenerationJob:
    """A generation, its model, and the recording of a cloned voice, if any."""

    generation: Generation
    model: str
    reference: Reference | None = None
    pending_calls: deque[Callable[[LoadedModel, GenerationJob], object]] = field(default_factory=deque)
    """Calls to make, in order, once the model is loaded. For the device's thread."""


def _thread_ended() -> EngineUnavailableError:
    return EngineUnavailableError("the model's thread has ended")


class Worker:
    """The device's thread. Every public method may be called from any thread."""

    def __init__(self, settings: ModelSettings, prompts: Path | None, *, load_at_start: bool) -> None:
        """See ``Qwen3Engine``."""
        self._settings = settings
        self._load_at_start = load_at_start
        self._commands: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._model_manager = ModelManager(settings, prompts, self._commands.put)
        self._stopping = False
        self._closed = False
        """No command is accepted any more."""
        self._closing = threading.Lock()
        self._generations: set[Generation] = set()
        self._pending: set[Future[None]] = set()
        """Futures of ``prepare``, which fail when the thread ends, even while it works on them."""
        self._work_count = 0
        """Units of work done."""
        self._working = False
        self._lost: DeviceLostError | None = None
        self._thread = threading.Thread(target=self._run, name="qwen3-device", daemon=True)
        self._started: Future[Sequence[LoadedModel]] = Future()

    def start(self) -> Future[Sequence[LoadedModel]]:
        """Start to load and warm up. The result is the models found, or EngineUnavailableError."""
        self._thread.start()
        return self._started

    @property
    def pulse(self) -> int | None:
        """The number of units of work done so far; None while there is nothing to do."""
        return self._work_count if self._working else None

    @property
    def fault(self) -> EngineUnavailableError | None:
        """Why the thread has stopped working; None while it works, and before it has started."""
        if self._lost is not None:
            return self._lost
        return _thread_ended() if self._closed else None

    @property
    def placement(self) -> str:
        """Device and dtype, each with the reason for it."""
        return self._model_manager.placement

    def load_step(self) -> LoadStep | None:
        """Return what is done before a model can speak; None if nothing."""
        return self._model_manager.load_step()

    @property
    def device(self) -> torch.device:
        """The device that models are loaded on."""
        return self._model_manager.device

    @property
    def device_bytes(self) -> int:
        """Bytes of GPU memory that this process holds; 0 on a CPU."""
        if self._thread.is_alive() and self.device.type == "cuda":
            return int(torch.cuda.memory_reserved(self.device))
        return 0

    @property
    def models(self) -> Sequence[LoadedModel]:
        """All models. Other threads may only read them, as the device's thread changes them."""
        return self._model_manager.all

    def stop(self, timeout: float) -> None:
        """End every generation and the thread; wait up to ``timeout`` seconds for the thread."""
        self._stopping = True
        self._commands.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def submit(self, job: GenerationJob) -> None:
        """Queue a generation; everything else is reported by its callbacks."""
        self._call_when_loaded(job, self._submit)

    def push_text(self, job: GenerationJob, text: str, *, end: bool = False) -> None:
        """Append text, in pieces of any size, to a live generation; the first piece submits it."""
        self._call_when_loaded(
            job, lambda loaded_model, job: self._push_text(loaded_model, job, text, end=end)
        )

    def cancel(self, job: GenerationJob) -> None:
        """End a generation before the next frame."""
        job.generation.cancel()
        self._generations.discard(job.generation)
        self._post(lambda: self._drop(job))

    def prepare(self, model: str, reference: Reference, languages: Sequence[str]) -> Future[None]:
        """Prepare a cloned voice, for these of the model's languages, when no generation is running.

        The result may be EngineUnavailableError or UnsupportedTextError.
        """
        done: Future[None] = Future()
        self._pending.add(done)
        done.add_done_callback(self._pending.discard)

        def prepare(error: EngineUnavailableError | None) -> None:
            if not done.set_running_or_notify_cancel():
                return  # it was cancelled
            try:
                if error is not None:
                    raise error  # noqa: TRY301 - one way to fail
                loaded_model = self._model_manager.get(model)
                clone = loaded_model.clone(reference)
                assert loaded_model.scheduler is not None
                for language in languages:
                    loaded_model.scheduler.cache_prefix(
                        Speech("a", language, clone=clone, streaming=clone.codes is not None)
                    )
            except Exception as fault:
                done.set_exception(fault)
            else:
                done.set_result(None)

        def request() -> None:
            try:
                self._model_manager.call_when_idle(self._model_manager.get(model), prepare)
            except EngineUnavailableError as error:
                prepare(error)

        if not self._post(request):
            prepare(self._closed_error())
        return done

    def unload(self, model: str) -> None:
        """Free a model's memory, after its generations, until it is needed again."""

        def request() -> None:
            self._model_manager.unload_when_idle(self._model_manager.get(model), "not needed any more")

        self._post(request)

    def _call_when_loaded(
        self, job: GenerationJob, call: Callable[[LoadedModel, GenerationJob], object]
    ) -> None:
        """Make ``call`` on the device's thread once the job's model is loaded; else end the generation."""

        def request() -> None:
            if job.generation.ended:
                return
            try:
                if self._closed:
                    raise self._closed_error()
                loaded_model = self._model_manager.get(job.model)
            except EngineUnavailableError as error:
                job.generation.end(error)
                return
            if loaded_model.scheduler is not None and loaded_model.scheduler.has(job.generation):
                self._call(loaded_model, job, call)  # its model stays loaded until it has ended
                return
            job.pending_calls.append(call)
            if len(job.pending_calls) > 1:
                return  # it waits already
            is_new_clone = job.reference is not None and not loaded_model.clones.is_cached(job.reference)
            self._model_manager.call_when_ready(
                loaded_model,
                lambda error: self._call_pending(loaded_model, job, error),
                owner=job,
                not_while_loading=is_new_clone,
            )

        self._generations.add(job.generation)
        if not self._post(request):
            job.generation.end(self._closed_error())

    def _closed_error(self) -> EngineUnavailableError:
        if self._stopping:
            return EngineUnavailableError("the service is stopping", "stopping")
        return _thread_ended()

    def _post(self, command: Callable[[], object]) -> bool:
        """Queue ``command`` for the thread; return False where the thread has ended."""
        with self._closing:
            if not self._closed:
                self._commands.put(command)
            return not self._closed

    # ------------------------------------------------------------------ on the thread

    def _run(self) -> None:
        self._started.set_running_or_notify_cancel()  # from now on it cannot be cancelled
        try:
            if self._find_models():
                self._work()
        finally:
            self._end()

    def _find_models(self) -> bool:
        """Find the device and the models; return whether there are any."""
        try:
            self._model_manager.find()
        except EngineUnavailableError as error:
            self._started.set_exception(error)
        except Exception as error:
            _LOGGER.exception("qwen3: search for models failed")
            self._started.set_exception(EngineUnavailableError(f"the model cannot be found: {error}"))
        else:
            return True
        return False

    def _work(self) -> None:
        if self._load_at_start:
            self._load_first(list(self._model_manager.all), [])
        else:
            self._started.set_result(self._model_manager.all)
        progress = True
        while not self._stopping:
            self._work_count += 1
            self._run_commands(wait=not progress)
            progress = False
            for loaded_model in self._model_manager.loaded:
                if loaded_model.scheduler is not None and not loaded_model.scheduler.idle:
                    self._step(loaded_model, loaded_model.scheduler)
                    progress = True
            progress = self._run_guarded(self._model_manager.run_next_task) or progress

    def _load_first(self, models: list[LoadedModel], faults: list[EngineUnavailableError]) -> None:
        """Load the first model that can be loaded, and set ``_started``."""
        loaded_model = models.pop(0)

        def set_result(error: EngineUnavailableError | None) -> None:
            if error is None:
                self._started.set_result(self._model_manager.all)
                return
            faults.append(error)
            self._record_device_loss(error)
            if models and not self._stopping:
                _LOGGER.warning("qwen3: model skipped model=%s reason=%s", loaded_model.name, quote(error))
                self._model_manager.all = tuple(models)
                self._load_first(models, faults)
            else:
                self._started.set_exception(faults[0])
                self._stopping = True

        self._model_manager.call_when_ready(loaded_model, set_result)

    def _end(self) -> None:
        """End everything that waits for the thread, whether it was stopped or failed."""
        self._working = False
        if (error := sys.exception()) is not None:
            _LOGGER.error("qwen3: device thread ended error=%s", quote(repr(error)))
        with self._closing:
            self._closed = True
        while not self._commands.empty():  # the last commands report the end, too
            if (command := self._commands.get()) is not None:
                self._run_guarded(command)
        for loaded_model in self._model_manager.all:
            loaded_model.fail_callbacks(self._closed_error())
            if loaded_model.scheduler is not None:
                loaded_model.scheduler.fail(self._closed_error())
            loaded_model.scheduler = loaded_model.checkpoint = None
            loaded_model.warm_up_calls.clear()
            loaded_model.clones.clear()
        for generation in tuple(self._generations):
            generation.end(self._closed_error())
        futures: tuple[Future[Any], ...] = (self._started, *self._pending)
        for future in futures:
            with suppress(InvalidStateError):  # it is done or cancelled
                future.set_exception(self._closed_error())

    def _run_commands(self, *, wait: bool) -> None:
        """Run all queued commands; ``wait`` for one where there is nothing else to do."""
        timeout = self._model_manager.seconds_until_due(self._settings.idle_unload)
        try:
            self._working = not wait
            command = self._commands.get(timeout=timeout) if wait else self._commands.get_nowait()
            self._working = True
            while True:
                self._work_count += 1
                if command is not None:
                    self._run_guarded(command)
                command = self._commands.get_nowait()
        except queue.Empty:
            self._working = True
            if wait and timeout is not None:
                self._run_guarded(lambda: self._model_manager.unload_idle(self._settings.idle_unload))

    def _run_guarded(self, call: Callable[[], object]) -> bool:
        """Return whether ``call`` did something; log its exceptions, so that the thread survives them."""
        try:
            return bool(call())
        except Exception:
            _LOGGER.exception("qwen3: device thread failed")
            return True

    def _call_pending(
        self, loaded_model: LoadedModel, job: GenerationJob, error: EngineUnavailableError | None
    ) -> None:
        """Make the calls that waited for the job's model."""
        calls = list(job.pending_calls)
        job.pending_calls.clear()
        if error is not None:
            job.generation.end(error)
        for call in calls:
            if not job.generation.ended:
                self._call(loaded_model, job, call)

    def _drop(self, job: GenerationJob) -> None:
        """End a generation that was cancelled before its model was loaded; the scheduler ends others."""
        if job.pending_calls:
            job.pending_calls.clear()
            self._model_manager.cancel_waiting(self._model_manager.get(job.model), job)
            job.generation.end()

    def _call(
        self,
        loaded_model: LoadedModel,
        job: GenerationJob,
        call: Callable[[LoadedModel, GenerationJob], object],
    ) -> None:
        """Make ``call``; its errors end the generation, and nothing else."""
        loaded_model.last_used = time.monotonic()
        try:
            call(loaded_model, job)
        except (EngineUnavailableError, UnsupportedTextError) as fault:
            job.generation.end(fault)
        except Exception as fault:
            _LOGGER.exception("qwen3: model failed model=%s", loaded_model.name)
            self._record_device_loss(fault)
            job.generation.end(EngineUnavailableError(f"the model cannot be used: {fault}"))

    def _push_text(self, loaded_model: LoadedModel, job: GenerationJob, text: str, *, end: bool) -> None:
        generation, scheduler = job.generation, loaded_model.scheduler
        assert scheduler is not None
        if generation.stable_text is None:
            generation.stable_text = scheduler.builder.stable_text()
        stable = generation.stable_text.push(text, end=end)
        if generation.speech.text:
            if stable or end:
                scheduler.push_text(generation, stable, end=end)
        elif stable or end:
            generation.speech = replace(generation.speech, text=stable, streaming=True, more=not end)
            generation.expects_text = not end
            self._submit(loaded_model, job)

    def _submit(self, loaded_model: LoadedModel, job: GenerationJob) -> None:
        generation = job.generation
        if job.reference is not None and not generation.cancelled:
            clone = loaded_model.clone(job.reference)
            # For a clone by example (ICL), the text is summed with the reference and is complete before the
            # first frame; the official package lays clones out the same way. An x-vector has no reference
            # to be summed with, and speech would hurry towards the end (Qwen3-TTS#239).
            streaming = generation.speech.streaming or clone.codes is not None
            generation.speech = replace(generation.speech, clone=clone, streaming=streaming)
        assert loaded_model.scheduler is not None
        loaded_model.scheduler.submit(generation)

    def _step(self, loaded_model: LoadedModel, scheduler: Scheduler) -> None:
        loaded_model.last_used = time.monotonic()
        try:
            scheduler.step()
        except Exception as error:
            if is_out_of_memory(error):
                scheduler.shrink()
                return
            _LOGGER.exception("qwen3: step failed model=%s", loaded_model.name)
            self._record_device_loss(error)
            scheduler.fail(self._lost or EngineUnavailableError(f"the model failed: {error}"))

    def _record_device_loss(self, error: Exception) -> None:
        """Set the fault, if this process cannot use the device any more after ``error``."""
        if is_device_lost(error):
            self._lost = DeviceLostError(f"the device failed: {error}")
