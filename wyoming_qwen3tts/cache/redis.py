"""The tier in Redis, which many servers share: one hash an entry, whole or not there.

What is pinned has no expiry and all else has one, so that with Redis' ``maxmemory-policy volatile-lru`` Redis
itself lets the least recently used go, and never what is pinned.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, fields
from ssl import SSLError
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from ..redis_url import check_url, is_url, split
from .entry import CacheCounts, Entry, Listed, Stock, TierError, matches
from .flac import opened, seal

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

_LOGGER = logging.getLogger(__name__)

SPACE = "wyoming-qwen3tts:1:"
"""What the names of all our keys begin with. The number is the version of what is below them."""
ENTRIES = f"{SPACE}entry:"
"""Before the key of an entry, in hexadecimal."""
COUNTED = f"{SPACE}counted"
FORGOTTEN = f"{SPACE}forgotten"
LONGEST = 30 * 86_400.0
"""Seconds that what nobody uses stays, unless another time is asked for."""
CONNECT = 1.0
"""Seconds to connect within: Redis is near, or of no use."""
ANSWER = 5.0
"""Seconds to answer within. Whoever waits to speak has less patience than that, and more who pins."""
CONNECTIONS = 16
"""How many there are at most; further calls wait for one of them."""
PAGE = 500
"""Keys that Redis looks at before others get their turn."""
WALK = 32
"""Entries that are read at a time where all are."""

# A script is one step for everybody else: no reader meets half of an entry, and of two writers the one that
# pins it wins. What it overwrites is deleted only where it is no hash: for room Redis looks before the first
# write of a script alone.
_PUT = """
local pinned, kind = ARGV[2], redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' then
  if redis.call('HGET', KEYS[1], 'pinned') == '1' then pinned = '1' end
