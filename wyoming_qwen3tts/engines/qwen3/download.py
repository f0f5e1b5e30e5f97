"""Finds, downloads and checks checkpoints, and reads their metadata, without loading them or torch.

Every defect is one sentence in an ``EngineUnavailableError``, raised before the official loader runs where
that is possible: the loader fills missing weights with random values and continues.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...progress import LOGGER, Progress, clear_line
from ...telemetry import quote
from ..base import EngineUnavailableError

if TYPE_CHECKING:
    import torch

_LOGGER = logging.getLogger(__name__)

INSTALL_HINT = "pip install 'wyoming-qwen3tts[qwen]' installs it, or script/setup --qwen in a checkout"
KINDS = {"custom_voice": "CustomVoice", "base": "Base", "voice_design": "VoiceDesign"}
CONFIG = "config.json"
CODEC = "speech_tokenizer"
"""The folder of a checkpoint that holds the codec."""
REQUIRED_FILES = (
    CONFIG,
    "generation_config.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    f"{CODEC}/config.json",
    f"{CODEC}/preprocessor_config.json",
)
RETRY_SECONDS = (1.0, 5.0, 15.0, 60.0)
"""Seconds before an interrupted download is resumed, by attempt."""
WATCH_AFTER = 2.0
"""Seconds after which a download is one that takes long."""
WATCH_INTERVAL = 0.5
"""Seconds between looks at how much is there."""
_SAMPLES = 64
_SAMPLE_BYTES = 16 * 1024
"""Samples, and bytes of each, that the fingerprint reads of a file of weights."""


@dataclass(frozen=True, slots=True)
class Source:
    """Location of a checkpoint, from the settings."""

    model: str
    """A directory, or a model's name on the hub: ``OWNER/NAME``."""
    revision: str | None = None
    """A branch, tag or commit on the hub."""
    download_dir: Path | None = None
    """Directory for downloads; the hub's own cache if None."""
    local_files_only: bool = False
    """Download nothing."""

    @classmethod
    def parse(cls, model: str, revision: str | None, download_dir: Path | None, local: bool) -> Source:
        """Parse settings; ``model`` may include its revision: ``OWNER/NAME@REVISION``."""
        name, at, own = model.rpartition("@")
        if at and name and own and not Path(model).expanduser().is_dir():
            model, revision = name, own
        return cls(model, revision, download_dir, local)


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """Metadata of a checkpoint, from its files."""

    kind: str
    """One of ``KINDS``."""
    size: str
    """``0.6B`` or ``1.7B``."""
    speakers: tuple[str, ...]
    """Speakers of a CustomVoice checkpoint, in its order."""
    languages: tuple[str, ...]
    """Names such as ``german``."""
    weights: tuple[int, int]
    """Parameters of the model, and of the codec."""
    cache_width: int
    """Elements of one position's keys and values, in all layers."""

    @property
    def name(self) -> str:
        """Name for users: ``Qwen3-TTS 0.6B CustomVoice``."""
        return f"Qwen3-TTS {self.size} {KINDS[self.kind]}"

    @property
    def supports_instructions(self) -> bool:
        """Whether the model follows instructions."""
        return supports_instructions(self.kind, self.size)

    def estimate_memory(self, dtype: torch.dtype, slots: int, length: int) -> int:
        """Return the approximate bytes for ``slots`` generations of ``length`` positions.

        Weights, the codec in float32, keys and values; plus a tenth of that for activations.
        """
        model, codec = self.weights
        cache = (slots + 1) * length * self.cache_width
        return int(1.1 * (dtype.itemsize * (model + cache) + 4 * codec))


def supports_instructions(kind: str, size: str) -> bool:
    """Return whether a model follows instructions: the official package drops them for 0.6B CustomVoice."""
    return kind != "base" and not (kind == "custom_voice" and format_size(size) == "0.6B")


def selectable_languages(languages: Iterable[str]) -> tuple[str, ...]:
    """Return the languages that may be requested: dialects are selected by their speakers."""
    return tuple(name for name in languages if "dialect" not in name)


def format_size(size: str) -> str:
    """Return a model's size in the usual notation: ``0.6B`` for ``0b6``."""
    return {"0b6": "0.6B", "1b7": "1.7B"}.get(size, size)


def find(
    source: Source,
    *,
    config_only: bool = False,
    on_download: Callable[[Progress], object] = lambda progress: None,
) -> Path:
    """Return the directory of a checkpoint, downloading it if necessary. Raises EngineUnavailableError.

    ``config_only``: download config.json alone, in a single attempt. ``on_download``: called once, from
    another thread, if files are downloaded and that takes long.
    """
    local = Path(source.model).expanduser()
    if local.is_dir():
        return local
    if source.model.count("/") != 1 or source.model.startswith((".", "/", "~")):
        raise EngineUnavailableError(f"there is no directory {source.model}")
    return _download(source, config_only=config_only, on_download=on_download)


