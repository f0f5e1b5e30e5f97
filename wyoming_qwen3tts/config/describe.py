"""Describes the options: their names, and the manual's page of them.

``python -m wyoming_qwen3tts.config.describe > docs/configuration.md`` writes that page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from .option_types import OptionType
from .settings import GROUPS, OPTIONS

COMMON_OPTIONS = (
    *("model", "voice", "language", "speed", "uri", "http_port", "api_keys", "remote_uri"),
    *("zeroconf", "data_dir"),
)
"""Options that most users need, in the order in which ``--help`` and the manual list them."""
TITLES = {
    "server": "Wyoming server",
    "http": "HTTP server",
    "voices": "Engines and voices",
    "text": "Text",
    "audio": "Audio",
    "cache": "Cache",
    "model": "Qwen3-TTS model",
    "remote": "Other servers",
    "limits": "Limits",
    "logging": "Logging",
}
"""Titles of the groups."""
_UNITS = {"SECONDS": " s", "DBFS": " dBFS"}
"""Units of defaults, by placeholder of the value."""
_INTRODUCTION = """\
<!-- Generated: python -m wyoming_qwen3tts.config.describe > docs/configuration.md -->

# Configuration

Every option can be given in three ways:

| way | example |
|---|---|
| a flag of the command line | `--max-text 5000` |
| an environment variable | `WYOMING_QWEN3TTS_MAX_TEXT=5000` |
| a key of the JSON file that `--options-file FILE` names | `{"max_text": 5000}` |

A flag wins over the variable, and the variable over the file. The variable
`WYOMING_QWEN3TTS_OPTIONS_FILE` names that file, too. The options of the Home Assistant app are such a file.

- The name of the variable and the key follow from the flag: `--max-text`, `WYOMING_QWEN3TTS_MAX_TEXT`,
  `max_text`.
- Options that are on or off take no value as a flag. As a variable or a key they take `true` or `false`. An
  option that is on by default has a flag that switches it off, such as `--no-streaming`; its key is
  `streaming`.
- An option with several values takes them in one text, or its flag is repeated; in the file it may also be
  a list.
- An empty variable, and a key with an empty value or `null`, are not set.
- A value that is not allowed is an error: one line that names the option, the value and what is allowed.
  The exit status is 2. An unknown flag or key is an error, too; an unknown variable is a warning in the
  log.

```sh
echo '{"speed": 1.2, "cache_disk": 0}' > options.json
wyoming-qwen3tts say "Hello" --options-file options.json --output hello.wav
```

`wyoming-qwen3tts --help` lists the common options, `wyoming-qwen3tts --help-all` lists all. The commands
`say` and `prerender` take the options of the server that matter where they speak in their own process;
`wyoming-qwen3tts say --help-all` lists them.

Addresses to listen on are `tcp://HOST:PORT`, `unix:///PATH` and `stdio://`. `tcp://[::]:10200` serves IPv6
and IPv4; `tcp://0.0.0.0:10200` serves IPv4, and IPv6 too where `--zeroconf` announces it.
"""
VARIABLE_PREFIX = "WYOMING_QWEN3TTS_"
OPTIONS_FILE = "options_file"


def flag_name(key: str) -> str:
    """Return the flag of an option; of one that is on by default, the flag that switches it off."""
    dashed = key.replace("_", "-")
    return f"--no-{dashed}" if key in OPTIONS and OPTIONS[key].default is True else f"--{dashed}"


def variable_name(key: str) -> str:
    """Return the environment variable of an option."""
    return VARIABLE_PREFIX + key.upper()


def is_optional_value(kind: OptionType) -> bool:
    """Return whether an option's flag may be given without a value, which means ``true``."""
    return kind.metavar == "NAME" and "true" in kind.allowed


def shown_default(declared: dataclasses.Field[Any]) -> str:
    """Return an option's default as a user would type it."""
    value = declared.default
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        (declared.metadata["kind"].separator or " ").join(value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def page() -> str:
    """Return the manual's page of all options, in Markdown."""
    parts = [_INTRODUCTION, "## Common options\n", _table(OPTIONS[key] for key in COMMON_OPTIONS)]
    for name, group in GROUPS.items():
        parts += [f"## {TITLES[name]}\n", f"{group.__doc__}\n", _table(dataclasses.fields(group))]
    return "\n".join(parts)


def _table(options: Iterable[dataclasses.Field[Any]]) -> str:
    rows = ["| option | default | what it does | when to change it |", "|---|---|---|---|"]
    return "\n".join([*rows, *map(_row, options)]) + "\n"


def _row(declared: dataclasses.Field[Any]) -> str:
    kind: OptionType = declared.metadata["kind"]
    flag = flag_name(declared.name)
    if kind.schema == "bool":
        option = f"`{flag}`"
        if declared.default:
            option += f" (key `{declared.name}`)"
    else:
        option = f"`{flag} [{kind.metavar}]`" if is_optional_value(kind) else f"`{flag} {kind.metavar}`"
    default = shown_default(declared) + (_UNITS.get(kind.metavar, "") if declared.default is not None else "")
    cells = (option, default, declared.metadata["help"], declared.metadata["when"])
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(page(), end="")
