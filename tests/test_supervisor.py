"""The Home Assistant app makes itself known to the Supervisor, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.house import HANG, ScriptedEngine, connect, home_assistant_plain, service
from tests.web import free_port
from wyoming_qwen3tts.config.address import Address
from wyoming_qwen3tts.server.wyoming import supervisor

TAKEN = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"result": "ok", "data": {"uuid": "1"}}'
FORBIDDEN = b'HTTP/1.1 401 Unauthorized\r\n\r\n{"result": "error", "message": "no\\nsuch app"}'
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\n\r\n"
RUBBISH = b"220 mail.example ESMTP\r\n"


@dataclass
class Request:
    """What somebody asked the Supervisor."""

    line: str
    headers: dict[str, str]
    body: Any


@dataclass
class Supervisor:
    """A Supervisor that answers as told: the first request with the first answer, the rest with the last."""

    answers: list[bytes | None]
    """None: no answer at all."""
    heard: list[Request] = field(default_factory=list)
    url: str = ""
    on_request: Callable[[], Any] | None = None
    """Awaited before the answer."""

    async def asked(self, times: int) -> None:
        async with asyncio.timeout(HANG):
            while len(self.heard) < times:  # noqa: ASYNC110 - another peer's memory
                await asyncio.sleep(0.005)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.strip().split("\r\n")
            headers = dict(each.lower().split(": ", 1) for each in rest)
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            headers["authorization"] = head.partition("Authorization: ")[2].partition("\r\n")[0]
            self.heard.append(Request(line, headers, body))
            if self.on_request is not None:
                await self.on_request()
            answer = self.answers[min(len(self.heard), len(self.answers)) - 1]
            if answer is None:
                await reader.read()  # until the other side has had enough
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def listening(*answers: bytes | None) -> AsyncIterator[Supervisor]:
    found = Supervisor(list(answers) or [TAKEN])
    server = await asyncio.start_server(found.handle, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this process one of the Supervisor's apps."""

    def become(url: str) -> None:
        monkeypatch.setenv("SUPERVISOR_TOKEN", "Secret-Token")
        monkeypatch.setenv("SUPERVISOR_URL", url)
        monkeypatch.setattr(supervisor, "RETRY_DELAYS", (0.01, 0.01))

    return become


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage() for r in caplog.records if r.name == supervisor.__name__ and r.levelname != "DEBUG"
    ]


async def test_the_supervisor_is_told_where_home_assistant_reaches_the_app(
    app: Callable[[str], None],
) -> None:
    async with listening() as told:
        app(told.url)
        async with service([ScriptedEngine()]) as uri:
            await told.asked(1)
            port = Address.parse(uri).port
    (request,) = told.heard
    assert request.line == "POST /discovery HTTP/1.0"
    assert request.headers["authorization"] == "Bearer Secret-Token"
    assert request.headers["content-type"] == "application/json"
    here = f"tcp://{socket.gethostname()}:{port}"
    assert request.body == {"service": "wyoming", "config": {"uri": here}}


async def test_it_is_told_when_the_first_request_can_be_spoken_and_not_before(
    app: Callable[[str], None],
) -> None:
    spoken: list[bytes] = []
    port = free_port()

    async def speak() -> None:
        spoken.append(await say(f"tcp://127.0.0.1:{port}", "At once."))

    async with listening() as told:
        told.on_request = speak
        app(told.url)
        async with service([ScriptedEngine()], uri=(f"tcp://127.0.0.1:{port}",)):
            await told.asked(1)
            async with asyncio.timeout(HANG):
                while not spoken:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
    assert spoken[0]


async def test_an_engine_that_is_still_starting_is_not_announced(app: Callable[[str], None]) -> None:
    go_on = asyncio.Event()

    class Slow(ScriptedEngine):
        async def start(self) -> None:
            await go_on.wait()

    async with listening() as told:
        app(told.url)

        async def serve() -> None:
            async with service([Slow()]):
                await told.asked(1)

        serving = asyncio.create_task(serve())
        await asyncio.sleep(0.2)
        assert told.heard == []
        go_on.set()
        await asyncio.wait_for(serving, HANG)


