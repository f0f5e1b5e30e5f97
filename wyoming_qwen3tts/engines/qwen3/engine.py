"""The face that Qwen3-TTS shows to the rest of the house. Imports torch only when it starts."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from collections.abc import AsyncGenerator, Hashable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ...speech import CustomVoice, SpeechError, Style, TextFeed, Utterance, Voice
from ..base import Engine, EngineUnavailableError
from . import download, speakers
from .configuration import Configuration
from .download import About, Source

if TYPE_CHECKING:
    from .model_manager import LoadedModel
    from .worker import Job, Worker

_LOGGER = logging.getLogger(__name__)

DESIGNED = "Designed"
"""The voice of a VoiceDesign checkpoint: as the instruction describes it."""
BASE = "Qwen/Qwen3-TTS-12Hz-0.6B-Base"
DESIGN = "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign"
"""Checkpoints on the hub that clone voices, and that design them."""
RUN = "1"
"""Version of how models are run: another one when the same seed gives another sound."""
CLOSE_SECONDS = 10.0
"""A frame takes a fraction of a second even on a slow CPU; loading cannot be interrupted."""


class Qwen3Engine(Engine):
    """Qwen3-TTS on a thread of its own, several utterances at a time; the same seed gives the same sound."""

    name = "qwen3"
    starts_in_background = True
    reports_progress = True
    supports_live_text = True
    supports_cloning = True
    supports_design = True

    def __init__(self, configuration: Configuration) -> None:
        self.max_batch_size = configuration.max_batch_size
        self._configuration = configuration
        self._worker: Worker | None = None
        self._models: Mapping[str, About] = {}
        """By the names that the settings have for them."""
        self._voices: tuple[Voice, ...] = ()
        self._speakers: dict[tuple[str, str], str] = {}
        """Model and voice → the checkpoint's own name of that speaker."""

    async def find(self) -> None:
        """Look at the models' configurations, fetched if need be. Raises EngineUnavailableError."""
        for package in ("torch", "qwen_tts"):
            if importlib.util.find_spec(package) is None:
                raise _not_installed(f"No module named {package!r}")
        self._knows(await asyncio.to_thread(self._preview))

    def _preview(self) -> Mapping[str, About]:
        said = self._configuration
        found: dict[str, About] = {}
        faults: list[EngineUnavailableError] = []
        for name in said.models:
            source = Source.parse(name, said.revision, said.download_dir, said.local_files_only)
            try:
                found[name] = download.preview(source)
            except EngineUnavailableError as error:
                faults.append(error)
        if not found:
            raise faults[0]
        return found

    def _knows(self, models: Mapping[str, About]) -> None:
        self._models = models
        self._voices = tuple(self._list())

    async def start(self) -> None:
        """Find the models, load the first one and warm it up. Raises EngineUnavailableError."""
        try:
            worker = await asyncio.to_thread(self._build)
        except ImportError as error:
            raise _not_installed(str(error)) from error
        self._worker = worker
        model_manager = await asyncio.wrap_future(worker.start())
        self._knows({loaded_model.name: loaded_model.about for loaded_model in model_manager})
        if self._configuration.instruct and not any(m.supports_instructions for m in self._models.values()):
            names = " and ".join(about.name for about in self._models.values())
            _LOGGER.warning("%s does not listen to instructions: --instruct is ignored", names)

    def _build(self) -> Worker:
        # torch reads it when it first allocates: memory that can grow in place does not fall to pieces.
        os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
        from .worker import Worker

        return Worker(self._configuration)

    async def close(self) -> None:
        """End every utterance and the thread, and free the memory."""
        if self._worker is not None:
            await asyncio.to_thread(self._worker.stop, CLOSE_SECONDS)

    @property
    def about(self) -> str:
        """Which models there are, the first of them loaded, and where: as the end of a sentence."""
        if self._worker is None or not self._models:
            return "nothing is loaded"
        first, *others = (about.name for about in self._models.values())
        later = f", and {' and '.join(others)} when needed" if others else ""
        return f"{first} is loaded {self._worker.where}{later}"

    def status(self) -> dict[str, dict[str, Any]]:
        """Return of each model whether it is loaded, where, its bytes, and what it has done."""
        worker = self._worker
        return (
            {}
            if worker is None
            else {each.name: _status(each, worker.where) for each in worker.model_manager}
        )

    def pulse(self) -> Hashable | None:
        """Return something that changes with every frame and every other piece of work; None between."""
        return None if self._worker is None else self._worker.pulse

    def fault(self) -> EngineUnavailableError | None:
        """Return why the device's thread does not go on, or the device."""
        return None if self._worker is None else self._worker.fault

    def device_bytes(self) -> int:
        """Return the bytes of the device's memory that are in use by this process; 0 for a CPU's."""
        return 0 if self._worker is None else self._worker.device_bytes

    # ------------------------------------------------------------------ voices

    def voices(self) -> Sequence[Voice]:
        """Return the checkpoints' speakers; of a VoiceDesign checkpoint that is alone, the designed voice."""
        return self._voices

    def _list(self) -> Iterator[Voice]:
        """Yield the voices of every model; of two that have one name, the second one's size is added."""
        taken: set[str] = set()
        for model, about in self._models.items():
            if about.kind == "voice_design" and len(self._models) == 1:
                described = f"{DESIGNED}: as --instruct describes it ({about.name})"
                yield self._model(model).voice(DESIGNED, described)
            for name in speakers.ordered(about.speakers):
                shown = speakers.title(name)
                if shown in taken:
                    shown = f"{shown} {about.size}"
                if shown in taken:
                    _LOGGER.warning("There are two voices %s: that of %s is left out", shown, model)
                    continue
                taken.add(shown)
                self._speakers[model, shown] = name
                yield self._model(model).speaker(name, shown)

    def _model(self, name: str) -> speakers.SpeakerModel:
        about = self._models[name]
        return speakers.SpeakerModel(
            self.name, name, about.name, about.languages, about.supports_instructions
        )

    def _able(self, kind: str) -> list[str]:
        return [model for model, about in self._models.items() if about.kind == kind]

    def cloner(self) -> str:
        """Return the model that clones voices. Raises EngineUnavailableError where there is none."""
        if not (able := self._able("base")):
            raise EngineUnavailableError("cloned voices need a Base checkpoint, such as --model " + BASE)
        return able[0]

    def designer(self) -> str:
        """Return the model that designs voices. Raises EngineUnavailableError where there is none."""
        if not (able := self._able("voice_design")):
            raise EngineUnavailableError(
                "designing needs a VoiceDesign checkpoint, such as --model " + DESIGN
            )
        return able[0]

    def clones_with(self) -> Hashable:
        """Return the models that clone voices."""
        return tuple(self._able("base"))

    def clone(self, recorded: CustomVoice) -> Voice:
        """Return the voice that a Base checkpoint clones from a recording. Raises EngineUnavailableError."""
        able = self._able("base")
        if recorded.model and recorded.model not in able:
            raise EngineUnavailableError(
                f"{recorded.model:.80} is not one of the Base checkpoints: {', '.join(able) or 'none'}"
            )
        return self._model(recorded.model or self.cloner()).clone(recorded)

    async def prepare(self, voices: Sequence[Voice]) -> None:
        """Let the model hear the recordings of cloned voices, when nobody speaks."""

        async def one(voice: Voice) -> None:
            try:
                await self.make_ready(voice)
            except SpeechError as error:
                _LOGGER.warning("%s is not ready: %s", voice.name, error)
            else:
                _LOGGER.info("%s is ready", voice.name)

        await asyncio.gather(*map(one, voices))

    async def make_ready(self, voice: Voice) -> None:
        """Let the model hear the recording of a cloned voice.

        Raises EngineUnavailableError, UnsupportedTextError.
        """
        if self._worker is None or voice.reference is None:
            return
        language = speakers.language(voice.languages[0], self._models[voice.model].languages)
        await asyncio.wrap_future(self._worker.prepare(voice.model, voice.reference, [language]))

    async def design(
        self, description: str, text: str, language: str, seed: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield PCM of ``text`` in the voice that is described; ``end_design`` when it will do.

        ``language``: BCP 47. Raises EngineUnavailableError where no VoiceDesign checkpoint is set up.
        """
        voice = replace(
            self._model(self.designer()).voice(DESIGNED, ""), style=Style(DESIGNED, instruct=description)
        )
        async with aclosing(self.speak(Utterance(text, voice, language, seed))) as sounds:
            async for sound in sounds:
                yield sound

    def end_design(self) -> None:
        """Free the memory of what designs: it is needed once, and may be as large as all the others."""
        if self._worker is not None:
            for model in self._able("voice_design"):
                self._worker.unload(model)

    def identity(self, voice: Voice) -> str:
        """Return what a voice's sound depends on: the model's weights and numbers, and how it is run."""
        worker, said = self._worker, self._configuration
        if worker is None:
            raise EngineUnavailableError("the model is not loaded")
        models = [
            loaded_model.clones.model
            for loaded_model in worker.model_manager
            if loaded_model.name == voice.model
        ]
        if not models:
            raise EngineUnavailableError(f"{voice.model} is not there yet")
        model = models[0]
        told = said.instruct if self._models[voice.model].supports_instructions else ""
        return f"{RUN} {model} {worker.device.type} {said.quantize} {told}"

    # ------------------------------------------------------------------ speech

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM from the second frame on, 80 to 640 ms at a time."""
        worker, job, sounds = self._job(utterance, live=False)
        worker.submit(job)
        try:
            while (sound := await sounds.next()) is not None:
                yield sound
        finally:
            worker.cancel(job)

    async def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``utterance.text`` and of what ``text`` goes on with, while it is written.

        The model hears the text token by token, waits when it has heard all there is, and does not end before
        the text does.
        """
        worker, job, sounds = self._job(replace(utterance, text=""), live=True)

        async def write() -> None:
            worker.push_text(job, _plain(utterance.text))
            async for piece in text:
                worker.push_text(job, _plain(piece))
            worker.push_text(job, "", end=True)

        writer = asyncio.create_task(write(), name="writer")
        writer.add_done_callback(sounds.failed)
        try:
            while (sound := await sounds.next()) is not None:
                yield sound
        finally:
            writer.cancel()
            worker.cancel(job)

    def _job(self, utterance: Utterance, *, live: bool) -> tuple[Worker, Job, _Sounds]:
        from .prompt import Speech
        from .scheduler import Generation
        from .worker import Job

        voice, worker = utterance.voice, self._worker
        about = self._models.get(voice.model)
        if worker is None or about is None:
            raise EngineUnavailableError("the model is not loaded")
        sounds = _Sounds()
        speaker = self._speakers.get((voice.model, voice.speaker))
        own = voice.style.instruct if voice.style is not None else ""
        instruct = (own or self._configuration.instruct) if about.supports_instructions else ""
        language = speakers.language(utterance.language, about.languages)
        speech = Speech(_plain(utterance.text), language, speaker, instruct=_plain(instruct))
        take = Generation(
            speech,
            utterance.seed,
            hand_over=sounds.put,
            ended=sounds.end,
            begun=utterance.on_start,
            live=live,
        )
        return worker, Job(take, voice.model, voice.reference), sounds


def _not_installed(reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(f"torch cannot be used ({reason}); script/setup --qwen installs it")


def _status(loaded_model: LoadedModel, where: str) -> dict[str, Any]:
    """Return how a model is; a look from another thread than its own, which changes nothing."""
    scheduler = loaded_model.scheduler
    return {
        "name": loaded_model.about.name,
        "kind": loaded_model.about.kind,
        "loaded": loaded_model.ready,
        "where": where,
        "bytes": loaded_model.memory if scheduler is not None else 0,
        "slots": scheduler.most if scheduler is not None else 0,
        "running": len(scheduler.running) if scheduler is not None else 0,
        "waiting": len(loaded_model.waiting) + (len(scheduler.waiting) if scheduler is not None else 0),
        "work": asdict(loaded_model.work),
        "clones": asdict(loaded_model.clones.counts),
    }


class _Sounds:
    """Sound on its way from the device's thread to the event loop. A take's length bounds what is in it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[bytes | _End] = asyncio.Queue()

    def put(self, item: bytes | _End) -> None:
        """Add sound, or the end of it; from any thread."""
        with suppress(RuntimeError):  # the loop has ended, and with it whoever listened
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)

    def end(self, error: BaseException | None) -> None:
        """Say that nothing more comes, or that ``error`` does."""
        self.put(_End(error))

    def failed(self, task: asyncio.Task[None]) -> None:
        """Pass on the error of a task."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(error)

    async def next(self) -> bytes | None:
        """Return the next piece, None at the end. Raises what ended it."""
        item = await self._arrived.get()
        if not isinstance(item, _End):
            return item
        if item.error is not None:
            raise item.error
        return None


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def _plain(text: str) -> str:
    """Return ``text`` without what the tokenizer would take for its own marks, such as ``<|im_end|>``.

    Halves of surrogate pairs, which JSON can carry and no tokenizer takes, become question marks.
    """
    text = text.encode("utf-8", "replace").decode()
    return text.replace("<|", "<").replace("|>", ">").replace("<tts_", "<tts-")
