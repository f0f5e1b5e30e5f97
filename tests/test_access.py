"""Who may come in at the doors: with a key, from this machine, through the ingress, from which network."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.house import HANG, ScriptedEngine, raw, read_events, service
from tests.test_said_before import KEPT, Repeatable
from tests.web import Web, code_of, free_port, web
from wyoming_qwen3tts.app import StartupError
from wyoming_qwen3tts.config.settings import Settings, SettingsError
from wyoming_qwen3tts.config.sources import load
from wyoming_qwen3tts.server.http import auth
from wyoming_qwen3tts.server.http.auth import (
    ApiKeys,
    Authenticator,
    RateLimiter,
    Refusal,
    is_loopback,
    load_api_keys,
)
from wyoming_qwen3tts.server.wyoming.server import WyomingServer

KEY, OTHER = "correct-horse-battery", "another-horse-stapled"
FAR = "192.168.1.7"
SPEECH = {"input": "Dinner is ready.", "response_format": "pcm"}


def scope(
    client: str | None = "127.0.0.1", *, host: str = "localhost:8000", port: int = 8000, **headers: str
) -> dict[str, Any]:
    """Return what a server makes of a request by ``client``; None came over a Unix socket."""
    named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": "http",
        "path": "/v1/models",
        "client": None if client is None else (client, 4711),
        "server": ("10.0.0.1", port) if client is not None else ("/run/socket", None),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }


@pytest.mark.parametrize(
    ("asking", "code"),
    [
        # This machine needs no key, whatever it brings.
        (scope(), None),
        (scope("::1", host="[::1]:8000"), None),
        (scope("127.0.0.9", host="127.0.0.9"), None),
        (scope("::ffff:127.0.0.1"), None),
        (scope(None, host="anything.example"), None),
        (scope(None, host=""), None),
        (scope(None, host="["), None),
        (scope(None, x_forwarded_for=FAR), "key-needed"),
        (scope(None), None),
        (scope(host=f"{socket.gethostname()}:8000"), None),
        (scope(host="tts.localhost"), None),
        (scope(authorization="Bearer none"), None),
        # A proxy on this machine asks for somebody else.
        (scope(x_forwarded_for=FAR), "key-needed"),
        (scope(forwarded=f"for={FAR}"), "key-needed"),
        (scope(x_real_ip=FAR), "key-needed"),
        (scope(via="1.1 proxy"), "key-needed"),
        (scope(x_forwarded_for=FAR, authorization=f"Bearer {KEY}"), None),
        # A page elsewhere whose name leads here, and pages that send to localhost.
        (scope(host="evil.example:8000"), "key-needed"),
        (scope(host="localhost.evil.example"), "key-needed"),
        (scope(origin="http://localhost:8000"), None),
        (scope(origin="http://evil.example"), "not-allowed"),
        (scope(origin="http://localhost:9000"), "not-allowed"),
        (scope(origin="null"), "not-allowed"),
        (scope(origin="http://["), "not-allowed"),
        (scope(host="["), "key-needed"),
        (scope(origin="https://house.example"), None),
        # Others need a key, in either header.
        (scope(FAR), "key-needed"),
        (scope(FAR, authorization=f"Bearer {KEY}"), None),
        (scope(FAR, authorization=f"bearer  {OTHER}"), None),
        (scope(FAR, x_api_key=OTHER), None),
        (scope(FAR, x_api_key=KEY[:-1]), "wrong-key"),
        (scope(FAR, x_api_key=KEY.upper()), "wrong-key"),
        (scope(FAR, x_api_key="ü" * 20), "wrong-key"),
        (scope(FAR, authorization=f"Basic {KEY}"), "key-needed"),
        (scope(FAR, authorization="Bearer "), "key-needed"),
        (scope(FAR, host="localhost"), "key-needed"),
        # The ingress has a port of its own, for one address alone; a key is not asked for there.
        (scope("172.30.32.2", port=8099, host="house.example", origin="https://house.example"), None),
        (scope("172.30.32.2", port=8099, x_forwarded_for=FAR), None),
        (scope("127.0.0.1", port=8099), "not-allowed"),
        (scope(FAR, port=8099, x_api_key=KEY), "not-allowed"),
        (scope("172.30.32.2"), "key-needed"),
    ],
)
def test_who_may_come_in(asking: dict[str, Any], code: str | None) -> None:
    keeper = Authenticator(ApiKeys([KEY, OTHER]), origins=["https://house.example"], ingress_port=8099)
    refusal = keeper.refusal(asking)
    assert (refusal and refusal.code) == code


def test_without_keys_only_this_machine_may_come_in_and_others_hear_why() -> None:
    keeper = Authenticator(ApiKeys([]))
    assert keeper.refusal(scope()) is None
    refusal = keeper.refusal(scope(FAR, authorization="Bearer whatever-it-is-worth"))
    assert refusal == Refusal(
        401,
        "only requests from this machine are allowed, as no API keys are configured "
        "(--api-keys, --api-key-file)",
        "key-needed",
        {"WWW-Authenticate": "Bearer"},
    )


def test_any_origin_is_for_those_who_have_a_key() -> None:
    keeper = Authenticator(ApiKeys([KEY]), origins=["*"])
    assert keeper.refusal(scope(origin="http://evil.example")) is not None
    assert keeper.refusal(scope(origin="http://evil.example", x_api_key=KEY)) is None


@pytest.mark.parametrize(
    "bad", ["short", "with a space in its middle", "näht-sich-nicht-aus", "tab\tulator-tab"]
)
def test_a_key_that_could_be_guessed_or_cannot_be_sent_is_no_key(bad: str) -> None:
    with pytest.raises(ValueError, match="key 2 is not valid: it must have at least 16 printable") as caught:
        ApiKeys([KEY, bad])
    assert bad not in str(caught.value)


def test_keys_come_from_a_variable_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# the kitchen\n  {KEY}  \n\n#{OTHER}x\n")
    keys = load_api_keys(Settings.of(api_keys=(OTHER,), api_key_file=path))
    assert keys.find(OTHER) == 0
    assert keys.find(KEY) == 1
    assert keys.find(f"{OTHER}x") is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"# nothing\n", "contains no key"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"short", "key 1"),
    ],
)
def test_a_file_of_keys_that_is_no_use_is_an_error(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=says):
        load_api_keys(Settings.of(api_key_file=path))


async def test_the_service_does_not_start_with_such_keys() -> None:
    with pytest.raises(StartupError, match="--api-keys, --api-key-file: key 1 is not valid"):
        async with service([ScriptedEngine()], http_port=free_port(), api_keys=("secret",)):
            pass


def test_no_message_and_no_log_shows_a_key() -> None:
    assert KEY not in repr(Settings.of(api_keys=(KEY,)))
    with pytest.raises(SettingsError) as caught:
        load([], {"WYOMING_QWEN3TTS_API_KEYS": f"{KEY},,"})
    assert KEY not in str(caught.value)


def test_a_key_may_ask_so_often_and_others_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    rate = RateLimiter(60)
    assert [rate.take(0) for _ in range(60)] == [0.0] * 60
    assert rate.take(0) == pytest.approx(1.0)
    assert rate.take(1) == 0.0
    now += 2.5
    assert [bool(rate.take(0)) for _ in range(3)] == [False, False, True]
    assert RateLimiter(0).take(0) == 0.0


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.1.2.3", True),
        ("10.0.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_its_address(address: str, own: bool) -> None:
    assert is_loopback(address) is own


async def test_a_client_with_a_key_is_served_and_one_without_hears_what_is_missing() -> None:
    far = {"X-Forwarded-For": FAR}
    async with web([ScriptedEngine()], api_keys=(KEY,), http_host="127.0.0.1") as client:
        answer = await client.post("/v1/audio/speech", json=SPEECH, headers=far)
        assert (answer.status_code, code_of(answer)) == (401, "key-needed")
        assert answer.headers["www-authenticate"] == "Bearer"
        answer = await client.get("/v1/models", headers={**far, "X-API-Key": "wrong" * 4})
        assert (answer.status_code, code_of(answer)) == (401, "wrong-key")
        answer = await client.post(
            "/v1/audio/speech", json=SPEECH, headers={**far, "Authorization": f"Bearer {KEY}"}
        )
        assert answer.status_code == 200
        assert answer.content


async def test_anybody_may_know_that_the_service_is_there_and_nothing_more() -> None:
    async with web([ScriptedEngine()], api_keys=(KEY,), http_host="127.0.0.1") as client:
        for far, knows in (({"X-Forwarded-For": FAR}, False), ({}, True)):
            health = (await client.get("/health", headers=far)).json()
            assert health["status"] == "ok"
            assert ("engines" in health) is knows
            assert (await client.get("/ready", headers=far)).status_code == 200
            assert (await client.get("/", headers=far)).status_code == 200
            assert (await client.get("/metrics", headers=far)).status_code == (200 if knows else 401)
            assert (await client.get("/v1/requests", headers=far)).status_code == (200 if knows else 401)
            assert (await client.get("/openapi.json", headers=far)).status_code == (200 if knows else 401)


async def test_too_many_requests_with_a_key_are_told_when_to_come_again() -> None:
    async with web([ScriptedEngine()], api_keys=(KEY, OTHER), rate_limit=2) as client:
        mine = {"X-API-Key": KEY}
        answers = [await client.get("/v1/models", headers=mine) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert code_of(answers[2]) == "rate-limited"
        assert 1 <= int(answers[2].headers["retry-after"]) <= 30
        assert (await client.get("/v1/models", headers={"X-API-Key": OTHER})).status_code == 200
        assert (await client.get("/v1/models")).status_code == 200


async def test_without_keys_the_port_is_on_this_machine_alone() -> None:
    port = free_port()
    async with service([ScriptedEngine()], http_port=port):
        with socket.socket() as elsewhere:  # an address of this machine that others can reach could be had
            elsewhere.bind(("127.0.0.2", port))
    async with service([ScriptedEngine()], http_port=port, api_keys=(KEY,)):
        with socket.socket() as elsewhere, pytest.raises(OSError, match="in use"):
            elsewhere.bind(("127.0.0.2", port))


async def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartupError, match=f"cannot listen on http://127.0.0.1:{port}: "):
            async with service([ScriptedEngine()], http_port=port):
                pass


async def test_the_ingress_port_is_for_the_supervisor_alone() -> None:
    ingress = free_port("0.0.0.0")
    async with web([ScriptedEngine()], ingress_port=ingress) as client:
        answer = await client.get(f"http://127.0.0.1:{ingress}/health")
        assert (answer.status_code, code_of(answer)) == (403, "not-allowed")
        answer = await client.get(f"http://127.0.0.1:{ingress}/")
        assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "unix", "speech.example:8080", "_", "[", ""])
async def test_a_unix_socket_needs_no_key_whatever_host_says(tmp_path: Path, host: str) -> None:
    path = tmp_path / "http"
    async with service([ScriptedEngine()], http_socket=path, api_keys=(KEY,)):
        through = httpx2.AsyncHTTPTransport(uds=str(path))
        async with Web(transport=through, base_url="http://localhost", timeout=HANG) as client:
            answer = await client.post("/v1/audio/speech", json=SPEECH, headers={"Host": host})
            assert answer.status_code == 200
            assert (await client.get("/health")).json()["version"]
    assert not path.exists()


async def test_a_file_in_the_place_of_the_unix_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "http"
    path.write_text("mine")
    with pytest.raises(StartupError, match="the file exists and is not a socket"):
        async with service([ScriptedEngine()], http_socket=path):
            pass
    assert path.read_text() == "mine"


@pytest.mark.parametrize("named", [True, False])
async def test_pages_elsewhere_may_ask_where_they_are_named(named: bool) -> None:
    settings: dict[str, Any] = {"cors_origins": ("https://house.example",)} if named else {}
    asks = {"Origin": "https://house.example", "Access-Control-Request-Method": "POST"}
    async with web([ScriptedEngine()], **settings) as client:
        before = await client.options("/v1/audio/speech", headers=asks)
        answer = await client.post("/v1/audio/speech", json=SPEECH, headers={"Origin": asks["Origin"]})
        allowed = answer.headers.get("access-control-allow-origin")
        if named:
            assert before.status_code == 200
            assert (answer.status_code, allowed) == (200, "https://house.example")
            assert "X-First-Audio-Ms" in answer.headers["access-control-expose-headers"]
        else:
            assert before.status_code == 403
            assert (answer.status_code, allowed) == (403, None)


async def test_every_answer_has_the_headers_that_keep_browsers_from_harm() -> None:
    async with web([ScriptedEngine()]) as client:
        for path in ("/", "/health", "/nothing-here", "/v1/models"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-frame-options"] == "SAMEORIGIN"
            assert "server" not in headers


@pytest.mark.parametrize(
    ("allowed", "peer", "code"),
    [
        (("10.0.0.0/8",), "127.0.0.1", None),
        (("10.0.0.0/8",), "10.2.3.4", None),
        (("10.0.0.0/8",), "::ffff:10.2.3.4", None),
        (("10.0.0.0/8", "fd00::/8"), "fd00::7", None),
        (("10.0.0.0/8",), "fe80::1%eth0", "not-allowed"),
        (("10.0.0.0/8",), "192.168.1.7", "not-allowed"),
        ((), "192.168.1.7", None),
    ],
)
async def test_wyoming_clients_come_from_networks_that_are_allowed(
    allowed: tuple[str, ...], peer: str, code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = WyomingServer.handle
    monkeypatch.setattr(
        WyomingServer,
        "handle",
        lambda self, reader, writer, address: handle(self, reader, writer, (peer, 4711)),
    )
    async with service([ScriptedEngine()], allowed_networks=allowed) as uri, raw(uri) as (reader, writer):
        writer.write(b'{"type": "describe"}\n')
        (event,) = await read_events(reader, "info" if code is None else "error")
        assert (event.type, event.data.get("code")) == (("info", None) if code is None else ("error", code))
        if code is not None:
            assert "(--allowed-networks)" in event.data["text"]


def reset(address: tuple[str, int], request: bytes) -> None:
    """Send a request and reset the connection: what was sent is there to be read, and who sent it is not."""
    with socket.create_connection(address) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sendall(request)


async def test_who_resets_the_connection_is_not_taken_for_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody knows any more who it was, it was not this machine, and not the owner of a Unix socket."""
    monkeypatch.setattr(auth, "is_loopback", lambda address: False)
    engine = Repeatable()
    async with web([engine], api_keys=(KEY,), data_dir=tmp_path, **KEPT) as client, asyncio.timeout(HANG):
        mine = {"X-API-Key": KEY}
        await client.post("/v1/audio/speech", json=SPEECH, headers=mine)
        for _ in range(100):
            request = b"DELETE /v1/cache HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await asyncio.to_thread(reset, ("127.0.0.1", client.port), request)
        kept = (await client.get("/v1/cache", headers=mine)).json()["tiers"]
        assert kept["memory"]["entries"] == 1


