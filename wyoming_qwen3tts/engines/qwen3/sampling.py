"""How a code is chosen: the order of Hugging Face's logits processors, for a batch of takes at once.

Randomness belongs to the take, never to the batch: every take draws its own noise from its own generator, and
a code is the winner of an exponential race, ``argmax(p / noise)``, which is how ``torch.multinomial`` draws
one sample. Drawn in the official order from the CPU generator, the codes are those of the official package
under ``torch.manual_seed(seed)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Choice:
    """How the codes of one kind of codebook are chosen."""

    do_sample: bool = True
    """False takes the most likely code."""
    temperature: float = 0.9
    top_k: int = 50
    """0 considers every code."""
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the codes of a take are chosen. The defaults are the official package's."""

    talker: Choice = Choice()
    """Codebook 0."""
    predictor: Choice = Choice()
    """The other fifteen."""
    repetition_penalty: float = 1.05
    """On codebook 0, over the whole take."""

    @classmethod
    def from_generation_config(cls, config: Mapping[str, Any]) -> Sampling:
        """Return what a checkpoint's ``generation_config.json`` asks for, and defaults for the rest."""
        default = Choice()
        talker, predictor = (
            Choice(
                bool(config.get(f"{prefix}{'dosample' if prefix else 'do_sample'}", default.do_sample)),
                float(config.get(f"{prefix}temperature", default.temperature)),
                int(config.get(f"{prefix}top_k", default.top_k)),
                float(config.get(f"{prefix}top_p", default.top_p)),
            )
            for prefix in ("", "subtalker_")
        )
        return cls(talker, predictor, float(config.get("repetition_penalty", cls().repetition_penalty)))


GREEDY = Sampling(Choice(do_sample=False), Choice(do_sample=False))
"""The most likely codes: for proofs, not for ears."""


class Choices:
    """The ``Choice`` of every slot, as tensors, and what the rows of a step have in common."""

    def __init__(self, slots: int, codes: int, device: torch.device) -> None:
        """``codes``: how many codes the codebook has."""
        self._codes = codes
        self._of: list[Choice] = [Choice()] * slots
        self.temperature = torch.ones(slots, 1, device=device)
        self.rank = torch.zeros(slots, 1, dtype=torch.long, device=device)
        """Place of the last code considered, from 0 for the most likely."""
        self.top_p = torch.ones(slots, 1, device=device)
        self.do_sample = torch.ones(slots, dtype=torch.bool, device=device)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Everything a slot has, first dimension the slots."""
        return self.temperature, self.rank, self.top_p, self.do_sample

    def set(self, slot: int, choice: Choice) -> None:
        """Let ``slot`` choose like this."""
        self._of[slot] = choice
        self.temperature[slot] = choice.temperature
        self.rank[slot] = self._considered(choice) - 1
        self.top_p[slot] = choice.top_p
        self.do_sample[slot] = choice.do_sample

    def moved(self, source: int, target: int) -> None:
        """Follow a slot whose tensors were copied."""
        self._of[target] = self._of[source]

    def _considered(self, choice: Choice) -> int:
        return min(choice.top_k or self._codes, self._codes)

    def variant(self, rows: slice) -> Variant:
        """Return what a step for the slots ``rows`` has to compute."""
        of = self._of[rows]
        return Variant(
            max(self._considered(row) for row in of),
            any(row.top_p < 1 for row in of),
            not all(row.do_sample for row in of),
        )


@dataclass(frozen=True, slots=True)
class Variant:
    """The parts of ``choose`` that a step needs; part of a CUDA graph's name."""

    considered: int
    """Most codes that any row considers."""
    nucleus: bool
    """Some row has ``top_p`` below 1."""
    greedy: bool
    """Some row takes the most likely code."""


def choose(logits: Tensor, noise: Tensor, choices: Choices, rows: slice, variant: Variant) -> Tensor:
    """Return the codes, [B] int64, that the rows of a step choose.

    ``logits``: [B, V] float32, penalised and suppressed already. ``noise``: [B, V] float32, exponential.
    Temperature, top-k and top-p in the order of Hugging Face's warpers.
    """
    scaled = logits / choices.temperature[rows]
    best = torch.topk(scaled, variant.considered, dim=-1).values  # [B, K], falling
    floor = best.gather(1, choices.rank[rows])
    if variant.nucleus:
        floor = torch.maximum(floor, _nucleus_floor(best, floor, choices.top_p[rows]))
    shares = torch.softmax(scaled.masked_fill(scaled < floor, -torch.inf), dim=-1)
    chosen = torch.argmax(shares / noise, dim=-1)
    if variant.greedy:
        chosen = torch.where(choices.do_sample[rows], chosen, torch.argmax(logits, dim=-1))
    return chosen


def _nucleus_floor(best: Tensor, floor: Tensor, top_p: Tensor) -> Tensor:
    """Return the least of the scaled logits, [B, 1], that top-p keeps of those that top-k kept.

    Sums from the least likely upwards, as the official warper does; the most likely is always kept.
    """
    rising = best.masked_fill(best < floor, -torch.inf).flip(-1)
    dropped = torch.softmax(rising, dim=-1).cumsum(-1) <= 1 - top_p
    dropped[:, -1] = False
    return rising.masked_fill(dropped, torch.inf).amin(-1, keepdim=True)


class Noise:
    """The randomness of one take: exponential noise for codebook after codebook, frame after frame."""

    def __init__(
        self, seed: int, device: torch.device, sizes: tuple[int, ...], sampling: Sampling | None = None
    ) -> None:
        """``sizes``: how many codes each of the sixteen codebooks has."""
        sampling = sampling or Sampling()
        self._drawn = [sampling.talker.do_sample, *[sampling.predictor.do_sample] * (len(sizes) - 1)]
        # Apple's GPUs have generators too, but only the CPU's and CUDA's are known to be the same everywhere.
        self._device = device if device.type == "cuda" else torch.device("cpu")
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._sizes = sizes

    def fill(self, row: Tensor) -> None:
        """Put a frame's noise into ``row``, [sum of sizes] float32.

        On the CPU with one draw a codebook, as the official package draws; on CUDA with one for all sixteen,
        because each would be a kernel.
        """
        if self._device.type == "cuda":
            row.exponential_(generator=self._generator)
            return
        drawn = row if row.device == self._device else torch.empty_like(row, device=self._device)
        for part, needed in zip(drawn.split(self._sizes), self._drawn, strict=True):
            if needed:  # the official package draws nothing for the most likely code
                part.exponential_(generator=self._generator)
        if drawn is not row:
            row.copy_(drawn)
