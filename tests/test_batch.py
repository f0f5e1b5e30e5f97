"""Many texts in one request: every file is whole, every failure has a name, and nothing partial looks whole."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
import json
import wave
import zipfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest

from tests import house
from tests.house import HANG, ScriptedEngine, connect, home_assistant_plain, service_in_thread, tone
from tests.test_encoding import decoded
from tests.web import Web, code_of, free_port, web
from wyoming_qwen3tts.audio.formats import Format
from wyoming_qwen3tts.engines.base import UnsupportedTextError
from wyoming_qwen3tts.server.http import audio_response, encoded_file
from wyoming_qwen3tts.server.http.archives import (
    MAX_STEM_LENGTH,
    ArchiveMember,
    BytesContent,
    ZipArchive,
    file_stem,
)
from wyoming_qwen3tts.server.http.batch_jobs import (
    DONE,
    HISTORY_SIZE,
    MAX_CONCURRENT,
    MAX_PREPARED,
    BatchRegistry,
)
from wyoming_qwen3tts.server.http.encoded_file import EncodedFile
from wyoming_qwen3tts.server.http.stream import ClosingStreamingResponse
from wyoming_qwen3tts.speech import SpeechError, Utterance

PATH = "/v1/audio/speech/batch"
TEXTS = ["Dinner is ready.", "The soup gets cold.", "Good night."]


async def picky(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    yield tone(utterance.text)[:480]
    if "unspeakable" in utterance.text:
        raise UnsupportedTextError("nobody can say that")
    if "odd" in utterance.text:
        raise ValueError("odd")
    if "stopping" in utterance.text:
        raise SpeechError("the service is stopping", "stopping")
    yield tone(utterance.text)[480:]


async def asked(client: Web, inputs: list[Any], **more: Any) -> httpx2.Response:
    return await client.post(PATH, json={"inputs": inputs, "voice": "tone", **more})


def unzipped(content: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the files of an archive by name, in their order, and its index."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in file.infolist())
        found = {entry.filename: file.read(entry) for entry in file.infolist()}
    assert list(found)[-1] == "index.json"
    index: dict[str, Any] = json.loads(found.pop("index.json"))
    assert [each["number"] for each in index["inputs"]] == list(range(1, index["total"] + 1))
    assert [each["file"] for each in index["inputs"] if "file" in each] == list(found)
    return found, index


def message_of(answer: httpx2.Response) -> EmailMessage:
    """Return a multipart answer as the standard library's parser of messages reads it."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    found = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
    assert isinstance(found, EmailMessage)
    return found


def sound_of(wav: bytes) -> bytes:
    """Return what is in a WAV file that says how long it is."""
    with wave.open(io.BytesIO(wav)) as file:
        sound: bytes = file.readframes(file.getnframes())
    assert len(sound) == len(wav) - 44
    return sound


async def test_every_text_is_a_whole_file_in_its_place() -> None:
    async with web([ScriptedEngine()]) as client:
        answer = await asked(client, TEXTS)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="speech.zip"'
    files, index = unzipped(answer.content)
    assert list(files) == ["0001-Dinner-is-ready.wav", "0002-The-soup-gets-cold.wav", "0003-Good-night.wav"]
    assert [sound_of(file) for file in files.values()] == list(map(tone, TEXTS))
    seconds = [len(tone(text)) / 48_000 for text in TEXTS]
    assert index == {
        "id": answer.headers["x-request-id"],
        "total": 3,
        "failed": 0,
        "seconds": pytest.approx(sum(seconds), abs=0.01),
        "inputs": [
            {
                "number": number,
                "text": text,
                "file": name,
                "voice": "tone",
                "seconds": pytest.approx(seconds[number - 1], abs=0.001),
                "cache": "off",
            }
            for number, (text, name) in enumerate(zip(TEXTS, files, strict=True), 1)
        ],
    }


async def test_both_doors_say_the_same() -> None:
    text = "Dinner is ready. The soup gets cold."
    async with web([ScriptedEngine()], **house.AS_SET) as client:
        answer = await asked(client, [text], response_format="pcm")
        async with connect(client.wyoming) as wyoming:
            said = await home_assistant_plain(wyoming, text, {"name": "tone"})
    assert list(unzipped(answer.content)[0].values()) == [said]


