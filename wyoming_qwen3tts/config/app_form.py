"""The options form of the Home Assistant app: which options it offers, their schema and English texts."""

from __future__ import annotations

from .describe import shown_default
from .option_types import OptionType
from .settings import OPTIONS

APP_OPTIONS = (
    "streaming",
    "allowed_networks",
    "api_keys",
    "api_key_file",
    "rate_limit",
    "cors_origins",
    "max_upload",
    "engine",
    "fallback",
    "voice",
    "espeak_languages",
    "builtin_threads",
    "language",
    "languages",
    "language_detector",
    "normalize",
    "lexicon",
    "emoji",
    "first_clause",
    "speed",
    "tempo",
    "loudness",
    "trim_silence",
    "trim_padding",
    "sentence_silence",
    "keepalive_after",
    "cache_memory",
    "cache_disk",
    "cache_redis",
    "cache_days",
    "cache_live",
    "cache_exclude_voices",
    "model",
    "revision",
    "local_files_only",
    "device",
    "dtype",
    "quantize",
    "memory_budget",
    "idle_unload",
    "instruct",
    "remote_uri",
    "remote_key",
    "remote_announce",
    "max_text",
    "first_audio_timeout",
    "exit_when_hung_for",
    "idle_timeout",
    "log_format",
    "debug",
)
"""Options that the app's form offers, in its order."""
_CAPITALS = {"api": "API", "cors": "CORS", "uri": "URI", "redis": "Redis"}
"""Words of option names with capitals of their own."""


def app_schema() -> dict[str, str]:
    """Return the ``schema`` of the Home Assistant app: the options offered there, all of them optional."""
    return {key: f"{OPTIONS[key].metadata['kind'].schema}?" for key in APP_OPTIONS}


def app_texts() -> dict[str, dict[str, str]]:
    """Return the English name and description of each of these options, for the app's form."""
    texts = {}
    for key in APP_OPTIONS:
        declared = OPTIONS[key]
        kind: OptionType = declared.metadata["kind"]
        described = f"{declared.metadata['help']}."
        if kind.metavar in {"N", "X", "SECONDS", "DBFS"}:
            described += f" Allowed: {kind.allowed}."
        if declared.default not in {None, ()}:
            described += f" Default: {shown_default(declared)}."
        name = " ".join(_CAPITALS.get(word, word) for word in key.split("_"))
        texts[key] = {"name": _sentence(name), "description": _sentence(described)}
    return texts


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
