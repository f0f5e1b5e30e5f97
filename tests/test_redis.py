"""The cache's tier in Redis, against a real one: whole or not there, shared, and no trouble when it is gone."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.house import HANG
from tests.redis_server import Server
from tests.test_cache import entry, key, sound
from wyoming_qwen3tts.cache.cache import Cache
from wyoming_qwen3tts.cache.entry import CacheCounts, Entry, TierError
from wyoming_qwen3tts.cache.memory import MemoryCache
from wyoming_qwen3tts.cache.redis import DEFAULT_MAX_AGE, ENTRY_PREFIX, KEY_PREFIX, RedisTier
from wyoming_qwen3tts.cache.redis_connection import MAX_CONNECTIONS
from wyoming_qwen3tts.redis_url import check_url


def name(of: object) -> str:
    return f"{ENTRY_PREFIX}{key(of).hex()}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def raw(running: Server) -> Iterator[Any]:
    """A client that does as it is told."""
    import redis

    with redis.Redis(port=running.port) as client:
        yield client


@pytest.fixture
def server(running: Server, raw: Any) -> Iterator[Server]:
    """A server that is empty and has no limits."""
    raw.flushall()
    yield running
    raw.config_set("maxmemory", 0)
    raw.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
async def tier(server: Server) -> AsyncIterator[RedisTier]:
    tier = RedisTier(server.url)
    yield tier
    await tier.close()


# -- what is kept -------------------------------------------------------------------------------------------


async def test_what_is_in_redis_is_shared_sample_for_sample(server: Server) -> None:
    one, other = RedisTier(server.url), RedisTier(f"unix://{server.path}?db=0")
    assert await one.get(key("a")) is None
    assert await one.put(key("a"), entry(pinned=True))
    said = Entry(sound(1, 0.001), 0.25, "“Ünïcode” \ud800 \0", "Aunt May")
    assert await one.put(key("b"), said)
    for tier in (other, one):
        assert await tier.get(key("a")) == entry(pinned=True)
        assert await tier.get(key("b")) == said
    assert one.counts == CacheCounts(hits=2, misses=1, stored=2, saved=0.75)
    assert other.counts == CacheCounts(hits=2, saved=0.75)
    await one.drop(key("a"))
    assert await other.get(key("a")) is None
    await one.close()
    await other.close()


async def test_what_nobody_uses_goes_and_what_is_pinned_stays(server: Server, raw: Any) -> None:
    for longest, ms in ((1000.0, 1_000_000), (0.0, 1000 * DEFAULT_MAX_AGE)):
        tier = RedisTier(server.url, longest)
        await tier.put(key("a"), entry())
        await tier.put(key("b"), entry(pinned=True))
        assert ms / 2 < raw.pttl(name("a")) <= ms
        assert raw.pttl(name("b")) == -1
        raw.pexpire(name("a"), int(ms / 4))
        assert await tier.get(key("a"))
        assert await tier.get(key("b"))
        assert ms / 2 < raw.pttl(name("a")) <= ms, "it was used"
        assert raw.pttl(name("b")) == -1
        await tier.close()


async def test_an_entry_that_is_too_old_is_made_again(server: Server) -> None:
    tier = RedisTier(server.url, max_age=1e-9)
    await tier.put(key("a"), entry())
    await tier.put(key("b"), entry(pinned=True))
    async with asyncio.timeout(HANG):
        while await tier.get(key("a")):  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.01)  # more than it is kept for
    assert await tier.get(key("b"))
    assert tier.counts.damaged == 0
    await tier.close()


async def test_pinned_once_is_pinned_whoever_writes_last(server: Server, raw: Any) -> None:
    one, other = RedisTier(server.url), RedisTier(server.url)
    for seed in range(50):
        writing = [one.put(key(seed), entry(seed, pinned=True)), other.put(key(seed), entry(seed))]
        await asyncio.gather(*(writing if seed % 2 else reversed(writing)))
    for seed in range(50):
        assert await one.get(key(seed)) == entry(seed, pinned=True)
        assert raw.pttl(name(seed)) == -1
    await one.put(key("a"), entry())
    await one.put(key("a"), entry(pinned=True))
    assert raw.pttl(name("a")) == -1
    await one.close()
    await other.close()


@pytest.mark.parametrize(
    "change",
    [
        *({field: None} for field in ("seal", "data", "cost", "text", "voice", "pinned", "size")),
        {"data": b"fLaC"},
        {"data": b""},
        {"seal": bytes(16)},
        {"cost": b"nan"},
        {"cost": b"cheap"},
        {"pinned": b"perhaps"},
        {"size": b"1"},
        {"text": b"\xff"},
    ],
    ids=str,
)
async def test_a_damaged_entry_is_dropped(
    tier: RedisTier, raw: Any, change: dict[str, bytes | None], caplog: pytest.LogCaptureFixture
) -> None:
    await tier.put(key("a"), entry(pinned=True))
    await tier.put(key("b"), entry(1))
    for field, value in change.items():
        if value is None:
            raw.hdel(name("a"), field)
        else:
            raw.hset(name("a"), field, value)
    assert [found async for at, found in tier.entries() if at == key("a")] == [None]
    assert tier.counts.damaged == 0
    assert await tier.get(key("a")) is None
    assert caplog.text.count("cache: damaged entry dropped tier=redis address=") == 1
    assert ('text="Sentence 0."' in caplog.text) == ("text" not in change)
    assert not raw.exists(name("a"))
    assert tier.counts == CacheCounts(misses=1, stored=2, damaged=1)
    assert await tier.get(key("b")) == entry(1)
    await tier.put(key("a"), entry())
    assert await tier.get(key("a")) == entry()


async def test_an_entry_under_another_key_is_damaged(tier: RedisTier, raw: Any) -> None:
    await tier.put(key("a"), entry())
    raw.copy(name("a"), name("b"))
    assert await tier.get(key("b")) is None
    assert await tier.get(key("a")) == entry()
    assert tier.counts.damaged == 1


@pytest.mark.parametrize("what", [["SET", "text"], ["RPUSH", "1", "2"], ["HSET", "other", "field"]], ids=str)
async def test_what_is_no_entry_at_all_is_damaged_too(tier: RedisTier, raw: Any, what: list[str]) -> None:
    command, *values = what
    raw.execute_command(command, name("a"), *values)
    raw.set(f"{ENTRY_PREFIX}of nobody", "no key")
    await tier.put(key("b"), entry(1))
    assert dict([pair async for pair in tier.entries()]) == {key("a"): None, key("b"): entry(1)}
    assert (await tier.contents()).entries == 1
    assert await tier.forget("Aunt May") == 0
    assert await tier.get(key("a")) is None
    assert tier.counts.damaged == 1
    raw.execute_command(command, name("a"), *values)
    await tier.put(key("a"), entry())
    assert await tier.get(key("a")) == entry()
    assert await tier.forget() == 3


# -- all of it ----------------------------------------------------------------------------------------------


async def test_forgetting_leaves_alone_what_is_not_ours(tier: RedisTier, server: Server, raw: Any) -> None:
    foreign = {
        "wyoming",
        KEY_PREFIX,
        "wyoming-qwen3tts:0:entry:1",
        "wyoming-qwen3tts:10:entry:1",
        f"x{name(1)}",
    }
    for each in foreign:
        raw.set(each, "not ours")
    for seed in range(700):  # more than Redis looks at in one go
        raw.hset(name(seed), mapping={"voice": "Aunt May" if seed % 2 else "Ryan"})
    other = RedisTier(server.url)
    before = await other.add_counts({})
    assert await tier.forget("Aunt May") == 350
    assert await other.add_counts({}) == before + 1
    assert len(list(raw.scan_iter(f"{ENTRY_PREFIX}*", 5000))) == 350
    assert await tier.forget() == 350
    assert await other.add_counts({}) == before + 2
    assert {each.decode() for each in raw.scan_iter()} == {*foreign, f"{KEY_PREFIX}forgotten"}
    assert await tier.forget() == 0
    await other.close()


async def test_all_that_is_kept_can_be_walked_through(tier: RedisTier, raw: Any) -> None:
    raw.set("not ours", "x")
    for seed in range(70):  # more than are read at a time
        await tier.put(key(seed), entry(seed))
    raw.hset(name(3), "data", bytes(9))
    found = [pair async for pair in tier.entries()]
    assert len(found) == 70
    assert dict(found) == {key(seed): None if seed == 3 else entry(seed) for seed in range(70)}
    assert tier.counts == CacheCounts(stored=70)


async def test_the_stock_is_told_by_voice(tier: RedisTier, raw: Any) -> None:
    for seed, voice in enumerate(["Ryan", "Ryan", "Aunt May"]):
        await tier.put(key(seed), Entry(sound(seed), 1.0, "text", voice, pinned=seed == 1))
    stock = await tier.contents()
    assert (stock.entries, stock.pinned) == (3, 1)
    assert {voice: count for voice, (count, _) in stock.voices.items()} == {"Aunt May": 1, "Ryan": 2}
    assert stock.bytes == sum(raw.hstrlen(name(seed), "data") for seed in range(3))
    assert stock.pinned_bytes == raw.hstrlen(name(1), "data")


async def test_counts_are_added_up_over_processes(server: Server, raw: Any) -> None:
    for _ in range(2):
        tier = RedisTier(server.url)
        await tier.add_counts({"memory": CacheCounts(hits=2, saved=0.5), "redis": CacheCounts(misses=1)})
        await tier.close()
    raw.hset(f"{KEY_PREFIX}counted", "memory of a later version", 1)
    later = RedisTier(server.url)
    assert await later.total_counts() == {
        "memory": CacheCounts(hits=4, saved=1.0),
        "redis": CacheCounts(misses=2),
    }
    await later.close()


async def test_no_room_is_no_failure(tier: RedisTier, raw: Any) -> None:
    await tier.put(key("a"), entry(pinned=True))
    raw.config_set("maxmemory", 1)
    assert not await tier.put(key("b"), entry(1))
    assert not await tier.put(key("a"), entry(1))
    assert await tier.add_counts({"redis": CacheCounts(hits=1)}) == 0
    assert await tier.get(key("a")) == entry(pinned=True)
    assert tier.counts == CacheCounts(hits=1, stored=1, saved=0.5)
    assert not raw.exists(name("b"))


async def test_where_redis_makes_room_what_is_pinned_stays(tier: RedisTier, raw: Any) -> None:
    raw.config_set("maxmemory-policy", "volatile-lru")
    for seed in range(10):
        await tier.put(key(seed), Entry(sound(seed, 1), 1.0, pinned=True))
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] + 1_000_000)
    for seed in range(10, 60):
        assert await tier.put(key(seed), Entry(sound(seed, 1), 1.0))
    stock = await tier.contents()
    assert stock.pinned == 10
    assert stock.entries < 50
    for seed in range(10):
        assert await tier.get(key(seed)) == Entry(sound(seed, 1), 1.0, pinned=True)


async def test_what_is_read_is_a_hit_where_nothing_can_be_written(
    tier: RedisTier, server: Server, raw: Any
) -> None:
    await tier.put(key("a"), entry())
    raw.execute_command("ACL", "SETUSER", "reader", "on", ">pass", "~*", "+@all", "-eval")
    reader = RedisTier(f"redis://reader:pass@127.0.0.1:{server.port}")
    assert await reader.get(key("a")) == entry()
    with pytest.raises(TierError, match="no permissions"):
        await reader.put(key("b"), entry())
    await reader.close()


async def test_what_may_not_be_read_is_not_damaged(tier: RedisTier, server: Server, raw: Any) -> None:
    await tier.put(key("a"), entry())
    raw.execute_command(
        "ACL", "SETUSER", "writer", "on", ">pass", "~*", "+@all", "-hgetall", "-hget", "-hmget"
    )
    writer = RedisTier(f"redis://writer:pass@127.0.0.1:{server.port}")
    for asked in (writer.get(key("a")), writer.contents(), writer.forget("Ryan"), anext(writer.entries())):
        with pytest.raises(TierError, match="no permissions"):
            await asked
    assert writer.counts == CacheCounts(failures=4)
    assert await tier.get(key("a")) == entry()
    await writer.close()


# -- when things go wrong -----------------------------------------------------------------------------------


async def given_up(tier: RedisTier, seed: object, steps: int) -> bool:
    """Give up a get after some turns of the event loop; tell whether it was in time to be."""
    task = asyncio.create_task(tier.get(key(seed)))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return task.cancelled()


@pytest.mark.parametrize("connected", [False, True])
async def test_a_get_can_be_given_up_anywhere_and_the_next_finds_what_it_asks_for(
    server: Server, connected: bool
) -> None:
    tier = RedisTier(server.url + "/1")
    for seed in range(4):
        await tier.put(key(seed), entry(seed))
    steps, late = 0, 0
    async with asyncio.timeout(HANG):
        while late < 3:  # where it is done before it is given up, three times in a row
            if not connected:
                await tier.close()
            late = 0 if await given_up(tier, 0, steps) else late + 1
            steps += 1
            found = await asyncio.gather(*(tier.get(key(seed)) for seed in (1, 2, 3)))
            assert found == [entry(seed) for seed in (1, 2, 3)], steps
    assert steps > 5
    assert tier.counts.failures == 0
    await tier.close()


async def test_what_comes_too_late_is_no_answer_to_the_next_question(tier: RedisTier, server: Server) -> None:
    count = 3 * MAX_CONNECTIONS
    for seed in range(count):
        await tier.put(key(seed), entry(seed))
    await asyncio.gather(*(tier.get(key(seed)) for seed in range(count)))
    for _ in range(3):
        with server.stopped():
            asked = [asyncio.create_task(tier.get(key(seed))) for seed in range(count)]
            await asyncio.wait(asked, timeout=0.1)
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
            assert all(task.cancelled() for task in asked)
        async with asyncio.timeout(HANG):
            found = await asyncio.gather(*(tier.get(key(seed)) for seed in reversed(range(count))))
        assert found == [entry(seed) for seed in reversed(range(count))]


async def test_connections_are_few_and_all_closed_in_the_end(
    tier: RedisTier, server: Server, raw: Any
) -> None:
    before = len(raw.client_list())
    await tier.put(key("a"), entry())
    with server.stopped():
        asked = [asyncio.create_task(tier.get(key("a"))) for _ in range(100)]
        await asyncio.wait(asked, timeout=0.1)
    assert await asyncio.gather(*asked) == [entry()] * 100
    assert len(raw.client_list()) <= before + MAX_CONNECTIONS
    await tier.close()
    async with asyncio.timeout(HANG):
        while len(raw.client_list()) > before:  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.01)


async def test_a_redis_that_is_gone_and_comes_back_is_used_again(tmp_path: Path) -> None:
    server = Server(tmp_path)
    tier, socketed = RedisTier(server.url), RedisTier(f"unix://{server.path}")
    try:
        for each in (tier, socketed):
            with pytest.raises(TierError):
                await each.get(key("a"))
        for _ in range(2):
            server.start()
            for each in (tier, socketed):
                assert await each.put(key("a"), entry())
                found = await asyncio.gather(*(each.get(key("a")) for _ in range(5)))
                assert found == [entry()] * 5
            server.kill()
            with pytest.raises(TierError, match=rf"^127\.0\.0\.1:{server.port}: Connection refused$"):
                await tier.get(key("a"))
            with pytest.raises(TierError, match=rf"^{server.path}: "):
                await socketed.put(key("a"), entry())
        server.start()
        assert await tier.get(key("a")) is None, "started anew without our noticing that it was gone"
        assert tier.counts.failures == 3
    finally:
        server.kill()
        await tier.close()
        await socketed.close()


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[int, None]:
    """Serve on a port of this machine."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(once, "127.0.0.1", 0) as door:
        yield door.sockets[0].getsockname()[1]


