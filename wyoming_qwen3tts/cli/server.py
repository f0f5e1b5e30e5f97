"""The server that does the work of a command: a running one, or one in this process."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .. import client, progress
from ..client import ConnectError, ServerError, configured_uri, default_uri
from ..config.describe import flag_name
from ..config.settings import GROUP_OF, Settings, SettingsError
from ..config.sources import Parser, given_options, load_options
from ..progress import print_line
from . import arguments

if TYPE_CHECKING:
    from ..engines.pool import EnginePool

INFO_TIMEOUT = 5.0
"""Seconds in which a server has to answer with its voices."""
UNUSED_OPTIONS = {
    *("voice", "language"),  # the commands have these themselves, with another meaning
    *(key for key, group in GROUP_OF.items() if group in {"server", "http"}),
}
"""Options of the server that a server in this process does not take."""


def add_arguments(parser: Parser) -> None:
    """Add ``--uri``, and the options of a server in this process."""
    parser.add_argument(
        "--uri", type=arguments.uri, help=f"address of a running server (default: {default_uri()})"
    )
    parser.add_settings(excluded=UNUSED_OPTIONS)


@asynccontextmanager
async def server_for(options: argparse.Namespace) -> AsyncIterator[str]:
    """Yield the URI of a server.

    It runs in this process if options of the server are given, or if no address is configured and no server
    answers at the default one. Raises SettingsError, ConnectError, ServerError.
    """
    given = given_options(options)
    if given and options.uri is not None:
        flag = flag_name(next(iter(given)))
        raise SettingsError(
            f"{flag} is an option of the server, and the one at {options.uri} runs already: leave out --uri, "
            f"then this process does the work, or {flag}"
        )
    settings = load_options(options)
    if not given:
        named = options.uri or configured_uri()
        uri = named or default_uri()
        try:
            await client.describe(uri, timeout=INFO_TIMEOUT)
        except ConnectError:
            if named is not None:
                raise
            print_line(f"no server answers at {uri}: this process does the work itself")
        else:
            yield uri
            return
    async with _own_server(settings) as uri:
        yield uri


def _print_progress() -> None:
    """Print the progress of loading a model: as plain lines where standard error is not a terminal."""
    if not progress.LOGGER.handlers:
        progress.LOGGER.setLevel(logging.INFO)
        progress.LOGGER.addHandler(logging.StreamHandler())
        progress.LOGGER.propagate = False


def _check_engines(settings: Settings, pool: EnginePool) -> None:
    """Raise ServerError if an engine that the settings set up does not speak: another one would instead."""
    for option, name in (("model", "qwen3"), ("remote_uri", "remote")):
        value = getattr(getattr(settings, GROUP_OF[option]), option)
        if value and name in pool.members and not pool.up(name):
            raise ServerError(f"{flag_name(option)} {','.join(value)}: {pool.members[name].reason}")


@asynccontextmanager
async def _own_server(settings: Settings) -> AsyncIterator[str]:
    """Run a server in this process, for it alone; yield its URI. Raises ServerError if it cannot start."""
    from ..app import Service, StartupError  # it takes half a second to import

    for name in ("server", "engines"):  # the command reports their errors
        logging.getLogger(f"wyoming_qwen3tts.{name}").setLevel(logging.ERROR)
    _print_progress()
    with tempfile.TemporaryDirectory() as directory:
        service = Service(
            settings.changed(
                uri=(f"unix://{directory}/socket",),
                zeroconf=None,
                http_port=0,
                http_socket=None,
                ingress_port=0,
                fallback=False,  # wait for the engine of the requested voice
            )
        )
        try:
            await service.start()
            _check_engines(settings, service.pool)
            yield str(service.addresses[0])
        except StartupError as error:
            _check_engines(settings, service.pool)
            raise ServerError(str(error)) from error
        finally:
            await service.stop()
