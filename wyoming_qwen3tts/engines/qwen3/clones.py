"""Cloned voices as the model knows them: made once from a recording, kept on disk, the last used in memory.

What a Base checkpoint needs of a recording (``prompt.Clone``) takes seconds to compute on a CPU, so it is
kept as a safetensors file, named by the digest of the recording and the fingerprint of the model.
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
from ..base import UnsupportedTextError
from .checkpoint import Checkpoint
from .decoder import CODEBOOKS
from .prompt import Clone

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)

FORMAT = "1"
"""Changes when what a file holds does, or how it is computed."""
MEMORY = 256_000_000
"""Bytes of clones kept in memory: some 25 by example, or all the x-vectors anybody has."""


@dataclass(slots=True)
class PromptCounts:
    """What became of the calls of ``Clones.get``."""

    hits: int = 0
    """Found in memory."""
    loaded: int = 0
    """Found on disk."""
    made: int = 0
    """Made from the recording."""
    evicted: int = 0
    """Left memory for another one."""


class Ear(Protocol):
    """The codec of a model that is there."""

    def listen(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Return the codec's state after codes, [frames, 16]."""

    def heard_shapes(self) -> Sequence[tuple[tuple[int, ...], torch.dtype]]:
        """Return shapes and dtypes of what ``listen`` returns."""


class Clones:
    """The clones of one model. For the device's thread."""

    def __init__(self, directory: Path | None, model: str, *, memory: int = MEMORY) -> None:
        """``directory``: None keeps them in memory only. ``model``: ``download.fingerprint``."""
        self._directory = directory
        self.model = model
        self._memory = memory
        self._known: dict[str, Clone] = {}
        """By digest, the least recently used first."""
        self._unkept: set[str] = set()
        """Digests of clones in memory that no file could be written for."""
        self.counts = PromptCounts()

    def known(self, reference: Reference) -> bool:
        """Whether it is in memory, so that ``get`` costs nothing."""
        return reference.digest in self._known

    def forget(self) -> None:
        """Free the memory; what is on disk stays."""
        self._known.clear()
        self._unkept.clear()

    def get(self, reference: Reference, found: Checkpoint, ear: Ear) -> Clone:
        """Return the clone of a recording. Raises VoiceLostError if that is not known and cannot be read."""
        clone = self._known.pop(reference.digest, None)
        if clone is not None:
            self.counts.hits += 1
            if self._gone(reference.digest):
                self._save(clone)
        else:
            clone = self._load(reference, found, ear)
            if clone is not None:
                self.counts.loaded += 1
            else:
                clone = make(found, samples_of(reference.path), reference)
                if clone.codes is not None:
                    clone = replace(clone, heard=ear.listen(clone.codes))
                self.counts.made += 1
                self._save(clone)
        self._known[reference.digest] = clone
        while len(self._known) > 1 and sum(map(_bytes, self._known.values())) > self._memory:
            del self._known[next(iter(self._known))]
            self.counts.evicted += 1
        return clone

    # ------------------------------------------------------------------ on disk

    def _path(self, digest: str) -> Path | None:
        return self._directory / f"{digest}-{self.model}.safetensors" if self._directory else None

    def _gone(self, digest: str) -> bool:
        """Whether the file of a clone in memory is gone, as when its voice was removed and added again."""
        path = self._path(digest)
        if path is None or digest in self._unkept:
            return False
        try:
            path.stat()
        except FileNotFoundError:
            return True
        except OSError:
            pass  # nobody knows
        return False

    def _load(self, reference: Reference, found: Checkpoint, ear: Ear) -> Clone | None:
        """Return the clone from its file, None where there is none that is whole and of this model."""
        path = self._path(reference.digest)
        if path is None:
            return None
        try:
            tensors = _read(path, reference)
            _check(tensors, reference, found, ear)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever the file holds, its clone can be made anew
            _LOGGER.warning("%s cannot be used and is made anew: %s", path, error)
            return None
        tensors = {name: tensor.to(found.device) for name, tensor in tensors.items()}
        codes = tensors.get("codes")
        heard = tuple(tensors[name] for name in sorted(tensors.keys() - {"embedding", "codes"}))
        return Clone(
            embedding=tensors["embedding"],
            digest=reference.digest,
            codes=codes,
            transcript=reference.transcript,
            heard=heard if codes is not None else None,
        )

    def _save(self, clone: Clone) -> None:
        """Write the clone's file, whole or not at all; a disk that is full is only a warning."""
        path = self._path(clone.digest)
        if path is None:
            return
        from safetensors.torch import save

        tensors = {"embedding": clone.embedding}
        if clone.codes is not None:
            tensors["codes"] = clone.codes
        tensors |= dict(zip(_heard_names(len(clone.heard or ())), clone.heard or (), strict=True))
        tensors = {name: tensors[name].cpu().contiguous() for name in sorted(tensors)}
        said = {"format": FORMAT, "content": _digest(tensors), "transcript": clone.transcript}
        try:
            atomic_file.make_private(path.parent)
            atomic_file.write(path, save(tensors, said))  # the library sweeps away what was not finished
        except OSError as error:
            self._unkept.add(clone.digest)
            _LOGGER.warning("The clone cannot be kept, and is made anew at the next start: %s", error)


