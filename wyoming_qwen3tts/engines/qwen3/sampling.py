"""Sampling of codes, in the order of Hugging Face's logits processors, for a whole batch at once.

Randomness belongs to a generation, not to the batch: each one draws noise from its own random generator, and
a code is sampled as ``argmax(p / noise)`` with exponential noise, which is how ``torch.multinomial`` draws
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
class SamplingParams:
    """Sampling parameters of one kind of codebook."""

    do_sample: bool = True
    """False chooses the most likely code."""
    temperature: float = 0.9
    top_k: int = 50
    """0 keeps every code."""
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of a generation. The defaults are the official package's."""

    talker: SamplingParams = SamplingParams()
    """Codebook 0."""
    predictor: SamplingParams = SamplingParams()
    """The other fifteen."""
    repetition_penalty: float = 1.05
    """For codebook 0, over the whole generation."""

    @classmethod
    def from_generation_config(cls, config: Mapping[str, Any]) -> Sampling:
        """Return the values of a checkpoint's ``generation_config.json``, and defaults for missing ones."""
        default = SamplingParams()
        talker, predictor = (
            SamplingParams(
                bool(config.get(f"{prefix}{'dosample' if prefix else 'do_sample'}", default.do_sample)),
                float(config.get(f"{prefix}temperature", default.temperature)),
                int(config.get(f"{prefix}top_k", default.top_k)),
                float(config.get(f"{prefix}top_p", default.top_p)),
            )
            for prefix in ("", "subtalker_")
        )
        return cls(talker, predictor, float(config.get("repetition_penalty", cls().repetition_penalty)))


GREEDY = Sampling(SamplingParams(do_sample=False), SamplingParams(do_sample=False))
"""The most likely codes: for comparisons, not for listening."""


class SlotSampling:
    """The ``SamplingParams`` of every slot, as tensors."""

    def __init__(self, slots: int, codes: int, device: torch.device) -> None:
        """``codes``: size of the codebook."""
        self._codes = codes
        self._params: list[SamplingParams] = [SamplingParams()] * slots
        self.temperature = torch.ones(slots, 1, device=device)
        self.last_rank = torch.zeros(slots, 1, dtype=torch.long, device=device)
        """Rank of the last code that top-k keeps; 0 is the most likely one."""
        self.top_p = torch.ones(slots, 1, device=device)
        self.do_sample = torch.ones(slots, dtype=torch.bool, device=device)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All state tensors; the first dimension is the slot."""
        return self.temperature, self.last_rank, self.top_p, self.do_sample

    def set(self, slot: int, params: SamplingParams) -> None:
        """Set the parameters of a slot."""
        self._params[slot] = params
        self.temperature[slot] = params.temperature
        self.last_rank[slot] = self._top_k(params) - 1
        self.top_p[slot] = params.top_p
        self.do_sample[slot] = params.do_sample

    def copy_slot(self, source: int, target: int) -> None:
        """Copy what is not in ``tensors``."""
        self._params[target] = self._params[source]

    def _top_k(self, params: SamplingParams) -> int:
        return min(params.top_k or self._codes, self._codes)

    def variant(self, rows: slice) -> SamplingVariant:
        """Return which parts of ``sample`` a step for the slots ``rows`` needs."""
        params = self._params[rows]
        return SamplingVariant(
            max(self._top_k(row) for row in params),
            any(row.top_p < 1 for row in params),
            not all(row.do_sample for row in params),
        )


@dataclass(frozen=True, slots=True)
class SamplingVariant:
    """The parts of ``sample`` that a step needs; part of a CUDA graph's key."""

    max_top_k: int
    """Maximum of all rows' top-k."""
    nucleus: bool
    """Whether any row has ``top_p`` below 1."""
    greedy: bool
    """Whether any row chooses the most likely code."""


def sample(
    logits: Tensor, noise: Tensor, sampling: SlotSampling, rows: slice, variant: SamplingVariant
) -> Tensor:
    """Sample one code per row: [B] int64.

    ``logits``: [B, V] float32, after repetition penalty and suppression. ``noise``: [B, V] float32,
    exponential. Temperature, top-k and top-p are applied in the order of Hugging Face's warpers.
    """
    scaled = logits / sampling.temperature[rows]
    best = torch.topk(scaled, variant.max_top_k, dim=-1).values  # [B, K], descending
    floor = best.gather(1, sampling.last_rank[rows])
    if variant.nucleus:
        floor = torch.maximum(floor, _nucleus_floor(best, floor, sampling.top_p[rows]))
    probabilities = torch.softmax(scaled.masked_fill(scaled < floor, -torch.inf), dim=-1)
    chosen = torch.argmax(probabilities / noise, dim=-1)
    if variant.greedy:
        chosen = torch.where(sampling.do_sample[rows], chosen, torch.argmax(logits, dim=-1))
    return chosen


def _nucleus_floor(best: Tensor, floor: Tensor, top_p: Tensor) -> Tensor:
    """Return the smallest scaled logit, [B, 1], that top-p keeps of those that top-k kept.

    Sums from the least likely upwards, as the official warper does; the most likely is always kept.
    """
    ascending = best.masked_fill(best < floor, -torch.inf).flip(-1)
    dropped = torch.softmax(ascending, dim=-1).cumsum(-1) <= 1 - top_p
    dropped[:, -1] = False
    return ascending.masked_fill(dropped, torch.inf).amin(-1, keepdim=True)


class Noise:
    """Exponential noise of one generation, by frame and codebook."""

    def __init__(
        self, seed: int, device: torch.device, sizes: tuple[int, ...], sampling: Sampling | None = None
    ) -> None:
        """``sizes``: of the sixteen codebooks."""
        sampling = sampling or Sampling()
        self._needs_noise = [sampling.talker.do_sample, *[sampling.predictor.do_sample] * (len(sizes) - 1)]
        # Only the CPU's and CUDA's generators are known to give the same values on every machine.
        self._device = device if device.type == "cuda" else torch.device("cpu")
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._sizes = sizes

    def fill(self, row: Tensor) -> None:
        """Write a frame's noise into ``row``, [sum of sizes] float32.

        On the CPU with one draw per codebook, as in the official package; on CUDA with one draw for all
        sixteen, because each draw is a kernel.
        """
        if self._device.type == "cuda":
            row.exponential_(generator=self._generator)
            return
        noise = row if row.device == self._device else torch.empty_like(row, device=self._device)
        for part, needed in zip(noise.split(self._sizes), self._needs_noise, strict=True):
            if needed:  # the official package draws nothing for the most likely code
                part.exponential_(generator=self._generator)
        if noise is not row:
            row.copy_(noise)
