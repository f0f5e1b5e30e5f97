"""Voices over HTTP: listed, cloned from what is uploaded, designed, removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.house import (
    CAST,
    HANG,
    RYAN,
    ScriptedEngine,
    connect,
    home_assistant_plain,
    tone,
)
from tests.recordings import save, speech
from tests.test_register import Cloner
from tests.web import Web, code_of, events_of, web
from wyoming_qwen3tts.audio.pcm import to_pcm
from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.server.http import uploads
from wyoming_qwen3tts.voices.names import RESERVED_NAMES
from wyoming_qwen3tts.voices.store import CustomVoiceStore

SAID = "The washing machine has finished."


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six seconds of speech, as FLAC."""
    return save(tmp_path_factory.mktemp("uploads") / "memo.flac", speech(6)).read_bytes()


class Designer(Cloner):
    """An engine that designs, too: any description sounds like the same speech."""

    supports_design = True

    def __init__(self, reason: str = "") -> None:
        super().__init__(CAST)
        self.reason = reason
        self.begun, self.go, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cancelled = False

    def designer(self) -> str:
        if self.reason:
            raise EngineUnavailableError(self.reason)
        return "designer"

    async def design(
        self, description: str, text: str, language: str, seed: int
    ) -> AsyncGenerator[bytes, None]:
        sound = to_pcm(speech(8).astype(np.float32))
        self.begun.set()
        yield sound[:48_000]
        try:
            await self.go.wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled = True
            raise
        yield sound[48_000:]

    def end_design(self) -> None:
        self.ended.set()


def house(tmp_path: Path, engine: ScriptedEngine) -> dict[str, Any]:
    """Return what a service is run with that has a data directory."""
    return {"engines": [engine], "data_dir": tmp_path, "store": CustomVoiceStore(tmp_path, RESERVED_NAMES)}


async def names(client: Web) -> list[str]:
    """Return the names of the voices that are listed."""
    return [voice["name"] for voice in (await client.get("/v1/audio/voices")).json()["voices"]]


async def test_voices_are_listed_with_what_they_can(tmp_path: Path) -> None:
    styles = tmp_path / "styles.toml"
    styles.write_text('[calm]\ninstruct = "calmly"\n')
    async with web([Cloner(CAST)], data_dir=tmp_path, styles=styles) as client:
        answer = (await client.get("/v1/audio/voices")).json()
        ryan = next(voice for voice in answer["voices"] if voice["name"] == "Ryan")
        assert ryan == {
            "id": "Ryan",
            "name": "Ryan",
            "description": RYAN.description,
            "languages": list(RYAN.languages),
            "engine": "scripted",
            "model": "",
            "license": "Apache-2.0",
            "kind": "preset",
            "styles": ["calm"],
            "instructions": True,
            "default": False,
            "base": "",
            "removable": False,
        }
        assert [voice["name"] for voice in answer["voices"] if voice["default"]] == ["Vivian"]
        assert answer["can_clone"] is True
        assert answer["can_design"] is False
        assert "VoiceDesign" in answer["design_reason"]


async def test_a_style_is_asked_for_by_its_name(tmp_path: Path) -> None:
    styles = tmp_path / "styles.toml"
    styles.write_text('[calm]\ninstruct = "calmly"\n')
    engine = ScriptedEngine(voices=CAST)
    async with web([engine], styles=styles) as client:
        asked = {"input": "Good night.", "voice": "Ryan", "style": "calm", "response_format": "pcm"}
        assert (await client.post("/v1/audio/speech", json=asked)).status_code == 200
        assert engine.told[0].voice.style is not None
        assert engine.told[0].voice.style.instruct == "calmly"
        answer = await client.post("/v1/audio/speech", json={**asked, "style": "furious"})
        assert (answer.status_code, code_of(answer)) == (400, "voice-not-found")


