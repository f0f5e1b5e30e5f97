"""What a client of the HTTP door may take, and how an answer ends that cannot be whole."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress

import httpx2
import pytest

from tests.house import HANG, ScriptedEngine, connect, home_assistant_plain, service, tone
from tests.web import Web, code_of, free_port, web
from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.server.http.serve import HttpProtocol
from wyoming_qwen3tts.speech import LONGEST_NAME, Utterance
from wyoming_qwen3tts.voices import names

HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def answered(client: Web, *pieces: bytes) -> bytes:
    """Send bytes, whoever reads them; return all that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    async with asyncio.timeout(HANG):
        with suppress(OSError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        answer = await reader.read()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return answer


async def test_who_sends_a_huge_body_first_and_reads_then_still_hears_why_it_is_refused() -> None:
    async with web([ScriptedEngine()], max_event_bytes=2000) as client:
        head = HEAD + b"Content-Length: 20000000\r\n\r\n"
        answer = await answered(client, head, *[bytes(100_000)] * 200)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"body-too-large"' in answer
        far = b"X-Forwarded-For: 10.0.0.1\r\n"
        answer = await answered(
            client, HEAD + far + b"Content-Length: 20000000\r\n\r\n", *[bytes(100_000)] * 200
        )
        assert answer.startswith(b"HTTP/1.1 401 ")


async def test_who_asks_before_sending_a_huge_body_need_not_send_it() -> None:
    async with web([ScriptedEngine()], max_event_bytes=2000) as client, asyncio.timeout(HANG):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(HEAD + b"Content-Length: 20000000\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()


@pytest.mark.parametrize(
    "bad",
    [
        b"Content-Length: many\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\r\n",
    ],
)
async def test_a_request_that_is_none_is_refused_and_the_next_is_served(bad: bytes) -> None:
    async with web([ScriptedEngine()]) as client:
        answer = await answered(client, HEAD + b"Connection: close\r\n" + bad)
        assert answer.split(b" ")[1] in {b"400", b"413"}
        assert (await client.post("/v1/audio/speech", json={"input": "Hello."})).status_code == 200


LATE = b"HTTP/1.1 408 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", HEAD])
async def test_who_does_not_say_what_it_wants_in_time_is_let_go(sent: bytes) -> None:
    async with web([ScriptedEngine()], event_timeout=0.3) as client:
        assert await answered(client, sent) == LATE


async def test_the_second_request_of_a_connection_has_to_come_in_time_too() -> None:
    async with web([ScriptedEngine()], event_timeout=0.3) as client, asyncio.timeout(HANG):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b'{"status":"ready","speaking":"scripted"}')
        writer.write(b"GET /rea")
        assert await reader.read() == LATE
        writer.close()


async def test_there_are_only_so_many_connections() -> None:
    async with web([ScriptedEngine()], max_connections=4) as client:
        idle = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(4)]
        answer = await answered(client, b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        async with connect(client.wyoming) as wyoming:
            assert await home_assistant_plain(wyoming, "Hello.") == tone("Hello.")
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(HANG):
            while True:
                with suppress(httpx2.HTTPError):
                    if (await client.get("/ready")).status_code == 200:
                        break


async def test_a_client_that_reads_nothing_costs_no_more_than_its_time() -> None:
    ended = asyncio.Event()

    async def endless(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield tone("a" * 500)
        finally:
            ended.set()

    async with web([ScriptedEngine(endless)], send_timeout=0.3) as client, asyncio.timeout(HANG):
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        body = b'{"input": "Hello.", "response_format": "pcm"}'
        writer.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await ended.wait()
        while True:
            async with asyncio.timeout(HANG):
                if last := (await client.get("/v1/requests")).json()["requests"]:
                    break
        assert last[0]["outcome"] != "ok"
        writer.close()


async def test_an_answer_may_take_longer_than_the_headers_of_a_request() -> None:
    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)[:4800]
        await asyncio.sleep(0.8)
        yield tone(utterance.text)[4800:]

    async with web([ScriptedEngine(slow)], event_timeout=0.3) as client:
        answer = await client.post("/v1/audio/speech", json={"input": "Hello.", "response_format": "pcm"})
    assert answer.content == tone("Hello.")


async def test_signals_are_left_to_the_service() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with web([ScriptedEngine()]) as client:
        await client.get("/health")
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_sockets_of_http_clients_have_bounded_buffers_and_send_small_packets_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted: list[tuple[int, int, int]] = []
    begin = HttpProtocol.connection_made

    def spied(self: HttpProtocol, transport: asyncio.Transport) -> None:
        opened = transport.get_extra_info("socket")
        options = socket.TCP_NODELAY, socket.TCP_USER_TIMEOUT
        buffer = opened.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        accepted.append((buffer, *(opened.getsockopt(socket.IPPROTO_TCP, option) for option in options)))
        begin(self, transport)

    monkeypatch.setattr(HttpProtocol, "connection_made", spied)
    async with web([ScriptedEngine()], send_timeout=7.0) as client:
        await client.get("/health")
    assert accepted == [(2 * 128 * 1024, 1, 7000)], "Linux doubles the size of a buffer"


async def test_an_answer_that_breaks_off_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone("a" * 1000)
        raise EngineUnavailableError("the model failed")

    async with web([ScriptedEngine(breaks)], resume=False) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/v1/audio/speech", json={"input": "Hello.", "response_format": "pcm"})
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        'http: response incomplete path=/v1/audio/speech error="the model failed"'
    ]
    assert warnings[0].exc_info is None


