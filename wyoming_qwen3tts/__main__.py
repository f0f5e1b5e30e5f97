"""The entry: settings in, service out; or one of the commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from typing import NoReturn

from .config.settings import Settings, SettingsError
from .config.sources import load

COMMANDS = ("say", "voices", "prerender", "cache", "health")
"""Commands for people."""
VERIFY = "verify"
"""The command that takes the server's own options."""
AGAIN = os.EX_TEMPFAIL
"""The exit status, 75, of a service that has to be started again: a device hangs, say."""
ENGINE_THREADS = "qwen3-", "builtin-voice"
"""How the names of engines' threads begin."""
CACHE_THREADS = "cache-disk"
"""How the name of the thread begins that has the cache's file."""
PATIENCE = 0.5
"""Seconds that such a thread may take to end, once it was told to."""


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 ended as asked, 1 could not serve, 2 wrong options, AGAIN."""
    if arguments and arguments[0] in COMMANDS:
        from . import cli

        return cli.run(arguments[0], arguments[1:], _serve)
    verify = arguments[:1] == [VERIFY]
    try:
        settings = load(arguments[verify:])
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from . import telemetry
    from .app import Service, StartupError

    telemetry.configure(debug=settings.logging.debug, log_format=settings.logging.log_format)
    if verify:
        from . import cli

        return cli.verify(settings)
    try:
        as_asked = asyncio.run(Service(settings).run())
    except StartupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if as_asked else AGAIN


@contextlib.asynccontextmanager
async def _serve(settings: Settings) -> AsyncIterator[str]:
    """Serve in this process, to it alone; give the address. Raises ServerError."""
    from .app import Service, StartupError
    from .client import ServerError

    logging.getLogger("wyoming_qwen3tts.server").setLevel(logging.ERROR)  # the command says what went wrong
    with tempfile.TemporaryDirectory() as place:
        # What a voice is to be kept with is its own: it is waited for.
        uri = (f"unix://{place}/socket",)
        own = Service(settings.changed(uri=uri, zeroconf=None, fallback=False))
        try:
            await own.start()
            yield str(own.addresses[0])
        except StartupError as error:
            raise ServerError(str(error)) from error
        finally:
            await own.stop()


def run() -> None:
    """Run as a command."""
    try:
        leave(main(sys.argv[1:]))
    except KeyboardInterrupt:  # a second one, or before there was anything to stop
        leave(130)


def leave(status: int) -> NoReturn:
    """End the process, at once if an engine's thread still works.

    A model cannot be stopped while it is read. The thread that does it is inside C++ then, and the process
    would be aborted (status 134) if the interpreter were taken down under it. And a disk that hangs would
    hold the process up for as long.
    """
    for thread in threading.enumerate():
        if thread.name.startswith((ENGINE_THREADS[1], CACHE_THREADS)):
            thread.join(PATIENCE)
    if any(thread.name.startswith((*ENGINE_THREADS, CACHE_THREADS)) for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
                stream.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
