"""The two language models, one frame at a time, for a batch of generations at different positions.

A frame is 80 ms of audio: sixteen codes. The talker's last hidden state gives codebook 0; the code predictor,
a small model whose state is reset each frame, gives the other fifteen, one after the other; the sum of the
sixteen code embeddings and one row of text is the talker's next input.

Every generation has a slot: row ``slot`` of every state tensor. Shapes never change while it runs, only
scratch tensors are allocated per frame, and a step is a plain function of static tensors, so that on CUDA the
same functions run as captured graphs (``graphs.py``). One additional slot is the staging slot, in which a
prompt is prefilled before its generation gets a slot.

B: rows of a step (slots ``first`` to ``last``). H: hidden size. V: codes in codebook 0 (3072), of which only
2048 and the end token are ever chosen. D: head dimension.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .graphs import PREFILL_ROWS, Graphs, batch_buckets, length_buckets, smallest_bucket
from .prompt import Prompt
from .sampling import Noise, Sampling, SamplingVariant, SlotSampling, sample

CODEBOOKS = 16
MIN_FRAMES = 2
"""Frames before the end token may be chosen: ``min_new_tokens`` of the official ``generate``."""

Linear = Callable[[Tensor], Tensor]
LinearFactory = Callable[[Tensor], Linear]


@dataclass(slots=True)
class Layer:
    """A transformer layer's weights, merged where they share an input."""

    qkv: Linear
    out: Linear
    gate_up: Linear
    down: Linear
    norm_in: Tensor
    norm_mid: Tensor
    norm_qk: Tensor
    """[query heads + key heads, D]: norm weights, applied within each head."""
    eps: float


class Stack:
    """The layers of a Qwen3 model: grouped-query attention with normed heads, SwiGLU."""

    def __init__(self, model: Any, length: int, linear: LinearFactory) -> None:
        """``model``: the official talker or code predictor model. ``length``: maximum positions."""
        self.layers = [_layer(layer, linear) for layer in model.layers]
        self.norm: Tensor = model.norm.weight
        self.eps: float = model.norm.variance_epsilon
        config = model.config
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.dim: int = model.layers[0].self_attn.head_dim
        # The three axes of the talker's multimodal RoPE are equal for text and codes: plain RoPE in effect.
        angles = torch.outer(
            torch.arange(length, dtype=torch.float32), model.rotary_emb.inv_freq.float().cpu()
        )
        scale = model.rotary_emb.attention_scaling
        sine = angles.sin() * scale
        self.cos = (torch.cat((angles, angles), -1).cos() * scale).to(self.norm)[:, None]
        self.sin = torch.cat((-sine, sine), -1).to(self.norm)[:, None]
        """[length, 1, D]; negative in the first half, where the rotated half is subtracted."""

    def cache(self, rows: int, length: int) -> Tensor:
        """Return a zero cache of keys and values: [layers, rows, length, 2 * key heads, D]."""
        shape = (len(self.layers), rows, length, 2 * self.kv_heads, self.dim)
        return torch.zeros(shape, dtype=self.norm.dtype, device=self.norm.device)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, store: Callable[[int, Tensor], Tensor], mask: Tensor | None
    ) -> Tensor:
        """Return the normed hidden states, [B, T, H].

        ``x``: [B, T, H]. ``cos``, ``sin``: [B or 1, T, 1, D]. ``store(layer, kv)`` stores the new keys and
        values, [B, T, 2 * key heads, D], and returns all of them, [B, S, 2 * key heads, D]. ``mask``:
        [B or 1, 1, T, S], True where a row may attend; None where every row attends to all positions.
        """
        batch, length, width = x.shape
        rotated = self.heads + self.kv_heads
        group = self.heads // self.kv_heads
        half = self.dim // 2
        if mask is not None and length > 1:
            mask = mask.repeat(1, 1, group, 1)
        for index, layer in enumerate(self.layers):
            y = layer.qkv(F.rms_norm(x, (width,), layer.norm_in, layer.eps))
            y = y.view(batch, length, rotated + self.kv_heads, self.dim)
            qk = F.rms_norm(y[:, :, :rotated], (self.dim,), None, layer.eps) * layer.norm_qk
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin)
            kv = store(index, torch.cat((qk[:, :, self.heads :], y[:, :, rotated:]), 2))
            # Query heads that share a key head become rows of that key head: no keys are repeated.
            q = qk[:, :, : self.heads].view(batch, length, self.kv_heads, group, self.dim)
            q = q.permute(0, 2, 3, 1, 4).reshape(batch, self.kv_heads, group * length, self.dim)
            k, v = kv.transpose(1, 2).split(self.kv_heads, 1)
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            if length > 1:
                attended = attended.view(batch, self.heads, length, self.dim).transpose(1, 2)
            x = x + layer.out(attended.reshape(batch, length, self.heads * self.dim))
            gate, up = layer.gate_up(F.rms_norm(x, (width,), layer.norm_mid, layer.eps)).chunk(2, -1)
            x = x + layer.down(F.silu(gate) * up)
        return F.rms_norm(x, (width,), self.norm, self.eps)