@pytest.mark.parametrize("field", ["file", "audio_sample"])
async def test_a_recording_becomes_a_voice_that_speaks_at_once(
    tmp_path: Path, recording: bytes, field: str
) -> None:
    engine = Cloner()
    async with web(**house(tmp_path, engine)) as client:
        answer = await client.post(
            "/v1/audio/voices",
            data={
                "name": "Grandpa",
                "transcript": SAID * 3,
                "language": "de",
                "description": "warm",
                "seed": "7",
            },
            files={field: ("../../etc/passwd", recording, "audio/flac")},
        )
        assert answer.status_code == 201
        voice = answer.json()["voice"]
        assert (voice["name"], voice["kind"], voice["removable"]) == ("Grandpa", "cloned", True)
        assert "Grandpa" in await names(client)
        async with connect(client.wyoming) as wyoming:
            assert await home_assistant_plain(wyoming, "Hello.", {"name": "Grandpa"}) == tone("Hello.")
        assert engine.told[-1].voice.name == "Grandpa"
        assert engine.told[-1].seed == 7
    (kept,) = (tmp_path / "voices").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["recording.flac", "transcript.txt", "voice.toml"]
    assert (kept / "recording.flac").read_bytes() == recording


async def test_a_voice_that_is_removed_is_gone_with_all_that_was_made_of_it(
    tmp_path: Path, recording: bytes
) -> None:
    async with web(**house(tmp_path, Cloner())) as client:
        await client.post("/v1/audio/voices", data={"name": "Oma Erna"}, files={"file": recording})
        answer = await client.delete("/v1/audio/voices/oma erna")
        assert answer.json() == {"removed": "Oma Erna"}
        assert "Oma Erna" not in await names(client)
        assert not list((tmp_path / "voices").iterdir())
        assert not list((tmp_path / "references").iterdir())
        answer = await client.delete("/v1/audio/voices/oma erna")
        assert (answer.status_code, code_of(answer)) == (404, "unknown-voice")


async def test_voices_of_a_model_and_paths_are_not_removed(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    async with web(**house(tmp_path, Cloner())) as client:
        for name in ("Ryan", "..", "../precious", "%2e%2e%2fprecious", "..%2Fprecious", "precious", "%00"):
            answer = await client.delete(f"/v1/audio/voices/{name}")
            assert answer.status_code in {404, 405}, name
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    ("fields", "content", "status", "code", "says"),
    [
        ({}, b"RIFF", 400, "bad-form", "a name and a file"),
        ({"name": "A"}, None, 400, "bad-form", "a name and a file"),
        ({"name": "A"}, b"%PDF-1.4" + bytes(600), 400, "bad-recording", "is a document (PDF)"),
        ({"name": "A"}, b"", 400, "bad-recording", "empty"),
        ({"name": "../up"}, b"RIFF", 400, "bad-name", "cannot be called"),
        ({"name": "Ryan"}, b"RIFF", 409, "duplicate-name", "Ryan"),
        ({"name": "espeak"}, b"RIFF", 400, "bad-name", "espeak"),
        ({"name": "A", "seed": "many"}, b"RIFF", 400, "bad-voice", "seed"),
        ({"name": "A", "seed": "٣"}, b"RIFF", 400, "bad-voice", "seed"),
        ({"name": "A", "language": "not a language"}, b"RIFF", 400, "bad-voice", "language"),
        ({"name": "A", "colour": "blue"}, b"RIFF", 400, "bad-form", "unknown field 'colour'"),
        ({"name": "A", "description": "x" * 20_000}, b"RIFF", 400, "bad-form", "description has over"),
    ],
)
async def test_an_upload_that_will_not_do_is_told_why_and_nothing_is_kept(
    tmp_path: Path, fields: dict[str, str], content: bytes | None, status: int, code: str, says: str
) -> None:
    async with web(**house(tmp_path, Cloner())) as client:
        files = None if content is None else {"file": ("a.wav", content)}
        more: dict[str, Any] = {"files": files} if files else {"files": {"name": (None, fields["name"])}}
        answer = await client.post("/v1/audio/voices", data=fields if files else None, **more)
        assert (answer.status_code, code_of(answer)) == (status, code)
        assert says in answer.json()["error"]["message"]
    assert not list(tmp_path.glob("voices/*"))


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        ("application/json", b"{}", "multipart/form-data"),
        ("multipart/form-data", b"", "multipart/form-data"),
        ("multipart/form-data; boundary=x", b"", "no end"),
        (f"multipart/form-data; boundary={'B' * 300}", b"x", "cannot be read"),
        ("multipart/form-data; boundary=x", b"--x\r\n", "no end"),
        ("multipart/form-data; boundary=x", b"nonsense" * 1000, "cannot be read"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
            "cannot be read",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--x--\r\n',
            "name is not UTF-8",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na\r\n' * 2 + b"--x--\r\n",
            "name twice",
        ),
        (
            "multipart/form-data; boundary=x",
            b"".join(b'--x\r\nContent-Disposition: form-data; name="n%d"\r\n\r\na\r\n' % n for n in range(99))
            + b"--x--\r\n",
            "over 16 parts",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="virus"; filename="v"\r\n\r\na\r\n--x--\r\n',
            "'virus' must not be a file",
        ),
    ],
)
async def test_a_form_that_is_none_is_told_what_is_wrong(
    tmp_path: Path, kind: str, content: bytes, says: str
) -> None:
    async with web(**house(tmp_path, Cloner())) as client:
        answer = await client.post("/v1/audio/voices", content=content, headers={"Content-Type": kind})
        assert (answer.status_code, code_of(answer)) == (400, "bad-form")
        assert says in answer.json()["error"]["message"]


