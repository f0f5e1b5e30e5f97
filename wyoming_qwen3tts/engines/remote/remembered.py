"""What servers last said of themselves, so that their voices are known while they are away.

A house whose lights go out starts again in any order: voices that pipelines were set up with stay in the
list, and others speak for them until their server is there.
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
from .server import ENGINE, Found

_LOGGER = logging.getLogger(__name__)

FIELDS = (
    *("name", "description", "languages", "version", "model", "supports_instructions", "accented", "rank"),
    *("levelled", "attribution"),
)
"""What a server's voice is made of; the rest is as it is with all of them."""


class Remembered:
    """A JSON file: what each server said, by its address. All calls block: they are for a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Found]:
        """Return what was kept; nothing of a file that is not whole."""
        try:
            found = json.loads(self._path.read_bytes())
            return {str(uri): _found(said) for uri, said in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            _LOGGER.warning("%s cannot be read, and other machines are asked anew: %s", self._path, error)
            return {}

    def keep(self, found: Mapping[str, Found]) -> None:
        """Write it down; a disk that is full is only a warning."""
        said = {uri: _said(each) for uri, each in found.items()}
        try:
            atomic_file.make_private(self._path.parent)
            atomic_file.write(self._path, json.dumps(said, indent=1, ensure_ascii=False).encode())
        except OSError as error:
            _LOGGER.warning("The voices of other machines cannot be remembered: %s", error)


def _said(found: Found) -> dict[str, Any]:
    voices = [dataclasses.asdict(voice) for voice in found.voices]
    return {
        "voices": [{name: voice[name] for name in FIELDS} for voice in voices],
        "identities": found.identities,
        "cloner": found.cloner,
    }


def _found(said: Any) -> Found:
    """Return what was said. Raises ValueError, TypeError, KeyError or AttributeError for what never was."""
    voices = []
    for each in said["voices"]:
        given = {name: each[name] for name in FIELDS}
        given["languages"] = tuple(map(str, given["languages"]))
        given["attribution"] = Attribution(**given["attribution"])
        if not given["languages"] or not isinstance(given["name"], str):
            raise ValueError("a voice without a name or a language")
        voices.append(Voice(engine=ENGINE, **given))
    identities = {str(model): str(identity) for model, identity in said["identities"].items()}
    return Found(tuple(voices), identities, str(said["cloner"]))
