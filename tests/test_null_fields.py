"""``null`` means absent for every optional field of every request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_socket
from wyoming.event import Event

from tests.house import ScriptedEngine, connect, service, tone
from tests.web import web

TEXT = "Dinner is ready."


def optional_fields(document: dict[str, Any], name: str) -> list[str]:
    """Return the fields of a schema of the OpenAPI document that are not required."""
    schema = document["components"]["schemas"][name]
    return [field for field in schema["properties"] if field not in schema.get("required", ())]


@pytest.mark.parametrize(
    ("schema", "path", "required"),
    [
        ("SpeechBody", "/v1/audio/speech", {"input": TEXT}),
        ("BatchBody", "/v1/audio/speech/batch", {"inputs": [TEXT]}),
        ("PrerenderBody", "/v1/cache/phrases", {"phrases": [TEXT]}),
        ("DesignBody", "/v1/audio/voices/design", {"name": "A", "description": "calm"}),
    ],
)
async def test_null_in_a_field_of_a_body_is_as_if_it_were_not_there(
    schema: str, path: str, required: dict[str, Any]
) -> None:
    async with web([ScriptedEngine()]) as client:
        document = (await client.get("/openapi.json")).json()
        fields = optional_fields(document, schema)
        assert fields
        for field in fields:
            kinds = document["components"]["schemas"][schema]["properties"][field]["anyOf"]
            assert {"type": "null"} in kinds, f"the document does not say that {field} may be null"
        plain = await client.post(path, json=required)
        nulls = await client.post(path, json={**required, **dict.fromkeys(fields)})
    assert nulls.status_code == plain.status_code
    assert len(nulls.content) == len(plain.content)


async def test_null_in_an_item_of_a_batch_is_as_if_it_were_not_there() -> None:
    async with web([ScriptedEngine()]) as client:
        item = dict.fromkeys(["voice", "style", "language", "speed", "instructions", "name"])
        answer = await client.post("/v1/audio/speech/batch", json={"inputs": [{"input": TEXT, **item}]})
    assert answer.status_code == 200


async def test_null_in_a_required_field_is_an_error_that_names_it() -> None:
    async with web([ScriptedEngine()]) as client:
        answer = await client.post("/v1/audio/speech", json={"input": None})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "input"


async def test_null_in_a_message_over_a_websocket_is_as_if_it_were_not_there() -> None:
    nulls = dict.fromkeys(
        ["id", "voice", "model", "style", "language", "speed", "instructions", "response_format"]
    )
    async with (
        web([ScriptedEngine()]) as client,
        connect_socket(f"ws://127.0.0.1:{client.port}/v1/audio/speech/ws", compression=None) as socket,
    ):
        await socket.send(json.dumps({"type": "speech.speak", "input": TEXT, **nulls}))
        sound, kinds = b"", []
        while "speech.done" not in kinds:
            message = await socket.recv()
            if isinstance(message, bytes):
                sound += message
            else:
                kinds.append(json.loads(message)["type"])
                assert kinds[-1] != "error"
    assert sound == tone(TEXT)


@pytest.mark.parametrize(
    "nulls", [["voice"], ["context"], ["text_format"], ["voice", "context", "text_format"]]
)
async def test_null_in_a_wyoming_event_is_as_if_it_were_not_there(nulls: list[str]) -> None:
    data = {"text": TEXT, **dict.fromkeys(nulls)}
    async with service([ScriptedEngine()]) as uri, connect(uri) as client:
        await client.write_event(Event("synthesize", data))
        kinds = []
        while "audio-stop" not in kinds:
            event = await client.read_event()
            assert event is not None
            kinds.append(event.type)
            assert event.type != "error"


async def test_nulls_inside_a_wyoming_voice_and_context_are_as_if_they_were_not_there() -> None:
    voice = dict.fromkeys(["name", "language", "speaker"])
    context = dict.fromkeys(["cache", "fallback", "via"])
    async with service([ScriptedEngine()]) as uri, connect(uri) as client:
        await client.write_event(Event("synthesize", {"text": TEXT, "voice": voice, "context": context}))
        event = await client.read_event()
        assert event is not None
        assert event.type == "audio-start"
