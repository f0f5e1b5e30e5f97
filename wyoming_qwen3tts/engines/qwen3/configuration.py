"""What the settings say about the models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...config.settings import Settings

PROMPTS = "prompts"
"""The folder of the data directory with what models made of recordings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the settings say about the models, in plain values."""

    models: tuple[str, ...]
    """Each a directory, or a name on the hub: ``OWNER/NAME`` or ``OWNER/NAME@REVISION``. At least one."""
    revision: str | None
    """For models that name none of their own."""
    download_dir: Path | None
    local_files_only: bool
    device: str
    dtype: str
    quantize: str
    max_batch_size: int
    """Utterances spoken at a time."""
    max_queue: int
    """Utterances that wait."""
    max_seq_len: int
    """Positions of an utterance: prompt and frames."""
    frames_per_token: float
    """Frames an utterance may take for each token of its text."""
    idle_unload: float
    """Seconds without an utterance after which the memory is freed; 0 never frees it."""
    memory_budget: float
    """Gigabytes (10^9 bytes) that all loaded models may take together; 0 is what the device has."""
    instruct: str
    """How every utterance is spoken; empty for no instruction."""
    prompts: Path | None = None
    """Where clones are kept once the model has heard their recordings; None keeps them in memory only."""
    eager: bool = True
    """Load the first model at start; if not, each when it is first needed."""

    @classmethod
    def of(cls, settings: Settings, *, eager: bool = True) -> Configuration:
        """Return what ``settings`` say."""
        return cls(
            models=settings.model.model,
            revision=settings.model.revision,
            download_dir=settings.model.download_dir,
            local_files_only=settings.model.local_files_only,
            device=settings.model.device,
            dtype=settings.model.dtype,
            quantize=settings.model.quantize,
            max_batch_size=settings.model.max_batch_size,
            max_queue=settings.limits.max_queue,
            max_seq_len=settings.model.max_seq_len,
            frames_per_token=settings.model.frames_per_token,
            idle_unload=settings.model.idle_unload,
            memory_budget=settings.model.memory_budget,
            instruct=settings.model.instruct or "",
            prompts=settings.voices.directory / PROMPTS,
            eager=eager,
        )
