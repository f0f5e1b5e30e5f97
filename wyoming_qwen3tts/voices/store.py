"""The voices of a household: one directory each, with a recording in it, in the data directory.

    DATA/voices/NAME/           a recording of any name, transcript.txt, voice.toml
    DATA/references/DIGEST.wav  what is made of the recording, and DIGEST.json, what was said about that
    DATA/prompts/DIGEST-*       what an engine makes of it

People put voices there, change and delete them by hand while the service runs. So nothing is taken for
granted: what is wrong with one voice is a sentence about it, and the others speak.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
import tomllib
import unicodedata
import weakref
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .. import atomic_file
from ..config.option_types import language as language_option
from ..speech import CustomVoice, Reference, SpeechError
from . import recording as recordings
from .names import brief, key
from .recording import InvalidRecordingError, Prepared, shown

_LOGGER = logging.getLogger(__name__)

LONGEST_NAME = 50
"""Characters: 200 bytes at most, of the 255 that file systems give a name."""
LONGEST_TEXT = 1_000
"""Characters of a description, and of the sentence that a voice was designed from."""
LARGEST_FILE = 65_536
"""Bytes of ``transcript.txt`` and ``voice.toml``."""
SEEDS = 2**32
TRANSCRIPT, DETAILS = "transcript.txt", "voice.toml"
_JUNK = {"thumbs.db", "desktop.ini"}
"""What Windows leaves in a directory, in lower case; others hide theirs behind a dot."""
_TEXTS = {
    *(".txt", ".md", ".rst", ".rtf", ".log", ".html", ".pdf", ".doc", ".docx", ".odt"),
    *(".json", ".toml", ".yaml", ".yml", ".xml", ".csv", ".tsv", ".ini", ".cfg", ".srt", ".vtt", ".textgrid"),
}
"""How names of files end, in lower case, that people keep beside a recording and that are none."""
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""What renaming a directory fails with where something has that name."""
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}
"""What writing fails with where another directory would do."""
_NEW, _GONE = ".new-", ".gone-"
"""How names of directories begin that are no voice yet, or none any more, and how those of half files end."""
_ALLOWED = (
    f"a name has 1 to {LONGEST_NAME} letters, digits, spaces, hyphens, underscores or apostrophes, at least "
    "one of them a letter or digit, and no space or hyphen at either end"
)
_CHANGING = "it is being changed, and is read again when that is done"
_OURS = re.compile(r"([0-9a-f]{64})(?:\.wav|\.json|-.*\.safetensors)|\.([0-9a-f]{64})[-.].*\.part")
"""A file that belongs to a digest, or will when it is whole."""

RETRY = 60.0
"""Seconds after which what failed is tried again."""
STALE = 86_400
"""Seconds after which what was never finished is nobody's work, but left by a process that was killed."""

File = tuple[str, int, int, int, int]
"""Name, mode, size, mtime in ns, inode: a file with the same ones is the same."""


class InvalidNameError(SpeechError):
    """A name that no voice can have; the message says which can."""

    code = "bad-name"


class VoiceNotFoundError(SpeechError):
    """A name that no voice in the data directory has; the message says which there are."""

    code = "unknown-voice"


class LibraryError(SpeechError):
    """The data directory cannot be read or written to; the message says where and why."""

    code = "data-directory"


@dataclass(frozen=True, slots=True)
class Details:
    """What ``voice.toml`` says of a voice; all of it may be left out."""

    language: str | None = None
    """BCP 47, the mother tongue."""
    description: str = ""
    seed: int | None = None
    model: str = ""
    """Which of the engine's models speaks it; empty for the engine's choice."""
    designed: str = ""
    """The sentence it was designed from; empty for a voice that somebody has."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something in the data directory is no voice."""

    name: str
    """Of its directory."""
    message: str
    """One line."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in the data directory."""

    voices: tuple[CustomVoice, ...] = ()
    """By name."""
    problems: tuple[Problem, ...] = ()


