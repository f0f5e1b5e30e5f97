"""The options form of the Home Assistant app: which options it offers, and their schema."""

from __future__ import annotations

from .settings import OPTIONS
from .sources import MORE_OPTIONS

APP_OPTIONS = (
    "model",
    "remote_uri",
    "remote_key",
    "remote_announce",
    "voice",
    "language",
    "languages",
    "espeak_languages",
    "speed",
    "loudness",
    "lexicon",
    "cache_disk",
    "allowed_networks",
    "api_keys",
    "debug",
)
"""Options that have a field of their own in the app's form, in its order; the others go into MORE_OPTIONS."""


def app_schema() -> dict[str, str | list[str]]:
    """Return the ``schema`` of the Home Assistant app; every field is optional."""
    fields = {key: f"{OPTIONS[key].metadata['kind'].schema}?" for key in APP_OPTIONS}
    return {**fields, MORE_OPTIONS: ["str?"]}
