"""What may go wrong with a cache: what was forgotten stays forgotten, a tier that fails harms nobody."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.house import (
    HANG,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    listed,
    service,
    sound_of,
    tone,
    types,
)
from tests.test_cache import WHOLE, Maker, Shaky, Voice, entry, key, said, written
from tests.test_register import Cloner, Shelf, shelved
from tests.test_said_before import KEPT, Repeatable, ask
from wyoming_qwen3tts import client
from wyoming_qwen3tts.cache import cache as cache_module
from wyoming_qwen3tts.cache import guarded
from wyoming_qwen3tts.cache.cache import Cache, PinError
from wyoming_qwen3tts.cache.entry import CacheCounts, Entry
from wyoming_qwen3tts.cache.memory import MemoryCache
from wyoming_qwen3tts.cache.singleflight import AbandonedError
from wyoming_qwen3tts.cache.sqlite import FILE_NAME, DiskTier
from wyoming_qwen3tts.speech import TextFeed, Utterance
from wyoming_qwen3tts.speech import Voice as Speaker


async def hear(cache: Cache, make: Any, voice: str = "May") -> bytes:
    return b"".join([piece async for piece in cache.speak(key("a"), make, voice=voice)])


async def begun(cache: Cache, make: Maker, voice: str = "May") -> asyncio.Task[bytes]:
    """Begin to hear it; return when its first piece is there."""
    listening = asyncio.create_task(hear(cache, make, voice))
    make.go.release()
    while not make.made:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return listening


# -- forgotten ----------------------------------------------------------------------------------------------


async def test_what_is_under_way_when_it_is_forgotten_is_not_kept() -> None:
    shaky, make, later = Shaky(), Maker(), Maker()
    cache = Cache(MemoryCache(1_000_000), [shaky])
    listening = await begun(cache, make)
    await cache.forget("May")
    joining = asyncio.create_task(hear(cache, later))
    await asyncio.sleep(0)
    make.go.release()
    make.go.release()
    assert await listening == await joining == WHOLE
    await written(cache)
    assert not shaky.kept
    assert not len(cache.memory)
    assert await said(cache, "b", Voice()) == WHOLE
    await written(cache)
    assert list(shaky.kept) == [key("b")], "what others say is kept as ever"


async def test_what_is_under_way_when_another_process_forgets_is_not_kept() -> None:
    shaky, make = Shaky(), Maker()
    cache = Cache(MemoryCache(1_000_000), [shaky])
    await cache.check_tiers()
    listening = await begun(cache, make)
    shaky.forgotten += 1
    await cache.check_tiers()
    make.go.release()
    make.go.release()
    assert await listening == WHOLE
    await written(cache)
    assert not shaky.kept
    assert not len(cache.memory)


async def test_what_is_forgotten_cannot_be_pinned_any_more() -> None:
    shaky = Shaky()
    cache = Cache(MemoryCache(1_000_000), [shaky])
    generation = cache.generation
    await cache.forget("Ryan")
    with pytest.raises(PinError, match="the cache was cleared meanwhile"):
        await cache.pin(key(0), entry(), generation)
    assert not shaky.kept
    await cache.pin(key(0), entry(), cache.generation)
    assert shaky.kept[key(0)].pinned


async def test_what_is_written_while_somebody_forgets_it_goes_again() -> None:
    shaky, go = Shaky(), asyncio.Event()
    cache = Cache(MemoryCache(1_000_000), [shaky])
    await cache.check_tiers()
    put = shaky.put

    async def slowly(key: bytes, entry: Entry) -> bool:
        await go.wait()
        return await put(key, entry)

    shaky.put = slowly  # type: ignore[method-assign]
    assert await hear(cache, Voice()) == WHOLE
    pinning = asyncio.create_task(cache.pin(key("b"), entry(), cache.generation))
    await asyncio.sleep(0)
    shaky.forgotten += 1  # another process, before anybody looks round
    go.set()
    await pinning
    await written(cache)
    assert list(shaky.kept) == [key("b")], "who pins while all is cleared wants it all the same"


async def test_a_voice_that_ends_quietly_when_it_is_left_is_not_taken_for_whole() -> None:
    async def quiet() -> AsyncGenerator[bytes, None]:
        with suppress(asyncio.CancelledError):
            yield WHOLE
            await asyncio.sleep(3600)

    shaky = Shaky()
    cache = Cache(MemoryCache(1_000_000), [shaky])
    leaving = cache.speak(key("a"), quiet)
    await anext(leaving)
    await leaving.aclose()
    await written(cache)
    assert not shaky.kept
    assert not len(cache.memory)


async def test_who_has_heard_nothing_when_the_cache_is_closed_does_not_begin_again() -> None:
    make = Maker()
    cache = Cache(MemoryCache(1_000_000))
    listening = asyncio.create_task(hear(cache, make))
    await asyncio.sleep(0.01)
    await cache.close()
    with pytest.raises(AbandonedError):
        await asyncio.wait_for(listening, HANG)
    assert not cache._running


async def test_a_tier_that_cancels_itself_is_a_failure_like_others() -> None:
    class Odd(Shaky):
        async def get(self, key: bytes) -> Entry | None:
            raise asyncio.CancelledError

        async def add_counts(self, counts: Mapping[str, CacheCounts]) -> int:
            raise asyncio.CancelledError

    cache = Cache(MemoryCache(1_000_000), [Odd()])
    await cache.start()
    assert await said(cache, "a", Voice()) == WHOLE
    await asyncio.sleep(0)
    assert cache._housekeeper is not None
    assert not cache._housekeeper.done()
    await cache.close()


async def test_what_is_found_below_while_it_is_forgotten_is_not_copied_above() -> None:
    above, below = Shaky(), Shaky()
    cache = Cache(MemoryCache(1_000_000), [above, below])
    below.kept[key("a")] = Entry(WHOLE, 1.0, "a", "May")
    forget, go = below.forget, asyncio.Event()

    async def slowly(voice: str | None = None) -> int:
        await go.wait()
        return await forget(voice)

    below.forget = slowly  # type: ignore[method-assign]
    forgetting = asyncio.create_task(cache.forget("May"))
    await asyncio.sleep(0)
    assert await hear(cache, Voice()) == WHOLE
    go.set()
    await forgetting
    await written(cache)
    assert not above.kept
    assert not below.kept
    assert not len(cache.memory)


async def test_sentences_that_a_removed_voice_still_owed_are_spoken_and_not_kept(tmp_path: Path) -> None:
    go, shelf = asyncio.Event(), Shelf([shelved("May", language="en")])

    class Cloning(Cloner):
        def identity(self, voice: Speaker) -> str:
            return "1"

    async def script(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)[:480]
        if "first" in utterance.text:
            await go.wait()
        yield tone(utterance.text)[480:]

    engine = Cloning()
    engine.script = script
    text = "This is the first sentence. And here is the second sentence."
    async with service([engine], store=shelf, data_dir=tmp_path, **KEPT) as uri:
        async with connect(uri) as client, connect(uri) as other:
            await client.write_event(Synthesize(text, voice=SynthesizeVoice(name="May")).event())
            await client.read_event()
            shelf.voices = []
            async with asyncio.timeout(HANG):
                while "May" in [voice.name for voice in await listed(other)]:
                    pass
            go.set()
            events = []
            while (event := await client.read_event()) is not None and event.type != "audio-stop":
                events.append(event)
            assert sound_of(events) == tone("This is the first sentence.") + tone(
                "And here is the second sentence."
            )
    if (tmp_path / FILE_NAME).exists():
        database = sqlite3.connect(tmp_path / FILE_NAME)
        assert database.execute("SELECT text FROM entries").fetchall() == []
        database.close()


# -- tiers that fail ----------------------------------------------------------------------------------------


async def test_a_tier_that_cannot_write_can_still_be_read(caplog: pytest.LogCaptureFixture) -> None:
    class ReadOnly(Shaky):
        async def put(self, key: bytes, entry: Entry) -> bool:
            raise OSError("read only")

    tier = ReadOnly()
    tier.kept[key("known")] = Entry(WHOLE, 1.0)
    cache = Cache(MemoryCache(0), [tier])
    make = Voice()
    for name in ("new", "known", "newer", "known"):
        assert await said(cache, name, make) == WHOLE
        await written(cache)
    assert make.times == 2
    assert tier.asked == 4
    assert caplog.text.count("cache: tier not used tier=shaky reason=\"OSError('read only')") == 1
    assert "again" not in caplog.text


async def test_a_failure_that_many_meet_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "SPEECH_TIMEOUT", 0.01)
    shaky = Shaky()
    shaky.stuck = True
    cache = Cache(MemoryCache(0), [shaky])
    await asyncio.gather(*(said(cache, name, Voice()) for name in "abcdefgh"))
    left = cache._tiers[0]._reading._until - time.monotonic()
    assert 0 < left <= guarded.REST[0]


async def test_a_pin_is_tried_though_the_tier_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "PIN_RETRY", 0.01)
    shaky = Shaky()
    cache = Cache(MemoryCache(0), [shaky])
    shaky.broken = True
    await said(cache, "a", Voice())
    await written(cache)
    assert cache._tiers[0]._writing.is_resting
    pinning = asyncio.create_task(said(cache, "b", Voice(), pin=True))
    await asyncio.sleep(0.05)
    assert not pinning.done()
    shaky.broken = False
    assert await pinning == WHOLE
    assert shaky.kept[key("b")].pinned


async def test_what_a_tier_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Shaky):
        async def get(self, key: bytes) -> Entry | None:
            raise ValueError("odd get")

        async def put(self, key: bytes, entry: Entry) -> bool:
            raise ValueError("odd put")

        async def forget(self, voice: str | None = None) -> int:
            raise ValueError("odd forget")

        async def add_counts(self, counts: Mapping[str, CacheCounts]) -> int:
            raise ValueError("odd tally")

        async def close(self) -> None:
            raise ValueError("odd close")

    cache = Cache(MemoryCache(1_000_000), [Odd()])
    await cache.start()
    assert await said(cache, "a", Voice()) == WHOLE
    await written(cache)
    await cache.check_tiers()
    await cache.forget("Ryan")
    await cache.close()
    assert 'cache: tier may hold forgotten entries tier=shaky voice=Ryan reason="odd forget' in caplog.text
    assert "never retrieved" not in caplog.text


async def test_a_tier_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Shaky):
        async def put(self, key: bytes, entry: Entry) -> bool:
            await asyncio.sleep(3600)
            return True

        async def close(self) -> None:
            await asyncio.sleep(3600)

    monkeypatch.setattr(guarded, "CLOSE_TIMEOUT", 0.05)
    monkeypatch.setattr(cache_module, "CLOSE_TIMEOUT", 0.05)
    cache = Cache(MemoryCache(1_000_000), [Hanging()])
    await hear(cache, Voice())
    async with asyncio.timeout(HANG):
        await cache.forget("May")
        assert not len(cache.memory)
        await hear(cache, Voice())
        await cache.close()


async def test_closing_ends_what_is_made_and_waits_for_its_end() -> None:
    make = Maker()
    cache = Cache(MemoryCache(1_000_000))
    listening = await begun(cache, make)
    await cache.close()
    assert make.closed
    with suppress(Exception):
        await listening


async def test_who_leaves_last_waits_until_the_voice_has_ended() -> None:
    ended = False

    async def make() -> AsyncGenerator[bytes, None]:
        nonlocal ended
        try:
            yield b"\0\0"
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            ended = True

    leaving = Cache(MemoryCache(0)).speak(key("a"), make)
    await anext(leaving)
    await leaving.aclose()
    assert ended


async def test_a_voice_that_is_cancelled_from_inside_is_an_error_and_not_asked_again() -> None:
    times = 0

    async def make() -> AsyncGenerator[bytes, None]:
        nonlocal times
        times += 1
        yield b"\0\0"
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled from inside"):
        await hear(Cache(MemoryCache(0)), make)
    assert times == 1


@pytest.mark.parametrize("settings", [KEPT, {}])
async def test_a_client_of_a_voice_that_is_cancelled_from_inside_is_told(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async def script(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)
        raise asyncio.CancelledError

    async with service([Repeatable(script)], data_dir=tmp_path, **settings) as uri:
        async with connect(uri) as client, asyncio.timeout(HANG):
            with pytest.raises(SpeechFailedError):
                await home_assistant_plain(client, "Front door open.")


# -- the disk -----------------------------------------------------------------------------------------------


async def test_a_file_that_another_process_writes_to_is_read_meanwhile(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path / FILE_NAME, 1_000_000)
    await tier.put(key(0), entry())
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache, make = Cache(MemoryCache(0), [tier]), Voice()
    for name in "abc":
        assert await said(cache, name, make) == WHOLE
    await written(cache)
    assert await tier.get(key(0)) == entry()
    await cache.check_tiers()
    other.execute("ROLLBACK")
    other.close()
    assert await said(cache, "d", make, pin=True) == WHOLE
    await cache.close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    assert database.execute("SELECT text FROM entries WHERE pinned").fetchall() == [("d",)]
    assert database.execute(
        "SELECT total FROM counted WHERE tier = 'memory' AND what = 'misses'"
    ).fetchone() == (4,)
    database.close()


async def test_a_file_that_is_taken_away_is_begun_anew_before_anything_is_said_to_be_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(MemoryCache(1_000_000), [DiskTier(tmp_path / FILE_NAME, 1_000_000)])
    await said(cache, "a", Voice(), pin=True)
    await cache.check_tiers()
    for path in tmp_path.iterdir():
        path.unlink()
    await said(cache, "b", Voice(), pin=True)
    await cache.check_tiers()
    assert key("a") not in cache.memory, "what was there is not remembered either"
    await cache.close()
    assert "cache: the file was removed, a new one is created" in caplog.text
    later = DiskTier(tmp_path / FILE_NAME, 1_000_000)
    assert await later.get(key("b"))
    assert await later.get(key("a")) is None
    await later.close()


async def test_what_could_not_be_counted_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    tier = DiskTier(tmp_path / "data" / FILE_NAME, 1_000_000)
    cache = Cache(MemoryCache(1_000_000), [tier])
    cache.memory.find(key("a"))
    await cache.check_tiers()
    (tmp_path / "data").unlink()
    await cache.check_tiers()
    await cache.check_tiers()
    assert (await tier.total_counts())["memory"].misses == 1
    await cache.close()


async def test_beside_pins_the_last_sentence_stays(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path / FILE_NAME, 60_000)
    while await tier.put(key(f"pinned {(await tier.contents()).pinned}"), entry(pinned=True)):
        if (await tier.contents()).pinned_bytes > 50_000:
            break
    for seed in range(30):
        assert await tier.put(key(seed), entry(seed))
        assert await tier.get(key(seed))
    await tier.close()


# -- on the road --------------------------------------------------------------------------------------------


async def test_a_pin_that_takes_its_time_is_not_the_voice_s_silence(tmp_path: Path) -> None:
    async def script(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if utterance.text == "Front door open.":
            other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.8, other.close)
        yield tone(utterance.text)

    async with service([Repeatable(script)], data_dir=tmp_path, engine_timeout=0.3, **KEPT) as uri:
        async with connect(uri) as client:
            await home_assistant_plain(client, "Hi.")  # now there is a file
        assert await ask(uri, "Front door open.", "pin") == tone("Front door open.")
    database = sqlite3.connect(tmp_path / FILE_NAME)
    assert ("Front door open.", 1) in database.execute("SELECT text, pinned FROM entries").fetchall()
    database.close()


@pytest.mark.parametrize("asked", ["pin", True])
async def test_what_is_to_be_kept_is_not_spoken_while_it_is_written(tmp_path: Path, asked: object) -> None:
    class Live(Repeatable):
        supports_live_text = True

        async def speak_live(self, utterance: Utterance, text: TextFeed) -> AsyncGenerator[bytes, None]:
            raise AssertionError("half a sentence cannot be kept")
            yield b""

    text = "Dinner is ready and everybody is asked to come to the table."
    async with service([Live()], data_dir=tmp_path, live_text=True, **KEPT) as uri, connect(uri) as client:
        await client.write_event(SynthesizeStart(context={"cache": asked}).event())
        await client.write_event(SynthesizeChunk(text[:30]).event())
        await asyncio.sleep(0.1)
        await client.write_event(SynthesizeChunk(text[30:]).event())
        await client.write_event(SynthesizeStop().event())
        events = []
        while (event := await client.read_event()) is not None:
            events.append(event)
            if event.type in {"synthesize-stopped", "error"}:
                break
    assert types(events)[-1] == "synthesize-stopped"
    database = sqlite3.connect(tmp_path / FILE_NAME)
    pinned = int(asked == "pin")
    assert {row[1] for row in database.execute("SELECT text, pinned FROM entries")} == {pinned}
    database.close()


async def test_a_server_that_dies_in_the_middle_of_a_chunk_is_an_error_with_words() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"type": "audio-chunk", "payload_length": 2048}\n' + bytes(100))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client.connect(f"tcp://127.0.0.1:{port}") as connection:
            with pytest.raises(client.ServerError, match="the connection was lost"):
                async for _ in client.synthesize(connection, "Hi."):
                    pass
