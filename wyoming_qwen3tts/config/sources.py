"""Reads the settings: the command line wins over environment variables, they win over the options file."""

from __future__ import annotations

import argparse
import difflib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from .describe import shown_default
from .option_types import OptionType
from .settings import OPTIONS, Settings, SettingsError

VARIABLE_PREFIX = "WYOMING_QWEN3TTS_"
OPTIONS_FILE = "options_file"
MORE_OPTIONS = "more_options"
"""Key of the options file: a list of ``name=value``, for options without a field in the app's form."""
HIDDEN = "the given value (not shown: it may hold a password)"
_ALL_KEYS = {*OPTIONS, OPTIONS_FILE}


def load(arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a command line, environment variables and the file that they may name.

    Raises SettingsError; ``--help`` and ``--version`` print and raise SystemExit.
    """
    return load_flags(vars(parser().parse_args(arguments)), variables)


def load_flags(flags: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of parsed flags (see ``add_options``), environment variables and their file.

    Flags that are no options are ignored. Raises SettingsError.
    """
    variables = os.environ if variables is None else variables
    flags = {key: flags[key] for key in _ALL_KEYS if flags.get(key) is not None}
    found = dict(_variables(variables))
    notes = tuple(f"no option has the variable {variable_name(key)}" for key in found if key not in _ALL_KEYS)
    in_variable = found.pop(OPTIONS_FILE, None)
    path = flags.pop(OPTIONS_FILE, in_variable)
    values: dict[str, Any] = {}
    if path:
        for key, value in _file(Path(path)).items():
            values[key] = _read(f"{path}: {key}", key, value)
    for key, text in found.items():
        if key in OPTIONS:
            values[key] = _read(variable_name(key), key, text)
    for key, text in flags.items():
        values[key] = _read(f"--{key.replace('_', '-')}", key, text)
    return Settings.of(notes, **values)


class Parser(argparse.ArgumentParser):
    """Reports what is wrong in one line: raises SettingsError."""

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError."""
        raise SettingsError(f"{message} (--help lists the options)")


def parser() -> argparse.ArgumentParser:
    """Return a parser that leaves every value as text."""
    built = Parser(
        prog="wyoming-qwen3tts",
        description="Text-to-speech for Home Assistant and other Wyoming clients.",
        epilog="Commands: say, voices, prerender, cache and health (each with --help); verify, with the "
        "options here, compares the engine with the official package. "
        f"Every option is also a variable ({variable_name('voice')}, …) and a key of the options file.",
        allow_abbrev=False,
    )
    add_options(built)
    built.add_argument("--version", action="version", version=__version__)
    return built


def add_options(built: argparse._ActionsContainer, only: Collection[str] | None = None) -> None:
    """Let a parser take every option, or ``only`` these, and the options file."""
    for key, declared in OPTIONS.items():
        if only is not None and key not in only:
            continue
        kind: OptionType = declared.metadata["kind"]
        flag = f"--{key.replace('_', '-')}"
        described = f"{declared.metadata['help']} (default: {shown_default(declared)})".replace("%", "%%")
        if kind.schema == "bool":
            flag = f"--no-{key.replace('_', '-')}" if declared.default else flag
            described = described if not declared.default else f"do not {declared.metadata['help']}"
            built.add_argument(
                flag, dest=key, action="store_const", const=str(not declared.default), help=described
            )
        elif kind.separator:
            built.add_argument(
                flag, action=_Joined, const=kind.separator, metavar=kind.metavar, help=described
            )
        elif kind.metavar == "NAME" and "true" in kind.allowed:
            built.add_argument(flag, nargs="?", const="true", metavar=kind.metavar, help=described)
        else:
            built.add_argument(flag, metavar=kind.metavar, help=described)
    built.add_argument(f"--{OPTIONS_FILE.replace('_', '-')}", metavar="FILE", help="a JSON file with options")


class _Joined(argparse.Action):
    """Collects a repeated flag as one text, its separator between the values."""

    def __call__(self, _: Any, namespace: argparse.Namespace, values: Any, __: Any = None) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is None else f"{before}{self.const}{values}")


def variable_name(key: str) -> str:
    """Return the environment variable of an option."""
    return VARIABLE_PREFIX + key.upper()


def _variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in variables.items():
        if name.startswith(VARIABLE_PREFIX) and value.strip():  # an empty one is not set, as in compose files
            yield name.removeprefix(VARIABLE_PREFIX).lower(), value


def _file(path: Path) -> dict[str, Any]:
    try:
        options = json.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"options file {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"options file {path} is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise SettingsError(f"options file {path}: an object of options was expected")
    more = _more_options(path, options.pop(MORE_OPTIONS, None))
    for key in (*options, *more):
        if key not in OPTIONS:
            near = difflib.get_close_matches(str(key), OPTIONS, 1)
            hint = f"; is {near[0]!r} meant?" if near else ""
            raise SettingsError(f"options file {path}: there is no option {key!r}{hint}")
    for key in more:
        if options.get(key) not in (None, ""):
            raise SettingsError(f"options file {path}: {key} is set twice; remove it from {MORE_OPTIONS}")
    options |= more
    # An option left empty in a form is one that was not set.
    return {key: value for key, value in options.items() if value is not None and value != ""}


def _more_options(path: Path, entries: Any) -> dict[str, str]:
    """Return the options of a list of ``name=value``. A message shows no value: it may be a password."""
    origin = f"options file {path}: {MORE_OPTIONS}"
    if not isinstance(entries, list | None) or not all(isinstance(entry, str) for entry in entries or ()):
        raise SettingsError(f"{origin}: a list of texts was expected, each name=value")
    found: dict[str, str] = {}
    for number, entry in enumerate(entries or (), 1):
        name, equals, value = entry.partition("=")
        key = name.strip().removeprefix("--").replace("-", "_")
        if not entry.strip():
            continue
        if not equals or not key:
            raise SettingsError(f"{origin}: entry {number} is not name=value, such as max_text=5000")
        if key in found:
            raise SettingsError(f"{origin}: {key} is there twice; remove one")
        found[key] = value.strip()
    return found


def _read(origin: str, key: str, value: Any) -> Any:
    """Return ``value`` (text, or a JSON value) as the option ``key`` takes it. ``origin``: for messages."""
    kind: OptionType = OPTIONS[key].metadata["kind"]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = (kind.separator or " ").join(value)
    elif isinstance(value, bool | int | float | str):
        text = str(value)
    else:
        shown = HIDDEN if kind.secret else json.dumps(value)
        raise SettingsError(f"{origin}: {shown} is not allowed; allowed: {kind.allowed}")
    try:
        return kind.read(text)
    except ValueError:
        shown = HIDDEN if kind.secret else repr(text)
        raise SettingsError(f"{origin}: {shown} is not allowed; allowed: {kind.allowed}") from None
