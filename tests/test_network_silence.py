"""The service sends nothing over a network that nobody asked for, and leaves nothing in the home directory."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.house import HANG, connect, home_assistant_plain

pytestmark = pytest.mark.slow

ELSEWHERE = re.compile(r"sin6?_addr=(?!inet_addr\(\"(?:127\.|0\.0\.0\.0))(?!.*\"::1?\")|/etc/resolv\.conf")
"""In a traced system call: an address that is not this machine's, or a look-up of one."""
SUPPRESSED_IN_CI = re.compile(
    r"CI|BUILD_.*|GITHUB_.*|TF_BUILD|JENKINS.*|GITLAB_CI|ORT_.*|HF_HUB_.*|DO_NOT_TRACK"
)
"""Variables that switch telemetry off without our help."""
UPLOAD_AFTER = 6.0
"""Seconds after which onnxruntime 1.31 has looked up its host, measured: 2 to 4."""


def trace(tmp_path: Path, *command: str) -> tuple[Sequence[str], dict[str, str]]:
    """Return ``command`` under strace with the home directory ``tmp_path``/home, and its environment."""
    if shutil.which("strace") is None:
        pytest.fail("strace is missing; install it: apt-get install strace", pytrace=False)
    (tmp_path / "home").mkdir()
    environment = {name: value for name, value in os.environ.items() if not SUPPRESSED_IN_CI.fullmatch(name)}
    places = {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": str(tmp_path / "data")}
    calls = "--trace=socket,connect,sendto,sendmsg,sendmmsg,openat"
    strace = ("strace", "-f", "-qq", calls, f"--output={tmp_path / 'trace'}")
    return (*strace, sys.executable, *command), environment | places


def sent_elsewhere(tmp_path: Path) -> list[str]:
    """Return the traced system calls that reach for another machine."""
    lines = (tmp_path / "trace").read_text(errors="replace").splitlines()
    assert any("openat(" in line for line in lines), "nothing was traced"
    return [line for line in lines if ELSEWHERE.search(line)]


def left_at_home(tmp_path: Path) -> list[str]:
    """Return the files that are in the home directory now."""
    return [str(path) for path in (tmp_path / "home").rglob("*") if path.is_file()]


async def serve_and_speak(tmp_path: Path, *options: str) -> None:
    """Run a traced service, let it speak, wait for UPLOAD_AFTER, stop it."""
    command, environment = trace(
        tmp_path, "-m", "wyoming_qwen3tts", "--uri=tcp://127.0.0.1:0", "--http-port=0", *options
    )
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(HANG):
            said: list[str] = []
            while "listening uri=tcp" not in (line := (await process.stderr.readline()).decode()):
                said.append(line)
                assert line, "".join(said)
        drain = asyncio.create_task(process.stderr.read())
        async with connect(line.split("uri=")[-1].strip()) as client:
            assert await home_assistant_plain(client, "Dinner is ready. Das Essen ist fertig.")
        await asyncio.sleep(UPLOAD_AFTER)
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        os.kill(child, 15)
        async with asyncio.timeout(HANG):
            await process.wait()
            await drain
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_service_contacts_no_other_machine_and_writes_nothing_at_home(tmp_path: Path) -> None:
    await serve_and_speak(tmp_path, "--engine=builtin,espeak")
    assert sent_elsewhere(tmp_path) == []
    assert left_at_home(tmp_path) == []


async def test_importing_a_part_of_the_package_is_enough_to_switch_telemetry_off(tmp_path: Path) -> None:
    code = "import wyoming_qwen3tts.audio.pcm, onnxruntime"
    command, environment = trace(tmp_path, "-c", code)
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    assert await process.wait() == 0
    assert left_at_home(tmp_path) == []


async def test_the_trace_sees_what_a_library_sends_unasked(tmp_path: Path) -> None:
    code = "import socket, contextlib\nwith contextlib.suppress(OSError): socket.getaddrinfo('telemetry.example', 443)"
    command, environment = trace(tmp_path, "-c", code)
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    assert await process.wait() == 0
    assert sent_elsewhere(tmp_path)
