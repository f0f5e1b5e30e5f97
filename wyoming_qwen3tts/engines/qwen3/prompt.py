"""From text and voice to the rows the talker hears before its first frame.

The rows are those of the official ``generate`` (qwen-tts 0.1.1, ``modeling_qwen3_tts.py`` 2082-2257), in its
order: the instruction as a user's turn, three rows of the assistant's turn, the marks of language and speaker
summed with text padding, and the text in one of two layouts.

- *whole* (official ``non_streaming_mode=True``): all of the text, then the first frame.
- *streaming* (``False``): the first text token, then one token a frame while the voice speaks.

A clone with a transcript (ICL) has its reference, text and codes, before or beside the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .download import spoken, supports_instructions

ROLE_ROWS = 3
"""``<|im_start|>``, ``assistant`` and a line feed."""
CLOSING = 5
"""Tokens after the text: ``<|im_end|>``, a line feed, and the next turn's three."""
REFERENCE_CLOSING = 2
"""Tokens after a reference's transcript: ``<|im_end|>`` and a line feed."""


@dataclass(frozen=True, slots=True, eq=False)
class Clone:
    """A voice from a recording: what a Base checkpoint needs of it."""

    embedding: Tensor
    """[H]: the speaker encoder's x-vector."""
    digest: str
    """Tells this clone from every other one: what is remembered of a voice is found by it."""
    codes: Tensor | None = None
    """[frames, 16] int64: the recording itself, for a clone by example (ICL)."""
    transcript: str = ""
    """What is said in it; needed with ``codes``."""
    heard: tuple[Tensor, ...] | None = None
    """The codec's state after ``codes``, where it is known."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What to say and how, in the model's own terms."""

    text: str
    language: str = "auto"
    """A name the checkpoint knows, such as ``german``, or ``auto``."""
    speaker: str | None = None
    """A CustomVoice checkpoint's speaker."""
    clone: Clone | None = None
    """A Base checkpoint's voice."""
    instruct: str = ""
    """How to say it, in words; the 0.6B CustomVoice model does not listen to it."""
    streaming: bool = False
    """The layout: see the module."""
    more: bool = False
    """The text goes on: its end is not part of the prompt. In the streaming layout only."""

    @property
    def voice_key(self) -> tuple[object, ...]:
        """Everything that the rows before the text depend on."""
        clone = (self.clone.digest, self.streaming) if self.clone else None
        return self.language, self.speaker, clone, self.instruct


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """The talker's input. Rows are [T, H] in the model's dtype."""

    key: tuple[object, ...]
    """Equal keys have equal ``prefix``."""
    prefix: Tensor
    """The rows that do not depend on the text."""
    rows: Tensor
    """The rows after it; at least one."""
    text: Tensor
    """Rows added to the frames, one a frame, as they are made; may be empty."""
    pad: Tensor
    """[H]: the row added when ``text`` is used up."""
    tokens: int = 0
    """Text tokens to be spoken."""
    clone: Clone | None = None
    """The voice, where it has an example: what the codec has heard before the first frame."""

    @property
    def length(self) -> int:
        """Rows before the first frame."""
        return self.prefix.shape[0] + self.rows.shape[0]


class StableText:
    """Text that arrives in pieces, given on as soon as its tokens are known.

    The tokenizer cuts text into words first, and only the last word can still change; so that one is held
    back. The tokens of the pieces are those of the whole.
    """

    def __init__(self, tokenizer: Any) -> None:
        """``tokenizer``: the checkpoint's, a fast one."""
        self._normalizer = tokenizer.backend_tokenizer.normalizer
        self._words = tokenizer.backend_tokenizer.pre_tokenizer
        self._held = ""

    def push(self, text: str, *, end: bool = False) -> str:
        """Add ``text``; return what will not change any more: all of it at the end."""
        held = self._held + text
        if self._normalizer is not None:
            held = self._normalizer.normalize_str(held)
        words = self._words.pre_tokenize_str(held)
        known = len(held) if end else words[-1][1][0] if words else 0
        self._held = held[known:]
        return held[:known]


