"""What README lets somebody type, typed: curl against a real service."""

from __future__ import annotations

import asyncio
import json
import re
import zipfile
from pathlib import Path

from tests.house import CAST, HANG, tone
from tests.recordings import save, speech
from tests.test_encoding import decoded
from tests.test_register import Cloner
from tests.web import web
from wyoming_qwen3tts.voices.store import CustomVoiceStore

README = (Path(__file__).parent.parent / "README.md").read_text()


def commands() -> list[str]:
    """Return the curl commands of README, each on one line."""
    lines = re.findall(r"^    (curl (?:.*\\\n)*.*)$", README, re.M)
    return [re.sub(r"\\\n\s*", "", line) for line in lines]


async def typed(command: str, place: Path) -> bytes:
    """Run a command in a shell; return what it prints. It has to succeed."""
    process = await asyncio.create_subprocess_shell(
        command, cwd=place, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(HANG):
        output, faults = await process.communicate()
    assert process.returncode == 0, faults.decode()
    return output


async def test_the_commands_of_readme_do_what_it_says(tmp_path: Path) -> None:
    speak, batch, progress = commands()
    async with web([Cloner(CAST)]) as client:
        here = f"localhost:{client.port}"
        await typed(speak.replace("localhost:8080", here), tmp_path)
        heard = decoded((tmp_path / "dinner.mp3").read_bytes())
        assert len(heard) >= len(tone("Dinner is ready.")) // 2
        await typed(batch.replace("localhost:8080", here), tmp_path)
        with zipfile.ZipFile(tmp_path / "doors.zip") as archive:
            assert archive.testzip() is None
            names = archive.namelist()
        assert names == ["0001-Front-door-open.wav", "0002-tuer.wav", "index.json"]
        command, _, example = progress.replace("localhost:8080", here).partition("    # ")
        found = json.loads(await typed(command, tmp_path))
        assert found.keys() == json.loads(example).keys()
        assert (found["id"], found["done"], found["state"]) == ("doors", 2, "done")


async def test_voices_are_uploaded_listed_and_deleted_with_curl(tmp_path: Path) -> None:
    recording = save(tmp_path / "may.flac", speech(6))
    data = tmp_path / "data"
    engines = [Cloner(CAST)]
    async with web(engines, data_dir=data, store=CustomVoiceStore(data)) as client:
        url = f"http://localhost:{client.port}/v1/audio/voices"
        made = await typed(f"curl -sS {url} -F name='Aunt May' -F file=@{recording} -F language=en", tmp_path)
        assert json.loads(made)["voice"]["name"] == "Aunt May"
        names = [voice["name"] for voice in json.loads(await typed(f"curl -sS {url}", tmp_path))["voices"]]
        assert "Aunt May" in names
        gone = await typed(f"curl -sS -X DELETE {url}/Aunt%20May", tmp_path)
        assert json.loads(gone) == {"removed": "Aunt May"}


async def test_sound_is_piped_while_it_is_made(tmp_path: Path) -> None:
    """What is cut off is an error to curl, whose exit status says so."""
    async with web([Cloner(CAST)]) as client:
        ask = f"curl -sSN localhost:{client.port}/v1/audio/speech --json"
        sound = await typed(f"""{ask} '{{"input": "Hello.", "response_format": "wav"}}' | cat""", tmp_path)
        assert decoded(sound).tobytes() == tone("Hello.")
        refused = await typed(f"""{ask} '{{"input": "Hello.", "voice": "nobody"}}'""", tmp_path)
        assert json.loads(refused)["error"]["code"] == "voice-not-found"