elseif kind ~= 'none' then
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'pinned', pinned, unpack(ARGV, 3))
if pinned == '1' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
"""
# Only where there is an expiry: what was pinned meanwhile keeps none.
_RENEW = "if redis.call('PTTL', KEYS[1]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end"

_NO_HASH = "WRONGTYPE"
_NO_ROOM = "command not allowed when used memory"

_Command = tuple[str | bytes | int | float, ...]


class Redis:
    """Entries in a Redis, bounded in bytes by that Redis, and in age."""

    name = "redis"

    def __init__(self, url: str, longest: float = 0.0) -> None:
        """``longest``: seconds after which an entry that nobody used is too old; 0 is LONGEST."""
        self._url = url
        self._where, self._secrets = _where(url), _secrets(url)
        self._longest = max(1, round(1000 * min(longest or LONGEST, 1e9)))  # ms
        self._gate = asyncio.Semaphore(CONNECTIONS)
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._doubt = False
        self.counts = CacheCounts()

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None where there is none that is whole. Raises TierError."""
        name = _name(key)
        found, renewed = await self._send(("HGETALL", name), ("EVAL", _RENEW, 1, name, self._longest))
        self._check([found], bear=_NO_HASH)
        if isinstance(renewed, Exception):  # it takes no writes now: what is read is a hit all the same
            _LOGGER.debug("%s: that an entry is used is not noted: %s", self._where, self._reason(renewed))
        if not found:
            self.counts.misses += 1
            return None
        if (entry := await asyncio.to_thread(_entry, key, found)) is None:
            await self._ask(("DEL", name))
            self.counts.misses += 1
            self.counts.damaged += 1
            text = found.get(b"text", b"").decode(errors="replace") if isinstance(found, Mapping) else ""
            _LOGGER.warning("%s: an entry is damaged, and made again: %.40r", self._where, text)
            return None
        self.counts.hits += 1
        self.counts.saved += entry.cost
        return entry

    async def put(self, key: bytes, entry: Entry) -> bool:
        """Keep an entry and tell whether Redis had room for it. Raises TierError."""
        checksum, data = await asyncio.to_thread(seal, key, entry.pcm)
        values: dict[str, str | bytes | float] = {
            "seal": checksum,
            "data": data,
            "size": len(data),
            "cost": entry.cost,
            "text": _bytes(entry.text),
            "voice": _bytes(entry.voice),
        }
        pairs = (part for pair in values.items() for part in pair)
        command = ("EVAL", _PUT, 1, _name(key), self._longest, int(entry.pinned), *pairs)
        (answer,) = await self._ask(command, bear=_NO_ROOM)
        if isinstance(answer, Exception):
            return False
        self.counts.stored += 1
        return True

    async def drop(self, key: bytes) -> None:
        """Drop an entry, pinned or not. Raises TierError."""
        await self._ask(("DEL", _name(key)))

    async def forget(self, voice: str | None = None) -> int:
        """Drop what a voice said, or everything; return how many entries that were. Raises TierError."""
        gone = 0
        async for names in self._names(PAGE):
            going: Sequence[bytes] = names
            if voice is not None:
                said = await self._ask(*(("HGET", name, "voice") for name in names), bear=_NO_HASH)
                going = [name for name, its in zip(names, said, strict=True) if its == _bytes(voice)]
            if going:
                gone += (await self._ask(("DEL", *going)))[0]
        # Last: who reads of it and looks again is not to find what is still going.
        await self._ask(("INCR", FORGOTTEN))
        return gone

    async def walk(self) -> AsyncGenerator[tuple[bytes, Entry | None], None]:
        """Yield all keys with their entries, None for one that is damaged. Raises TierError."""
        async for names in self._names(WALK):
            answers = await self._ask(*(("HGETALL", name) for name in names), bear=_NO_HASH)
            for name, found in zip(names, answers, strict=True):
                if found and (key := _key(name)) is not None:
                    yield key, await asyncio.to_thread(_entry, key, found)

    async def stock(self) -> Stock:
        """Return what Redis holds of ours. Raises TierError."""
        stock = Stock()
        async for names in self._names(PAGE):
            asked = (("HMGET", name, "voice", "size", "pinned") for name in names)
            for row in await self._ask(*asked, bear=_NO_HASH):
                with suppress(TypeError, ValueError, AttributeError):  # it is gone, or not whole
                    voice, size, pinned = row
                    stock.add(_text(voice), int(size), pinned=pinned == b"1")
        return stock

    async def listed(self, search: str, voice: str | None, most: int) -> tuple[int, list[Listed]]:
        """Return how many entries have ``search`` in their text, and ``most`` of them, in no order.

        Raises TierError.
        """
        total, found = 0, list[Listed]()
        async for names in self._names(PAGE):
            asked = (("HMGET", name, "text", "voice", "pinned") for name in names)
            for name, row in zip(names, await self._ask(*asked, bear=_NO_HASH), strict=True):
                with suppress(TypeError, ValueError, AttributeError):  # it is gone, or not whole
                    text, said_by, key = _text(row[0]), _text(row[1]), _key(name)
                    if key is not None and matches(text, said_by, search, voice):
                        total += 1
                        if len(found) < most:
                            found.append(Listed(key, text, said_by, None, row[2] == b"1"))
        return total, found

    async def tally(self, counts: Mapping[str, CacheCounts]) -> int:
        """Add to what was ever counted, by the tiers' names; where Redis takes no writes it is lost.

        Returns how often anything was forgotten, by any process: what was read before is then void. Raises
        TierError.
        """
        news = [
            ("HINCRBYFLOAT", COUNTED, f"{tier} {what}", number)
            for tier, counted in counts.items()
            for what, number in asdict(counted).items()
            if number
        ]
        *_, times = await self._send(*news, ("GET", FORGOTTEN))
        self._check([times])
        return int(times or 0)

    async def totals(self) -> dict[str, CacheCounts]:
        """Return what was ever counted, by the tiers' names. Raises TierError."""
        (found,) = await self._ask(("HGETALL", COUNTED))
        known = {field.name for field in fields(CacheCounts)}
        totals: dict[str, CacheCounts] = {}
        for name, total in sorted(found.items()):
            tier, _, what = _text(name).rpartition(" ")
            if what in known:
                number = float(total)
                setattr(
                    totals.setdefault(tier, CacheCounts()), what, number if what == "saved" else round(number)
                )
        return totals

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            try:
                await client.aclose()
            except Exception as error:
                _LOGGER.debug("Closing %s: %s", self._where, self._reason(error))

    # ------------------------------------------------------------------ talking to Redis

    async def _ask(self, *commands: _Command, bear: str | None = None) -> list[Any]:
        """Send commands in one go and return their answers. Raises TierError where one is an error.

        An error that says ``bear`` is left among the answers instead.
        """
        answers = await self._send(*commands)
        self._check(answers, bear)
        return answers

    async def _send(self, *commands: _Command) -> list[Any]:
        """Send commands in one go and return what Redis answers, errors too. Raises TierError."""
        async with self._using() as client:
            pipeline: Any = client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _check(self, answers: Collection[object], bear: str | None = None) -> None:
        """Raises TierError where Redis answered with an error that does not say ``bear``."""
        for answer in answers:
            if isinstance(answer, Exception) and (bear is None or bear not in str(answer)):
                self._fail(self._reason(answer))

    async def _names(self, count: int) -> AsyncGenerator[list[bytes], None]:
        """Yield the names of all entries, ``count`` at a time at most. Raises TierError."""
        cursor, seen = 0, set[bytes]()
        while True:
            ((cursor, page),) = await self._ask(("SCAN", cursor, "MATCH", f"{ENTRIES}*", "COUNT", PAGE))
            names = [name for name in dict.fromkeys(page) if name not in seen]  # Redis may tell of one twice
            seen.update(names)
            for at in range(0, len(names), count):
                yield names[at : at + count]
            if not cursor:
                return

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[Client]:
        """Give the client for one call. Whatever goes wrong in it is TierError, and counted."""
        try:
            async with asyncio.timeout(ANSWER), self._gate:
                yield await self._open()
        except asyncio.CancelledError:
            self._doubt = True
            raise
        except TimeoutError:
            self._doubt = True
            self._fail(f"it gave no answer for {ANSWER:g} s")
        except Exception as error:  # no fault in here is worth the silence of a voice
            self._fail(self._reason(error))

    async def _open(self) -> Client:
        async with self._opening:  # nobody is to take a connection that is just being closed
            if self._client is None:
                check_url(self._url)
                await asyncio.to_thread(_library)  # a tenth of a second
                self._client = _client(self._url)
            if self._doubt:
                # Somebody waited in vain: what is idle may be dead, too, without anybody having been told.
                self._doubt = False
                with suppress(Exception):
                    await self._client.connection_pool.disconnect(inuse_connections=False)
            return self._client

    def _fail(self, reason: str) -> NoReturn:
        self.counts.failures += 1
        # From None: what was raised may quote what it was given, and in a log would be read.
        raise TierError(f"{self._where}: {reason}") from None

    def _reason(self, error: Exception) -> str:
        """Return what an error says, without the password."""
        cause = error.__context__
        if isinstance(cause, OSError) and cause.errno in errno.errorcode and not isinstance(cause, SSLError):
            return os.strerror(cause.errno or 0)
        # Redis quotes what it does not know, and whatever is no Redis does not know AUTH.
        said = str(error).partition(", with args beginning with")[0].rstrip(". ")
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return said or type(error).__name__


