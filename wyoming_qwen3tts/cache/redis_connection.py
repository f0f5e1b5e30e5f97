"""The connections of the Redis tier: commands in pipelines, time limits, errors without the password."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from ssl import SSLError
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from ..redis_url import check_url, is_url, split
from ..telemetry import quote
from .entry import CacheCounts, TierError

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 1.0
"""Seconds to connect: a Redis that needs longer is too far away to be useful."""
COMMAND_TIMEOUT = 5.0
"""Seconds for all commands of a call. Speech waits less than that, pinning more."""
MAX_CONNECTIONS = 16
"""Calls at the same time; further calls wait for one of them."""

Command = tuple[str | bytes | int | float, ...]


class RedisConnection:
    """Sends commands to a Redis. All failures are TierError, whose message has no secrets."""

    def __init__(self, url: str, counts: CacheCounts) -> None:
        """``counts``: counters for failures."""
        self._url = url
        self.address = _address(url)
        """Host and port, or the path of the socket, for logs."""
        self._secrets = _secrets(url)
        self._counts = counts
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._may_be_dead = False
        """Whether a call got no answer, so that idle connections may be dead too."""

    async def ask(self, *commands: Command, ignored_error: str | None = None) -> list[Any]:
        """Send commands in one pipeline, and return the answers. Raises TierError if one is an error.

        An error that contains ``ignored_error`` is returned among the answers instead.
        """
        answers = await self.send(*commands)
        self.check(answers, ignored_error)
        return answers

    async def send(self, *commands: Command) -> list[Any]:
        """Send commands in one pipeline, and return the answers, errors included. Raises TierError."""
        async with self._connected() as client:
            pipeline: Any = client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def check(self, answers: Collection[object], ignored_error: str | None = None) -> None:
        """Raise TierError if an answer is an error that does not contain ``ignored_error``."""
        for answer in answers:
            if isinstance(answer, Exception) and (ignored_error is None or ignored_error not in str(answer)):
                self._fail(self.describe(answer))

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            try:
                await client.aclose()
            except Exception as error:
                _LOGGER.debug(
                    "cache: tier cannot be closed tier=redis reason=%s", quote(self.describe(error))
                )

    def describe(self, error: Exception) -> str:
        """Return the message of an error, without the password."""
        cause = error.__context__
        if isinstance(cause, OSError) and cause.errno in errno.errorcode and not isinstance(cause, SSLError):
            return os.strerror(cause.errno or 0)
        # Redis quotes the arguments of an unknown command, and a server that is no Redis does not know AUTH.
        message = str(error).partition(", with args beginning with")[0].rstrip(". ")
        for secret in self._secrets:
            message = message.replace(secret, "***")
        return message or type(error).__name__

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        """Yield the client for one call, within COMMAND_TIMEOUT. Any failure is counted and a TierError."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT), self._slots:
                yield await self._open()
        except asyncio.CancelledError:
            self._may_be_dead = True
            raise
        except TimeoutError:
            self._may_be_dead = True
            self._fail(f"it gave no answer for {COMMAND_TIMEOUT:g} s")
        except Exception as error:  # a fault of the cache must not stop speech
            self._fail(self.describe(error))

    async def _open(self) -> Client:
        async with self._opening:  # no call may take a connection that is being closed
            if self._client is None:
                check_url(self._url)
                await asyncio.to_thread(_import_redis)  # takes 0.1 s
                self._client = _connect(self._url)
            if self._may_be_dead:
                self._may_be_dead = False
                with suppress(Exception):
                    await self._client.connection_pool.disconnect(inuse_connections=False)
            return self._client

    def _fail(self, reason: str) -> NoReturn:
        self._counts.failures += 1
        # From None: the original error may quote the password, and would appear in a logged traceback.
        raise TierError(f"{self.address}: {reason}") from None


def _address(url: str) -> str:
    """Return the part of a URL that may be logged."""
    parts = split(url)
    if parts is None or not is_url(url):
        return "Redis"
    if parts.scheme == "unix":
        return unquote(parts.path)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or 6379}"


def _secrets(url: str) -> Collection[str]:
    parts = split(url)
    return {parts.password, unquote(parts.password)} if parts and parts.password else ()


def _import_redis() -> Any:
    """Return the module redis.asyncio. Raises TierError."""
    try:
        import redis.asyncio
    except ImportError as error:
        raise TierError(
            f"the Python package is missing ({error}); pip install 'wyoming-qwen3tts[redis]'"
        ) from None
    return redis.asyncio


def _connect(url: str) -> Client:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as NotConnected

    # One immediate retry on a closed connection: Redis was restarted. COMMAND_TIMEOUT bounds the rest: with a
    # socket timeout redis-py waits in a task for each write, which in Python 3.11 may swallow a cancellation.
    client: Client = _import_redis().Redis.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 1, (NotConnected,)),
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=None,
    )
    return client
