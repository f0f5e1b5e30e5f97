"""Language names and tags in requests."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as connect_socket
from wyoming.event import Event

from tests.house import ScriptedEngine, Spare, connect, service, speaker
from tests.web import Web, code_of, web
from wyoming_qwen3tts.text.language_tags import NAMES, find_tag, parse_requested_language
from wyoming_qwen3tts.text.phrases import PhraseFileError, read_phrases

SAID = [
    ("de", "de"),
    ("DE", "de"),
    (" de ", "de"),
    ("de-AT", "de-AT"),
    ("de_at", "de-AT"),
    ("pt_BR", "pt-BR"),
    ("zh-Hant", "zh-Hant"),
    ("deu", "de"),
    ("ger", "de"),
    ("deu-AT", "de-AT"),
    ("fra", "fr"),
    ("fre", "fr"),
    ("zho", "zh"),
    ("chi", "zh"),
    ("cmn", "zh"),
    ("cmn-Hans", "zh-Hans"),
    ("jpn", "ja"),
    ("kor", "ko"),
    ("yue", "yue"),
    ("no", "nb"),
    ("iw", "he"),
    ("German", "de"),
    ("GERMAN", "de"),
    ("deutsch", "de"),
    ("Français", "fr"),
    ("francais", "fr"),
    ("español", "es"),
    ("Castilian", "es"),
    ("Chinese", "zh"),
    ("中文", "zh"),
    ("Mandarin", "zh"),
    ("日本語", "ja"),
    ("한국어", "ko"),
    ("Русский", "ru"),
    ("Brazilian Portuguese", "pt-BR"),
    ("English (UK)", "en-GB"),
    ("nederlands", "nl"),
    ("Dutch", "nl"),
]
UNSPECIFIED = [None, "", "  ", "auto", "Auto", "AUTO", "auto-detect", "und"]
WRONG = ["Klingonish", "xx", "zz-DE", "d", "123", "de;q=0.5", "de-", "-", "english please", "x" * 30, "🇩🇪"]


@pytest.mark.parametrize(("said", "tag"), SAID)
def test_codes_and_names_become_one_tag(said: str, tag: str) -> None:
    assert parse_requested_language(said) == tag
    assert find_tag(tag) == tag


@pytest.mark.parametrize("said", UNSPECIFIED)
def test_empty_and_auto_leave_the_language_to_the_server(said: str | None) -> None:
    assert parse_requested_language(said) is None


@pytest.mark.parametrize("said", WRONG)
def test_anything_else_is_an_error_that_says_what_is_accepted(said: str) -> None:
    with pytest.raises(ValueError, match=r"is not a language: give a code, such as de, .* or auto"):
        parse_requested_language(said)


def test_every_name_in_the_table_is_found() -> None:
    wrong = {name: find_tag(name) for tag, names in NAMES.items() for name in names if find_tag(name) != tag}
    assert not wrong


ENGINE_LANGUAGES = ("en", "de", "zh", "pt")
TEXT = "OK."


def polyglot() -> ScriptedEngine:
    return ScriptedEngine(voices=[speaker("Ryan", *ENGINE_LANGUAGES)])


async def spoken_as(client: Web, engine: ScriptedEngine, **fields: object) -> str:
    """Return the language in the engine's utterance for a request with these fields."""
    answer = await client.post("/v1/audio/speech", json={"input": TEXT, "voice": "Ryan", **fields})
    assert answer.status_code == 200, answer.text
    return engine.told[-1].language


@pytest.mark.parametrize(
    ("said", "tag"), [("German", "de"), ("deu", "de"), ("中文", "zh"), ("Chinese", "zh"), ("por", "pt")]
)
async def test_http_accepts_names_and_three_letter_codes(said: str, tag: str) -> None:
    engine = polyglot()
    async with web([engine]) as client:
        assert await spoken_as(client, engine, language=said) == tag


