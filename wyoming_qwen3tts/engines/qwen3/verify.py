"""The same proof on your own checkpoint and machine: whether this engine is the official model.

Prompts and, in float32 on a CPU, codes have to be equal. Elsewhere bits differ, and one bit can change a code
and all that follow; there the official codes are dictated, and what is compared is which code each model
would have chosen next.
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
from .sampling import GREEDY, Choices, Noise, Sampling, Variant, choose

TEXTS = ("Hello.", "It is 21 degrees in the living room, and the front door is locked.")
ALIKE = 0.97
"""Share of dictated codes that both models must choose alike where bits differ."""
LOUDEST_ERROR_DB = 40.0
"""Least ratio of the official sound to the difference from it, in decibels."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the table."""

    what: str
    result: str
    good: bool


class Verification:
    """Compares this engine with the official package on one loaded checkpoint."""

    def __init__(self, found: Checkpoint, *, frames: int = 40) -> None:
        """``frames``: most frames of an utterance."""
        self._found = found
        self._frames = frames
        self._builder = PromptBuilder(found.official)
        # The official modules go on working: they look into the decoder's joined weights.
        self._dictated: Iterator[int] | None = None
        self._alike: list[bool] = []
        self._decoder = Decoder(found.model, slots=1, length=1024, chooser=self._choose)
        self._codec = Codec(found.codec, slots=1, length=1024)
        self._exact = found.device.type == "cpu" and found.dtype == torch.float32

    def findings(self) -> Iterator[Finding]:
        """Yield what is found, one check after the other."""
        spoken = self._speeches()
        yield self._prompts(spoken)
        if self._exact:
            yield self._codes(spoken, GREEDY, "codes, the most likely ones")
            yield self._codes(spoken, self._found.sampling, "codes, seeded")
        else:
            yield self._next_codes(spoken)
        yield self._sound(spoken[-1])

    def _speeches(self) -> list[Speech]:
        languages = self._builder.languages
        found = [
            Speech(text, language, streaming=streaming)
            for text, language in zip(
                TEXTS, ("auto", "english" if "english" in languages else "auto"), strict=True
            )
            for streaming in (False, True)
        ]
        if self._builder.kind == "custom_voice":
            return [replace(speech, speaker=self._builder.speakers[0]) for speech in found]
        if self._builder.kind == "voice_design":
            return [replace(speech, instruct="A calm voice.") for speech in found]
        width = self._decoder.hidden.shape[1]
        generator = torch.Generator().manual_seed(0)
        clone = Clone(torch.randn(width, generator=generator).to(self._decoder.hidden), "verify")
        return [replace(speech, clone=clone) for speech in found]

    # ------------------------------------------------------------------ the checks

    def _prompts(self, spoken: list[Speech]) -> Finding:
        worst = 0.0
        same = 0
        for speech in spoken:
            theirs = self._official(speech, GREEDY, 0, prompt_only=True)
            prompt = self._builder.build(speech)
            ours = torch.cat((prompt.prefix, prompt.rows))
            if ours.shape == theirs.shape:
                worst = max(worst, float((ours - theirs).abs().max() / theirs.abs().max()))
                same += worst < (1e-5 if self._exact else 2e-2)
        result = f"{same} of {len(spoken)} the same (largest difference {worst:.0e})"
        return Finding("prompts, row for row", result, same == len(spoken))

    def _codes(self, spoken: list[Speech], sampling: Sampling, what: str) -> Finding:
        same = frames = 0
        for seed, speech in enumerate(spoken):
            theirs = self._official(speech, sampling, seed)
            ours = self._own(speech, sampling, seed)
            same += ours.shape == theirs.shape and bool((ours == theirs).all())
            frames += len(theirs)
        return Finding(what, f"{same} of {len(spoken)} the same ({frames} frames)", same == len(spoken))

    def _next_codes(self, spoken: list[Speech]) -> Finding:
        self._alike = []
        for speech in spoken:
            theirs = self._official(speech, GREEDY, 0)
            self._dictated = iter(theirs.flatten().tolist())
            self._own(speech, GREEDY, 0, len(theirs))
            self._dictated = None
        share = sum(self._alike) / max(1, len(self._alike))
        result = f"{share:.2%} of {len(self._alike)} chosen alike after the official codes"
        return Finding("codes, the most likely ones", result, share >= ALIKE)

    def _sound(self, speech: Speech) -> Finding:
        codes = self._official(speech, self._found.sampling, 1)
        with torch.inference_mode():
            theirs = self._found.codec(codes.T[None])[0, 0]
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
        result = f"{ratio:.0f} dB of signal to difference over {len(codes)} frames, piece by piece"
        return Finding("sound", result, ratio >= LOUDEST_ERROR_DB)

    # ------------------------------------------------------------------ both models

    def _choose(
        self, logits: Tensor, noise: Tensor, choices: Choices, rows: slice, variant: Variant
    ) -> Tensor:
        if self._dictated is None:
            return choose(logits, noise, choices, rows, variant)
        code = next(self._dictated)
        self._alike.append(int(logits.argmax()) == code)
        return torch.tensor([code], device=logits.device)

    @torch.inference_mode()
    def _own(self, speech: Speech, sampling: Sampling, seed: int, most: int | None = None) -> Tensor:
        decoder = self._decoder
        prompt: Prompt = self._builder.build(speech)
        decoder.prepare(prompt, sampling)
        decoder.move(decoder.staging, 0, prompt.length)
        noise = Noise(seed, decoder.device, decoder.sizes, sampling)
        frames: list[Tensor] = []
        while len(frames) < (most or self._frames):
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
        found: list[Tensor] = []
        model = self._found.model
        owner, name = (model.talker, "generate") if prompt_only else (model, "generate")
        generate = getattr(owner, name)

        def spy(*args: Any, **kwargs: Any) -> Any:
            if prompt_only:
                found.append(kwargs["inputs_embeds"][0])
                raise _CapturedError
            result = generate(*args, **kwargs)
            found.append(result[0][0])
            raise _CapturedError  # its sound is not needed

        torch.manual_seed(seed)
        with _replaced(owner, name, spy), suppress(_CapturedError):
            self._say(speech, sampling)
        return found[0]

    def _say(self, speech: Speech, sampling: Sampling) -> None:
        official = self._found.official
        how: dict[str, Any] = {
            "text": speech.text,
            "language": speech.language,
            "non_streaming_mode": not speech.streaming,
            "max_new_tokens": self._frames + 1,  # it returns one frame less
            "repetition_penalty": sampling.repetition_penalty,
        }
        for prefix, flag, choice in (
            ("", "do_sample", sampling.talker),
            ("subtalker_", "subtalker_dosample", sampling.predictor),
        ):
            how[flag] = choice.do_sample
            how[f"{prefix}temperature"] = choice.temperature
            how[f"{prefix}top_k"] = choice.top_k
            how[f"{prefix}top_p"] = choice.top_p
        if speech.speaker is not None:
            official.generate_custom_voice(speaker=speech.speaker, **how)
        elif speech.clone is None:
            official.generate_voice_design(instruct=speech.instruct, **how)
        else:
            from qwen_tts import VoiceClonePromptItem

            item = VoiceClonePromptItem(None, speech.clone.embedding, True, False)
            official.generate_voice_clone(voice_clone_prompt=[item], **how)


class _CapturedError(Exception):
    """What was wanted of the official package has been seen."""


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = owner.__dict__.get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name) if before is None else setattr(owner, name, before)
