"""Cache keys: a digest of everything that the engine's audio of an utterance depends on."""

from __future__ import annotations

import hashlib
import json

from ..speech import Utterance

VERSION = 1
"""Of the keys: increase it when the same key would mean other audio."""


def utterance_key(utterance: Utterance, engine: str) -> bytes:
    """Return the key of an utterance, a digest of 32 bytes.

    ``engine``: its identity, as ``Engine.identity`` returns it. Post-processing (speed, gain, level) is left
    out. A clone is identified by its recording's digest, not by its name.
    """
    voice = utterance.voice
    speaker = voice.speaker if voice.reference is None else f"recording {voice.reference.digest}"
    instruct = voice.style.instruct if voice.style is not None else ""
    parts = (
        *(VERSION, engine, voice.engine, voice.model, speaker, instruct),
        *(utterance.language, utterance.seed, utterance.text),
    )
    return hashlib.sha256(json.dumps(parts).encode()).digest()
