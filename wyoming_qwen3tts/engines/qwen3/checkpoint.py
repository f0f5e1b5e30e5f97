"""Loads checkpoints with the official package, which defines the model."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...telemetry import quote
from ..base import EngineUnavailableError
from .download import CODEC, INSTALL_HINT, KINDS, check, format_size, read_json, weight_names
from .sampling import Sampling

_LOGGER = logging.getLogger(__name__)

_UNSUPPORTED_MODULE = "qwen_tts.core.tokenizer_25hz.vq.speech_vq"
LOADING = threading.Lock()
"""Held while a checkpoint loads: transformers changes torch's global state, which two concurrent loads break.

Tensors created on another thread meanwhile get the checkpoint's dtype, unless they name their own.
"""


@dataclass(slots=True)
class Checkpoint:
    """A loaded checkpoint: the official objects, on their device."""

    official: Any
    """``qwen_tts.Qwen3TTSModel``; its codec is float32 whatever the model's dtype is."""
    directory: Path
    sampling: Sampling
    """From ``generation_config.json``."""
    device: torch.device
    dtype: torch.dtype

    @property
    def model(self) -> Any:
        """``Qwen3TTSForConditionalGeneration``."""
        return self.official.model

    @property
    def codec(self) -> Any:
        """``Qwen3TTSTokenizerV2Decoder``."""
        return self.model.speech_tokenizer.model.decoder

    @property
    def name(self) -> str:
        """Name for users: ``Qwen3-TTS 0.6B CustomVoice``."""
        return f"Qwen3-TTS {format_size(self.model.tts_model_size)} {KINDS[self.model.tts_model_type]}"

    def to(self, device: torch.device) -> None:
        """Move it to ``device``."""
        for module in (self.model, self.model.speech_tokenizer.model):
            module.to(device)
        self.official.device = self.model.speech_tokenizer.device = self.device = device


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """Return the device for ``auto``, ``cuda``, ``cuda:N``, ``mps`` or ``cpu``, and the reason.

    Raises EngineUnavailableError for a device that does not exist.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0), f"it has an NVIDIA GPU ({torch.cuda.get_device_name(0)})"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "it has an Apple GPU"
        return torch.device("cpu"), "torch sees no GPU"
    device = torch.device(wanted)
    if device.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = device.index or 0
        if index >= found:
            raise EngineUnavailableError(f"--device {wanted}: torch sees {found or 'no'} NVIDIA GPUs")
        device = torch.device("cuda", index)
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise EngineUnavailableError("--device mps: torch sees no Apple GPU")
    return device, "the settings say so"


def choose_dtype(wanted: str, device: torch.device) -> tuple[torch.dtype, str]:
    """Return the dtype for ``auto``, ``float32``, ``bfloat16`` or ``float16``, and the reason."""
    if wanted != "auto":
        return getattr(torch, wanted), "the settings say so"
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return torch.bfloat16, "the checkpoints are bfloat16 and this GPU computes in it"
        return torch.float32, "this GPU has no bfloat16, and float16 overflows in this model"
    if device.type == "mps":
        return torch.float32, "shorter types are unproven on Apple GPUs"
    return torch.float32, "it is exact, and a CPU gains less from shorter types"


def load(directory: Path, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    """Load a checkpoint with the official package. Raises EngineUnavailableError."""
    with LOADING:
        return _load(directory, device, dtype)


def _load(directory: Path, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    check(directory)
    qwen_tts = official_package()
    for logger in ("qwen_tts", "transformers"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    options = {"attn_implementation": "sdpa", "local_files_only": True}
    try:
        with _redirect_stdout():
            official = qwen_tts.Qwen3TTSModel.from_pretrained(str(directory), dtype=dtype, **options)
            if dtype != torch.float32:
                # In half precision the codec has given silence (NaN), and on a CPU it takes minutes.
                codec = qwen_tts.Qwen3TTSTokenizer.from_pretrained(
                    str(directory / CODEC), dtype=torch.float32, **options
                )
                official.model.load_speech_tokenizer(codec)
    except torch.OutOfMemoryError as error:
        raise EngineUnavailableError(f"{directory} does not fit into this machine's memory") from error
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EngineUnavailableError(f"{directory} cannot be loaded: {reason}") from error
    model, codec_model = official.model, official.model.speech_tokenizer.model
    for name, module, folder in (("", model, directory), ("codec's ", codec_model, directory / CODEC)):
        missing = module.state_dict().keys() - weight_names(folder)
        if missing:
            some = ", ".join(sorted(missing)[:2])
            raise EngineUnavailableError(
                f"{directory} lacks {len(missing)} of the {name}weights, such as {some}"
            )
    for module in (model, codec_model):
        module.eval().requires_grad_(False)
    generation = read_json(directory / "generation_config.json")
    found = Checkpoint(official, directory, Sampling.from_generation_config(generation), device, dtype)
    found.to(device)
    return found


def official_package() -> Any:
    """Return the module ``qwen_tts``. Raises EngineUnavailableError where it is not installed.

    Its 25 Hz tokenizer, which no public checkpoint uses, needs torchaudio, sox, onnxruntime and einops; a
    placeholder that raises an error replaces that module.
    """
    if _UNSUPPORTED_MODULE not in sys.modules:
        placeholder = types.ModuleType(_UNSUPPORTED_MODULE)
        for name in ("WhisperEncoderVQ", "XVectorExtractor"):
            setattr(placeholder, name, _Unsupported)
        sys.modules[_UNSUPPORTED_MODULE] = placeholder
    try:
        with _redirect_stdout():
            import qwen_tts
    except ImportError as error:
        raise EngineUnavailableError(
            f"the package qwen-tts cannot be used ({error}); {INSTALL_HINT}"
        ) from error
    return qwen_tts


class _Unsupported:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("the 25 Hz tokenizer of Qwen3-TTS is not supported")


@contextlib.contextmanager
def _redirect_stdout() -> Iterator[None]:
    """Log what a library prints: standard output may be the connection to a client."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        if text := " ".join(printed.getvalue().split()).strip("* "):
            _LOGGER.debug("qwen3: output of the official package text=%s", quote(text))
