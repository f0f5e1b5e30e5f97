"""Custom voices, from the commands that create them to the audio that a client gets."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sqlite3
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from wyoming.info import Describe, Info, TtsVoice
from wyoming.tts import SynthesizeVoice

from tests import house
from tests.qwen3 import checkpoints
from tests.qwen3.official import Official
from tests.qwen3.test_service import until
from tests.web import free_port
from wyoming_qwen3tts.engines.qwen3 import clones
from wyoming_qwen3tts.engines.qwen3.prompt import Clone, Speech
from wyoming_qwen3tts.engines.qwen3.sampling import Sampling
from wyoming_qwen3tts.speech import Reference
from wyoming_qwen3tts.voices.recording import prepare
from wyoming_qwen3tts.voices.store import CustomVoiceStore

SAID = "Front door open, and the window too."
"""What is said in the recording."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint of each kind."""
    place = tmp_path_factory.mktemp("models")
    return {kind: checkpoints.make(place / kind, kind) for kind in ("custom_voice", "base", "voice_design")}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of some six seconds of speech, 22.05 kHz."""
    path = tmp_path_factory.mktemp("recording") / "aunt.wav"
    import subprocess

    text = f"{SAID} The kettle is on, supper is nearly ready, and the cat would like to come in."
    subprocess.run(["espeak-ng", "-v", "en-us", "-w", str(path), text], check=True)
    return path


@asynccontextmanager
async def serving(data: Path, *models: Path, **settings: Any) -> AsyncIterator[str]:
    """Run a service with the custom voices in ``data``; yield its URI."""
    asked = {"data_dir": data, "espeak_languages": "none", "device": "cpu", **house.AS_IT_IS, **settings}
    async with house.service(None, model=tuple(map(str, models)), **asked) as uri:
        yield uri


async def listed(uri: str) -> dict[str, TtsVoice]:
    async with house.connect(uri) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
    assert event is not None
    return {voice.name: voice for voice in Info.from_event(event).tts[0].voices}


async def said(uri: str, text: str, **voice: str) -> bytes:
    async with house.connect(uri) as client:
        return await house.home_assistant_plain(client, text, SynthesizeVoice(**voice))


async def voices(*arguments: str, data: Path | None = None) -> tuple[int, str, str]:
    """Run ``wyoming-qwen3tts voices``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wyoming_qwen3tts", "voices", *arguments),
        *(["--data-dir", str(data)] if data is not None else []),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    output, errors = await asyncio.wait_for(process.communicate(), house.HANG * 3)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


# ------------------------------------------------------------------ clones


