"""The second door: OpenAI's own client, and what it is told when something is wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import io
import json
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
import soundfile
from openai import AsyncOpenAI

from tests.house import (
    CAST,
    HANG,
    ScriptedEngine,
    connect,
    home_assistant_plain,
    service,
    service_in_thread,
    tone,
)
from tests.test_encoding import decoded
from tests.web import code_of, free_port, web
from wyoming_qwen3tts.audio.formats import Format
from wyoming_qwen3tts.engines.base import EngineUnavailableError, UnsupportedTextError
from wyoming_qwen3tts.server.http import audio_response, encoded_file
from wyoming_qwen3tts.server.http.encoded_file import EncodedFile
from wyoming_qwen3tts.speech import Utterance


@asynccontextmanager
async def door(engine: ScriptedEngine, **settings: Any) -> AsyncIterator[AsyncOpenAI]:
    """A service with an HTTP door, and OpenAI's client before it."""
    port = free_port()
    async with service([engine], http_port=port, **settings) as uri:
        async with AsyncOpenAI(
            api_key="none", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0, timeout=HANG
        ) as client:
            client.wyoming = uri  # type: ignore[attr-defined]
            yield client


@pytest.mark.parametrize("form", ["wav", "mp3", "flac", "opus", "pcm", "aac"])
async def test_openai_s_client_hears_the_text_in_every_format(form: Any) -> None:
    engine = ScriptedEngine()
    async with door(engine) as client:
        answer = await client.audio.speech.create(
            model="tts-1", voice="alloy", input="Dinner is ready.", response_format=form
        )
        said = tone("Dinner is ready.")
        if form == "pcm":
            assert answer.content == said
        else:
            heard = decoded(answer.content)
            assert len(said) // 2 <= len(heard) <= len(said) // 2 + 0.2 * 24_000
            if form in {"wav", "flac"}:
                assert heard.tobytes() == said
        assert len(answer.response.headers["x-request-id"]) == 32
        assert float(answer.response.headers["x-first-audio-ms"]) >= 0
    assert engine.said == ["Dinner is ready."]


async def test_both_doors_say_the_same() -> None:
    engine = ScriptedEngine()
    text = "Dinner is ready. The soup gets cold."
    async with door(engine, sentence_silence=0.3) as client:
        answer = await client.audio.speech.create(
            model="tts-1", voice="tone", input=text, response_format="pcm"
        )
        async with connect(client.wyoming) as wyoming:  # type: ignore[attr-defined]
            assert answer.content == await home_assistant_plain(wyoming, text, {"name": "tone"})


async def test_sound_arrives_while_it_is_made() -> None:
    go = asyncio.Event()

    async def slowly(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)[:4800]
        await go.wait()
        yield tone(utterance.text)[4800:]

    async with door(ScriptedEngine(slowly)) as client, asyncio.timeout(HANG):
        async with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="tone", input="Dinner is ready.", response_format="pcm"
        ) as answer:
            pieces = answer.iter_bytes()
            first = await anext(pieces)
            go.set()
            rest = b"".join([piece async for piece in pieces])
    assert first + rest == tone("Dinner is ready.")


async def test_events_carry_the_sound_and_end_well_only_when_it_is_whole() -> None:
    async def picky(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if "unspeakable" in utterance.text:
            raise UnsupportedTextError("nobody can say that")
        yield tone(utterance.text)

    async def events(client: AsyncOpenAI, text: str) -> list[dict[str, Any]]:
        async with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="tone", input=text, response_format="pcm", stream_format="sse"
        ) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = [line async for line in answer.iter_lines() if line]
        assert all(line.startswith("data: ") for line in lines)
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    async with door(ScriptedEngine(picky)) as client:
        *deltas, done = await events(client, "Dinner is ready. It is soup.")
        assert {event["type"] for event in deltas} == {"speech.audio.delta"}
        sound = b"".join(base64.b64decode(event["audio"]) for event in deltas)
        assert sound == tone("Dinner is ready.") + tone("It is soup.")
        assert done["type"] == "speech.audio.done"
        assert done["usage"]["total_tokens"] > 0
        *_, last = await events(client, "Dinner is ready. This is unspeakable.")
        assert last == {"type": "error", "error": {"message": "nobody can say that", "code": "cannot-speak"}}


