"""Which takes share the next frame, and what becomes of their frames.

``Scheduler.step`` reads from top to bottom: drop who left, admit who waits, choose who speaks, make a frame,
turn frames into sound, go on. It knows no threads and no event loop: whoever calls it owns the device.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...audio.pcm import PlaybackClock, to_pcm
from ..base import EngineUnavailableError, TruncatedAudioError, UnsupportedTextError
from .codec import FRAME, FRAMES, Codec
from .decoder import CODEBOOKS, MIN_FRAMES, Decoder
from .guards import (
    CAP,
    FRAMES_A_SECOND,
    LOOP,
    NOT_FINITE,
    SILENCE,
    SILENCE_PEAK,
    SILENCE_SECONDS,
    Fault,
    LoopWatch,
    frame_cap,
)
from .prompt import Prompt, PromptBuilder, Speech, StableText
from .sampling import Noise, Sampling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)

RAMP = FRAMES
"""Frames of a take's first, second, third and later calls of the codec: soon at first, then cheaply."""
COMFORT = 1.0
"""Seconds of sound in hand with which a take can let one go first that has none."""
OPENING_ROWS = 4096
"""Positions of openings remembered: 0.5 GB for 0.6B in bfloat16, some 400 voices or 20 clones by example."""


class Generation:
    """One utterance while it is spoken.

    Anyone may make and ``cancel`` it; the rest belongs to the device's thread once it is submitted.
    """

    def __init__(
        self,
        speech: Speech,
        seed: int,
        *,
        hand_over: Callable[[bytes], object],
        ended: Callable[[Exception | None], object],
        begun: Callable[[], object] | None = None,
        sampling: Sampling | None = None,
        live: bool = False,
    ) -> None:
        """``hand_over`` gets PCM; ``ended`` gets None after the last of it, or what went wrong.

        ``begun`` is called when it has waited long enough. All are called on the device's thread.
        ``sampling``: the checkpoint's if absent. ``live``: more text may come: ``Scheduler.push_text``.
        """
        self.speech = speech
        self.seed = seed
        self.sampling = sampling
        self.live = live
        """More text may come."""
        self.was_live = live
        self.late: list[tuple[str, bool]] = []
        """Text that came before it had a slot."""
        self.stable: StableText | None = None
        self._hand_over = hand_over
        self._ended = ended
        self._told = begun
        self.cancelled = False
        self.ended = False
        """``ended`` has been told: nothing more comes of it."""
        self.attempt = 0
        self.handed_over = 0
        """Bytes of PCM."""
        self._begin()

    def _begin(self) -> None:
        self.slot = -1
        """-1 while it has none."""
        self.noise: Noise | None = None
        self.prompt: Prompt | None = None
        self.frames = 0
        """Frames made."""
        self.pending = 0
        """Of these, frames the codec has not seen."""
        self.calls = 0
        """Calls of the codec."""
        self.cap = 0
        self.tokens = 0
        """Tokens of its text."""
        self.text_rows = 0
        self.loops = LoopWatch()
        self.quiet = 0
        """Silent frames at the end so far."""
        self.held: list[NDArray[np.float32]] = []
        """Silence that is handed over only if sound follows, or the end."""
        self.begun = False
        """The codec has given sound."""
        self.unspoken = 0
        """Frames at the end of the codec's last call that are not part of the take."""
        self.whole = False
        """The voice found its end."""
        self.fault: Fault | None = None
        self.clock = PlaybackClock()

    @property
    def over(self) -> bool:
        """Whether it has had its last frame."""
        return self.whole or self.fault is not None

    def cancel(self) -> None:
        """Leave before the next frame."""
        self.cancelled = True

    @property
    def position(self) -> int:
        """Positions in use."""
        return (self.prompt.length if self.prompt else 0) + self.frames

    @property
    def ready(self) -> bool:
        """Whether it has text for its next frame: late text is waited for, not replaced by padding."""
        return not self.live or self.frames < self.text_rows or self.over

    def in_hand(self, now: float) -> float:
        """Return the seconds of sound its listener has; -1 before the first."""
        return self.clock.buffered_seconds(now) if self.handed_over else -1.0

    def join(self) -> None:
        """Say that it is its turn."""
        if self._told is not None:
            self._told()

    def give(self, pcm: bytes) -> None:
        """Hand PCM over."""
        if pcm and not self.cancelled:
            self.handed_over += len(pcm)
            self.clock.add(pcm, time.monotonic())
            self._hand_over(pcm)

    def end(self, error: Exception | None = None) -> None:
        """Say, once, that nothing more comes."""
        if not self.ended:
            self.ended = True
            self._ended(error)

    def again(self, seed: int | None = None) -> None:
        """Begin anew; with another seed it is another attempt."""
        if seed is not None:
            self.seed = seed
            self.attempt += 1
        self._begin()


