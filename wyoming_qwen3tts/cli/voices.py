"""``voices``: lists the voices of a running server, and adds, designs, tests and removes custom voices."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from wyoming.info import TtsVoice

from .. import client
from ..cache.entry import TierError
from ..cache.tiers import tiers_for
from ..client import ServerError
from ..config.option_types import whole
from ..config.settings import Settings, SettingsError
from ..config.sources import Parser, load_options
from ..engines.base import EngineUnavailableError
from ..engines.qwen3.engine import Qwen3Engine
from ..progress import Status, print_line
from ..speech import CustomVoice, SpeechError, base_language
from ..voices.design import SAMPLE_TEXTS, check_design, create_designed_voice
from ..voices.details import SEEDS
from ..voices.names import OPENAI_VOICES, RESERVED_NAMES, name_key
from ..voices.store import CustomVoiceStore
from . import playback
from .arguments import MODEL_OPTIONS, add_server, add_timeout, setting
from .arguments import language as language_argument

STORE_OPTIONS = ("data_dir",)
CACHE_OPTIONS = ("cache_disk", "cache_redis")
"""The server's options that all subcommands have, and those of ``remove``."""


def add_arguments(parser: Parser) -> None:
    """Add the subcommands and their options."""
    commands = parser.add_subparsers(
        title="subcommands", dest="subcommand", required=True, metavar="SUBCOMMAND", prog=parser.prog
    )
    listing = commands.add_parser("list", help="list the voices of a running server (the default)")
    adding = commands.add_parser("add", help="clone a voice from a recording of 5 to 15 seconds")
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("file", type=Path, metavar="FILE", help="WAV, FLAC, Ogg, MP3 and others")
    adding.add_argument(
        "--transcript",
        default="",
        metavar="TEXT",
        help="transcript of the recording, word for word; makes the clone more similar",
    )
    designing = commands.add_parser("design", help="design a voice from a description")
    designing.add_argument("name", metavar="NAME")
    designing.add_argument("words", metavar="DESCRIPTION", help='for example "a warm, slow grandmother"')
    designing.add_argument(
        "--text", default="", help="text of its reference recording, 7 to 12 seconds, in --language"
    )
    for made in (adding, designing):
        made.add_argument(
            "--language",
            type=language_argument,
            metavar="CODE",
            help="native language of the voice, such as de or pt-BR",
        )
        made.add_argument(
            "--seed", type=setting(whole(0, SEEDS - 1)), metavar="N", help="random seed of the voice"
        )
    adding.add_argument("--description", default="", metavar="TEXT", help="description in lists of voices")
    removing = commands.add_parser(
        "remove", help="delete a voice, its recording, and everything computed from it"
    )
    removing.add_argument("name", metavar="NAME")
    testing = commands.add_parser("test", help="play a sample of a voice of a running server")
    testing.add_argument("name", metavar="NAME")
    testing.add_argument("--text", default="", help="the text (default: a sentence in the voice's language)")
    testing.add_argument("--output", metavar="FILE", help="save as a WAV file instead of playing")
    for command in (listing, adding, designing, removing, testing):
        add_server(command)
        add_timeout(command)
        more = {designing: MODEL_OPTIONS, removing: CACHE_OPTIONS}.get(command, ())
        command.add_settings((*STORE_OPTIONS, *more))


