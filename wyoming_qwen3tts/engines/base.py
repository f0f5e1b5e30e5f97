"""The base class of engines, and the errors they raise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from ..speech import CustomVoice, SpeechError, TextFeed, Utterance, Voice


class EngineUnavailableError(SpeechError):
    """The engine cannot speak now; another one may."""

    code = "engine-unavailable"


class SilentAudioError(EngineUnavailableError):
    """The engine yielded silence, or nothing, for a text with words."""


class UnsupportedTextError(SpeechError):
    """This engine will never be able to say this text."""

    code = "cannot-speak"


class TruncatedAudioError(SpeechError):
    """The engine had to end an utterance itself: what it yielded stands, but may not be all of it."""

    code = "cut-short"


class TooShortAudioError(TruncatedAudioError):
    """An utterance ended without an error, after less audio than its text can take."""


class DeviceLostError(EngineUnavailableError):
    """The engine's device is of no use to this process any more; to a new one it may be."""

    code = "device-lost"


@dataclass(frozen=True, slots=True)
class LoadStep:
    """What an engine is doing before one of its models can speak."""

    step: str
    """``downloading``, ``reading`` or ``warming up``."""
    model: str
    share: float | None
    """Part of the step that is done, 0 to 1; None if it cannot be measured."""
    seconds_left: float | None
    """Estimated; None if it cannot be."""


class Engine(ABC):
    """A source of speech. It overrides what it can do; the defaults say that it cannot."""

    name: str
    max_batch_size: int = 1
    """Utterances that each of its models speaks at a time."""
    starts_in_background: bool = False
    """Whether ``start`` takes long and ``find`` knows the voices before."""
    reports_progress: bool = False
    """Whether ``pulse`` and ``fault`` show that it works."""
    supports_live_text: bool = False
    """Whether ``speak_live`` speaks a sentence while it is being written."""
    supports_cloning: bool = False
    """Whether ``clone`` makes voices of recordings."""
    supports_design: bool = False
    """Whether ``design`` speaks in a voice that a sentence describes."""

    # -- every engine ---------------------------------------------------------------------------------------

    @abstractmethod
    async def start(self) -> None:
        """Load and warm: after this the first utterance costs no more than any other.

        Raises EngineUnavailableError where the engine cannot work on this machine. After ``close`` it may be
        started again.
        """

    async def close(self) -> None:  # noqa: B027 - most engines have something to free, not all
        """Free threads, processes and memory, as far as nothing hangs."""

    @abstractmethod
    def voices(self) -> Sequence[Voice]:
        """Return the voices it speaks, best first; empty before ``start``."""

    @abstractmethod
    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM (24 kHz, mono, s16le, whole samples) as soon as it exists.

        Closing the generator cancels the work within one chunk. Raises UnsupportedTextError or
        EngineUnavailableError, and TruncatedAudioError after audio that must not be kept as the whole
        utterance.
        """

    @property
    def about(self) -> str:
        """What speaks, and on which device, for a person; empty where its name says it."""
        return ""

    # -- what only some can do ------------------------------------------------------------------------------

    def identity(self, voice: Voice) -> str | None:
        """Return what the audio depends on beside the utterance: versions, weights, how they are run.

        None where the same utterance sounds different every time, so that its audio is not cached. Raises
        EngineUnavailableError where that is not known now.
        """
        return None

    def supports_phonemes(self, voice: Voice) -> bool:
        """Tell whether pronunciations, which ``text.phonemes`` puts behind their words, are read."""
        return False

    async def find(self) -> None:
        """Find out, within a second or two, which voices there will be: ``voices`` has them from then on.

        Raises EngineUnavailableError where it cannot be known yet, or there will be none.
        """
        raise NotImplementedError

    def pulse(self) -> Hashable | None:
        """Return something that changes with every piece of its work; None while it has none."""
        return None

    def fault(self) -> EngineUnavailableError | None:
        """Return why it has to be started again, DeviceLostError where that would not help; None if well."""
        return None

    def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        """Yield PCM as ``speak``, of ``utterance.text`` and of what ``text`` goes on with."""
        raise NotImplementedError

    def clones_with(self) -> Hashable:
        """Return something that changes when ``clone`` could have another result for the same recording."""
        return None

    def clone(self, recorded: CustomVoice) -> Voice:
        """Return ``recorded`` as a voice of this engine; does no work yet.

        Raises EngineUnavailableError, one sentence, where none of its models can speak it.
        """
        raise NotImplementedError

    async def prepare(self, voices: Sequence[Voice]) -> None:
        """Prepare, when there is time for it, what these clones need; log what cannot be."""
        raise NotImplementedError

    def designer(self) -> str:
        """Return the model that designs voices. Raises EngineUnavailableError where there is none."""
        raise NotImplementedError

    def design(self, description: str, text: str, language: str, seed: int) -> AsyncGenerator[bytes, None]:
        """Yield PCM of ``text``. Raises EngineUnavailableError, UnsupportedTextError, TruncatedAudioError."""
        raise NotImplementedError

    def end_design(self) -> None:
        """Free what designing took: there is no further attempt."""
        raise NotImplementedError

    def status(self) -> dict[str, dict[str, Any]]:
        """Return how each model is, by name: whether it is ``loaded``, its ``bytes``, its ``work``."""
        return {}

    def load_step(self) -> LoadStep | None:
        """Return what it is doing before a model can speak; None if nothing."""
        return None

    def device_bytes(self) -> int:
        """Return the bytes of the device's memory that are in use; 0 where that is this machine's own."""
        return 0

    def servers(self) -> dict[str, dict[str, Any]]:
        """Return how each server that it uses is, by its address: up, reason, asked, spoken, failed."""
        return {}