class PromptBuilder:
    """Builds prompts for one checkpoint."""

    def __init__(self, official: Any) -> None:
        """``official``: ``qwen_tts.Qwen3TTSModel``."""
        self._tokenizer = official.processor.tokenizer
        self._talker = official.model.talker
        self._config = official.model.config
        self._device = self._talker.get_input_embeddings().weight.device
        config = self._config
        marks = [config.tts_bos_token_id, config.tts_eos_token_id, config.tts_pad_token_id]
        self._bos, self._eos, self._pad = self._text(marks).unbind()
        opening = len(self.tokens("<|im_start|>assistant\n"))
        if opening != ROLE_ROWS:
            raise ValueError(f"the tokenizer makes {opening} tokens, not {ROLE_ROWS}, of a turn's opening")

    # ------------------------------------------------------------------ what may be asked for

    @property
    def kind(self) -> str:
        """``custom_voice``, ``base`` or ``voice_design``."""
        return str(self._config.tts_model_type)

    @property
    def supports_instructions(self) -> bool:
        """Whether ``instruct`` changes anything."""
        return supports_instructions(self.kind, self._config.tts_model_size)

    @property
    def speakers(self) -> Sequence[str]:
        """The speakers of a CustomVoice checkpoint."""
        return list(self._config.talker_config.spk_id)

    @property
    def languages(self) -> Sequence[str]:
        """The languages ``Speech.language`` may name, besides ``auto``."""
        return spoken(self._config.talker_config.codec_language_id)

    # ------------------------------------------------------------------ the rows

    def stable_text(self) -> StableText:
        """Return what holds text back until its tokens are known."""
        return StableText(self._tokenizer)

    def tokens(self, text: str) -> list[int]:
        """Return the text's token ids."""
        return list(self._tokenizer(text)["input_ids"])

    @torch.inference_mode()
    def build(self, speech: Speech) -> Prompt:
        """Return the prompt. Raises ValueError for a language or voice the checkpoint does not have."""
        self._check(speech)
        spoken = self.tokens(f"<|im_start|>assistant\n{speech.text}<|im_end|>\n<|im_start|>assistant\n")
        role, text = spoken[:ROLE_ROWS], spoken[ROLE_ROWS:-CLOSING]
        if not text:
            raise ValueError("there is no text to speak")
        opening = self._opening_rows(speech, role)
        clone = speech.clone
        if clone is not None and clone.codes is not None:
            return self._by_example(speech, opening, text)
        codec = self._config.talker_config
        bos = self._codes([codec.codec_bos_id])
        if speech.streaming:
            rows = self._text(text[:1]) + bos
            trailing = self.text_rows(text[1:], end=not speech.more)
        else:
            padding = self._codes([codec.codec_pad_id])
            rows = torch.cat((torch.cat((self._text(text), self._eos[None])) + padding, self._pad + bos))
            trailing = self._none()
        return Prompt(speech.voice_key, opening, rows, trailing, self._pad, len(text))

    def _check(self, speech: Speech) -> None:
        if speech.language != "auto" and speech.language not in self._config.talker_config.codec_language_id:
            known = ", ".join(self.languages)
            raise ValueError(f"the model does not speak {speech.language!r}; it speaks {known}")
        if self.kind == "custom_voice" and speech.speaker not in self._config.talker_config.spk_id:
            raise ValueError(
                f"the model has no speaker {speech.speaker!r}; it has {', '.join(self.speakers)}"
            )
        if self.kind == "base" and speech.clone is None:
            raise ValueError("a Base checkpoint speaks with a cloned voice only")
        if speech.speaker is not None and self.kind != "custom_voice":
            raise ValueError(f"a {self.kind} checkpoint has no speakers")
        if speech.clone is not None and self.kind != "base":
            raise ValueError(f"a {self.kind} checkpoint cannot clone")

    def _opening_rows(self, speech: Speech, role: Sequence[int]) -> Tensor:
        """Return instruction, role, language and speaker: everything before the text."""
        codec = self._config.talker_config
        language = self._language_id(speech)
        if language is None:
            marks = [codec.codec_nothink_id, codec.codec_think_bos_id, codec.codec_think_eos_id]
        else:
            marks = [codec.codec_think_id, codec.codec_think_bos_id, language, codec.codec_think_eos_id]
        codes = [self._codes(marks)]
        if speech.speaker is not None:
            codes.append(self._codes([codec.spk_id[speech.speaker]]))
        elif speech.clone is not None:
            codes.append(speech.clone.embedding.to(self._pad)[None])
        codes.append(self._codes([codec.codec_pad_id]))
        voice = torch.cat(codes)
        texts = torch.cat((self._pad.expand(len(voice) - 1, -1), self._bos[None]))
        rows = [self._text(role), texts + voice]
        if speech.instruct and self.supports_instructions:
            rows.insert(0, self._text(self.tokens(f"<|im_start|>user\n{speech.instruct}<|im_end|>\n")))
        return torch.cat(rows)

    def _language_id(self, speech: Speech) -> int | None:
        codec = self._config.talker_config
        if speech.speaker is not None and speech.language in {"chinese", "auto"}:
            dialect = codec.spk_is_dialect[speech.speaker]
            if dialect:
                return int(codec.codec_language_id[dialect])
        return None if speech.language == "auto" else int(codec.codec_language_id[speech.language])

    def _by_example(self, speech: Speech, opening: Tensor, text: Sequence[int]) -> Prompt:
        """Return the prompt of a clone that continues its reference."""
        clone = speech.clone
        assert clone is not None
        assert clone.codes is not None
        codec = self._config.talker_config
        said = self.tokens(f"<|im_start|>assistant\n{clone.transcript}<|im_end|>\n")
        said = said[ROLE_ROWS:-REFERENCE_CLOSING]
        texts = self.text_rows([*said, *text], end=not speech.more)
        reference = clone.codes.to(self._device)
        heard = torch.cat((self._codes([codec.codec_bos_id]), self._frames(reference)))
        if speech.streaming:
            # Text and codes stand beside each other; what is longer goes on alone.
            beside = min(len(texts), len(heard))
            padded = torch.cat((texts[:beside], self._pad.expand(len(heard) - beside, -1)))
            rows, trailing = padded + heard, texts[beside:]
            constant = min(len(said), len(rows) - 1)
        else:
            rows = torch.cat((texts + self._codes([codec.codec_pad_id]), heard + self._pad))
            trailing, constant = self._none(), len(said)
        prefix, rows = torch.cat((opening, rows[:constant])), rows[constant:]
        return Prompt(speech.voice_key, prefix, rows, trailing, self._pad, len(text), clone)

    def text_rows(self, tokens: Sequence[int], *, end: bool) -> Tensor:
        """Return the rows of more text for a take in the streaming layout; ``end`` adds the text's end."""
        rows = self._text(tokens)
        return torch.cat((rows, self._eos[None])) if end else rows

    def _text(self, tokens: Sequence[int]) -> Tensor:
        ids = torch.tensor(tokens, dtype=torch.long, device=self._device)
        rows: Tensor = self._talker.text_projection(self._talker.get_text_embeddings()(ids))
        return rows

    def _codes(self, codes: Sequence[int]) -> Tensor:
        ids = torch.tensor(codes, dtype=torch.long, device=self._device)
        rows: Tensor = self._talker.get_input_embeddings()(ids)
        return rows

    def _frames(self, codes: Tensor) -> Tensor:
        """Return the summed embeddings, [frames, H], of [frames, 16] codes."""
        tables = [self._talker.get_input_embeddings(), *self._talker.code_predictor.get_input_embeddings()]
        return torch.stack([table(codes[:, index]) for index, table in enumerate(tables)], 1).sum(1)

    def _none(self) -> Tensor:
        return self._pad.new_zeros(0, self._pad.shape[0])
