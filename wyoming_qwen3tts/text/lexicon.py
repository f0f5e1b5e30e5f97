"""The user's lexicon: a file of words and their spoken forms, read again when it changes.

One entry a line, ``word = spoken form``; ``#`` begins a comment; ``[de]`` begins the section for German, and
entries before the first section are for every language. An entry in lower case matches in any case, one with
capitals only as it is written.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..speech import base_language

_LOGGER = logging.getLogger(__name__)

ALL_LANGUAGES = ""
"""The name of the section for every language."""
_SECTION = re.compile(r"\[([A-Za-z]{2,3})(?:-[A-Za-z0-9]+)*\]")


@dataclass(slots=True)
class _Entries:
    """The entries of one section, and the pattern that finds them."""

    exact: dict[str, str] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None

    def add(self, word: str, spoken_form: str) -> None:
        (self.folded if word == word.lower() else self.exact)[word] = spoken_form

    def compile(self) -> None:
        sources = [(word, re.escape(word)) for word in self.exact]
        sources += [(word, f"(?i:{re.escape(word)})") for word in self.folded]
        sources.sort(key=lambda pair: len(pair[0]), reverse=True)
        if sources:
            either = "|".join(
                f"{_edge_lookaround(word[0], '<!')}{source}{_edge_lookaround(word[-1], '!')}"
                for word, source in sources
            )
            self.pattern = re.compile(either)

    def find_spoken_form(self, found: str) -> str:
        return self.exact.get(found) or self.folded.get(found.lower(), found)


def _edge_lookaround(character: str, lookaround: str) -> str:
    """Return a lookaround for the edge of a word; scripts without spaces have none."""
    return rf"(?{lookaround}[A-Za-z0-9À-ɏЀ-ӿ_])" if character.isalnum() and ord(character) < 0x1100 else ""


def parse_lexicon(text: str) -> tuple[dict[str, _Entries], list[str]]:
    """Return the entries by language, and a message for each invalid line."""
    entries: dict[str, _Entries] = {}
    errors = []
    section = ALL_LANGUAGES
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if match := _SECTION.fullmatch(line):
            section = match[1].lower()
            continue
        word, equals, spoken_form = (part.strip() for part in line.partition("="))
        if not (equals and word):
            errors.append(f"line {number}: {line[:40]!r} is not 'word = spoken form'; the line is ignored")
            continue
        entries.setdefault(section, _Entries()).add(word, spoken_form)
    for section_entries in entries.values():
        section_entries.compile()
    return entries, errors


class Lexicon:
    """The lexicon in a file, reloaded when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None
        """Modification time in ns and size of the file as it was read; (0, 0) if it cannot be read."""
        self._entries: dict[str, _Entries] = {}

    def refresh(self) -> None:
        """Read the file if it changed; if it cannot be read, warn and keep the entries read before."""
        try:
            stat = self._path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            if version == self._version:
                return
            self._version = version
            entries, errors = parse_lexicon(self._path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            if self._version != (0, 0):
                _LOGGER.warning(
                    "lexicon: cannot be read, the previous entries stay path=%r error=%r",
                    str(self._path),
                    str(error),
                )
            self._version = (0, 0)
            return
        for error_message in errors:
            _LOGGER.warning("lexicon: line ignored path=%r reason=%r", str(self._path), error_message)
        self._entries = entries
        count = sum(
            len(section_entries.exact) + len(section_entries.folded) for section_entries in entries.values()
        )
        _LOGGER.info("lexicon: loaded path=%r entries=%d", str(self._path), count)

    def apply(self, text: str, language: str, rest: Callable[[str], str]) -> str:
        """Return ``text`` with entries replaced, and ``rest`` applied to the text between them."""
        self.refresh()
        for section in (base_language(language), ALL_LANGUAGES):
            entries = self._entries.get(section)
            if entries is not None and entries.pattern is not None and entries.pattern.search(text):
                return self._replace_entries(
                    text, entries, language if section != ALL_LANGUAGES else "-", rest
                )
        return rest(text)

    def _replace_entries(
        self, text: str, entries: _Entries, language: str, rest: Callable[[str], str]
    ) -> str:
        assert entries.pattern is not None
        parts, at = [], 0
        for match in entries.pattern.finditer(text):
            between = text[at : match.start()]
            parts += [self._normalize_between(between, language, rest), entries.find_spoken_form(match[0])]
            at = match.end()
        parts.append(self._normalize_between(text[at:], language, rest))
        return "".join(parts)

    def _normalize_between(self, text: str, language: str, rest: Callable[[str], str]) -> str:
        """Return text between entries of a language, with the entries for every language replaced."""
        shared_entries = self._entries.get(ALL_LANGUAGES)
        if language != "-" and shared_entries is not None and shared_entries.pattern is not None:
            return self._replace_entries(text, shared_entries, "-", rest)
        return rest(text) if text.strip() else text
