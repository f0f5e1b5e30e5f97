"""Finding, checking and loading a checkpoint; the official package defines the model.

Whatever is wrong with a checkpoint is one sentence in an ``EngineUnavailable``, found before the official
loader sees it where that is possible: the loader fills missing weights with random ones and goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import math
import struct
import sys
import threading
import time
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..base import EngineUnavailable
from .sampling import Sampling

_LOGGER = logging.getLogger(__name__)

KINDS = {"custom_voice": "CustomVoice", "base": "Base", "voice_design": "VoiceDesign"}
CODEC = "speech_tokenizer"
"""The folder of a checkpoint that holds the codec."""
NEEDED = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    f"{CODEC}/config.json",
    f"{CODEC}/preprocessor_config.json",
)
_UNSUPPORTED_MODULE = "qwen_tts.core.tokenizer_25hz.vq.speech_vq"
RETRY_SECONDS = (1.0, 5.0, 15.0, 60.0)
"""Waits before a download that broke off goes on; what came since the last one is kept."""
_INSTALL = "script/setup --qwen installs it"
LOADING = threading.Lock()
"""transformers changes torch while it loads, and does not find its way back from two loads at once.

Who makes tensors on another thread meanwhile gets them in the dtype that is loaded, unless it says which.
"""
_SAMPLES = 64
_SAMPLE_BYTES = 16 * 1024
"""How much of a file of weights its fingerprint looks at."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a checkpoint comes from, as the settings say it."""

    model: str
    """A directory, or a model's name on the hub: ``OWNER/NAME``."""
    revision: str | None = None
    """A branch, tag or commit on the hub."""
    download_dir: Path | None = None
    """Where downloads are kept; the hub's own cache if absent."""
    local_files_only: bool = False
    """Download nothing."""

    @classmethod
    def parse(cls, model: str, revision: str | None, download_dir: Path | None, local: bool) -> Source:
        """Return what the settings mean; ``model`` may name its revision, ``OWNER/NAME@REVISION``."""
        name, at, own = model.rpartition("@")
        if at and name and own and not Path(model).expanduser().is_dir():
            model, revision = name, own
        return cls(model, revision, download_dir, local)


@dataclass(frozen=True, slots=True)
class About:
    """What a checkpoint says about itself, without being loaded."""

    kind: str
    """One of ``KINDS``."""
    size: str
    """``0.6B`` or ``1.7B``."""
    speakers: tuple[str, ...]
    """Of a CustomVoice checkpoint, in its own order."""
    languages: tuple[str, ...]
    """Names such as ``german``."""
    weights: tuple[int, int]
    """Numbers in the model, and in the codec."""
    cache_width: int
    """Numbers of a position's keys and values, all layers together."""

    @property
    def name(self) -> str:
        """What it is, for people: ``Qwen3-TTS 0.6B CustomVoice``."""
        return f"Qwen3-TTS {self.size} {KINDS[self.kind]}"

    @property
    def hears_instructions(self) -> bool:
        """Whether instructions change anything."""
        return hears_instructions(self.kind, self.size)

    def memory(self, dtype: torch.dtype, slots: int, length: int) -> int:
        """Return about how many bytes it takes to speak with ``slots`` takes of ``length`` positions.

        Weights, the codec in float32, keys and values; the rest (some activations) is a tenth of that.
        """
        model, codec = self.weights
        kept = (slots + 1) * length * self.cache_width
        return int(1.1 * (dtype.itemsize * (model + kept) + 4 * codec))


@dataclass(slots=True)
class Checkpoint:
    """A loaded model: the official objects, on their device."""

    official: Any
    """``qwen_tts.Qwen3TTSModel``; its codec is float32 whatever the model's dtype is."""
    directory: Path
    sampling: Sampling
    """What ``generation_config.json`` asks for."""
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
        """What it is, for people: ``Qwen3-TTS 0.6B CustomVoice``."""
        return f"Qwen3-TTS {_size(self.model.tts_model_size)} {KINDS[self.model.tts_model_type]}"

    def to(self, device: torch.device) -> None:
        """Move it to ``device``."""
        for module in (self.model, self.model.speech_tokenizer.model):
            module.to(device)
        self.official.device = self.model.speech_tokenizer.device = self.device = device


def hears_instructions(kind: str, size: str) -> bool:
    """Whether instructions change anything: the official package drops them for 0.6B CustomVoice."""
    return kind != "base" and not (kind == "custom_voice" and _size(size) == "0.6B")


def spoken(languages: Iterable[str]) -> tuple[str, ...]:
    """Return the names of languages that one may ask for: dialects come with their speakers."""
    return tuple(name for name in languages if "dialect" not in name)


