"""The cache tier in Redis, which servers may share: one hash for each entry.

Pinned entries have no expiry and all others have one: with Redis' ``maxmemory-policy volatile-lru`` Redis
evicts the least recently used, and never a pinned one.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

from ..telemetry import quote
from . import flac
from .entry import CacheCounts, Entry, EntryInfo, TierContents, matches
from .redis_connection import RedisConnection

_LOGGER = logging.getLogger(__name__)

KEY_PREFIX = "wyoming-qwen3tts:1:"
"""Start of all our keys. The number is the version of the format."""
ENTRY_PREFIX = f"{KEY_PREFIX}entry:"
"""Before an entry's key in hexadecimal."""
COUNTS_KEY = f"{KEY_PREFIX}counted"
FORGOTTEN_KEY = f"{KEY_PREFIX}forgotten"
DEFAULT_MAX_AGE = 30 * 86_400.0
"""Seconds after which an unused entry expires if no age is configured."""
SCAN_COUNT = 500
"""Keys that Redis examines in one SCAN, while no other client is served."""
BATCH = 32
"""Entries that are read at a time by ``entries``."""

# Scripts are atomic: no reader gets half of an entry, and of two writers the one that pins it wins. A value
# of another type is deleted only if there is one, since Redis checks its memory limit only before the first
# write of a script.
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
# Only if there is an expiry: an entry that was pinned since the read stays without one.
_RENEW = "if redis.call('PTTL', KEYS[1]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end"

_WRONG_TYPE = "WRONGTYPE"
_OUT_OF_MEMORY = "command not allowed when used memory"


