"""The reference: the official package, asked for its codes and its prompts."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wyoming_qwen3tts.engines.qwen3 import checkpoint
from wyoming_qwen3tts.engines.qwen3.codec import Codec
from wyoming_qwen3tts.engines.qwen3.decoder import Decoder, LinearFactory, plain
from wyoming_qwen3tts.engines.qwen3.graphs import Graphs
from wyoming_qwen3tts.engines.qwen3.prompt import Clone, PromptBuilder, Speech
from wyoming_qwen3tts.engines.qwen3.sampling import Noise, Sampling, SamplingParams
from wyoming_qwen3tts.engines.qwen3.scheduler import Scheduler

CPU = torch.device("cpu")


class Official:
    """A checkpoint twice: as the official package runs it, and as ours does. Not shared: two loads."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tts = checkpoint.load(directory, CPU, torch.float32).official
        self.own = checkpoint.load(directory, CPU, torch.float32)
        self.builder = PromptBuilder(self.own.official)
        self.decoder = Decoder(self.own.model, slots=4, length=512)

    @functools.cached_property
    def double(self) -> checkpoint.Checkpoint:
        """Ours in float64, where company changes less than any code or sample can show."""
        found = checkpoint.load(self.directory, CPU, torch.float32)
        found.model.double()
        found.codec.double()
        return found

    # ------------------------------------------------------------------ what the official package does

    def _say(self, speech: Speech, sampling: Sampling, most: int) -> tuple[list[NDArray[np.float32]], int]:
        how: dict[str, Any] = {
            "text": speech.text,
            "language": speech.language,
            "non_streaming_mode": not speech.streaming,
            "max_new_tokens": most,
            "repetition_penalty": sampling.repetition_penalty,
            "do_sample": sampling.talker.do_sample,
            "temperature": sampling.talker.temperature,
            "top_k": sampling.talker.top_k,
            "top_p": sampling.talker.top_p,
            "subtalker_dosample": sampling.predictor.do_sample,
            "subtalker_temperature": sampling.predictor.temperature,
            "subtalker_top_k": sampling.predictor.top_k,
            "subtalker_top_p": sampling.predictor.top_p,
        }
        kind = self.tts.model.tts_model_type
        if kind == "custom_voice":
            result = self.tts.generate_custom_voice(speaker=speech.speaker, instruct=speech.instruct, **how)
        elif kind == "voice_design":
            result = self.tts.generate_voice_design(instruct=speech.instruct, **how)
        else:
            assert speech.clone is not None
            result = self.tts.generate_voice_clone(voice_clone_prompt=[self._clone_item(speech.clone)], **how)
        found: tuple[list[NDArray[np.float32]], int] = result
        return found

    def _clone_item(self, clone: Clone) -> Any:
        from qwen_tts import VoiceClonePromptItem

        example = clone.codes is not None
        return VoiceClonePromptItem(
            clone.codes, clone.embedding, not example, example, clone.transcript or None
        )

    def codes(
        self, speech: Speech, sampling: Sampling, seed: int, most: int
    ) -> tuple[Tensor, NDArray[np.float32]]:
        """Return at most ``most`` frames, [T, 16], and their sound."""
        found: list[Tensor] = []
        model = self.tts.model
        generate = model.generate

        def spy(*args: Any, **kwargs: Any) -> Any:
            result = generate(*args, **kwargs)
            found.append(result[0][0])
            return result

        model.generate = spy
        torch.manual_seed(seed)
        try:
            # At its limit of N it returns N - 1 frames.
            sounds, _ = self._say(speech, sampling, most + 1)
        finally:
            model.generate = generate
        return found[0], sounds[0]

    def prompt(self, speech: Speech) -> dict[str, Tensor]:
        """Return what the official package would hand to the talker."""

        class SeenError(Exception):
            pass

        seen: dict[str, Tensor] = {}
        talker = self.tts.model.talker
        generate = talker.generate

        def spy(**kwargs: Any) -> Any:
            seen.update(kwargs)
            raise SeenError

        talker.generate = spy
        try:
            self._say(speech, Sampling(), 2)
        except SeenError:
            pass
        finally:
            talker.generate = generate
        return seen

    # ------------------------------------------------------------------ what we do

    @torch.inference_mode()
    def own_codes(self, speech: Speech, sampling: Sampling, seed: int, most: int) -> Tensor:
        """Return at most ``most`` frames, [T, 16], of a generation without others in its batch."""
        decoder = self.decoder
        prompt = self.builder.build(speech)
        decoder.prepare(prompt, sampling)
        decoder.copy_slot(decoder.staging, 2, prompt.length)
        noise = Noise(seed, CPU, decoder.sizes, sampling)
        frames: list[Tensor] = []
        while len(frames) < most:
            decoder.draw(2, noise)
            codes = decoder.predict(2, 3)[0, :16].clone()
            if codes[0] == decoder.eos:
                break
            frames.append(codes)
            decoder.advance(2, 3)
        return torch.stack(frames)

    def clone(self, *, example: bool, frames: int = 7) -> Clone:
        """Return a voice: random, but the same each time."""
        generator = torch.Generator().manual_seed(1)
        width = self.own.model.talker.codec_head.weight.shape[1]
        embedding = torch.randn(width, generator=generator)
        if not example:
            return Clone(embedding, "x-vector")
        codes = torch.randint(0, 64, (frames, 16), generator=generator)
        return Clone(embedding, f"example {frames}", codes, "Who said this?")


def scheduler(
    own: checkpoint.Checkpoint,
    *,
    slots: int = 4,
    overlap: bool = False,
    length: int = 512,
    frames_per_token: float = 12.0,
    linear: LinearFactory = plain,
    graphs: Graphs | None = None,
) -> Scheduler:
    """Return a scheduler of its own for a loaded checkpoint.

    ``overlap``: as on CUDA: the talker's step is queued before the frame is looked at, and shapes are padded.
    ``graphs``: used then, instead of some that capture nothing.
    """
    if overlap and graphs is None:
        graphs = Graphs(capture=False)
    return Scheduler(
        PromptBuilder(own.official),
        Decoder(own.model, slots=slots, length=length, linear=linear, graphs=graphs),
        Codec(own.codec, slots=slots, length=2 * length, graphs=graphs),
        own.sampling,
        frames_per_token,
        overlap=overlap,
    )


GREEDY = Sampling(SamplingParams(do_sample=False), SamplingParams(do_sample=False))


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Put ``value`` in the place of an attribute for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
