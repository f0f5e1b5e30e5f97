"""Complete Qwen3-TTS checkpoints with random weights, which the official package loads as they are.

``tiny`` is under 2 MB and made in a fraction of a second: real architecture and files. ``0.6B``
and ``1.7B`` have the real dimensions, for benchmarks.

    python -m tests.qwen3.checkpoints DIR [--kind base] [--size 0.6B]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from wyoming_qwen3tts.engines.qwen3.checkpoint import official_package
from wyoming_qwen3tts.engines.qwen3.download import CODEC, KINDS

LANGUAGES = {
    "chinese": 2055,
    "english": 2050,
    "german": 2053,
    "italian": 2070,
    "portuguese": 2071,
    "spanish": 2054,
    "japanese": 2058,
    "korean": 2064,
    "french": 2061,
    "russian": 2069,
    "beijing_dialect": 2074,
    "sichuan_dialect": 2062,
}
SPEAKERS = {
    "serena": 3066,
    "vivian": 3065,
    "uncle_fu": 3010,
    "ryan": 3061,
    "aiden": 2861,
    "ono_anna": 2873,
    "sohee": 2864,
    "eric": 2875,
    "dylan": 2878,
}
DIALECTS = {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}
SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tts_pad>",
    "<tts_text_bos>",
    "<tts_text_eod>",
]
BOOK = 64
"""Codes in a tiny checkpoint's codebooks; the real ones have 2048."""
GROUPS = 16


def make(
    directory: Path, kind: str = "custom_voice", size: str = "tiny", *, narrow: bool = False, seed: int = 0
) -> Path:
    """Write a checkpoint and return ``directory``.

    ``narrow``: a code predictor that is narrower than the talker, as in 1.7B (always so there).
    """
    (directory / CODEC).mkdir(parents=True, exist_ok=True)
    special, words = _write_tokenizer(directory)
    config = _config(kind, size, special, words, narrow=narrow)
    _write_model(directory, config, seed, tiny=size == "tiny")
    _write_codec(directory / CODEC, seed + 1, tiny=size == "tiny")
    return directory


