"""Builds prompts: from text and voice to the talker's input rows before its first frame.

The rows are those of the official ``generate`` (qwen-tts 0.1.1, ``modeling_qwen3_tts.py`` 2082-2257), in its
order: the instruction as a user's turn, three rows of the assistant's turn, the special codes of language and
speaker summed with text padding, and the text in one of two layouts.

- *whole* (official ``non_streaming_mode=True``): all of the text, then the first frame.
- *streaming* (``False``): the first text token, then one token per generated frame.

For a clone with a transcript (in-context learning, ICL), the reference's text and codes are placed before the
text or summed with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .download import selectable_languages, supports_instructions

ROLE_ROWS = 3
"""``<|im_start|>``, ``assistant`` and a line feed."""
CLOSING_TOKENS = 5
"""Tokens after the text: ``<|im_end|>``, a line feed, and the three of the next turn."""
REFERENCE_CLOSING_TOKENS = 2
"""Tokens after a reference's transcript: ``<|im_end|>`` and a line feed."""


@dataclass(frozen=True, slots=True, eq=False)
class Clone:
    """A cloned voice: what a Base checkpoint needs of a recording."""

    embedding: Tensor
    """[H]: the speaker encoder's x-vector."""
    digest: str
    """Unique identifier of the clone; key of caches."""
    codes: Tensor | None = None
    """[frames, 16] int64: the encoded recording, for a clone by example (ICL)."""
    transcript: str = ""
    """Text of the recording; required with ``codes``."""
    codec_state: tuple[Tensor, ...] | None = None
    """The codec's state after ``codes``; None if it is not computed yet."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Text, voice and style of an utterance, in the model's terms."""

    text: str
    language: str = "auto"
    """One of the checkpoint's names, such as ``german``, or ``auto``."""
    speaker: str | None = None
    """A CustomVoice checkpoint's speaker."""
    clone: Clone | None = None
    """A Base checkpoint's voice."""
    instruct: str = ""
    """Style in words; the 0.6B CustomVoice model ignores it."""
    streaming: bool = False
    """The layout: see the module."""
    more: bool = False
    """More text follows: the prompt has no end of text. In the streaming layout only."""

    @property
    def voice_key(self) -> tuple[object, ...]:
        """Everything that the rows before the text depend on; key of the prefix cache."""
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
    """Rows added to the generated frames, one per frame; may be empty."""
    pad: Tensor
    """[H]: the row added after the last one of ``text``."""
    tokens: int = 0
    """Number of text tokens."""
    clone: Clone | None = None
    """A clone by example: the codec has to decode its codes before the first frame."""

    @property
    def length(self) -> int:
        """Rows before the first frame."""
        return self.prefix.shape[0] + self.rows.shape[0]


class StableText:
    """Returns text that arrives in pieces as soon as its tokens are final.

    The tokenizer splits text into words first, and later text can only change the last word, which is held
    back. The tokens of the returned pieces are those of the whole text.
    """

    def __init__(self, tokenizer: Any) -> None:
        """``tokenizer``: the checkpoint's fast tokenizer."""
        self._normalizer = tokenizer.backend_tokenizer.normalizer
        self._pre_tokenizer = tokenizer.backend_tokenizer.pre_tokenizer
        self._unstable = ""

    def push(self, text: str, *, end: bool = False) -> str:
        """Add ``text``; return the text whose tokens are final now, all of it at the ``end``."""
        pending = self._unstable + text
        if self._normalizer is not None:
            pending = self._normalizer.normalize_str(pending)
        words = self._pre_tokenizer.pre_tokenize_str(pending)
        stable = len(pending) if end else words[-1][1][0] if words else 0
        self._unstable = pending[stable:]
        return pending[:stable]