@pytest.mark.parametrize("form", ["mp3", "opus", "flac", "wav"])
async def test_files_have_the_format_that_was_asked_for(form: str) -> None:
    async with web([ScriptedEngine()]) as client:
        answer = await asked(client, TEXTS[:1], response_format=form)
    ((name, content),) = unzipped(answer.content)[0].items()
    assert name.endswith(f".{form}")
    heard, said = decoded(content), tone(TEXTS[0])
    assert len(said) // 2 <= len(heard) <= len(said) // 2 + 0.2 * 24_000


async def test_what_a_text_says_of_itself_goes_before_what_is_said_of_all() -> None:
    engine = ScriptedEngine(voices=house.CAST)
    own = {
        "input": "Guten Abend.",
        "voice": {"id": "Vivian"},
        "language": "de",
        "speed": 0.8,
        "name": "evening",
    }
    async with web([engine]) as client:
        answer = await asked(
            client, ["Good evening.", own], voice="Ryan", language="en", instructions="Whisper.", speed=1.5
        )
    told = {utterance.text: utterance for utterance in engine.told}
    first, second = told["Good evening."], told["Guten Abend."]
    assert (first.voice.speaker, first.language, first.speed) == ("Ryan", "en-US", 1.5)
    assert (second.voice.speaker, second.language, second.speed) == ("Vivian", "de-DE", 0.8)
    assert {each.voice.style.instruct for each in (first, second) if each.voice.style} == {"Whisper."}
    assert list(unzipped(answer.content)[0]) == ["0001-Good-evening.wav", "0002-evening.wav"]


async def test_a_multipart_answer_has_a_part_for_every_text_and_the_index() -> None:
    inputs = [TEXTS[0], "This is unspeakable.", {"input": TEXTS[1], "name": "Süppchen"}]
    async with web([ScriptedEngine(picky)]) as client:
        answer = await asked(client, inputs, archive="multipart", response_format="pcm")
    message = message_of(answer)
    assert message.get_content_type() == "multipart/mixed"
    first, failed, second, index = list(message.iter_parts())
    for number, part, text, name in (
        ("1", first, TEXTS[0], "0001-Dinner-is-ready.pcm"),
        ("3", second, TEXTS[1], "0003-Süppchen.pcm"),
    ):
        assert part.get_payload(decode=True) == tone(text)
        assert (part.get_content_type(), part.get_filename()) == ("audio/l16", name)
        assert (part["X-Index"], part["X-Cache"]) == (number, "off")
        assert float(part["X-Audio-Seconds"]) == pytest.approx(len(tone(text)) / 48_000, abs=0.001)
        assert int(part["Content-Length"]) == len(tone(text))
    assert (failed["X-Index"], failed.get_content_type(), failed.get_filename()) == (
        "2",
        "application/json",
        None,
    )
    fault = json.loads(failed.get_content())
    assert fault["error"]["code"] == "cannot-speak"
    assert index.get_filename() == "index.json"
    listed = json.loads(index.get_content())
    assert (listed["total"], listed["failed"], listed["inputs"][1]["error"]) == (3, 1, fault["error"])


async def test_a_text_that_cannot_be_said_is_named_and_the_others_are_said() -> None:
    inputs = [
        "This is unspeakable.",
        "This is odd.",
        "",
        "word " * 50,
        {"input": "Hi.", "voice": "Nobody"},
        TEXTS[0],
    ]
    async with web([ScriptedEngine(picky)], max_text=200) as client:
        answer = await asked(client, inputs)
        progress = (await client.get(f"{PATH}/{answer.headers['x-request-id']}")).json()
    files, index = unzipped(answer.content)
    assert list(files) == ["0006-Dinner-is-ready.wav"]
    assert sound_of(files["0006-Dinner-is-ready.wav"]) == tone(TEXTS[0])
    codes = [each["error"]["code"] for each in index["inputs"] if "error" in each]
    assert codes == ["cannot-speak", "internal-error", "invalid-request", "text-too-long", "voice-not-found"]
    assert [each["voice"] for each in index["inputs"]] == ["tone"] * 4 + ["Nobody", "tone"]
    assert index["failed"] == progress["failed"] == 5
    assert progress["done"] == progress["total"] == 6


