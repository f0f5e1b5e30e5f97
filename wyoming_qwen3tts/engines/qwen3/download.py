"""Finding and checking a checkpoint: what it is, without loading it, and without torch.

Whatever is wrong with a checkpoint is one sentence in an ``EngineUnavailableError``, found before the
official loader sees it where that is possible: the loader fills missing weights with random ones and goes on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import struct
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import EngineUnavailableError

if TYPE_CHECKING:
    import torch

_LOGGER = logging.getLogger(__name__)

KINDS = {"custom_voice": "CustomVoice", "base": "Base", "voice_design": "VoiceDesign"}
CONFIG = "config.json"
CODEC = "speech_tokenizer"
"""The folder of a checkpoint that holds the codec."""
NEEDED = (
    CONFIG,
    "generation_config.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    f"{CODEC}/config.json",
    f"{CODEC}/preprocessor_config.json",
)
RETRY_SECONDS = (1.0, 5.0, 15.0, 60.0)
"""Waits before a download that broke off goes on; what came since the last one is kept."""
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
    def supports_instructions(self) -> bool:
        """Whether instructions change anything."""
        return supports_instructions(self.kind, self.size)

    def memory(self, dtype: torch.dtype, slots: int, length: int) -> int:
        """Return about how many bytes it takes to speak with ``slots`` takes of ``length`` positions.

        Weights, the codec in float32, keys and values; the rest (some activations) is a tenth of that.
        """
        model, codec = self.weights
        kept = (slots + 1) * length * self.cache_width
        return int(1.1 * (dtype.itemsize * (model + kept) + 4 * codec))


def supports_instructions(kind: str, size: str) -> bool:
    """Whether instructions change anything: the official package drops them for 0.6B CustomVoice."""
    return kind != "base" and not (kind == "custom_voice" and size_of(size) == "0.6B")


def spoken(languages: Iterable[str]) -> tuple[str, ...]:
    """Return the names of languages that one may ask for: dialects come with their speakers."""
    return tuple(name for name in languages if "dialect" not in name)


def size_of(named: str) -> str:
    """Return a model's size as people write it: ``0.6B`` of ``0b6``."""
    return {"0b6": "0.6B", "1b7": "1.7B"}.get(named, named)


def find(source: Source, *, config_only: bool = False) -> Path:
    """Return the directory of a checkpoint, downloaded if need be. Raises EngineUnavailableError.

    ``config_only``: of what is not there yet its config.json alone, tried once.
    """
    local = Path(source.model).expanduser()
    if local.is_dir():
        return local
    if source.model.count("/") != 1 or source.model.startswith((".", "/", "~")):
        raise EngineUnavailableError(f"there is no directory {source.model}")
    return _download(source, config_only=config_only)


def _download(source: Source, *, config_only: bool) -> Path:
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
        return _fetch(source, config_only=config_only)
    except errors.GatedRepoError as error:
        raise EngineUnavailableError(
            f"{name} asks for consent on the hub, and HF_TOKEN for an account"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise EngineUnavailableError(f"{source.model} has no revision {source.revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        raise EngineUnavailableError(
            f"the hub has no model {source.model!r} that HF_TOKEN may see"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        where = f" in {source.download_dir}" if source.download_dir else ""
        reason = "" if source.local_files_only else ", and the hub cannot be reached"
        raise EngineUnavailableError(f"{name} has not been downloaded{where}{reason}") from error
    except errors.HFValidationError as error:
        raise EngineUnavailableError(f"{source.model!r} is neither a directory nor a model's name") from error
    except OSError as error:  # the network's errors are OSErrors too
        raise EngineUnavailableError(f"{name} cannot be downloaded: {error}") from error


def _fetch(source: Source, *, config_only: bool) -> Path:
    """Return the directory of a checkpoint from the hub; what breaks off goes on where it was."""
    from huggingface_hub import errors, snapshot_download

    for wait in (None,) if config_only else (*RETRY_SECONDS, None):
        try:
            directory = snapshot_download(
                source.model,
                revision=source.revision,
                cache_dir=source.download_dir,
                local_files_only=source.local_files_only,
                allow_patterns=[CONFIG] if config_only else None,
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
    """Raise EngineUnavailableError, one sentence, for what is not a whole Qwen3-TTS checkpoint."""
    for name in NEEDED:
        if not (directory / name).is_file():
            raise EngineUnavailableError(
                f"{directory} is not a whole Qwen3-TTS checkpoint: {name} is missing"
            )
    _check_config(directory / CONFIG)
    codec = read_json(directory / CODEC / "config.json").get("model_type")
    if codec != "qwen3_tts_tokenizer_12hz":
        raise EngineUnavailableError(f"{directory}: the codec is {codec}; only the 12 Hz codec is supported")
    for folder in (directory, directory / CODEC):
        for path in _weight_files(folder):
            _check_weights(path)


def _check_config(path: Path) -> None:
    config, directory = read_json(path), path.parent
    kind = config.get("model_type")
    if kind != "qwen3_tts":
        raise EngineUnavailableError(f"{directory} holds a model of another kind ({kind}), not Qwen3-TTS")
    if config.get("tts_model_type") not in KINDS:
        raise EngineUnavailableError(
            f"{directory}: Qwen3-TTS of an unknown kind, {config.get('tts_model_type')!r}"
        )


def about(directory: Path) -> About:
    """Return what a checkpoint says about itself. Raises EngineUnavailableError unless it is whole."""
    check(directory)
    return _about(directory / CONFIG, (_numbers(directory), _numbers(directory / CODEC)))


def preview(source: Source) -> About:
    """Return the same before all of it is there, without its weights. Raises EngineUnavailableError."""
    path = find(source, config_only=True) / CONFIG
    _check_config(path)
    return _about(path, (0, 0))


def _about(path: Path, weights: tuple[int, int]) -> About:
    config = read_json(path)
    talker = config.get("talker_config") or {}
    try:
        layers, heads, width = (
            int(talker[key]) for key in ("num_hidden_layers", "num_key_value_heads", "head_dim")
        )
        return About(
            kind=config["tts_model_type"],
            size=size_of(str(config.get("tts_model_size"))),
            speakers=tuple(talker["spk_id"]),
            languages=spoken(talker["codec_language_id"]),
            weights=weights,
            cache_width=2 * layers * heads * width,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineUnavailableError(f"{path} says nothing of {error}") from error


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
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise EngineUnavailableError(f"{index} names no weights")
    return [folder / str(name) for name in sorted(set(names.values()))]


def _check_weights(path: Path) -> None:
    """Raise EngineUnavailableError unless the file is as long as its header says."""
    try:
        size = path.stat().st_size
        length, header = _header(path)
        end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    except FileNotFoundError as error:
        raise EngineUnavailableError(f"{path} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise EngineUnavailableError(f"{path} is damaged: {error}") from error
    if size != 8 + length + end:
        raise EngineUnavailableError(
            f"{path} is {size} bytes long and should be {8 + length + end}: it was cut off"
        )


def _numbers(folder: Path) -> int:
    """Return how many numbers the weights of a folder are."""
    count = 0
    for path in _weight_files(folder):
        _, header = _header(path)
        count += sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    return count


def weight_names(folder: Path) -> set[str]:
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


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds. Raises EngineUnavailableError."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineUnavailableError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise EngineUnavailableError(f"{path} does not hold an object")
    return found
