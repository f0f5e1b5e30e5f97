"""What was said before: kept whole, found fast, shared while it is made, and never partial."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, closing, suppress
from pathlib import Path

import numpy as np
import pytest

from tests.house import HANG
from wyoming_qwen3tts.cache import cache as cache_module
from wyoming_qwen3tts.cache import guarded
from wyoming_qwen3tts.cache.cache import Cache, PinError
from wyoming_qwen3tts.cache.entry import CacheCounts, Entry, EntryInfo, TierContents, TierError
from wyoming_qwen3tts.cache.memory import OVERHEAD, MemoryCache
from wyoming_qwen3tts.cache.singleflight import AbandonedError, InFlightAudio
from wyoming_qwen3tts.cache.sqlite import DiskTier
from wyoming_qwen3tts.engines.base import TruncatedAudioError


def sound(seed: int = 0, seconds: float = 0.1) -> bytes:
    samples = np.random.default_rng(seed).integers(-9000, 9000, round(seconds * 24_000))
    return samples.astype("<i2").tobytes()


def key(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def entry(seed: int = 0, **more: bool) -> Entry:
    return Entry(sound(seed), 0.5, f"Sentence {seed}.", "Ryan", **more)


# -- memory -------------------------------------------------------------------------------------------------


def test_memory_finds_what_it_keeps() -> None:
    memory = MemoryCache(1_000_000)
    assert memory.find(key("a")) is None
    memory.store(key("a"), entry())
    assert memory.find(key("a")) == entry()
    assert (memory.counts.hits, memory.counts.misses, memory.counts.saved) == (1, 1, 0.5)
    assert memory.clear() == 1
    assert (len(memory), memory.bytes) == (0, 0)


def test_memory_is_bounded_and_the_least_recently_used_leaves() -> None:
    size = len(entry().pcm) + len("Sentence 0.") + len("Ryan") + OVERHEAD
    memory = MemoryCache(3 * size)
    for seed in range(3):
        memory.store(key(seed), entry(seed))
    assert memory.find(key(0))
    memory.store(key(3), entry(3))
    assert [memory.find(key(seed)) is not None for seed in range(4)] == [True, False, True, True]
    assert memory.bytes == 3 * size
    assert memory.counts.evicted == 1
    memory.store(key(4), Entry(sound(4, 9), 1.0))
    assert memory.find(key(4)) is None, "larger than all the room: nobody leaves for it"
    assert len(memory) == 3
    memory.store(key(0), entry(0))
    assert memory.bytes == 3 * size


def test_memory_keeps_what_was_made_of_an_entry_as_long_as_the_entry() -> None:
    size = len(entry().pcm) + len("Sentence 0.") + len("Ryan") + OVERHEAD
    memory = MemoryCache(4 * size)
    memory.store_processed(key(0), "how", "what", size)
    assert memory.processed(key(0), "how") is None, "there is no such entry"
    memory.store(key(0), entry(0))
    memory.store_processed(key(0), "how", "what", size)
    memory.store_processed(key(0), "how", "what else", size)
    assert memory.processed(key(0), "how") == "what else"
    assert memory.processed(key(0), "another way") is None
    assert (memory.counts.hits, memory.counts.misses, memory.counts.saved) == (1, 0, 0.5)
    assert memory.bytes == 2 * size
    for seed in (1, 2):
        memory.store(key(seed), entry(seed))
    memory.store_processed(key(2), "how", "what", size)
    assert memory.find(key(0)) is None, "the least recently used leaves"
    assert memory.processed(key(0), "how") is None
    assert memory.bytes == 3 * size
    memory.store_processed(key(1), "how", "too much", 4 * size)
    assert memory.processed(key(1), "how") is None
    memory.clear()
    assert (memory.processed(key(2), "how"), memory.bytes) == (None, 0)


# -- disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[DiskTier]:
    tier = DiskTier(tmp_path / "data" / "cache.sqlite", 1_000_000)
    yield tier
    await tier.close()


async def test_what_is_on_disk_outlives_the_process_sample_for_sample(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    first = DiskTier(path, 1_000_000)
    assert await first.get(key("a")) is None
    await first.put(key("a"), entry(pinned=True))
    await first.close()
    second = DiskTier(path, 1_000_000)
    assert await second.get(key("a")) == entry(pinned=True)
    assert (second.counts.hits, second.counts.saved) == (1, 0.5)
    await second.close()


async def test_two_processes_share_a_file(tmp_path: Path) -> None:
    one, other = (
        DiskTier(tmp_path / "cache.sqlite", 1_000_000),
        DiskTier(tmp_path / "cache.sqlite", 1_000_000),
    )
    await asyncio.gather(*((one, other)[seed % 2].put(key(seed), entry(seed)) for seed in range(20)))
    for seed in range(20):
        assert await one.get(key(seed)) == await other.get(key(seed)) == entry(seed)
    await one.close()
    await other.close()


async def test_the_least_recently_used_leaves_the_disk_and_what_is_pinned_stays(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    tier = DiskTier(path, 60_000)  # noise, which FLAC makes no smaller: twelve entries or so
    await tier.put(key("pinned"), entry(99, pinned=True))
    for seed in range(30):
        await tier.put(key(seed), entry(seed))
        assert await tier.get(key(0)), "what is used stays"
    assert tier.counts.evicted > 10
    assert await tier.get(key("pinned"))
    assert await tier.get(key(29))
    assert await tier.get(key(1)) is None
    await tier.close()
    with closing(sqlite3.connect(path)) as database:
        (total,) = database.execute("SELECT SUM(size) FROM entries").fetchone()
        assert total <= 60_000
        apart = "SELECT (SELECT COUNT(*) FROM sounds) - COUNT(*) FROM entries"
        assert database.execute(apart).fetchone() == (0,)


async def test_an_entry_that_is_too_old_is_made_again(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path / "cache.sqlite", 1_000_000, max_age=1e-9)
    await tier.put(key("a"), entry())
    await tier.put(key("b"), entry(1, pinned=True))
    assert await tier.get(key("a")) is None
    assert await tier.get(key("b"))
    assert tier.counts.damaged == 0
    await tier.close()


@pytest.mark.parametrize(
    "what", ["data = substr(data, 1, 100)", "data = zeroblob(length(data))", "sum = x'00'"]
)
async def test_a_damaged_entry_is_dropped(
    disk: DiskTier, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    await disk.put(key("a"), entry())
    await disk.put(key("b"), entry(1))
    with closing(sqlite3.connect(tmp_path / "data" / "cache.sqlite")) as database, database:
        database.execute(f"UPDATE sounds SET {what} WHERE key = ?", (key("a"),))
    assert await disk.get(key("a")) is None
    assert "cache: damaged entry dropped tier=disk" in caplog.text
    assert 'text="Sentence 0."' in caplog.text
    assert disk.counts.damaged == 1
    assert await disk.get(key("b")) == entry(1)
    await disk.put(key("a"), entry())
    assert await disk.get(key("a")) == entry()


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(2000)])
async def test_a_file_that_is_no_cache_is_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(content)
    tier = DiskTier(path, 1_000_000)
    await tier.put(key("a"), entry())
    assert await tier.get(key("a")) == entry()
    await tier.close()
    assert (tmp_path / "cache.sqlite.damaged").read_bytes() == content
    assert caplog.text.count("cache: the file cannot be used") == 1


@pytest.mark.parametrize("kept", [1, 40])
async def test_a_file_that_is_damaged_in_its_middle_is_set_aside_while_it_is_used(
    tmp_path: Path, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cache.sqlite"
    one, other = DiskTier(path, 1_000_000), DiskTier(path, 1_000_000)
    for seed in range(kept):
        await one.put(key(seed), entry(seed))
    await one.close()  # the log is in the file now
    await other.get(key("other"))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    for tier in (one := DiskTier(path, 1_000_000), other):
        with suppress(TierError):
            await tier.get(key(0))
        await tier.put(key(0), entry())
        assert await tier.get(key(0)) == entry()
    assert (tmp_path / "cache.sqlite.damaged").exists()
    assert caplog.text.count("cache: the file cannot be used") == 1, (
        "the new file is not taken for the old one"
    )
    await one.close()
    await other.close()


async def test_a_disk_that_cannot_be_used_says_so_and_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    tier = DiskTier(tmp_path / "data" / "cache.sqlite", 1_000_000)
    with pytest.raises(TierError, match=r"cache\.sqlite"):
        await tier.get(key("a"))
    (tmp_path / "data").unlink()
    await tier.put(key("a"), entry())
    assert await tier.get(key("a")) == entry()
    assert tier.counts.failures == 1
    await tier.close()


async def test_pinned_entries_fill_the_disk_and_no_more(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path / "cache.sqlite", 20_000)
    kept = [await tier.put(key(seed), entry(seed, pinned=True)) for seed in range(10)]
    assert kept[0]
    assert not kept[-1]
    stock = await tier.contents()
    assert stock.entries == stock.pinned == sum(kept)
    assert stock.bytes == stock.pinned_bytes <= 20_000
    assert not await tier.put(key("later"), entry(11)), "it would have to go at once"
    assert await tier.put(key(0), entry(0)), "it is there already, and takes its own place"
    assert (await tier.get(key(0)) or entry()).pinned, "pinned once, pinned until it is dropped"
    await tier.close()


async def test_all_that_is_kept_can_be_walked_through_and_what_is_damaged_is_named(
    disk: DiskTier, tmp_path: Path
) -> None:
    for seed in range(70):  # more than are read at a time
        await disk.put(key(seed), entry(seed))
    with closing(sqlite3.connect(tmp_path / "data" / "cache.sqlite")) as database, database:
        database.execute("UPDATE sounds SET data = zeroblob(9) WHERE key = ?", (key(3),))
        database.execute("DELETE FROM sounds WHERE key = ?", (key(4),))
    found = dict([pair async for pair in disk.entries()])
    assert found == {key(seed): None if seed in {3, 4} else entry(seed) for seed in range(70)}
    assert disk.counts == CacheCounts(stored=70)
    await disk.drop(key(3))
    assert key(3) not in dict([pair async for pair in disk.entries()])
    assert await disk.check() == ""


async def test_the_stock_is_told_by_voice(disk: DiskTier) -> None:
    for seed, voice in enumerate(["Ryan", "Ryan", "Aunt May"]):
        await disk.put(key(seed), Entry(sound(seed), 1.0, "text", voice, pinned=seed == 1))
    stock = await disk.contents()
    assert (stock.entries, stock.pinned) == (3, 1)
    assert {voice: count for voice, (count, _) in stock.voices.items()} == {"Aunt May": 1, "Ryan": 2}
    assert sum(size for _, size in stock.voices.values()) == stock.bytes
    assert await disk.forget("Ryan") == 2
    assert list((await disk.contents()).voices) == ["Aunt May"]


async def test_clearing_gives_the_disk_back_and_other_processes_learn_of_it(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    one, other = DiskTier(path, 10_000_000), DiskTier(path, 10_000_000)
    for seed in range(50):
        await one.put(key(seed), entry(seed, pinned=seed % 2 == 0))
    before = await other.add_counts({})
    assert await one.forget() == 50
    assert await other.add_counts({}) == before + 1
    assert await other.get(key(0)) is None
    await one.close()
    await other.close()
    assert path.stat().st_size < 100_000


async def test_counts_are_added_up_over_processes_and_restarts(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    for _ in range(2):
        tier = DiskTier(path, 1_000_000)
        await tier.add_counts({"memory": CacheCounts(hits=2, saved=0.5), "disk": CacheCounts(misses=1)})
        await tier.close()
    later = DiskTier(path, 1_000_000)
    assert await later.total_counts() == {
        "memory": CacheCounts(hits=4, saved=1.0),
        "disk": CacheCounts(misses=2),
    }
    await later.close()


# -- flight -------------------------------------------------------------------------------------------------


class Maker:
    """Makes three pieces, each when it is told to."""

    def __init__(self) -> None:
        self.made = 0
        self.go = asyncio.Semaphore(0)
        self.closed = False
        self.error: Exception | None = None

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for number in range(3):
                await self.go.acquire()
                self.made += 1
                yield bytes([number]) * 2
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def in_flight(make: Maker, ended: list[InFlightAudio] | None = None) -> InFlightAudio:
    return InFlightAudio(lambda audio: audio.make(make), (ended if ended is not None else []).append)


async def listen(audio: InFlightAudio) -> AsyncGenerator[bytes, None]:
    audio.attach()
    index = 0
    try:
        while (chunk := await audio.chunk(index)) is not None:
            index += 1
            yield chunk
    finally:
        await audio.detach()


async def everything(audio: InFlightAudio) -> bytes:
    return b"".join([chunk async for chunk in listen(audio)])


WHOLE = b"\0\0\1\1\2\2"


async def test_all_who_listen_hear_it_from_the_beginning_as_it_grows() -> None:
    make, ended = Maker(), list[InFlightAudio]()
    audio = in_flight(make, ended)
    async with aclosing(listen(audio)) as first:
        make.go.release()
        assert await anext(first) == b"\0\0"
        late = asyncio.create_task(everything(audio))
        await asyncio.sleep(0)
        make.go.release()
        assert await anext(first) == b"\1\1"
        assert not ended
        make.go.release()
        assert await late == WHOLE
    assert make.made == 3
    assert ended == [audio]
    assert await everything(audio) == WHOLE


async def test_the_first_one_s_leaving_is_not_the_others_end() -> None:
    make = Maker()
    audio = in_flight(make)
    first = listen(audio)
    make.go.release()
    await anext(first)
    second = asyncio.create_task(everything(audio))
    await asyncio.sleep(0)
    await first.aclose()
    make.go.release()
    make.go.release()
    assert await second == WHOLE


async def test_it_ends_when_the_last_has_left() -> None:
    make, ended = Maker(), list[InFlightAudio]()
    audio = in_flight(make, ended)
    listening = [listen(audio) for _ in range(2)]
    make.go.release()
    for each in listening:
        await anext(each)
    for each in listening:
        await each.aclose()
    assert make.closed
    assert make.made == 1
    assert ended == [audio]
    with pytest.raises(AbandonedError):
        await everything(audio)


async def test_what_ends_it_reaches_everybody_after_what_was_made() -> None:
    make = Maker()
    make.error = ValueError("broken")
    audio = in_flight(make)
    for _ in range(3):
        make.go.release()

    async def hear() -> bytes:
        heard = b""
        try:
            async for chunk in listen(audio):
                heard += chunk
        except ValueError:
            return heard
        raise AssertionError("it ended well")

    assert await hear() == await hear() == WHOLE


@pytest.mark.parametrize("chunks", [[6], [1, 1, 4], [2, 2, 2, 2], [3, 5], [4, 4], [8]])
async def test_a_synthesis_that_fails_is_started_again_and_goes_on_where_it_was(chunks: list[int]) -> None:
    whole, attempts = bytes(range(8)), 0

    async def make() -> AsyncGenerator[bytes, None]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            yield whole[:3]
            yield whole[3:4]
            raise ValueError("broken")
        at = 0
        for size in [*chunks, 8]:
            if whole[at : at + size]:
                yield whole[at : at + size]
            at += size

    async def may_retry(error: Exception) -> bool:
        return isinstance(error, ValueError)

    audio = InFlightAudio(lambda audio: audio.make(make, may_retry), lambda _: None)
    assert await everything(audio) == whole
    assert attempts == 2


@pytest.mark.parametrize("again", [b"\x00\x40\x00\x40\x00\x40", b"\0\0", b""])
async def test_a_second_attempt_that_is_different_or_shorter_raises_the_first_error(again: bytes) -> None:
    attempts = 0

    async def make() -> AsyncGenerator[bytes, None]:
        nonlocal attempts
        attempts += 1
        yield bytes(4) if attempts == 1 else again
        if attempts == 1:
            raise ValueError("broken")

    async def may_retry(error: Exception) -> bool:
        return True

    audio = InFlightAudio(lambda audio: audio.make(make, may_retry), lambda _: None)
    with pytest.raises(ValueError, match="broken"):
        await everything(audio)
    assert attempts == 2
    assert b"".join(audio.chunks) == bytes(4)


# -- all together -------------------------------------------------------------------------------------------


class Shaky:
    """A tier in a dictionary, that fails when it is told to."""

    name = "shaky"

    def __init__(self) -> None:
        self.kept: dict[bytes, Entry] = {}
        self.counts = CacheCounts()
        self.broken = False
        self.stuck = False
        self.full = False
        self.asked = 0
        self.forgotten = 0

    async def get(self, key: bytes) -> Entry | None:
        self.asked += 1
        if self.stuck:
            await asyncio.sleep(3600)
        if self.broken:
            raise TierError("gone for lunch")
        return self.kept.get(key)

    async def put(self, key: bytes, entry: Entry) -> bool:
        if self.broken:
            raise TierError("gone for lunch")
        if not self.full:
            self.kept[key] = entry
        return not self.full

    async def drop(self, key: bytes) -> None:
        self.kept.pop(key, None)

    async def forget(self, voice: str | None = None) -> int:
        gone = [key for key, entry in self.kept.items() if voice in {None, entry.voice}]
        for key in gone:
            del self.kept[key]
        return len(gone)

    async def entries(self) -> AsyncGenerator[tuple[bytes, Entry | None], None]:
        for pair in self.kept.items():
            yield pair

    async def search(self, text: str, voice: str | None, limit: int) -> tuple[int, list[EntryInfo]]:
        return 0, []

    async def contents(self) -> TierContents:
        return TierContents(entries=len(self.kept))

    async def add_counts(self, counts: Mapping[str, CacheCounts]) -> int:
        return self.forgotten

    async def total_counts(self) -> dict[str, CacheCounts]:
        return {}

    async def close(self) -> None:
        pass


class Voice:
    """Makes a sound, and counts how often."""

    def __init__(self, sound: bytes = WHOLE, error: Exception | None = None) -> None:
        self.times = 0
        self._sound = sound
        self._error = error

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        self.times += 1
        await asyncio.sleep(0)
        for at in range(0, len(self._sound), 2):
            yield self._sound[at : at + 2]
        if self._error is not None:
            raise self._error


async def said(cache: Cache, name: str, make: Voice, *, keep: bool = True, pin: bool = False) -> bytes:
    generation = cache.generation
    sounds = cache.speak(key(name), make, text=name, keep=keep and not pin)
    sound = b"".join([piece async for piece in sounds])
    if pin:
        await cache.pin(key(name), Entry(sound, 0.5, name), generation)
    return sound


async def written(cache: Cache) -> None:
    """Wait until the tiers have what they are given."""
    if cache._writing:
        await asyncio.wait(set(cache._writing))


async def test_what_was_said_is_not_made_again(disk: DiskTier) -> None:
    make = Voice(sound(seconds=1))
    cache = Cache(MemoryCache(1_000_000), [disk])
    assert await said(cache, "a", make) == await said(cache, "a", make) == sound(seconds=1)
    assert make.times == 1
    await written(cache)
    later = Cache(MemoryCache(1_000_000), [disk])  # after a restart
    assert await said(later, "a", make) == sound(seconds=1)
    assert await said(later, "a", make) == sound(seconds=1)
    assert make.times == 1
    assert (disk.counts.hits, later.memory.counts.hits) == (1, 1)


async def test_ten_who_ask_at_once_cost_one_synthesis() -> None:
    make, cache = Voice(), Cache(MemoryCache(1_000_000))
    assert await asyncio.gather(*(said(cache, "a", make) for _ in range(10))) == [WHOLE] * 10
    assert make.times == 1


async def test_what_did_not_end_well_is_not_kept() -> None:
    make, shaky = Voice(error=TruncatedAudioError("lost itself")), Shaky()
    cache = Cache(MemoryCache(1_000_000), [shaky])
    for _ in range(2):
        with pytest.raises(TruncatedAudioError):
            await said(cache, "a", make)
    assert make.times == 2
    assert not shaky.kept
    assert len(cache.memory) == 0


async def test_what_is_left_half_way_is_not_kept_and_the_next_one_hears_all() -> None:
    slow, again, cache = Maker(), Voice(), Cache(MemoryCache(1_000_000))
    slow.go.release()
    leaving = cache.speak(key("a"), slow)
    await anext(leaving)
    await leaving.aclose()
    assert await said(cache, "a", again) == WHOLE
    assert (slow.made, again.times) == (1, 1)
    assert slow.closed


async def test_what_is_not_to_be_kept_is_still_shared() -> None:
    make, cache = Voice(), Cache(MemoryCache(1_000_000))
    assert await asyncio.gather(*(said(cache, "a", make, keep=False) for _ in range(3))) == [WHOLE] * 3
    assert make.times == 1
    assert await said(cache, "a", make, keep=False) == WHOLE
    assert make.times == 2


async def test_a_tier_that_fails_is_left_out_with_one_warning_and_comes_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaky = Shaky()
    cache = Cache(MemoryCache(0), [shaky])
    shaky.broken = True
    for name in "abcde":
        assert await said(cache, name, Voice()) == WHOLE
    assert shaky.asked == 1
    assert caplog.text.count('cache: tier not used tier=shaky reason="gone for lunch') == 1
    shaky.broken = False
    cache._tiers[0]._reading.end_rest()
    cache._tiers[0]._writing.end_rest()
    await said(cache, "f", Voice())
    await written(cache)
    assert key("f") in shaky.kept


async def test_speech_does_not_wait_for_a_tier_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "SPEECH_TIMEOUT", 0.01)
    shaky = Shaky()
    shaky.stuck = True
    cache = Cache(MemoryCache(0), [shaky])
    async with asyncio.timeout(HANG):
        assert await said(cache, "a", Voice()) == await said(cache, "b", Voice()) == WHOLE
    assert shaky.asked == 1


async def test_what_a_voice_said_is_forgotten_with_it(disk: DiskTier, tmp_path: Path) -> None:
    cache = Cache(MemoryCache(1_000_000), [disk])
    for name, voice in (("a", "Aunt May"), ("b", "Aunt May"), ("c", "Ryan")):
        async for _ in cache.speak(key(name), Voice(), text="secret " + name, voice=voice):
            pass
    await cache.forget("Aunt May")
    for tier in (cache, Cache(MemoryCache(0), [disk])):
        made = [Voice() for _ in range(3)]
        for name, make in zip("abc", made, strict=True):
            await said(tier, name, make, keep=False)
        assert [make.times for make in made] == [1, 1, 0]
    await disk.close()
    assert b"secret a" not in (tmp_path / "data" / "cache.sqlite").read_bytes()


async def test_asking_makes_no_file(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path / "cache.sqlite", 0)
    assert await tier.forget("Aunt May") == 0
    await tier.drop(key("a"))
    assert await tier.contents() == TierContents()
    assert await tier.total_counts() == {}
    assert await tier.add_counts({"disk": CacheCounts()}) == 0
    assert await tier.check() == ""
    assert [pair async for pair in tier.entries()] == []
    await tier.close()
    assert not list(tmp_path.iterdir())


async def test_one_of_those_who_ask_at_once_wants_it_kept() -> None:
    make, shaky = Voice(), Shaky()
    cache = Cache(MemoryCache(1_000_000), [shaky])
    await asyncio.gather(*(said(cache, "a", make, keep=number == 1) for number in range(3)))
    await written(cache)
    assert make.times == 1
    assert key("a") in shaky.kept


async def test_what_is_pinned_is_stored_when_its_sound_has_ended(disk: DiskTier) -> None:
    cache = Cache(MemoryCache(1_000_000), [disk])
    assert await said(cache, "new", Voice(), pin=True) == WHOLE
    assert not cache._writing or await disk.get(key("new"))
    await said(cache, "known", Voice())
    await written(cache)
    assert await said(cache, "known", Voice(), pin=True) == WHOLE
    later = Cache(MemoryCache(0), [disk])
    await said(later, "on disk", Voice())
    await written(later)
    assert await said(later, "on disk", Voice(), pin=True) == WHOLE
    assert {entry.text: entry.pinned async for _, entry in disk.entries() if entry} == {
        "new": True,
        "known": True,
        "on disk": True,
    }


async def test_one_tier_is_enough_for_a_pin_and_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "PIN_TIMEOUT", 0.0)
    broken, whole = Shaky(), Shaky()
    broken.broken = True
    assert await said(Cache(MemoryCache(0), [broken, whole]), "a", Voice(), pin=True) == WHOLE
    assert whole.kept[key("a")].pinned
    with pytest.raises(PinError, match="gone for lunch"):
        await said(Cache(MemoryCache(1_000_000), [broken]), "a", Voice(), pin=True)
    with pytest.raises(PinError, match="nothing is kept outside of memory"):
        await said(Cache(MemoryCache(1_000_000)), "a", Voice(), pin=True)
    whole.full = True
    with pytest.raises(PinError, match="the cache's shaky has no room"):
        await said(Cache(MemoryCache(1_000_000), [whole]), "b", Voice(), pin=True)


async def test_a_full_tier_is_no_broken_one(caplog: pytest.LogCaptureFixture) -> None:
    shaky = Shaky()
    shaky.full = True
    cache = Cache(MemoryCache(0), [shaky])
    for name in "abc":
        await said(cache, name, Voice())
        await written(cache)
    assert shaky.asked == 3
    assert caplog.text.count("cache: nothing new is stored reason=\"the cache's shaky has no room") == 1


async def test_what_another_process_forgot_leaves_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "HOUSEKEEPING", 0.01)
    path = tmp_path / "cache.sqlite"
    cache = Cache(MemoryCache(1_000_000), [DiskTier(path, 1_000_000)])
    await cache.start()
    make = Voice()
    await said(cache, "a", make, pin=True)
    await said(cache, "a", make)
    other = DiskTier(path, 1_000_000)
    async with asyncio.timeout(HANG):
        while not await other.total_counts():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await other.forget() == 1
        while len(cache.memory):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await said(cache, "a", make) == WHOLE
    assert make.times == 2
    await cache.close()
    totals = await other.total_counts()
    assert (totals["memory"].hits, totals["memory"].misses, totals["disk"].misses) == (1, 2, 2)
    await other.close()
