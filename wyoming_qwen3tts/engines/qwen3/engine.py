"""The face that Qwen3-TTS shows to the rest of the house. Imports torch only when it starts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...speech import Attribution, Utterance, Voice
from ..base import EngineUnavailable

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the settings say, in plain values."""

    model: str
    revision: str | None
    download_dir: Path | None
    local_files_only: bool
    device: str
    dtype: str
    quantize: str
    takes: int
    waiting: int
    length: int
    frames_per_token: float
    idle_unload: float
    instruct: str


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
        from .checkpoint import Source
        from .scheduler import Limits
        from .worker import Options, Worker

        said = self._configuration
        return Worker(
            Options(
                source=Source(said.model, said.revision, said.download_dir, said.local_files_only),
                device=said.device,
                dtype=said.dtype,
                quantize=said.quantize,
                takes=said.takes,
                length=said.length,
                limits=Limits(waiting=said.waiting, frames_per_token=said.frames_per_token),
                idle_unload=said.idle_unload,
            )
        )

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
        from .prompt import Speech
        from .scheduler import Take
        from .worker import stopped_quietly

        worker, loaded = self._worker, self._loaded
        if worker is None or loaded is None:
            raise EngineUnavailable("the model is not loaded")
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[bytes | _End] = asyncio.Queue()

        def put(item: bytes | _End) -> None:
            stopped_quietly(lambda: loop.call_soon_threadsafe(arrived.put_nowait, item))

        speaker = None
        if loaded.kind == "custom_voice":
            speaker = utterance.voice.name.lower().replace(" ", "_")
        take = Take(
            Speech(
                utterance.text,
                _language(utterance.language, loaded.languages),
                speaker,
                instruct=self._configuration.instruct if loaded.hears_instructions else "",
            ),
            utterance.seed,
            hand_over=put,
            ended=lambda error: put(_End(error)),
        )
        worker.submit(take)
        try:
            while not isinstance(item := await arrived.get(), _End):
                yield item
            if item.error is not None:
                raise item.error
        finally:
            worker.cancel(take)


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


def _language(tag: str, known: Sequence[str]) -> str:
    """Return the model's name of a BCP 47 language, ``auto`` where it has none."""
    primary = tag.lower().split("-")[0]
    for name, own in TAGS.items():
        if own.split("-")[0] == primary and name in known:
            return name
    return "auto"
