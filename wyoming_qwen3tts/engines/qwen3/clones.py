"""Cache of cloned voices: computed once from a recording, stored on disk, recently used ones in memory.

A ``prompt.Clone`` takes seconds to compute on a CPU, so it is stored as a safetensors file, named by the
digest of the recording and the fingerprint of the model.
"""

from __future__ import annotations

import hashlib
import logging
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from ... import atomic_file
from ...speech import SAMPLE_RATE, SAMPLE_WIDTH, Reference
from ...telemetry import quote
from ..base import UnsupportedTextError
from .checkpoint import Checkpoint
from .decoder import CODEBOOKS
from .prompt import Clone

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)

FORMAT = "1"
"""Version of the files' content and of its computation."""
MAX_BYTES = 256_000_000
"""Clones kept in memory: some 25 by example, or thousands of x-vectors."""


@dataclass(slots=True)
class CloneCounts:
    """Results of ``CloneCache.get``."""

    hits: int = 0
    """Found in memory."""
    loaded: int = 0
    """Found on disk."""
    made: int = 0
    """Computed from the recording."""
    evicted: int = 0
    """Removed from memory for another one."""


class CodecStateSource(Protocol):
    """The codec of a loaded model; ``Scheduler`` implements it."""

    def compute_codec_state(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Return the codec's state after a clone's codes, [frames, 16]."""

    def codec_state_shapes(self) -> Sequence[tuple[tuple[int, ...], torch.dtype]]:
        """Return shapes and dtypes of what ``compute_codec_state`` returns."""


class CloneCache:
    """Clones of one model, in memory and on disk. For the device's thread."""

    def __init__(self, directory: Path | None, model: str, *, max_bytes: int = MAX_BYTES) -> None:
        """``directory``: None for memory only. ``model``: ``download.fingerprint``."""
        self._directory = directory
        self.model = model
        self._max_bytes = max_bytes
        self._clones: dict[str, Clone] = {}
        """By digest, the least recently used first."""
        self._unsaved: set[str] = set()
        """Digests of clones in memory whose file could not be written."""
        self.counts = CloneCounts()

    def is_cached(self, reference: Reference) -> bool:
        """Return whether a clone is in memory, so that ``get`` computes and reads nothing."""
        return reference.digest in self._clones

    def clear(self) -> None:
        """Free the memory; files are kept."""
        self._clones.clear()
        self._unsaved.clear()

    def get(self, reference: Reference, checkpoint: Checkpoint, codec: CodecStateSource) -> Clone:
        """Return the clone of a recording.

        Raises VoiceLostError where it is not cached and the recording cannot be read.
        """
        clone = self._clones.pop(reference.digest, None)
        if clone is not None:
            self.counts.hits += 1
            if self._file_is_missing(reference.digest):
                self._save(clone)
        else:
            clone = self._load(reference, checkpoint, codec)
            if clone is not None:
                self.counts.loaded += 1
            else:
                clone = create_clone(checkpoint, read_samples(reference.path), reference)
                if clone.codes is not None:
                    clone = replace(clone, codec_state=codec.compute_codec_state(clone.codes))
                self.counts.made += 1
                self._save(clone)
        self._clones[reference.digest] = clone
        while len(self._clones) > 1 and sum(map(_bytes, self._clones.values())) > self._max_bytes:
            del self._clones[next(iter(self._clones))]
            self.counts.evicted += 1
        return clone

    # ------------------------------------------------------------------ on disk

    def _path(self, digest: str) -> Path | None:
        return self._directory / f"{digest}-{self.model}.safetensors" if self._directory else None

    def _file_is_missing(self, digest: str) -> bool:
        """Return whether a clone in memory has no file, as after its voice was removed and added again."""
        path = self._path(digest)
        if path is None or digest in self._unsaved:
            return False
        try:
            path.stat()
        except FileNotFoundError:
            return True
        except OSError:
            pass  # unknown: it may exist
        return False

    def _load(self, reference: Reference, checkpoint: Checkpoint, codec: CodecStateSource) -> Clone | None:
        """Return the clone from its file; None where there is none that is valid for this model."""
        path = self._path(reference.digest)
        if path is None:
            return None
        try:
            tensors = _read(path, reference)
            _check(tensors, reference, checkpoint, codec)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever the file holds, the clone can be computed again
            _LOGGER.warning(
                "qwen3: clone file invalid, recomputing path=%s error=%s", quote(path), quote(error)
            )
            return None
        tensors = {name: tensor.to(checkpoint.device) for name, tensor in tensors.items()}
        codes = tensors.get("codes")
        codec_state = tuple(tensors[name] for name in sorted(tensors.keys() - {"embedding", "codes"}))
        return Clone(
            embedding=tensors["embedding"],
            digest=reference.digest,
            codes=codes,
            transcript=reference.transcript,
            codec_state=codec_state if codes is not None else None,
        )

    def _save(self, clone: Clone) -> None:
        """Write the clone's file atomically; a failure is logged."""
        path = self._path(clone.digest)
        if path is None:
            return
        from safetensors.torch import save

        tensors = {"embedding": clone.embedding}
        if clone.codes is not None:
            tensors["codes"] = clone.codes
        tensors |= dict(
            zip(_codec_state_names(len(clone.codec_state or ())), clone.codec_state or (), strict=True)
        )
        tensors = {name: tensors[name].cpu().contiguous() for name in sorted(tensors)}
        metadata = {"format": FORMAT, "content": _digest(tensors), "transcript": clone.transcript}
        try:
            atomic_file.make_private(path.parent)
            atomic_file.write(path, save(tensors, metadata))  # the voice store removes unfinished files
        except OSError as error:
            self._unsaved.add(clone.digest)
            _LOGGER.warning("qwen3: clone not stored, recomputed at the next start error=%s", quote(error))


def _read(path: Path, reference: Reference) -> dict[str, Tensor]:
    """Return the tensors of a clone's file. Raises any error for a file that ``CloneCache`` did not write."""
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if metadata.get("format") != FORMAT or metadata.get("content") != _digest(tensors):
        raise ValueError("its content differs from its checksum or format")
    if metadata.get("transcript") != reference.transcript:
        raise ValueError("its transcript differs from the voice's")
    return tensors


def _check(
    tensors: dict[str, Tensor], reference: Reference, checkpoint: Checkpoint, codec: CodecStateSource
) -> None:
    """Raise ValueError unless these are the tensors of a clone of this model.

    Others would fail during a generation; a code out of range breaks CUDA for the whole process.
    """
    embedding, codes = tensors.get("embedding"), tensors.get("codes")
    width = checkpoint.model.config.talker_config.hidden_size
    if embedding is None or embedding.shape != (width,) or not embedding.is_floating_point():
        raise ValueError(f"its embedding does not have {width} values")
    if (codes is not None) != bool(reference.transcript):
        raise ValueError("it has either a transcript or codes, not both")
    frames = 0
    shapes: Sequence[tuple[tuple[int, ...], torch.dtype]] = []
    if codes is not None:
        book = checkpoint.codec.config.codebook_size
        if codes.dtype != torch.long or codes.ndim != 2 or not codes.shape[0] or codes.shape[1] != CODEBOOKS:
            raise ValueError(
                f"its codes are {codes.dtype} {tuple(codes.shape)}, not int64 [frames, {CODEBOOKS}]"
            )
        if int(codes.min()) < 0 or int(codes.max()) >= book:
            raise ValueError(f"its codes are not in 0 to {book - 1}")
        frames, shapes = codes.shape[0], codec.codec_state_shapes()
    codec_state = {name: part for name, part in tensors.items() if name not in {"embedding", "codes"}}
    expected = dict(zip(_codec_state_names(len(shapes)), shapes, strict=True))
    if {name: (tuple(part.shape), part.dtype) for name, part in codec_state.items()} != expected:
        raise ValueError("its codec state has other shapes than this model's")
    if any(not part.is_floating_point() and bool((part != frames).any()) for part in codec_state.values()):
        raise ValueError(f"its codec state is not that after {frames} frames")


def _codec_state_names(count: int) -> Sequence[str]:
    """Return the names of the codec state's tensors in a clone's file."""
    return [f"heard.{index:03}" for index in range(count)]


class VoiceLostError(UnsupportedTextError):
    """The recording of a voice cannot be read: no other voice may replace it."""

    code = "voice-lost"


def read_samples(path: Path) -> NDArray[np.float32]:
    """Return the samples, in [-1, 1), of a prepared recording. Raises VoiceLostError."""
    import numpy as np

    try:
        with wave.open(str(path), "rb") as file:
            shape = file.getframerate(), file.getsampwidth(), file.getnchannels()
            pcm = file.readframes(file.getnframes())
            whole = len(pcm) == file.getnframes() * SAMPLE_WIDTH
    except (OSError, EOFError, wave.Error) as error:
        raise VoiceLostError(
            f"the recording that the voice was cloned from cannot be read: {error}"
        ) from error
    if shape != (SAMPLE_RATE, SAMPLE_WIDTH, 1) or not whole:
        raise VoiceLostError(f"the recording that the voice was cloned from is damaged: {path}")
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)


@torch.inference_mode()
def create_clone(checkpoint: Checkpoint, samples: NDArray[np.float32], reference: Reference) -> Clone:
    """Return the official package's clone of a 24 kHz recording: x-vector, with a transcript codes too."""
    item: Any = checkpoint.official.create_voice_clone_prompt(
        (samples, SAMPLE_RATE), reference.transcript or None, x_vector_only_mode=not reference.transcript
    )[0]
    return Clone(item.ref_spk_embedding, reference.digest, item.ref_code, reference.transcript)


def _tensors(clone: Clone) -> Sequence[Tensor]:
    return [clone.embedding, *([clone.codes] if clone.codes is not None else []), *(clone.codec_state or ())]


def _bytes(clone: Clone) -> int:
    return sum(part.nbytes for part in _tensors(clone))


def _digest(tensors: dict[str, Tensor]) -> str:
    """Return a checksum of names, shapes and content."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
