"""``ref_audio``: a recording inside a request is checked, cloned for that request, and kept nowhere."""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile

from tests.house import CAST, ScriptedEngine, tone
from tests.recordings import RATE, speech
from tests.test_register import Cloner
from tests.web import Web, code_of, web
from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.server.http import reference_audio
from wyoming_qwen3tts.voices import recording as recordings

TEXT = "Dinner is ready."
SAID = "The washing machine has finished, and the door is open."


def recording(seconds: float = 6, kind: str = "WAV", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, speech(seconds, rate=rate), rate, format=kind)
    return file.getvalue()


def encoded(data: bytes, header: str = "data:audio/wav;base64,") -> str:
    return header + base64.b64encode(data).decode()


async def ask(client: Web, audio: str, **more: Any) -> httpx2.Response:
    body = {"input": TEXT, "response_format": "pcm", "ref_audio": audio, **more}
    return await client.post("/v1/audio/speech", json=body)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which a test's temporary files are."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
@pytest.mark.parametrize(
    "header", ["data:audio/wav;base64,", "", "data:;base64,", 'data:audio/ogg;codecs="opus";base64,']
)
async def test_the_voice_of_the_recording_speaks_the_request(kind: str, header: str) -> None:
    engine = Cloner()
    async with web([engine]) as client:
        answer = await ask(client, encoded(recording(kind=kind), header), ref_text=SAID, language="German")
        again = await client.post("/v1/audio/speech", json={"input": TEXT, "response_format": "pcm"})
    assert (answer.status_code, answer.content) == (200, tone(TEXT))
    cloned, plain = engine.told
    assert cloned.voice.reference is not None
    assert cloned.voice.reference.transcript == SAID
    assert cloned.language == "de"
    assert again.status_code == 200
    assert plain.voice.reference is None, "only that request is spoken by it"


async def test_base64_may_have_line_breaks_and_a_voice_s_name_beside_it_is_not_asked_for() -> None:
    engine = Cloner()
    lines = base64.encodebytes(recording()).decode()
    async with web([engine]) as client:
        answer = await ask(client, lines, voice="alloy", task_type="Base")
    assert answer.status_code == 200
    assert engine.told[0].voice.name.startswith("ref_audio ")


async def test_the_engine_gets_a_prepared_recording_that_is_gone_afterwards(temporary: Path) -> None:
    found = []

    class Listening(Cloner):
        def speak(self, utterance: Any) -> Any:
            found.append(soundfile.read(utterance.voice.reference.path, dtype="int16"))
            return super().speak(utterance)

    async with web([Listening()]) as client:
        for _ in range(2):
            assert (await ask(client, encoded(recording(rate=48_000)), ref_text=SAID)).status_code == 200
        async with client.stream(
            "POST", "/v1/audio/speech", json={"input": TEXT, "ref_audio": encoded(recording(kind="FLAC"))}
        ) as answer:
            assert answer.status_code == 200  # and it leaves
    (samples, rate), again = found[:2]
    assert (rate, samples.ndim) == (24_000, 1)
    assert np.array_equal(samples, again[0])
    assert list(temporary.glob("ref-audio-*")) == []


async def test_the_same_recording_is_prepared_once_and_has_one_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, prepared = Cloner(), []
    original = recordings.prepare

    def prepare(path: Path, transcript: str) -> recordings.PreparedRecording:
        prepared.append(transcript)
        return original(path, transcript)

    monkeypatch.setattr(recordings, "prepare", prepare)
    async with web([engine]) as client:
        for transcript in (SAID, SAID, ""):
            await ask(client, encoded(recording()), ref_text=transcript)
    digests = [each.voice.reference.digest for each in engine.told if each.voice.reference is not None]
    assert digests[0] == digests[1] != digests[2]
    assert prepared == [SAID, ""]


async def test_x_vector_only_mode_leaves_the_transcript_out() -> None:
    engine = Cloner()
    async with web([engine]) as client:
        assert (
            await ask(client, encoded(recording()), ref_text=SAID, x_vector_only_mode=True)
        ).status_code == 200
    assert engine.told[0].voice.reference is not None
    assert engine.told[0].voice.reference.transcript == ""


