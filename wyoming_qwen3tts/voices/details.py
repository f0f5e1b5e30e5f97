"""Details of a custom voice: the content of its ``voice.toml``, checked, parsed and written."""

from __future__ import annotations

import hashlib
import json
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..config.option_types import language as language_option
from ..speech import SpeechError
from .names import printable

FILE_NAME = "voice.toml"
LONGEST_TEXT = 1_000
"""Characters of a description, and of the one that a voice was designed from."""
SEEDS = 2**32
"""Number of random seeds."""


@dataclass(frozen=True, slots=True)
class Details:
    """Details of a custom voice, all optional."""

    language: str | None = None
    """BCP 47, its native language."""
    description: str = ""
    seed: int | None = None
    model: str = ""
    """The engine's model that is to speak it; empty for the first that can."""
    designed: str = ""
    """The description it was designed from; empty for a recorded voice."""


def default_seed(name: str) -> int:
    """Return the seed of a voice without one: 31 bits of the SHA-256 of its name."""
    name = unicodedata.normalize("NFC", name)
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:4], "big") >> 1


def check_details(values: Mapping[str, object]) -> Details:
    """Return checked details. Raises SpeechError (``bad-voice``), whose message names the key."""
    known = {field.name for field in fields(Details)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise SpeechError(
                f"there is no key {printable(name)[:40]!r}, only {', '.join(sorted(known))}", "bad-voice"
            )
        if name == "seed":
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < SEEDS:
                raise SpeechError(f"seed is not a whole number from 0 to {SEEDS - 1}", "bad-voice")
            checked[name] = value
            continue
        if not isinstance(value, str):
            raise SpeechError(f"{name} is not a text in quotes", "bad-voice")
        checked[name] = "".join(letter for letter in " ".join(value.split()) if letter.isprintable())
        if len(checked[name]) > LONGEST_TEXT:
            raise SpeechError(f"{name} is longer than {LONGEST_TEXT} characters", "bad-voice")
    try:
        language = checked.get("language")
        checked["language"] = language_option().read(language) if language else None
    except ValueError:
        raise SpeechError(
            f"language is not a code such as de or pt-BR: {checked['language'][:40]!r}", "bad-voice"
        ) from None
    return Details(**checked)


def parse_details(text: str) -> Details:
    """Return the details in the text of a ``voice.toml``. Raises SpeechError, which names the file."""
    try:
        return check_details(tomllib.loads(text))
    except SpeechError as error:
        raise SpeechError(f"{FILE_NAME}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SpeechError(f"{FILE_NAME} is not TOML: {printable(str(error))}") from error


def format_details(details: Details) -> str:
    """Return the text of a ``voice.toml``. A string of JSON on one line is a string of TOML too."""
    values = {name: value for name, value in asdict(details).items() if value not in {None, ""}}
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