@pytest.mark.parametrize("said", UNSPECIFIED)
async def test_http_detects_the_language_where_none_is_given(said: str | None) -> None:
    engine = polyglot()
    async with web([engine]) as client:
        without = await spoken_as(client, engine)
        assert await spoken_as(client, engine, language=said) == without
        german = "Das Abendessen ist fertig, und der Tisch ist gedeckt."
        assert await spoken_as(client, engine, language=said, input=german) == "de"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/audio/speech", {"input": TEXT, "language": "Klingonish"}),
        ("/v1/audio/speech/batch", {"inputs": [TEXT], "language": "Klingonish"}),
        ("/v1/audio/speech/batch", {"inputs": [{"input": TEXT, "language": "Klingonish"}]}),
        ("/v1/cache/phrases", {"phrases": [TEXT], "language": "Klingonish"}),
        ("/v1/audio/voices/design", {"name": "A", "description": "calm", "language": "Klingonish"}),
    ],
)
async def test_http_refuses_what_is_no_language(path: str, body: dict[str, object]) -> None:
    async with web([polyglot()]) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert code_of(answer) == "invalid-request"
    assert "'Klingonish' is not a language" in answer.json()["error"]["message"]


async def test_an_uploaded_voice_s_language_is_checked(tmp_path: Path) -> None:
    async with web([polyglot()], data_dir=tmp_path) as client:
        form = {"name": "Ann", "language": "Klingonish"}
        answer = await client.post("/v1/audio/voices", data=form, files={"file": ("a.wav", b"RIFF")})
    assert answer.status_code == 400
    assert "'Klingonish' is not a language" in answer.json()["error"]["message"]


async def test_a_websocket_accepts_names_and_refuses_what_is_no_language() -> None:
    engine = polyglot()
    async with (
        web([engine]) as client,
        connect_socket(f"ws://127.0.0.1:{client.port}/v1/audio/speech/ws", compression=None) as socket,
    ):
        for said in ("Klingonish", "German"):
            asked = {"type": "speech.speak", "id": said, "input": TEXT, "voice": "Ryan", "language": said}
            await socket.send(json.dumps(asked))
        kinds: dict[str, dict[str, object]] = {}
        while "speech.done" not in kinds:
            if isinstance(message := await socket.recv(), str):
                kinds[json.loads(message)["type"]] = json.loads(message)
    assert kinds["error"]["id"] == "Klingonish"
    assert "'Klingonish' is not a language" in str(kinds["error"])
    assert engine.told[-1].language == "de"


@pytest.mark.parametrize(
    ("said", "tag", "warned"), [("German", "de", False), ("Klingonish", "und", True), ("auto", "und", False)]
)
async def test_wyoming_accepts_names_and_detects_the_language_after_a_warning(
    said: str, tag: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    engine = ScriptedEngine(voices=[speaker("Ryan", *ENGINE_LANGUAGES)])
    asked = Event("synthesize", {"text": TEXT, "voice": {"name": "Ryan", "language": said}})
    with caplog.at_level(logging.WARNING):
        async with service([engine, Spare()], language_detector="off") as uri, connect(uri) as client:
            await client.write_event(asked)
            while (event := await client.read_event()) is not None and event.type != "audio-stop":
                assert event.type != "error"
    assert engine.told[-1].language == tag
    assert ("'Klingonish' is not a language" in caplog.text) is warned


def test_a_phrases_table_names_the_line_with_a_wrong_language(tmp_path: Path) -> None:
    table = tmp_path / "phrases.csv"
    table.write_text("text,voice,language\nHallo,,German\nHello,,Klingonish\n")
    with pytest.raises(PhraseFileError, match="line 3: 'Klingonish' is not a language"):
        read_phrases(table)
    table.write_text("text,voice,language\nHallo,,German\nHello,,auto\n")
    assert [phrase.language for phrase in read_phrases(table)] == ["de", None]
