"""Describes the options: the README's tables, and the form of the Home Assistant app."""

from __future__ import annotations

import dataclasses
from typing import Any

from .option_types import OptionType
from .settings import GROUPS, OPTIONS

_CAPITALS = {"api": "API", "cors": "CORS", "uri": "URI", "redis": "Redis"}
"""Words of option names with capitals of their own."""


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


def app_schema() -> dict[str, str]:
    """Return the ``schema`` of the Home Assistant app: the options offered there, all of them optional."""
    return {key: f"{f.metadata['kind'].schema}?" for key, f in OPTIONS.items() if f.metadata["app"]}


def app_texts() -> dict[str, dict[str, str]]:
    """Return the English name and description of each of these options, for the app's form."""
    texts = {}
    for key, declared in OPTIONS.items():
        if declared.metadata["app"]:
            kind: OptionType = declared.metadata["kind"]
            described = f"{declared.metadata['help']}."
            if kind.metavar in {"N", "X", "SECONDS", "DBFS"}:
                described += f" Allowed: {kind.allowed}."
            if declared.default not in {None, ()}:
                described += f" Default: {shown_default(declared)}."
            name = " ".join(_CAPITALS.get(word, word) for word in key.split("_"))
            texts[key] = {"name": _sentence(name), "description": _sentence(described)}
    return texts


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
