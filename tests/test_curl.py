"""curl against a real service: the README's command, and uploads."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from tests.house import CAST, HANG, tone
from tests.recordings import save, speech
from tests.test_encoding import decoded
from tests.test_register import Cloner
from tests.web import web
from wyoming_qwen3tts.voices.store import CustomVoiceStore

README = (Path(__file__).parent.parent / "README.md").read_text()


async def typed(command: str, place: Path) -> bytes:
    """Run a command in a shell, which must succeed; return its output."""
    process = await asyncio.create_subprocess_shell(
        command, cwd=place, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(HANG):
        output, faults = await process.communicate()
    assert process.returncode == 0, faults.decode()
    return output


async def test_the_curl_command_of_the_readme_works(tmp_path: Path) -> None:
    (command,) = re.findall(r"^curl (?:.*\\\n)*.*$", README, re.M)
    async with web([Cloner(CAST)]) as client:
        await typed(command.replace("localhost:8080", f"localhost:{client.port}"), tmp_path)
    heard = decoded((tmp_path / "dinner.mp3").read_bytes())
    assert len(heard) >= len(tone("Dinner is ready.")) // 2


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