def plain(weight: Tensor) -> Linear:
    """Return the unquantized linear map of ``weight``."""
    return lambda x: F.linear(x, weight)


def _layer(layer: Any, linear: LinearFactory) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    heads = attention.q_proj.out_features // attention.head_dim
    kv_heads = attention.k_proj.out_features // attention.head_dim
    return Layer(
        qkv=_merge_linear(linear, attention.q_proj, attention.k_proj, attention.v_proj),
        out=_merge_linear(linear, attention.o_proj),
        gate_up=_merge_linear(linear, mlp.gate_proj, mlp.up_proj),
        down=_merge_linear(linear, mlp.down_proj),
        norm_in=layer.input_layernorm.weight,
        norm_mid=layer.post_attention_layernorm.weight,
        norm_qk=torch.cat(
            (
                attention.q_norm.weight.expand(heads, -1),
                attention.k_norm.weight.expand(kv_heads, -1),
            )
        ),
        eps=layer.input_layernorm.variance_epsilon,
    )


def _merge_linear(linear: LinearFactory, *modules: Any) -> Linear:
    """Return one linear map for modules that share an input.

    The modules' weights become views of the merged weight, so that the official model stays usable, for
    verification and for cloning, without a second copy. Of a quantized model only the quantized weights are
    kept.
    """
    weight = modules[0].weight if len(modules) == 1 else torch.cat([module.weight for module in modules])
    mapped = linear(weight)
    for module, part in zip(modules, weight.split([module.out_features for module in modules]), strict=True):
        module.weight.data = part if linear is plain else part.new_empty(0)
    return mapped


