"""``voices``: those of a running server, and those of the data directory, which this is how to fill."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wyoming.info import TtsVoice

from .. import client
from ..cache.entry import TierError
from ..cache.tiers import tiers_for
from ..client import ServerError
from ..config.settings import Settings, SettingsError
from ..config.sources import OPTIONS_FILE, add_options, load_flags
from ..engines.base import EngineUnavailableError
from ..engines.qwen3.configuration import Configuration
from ..engines.qwen3.engine import Qwen3Engine
from ..speech import CustomVoice, SpeechError, base_language
from ..voices.design import TEXTS, check, design
from ..voices.names import OPENAI, RESERVED, key
from ..voices.store import CustomVoiceStore
from . import sound
from .arguments import language as language_argument

LIST = "list"
PLACE = ("data_dir",)
CACHE = ("cache_disk", "cache_redis")
MODELS = (
    *("model", "revision", "download_dir", "local_files_only", "device", "dtype", "quantize"),
    *("context", "frames_per_token", "memory_budget"),
)
"""The server's options that commands take too, those that removing takes, and those that designing does."""


def parse(arguments: Sequence[str], uri: str) -> argparse.Namespace:
    """Return the options of this command line; ``settings`` holds the server's own ones.

    Raises SettingsError; exits as argparse does.
    """
    parser = _parser(uri)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help"}):
        arguments = [LIST, *arguments]
    options = parser.parse_args(arguments)
    taken = (*PLACE, *CACHE, *MODELS, OPTIONS_FILE)
    options.settings = load_flags({key: value for key, value in vars(options).items() if key in taken})
    return options


