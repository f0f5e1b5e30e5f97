"""Continuous batching: which generations share the next frame, and how their frames become audio.

``Scheduler.step`` reads from top to bottom: drop cancelled generations, admit waiting ones, select the batch,
predict a frame, decode frames to audio, advance. It has no threads and no event loop: its caller owns the
device.
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
from ...telemetry import quote
from ..base import EngineUnavailableError, TruncatedAudioError, UnsupportedTextError
from .codec import FIXED_FRAME_COUNTS, SAMPLES_PER_FRAME, Codec
from .decoder import CODEBOOKS, MIN_FRAMES, Decoder
from .device_errors import is_out_of_memory
from .guards import (
    FRAMES_PER_SECOND,
    LOOP,
    NO_END,
    NOT_FINITE,
    SILENCE,
    SILENCE_PEAK,
    SILENCE_SECONDS,
    Fault,
    LoopDetector,
    frame_limit,
)
from .prompt import Prompt, PromptBuilder, Speech, StableText
from .sampling import Noise, Sampling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)

CODEC_CHUNK_FRAMES = FIXED_FRAME_COUNTS
"""Frames of a generation's first, second, third and later codec calls: early audio first, then low cost."""
MIN_BUFFERED_SECONDS = 1.0
"""Buffered audio from which on a generation waits for another one that has sent no audio yet."""
PREFIX_CACHE_ROWS = 4096
"""Positions in the prefix cache: 0.5 GB for 0.6B in bfloat16, some 400 voices or 20 clones by example."""


class Generation:
    """One utterance being generated.

    Any thread may create and ``cancel`` it; once submitted, everything else is for the device's thread.
    """

    def __init__(
        self,
        speech: Speech,
        seed: int,
        *,
        on_audio: Callable[[bytes], object],
        on_end: Callable[[Exception | None], object],
        on_start: Callable[[], object] | None = None,
        sampling: Sampling | None = None,
        is_live: bool = False,
    ) -> None:
        """``on_audio`` gets PCM; ``on_end`` gets None after the last audio, or the error.

        ``on_start`` is called when it leaves the queue. All are called on the device's thread. ``sampling``:
        the checkpoint's if None. ``is_live``: more text may follow by ``Scheduler.push_text``.
        """
        self.speech = speech
        self.seed = seed
        self.sampling = sampling
        self.is_live = is_live
        self.expects_text = is_live
        """More text may follow."""
        self.pending_text: list[tuple[str, bool]] = []
        """Text that arrived before it had a slot; True with the last one."""
        self.stable_text: StableText | None = None
        self._on_audio = on_audio
        self._on_end = on_end
        self._on_start = on_start
        self.cancelled = False
        self.ended = False
        """``on_end`` has been called: no further callback follows."""
        self.attempt = 0
        self.sent_bytes = 0
        """Bytes of PCM passed to ``on_audio``."""
        self._reset()

    def _reset(self) -> None:
        self.slot = -1
        """-1 without a slot."""
        self.noise: Noise | None = None
        self.prompt: Prompt | None = None
        self.frames = 0
        """Generated frames."""
        self.undecoded_frames = 0
        """Generated frames that the codec has not decoded."""
        self.codec_calls = 0
        self.frame_limit = 0
        self.tokens = 0
        """Tokens of its text."""
        self.text_rows = 0
        self.loop_detector = LoopDetector()
        self.silent_frames = 0
        """Silent frames at the end so far."""
        self.held_audio: list[NDArray[np.float32]] = []
        """Silence that is sent only before further sound, or at the end."""
        self.has_decoded_audio = False
        self.excess_frames = 0
        """Frames at the end of the last codec call that do not belong to the utterance."""
        self.reached_end = False
        """The model chose its end token."""
        self.fault: Fault | None = None
        self.clock = PlaybackClock()

    @property
    def is_finished(self) -> bool:
        """Whether it has generated its last frame."""
        return self.reached_end or self.fault is not None

    def cancel(self) -> None:
        """End before the next frame."""
        self.cancelled = True

    @property
    def position(self) -> int:
        """Positions in use."""
        return (self.prompt.length if self.prompt else 0) + self.frames

    @property
    def ready(self) -> bool:
        """Whether it has text for its next frame: late text is waited for, not replaced by padding."""
        return not self.expects_text or self.frames < self.text_rows or self.is_finished

    def buffered_seconds(self, now: float) -> float:
        """Return the seconds of audio sent and not yet played; -1 before the first audio."""
        return self.clock.buffered_seconds(now) if self.sent_bytes else -1.0

    def notify_start(self) -> None:
        """Call ``on_start``."""
        if self._on_start is not None:
            self._on_start()

    def send(self, pcm: bytes) -> None:
        """Pass PCM to ``on_audio``."""
        if pcm and not self.cancelled:
            self.sent_bytes += len(pcm)
            self.clock.add(pcm, time.monotonic())
            self._on_audio(pcm)

    def end(self, error: Exception | None = None) -> None:
        """Call ``on_end``; only the first call has an effect."""
        if not self.ended:
            self.ended = True
            self._on_end(error)

    def restart(self, seed: int | None = None) -> None:
        """Reset to the state before the first frame; a new seed counts as another attempt."""
        if seed is not None:
            self.seed = seed
            self.attempt += 1
        self._reset()


