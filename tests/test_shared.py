"""The cache between processes: killed at any moment, and shared by servers over a file and a Redis."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.house import HANG, connect, home_assistant_plain, tone
from tests.recordings import save, speech
from tests.redis_server import Server
from wyoming_qwen3tts import cli
from wyoming_qwen3tts.cache.entry import Entry
from wyoming_qwen3tts.cache.redis import RedisTier
from wyoming_qwen3tts.cache.sqlite import FILE_NAME, DiskTier

ROUNDS = 50


async def test_whenever_it_is_killed_what_was_stored_is_there_and_nothing_is_partial(tmp_path: Path) -> None:
    chance = random.Random(6)
    nursery = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.nursery", str(tmp_path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    stored: set[str] = set()
    evicted = 0
    most = 0
    try:
        for _ in range(ROUNDS):
            nursery.stdin.write(b"\n")
            to_come = chance.randrange(1, 5)
            async with asyncio.timeout(HANG):
                while line := (await nursery.stdout.readline()).decode().rstrip("\n"):
                    what, _, rest = line.partition(" ")
                    if what == "died":
                        break
                    if what == "born":
                        child = int(rest)
                        continue
                    stored.add(rest)
                    to_come -= 1
                    if not to_come:
                        await asyncio.sleep(chance.random() / 50)
                        os.kill(child, signal.SIGKILL)
            assert (what, rest) == ("died", str(-signal.SIGKILL)), "it ended by itself"
            survivor = DiskTier(tmp_path / FILE_NAME, 1 << 40)
            walked = [entry async for _, entry in survivor.entries()]
            assert None not in walked, "an entry is not whole"
            found = {entry.text: entry for entry in walked if entry is not None}
            assert await survivor.check() == ""
            await survivor.close()
            assert stored <= {text for text, entry in found.items() if entry.pinned}
            assert all(entry.pcm == tone(text) for text, entry in found.items())
            most = max(most, len(found))
            evicted += len(found) < most
    finally:
        nursery.kill()
        await nursery.wait()
    assert len(stored) > ROUNDS
    assert evicted, "the file was full now and then"
    assert {path.name.removeprefix(FILE_NAME) for path in tmp_path.iterdir()} - {"-wal", "-shm", ""} == set()


# -- servers ------------------------------------------------------------------------------------------------


REPEATABLE = """
from tests.test_said_before import Repeatable
from wyoming_qwen3tts import __main__, app
app.engines_for = lambda settings: [Repeatable()]
__main__.run()
"""
"""The service as it is started, with a voice that takes no second to load."""
BARE = "--loudness off --trim-silence off --sentence-silence 0 --language-detector off --normalize off"


class Shop:
    """A server: a process."""

    def __init__(self, process: asyncio.subprocess.Process, uri: str) -> None:
        self.process = process
        self.uri = uri

    async def say(self, text: str) -> bytes:
        async with connect(self.uri) as client:
            return await home_assistant_plain(client, text)


@asynccontextmanager
async def shop(data: Path, redis: Server) -> AsyncIterator[Shop]:
    place = ("--data-dir", str(data), "--cache-redis", redis.url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", REPEATABLE, "--uri", "tcp://127.0.0.1:0", *BARE.split(), *place),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    uri = ""
    async with asyncio.timeout(HANG):
        while b"service: ready" not in (line := await process.stderr.readline()):
            assert line, "the server ended"
            if b"listening uri=" in line:
                uri = line.decode().rpartition("uri=")[2].strip()
    log = asyncio.create_task(process.stderr.read())
    try:
        yield Shop(process, uri)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), HANG)
        await log


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


class Till:
    """The command ``cache`` for a house that has a Redis."""

    def __init__(self, redis: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self._redis = redis
        self._capsys = capsys

    async def __call__(self, command: str, data: Path, *more: str) -> tuple[int, str, str]:
        place = ("--data-dir", str(data), "--cache-redis", self._redis.url)
        status = await asyncio.to_thread(cli.main, ["cache", command, *more, *place])
        output, errors = self._capsys.readouterr()
        return status, output, errors

    async def stats(self, data: Path) -> dict[str, dict[str, Any]]:
        status, output, errors = await self("stats", data, "--json")
        assert (status, errors) == (0, "")
        told: dict[str, dict[str, Any]] = json.loads(output)
        return told


@pytest.fixture
def cache(redis: Server, capsys: pytest.CaptureFixture[str]) -> Till:
    return Till(redis, capsys)


PHRASES = [f"Window {number} is open." for number in ("one", "two", "three", "four", "five", "six")]


async def test_servers_share_a_file_and_a_redis(tmp_path: Path, redis: Server, cache: Till) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    async with shop(here, redis) as one, shop(here, redis) as other:
        made = [await one.say(phrase) for phrase in PHRASES]
        assert made == [tone(phrase) for phrase in PHRASES]
        assert [await other.say(phrase) for phrase in PHRASES] == made
        # New ones at both at once, as a group of satellites asks for them.
        texts = [f"Door {number} is shut." for number in ("one", "two", "three", "four")] * 3
        both = await asyncio.gather(*(server.say(text) for text in texts for server in (one, other)))
        assert len(set(both)) == 4
    told = await cache.stats(here)
    assert told["disk"]["entries"] == told["redis"]["entries"] == 10
    assert told["disk"]["counted"]["disk"]["hits"] >= 6, "the other server made none of the first six"
    assert told["disk"]["counted"]["disk"]["damaged"] == told["redis"]["counted"]["redis"]["damaged"] == 0

    async with shop(there, redis) as third:
        assert [await third.say(phrase) for phrase in PHRASES] == made
    told = await cache.stats(there)
    assert told["disk"]["entries"] == 6, "what another house said is on this one's disk, too"
    assert told["disk"]["counted"]["redis"]["hits"] == 6
    assert told["disk"]["counted"]["redis"]["misses"] == 0

    redis.kill()
    async with shop(there, redis) as fourth:
        assert [await fourth.say(phrase) for phrase in PHRASES] == made
        assert await fourth.say("Nobody has said that before.")
    redis.start()
    async with shop(there, redis) as fifth:
        await fifth.say("Nor has anybody said this.")
    told = await cache.stats(there)
    assert (told["disk"]["entries"], told["redis"]["entries"]) == (8, 1)
    for command, expected in (
        ("verify", "disk: 8 sentences, none damaged\nredis: 1 sentence, none damaged\n"),
        ("clear", "redis: 1 sentence deleted\ndisk: 8 sentences deleted\n"),
        ("verify", "disk: 0 sentences, none damaged\nredis: 0 sentences, none damaged\n"),
    ):
        assert await cache(command, there) == (0, expected, "")


async def test_what_is_cleared_in_redis_leaves_the_memory_of_every_server(
    tmp_path: Path, redis: Server, cache: Till
) -> None:
    places = (tmp_path / "one", tmp_path / "two")
    async with shop(places[0], redis) as one, shop(places[1], redis) as two:
        for server in (one, two):
            await server.say("The kettle is on.")
        for place in places:
            assert (await cache("clear", place))[0] == 0
        async with asyncio.timeout(HANG):
            while (await cache.stats(places[1]))["disk"]["entries"] == 0:
                await two.say("The kettle is on.")  # until its memory has forgotten it, and it makes it again


async def test_a_redis_that_is_not_there_is_a_warning_and_no_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Server(tmp_path)
    async with shop(tmp_path / "data", gone) as server:
        first = await server.say("The kettle is on.")
        assert await server.say("The kettle is on.") == first
    status, output, errors = await Till(gone, capsys)("stats", tmp_path / "data")
    assert (status, output.splitlines()[0].split(":")[1]) == (1, " 1 sentence, 0.0 MB; 0 pinned, 0.0 MB")
    assert errors == f"error: the cache: 127.0.0.1:{gone.port}: Connection refused\n"


async def test_what_a_removed_voice_said_goes_from_redis_too(
    tmp_path: Path, redis: Server, cache: Till, capsys: pytest.CaptureFixture[str]
) -> None:
    tier = RedisTier(redis.url)
    await tier.forget()
    save(tmp_path / "anna.wav", speech(6.0))
    place = ("--data-dir", str(tmp_path / "data"), "--uri", "tcp://127.0.0.1:1")
    add = ["add", "Anna", str(tmp_path / "anna.wav"), *place]
    assert await asyncio.to_thread(cli.main, ["voices", *add]) == 0
    for voice in ("Anna", "Ryan"):
        await tier.put(voice.encode().ljust(32), Entry(tone("Hello."), 1.0, "Hello.", voice))
    remove = ["remove", "anna", *place, "--cache-redis", redis.url]
    assert await asyncio.to_thread(cli.main, ["voices", *remove]) == 0
    voices = list((await tier.contents()).voices)
    await tier.close()
    assert voices == ["Ryan"]
