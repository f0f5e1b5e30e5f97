"""Nobody waits behind somebody's essay, and nobody takes more than a share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest
from wyoming.client import AsyncClient
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart

from tests.house import (
    HANG,
    ScriptedEngine,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    running_pool,
    service,
    tone,
)
from tests.web import code_of, web
from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.engines.deadline_queue import DeadlineQueue
from wyoming_qwen3tts.speech import Utterance


class OneAtATime(ScriptedEngine):
    """An engine of one thread, which speaks an utterance whenever ``go`` says so."""

    def __init__(self) -> None:
        super().__init__(self.when_told)
        self.max_batch_size = 1
        self.go = asyncio.Semaphore(0)

    async def when_told(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        await self.go.acquire()
        yield tone(utterance.text)

    async def has_begun(self, sentences: int) -> None:
        """Wait until it has begun with so many."""
        async with asyncio.timeout(HANG):
            while len(self.said) < sentences:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.002)

    async def speak_all(self) -> None:
        """Let it speak for ever."""
        while True:
            self.go.release()
            await asyncio.sleep(0.02)


def essay(name: str, sentences: int = 3) -> list[str]:
    """Return sentences that name their essay."""
    return [f"{name} says sentence {'and again ' * number}here." for number in range(sentences)]


# -- turns --------------------------------------------------------------------------------------------------


async def took(turns: DeadlineQueue, due: float, log: list[float], hold: asyncio.Event) -> None:
    async with turns.slot(due):
        log.append(due)
        await hold.wait()


async def waiting(turns: DeadlineQueue, number: int) -> None:
    async with asyncio.timeout(HANG):
        while turns.waiting != number:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_who_runs_dry_first_goes_first() -> None:
    turns, log, hold = DeadlineQueue(1, 100), list[float](), asyncio.Event()
    tasks = [asyncio.create_task(took(turns, due, log, hold)) for due in (9, 5, 7, 3, 8, 3)]
    await waiting(turns, 5)
    hold.set()
    await asyncio.gather(*tasks)
    assert log == [9, 3, 3, 5, 7, 8]
    assert turns.waiting == 0


async def test_so_many_have_a_turn_at_a_time() -> None:
    turns, log, hold = DeadlineQueue(3, 100), list[float](), asyncio.Event()
    tasks = [asyncio.create_task(took(turns, due, log, hold)) for due in range(10)]
    await waiting(turns, 7)
    assert log == [0, 1, 2]
    hold.set()
    await asyncio.gather(*tasks)
    assert log == list(range(10))


async def test_who_leaves_while_waiting_takes_nobody_s_turn() -> None:
    turns, log, hold = DeadlineQueue(1, 100), list[float](), asyncio.Event()
    tasks = [asyncio.create_task(took(turns, due, log, hold)) for due in range(5)]
    await waiting(turns, 4)
    tasks[1].cancel()
    tasks[3].cancel()
    await waiting(turns, 2)
    hold.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log == [0, 2, 4]


async def test_who_leaves_at_the_moment_of_the_turn_passes_it_on() -> None:
    turns, log, hold = DeadlineQueue(1, 100), list[float](), asyncio.Event()
    tasks = [asyncio.create_task(took(turns, due, log, hold)) for due in range(3)]
    await waiting(turns, 2)
    tasks[0].cancel()
    await asyncio.wait({tasks[0]})  # the next one has been told, and has not run yet
    tasks[1].cancel()
    hold.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log[-1] == 2
    async with asyncio.timeout(HANG), turns.slot(0):
        pass


async def test_beyond_so_many_that_wait_the_next_is_refused() -> None:
    turns, log, hold = DeadlineQueue(1, 2), list[float](), asyncio.Event()
    tasks = [asyncio.create_task(took(turns, due, log, hold)) for due in range(3)]
    await waiting(turns, 2)
    with pytest.raises(EngineUnavailableError, match="2 utterances are waiting already") as refused:
        async with turns.slot(-1):
            pass
    assert refused.value.code == "busy"
    hold.set()
    await asyncio.gather(*tasks)
    assert log == [0, 1, 2]


async def test_all_who_wait_can_be_told_that_it_is_in_vain() -> None:
    turns, log, hold = DeadlineQueue(1, 100), list[float](), asyncio.Event()
    tasks = [asyncio.create_task(took(turns, due, log, hold)) for due in range(4)]
    await waiting(turns, 3)
    turns.reject_waiting(EngineUnavailableError("it hangs"))
    assert turns.waiting == 0
    results = await asyncio.gather(*tasks[1:], return_exceptions=True)
    assert [str(result) for result in results] == ["it hangs"] * 3
    hold.set()
    await tasks[0]
    async with asyncio.timeout(HANG), turns.slot(0):
        pass


# -- sentences ----------------------------------------------------------------------------------------------


async def test_the_first_sentence_of_another_comes_before_the_rest_of_an_essay() -> None:
    engine = OneAtATime()
    long, short = essay("Anna", 4), essay("Berta", 1)
    async with service([engine]) as uri, connect(uri) as one, connect(uri) as two:
        first = asyncio.create_task(home_assistant_plain(one, " ".join(long)))
        await engine.has_begun(1)
        engine.go.release()
        await engine.has_begun(2)
        second = asyncio.create_task(home_assistant_plain(two, " ".join(short)))
        await asyncio.sleep(0.2)  # it waits for its turn: nobody tells
        talking = asyncio.create_task(engine.speak_all())
        assert await first == b"".join(map(tone, long))
        assert await second == tone(short[0])
        talking.cancel()
    assert engine.said == [long[0], long[1], short[0], long[2], long[3]]


async def test_sentences_of_requests_take_turns() -> None:
    engine = OneAtATime()
    essays = [essay(name, 4) for name in ("Anna", "Berta", "Cora")]
    async with service([engine]) as uri, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(uri)) for _ in essays]
        tasks = [
            asyncio.create_task(home_assistant_plain(client, " ".join(text)))
            for client, text in zip(clients, essays, strict=True)
        ]
        await engine.has_begun(1)
        await asyncio.sleep(0.1)
        for number in range(12):
            await engine.has_begun(number + 1)
            engine.go.release()
        sounds = await asyncio.gather(*tasks)
    assert sounds == [b"".join(map(tone, text)) for text in essays]
    rounds = [{text.split()[0] for text in engine.said[start : start + 3]} for start in range(0, 12, 3)]
    assert rounds == [{"Anna", "Berta", "Cora"}] * 4


async def test_who_has_run_dry_for_long_comes_before_a_first_sentence() -> None:
    engine = OneAtATime()
    async with running_pool(engine) as able:

        async def say(text: str, due: float) -> bytes:
            sounds = able.speak(Utterance(text, engine.voices()[0], "en", playback_deadline=due))
            async with aclosing(sounds):
                return b"".join([sound async for sound in sounds])

        wishes = {"now": 0, "later": 30, "dry for long": -20, "first": -10}
        tasks = [asyncio.create_task(say(text, due)) for text, due in wishes.items()]
        async with asyncio.timeout(HANG):
            while able.members[engine.name].waiting < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for _ in wishes:
            engine.go.release()
        assert await asyncio.gather(*tasks) == [tone(text) for text in wishes]
    assert engine.said == ["now", "dry for long", "first", "later"]


@pytest.mark.parametrize("cached", [False, True])
async def test_who_does_not_listen_keeps_no_engine_waiting(cached: bool, tmp_path: Path) -> None:
    async def long(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        for _ in range(20 if "Long" in utterance.text else 1):
            yield tone(utterance.text)

    engine = ScriptedEngine(long)
    engine.max_batch_size = 1
    cache: dict[str, Any] = {"cache_memory": 90.0, "data_dir": tmp_path} if cached else {}
    engine.identity = lambda voice: "1"  # type: ignore[method-assign]
    async with (
        service([engine], buffer_seconds=0.1, **cache) as uri,
        connect(uri) as deaf,
        connect(uri) as one,
    ):
        await deaf.write_event(Synthesize(text="Long " * 20).event())
        async with asyncio.timeout(HANG):
            while not engine.said:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        assert await home_assistant_plain(one, "Short.") == tone("Short.")


# -- limits -------------------------------------------------------------------------------------------------


async def begun(uri: str, stack: AsyncExitStack, engine: OneAtATime, number: int) -> list[AsyncClient]:
    """Clients that are being spoken to."""
    clients = []
    for index in range(number):
        client = await stack.enter_async_context(connect(uri))
        await client.write_event(Synthesize(text=f"Number {'x' * (index + 1)}.").event())
        clients.append(client)
    await engine.has_begun(1)
    await asyncio.sleep(0.05)
    return clients


@pytest.mark.parametrize("limit", ["max_concurrent_requests", "max_concurrent_requests_per_client"])
async def test_beyond_the_limit_the_answer_is_busy_at_once_and_no_work_is_done(limit: str) -> None:
    engine = OneAtATime()
    limits: dict[str, Any] = {limit: 2}
    async with service([engine], **limits) as uri, AsyncExitStack() as stack:
        clients = await begun(uri, stack, engine, 2)
        async with connect(uri) as third:
            with pytest.raises(SpeechFailedError, match="2 requests") as refused:
                await home_assistant_plain(third, "Me too.")
        assert refused.value.code == "busy"
        talking = asyncio.create_task(engine.speak_all())
        for client in clients:
            async with asyncio.timeout(HANG):
                while (event := await client.read_event()) is not None and event.type != "audio-stop":
                    assert event.type != "error"
        async with connect(uri) as third:
            assert await home_assistant_plain(third, "Me too.") == tone("Me too.")
        talking.cancel()
    assert engine.said.count("Me too.") == 1


async def test_a_text_that_is_being_written_counts_too() -> None:
    async with service([ScriptedEngine()], max_concurrent_requests=1) as uri:
        async with connect(uri) as writing:
            await writing.write_event(SynthesizeStart().event())
            await writing.write_event(SynthesizeChunk(text="Wait for it. ").event())
            assert await writing.read_event()
            async with connect(uri) as other:
                with pytest.raises(SpeechFailedError) as refused:
                    await home_assistant_plain(other, "Hello.")
                assert refused.value.code == "busy"
        async with asyncio.timeout(HANG):  # when it has left there is room
            while True:
                async with connect(uri) as other:
                    try:
                        assert await home_assistant_streamed(other, ["Hello."]) == tone("Hello.")
                    except SpeechFailedError:
                        continue
                    break


async def test_http_answers_busy_with_429() -> None:
    engine = OneAtATime()
    async with web([engine], max_concurrent_requests_per_client=1) as client, AsyncExitStack() as stack:
        await begun(client.wyoming, stack, engine, 1)
        answer = await client.post("/v1/audio/speech", json={"input": "Me too."})
        assert (answer.status_code, code_of(answer)) == (429, "busy")
        assert answer.headers["retry-after"] == "1"
        assert "Me too." not in engine.said
        (last,) = (await client.get("/v1/requests")).json()["requests"]
        assert (last["outcome"], last["audio_seconds"]) == ("busy", 0)
        assert (await client.get("/health")).json()["requests"]["active"] == 1
        engine.go.release()


async def test_every_key_has_a_limit_of_its_own(tmp_path: Path) -> None:
    engine = OneAtATime()
    keys = ("0123456789abcdef", "fedcba9876543210")
    async with web([engine], max_concurrent_requests_per_client=1, api_keys=keys) as client:

        async def ask(key: str) -> Any:
            return await client.post(
                "/v1/audio/speech", json={"input": f"For {key}."}, headers={"X-API-Key": key}
            )

        first = asyncio.create_task(ask(keys[0]))
        await engine.has_begun(1)
        assert (await ask(keys[0])).status_code == 429
        engine.go.release()
        engine.go.release()
        assert (await ask(keys[1])).status_code == 200
        assert (await first).status_code == 200


async def test_a_request_has_a_deadline_for_its_first_sound() -> None:
    engine = OneAtATime()
    async with service([engine], first_audio_timeout=0.3) as uri, AsyncExitStack() as stack:
        (client,) = await begun(uri, stack, engine, 1)
        event = await client.read_event()
        assert event is not None
        assert (event.type, event.data["code"]) == ("error", "deadline-exceeded")
        engine.go.release()
        async with connect(uri) as client:
            assert await home_assistant_plain(client, "Now.") == tone("Now.")


async def test_no_work_is_done_for_who_has_waited_in_vain() -> None:
    go = asyncio.Event()

    async def pauses(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        sound = tone(utterance.text)
        yield sound[:200]
        await go.wait()
        yield sound[200:]

    engine = ScriptedEngine(pauses)
    engine.max_batch_size = 1
    async with service([engine], first_audio_timeout=0.3) as uri, connect(uri) as one, connect(uri) as two:
        first = asyncio.create_task(home_assistant_plain(one, "Who has heard something has time."))
        async with asyncio.timeout(HANG):
            while not engine.said:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        with pytest.raises(SpeechFailedError) as late:
            await home_assistant_plain(two, "Hurry up.")
        assert late.value.code == "deadline-exceeded"
        go.set()
        assert await first == tone("Who has heard something has time.")
    assert engine.said == ["Who has heard something has time."]


async def test_a_text_that_is_written_slowly_is_within_its_deadline() -> None:
    async with (
        service([ScriptedEngine()], first_audio_timeout=0.2, keepalive_after=0) as uri,
        connect(uri) as client,
    ):
        await client.write_event(SynthesizeStart().event())
        await asyncio.sleep(0.5)
        pieces = ["Here it is. ", "And the rest."]
        await client.write_event(SynthesizeChunk(text=pieces[0]).event())
        heard = await client.read_event()
        assert heard is not None
        assert heard.type == "audio-start"
        await asyncio.sleep(0.5)
        await client.write_event(SynthesizeChunk(text=pieces[1]).event())
        await client.write_event(Synthesize(text="".join(pieces)).event())
        async with connect(uri) as other:
            assert await home_assistant_plain(other, "Hello.") == tone("Hello.")


async def test_what_nobody_waits_for_is_no_failure_of_the_engine() -> None:
    engine = OneAtATime()
    async with web([engine], first_audio_timeout=0.2) as client, AsyncExitStack() as stack:
        for client_ in await begun(client.wyoming, stack, engine, 3):
            event = await client_.read_event()
            assert event is not None
            assert event.type == "error"
        (first, *_) = (await client.get("/health")).json()["engines"]
        assert (first["failures"], first["waiting"], first["state"]) == (0, 0, "up")


async def test_what_nobody_listens_to_waits_for_who_does(tmp_path: Path) -> None:
    engine = OneAtATime()
    engine.identity = lambda voice: "1"  # type: ignore[method-assign]
    phrases = [{"text": f"Phrase {'x' * number}."} for number in range(1, 7)]
    texts = essay("Anna", 3)
    async with (
        web([engine], data_dir=tmp_path, cache_memory=8.0, cache_disk=8.0) as client,
        connect(client.wyoming) as one,
    ):
        storing = asyncio.create_task(client.post("/v1/cache/phrases", json={"phrases": phrases}))
        await engine.has_begun(1)
        hearing = asyncio.create_task(home_assistant_plain(one, " ".join(texts)))
        await asyncio.sleep(0.2)
        talking = asyncio.create_task(engine.speak_all())
        assert await hearing == b"".join(map(tone, texts))
        assert (await storing).json()["stored"] == len(phrases)
        talking.cancel()
    assert engine.said[1] == texts[0]
    assert engine.said.index(texts[2]) <= 5  # a phrase may come while the next sentence is prepared


async def test_a_pause_before_the_first_word_is_not_the_service_s() -> None:
    async with service([ScriptedEngine()], first_audio_timeout=0.2) as uri, connect(uri) as client:
        await client.write_event(SynthesizeStart().event())
        await client.write_event(SynthesizeChunk(text="---\n\n").event())
        await asyncio.sleep(0.5)
        await client.write_event(SynthesizeChunk(text="Here it is. And ").event())
        heard = await client.read_event()
        assert heard is not None
        assert heard.type == "audio-start"
