"""Reads the settings: the command line wins over environment variables, they win over the options file."""

from __future__ import annotations

import argparse
import difflib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .describe import (
    COMMON_OPTIONS,
    OPTIONS_FILE,
    TITLES,
    VARIABLE_PREFIX,
    flag_name,
    is_optional_value,
    shown_default,
    variable_name,
)
from .option_types import OptionType
from .settings import GROUP_OF, GROUPS, OPTIONS, Settings, SettingsError

MORE_OPTIONS = "more_options"
"""Key of the options file: a list of ``name=value``, for options without a field in the app's form."""
MAX_LISTED = 16
"""Options of the server up to which ``--help`` lists all that a command takes."""
HIDDEN = "the given value (not shown: it may hold a password)"
_ALL_KEYS = {*OPTIONS, OPTIONS_FILE}
_DESTINATION = "setting:"
"""How the attributes of the server's options begin; a command may have its own option of the same name."""


def nearest(given: str, known: Iterable[str]) -> str:
    """Return ``; is 'X' meant?`` with the nearest known word; empty if none is near."""
    # All flags that switch something off look alike: they have to be nearer.
    near = difflib.get_close_matches(given, known, 1, cutoff=0.75 if given.startswith("-") else 0.6)
    return f"; is {near[0]!r} meant?" if near else ""


def load(arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a command line, environment variables and the file that they may name.

    Raises SettingsError.
    """
    parser = Parser()
    parser.add_settings()
    return load_options(parser.parse_args(arguments), variables)


def given_options(options: argparse.Namespace) -> dict[str, str]:
    """Return the server's options on a command line: key → text. See ``Parser.add_settings``."""
    return {
        name.removeprefix(_DESTINATION): value
        for name, value in vars(options).items()
        if name.startswith(_DESTINATION) and value is not None
    }


def load_options(options: argparse.Namespace, variables: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a parsed command line, environment variables and their file.

    Raises SettingsError.
    """
    variables = os.environ if variables is None else variables
    flags = given_options(options)
    found = dict(_variables(variables))
    notes = tuple(
        f"variable without an option ignored name={variable_name(key)}"
        for key in found
        if key not in _ALL_KEYS
    )
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
        values[key] = _read(flag_name(key), key, text)
    return Settings.of(notes, **values)


class Parser(argparse.ArgumentParser):
    """A parser of a command's arguments. It reports an error in one line, as a SettingsError.

    ``--help`` lists the important ones of the server's options, ``--help-all`` lists all.
    """

    def __init__(
        self,
        *,
        help_all: bool = False,
        extra_hint: str = "put a text in quotation marks",
        **keywords: Any,
    ) -> None:
        """``help_all``: whether ``--help-all`` is among the arguments to be parsed.

        ``extra_hint``: what to do about an argument too many.
        """
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(**keywords, allow_abbrev=False, formatter_class=formatter)
        self._help_all = help_all
        self._extra_hint = extra_hint

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError."""
        what = message.removeprefix("argument ")
        raise SettingsError(f"{what} ({self._list_option} lists the options)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse arguments. Raises SettingsError for an unknown one, which may be close to a known one."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].partition("=")[0]
            if not name.startswith("-"):
                self.error(f"{unknown[0]!r} is one argument too many; {self._extra_hint}")
            self.error(f"there is no option {name!r}{nearest(name, self._option_string_actions)}")
        return options, unknown

    @property
    def _list_option(self) -> str:
        return "--help-all" if "--help-all" in self._option_string_actions else "--help"

    def add_settings(self, only: Collection[str] | None = None, excluded: Collection[str] = ()) -> None:
        """Take every option of the server, or ``only`` these, and the options file.

        ``--help`` lists all of them if there are at most MAX_LISTED, else COMMON_OPTIONS.
        """
        keys = [key for key in OPTIONS if (only is None or key in only) and key not in excluded]
        listed = keys if len(keys) <= MAX_LISTED else [key for key in COMMON_OPTIONS if key in keys]
        if self._help_all:
            for name in GROUPS:
                section = self.add_argument_group(TITLES[name])
                for key in keys:
                    if GROUP_OF[key] == name:
                        _add_setting(section, key)
        else:
            section = self.add_argument_group("options of the server")
            for key in (*listed, *(key for key in keys if key not in listed)):
                _add_setting(section, key, listed=key in listed)
        self.add_argument(
            flag_name(OPTIONS_FILE),
            dest=f"{_DESTINATION}{OPTIONS_FILE}",
            metavar="FILE",
            help="a JSON file with options of the server",
        )
        if len(listed) < len(keys):
            self.add_argument("--help-all", action="help", help=f"list all {len(keys)} options of the server")
        self.epilog = (
            f"Every option of the server is also a variable ({variable_name('voice')}, …) and a key of the "
            "options file.\nMore: docs/configuration.md"
        )


def _add_setting(parser: argparse._ActionsContainer, key: str, *, listed: bool = True) -> None:
    """Let a parser take an option of the server, as text. ``listed``: whether its help is shown."""
    declared = OPTIONS[key]
    kind: OptionType = declared.metadata["kind"]
    default = "" if declared.default in {None, ()} else f" (default: {shown_default(declared)})"
    described = f"{declared.metadata['help']}{default}".replace("%", "%%")
    keywords: dict[str, Any] = {"dest": f"{_DESTINATION}{key}", "metavar": kind.metavar}
    if kind.schema == "bool":
        keywords = {**keywords, "action": "store_const", "const": str(not declared.default)}
        del keywords["metavar"]
        described = described if not declared.default else f"do not {declared.metadata['help']}"
    elif kind.separator:
        keywords = {**keywords, "action": _Joined, "const": kind.separator}
    elif is_optional_value(kind):
        keywords = {**keywords, "nargs": "?", "const": "true"}
    parser.add_argument(flag_name(key), **keywords, help=described if listed else argparse.SUPPRESS)


class _Joined(argparse.Action):
    """Collects a repeated flag as one text, its separator between the values."""

    def __call__(self, _: Any, namespace: argparse.Namespace, values: Any, __: Any = None) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is None else f"{before}{self.const}{values}")


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
            raise SettingsError(f"options file {path}: there is no option {key!r}{nearest(key, OPTIONS)}")
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