async def test_who_resets_a_websocket_is_not_taken_for_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "is_loopback", lambda address: False)
    clients: list[object] = []
    refusal = Authenticator.refusal

    def spied(self: Authenticator, scope: dict[str, Any]) -> Refusal | None:
        if scope["type"] == "websocket":
            clients.append(scope["client"])
        return refusal(self, scope)

    monkeypatch.setattr(Authenticator, "refusal", spied)
    request = (
        b"GET /v1/audio/speech/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with web([ScriptedEngine()], api_keys=(KEY,)) as client, asyncio.timeout(HANG):
        for _ in range(100):
            await asyncio.to_thread(reset, ("127.0.0.1", client.port), request)
        await client.get("/health")
    assert clients
    assert None not in clients, "None is a client on a Unix socket, which needs no key"


async def test_who_resets_the_connection_does_not_slip_past_the_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(IPv4Address, "is_loopback", False)
    engine = ScriptedEngine()
    async with service([engine], allowed_networks=("10.0.0.0/8",)) as uri:
        port = int(uri.rpartition(":")[2])
        for _ in range(100):
            request = b'{"type": "synthesize", "data": {"text": "Hello."}}\n'
            await asyncio.to_thread(reset, ("127.0.0.1", port), request)
        async with raw(uri) as (reader, _):
            (event,) = await read_events(reader, "error")
            assert event.data["code"] == "not-allowed"
    assert not engine.said


async def test_a_file_of_keys_that_is_no_file_does_not_hold_the_service_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys")
    with pytest.raises(StartupError, match="is not a file"):
        async with service([ScriptedEngine()], http_port=free_port(), api_key_file=tmp_path / "keys"):
            pass


async def test_both_doors_fit_into_the_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (1024, 4096)
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: limits)
    monkeypatch.setattr("resource.setrlimit", lambda _, now: raised.append(now))
    async with web([ScriptedEngine()], max_connections=1000):
        pass
    async with web([ScriptedEngine()], max_connections=5000):
        pass
    assert raised == [(2128, 4096), (4096, 4096)]