def _write_tokenizer(directory: Path) -> tuple[dict[str, int], int]:
    """Write a byte-level tokenizer that knows a few words; return the special tokens' ids and the size."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    merges: list[str] = []
    for word in ("assistant", "user", "Ġthe", "Ġand", "ing"):
        for end in range(1, len(word)):
            merge = f"{word[:end]} {word[end]}"
            if merge not in merges:
                merges.append(merge)
            vocabulary.setdefault(word[: end + 1], len(vocabulary))
    special = {token: len(vocabulary) + index for index, token in enumerate(SPECIAL)}
    _json(directory / "vocab.json", vocabulary)
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    how = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    _json(
        directory / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": {
                str(index): {"content": token, **how} for token, index in special.items()
            },
            "additional_special_tokens": SPECIAL[1:],
            "bos_token": None,
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_end|>",
            "errors": "replace",
            "model_max_length": 131072,
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
            "processor_class": "Qwen3TTSProcessor",
        },
    )
    return special, len(vocabulary) + len(SPECIAL)


def _config(kind: str, size: str, special: dict[str, int], words: int, *, narrow: bool) -> dict[str, Any]:
    tiny = size == "tiny"
    rope: dict[str, Any] = {"rope_theta": 1_000_000}
    mrope = {"interleaved": True, "rope_type": "default"}
    if tiny:
        width, book = 32, BOOK
        # The last 1024 of the talker's codes are never spoken, so there must be more than that.
        talker = {
            "vocab_size": 1024 + book,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "text_hidden_size": width,
            "text_vocab_size": words,
            "rope_scaling": {**mrope, "mrope_section": [4, 2, 2]},
        }
        predictor = {
            "hidden_size": width // 2 if narrow else width,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
        }
        encoder = {
            "enc_dim": width,
            "enc_channels": [16, 16, 16, 16, 48],
            "enc_attention_channels": 8,
            "enc_res2net_scale": 4,
            "enc_se_channels": 8,
        }
        marks = {
            "im_start_token_id": special["<|im_start|>"],
            "im_end_token_id": special["<|im_end|>"],
            "tts_pad_token_id": special["<tts_pad>"],
            "tts_bos_token_id": special["<tts_text_bos>"],
            "tts_eos_token_id": special["<tts_text_eod>"],
        }
    else:
        width, book = (1024 if size == "0.6B" else 2048), 2048
        talker = {
            "vocab_size": 3072,
            "intermediate_size": 3 * width,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "text_hidden_size": 2048,
            "text_vocab_size": 151936,
            "rope_scaling": {**mrope, "mrope_section": [24, 20, 20]},
        }
        predictor = {
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 5,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
        }
        encoder = {"enc_dim": width}
        marks = {
            "im_start_token_id": 151644,
            "im_end_token_id": 151645,
            "tts_pad_token_id": 151671,
            "tts_bos_token_id": 151672,
            "tts_eos_token_id": 151673,
        }
    less = 2048 - book
    first_speaker = 1024 + book - 20
    speakers = {
        name: first_speaker + index if tiny else code for index, (name, code) in enumerate(SPEAKERS.items())
    }
    if kind != "custom_voice":
        speakers = {}
    talker |= {
        **rope,
        "hidden_size": width,
        "max_position_embeddings": 32768,
        "num_code_groups": GROUPS,
        "codec_pad_id": 2148 - less,
        "codec_bos_id": 2149 - less,
        "codec_eos_token_id": 2150 - less,
        "codec_think_id": 2154 - less,
        "codec_nothink_id": 2155 - less,
        "codec_think_bos_id": 2156 - less,
        "codec_think_eos_id": 2157 - less,
        "codec_language_id": {name: code - less for name, code in LANGUAGES.items()},
        "spk_id": speakers,
        "spk_is_dialect": {name: DIALECTS.get(name, False) for name in speakers},
        "code_predictor_config": {
            **rope,
            **predictor,
            "vocab_size": book,
            "max_position_embeddings": 65536,
            "num_code_groups": GROUPS,
        },
    }
    config = {
        "tokenizer_type": "qwen3_tts_tokenizer_12hz",
        # The official package drops instructions for 0b6; tiny ones pose as the other size to keep them.
        "tts_model_size": "0b6" if size == "0.6B" else "1b7",
        "tts_model_type": kind,
        "talker_config": talker,
        **marks,
    }
    if kind == "base":
        config["speaker_encoder_config"] = {**encoder, "sample_rate": 24000}
    return config


def _write_model(directory: Path, config: dict[str, Any], seed: int, *, tiny: bool) -> None:
    import torch
    from safetensors.torch import save_file

    official_package()
    from qwen_tts.core.models import Qwen3TTSConfig, Qwen3TTSForConditionalGeneration

    dtype = torch.float32 if tiny else torch.bfloat16
    torch.set_default_dtype(dtype)
    try:
        model = Qwen3TTSForConditionalGeneration(Qwen3TTSConfig(**config)).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    _fill(model, seed, tiny=tiny)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    named = {"architectures": ["Qwen3TTSForConditionalGeneration"], "model_type": "qwen3_tts"}
    _json(directory / "config.json", {**named, **config})
    _json(
        directory / "generation_config.json",
        {
            "do_sample": True,
            "repetition_penalty": 1.05,
            "temperature": 0.9,
            "top_p": 1.0,
            "top_k": 50,
            "subtalker_dosample": True,
            "subtalker_temperature": 0.9,
            "subtalker_top_p": 1.0,
            "subtalker_top_k": 50,
            "max_new_tokens": 8192,
        },
    )


def _write_codec(directory: Path, seed: int, *, tiny: bool) -> None:
    import torch
    from safetensors.torch import save_file

    official_package()
    from qwen_tts.core.tokenizer_12hz.configuration_qwen3_tts_tokenizer_v2 import Qwen3TTSTokenizerV2Config
    from qwen_tts.core.tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2 import Qwen3TTSTokenizerV2Model

    decoder = {"num_quantizers": GROUPS, "sliding_window": 72}
    encoder = {
        "frame_rate": 12.5,
        "sliding_window": 250,
        "use_causal_conv": True,
        "upsampling_ratios": [8, 6, 5, 4],
    }
    if tiny:
        decoder |= {
            "codebook_size": BOOK,
            "codebook_dim": 16,
            "hidden_size": 32,
            "latent_dim": 32,
            "head_dim": 8,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "decoder_dim": 32,
        }
        encoder |= {
            "codebook_dim": 8,
            "codebook_size": BOOK,
            "num_quantizers": GROUPS,
            "hidden_size": 16,
            "num_filters": 2,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 16,
            "vector_quantization_hidden_dimension": 8,
            "upsample_groups": 16,
        }
    else:
        decoder |= {
            "codebook_size": 2048,
            "codebook_dim": 512,
            "hidden_size": 512,
            "latent_dim": 1024,
            "head_dim": 64,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "intermediate_size": 1024,
            "num_hidden_layers": 8,
            "decoder_dim": 1536,
        }
        encoder |= {
            "codebook_dim": 256,
            "codebook_size": 2048,
            "num_quantizers": 32,
            "hidden_size": 512,
            "num_filters": 64,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "intermediate_size": 2048,
            "vector_quantization_hidden_dimension": 256,
        }
    config = {
        "encoder_config": encoder,
        "decoder_config": decoder,
        "encoder_valid_num_quantizers": GROUPS,
        "input_sample_rate": 24000,
        "output_sample_rate": 24000,
        "decode_upsample_rate": 1920,
        "encode_downsample_rate": 1920,
    }
    model = Qwen3TTSTokenizerV2Model(Qwen3TTSTokenizerV2Config(**config)).eval()
    _fill(model, seed, tiny=tiny)
    with torch.inference_mode():  # as loud as speech, so that nothing is clipped
        book = decoder["codebook_size"]
        codes = torch.randint(0, book, (1, GROUPS, 12), generator=torch.Generator().manual_seed(seed))
        for _ in range(6):
            loudness = float(model.decoder(codes).std())
            model.decoder.decoder[-1].conv.weight.mul_(min(max(0.12 / max(loudness, 1e-6), 0.02), 50.0))
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    named = {"architectures": ["Qwen3TTSTokenizerV2Model"], "model_type": "qwen3_tts_tokenizer_12hz"}
    _json(directory / "config.json", {**named, **config})
    _json(
        directory / "preprocessor_config.json",
        {
            "feature_extractor_type": "EncodecFeatureExtractor",
            "feature_size": 1,
            "sampling_rate": 24000,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": True,
            "chunk_length_s": None,
            "overlap": None,
        },
    )


def _fill(model: Any, seed: int, *, tiny: bool) -> None:
    """Give every weight a random value of a size that keeps activations near 1."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: torch.Tensor, deviation: float) -> None:
        values = torch.randn(tensor.shape, generator=generator, dtype=torch.float32) * deviation
        tensor.copy_(values.to(tensor.dtype))

    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            leaf = name.rsplit(".", 1)[-1]
            if not tensor.is_floating_point() or "inv_freq" in name:
                continue
            if "embedding_sum" in name or "embed_sum" in name:
                normal(tensor, 1.0)
            elif "cluster_usage" in name or leaf == "initialized" or ("norm" in name and leaf == "weight"):
                tensor.fill_(1.0)
            elif leaf in {"alpha", "beta"}:
                normal(tensor, 0.1)
            elif leaf == "gamma" or "layer_scale" in name:
                tensor.fill_(0.25 if tiny else 0.01)
            elif leaf == "bias":
                tensor.zero_()
            elif "embedding" in name or tensor.ndim < 2:
                normal(tensor, 1.0 if tiny else 0.02)
            elif (
                "upsample" in name and tensor.ndim == 3
            ) or "block.1.conv" in name:  # transposed: in, out, width
                normal(
                    tensor,
                    (tensor.shape[0] * max(1, tensor.shape[2] // 2 if "block.1" in name else 1)) ** -0.5,
                )
            else:
                normal(tensor, tensor[0].numel() ** -0.5)


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("directory", type=Path)
    arguments.add_argument("--kind", choices=KINDS, default="custom_voice")
    arguments.add_argument("--size", choices=("tiny", "0.6B", "1.7B"), default="tiny")
    given = arguments.parse_args()
    make(given.directory, given.kind, given.size)