class Decoder:
    """State of all slots, and the operations on it: ``prepare``, ``predict`` and ``advance``.

    Not thread-safe: one thread owns it.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: Any,
        *,
        slots: int,
        length: int,
        linear: LinearFactory = plain,
        sampler: Callable[[Tensor, Tensor, SlotSampling, slice, SamplingVariant], Tensor] = sample,
        graphs: Graphs | None = None,
    ) -> None:
        """``model``: the official ``Qwen3TTSForConditionalGeneration``, in the dtype to compute in.

        ``slots``: maximum batch size. ``length``: maximum positions of a generation, prompt and frames.
        ``linear``: makes the linear map of a weight. ``sampler``: replaces ``sampling.sample``. ``graphs``:
        pads every step to fixed shapes and captures it.
        """
        talker, predictor = model.talker, model.talker.code_predictor
        self.slots, self.length, self.staging = slots, length, slots
        self._sample = sampler
        self._graphs = graphs
        self._buckets, self._lengths = batch_buckets(slots), length_buckets(length)
        self.talker = Stack(talker.model, length, linear)
        self.predictor = Stack(predictor.model, CODEBOOKS + 1, linear)
        self.eos: int = talker.config.codec_eos_token_id
        device, dtype = self.talker.norm.device, self.talker.norm.dtype
        self.device, self.dtype = device, dtype

        heads = [talker.codec_head, *predictor.lm_head]
        self.sizes = tuple(head.out_features for head in heads)
        self._heads = [_merge_linear(linear, head) for head in heads]
        tables = [talker.model.codec_embedding.weight, *(m.weight for m in predictor.model.codec_embedding)]
        self._codes_in = torch.cat(tables)
        """All sixteen tables of code embeddings, [sum of sizes, H]."""
        project = predictor.small_to_mtp_projection
        narrows = not isinstance(project, torch.nn.Identity)
        self._project = project if narrows else None
        self._codes_in_predictor: Tensor = project(self._codes_in) if narrows else self._codes_in
        starts = [sum(self.sizes[:codebook]) for codebook in range(CODEBOOKS)]
        self._offsets = torch.tensor(starts, device=device)
        self._starts = starts
        # The last 1024 codes of codebook 0 are speakers, languages and special codes; only the end is chosen.
        self._suppressed = torch.zeros(self.sizes[0], device=device)
        self._suppressed[-1024:] = -torch.inf
        self._suppressed[self.eos] = 0

        rows, width = slots + 1, self._codes_in.shape[1]
        self.kv = self.talker.cache(rows, length)
        self._predictor_kv = self.predictor.cache(rows, CODEBOOKS)
        self.position = torch.zeros(rows, dtype=torch.long, device=device)
        """Position of the next key and value."""
        self.frames = torch.zeros(rows, dtype=torch.long, device=device)
        """Generated frames; index of the row of text added to the next one."""
        self.hidden = torch.zeros(rows, width, dtype=dtype, device=device)
        """[slots + 1, H]: the talker's last hidden states."""
        self.text = torch.zeros(rows, length, width, dtype=dtype, device=device)
        """Rows of text added to frames' embeddings, one per frame; the one at ``text_end`` is repeated."""
        self.text_end = torch.zeros(rows, dtype=torch.long, device=device)
        self.end_from = torch.full((rows,), MIN_FRAMES, dtype=torch.long, device=device)
        """Number of frames from which on the end token may be chosen."""
        self.penalty = torch.ones(rows, self.sizes[0], device=device)
        """Repetition penalty of each code of codebook 0: 1 for those not chosen yet."""
        self.repetition_penalty = torch.ones(rows, 1, device=device)
        self.active = torch.zeros(rows, dtype=torch.bool, device=device)
        self.codes = torch.zeros(rows, CODEBOOKS + 1, dtype=torch.long, device=device)
        """The last frame, and 1, or 0 where the talker's hidden state is not finite."""
        self.noise = torch.ones(rows, sum(self.sizes), device=device)
        self._talker_sampling = SlotSampling(rows, self.sizes[0], device)
        self._predictor_sampling = SlotSampling(rows, self.sizes[1], device)
        self._prefill_rows = torch.zeros(PREFILL_ROWS[-1], width, dtype=dtype, device=device)
        self._prefill_at = torch.zeros(2, dtype=torch.long, device=device)
        """First position of a prefill, and index of its last row."""
        self._rows = torch.arange(rows, device=device)
        self._range = torch.arange(length, device=device)
        self._state = (
            self.position,
            self.frames,
            self.hidden,
            self.text_end,
            self.end_from,
            self.penalty,
            self.repetition_penalty,
            self.active,
            *self._talker_sampling.tensors,
            *self._predictor_sampling.tensors,
        )

    # ------------------------------------------------------------------ prefill

    @torch.inference_mode()
    def prefill_prefix(self, rows: Tensor) -> Tensor:
        """Return the keys and values, [layers, 1, T, 2 * key heads, D], of a prompt's first rows, [T, H]."""
        self.prefill(rows, 0)
        return self.kv[:, self.staging : self.staging + 1, : rows.shape[0]].clone()

    @torch.inference_mode()
    def prepare(self, prompt: Prompt, sampling: Sampling, prefix: Tensor | None = None) -> None:
        """Prefill the staging slot. ``prefix``: keys and values of ``prompt.prefix``, if computed before."""
        slot = self.staging
        if prompt.length >= self.length:
            raise ValueError(f"a prompt of {prompt.length} rows does not fit into {self.length} positions")
        if prefix is None:
            prefix = self.prefill_prefix(prompt.prefix)
        known = prefix.shape[2]
        self.kv[:, slot : slot + 1, :known] = prefix
        self.prefill(prompt.rows, known)
        self.frames[slot] = 0
        self.text_end[slot] = 0
        self.text[slot, 0] = prompt.pad
        self.push_text(slot, 0, prompt.text)
        self.end_from[slot] = MIN_FRAMES
        self.penalty[slot] = 1
        self.repetition_penalty[slot] = sampling.repetition_penalty
        self._talker_sampling.set(slot, sampling.talker)
        self._predictor_sampling.set(slot, sampling.predictor)
        self.active[slot] = True

    @torch.inference_mode()
    def prefill(self, rows: Tensor, start: int) -> None:
        """Run the talker on ``rows``, [T, H], from position ``start`` of the staging slot on."""
        end = start + rows.shape[0]
        if self._graphs is None:
            self._prefill_exactly(rows, start)
        else:
            while len(rows):
                count = self._prefill_piece(rows, start)
                rows, start = rows[count:], start + count
        self.position[self.staging] = end

    def _prefill_piece(self, rows: Tensor, start: int) -> int:
        """Run the talker on the first of ``rows``, in one of the fixed shapes; return how many they were."""
        assert self._graphs is not None
        fitting = [size for size in PREFILL_ROWS if start + size <= self.length]
        if not fitting:  # fewer positions are left than the smallest shape has
            self._prefill_exactly(rows, start)
            return len(rows)
        padded = smallest_bucket(fitting, len(rows)) or fitting[-1]
        count = min(len(rows), padded)
        self._prefill_rows[:count] = rows[:count]
        self._prefill_at.copy_(torch.tensor([start, count - 1]))
        seen = smallest_bucket(self._lengths, start + padded)
        assert seen is not None
        self._graphs.run(("prefill", padded, seen), lambda: self.prefill_padded(padded, seen))
        return count

    def prefill_padded(self, padded: int, seen: int) -> None:
        """``prefill``, as a function of tensors only.

        Rows do not attend to the padding after the last one; later keys and values overwrite it.
        """
        slot = self.staging
        kv = self.kv[:, slot : slot + 1]
        start, last = self._prefill_at.unbind()
        position = start + self._range[:padded]

        def store(layer: int, new: Tensor) -> Tensor:
            kv[layer, 0].index_copy_(0, position, new[0])
            return kv[layer, :, :seen]

        mask = self._range[:seen] <= position[:, None]
        hidden = self.talker.forward(
            self._prefill_rows[None, :padded],
            self.talker.cos[position][None],
            self.talker.sin[position][None],
            store,
            mask[None, None],
        )
        self.hidden[slot] = hidden[0].index_select(0, last[None])[0]

    def _prefill_exactly(self, rows: Tensor, start: int) -> None:
        end = start + rows.shape[0]
        slot = self.staging
        kv = self.kv[:, slot : slot + 1]

        def store(layer: int, new: Tensor) -> Tensor:
            kv[layer, :, start:end] = new
            return kv[layer, :, :end]

        mask = self._range[:end] <= self._range[start:end, None]
        hidden = self.talker.forward(
            rows[None],
            self.talker.cos[None, start:end],
            self.talker.sin[None, start:end],
            store,
            mask[None, None],
        )
        self.hidden[slot] = hidden[0, -1]

    @torch.inference_mode()
    def copy_slot(self, source: int, target: int, length: int | None = None) -> None:
        """Copy slot ``source`` to slot ``target``. ``length``: positions in use, all if not known."""
        self.kv[:, target, :length] = self.kv[:, source, :length]
        self.text[target] = self.text[source]
        for tensor in self._state:
            tensor[target] = tensor[source]
        self._talker_sampling.copy_slot(source, target)
        self._predictor_sampling.copy_slot(source, target)

    @torch.inference_mode()
    def clear(self, slot: int) -> None:
        """Zero a slot's keys and values: values that are not finite spoil results even where masked."""
        self.kv[:, slot] = 0

    @torch.inference_mode()
    def push_text(self, slot: int, end: int, rows: Tensor) -> int:
        """Append ``rows``, [T, H], to a slot's ``end`` rows of text; return the new number of rows."""
        count = rows.shape[0]
        if count:
            self.text[slot, end + count] = self.text[slot, end]
            self.text[slot, end : end + count] = rows
            self.text_end[slot] = end + count
        return end + count

    # ------------------------------------------------------------------ a frame

    @torch.inference_mode()
    def draw(self, slot: int, noise: Noise) -> None:
        """Draw the noise of a slot's next frame."""
        noise.fill(self.noise[slot])

    @torch.inference_mode()
    def predict(self, first: int, last: int) -> Tensor:
        """Choose the next frame of slots ``first`` to ``last`` (exclusive): [B, 17] int64.

        Sixteen codes, and 1, or 0 where the codes are invalid because the talker's state is not finite. Where
        the first code is ``eos``, the generation has ended and the other fifteen are invalid.
        """
        rows = slice(first, last) if self._graphs is None else self._padded(last)
        variants = self._talker_sampling.variant(rows), self._predictor_sampling.variant(rows)
        if self._graphs is None:
            return self.predict_rows(rows, *variants)
        function = functools.partial(self.predict_rows, rows, *variants)
        codes: Tensor = self._graphs.run(("predict", rows.stop, variants), function)
        return codes[first:last]

    def _padded(self, last: int) -> slice:
        """Return the padded rows of a step up to slot ``last`` (exclusive)."""
        stop = smallest_bucket(self._buckets, last)
        assert stop is not None
        return slice(0, stop)

    def predict_rows(self, rows: slice, talker: SamplingVariant, predictor: SamplingVariant) -> Tensor:
        """``predict``, as a function of tensors only."""
        hidden = self.hidden[rows]
        noise = self.noise[rows].split(self.sizes, 1)
        codes = self.codes[rows]
        penalty = self.penalty[rows]

        logits = self._heads[0](hidden).float()
        logits = torch.where(logits < 0, logits * penalty, logits / penalty)
        logits += self._suppressed
        logits[:, self.eos].masked_fill_(self.frames[rows] < self.end_from[rows], -torch.inf)
        code = self._sample(logits, noise[0], self._talker_sampling, rows, talker)
        codes[:, 0] = code
        codes[:, CODEBOOKS] = hidden.isfinite().all(-1)
        chosen = code[:, None]
        factor = torch.where(
            self.active[rows, None], self.repetition_penalty[rows], penalty.gather(1, chosen)
        )
        penalty.scatter_(1, chosen, factor)

        kv = self._predictor_kv[:, rows]
        cos, sin = self.predictor.cos, self.predictor.sin
        projected = hidden if self._project is None else self._project(hidden)
        x = torch.stack((projected, F.embedding(code, self._codes_in_predictor)), 1)
        start = 0
        mask: Tensor | None = self._range[:2] <= self._range[:2, None]
        for codebook in range(1, CODEBOOKS):
            end = codebook + 1

            def store(layer: int, new: Tensor, start: int = start, end: int = end) -> Tensor:
                kv[layer, :, start:end] = new
                return kv[layer, :, :end]

            y = self.predictor.forward(
                x,
                cos[None, start:end],
                sin[None, start:end],
                store,
                None if mask is None else mask[None, None],
            )
            logits = self._heads[codebook](y[:, -1]).float()
            code = self._sample(logits, noise[codebook], self._predictor_sampling, rows, predictor)
            codes[:, codebook] = code
            if end < CODEBOOKS:
                x = F.embedding(code + self._starts[codebook], self._codes_in_predictor)[:, None]
            start, mask = end, None
        return codes

    @torch.inference_mode()
    def advance(self, first: int, last: int, longest: int | None = None) -> None:
        """Run the talker on the frame that ``predict`` chose. Inactive rows do not change.

        ``longest``: the largest position of any row; if None, read from the device.
        """
        seen = 1 + (int(self.position[first:last].max()) if longest is None else longest)
        if self._graphs is None:
            self.advance_rows(slice(first, last), seen)
            return
        rows, padded = self._padded(last), smallest_bucket(self._lengths, seen)
        assert padded is not None
        function = functools.partial(self.advance_rows, rows, padded)
        self._graphs.run(("advance", rows.stop, padded), function)

    def advance_rows(self, rows: slice, seen: int) -> None:
        """``advance``, as a function of tensors only. ``seen``: positions that are attended to."""
        position, frames, active = self.position[rows], self.frames[rows], self.active[rows]
        index = self._rows[rows]
        frame = F.embedding(self.codes[rows, :CODEBOOKS] + self._offsets, self._codes_in).sum(1)
        text = self.text[index, torch.minimum(frames, self.text_end[rows])]
        kv = self.kv[:, rows]
        local = index - rows.start

        def store(layer: int, new: Tensor) -> Tensor:
            kv[layer].index_put_((local, position), new[:, 0])
            return kv[layer, :, :seen]

        mask = self._range[:seen] <= position[:, None]
        hidden = self.talker.forward(
            (frame + text)[:, None],
            self.talker.cos[position][:, None],
            self.talker.sin[position][:, None],
            store,
            mask[:, None, None],
        )
        self.hidden[rows] = torch.where(active[:, None], hidden[:, 0], self.hidden[rows])
        position += active
        frames += active

    def warm_up_calls(self) -> list[Callable[[], object]]:
        """Return calls that, made twice before any generation, do everything that is slow the first time."""
        rows = self._codes_in.new_zeros(PREFILL_ROWS[-1], self._codes_in.shape[1])
        sizes = self._buckets if self._graphs is not None else self._buckets[:1]
        calls: list[Callable[[], object]] = [functools.partial(self.set_active, ())]
        for seen in self._lengths:
            calls += [
                functools.partial(self.prefill, rows[:count], seen - count)
                for count in (PREFILL_ROWS if self._graphs is not None else PREFILL_ROWS[:1])
                if count <= seen
            ]
            calls += [functools.partial(self.advance, 0, size, seen - 1) for size in sizes]
        return calls + [functools.partial(self.predict, 0, size) for size in sizes]

    @torch.inference_mode()
    def set_active(self, slots: Sequence[int]) -> None:
        """Activate exactly these slots for the next steps."""
        self.active.fill_(False)
        if slots:
            self.active[list(slots)] = True
