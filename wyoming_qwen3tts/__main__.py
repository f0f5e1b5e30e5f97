"""The entry: settings in, service out; or one of the commands."""

from __future__ import annotations

import asyncio
import sys

from .settings import Settings, SettingsError

COMMANDS = ("say", "voices", "health")
"""Commands for a running server."""
VERIFY = "verify"
"""The command that takes the server's own options."""


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
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
