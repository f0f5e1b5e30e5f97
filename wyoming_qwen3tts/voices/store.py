"""The custom-voice store: one directory with a recording for each voice, in the data directory.

    DATA/voices/NAME/  a recording of any name, transcript.txt, voice.toml

Users add, change and delete voices by hand while the service runs. So everything is checked: a fault in one
voice is reported as a problem, and does not affect the others.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import suppress
from pathlib import Path

from .. import atomic_file
from ..speech import CustomVoice, SpeechError
from . import details as voice_details
from . import recording as recordings
from .details import Details, check_details, format_details
from .names import InvalidNameError, check_name, name_key, printable
from .prepared_recordings import PreparedRecordings, StoreError
from .recording import PreparedRecording
from .store_reader import StoreContents, StoreReader
from .voice_directory import (
    NEW,
    REMOVED,
    TRANSCRIPT,
    File,
    copy_recording,
    create_directory,
    list_directory,
)

_NAME_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""Errors of renaming a directory to a name that exists."""


class VoiceNotFoundError(SpeechError):
    """The data directory has no voice of that name; the message says which it has."""

    code = "unknown-voice"


class CustomVoiceStore:
    """The custom voices in the data directory. Its methods block: call them in a thread."""

    def __init__(self, directory: Path, reserved: Collection[str] = ()) -> None:
        """``reserved``: names that no custom voice may have, since other voices have them."""
        self._directory = directory.absolute()
        self._voices = self._directory / "voices"
        self._prepared = PreparedRecordings(self._directory)
        self._reserved = {name_key(name): name for name in reserved}
        self._lock = threading.Lock()
        self._reader = StoreReader(self._voices, self._prepared, reserved)

    def signature(self) -> Hashable:
        """Return a value that changes whenever ``read`` would return something else. Opens no file."""
        return self._reader.signature()

    def read(self) -> StoreContents:
        """Return all voices and problems; prepare new recordings, and delete files that are not used."""
        with self._lock:
            return self._reader.read()

    # -- adding ---------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        recording: Path,
        *,
        transcript: str = "",
        language: str | None = None,
        description: str = "",
        seed: int | None = None,
        model: str = "",
        designed: str = "",
        progress: Callable[[str], object] = lambda step: None,
    ) -> CustomVoice:
        """Add a voice with a copy of ``recording``. For the other arguments see ``Details``.

        ``progress`` is called with each step's name. Raises InvalidNameError (``duplicate-name`` for one that
        is taken), InvalidRecordingError, SpeechError (``bad-voice``) for a detail, and StoreError; nothing is
        stored then.
        """
        progress("checking the name")
        name = self.check_free(name)
        given_details: dict[str, object] = {
            "language": language,
            "description": description,
            "seed": seed,
            "model": model,
            "designed": designed,
        }
        details = check_details({key: value for key, value in given_details.items() if value is not None})
        progress("preparing the recording")
        fingerprint = recordings.fingerprint(recording)
        given = recordings.clean_transcript(transcript, printable(recording.name))
        prepared = recordings.prepare(recording, given)
        progress("writing the voice")
        with self._lock:
            self.check_free(name)
            digest = self._write(name, recording, fingerprint, given, prepared, details)
        return self._reader.voice(name, details, digest, prepared.transcript, prepared.notes)

    def check_free(self, name: str) -> str:
        """Return ``name`` in the form that a new voice would have.

        Raises InvalidNameError, ``duplicate-name`` if a voice or any entry of the directory has it.
        """
        name = check_name(name)
        same = [entry for entry, *_ in self._entries() if name_key(entry) == name_key(name)]
        other = self._reserved.get(name_key(name)) or next(iter(same), None)
        if other is not None:
            raise _name_taken(other)
        return name

    def check_writable(self) -> None:
        """Raise StoreError if no voice could be written."""
        created: list[Path] = []
        try:
            for directory in (self._voices, self._prepared.references):
                created += create_directory(directory)
                Path(tempfile.mkdtemp(prefix=NEW, dir=directory)).rmdir()
        except OSError as error:
            raise StoreError(f"{self._directory} cannot be written to: {error.strerror}") from error
        finally:
            with suppress(OSError):
                for path in reversed(created):
                    path.rmdir()

    def _write(
        self,
        name: str,
        recording: Path,
        fingerprint: str,
        transcript: str,
        prepared: PreparedRecording,
        details: Details,
    ) -> str:
        """Write a voice and its prepared recording, all or nothing; return the digest.

        Raises StoreError and InvalidRecordingError, and InvalidNameError if another process has added a voice
        of this name since.
        """
        directory = self._voices / name
        if not directory.resolve().is_relative_to(self._voices.resolve()):
            raise InvalidNameError(f"{name!r} leads out of {self._voices}")
        digest = recordings.digest(fingerprint, prepared.transcript)
        before = self._prepared.files({digest})
        created: list[Path] = []
        new = None
        try:
            created += create_directory(self._voices)
            created += create_directory(self._prepared.references)
            new = Path(tempfile.mkdtemp(prefix=NEW, dir=self._voices))
            copy_recording(recording, new / f"recording.{prepared.extension}", fingerprint)
            if transcript:
                atomic_file.write(new / TRANSCRIPT, f"{transcript}\n".encode())
            if text := format_details(details):
                atomic_file.write(new / voice_details.FILE_NAME, text.encode())
            self._prepared.write(self._prepared.references, digest, transcript, prepared)
            new = _rename_new(new, directory)
            atomic_file.flush(self._voices)
        except BaseException as error:
            if new is not None:
                shutil.rmtree(new, ignore_errors=True)
            with suppress(OSError):
                for path in self._prepared.files({digest} - self._reader.digests(name)) - before:
                    path.unlink()
                for path in reversed(created):
                    path.rmdir()
            if isinstance(error, OSError):
                raise StoreError(
                    f"{self._directory} cannot be written to, and nothing was stored: {error.strerror}"
                ) from error
            raise
        return digest

    # -- removing -------------------------------------------------------------------------------------------

    def remove(self, name: str) -> str:
        """Delete the voice called ``name`` and all files made of its recording; return its exact name.

        Raises VoiceNotFoundError, and StoreError if a file cannot be deleted.
        """
        with self._lock:
            names = self._voice_names()
            directory = _find(name, names)
            if directory is None:
                existing = ", ".join(names.values()) or "none"
                raise VoiceNotFoundError(
                    f"there is no voice {printable(name)[:80]!r} in {self._voices}; it has {existing}"
                )
            digests = self._reader.digests(directory)
            removed = self._voices / f"{REMOVED}{secrets.token_hex(8)}"
            try:
                (self._voices / directory).rename(removed)
                for other in names:
                    digests -= self._reader.digests(other) if other != directory else set()
                for path in self._prepared.files(digests):
                    path.unlink(missing_ok=True)
                shutil.rmtree(removed)
            except OSError as error:
                raise StoreError(f"{self._voices / directory} cannot be deleted: {error.strerror}") from error
            return names[directory]

    def _voice_names(self) -> dict[str, str]:
        """Return directory → voice name, for those that may be voices. Raises StoreError."""
        names = {}
        for directory, mode, *_ in self._entries():
            with suppress(InvalidNameError):
                if stat.S_ISDIR(mode):
                    names[directory] = check_name(directory)
        return names

    def _entries(self) -> tuple[File, ...]:
        """Return the entries of the voices' directory; none if it does not exist. Raises StoreError."""
        try:
            return list_directory(self._voices)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StoreError(f"{self._voices} cannot be read: {error.strerror}") from error


def _name_taken(name: str) -> InvalidNameError:
    return InvalidNameError(
        f"there is a voice {printable(name)!r} already: choose another name", "duplicate-name"
    )


def _rename_new(new: Path, directory: Path) -> Path:
    """Give the directory of a new voice its name. Raises InvalidNameError if that exists, and OSError."""
    try:
        return new.rename(directory)
    except OSError as error:
        if error.errno in _NAME_TAKEN:
            raise _name_taken(directory.name) from error
        raise


def _find(name: str, names: Mapping[str, str]) -> str | None:
    """Return the directory of the voice called ``name``, exactly or else by its key, if there is one."""
    try:
        name = check_name(name)
    except InvalidNameError:
        return None
    exact = [directory for directory, own in names.items() if own == name]
    similar = [directory for directory, own in names.items() if name_key(own) == name_key(name)]
    return next(iter(exact or similar), None)
