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
from ..settings import OPTIONS, OPTIONS_FILE, Settings, SettingsError, add_options
from ..voices.presets import OPENAI, key
from . import sound
from .phrases import Phrase, read

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
EVERY = 5.0
"""Seconds between lines that say how far it is, where there is no terminal."""

Serve = Callable[[Settings], AbstractAsyncContextManager[str]]
"""Runs a server in this process for a while; gives its URI."""


def parse(arguments: Sequence[str], uri: str) -> argparse.Namespace:
    """Return the options of this command line; ``settings`` holds the server's own ones.

    Raises SettingsError; exits as argparse does.
    """
    parser = argparse.ArgumentParser(
        prog="wyoming-qwen3tts prerender",
        description="Say phrases before anybody asks for them, and keep them for ever.",
        epilog="A running server does the work (--uri); this process does where none answers, or where any "
        "of the server's own options is given. A file that is given again goes on where it was left.",
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
    parser.add_argument("--language", metavar="CODE", help="language of what names none, such as de")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="phrases at a time (default: 4)")
    parser.add_argument("--uri", help=f"the server's address (default: {uri})")
    theirs = set(OPTIONS) - OWN
    add_options(parser.add_argument_group("the server's own options"), theirs)
    options = parser.parse_args(arguments)
    if not 1 <= options.jobs <= MOST_JOBS:
        raise SettingsError(f"--jobs: {options.jobs} is not allowed; allowed: 1 to {MOST_JOBS}")
    given = {name: value for name, value in vars(options).items() if name in {*theirs, OPTIONS_FILE}}
    options.settings = Settings.of(given)
    options.here = options.uri is None and any(value is not None for value in given.values())
    options.default_uri = uri
    return options


async def run(options: argparse.Namespace, serve: Serve) -> int:
    """Do it; return the exit status: 1 where a phrase is not stored. Raises ServerError, ValueError."""
    phrases = _with_voices(read(options.file), options.voice, options.language)
    async with _server(options, serve) as uri:
        await _check_voices(phrases, uri)
        work = _Work(phrases, uri)
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
                raise
            _say(f"{error}; this process does the work, in {options.settings.data}")
        else:
            yield uri
            return
    async with serve(options.settings) as own:
        yield own


async def _check_voices(phrases: Sequence[Phrase], uri: str) -> None:
    """See that the server has every voice: of one that it does not know another would be heard.

    Raises ServerError.
    """
    info = await client.describe(uri, timeout=TIMEOUT)
    names = [voice.name for program in info.tts for voice in program.voices]
    known = {key(name) for name in (*names, *OPENAI)}
    for phrase in phrases:
        if phrase.voice is not None and key(phrase.voice) not in known:
            raise ServerError(
                f"line {phrase.line}: the server has no voice {phrase.voice!r}; "
                f"wyoming-qwen3tts voices lists those it has: {', '.join(names[:5])}…"
            )


class _Work:
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
                await asyncio.gather(*workers)
            except BaseException:
                show("")
                _say(f"{self._so_far()}; given again, the file goes on there")
                raise
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        for phrase, error in self.failures:
            _say(f"line {phrase.line}: {phrase.text!r}: {error}")
        minutes = self._seconds / 60
        print(f"{self._so_far()}: {minutes:.1f} minutes of sound in {time.monotonic() - self._began:.0f} s")

    def _so_far(self) -> str:
        return f"{self._stored:,} of {len(self._phrases):,} phrases are stored"

    async def _work(self, show: Callable[[str], None]) -> None:
        """Store one phrase after the other, on one connection as long as that lasts."""
        lost = False
        phrase = next(self._left, None)
        while phrase is not None:
            async with client.connect(self._uri, read_timeout=SILENCE) as connection:
                while phrase is not None:
                    try:
                        self._seconds += await _store(connection, phrase)
                    except ServerError as error:
                        if error.code is None and not lost:
                            lost = True  # the server was started anew, perhaps: once more
                            break
                        self._fail(phrase, error, show)
                        phrase = next(self._left, None)
                        break  # after an error the server closes
                    self._stored += 1
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
            _say(f"{done:,} of {total:,}, {_time(left)} left")


async def _store(connection: AsyncClient, phrase: Phrase) -> float:
    """Let the server store a phrase; return the seconds of its sound. Raises ServerError."""
    seconds = 0.0
    wanted = {"voice": phrase.voice, "language": phrase.language}
    sounds = client.say(connection, phrase.text, context={"cache": "pin"}, **wanted)
    try:
        async with aclosing(sounds):
            async for piece in sounds:
                seconds += piece.seconds
    except (OSError, TimeoutError) as error:
        raise ServerError(f"the connection was lost: {str(error) or 'no answer'}") from error
    return seconds


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