def _read(path: Path, reference: Reference) -> dict[str, Tensor]:
    """Return what a clone's file holds. Raises what a file brings that was not written by ``Clones``."""
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        said = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if said.get("format") != FORMAT or said.get("content") != _digest(tensors):
        raise ValueError("its content is not what was written")
    if said.get("transcript") != reference.transcript:
        raise ValueError("its transcript is another one")
    return tensors


def _check(tensors: dict[str, Tensor], reference: Reference, found: Checkpoint, ear: Ear) -> None:
    """Raise ValueError unless these are a clone's, of this model.

    What is not would fail in the middle of a take; a code out of range ends CUDA for the whole process.
    """
    embedding, codes = tensors.get("embedding"), tensors.get("codes")
    width = found.model.config.talker_config.hidden_size
    if embedding is None or embedding.shape != (width,) or not embedding.is_floating_point():
        raise ValueError(f"its embedding is not {width} numbers")
    if (codes is not None) != bool(reference.transcript):
        raise ValueError("it has a transcript or codes, and not both")
    frames = 0
    shapes: Sequence[tuple[tuple[int, ...], torch.dtype]] = []
    if codes is not None:
        book = found.codec.config.codebook_size
        if codes.dtype != torch.long or codes.ndim != 2 or not codes.shape[0] or codes.shape[1] != CODEBOOKS:
            raise ValueError(f"its codes are {codes.dtype}, {tuple(codes.shape)}")
        if int(codes.min()) < 0 or int(codes.max()) >= book:
            raise ValueError(f"its codes are not below {book}")
        frames, shapes = codes.shape[0], ear.heard_shapes()
    heard = {name: part for name, part in tensors.items() if name not in {"embedding", "codes"}}
    expected = dict(zip(_heard_names(len(shapes)), shapes, strict=True))
    if {name: (tuple(part.shape), part.dtype) for name, part in heard.items()} != expected:
        raise ValueError("what the codec heard has another shape")
    if any(not part.is_floating_point() and bool((part != frames).any()) for part in heard.values()):
        raise ValueError(f"the codec did not hear {frames} frames")


def _heard_names(count: int) -> Sequence[str]:
    return [f"heard.{index:03}" for index in range(count)]


class VoiceLostError(UnsupportedTextError):
    """A voice whose recording is gone: nobody else's will do instead."""

    code = "voice-lost"


def samples_of(path: Path) -> NDArray[np.float32]:
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
def make(found: Checkpoint, samples: NDArray[np.float32], reference: Reference) -> Clone:
    """Return what the official package makes of a recording, 24 kHz: x-vector, and codes for a transcript."""
    item: Any = found.official.create_voice_clone_prompt(
        (samples, SAMPLE_RATE), reference.transcript or None, x_vector_only_mode=not reference.transcript
    )[0]
    return Clone(item.ref_spk_embedding, reference.digest, item.ref_code, reference.transcript)


def _parts(clone: Clone) -> Sequence[Tensor]:
    return [clone.embedding, *([clone.codes] if clone.codes is not None else []), *(clone.heard or ())]


def _bytes(clone: Clone) -> int:
    return sum(part.nbytes for part in _parts(clone))


def _digest(tensors: dict[str, Tensor]) -> str:
    """Return a checksum of names, shapes and content."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
