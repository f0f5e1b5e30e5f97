"""Describes the options: the tables of the manual."""

from __future__ import annotations

import dataclasses
from typing import Any

from .option_types import OptionType
from .settings import GROUPS, OPTIONS

COMMON_OPTIONS = (
    *("model", "voice", "language", "speed", "uri", "http_port", "api_keys", "remote_uri"),
    *("zeroconf", "data_dir"),
)
"""Options that most users need, in the order in which ``--help`` and the manual list them."""
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


def markdown_table() -> str:
    """Return the README's tables of options, one a group."""
    rows: list[str] = []
    for name, group in GROUPS.items():
        rows += [f"**{name}**: {group.__doc__}", "", "| option | default | |", "|---|---|---|"]
        rows += [_row(declared) for declared in dataclasses.fields(group)]
        rows.append("")
    return "\n".join(rows)


def _row(declared: dataclasses.Field[Any]) -> str:
    kind: OptionType = declared.metadata["kind"]
    flag = f"--{declared.name.replace('_', '-')}"
    if kind.schema == "bool":
        flag = f"--no-{declared.name.replace('_', '-')}" if declared.default else flag
    elif "true" in kind.allowed:
        flag = f"{flag} [{kind.metavar}]"
    else:
        flag = f"{flag} {kind.metavar}"
    flag = flag.replace("|", "\\|")
    return f"| `{flag}` | {shown_default(declared)} | {declared.metadata['help']} |"
