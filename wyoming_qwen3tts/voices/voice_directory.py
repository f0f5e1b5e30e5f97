"""Listing and reading the directories of custom voices. Users make them by hand too, so all is checked."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from .. import atomic_file
from ..speech import SpeechError
from . import details
from .details import Details, parse_details
from .names import check_name, name_key, printable, shorten
from .recording import fingerprint
from .recording_error import InvalidRecordingError

LARGEST_TEXT_FILE = 65_536
"""Bytes of ``transcript.txt`` and ``voice.toml``."""
TRANSCRIPT = "transcript.txt"
NEW, REMOVED = ".new-", ".gone-"
"""Prefixes of directories that are being written or deleted."""

_IGNORED = {"thumbs.db", "desktop.ini"}
"""Files that Windows creates in a directory, in lower case; those of other systems begin with a dot."""
_TEXT_EXTENSIONS = {
    *(".txt", ".md", ".rst", ".rtf", ".log", ".html", ".pdf", ".doc", ".docx", ".odt"),
    *(".json", ".toml", ".yaml", ".yml", ".xml", ".csv", ".tsv", ".ini", ".cfg", ".srt", ".vtt", ".textgrid"),
}
"""Extensions of files, in lower case, that are often beside a recording and are no recording."""

File = tuple[str, int, int, int, int]
"""Name, mode, size, mtime in ns, inode: a file for which these are unchanged is unchanged."""


def list_directory(directory: Path) -> tuple[File, ...]:
    """Return the entries of a directory that are not hidden, by name. Follows no link. Raises OSError."""
    files = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.lower() not in _IGNORED:
                with suppress(FileNotFoundError):  # deleted since
                    status = entry.stat(follow_symlinks=False)
                    files.append(
                        (entry.name, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
                    )
    return tuple(sorted(files))


def voice_name(entry: File, taken: dict[str, str]) -> str:
    """Return the name of the voice in a directory, and add it to ``taken``. Raises SpeechError.

    ``taken``: key of a name → a clause that says which voice has it.
    """
    directory, mode = entry[:2]
    if stat.S_ISLNK(mode):
        raise SpeechError("it is a link: put the directory itself there")
    if not stat.S_ISDIR(mode):
        raise SpeechError("it is a file: a voice is a directory with its recording in it")
    name = check_name(directory)
    if (clause := taken.get(name_key(name))) is not None:
        raise SpeechError(f"{clause}: give this one another name")
    taken[name_key(name)] = f"another directory is called {name}"
    return name


def recording_in(directory: Path, files: tuple[File, ...]) -> str:
    """Return the name of the one recording in a voice's directory. Raises SpeechError."""
    for name, mode, *_ in files:
        if stat.S_ISLNK(mode):
            raise SpeechError(f"{printable(name)} is a link: put the file itself there")
        lower = name.lower()
        if lower in {TRANSCRIPT, details.FILE_NAME} and not (directory / lower).exists():
            raise SpeechError(f"{name} is not read: rename it to {lower}")
    names = possible_recordings(files)
    if not names:
        raise SpeechError("there is no recording in it")
    if len(names) > 1:
        raise SpeechError(f"there are several recordings in it: {shorten(', '.join(names))}; leave one")
    return names[0]


def possible_recordings(files: tuple[File, ...]) -> list[str]:
    """Return the names of the files that may be recordings, by their extension."""
    return [
        name
        for name, mode, *_ in files
        if Path(name).suffix.lower() not in _TEXT_EXTENSIONS and not stat.S_ISDIR(mode)
    ]


def read_text(path: Path) -> str:
    """Return the text in a file without a byte order mark; empty if there is no file.

    Follows no link and never blocks. Raises SpeechError if it is no text, and OSError.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise SpeechError(f"{path.name} is not a regular file")
        content = opened.read(LARGEST_TEXT_FILE + 1)
    if len(content) > LARGEST_TEXT_FILE:
        raise SpeechError(f"{path.name} has more than {LARGEST_TEXT_FILE:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpeechError(f"{path.name} is not UTF-8: save it as UTF-8") from None


def read_details(directory: Path) -> Details:
    """Return the details of a voice. Raises SpeechError, which names the file, and OSError."""
    return parse_details(read_text(directory / details.FILE_NAME))


def copy_recording(recording: Path, copy: Path, expected: str) -> None:
    """Copy a recording with the fingerprint ``expected``.

    Raises InvalidRecordingError if it has another one now, and OSError.
    """
    shutil.copyfile(recording, copy)
    atomic_file.flush(copy)
    if fingerprint(copy) != expected:
        raise InvalidRecordingError(f"{printable(recording.name)} was changed while it was read: try again")


def is_readable(path: Path) -> bool:
    """Return whether there is a file that can be read. Never raises."""
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except OSError:
        return False


def create_directory(directory: Path) -> list[Path]:
    """Create a private directory; return those that were missing, the outermost first. Raises OSError."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    atomic_file.make_private(directory)
    return missing[::-1]