async def test_a_voice_is_added_heard_and_removed_while_the_service_runs(
    models: dict[str, Path], recording: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with serving(data, models["custom_voice"], models["base"]) as uri:
        assert "Aunt May" not in await listed(uri)
        status, _, errors = await voices(
            "add", "Aunt May", str(recording), "--description", "from next door", "--uri", uri, data=data
        )
        assert status == 0, errors
        assert f"Aunt May is in {data}, without a transcript" in errors
        assert 'to hear it: wyoming-qwen3tts voices test "Aunt May"' in errors
        may = (await listed(uri))["Aunt May"]
        assert "from next door" in (may.description or "")
        assert len(may.languages) == 10
        first = await said(uri, "Supper is ready.", name="aunt may")
        assert await said(uri, "Supper is ready.", name="Aunt_May") == first  # the same voice, the same sound
        assert await said(uri, "Supper is ready.", name="Ryan") != first
        output = tmp_path / "may.wav"
        status, _, errors = await voices("test", "aunt may", "--output", str(output), "--uri", uri, data=data)
        assert status == 0, errors
        with wave.open(str(output)) as file:
            assert file.getnframes() > 24_000
        status, table, _ = await voices("--uri", uri, data=data)
        assert "Aunt May" in table
        status, _, errors = await voices("remove", "AUNT MAY", data=data)
        assert (status, errors) == (0, "AUNT MAY is removed, and everything computed from it\n")
        assert "Aunt May" not in await listed(uri)
        assert not [path for path in data.rglob("*") if path.is_file()]


async def test_nothing_of_what_a_removed_voice_said_stays(
    models: dict[str, Path], recording: Path, tmp_path: Path
) -> None:
    kept = {"cache_memory": 1.0, "cache_disk": 10.0}
    CustomVoiceStore(tmp_path).add("May", recording)
    async with serving(tmp_path, models["base"], **kept) as uri:
        await said(uri, "Supper is ready.", name="May")
        await said(uri, "Supper is ready.", name="heart")
        CustomVoiceStore(tmp_path).remove("May")
        await listed(uri)
    with sqlite3.connect(tmp_path / "cache.sqlite") as database:
        assert database.execute("SELECT DISTINCT voice FROM entries").fetchall() == [("heart",)]
    CustomVoiceStore(tmp_path).add("May", recording)
    async with serving(tmp_path, models["base"], **kept) as uri:
        await said(uri, "Supper is ready.", name="May")
    status, _, errors = await voices("remove", "MAY", data=tmp_path)
    assert status == 0, errors
    with sqlite3.connect(tmp_path / "cache.sqlite") as database:
        assert database.execute("SELECT DISTINCT voice FROM entries").fetchall() == [("heart",)]


async def test_a_recording_that_somebody_drops_there_is_a_voice(
    models: dict[str, Path], recording: Path, base: Official, tmp_path: Path
) -> None:
    home = tmp_path / "data" / "voices" / "Großmutter"
    async with serving(tmp_path / "data", models["base"]) as uri:
        home.mkdir(parents=True)
        shutil.copy(recording, home)
        (home / "voice.toml").write_text('language = "de"\nseed = 5\n')
        assert (await listed(uri))["Großmutter"].languages[0] == "de-DE"
        sound = await said(uri, "Guten Abend.", name="grossmutter")
        # What the official package says with the prepared recording:
        (reference,) = (tmp_path / "data" / "references").glob("*.wav")
        (item,) = base.tts.create_voice_clone_prompt(
            (clones.read_samples(reference), 24_000), x_vector_only_mode=True
        )
        speech = Speech("Guten Abend.", "german", clone=Clone(item.ref_spk_embedding, "x"))
        _, expected = base.codes(speech, Sampling(), 5, 300)
        got = np.frombuffer(sound, "<i2") / 32767
        assert len(got) == len(expected)
        assert np.abs(got - expected).max() < 1e-3


async def test_a_recording_in_a_request_is_cloned_as_the_official_package_does(
    models: dict[str, Path], recording: Path, base: Official, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = clones.create_clone

    def note(found: Any, samples: Any, reference: Reference) -> Clone:
        made.append(reference.digest)
        return make(found, samples, reference)

    monkeypatch.setattr(clones, "create_clone", note)
    port = free_port()
    audio = base64.b64encode(recording.read_bytes()).decode()
    asked = {"input": "Guten Abend.", "language": "German", "response_format": "pcm", "ref_audio": audio}
    async with (
        serving(tmp_path / "data", models["base"], http_port=port),
        httpx2.AsyncClient(timeout=house.HANG) as client,
    ):
        answers = [
            await client.post(f"http://127.0.0.1:{port}/v1/audio/speech", json=asked) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(made) == 1, "the second request finds the prompt in the cache"
    (item,) = base.tts.create_voice_clone_prompt(
        (prepare(recording).samples.astype(np.float32) / np.float32(32_768), 24_000), x_vector_only_mode=True
    )
    speech = Speech("Guten Abend.", "german", clone=Clone(item.ref_spk_embedding, "x"))
    _, expected = base.codes(speech, Sampling(), 0, 300)
    for answer in answers:
        got = np.frombuffer(answer.content, "<i2") / 32767
        assert len(got) == len(expected)
        assert np.abs(got - expected).max() < 1e-3


async def test_a_clone_is_offered_first_in_its_own_language_only(
    models: dict[str, Path], recording: Path, tmp_path: Path
) -> None:
    store = CustomVoiceStore(tmp_path)
    store.add("Aunt May", recording, language="en")
    store.add("Aunt Zoe", recording)
    async with serving(tmp_path, models["custom_voice"], models["base"]) as uri:
        names = await listed(uri)
    found = list(names.values())
    assert house.offered(found, "en-US")[:5] == ["Aiden", "Aunt May", "Aunt Zoe", "heart", "Ryan"]
    chinese = house.offered(found, "zh-CN")
    assert chinese[:4] == ["Aunt Zoe", "Serena", "Uncle Fu", "Vivian"]
    assert "Aunt May · 中文" in chinese
    assert (names["Aunt May · 中文"].description or "").startswith("also Aunt May: 中文 (cloned, ")
    assert len(names["Aunt Zoe"].languages) == 10


async def test_a_second_start_loads_the_clone_without_the_encoder(
    models: dict[str, Path], recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    CustomVoiceStore(data).add("May", recording, transcript="")
    sounds = []
    for start in range(2):
        async with serving(data, models["base"]) as uri:
            sounds.append(await said(uri, "Supper is ready.", name="May"))
        if start == 0:

            def never(*_: object) -> Clone:
                raise AssertionError("the encoder was asked")

            monkeypatch.setattr(clones, "create_clone", never)
    assert sounds[0] == sounds[1]


async def test_a_voice_whose_recording_vanishes_is_an_error_and_the_others_go_on(
    models: dict[str, Path], recording: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    store = CustomVoiceStore(data)
    store.add("May", recording)
    async with serving(data, models["custom_voice"], models["base"]) as uri:
        assert "May" in await listed(uri)
        await until(lambda: any((data / "prompts").glob("*.safetensors")))
        shutil.rmtree(data / "prompts")
        shutil.rmtree(data / "references")
    async with serving(data, models["custom_voice"], models["base"]) as uri:
        # Its recording is still there: it is prepared anew.
        assert await said(uri, "Hi.", name="May")
    shutil.rmtree(data / "prompts")
    async with serving(data, models["custom_voice"], models["base"]) as uri:
        shutil.rmtree(data / "references")
        shutil.rmtree(data / "voices")
        assert await said(uri, "Hi.", name="Ryan")
        assert "May" not in await listed(uri)


async def test_the_log_says_which_models_there_are_whoever_speaks_by_default(
    models: dict[str, Path], recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    CustomVoiceStore(tmp_path).add("May", recording)
    async with serving(tmp_path, models["custom_voice"], models["base"], voice="May", fallback=False) as uri:
        may = (await listed(uri))["May"]
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("voice: ")]
    base = may.attribution.name
    assert f'default="May (cloned, {base})" reason=' in line
    assert line.endswith(f', and {base} when needed"')
    assert " is loaded on cpu (" in line


async def test_without_a_base_checkpoint_the_log_says_what_a_clone_needs(
    models: dict[str, Path], recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    CustomVoiceStore(tmp_path).add("May", recording)
    async with serving(tmp_path, models["custom_voice"]) as uri:
        assert "May" not in await listed(uri)
        assert "cloned voices need a Base checkpoint, such as --model Qwen/Qwen3-TTS" in caplog.text
        assert await said(uri, "Hi.", name="Ryan")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("May", b"", "may.wav"),
        ("May", b"\x7fELF" + bytes(1000), "may.wav"),
        ("May", b"\0\0\0\x18ftypmp42" + bytes(1000), "video"),
        ("../May", None, "May"),
        ("/etc/May", None, "May"),
        ("ryan", None, "there is a voice 'Ryan' already"),
    ],
)
async def test_what_cannot_be_a_voice_is_one_line(
    recording: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / "may.wav"
    path.write_bytes(recording.read_bytes() if content is None else content)
    status, output, errors = await voices("add", name, str(path), data=tmp_path / "data")
    assert (status, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert {entry.name for entry in tmp_path.iterdir()} <= {"may.wav", "data"}


# ------------------------------------------------------------------ designs


async def test_a_voice_is_designed_once_and_stays(models: dict[str, Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    status, _, errors = await voices(
        *("design", "Nan", "a warm, slow grandmother", "--seed", "3", "--device", "cpu"),
        *("--model", f"{models['voice_design']},{models['base']}", "--text", "Come in, it is cold outside."),
        data=data,
    )
    assert status == 0, errors
    assert f"Nan is in {data}, with its transcript" in errors
    assert len(list((data / "prompts").glob("*.safetensors"))) == 1
    sounds = []
    for _ in range(2):
        async with serving(data, models["base"]) as uri:
            description = (await listed(uri))["Nan"].description or ""
            assert description.startswith("Nan, a warm, slow grandmother (designed, ")
            sounds.append(await said(uri, "Supper is ready.", name="Nan"))
    assert sounds[0] == sounds[1]


async def test_a_design_needs_both_checkpoints(models: dict[str, Path], tmp_path: Path) -> None:
    async def design(*more: str) -> tuple[int, str]:
        status, _, errors = await voices("design", "Nan", "a pirate", "--device", "cpu", *more, data=tmp_path)
        return status, errors.splitlines()[-1]

    status, error = await design()
    assert status == 2
    assert error == "error: voices design needs --model, with a VoiceDesign and a Base checkpoint"
    status, error = await design("--model", str(models["voice_design"]))
    assert status == 1
    assert error.startswith("error: cloned voices need a Base checkpoint, such as --model ")
    status, error = await design("--model", str(models["base"]))
    assert status == 1
    assert error.startswith("error: designing needs a VoiceDesign checkpoint, such as --model ")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# ------------------------------------------------------------------ styles


async def test_a_style_speaks_as_its_instruction_says(
    models: dict[str, Path], custom_voice: Official, tmp_path: Path
) -> None:
    (tmp_path / "styles.toml").write_text('[calm]\ninstruct = "Speak calmly."\nvoices = ["Ryan"]\n')
    async with serving(tmp_path, models["custom_voice"]) as uri:
        calm = await said(uri, "Supper is ready.", name="Ryan (calm)")
        assert await said(uri, "Supper is ready.", name="Ryan", speaker="calm") == calm
        assert await said(uri, "Supper is ready.", name="Ryan") != calm
    speech = Speech("Supper is ready.", "english", "ryan", instruct="Speak calmly.")
    _, expected = custom_voice.codes(speech, Sampling(), 0, 300)
    assert len(calm) == 2 * len(expected)


async def test_a_model_that_hears_no_instructions_says_so(
    models: dict[str, Path], recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    CustomVoiceStore(tmp_path).add("May", recording)
    (tmp_path / "styles.toml").write_text(
        '[calm]\ninstruct = "Speak calmly."\nvoices = ["May"]\n[slow]\nspeed = 0.8\n'
    )
    async with serving(tmp_path, models["base"]) as uri:
        names = await listed(uri)
        assert "May (calm)" not in names
        assert "May (slow)" in names
        with pytest.raises(house.SpeechFailedError, match="instructions") as refused:
            await said(uri, "Supper is ready.", name="May (calm)")
        assert refused.value.code == "style-not-supported"
        assert await said(uri, "Supper is ready.", name="May (slow)")
    assert "calm" in caplog.text