async def test_connections_that_died_without_a_word_cost_one_call(tier: RedisTier, server: Server) -> None:
    dead, opened = set[int](), 0
    swallowed, ways = asyncio.Event(), list[asyncio.Task[None]]()

    async def forward(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            if number in dead:
                swallowed.set()
            else:
                writer.write(piece)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        number = opened
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        ways.append(asyncio.create_task(forward(number, there, writer)))
        await forward(number, reader, back)

    await tier.put(key("a"), entry())
    async with listening(serve) as port:
        far = RedisTier(f"redis://127.0.0.1:{port}")
        await asyncio.gather(*(far.get(key("a")) for _ in range(5)))
        assert opened > 1
        dead.update(range(1, opened + 1))
        asked = asyncio.create_task(far.get(key("a")))
        await asyncio.wait_for(swallowed.wait(), HANG)
        asked.cancel()
        await asyncio.wait({asked})
        async with asyncio.timeout(HANG):
            assert await asyncio.gather(*(far.get(key("a")) for _ in range(5))) == [entry()] * 5
        assert far.counts.failures == 0
        await far.close()
        await asyncio.gather(*ways)


async def test_the_password_is_never_told(server: Server, raw: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    raw.execute_command("ACL", "SETUSER", "speech", "on", ">s3cr/t#", "~*", "+@all")
    good, bad = (
        RedisTier(f"redis://speech:{word}@127.0.0.1:{server.port}/2") for word in ("s3cr%2Ft%23", "s3cr")
    )
    assert await good.put(key("a"), entry())
    assert await good.get(key("a")) == entry()
    with pytest.raises(TierError, match=rf"^127\.0\.0\.1:{server.port}: ") as refused:
        await bad.get(key("a"))
    assert "s3cr" not in str(refused.value)

    assert "s3cr" not in caplog.text
    await good.close()
    await bad.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("unknown command 'AUTH', with args beginning with: 'speech' 's3/c", "unknown command 'AUTH'"),
        ("what is 's3/cr#t' to me?", "what is '***' to me?"),
    ],
)
async def test_what_is_answered_with_the_password_in_it_is_not_passed_on(answer: str, told: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(f"-ERR {answer}\r\n".encode())
        await writer.drain()

    async with listening(serve) as port:
        tier = RedisTier(f"redis://speech:s3%2Fcr%23t@127.0.0.1:{port}")
        with pytest.raises(TierError) as answered:
            await tier.get(key("a"))
        assert str(answered.value) == f"127.0.0.1:{port}: {told}"
        assert answered.value.__suppress_context__
        await tier.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"*1\r\n", b"$-7\r\nx", b"+OK\r\n" * 9]
)
async def test_what_is_no_redis_fails_and_harms_nobody(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        await writer.drain()

    async with listening(serve) as port:
        tier = RedisTier(f"redis://127.0.0.1:{port}")
        for _ in range(2):
            with pytest.raises(TierError):
                await tier.get(key("a"))
        await tier.close()


async def test_a_call_does_not_wait_for_ever(
    tier: RedisTier, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wyoming_qwen3tts.cache.redis_connection.COMMAND_TIMEOUT", 0.05)
    with server.stopped():
        async with asyncio.timeout(HANG):
            with pytest.raises(TierError, match=r"it gave no answer for 0\.05 s"):
                await tier.put(key("a"), entry())
    assert tier.counts.failures == 1


async def test_where_the_package_is_missing_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    tier = RedisTier("redis://somewhere")
    with pytest.raises(TierError, match=r"pip install 'wyoming-qwen3tts\[redis\]'"):
        await tier.get(key("a"))
    await tier.close()


# -- where it is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://host:6380/3",
        "redis://user:p%40ss@[::1]:6379/?db=3",
        "redis://:password@host/",
        "rediss://host/0?ssl_ca_certs=/etc/ssl/own.pem&ssl_check_hostname=no",
        "unix:///run/redis.sock",
        "unix://user:password@/run/redis.sock?db=3",
    ],
)
def test_urls_of_a_redis(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "redis://",
        "redis:///0",
        "redis://:s3cret@/0",
        "redis://:s3cret@host:port",
        "redis://:s3/cret@host:6379",
        "redis://:s3#cret@host:6379",
        "redis://:s3?cret@host:6379",
        "redis://:s3[cret@host:6379",
        "redis://:s3\u2100cret@host:6379",
        "redis://host:0",
        "redis://host:65536",
        "redis://host/name",
        "redis://host/0#cret",
        "redis://host/0?db=name",
        "redis://host?ssl_ca_certs=/etc/ssl/own.pem",
        "redis://host?socket_timeout=9",
        "http://host",
        "unix://run/redis.sock",
        "unix://",
        "unix:///",
    ],
)
async def test_what_is_no_url_of_a_redis_is_not_quoted(url: str) -> None:
    with pytest.raises(
        ValueError, match="this is not the URL of a Redis: redis://user:password@host"
    ) as error:
        check_url(url)
    assert "cret" not in str(error.value)
    assert error.value.__context__ is None
    tier = RedisTier(url)
    with pytest.raises(TierError, match=r"^Redis: this is not the URL of a Redis") as failed:
        await tier.get(key("a"))
    assert "cret" not in str(failed.value)
    await tier.close()


