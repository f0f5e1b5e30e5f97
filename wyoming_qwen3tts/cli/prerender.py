"""``prerender``: phrases are said before anybody asks for them, and kept for ever.

A running server does the work, for its model is loaded already and its settings say how things are read;
where none answers, one is run for it in this process. A phrase counts as stored only when the server says so,
so that a file can be given again after whatever ended the work: what is stored already takes milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from wyoming.client import AsyncClient

from .. import client
from ..client import ServerError
from ..config.settings import OPTIONS, Settings, SettingsError
from ..config.sources import OPTIONS_FILE, Parser, add_options, load_flags
from ..speech import base_language
from ..text.phrases import TABLE_SUFFIXES, Phrase, read_phrases
from ..voices.names import OPENAI, key
from . import playback as sound
from .arguments import language as language_argument

TIMEOUT = 5.0
"""Seconds in which a server tells what voices it has."""
SILENCE = 300.0
"""Seconds after which a server that says nothing is given up; its own limits are shorter."""
IN_A_ROW = 5
"""Phrases that fail one after the other until the fault is the server's."""
NOT_KEPT = "not-kept"
"""The code of an error that says where nothing is kept: no other phrase will be."""
OWN = {"uri", "voice", "language"}
"""Options of the server that mean something else here."""
BAR = 30
"""Characters."""
MOST_JOBS = 64
ATTEMPTS = 6
"""Times that a task is cancelled, every half second."""
SHOWN = 20
"""Wrong names that are shown."""
EVERY = 5.0
"""Seconds between lines that say how far it is, where there is no terminal."""

Serve = Callable[[Settings], AbstractAsyncContextManager[str]]
"""Runs a server in this process for a while; gives its URI."""


def parse(arguments: Sequence[str], uri: str) -> argparse.Namespace:
    """Return the options of this command line; ``settings`` holds the server's own ones.

    Raises SettingsError; exits as argparse does.
    """
    parser = Parser(
        prog="wyoming-qwen3tts prerender",
        description="Say phrases before anybody asks for them, and keep them for ever.",
        epilog="A running server does the work, and has to where --uri names it; else this process does it "
        "where none answers, or any of the server's own options is given. A file that is given again goes on "
        "where it was left.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a phrase a line, or a .csv with text, voice, language; {0..59} and {front,back} are templates",
    )
    parser.add_argument(
        "--voice", action="append", metavar="NAME", help="who says what names nobody; may be repeated"
    )
    parser.add_argument(
        "--language", type=language_argument, metavar="CODE", help="language of what names none, such as de"
    )
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="phrases at a time (default: 4)")
    parser.add_argument("--uri", help=f"the server's address (default: {uri})")
    theirs = set(OPTIONS) - OWN
    add_options(parser.add_argument_group("the server's own options"), theirs)
    options = parser.parse_args(arguments)
    if not 1 <= options.jobs <= MOST_JOBS:
        raise SettingsError(f"--jobs: {options.jobs} is not allowed; allowed: 1 to {MOST_JOBS}")
    given = {name: value for name, value in vars(options).items() if name in {*theirs, OPTIONS_FILE}}
    options.settings = load_flags(given)
    options.here = options.uri is None and any(value is not None for value in given.values())
    options.default_uri = uri
    return options


async def run(options: argparse.Namespace, serve: Serve) -> int:
    """Do it; return the exit status: 1 where a phrase is not stored. Raises ServerError, ValueError."""
    phrases = _with_voices(read_phrases(options.file), options.voice, options.language)
    async with _server(options, serve) as uri:
        await _check(phrases, options, uri)
        work = _PrerenderRun(phrases, uri)
        await work.run(options.jobs)
    return 1 if work.failures else 0


def _with_voices(
    phrases: Sequence[Phrase], voices: Sequence[str] | None, language: str | None
) -> Sequence[Phrase]:
    """Return the phrases with everybody who is to say them."""
    return [
        replace(phrase, voice=name, language=phrase.language or language)
        for phrase in phrases
        for name in ([phrase.voice] if phrase.voice or not voices else voices)
    ]


@asynccontextmanager
async def _server(options: argparse.Namespace, serve: Serve) -> AsyncIterator[str]:
    """Give the address of a server that does the work: one that runs, or one for it alone."""
    uri = options.uri or options.default_uri
    if not options.here:
        try:
            await client.describe(uri, timeout=TIMEOUT)
        except ServerError as error:
            if options.uri is not None:
                raise ServerError(f"{error}; without --uri this process does the work") from error
            sound.remark(f"{error}; this process does the work, in {options.settings.voices.directory}")
        else:
            yield uri
            return
    async with serve(options.settings) as own:
        yield own