@dataclass(slots=True)
class WorkCounts:
    """Work that a model has done since the process started."""

    steps: int = 0
    frames: int = 0
    """Of all generations together; divided by ``steps``, the mean batch size."""
    generations: int = 0
    """Generations that ended by themselves, with or without a fault."""
    faults: Counter[str] = field(default_factory=Counter)
    """Faults found by the guards, by name."""


class Scheduler:
    """Assigns generations to slots and generates one frame per step for each of the batch."""

    def __init__(
        self,
        builder: PromptBuilder,
        decoder: Decoder,
        codec: Codec,
        sampling: Sampling,
        frames_per_token: float,
        *,
        overlap: bool | None = None,
        work: WorkCounts | None = None,
    ) -> None:
        """``sampling``: for generations without their own. ``work``: counts to continue.

        ``overlap``: queue the talker's step before the host reads the frame; on CUDA only if None.
        """
        self.builder = builder
        self._decoder = decoder
        self._codec = codec
        self._sampling = sampling
        self._frames_per_token = frames_per_token
        self.work = work if work is not None else WorkCounts()
        self._overlap = decoder.device.type == "cuda" if overlap is None else overlap
        self.max_batch_size = decoder.slots
        """Lowered after the device ran out of memory."""
        self.waiting: deque[Generation] = deque()
        self.running: list[Generation] = []
        """The generation in slot 0, in slot 1, …"""
        self._active_slots: list[int] = []
        self._prefix_cache: dict[tuple[object, ...], Tensor] = {}
        """[layers, 1, T, 2 * key heads, D]: the talker's keys and values after the rows of a prompt that do
        not depend on its text; the least recently used first."""
        self._prefix_cache_rows = PREFIX_CACHE_ROWS
        self._undecoded_codes = torch.zeros(
            decoder.slots + 1, CODEC_CHUNK_FRAMES[-1], CODEBOOKS, dtype=torch.long, device=decoder.device
        )
        self._first_frame_is_silent = builder.kind == "custom_voice"

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return not self.waiting and not any(
            generation.ready or generation.cancelled for generation in self.running
        )

    def has(self, generation: Generation) -> bool:
        """Return whether a generation is running, or waits for a slot."""
        return generation in self.running or generation in self.waiting

    def submit(self, generation: Generation) -> None:
        """Queue ``generation`` for a slot; the engine pool bounds the queue."""
        self.waiting.append(generation)

    @torch.inference_mode()
    def cache_prefix(self, speech: Speech) -> None:
        """Prefill the prefix that all texts with the voice, language and style of ``speech`` share."""
        self._prefix_kv(self.builder.build(speech))

    @torch.inference_mode()
    def push_text(self, generation: Generation, text: str, *, end: bool) -> None:
        """Append text, whose tokens are final, to a live generation; ``end`` marks the last text."""
        if generation in self.waiting:
            generation.pending_text.append((text, end))
            return
        if generation not in self.running:
            return  # it has ended in the meantime
        tokens = self.builder.tokens(text)
        rows = self.builder.text_rows(tokens, end=end)
        if generation.text_rows + len(rows) >= self._decoder.length:
            generation.fault = NO_END
            return
        generation.text_rows = self._decoder.push_text(generation.slot, generation.text_rows, rows)
        generation.tokens += len(tokens)
        generation.frame_limit = self._frame_limit(generation)
        if end:
            generation.expects_text = False
            self._decoder.end_from[generation.slot] = MIN_FRAMES

    @torch.inference_mode()
    def step(self) -> None:
        """Generate a frame for every generation of the batch, and send the audio that is due."""
        self._drop_cancelled()
        self._admit()
        batch = self._select_batch()
        if not batch:
            return
        decoder = self._decoder
        slots = [generation.slot for generation in batch]
        first, last = min(slots), max(slots) + 1
        longest = max(generation.position for generation in batch)
        if slots != self._active_slots:
            decoder.set_active(slots)
            self._active_slots = slots
        for generation in batch:
            assert generation.noise is not None
            decoder.draw(generation.slot, generation.noise)
        codes = decoder.predict(first, last)
        self.work.steps += 1
        self.work.frames += len(batch)
        groups = self._group_for_codec(batch, codes, first)
        chunks: Iterable[Tensor] = (self._decode_pending(group, frames) for frames, group in groups)
        if self._overlap:
            codes, chunks = _copy_to_host([codes, *chunks], lambda: decoder.advance(first, last, longest))
        rows = codes.tolist()
        for generation in batch:
            self._record_codes(generation, rows[generation.slot - first])
        for (_, group), chunk in zip(groups, chunks, strict=True):
            for generation, samples in zip(group, chunk.float().numpy(force=True), strict=True):
                self._record_audio(generation, samples)
        if not self._overlap and not all(generation.is_finished for generation in batch):
            decoder.advance(first, last, longest)
        for generation in batch:
            if generation.is_finished:
                self._finish(generation)

    # ------------------------------------------------------------------ batch membership

    def _drop_cancelled(self) -> None:
        for generation in [generation for generation in self.waiting if generation.cancelled]:
            self.waiting.remove(generation)
            generation.end()
        for generation in [generation for generation in self.running if generation.cancelled]:
            self._free_slot(generation)
            generation.end()

    def _admit(self) -> None:
        """Assign free slots to waiting generations, in their order."""
        while self.waiting and len(self.running) < self.max_batch_size:
            generation = self.waiting.popleft()
            generation.notify_start()
            try:
                self._prefill(generation)
            except (ValueError, TypeError, UnsupportedTextError) as error:  # caused by the text
                generation.end(UnsupportedTextError(str(error)))
            except Exception as error:
                if is_out_of_memory(error):
                    if not self.running:
                        generation.end(EngineUnavailableError("the device is out of memory"))
                        return
                    self.waiting.appendleft(generation)
                    self._limit_batch_size(len(self.running))
                    continue
                generation.end(EngineUnavailableError(f"the model failed: {error}"))
                raise

    def _prefill(self, generation: Generation) -> None:
        """Prefill a prompt and assign the next slot. Raises ValueError, UnsupportedTextError."""
        decoder, codec = self._decoder, self._codec
        prompt = self.builder.build(generation.speech)
        if max(prompt.length + MIN_FRAMES, prompt.text.shape[0]) >= decoder.length:
            raise UnsupportedTextError(
                f"the utterance is too long for --max-seq-len {decoder.length}: {prompt.tokens} tokens"
            )
        prefix_kv = self._prefix_kv(prompt)
        sampling = generation.sampling or self._sampling
        decoder.prepare(prompt, sampling, prefix_kv)
        slot = len(self.running)
        decoder.copy_slot(decoder.staging, slot, prompt.length)
        if (clone := prompt.clone) is None or clone.codes is None:
            codec.reset(slot)
        else:
            codec.restore(slot, clone.codec_state or self.compute_codec_state(clone.codes))
        generation.prompt, generation.slot = prompt, slot
        generation.noise = Noise(generation.seed, decoder.device, decoder.sizes, sampling)
        generation.text_rows = prompt.text.shape[0]
        generation.tokens = prompt.tokens
        generation.frame_limit = self._frame_limit(generation)
        if generation.expects_text:
            decoder.end_from[slot] = decoder.length
        self.running.append(generation)
        while generation.pending_text:
            text, end = generation.pending_text.pop(0)
            self.push_text(generation, text, end=end)

    def _frame_limit(self, generation: Generation) -> int:
        """Return the maximum number of frames of a generation.

        It is ended by the frame after that, which the talker may have got as input already.
        """
        assert generation.prompt is not None
        free_positions = self._decoder.length - generation.prompt.length - 2
        return min(frame_limit(generation.tokens, self._frames_per_token), free_positions)

    def _prefix_kv(self, prompt: Prompt) -> Tensor:
        """Return the keys and values of a prompt's prefix, from the cache or computed now."""
        cache = self._prefix_cache
        prefix_kv = cache.pop(prompt.key, None)
        if prefix_kv is None:
            prefix_kv = self._decoder.prefill_prefix(prompt.prefix)
        cache[prompt.key] = prefix_kv
        while len(cache) > 1 and sum(kv.shape[2] for kv in cache.values()) > self._prefix_cache_rows:
            del cache[next(iter(cache))]
        return prefix_kv

    @torch.inference_mode()
    def compute_codec_state(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Return the codec's state after a clone's reference, [frames, 16]. Raises UnsupportedTextError."""
        if codes.shape[0] >= self._decoder.length:
            seconds = codes.shape[0] / FRAMES_PER_SECOND
            raise UnsupportedTextError(f"the recording is too long for --max-seq-len: {seconds:.0f} s")
        spare = self._codec.spare_slot
        self._codec.reset(spare)
        self._codec.advance_state(codes.to(self._decoder.device), spare)
        return self._codec.save(spare)

    def codec_state_shapes(self) -> Sequence[tuple[tuple[int, ...], torch.dtype]]:
        """Return shapes and dtypes of what ``compute_codec_state`` returns."""
        return [(tuple(part.shape), part.dtype) for part in self._codec.save(self._codec.spare_slot)]

    def _select_batch(self) -> list[Generation]:
        """Return the generations of the next step, in the order of their slots.

        A further row costs a GPU next to nothing, so there all take part. On a CPU, generations with enough
        buffered audio wait while another one has sent no audio yet.
        """
        ready = [generation for generation in self.running if generation.ready]
        if self._overlap or all(generation.sent_bytes for generation in ready):
            return ready
        now = time.monotonic()
        return [generation for generation in ready if generation.buffered_seconds(now) < MIN_BUFFERED_SECONDS]

    # ------------------------------------------------------------------ frames to audio

    def _group_for_codec(
        self, batch: Sequence[Generation], codes: Tensor, first: int
    ) -> list[tuple[int, list[Generation]]]:
        """Add the new frames to the undecoded ones; return the codec calls that are due.

        One entry per call: the number of frames, and the generations; those with the least buffered audio
        first.
        """
        slots = [generation.slot for generation in batch]
        columns = [generation.undecoded_frames for generation in batch]
        self._undecoded_codes[slots, columns] = codes[[slot - first for slot in slots], :CODEBOOKS]
        groups: dict[int, list[Generation]] = {}
        for generation in batch:
            generation.undecoded_frames += 1
            if generation.undecoded_frames >= self._codec_chunk_frames(generation):
                groups.setdefault(generation.undecoded_frames, []).append(generation)
                generation.undecoded_frames = 0
                generation.codec_calls += 1
        now = time.monotonic()
        return sorted(
            groups.items(),
            key=lambda group: min(generation.buffered_seconds(now) for generation in group[1]),
        )

    def _codec_chunk_frames(self, generation: Generation) -> int:
        """Return the number of frames of a generation's next codec call."""
        if generation.codec_calls == 0 and self._first_frame_is_silent:
            return 2  # the first frame alone would be inaudible
        return CODEC_CHUNK_FRAMES[min(generation.codec_calls, len(CODEC_CHUNK_FRAMES) - 1)]

    def _decode_pending(self, group: Sequence[Generation], frames: int) -> Tensor:
        """Return the audio, [B, frames * 1920], of the undecoded frames of some generations."""
        slots = [generation.slot for generation in group]
        return self._codec.decode(self._undecoded_codes[slots, :frames], slots)

    def _record_codes(self, generation: Generation, row: Sequence[int]) -> None:
        """Check the codes, [17], of a generation's new frame, and whether the frame is the last."""
        code, is_finite = row[0], row[CODEBOOKS]
        if not is_finite:
            generation.fault = NOT_FINITE
        elif code == self._decoder.eos:
            generation.reached_end = True
        elif generation.frames >= generation.frame_limit:
            generation.fault = NO_END
        elif generation.loop_detector.push(code):
            generation.fault = LOOP
        if generation.is_finished:
            # This frame holds no audio: it is the end token or invalid. The codec may have decoded it.
            generation.excess_frames = 1 if generation.undecoded_frames == 0 else 0
            generation.undecoded_frames = max(0, generation.undecoded_frames - 1)
        else:
            generation.frames += 1

    def _record_audio(self, generation: Generation, samples: NDArray[np.float32]) -> None:
        """Check the audio of some frames and send it; while it is silence, hold it back."""
        import numpy as np

        if generation.fault is NOT_FINITE:
            return
        if generation.excess_frames:
            samples = samples[: -generation.excess_frames * SAMPLES_PER_FRAME]
            generation.excess_frames = 0
        if not np.isfinite(samples).all():
            generation.fault = NOT_FINITE
            return
        peaks = np.abs(samples.reshape(-1, SAMPLES_PER_FRAME)).max(-1, initial=0)
        loud = np.flatnonzero(peaks >= SILENCE_PEAK)
        if self._first_frame_is_silent and not generation.has_decoded_audio and len(peaks):
            # CustomVoice's first frame is silence; without it the first sound is heard 80 ms earlier.
            samples = samples[SAMPLES_PER_FRAME if peaks[0] < SILENCE_PEAK else 0 :]
        generation.has_decoded_audio = generation.has_decoded_audio or len(peaks) > 0
        generation.silent_frames = (
            len(peaks) - 1 - int(loud[-1]) if len(loud) else generation.silent_frames + len(peaks)
        )
        generation.held_audio.append(samples)
        if len(loud):
            self._send_held_audio(generation)
        elif generation.silent_frames >= SILENCE_SECONDS * FRAMES_PER_SECOND and not generation.reached_end:
            generation.fault = generation.fault or SILENCE

    def _send_held_audio(self, generation: Generation) -> None:
        for samples in generation.held_audio:
            generation.send(to_pcm(samples))
        generation.held_audio.clear()

    # ------------------------------------------------------------------ the end

    def _finish(self, generation: Generation) -> None:
        """Free a finished generation's slot; send its remaining audio, retry it, or end it with an error."""
        if generation.undecoded_frames and (generation.fault is None or generation.fault is NO_END):
            slot, frames = generation.slot, generation.undecoded_frames
            samples = self._codec.decode_last(self._undecoded_codes[slot : slot + 1, :frames], [slot])[0]
            self._record_audio(generation, samples.float().numpy(force=True))
        fault = generation.fault
        if fault is NOT_FINITE:
            self._decoder.clear(generation.slot)
        self._free_slot(generation)
        self.work.generations += 1
        if fault is None:
            self._send_held_audio(generation)
            generation.end()
            return
        self.work.faults[fault.name] += 1
        _LOGGER.warning(
            "qwen3: generation stopped guard=%s frames=%d attempt=%d text=%s",
            fault.name,
            generation.frames,
            generation.attempt,
            quote(generation.speech.text[:40]),
        )
        if not generation.sent_bytes and generation.attempt == 0 and not generation.is_live:
            generation.restart(seed=generation.seed + 1)
            self.waiting.appendleft(generation)
        elif fault.device:
            generation.end(EngineUnavailableError(fault.reason))
        elif generation.sent_bytes and fault in {NO_END, SILENCE}:
            # Most likely all of the text was spoken and only the end token is missing; it cannot be verified.
            if fault is NO_END:
                self._send_held_audio(generation)
            generation.end(TruncatedAudioError(fault.reason))
        else:
            generation.end(UnsupportedTextError(f"{fault.reason}: {generation.speech.text[:40]!r}"))

    def _free_slot(self, generation: Generation) -> None:
        """Free a slot; the generation of the last slot moves there, so that used slots stay contiguous."""
        moved = self.running.pop()
        if moved is not generation:
            self._decoder.copy_slot(moved.slot, generation.slot, moved.position)
            self._codec.copy_slot(moved.slot, generation.slot)
            self._undecoded_codes[generation.slot] = self._undecoded_codes[moved.slot]
            moved.slot = generation.slot
            self.running[generation.slot] = moved
        generation.slot = -1
        self._active_slots = []

    def fail(self, error: Exception) -> None:
        """End every generation with ``error``."""
        generations = [*self.running, *self.waiting]
        self.running.clear()
        self.waiting.clear()
        self._active_slots = []
        for generation in generations:
            generation.end(error)

    def shrink(self) -> None:
        """Reduce the batch size after a step ran out of memory.

        Generations that have sent no audio are restarted when a slot is free. The others end with an error,
        because their state after the failed step is unknown; so does a single one, which would fail again.
        """
        running = list(self.running)
        self.running.clear()
        self._active_slots = []
        self._limit_batch_size(len(running) - 1)
        for generation in reversed(running):
            if len(running) == 1 or generation.sent_bytes or generation.cancelled or generation.is_live:
                generation.end(EngineUnavailableError("the device is out of memory"))
            else:
                generation.restart()
                self.waiting.appendleft(generation)

    def _limit_batch_size(self, size: int) -> None:
        """Set the maximum batch size, at least 1, and free cached memory."""
        self.max_batch_size = max(1, size)
        self._prefix_cache.clear()
        _LOGGER.warning("qwen3: out of memory max_batch_size=%d", self.max_batch_size)
        if self._decoder.device.type == "cuda":
            torch.cuda.empty_cache()


def _copy_to_host(tensors: Sequence[Tensor], meanwhile: Callable[[], object]) -> tuple[Tensor, list[Tensor]]:
    """Return copies of ``tensors``, the first one apart, on the host; ``meanwhile`` queues further work.

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