async def test_without_a_token_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as told:
        monkeypatch.setenv("SUPERVISOR_URL", told.url)
        monkeypatch.delenv("SUPERVISOR_TOKEN", raising=False)
        async with service([ScriptedEngine()]) as uri:
            assert await say(uri, "Nobody is told.")
    assert told.heard == []


async def test_a_supervisor_that_fails_is_asked_again(
    app: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with listening(BROKEN, RUBBISH, TAKEN) as told:
        app(told.url)
        async with service([ScriptedEngine()]):
            await told.asked(3)
            await until(lambda: bool(warnings(caplog)))
    assert len(told.heard) == 3
    (said,) = warnings(caplog)
    assert said.startswith("supervisor: announced to Home Assistant uri=tcp://")


@pytest.mark.parametrize(
    ("answer", "tries", "expected"),
    [
        (FORBIDDEN, 1, 'discovery refused uri=tcp://.* error="401 Unauthorized \\(no such app\\)"$'),
        (BROKEN, 3, 'discovery failed, giving up uri=tcp://.* error="500 Internal Server Error"$'),
        (RUBBISH, 3, 'discovery failed, giving up uri=tcp://.* error="the response is not HTTP'),
        (b"", 3, 'discovery failed, giving up uri=tcp://.* error="the response is not HTTP'),
        (None, 3, "discovery failed, giving up uri=tcp://.* error=TimeoutError$"),
    ],
)
async def test_one_that_will_not_hear_of_it_is_one_warning_and_speech_goes_on(
    answer: bytes | None,
    tries: int,
    expected: str,
    app: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "REQUEST_TIMEOUT", 0.05 if answer is None else HANG)
    async with listening(answer) as told:
        app(told.url)
        async with service([ScriptedEngine()]) as uri:
            await until(lambda: bool(warnings(caplog)))
            assert await say(uri, "All the same.")
    (said,) = warnings(caplog)
    assert re.search(expected, said), said
    assert "Secret-Token" not in said
    assert len(told.heard) == tries


async def test_nobody_at_the_supervisor_s_address_is_one_warning(
    app: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    app(f"http://127.0.0.1:{free_port()}")
    async with service([ScriptedEngine()]) as uri:
        await until(lambda: bool(warnings(caplog)))
        assert await say(uri, "All the same.")
    (said,) = warnings(caplog)
    assert "discovery failed, giving up" in said


async def test_a_supervisor_that_hangs_holds_up_neither_start_nor_stop(
    app: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "REQUEST_TIMEOUT", 10 * HANG)
    async with listening(None) as told:
        app(told.url)
        async with asyncio.timeout(HANG):
            async with service([ScriptedEngine()]) as uri:
                await told.asked(1)
                assert await say(uri, "Meanwhile.")
    left = [task.get_name() for task in asyncio.all_tasks()]
    assert "supervisor" not in left


async def test_a_machine_elsewhere_is_announced_in_the_app_s_place(app: Callable[[str], None]) -> None:
    remote = ("http://127.0.0.1:9", "tcp://gpu.example:10200", "tcp://other.example:10200")
    async with listening() as told:
        app(told.url)
        async with service([ScriptedEngine()], remote_uri=remote, remote_announce=True):
            await told.asked(1)
    assert told.heard[0].body["config"] == {"uri": "tcp://gpu.example:10200"}


HERE = Address("tcp", host="0.0.0.0", port=10200)


@pytest.mark.parametrize(
    ("listening_on", "remote", "announce_remote", "expected"),
    [
        ([HERE], (), False, "tcp://app:10200"),
        ([Address("unix", path="/s"), HERE], (), False, "tcp://app:10200"),
        ([Address("unix", path="/s")], (), False, None),
        ([HERE], ("tcp://gpu:1",), False, "tcp://app:10200"),
        ([HERE], ("tcp://gpu:1",), True, "tcp://gpu:1"),
        ([HERE], ("http://gpu:1",), True, "tcp://app:10200"),
    ],
)
def test_what_is_told_is_an_address_that_home_assistant_can_use(
    listening_on: list[Address],
    remote: tuple[str, ...],
    announce_remote: bool,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "app")
    found = supervisor.discovery_uri(listening_on, remote, announce_remote=announce_remote)
    assert found == expected


async def say(uri: str, text: str) -> bytes:
    async with connect(uri) as client:
        return await home_assistant_plain(client, text)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