def check_name(name: str) -> str:
    """Return ``name`` as a voice has it, NFC. Raises InvalidNameError, which says what is allowed."""
    # What is far too long is not looked at: NFC makes at most three characters of one, and seldom fewer.
    name = unicodedata.normalize("NFC", name) if len(name) <= 4 * LONGEST_NAME else name
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidNameError(f"a voice cannot have a name of {len(name):,} characters: {_ALLOWED}")
    kinds = [unicodedata.category(letter)[0] for letter in name]
    fit = all(kind in "LNM" or letter in " -_'’" for kind, letter in zip(kinds, name, strict=True))
    if not fit or not {"L", "N"} & set(kinds) or name[0] in " -" or name[-1] in " -":
        raise InvalidNameError(f"a voice cannot be called {shown(name)!r}: {_ALLOWED}")
    if key(name).startswith("espeak"):
        raise InvalidNameError(
            f"a voice cannot be called {name!r}: names that begin with espeak are of its voices"
        )
    return name


def seed_of(name: str) -> int:
    """Return the seed of a voice that is given none: 31 bits of its name's SHA-256, the same for ever."""
    name = unicodedata.normalize("NFC", name)
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:4], "big") >> 1


def check_details(values: Mapping[str, object]) -> Details:
    """Return what stands in a ``voice.toml``. Raises SpeechError (``bad-voice``), which names the key."""
    known = {field.name for field in fields(Details)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise SpeechError(
                f"there is no key {shown(name)[:40]!r}, but {', '.join(sorted(known))}", "bad-voice"
            )
        if name == "seed":
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < SEEDS:
                raise SpeechError(f"seed is not a whole number from 0 to {SEEDS - 1}", "bad-voice")
            found[name] = value
            continue
        if not isinstance(value, str):
            raise SpeechError(f"{name} is not a text between quotes", "bad-voice")
        found[name] = "".join(letter for letter in " ".join(value.split()) if letter.isprintable())
        if len(found[name]) > LONGEST_TEXT:
            raise SpeechError(f"{name} is longer than {LONGEST_TEXT} characters", "bad-voice")
    try:
        found["language"] = language_option().read(found["language"]) if found.get("language") else None
    except ValueError:
        raise SpeechError(
            f"language is not a code such as de or pt-BR: {found['language'][:40]!r}", "bad-voice"
        ) from None
    return Details(**found)


class CustomVoiceStore:
    """The data directory. Everything here blocks: for threads, of which one works at a time."""

    def __init__(self, directory: Path, reserved: Collection[str] = ()) -> None:
        """``reserved``: names that no voice here may have, since other voices have them."""
        self._directory = directory.absolute()
        self._voices = self._directory / "voices"
        self._references = self._directory / "references"
        self._prompts = self._directory / "prompts"
        self._reserved = {key(name): name for name in reserved}
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[File, ...], CustomVoice | Problem]] = {}
        """Directory → its files when it was last read, and what came of it."""
        self._failed = False
        """Whether something failed at the last ``read`` that has nothing to do with what was read."""
        self._private: Path | None = None
        """In the place of ``references`` where that cannot be written to; it goes with this process."""

    def signature(self) -> Hashable:
        """Return something that changes whenever ``read`` could give something else; opens no file.

        After a failure, such as of a full disk, that is every RETRY seconds.
        """
        vanished = sum(not _is_there(outcome) for _, outcome in list(self._known.values()))
        again = time.monotonic() // RETRY if self._failed else None
        try:
            listed = tuple((entry, self._listed(entry)) for entry in _listing(self._voices))
        except OSError as error:
            return error.errno, vanished, again
        return listed, vanished, again

    def _listed(self, entry: File) -> Hashable:
        try:
            return _listing(self._voices / entry[0]) if stat.S_ISDIR(entry[1]) else ()
        except OSError as error:
            return error.errno

    def read(self) -> Contents:
        """Return all voices, and what is wrong with the rest.

        What is new is prepared, which takes a second or so; what has not changed is not even opened. What no
        voice needs any more is deleted, for a voice is personal; but not while there are problems, for what
        has one may need it again.
        """
        with self._lock:
            self._failed = False
            try:
                entries = _listing(self._voices)
            except FileNotFoundError:
                return Contents()
            except OSError as error:
                return Contents((), (Problem("voices", f"{self._voices} cannot be read: {error.strerror}"),))
            self._known = {name: self._known[name] for name, *_ in entries if name in self._known}
            taken = {each: f"another voice is called {name}" for each, name in self._reserved.items()}
            outcomes = [self._outcome(entry, taken) for entry in entries]
            voices = [each for each in outcomes if isinstance(each, CustomVoice)]
            problems = [each for each in outcomes if isinstance(each, Problem)]
            if not problems:
                self._sweep({voice.reference.digest for voice in voices})
            return Contents(tuple(sorted(voices, key=lambda voice: voice.name)), tuple(problems))

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
        """Make a voice of ``recording``, a copy of which is kept; the rest as in ``Details``.

        ``progress`` is told what is done next. Raises InvalidNameError (``duplicate-name`` for one that is
        taken), InvalidRecordingError, SpeechError (``bad-voice``) for a detail, and LibraryError; then
        nothing was kept.
        """
        progress("checking the name")
        name = self.check_free(name)
        given: dict[str, object] = {
            "language": language,
            "description": description,
            "seed": seed,
            "model": model,
            "designed": designed,
        }
        details = check_details({each: value for each, value in given.items() if value is not None})
        progress("listening to the recording")
        heard = recordings.fingerprint(recording)
        asked = recordings.clean(transcript, shown(recording.name))
        prepared = recordings.prepare(recording, asked)
        progress("writing the voice")
        with self._lock:
            self.check_free(name)
            digest = self._write(name, recording, heard, asked, prepared, details)
        return self._recorded(name, details, digest, prepared.transcript, prepared.remarks)

    def remove(self, name: str) -> str:
        """Delete the voice called ``name``, its recording, and all that was made of it; return its own name.

        Raises VoiceNotFoundError, and LibraryError where something of it stays.
        """
        with self._lock:
            homes = self._homes()
            home = _named(name, homes)
            if home is None:
                there = ", ".join(homes.values()) or "none"
                raise VoiceNotFoundError(
                    f"there is no voice {shown(name)[:80]!r} in {self._voices}, but {there}"
                )
            digests = self._digests(home)
            gone = self._voices / f"{_GONE}{secrets.token_hex(8)}"
            try:
                (self._voices / home).rename(gone)
                for other in homes:
                    digests -= self._digests(other) if other != home else set()
                for path in self._made_of(digests):
                    path.unlink(missing_ok=True)
                shutil.rmtree(gone)
            except OSError as error:
                raise LibraryError(f"{self._voices / home} cannot be deleted: {error.strerror}") from error
            return homes[home]

    def _outcome(self, entry: File, taken: dict[str, str]) -> CustomVoice | Problem:
        """Return what is in a directory; ``taken``: what counts in every name so far, and who has it.

        What a change of the directory would mend is remembered until it changes; a full disk is not.
        """
        directory = entry[0]
        try:
            name = _name(entry, taken)
        except SpeechError as error:
            return Problem(shown(directory), str(error))
        files: tuple[File, ...] = ()
        try:
            files = _listing(self._voices / directory)
            known = self._known.get(directory)
            if known is not None and known[0] == files and _is_there(known[1]):
                return known[1]
            outcome: CustomVoice | Problem = self._read(name, self._voices / directory, files)
        except OSError as error:
            self._failed = True
            return Problem(shown(directory), f"it cannot be read: {error.strerror}")
        except SpeechError as error:
            outcome = Problem(shown(directory), str(error))
            if isinstance(error.__cause__, OSError):
                self._failed = True
                return outcome
        self._known[directory] = files, outcome
        return outcome

    def _read(self, name: str, home: Path, files: tuple[File, ...]) -> CustomVoice:
        """Return the voice in ``home``. Raises SpeechError and OSError."""
        for each, mode, *_ in files:
            if stat.S_ISLNK(mode):
                raise SpeechError(f"{shown(each)} is a link: put the file itself there")
            if each.lower() in {TRANSCRIPT, DETAILS} and not (home / each.lower()).exists():
                raise SpeechError(f"{each} is not read: call it {each.lower()}")
        recordings = _recordings(files)
        if not recordings:
            raise SpeechError("there is no recording in it")
        if len(recordings) > 1:
            raise SpeechError(
                f"there are several recordings in it: {brief(', '.join(recordings))}; leave one"
            )
        details = _details(home)
        digest, used, remarks = self._prepared(home / recordings[0], _text(home / TRANSCRIPT))
        if _listing(home) != files:
            raise SpeechError(_CHANGING)
        return self._recorded(name, details, digest, used, remarks)

    def _recorded(
        self, name: str, details: Details, digest: str, transcript: str, remarks: tuple[str, ...]
    ) -> CustomVoice:
        path = next(
            (place / f"{digest}.wav" for place in self._places() if _can_read(place / f"{digest}.json")),
            self._references / f"{digest}.wav",
        )
        return CustomVoice(
            name,
            Reference(path, digest, transcript),
            details.language,
            details.description,
            seed_of(name) if details.seed is None else details.seed,
            details.model,
            details.designed,
            remarks,
        )

    def _prepared(self, recording: Path, transcript: str) -> tuple[str, str, tuple[str, ...]]:
        """Return a recording's digest, the transcript that is used and the remarks; prepare it if it is new.

        Raises SpeechError, of which LibraryError is not the recording's fault.
        """
        heard = recordings.fingerprint(recording)
        asked = recordings.clean(transcript, shown(recording.name))
        for used in dict.fromkeys((asked, "")):
            digest = recordings.digest(heard, used)
            if (remarks := self._kept(digest, asked)) is not None:
                return digest, used, remarks
        prepared = recordings.prepare(recording, asked)
        if recordings.fingerprint(recording) != heard:
            raise SpeechError(_CHANGING)
        digest = recordings.digest(heard, prepared.transcript)
        self._store(digest, asked, prepared)
        return digest, prepared.transcript, prepared.remarks

    def _places(self) -> list[Path]:
        """Return the directories that prepared recordings are in."""
        return [place for place in (self._private, self._references) if place is not None]

    def _store(self, digest: str, asked: str, prepared: Prepared) -> None:
        """Write a prepared recording, if need be where it is lost with this process. Raises LibraryError."""
        try:
            _make(self._references)
            self._keep(self._references, digest, asked, prepared)
        except OSError as error:
            reason = f"{self._references} cannot be written to: {error.strerror}"
            if error.errno not in _READ_ONLY:
                raise LibraryError(reason) from error
            try:
                self._keep(self._aside(reason), digest, asked, prepared)
            except OSError:
                raise LibraryError(reason) from error

    def _aside(self, reason: str) -> Path:
        """Return a directory for this process alone, which goes when it ends. Raises OSError."""
        if self._private is None or not self._private.is_dir():
            self._private = Path(tempfile.mkdtemp(prefix="wyoming-qwen3tts-"))
            weakref.finalize(self, shutil.rmtree, self._private, ignore_errors=True)
            _LOGGER.warning("%s; what is made of recordings is made anew at every start", reason)
        return self._private

    def _kept(self, digest: str, asked: str) -> tuple[str, ...] | None:
        """Return the remarks on a recording that was prepared with ``asked`` for a transcript, or None."""
        for place in self._places():
            with suppress(
                OSError, ValueError, LookupError, TypeError, RecursionError
            ):  # it is prepared again
                notes = json.loads((place / f"{digest}.json").read_bytes())
                if _can_read(place / f"{digest}.wav") and notes["asked"] == asked:
                    return tuple(str(remark) for remark in notes["remarks"])
        return None

    def _keep(self, place: Path, digest: str, asked: str, prepared: Prepared) -> None:
        """Write a prepared recording, and last what ``_kept`` looks for. Raises OSError."""
        notes = {"asked": asked, "remarks": prepared.remarks}
        atomic_file.write(place / f"{digest}.wav", recordings.wav(prepared))
        atomic_file.write(place / f"{digest}.json", json.dumps(notes).encode())

    def check_free(self, name: str) -> str:
        """Return ``name`` as a new voice would have it.

        Raises InvalidNameError, ``duplicate-name`` where a voice has it, or anything else in the directory.
        """
        name = check_name(name)
        there = [each for each, *_ in self._entries() if key(each) == key(name)]
        who = self._reserved.get(key(name)) or next(iter(there), None)
        if who is not None:
            raise _taken(who)
        return name

    def check_writable(self) -> None:
        """Raise LibraryError where no voice could be written."""
        made: list[Path] = []
        try:
            for directory in (self._voices, self._references):
                made += _make(directory)
                Path(tempfile.mkdtemp(prefix=_NEW, dir=directory)).rmdir()
        except OSError as error:
            raise LibraryError(f"{self._directory} cannot be written to: {error.strerror}") from error
        finally:
            with suppress(OSError):
                for path in reversed(made):
                    path.rmdir()

    def _write(
        self, name: str, recording: Path, heard: str, asked: str, prepared: Prepared, details: Details
    ) -> str:
        """Write a voice and what was made of its recording; return the digest.

        What is written is a voice only when all of it is there. Raises LibraryError and
        InvalidRecordingError, and InvalidNameError where another process was quicker.
        """
        home = self._voices / name
        if not home.resolve().is_relative_to(self._voices.resolve()):
            raise InvalidNameError(f"{name!r} leads out of {self._voices}")
        digest = recordings.digest(heard, prepared.transcript)
        before = self._made_of({digest})
        made: list[Path] = []
        new = None
        try:
            made += _make(self._voices)
            made += _make(self._references)
            new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._voices))
            copy = new / f"recording.{prepared.extension}"
            _copy(recording, copy, heard)
            if asked:
                atomic_file.write(new / TRANSCRIPT, f"{asked}\n".encode())
            if text := _toml(details):
                atomic_file.write(new / DETAILS, text.encode())
            self._keep(self._references, digest, asked, prepared)
            new = _settle(new, home)
            atomic_file.flush(self._voices)
        except BaseException as error:
            if new is not None:
                shutil.rmtree(new, ignore_errors=True)
            with suppress(OSError):
                for path in self._made_of({digest} - self._digests(name)) - before:
                    path.unlink()
                for path in reversed(made):
                    path.rmdir()
            if isinstance(error, OSError):
                raise LibraryError(
                    f"{self._directory} cannot be written to, and nothing was kept: {error.strerror}"
                ) from error
            raise
        return digest

    def _homes(self) -> dict[str, str]:
        """Return every directory that could be a voice, and its name. Raises LibraryError."""
        homes = {}
        for home, mode, *_ in self._entries():
            with suppress(InvalidNameError):
                if stat.S_ISDIR(mode):
                    homes[home] = check_name(home)
        return homes

    def _entries(self) -> tuple[File, ...]:
        """Return what is among the voices, nothing where there is no directory. Raises LibraryError."""
        try:
            return _listing(self._voices)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise LibraryError(f"{self._voices} cannot be read: {error.strerror}") from error

    def _digests(self, home: str) -> set[str]:
        """Return the digest of everything that may have been made of what is in a directory."""
        known = self._known.get(home)
        digests = (
            {known[1].reference.digest} if known is not None and isinstance(known[1], CustomVoice) else set()
        )
        with suppress(OSError):
            files = _listing(self._voices / home)
            try:
                asked = recordings.clean(_text(self._voices / home / TRANSCRIPT), "")
            except (OSError, SpeechError):
                asked = ""
            for name in _recordings(files):
                with suppress(InvalidRecordingError):
                    heard = recordings.fingerprint(self._voices / home / name)
                    digests |= {recordings.digest(heard, asked), recordings.digest(heard, "")}
        return digests

    def _made_of(self, digests: Collection[str] | None = None) -> set[Path]:
        """Return the files that were made of recordings with these digests; without any, of all."""
        found = set()
        for directory in (*self._places(), self._prompts):
            with suppress(OSError):
                for path in directory.iterdir():
                    match = _OURS.fullmatch(path.name)
                    if match is not None and (digests is None or (match[1] or match[2]) in digests):
                        found.add(path)
        return found

    def _sweep(self, used: Collection[str]) -> None:
        """Delete what was made of recordings that are gone, and what is left of half made voices."""
        for path in self._made_of() - self._made_of(used):
            with suppress(OSError):
                path.unlink()
        for directory in (self._voices, self._references, self._prompts):
            with suppress(OSError):
                for path in directory.iterdir():
                    ours = path.name.startswith((_NEW, _GONE)) or path.name.endswith(atomic_file.PART)
                    if ours and time.time() - path.lstat().st_mtime > STALE:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _listing(directory: Path) -> tuple[File, ...]:
    """Return what is in a directory and not hidden, by name. Follows no link. Raises OSError."""
    files = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.lower() not in _JUNK:
                with suppress(FileNotFoundError):  # it went in between
                    status = entry.stat(follow_symlinks=False)
                    files.append(
                        (entry.name, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
                    )
    return tuple(sorted(files))


def _name(entry: File, taken: dict[str, str]) -> str:
    """Return the name of the voice in a directory, and count it as taken. Raises SpeechError."""
    directory, mode = entry[:2]
    if stat.S_ISLNK(mode):
        raise SpeechError("it is a link: put the directory itself there")
    if not stat.S_ISDIR(mode):
        raise SpeechError("it is a file: a voice is a directory with its recording in it")
    name = check_name(directory)
    if (who := taken.get(key(name))) is not None:
        raise SpeechError(f"{who}: give this one another name")
    taken[key(name)] = f"another directory is called {name}"
    return name


def _is_there(outcome: CustomVoice | Problem) -> bool:
    return isinstance(outcome, Problem) or _can_read(outcome.reference.path)


def _can_read(path: Path) -> bool:
    """Tell whether there is a file that can be read. Never raises."""
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except OSError:
        return False


def _recordings(files: tuple[File, ...]) -> list[str]:
    return [
        name for name, mode, *_ in files if Path(name).suffix.lower() not in _TEXTS and not stat.S_ISDIR(mode)
    ]


def _taken(name: str) -> InvalidNameError:
    return InvalidNameError(
        f"there is a voice {shown(name)!r} already: choose another name", "duplicate-name"
    )


def _settle(new: Path, home: Path) -> Path:
    """Give a new voice its name. Raises InvalidNameError where another process was quicker, and OSError."""
    try:
        return new.rename(home)
    except OSError as error:
        if error.errno in _TAKEN:
            raise _taken(home.name) from error
        raise


def _named(name: str, homes: Mapping[str, str]) -> str | None:
    """Return the directory of the voice called ``name``, exactly or by all that counts in a name."""
    try:
        name = check_name(name)
    except InvalidNameError:
        return None
    exact = [home for home, own in homes.items() if own == name]
    return next(iter(exact or [home for home, own in homes.items() if key(own) == key(name)]), None)


def _text(path: Path) -> str:
    """Return a text of a person's, whatever its editor put before it; empty if there is none.

    Raises SpeechError for what is no text, and OSError.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise SpeechError(f"{path.name} is no ordinary file")
        content = opened.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise SpeechError(f"{path.name} has more than {LARGEST_FILE:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpeechError(f"{path.name} is not UTF-8: save it as that") from None


def _copy(recording: Path, copy: Path, heard: str) -> None:
    """Copy what has the fingerprint ``heard``.

    Raises InvalidRecordingError if that is another now, and OSError.
    """
    shutil.copyfile(recording, copy)
    atomic_file.flush(copy)
    if recordings.fingerprint(copy) != heard:
        raise InvalidRecordingError(f"{shown(recording.name)} was changed while it was read: try again")


def _details(home: Path) -> Details:
    """Return what ``voice.toml`` says. Raises SpeechError, which names the file, and OSError."""
    text = _text(home / DETAILS)
    try:
        return check_details(tomllib.loads(text))
    except SpeechError as error:
        raise SpeechError(f"{DETAILS}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SpeechError(f"{DETAILS} is not TOML: {shown(str(error))}") from error


def _toml(details: Details) -> str:
    """Return the text of a ``voice.toml``: a text of TOML is one of JSON, as long as it is on one line."""
    values = {name: value for name, value in asdict(details).items() if value not in {None, ""}}
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())


def _make(directory: Path) -> list[Path]:
    """Make a directory that others cannot look into; return all that had to be made. Raises OSError."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    atomic_file.make_private(directory)
    return missing[::-1]
