"""What a log says at start: which voice speaks and why, and how to hear it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .audio.player import find_player
from .client import client_uri, default_uri
from .config.address import Address
from .config.settings import Settings
from .engines.pool import EnginePool
from .engines.qwen3.engine import Qwen3Engine
from .server.wyoming.info import fallback_notice
from .speech import Voice


def reason_for_default(voice: Voice, pool: EnginePool, settings: Settings) -> str:
    """Return why ``voice`` is the default voice."""
    engine = pool.get(voice.engine)
    if engine is not None and engine.name == Qwen3Engine.name:
        return engine.about if pool.up(engine.name) else f"--model asks for it ({fallback_notice(pool)})"
    if not settings.model.model:
        return f"no Qwen3-TTS model is set up ({detected_gpu()})"
    if settings.voices.voice is not None:
        return "--voice asks for it"
    return f"{' and '.join(settings.model.model)} gives no voice (the lines above say why)"


def detected_gpu() -> str:
    """Return what GPU this machine seems to have, found without loading anything."""
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        return "an NVIDIA GPU is there"
    if sys.platform == "darwin":
        return "an Apple GPU may be there"
    return "and no GPU was found"


def say_command(address: Address) -> str:
    """Return the command with which a user of this machine hears the service."""
    program = shutil.which("wyoming-qwen3tts") and "wyoming-qwen3tts"
    if program is None:
        own = Path(sys.executable).with_name("wyoming-qwen3tts")
        program = str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)
    uri = "" if client_uri(str(address)) == default_uri() else f" --uri {client_uri(str(address))}"
    output = "" if find_player() else " --output hello.wav"
    return f'{program} say "Hello"{uri}{output}'
