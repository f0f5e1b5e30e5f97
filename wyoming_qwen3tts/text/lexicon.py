"""A user's own words: a file that says how to say them, read again when it changes.

One entry a line, ``word = how to say it``; ``#`` begins a comment; ``[de]`` begins entries for German, and
what stands before the first such line is for every language. An entry in lower case is found in any case, one
with capitals only as it is written.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..speech import base_language

_LOGGER = logging.getLogger(__name__)

EVERY = ""
"""The section for every language."""
_SECTION = re.compile(r"\[([A-Za-z]{2,3})(?:-[A-Za-z0-9]+)*\]")


@dataclass(slots=True)
class _Entries:
    """The entries of one language, and the pattern that finds them."""

    exact: dict[str, str] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None

    def add(self, word: str, words: str) -> None:
        (self.folded if word == word.lower() else self.exact)[word] = words

    def compile(self) -> None:
        sources = [(word, re.escape(word)) for word in self.exact]
        sources += [(word, f"(?i:{re.escape(word)})") for word in self.folded]
        sources.sort(key=lambda pair: len(pair[0]), reverse=True)
        if sources:
            either = "|".join(
                f"{_edge(word[0], '<!')}{source}{_edge(word[-1], '!')}" for word, source in sources
            )
            self.pattern = re.compile(either)

    def words(self, found: str) -> str:
        return self.exact.get(found) or self.folded.get(found.lower(), found)


def _edge(character: str, look: str) -> str:
    """A word ends where no letter follows; Chinese, Japanese and Korean have no spaces to go by."""
    return rf"(?{look}[A-Za-z0-9À-ɏЀ-ӿ_])" if character.isalnum() and ord(character) < 0x1100 else ""


def parse(text: str) -> tuple[dict[str, _Entries], list[str]]:
    """Return the entries by language, and a complaint for each line that is none."""
    entries: dict[str, _Entries] = {}
    complaints = []
    section = EVERY
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if match := _SECTION.fullmatch(line):
            section = match[1].lower()
            continue
        word, equals, words = (part.strip() for part in line.partition("="))
        if not (equals and word):
            complaints.append(f"line {number}: {line[:40]!r} is not 'word = how to say it'")
            continue
        entries.setdefault(section, _Entries()).add(word, words)
    for each in entries.values():
        each.compile()
    return entries, complaints


class Lexicon:
    """The file, as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._entries: dict[str, _Entries] = {}

    def refresh(self) -> None:
        """Read the file if it changed; one that cannot be read changes nothing, with a warning."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            entries, complaints = parse(self._path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            if self._seen != (0, 0):
                _LOGGER.warning("Lexicon %s: %s; %s", self._path, error, "the entries read before stay")
            self._seen = (0, 0)
            return
        for complaint in complaints:
            _LOGGER.warning("Lexicon %s, %s", self._path, complaint)
        self._entries = entries
        count = sum(len(each.exact) + len(each.folded) for each in entries.values())
        _LOGGER.info("Lexicon %s: %d entries", self._path, count)

    def apply(self, text: str, language: str, rest: Callable[[str], str]) -> str:
        """Return ``text`` with its entries said as they ask, and ``rest`` applied to what is between them."""
        self.refresh()
        for section in (base_language(language), EVERY):
            entries = self._entries.get(section)
            if entries is not None and entries.pattern is not None and entries.pattern.search(text):
                return self._say(text, entries, language if section != EVERY else "-", rest)
        return rest(text)

    def _say(self, text: str, entries: _Entries, language: str, rest: Callable[[str], str]) -> str:
        assert entries.pattern is not None
        words, at = [], 0
        for match in entries.pattern.finditer(text):
            between = text[at : match.start()]
            words += [self._between(between, language, rest), entries.find_spoken_form(match[0])]
            at = match.end()
        words.append(self._between(text[at:], language, rest))
        return "".join(words)

    def _between(self, text: str, language: str, rest: Callable[[str], str]) -> str:
        """What no entry of the language claims may still be claimed by one for every language."""
        every = self._entries.get(EVERY)
        if language != "-" and every is not None and every.pattern is not None:
            return self._say(text, every, "-", rest)
        return rest(text) if text.strip() else text