async def test_an_upload_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with web(**house(tmp_path, Cloner()), max_upload=0.1) as client:
        answer = await client.post("/v1/audio/voices", data={"name": "A"}, files={"file": bytes(200_000)})
        assert (answer.status_code, code_of(answer)) == (413, "body-too-large")
        assert (await client.get("/health")).status_code == 200


async def test_few_uploads_are_taken_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest hears at once that it is to come again, and none of it is kept waiting in memory."""
    async with web(**house(tmp_path, Cloner())) as client:
        head = "POST /v1/audio/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
        slow = []
        for _ in range(uploads.MAX_CONCURRENT):
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(head.encode() + b"--x\r\n")
            slow.append((reader, writer))
        async with asyncio.timeout(HANG):
            while True:
                answer = await client.post("/v1/audio/voices", data={"name": "A"}, files={"file": b"RIFF"})
                if answer.status_code == 429:
                    break
        assert code_of(answer) == "busy"
        assert answer.headers["retry-after"]
        for _, writer in slow:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        async with asyncio.timeout(HANG):  # those who left made room
            while answer.status_code == 429:
                answer = await client.post("/v1/audio/voices", data={"name": "A"}, files={"file": b"RIFF"})
        assert code_of(answer) == "bad-recording"


async def test_a_form_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async with web(**house(tmp_path, Cloner()), event_timeout=0.3) as client, asyncio.timeout(HANG):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(
            b"POST /v1/audio/voices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"timeout"' in answer
        writer.close()


async def test_without_a_voice_that_clones_the_recording_is_kept_and_the_answer_says_so(
    tmp_path: Path, recording: bytes
) -> None:
    async with web(**house(tmp_path, ScriptedEngine(voices=CAST))) as client:
        listed = (await client.get("/v1/audio/voices")).json()
        assert listed["can_clone"] is False
        answer = await client.post("/v1/audio/voices", data={"name": "Grandpa"}, files={"file": recording})
        assert answer.status_code == 201
        assert answer.json()["voice"] is None
        assert (
            "no engine can speak with it: cloning voices needs a Base checkpoint"
            in answer.json()["remarks"][-1]
        )


ASKED = {"name": "Storyteller", "description": "a warm, slow grandmother", "language": "en"}


async def test_a_voice_is_designed_and_its_maker_hears_how_far_it_is(tmp_path: Path) -> None:
    engine = Designer()
    engine.go.set()
    async with web(**house(tmp_path, engine)) as client:
        assert (await client.get("/v1/audio/voices")).json()["can_design"] is True
        answer = await client.post(
            "/v1/audio/voices/design", json=ASKED, headers={"Accept": "text/event-stream"}
        )
        events = events_of(answer.text.splitlines())
        assert {event["type"] for event in events[:-1]} == {"progress"}
        assert "designing: 1.0 s of audio" in [event["step"] for event in events[:-1]]
        assert events[-1]["type"] == "done"
        assert events[-1]["voice"]["name"] == "Storyteller"
        assert "Storyteller" in await names(client)
        again = await client.post("/v1/audio/voices/design", json=ASKED)
        assert (again.status_code, code_of(again)) == (409, "duplicate-name")
    assert engine.ended.is_set()


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_who_leaves_while_a_voice_is_designed_ends_the_work(tmp_path: Path, accept: str) -> None:
    engine = Designer()
    async with web(**house(tmp_path, engine)) as client, asyncio.timeout(HANG):
        asking = asyncio.create_task(
            client.post("/v1/audio/voices/design", json=ASKED, headers={"Accept": accept})
        )
        await engine.begun.wait()
        busy = await client.post("/v1/audio/voices/design", json=ASKED)
        assert (busy.status_code, code_of(busy)) == (429, "busy")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await engine.ended.wait()
        assert engine.cancelled
        assert "Storyteller" not in await names(client)


async def test_what_cannot_be_designed_is_refused_before_any_work(tmp_path: Path) -> None:
    for engine, asked, status, code in (
        (ScriptedEngine(), ASKED, 409, "not-possible"),
        (Designer("there is none"), ASKED, 409, "not-possible"),
        (Designer(), {**ASKED, "name": "Ryan"}, 409, "duplicate-name"),
        (Designer(), {**ASKED, "description": " "}, 400, "bad-voice"),
        (Designer(), {**ASKED, "description": ""}, 400, "invalid-request"),
        (Designer(), {**ASKED, "language": "sw"}, 400, "no-text"),
        (Designer(), {**ASKED, "language": "xx"}, 400, "invalid-request"),
        (Designer(), {**ASKED, "seed": -1}, 400, "invalid-request"),
    ):
        async with web(**house(tmp_path, engine)) as client:
            answer = await client.post("/v1/audio/voices/design", json=asked)
            assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.slow
async def test_bad_uploads_by_the_dozen_leave_speech_undisturbed(tmp_path: Path, recording: bytes) -> None:
    """50 at once that are slow, huge, broken off or no form at all; meanwhile every sentence comes whole."""
    engine = Cloner()
    async with web(**house(tmp_path, engine), max_upload=1.0, event_timeout=1.0) as client:
        head = "POST /v1/audio/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"

        async def bad(number: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            with suppress(OSError):
                kind = number % 5
                size = 100_000_000 if kind == 0 else 500_000
                writer.write(f"{head}Content-Length: {size}\r\n\r\n--x\r\n".encode())
                if kind == 0:  # huge
                    for _ in range(200):
                        writer.write(bytes(100_000))
                        await writer.drain()
                elif kind == 1:  # slow: a byte now and then
                    for _ in range(20):
                        writer.write(b"a")
                        await asyncio.sleep(0.1)
                elif kind == 2:  # left in the middle
                    writer.write(bytes(250_000))
                    await writer.drain()
                    writer.transport.abort()
                elif kind == 3:  # noise
                    writer.write(bytes(range(256)) * 2000)
                    await writer.drain()
                else:  # no HTTP at all
                    writer.write(b"\x16\x03\x01" * 1000)
                await reader.read(200)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        attack = [asyncio.create_task(bad(number)) for number in range(50)]
        async with connect(client.wyoming) as wyoming, asyncio.timeout(HANG):
            number = 0
            while not all(task.done() for task in attack):
                text = f"Sentence number {number}."
                assert await home_assistant_plain(wyoming, text, {"name": "Ryan"}) == tone(engine.said[-1])
                number += 1
        await asyncio.gather(*attack)
        assert number > 10
        answer = await client.post("/v1/audio/voices", data={"name": "Grandpa"}, files={"file": recording})
        assert answer.status_code == 201
    assert [path.name for path in (tmp_path / "voices").iterdir()] == ["Grandpa"]
