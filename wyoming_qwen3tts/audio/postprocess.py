"""What is done to the sound of an utterance after its engine: level, silence, style, speed, edges.

In this order. The level comes first, so that the threshold of silence means the same for every voice. What a
style adds to it comes behind silence, so that in a soft style no more is taken for silence. Silence goes
before the speed is changed, so that the padding is in the voice's own time, and protects as much of a slow f
as of a quick one. The ends fade before it, for a step would be stretched into the middle, and after it, for
its own ends are not always smooth.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..speech import BYTES_PER_SECOND, Voice
from . import speed as speed_methods
from .loudness import Gain, Levels, identity
from .pcm import silence, to_samples
from .trim import Fade, Trim

if TYPE_CHECKING:
    from .pcm import Samples


SOFTEST, LOUDEST = -20.0, 12.0
"""dB that a style may add to the level of every voice: 20 under it is a murmur, 12 over it a shout.

Peaks bend before full scale, so that more would not get louder.
"""
LIGHT = BYTES_PER_SECOND // 2
"""Bytes that are finished where they are, if their speed stays as it is: see ``Postprocessor.light``."""


class Stage(Protocol):
    """A filter: samples in, samples out, with nothing lost between."""

    def push(self, samples: Samples) -> Samples:
        """Return what is ready; may be empty."""
        raise NotImplementedError

    def finish(self) -> Samples:
        """Return what is left, after the last ``push``."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessingSettings:
    """How sound is finished; the settings have its defaults. With these ones it stays as it is."""

    tempo: str = "sonic"
    """One of ``speed_methods.METHODS``."""
    trim_silence: float | None = None
    """dBFS under which a frame at an utterance's ends is silence; ``None`` leaves the ends alone."""
    trim_padding: float = 0.0
    """Seconds of it that stay at each end."""
    sentence_silence: float = 0.0
    """Seconds from the end of one utterance's speech to the beginning of the next one's, padding included.

    Where silence is not trimmed nobody knows how much there is, and so much is added to it.
    """


@dataclass(frozen=True, slots=True)
class ProcessedAudio:
    """The sound of a whole utterance, finished: it can be heard again in another reply."""

    pcm: bytes
    """Without the pause before it."""
    lead: float
    trail: float
    """Seconds of silence at its ends that count as part of the pauses."""


class ReplyPostprocessor:
    """Finishes the utterances of one reply, one after the other, and keeps the pauses between them."""

    def __init__(self, finishing: PostprocessingSettings, levels: Levels) -> None:
        self._finishing = finishing
        self._levels = levels
        self._gains: dict[str, float] = {}
        """By a voice's identity: what a voice has begun a reply with, it ends it with."""
        self.trail: float | None = None
        """Seconds of silence that ended the last utterance with any sound; ``None`` before the first."""

    def begin(self, voice: Voice, speed: float = 1.0, pause: float | None = None) -> Postprocessor:
        """Return what finishes the next utterance, after ``finish`` of the one before.

        ``speed``: SLOWEST to FASTEST. ``pause``: seconds of silence before this utterance, if anything was
        heard before it; ``None`` is what the settings say.
        """
        how = self._finishing
        trim = None if how.trim_silence is None else Trim(how.trim_silence, how.trim_padding)
        stages: list[Stage] = []
        if gain := self._gain(voice):
            stages.append(Gain(gain))
        if trim is not None:
            stages += [trim, Fade()]
        if voice.style is not None and voice.style.gain:
            stages.append(Gain(max(SOFTEST, min(LOUDEST, voice.style.gain))))
        if speed != 1.0:
            stages += [speed_methods.METHODS[how.tempo](speed), Fade()]
        return Postprocessor(self, stages, trim=trim, speed=speed, pause=pause)

    def recipe(self, voice: Voice, speed: float = 1.0) -> Hashable:
        """Return all that ``begin`` makes of a sound: with the same recipe the same sound comes out."""
        return (
            self._finishing,
            self._gain(voice),
            voice.style.gain if voice.style is not None else 0.0,
            speed,
        )

    def again(self, finished: ProcessedAudio, pause: float | None = None) -> bytes:
        """Return an utterance that was finished before by the same recipe, in the place of the next one."""
        if not finished.pcm:
            return b""
        before = self.before(finished.lead, pause)
        self.trail = finished.trail
        return before + finished.pcm

    def before(self, lead: float, pause: float | None) -> bytes:
        """Return the silence before an utterance that begins with ``lead`` seconds of it itself."""
        if self.trail is None:
            return b""
        pause = self._finishing.sentence_silence if pause is None else pause
        return silence(max(0.0, pause - self.trail - lead))

    def _gain(self, voice: Voice) -> float:
        return self._gains.setdefault(identity(voice), self._levels.gain(voice))


class Postprocessor:
    """Finishes one utterance: PCM in as the engine gives it, PCM out as it is ready.

    The pause to the utterance before comes with the first sound, for only then is it known how much silence
    is there already. An utterance of nothing but silence comes to nothing, and has no pause.
    """

    def __init__(
        self,
        reply: ReplyPostprocessor,
        stages: Sequence[Stage],
        *,
        trim: Trim | None,
        speed: float,
        pause: float | None,
    ) -> None:
        self._reply = reply
        self._stages = stages
        self._trim = trim
        self._speed = speed
        self._pause = pause
        self._made: list[bytes] = []

    @property
    def finished(self) -> ProcessedAudio:
        """All of it, after ``finish``."""
        lead, trail = (self._trim.lead, self._trim.trail) if self._trim is not None else (0.0, 0.0)
        return ProcessedAudio(b"".join(self._made), lead / self._speed, trail / self._speed)

    def light(self, pcm: bytes) -> bool:
        """Whether ``push(pcm)`` is done sooner than it is handed to a thread.

        Measured: a thread and back 140 µs; level, silence and edges of 80 ms of sound (a frame of the model)
        45 µs, of 0.5 s 80 µs, of 15 s 9 ms; a change of speed 2 to 3 ms for a second of sound.
        """
        return self._speed == 1.0 and len(pcm) <= LIGHT

    def push(self, pcm: bytes) -> bytes:
        """Return what is ready after ``pcm`` (whole samples); may be empty."""
        samples = to_samples(pcm)
        if not self._stages:
            return self._joined(pcm)
        for stage in self._stages:
            samples = stage.push(samples)
        return self._joined(samples.tobytes())

    def finish(self) -> bytes:
        """Return the rest, after the last piece. Raises TempoError."""
        import numpy as np

        samples = to_samples(b"")
        for stage in self._stages:
            samples = np.concatenate((stage.push(samples), stage.finish()))
        pcm = self._joined(samples.tobytes())
        if self._made:
            self._reply.trail = self._trim.trail / self._speed if self._trim is not None else 0.0
        return pcm

    def _joined(self, pcm: bytes) -> bytes:
        """Return ``pcm``, the utterance's first sound with the pause before it."""
        if not pcm:
            return pcm
        self._made.append(pcm)
        if len(self._made) > 1:
            return pcm
        lead = self._trim.lead / self._speed if self._trim is not None else 0.0
        return self._reply.before(lead, self._pause) + pcm
