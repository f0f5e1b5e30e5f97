"""Post-processing of an utterance's audio: level, silence trimming, the style's level, speed, fades.

In this order. The level comes first, so that the threshold of silence means the same for every voice. The
style's level comes after trimming, so that no more of a soft style counts as silence. Silence is trimmed
before the speed is changed, so that the padding is in the voice's own time, and protects as much of a slow f
as of a quick one. The ends fade before that, for a step would be stretched into the middle, and after it, for
its own ends are not always smooth.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..config.settings import AudioSettings
from ..speech import BYTES_PER_SECOND, Voice
from . import speed as speed_methods
from .loudness import Gain, Levels, identity
from .pcm import silence, to_samples
from .trim import Fade, Trim

if TYPE_CHECKING:
    from .pcm import Samples


SOFTEST, LOUDEST = -20.0, 12.0
"""dB that a style may add to the level of every voice: 20 under it is a murmur, 12 over it a shout.

Peaks are limited before full scale, so that more would not be louder.
"""
FAST = BYTES_PER_SECOND // 2
"""Bytes that are processed on the event loop at unchanged speed: see ``Postprocessor.is_fast``."""


class Stage(Protocol):
    """A filter: samples in, samples out, with nothing lost between."""

    def push(self, samples: Samples) -> Samples:
        """Return what is ready; may be empty."""
        raise NotImplementedError

    def finish(self) -> Samples:
        """Return what is left, after the last ``push``."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ProcessedAudio:
    """A whole utterance after post-processing, for use in other replies."""

    pcm: bytes
    """Without the pause before it."""
    lead: float
    trail: float
    """Seconds of silence at its ends, which count as part of the pauses."""


class ReplyPostprocessor:
    """Processes the utterances of one reply, one after the other, and keeps the pauses between them."""

    def __init__(self, settings: AudioSettings, levels: Levels) -> None:
        self._settings = settings
        self._levels = levels
        self._gains: dict[str, float] = {}
        """dB by a voice's identity: fixed for the reply, even where a level is measured meanwhile."""
        self.trail: float | None = None
        """Seconds of silence that ended the last utterance with audio; None before the first."""

    def begin(
        self, voice: Voice, speed: float = 1.0, pause: float | None = None, *, keep: bool = False
    ) -> Postprocessor:
        """Return the processor of the next utterance, after ``finish`` of the one before.

        ``speed``: SLOWEST to FASTEST. ``pause``: seconds of silence before this utterance, if there was audio
        before it; None is the settings'. ``keep``: keep the result, for ``processed``.
        """
        settings = self._settings
        trim = None if settings.trim_silence is None else Trim(settings.trim_silence, settings.trim_padding)
        stages: list[Stage] = []
        if gain := self._gain(voice):
            stages.append(Gain(gain))
        if trim is not None:
            stages += [trim, Fade()]
        if voice.style is not None and voice.style.gain:
            stages.append(Gain(max(SOFTEST, min(LOUDEST, voice.style.gain))))
        if speed != 1.0:
            stages += [speed_methods.METHODS[settings.tempo](speed), Fade()]
        return Postprocessor(self, stages, trim=trim, speed=speed, pause=pause, keep=keep)

    def settings(self, voice: Voice, speed: float = 1.0) -> Hashable:
        """Return all that ``begin`` depends on: with the same settings the result is the same."""
        return (
            self._settings,
            self._gain(voice),
            voice.style.gain if voice.style is not None else 0.0,
            speed,
        )

    def replay(self, processed: ProcessedAudio, pause: float | None = None) -> bytes:
        """Return an utterance that was processed before with the same settings, as the next one."""
        if not processed.pcm:
            return b""
        before = self.silence_before(processed.lead, pause)
        self.trail = processed.trail
        return before + processed.pcm

    def silence_before(self, lead: float, pause: float | None) -> bytes:
        """Return the silence before an utterance that begins with ``lead`` seconds of its own."""
        if self.trail is None:
            return b""
        pause = self._settings.sentence_silence if pause is None else pause
        return silence(max(0.0, pause - self.trail - lead))

    def _gain(self, voice: Voice) -> float:
        return self._gains.setdefault(identity(voice), self._levels.gain(voice))


class Postprocessor:
    """Processes one utterance: PCM in as the engine yields it, PCM out as soon as it is ready.

    The pause to the utterance before comes with the first audio, when it is known how much silence is there
    already. An utterance of silence becomes nothing, and has no pause.
    """

    def __init__(
        self,
        reply: ReplyPostprocessor,
        stages: Sequence[Stage],
        *,
        trim: Trim | None,
        speed: float,
        pause: float | None,
        keep: bool,
    ) -> None:
        self._reply = reply
        self._stages = stages
        self._trim = trim
        self._speed = speed
        self._pause = pause
        self._has_audio = False
        self._kept: list[bytes] | None = [] if keep else None

    @property
    def processed(self) -> ProcessedAudio:
        """The whole utterance, after ``finish``; only where it was kept."""
        assert self._kept is not None
        lead, trail = (self._trim.lead, self._trim.trail) if self._trim is not None else (0.0, 0.0)
        return ProcessedAudio(b"".join(self._kept), lead / self._speed, trail / self._speed)

    def is_fast(self, pcm: bytes) -> bool:
        """Return whether ``push(pcm)`` takes less time than handing it to a thread.

        Measured: a thread and back 140 µs; level, silence and fades of 80 ms of audio (a frame of the model)
        45 µs, of 0.5 s 80 µs, of 15 s 9 ms; a change of speed 2 to 3 ms for a second of audio.
        """
        return self._speed == 1.0 and len(pcm) <= FAST

    def push(self, pcm: bytes) -> bytes:
        """Return what is ready after ``pcm`` (whole samples); may be empty."""
        if not self._stages:
            return self._output(pcm)
        samples = to_samples(pcm)
        for stage in self._stages:
            samples = stage.push(samples)
        return self._output(samples.tobytes())

    def finish(self) -> bytes:
        """Return the rest, after the last chunk. Raises TempoError."""
        import numpy as np

        samples = to_samples(b"")
        for stage in self._stages:
            samples = np.concatenate((stage.push(samples), stage.finish()))
        pcm = self._output(samples.tobytes())
        if self._has_audio:
            self._reply.trail = self._trim.trail / self._speed if self._trim is not None else 0.0
        return pcm

    def _output(self, pcm: bytes) -> bytes:
        """Return ``pcm``; the utterance's first audio with the pause before it."""
        if not pcm:
            return pcm
        if self._kept is not None:
            self._kept.append(pcm)
        if self._has_audio:
            return pcm
        self._has_audio = True
        lead = self._trim.lead / self._speed if self._trim is not None else 0.0
        return self._reply.silence_before(lead, self._pause) + pcm
