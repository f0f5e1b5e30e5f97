"""Every example is run, as a process of its own against a real service."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import sys
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from wyoming.tts import SynthesizeVoice

from tests.house import HANG, ScriptedEngine, connect, home_assistant_plain, listed, service, tone
from tests.test_commands import pcm
from tests.test_encoding import decoded
from tests.test_said_before import KEPT, Repeatable
from tests.web import free_port, web
from wyoming_qwen3tts.text.phrases import read_phrases

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOBODY = "tcp://127.0.0.1:1"


Variables = Mapping[str, str]


async def run(
    example: str, *arguments: str, variables: Variables, stdin: bytes = b""
) -> tuple[int | None, bytes, str]:
    """Run an example as its first lines say; return its exit status, its output and its complaints."""
    process = await begin(example, *arguments, variables=variables)
    output, errors = await asyncio.wait_for(process.communicate(stdin), HANG)
    return process.returncode, output, errors.decode()


async def begin(example: str, *arguments: str, variables: Variables) -> asyncio.subprocess.Process:
    """Start an example. What ``variables`` has as PATH is looked through first."""
    path = [variables.get("PATH", ""), str(Path(sys.executable).parent), os.environ["PATH"]]
    command = [str(EXAMPLES / example)]
    return await asyncio.create_subprocess_exec(
        *(command if example.endswith(".sh") else [sys.executable, *command]),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables, "PATH": os.pathsep.join(filter(None, path))},
    )


def test_every_example_says_what_it_does_and_is_run_here() -> None:
    tests = Path(__file__).read_text()
    for path in EXAMPLES.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(EXAMPLES).as_posix()
            assert f'"{name}"' in tests, f"{name} has no test"
            assert re.match(r'(#!.*\n)?(# \w|""")', path.read_text()), f"{name} does not say what it does"


# -- announce.sh ---------------------------------------------------------------------------------------------