async def test_where_nothing_can_be_said_the_answer_is_the_first_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wyoming_qwen3tts.engines.managed.REST", (0.05,))
    async with web([ScriptedEngine(picky)]) as client:
        name = {"X-Request-Id": "mine"}
        wrong = [{"input": "Hi.", "voice": "Nobody"}, "This is unspeakable."]
        answer = await client.post(PATH, json={"inputs": wrong}, headers=name)
        assert (answer.status_code, code_of(answer)) == (400, "voice-not-found")
        answer = await client.post(PATH, json={"inputs": ["This is odd."] * 20}, headers=name)
        assert (answer.status_code, code_of(answer)) == (500, "internal-error")
        progress = (await client.get(f"{PATH}/mine")).json()
        assert (progress["done"], progress["failed"], progress["state"]) == (20, 20, "done")


@pytest.fixture(scope="module")
def refusing() -> Iterator[tuple[str, ScriptedEngine]]:
    """Where a service answers that takes a hundred characters, and its engine."""
    engine, port = ScriptedEngine(), free_port()
    with service_in_thread([engine], http_port=port, max_text=100):
        yield f"http://127.0.0.1:{port}", engine


@pytest.mark.parametrize(
    ("wrong", "status", "code", "words"),
    [
        ({"inputs": []}, 400, "invalid-request", "inputs: List should have at least 1 item"),
        ({"inputs": ["a"] * 1001}, 400, "invalid-request", "inputs: List should have at most 1000 items"),
        ({"inputs": "Hi."}, 400, "invalid-request", "inputs: "),
        ({"inputs": ["Hi.", 3]}, 400, "invalid-request", "inputs: number 2: "),
        (
            {"inputs": ["Hi.", {"text": "Hi."}]},
            400,
            "invalid-request",
            "inputs: number 2: input: Field required",
        ),
        (
            {"inputs": [{"input": "Hi.", "speed": 9}]},
            400,
            "invalid-request",
            "number 1: speed: Input should be",
        ),
        ({"inputs": [{"input": "Hi.", "name": "n" * 201}]}, 400, "invalid-request", "number 1: name: String"),
        (
            {"inputs": ["{x}\ud800"]},
            400,
            "invalid-request",
            "number 1: input: The text contains a lone surrogate",
        ),
        ({"archive": "rar"}, 400, "invalid-request", "archive: Input should be 'zip' or 'multipart'"),
        ({"sample_rate": 16_000, "response_format": "mp3"}, 400, "invalid-request", "mp3 has 24000"),
        ({"model": "gpt-9"}, 404, "model-not-found", "unknown model 'gpt-9'"),
        ({"inputs": ["a" * 100] * 11}, 413, "text-too-long", "1100 characters together; the limit is 1000"),
    ],
)
def test_what_is_wrong_with_all_of_it_is_named_before_anything_is_said(
    refusing: tuple[str, ScriptedEngine], wrong: dict[str, Any], status: int, code: str, words: str
) -> None:
    url, engine = refusing
    body = json.dumps({"inputs": ["Hi."], **wrong}).encode()
    answer = httpx2.post(f"{url}{PATH}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert words in answer.json()["error"]["message"]
    assert engine.said == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dinner is ready.", "Dinner-is-ready"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\Windows\\system32", "C-Windows-system32"),
        ('a"b\r\nX-Evil: 1', "a-b-X-Evil-1"),
        ("\u202egpj.exe\u0000\x1b[31m", "gpj-exe-31m"),
        ("Guten Abend, schöne Grüße!", "Guten-Abend-schöne-Grüße"),
        ("नमस्ते दुनिया", "नमस्ते-दुनिया"),
        ("你好。", "你好"),
        ("…!?", ""),
        ("", ""),
        ("word " * 50, "-".join(["word"] * 8)),
        ("x" * 5000, "x" * MAX_STEM_LENGTH),
        ("\ud800", ""),
    ],
)
def test_a_file_is_called_after_its_first_words_and_nothing_else_is_in_its_name(
    text: str, expected: str
) -> None:
    assert file_stem(text) == expected


