"""Post-processing of an utterance's audio: level, silence trimming, the style's level, speed, fades.

In this order. The level comes first, so that the threshold of silence means the same for every voice. The
style's level comes after trimming, so that a soft style does not count as silence. Silence is trimmed before
the speed is changed, so that the padding covers the same part of a word at any speed. The ends are faded
before the change of speed, which would spread a click, and after it, since it may end abruptly itself.
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
from .trim import Fade, SilenceTrimmer

if TYPE_CHECKING:
    from .pcm import Samples


MIN_STYLE_GAIN, MAX_STYLE_GAIN = -20.0, 12.0
"""dB that a style may add to the level of every voice: 20 under it is a murmur, 12 over it a shout.

Peaks are limited before full scale, so that more would not be louder.
"""
FAST = BYTES_PER_SECOND // 2
"""Bytes that are processed on the event loop at unchanged speed: see ``Postprocessor.is_fast``."""


class Stage(Protocol):
    """A streaming filter on int16 samples."""

    def push(self, samples: Samples) -> Samples:
        """Return the samples that are ready; may be empty."""
        raise NotImplementedError

    def finish(self) -> Samples:
        """Return the rest, after the last ``push``."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ProcessedAudio:
    """A whole utterance after post-processing, for use in other replies."""

    pcm: bytes
    """Without the pause before it."""
    leading_silence: float
    trailing_silence: float
    """Seconds of silence at its ends, which count as part of the pauses."""


class ReplyPostprocessor:
    """Processes the utterances of one reply, one after the other, and keeps the pauses between them."""

    def __init__(self, settings: AudioSettings, levels: Levels) -> None:
        self._settings = settings
        self._levels = levels
        self._gains: dict[str, float] = {}
        """dB by a voice's identity: fixed for the reply, even if a level is measured during it."""
        self.trailing_silence: float | None = None
        """Seconds of silence at the end of the last utterance with audio; None before the first."""

    def begin(
        self, voice: Voice, speed: float = 1.0, pause: float | None = None, *, keep: bool = False
    ) -> Postprocessor:
        """Return the processor of the next utterance, after ``finish`` of the one before.

        ``speed``: SLOWEST to FASTEST. ``pause``: seconds of silence before this utterance, if there was audio
        before it; None is the settings'. ``keep``: keep the result, for ``processed``.
        """
        settings = self._settings
        trimmer = (
            None
            if settings.trim_silence is None
            else SilenceTrimmer(settings.trim_silence, settings.trim_padding)
        )
        stages: list[Stage] = []
        if gain := self._gain(voice):
            stages.append(Gain(gain))
        if trimmer is not None:
            stages += [trimmer, Fade()]
        if voice.style is not None and voice.style.gain:
            stages.append(Gain(max(MIN_STYLE_GAIN, min(MAX_STYLE_GAIN, voice.style.gain))))
        if speed != 1.0:
            stages += [speed_methods.METHODS[settings.tempo](speed), Fade()]
        return Postprocessor(self, stages, trimmer=trimmer, speed=speed, pause=pause, keep=keep)

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
        before = self.silence_before(processed.leading_silence, pause)
        self.trailing_silence = processed.trailing_silence
        return before + processed.pcm

    def silence_before(self, leading_silence: float, pause: float | None) -> bytes:
        """Return the silence to insert before an utterance, whose own ``leading_silence`` (s) is counted."""
        if self.trailing_silence is None:
            return b""
        pause = self._settings.sentence_silence if pause is None else pause
        return silence(max(0.0, pause - self.trailing_silence - leading_silence))

    def _gain(self, voice: Voice) -> float:
        return self._gains.setdefault(identity(voice), self._levels.gain(voice))


class Postprocessor:
    """Processes one utterance: PCM in as the engine yields it, PCM out as soon as it is ready.

    The pause before the utterance is put before its first audio, as soon as its own leading silence is known.
    A silent utterance becomes empty, and has no pause.
    """

    def __init__(
        self,
        reply: ReplyPostprocessor,
        stages: Sequence[Stage],
        *,
        trimmer: SilenceTrimmer | None,
        speed: float,
        pause: float | None,
        keep: bool,
    ) -> None:
        self._reply = reply
        self._stages = stages
        self._trimmer = trimmer
        self._speed = speed
        self._pause = pause
        self._has_audio = False
        self._kept: list[bytes] | None = [] if keep else None

    @property
    def processed(self) -> ProcessedAudio:
        """The whole utterance, after ``finish``; only where it was kept."""
        assert self._kept is not None
        return ProcessedAudio(b"".join(self._kept), self._leading_silence(), self._trailing_silence())

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
            self._reply.trailing_silence = self._trailing_silence()
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
        return self._reply.silence_before(self._leading_silence(), self._pause) + pcm

    def _leading_silence(self) -> float:
        return self._trimmer.leading_silence / self._speed if self._trimmer is not None else 0.0

    def _trailing_silence(self) -> float:
        return self._trimmer.trailing_silence / self._speed if self._trimmer is not None else 0.0