@pytest.fixture
def player(tmp_path: Path) -> Path:
    """A directory with a command that plays; what was played is in ``played`` beside it."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "aplay"
    script.write_text(
        f'#!/bin/sh\nfor last; do :; done\ncat $([ -f "$last" ] && echo "$last") > {tmp_path}/played\n'
    )
    script.chmod(0o755)
    return directory


async def test_an_announcement_is_played_or_saved(scripted: str, tmp_path: Path, player: Path) -> None:
    text, file = 'It is "done".', tmp_path / "laundry.wav"
    here = {"WYOMING_QWEN3TTS_URI": scripted}
    status, _, errors = await run("announce.sh", text, variables={**here, "PATH": str(player)})
    assert (status, (tmp_path / "played").read_bytes()) == (0, tone(text)), errors
    status, _, errors = await run("announce.sh", text, str(file), variables={**here, "VOICE": "Klang Zwei"})
    assert (status, pcm(file)) == (0, tone(text)), errors
    status, _, errors = await run(
        "announce.sh", text, str(tmp_path / "never.wav"), variables={"WYOMING_QWEN3TTS_URI": NOBODY}
    )
    assert (status, errors.startswith("error: cannot connect")) == (1, True)
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "played", "laundry.wav"}
    assert (await run("announce.sh", variables=here))[0] != 0


async def test_an_announcement_needs_only_curl(tmp_path: Path, player: Path) -> None:
    engine = ScriptedEngine()
    text, file = 'A "quoted"\nback\\slash — fünf.', tmp_path / "laundry.wav"
    async with web([engine]) as client:
        here = {"SPEECH_URL": f"http://127.0.0.1:{client.port}", "PATH": str(player)}
        status, _, errors = await run("announce.sh", text, str(file), variables=here)
        assert status == 0, errors
        assert pcm(file) == tone(engine.said[0])
        assert "fünf" in engine.said[0]
        status, _, errors = await run("announce.sh", "Aloud.", variables={**here, "VOICE": "Klang Zwei"})
        assert status == 0, errors
        with wave.open(str(tmp_path / "played")) as played:
            assert played.readframes(played.getnframes()) == tone("Aloud.")
        assert engine.told[-1].voice.name == "Klang Zwei"
        status, _, errors = await run(
            "announce.sh", "x", str(tmp_path / "never.wav"), variables={**here, "VOICE": "nobody"}
        )
        assert (status, "voice-not-found" in errors) == (1, True)
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "played", "laundry.wav"}


async def test_a_key_is_sent_where_it_is_needed(tmp_path: Path) -> None:
    key, port = "k" * 16, free_port()
    # By another name this machine is a stranger to the server.
    (tmp_path / ".curlrc").write_text(f'resolve = "speech.example:{port}:127.0.0.1"\n')
    there = {"SPEECH_URL": f"http://speech.example:{port}", "HOME": str(tmp_path)}
    async with web([ScriptedEngine()], http_port=port, api_keys=(key,)):
        for given, expected in (("", 1), ("wrong" * 4, 1), (key, 0)):
            variables = {**there, "SPEECH_KEY": given}
            file = tmp_path / f"{expected}.wav"
            status, _, errors = await run("announce.sh", "Hello.", str(file), variables=variables)
            assert (status, file.exists()) == (expected, not expected), errors


# -- ivr -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "rate", "subtype"),
    [("wav", 8000, "PCM_16"), ("ulaw", 8000, "ULAW"), ("alaw", 8000, "ALAW"), ("sln16", 16_000, "PCM_16")],
)
async def test_phrases_of_a_telephone_are_stored_and_become_files(
    form: str, rate: int, subtype: str, tmp_path: Path
) -> None:
    engine = Repeatable()
    phrases, out = EXAMPLES / "ivr/phrases.txt", tmp_path / "prompts"
    texts = [phrase.text for phrase in read_phrases(phrases)]
    assert len(texts) == 16
    async with web([engine], data_dir=tmp_path / "data", **KEPT) as client:
        options = ["--url", f"http://127.0.0.1:{client.port}", "--uri", client.wyoming, "--format", form]
        said = []
        for _ in range(2):
            status, output, errors = await run(
                "ivr/render.py", str(phrases), str(out), *options, variables={}
            )
            assert status == 0, errors
            assert output.decode().endswith(f"16 of 16 phrases in {out}\n")
            said.append(len(engine.said))
        assert said[0] == said[1], "what is stored is not made again"
    with (out / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == texts
    for row in rows:
        raw = (
            {} if form == "wav" else {"format": "RAW", "subtype": subtype, "channels": 1, "samplerate": rate}
        )
        sound, found = soundfile.read(out / row["file"], **raw)
        assert found == rate
        assert len(sound) / rate == pytest.approx(float(row["seconds"]), abs=0.02)
        assert np.abs(sound).max() > 0.05
    if form == "wav":
        assert soundfile.info(out / rows[0]["file"]).subtype == subtype
    assert rows[2]["file"] == f"you-are-number-1-in-the-queue.{form}"


async def test_the_readme_s_call_for_a_text_gives_a_file_that_asterisk_plays(tmp_path: Path) -> None:
    readme = (EXAMPLES / "ivr/README.md").read_text()
    found = re.search(r"^    curl .*?(?=\n\n)", readme, re.S | re.M)
    assert found is not None
    async with web([ScriptedEngine()]) as client:
        command = (
            found[0].replace("localhost:8080", f"127.0.0.1:{client.port}").replace("/tmp", str(tmp_path))
        )
        process = await asyncio.create_subprocess_shell(command)
        async with asyncio.timeout(HANG):
            assert await process.wait() == 0
    said = len(tone("Your order has been shipped.")) // 2
    assert (tmp_path / "order.ulaw").stat().st_size == pytest.approx(said / 3, abs=2)


def test_the_readme_names_the_files_that_render_makes() -> None:
    assert "prompts/you-are-number-1-in-the-queue" in (EXAMPLES / "ivr" / "README.md").read_text()


async def test_a_telephone_is_told_what_went_wrong(tmp_path: Path) -> None:
    phrases = EXAMPLES / "ivr/phrases.txt"
    status, _, errors = await run(
        "ivr/render.py", str(phrases), str(tmp_path / "prompts"), "--uri", NOBODY, variables={}
    )
    assert (status, "Traceback" in errors) == (1, False)
    twice = tmp_path / "twice.txt"
    twice.write_text("Hello there.\nHello, there!\n")
    status, _, errors = await run(
        "ivr/render.py", str(twice), str(tmp_path / "prompts"), "--uri", NOBODY, variables={}
    )
    assert (status, "would be one file" in errors) == (1, True)
    assert not (tmp_path / "prompts").exists()


# -- Home Assistant ------------------------------------------------------------------------------------------

AUTOMATION = {"id", "alias", "description", "triggers", "conditions", "actions", "mode", "max", "variables"}
"""https://www.home-assistant.io/docs/automation/yaml/ """
TRIGGERS = {"numeric_state": {"entity_id", "above", "below", "for"}, "time": {"at", "weekday"}}
"""https://www.home-assistant.io/docs/automation/trigger/ """
CONDITIONS = {"time": {"after", "before", "weekday"}}
"""https://www.home-assistant.io/docs/scripts/conditions/ """
SPEAK = {"media_player_entity_id", "message", "cache", "language", "options"}
"""https://www.home-assistant.io/integrations/tts/ """
WYOMING_OPTIONS = {"voice", "speaker", "audio_output"}
"""What its Wyoming integration takes as options."""