def _parser(uri: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wyoming-qwen3tts voices",
        description="List, make, try and remove voices.",
        epilog="The server's variables and options file are read too.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser(LIST, help="list the voices of a running server (the default)")
    adding = commands.add_parser("add", help="make a voice of a recording of 5 to 15 seconds")
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("file", type=Path, metavar="FILE", help="WAV, FLAC, Ogg, MP3 and others")
    adding.add_argument(
        "--transcript",
        default="",
        metavar="TEXT",
        help="what is said in it, word for word: a closer likeness",
    )
    designing = commands.add_parser("design", help="make a voice of a description")
    designing.add_argument("name", metavar="NAME")
    designing.add_argument("words", metavar="DESCRIPTION", help='for example "a warm, slow grandmother"')
    designing.add_argument("--text", default="", help="what it says first, 7 to 12 seconds; in --language")
    for made in (adding, designing):
        made.add_argument(
            "--language",
            type=language_argument,
            metavar="CODE",
            help="its mother tongue, such as de or pt-BR",
        )
        made.add_argument("--seed", type=int, metavar="N", help="where its chance begins")
    adding.add_argument("--description", default="", metavar="TEXT", help="what a list of voices says of it")
    removing = commands.add_parser("remove", help="delete a voice, its recording and all that was made of it")
    removing.add_argument("name", metavar="NAME")
    testing = commands.add_parser("test", help="hear a voice of a running server")
    testing.add_argument("name", metavar="NAME")
    testing.add_argument("--text", default="", help="what it says")
    testing.add_argument("--output", metavar="FILE", help="save as a WAV file instead of playing")
    for asking in (listing, adding, designing, removing, testing):
        asking.add_argument("--uri", default=uri, help="the server's address (default: %(default)s)")
        asking.add_argument(
            "--timeout", type=float, default=5.0, help="seconds to wait (default: %(default)g)"
        )
        more = {designing: MODELS, removing: CACHE}.get(asking, ())
        add_options(asking, (*PLACE, *more))
    return parser


async def run(options: argparse.Namespace) -> int:
    """Do what was asked; return the exit status."""
    return await COMMANDS[options.command](options)


async def _list(options: argparse.Namespace) -> int:
    """List voices: name, languages, description; then what of the data directory is not among them."""
    silent: ServerError | None = None
    listed: list[TtsVoice] = []
    try:
        listed = await _served(options)
    except ServerError as error:
        silent = error
    rows = [(voice.name, ", ".join(voice.languages), voice.description or "") for voice in listed]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, languages, description in rows:
        print(f"{name:{widths[0]}}  {languages:{widths[1]}}  {description}")
    contents = await asyncio.to_thread(_store(options).read)
    names = {key(voice.name) for voice in listed}
    for voice in contents.voices:
        if key(voice.name) not in names:
            sound.remark(
                f"{voice.name}: in {options.settings.voices.directory}, and not spoken by a server at "
                f"{options.uri}"
            )
    for problem in contents.problems:
        sound.remark(f"{problem.name}: {problem.message}")
    if silent is not None:
        raise silent
    return 0


async def _add(options: argparse.Namespace) -> int:
    """Make a voice of a recording."""
    with sound.progress() as show:
        made = await asyncio.to_thread(
            _store(options).add,
            options.name,
            options.file,
            transcript=options.transcript,
            language=options.language,
            description=options.description,
            seed=options.seed,
            progress=lambda step: show(f"{options.name}: {step}"),
        )
    return await _tell(options, made)


async def _design(options: argparse.Namespace) -> int:
    """Make a voice of a description: design it with one checkpoint, clone it with another."""
    settings: Settings = options.settings
    if not settings.model.model:
        raise SettingsError("voices design needs --model, with a VoiceDesign and a Base checkpoint")
    store = _store(options)
    language = options.language or settings.text.language or "en"
    check(store, options.name, options.words, language=language, text=options.text, seed=options.seed)
    engine = Qwen3Engine(Configuration.of(settings.changed(max_batch_size=1), eager=False))
    with sound.progress() as show:
        try:
            show(f"{options.name}: looking for the models")
            await engine.start()
            engine.cloner()  # or all the work would be for nothing
            made = await design(
                engine,
                store,
                options.name,
                options.words,
                language=language,
                text=options.text,
                seed=options.seed,
                progress=lambda step: show(f"{options.name}: {step}"),
            )
            show(f"{options.name}: cloning")
            try:
                await engine.make_ready(engine.clone(made))
            except EngineUnavailableError:
                store.remove(made.name)
                raise
        finally:
            await engine.close()
    return await _tell(options, made)


async def _remove(options: argparse.Namespace) -> int:
    """Delete a voice of the data directory."""
    name = await asyncio.to_thread(_store(options).remove, options.name)
    failed: TierError | None = None
    for tier in reversed(tiers_for(options.settings, left=True)):
        try:
            await tier.forget(name)
        except TierError as error:
            failed = error
        finally:
            await tier.close()
    if failed is not None:
        raise SpeechError(f"{name} is removed, but what it said may still be in the cache: {failed}")
    sound.remark(f"{options.name} is removed, and all that was made of it")
    return 0


async def _test(options: argparse.Namespace) -> int:
    """Let a voice of a running server say something. Raises ServerError where it has no such voice.

    OpenAI's names are not listed, and whom they mean is up to the server.
    """
    listed = await _served(options)
    voice = next((voice for voice in listed if key(voice.name) == key(options.name)), None)
    if voice is None and key(options.name) not in OPENAI:
        raise ServerError(
            f"{options.uri} has no voice {options.name!r}, but {', '.join(v.name for v in listed)}"
        )
    language = base_language(voice.languages[0]) if voice is not None else "en"
    text = options.text or TEXTS.get(language, TEXTS["en"])
    name = voice.name if voice is not None else options.name
    await sound.hear(options.uri, sound.whole(text), name, options.output)
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, int]]] = {
    LIST: _list,
    "add": _add,
    "design": _design,
    "remove": _remove,
    "test": _test,
}


def _store(options: argparse.Namespace) -> CustomVoiceStore:
    return CustomVoiceStore(options.settings.voices.directory, RESERVED)


async def _served(options: argparse.Namespace) -> list[TtsVoice]:
    """Return the voices of the running server. Raises ServerError."""
    info = await client.describe(options.uri, timeout=options.timeout)
    return [voice for program in info.tts for voice in program.voices]


async def _tell(options: argparse.Namespace, made: CustomVoice) -> int:
    """Say what was made, and whether the running server has it already."""
    for remark in made.remarks:
        sound.remark(f"note: {remark}")
    if key(made.name) in OPENAI:
        sound.remark(
            f"note: clients made for OpenAI ask for {made.name} too, and hear this voice from now on"
        )
    kind = "with its transcript" if made.reference.transcript else "without a transcript"
    sound.remark(f"{made.name} is in {options.settings.voices.directory}, {kind}")
    listed: list[TtsVoice] | None = None
    with suppress(ServerError, SpeechError):
        listed = await _served(options)
    if listed is None:
        sound.remark(f"no server answers at {options.uri}: one with a Base checkpoint here will speak it")
    elif key(made.name) in {key(voice.name) for voice in listed}:
        sound.remark(f'to hear it: wyoming-qwen3tts voices test "{made.name}"')
    else:
        sound.remark(
            f"the server at {options.uri} does not speak it: its log says why, if it has this --data-dir"
        )
    return 0
