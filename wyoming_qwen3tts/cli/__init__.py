"""The commands. Each is a module of this package with ``add_arguments(parser)`` and ``async run(options)``.

``run`` returns the exit status. A command with subcommands also has ``SUBCOMMANDS``; the first one is its
default.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from ..client import ConnectError, ServerError
from ..config.settings import SettingsError
from ..config.sources import Parser, nearest
from ..speech import SpeechError
from ..text.phrases import PhraseFileError

PROGRAM = "wyoming-qwen3tts"


@dataclass(frozen=True, slots=True)
class Command:
    """A command's entry in the list of ``--help``, and the words after it."""

    summary: str
    usage: str = "[OPTION]…"


SERVE = "serve"
COMMANDS = {
    SERVE: Command("run the server; also if no command is given"),
    "say": Command("speak a text: play the audio, or save it as a WAV file", "[OPTION]… [TEXT]"),
    "voices": Command("list, add, design, test and remove voices", "[SUBCOMMAND] [OPTION]…"),
    "prerender": Command("synthesize phrases in advance, and pin them in the cache", "[OPTION]… FILE"),
    "cache": Command(
        "show, clear, export and verify the cache on disk and in Redis", "[SUBCOMMAND] [OPTION]…"
    ),
    "health": Command("check that a running server answers and has a voice"),
    "verify": Command("compare the output for a model with that of the official package"),
}


def main(words: Sequence[str]) -> int:
    """Run the command of a command line; return its exit status.

    0: done; 1: failed; 2: invalid arguments; 75: the server has to be started again.
    """
    try:
        return _run(words)
    except SettingsError as error:
        return _fail(error, 2)
    except ConnectError as error:
        return _fail(f"{error}; {_start_hint(error)}")
    except BrokenPipeError:  # the program that reads the output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except (ServerError, SpeechError, PhraseFileError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return 130


def _run(words: Sequence[str]) -> int:
    bare = not words or words[0].startswith("-")
    name, *rest = [SERVE, *words] if bare else words
    if name not in COMMANDS:
        hint = f"{nearest(name, COMMANDS)} (--help lists the commands)"
        raise SettingsError(f"there is no command {name!r}{hint}")
    command = COMMANDS[name]
    module = importlib.import_module(f".{name}", __package__)
    parser = Parser(
        prog=PROGRAM if bare else f"{PROGRAM} {name}",
        usage=f"{PROGRAM} [COMMAND] [OPTION]…" if bare else f"{PROGRAM} {name} {command.usage}",
        description=_overview() if bare else f"{command.summary[0].upper()}{command.summary[1:]}.",
        help_all="--help-all" in rest,
        **({"extra_hint": "a command comes first, then its options"} if name == SERVE else {}),
    )
    module.add_arguments(parser)
    status: int = asyncio.run(module.run(parser.parse_args(_with_subcommand(name, module, rest))))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise
    return status


def _with_subcommand(name: str, module: ModuleType, words: Sequence[str]) -> Sequence[str]:
    """Return a command's words with its default subcommand where none is named. Raises SettingsError."""
    subcommands = getattr(module, "SUBCOMMANDS", None)
    if subcommands is None or words[:1] in (["-h"], ["--help"]):
        return words
    if not words or words[0].startswith("-"):
        return [next(iter(subcommands)), *words]
    if words[0] not in subcommands:
        hint = f"{nearest(words[0], subcommands)} ({name} --help lists the subcommands)"
        raise SettingsError(f"there is no subcommand {words[0]!r} of {name}{hint}")
    return words


def _overview() -> str:
    """Return the description of the program, with the list of the commands."""
    listed = "\n".join(f"  {name:10} {command.summary}" for name, command in COMMANDS.items())
    return (
        "Text-to-speech for Home Assistant and other Wyoming clients.\n\n"
        f"commands ({PROGRAM} COMMAND --help describes one):\n{listed}"
    )


def _start_hint(error: ConnectError) -> str:
    """Return how to start a server at the address that does not answer."""
    where = "there" if error.is_local else "on that machine"
    return f"to start a server {where}: {PROGRAM} serve --uri {error.listen_uri}"


def _fail(error: object, status: int = 1) -> int:
    print(f"error: {error}", file=sys.stderr)
    return status