@pytest.mark.parametrize(
    ("audio", "says"),
    [
        (
            "https://example.org/voice.wav",
            "is an address ('https://example.org/voice.wav'), which is not fetched",
        ),
        ("file:///etc/passwd", "is an address"),
        ("/etc/passwd", "is not base64"),
        ("../voice.wav", "is an address"),
        ("~/voice.wav", "is an address"),
        ("data:audio/wav,RIFF", "the data URL is not base64"),
        ("data:audio/wav;base64,***", "is not base64"),
        ("UklGRg=", "is not base64"),
        ("data:audio/wav;base64,", "is empty"),
        (encoded(b"%PDF-1.4" + bytes(600)), "is a document (PDF), not a recording"),
        (encoded(recording(1)), "has 1.0 s of audio, and at least 3 s are needed"),
        (encoded(recording(6, rate=8000)), "telephone quality"),
    ],
)
async def test_what_is_no_recording_is_an_error_that_says_why(audio: str, says: str, temporary: Path) -> None:
    engine = Cloner()
    async with web([engine]) as client:
        answer = await ask(client, audio)
    assert (answer.status_code, code_of(answer)) == (400, "bad-ref-audio")
    assert answer.json()["error"]["param"] == "ref_audio"
    assert says in answer.json()["error"]["message"]
    assert engine.said == []
    assert list(temporary.iterdir()) == []


async def test_a_recording_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with web([Cloner()]) as client:
        many = await ask(client, "A" * (reference_audio.MAX_ENCODED_LENGTH + 2_000_000))
        monkeypatch.setattr(reference_audio, "MAX_BYTES", 1000)
        large = await ask(client, encoded(recording()))
    assert many.status_code == 413
    assert (large.status_code, code_of(large)) == (400, "bad-ref-audio")


@pytest.mark.parametrize("engine", [ScriptedEngine(), Cloner(refuses="there is no Base checkpoint here")])
async def test_without_a_base_checkpoint_it_is_refused(engine: ScriptedEngine) -> None:
    async with web([engine]) as client:
        answer = await ask(client, encoded(recording()))
    assert (answer.status_code, code_of(answer)) == (409, "not-possible")
    assert "Base checkpoint" in answer.text
    assert engine.said == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"ref_text": SAID}, "ref_text needs ref_audio"),
        ({"x_vector_only_mode": True}, "x_vector_only_mode needs ref_audio"),
        ({"task_type": "Base"}, 'task_type: "Base" needs ref_audio'),
        ({"ref_audio": "AAAA", "task_type": "CustomVoice"}, "the others exclude it"),
        ({"ref_audio": "AAAA", "style": "calm"}, "has no styles"),
    ],
)
async def test_fields_that_contradict_each_other_are_an_error(fields: dict[str, Any], says: str) -> None:
    async with web([Cloner()]) as client:
        answer = await client.post("/v1/audio/speech", json={"input": TEXT, **fields})
    assert (answer.status_code, code_of(answer)) == (400, "invalid-request")
    assert says in answer.json()["error"]["message"]


async def test_nobody_else_speaks_where_the_clone_cannot() -> None:
    class Failing(Cloner):
        async def speak(self, utterance: Any) -> Any:
            raise EngineUnavailableError("it is away")
            yield b""

    spare = ScriptedEngine(voices=[CAST[3]])
    spare.name = "spare"
    async with web([Failing(), spare]) as client:
        answer = await ask(client, encoded(recording()))
    assert answer.status_code == 503
    assert spare.said == []


async def test_ssml_may_name_other_voices_inside_the_clone_s_text() -> None:
    engine = Cloner()
    ssml = '<speak>Hello. <voice name="Vivian">Good day.</voice> <lang xml:lang="de">Hallo.</lang></speak>'
    async with web([engine]) as client:
        assert (await ask(client, encoded(recording()), input=ssml)).status_code == 200
    names = [each.voice.name.split()[0] for each in engine.told]
    assert names == ["ref_audio", "Vivian", "ref_audio"]
