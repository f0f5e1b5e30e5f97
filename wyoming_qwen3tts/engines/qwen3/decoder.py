"""The two language models, one frame at a time, for a batch of takes at different positions.

A frame is 80 ms of sound: sixteen codes. The talker's last hidden state gives codebook 0; the code predictor,
a small model that starts anew each frame, gives the other fifteen, one after the other; the sum of the
sixteen code embeddings and one row of text is the talker's next input.

Every take lives in a slot: row ``slot`` of every state tensor. Shapes never change while a take runs, nothing
is allocated per frame but scratch, and a step is a plain function of static tensors, so that on CUDA the same
functions run as captured graphs (``graphs.py``). One slot more than there are takes is the staging slot,
where a prompt is prefilled before its take gets a slot of its own.

B: rows of a step (slots ``first`` to ``last``). H: hidden size. V: codes in codebook 0 (3072), of which only
2048 and the end are ever chosen. D: head dimension.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .graphs import PREFILLS, Graphs, at_least, buckets, lengths
from .prompt import Prompt
from .sampling import Choices, Noise, Sampling, Variant, choose

CODEBOOKS = 16
MIN_FRAMES = 2
"""The end is not chosen before: ``min_new_tokens`` of the official ``generate``."""

Linear = Callable[[Tensor], Tensor]
Quantize = Callable[[Tensor], Linear]


@dataclass(slots=True)
class Layer:
    """A transformer layer's weights, joined where they share an input."""

    qkv: Linear
    out: Linear
    gate_up: Linear
    down: Linear
    norm_in: Tensor
    norm_mid: Tensor
    norm_qk: Tensor
    """[query heads + key heads, D]: the norms of the heads, which see only their own head."""
    eps: float