def automations() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((EXAMPLES / "home-assistant/automation.yaml").read_text())
    return found


def test_the_automation_has_the_keys_that_home_assistant_knows() -> None:
    assert automations()
    for automation in automations():
        assert automation.keys() <= AUTOMATION
        for trigger in automation["triggers"]:
            assert trigger.keys() - {"trigger"} <= TRIGGERS[trigger["trigger"]]
        for condition in automation.get("conditions", []):
            assert condition.keys() - {"condition"} <= CONDITIONS[condition["condition"]]
        for action in automation["actions"]:
            assert action.keys() == {"action", "target", "data"}
            assert action["action"] == "tts.speak"
            assert re.fullmatch(r"tts\.[a-z0-9_]+", action["target"]["entity_id"])
            assert {"media_player_entity_id", "message"} <= action["data"].keys() <= SPEAK
            assert re.fullmatch(r"media_player\.[a-z0-9_]+", action["data"]["media_player_entity_id"])
            assert action["data"].get("options", {}).keys() <= WYOMING_OPTIONS


async def test_what_the_automation_says_is_spoken_as_home_assistant_asks_for_it(home: str) -> None:
    async with connect(home) as client:
        names = {voice.name for voice in await listed(client)}
        for automation in automations():
            for action in automation["actions"]:
                message = re.sub(r"{{.*?}}", "3.5", action["data"]["message"])
                assert "{" not in message
                voice = action["data"].get("options", {}).get("voice")
                assert voice is None or voice in names
                chosen = SynthesizeVoice(name=voice) if voice else None
                assert len(await home_assistant_plain(client, message, chosen)) > 48_000


# -- OpenAI's client -----------------------------------------------------------------------------------------