async def _check(phrases: Sequence[Phrase], options: argparse.Namespace, uri: str) -> None:
    """See that the server has every voice and language: for one that it does not know it takes another.

    Raises ServerError, which names all that it has not.
    """
    info = await client.describe(uri, timeout=TIMEOUT)
    voices = [voice for program in info.tts for voice in program.voices]
    names = {key(name) for name in (*(voice.name for voice in voices), *OPENAI)}
    languages = {base_language(tag) for voice in voices for tag in voice.languages}
    missing: dict[str, None] = {}
    for phrase in phrases:
        if phrase.voice is not None and key(phrase.voice) not in names:
            asked = (
                "--voice" if phrase.voice in (options.voice or ()) else f"{options.file}, line {phrase.line}"
            )
            missing[
                f"{asked}: the server has no voice {phrase.voice!r} (wyoming-qwen3tts voices lists them)"
            ] = None
        if phrase.language is not None and base_language(phrase.language) not in languages:
            asked = (
                "--language" if phrase.language == options.language else f"{options.file}, line {phrase.line}"
            )
            missing[f"{asked}: no voice of the server speaks {phrase.language!r}"] = None
    if missing:
        *others, last = missing
        for other in others[: SHOWN - 1]:
            sound.remark(other)
        hint = (
            "; a text with a comma in it stands in quotation marks"
            if options.file.suffix in TABLE_SUFFIXES
            else ""
        )
        raise ServerError(f"{last}{hint}")


class _PrerenderRun:
    """What is to be stored, and what became of it."""

    def __init__(self, phrases: Sequence[Phrase], uri: str) -> None:
        self.failures: list[tuple[Phrase, ServerError]] = []
        self._phrases = phrases
        self._left = iter(phrases)
        self._uri = uri
        self._stored = 0
        self._seconds = 0.0
        self._in_a_row = 0
        self._began = self._said = time.monotonic()

    async def run(self, jobs: int) -> None:
        """Store what can be stored, and say what became of it. Raises ServerError where that is no use."""
        with sound.progress() as show:
            workers = [asyncio.create_task(self._work(show)) for _ in range(min(jobs, len(self._phrases)))]
            try:
                done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
                for worker in done:
                    worker.result()
            except BaseException as end:
                show("")
                lasting = isinstance(end, ServerError) and end.code == NOT_KEPT
                sound.remark(self._so_far() + ("" if lasting else "; given again, the file goes on there"))
                raise
            finally:
                await _end(workers)
        for phrase, error in self.failures:
            sound.remark(f"line {phrase.line}: {phrase.text!r}: {error}")
        took = time.monotonic() - self._began
        print(f"{self._so_far()}: {_time(self._seconds)} of sound in {_time(took)}")

    def _so_far(self) -> str:
        return f"{self._stored:,} of {len(self._phrases):,} phrases are known to be stored"

    async def _work(self, show: Callable[[str], None]) -> None:
        """Store one phrase after the other, on one connection as long as that lasts."""
        lost = False
        phrase = next(self._left, None)
        while phrase is not None:
            async with client.connect(self._uri, read_timeout=SILENCE) as connection:
                while phrase is not None:
                    try:
                        seconds = await _store(connection, phrase)
                    except ServerError as error:
                        if error.code is None and not lost:
                            lost = True  # the server was started anew, perhaps: once more
                            break
                        self._fail(phrase, error, show)
                        phrase = next(self._left, None)
                        break  # after an error the server closes
                    self._stored += 1
                    self._seconds += seconds
                    self._in_a_row = 0
                    lost = False
                    self._show(show)
                    phrase = next(self._left, None)

    def _fail(self, phrase: Phrase, error: ServerError, show: Callable[[str], None]) -> None:
        """Note that a phrase is not stored. Raises ServerError where that is not the phrase's fault."""
        self.failures.append((phrase, error))
        self._in_a_row += 1
        self._show(show)
        if error.code in {None, NOT_KEPT} or self._in_a_row == IN_A_ROW:
            raise ServerError(f"line {phrase.line}: {error}", error.code) from error

    def _show(self, show: Callable[[str], None]) -> None:
        """Show how far it is: a bar on a terminal, a few lines elsewhere."""
        done, total = self._stored + len(self.failures), len(self._phrases)
        left = (time.monotonic() - self._began) / done * (total - done)
        if sys.stderr.isatty():
            bar = "#" * (BAR * done // total)
            show(f"[{bar:-<{BAR}}] {done:,} of {total:,}, {_time(left)} left ")
        elif time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            sound.remark(f"{done:,} of {total:,}, {_time(left)} left")


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: Python 3.11 may swallow it where an answer comes just then."""
    for _ in range(ATTEMPTS):
        going = [task for task in tasks if not task.done()]
        if not going:
            break
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=0.5)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # the first was raised; of the others nobody need hear


async def _store(connection: AsyncClient, phrase: Phrase) -> float:
    """Let the server store a phrase; return the seconds of its sound. Raises ServerError."""
    seconds = 0.0
    wanted = {"voice": phrase.voice, "language": phrase.language}
    sounds = client.say(connection, phrase.text, context={"cache": "pin"}, **wanted)
    async with aclosing(sounds):
        async for piece in sounds:
            seconds += piece.seconds
    return seconds


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