class Stack:
    """The layers of a Qwen3 model: grouped-query attention with normed heads, SwiGLU."""

    def __init__(self, model: Any, length: int, linear: Quantize) -> None:
        """``model``: the official talker or code predictor model. ``length``: positions it is used for."""
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
        """Return room for keys and values: [layers, rows, length, 2 * key heads, D]."""
        shape = (len(self.layers), rows, length, 2 * self.kv_heads, self.dim)
        return torch.zeros(shape, dtype=self.norm.dtype, device=self.norm.device)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, store: Callable[[int, Tensor], Tensor], mask: Tensor | None
    ) -> Tensor:
        """Return the hidden states, [B, T, H], normed.

        ``x``: [B, T, H]. ``cos``, ``sin``: [B or 1, T, 1, D]. ``store(layer, kv)`` puts away the new keys and
        values, [B, T, 2 * key heads, D], and returns all there are, [B, S, 2 * key heads, D]. ``mask``:
        [B or 1, 1, T, S], True where a row may look; None where every row may look everywhere.
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
            # The query heads that share a key head stand as that key head's rows: no keys are repeated.
            q = qk[:, :, : self.heads].view(batch, length, self.kv_heads, group, self.dim)
            q = q.permute(0, 2, 3, 1, 4).reshape(batch, self.kv_heads, group * length, self.dim)
            k, v = kv.transpose(1, 2).split(self.kv_heads, 1)
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            if length > 1:
                seen = seen.view(batch, self.heads, length, self.dim).transpose(1, 2)
            x = x + layer.out(seen.reshape(batch, length, self.heads * self.dim))
            gate, up = layer.gate_up(F.rms_norm(x, (width,), layer.norm_mid, layer.eps)).chunk(2, -1)
            x = x + layer.down(F.silu(gate) * up)
        return F.rms_norm(x, (width,), self.norm, self.eps)


def plain(weight: Tensor) -> Linear:
    """Return the linear map of ``weight``, as it is."""
    return lambda x: F.linear(x, weight)


def _layer(layer: Any, linear: Quantize) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    heads = attention.q_proj.out_features // attention.head_dim
    kv_heads = attention.k_proj.out_features // attention.head_dim
    return Layer(
        qkv=_mapped(linear, attention.q_proj, attention.k_proj, attention.v_proj),
        out=_mapped(linear, attention.o_proj),
        gate_up=_mapped(linear, mlp.gate_proj, mlp.up_proj),
        down=_mapped(linear, mlp.down_proj),
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


def _mapped(linear: Quantize, *modules: Any) -> Linear:
    """Return one linear map for modules that share an input.

    The modules then look into the joined weight, so that the official model goes on working, for proofs and
    for reference voices, without a second copy. Of a quantized model only the quantized weights are kept.
    """
    weight = modules[0].weight if len(modules) == 1 else torch.cat([module.weight for module in modules])
    mapped = linear(weight)
    for module, part in zip(modules, weight.split([module.out_features for module in modules]), strict=True):
        module.weight.data = part if linear is plain else part.new_empty(0)
    return mapped


class Decoder:
    """Slots, and the three things that are done to them: ``prepare``, ``predict`` and ``advance``.

    Not thread-safe: one thread owns it.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: Any,
        *,
        slots: int,
        length: int,
        linear: Quantize = plain,
        chooser: Callable[[Tensor, Tensor, Choices, slice, Variant], Tensor] = choose,
        graphs: Graphs | None = None,
    ) -> None:
        """``model``: the official ``Qwen3TTSForConditionalGeneration``, in the dtype that shall be used.

        ``slots``: takes at a time. ``length``: positions of a take, prompt and frames together.
        ``linear``: what becomes of a linear layer's weight. ``chooser``: stands in for ``sampling.choose``.
        ``graphs``: pad every step to fixed shapes and record it.
        """
        talker, predictor = model.talker, model.talker.code_predictor
        self.slots, self.length, self.staging = slots, length, slots
        self._choose = chooser
        self._graphs = graphs
        self._buckets, self._lengths = buckets(slots), lengths(length)
        self.talker = Stack(talker.model, length, linear)
        self.predictor = Stack(predictor.model, CODEBOOKS + 1, linear)
        self.eos: int = talker.config.codec_eos_token_id
        device, dtype = self.talker.norm.device, self.talker.norm.dtype
        self.device, self.dtype = device, dtype

        heads = [talker.codec_head, *predictor.lm_head]
        self.sizes = tuple(head.out_features for head in heads)
        self._heads = [_mapped(linear, head) for head in heads]
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
        # The last 1024 codes of codebook 0 are speakers, languages and marks; of them only the end is chosen.
        self._suppressed = torch.zeros(self.sizes[0], device=device)
        self._suppressed[-1024:] = -torch.inf
        self._suppressed[self.eos] = 0

        rows, width = slots + 1, self._codes_in.shape[1]
        self.kv = self.talker.cache(rows, length)
        self._predictor_kv = self.predictor.cache(rows, CODEBOOKS)
        self.position = torch.zeros(rows, dtype=torch.long, device=device)
        """Where the next key and value go."""
        self.frames = torch.zeros(rows, dtype=torch.long, device=device)
        """Frames made; the row of text that the next one gets."""
        self.hidden = torch.zeros(rows, width, dtype=dtype, device=device)
        """What the talker said last."""
        self.text = torch.zeros(rows, length, width, dtype=dtype, device=device)
        """Rows of text added to a frame's embedding, one a frame; the one at ``text_end`` for ever."""
        self.text_end = torch.zeros(rows, dtype=torch.long, device=device)
        self.end_from = torch.full((rows,), MIN_FRAMES, dtype=torch.long, device=device)
        """Frames before which the end is not chosen."""
        self.penalty = torch.ones(rows, self.sizes[0], device=device)
        """What the repetition penalty makes of each code of codebook 0: 1 for those not said yet."""
        self.penalty_of = torch.ones(rows, 1, device=device)
        self.active = torch.zeros(rows, dtype=torch.bool, device=device)
        self.codes = torch.zeros(rows, CODEBOOKS + 1, dtype=torch.long, device=device)
        """The frame chosen last, and 1, or 0 where the talker's hidden state is not finite."""
        self.noise = torch.ones(rows, sum(self.sizes), device=device)
        self._talker_choices = Choices(rows, self.sizes[0], device)
        self._predictor_choices = Choices(rows, self.sizes[1], device)
        self._prefill_rows = torch.zeros(PREFILLS[-1], width, dtype=dtype, device=device)
        self._prefill_at = torch.zeros(2, dtype=torch.long, device=device)
        """Where a prefill starts, and its last row."""
        self._rows = torch.arange(rows, device=device)
        self._range = torch.arange(length, device=device)
        self._state = (
            self.position,
            self.frames,
            self.hidden,
            self.text_end,
            self.end_from,
            self.penalty,
            self.penalty_of,
            self.active,
            *self._talker_choices.tensors,
            *self._predictor_choices.tensors,
        )

    # ------------------------------------------------------------------ a take comes

    @torch.inference_mode()
    def prefix(self, rows: Tensor) -> Tensor:
        """Return the keys and values, [layers, 1, T, 2 * key heads, D], of a prompt's first rows, [T, H]."""
        self.prefill(rows, 0)
        return self.kv[:, self.staging : self.staging + 1, : rows.shape[0]].clone()

    @torch.inference_mode()
    def prepare(self, prompt: Prompt, sampling: Sampling, prefix: Tensor | None = None) -> None:
        """Fill the staging slot with a prompt. ``prefix``: keys and values of ``prompt.prefix``, if known."""
        slot = self.staging
        if prompt.length >= self.length:
            raise ValueError(f"a prompt of {prompt.length} rows does not fit into {self.length} positions")
        if prefix is None:
            prefix = self.prefix(prompt.prefix)
        known = prefix.shape[2]
        self.kv[:, slot : slot + 1, :known] = prefix
        self.prefill(prompt.rows, known)
        self.frames[slot] = 0
        self.text_end[slot] = 0
        self.text[slot, 0] = prompt.pad
        self.push_text(slot, 0, prompt.text)
        self.end_from[slot] = MIN_FRAMES
        self.penalty[slot] = 1
        self.penalty_of[slot] = sampling.repetition_penalty
        self._talker_choices.set(slot, sampling.talker)
        self._predictor_choices.set(slot, sampling.predictor)
        self.active[slot] = True

    @torch.inference_mode()
    def prefill(self, rows: Tensor, start: int) -> None:
        """Let the talker see ``rows``, [T, H], from position ``start`` of the staging slot on."""
        count = rows.shape[0]
        padded = at_least(PREFILLS, count)
        if self._graphs is None or padded is None or start + padded > self.length:
            self._prefill_exactly(rows, start)
        else:
            self._prefill_rows[:count] = rows
            self._prefill_at.copy_(torch.tensor([start, count - 1]))
            seen = at_least(self._lengths, start + padded)
            assert seen is not None
            self._graphs.run(("prefill", padded, seen), lambda: self.prefill_padded(padded, seen))
        self.position[self.staging] = start + count

    def prefill_padded(self, padded: int, seen: int) -> None:
        """``prefill``, as a function of tensors only.

        What stands after the last row is not looked at by those before it, and overwritten by what comes.
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
    def move(self, source: int, target: int, length: int | None = None) -> None:
        """Copy slot ``source`` to slot ``target``. ``length``: positions in use, all if not known."""
        self.kv[:, target, :length] = self.kv[:, source, :length]
        self.text[target] = self.text[source]
        for tensor in self._state:
            tensor[target] = tensor[source]
        self._talker_choices.moved(source, target)
        self._predictor_choices.moved(source, target)

    @torch.inference_mode()
    def clear(self, slot: int) -> None:
        """Forget a slot's keys and values: what is not a number spoils even what does not look at it."""
        self.kv[:, slot] = 0

    @torch.inference_mode()
    def push_text(self, slot: int, end: int, rows: Tensor) -> int:
        """Append ``rows``, [T, H], to the ``end`` rows of text of a slot; return how many there are now."""
        count = rows.shape[0]
        if count:
            self.text[slot, end + count] = self.text[slot, end]
            self.text[slot, end : end + count] = rows
            self.text_end[slot] = end + count
        return end + count

    # ------------------------------------------------------------------ a frame

    @torch.inference_mode()
    def draw(self, slot: int, noise: Noise) -> None:
        """Draw the randomness of a slot's next frame."""
        noise.fill(self.noise[slot])

    @torch.inference_mode()
    def predict(self, first: int, last: int) -> Tensor:
        """Choose the next frame of slots ``first`` to ``last`` (exclusive): [B, 17] int64.

        Sixteen codes, and 1, or 0 where the codes mean nothing because the talker's state is not finite. The
        first code may be ``eos``: the take has ended and the other fifteen mean nothing.
        """
        rows = slice(first, last) if self._graphs is None else self._padded(last)
        variants = self._talker_choices.variant(rows), self._predictor_choices.variant(rows)
        if self._graphs is None:
            return self.predict_rows(rows, *variants)
        function = functools.partial(self.predict_rows, rows, *variants)
        codes: Tensor = self._graphs.run(("predict", rows.stop, variants), function)
        return codes[first:last]

    def _padded(self, last: int) -> slice:
        """Return the rows of a step that has to reach slot ``last`` (exclusive)."""
        stop = at_least(self._buckets, last)
        assert stop is not None
        return slice(0, stop)

    def predict_rows(self, rows: slice, talker: Variant, predictor: Variant) -> Tensor:
        """``predict``, as a function of tensors only."""
        hidden = self.hidden[rows]
        noise = self.noise[rows].split(self.sizes, 1)
        codes = self.codes[rows]
        penalty = self.penalty[rows]

        logits = self._heads[0](hidden).float()
        logits = torch.where(logits < 0, logits * penalty, logits / penalty)
        logits += self._suppressed
        logits[:, self.eos].masked_fill_(self.frames[rows] < self.end_from[rows], -torch.inf)
        code = self._choose(logits, noise[0], self._talker_choices, rows, talker)
        codes[:, 0] = code
        codes[:, CODEBOOKS] = hidden.isfinite().all(-1)
        said = code[:, None]
        factor = torch.where(self.active[rows, None], self.penalty_of[rows], penalty.gather(1, said))
        penalty.scatter_(1, said, factor)

        kv = self._predictor_kv[:, rows]
        cos, sin = self.predictor.cos, self.predictor.sin
        heard = hidden if self._project is None else self._project(hidden)
        x = torch.stack((heard, F.embedding(code, self._codes_in_predictor)), 1)
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
            code = self._choose(logits, noise[codebook], self._predictor_choices, rows, predictor)
            codes[:, codebook] = code
            if end < CODEBOOKS:
                x = F.embedding(code + self._starts[codebook], self._codes_in_predictor)[:, None]
            start, mask = end, None
        return codes

    @torch.inference_mode()
    def advance(self, first: int, last: int, longest: int | None = None) -> None:
        """Let the talker hear the frame that ``predict`` chose. Inactive rows stay as they are.

        ``longest``: the largest position of any row; looked up on the device if not known.
        """
        seen = 1 + (int(self.position[first:last].max()) if longest is None else longest)
        if self._graphs is None:
            self.advance_rows(slice(first, last), seen)
            return
        rows, looked_at = self._padded(last), at_least(self._lengths, seen)
        assert looked_at is not None
        function = functools.partial(self.advance_rows, rows, looked_at)
        self._graphs.run(("advance", rows.stop, looked_at), function)

    def advance_rows(self, rows: slice, seen: int) -> None:
        """``advance``, as a function of tensors only. ``seen``: positions that attention looks at."""
        position, frames, active = self.position[rows], self.frames[rows], self.active[rows]
        index = self._rows[rows]
        spoken = F.embedding(self.codes[rows, :CODEBOOKS] + self._offsets, self._codes_in).sum(1)
        text = self.text[index, torch.minimum(frames, self.text_end[rows])]
        kv = self.kv[:, rows]
        local = index - rows.start

        def store(layer: int, new: Tensor) -> Tensor:
            kv[layer].index_put_((local, position), new[:, 0])
            return kv[layer, :, :seen]

        mask = self._range[:seen] <= position[:, None]
        hidden = self.talker.forward(
            (spoken + text)[:, None],
            self.talker.cos[position][:, None],
            self.talker.sin[position][:, None],
            store,
            mask[:, None, None],
        )
        self.hidden[rows] = torch.where(active[:, None], hidden[:, 0], self.hidden[rows])
        position += active
        frames += active

    def warm_ups(self) -> list[Callable[[], object]]:
        """Return calls that, made twice while nobody speaks, leave nothing to be done for the first time."""
        rows = self._codes_in.new_zeros(PREFILLS[-1], self._codes_in.shape[1])
        sizes = self._buckets if self._graphs is not None else self._buckets[:1]
        calls: list[Callable[[], object]] = [functools.partial(self.set_active, ())]
        for seen in self._lengths:
            calls += [
                functools.partial(self.prefill, rows[:count], seen - count)
                for count in (PREFILLS if self._graphs is not None else PREFILLS[:1])
                if count <= seen
            ]
            calls += [functools.partial(self.advance, 0, size, seen - 1) for size in sizes]
        return calls + [functools.partial(self.predict, 0, size) for size in sizes]

    @torch.inference_mode()
    def set_active(self, slots: Sequence[int]) -> None:
        """Let these slots, and no others, take part in the next steps."""
        self.active.fill_(False)
        if slots:
            self.active[list(slots)] = True
