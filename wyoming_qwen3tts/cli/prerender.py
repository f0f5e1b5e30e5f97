"""``prerender``: synthesizes phrases in advance and pins them in the cache.

A running server does the work, as its model is loaded and its settings apply; if none answers, one is started
in this process. A phrase counts as stored only when the server confirms it. So the command can be run again
with the same file after any interruption: phrases that are stored already take milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from wyoming.client import AsyncClient

from .. import client
from ..client import ServerError
from ..config.option_types import whole
from ..config.sources import Parser
from ..progress import Progress, format_seconds, print_line
from ..speech import base_language
from ..text.phrases import TABLE_SUFFIXES, Phrase, read_phrases
from ..voices.names import OPENAI_VOICES, name_key
from . import arguments, server

READ_TIMEOUT = 300.0
"""Seconds without data after which a phrase fails; the server's own limits are shorter."""
MAX_FAILURES_IN_A_ROW = 5
"""Consecutive failures after which the command gives up: the server is at fault, not the phrases."""
NOT_KEPT = "not-kept"
"""The error code of a server that cannot store phrases: the others would fail, too."""
MAX_JOBS = 64
CANCEL_ATTEMPTS = 6
"""Times that a task is cancelled, every half second."""
MAX_ERRORS_SHOWN = 20


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a phrase per line, or a CSV of text, voice, language; {0..59} and {front,back} are templates",
    )
    parser.add_argument(
        "--voice", action="append", metavar="NAME", help="voice of phrases without one; may be repeated"
    )
    parser.add_argument(
        "--language", type=arguments.language, metavar="CODE", help="language of phrases without one, e.g. de"
    )
    parser.add_argument(
        "--jobs",
        type=arguments.setting(whole(1, MAX_JOBS)),
        default=4,
        metavar="N",
        help="phrases at a time (default: 4)",
    )
    server.add_arguments(parser)


async def run(options: argparse.Namespace) -> int:
    """Store the phrases; return the exit status, 1 if any is not stored.

    Raises SettingsError, ServerError, PhraseFileError, OSError.
    """
    phrases = _with_voices(read_phrases(options.file), options.voice, options.language)
    async with server.server_for(options) as uri:
        await _check(phrases, options, uri)
        work = _PrerenderRun(phrases, uri)
        await work.run(options.jobs)
    return 1 if work.failures else 0


def _with_voices(
    phrases: Sequence[Phrase], voices: Sequence[str] | None, language: str | None
) -> Sequence[Phrase]:
    """Return the phrases, those without a voice once for each of ``voices``."""
    return [
        replace(phrase, voice=name, language=phrase.language or language)
        for phrase in phrases
        for name in ([phrase.voice] if phrase.voice or not voices else voices)
    ]


async def _check(phrases: Sequence[Phrase], options: argparse.Namespace, uri: str) -> None:
    """Check that the server has every voice and language; for unknown ones it would use a default.

    Raises ServerError if any is missing, and prints the others.
    """
    info = await client.describe(uri, timeout=server.INFO_TIMEOUT)
    voices = [voice for program in info.tts for voice in program.voices]
    names = {name_key(name) for name in (*(voice.name for voice in voices), *OPENAI_VOICES)}
    languages = {base_language(tag) for voice in voices for tag in voice.languages}
    missing: dict[str, None] = {}
    for phrase in phrases:
        if phrase.voice is not None and name_key(phrase.voice) not in names:
            where = (
                "--voice" if phrase.voice in (options.voice or ()) else f"{options.file}, line {phrase.line}"
            )
            missing[
                f"{where}: the server has no voice {phrase.voice!r} (wyoming-qwen3tts voices lists them)"
            ] = None
        if phrase.language is not None and base_language(phrase.language) not in languages:
            where = (
                "--language" if phrase.language == options.language else f"{options.file}, line {phrase.line}"
            )
            missing[f"{where}: no voice of the server speaks {phrase.language!r}"] = None
    if missing:
        *others, last = missing
        for other in others[: MAX_ERRORS_SHOWN - 1]:
            print_line(other)
        hint = "; put a text with a comma in quotation marks" if options.file.suffix in TABLE_SUFFIXES else ""
        raise ServerError(f"{last}{hint}")


class _PrerenderRun:
    """Stores phrases through a server, several at a time, and counts the results."""

    def __init__(self, phrases: Sequence[Phrase], uri: str) -> None:
        self.failures: list[tuple[Phrase, ServerError]] = []
        self._phrases = phrases
        self._remaining = iter(phrases)
        self._uri = uri
        self._stored = 0
        self._seconds = 0.0
        self._in_a_row = 0
        self._began = time.monotonic()
        self._progress = Progress("prerender:", len(phrases))

    async def run(self, jobs: int) -> None:
        """Store all phrases, and print the result. Raises ServerError if it gives up."""
        with self._progress:
            workers = [asyncio.create_task(self._work()) for _ in range(min(jobs, len(self._phrases)))]
            try:
                done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
                for worker in done:
                    worker.result()
            except BaseException as end:
                permanent = isinstance(end, ServerError) and end.code == NOT_KEPT
                hint = "" if permanent else "; run the command again to continue"
                print_line(self._count() + hint)
                raise
            finally:
                await _cancel(workers)
        for phrase, error in self.failures:
            print_line(f"line {phrase.line}: {phrase.text!r}: {error}")
        took = time.monotonic() - self._began
        print(f"{self._count()}: {format_seconds(self._seconds)} of audio in {format_seconds(took)}")

    def _count(self) -> str:
        return f"{self._stored:,} of {len(self._phrases):,} phrases are stored"

    async def _work(self) -> None:
        """Store phrases one after the other, on one connection until an error ends it."""
        lost = False
        phrase = next(self._remaining, None)
        while phrase is not None:
            async with client.connect(self._uri, read_timeout=READ_TIMEOUT) as connection:
                while phrase is not None:
                    try:
                        seconds = await _store(connection, phrase)
                    except ServerError as error:
                        if error.code is None and not lost:
                            lost = True  # the server may have been restarted: try once more
                            break
                        self._fail(phrase, error)
                        phrase = next(self._remaining, None)
                        break  # the server closes the connection after an error
                    self._stored += 1
                    self._seconds += seconds
                    self._in_a_row = 0
                    lost = False
                    self._show()
                    phrase = next(self._remaining, None)

    def _fail(self, phrase: Phrase, error: ServerError) -> None:
        """Count a failed phrase. Raises ServerError if the server is at fault."""
        self.failures.append((phrase, error))
        self._in_a_row += 1
        self._show()
        if error.code in {None, NOT_KEPT} or self._in_a_row == MAX_FAILURES_IN_A_ROW:
            raise ServerError(f"line {phrase.line}: {error}", error.code) from error

    def _show(self) -> None:
        self._progress.update(self._stored + len(self.failures))


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: Python 3.11 may lose a cancellation when a timeout's wait ends."""
    for _ in range(CANCEL_ATTEMPTS):
        running = [task for task in tasks if not task.done()]
        if not running:
            break
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.5)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it; the first one was raised


async def _store(connection: AsyncClient, phrase: Phrase) -> float:
    """Have the server store a phrase; return its seconds of audio. Raises ServerError."""
    seconds = 0.0
    received = client.synthesize(
        connection, phrase.text, voice=phrase.voice, language=phrase.language, context={"cache": "pin"}
    )
    async with aclosing(received):
        async for audio in received:
            seconds += audio.seconds
    return seconds