async def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return its exit status. Raises SettingsError, ServerError, SpeechError, OSError."""
    options.settings = load_options(options)
    return await SUBCOMMANDS[options.subcommand](options)


async def _list(options: argparse.Namespace) -> int:
    """Print name, languages and description of each voice; then stored voices the server does not have."""
    unreachable: ServerError | None = None
    listed: list[TtsVoice] = []
    try:
        listed = await _served(options)
    except ServerError as error:
        unreachable = error
    rows = [(voice.name, ", ".join(voice.languages), voice.description or "") for voice in listed]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, languages, description in rows:
        print(f"{name:{widths[0]}}  {languages:{widths[1]}}  {description}")
    contents = await asyncio.to_thread(_store(options).read)
    names = {name_key(voice.name) for voice in listed}
    for voice in contents.voices:
        if name_key(voice.name) not in names:
            stored = f"{voice.name}: stored in {options.settings.voices.directory}"
            print_line(f"{stored}, but not available from the server at {options.uri}")
    for problem in contents.problems:
        print_line(f"{problem.name}: {problem.message}")
    if unreachable is not None:
        raise unreachable
    return 0


async def _add(options: argparse.Namespace) -> int:
    """Clone a voice from a recording."""
    with Status() as status:
        made = await asyncio.to_thread(
            _store(options).add,
            options.name,
            options.file,
            transcript=options.transcript,
            language=options.language,
            description=options.description,
            seed=options.seed,
            progress=lambda step: status.show(f"{options.name}: {step}"),
        )
    return await _print_result(options, made)


async def _design(options: argparse.Namespace) -> int:
    """Design a voice from a description with a VoiceDesign checkpoint, and clone it with a Base one."""
    settings: Settings = options.settings
    if not settings.model.model:
        raise SettingsError("voices design needs --model, with a VoiceDesign and a Base checkpoint")
    store = _store(options)
    language = options.language or settings.text.language or "en"
    check_design(store, options.name, options.words, language=language, text=options.text, seed=options.seed)
    model = replace(settings.model, max_batch_size=1)
    engine = Qwen3Engine(model, settings.voices.prompts, load_at_start=False)
    with Status() as status:
        try:
            status.show(f"{options.name}: loading the models")
            await engine.start()
            engine.cloning_model()  # raises early if the designed voice could not be cloned
            made = await create_designed_voice(
                engine,
                store,
                options.name,
                options.words,
                language=language,
                text=options.text,
                seed=options.seed,
                progress=lambda step: status.show(f"{options.name}: {step}"),
            )
            status.show(f"{options.name}: cloning")
            try:
                await engine.prepare_voice(engine.clone(made))
            except EngineUnavailableError:
                store.remove(made.name)
                raise
        finally:
            await engine.close()
    return await _print_result(options, made)


async def _remove(options: argparse.Namespace) -> int:
    """Delete a voice from the data directory, and its audio from the cache."""
    name = await asyncio.to_thread(_store(options).remove, options.name)
    failed: TierError | None = None
    for tier in reversed(tiers_for(options.settings, unused_disk=True)):
        try:
            await tier.forget(name)
        except TierError as error:
            failed = error
        finally:
            await tier.close()
    if failed is not None:
        raise SpeechError(f"{name} is removed, but its audio may still be in the cache: {failed}")
    print_line(f"{options.name} is removed, and everything computed from it")
    return 0


async def _test(options: argparse.Namespace) -> int:
    """Play a sample of a voice of a running server. Raises ServerError if it has no such voice.

    OpenAI's names are not listed; the server maps them to its voices.
    """
    listed = await _served(options)
    voice = next((voice for voice in listed if name_key(voice.name) == name_key(options.name)), None)
    if voice is None and name_key(options.name) not in OPENAI_VOICES:
        raise ServerError(
            f"{options.uri} has no voice {options.name!r}; it has {', '.join(v.name for v in listed)}"
        )
    language = base_language(voice.languages[0]) if voice is not None else "en"
    text = options.text or SAMPLE_TEXTS.get(language, SAMPLE_TEXTS["en"])
    name = voice.name if voice is not None else options.name
    with playback.open_output(options.output) as write:
        await playback.write_speech(options.uri, playback.whole_text(text), name, None, write, options.output)
    return 0


SUBCOMMANDS: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, int]]] = {
    "list": _list,
    "add": _add,
    "design": _design,
    "remove": _remove,
    "test": _test,
}


def _store(options: argparse.Namespace) -> CustomVoiceStore:
    return CustomVoiceStore(options.settings.voices.directory, RESERVED_NAMES)


async def _served(options: argparse.Namespace) -> list[TtsVoice]:
    """Return the voices of the running server. Raises ServerError."""
    info = await client.describe(options.uri, timeout=options.timeout)
    return [voice for program in info.tts for voice in program.voices]


async def _print_result(options: argparse.Namespace, made: CustomVoice) -> int:
    """Print a new voice's remarks, and whether the running server has it already."""
    for remark in made.notes:
        print_line(f"note: {remark}")
    if name_key(made.name) in OPENAI_VOICES:
        print_line(
            f"note: {made.name} is one of OpenAI's voice names: clients that request it get this voice now"
        )
    kind = "with its transcript" if made.reference.transcript else "without a transcript"
    print_line(f"{made.name} is in {options.settings.voices.directory}, {kind}")
    listed: list[TtsVoice] | None = None
    with suppress(ServerError, SpeechError):
        listed = await _served(options)
    if listed is None:
        print_line(
            f"no server answers at {options.uri}: start one with a Base checkpoint and this --data-dir"
        )
    elif name_key(made.name) in {name_key(voice.name) for voice in listed}:
        print_line(f'to hear it: wyoming-qwen3tts voices test "{made.name}"')
    else:
        print_line(
            f"the server at {options.uri} does not have the voice: see its log, and check that it has this "
            "--data-dir"
        )
    return 0
