"""Sample rates and G.711: what telephone exchanges play, streamed and whole."""

from __future__ import annotations

import io
import json
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from websockets.asyncio.client import connect as connect_socket

from tests.house import ScriptedEngine, tone
from tests.web import code_of, web
from wyoming_qwen3tts.audio.formats import FORMATS
from wyoming_qwen3tts.speech import SAMPLE_RATE

SECONDS = 3
HERTZ = 440
TIMES = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
SINE = (12_000 * np.sin(2 * np.pi * HERTZ * TIMES)).astype("<i2").tobytes()
ANY_RATE = ["wav", "pcm", "flac", "mulaw", "alaw", "wav_mulaw", "wav_alaw"]
RATES = [8000, 11_025, 16_000, 22_050, 44_100, 48_000]
Samples = NDArray[np.float64]


def encoded(name: str, rate: int, pcm: bytes = SINE, *, piece: int = 3840, whole: bool = False) -> bytes:
    """Return ``pcm`` in a format and rate, given to the encoder in pieces of so many bytes."""
    file = io.BytesIO()
    encoder = FORMATS[name].at(rate).encoder(file if whole else None)
    for at in range(0, len(pcm), piece):
        file.write(encoder.push(pcm[at : at + piece]))
    file.write(encoder.finish())
    return file.getvalue()


def decoded(name: str, data: bytes, rate: int) -> Samples:
    """Return the samples of a file, of full scale 1, as FFmpeg reads them at the rate that it states."""
    raw = {"pcm": "s16le", "mulaw": "mulaw", "alaw": "alaw"}
    options = {"sample_rate": str(rate)} if name in raw else {}
    with av.open(io.BytesIO(data), "r", format=raw.get(name), options=options) as file:
        stream = file.streams.audio[0]
        assert (stream.rate, stream.channels) == (rate, 1)
        frames = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
    return np.concatenate(frames).astype(float) / 32_768


def snr(samples: Samples, rate: int) -> float:
    """Return how far the sine stands over everything else, in dB; its ends are left out."""
    inner = samples[rate // 4 : -rate // 4]
    times = np.arange(len(inner)) / rate
    basis = np.stack([np.sin(2 * np.pi * HERTZ * times), np.cos(2 * np.pi * HERTZ * times)])
    found = (inner @ basis.T) @ basis * 2 / len(inner)
    return float(10 * np.log10((found**2).mean() / ((inner - found) ** 2).mean()))


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", ANY_RATE)
def test_every_rate_of_a_format_is_the_same_sound_at_its_rate(name: str, rate: int, whole: bool) -> None:
    heard = decoded(name, encoded(name, rate, whole=whole), rate)
    assert len(heard) == pytest.approx(SECONDS * rate, abs=2)
    assert snr(heard, rate) > (30 if "law" in name else 75), "G.711 has about 38 dB"


@pytest.mark.parametrize("name", ANY_RATE)
@pytest.mark.parametrize("piece", [2, 480, 1922, 96_000])
def test_the_edges_of_pieces_leave_no_trace(name: str, piece: int) -> None:
    pcm = SINE[: SAMPLE_RATE if piece == 2 else len(SINE)]
    heard = decoded(name, encoded(name, 8000, pcm, piece=piece), 8000)
    at_once = decoded(name, encoded(name, 8000, pcm, piece=len(pcm)), 8000)
    assert len(heard) == len(at_once)
    step = 2 / 32_768 if "law" not in name else 0.03
    assert np.abs(heard - at_once).max() <= step
    assert np.abs(np.diff(heard)).max() <= 1.1 * np.abs(np.diff(at_once)).max(), "a click"


@pytest.mark.parametrize(
    ("name", "subtype"), [("wav_mulaw", "ULAW"), ("wav_alaw", "ALAW"), ("wav", "PCM_16")]
)
def test_a_wav_file_states_its_coding_and_rate(name: str, subtype: str) -> None:
    for whole in (False, True):
        found = soundfile.info(io.BytesIO(encoded(name, 8000, whole=whole)))
        assert (found.format, found.subtype, found.samplerate, found.channels) == ("WAV", subtype, 8000, 1)
    assert found.frames == SECONDS * 8000


def test_loud_speech_is_clipped_and_not_wrapped() -> None:
    square = (np.sign(np.sin(2 * np.pi * 200 * TIMES)) * 32_767).astype("<i2")
    heard = decoded("pcm", encoded("pcm", 16_000, square.tobytes()), 16_000)
    assert np.abs(np.diff(np.sign(heard[np.abs(heard) > 0.9]))).sum() <= 2 * 2 * 200 * SECONDS


async def answer_of(body: dict[str, Any], engine: ScriptedEngine | None = None) -> Any:
    async with web([engine or ScriptedEngine()]) as client:
        return await client.post("/v1/audio/speech", json={"input": "Dinner is ready.", **body})


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("form", "rate", "kind"),
    [
        ("mulaw", None, "audio/PCMU; rate=8000"),
        ("alaw", None, "audio/PCMA; rate=8000"),
        ("mulaw", 16_000, "audio/PCMU; rate=16000"),
        ("wav_mulaw", None, "audio/wav"),
        ("wav_alaw", None, "audio/wav"),
        ("pcm", 8000, "audio/L16; rate=8000; channels=1"),
        ("wav", 16_000, "audio/wav"),
        ("flac", 48_000, "audio/flac"),
        ("wav", 24_000, "audio/wav"),
        ("mp3", 24_000, "audio/mpeg"),
    ],
)
async def test_a_request_gets_the_rate_and_format_it_names(
    form: str, rate: int | None, kind: str, stream: bool
) -> None:
    asked = {"response_format": form, "stream": stream} | ({"sample_rate": rate} if rate else {})
    answer = await answer_of(asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == kind
    if form != "mp3":
        heard = decoded(form, answer.content, rate or 8000)
        assert len(heard) / (rate or 8000) == pytest.approx(len(tone("Dinner is ready.")) / 48_000, abs=0.001)
    assert ("content-length" in answer.headers) is not stream


@pytest.mark.parametrize("rate", [0, -1, 7999, 48_001, 8000.5, "8000", True])
async def test_a_rate_out_of_range_is_an_error_that_names_the_field(rate: object) -> None:
    answer = await answer_of({"response_format": "wav", "sample_rate": rate})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "sample_rate")


