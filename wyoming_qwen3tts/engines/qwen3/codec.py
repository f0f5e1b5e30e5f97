"""The audio codec: decodes codes a few frames at a time, with the samples of a whole decode.

The codec's decoder is causal: a frame's 1920 samples depend on its own codes and earlier ones, through
convolutions and a transformer with a window of 72 frames. The state between calls is the last inputs of every
convolution, and the keys and values in the window. Nothing is decoded twice, and nothing is approximated: any
split into chunks gives the samples of the whole, up to rounding.

(Decoding each chunk again with some frames of context is not exact: 12 dB of signal to noise at 72 frames,
because the receptive field is about 580. The official ``chunked_decode`` differs from its own whole decode
past 24 s.)

B: rows of a call. T: frames of a call. State is [slots + 1, ...]: one slot per generation and a spare one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .graphs import Graphs, batch_buckets, smallest_bucket

SAMPLES_PER_FRAME = 1920
"""80 ms at 24 kHz."""

FIXED_FRAME_COUNTS = (1, 2, 4, 8)
"""Frame counts of calls with fixed shapes."""

Rows = slice | Tensor
"""The slots of a call: contiguous ones, or [B] indices."""


class Convolution:
    """A causal convolution of stride 1. Its state is the end of its last input."""

    def __init__(self, module: Any, slots: int) -> None:
        self._conv = module.conv
        self._past = int(module.padding)
        weight = self._conv.weight
        self.state = weight.new_zeros(slots, self._conv.in_channels, self._past)

    def __call__(self, x: Tensor, rows: Rows) -> Tensor:
        """[B, C, L] to [B, C', L]."""
        if self._past:
            x = torch.cat((self.state[rows], x), -1)
            self.state[rows] = x[..., -self._past :]
        y: Tensor = self._conv(x)
        return y


class Upsampling:
    """A causal transposed convolution whose kernel is as wide as its stride, or twice as wide.

    Computed as a plain convolution that gives ``stride`` samples for each input. With the wide kernel the
    state is the last input, whose second half has yet to be added.
    """

    def __init__(self, module: Any, slots: int) -> None:
        conv = module.conv
        weight: Tensor = conv.weight  # [in, out, kernel]
        self._stride: int = conv.stride[0]
        self._out: int = conv.out_channels
        self._past = weight.shape[2] // self._stride - 1
        if weight.shape[2] != self._stride * (self._past + 1) or self._past > 1:
            raise ValueError(f"a transposed convolution of width {weight.shape[2]} and stride {self._stride}")
        taps = weight.view(weight.shape[0], self._out, self._past + 1, self._stride)
        # [stride * out, in, taps], the oldest input first
        self._weight = (
            taps.permute(3, 1, 0, 2).reshape(-1, weight.shape[0], self._past + 1).flip(-1).contiguous()
        )
        self._bias = conv.bias.repeat(self._stride)
        self.state = weight.new_zeros(slots, weight.shape[0], self._past)

    def __call__(self, x: Tensor, rows: Rows) -> Tensor:
        """[B, C, L] to [B, C', L * stride]."""
        if self._past:
            x = torch.cat((self.state[rows], x), -1)
            self.state[rows] = x[..., -self._past :]
        y = F.conv1d(x, self._weight, self._bias)
        y = y.view(y.shape[0], self._stride, self._out, -1).permute(0, 2, 3, 1)
        return y.reshape(y.shape[0], self._out, -1)


class Snake:
    """SnakeBeta: ``x + sin(a x)^2 / b``, with a and b per channel."""

    def __init__(self, module: Any) -> None:
        self._frequency = module.alpha.exp()[:, None]
        self._magnitude = 1 / (module.beta.exp()[:, None] + module.no_div_by_zero)

    def __call__(self, x: Tensor) -> Tensor:
        """[B, C, L] to the same."""
        wave = (x * self._frequency).sin_().square_()
        return torch.addcmul(x, wave, self._magnitude)


class WindowedTransformer:
    """The codec's transformer: 8 layers with a window of 72 frames. Its state is their keys and values."""

    def __init__(self, module: Any, slots: int, length: int) -> None:
        """``length``: maximum frames of a generation."""
        self._module = module
        config = module.config
        self._past = int(config.sliding_window) - 1
        attention = module.layers[0].self_attn
        self._dim: int = attention.head_dim
        weight: Tensor = module.input_proj.weight
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        if heads != kv_heads:
            raise ValueError(f"a codec with shared key heads ({heads} heads, {kv_heads} key heads)")
        self._heads: int = heads
        shape = (len(module.layers), slots, 2, heads, self._past, self._dim)
        self.state = weight.new_zeros(shape)
        self.position = torch.zeros(slots, dtype=torch.long, device=weight.device)
        angles = torch.outer(
            torch.arange(length, dtype=torch.float32), module.rotary_emb.inv_freq.float().cpu()
        )
        scale = module.rotary_emb.attention_scaling
        sine = angles.sin() * scale
        self._cos = (torch.cat((angles, angles), -1).cos() * scale).to(weight)
        self._sin = torch.cat((-sine, sine), -1).to(weight)
        self._back = torch.arange(-self._past, 0, device=weight.device)
        self._ahead = torch.arange(length, device=weight.device)

    def __call__(self, x: Tensor, rows: Rows) -> Tensor:
        """[B, T, latent] to the same."""
        batch, frames, _ = x.shape
        heads, dim, past = self._heads, self._dim, self._past
        start = self.position[rows]
        at = start[:, None] + self._ahead[:frames]
        cos, sin = self._cos[at][:, :, None], self._sin[at][:, :, None]
        # Each new frame attends to itself and the earlier frames within the window.
        keys = torch.cat((start[:, None] + self._back, at), 1)[:, None, None]
        here = at[:, None, :, None]
        mask = (keys >= 0) & (keys <= here) & (keys >= here - past)
        x = self._module.input_proj(x)
        for index, layer in enumerate(self._module.layers):
            attention = layer.self_attn
            y = layer.input_layernorm(x)
            q = attention.q_proj(y).view(batch, frames, heads, dim)
            k = attention.k_proj(y).view(batch, frames, heads, dim)
            v = attention.v_proj(y).view(batch, frames, heads, dim)
            q = torch.addcmul(q * cos, q.roll(dim // 2, -1), sin)
            k = torch.addcmul(k * cos, k.roll(dim // 2, -1), sin)
            new = torch.stack((k, v), 1).transpose(2, 3)  # [B, 2, heads, T, D]
            keys_values = torch.cat((self.state[index, rows], new), 3)
            self.state[index, rows] = keys_values[:, :, :, -past:]
            mixed = F.scaled_dot_product_attention(
                q.transpose(1, 2), keys_values[:, 0], keys_values[:, 1], attn_mask=mask
            )
            mixed = mixed.transpose(1, 2).reshape(batch, frames, heads * dim)
            x = x + layer.self_attn_layer_scale(attention.o_proj(mixed))
            x = x + layer.mlp_layer_scale(layer.mlp(layer.post_attention_layernorm(x)))
        self.position[rows] = start + frames
        latent: Tensor = self._module.output_proj(self._module.norm(x))
        return latent


class Codec:
    """The stateful decoder of the 12 Hz codec. Not thread-safe: one thread owns it."""

    @torch.no_grad()
    def __init__(self, decoder: Any, *, slots: int, length: int, graphs: Graphs | None = None) -> None:
        """``decoder``: the official ``Qwen3TTSTokenizerV2Decoder``, in the dtype to compute in.

        ``slots``: maximum batch size. ``length``: maximum frames of a generation, its reference included.
        ``graphs``: pads calls of one to eight frames to fixed shapes and captures them.
        """
        rows = slots + 1
        self._graphs = graphs
        self._buckets = batch_buckets(slots)
        device = decoder.pre_conv.conv.weight.device
        self._rows = torch.full((slots,), slots, dtype=torch.long, device=device)
        self._codes = torch.zeros(slots, FIXED_FRAME_COUNTS[-1], 16, dtype=torch.long, device=device)
        self.spare_slot = slots
        """A slot that no generation uses."""
        self.codebooks: int = decoder.config.num_quantizers
        self._decoder = decoder
        self._quantizer = Quantizer(decoder.quantizer)
        self._pre = Convolution(decoder.pre_conv, rows)
        self._window = WindowedTransformer(decoder.pre_transformer, rows, length)
        self._widen = [(Upsampling(up, rows), Convolution(n.dwconv, rows), n) for up, n in decoder.upsample]
        self._first = Convolution(decoder.decoder[0], rows)
        self._blocks = [
            (
                Snake(block.block[0]),
                Upsampling(block.block[1], rows),
                [
                    (Snake(r.act1), Convolution(r.conv1, rows), Snake(r.act2), r.conv2.conv)
                    for r in block.block[2:]
                ],
            )
            for block in decoder.decoder[1:-2]
        ]
        self._last_snake = Snake(decoder.decoder[-2])
        self._last = Convolution(decoder.decoder[-1], rows)
        stateful: list[Convolution | Upsampling] = [self._pre, self._first, self._last]
        stateful += [part for up, conv, _ in self._widen for part in (up, conv)]
        for _, up, residuals in self._blocks:
            stateful += [up, *(conv for _, conv, _, _ in residuals)]
        self._states = [self._window.position, *(part.state for part in stateful)]

    @torch.inference_mode()
    def reset(self, slot: int) -> None:
        """Clear a slot's state for a new generation."""
        self._window.state[:, slot] = 0
        for state in self._states:
            state[slot] = 0

    @torch.inference_mode()
    def save(self, slot: int) -> tuple[Tensor, ...]:
        """Return a copy of a slot's state."""
        return tuple(part.clone() for part in (self._window.state[:, slot], *(s[slot] for s in self._states)))

    @torch.inference_mode()
    def restore(self, slot: int, saved: tuple[Tensor, ...]) -> None:
        """Set a slot's state to what ``save`` returned."""
        self._window.state[:, slot] = saved[0]
        for state, part in zip(self._states, saved[1:], strict=True):
            state[slot] = part

    @torch.inference_mode()
    def copy_slot(self, source: int, target: int) -> None:
        """Copy slot ``source`` to slot ``target``."""
        self._window.state[:, target] = self._window.state[:, source]
        for state in self._states:
            state[target] = state[source]

    @torch.inference_mode()
    def decode(self, codes: Tensor, slots: Sequence[int]) -> Tensor:
        """Return the audio, [B, T * 1920] in [-1, 1], of the next [B, T, 16] codes of some slots."""
        count, frames = codes.shape[:2]
        bucket = smallest_bucket(self._buckets, count)
        if self._graphs is None or frames not in FIXED_FRAME_COUNTS or bucket is None:
            first = slots[0]
            if list(slots) == list(range(first, first + count)):
                return self.decode_rows(codes, slice(first, first + count))
            return self.decode_rows(codes, torch.tensor(slots, device=codes.device))
        self._rows.fill_(self.spare_slot)
        if bucket > count:  # the padding rows are the spare slot's, which must not run out of positions
            self._window.position[self.spare_slot] = 0
        self._rows[:count] = torch.tensor(slots)
        self._codes[:count, :frames] = codes
        static = self._codes[:bucket, :frames], self._rows[:bucket]
        audio: Tensor = self._graphs.run(
            ("codec", bucket, frames), functools.partial(self.decode_rows, *static)
        )
        # Graphs share memory: another graph's replay may overwrite this audio before it is used.
        return audio[:count].clone()

    @torch.inference_mode()
    def decode_last(self, codes: Tensor, slots: Sequence[int]) -> Tensor:
        """``decode``, for the last codes of these slots: their state is undefined afterwards.

        Padded to a fixed shape: the codec is causal, so later frames do not change the audio of earlier ones.
        """
        frames = codes.shape[1]
        padded = smallest_bucket(FIXED_FRAME_COUNTS, frames) or frames
        if self._graphs is not None and padded > frames:
            codes = F.pad(codes, (0, 0, 0, padded - frames))
        return self.decode(codes, slots)[:, : frames * SAMPLES_PER_FRAME]

    @torch.inference_mode()
    def advance_state(self, codes: Tensor, slot: int) -> None:
        """Decode [T, 16] codes of a slot for the state they leave; with graphs in calls of fixed shapes."""
        sizes = FIXED_FRAME_COUNTS if self._graphs is not None else (max(1, len(codes)),)
        while len(codes):
            size = next(size for size in reversed(sizes) if size <= len(codes))
            self.decode(codes[None, :size], [slot])
            codes = codes[size:]

    def warm_up_calls(self) -> list[Callable[[], object]]:
        """Return calls that, made twice before any generation, do everything that is slow the first time."""
        device = self._pre.state.device
        return [
            functools.partial(
                self.decode,
                torch.zeros(bucket, frames, self.codebooks, dtype=torch.long, device=device),
                range(bucket),
            )
            for bucket in (self._buckets if self._graphs is not None else self._buckets[:1])
            for frames in FIXED_FRAME_COUNTS
        ]

    def decode_rows(self, codes: Tensor, rows: Rows) -> Tensor:
        """``decode``, as a function of tensors only."""
        x = self._quantizer(codes)
        x = self._pre(x, rows)
        x = self._window(x.transpose(1, 2), rows).transpose(1, 2)
        for up, depthwise, block in self._widen:
            x = up(x, rows)
            y = block.norm(depthwise(x, rows).transpose(1, 2))
            y = block.gamma * block.pwconv2(block.act(block.pwconv1(y)))
            x = x + y.transpose(1, 2)
        x = self._first(x, rows)
        for snake, up, residuals in self._blocks:
            x = up(snake(x), rows)
            for before, conv, between, mix in residuals:
                x = x + mix(between(conv(before(x), rows)))
        x = self._last(self._last_snake(x), rows)
        return x[:, 0].clamp(-1, 1)


class Quantizer:
    """Codes to the codec's first signal: sixteen looked-up vectors, projected and summed."""

    def __init__(self, module: Any) -> None:
        first, rest = module.rvq_first, module.rvq_rest
        tables = []
        for part in (first, rest):
            for layer in part.vq.layers:
                book = layer._codebook
                vectors = book.embedding_sum / book.cluster_usage.clamp(min=book.epsilon)[:, None]
                tables.append(layer.project_out(vectors))
        self._semantic = first.output_proj
        self._acoustic = rest.output_proj
        self._count = len(first.vq.layers)
        size = tables[0].shape[0]
        self._vectors = torch.cat(tables)
        self._offsets = torch.arange(len(tables), device=self._vectors.device) * size

    def __call__(self, codes: Tensor) -> Tensor:
        """[B, T, 16] to [B, C, T]."""
        vectors = F.embedding(codes + self._offsets, self._vectors)  # [B, T, 16, C]
        semantic = vectors[:, :, : self._count].sum(2).transpose(1, 2)
        acoustic = vectors[:, :, self._count :].sum(2).transpose(1, 2)
        signal: Tensor = self._semantic(semantic) + self._acoustic(acoustic)
        return signal