class PromptBuilder:
    """Builds prompts for one checkpoint."""

    def __init__(self, official: Any) -> None:
        """``official``: ``qwen_tts.Qwen3TTSModel``."""
        self._tokenizer = official.processor.tokenizer
        self._talker = official.model.talker
        self._config = official.model.config
        self._device = self._talker.get_input_embeddings().weight.device
        config = self._config
        special = [config.tts_bos_token_id, config.tts_eos_token_id, config.tts_pad_token_id]
        self._bos, self._eos, self._pad = self._text(special).unbind()
        role_tokens = len(self.tokens("<|im_start|>assistant\n"))
        if role_tokens != ROLE_ROWS:
            raise ValueError(f"the tokenizer gives {role_tokens} tokens for a turn's start, not {ROLE_ROWS}")

    # ------------------------------------------------------------------ capabilities

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
        """Valid values of ``Speech.language`` besides ``auto``."""
        return selectable_languages(self._config.talker_config.codec_language_id)

    # ------------------------------------------------------------------ the rows

    def stable_text(self) -> StableText:
        """Return a new buffer for text that arrives in pieces."""
        return StableText(self._tokenizer)

    def tokens(self, text: str) -> list[int]:
        """Return the text's token ids."""
        return list(self._tokenizer(text)["input_ids"])

    @torch.inference_mode()
    def build(self, speech: Speech) -> Prompt:
        """Return the prompt. Raises ValueError for a language or voice the checkpoint does not have."""
        self._validate(speech)
        tokens = self.tokens(f"<|im_start|>assistant\n{speech.text}<|im_end|>\n<|im_start|>assistant\n")
        role, text = tokens[:ROLE_ROWS], tokens[ROLE_ROWS:-CLOSING_TOKENS]
        if not text:
            raise ValueError("there is no text to speak")
        prefix = self._prefix_rows(speech, role)
        clone = speech.clone
        if clone is not None and clone.codes is not None:
            return self._in_context_prompt(speech, prefix, text)
        codec = self._config.talker_config
        bos = self._codes([codec.codec_bos_id])
        if speech.streaming:
            rows = self._text(text[:1]) + bos
            trailing = self.text_rows(text[1:], end=not speech.more)
        else:
            padding = self._codes([codec.codec_pad_id])
            rows = torch.cat((torch.cat((self._text(text), self._eos[None])) + padding, self._pad + bos))
            trailing = self._no_rows()
        return Prompt(speech.voice_key, prefix, rows, trailing, self._pad, len(text))

    def _validate(self, speech: Speech) -> None:
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

    def _prefix_rows(self, speech: Speech, role: Sequence[int]) -> Tensor:
        """Return the rows of instruction, role, language and speaker: everything before the text."""
        codec = self._config.talker_config
        language = self._language_id(speech)
        if language is None:
            special = [codec.codec_nothink_id, codec.codec_think_bos_id, codec.codec_think_eos_id]
        else:
            special = [codec.codec_think_id, codec.codec_think_bos_id, language, codec.codec_think_eos_id]
        codes = [self._codes(special)]
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

    def _in_context_prompt(self, speech: Speech, prefix: Tensor, text: Sequence[int]) -> Prompt:
        """Return the prompt of a clone by example (ICL), whose speech continues its reference."""
        clone = speech.clone
        assert clone is not None
        assert clone.codes is not None
        codec = self._config.talker_config
        transcript = self.tokens(f"<|im_start|>assistant\n{clone.transcript}<|im_end|>\n")
        transcript = transcript[ROLE_ROWS:-REFERENCE_CLOSING_TOKENS]
        texts = self.text_rows([*transcript, *text], end=not speech.more)
        reference = clone.codes.to(self._device)
        frames = torch.cat((self._codes([codec.codec_bos_id]), self._frames(reference)))
        if speech.streaming:
            # Rows of text and frames are summed in pairs; the rest of the longer one follows alone.
            paired = min(len(texts), len(frames))
            padded = torch.cat((texts[:paired], self._pad.expand(len(frames) - paired, -1)))
            rows, trailing = padded + frames, texts[paired:]
            constant = min(len(transcript), len(rows) - 1)
        else:
            rows = torch.cat((texts + self._codes([codec.codec_pad_id]), frames + self._pad))
            trailing, constant = self._no_rows(), len(transcript)
        prefix, rows = torch.cat((prefix, rows[:constant])), rows[constant:]
        return Prompt(speech.voice_key, prefix, rows, trailing, self._pad, len(text), clone)

    def text_rows(self, tokens: Sequence[int], *, end: bool) -> Tensor:
        """Return the rows of further text in the streaming layout; ``end`` adds the end of text."""
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

    def _no_rows(self) -> Tensor:
        return self._pad.new_zeros(0, self._pad.shape[0])
