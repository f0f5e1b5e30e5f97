"""What the settings say about the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the settings say about the model, in plain values."""

    model: str
    """A directory, or a model's name on the hub."""
    revision: str | None
    download_dir: Path | None
    local_files_only: bool
    device: str
    dtype: str
    quantize: str
    takes: int
    """Utterances spoken at a time."""
    waiting: int
    """Utterances that wait."""
    length: int
    """Positions of an utterance: prompt and frames."""
    frames_per_token: float
    """Frames an utterance may take for each token of its text."""
    idle_unload: float
    """Seconds without an utterance after which the memory is freed; 0 never frees it."""
    instruct: str
    """How every utterance is spoken; empty for no instruction."""
