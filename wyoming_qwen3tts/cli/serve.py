"""``serve``: runs the server. It is what the program does if no command is named."""

from __future__ import annotations

import argparse
import os
import sys

from .. import __version__, telemetry
from ..config.sources import Parser, load_options

RESTART = os.EX_TEMPFAIL
"""The exit status, 75, of a server that has to be started again, because a device hangs for example."""


def add_arguments(parser: Parser) -> None:
    """Add every option of the server."""
    parser.add_settings()
    parser.add_argument("--version", action="version", version=__version__, help="print the version")


async def run(options: argparse.Namespace) -> int:
    """Serve until a signal; return 0, 1 if it cannot start, or RESTART. Raises SettingsError."""
    settings = load_options(options)
    from ..app import Service, StartupError  # it takes half a second to import

    telemetry.configure(debug=settings.logging.debug, log_format=settings.logging.log_format)
    try:
        return 0 if await Service(settings).run() else RESTART
    except StartupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
