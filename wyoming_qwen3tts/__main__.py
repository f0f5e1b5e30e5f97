"""The entry: settings in, service out; or one of the commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn

from .settings import Settings, SettingsError

COMMANDS = ("say", "voices", "health")
"""Commands for a running server."""
VERIFY = "verify"
"""The command that takes the server's own options."""
ENGINE_THREADS = "qwen3-"
"""How the names of an engine's daemon threads begin."""


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 ended as asked, 1 could not serve, 2 wrong options."""
    if arguments and arguments[0] in COMMANDS:
        from . import commands

        return commands.run(arguments[0], arguments[1:])
    verify = arguments[:1] == [VERIFY]
    try:
        settings = Settings.load(arguments[verify:])
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from . import telemetry
    from .service import CannotServe, Service

    telemetry.configure(debug=settings.debug, log_format=settings.log_format)
    if verify:
        from . import commands

        return commands.verify(settings)
    try:
        asyncio.run(Service(settings).run())
    except CannotServe as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run() -> None:
    """Run as a command."""
    leave(main(sys.argv[1:]))


def leave(status: int) -> NoReturn:
    """End the process, at once if an engine's thread still works.

    A model cannot be stopped while it is read. The thread that does it is inside C++ then, and the process
    would be aborted (status 134) if the interpreter were taken down under it.
    """
    if any(thread.name.startswith(ENGINE_THREADS) for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
                stream.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
