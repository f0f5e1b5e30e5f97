"""Compares this engine with the official package on a user's checkpoint and machine.

Prompts and, in float32 on a CPU, codes have to be equal. Elsewhere rounding differs, which can change a code
and all that follow; there the official codes are forced (teacher forcing), and the next codes that both
models would choose are compared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .checkpoint import Checkpoint
from .codec import Codec
from .decoder import CODEBOOKS, Decoder
from .prompt import Clone, Prompt, PromptBuilder, Speech
from .sampling import GREEDY, Noise, Sampling, SamplingVariant, SlotSampling, sample

TEXTS = ("Hello.", "It is 21 degrees in the living room, and the front door is locked.")
MIN_AGREEMENT = 0.97
"""Share of forced codes that both models must choose alike where rounding differs."""
MIN_SIGNAL_TO_DIFFERENCE_DB = 40.0
"""Minimum ratio of the official audio to its difference from this engine's, in decibels."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check."""

    check: str
    result: str
    passed: bool


class Verification:
    """Compares this engine with the official package on one loaded checkpoint."""

    def __init__(self, checkpoint: Checkpoint, *, frames: int = 40) -> None:
        """``frames``: maximum number of frames of an utterance."""
        self._checkpoint = checkpoint
        self._frames = frames
        self._builder = PromptBuilder(checkpoint.official)
        # The official modules stay usable: their weights are views of the decoder's merged weights.
        self._forced_codes: Iterator[int] | None = None
        self._agreements: list[bool] = []
        self._decoder = Decoder(checkpoint.model, slots=1, length=1024, sampler=self._sample_or_force)
        self._codec = Codec(checkpoint.codec, slots=1, length=1024)
        self._exact = checkpoint.device.type == "cpu" and checkpoint.dtype == torch.float32

    def run_checks(self) -> Iterator[CheckResult]:
        """Run the checks one after the other; yield their results."""
        speeches = self._speeches()
        yield self._prompts(speeches)
        if self._exact:
            yield self._codes(speeches, GREEDY, "codes, the most likely ones")
            yield self._codes(speeches, self._checkpoint.sampling, "codes, seeded")
        else:
            yield self._next_codes(speeches)
        yield self._sound(speeches[-1])

    def _speeches(self) -> list[Speech]:
        languages = self._builder.languages
        speeches = [
            Speech(text, language, streaming=streaming)
            for text, language in zip(
                TEXTS, ("auto", "english" if "english" in languages else "auto"), strict=True
            )
            for streaming in (False, True)
        ]
        if self._builder.kind == "custom_voice":
            return [replace(speech, speaker=self._builder.speakers[0]) for speech in speeches]
        if self._builder.kind == "voice_design":
            return [replace(speech, instruct="A calm voice.") for speech in speeches]
        width = self._decoder.hidden.shape[1]
        generator = torch.Generator().manual_seed(0)
        clone = Clone(torch.randn(width, generator=generator).to(self._decoder.hidden), "verify")
        return [replace(speech, clone=clone) for speech in speeches]

    # ------------------------------------------------------------------ the checks

    def _prompts(self, speeches: list[Speech]) -> CheckResult:
        largest_difference = 0.0
        same = 0
        for speech in speeches:
            theirs = self._official(speech, GREEDY, 0, prompt_only=True)
            prompt = self._builder.build(speech)
            ours = torch.cat((prompt.prefix, prompt.rows))
            if ours.shape == theirs.shape:
                largest_difference = max(
                    largest_difference, float((ours - theirs).abs().max() / theirs.abs().max())
                )
                same += largest_difference < (1e-5 if self._exact else 2e-2)
        result = f"{same} of {len(speeches)} the same (largest difference {largest_difference:.0e})"
        return CheckResult("prompts, row for row", result, same == len(speeches))

    def _codes(self, speeches: list[Speech], sampling: Sampling, check: str) -> CheckResult:
        same = frames = 0
        for seed, speech in enumerate(speeches):
            theirs = self._official(speech, sampling, seed)
            ours = self._own(speech, sampling, seed)
            same += ours.shape == theirs.shape and bool((ours == theirs).all())
            frames += len(theirs)
        return CheckResult(
            check, f"{same} of {len(speeches)} the same ({frames} frames)", same == len(speeches)
        )

    def _next_codes(self, speeches: list[Speech]) -> CheckResult:
        self._agreements = []
        for speech in speeches:
            theirs = self._official(speech, GREEDY, 0)
            self._forced_codes = iter(theirs.flatten().tolist())
            self._own(speech, GREEDY, 0, len(theirs))
            self._forced_codes = None
        share = sum(self._agreements) / max(1, len(self._agreements))
        result = f"{share:.2%} of {len(self._agreements)} chosen alike after the official codes"
        return CheckResult("codes, the most likely ones", result, share >= MIN_AGREEMENT)

    def _sound(self, speech: Speech) -> CheckResult:
        codes = self._official(speech, self._checkpoint.sampling, 1)
        with torch.inference_mode():
            theirs = self._checkpoint.codec(codes.T[None])[0, 0]
        self._codec.reset(0)
        order = random.Random(0)  # noqa: S311 - any order will do
        pieces, at = [], 0
        while at < len(codes):
            piece = codes[at : at + order.choice((1, 2, 4, 8))]
            pieces.append(self._codec.decode(piece[None], [0])[0])
            at += len(piece)
        difference = torch.cat(pieces) - theirs
        power, error = theirs.double().pow(2).mean(), difference.double().pow(2).mean()
        ratio = float(10 * torch.log10(power / error.clamp_min(1e-30)))
        result = f"{ratio:.0f} dB of signal to difference over {len(codes)} frames, in chunks"
        return CheckResult("audio", result, ratio >= MIN_SIGNAL_TO_DIFFERENCE_DB)

    # ------------------------------------------------------------------ both models

    def _sample_or_force(
        self, logits: Tensor, noise: Tensor, sampling: SlotSampling, rows: slice, variant: SamplingVariant
    ) -> Tensor:
        if self._forced_codes is None:
            return sample(logits, noise, sampling, rows, variant)
        code = next(self._forced_codes)
        self._agreements.append(int(logits.argmax()) == code)
        return torch.tensor([code], device=logits.device)

    @torch.inference_mode()
    def _own(self, speech: Speech, sampling: Sampling, seed: int, max_frames: int | None = None) -> Tensor:
        decoder = self._decoder
        prompt: Prompt = self._builder.build(speech)
        decoder.prepare(prompt, sampling)
        decoder.copy_slot(decoder.staging, 0, prompt.length)
        noise = Noise(seed, decoder.device, decoder.sizes, sampling)
        frames: list[Tensor] = []
        while len(frames) < (max_frames or self._frames):
            decoder.draw(0, noise)
            codes = decoder.predict(0, 1)[0, :CODEBOOKS].clone()
            if codes[0] == decoder.eos:
                break
            frames.append(codes)
            decoder.advance(0, 1)
        return torch.stack(frames)

    def _official(
        self, speech: Speech, sampling: Sampling, seed: int, *, prompt_only: bool = False
    ) -> Tensor:
        """Return the official codes, [T, 16], or the rows it would prefill, [T, H]."""
        results: list[Tensor] = []
        model = self._checkpoint.model
        owner, name = (model.talker, "generate") if prompt_only else (model, "generate")
        generate = getattr(owner, name)

        def spy(*args: Any, **kwargs: Any) -> Any:
            if prompt_only:
                results.append(kwargs["inputs_embeds"][0])
                raise _CapturedError
            result = generate(*args, **kwargs)
            results.append(result[0][0])
            raise _CapturedError  # its audio is not needed

        torch.manual_seed(seed)
        with _replaced(owner, name, spy), suppress(_CapturedError):
            self._run_official(speech, sampling)
        return results[0]

    def _run_official(self, speech: Speech, sampling: Sampling) -> None:
        official = self._checkpoint.official
        options: dict[str, Any] = {
            "text": speech.text,
            "language": speech.language,
            "non_streaming_mode": not speech.streaming,
            "max_new_tokens": self._frames + 1,  # the official package returns one frame less
            "repetition_penalty": sampling.repetition_penalty,
        }
        for prefix, flag, params in (
            ("", "do_sample", sampling.talker),
            ("subtalker_", "subtalker_dosample", sampling.predictor),
        ):
            options[flag] = params.do_sample
            options[f"{prefix}temperature"] = params.temperature
            options[f"{prefix}top_k"] = params.top_k
            options[f"{prefix}top_p"] = params.top_p
        if speech.speaker is not None:
            official.generate_custom_voice(speaker=speech.speaker, **options)
        elif speech.clone is None:
            official.generate_voice_design(instruct=speech.instruct, **options)
        else:
            from qwen_tts import VoiceClonePromptItem

            item = VoiceClonePromptItem(None, speech.clone.embedding, True, False)
            official.generate_voice_clone(voice_clone_prompt=[item], **options)


class _CapturedError(Exception):
    """Ends a call of the official package after its value was captured."""


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = owner.__dict__.get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name) if before is None else setattr(owner, name, before)
