"""What an engine is to the rest of the house."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable, Sequence
from typing import Any, Protocol, runtime_checkable

from ..speech import Recorded, SpeechError, TextFeed, Utterance, Voice


class EngineUnavailableError(SpeechError):
    """The engine cannot speak now; another one may."""

    code = "engine-unavailable"


class UnsupportedTextError(SpeechError):
    """This engine will never be able to say this text."""

    code = "cannot-speak"


class TruncatedAudioError(SpeechError):
    """The engine had to end an utterance itself: what it yielded stands, but may not be all of it."""

    code = "cut-short"


class DeviceLostError(EngineUnavailableError):
    """The engine's device is of no use to this process any more; to a new one it may be."""

    code = "device-lost"


class Engine(Protocol):
    """Something that speaks."""

    name: str
    max_batch_size: int
    """Utterances that it can speak at a time, with each of its models."""

    async def start(self) -> None:
        """Load and warm: after this the first utterance costs no more than any other.

        Raises EngineUnavailableError where the engine cannot work on this machine. After ``close`` it may be
        started again.
        """

    async def close(self) -> None:
        """Give back threads, processes and memory, as far as nothing hangs."""

    def voices(self) -> Sequence[Voice]:
        """Return the voices it speaks, best first; empty before ``start``."""

    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM (24 kHz, mono, s16le, whole samples) as soon as it exists.

        Closing the generator cancels the work within one chunk. Raises UnsupportedTextError or
        EngineUnavailableError, and TruncatedAudioError after sound that must not be kept as the whole
        utterance.
        """
        raise NotImplementedError


@runtime_checkable
class SlowEngine(Protocol):
    """An engine that takes its time to start, and knows its voices before."""

    async def find(self) -> None:
        """Find out, within a second or two, which voices there will be: ``voices`` has them from then on.

        Raises EngineUnavailableError where it cannot be known yet, or there will be none.
        """


@runtime_checkable
class WatchedEngine(Protocol):
    """An engine that can be seen to work."""

    def pulse(self) -> Hashable | None:
        """Return something that changes with every piece of its work; None while it has none."""
        raise NotImplementedError

    def fault(self) -> EngineUnavailableError | None:
        """Return why it has to be started again, DeviceLostError where that would not help; None if well."""
        raise NotImplementedError


@runtime_checkable
class LiveEngine(Protocol):
    """An engine that can speak a sentence while it is being written."""

    def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
        """Yield PCM as ``Engine.speak``, of ``utterance.text`` and of what ``text`` goes on with."""
        raise NotImplementedError


@runtime_checkable
class PhonemeEngine(Protocol):
    """An engine that reads pronunciations, which ``text.phonemes`` puts behind their words."""

    def supports_phonemes(self, voice: Voice) -> bool:
        """Tell whether it does so with this voice."""
        raise NotImplementedError


@runtime_checkable
class RepeatableEngine(Protocol):
    """An engine that says an utterance the same way every time, so that what it said can be kept."""

    def identity(self, voice: Voice) -> str:
        """Return what the sound depends on beside the utterance: versions, weights, how they are run."""
        raise NotImplementedError


@runtime_checkable
class ModelEngine(Protocol):
    """An engine that has models, on a device."""

    def status(self) -> dict[str, dict[str, Any]]:
        """Return how each model is, by name: whether it is ``loaded``, its ``bytes``, its ``work``."""
        raise NotImplementedError

    def device_bytes(self) -> int:
        """Return the bytes of the device's memory that are in use; 0 where that is this machine's own."""
        raise NotImplementedError


@runtime_checkable
class ServersEngine(Protocol):
    """An engine that lets other machines speak."""

    def servers(self) -> dict[str, dict[str, Any]]:
        """Return how each server is, by its address: up, reason, asked, spoken, failed."""
        raise NotImplementedError


@runtime_checkable
class CloningEngine(Protocol):
    """An engine that can speak with the voice of a recording."""

    def clones_with(self) -> Hashable:
        """Return something that changes when ``clone`` could have another result for the same recording."""
        raise NotImplementedError

    def clone(self, recorded: Recorded) -> Voice:
        """Return ``recorded`` as a voice of this engine; does no work yet.

        Raises EngineUnavailableError, one sentence, where none of its models can speak it.
        """
        raise NotImplementedError

    async def prepare(self, voices: Sequence[Voice]) -> None:
        """Make ready, when there is time for it, what these clones need; say in the log what cannot be."""
        raise NotImplementedError
