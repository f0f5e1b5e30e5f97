"""The manual's tables of error codes have every code of the source, with its HTTP status."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from wyoming_qwen3tts.server.http.errors import STATUS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "wyoming_qwen3tts"
CODE = re.compile(r"[a-z]+(-[a-z]+)+|busy|stopping|starting|timeout")
INTERNAL = {"speech-error", "protocol-error", "remote-unavailable", "http-error"}
"""Codes of base classes, and of errors that stay inside the server."""


def documented_codes(page: str) -> dict[str, str]:
    """Return the error codes in a page's table, and the statuses beside them."""
    table = (ROOT / f"docs/{page}").read_text().partition("<!-- codes -->")[2]
    found: dict[str, str] = {}
    for row in re.findall(r"^\| (`.+)$", table, re.M):
        cells = row.split("|")
        names = re.findall(r"`([\w-]+)`", cells[0])
        statuses = re.findall(r"\b\d{3}\b", cells[1]) or [""]
        for number, name in enumerate(names):
            found[name] = statuses[min(number, len(statuses) - 1)]
    return found


def raised_codes(*folders: str) -> set[str]:
    """Return the error codes in the source: arguments of errors, and ``code`` attributes."""
    found: set[str] = set()
    for path in [path for folder in folders for path in (PACKAGE / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name.endswith("Error") or name in {"Refusal", "error_body", "answer"}:
                    values = [*node.args, *(each.value for each in node.keywords if each.arg == "code")]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in {"code", "message"}:
                values = [node.value]
            for value in values:
                for each in ast.walk(value):
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        found |= {each.value} if CODE.fullmatch(each.value) else set()
    return found - INTERNAL


def test_every_error_code_of_the_source_is_documented() -> None:
    documented = documented_codes("http-api.md").keys() | documented_codes("wyoming-api.md").keys()
    assert len(documented) > 40
    assert not raised_codes(".") - documented


def test_every_documented_error_code_is_in_the_source() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    for code in documented_codes("http-api.md").keys() | documented_codes("wyoming-api.md").keys():
        assert f'"{code}"' in source, code


def test_documented_statuses_are_those_of_the_server() -> None:
    anywhere = raised_codes("pipeline", "engines", "voices", "cache", "text", "audio")
    for code, status in documented_codes("http-api.md").items():
        assert status == str(STATUS.get(code, 400 if code in anywhere else status)), code
