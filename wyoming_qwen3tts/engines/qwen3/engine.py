"""The face that Qwen3-TTS shows to the rest of the house. Imports torch only when it starts."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...speech import Attribution, TextFeed, Utterance, Voice
from ..base import EngineUnavailable
from .configuration import Configuration

if TYPE_CHECKING:
    from .scheduler import Take
    from .worker import Loaded, Worker

_LOGGER = logging.getLogger(__name__)

TAGS = {
    "chinese": "zh-CN",
    "english": "en-US",
    "japanese": "ja-JP",
    "korean": "ko-KR",
    "german": "de-DE",
    "french": "fr-FR",
    "russian": "ru-RU",
    "portuguese": "pt-BR",
    "spanish": "es-ES",
    "italian": "it-IT",
}
"""The model's names of languages, and what clients call them."""
NATIVE = {
    "vivian": "chinese",
    "serena": "chinese",
    "uncle_fu": "chinese",
    "dylan": "chinese",
    "eric": "chinese",
    "ryan": "english",
    "aiden": "english",
    "ono_anna": "japanese",
    "sohee": "korean",
}
"""The native languages of the CustomVoice speakers, from the model card; all speak the others too."""
DESIGNED = "Designed"
"""The voice of a VoiceDesign checkpoint: as the instruction describes it."""
CLOSE_SECONDS = 10.0
"""A frame takes a fraction of a second even on a slow CPU; loading cannot be interrupted."""


class Qwen3Engine:
    """Qwen3-TTS on a thread of its own, several utterances at a time; the same seed gives the same sound."""

    name = "qwen3"

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._worker: Worker | None = None
        self._loaded: Loaded | None = None
        self._voices: tuple[Voice, ...] = ()

    async def start(self) -> None:
        """Load the model and warm it up. Raises EngineUnavailable."""
        try:
            worker = await asyncio.to_thread(self._build)
        except ImportError as error:
            message = f"torch cannot be used ({error}); script/setup --qwen installs it"
            raise EngineUnavailable(message) from error
        self._worker = worker
        self._loaded = await asyncio.wrap_future(worker.start())
        self._voices = tuple(self._list(self._loaded))
        if self._loaded.kind == "base":
            _LOGGER.warning("%s speaks with cloned voices only, and there is none", self._loaded.name)
        if self._configuration.instruct and not self._loaded.hears_instructions:
            _LOGGER.warning("%s does not listen to instructions: --instruct is ignored", self._loaded.name)

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
        """What is loaded and where, as the end of a sentence."""
        return f"{self._loaded.name} is loaded {self._loaded.where}" if self._loaded else "nothing is loaded"

    def voices(self) -> Sequence[Voice]:
        """Return the checkpoint's speakers, or the designed voice."""
        return self._voices

    def _list(self, loaded: Loaded) -> list[Voice]:
        languages = [name for name in loaded.languages if name in TAGS]
        maker = Attribution(loaded.name, "https://github.com/QwenLM/Qwen3-TTS")
        names = list(loaded.speakers)
        if loaded.kind == "voice_design":
            names = [DESIGNED]
        found = []
        for name in names:
            native = NATIVE.get(name, "english")
            ordered = sorted(languages, key=lambda language: language != native)
            tags = tuple(TAGS[language] for language in ordered)
            shown = name.replace("_", " ").title()
            found.append(Voice(shown, f"{shown} ({loaded.name})", tags, self.name, maker))
        return found

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM from the second frame on, 80 to 640 ms at a time."""
        worker, take, sounds = self._take(utterance, live=False)
        worker.submit(take)
        try:
            while (sound := await sounds.next()) is not None:
                yield sound
        finally:
            worker.cancel(take)

    async def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        """Yield the sound of ``utterance.text`` and of what ``text`` goes on with, while it is written.

        The model hears the text token by token, waits when it has heard all there is, and does not end before
        the text does.
        """
        worker, take, sounds = self._take(replace(utterance, text=""), live=True)

        async def write() -> None:
            worker.push_text(take, _plain(utterance.text))
            async for piece in text:
                worker.push_text(take, _plain(piece))
            worker.push_text(take, "", end=True)

        writer = asyncio.create_task(write(), name="writer")
        writer.add_done_callback(sounds.failed)
        try:
            while (sound := await sounds.next()) is not None:
                yield sound
        finally:
            writer.cancel()
            worker.cancel(take)

    def _take(self, utterance: Utterance, *, live: bool) -> tuple[Worker, Take, _Sounds]:
        from .prompt import Speech
        from .scheduler import Take

        worker, loaded = self._worker, self._loaded
        if worker is None or loaded is None:
            raise EngineUnavailable("the model is not loaded")
        sounds = _Sounds()
        speaker = utterance.voice.name.lower().replace(" ", "_") if loaded.kind == "custom_voice" else None
        instruct = self._configuration.instruct if loaded.hears_instructions else ""
        language = _language(utterance.language, loaded.languages)
        speech = Speech(_plain(utterance.text), language, speaker, instruct=instruct)
        take = Take(speech, utterance.seed, hand_over=sounds.put, ended=sounds.end, live=live)
        return worker, take, sounds


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


def _language(tag: str, known: Sequence[str]) -> str:
    """Return the model's name of a BCP 47 language, ``auto`` where it has none."""
    primary = tag.lower().split("-")[0]
    for name, own in TAGS.items():
        if own.split("-")[0] == primary and name in known:
            return name
    return "auto"