async def test_openai_s_client_saves_and_pipes(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with web([engine]) as client:
        here = {"OPENAI_BASE_URL": f"http://127.0.0.1:{client.port}/v1", "VOICE": "tone"}
        for form in ("wav", "flac"):
            file = tmp_path / f"dinner.{form}"
            status, _, errors = await run("openai_client.py", "Dinner is ready.", str(file), variables=here)
            assert (status, errors[:18]) == (0, "first sound after "), errors
            assert decoded(file.read_bytes()).tobytes() == tone("Dinner is ready.")
        status, output, _ = await run("openai_client.py", "Dinner is ready.", variables=here)
        assert (status, len(decoded(output)) >= len(tone("Dinner is ready.")) // 2) == (0, True)
        status, _, errors = await run("openai_client.py", "x", variables={**here, "VOICE": "nobody"})
        assert (status, errors.startswith("error: ")) == (1, True)


# -- a language model's stream -------------------------------------------------------------------------------


class Writer:
    """A chat server in OpenAI's dialect that writes a sentence, waits until it may go on, and writes another."""

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences
        self.written: list[str] = []
        self.heard = asyncio.Event()
        self.asked: dict[str, Any] = {}
        self.breaks_off = False

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head, re.I)
        assert found is not None
        self.asked = json.loads(await reader.readexactly(int(found[1])))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for number, sentence in enumerate(self.sentences):
            if number:
                await self.heard.wait()
            if number and self.breaks_off:
                writer.write(b'data: {"error": {"message": "out of words"}}\n\n')
                break
            for delta in re.findall(r"\S+\s*", sentence):
                self.written.append(delta)
                choice = {"index": 0, "delta": {"content": delta}, "finish_reason": None}
                event = {
                    "id": "1",
                    "object": "chat.completion.chunk",
                    "created": 1,
                    "model": "m",
                    "choices": [choice],
                }
                writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
                await writer.drain()
        else:
            writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def chat(writer: Writer) -> AsyncIterator[str]:
    async with await asyncio.start_server(writer.answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_what_a_language_model_writes_is_heard_while_it_writes(scripted: str) -> None:
    """Its server writes the second sentence only when the first one has been heard."""
    first, second = "The sky is blue. ", "Air scatters light."
    writer = Writer(first, second)
    async with chat(writer) as url:
        where = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "x", "MODEL": "m", "SPEECH_URI": scripted}
        process = await begin("speak_as_written.py", "Why is the sky blue?", variables=where)
        assert process.stdout is not None
        async with asyncio.timeout(HANG):
            sound = await process.stdout.read(4096)
            assert sound
            assert "".join(writer.written) == first
            writer.heard.set()
            sound += await process.stdout.read()
            await process.wait()
    assert process.returncode == 0
    assert sound == tone(first.strip()) + tone(second)
    assert writer.asked["stream"] is True
    assert writer.asked["messages"][-1]["content"] == "Why is the sky blue?"


async def test_a_language_model_that_breaks_off_is_heard_as_far_as_it_came(scripted: str) -> None:
    writer = Writer("The sky is blue. ", "never")
    writer.breaks_off = True
    writer.heard.set()
    async with chat(writer) as url:
        where = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "x", "SPEECH_URI": scripted}
        status, sound, errors = await run("speak_as_written.py", "Why?", variables=where)
    assert (status, sound) == (1, tone("The sky is blue."))
    assert errors.startswith("error: the language model: ")


async def test_any_text_on_standard_input_is_spoken_as_it_comes(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with service([engine]) as uri:
        process = await begin("speak_as_written.py", variables={"SPEECH_URI": uri, "VOICE": "Klang Zwei"})
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"Erster Satz. Zwei")
        async with asyncio.timeout(HANG):
            sound = await process.stdout.read(4096)
            assert engine.said == ["Erster Satz."]
            process.stdin.write("ter Satz ü".encode()[:-1])
            process.stdin.write("ü.".encode()[1:])
            process.stdin.close()
            sound += await process.stdout.read()
            await process.wait()
    assert process.returncode == 0
    assert [each.voice.name for each in engine.told] == ["Klang Zwei"] * 2
    assert sound == tone("Erster Satz.") + tone("Zweiter Satz ü.")


async def test_a_speech_server_that_is_not_there_is_one_line() -> None:
    status, sound, errors = await run(
        "speak_as_written.py", stdin=b"Hello.", variables={"SPEECH_URI": NOBODY}
    )
    assert (status, sound, errors.count("\n")) == (1, b"", 1)
    assert errors.startswith("error: ")
