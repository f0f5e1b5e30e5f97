"""Arguments that several commands have, and their types for argparse."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..client import default_uri
from ..config.address import Address
from ..config.option_types import OptionType
from ..speech import unspeakable
from ..text.language_tags import parse_requested_language

MODEL_OPTIONS = (
    *("model", "revision", "download_dir", "local_files_only", "device", "dtype", "quantize"),
    *("max_seq_len", "frames_per_token", "memory_budget"),
)
"""The server's options that choose and load a model."""
TIMEOUT = 5.0
"""Default seconds to wait for a server."""


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add ``--uri``, with the address of this machine's server as its default."""
    parser.add_argument(
        "--uri", type=uri, default=default_uri(), help="the server's address (default: %(default)s)"
    )


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add ``--timeout``."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help="longest wait for the server, in seconds (default: %(default)g)",
    )


def uri(text: str) -> str:
    """Return the URI of a server. Raises ArgumentTypeError."""
    allowed = "tcp://HOST:PORT or unix:///PATH"
    try:
        if Address.parse(text).scheme != "stdio":
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: {allowed}")


def seconds(text: str) -> float:
    """Return a time in seconds. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: seconds over 0")
    return value


def setting(kind: OptionType) -> Callable[[str], Any]:
    """Return a type that reads an argument as an option of the server. It raises ArgumentTypeError."""

    def read(text: str) -> Any:
        try:
            return kind.read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: {kind.allowed}") from None

    return read


def text(given: str) -> str:
    """Return a text unchanged. Raises ArgumentTypeError if it is not valid UTF-8."""
    if (found := unspeakable(given)) is not None:
        raise argparse.ArgumentTypeError(f"it is not UTF-8, at character {found[1]}: {given[:40]!a}")
    return given


def language(text: str) -> str | None:
    """Return the BCP 47 tag of a language's code or name. Raises ArgumentTypeError."""
    try:
        return parse_requested_language(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