@dataclass(slots=True)
class Work:
    """What a model has done since the process began."""

    steps: int = 0
    frames: int = 0
    """Of all takes together; by steps, the mean number of takes that shared one."""
    takes: int = 0
    """Those that came to an end, whole or not."""
    faults: Counter[str] = field(default_factory=Counter)
    """How often which guard has fired."""


class Scheduler:
    """Takes on slots. One frame a step for all who take part."""

    def __init__(
        self,
        builder: PromptBuilder,
        decoder: Decoder,
        codec: Codec,
        sampling: Sampling,
        frames_per_token: float,
        *,
        overlap: bool | None = None,
        work: Work | None = None,
    ) -> None:
        """``sampling``: for takes without their own. ``work`` is counted on.

        ``overlap``: queue the talker's step before looking at the frame; on CUDA if absent.
        """
        self.builder = builder
        self._decoder = decoder
        self._codec = codec
        self._sampling = sampling
        self._frames_per_token = frames_per_token
        self.work = work if work is not None else Work()
        self._overlap = decoder.device.type == "cuda" if overlap is None else overlap
        self.most = decoder.slots
        """Takes at a time; less after the device ran out of memory."""
        self.waiting: deque[Generation] = deque()
        self.running: list[Generation] = []
        """The take in slot 0, in slot 1, …"""
        self._active: list[int] = []
        self._openings: dict[tuple[object, ...], Tensor] = {}
        """[layers, 1, T, 2 * key heads, D]: the talker's keys and values after the rows of a prompt that do
        not depend on its text; the least recently used first."""
        self._most_rows = OPENING_ROWS
        self._pending = torch.zeros(
            decoder.slots + 1, RAMP[-1], CODEBOOKS, dtype=torch.long, device=decoder.device
        )
        self._silent_start = builder.kind == "custom_voice"

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return not self.waiting and not any(take.ready or take.cancelled for take in self.running)

    def has(self, take: Generation) -> bool:
        """Whether a take is running, or waits for a slot."""
        return take in self.running or take in self.waiting

    def submit(self, take: Generation) -> None:
        """Let ``take`` wait for a slot; the engine pool bounds how many do."""
        self.waiting.append(take)

    @torch.inference_mode()
    def remember(self, speech: Speech) -> None:
        """Prefill the opening of everything that is said like ``speech``."""
        self._opening(self.builder.build(speech))

    @torch.inference_mode()
    def push_text(self, take: Generation, text: str, *, end: bool) -> None:
        """Append text, whose tokens are known, to a live take; ``end`` says that it is the last."""
        if take in self.waiting:
            take.late.append((text, end))
            return
        if take not in self.running:
            return  # it has ended meanwhile
        tokens = self.builder.tokens(text)
        rows = self.builder.text_rows(tokens, end=end)
        if take.text_rows + len(rows) >= self._decoder.length:
            take.fault = CAP
            return
        take.text_rows = self._decoder.push_text(take.slot, take.text_rows, rows)
        take.tokens += len(tokens)
        take.cap = self._cap(take)
        if end:
            take.live = False
            self._decoder.end_from[take.slot] = MIN_FRAMES

    @torch.inference_mode()
    def step(self) -> None:
        """Make a frame for every take whose turn it is, and hand its sound over."""
        self._drop_cancelled()
        self._admit()
        takes = self._choose()
        if not takes:
            return
        decoder = self._decoder
        slots = [take.slot for take in takes]
        first, last = min(slots), max(slots) + 1
        longest = max(take.position for take in takes)
        if slots != self._active:
            decoder.set_active(slots)
            self._active = slots
        for take in takes:
            assert take.noise is not None
            decoder.draw(take.slot, take.noise)
        codes = decoder.predict(first, last)
        self.work.steps += 1
        self.work.frames += len(takes)
        groups = self._due(takes, codes, first)
        sounds: Iterable[Tensor] = (self._decode(group, chunk) for chunk, group in groups)
        if self._overlap:
            codes, sounds = _to_host([codes, *sounds], lambda: decoder.advance(first, last, longest))
        rows = codes.tolist()
        for take in takes:
            self._note(take, rows[take.slot - first])
        for (_, group), sound in zip(groups, sounds, strict=True):
            for take, samples in zip(group, sound.float().numpy(force=True), strict=True):
                self._hear(take, samples)
        if not self._overlap and not all(take.over for take in takes):
            decoder.advance(first, last, longest)
        for take in takes:
            if take.over:
                self._finish(take)

    # ------------------------------------------------------------------ who speaks

    def _drop_cancelled(self) -> None:
        for take in [take for take in self.waiting if take.cancelled]:
            self.waiting.remove(take)
            take.end()
        for take in [take for take in self.running if take.cancelled]:
            self._leave(take)
            take.end()

    def _admit(self) -> None:
        """Give slots to takes that wait, in their order."""
        while self.waiting and len(self.running) < self.most:
            take = self.waiting.popleft()
            take.join()
            try:
                self._join(take)
            except (ValueError, TypeError, UnsupportedTextError) as error:  # the text's fault
                take.end(UnsupportedTextError(str(error)))
            except torch.OutOfMemoryError:
                if not self.running:
                    take.end(EngineUnavailableError("the device is out of memory"))
                    return
                self.waiting.appendleft(take)
                self._allow(len(self.running))
            except Exception as error:
                take.end(EngineUnavailableError(f"the model failed: {error}"))
                raise

    def _join(self, take: Generation) -> None:
        """Prefill a take's prompt and give it the next slot. Raises ValueError, UnsupportedTextError."""
        decoder, codec = self._decoder, self._codec
        prompt = self.builder.build(take.speech)
        if max(prompt.length + MIN_FRAMES, prompt.text.shape[0]) >= decoder.length:
            raise UnsupportedTextError(f"the text is too long: {prompt.tokens} tokens in one utterance")
        opening = self._opening(prompt)
        sampling = take.sampling or self._sampling
        decoder.prepare(prompt, sampling, opening)
        slot = len(self.running)
        decoder.move(decoder.staging, slot, prompt.length)
        if (clone := prompt.clone) is None or clone.codes is None:
            codec.reset(slot)
        else:
            codec.restore(slot, clone.heard or self.listen(clone.codes))
        take.prompt, take.slot = prompt, slot
        take.noise = Noise(take.seed, decoder.device, decoder.sizes, sampling)
        take.text_rows = prompt.text.shape[0]
        take.tokens = prompt.tokens
        take.cap = self._cap(take)
        if take.live:
            decoder.end_from[slot] = decoder.length
        self.running.append(take)
        while take.late:
            text, end = take.late.pop(0)
            self.push_text(take, text, end=end)

    def _cap(self, take: Generation) -> int:
        """Return how many frames a take may have.

        It is ended when it asks for one more; by then the talker may have heard that one too.
        """
        assert take.prompt is not None
        room = self._decoder.length - take.prompt.length - 2
        return min(frame_cap(take.tokens, self._frames_per_token), room)

    def _opening(self, prompt: Prompt) -> Tensor:
        """Return what is known of a prompt's opening, computed if it is new."""
        known = self._openings
        opening = known.pop(prompt.key, None)
        if opening is None:
            opening = self._decoder.prefix(prompt.prefix)
        known[prompt.key] = opening
        while len(known) > 1 and sum(kv.shape[2] for kv in known.values()) > self._most_rows:
            del known[next(iter(known))]
        return opening

    @torch.inference_mode()
    def listen(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Return the codec's state after a clone's reference, [frames, 16]. Raises UnsupportedTextError."""
        if codes.shape[0] >= self._decoder.length:
            seconds = codes.shape[0] / FRAMES_A_SECOND
            raise UnsupportedTextError(f"the recording is too long for --max-seq-len: {seconds:.0f} s")
        spare = self._codec.spare
        self._codec.reset(spare)
        self._codec.decode(codes.to(self._decoder.device)[None], [spare])
        return self._codec.save(spare)

    def heard_shapes(self) -> Sequence[tuple[tuple[int, ...], torch.dtype]]:
        """Return shapes and dtypes of what ``listen`` returns."""
        return [(tuple(part.shape), part.dtype) for part in self._codec.save(self._codec.spare)]

    def _choose(self) -> list[Generation]:
        """Return the takes of the next step, in the order of their slots.

        The take with the least sound in hand goes first. A row more costs a GPU next to nothing, so there all
        go at once; elsewhere those that can wait do so while another has not been heard at all.
        """
        ready = [take for take in self.running if take.ready]
        if self._overlap or all(take.handed_over for take in ready):
            return ready
        now = time.monotonic()
        return [take for take in ready if take.in_hand(now) < COMFORT]

    # ------------------------------------------------------------------ a frame becomes sound

    def _due(
        self, takes: Sequence[Generation], codes: Tensor, first: int
    ) -> list[tuple[int, list[Generation]]]:
        """Put the new frames with those the codec has not seen; return the takes it is to be called for.

        One entry a call: how many frames, and the takes, those first that have the least sound in hand.
        """
        slots = [take.slot for take in takes]
        self._pending[slots, [take.pending for take in takes]] = codes[[s - first for s in slots], :CODEBOOKS]
        groups: dict[int, list[Generation]] = {}
        for take in takes:
            take.pending += 1
            if take.pending >= self._chunk(take):
                groups.setdefault(take.pending, []).append(take)
                take.pending = 0
                take.calls += 1
        now = time.monotonic()
        return sorted(groups.items(), key=lambda group: min(take.in_hand(now) for take in group[1]))

    def _chunk(self, take: Generation) -> int:
        """Return how many frames a take's next call of the codec has."""
        if take.calls == 0 and self._silent_start:
            return 2  # the first alone would be nothing to hear
        return RAMP[min(take.calls, len(RAMP) - 1)]

    def _decode(self, group: Sequence[Generation], frames: int) -> Tensor:
        """Return the sound, [B, frames * 1920], of the pending frames of some takes."""
        slots = [take.slot for take in group]
        return self._codec.decode(self._pending[slots, :frames], slots)

    def _note(self, take: Generation, row: Sequence[int]) -> None:
        """Look at the codes of a take's new frame, and whether it was the last."""
        code, finite = row[0], row[CODEBOOKS]
        if not finite:
            take.fault = NOT_FINITE
        elif code == self._decoder.eos:
            take.whole = True
        elif take.frames >= take.cap:
            take.fault = CAP
        elif take.loops.looping(code):
            take.fault = LOOP
        if take.over:
            # This frame is not spoken: it is the end, or nothing. The codec may have it already.
            take.unspoken = 1 if take.pending == 0 else 0
            take.pending = max(0, take.pending - 1)
        else:
            take.frames += 1

    def _hear(self, take: Generation, samples: NDArray[np.float32]) -> None:
        """Take the sound of some frames: hand it over, or hold it back while it is silence."""
        import numpy as np

        if take.fault is NOT_FINITE:
            return
        if take.unspoken:
            samples = samples[: -take.unspoken * FRAME]
            take.unspoken = 0
        if not np.isfinite(samples).all():
            take.fault = NOT_FINITE
            return
        peaks = np.abs(samples.reshape(-1, FRAME)).max(-1, initial=0)
        loud = np.flatnonzero(peaks >= SILENCE_PEAK)
        if self._silent_start and not take.begun and len(peaks):
            # CustomVoice's first frame is silence; without it the voice is heard 80 ms sooner.
            samples = samples[FRAME if peaks[0] < SILENCE_PEAK else 0 :]
        take.begun = take.begun or len(peaks) > 0
        take.quiet = len(peaks) - 1 - int(loud[-1]) if len(loud) else take.quiet + len(peaks)
        take.held.append(samples)
        if len(loud):
            self._give(take)
        elif take.quiet >= SILENCE_SECONDS * FRAMES_A_SECOND and not take.whole:
            take.fault = take.fault or SILENCE

    def _give(self, take: Generation) -> None:
        """Hand over what is held."""
        for samples in take.held:
            take.give(to_pcm(samples))
        take.held.clear()

    # ------------------------------------------------------------------ the end

    def _finish(self, take: Generation) -> None:
        """Let a take go: with the rest of its sound, for another try, or with an error."""
        if take.pending and (take.fault is None or take.fault is CAP):
            samples = self._decode([take], take.pending)[0]
            self._hear(take, samples.float().numpy(force=True))
        fault = take.fault
        if fault is NOT_FINITE:
            self._decoder.clear(take.slot)
        self._leave(take)
        self.work.takes += 1
        if fault is None:
            self._give(take)
            take.end()
            return
        self.work.faults[fault.name] += 1
        _LOGGER.warning("%s after %d frames of %r", fault.reason, take.frames, take.speech.text[:40])
        if not take.handed_over and take.attempt == 0 and not take.was_live:
            take.again(seed=take.seed + 1)
            self.waiting.appendleft(take)
        elif fault.device:
            take.end(EngineUnavailableError(fault.reason))
        elif take.handed_over and fault in {CAP, SILENCE}:
            # Most likely all of the text was said, and then no end found; but nobody knows.
            if fault is CAP:
                self._give(take)
            take.end(TruncatedAudioError(fault.reason))
        else:
            take.end(UnsupportedTextError(f"{fault.reason}: {take.speech.text[:40]!r}"))

    def _leave(self, take: Generation) -> None:
        """Free a take's slot; the last one moves there, so that the slots in use stay together."""
        moved = self.running.pop()
        if moved is not take:
            self._decoder.move(moved.slot, take.slot, moved.position)
            self._codec.move(moved.slot, take.slot)
            self._pending[take.slot] = self._pending[moved.slot]
            moved.slot = take.slot
            self.running[take.slot] = moved
        take.slot = -1
        self._active = []

    def fail(self, error: Exception) -> None:
        """End every take with ``error``."""
        takes = [*self.running, *self.waiting]
        self.running.clear()
        self.waiting.clear()
        self._active = []
        for take in takes:
            take.end(error)

    def shrink(self) -> None:
        """Go on with fewer takes at a time after a step ran out of memory.

        Takes that nobody has heard yet begin anew when there is room. The others end, because nobody knows
        what the step has done to them; so does the only one, because it will not do better the next time.
        """
        running = list(self.running)
        self.running.clear()
        self._active = []
        self._allow(len(running) - 1)
        for take in reversed(running):
            if len(running) == 1 or take.handed_over or take.cancelled or take.was_live:
                take.end(EngineUnavailableError("the device is out of memory"))
            else:
                take.again()
                self.waiting.appendleft(take)

    def _allow(self, takes: int) -> None:
        """Let at most ``takes``, but always one, run at a time."""
        self.most = max(1, takes)
        self._openings.clear()
        _LOGGER.warning("The device is out of memory: from now on %d utterances at a time", self.most)
        if self._decoder.device.type == "cuda":
            torch.cuda.empty_cache()


def _to_host(tensors: Sequence[Tensor], meanwhile: Callable[[], object]) -> tuple[Tensor, list[Tensor]]:
    """Return the first of ``tensors`` and the others on the host; the device goes on with ``meanwhile``.

    On CUDA the host waits once, and not for ``meanwhile``.
    """
    if tensors[0].device.type != "cuda":
        meanwhile()
        return tensors[0], list(tensors[1:])
    copies = [
        torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) for t in tensors
    ]
    copied = torch.cuda.Event()
    copied.record()
    meanwhile()
    copied.synchronize()
    return copies[0], copies[1:]
