"""Qwen3-TTS as an ``Engine``. Imports torch only when it starts."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from collections.abc import AsyncGenerator, Hashable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.settings import ModelSettings
from ...speech import CustomVoice, SpeechError, Style, TextFeed, Utterance, Voice
from ...telemetry import quote
from ..base import Engine, EngineUnavailableError, LoadStep
from . import download, speakers
from .download import CheckpointInfo, Source

if TYPE_CHECKING:
    from .model_manager import LoadedModel
    from .worker import GenerationJob, Worker

_LOGGER = logging.getLogger(__name__)

DESIGNED = "Designed"
"""Name of the voice of a VoiceDesign checkpoint, which the instruction describes."""
BASE = "Qwen/Qwen3-TTS-12Hz-0.6B-Base"
DESIGN = "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign"
"""Checkpoints on the hub that clone and that design voices; named in error messages."""
RUN_VERSION = "1"
"""Part of cache keys; raised when the same seed gives different audio than before."""
CLOSE_SECONDS = 10.0
"""Seconds to wait for the thread: a frame takes less even on a slow CPU; loading cannot be interrupted."""


class Qwen3Engine(Engine):
    """Qwen3-TTS on a separate thread, in batches; the same seed gives the same audio."""

    name = "qwen3"
    starts_in_background = True
    reports_progress = True
    supports_live_text = True
    supports_cloning = True
    supports_design = True

    def __init__(
        self, settings: ModelSettings, prompts: Path | None = None, *, load_at_start: bool = True
    ) -> None:
        """``prompts``: directory for clones; None keeps them in memory only.

        ``load_at_start``: load the first model at the start; otherwise each one when it is first needed.
        """
        self.max_batch_size = settings.max_batch_size
        self._settings = settings
        self._prompts = prompts
        self._load_at_start = load_at_start
        self._worker: Worker | None = None
        self._models: Mapping[str, CheckpointInfo] = {}
        """By their names in the settings."""
        self._voices: tuple[Voice, ...] = ()
        self._speakers: dict[tuple[str, str], str] = {}
        """Model and voice → the checkpoint's name of the speaker."""

    async def find(self) -> None:
        """Read the models' configurations, downloading missing ones. Raises EngineUnavailableError."""
        for package in ("torch", "qwen_tts"):
            if importlib.util.find_spec(package) is None:
                raise _not_installed(f"No module named {package!r}")
        self._set_models(await asyncio.to_thread(self._read_infos))

    def _read_infos(self) -> Mapping[str, CheckpointInfo]:
        settings = self._settings
        found: dict[str, CheckpointInfo] = {}
        faults: list[EngineUnavailableError] = []
        for name in settings.model:
            source = Source.parse(name, settings.revision, settings.download_dir, settings.local_files_only)
            try:
                found[name] = download.read_preview(source)
            except EngineUnavailableError as error:
                faults.append(error)
        if not found:
            raise faults[0]
        return found

    def _set_models(self, models: Mapping[str, CheckpointInfo]) -> None:
        self._models = models
        self._voices = tuple(self._list_voices())

    async def start(self) -> None:
        """Find the models, load the first one and warm it up. Raises EngineUnavailableError."""
        try:
            worker = await asyncio.to_thread(self._build)
        except ImportError as error:
            raise _not_installed(str(error)) from error
        self._worker = worker
        loaded_models = await asyncio.wrap_future(worker.start())
        self._set_models({loaded_model.name: loaded_model.info for loaded_model in loaded_models})
        if self._settings.instruct and not any(m.supports_instructions for m in self._models.values()):
            _LOGGER.warning("qwen3: --instruct ignored model=%s", " ".join(self._models))

    def _build(self) -> Worker:
        # torch reads it at the first allocation. Segments that grow in place avoid fragmentation.
        os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
        from .worker import Worker

        return Worker(self._settings, self._prompts, load_at_start=self._load_at_start)

    async def close(self) -> None:
        """End every generation and the thread, and free the memory."""
        if self._worker is not None:
            await asyncio.to_thread(self._worker.stop, CLOSE_SECONDS)

    @property
    def about(self) -> str:
        """The models and their device, as the end of a sentence."""
        if self._worker is None or not self._models:
            return "nothing is loaded"
        first, *others = (info.name for info in self._models.values())
        later = f", and {' and '.join(others)} when needed" if others else ""
        return f"{first} is loaded {self._worker.placement}{later}"

    def status(self) -> dict[str, dict[str, Any]]:
        """Return each model's state, memory and counts of work, by its name in the settings."""
        worker = self._worker
        return (
            {} if worker is None else {each.name: _status(each, worker.placement) for each in worker.models}
        )

    def load_step(self) -> LoadStep | None:
        """Return what it is doing before a model can speak; None if nothing."""
        return None if self._worker is None else self._worker.load_step()

    def pulse(self) -> Hashable | None:
        """Return a value that changes with every unit of work; None while there is nothing to do."""
        return None if self._worker is None else self._worker.pulse

    def fault(self) -> EngineUnavailableError | None:
        """Return why the device or its thread has stopped working; None while they work."""
        return None if self._worker is None else self._worker.fault

    def device_bytes(self) -> int:
        """Return the bytes of GPU memory that this process holds; 0 on a CPU."""
        return 0 if self._worker is None else self._worker.device_bytes

    # ------------------------------------------------------------------ voices

    def voices(self) -> Sequence[Voice]:
        """Return the checkpoints' speakers; the designed voice only for a single VoiceDesign checkpoint."""
        return self._voices

    def _list_voices(self) -> Iterator[Voice]:
        """Yield the voices of every model; a name that is taken already gets the model's size appended."""
        names: set[str] = set()
        for model, info in self._models.items():
            if info.kind == "voice_design" and len(self._models) == 1:
                description = f"{DESIGNED}: as --instruct describes it ({info.name})"
                yield self._model(model).voice(DESIGNED, description)
            for name in speakers.sort_by_preference(info.speakers):
                shown = speakers.display_name(name)
                if shown in names:
                    shown = f"{shown} {info.size}"
                if shown in names:
                    _LOGGER.warning("qwen3: duplicate voice skipped voice=%s model=%s", quote(shown), model)
                    continue
                names.add(shown)
                self._speakers[model, shown] = name
                yield self._model(model).speaker(name, shown)

    def _model(self, name: str) -> speakers.SpeakerModel:
        info = self._models[name]
        return speakers.SpeakerModel(self.name, name, info.name, info.languages, info.supports_instructions)

    def _models_of_kind(self, kind: str) -> list[str]:
        return [model for model, info in self._models.items() if info.kind == kind]

    def cloning_model(self) -> str:
        """Return the model that clones voices. Raises EngineUnavailableError where there is none."""
        if not (models := self._models_of_kind("base")):
            raise EngineUnavailableError("cloned voices need a Base checkpoint, such as --model " + BASE)
        return models[0]

    def designer(self) -> str:
        """Return the model that designs voices. Raises EngineUnavailableError where there is none."""
        if not (models := self._models_of_kind("voice_design")):
            raise EngineUnavailableError(
                "designing needs a VoiceDesign checkpoint, such as --model " + DESIGN
            )
        return models[0]

    def clones_with(self) -> Hashable:
        """Return the models that clone voices."""
        return tuple(self._models_of_kind("base"))

    def clone(self, recorded: CustomVoice) -> Voice:
        """Return a recording as a voice of a Base checkpoint. Raises EngineUnavailableError."""
        models = self._models_of_kind("base")
        if recorded.model and recorded.model not in models:
            raise EngineUnavailableError(
                f"{recorded.model:.80} is not one of the Base checkpoints: {', '.join(models) or 'none'}"
            )
        return self._model(recorded.model or self.cloning_model()).clone(recorded)

    async def prepare(self, voices: Sequence[Voice]) -> None:
        """Compute what the model needs of these clones, when no generation is running."""

        async def prepare_one(voice: Voice) -> None:
            try:
                await self.prepare_voice(voice)
            except SpeechError as error:
                _LOGGER.warning(
                    "qwen3: voice not prepared voice=%s reason=%s", quote(voice.name), quote(error)
                )
            else:
                _LOGGER.info("qwen3: voice prepared voice=%s", quote(voice.name))

        await asyncio.gather(*map(prepare_one, voices))

    async def prepare_voice(self, voice: Voice) -> None:
        """Compute what the model needs of a clone; do nothing for other voices.

        Raises EngineUnavailableError, UnsupportedTextError.
        """
        if self._worker is None or voice.reference is None:
            return
        language = speakers.to_model_language(voice.languages[0], self._models[voice.model].languages)
        await asyncio.wrap_future(self._worker.prepare(voice.model, voice.reference, [language]))

    async def design(
        self, description: str, text: str, language: str, seed: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield PCM of ``text`` in the described voice; call ``end_design`` after the last attempt.

        ``language``: BCP 47. Raises EngineUnavailableError where no VoiceDesign checkpoint is configured.
        """
        voice = replace(
            self._model(self.designer()).voice(DESIGNED, ""), style=Style(DESIGNED, instruct=description)
        )
        async with aclosing(self.speak(Utterance(text, voice, language, seed))) as audio:
            async for chunk in audio:
                yield chunk

    def end_design(self) -> None:
        """Unload the VoiceDesign checkpoint: it is rarely needed, and may be as large as all others."""
        if self._worker is not None:
            for model in self._models_of_kind("voice_design"):
                self._worker.unload(model)

    def identity(self, voice: Voice) -> str:
        """Return what the audio depends on: the model's fingerprint, device, quantization, instruction."""
        worker, settings = self._worker, self._settings
        if worker is None:
            raise EngineUnavailableError("the model is not loaded")
        models = [
            loaded_model.clones.model for loaded_model in worker.models if loaded_model.name == voice.model
        ]
        if not models:
            raise EngineUnavailableError(f"the model {voice.model} is not available yet")
        model = models[0]
        instruct = settings.instruct or "" if self._models[voice.model].supports_instructions else ""
        return f"{RUN_VERSION} {model} {worker.device.type} {settings.quantize} {instruct}"

    # ------------------------------------------------------------------ speech

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM from the second frame on, 80 to 640 ms at a time."""
        worker, job, audio = self._create_job(utterance, is_live=False)
        worker.submit(job)
        try:
            while (chunk := await audio.next()) is not None:
                yield chunk
        finally:
            worker.cancel(job)

    async def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        """Yield PCM of ``utterance.text`` and of the rest in ``text``, while that is still being written.

        The model gets the text token by token, waits while there is none, and does not end before it ends.
        """
        worker, job, audio = self._create_job(replace(utterance, text=""), is_live=True)

        async def write() -> None:
            worker.push_text(job, _escape_special_tokens(utterance.text))
            async for piece in text:
                worker.push_text(job, _escape_special_tokens(piece))
            worker.push_text(job, "", end=True)

        writer = asyncio.create_task(write(), name="qwen3 live text")
        writer.add_done_callback(audio.forward_error)
        try:
            while (chunk := await audio.next()) is not None:
                yield chunk
        finally:
            writer.cancel()
            worker.cancel(job)

    def _create_job(
        self, utterance: Utterance, *, is_live: bool
    ) -> tuple[Worker, GenerationJob, _AudioQueue]:
        from .prompt import Speech
        from .scheduler import Generation
        from .worker import GenerationJob

        voice, worker = utterance.voice, self._worker
        info = self._models.get(voice.model)
        if worker is None or info is None:
            raise EngineUnavailableError("the model is not loaded")
        audio = _AudioQueue()
        speaker = self._speakers.get((voice.model, voice.speaker))
        own = voice.style.instruct if voice.style is not None else ""
        instruct = (own or self._settings.instruct or "") if info.supports_instructions else ""
        language = speakers.to_model_language(utterance.language, info.languages)
        speech = Speech(
            _escape_special_tokens(utterance.text),
            language,
            speaker,
            instruct=_escape_special_tokens(instruct),
        )
        generation = Generation(
            speech,
            utterance.seed,
            on_audio=audio.put,
            on_end=audio.end,
            on_start=utterance.on_start,
            is_live=is_live,
        )
        return worker, GenerationJob(generation, voice.model, voice.reference), audio


def _not_installed(reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(f"torch cannot be used ({reason}); {download.INSTALL_HINT}")


def _status(loaded_model: LoadedModel, placement: str) -> dict[str, Any]:
    """Return a model's state. Reads it without a lock, from another thread than the one that changes it."""
    scheduler = loaded_model.scheduler
    return {
        "name": loaded_model.info.name,
        "kind": loaded_model.info.kind,
        "loaded": loaded_model.ready,
        "where": placement,
        "bytes": loaded_model.memory if scheduler is not None else 0,
        "slots": scheduler.max_batch_size if scheduler is not None else 0,
        "running": len(scheduler.running) if scheduler is not None else 0,
        "waiting": len(loaded_model.waiting_callbacks)
        + (len(scheduler.waiting) if scheduler is not None else 0),
        "work": asdict(loaded_model.work),
        "clones": asdict(loaded_model.clones.counts),
    }


class _AudioQueue:
    """Audio from the device's thread to the event loop. Bounded by the frame limit of the generation."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | _EndOfAudio] = asyncio.Queue()

    def put(self, item: bytes | _EndOfAudio) -> None:
        """Add a chunk, or the end; from any thread."""
        with suppress(RuntimeError):  # the loop is closed, and with it the consumer
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    def end(self, error: BaseException | None) -> None:
        """Add the end, or the error to raise."""
        self.put(_EndOfAudio(error))

    def forward_error(self, task: asyncio.Task[None]) -> None:
        """Add the error of a task, if it failed."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(error)

    async def next(self) -> bytes | None:
        """Return the next chunk, None at the end. Raises the error that was added."""
        item = await self._queue.get()
        if not isinstance(item, _EndOfAudio):
            return item
        if item.error is not None:
            raise item.error
        return None


@dataclass(frozen=True, slots=True)
class _EndOfAudio:
    error: BaseException | None


def _escape_special_tokens(text: str) -> str:
    """Return ``text`` with special tokens of the tokenizer, such as ``<|im_end|>``, made plain text.

    Lone surrogates, which are valid in JSON but not for the tokenizer, become question marks.
    """
    text = text.encode("utf-8", "replace").decode()
    return text.replace("<|", "<").replace("|>", ">").replace("<tts_", "<tts-")
