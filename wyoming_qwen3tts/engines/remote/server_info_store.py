"""Stores the voices of remote servers, so that they are known while the servers are down.

After a power failure machines start in any order: voices that a client is configured with stay in the list,
and a fallback voice replaces them until their server is up.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import atomic_file
from ...speech import Attribution, Voice
from ...telemetry import quote
from .server import ENGINE, ServerInfo

_LOGGER = logging.getLogger(__name__)

VOICE_FIELDS = (
    *("name", "description", "languages", "version", "model", "supports_instructions", "accented", "rank"),
    *("levelled", "attribution"),
)
"""Stored fields of a voice; the others have their defaults."""


class ServerInfoStore:
    """A JSON file with each server's ``ServerInfo``, by address. Its calls block: run them in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, ServerInfo]:
        """Return the stored contents; empty where the file is missing or invalid."""
        try:
            found = json.loads(self._path.read_bytes())
            return {str(uri): _from_json(data) for uri, data in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            _LOGGER.warning("remote: stored voices ignored path=%s error=%s", quote(self._path), quote(error))
            return {}

    def write(self, found: Mapping[str, ServerInfo]) -> None:
        """Write the file atomically; a failure is logged."""
        data = {uri: _to_json(each) for uri, each in found.items()}
        try:
            atomic_file.make_private(self._path.parent)
            atomic_file.write(self._path, json.dumps(data, indent=1, ensure_ascii=False).encode())
        except OSError as error:
            _LOGGER.warning("remote: voices not stored path=%s error=%s", quote(self._path), quote(error))


def _to_json(found: ServerInfo) -> dict[str, Any]:
    voices = [dataclasses.asdict(voice) for voice in found.voices]
    return {
        "voices": [{name: voice[name] for name in VOICE_FIELDS} for voice in voices],
        "identities": found.identities,
        "cloner": found.cloning_model,
    }


def _from_json(data: Any) -> ServerInfo:
    """Return the stored value. Raises ValueError, TypeError, KeyError or AttributeError for invalid data."""
    voices = []
    for each in data["voices"]:
        given = {name: each[name] for name in VOICE_FIELDS}
        given["languages"] = tuple(map(str, given["languages"]))
        given["attribution"] = Attribution(**given["attribution"])
        if not given["languages"] or not isinstance(given["name"], str):
            raise ValueError("a voice without a name or a language")
        voices.append(Voice(engine=ENGINE, **given))
    identities = {str(model): str(identity) for model, identity in data["identities"].items()}
    return ServerInfo(tuple(voices), identities, str(data["cloner"]))