def _download(source: Source, *, config_only: bool, on_download: Callable[[Progress], object]) -> Path:
    """Download a checkpoint from the hub; return its directory.

    The hub's client honours ``HF_TOKEN``, ``HF_HOME`` and ``HF_ENDPOINT``.
    """
    from huggingface_hub import errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # one for each file; see _watched
    name = source.model + (f" (revision {source.revision})" if source.revision else "")
    _LOGGER.info(
        "qwen3: searching checkpoint model=%s local_files_only=%s", quote(name), source.local_files_only
    )
    try:
        with (
            contextlib.nullcontext()
            if config_only or source.local_files_only
            else _watched(source, on_download)
        ):
            return _fetch(source, config_only=config_only)
    except errors.GatedRepoError as error:
        raise EngineUnavailableError(
            f"{name} is gated: accept its terms on the hub, and set HF_TOKEN to an account's token"
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
    except OSError as error:  # network errors are OSErrors too
        raise EngineUnavailableError(f"{name} cannot be downloaded: {error}") from error


@contextlib.contextmanager
def _watched(source: Source, on_download: Callable[[Progress], object]) -> Iterator[None]:
    """Show the progress of a download inside the context, if it takes longer than a check of the files."""
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(source, ended, on_download), name="qwen3-download", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        clear_line()


def _watch(source: Source, ended: threading.Event, on_download: Callable[[Progress], object]) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    if ended.wait(WATCH_AFTER):
        return
    try:
        siblings = (
            HfApi().model_info(source.model, revision=source.revision or "main", files_metadata=True).siblings
        )
    except (OSError, ValueError) as error:  # the download itself reports why
        _LOGGER.debug("qwen3: download size unknown model=%s error=%s", source.model, quote(error))
        return
    sizes = {
        (file.lfs.sha256 if file.lfs else file.blob_id): file.size
        for file in siblings or ()
        if file.size is not None
    }
    folder = Path(source.download_dir or HF_HUB_CACHE) / repo_folder_name(
        repo_id=source.model, repo_type="model"
    )
    progress = Progress(f"qwen3: downloading model={source.model}", sum(sizes.values()), LOGGER.info)
    on_download(progress)
    while not ended.wait(WATCH_INTERVAL):
        done = 0
        for name in sizes:
            for path in (folder / "blobs" / f"{name}", folder / "blobs" / f"{name}.incomplete"):
                with contextlib.suppress(OSError):
                    done += path.stat().st_size
        progress.update(done)


def _fetch(source: Source, *, config_only: bool) -> Path:
    """Download a checkpoint from the hub, resuming interrupted downloads; return its directory."""
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
            raise  # an error response of the hub, or no connection to it
        except OSError as error:
            if wait is None or error.errno is not None:  # a retry does not help, as with a full disk
                raise
            _LOGGER.warning("qwen3: download interrupted retry_in=%gs error=%s", wait, quote(error))
            time.sleep(wait)
        else:
            return Path(directory)
    raise AssertionError


def check(directory: Path) -> None:
    """Raise EngineUnavailableError, one sentence, unless this is a complete Qwen3-TTS checkpoint."""
    for name in REQUIRED_FILES:
        if not (directory / name).is_file():
            raise EngineUnavailableError(
                f"{directory} is not a complete Qwen3-TTS checkpoint: {name} is missing"
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


def read_info(directory: Path) -> CheckpointInfo:
    """Return a checkpoint's metadata. Raises EngineUnavailableError unless it is complete."""
    check(directory)
    return _parse_info(
        directory / CONFIG, (_count_parameters(directory), _count_parameters(directory / CODEC))
    )


def read_preview(source: Source) -> CheckpointInfo:
    """Return a checkpoint's metadata, its size excepted, before all of it is downloaded.

    Raises EngineUnavailableError.
    """
    path = find(source, config_only=True) / CONFIG
    _check_config(path)
    return _parse_info(path, (0, 0))


def _parse_info(path: Path, weights: tuple[int, int]) -> CheckpointInfo:
    config = read_json(path)
    talker = config.get("talker_config") or {}
    try:
        layers, heads, width = (
            int(talker[key]) for key in ("num_hidden_layers", "num_key_value_heads", "head_dim")
        )
        return CheckpointInfo(
            kind=config["tts_model_type"],
            size=format_size(str(config.get("tts_model_size"))),
            speakers=tuple(talker["spk_id"]),
            languages=selectable_languages(talker["codec_language_id"]),
            weights=weights,
            cache_width=2 * layers * heads * width,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineUnavailableError(f"{path} has no valid value of {error}") from error


def fingerprint(directory: Path, dtype: torch.dtype) -> str:
    """Return 16 hexadecimal digits that identify a model in one dtype.

    A hash of the configuration, the tokenizer and samples of the weights, which takes milliseconds: two
    separately trained checkpoints differ in nearly every weight.
    """
    digest = hashlib.sha256(str(dtype).encode())
    for name in REQUIRED_FILES:
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
        raise EngineUnavailableError(f"{index} lists no files of weights")
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
        raise EngineUnavailableError(f"{path} is truncated: {size} bytes instead of {8 + length + end}")


def _count_parameters(folder: Path) -> int:
    """Return the number of parameters in a folder's weights."""
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
    """Return length and content of a safetensors file's header. Raises any error for a damaged file."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return length, json.loads(file.read(min(length, path.stat().st_size)))


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raises EngineUnavailableError."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        reason = error.strerror or error
        raise EngineUnavailableError(f"{path} cannot be read: {reason}; is it a Qwen3-TTS model?") from error
    except ValueError as error:
        raise EngineUnavailableError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise EngineUnavailableError(f"{path} is not a JSON object")
    return found