async def test_a_fault_of_ours_is_an_answer_and_a_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def breaks(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        raise ZeroDivisionError("nobody thought of that")
        yield b""

    async with web([ScriptedEngine(breaks)]) as client:
        answer = await client.post("/v1/audio/speech", json={"input": "Hello."})
        assert (answer.status_code, code_of(answer)) == (500, "internal-error")
        assert "nobody thought" not in answer.text
    faults = [record for record in caplog.records if record.exc_info]
    assert len(faults) == 1
    assert "nobody thought" in caplog.text


@pytest.mark.parametrize("begun", [True, False])
async def test_what_is_not_said_when_the_service_stops_is_broken_off_and_says_so(
    begun: bool, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = asyncio.Event()

    async def endless(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if begun:
            yield tone("a" * 1000)
        waiting.set()
        await asyncio.sleep(3600)

    async with asyncio.timeout(HANG):
        async with web([ScriptedEngine(endless)], stop_timeout=0.2) as client:
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            body = b'{"input": "Hello.", "response_format": "pcm"}'
            writer.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await waiting.wait()
        answer = await reader.read()
        writer.close()
    if begun:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert not answer.endswith(b"0\r\n\r\n")
    else:
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"stopping"' in answer
    assert 'http: response incomplete path=/v1/audio/speech error="the service is stopping"' in caplog.text
    assert "Traceback" not in caplog.text


async def test_what_is_being_said_when_the_service_stops_is_said_to_its_end() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)[:4800]
        begun.set()
        await go.wait()
        yield tone(utterance.text)[4800:]

    port = free_port()
    async with Web(base_url=f"http://127.0.0.1:{port}", verify=False) as client, asyncio.timeout(HANG):
        async with service([ScriptedEngine(slow)], http_port=port, stop_timeout=HANG):
            asked = {"input": "The kettle is boiling.", "response_format": "pcm"}
            asking = asyncio.create_task(client.post("/v1/audio/speech", json=asked))
            await begun.wait()
            asyncio.get_running_loop().call_later(0.1, go.set)
        assert (await asking).content == tone("The kettle is boiling.")


async def test_a_path_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        raise ZeroDivisionError
        yield b""

    async with web([ScriptedEngine(breaks)]) as client:
        faults = {"Origin": "http://["}
        answer = await client.get("/x%0a2026-11-21%20INFO%20forged", headers=faults)
        assert (answer.status_code, code_of(answer)) == (403, "not-allowed")
        asked = {"input": "Hello."}
        await client.post("/v1/audio/speech?a=%0aforged", json=asked)
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("field", ["voice", "style", "language", "model"])
async def test_a_name_has_so_many_characters_and_no_more(field: str) -> None:
    async with web([ScriptedEngine()]) as client:
        answer = await client.post("/v1/audio/speech", json={"input": "Hi.", field: "x" * 1000})
        assert (answer.status_code, code_of(answer)) == (400, "invalid-request")
        assert answer.json()["error"]["param"] == field


async def test_a_name_without_end_is_as_good_as_none_at_the_other_door(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is looked for is no longer than any name: all voices are looked through for it."""
    longest = 0
    key = names.name_key

    def watched(name: str) -> str:
        nonlocal longest
        longest = max(longest, len(name))
        return key(name)

    monkeypatch.setattr("wyoming_qwen3tts.voices.name_lookup.name_key", watched)
    async with service([ScriptedEngine()]) as uri, connect(uri) as client:
        voice = {"name": "x" * 100_000, "speaker": "y" * 100_000, "language": "z" * 100_000}
        assert await home_assistant_plain(client, "Hello.", voice) == tone("Hello.")
    assert 0 < longest < 3 * LONGEST_NAME  # a voice and a style, and what stands between them
