"""Files that are made of the recordings of custom voices, named by digest, in the data directory.

DATA/references/DIGEST.wav   the prepared recording
DATA/references/DIGEST.json  its given transcript and its notes
DATA/prompts/DIGEST-*        the engine's speaker embedding or prompt
"""

from __future__ import annotations

import errno
import json
import logging
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from .. import atomic_file
from ..speech import SpeechError
from ..telemetry import quote
from . import recording as recordings
from .recording import PreparedRecording
from .voice_directory import NEW, REMOVED, create_directory, is_readable

_LOGGER = logging.getLogger(__name__)

STALE = 86_400
"""Seconds after which an unfinished file is left over from a process that was killed."""

_UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}
"""Errors of writing that another directory may not have."""
_DERIVED_FILE = re.compile(r"([0-9a-f]{64})(?:\.wav|\.json|-.*\.safetensors)|\.([0-9a-f]{64})[-.].*\.part")
"""Name of a file that was made of a recording, finished or not; the group is its digest."""


class StoreError(SpeechError):
    """The data directory cannot be read or written; the message says where and why."""

    code = "data-directory"


class PreparedRecordings:
    """The prepared recordings. If their directory is not writable, new ones are stored temporarily."""

    def __init__(self, directory: Path) -> None:
        """``directory``: the data directory."""
        self.references = directory / "references"
        self._prompts = directory / "prompts"
        self._temporary: Path | None = None
        """Directory of this process, used where ``references`` is not writable."""

    def path(self, digest: str) -> Path:
        """Return the path of a prepared recording."""
        return next(
            (place / f"{digest}.wav" for place in self._places() if is_readable(place / f"{digest}.json")),
            self.references / f"{digest}.wav",
        )

    def notes(self, digest: str, given_transcript: str) -> tuple[str, ...] | None:
        """Return the notes on a recording that was prepared with this transcript; None if it was not."""
        for place in self._places():
            # Whatever is wrong with the files, the recording is prepared again.
            with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
                content = json.loads((place / f"{digest}.json").read_bytes())
                if is_readable(place / f"{digest}.wav") and content["asked"] == given_transcript:
                    return tuple(str(note) for note in content["remarks"])
        return None

    def store(self, digest: str, given_transcript: str, prepared: PreparedRecording) -> None:
        """Write a prepared recording, temporarily if the data directory is read-only. Raises StoreError."""
        try:
            create_directory(self.references)
            self.write(self.references, digest, given_transcript, prepared)
        except OSError as error:
            reason = f"{self.references} cannot be written to: {error.strerror}"
            if error.errno not in _UNWRITABLE:
                raise StoreError(reason) from error
            try:
                self.write(self._temporary_directory(reason), digest, given_transcript, prepared)
            except OSError:
                raise StoreError(reason) from error

    def write(self, place: Path, digest: str, given_transcript: str, prepared: PreparedRecording) -> None:
        """Write a prepared recording into a directory. Raises OSError."""
        content = {"asked": given_transcript, "remarks": prepared.notes}
        atomic_file.write(place / f"{digest}.wav", recordings.to_wav(prepared))
        # Last, since ``notes`` looks for it.
        atomic_file.write(place / f"{digest}.json", json.dumps(content).encode())

    def files(self, digests: Collection[str] | None = None) -> set[Path]:
        """Return the files that were made of recordings with these digests; None is of any."""
        found = set()
        for directory in (*self._places(), self._prompts):
            with suppress(OSError):
                for path in directory.iterdir():
                    match = _DERIVED_FILE.fullmatch(path.name)
                    if match is not None and (digests is None or (match[1] or match[2]) in digests):
                        found.add(path)
        return found

    def delete_unused(self, used: Collection[str]) -> None:
        """Delete the files of recordings with other digests than ``used``, and stale unfinished files.

        Unfinished prepared recordings are kept until then: another process may be adding their voice.
        """
        for path in self.files() - self.files(used):
            if path.parent == self.references and path.name.endswith(atomic_file.PART):
                continue
            with suppress(OSError):
                path.unlink()
        for directory in (self.references, self._prompts):
            delete_stale(directory)

    def _places(self) -> list[Path]:
        return [place for place in (self._temporary, self.references) if place is not None]

    def _temporary_directory(self, reason: str) -> Path:
        """Return the directory of this process, which is deleted when it ends. Raises OSError."""
        if self._temporary is None or not self._temporary.is_dir():
            self._temporary = Path(tempfile.mkdtemp(prefix="wyoming-qwen3tts-"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
            fact = "voices: recordings are prepared again after every restart reason=%s"
            _LOGGER.warning(fact, quote(reason))
        return self._temporary


def delete_stale(directory: Path) -> None:
    """Delete unfinished files and directories that are STALE."""
    with suppress(OSError):
        for path in directory.iterdir():
            is_unfinished = path.name.startswith((NEW, REMOVED)) or path.name.endswith(atomic_file.PART)
            if is_unfinished and time.time() - path.lstat().st_mtime > STALE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