def test_a_url_is_checked_without_the_package() -> None:
    code = (
        "import sys\nfrom wyoming_qwen3tts.cache.redis import RedisTier\nRedisTier('redis://host')\n"
        "print(sorted({'redis', 'numpy', 'soundfile'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


# -- with the cache -----------------------------------------------------------------------------------------


async def test_what_one_server_said_another_need_not_make(server: Server) -> None:
    made = []

    async def make() -> AsyncGenerator[bytes, None]:
        made.append(1)
        for at in range(0, len(sound()), 480):
            yield sound()[at : at + 480]

    for _ in range(2):
        tier = RedisTier(server.url)
        cache = Cache(MemoryCache(0), [tier])
        said = [piece async for piece in cache.speak(key("a"), make, text="Sentence.", voice="Ryan")]
        assert b"".join(said) == sound()
        await cache.close()
    assert len(made) == 1
    assert tier.counts.hits == 1
    another = RedisTier(server.url)
    await Cache(MemoryCache(0), [another]).forget("Ryan")
    assert await another.get(key("a")) is None
    await another.close()


async def test_speech_goes_on_without_redis(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def make() -> AsyncGenerator[bytes, None]:
        yield sound()

    cache = Cache(MemoryCache(0), [RedisTier(f"unix://:s3cret@{tmp_path}/redis.sock")])
    for each in "abc":
        assert [piece async for piece in cache.speak(key(each), make)] == [sound()]
    assert caplog.text.count(f'cache: tier not used tier=redis reason="{tmp_path}/redis.sock: ') == 1
    assert "s3cret" not in caplog.text
    await cache.close()