def _size(named: str) -> str:
    return {"0b6": "0.6B", "1b7": "1.7B"}.get(named, named)


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """Return the device for ``auto``, ``cuda``, ``cuda:N``, ``mps`` or ``cpu``, and why.

    Raises EngineUnavailable for a device that is not there.
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
            raise EngineUnavailable(f"--device {wanted}: torch sees {found or 'no'} NVIDIA GPUs")
        device = torch.device("cuda", index)
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise EngineUnavailable("--device mps: torch sees no Apple GPU")
    return device, "the settings say so"


def choose_dtype(wanted: str, device: torch.device) -> tuple[torch.dtype, str]:
    """Return the dtype for ``auto``, ``float32``, ``bfloat16`` or ``float16``, and why."""
    if wanted != "auto":
        return getattr(torch, wanted), "the settings say so"
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return torch.bfloat16, "the checkpoints are bfloat16 and this GPU computes in it"
        return torch.float32, "this GPU has no bfloat16, and float16 overflows in this model"
    if device.type == "mps":
        return torch.float32, "shorter types are unproven on Apple GPUs"
    return torch.float32, "it is exact, and a CPU gains less from shorter types"


def find(source: Source) -> Path:
    """Return the directory of a checkpoint, downloaded if need be. Raises EngineUnavailable."""
    local = Path(source.model).expanduser()
    if local.is_dir():
        return local
    if source.model.count("/") != 1 or source.model.startswith((".", "/", "~")):
        raise EngineUnavailable(f"there is no directory {source.model}")
    return _download(source)


def _download(source: Source) -> Path:
    """Return the directory of a checkpoint from the hub.

    The hub's client shows progress on a terminal, and honours ``HF_TOKEN``, ``HF_HOME`` and ``HF_ENDPOINT``.
    """
    from huggingface_hub import errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    name = source.model + (f" (revision {source.revision})" if source.revision else "")
    _LOGGER.info("Looking for %s%s", name, "" if source.local_files_only else " on the hub")
    try:
        return _fetch(source)
    except errors.GatedRepoError as error:
        raise EngineUnavailable(f"{name} asks for consent on the hub, and HF_TOKEN for an account") from error
    except errors.RevisionNotFoundError as error:
        raise EngineUnavailable(f"{source.model} has no revision {source.revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        raise EngineUnavailable(f"the hub has no model {source.model!r} that HF_TOKEN may see") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        where = f" in {source.download_dir}" if source.download_dir else ""
        reason = "" if source.local_files_only else ", and the hub cannot be reached"
        raise EngineUnavailable(f"{name} has not been downloaded{where}{reason}") from error
    except errors.HFValidationError as error:
        raise EngineUnavailable(f"{source.model!r} is neither a directory nor a model's name") from error
    except OSError as error:  # the network's errors are OSErrors too
        raise EngineUnavailable(f"{name} cannot be downloaded: {error}") from error


def _fetch(source: Source) -> Path:
    """Return the directory of a checkpoint from the hub; what breaks off goes on where it was."""
    from huggingface_hub import errors, snapshot_download

    for wait in (*RETRY_SECONDS, None):
        try:
            directory = snapshot_download(
                source.model,
                revision=source.revision,
                cache_dir=source.download_dir,
                local_files_only=source.local_files_only,
            )
        except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError):
            raise  # the hub's answer, or none at all
        except OSError as error:
            if wait is None or error.errno is not None:  # a full disk, say, will not be better
                raise
            _LOGGER.warning("The download broke off (%s); it goes on in %g s", error, wait)
            time.sleep(wait)
        else:
            return Path(directory)
    raise AssertionError


def check(directory: Path) -> None:
    """Raise EngineUnavailable, one sentence, for what is not a whole Qwen3-TTS checkpoint."""
    for name in NEEDED:
        if not (directory / name).is_file():
            raise EngineUnavailable(f"{directory} is not a whole Qwen3-TTS checkpoint: {name} is missing")
    config = _json(directory / "config.json")
    kind = config.get("model_type")
    if kind != "qwen3_tts":
        raise EngineUnavailable(f"{directory} holds a model of another kind ({kind}), not Qwen3-TTS")
    if config.get("tts_model_type") not in KINDS:
        raise EngineUnavailable(
            f"{directory}: Qwen3-TTS of an unknown kind, {config.get('tts_model_type')!r}"
        )
    codec = _json(directory / CODEC / "config.json").get("model_type")
    if codec != "qwen3_tts_tokenizer_12hz":
        raise EngineUnavailable(f"{directory}: the codec is {codec}; only the 12 Hz codec is supported")
    for folder in (directory, directory / CODEC):
        for path in _weight_files(folder):
            _check_weights(path)


def about(directory: Path) -> About:
    """Return what a checkpoint says about itself. Raises EngineUnavailable unless it is whole."""
    check(directory)
    config = _json(directory / "config.json")
    talker = config.get("talker_config") or {}
    try:
        layers, heads, width = (
            int(talker[key]) for key in ("num_hidden_layers", "num_key_value_heads", "head_dim")
        )
        return About(
            kind=config["tts_model_type"],
            size=_size(str(config.get("tts_model_size"))),
            speakers=tuple(talker["spk_id"]),
            languages=spoken(talker["codec_language_id"]),
            weights=(_numbers(directory), _numbers(directory / CODEC)),
            cache_width=2 * layers * heads * width,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineUnavailable(f"{directory / 'config.json'} says nothing of {error}") from error


def fingerprint(directory: Path, dtype: torch.dtype) -> str:
    """Return a text of 16 hexadecimal digits that tells one model in one dtype from any other.

    It is of the configuration, the tokenizer and samples of the weights, so that it costs milliseconds: two
    checkpoints that were trained apart differ in nearly every weight.
    """
    digest = hashlib.sha256(str(dtype).encode())
    for name in NEEDED:
        digest.update((directory / name).read_bytes())
    for folder in (directory, directory / CODEC):
        for path in _weight_files(folder):
            size = path.stat().st_size
            digest.update(f"{path.name} {size} ".encode())
            with path.open("rb") as file:
                for part in range(_SAMPLES):
                    file.seek(size * part // _SAMPLES)
                    digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return [folder / "model.safetensors"]
    names = _json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise EngineUnavailable(f"{index} names no weights")
    return [folder / str(name) for name in sorted(set(names.values()))]


def _check_weights(path: Path) -> None:
    """Raise EngineUnavailable unless the file is as long as its header says."""
    try:
        size = path.stat().st_size
        length, header = _header(path)
        end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    except FileNotFoundError as error:
        raise EngineUnavailable(f"{path} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise EngineUnavailable(f"{path} is damaged: {error}") from error
    if size != 8 + length + end:
        raise EngineUnavailable(
            f"{path} is {size} bytes long and should be {8 + length + end}: it was cut off"
        )


def _numbers(folder: Path) -> int:
    """Return how many numbers the weights of a folder are."""
    count = 0
    for path in _weight_files(folder):
        _, header = _header(path)
        count += sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    return count


def _names(folder: Path) -> set[str]:
    """Return the names of all weights of a folder."""
    names: set[str] = set()
    for path in _weight_files(folder):
        _, header = _header(path)
        names |= header.keys() - {"__metadata__"}
    return names


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Return the length and the content of a safetensors file's header. Raises what a damaged file brings."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return length, json.loads(file.read(min(length, path.stat().st_size)))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineUnavailable(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise EngineUnavailable(f"{path} does not hold an object")
    return found


def load(directory: Path, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    """Load a checkpoint with the official package. Raises EngineUnavailable."""
    with LOADING:
        return _load(directory, device, dtype)


def _load(directory: Path, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    check(directory)
    qwen_tts = official_package()
    for chatty in ("qwen_tts", "transformers"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    how = {"attn_implementation": "sdpa", "local_files_only": True}
    try:
        with _quiet():
            official = qwen_tts.Qwen3TTSModel.from_pretrained(str(directory), dtype=dtype, **how)
            if dtype != torch.float32:
                # In half precision the codec has given silence (NaN), and on a CPU it takes minutes.
                codec = qwen_tts.Qwen3TTSTokenizer.from_pretrained(
                    str(directory / CODEC), dtype=torch.float32, **how
                )
                official.model.load_speech_tokenizer(codec)
    except torch.OutOfMemoryError as error:
        raise EngineUnavailable(f"{directory} does not fit into this machine's memory") from error
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EngineUnavailable(f"{directory} cannot be loaded: {reason}") from error
    model, codec_model = official.model, official.model.speech_tokenizer.model
    for name, module, folder in (("", model, directory), ("codec's ", codec_model, directory / CODEC)):
        missing = module.state_dict().keys() - _names(folder)
        if missing:
            some = ", ".join(sorted(missing)[:2])
            raise EngineUnavailable(f"{directory} lacks {len(missing)} of the {name}weights, such as {some}")
    for module in (model, codec_model):
        module.eval().requires_grad_(False)
    generation = _json(directory / "generation_config.json")
    found = Checkpoint(official, directory, Sampling.from_generation_config(generation), device, dtype)
    found.to(device)
    return found


def official_package() -> Any:
    """Return the module ``qwen_tts``. Raises EngineUnavailable where it is not installed.

    Its tokenizer for 25 Hz, of which there is no public checkpoint, needs torchaudio, sox, onnxruntime and
    einops; something that says so takes that one module's place.
    """
    if _UNSUPPORTED_MODULE not in sys.modules:
        stand_in = types.ModuleType(_UNSUPPORTED_MODULE)
        for name in ("WhisperEncoderVQ", "XVectorExtractor"):
            setattr(stand_in, name, _Unsupported)
        sys.modules[_UNSUPPORTED_MODULE] = stand_in
    try:
        with _quiet():
            import qwen_tts
    except ImportError as error:
        raise EngineUnavailable(f"the package qwen-tts cannot be used ({error}); {_INSTALL}") from error
    return qwen_tts


class _Unsupported:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("the 25 Hz tokenizer of Qwen3-TTS is not supported")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what a library prints away from standard output, where a client may be listening."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        if text := " ".join(printed.getvalue().split()).strip("* "):
            _LOGGER.debug("The official package says: %s", text)
