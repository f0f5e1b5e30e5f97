"""TCP, Unix socket and standard input; and how the process starts and stops, as a process."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wyoming.event import async_write_event, read_event, write_event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.house import (
    AS_IT_IS,
    HANG,
    ScriptedEngine,
    connect,
    home_assistant_plain,
    raw,
    read_events,
    service,
    sound_of,
    tone,
    types,
)
from wyoming_qwen3tts.app import Service, StartupError
from wyoming_qwen3tts.config.settings import Settings
from wyoming_qwen3tts.server.wyoming.connection import Connection

WHOLE = ("-m", "wyoming_qwen3tts")
"""The service as it is started."""
SCRIPTED = (
    "-c",
    """
from tests.house import ScriptedEngine
from wyoming_qwen3tts import __main__, app
app.engines_for = lambda settings: [ScriptedEngine()]
__main__.run()
""",
    *("--loudness", "off", "--trim-silence", "off"),
)
"""The same, with a voice that takes no second to load, and whose sound is let through as it is."""


@asynccontextmanager
async def process(
    *arguments: str, program: tuple[str, ...] = SCRIPTED
) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def read_log(running: asyncio.subprocess.Process, until: str) -> list[str]:
    lines: list[str] = []
    assert running.stderr is not None
    async with asyncio.timeout(HANG):
        while not lines or until not in lines[-1]:
            line = await running.stderr.readline()
            assert line, f"ended without {until!r}: {lines}"
            lines.append(line.decode().rstrip())
    return lines


async def test_the_first_lines_say_who_speaks_why_where_and_how_to_hear_it() -> None:
    async with process("--uri", "tcp://127.0.0.1:0", program=WHOLE) as running:
        lines = await read_log(running, "service: ready")
        assert 'default="Heart (American English, built-in)"' in lines[0]
        assert 'reason="no Qwen3-TTS model is set up' in lines[0]
        match = re.search(r"wyoming: listening uri=(tcp://127\.0\.0\.1:\d+)", lines[1])
        assert match
        assert f'say "Hello" --uri {match[1]}' in lines[2]
        async with connect(match[1]) as client:
            assert len(await home_assistant_plain(client, "Hello.")) > 24_000
        running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), HANG) == 0


async def test_a_unix_socket_serves_and_goes_with_the_process(tmp_path: Path) -> None:
    path = tmp_path / "speech.sock"
    async with process("--uri", f"unix://{path}") as running:
        await read_log(running, "service: ready")
        async with connect(f"unix://{path}") as client:
            assert await home_assistant_plain(client, "Hello.") == tone("Hello.")
        running.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(running.wait(), HANG) == 0
    assert not path.exists()


async def test_a_socket_left_by_a_killed_process_is_replaced_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "speech.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    uri = (f"unix://{path}",)
    async with service([ScriptedEngine()], uri=uri):
        with pytest.raises(StartupError, match="another process is listening"):
            async with service([ScriptedEngine()], uri=uri):
                pass
        async with connect(uri[0]) as client:
            assert await home_assistant_plain(client, "Still here.") == tone("Still here.")


async def test_a_file_in_the_place_of_a_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(StartupError, match="not a socket"):
        async with service([ScriptedEngine()], uri=(f"unix://{path}",)):
            pass
    assert path.read_text() == "data"


async def test_several_addresses_are_served_at_once(tmp_path: Path) -> None:
    path = tmp_path / "speech.sock"
    running = Service(
        Settings.of(uri=("tcp://127.0.0.1:0", "tcp://[::1]:0", f"unix://{path}"), **AS_IT_IS),
        [ScriptedEngine()],
    )
    await running.start()
    for address in running.addresses:
        async with connect(str(address)) as client:
            assert await home_assistant_plain(client, "Everywhere.") == tone("Everywhere.")
    await running.stop()


async def test_the_wildcard_of_ipv6_serves_ipv4_too(engine: ScriptedEngine) -> None:
    async with service([engine], uri=("tcp://[::]:0",)) as uri:
        port = uri.rsplit(":", 1)[1]
        for host in ("127.0.0.1", "[::1]"):
            async with connect(f"tcp://{host}:{port}") as client:
                assert await home_assistant_plain(client, "Both.") == tone("Both.")


@pytest.mark.xdist_group("mdns")
@pytest.mark.usefixtures("hasty")
async def test_what_is_announced_is_served_on_ipv6_too_if_it_can_be(engine: ScriptedEngine) -> None:
    everything: dict[str, Any] = {
        "uri": ("tcp://0.0.0.0:0",),
        "zeroconf": "Test",
        "zeroconf_host": "192.0.2.7",
    }
    async with service([engine], **everything) as uri:
        port = uri.rsplit(":", 1)[1]
        for host in ("127.0.0.1", "[::1]"):
            async with connect(f"tcp://{host}:{port}") as client:
                assert await home_assistant_plain(client, "Both.") == tone("Both.")
    with socket.create_server(("::", 0), family=socket.AF_INET6) as taken:
        uri = f"tcp://0.0.0.0:{taken.getsockname()[1]}"
        async with service([engine], **everything | {"uri": (uri,)}), connect(uri) as client:
            assert await home_assistant_plain(client, "One.") == tone("One.")


async def test_a_name_is_served_on_the_addresses_this_machine_has(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(*_: object, **__: object) -> list[tuple[object, ...]]:
        elsewhere = (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("2001:db8::1", 0, 0, 0))
        return [elsewhere, (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    async with service([engine], uri=("tcp://here:0",)) as uri:
        port = uri.rsplit(":", 1)[1]
        monkeypatch.undo()
        async with connect(f"tcp://127.0.0.1:{port}") as client:
            assert await home_assistant_plain(client, "Here.") == tone("Here.")
    with pytest.raises(StartupError, match=r"cannot listen on tcp://192\.0\.2\.200:0: "):
        async with service([engine], uri=("tcp://192.0.2.200:0",)):
            pass


async def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        async with process("--uri", uri) as running:
            _, log = await asyncio.wait_for(running.communicate(), HANG)
            assert running.returncode == 1
            assert f"error: cannot listen on {uri}: " in log.decode()
            assert "Traceback" not in log.decode()


async def test_standard_input_and_output_are_a_door() -> None:
    requests = io.BytesIO()
    write_event(Describe().event(), requests)
    for event in (SynthesizeStart(), SynthesizeChunk("Hello. "), SynthesizeStop()):
        write_event(event.event(), requests)
    arguments = ("--uri", "stdio://", "--espeak-languages", "none")
    async with process(*arguments, program=WHOLE) as running:  # no library may write there either
        output, log = await asyncio.wait_for(running.communicate(requests.getvalue()), HANG)
    assert running.returncode == 0, log.decode()
    assert events_in(output) == ["info", "audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]


async def test_standard_input_and_output_may_be_files(tmp_path: Path) -> None:
    with (tmp_path / "in").open("w+b") as source, (tmp_path / "out").open("wb") as sink:
        write_event(Synthesize("Hello.").event(), source)
        source.seek(0)
        running = await asyncio.create_subprocess_exec(
            sys.executable, *SCRIPTED, "--uri", "stdio://", stdin=source, stdout=sink
        )
        assert await asyncio.wait_for(running.wait(), HANG) == 0
    assert events_in((tmp_path / "out").read_bytes()) == ["audio-start", "audio-chunk", "audio-stop"]


def events_in(output: bytes) -> list[str]:
    stream = io.BytesIO(output)
    events = []
    while (event := read_event(stream)) is not None:
        events.append(event)
    assert not stream.read(), "nothing but events may be written to standard output"
    return types(events)


async def test_stopping_lets_running_requests_finish_and_refuses_new_ones() -> None:
    go_on = asyncio.Event()

    async def wait(utterance):  # type: ignore[no-untyped-def]
        yield tone("Finish")
        await go_on.wait()
        yield tone(" this.")

    engine = ScriptedEngine(wait)
    running = Service(Settings.of(uri=("tcp://127.0.0.1:0",), stop_timeout=HANG, **AS_IT_IS), [engine])
    await running.start()
    uri = str(running.addresses[0])
    async with raw(uri) as (reader, writer), raw(uri) as (idle, _):
        await async_write_event(Synthesize("Finish this.").event(), writer)
        events = await read_events(reader, until="audio-chunk")
        stopping = asyncio.create_task(running.stop())
        assert await read_events(idle) == [], "an idle connection just ends"
        await async_write_event(Synthesize("And this.").event(), writer)
        with pytest.raises(OSError, match="Connect call failed"):
            async with raw(uri):
                pass
        await asyncio.sleep(0.1)
        assert not engine.closed
        go_on.set()
        events += await read_events(reader)
    await asyncio.wait_for(stopping, HANG)
    assert engine.closed
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop", "error"]
    assert sound_of(events) == tone("Finish") + tone(" this.")
    assert events[-1].data["code"] == "stopping"


async def test_what_does_not_finish_in_time_ends_with_an_error() -> None:
    async def for_ever(utterance):  # type: ignore[no-untyped-def]
        yield tone("one")
        await asyncio.Event().wait()

    settings = Settings.of(uri=("tcp://127.0.0.1:0",), stop_timeout=0.2, **AS_IT_IS)
    running = Service(settings, [ScriptedEngine(for_ever)])
    await running.start()
    uri = str(running.addresses[0])
    async with raw(uri) as (reader, writer), raw(uri) as (unread, deaf):
        for each in (writer, deaf):
            await async_write_event(Synthesize("For ever.").event(), each)
        events = await read_events(reader, until="audio-chunk")
        stopping = asyncio.create_task(running.stop())
        events += await read_events(reader)
        await asyncio.wait_for(stopping, HANG)
        assert types(await read_events(unread))[-1] == "error"
    assert types(events) == ["audio-start", "audio-chunk", "error"]
    assert events[-1].data["code"] == "stopping"


async def test_sigterm_under_load_ends_every_answer_whole_or_with_an_error(tmp_path: Path) -> None:
    arguments = ("--uri", f"unix://{tmp_path}/s", "--stop-timeout", "0.3")
    async with process(*arguments, program=WHOLE) as running:
        await read_log(running, "service: ready")

        heard = asyncio.Semaphore(0)

        async def talk() -> list[str]:
            reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/s")
            await async_write_event(
                Synthesize("This goes on and on, and then some more. " * 200).event(), writer
            )
            events = await read_events(reader, until="audio-chunk")
            heard.release()
            events += await read_events(reader)
            writer.close()
            return types(events)

        talks = [asyncio.create_task(talk()) for _ in range(6)]
        async with asyncio.timeout(HANG):
            for _ in talks:
                await heard.acquire()
        running.terminate()
        for ended in await asyncio.gather(*talks):
            assert ended[-1] in {"audio-stop", "error"}
        assert await asyncio.wait_for(running.wait(), HANG) == 0
    assert not (tmp_path / "s").exists()


async def test_logs_can_be_json() -> None:
    async with process("--uri", "tcp://127.0.0.1:0", "--log-format", "json") as running:
        for line in await read_log(running, "service: ready"):
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()


async def test_help_and_version_load_nothing_heavy() -> None:
    code = "import sys, wyoming_qwen3tts.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'numpy', 'onnxruntime', 'hibari', 'zeroconf', 'asyncio'} & sys.modules.keys()))"
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await running.communicate()
    assert b"--zeroconf [NAME]" in output
    assert b"prerender" in output
    assert output.decode().splitlines()[-1] == "['asyncio']"


async def test_the_limit_of_open_files_is_no_surprise() -> None:
    soft = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); "
    code = soft + "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *SCRIPTED, "--uri", "tcp://127.0.0.1:0"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        log = await read_log(running, "service: ready")
        assert "open_files=256" in log[0]
        uri = next(line.split("uri=")[-1] for line in log if "wyoming: listening" in line)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(300):
                await stack.enter_async_context(raw(uri))
            async with connect(uri) as client:
                assert await home_assistant_plain(client, "Hello.")
    finally:
        running.terminate()
        await running.communicate()
    assert running.returncode == 0


async def test_whoever_stops_the_service_does_not_wait_for_a_model_that_loads() -> None:
    class Loading(ScriptedEngine):
        async def start(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    engine = Loading()
    async with asyncio.timeout(HANG):
        await Service(Settings.of(uri=("tcp://127.0.0.1:0",)), [engine]).run()
    assert engine.closed


async def test_a_service_that_cannot_start_says_so(engine: ScriptedEngine) -> None:
    async with asyncio.timeout(HANG):
        with pytest.raises(StartupError, match="voice 'nobody' is not one of"):
            await Service(Settings.of(uri=("tcp://127.0.0.1:0",), voice="nobody"), [engine]).run()
    assert engine.closed


async def test_no_small_event_waits_for_an_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nagle's algorithm would hold the first sound back until the client has acknowledged the audio-start."""
    options: list[int] = []
    run = Connection.run

    async def look(connection: Connection) -> None:
        accepted = connection._writer._stream.get_extra_info("socket")
        options.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await run(connection)

    monkeypatch.setattr(Connection, "run", look)
    async with service([ScriptedEngine()]) as uri, connect(uri) as client:
        await home_assistant_plain(client, "Hello.")
    assert options == [1]
