"""``health``: checks a running server, for a container's health check and scripts."""

from __future__ import annotations

import argparse
import time

from .. import client
from ..client import ServerError
from ..config.sources import Parser
from .arguments import add_server, add_timeout


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    add_server(parser)
    add_timeout(parser)


async def run(options: argparse.Namespace) -> int:
    """Check that the server answers and has an installed voice. Raises ServerError otherwise."""
    began = time.monotonic()
    info = await client.describe(options.uri, timeout=options.timeout)
    installed = [
        voice for program in info.tts if program.installed for voice in program.voices if voice.installed
    ]
    if not installed:
        raise ServerError(f"{options.uri} answers, but has no voice; its log says why")
    elapsed = (time.monotonic() - began) * 1000
    print(f"ok: {len(installed)} voices, {installed[0].name} first, answered in {elapsed:.0f} ms")
    return 0