OPENAI_HEADERS = (
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,"
    "x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
)
"""What OpenAI's JavaScript client sends from a browser (openai-node, src/internal/headers.ts)."""


@pytest.mark.parametrize(
    ("named", "origin"),
    [
        ("https://house.example", "https://house.example"),
        ("https://house.example/", "https://house.example"),
        ("HTTPS://House.Example:443", "https://house.example"),
        ("http://house.example:8123/", "http://house.example:8123"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("chrome-extension://abcdefghijklmnop/", "chrome-extension://abcdefghijklmnop"),
        ("capacitor://localhost, tauri://localhost", "tauri://localhost"),
        ("*", "https://any.example"),
    ],
)
async def test_the_preflight_of_a_named_origin_allows_the_headers_it_asks_for(
    named: str, origin: str
) -> None:
    settings = load([f"--cors-origins={named}"], {})
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": OPENAI_HEADERS,
        "Access-Control-Request-Private-Network": "true",
    }
    async with web([ScriptedEngine()], cors_origins=settings.http.cors_origins, api_keys=(KEY,)) as client:
        preflight = await client.options("/v1/audio/speech", headers=asked)
        speech = {"Origin": origin, "Authorization": f"Bearer {KEY}", "X-Stainless-Lang": "js"}
        answer = await client.post("/v1/audio/speech", json={"input": "Hello."}, headers=speech)
        asked["Origin"] = "https://evil.example"
        other = await client.options("/v1/audio/speech", headers=asked)
    assert preflight.status_code == 200, preflight.text
    assert preflight.headers["access-control-allow-headers"] == OPENAI_HEADERS
    assert preflight.headers["access-control-allow-private-network"] == "true"
    for each in (preflight, answer):
        assert each.headers["access-control-allow-origin"] in {origin, "*"}
    assert answer.status_code == 200
    assert other.status_code == (200 if named == "*" else 400)


@pytest.mark.parametrize(
    "wrong",
    ["house.example", "https://", "https://a.example/path", "https://u@a.example", "https://a.example?x"],
)
def test_an_origin_that_is_none_is_an_error_that_names_it(wrong: str) -> None:
    with pytest.raises(SettingsError, match="--cors-origins"):
        load([f"--cors-origins={wrong}"], {})
