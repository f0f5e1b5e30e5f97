"""Phrase files: a phrase a line, or a table with voices; with templates such as ``{0..59} minutes left``."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .language_tags import parse_requested_language

MAX_PHRASES = 100_000
"""The most phrases of one file."""
_TOO_MANY = "with this one there are more than {:,} phrases: split the list"
MAX_TEMPLATE_CHARACTERS = 1_000
"""The longest phrase with templates, in characters: each of its expansions is as long."""
COLUMNS = ("text", "voice", "language")
TABLE_SUFFIXES = {".csv", ".tsv"}

_RANGE = r"\{(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.(-?\d+))?\}"
_LIST = r"\{([^{},]*(?:,[^{},]*)+)\}"
_TEMPLATE = re.compile(f"{_RANGE}|{_LIST}")


class PhraseFileError(ValueError):
    """A phrase file is invalid; the message names the file, and the line if it is known."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text to be synthesized."""

    text: str
    voice: str | None = None
    """``None`` if the file names none."""
    language: str | None = None
    """BCP 47."""
    line: int = 0
    """Line number in the file, from 1."""


def read_phrases(path: Path) -> list[Phrase]:
    """Return the phrases of a file in order, without duplicates. Raises PhraseFileError, OSError."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise PhraseFileError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error
    parse = _read_table if path.suffix.lower() in TABLE_SUFFIXES else _read_lines
    found: dict[Phrase, Phrase] = {}
    try:
        for phrase in parse(content):
            for text in expand_template(phrase.text, MAX_PHRASES - len(found)):
                one = replace(phrase, text=text)
                found.setdefault(replace(one, line=0), one)
    except PhraseFileError as error:
        raise PhraseFileError(f"{path}, {error}") from error
    except ValueError as error:
        raise PhraseFileError(f"{path}, line {phrase.line}: {error}") from error
    if not found:
        raise PhraseFileError(f"{path} has no phrases: write one a line")
    return list(found.values())


def expand_template(text: str, limit: int = MAX_PHRASES, total: int = MAX_PHRASES) -> list[str]:
    """Return all expansions of a template; a text without braces is its only expansion.

    ``{0..59}`` is every number from 0 to 59, ``{00..59}`` with two digits, ``{0..55..5}`` every fifth one,
    ``{a..e}`` every letter; ``{front,back}`` is each of the words. The last one changes fastest. Raises
    ValueError if there are more than ``limit`` expansions (the message names ``total``), or braces are
    no template.
    """
    if len(text) > MAX_TEMPLATE_CHARACTERS and "{" in text:
        raise ValueError(
            f"a phrase with templates has at most {MAX_TEMPLATE_CHARACTERS:,} characters, not {len(text):,}"
        )
    parts: list[Sequence[str]] = []
    end = 0
    for found in _TEMPLATE.finditer(text):
        first, last, step, words = found.groups()
        chosen = words.split(",") if words is not None else _expand_range(first, last, step)
        parts += [[_check_literal(text[end : found.start()])], chosen]
        end = found.end()
    parts.append([_check_literal(text[end:])])
    number = 1
    for chosen in parts:
        number *= len(chosen)
        if number > limit:
            raise ValueError(_TOO_MANY.format(total))
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _check_literal(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError("invalid braces: use {0..59}, {0..55..5}, {a..e} or {front,back}")
    return text


def _expand_range(first: str, last: str, step: str | None) -> Sequence[str]:
    """Return the numbers or letters of a range as they are written."""
    letters = first.isalpha()
    if letters != last.isalpha():
        raise ValueError(f"{{{first}..{last}}} is not a range: give two numbers or two letters")
    start, stop = (ord(first), ord(last)) if letters else (int(first), int(last))
    by = abs(int(step)) if step is not None else 1
    if not by:
        raise ValueError("the step of a range is 0: give 1 or more")
    if abs(stop - start) // by >= MAX_PHRASES:
        raise ValueError(_TOO_MANY.format(MAX_PHRASES))
    padded = any(len(number.lstrip("-")) > 1 and number.lstrip("-")[0] == "0" for number in (first, last))
    width = max(len(first), len(last)) if padded else 0
    numbers = range(start, stop + 1, by) if start <= stop else range(start, stop - 1, -by)
    return [chr(number) if letters else f"{number:0{width}d}" for number in numbers]


def _read_lines(content: str) -> Iterator[Phrase]:
    """Yield the phrases of a text file; ``#`` and a space begin a comment, #1 is a phrase."""
    for number, line in enumerate(content.splitlines(), 1):
        text = line.strip()
        if text and text != "#" and not text.startswith("# "):
            yield Phrase(text, line=number)


def _read_table(content: str) -> Iterator[Phrase]:
    """Yield the rows of a table: its header names the columns, else they are text, voice and language."""
    head = content.partition("\n")[0]
    delimiter = max(",\t;", key=head.count)
    rows = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    columns: Sequence[str] = COLUMNS
    before = 0
    try:
        for row in rows:
            line, before = before + 1, rows.line_num
            cells = [cell.strip() for cell in row]
            if line == 1 and "text" in (names := [cell.lower() for cell in cells]):
                if unknown := [name for name in names if name not in COLUMNS]:
                    known = ", ".join(COLUMNS)
                    raise PhraseFileError(f"line 1: unknown column {unknown[0]!r}: use {known}")
                columns = names
                continue
            if not any(cells):
                continue
            if len(cells) > len(columns):
                raise PhraseFileError(
                    f"line {line}: {len(cells)} columns, but at most {len(columns)} are supported "
                    f"({', '.join(columns)}); put a text that contains {delimiter!r} in quotation marks"
                )
            given = dict(zip(columns, cells, strict=False))
            if not given.get("text"):
                raise PhraseFileError(f"line {line}: the text is missing: fill in the column")
            language = _parse_language(given.get("language"), line)
            yield Phrase(given["text"], given.get("voice") or None, language, line)
    except csv.Error as error:
        raise PhraseFileError(f"line {before + 1}: {error}") from error


def _parse_language(cell: str | None, line: int) -> str | None:
    try:
        return parse_requested_language(cell)
    except ValueError as error:
        hint = "put a text that contains a comma in quotation marks"
        raise PhraseFileError(f"line {line}: {error}; {hint}") from error
