"""Configuration of the Qwen3-TTS engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...config.settings import Settings

PROMPTS = "prompts"
"""Folder of the data directory for clones (``clones.CloneCache``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The settings of the models, as plain values."""

    models: tuple[str, ...]
    """Each a directory, or a name on the hub: ``OWNER/NAME`` or ``OWNER/NAME@REVISION``. At least one."""
    revision: str | None
    """For models without ``@REVISION``."""
    download_dir: Path | None
    local_files_only: bool
    device: str
    dtype: str
    quantize: str
    max_batch_size: int
    """Generations at a time."""
    max_seq_len: int
    """Positions of a generation: prompt and frames."""
    frames_per_token: float
    """Maximum frames for each token of a text."""
    idle_unload: float
    """Seconds without a generation after which a model is unloaded; 0 never unloads."""
    memory_budget: float
    """Gigabytes (10^9 bytes) for all loaded models together; 0 is the device's memory."""
    instruct: str
    """Style of every utterance, in words; empty for none."""
    prompts: Path | None = None
    """Directory for clones; None keeps them in memory only."""
    eager: bool = True
    """Load the first model at start; otherwise each one when it is first needed."""

    @classmethod
    def of(cls, settings: Settings, *, eager: bool = True) -> Configuration:
        """Return the part of ``settings`` about the models."""
        return cls(
            models=settings.model.model,
            revision=settings.model.revision,
            download_dir=settings.model.download_dir,
            local_files_only=settings.model.local_files_only,
            device=settings.model.device,
            dtype=settings.model.dtype,
            quantize=settings.model.quantize,
            max_batch_size=settings.model.max_batch_size,
            max_seq_len=settings.model.max_seq_len,
            frames_per_token=settings.model.frames_per_token,
            idle_unload=settings.model.idle_unload,
            memory_budget=settings.model.memory_budget,
            instruct=settings.model.instruct or "",
            prompts=settings.voices.directory / PROMPTS,
            eager=eager,
        )