async def test_names_are_unique_and_no_paths() -> None:
    names = ["../../etc/passwd", "same", "same", "", "a/b\\c", 'quo"te', "日本"]
    inputs = [{"input": "Hi there.", "name": name} for name in names]
    async with web([ScriptedEngine()]) as client:
        files, _ = unzipped((await asked(client, inputs)).content)
        parts = message_of(await asked(client, inputs, archive="multipart")).iter_parts()
        assert [part.get_filename() for part in parts] == [*files, "index.json"]
    assert list(files) == [
        "0001-etc-passwd.wav",
        "0002-same.wav",
        "0003-same.wav",
        "0004.wav",
        "0005-a-b-c.wav",
        "0006-quo-te.wav",
        "0007-日本.wav",
    ]


def test_an_archive_can_be_unpacked_while_it_arrives() -> None:
    """Sizes stand before the files, and what came so far of an archive without its end is no archive."""
    archive = ZipArchive()
    pieces = [
        b"".join(archive.add(ArchiveMember(f"{n}.txt", "text/plain", BytesContent(bytes([n]) * n))))
        for n in range(3)
    ]
    for number, piece in enumerate(pieces):
        assert piece.endswith(bytes([number]) * number)
        assert int.from_bytes(piece[22:26], "little") == number, "the size is in the local header"
        assert not piece[6] & 0x08, "and not behind the file"
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    with zipfile.ZipFile(io.BytesIO(b"".join([*pieces, archive.finish()]))) as file:
        assert [file.read(f"{n}.txt") for n in range(3)] == [b"", b"\1", b"\2\2"]


@pytest.mark.parametrize("archive", ["zip", "multipart"])
async def test_an_archive_that_breaks_off_cannot_be_taken_for_whole(archive: str) -> None:
    texts = [*TEXTS, "The service is stopping.", "Never said."]
    received = bytearray()

    async def receive(client: Web) -> None:
        body = {"inputs": texts, "archive": archive}
        async with client.stream("POST", PATH, json=body, headers={"X-Request-Id": "mine"}) as answer:
            received.extend(answer.headers["content-type"].encode())
            async for piece in answer.aiter_bytes():
                received.extend(piece)

    async with web([ScriptedEngine(picky)]) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await receive(client)
        progress = (await client.get(f"{PATH}/mine")).json()
    assert tone(TEXTS[0]) in received
    assert progress["state"] == "broken-off"
    if archive == "zip":
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(bytes(received)))
    else:
        boundary = received.partition(b"boundary=")[2][:32]
        assert received.count(b"--" + boundary) == len(TEXTS)
        assert b"--" + boundary + b"--" not in received


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[EncodedFile]:
    """All files that are made, of which one has room for 1000 bytes in memory."""
    made: list[EncodedFile] = []
    begin = EncodedFile.__init__

    def spied(self: EncodedFile, form: Format) -> None:
        begin(self, form)
        made.append(self)

    monkeypatch.setattr(encoded_file, "IN_MEMORY", 1000)
    monkeypatch.setattr(EncodedFile, "__init__", spied)
    return made


async def closed(files: list[EncodedFile]) -> None:
    """Wait until all files are closed."""
    async with asyncio.timeout(HANG):
        while not all(file._file._file.closed for file in files):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("archive", ["zip", "multipart"])
async def test_files_are_on_disk_and_gone_when_they_are_sent(archive: str, files: list[EncodedFile]) -> None:
    async with web([ScriptedEngine()]) as client:
        answer = await asked(client, TEXTS, archive=archive)
        await closed(files)
    assert all(file.on_disk for file in files)
    assert len(files) == len(TEXTS)
    assert all(tone(text) in answer.content for text in TEXTS)