class RedisTier:
    """Entries in a Redis, limited in bytes by its configuration, and in age."""

    name = "redis"

    def __init__(self, url: str, max_age: float = 0.0) -> None:
        """``max_age``: seconds after which an unused entry expires; 0 is DEFAULT_MAX_AGE."""
        self.counts = CacheCounts()
        self._redis = RedisConnection(url, self.counts)
        self._max_age = max(1, round(1000 * min(max_age or DEFAULT_MAX_AGE, 1e9)))  # ms

    async def get(self, key: bytes) -> Entry | None:
        """Return an entry, None if there is none or it is damaged. Raises TierError."""
        name = _name(key)
        found, renewed = await self._redis.send(("HGETALL", name), ("EVAL", _RENEW, 1, name, self._max_age))
        self._redis.check([found], ignored_error=_WRONG_TYPE)
        if isinstance(renewed, Exception):  # Redis takes no writes now; what was read is valid
            _LOGGER.debug(
                "cache: entry cannot be renewed tier=redis reason=%s", quote(self._redis.describe(renewed))
            )
        if not found:
            self.counts.misses += 1
            return None
        if (entry := await asyncio.to_thread(_entry, key, found)) is None:
            await self._redis.ask(("DEL", name))
            self.counts.misses += 1
            self.counts.damaged += 1
            text = found.get(b"text", b"").decode(errors="replace") if isinstance(found, Mapping) else ""
            fact = "cache: damaged entry dropped tier=redis address=%s text=%s"
            _LOGGER.warning(fact, quote(self._redis.address), quote(text[:40]))
            return None
        self.counts.hits += 1
        self.counts.saved += entry.cost
        return entry

    async def put(self, key: bytes, entry: Entry) -> bool:
        """Store an entry, and return whether Redis had room for it. Raises TierError."""
        checksum, data = await asyncio.to_thread(flac.encode, key, entry.pcm)
        values: dict[str, str | bytes | float] = {
            "seal": checksum,
            "data": data,
            "size": len(data),
            "cost": entry.cost,
            "text": _bytes(entry.text),
            "voice": _bytes(entry.voice),
        }
        pairs = (part for pair in values.items() for part in pair)
        command = ("EVAL", _PUT, 1, _name(key), self._max_age, int(entry.pinned), *pairs)
        (answer,) = await self._redis.ask(command, ignored_error=_OUT_OF_MEMORY)
        if isinstance(answer, Exception):
            return False
        self.counts.stored += 1
        return True

    async def drop(self, key: bytes) -> None:
        """Drop an entry, pinned or not. Raises TierError."""
        await self._redis.ask(("DEL", _name(key)))

    async def forget(self, voice: str | None = None) -> int:
        """Drop the entries of a voice, or all; return their number. Raises TierError."""
        dropped = 0
        async for names in self._names(SCAN_COUNT):
            selected: Sequence[bytes] = names
            if voice is not None:
                commands = (("HGET", name, "voice") for name in names)
                voices = await self._redis.ask(*commands, ignored_error=_WRONG_TYPE)
                selected = [name for name, its in zip(names, voices, strict=True) if its == _bytes(voice)]
            if selected:
                dropped += (await self._redis.ask(("DEL", *selected)))[0]
        # Last: a process that sees the new number must not read entries that are about to be dropped.
        await self._redis.ask(("INCR", FORGOTTEN_KEY))
        return dropped

    async def entries(self) -> AsyncGenerator[tuple[bytes, Entry | None], None]:
        """Yield all keys with their entries, None for a damaged one. Raises TierError."""
        async for names in self._names(BATCH):
            commands = (("HGETALL", name) for name in names)
            answers = await self._redis.ask(*commands, ignored_error=_WRONG_TYPE)
            for name, found in zip(names, answers, strict=True):
                if found and (key := _key(name)) is not None:
                    yield key, await asyncio.to_thread(_entry, key, found)

    async def contents(self) -> TierContents:
        """Return numbers and sizes of the entries. Raises TierError."""
        contents = TierContents()
        async for names in self._names(SCAN_COUNT):
            commands = (("HMGET", name, "voice", "size", "pinned") for name in names)
            for row in await self._redis.ask(*commands, ignored_error=_WRONG_TYPE):
                with suppress(TypeError, ValueError, AttributeError):  # dropped since, or damaged
                    voice, size, pinned = row
                    contents.add(_text(voice), int(size), pinned=pinned == b"1")
        return contents

    async def search(self, text: str, voice: str | None, limit: int) -> tuple[int, list[EntryInfo]]:
        """Return the number of matching entries, and ``limit`` of them, in no order. Raises TierError."""
        total, infos = 0, list[EntryInfo]()
        async for names in self._names(SCAN_COUNT):
            commands = (("HMGET", name, "text", "voice", "pinned") for name in names)
            answers = await self._redis.ask(*commands, ignored_error=_WRONG_TYPE)
            for name, row in zip(names, answers, strict=True):
                with suppress(TypeError, ValueError, AttributeError):  # dropped since, or damaged
                    its_text, its_voice, key = _text(row[0]), _text(row[1]), _key(name)
                    if key is not None and matches(its_text, its_voice, text, voice):
                        total += 1
                        if len(infos) < limit:
                            infos.append(EntryInfo(key, its_text, its_voice, None, row[2] == b"1"))
        return total, infos

    async def add_counts(self, counts: Mapping[str, CacheCounts]) -> int:
        """Add ``counts``, by tier name, to the stored totals; return the number of ``forget`` calls ever.

        Counts are lost while Redis takes no writes. Raises TierError.
        """
        increments = [
            ("HINCRBYFLOAT", COUNTS_KEY, f"{tier} {name}", number)
            for tier, added in counts.items()
            for name, number in asdict(added).items()
            if number
        ]
        *_, times = await self._redis.send(*increments, ("GET", FORGOTTEN_KEY))
        self._redis.check([times])
        return int(times or 0)

    async def total_counts(self) -> dict[str, CacheCounts]:
        """Return the stored totals by tier name. Raises TierError."""
        (found,) = await self._redis.ask(("HGETALL", COUNTS_KEY))
        known = {field.name for field in fields(CacheCounts)}
        totals: dict[str, CacheCounts] = {}
        for field, value in sorted(found.items()):
            tier, _, name = _text(field).rpartition(" ")
            if name in known:
                total = float(value)
                counts = totals.setdefault(tier, CacheCounts())
                setattr(counts, name, total if name == "saved" else round(total))
        return totals

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()

    async def _names(self, count: int) -> AsyncGenerator[list[bytes], None]:
        """Yield the Redis keys of all entries, ``count`` at a time at most. Raises TierError."""
        cursor, seen = 0, set[bytes]()
        while True:
            command = ("SCAN", cursor, "MATCH", f"{ENTRY_PREFIX}*", "COUNT", SCAN_COUNT)
            ((cursor, page),) = await self._redis.ask(command)
            names = [name for name in dict.fromkeys(page) if name not in seen]  # SCAN may repeat keys
            seen.update(names)
            for at in range(0, len(names), count):
                yield names[at : at + count]
            if not cursor:
                return


def _name(key: bytes) -> str:
    return f"{ENTRY_PREFIX}{key.hex()}"


def _key(name: bytes) -> bytes | None:
    """Return the key of an entry from its Redis key, None if that was not made by ``_name``."""
    with suppress(ValueError):
        key = bytes.fromhex(name.decode().removeprefix(ENTRY_PREFIX))
        if _name(key).encode() == name:
            return key
    return None


def _entry(key: bytes, found: Any) -> Entry | None:
    """Return the entry in a hash's fields, None if they are damaged. Call it in a thread."""
    try:
        data, cost, pinned = found[b"data"], float(found[b"cost"]), int(found[b"pinned"])
        text, voice = _text(found[b"text"]), _text(found[b"voice"])
        is_valid = int(found[b"size"]) == len(data) and 0 <= cost < math.inf and pinned in {0, 1}
        pcm = flac.decode(key, found[b"seal"], data) if is_valid else None
    except (KeyError, TypeError, ValueError):  # TypeError: no hash but an error of Redis
        return None
    return None if pcm is None else Entry(pcm, cost, text, voice, bool(pinned))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _text(value: bytes) -> str:
    return value.decode(errors="surrogatepass")