@pytest.mark.parametrize("form", ["mp3", "opus", "aac"])
async def test_a_format_with_one_rate_refuses_another(form: str) -> None:
    answer = await answer_of({"response_format": form, "sample_rate": 16_000})
    assert (answer.status_code, code_of(answer)) == (400, "invalid-request")
    assert f"{form} has 24000 samples a second; other rates have wav, flac" in answer.text


@pytest.mark.parametrize(
    "field",
    [
        "samplerate",
        "sampleRate",
        "rate",
        "encoding",
        "container",
        "pitch",
        "volume",
        "emotion",
        "lang",
        "speaker",
    ],
)
async def test_an_unknown_field_is_an_error_that_names_it(field: str) -> None:
    engine = ScriptedEngine()
    answer = await answer_of({field: 1}, engine)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    assert "unknown field" in answer.text
    assert engine.said == []


async def test_an_unknown_field_of_an_item_or_a_message_is_an_error() -> None:
    async with (
        web([ScriptedEngine()]) as client,
        connect_socket(f"ws://127.0.0.1:{client.port}/v1/audio/speech/ws", compression=None) as socket,
    ):
        batch = {"inputs": ["Hi.", {"input": "Ho.", "pitch": 2}]}
        answer = await client.post("/v1/audio/speech/batch", json=batch)
        await socket.send(json.dumps({"type": "speech.speak", "input": "Hi.", "pitch": 2}))
        message = json.loads(await socket.recv())
    assert answer.status_code == 400
    assert "number 2: pitch: unknown field" in answer.text
    assert (message["type"], message["error"]["param"]) == ("error", "pitch")


@pytest.mark.parametrize("field", ["user", "metadata", "service_tier", "backend"])
async def test_fields_that_change_no_sound_are_ignored(field: str) -> None:
    assert (await answer_of({field: "x"})).status_code == 200


async def test_a_websocket_sends_telephone_audio_and_states_its_rate() -> None:
    async with (
        web([ScriptedEngine()]) as client,
        connect_socket(f"ws://127.0.0.1:{client.port}/v1/audio/speech/ws", compression=None) as socket,
    ):
        await socket.send(
            json.dumps({"type": "speech.speak", "input": "Hi there.", "response_format": "alaw"})
        )
        sound, kinds = b"", {}
        while "speech.done" not in kinds:
            if isinstance(message := await socket.recv(), bytes):
                sound += message
            else:
                kinds[json.loads(message)["type"]] = json.loads(message)
    assert kinds["speech.started"]["sample_rate"] == 8000
    assert kinds["speech.started"]["response_format"] == "alaw"
    assert len(sound) == pytest.approx(len(tone("Hi there.")) / 6, abs=2)


async def test_a_batch_holds_telephone_files_with_their_ending() -> None:
    async with web([ScriptedEngine()]) as client:
        answer = await client.post(
            "/v1/audio/speech/batch", json={"inputs": ["Press one."], "response_format": "mulaw"}
        )
    assert b"1-press-one.ulaw" in answer.content.lower()


async def test_aac_without_its_library_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    answer = await answer_of({"response_format": "aac"})
    assert (answer.status_code, code_of(answer)) == (409, "not-possible")
    assert "pip install 'wyoming-qwen3tts[aac]'" in answer.text
