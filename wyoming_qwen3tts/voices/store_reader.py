"""Reading of the custom-voice store: valid voices, and the problems of other entries."""

from __future__ import annotations

import stat
import time
from collections.abc import Collection, Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..speech import CustomVoice, Reference, SpeechError
from . import recording as recordings
from .details import Details, default_seed
from .names import name_key, printable
from .prepared_recordings import PreparedRecordings, delete_stale
from .recording_error import InvalidRecordingError
from .voice_directory import (
    TRANSCRIPT,
    File,
    is_readable,
    list_directory,
    possible_recordings,
    read_details,
    read_text,
    recording_in,
    voice_name,
)

RETRY_INTERVAL = 60.0
"""Seconds after which a failed read is tried again."""

_CHANGING = "it is being changed, and is read again when that is done"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an entry of the data directory is not a valid voice."""

    name: str
    """Of the entry."""
    message: str
    """One line."""


@dataclass(frozen=True, slots=True)
class StoreContents:
    """The content of the data directory."""

    voices: tuple[CustomVoice, ...] = ()
    """By name."""
    problems: tuple[Problem, ...] = ()


class StoreReader:
    """Reads the directories of custom voices, and remembers the results until a directory changes."""

    def __init__(self, voices: Path, prepared: PreparedRecordings, reserved: Collection[str]) -> None:
        """``voices``: the directory. ``reserved``: names that no custom voice may have."""
        self._voices = voices
        self._prepared = prepared
        self._reserved = {name_key(name): name for name in reserved}
        self._known: dict[str, tuple[tuple[File, ...], CustomVoice | Problem]] = {}
        """Directory → its files when it was read last, and the result."""
        self._failed = False
        """Whether the last ``read`` had a failure that a change of the directory would not cure."""

    def signature(self) -> Hashable:
        """Return a value that changes whenever ``read`` would return something else. Opens no file.

        After a failure, such as a full disk, it changes every RETRY_INTERVAL.
        """
        missing = sum(not _is_valid(result) for _, result in list(self._known.values()))
        retry = time.monotonic() // RETRY_INTERVAL if self._failed else None
        try:
            entries = tuple((entry, self._list(entry)) for entry in list_directory(self._voices))
        except OSError as error:
            return error.errno, missing, retry
        return entries, missing, retry

    def _list(self, entry: File) -> Hashable:
        try:
            return list_directory(self._voices / entry[0]) if stat.S_ISDIR(entry[1]) else ()
        except OSError as error:
            return error.errno

    def read(self) -> StoreContents:
        """Return all voices and problems.

        New recordings are prepared, which takes a second or so each; unchanged directories are not opened.
        Files made of recordings that were removed are deleted, since a voice is personal data; but not while
        there are problems, whose voices may need them again.
        """
        self._failed = False
        try:
            entries = list_directory(self._voices)
        except FileNotFoundError:
            return StoreContents()
        except OSError as error:
            reason = f"{self._voices} cannot be read: {error.strerror}"
            return StoreContents((), (Problem("voices", reason),))
        self._known = {name: self._known[name] for name, *_ in entries if name in self._known}
        taken = {key: f"another voice is called {name}" for key, name in self._reserved.items()}
        results = [self._read_entry(entry, taken) for entry in entries]
        voices = [each for each in results if isinstance(each, CustomVoice)]
        problems = [each for each in results if isinstance(each, Problem)]
        if not problems:
            self._prepared.delete_unused({voice.reference.digest for voice in voices})
            delete_stale(self._voices)
        return StoreContents(tuple(sorted(voices, key=lambda voice: voice.name)), tuple(problems))

    def _read_entry(self, entry: File, taken: dict[str, str]) -> CustomVoice | Problem:
        """Return the voice in a directory, or its problem. ``taken``: see ``voice_name``.

        The result is reused until the directory changes, except for failures with other causes (a full disk).
        """
        directory = entry[0]
        try:
            name = voice_name(entry, taken)
        except SpeechError as error:
            return Problem(printable(directory), str(error))
        files: tuple[File, ...] = ()
        try:
            files = list_directory(self._voices / directory)
            known = self._known.get(directory)
            if known is not None and known[0] == files and _is_valid(known[1]):
                return known[1]
            result: CustomVoice | Problem = self._read_voice(name, self._voices / directory, files)
        except OSError as error:
            self._failed = True
            return Problem(printable(directory), f"it cannot be read: {error.strerror}")
        except SpeechError as error:
            result = Problem(printable(directory), str(error))
            if isinstance(error.__cause__, OSError):
                self._failed = True
                return result
        self._known[directory] = files, result
        return result

    def _read_voice(self, name: str, directory: Path, files: tuple[File, ...]) -> CustomVoice:
        """Return the voice in a directory with these files. Raises SpeechError and OSError."""
        recording = recording_in(directory, files)
        details = read_details(directory)
        given = read_text(directory / TRANSCRIPT)
        digest, transcript, notes = self._prepare(directory / recording, given)
        if list_directory(directory) != files:
            raise SpeechError(_CHANGING)
        return self.voice(name, details, digest, transcript, notes)

    def _prepare(self, recording: Path, transcript: str) -> tuple[str, str, tuple[str, ...]]:
        """Return a recording's digest, the transcript that is used and notes; prepare it if it is new.

        Raises SpeechError; StoreError if the recording is not at fault.
        """
        before = recordings.fingerprint(recording)
        given = recordings.clean_transcript(transcript, printable(recording.name))
        for used in dict.fromkeys((given, "")):
            digest = recordings.digest(before, used)
            if (notes := self._prepared.notes(digest, given)) is not None:
                return digest, used, notes
        prepared = recordings.prepare(recording, given)
        if recordings.fingerprint(recording) != before:
            raise SpeechError(_CHANGING)
        digest = recordings.digest(before, prepared.transcript)
        self._prepared.store(digest, given, prepared)
        return digest, prepared.transcript, prepared.notes

    def voice(
        self, name: str, details: Details, digest: str, transcript: str, notes: tuple[str, ...]
    ) -> CustomVoice:
        """Return a voice. ``digest``, ``transcript``, ``notes``: of its prepared recording."""
        return CustomVoice(
            name,
            Reference(self._prepared.path(digest), digest, transcript),
            details.language,
            details.description,
            default_seed(name) if details.seed is None else details.seed,
            details.model,
            details.designed,
            notes,
        )

    def digests(self, directory: str) -> set[str]:
        """Return all digests that prepared recordings of a directory may have."""
        known = self._known.get(directory)
        digests = set()
        if known is not None and isinstance(known[1], CustomVoice):
            digests.add(known[1].reference.digest)
        with suppress(OSError):
            files = list_directory(self._voices / directory)
            try:
                text = read_text(self._voices / directory / TRANSCRIPT)
                transcript = recordings.clean_transcript(text, "")
            except (OSError, SpeechError):
                transcript = ""
            for name in possible_recordings(files):
                with suppress(InvalidRecordingError):
                    fingerprint = recordings.fingerprint(self._voices / directory / name)
                    digests |= {recordings.digest(fingerprint, used) for used in (transcript, "")}
        return digests


def _is_valid(result: CustomVoice | Problem) -> bool:
    return isinstance(result, Problem) or is_readable(result.reference.path)
