"""What is kept, over HTTP: numbers, phrases, clearing, and saying phrases before anybody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.house import CAST, HANG, connect, home_assistant_plain, tone
from tests.test_said_before import KEPT, Repeatable
from tests.web import Web, code_of, events_of, web
from wyoming_qwen3tts.cache.flac import HEADER_LENGTH, duration, encode
from wyoming_qwen3tts.engines.base import UnsupportedTextError
from wyoming_qwen3tts.speech import Utterance


async def say(client: Web, text: str, voice: str = "tone") -> str:
    """Let a text be spoken; return where it came from."""
    asked = {"input": text, "voice": voice, "response_format": "pcm"}
    answer = await client.post("/v1/audio/speech", json=asked)
    assert answer.content == b"".join(map(tone, text.split("|")))
    return answer.headers["x-cache"]


@pytest.mark.parametrize("seconds", [0.02, 1.0, 3.5])
def test_how_long_a_sound_is_stands_at_the_beginning_of_its_file(seconds: float) -> None:
    _, data = encode(b"", bytes(round(seconds * 48_000)))
    assert duration(data[:HEADER_LENGTH]) == pytest.approx(seconds)
    assert duration(data[: HEADER_LENGTH - 1]) == duration(bytes(HEADER_LENGTH)) == 0.0


async def test_an_answer_says_where_it_came_from(tmp_path: Path) -> None:
    async with web([Repeatable()], data_dir=tmp_path, **KEPT) as client:
        assert await say(client, "Front door open.") == "miss"
        assert await say(client, "Front door open.") == "memory"
        asked = {"input": "Front door open. Back door shut.", "response_format": "pcm", "stream": False}
        answer = await client.post("/v1/audio/speech", json=asked)
        assert answer.headers["x-cache"] == "part"
        assert answer.content == tone("Front door open.") + tone("Back door shut.")
    async with web([Repeatable()], data_dir=tmp_path, **KEPT) as client:
        assert await say(client, "Front door open.") == "disk"
        await asyncio.gather(*(client.get("/v1/requests") for _ in range(2)))
    async with web([Repeatable()], data_dir=tmp_path) as client:
        assert await say(client, "Front door open.") == "off"


async def test_who_asks_for_what_is_being_made_shares_it(tmp_path: Path) -> None:
    go, begun = asyncio.Event(), asyncio.Event()

    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        begun.set()
        await go.wait()
        yield tone(utterance.text)

    async with web([Repeatable(slow)], data_dir=tmp_path, **KEPT) as client, asyncio.timeout(HANG):
        first = asyncio.create_task(say(client, "Front door open."))
        await begun.wait()
        second = asyncio.create_task(say(client, "Front door open."))
        while (await client.get("/health")).json()["requests"]["active"] < 2:
            pass
        go.set()
        assert (await first, await second) == ("miss", "shared")


async def test_what_is_kept_is_counted_and_listed(tmp_path: Path) -> None:
    async with web([Repeatable()], data_dir=tmp_path, **KEPT) as client:
        for text in ("Front door open.", "Back door shut.", "Front door open."):
            await say(client, text)
        await say(client, "Tür auf.", "Klang Zwei")
        tiers = (await client.get("/v1/cache")).json()["tiers"]
        assert {name: tier["entries"] for name, tier in tiers.items()} == {"memory": 3, "disk": 3}
        assert (tiers["memory"]["hits"], tiers["memory"]["misses"]) == (1, 3)
        assert tiers["disk"]["limit"] == 10_000_000
        assert tiers["disk"]["voices"]["tone"]["entries"] == 2
        found = (await client.get("/v1/cache/phrases")).json()
        assert found["total"] == 3
        assert found["phrases"][0]["text"] == "Tür auf."
        assert found["phrases"][0]["seconds"] == pytest.approx(len(tone("Tür auf.")) / 48_000)
        assert found["phrases"][0]["pinned"] is False
        for query, texts in (
            ("search=DOOR", {"Front door open.", "Back door shut."}),
            ("search=tÜR", {"Tür auf."}),
            ("voice=Klang Zwei", {"Tür auf."}),
            ("voice=klang zwei", {"Tür auf."}),
            ("search=nothing", set()),
            ("search=%25", set()),
            ("limit=0", set()),
        ):
            found = (await client.get(f"/v1/cache/phrases?{query}")).json()
            assert {phrase["text"] for phrase in found["phrases"]} == texts, query


async def test_without_a_disk_the_list_is_of_memory() -> None:
    async with web([Repeatable()], cache_memory=8.0) as client:
        await say(client, "Front door open.")
        found = (await client.get("/v1/cache/phrases")).json()
        assert [(p["text"], p["voice"]) for p in found["phrases"]] == [("Front door open.", "tone")]


async def test_one_phrase_is_dropped_and_made_again(tmp_path: Path) -> None:
    async with web([Repeatable()], data_dir=tmp_path, **KEPT) as client:
        await client.post("/v1/cache/phrases", json={"phrases": ["Front door open.", "Back door shut."]})
        found = (await client.get("/v1/cache/phrases?search=front")).json()["phrases"]
        assert found[0]["pinned"] is True
        assert (await client.delete(f"/v1/cache/phrases/{found[0]['key']}")).json() == {"dropped": 1}
        assert (await client.get("/v1/cache/phrases")).json()["total"] == 1
        assert await say(client, "Back door shut.") == "memory"
        assert await say(client, "Front door open.") == "miss"
        for key in ("0", "xyz", "00" * 31, "é"):
            answer = await client.delete(f"/v1/cache/phrases/{key}")
            assert answer.status_code in {400, 404, 405}, key


async def test_nobody_s_name_drops_nothing(tmp_path: Path) -> None:
    async with web([Repeatable()], data_dir=tmp_path, **KEPT) as client:
        await say(client, "Front door open.")
        answer = await client.delete("/v1/cache?voice=")  # a variable that was not set, say
        assert (answer.status_code, code_of(answer)) == (400, "invalid-request")
        assert (await client.delete("/v1/cache?voice=nobody")).json() == {"dropped": 0}
        assert await say(client, "Front door open.") == "memory"


@pytest.mark.parametrize("voice", [None, "tone"])
async def test_all_is_dropped_or_what_one_voice_said(tmp_path: Path, voice: str | None) -> None:
    async with web([Repeatable()], data_dir=tmp_path, **KEPT) as client:
        await client.post("/v1/cache/phrases", json={"phrases": ["Front door open."]})
        await say(client, "Tür auf.", "Klang Zwei")
        answer = await client.delete("/v1/cache" + (f"?voice={voice.upper()}" if voice else ""))
        assert answer.json() == {"dropped": 1 if voice else 2}
        assert await say(client, "Front door open.") == "miss"
        assert await say(client, "Tür auf.", "Klang Zwei") in ({"memory", "disk"} if voice else {"miss"})


async def test_phrases_are_said_and_kept_before_anybody_asks(tmp_path: Path) -> None:
    engine = Repeatable()
    async with web([engine], data_dir=tmp_path, **KEPT) as client:
        wanted = {
            "phrases": [
                "{1..3} minutes left.",
                {"text": "Tür auf.", "voice": "Klang Zwei"},
                "1 minutes left.",
            ],
            "voice": "tone",
        }
        answer = await client.post("/v1/cache/phrases", json=wanted, headers={"Accept": "text/event-stream"})
        *progress, done = events_of(answer.text.splitlines())
        assert [event["done"] for event in progress] == [1, 2, 3, 4]
        assert {event["total"] for event in progress} == {4}
        assert (done["type"], done["stored"], done["failed"]) == ("done", 4, [])
        assert done["seconds"] > 0
        said = len(engine.said)
        async with connect(client.wyoming) as wyoming:
            await home_assistant_plain(wyoming, "2 minutes left.")
        assert len(engine.said) == said
        found = (await client.get("/v1/cache/phrases")).json()["phrases"]
        assert {(p["voice"], p["pinned"]) for p in found} == {("tone", True), ("Klang Zwei", True)}
        again = (await client.post("/v1/cache/phrases", json=wanted)).json()
        assert again["stored"] == 4
        assert len(engine.said) == said


async def test_a_phrase_that_cannot_be_kept_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    async def script(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if "fire" in utterance.text:
            raise UnsupportedTextError("that is not said")
        yield tone(utterance.text)

    async with web([Repeatable(script)], data_dir=tmp_path, **KEPT) as client:
        asked = {"phrases": ["All is well.", "There is a fire.", {"text": "Hello.", "voice": "nobody"}]}
        answer = (await client.post("/v1/cache/phrases", json=asked)).json()
        assert answer["stored"] == 1
        failed = {each["text"]: each["error"]["code"] for each in answer["failed"]}
        assert failed == {"There is a fire.": "cannot-speak", "Hello.": "voice-not-found"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"phrases": []}, "invalid-request"),
        ({"phrases": [""]}, "invalid-request"),
        ({"phrases": ["a\0b"]}, "invalid-request"),
        ({"phrases": [{"text": "a\0b"}]}, "invalid-request"),
        ({"phrases": ["{1..99999} {1..99999}"]}, "bad-phrase"),
        ({"phrases": ["{broken"]}, "bad-phrase"),
        ({"phrases": ["{1..5000}" + "x" * 2000]}, "bad-phrase"),
        ({"phrases": ["{1..9}" * 150]}, "bad-phrase"),
        ({"phrases": ["{1..9}" * 150_000]}, "bad-phrase"),
        ({"phrases": ["{1..9999}0", "{1..9999}1"]}, "bad-phrase"),
        ({"phrases": ["{1..9999}" + "x" * 900]}, "text-too-long"),
        ({"phrases": ["a"], "voice": "x" * 1000}, "invalid-request"),
        ({"phrases": [{"voice": "tone"}]}, "invalid-request"),
        ({"phrases": "no list"}, "invalid-request"),
        ({}, "invalid-request"),
    ],
)
async def test_phrases_that_are_none_are_refused(tmp_path: Path, asked: dict[str, Any], code: str) -> None:
    engine = Repeatable()
    async with web([engine], data_dir=tmp_path, **KEPT) as client:
        answer = await client.post("/v1/cache/phrases", json=asked)
        assert (answer.status_code, code_of(answer)) == (413 if code == "text-too-long" else 400, code)
        assert len(answer.text) < 1000
    assert not engine.said


async def test_where_nothing_is_kept_that_is_said(tmp_path: Path) -> None:
    async with web([Repeatable(voices=CAST)]) as client:
        assert (await client.get("/v1/cache")).json() == {"tiers": {}, "prompts": {}}
        for method, path in (("GET", "/phrases"), ("DELETE", ""), ("POST", "/phrases")):
            body = {"json": {"phrases": ["Hello."]}} if method == "POST" else {}
            answer = await client.request(method, f"/v1/cache{path}", **body)  # type: ignore[arg-type]
            assert (answer.status_code, code_of(answer)) == (409, "not-possible")
    async with web([Repeatable()], cache_memory=8.0) as client:
        answer = await client.post("/v1/cache/phrases", json={"phrases": ["Hello.", "Bye."]})
        assert (answer.status_code, code_of(answer)) == (409, "not-kept")
