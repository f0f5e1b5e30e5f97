"""Logging to standard error, as text or JSON, and the ``key=value`` notation of log lines."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Any, TextIO

from .progress import clear_line

TEXT_FORMAT = "%(asctime)s %(levelname)s %(message)s"

_BARE = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")
"""Values that need no quotation marks in a log line."""


_FIELD = re.compile(r"""(?<= )([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)""")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, message, fields, and exception if any.

    ``fields`` are the message's ``key=value``, or those that a record was made with, as that of a request:
    ``extra={"fields": …}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if fields := getattr(record, "fields", None) or parse_fields(line["message"]):
            line["fields"] = fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Erases a progress bar before each line."""

    def emit(self, record: logging.LogRecord) -> None:
        clear_line()
        super().emit(record)


def parse_fields(message: str) -> dict[str, str | float]:
    """Return the ``key=value`` of a log line: numbers, and texts without their quotation marks."""
    fields: dict[str, str | float] = {}
    for key, value in _FIELD.findall(message):
        try:
            fields[key] = json.loads(value)
        except ValueError:
            fields[key] = value
    return fields


def configure(*, debug: bool, log_format: str) -> None:
    """Send logs to standard error. ``log_format``: ``text`` or ``json``."""
    handler = _StderrHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(TEXT_FORMAT))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    # Below warnings these libraries log nothing about speech.
    for library in ("asyncio", "zeroconf", "uvicorn", "python_multipart"):
        logging.getLogger(library).setLevel(logging.WARNING)


def quote(value: object) -> str:
    """Return ``value`` for a log line's ``key=value``: quoted if it has spaces, ``-`` for None or ""."""
    text = "" if value is None else str(value)
    if not text:
        return "-"
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