async def test_no_file_is_left_by_a_client_that_leaves(files: list[EncodedFile]) -> None:
    engine = Gated()
    engine.let_go(*COUNTED[:3], *COUNTED[4:])
    async with web([engine]) as client:
        async with client.stream("POST", PATH, json={"inputs": COUNTED}) as answer:
            pieces = answer.aiter_bytes()
            await anext(pieces)
            await engine.until(going=1, begun=MAX_PREPARED + 3)
        await engine.until(going=0, begun=MAX_PREPARED + 3)
        await closed(files)
    assert len(files) > 3, "some were waiting for their turn"


async def test_a_text_with_too_much_sound_for_a_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_response, "MAX_FILE_SECONDS", 1.0)
    async with web([ScriptedEngine()]) as client:
        content = (await asked(client, ["Hi there.", "word " * 20])).content
    files, index = unzipped(content)
    assert list(files) == ["0001-Hi-there.wav"]
    assert index["inputs"][1]["error"]["code"] == "answer-too-long"


class Gated(ScriptedEngine):
    """An engine whose utterances end when they are let go, and that knows how many go on."""

    def __init__(self) -> None:
        super().__init__(self._gated)
        self.gates: dict[str, asyncio.Event] = {}
        self.going = 0
        self.most = 0
        self.changed = asyncio.Condition()

    def let_go(self, *texts: str) -> None:
        for text in texts:
            self.gates.setdefault(text, asyncio.Event()).set()

    async def until(self, going: int, begun: int) -> None:
        """Wait until so many texts go on, of so many that were begun."""
        async with asyncio.timeout(HANG), self.changed:
            await self.changed.wait_for(lambda: (self.going, len(self.said)) == (going, begun))

    async def _gated(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        await self._count(1)
        try:
            await self.gates.setdefault(utterance.text, asyncio.Event()).wait()
            yield tone(utterance.text)
        finally:
            await self._count(-1)

    async def _count(self, change: int) -> None:
        self.going += change
        self.most = max(self.most, self.going)
        async with self.changed:
            self.changed.notify_all()


NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()
COUNTED = [f"It is {number}." for number in NUMBERS]


async def test_a_few_are_spoken_at_a_time_and_few_wait_for_their_turn() -> None:
    engine = Gated()
    async with web([engine]) as client, asyncio.TaskGroup() as group:
        answering = group.create_task(asked(client, COUNTED, response_format="pcm"))
        await engine.until(going=MAX_CONCURRENT, begun=MAX_CONCURRENT)
        engine.let_go(*COUNTED[1:])  # all but the first, which the others wait for
        await engine.until(going=1, begun=MAX_PREPARED)
        assert engine.said == COUNTED[:MAX_PREPARED]
        engine.let_go(COUNTED[0])
        files, _ = unzipped((await answering).content)
    assert list(files.values()) == list(map(tone, COUNTED))
    assert engine.most == MAX_CONCURRENT


async def test_what_is_in_memory_is_no_more_than_one_text_may_be() -> None:
    engine = Gated()
    async with web([engine], max_text=25) as client, asyncio.TaskGroup() as group:
        answering = group.create_task(asked(client, COUNTED[:4], response_format="pcm"))
        await engine.until(going=2, begun=2)  # of ten characters each
        engine.let_go(COUNTED[1])
        await engine.until(going=1, begun=2)
        engine.let_go(COUNTED[0])
        await engine.until(going=2, begun=4)
        engine.let_go(*COUNTED)
        files, _ = unzipped((await answering).content)
    assert list(files.values()) == list(map(tone, COUNTED[:4]))


async def test_it_is_told_how_far_a_batch_is_while_it_goes_on() -> None:
    engine = Gated()
    async with web([engine]) as client:
        engine.let_go(TEXTS[0])
        name = {"X-Request-Id": "my_batch-1"}
        async with client.stream("POST", PATH, json={"inputs": TEXTS[:2]}, headers=name) as answer:
            assert answer.headers["x-request-id"] == "my_batch-1"
            progress = await client.get(f"{PATH}/my_batch-1")
            assert progress.json() == {
                "id": "my_batch-1",
                "total": 2,
                "done": 1,
                "failed": 0,
                "seconds": pytest.approx(len(tone(TEXTS[0])) / 48_000, abs=0.001),
                "state": "running",
            }
            again = await client.post(PATH, json={"inputs": TEXTS}, headers=name)
            assert (again.status_code, code_of(again)) == (409, "duplicate-id")
            engine.let_go(TEXTS[1])
            files, _ = unzipped(await answer.aread())
        assert len(files) == 2
        progress = await client.get(f"{PATH}/my_batch-1")
        assert (progress.json()["done"], progress.json()["state"]) == (2, "done")
        again = await client.post(PATH, json={"inputs": TEXTS[:1]}, headers=name)
        assert again.status_code == 200


async def test_a_batch_that_nobody_knows_and_a_name_that_is_none_are_errors() -> None:
    async with web([ScriptedEngine()]) as client:
        unknown = await client.get(f"{PATH}/nobody")
        assert (unknown.status_code, code_of(unknown)) == (404, "not-found")
        for name in ("a b", "", "x" * 65, "../x"):
            answer = await client.post(PATH, json={"inputs": ["Hi."]}, headers={"X-Request-Id": name})
            assert (answer.status_code, code_of(answer)) == (400, "invalid-request")


def test_the_last_batches_are_remembered_and_all_that_go_on() -> None:
    batches = BatchRegistry()
    for number in range(3 * HISTORY_SIZE):
        batches.begin(str(number), 1).state = DONE
    going = [batches.begin(f"going {number}", 1) for number in range(2 * HISTORY_SIZE)]
    found = [number for number in range(3 * HISTORY_SIZE) if batches.find(str(number))]
    assert found == list(range(2 * HISTORY_SIZE + 1, 3 * HISTORY_SIZE))
    assert all(batches.find(each.id) is each for each in going)
    with pytest.raises(SpeechError, match="'going 3' is running"):
        batches.begin("going 3", 1)
    assert batches.find("going 3") is going[3]


@pytest.mark.parametrize("begun", [True, False])
async def test_a_client_that_leaves_ends_the_work(begun: bool) -> None:
    engine = Gated()
    if begun:
        engine.let_go(COUNTED[0])
    async with web([engine]) as client:

        async def listen() -> None:
            headers = {"X-Request-Id": "left"}
            async with client.stream("POST", PATH, json={"inputs": COUNTED}, headers=headers) as answer:
                async for _ in answer.aiter_bytes():
                    pass

        listening = asyncio.create_task(listen())
        await engine.until(going=MAX_CONCURRENT, begun=MAX_CONCURRENT + begun)
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        await engine.until(going=0, begun=MAX_CONCURRENT + begun)
        progress = (await client.get(f"{PATH}/left")).json()
        assert (progress["state"], progress["done"]) == ("broken-off", int(begun))


@pytest.mark.parametrize(
    ("stuck", "expected"),
    [
        ("http.response.start", ["http.response.start", "closed"]),
        ("http.response.body", ["http.response.start", "begun", "http.response.body", "ended", "closed"]),
    ],
)
async def test_who_makes_an_answer_is_told_that_nobody_wants_it_even_if_it_was_never_begun(
    stuck: str, expected: list[str]
) -> None:
    told = list[str]()
    waiting = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            told.append("begun")
            yield b""
        finally:
            told.append("ended")

    async def close() -> None:
        told.append("closed")

    async def receive() -> dict[str, Any]:
        await waiting.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message["type"])
        if message["type"] == stuck:
            waiting.set()
            await asyncio.sleep(HANG)

    await ClosingStreamingResponse(pieces(), "text/plain", {}, close)(
        {"type": "http", "asgi": {}}, receive, send
    )
    assert told == expected


async def test_every_text_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with web([ScriptedEngine(picky)]) as client:
        await asked(client, [TEXTS[0], "This is unspeakable."])
    outcomes = [record.fields["outcome"] for record in caplog.records if hasattr(record, "fields")]
    assert sorted(outcomes) == ["cannot-speak", "ok"]
