"""Describes the options: the tables of the manual."""

from __future__ import annotations

import dataclasses
from typing import Any

from .option_types import OptionType
from .settings import GROUPS


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