async def test_an_answer_that_breaks_off_does_not_look_whole() -> None:
    async def broken(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if "second" in utterance.text:
            raise EngineUnavailableError("it is gone")
        yield tone(utterance.text)

    async with door(ScriptedEngine(broken)) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.audio.speech.create(
                model="tts-1", voice="tone", input="The first one. The second one.", response_format="pcm"
            )
        with pytest.raises(openai.InternalServerError, match="it is gone") as error:
            await client.audio.speech.create(model="tts-1", voice="tone", input="The second one.")
        assert error.value.status_code == 503


async def test_a_client_that_could_not_tell_a_broken_answer_gets_whole_ones_only() -> None:
    """In HTTP/1.0 a file ends where the connection does."""

    async def broken(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if "second" in utterance.text:
            raise EngineUnavailableError("it is gone")
        yield tone(utterance.text)

    async with door(ScriptedEngine(broken)) as client:
        for text, status in (("The first one.", b"200"), ("The first one. The second one.", b"503")):
            reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            asked = json.dumps({"input": text, "voice": "tone", "response_format": "pcm"}).encode()
            lines = f"POST /v1/audio/speech HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(asked)}"
            writer.write(lines.encode() + b"\r\n\r\n" + asked)
            answer = await asyncio.wait_for(reader.read(), HANG)
            writer.close()
            head, _, content = answer.partition(b"\r\n\r\n")
            assert head.split()[1] == status
            assert f"content-length: {len(content)}".encode() in head
            assert (content == tone(text)) == (status == b"200")


async def test_what_nobody_expected_is_an_error_of_the_same_form() -> None:
    async def odd(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        raise ValueError("odd")
        yield b""

    async with door(ScriptedEngine(odd)) as client:
        with pytest.raises(openai.InternalServerError, match="internal error") as error:
            await client.audio.speech.create(model="tts-1", voice="tone", input="Hi.")
    assert (error.value.status_code, error.value.code) == (500, "internal-error")


async def test_whole_files_know_their_length() -> None:
    async with door(ScriptedEngine()) as client:
        answer = await client.audio.speech.create(
            model="tts-1", voice="tone", input="Dinner.", response_format="wav", extra_body={"stream": False}
        )
        with wave.open(io.BytesIO(answer.content)) as file:
            assert file.readframes(file.getnframes()) == tone("Dinner.")
        headers = answer.response.headers
        assert int(headers["content-length"]) == len(answer.content)
        assert float(headers["x-audio-seconds"]) == pytest.approx(len(tone("Dinner.")) / 48_000, abs=0.001)
        assert float(headers["x-total-ms"]) >= float(headers["x-first-audio-ms"])
        assert float(headers["x-rtf"]) > 0


@pytest.mark.parametrize("form", ["wav", "mp3", "flac", "opus"])
async def test_whole_files_can_be_read_by_who_has_to_know_their_length(form: Any) -> None:
    async with door(ScriptedEngine()) as client:
        answer = await client.audio.speech.create(
            model="tts-1", voice="tone", input="Dinner.", response_format=form, extra_body={"stream": False}
        )
    samples, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16")
    assert (len(samples), rate) == (len(tone("Dinner.")) // 2, 24_000)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[EncodedFile]:
    """The files that are made, each with room for 1000 bytes in memory."""
    made: list[EncodedFile] = []
    begin = EncodedFile.__init__

    def spied(self: EncodedFile, form: Format) -> None:
        begin(self, form)
        made.append(self)

    monkeypatch.setattr(encoded_file, "IN_MEMORY", 1000)
    monkeypatch.setattr(EncodedFile, "__init__", spied)
    return made


async def closed(file: EncodedFile) -> None:
    async with asyncio.timeout(HANG):
        while not file._file._file.closed:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


async def whole_wav(client: AsyncOpenAI, text: str) -> Any:
    return await client.audio.speech.create(
        model="tts-1", voice="tone", input=text, response_format="wav", extra_body={"stream": False}
    )


async def test_a_large_whole_file_is_on_disk_until_it_is_sent(small: list[EncodedFile]) -> None:
    engine = ScriptedEngine()
    async with door(engine) as client:
        answer = await whole_wav(client, "Dinner is ready, " * 20)
        (file,) = small
        await closed(file)
    assert file.on_disk
    assert answer.content[44:] == b"".join(map(tone, engine.said))


async def test_a_whole_file_is_gone_with_a_client_that_leaves(small: list[EncodedFile]) -> None:
    async def much(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        for _ in range(200):
            yield tone(utterance.text) * 10

    async with door(ScriptedEngine(much)) as client:
        async with client.audio.speech.with_streaming_response.create(
            model="tts-1",
            voice="tone",
            input="Dinner is ready.",
            response_format="pcm",
            extra_body={"stream": False},
        ) as answer:
            await anext(answer.iter_bytes())
        (file,) = small
        await closed(file)
        assert file.on_disk


async def test_a_whole_file_is_gone_with_a_client_that_leaves_while_it_is_made(
    small: list[EncodedFile],
) -> None:
    async def endless(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        while True:
            yield tone(utterance.text)
            await asyncio.sleep(0.001)

    async with door(ScriptedEngine(endless)) as client, asyncio.timeout(HANG):
        asking = asyncio.create_task(whole_wav(client, "For ever."))
        while not (small and small[0].on_disk):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        asking.cancel()
        await closed(small[0])


async def test_too_much_sound_for_a_whole_file_is_refused_and_can_be_streamed(
    monkeypatch: pytest.MonkeyPatch, small: list[EncodedFile]
) -> None:
    monkeypatch.setattr(audio_response, "MAX_FILE_SECONDS", 1.0)
    text = "word " * 20
    async with door(ScriptedEngine()) as client:
        with pytest.raises(openai.APIStatusError, match="request a stream") as error:
            await whole_wav(client, text)
        assert (error.value.status_code, error.value.code) == (413, "answer-too-long")
        await closed(small[0])
        streamed = await client.audio.speech.create(
            model="tts-1", voice="tone", input=text, response_format="pcm"
        )
        assert streamed.content == tone(text.strip())


@pytest.mark.parametrize("form", ["wav", "mp3", "flac", "opus", "pcm"])
async def test_a_disk_that_is_full_is_told(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > 2000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(encoded_file, "SpooledTemporaryFile", lambda _: Full())
    async with door(ScriptedEngine()) as client:
        with pytest.raises(openai.InternalServerError, match="No space left on device") as error:
            await client.audio.speech.create(
                model="tts-1",
                voice="tone",
                input="Dinner is ready, " * 20,
                response_format=form,
                extra_body={"stream": False},
            )
        assert (error.value.status_code, error.value.code) == (507, "no-room")


async def test_instructions_speed_voice_and_language_reach_the_voice() -> None:
    engine = ScriptedEngine(voices=CAST)
    async with door(engine) as client:
        await client.audio.speech.create(
            model="tts-1", voice="Ryan", input="Good evening.", instructions="Whisper.", speed=1.5
        )
        await client.audio.speech.create(
            model="tts-1", voice={"id": "Vivian"}, input="Guten Abend.", extra_body={"language": "de"}
        )
    first, second = engine.told
    assert (first.voice.speaker, first.voice.style and first.voice.style.instruct) == ("Ryan", "Whisper.")
    assert first.speed == 1.5
    assert (second.voice.speaker, second.language) == ("Vivian", "de-DE")


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """Where a service answers that takes a hundred characters."""
    port = free_port()
    with service_in_thread([ScriptedEngine(voices=CAST)], http_port=port, max_text=100):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize(
    ("asked", "status", "code", "words"),
    [
        ({"voice": "Nobody"}, 400, "voice-not-found", "no voice 'Nobody'"),
        ({"model": "gpt-9"}, 404, "model-not-found", "unknown model 'gpt-9'; known are tts-1"),
        (
            {"extra_body": {"sample_rate": 16_000}},
            400,
            "invalid-request",
            "mp3 has 24000 samples a second; other rates have wav",
        ),
        ({"response_format": "midi"}, 400, "invalid-request", "response_format"),
        ({"speed": 4.0}, 400, "invalid-request", "speed: Input should be less than or equal to 2"),
        ({"input": ""}, 400, "invalid-request", "input"),
        ({"input": "word " * 30}, 413, "text-too-long", "over 100 characters"),
        (
            {"voice": "heart", "instructions": "Whisper."},
            400,
            "style-not-supported",
            "does not follow instructions",
        ),
        ({"voice": "Ryan", "instructions": "W" * 501}, 413, "text-too-long", "instructions"),
    ],
)
async def test_what_is_wrong_is_named(
    refusing: str, asked: dict[str, Any], status: int, code: str, words: str
) -> None:
    async with AsyncOpenAI(api_key="none", base_url=refusing, max_retries=0, timeout=HANG) as client:
        with pytest.raises(openai.APIStatusError, match=words) as error:
            await client.audio.speech.create(**{"model": "tts-1", "voice": "Ryan", "input": "Hi.", **asked})
    assert (error.value.status_code, error.value.code) == (status, code)


@pytest.mark.parametrize(
    "path",
    ["/v1/audio/speech", "/v1/audio/speech/batch", "/v1/cache/phrases", "/v1/audio/voices/design"],
)
@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
)
async def test_a_post_without_the_content_type_of_json_gets_an_error_that_names_the_header(
    path: str, kind: str | None
) -> None:
    async with web([ScriptedEngine()]) as client:
        headers = {} if kind is None else {"Content-Type": kind}
        answer = await client.post(path, content=json.dumps({"input": "Hi."}), headers=headers)
    assert (answer.status_code, code_of(answer)) == (415, "unsupported-media-type")
    message = answer.json()["error"]["message"]
    assert "Content-Type: application/json" in message
    assert ("not none" if kind is None else repr(kind)) in message


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"]
)
async def test_every_content_type_of_json_is_accepted(kind: str) -> None:
    async with web([ScriptedEngine()]) as client:
        body = json.dumps({"input": "Hi."})
        answer = await client.post("/v1/audio/speech", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200


async def test_a_body_that_is_no_json_and_a_path_that_is_none_are_errors_of_the_same_form() -> None:
    async with door(ScriptedEngine()) as client:
        for path, status in (("/audio/speech", 400), ("/audio/nonsense", 404)):
            with pytest.raises(openai.APIStatusError) as error:
                await client.post(path, cast_to=object, body=["no", "object"])
            assert error.value.status_code == status
            assert error.value.code


@pytest.mark.parametrize("told", [True, False])
async def test_a_body_that_is_too_large_is_refused_before_it_is_read(told: bool) -> None:
    async with door(ScriptedEngine(), max_event_bytes=2000) as client, asyncio.timeout(HANG):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = "POST /v1/audio/speech/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        if told:
            writer.write(f"{head}Content-Length: 100000000\r\n\r\n".encode())
        else:
            writer.write(
                f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"400\r\n" + b" " * 1024 + b"\r\n"
            )
            writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
        answer = await reader.readuntil(b"}}")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body-too-large"' in answer


async def test_the_log_has_a_line_for_every_request(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if "second" in utterance.text:
            raise EngineUnavailableError("it is gone")
        yield tone(utterance.text)

    caplog.set_level("INFO")
    async with door(ScriptedEngine(broken)) as client:
        for text in ("The first one.", "The second one.", "The first one. The second one."):
            with contextlib.suppress(openai.APIError):
                await client.audio.speech.create(model="tts-1", voice="tone", input=text)
    lines = [record.getMessage() for record in caplog.records if "request_log" in record.name]
    assert [line.partition(" ttfa=")[0] for line in lines] == [
        "http: ok voice=tone language=en-US chars=14",
        "http: engine-unavailable voice=tone language=en-US chars=15",
        "http: engine-unavailable voice=tone language=en-US chars=30",
    ]


async def test_models_and_voices_are_listed() -> None:
    async with door(ScriptedEngine(voices=CAST)) as client:
        assert [model.id async for model in client.models.list()][:2] == ["tts-1", "tts-1-hd"]
        listed: Any = await client.get("/audio/voices", cast_to=object)
    names = {voice["id"] for voice in listed["voices"]}
    assert {"Ryan", "Vivian", "heart"} <= names
    assert all(voice["languages"] for voice in listed["voices"])


async def test_a_listener_that_leaves_ends_the_work() -> None:
    ended = asyncio.Event()

    async def endless(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield tone(utterance.text)
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with door(ScriptedEngine(endless)) as client:
        async with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="tone", input="For ever.", response_format="pcm"
        ) as answer:
            await anext(answer.iter_bytes())
        await asyncio.wait_for(ended.wait(), HANG)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_client_that_leaves_before_the_first_sound_ends_the_work(whole: bool) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        try:
            if whole:
                yield tone(utterance.text)
            begun.set()
            await asyncio.sleep(HANG)
            yield tone(utterance.text)
        finally:
            ended.set()

    async with door(ScriptedEngine(slow)) as client:
        asking = asyncio.create_task(
            client.audio.speech.create(
                model="tts-1", voice="tone", input="For ever.", extra_body={"stream": not whole}
            )
        )
        await asyncio.wait_for(begun.wait(), HANG)
        asking.cancel()
        await asyncio.wait_for(ended.wait(), HANG / 2)