def _where(url: str) -> str:
    """Return what people may read of a URL."""
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


def _library() -> Any:
    """Return the module redis.asyncio. Raises TierError."""
    try:
        import redis.asyncio
    except ImportError as error:
        raise TierError(
            f"the Python package is missing ({error}); pip install 'wyoming-qwen3tts[redis]'"
        ) from None
    return redis.asyncio


def _client(url: str) -> Client:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as NotConnected

    # Once more at once, where a connection turns out to be closed: Redis was started anew. ANSWER bounds the
    # rest: with a timeout redis-py waits in a task for each write, which in Python 3.11 may swallow a
    # cancellation.
    client: Client = _library().Redis.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 1, (NotConnected,)),
        socket_connect_timeout=CONNECT,
        socket_timeout=None,
    )
    return client


def _name(key: bytes) -> str:
    return f"{ENTRIES}{key.hex()}"


def _key(name: bytes) -> bytes | None:
    """Return the key of an entry, None where the name is none that is given to an entry here."""
    with suppress(ValueError):
        key = bytes.fromhex(name.decode().removeprefix(ENTRIES))
        if _name(key).encode() == name:
            return key
    return None


def _entry(key: bytes, found: Any) -> Entry | None:
    """Return the entry in a hash's fields, None where they are not what was written. Work for a thread."""
    try:
        data, cost, pinned = found[b"data"], float(found[b"cost"]), int(found[b"pinned"])
        text, voice = _text(found[b"text"]), _text(found[b"voice"])
        whole = int(found[b"size"]) == len(data) and 0 <= cost < math.inf and pinned in {0, 1}
        pcm = opened(key, found[b"seal"], data) if whole else None
    except (KeyError, TypeError, ValueError):  # TypeError: it is no hash but what Redis said of that
        return None
    return None if pcm is None else Entry(pcm, cost, text, voice, bool(pinned))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _text(of: bytes) -> str:
    return of.decode(errors="surrogatepass")
