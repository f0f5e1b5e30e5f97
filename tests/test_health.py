"""For those who run the service: whether it is alive and ready, its numbers, its last requests, its log."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.house import HANG, ScriptedEngine, connect, home_assistant_plain, service, tone
from tests.test_said_before import KEPT, Repeatable
from tests.web import Web, code_of, free_port, web
from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.server.http.metrics import PREFIX
from wyoming_qwen3tts.speech import Utterance
from wyoming_qwen3tts.telemetry import JsonFormatter, quote

DASHBOARD = Path(__file__).parent.parent / "docs" / "grafana-dashboard.json"


class Modelled(Repeatable):
    """An engine with a model on a device, of which it tells."""

    def status(self) -> dict[str, dict[str, Any]]:
        return {
            "tiny": {
                "loaded": True,
                "bytes": 1234,
                "slots": 8,
                "running": 2,
                "waiting": 5,
                "work": {"steps": 10, "frames": 25, "generations": 3, "faults": {"loop": 1}},
                "clones": {"hits": 4, "made": 1},
            }
        }

    def device_bytes(self) -> int:
        return 5678

    async def say_late(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        assert utterance.on_start is not None
        utterance.on_start()
        yield tone(utterance.text)


async def numbers(client: Web) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the samples of /metrics, by name and labels."""
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_ready_is_503_until_the_voices_are_warm_and_health_answers_meanwhile() -> None:
    loading = asyncio.Event()

    class Slow(ScriptedEngine):
        async def start(self) -> None:
            await loading.wait()

    port = free_port()
    stop = asyncio.Event()

    async def serve() -> None:
        async with service([Slow()], http_port=port):
            await stop.wait()

    serving = asyncio.create_task(serve())
    async with Web(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(HANG):
        answer = await patiently(client, 503)
        assert code_of(answer) == "starting"
        assert answer.headers["retry-after"]
        assert (await client.get("/health")).json()["status"] == "starting"
        assert "<title>" in (await client.get("/")).text
        answer = await client.post("/v1/audio/speech", json={"input": "Hello."})
        assert (answer.status_code, code_of(answer)) == (503, "starting")
        loading.set()
        assert (await patiently(client, 200)).json() == {"status": "ready", "speaking": "scripted"}
        assert (await client.get("/health")).json()["status"] == "ok"
        assert (await client.post("/v1/audio/speech", json={"input": "Hello."})).status_code == 200
    stop.set()
    await serving


async def patiently(client: Web, status: int) -> httpx2.Response:
    """Ask whether a service is ready, until it answers with ``status``; at first nobody may be listening."""
    for _ in range(1000):
        with suppress(httpx2.ConnectError):
            answer = await client.get("/ready")
            if answer.status_code == status:
                return answer
        await asyncio.sleep(0.02)
    raise AssertionError(f"/ready never answered {status}")


async def test_health_says_how_everything_is(tmp_path: Path) -> None:
    class Broken(ScriptedEngine):
        name = "broken"

        async def start(self) -> None:
            raise EngineUnavailableError("it has no voice today")

    engine = Modelled()
    async with (
        web([engine, Broken()], data_dir=tmp_path, **KEPT) as client,
        connect(client.wyoming) as wyoming,
    ):
        await home_assistant_plain(wyoming, "Front door open.")
        health = (await client.get("/health")).json()
    assert health["engines"] == [
        {
            "name": "scripted",
            "state": "up",
            "ready": True,
            "reason": "",
            "voices": 2,
            "waiting": 0,
            "failures": 0,
            "restarts": 0,
            "models": engine.status(),
            "device_bytes": 5678,
        },
        {
            "name": "broken",
            "state": "starting",
            "ready": False,
            "reason": "it has no voice today",
            "voices": 2,
            "waiting": 0,
            "failures": 0,
            "restarts": 0,
        },
    ]
    assert (health["status"], health["speaking"]) == ("ok", "scripted")
    assert health["connections"] == 1
    assert health["requests"] == {"active": 0, "outcomes": {"ok": 1}}
    assert health["caches"]["disk"]["entries"] == 1
    assert health["prompts"] == {"tiny": {"hits": 4, "made": 1}}
    assert health["default_voice"] == "tone"
    assert {"python", "wyoming", "numpy", "fastapi"} <= health["versions"].keys()
    assert health["memory_bytes"] > 10_000_000
    assert health["uptime_seconds"] >= 0


async def test_numbers_are_as_prometheus_reads_them(tmp_path: Path) -> None:
    engine = Modelled()
    async with web([engine], data_dir=tmp_path, **KEPT) as client, connect(client.wyoming) as wyoming:
        before = await numbers(client)
        for _ in range(2):
            await home_assistant_plain(wyoming, "Front door open.")
        await client.post("/v1/audio/speech", json={"input": "Back door shut.", "response_format": "flac"})
        await client.post("/v1/audio/speech", json={"input": "Hello.", "voice": "nobody"})
        during = await numbers(client)
        await home_assistant_plain(wyoming, "Front door open.", {"name": "nobody"})
        after = await numbers(client)

    def risen(name: str, **labels: str) -> float:
        key = (f"{PREFIX}_{name}", tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0.0)

    fallbacks = (f"{PREFIX}_fallbacks_total", (("fallback", "voice"),))
    assert (during[fallbacks], after[fallbacks]) == (0, 1)
    after = during
    assert risen("requests_total", api="wyoming", engine="scripted", outcome="ok") == 2
    assert risen("requests_total", api="http", engine="scripted", outcome="ok") == 1
    assert risen("requests_total", api="http", engine="none", outcome="voice-not-found") == 1
    assert risen("request_sources_total", api="wyoming", cache="memory") == 1
    assert risen("first_audio_seconds_count", api="wyoming", cache="miss") == 1
    assert risen("first_audio_seconds_count", api="wyoming", cache="memory") == 1
    assert risen("real_time_factor_count", engine="scripted") == 2
    assert risen("queue_seconds_count", engine="scripted") == 2
    assert risen("synthesis_seconds_count", engine="scripted") == 2
    assert risen("encode_seconds_count", api="http") == 2
    assert risen("send_seconds_count", api="wyoming") == 2
    assert risen("characters_total", api="wyoming") == 32
    assert risen("audio_seconds_total", api="wyoming", engine="scripted") == pytest.approx(0.64)
    assert risen("cache_hits_total", tier="memory") == 1
    assert risen("cache_stored_total", tier="disk") == 2
    for name, value in (
        ("model_loaded", 1), ("model_bytes", 1234), ("model_slots", 8), ("model_running", 2),
        ("model_waiting", 5), ("model_frames_total", 25), ("model_steps_total", 10), ("model_utterances_total", 3),
    ):  # fmt: skip
        assert after[f"{PREFIX}_{name}", (("model", "tiny"),)] == value
    assert after[f"{PREFIX}_guards_total", (("guard", "loop"), ("model", "tiny"))] == 1
    assert after[f"{PREFIX}_device_bytes", (("engine", "scripted"),)] == 5678
    assert after[f"{PREFIX}_connections", ()] == 1
    assert after["process_resident_memory_bytes", ()] > 0


async def test_the_dashboard_draws_what_there_is(tmp_path: Path) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert {"title", "uid", "panels", "schemaVersion", "templating", "time"} <= dashboard.keys()
    async with web([Modelled()], data_dir=tmp_path, **KEPT) as client:
        await client.post("/v1/audio/speech", json={"input": "Back door shut."})
        there = {name for name, _ in await numbers(client)}
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    drawn = set()
    for panel in panels:
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert {"h", "w", "x", "y"} == panel["gridPos"].keys()
        for target in panel["targets"]:
            drawn |= set(re.findall(rf"\b(?:{PREFIX}|process)_\w+", target["expr"]))
            assert target["expr"].count("(") == target["expr"].count(")")
    assert drawn <= there, drawn - there
    assert len(drawn) > 15


async def test_the_last_requests_of_all_doors_are_listed() -> None:
    engine = Modelled()
    engine.script = engine.say_late
    async with web([engine], cache_memory=8.0) as client, connect(client.wyoming) as wyoming:
        await home_assistant_plain(wyoming, "Front door open. Back door shut.")
        asked = {"input": "Front door open.", "voice": "tone", "response_format": "mp3"}
        spoken = await client.post("/v1/audio/speech", json=asked)
        await client.post("/v1/audio/speech", json={**asked, "voice": "nobody"})
        failed, http, first = (await client.get("/v1/requests")).json()["requests"]
        assert len((await client.get("/v1/requests?limit=1")).json()["requests"]) == 1
        assert (await client.get("/v1/requests?limit=-1")).status_code == 400
    assert first["api"] == "wyoming"
    assert (first["characters"], first["voice"], first["engine"]) == (32, "tone", "scripted")
    assert (first["cache"], first["outcome"]) == ("miss", "ok")
    assert first["language"] == "en-US"
    assert first["real_time_factor"] > 0
    assert first["queue_seconds"] >= 0
    assert first["audio_seconds"] == pytest.approx(0.62)
    assert 0 < first["first_audio_seconds"] <= first["total_seconds"]
    assert (http["api"], http["cache"], http["real_time_factor"]) == ("http", "memory", None)
    assert http["id"] == spoken.headers["x-request-id"]
    assert http["encode_seconds"] > 0
    assert (failed["outcome"], failed["first_audio_seconds"], failed["voice"]) == (
        "voice-not-found",
        None,
        "",
    )


async def test_the_log_has_a_line_a_request_for_people_and_for_programs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="wyoming_qwen3tts.server.request_log"):
        async with web([ScriptedEngine()]) as client:
            await client.post("/v1/audio/speech", json={"input": "Front door open."})
    (record,) = [each for each in caplog.records if each.name.endswith("request_log")]
    assert re.fullmatch(
        r"http: ok voice=tone language=en-US chars=16 ttfa=\d+ms queue=\d+ms synthesis=\d+ms send=\d+ms "
        r"total=\d+ms audio=0\.3s rtf=\d+\.\d{3} cache=off id=[0-9a-f]{32}",
        record.getMessage(),
    )
    line = json.loads(JsonFormatter().format(record))
    assert line["fields"]["outcome"] == "ok"
    assert line["fields"]["api"] == "http"
    assert {
        "id",
        "voice",
        "language",
        "characters",
        "queue_seconds",
        "first_audio_seconds",
        "synthesis_seconds",
        "send_seconds",
        "real_time_factor",
        "cache",
    } <= line["fields"].keys()


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("service: stopped", None),
        ("service: ready seconds=1.5 version=0.1.0", {"seconds": 1.5, "version": "0.1.0"}),
        (
            "engine: no voices engine=qwen3 reason=" + quote('there is no "x" = y'),
            {"engine": "qwen3", "reason": 'there is no "x" = y'},
        ),
        ("cache: damaged entry dropped tier=disk text=-", {"tier": "disk", "text": "-"}),
    ],
)
def test_every_line_of_the_json_log_has_its_fields(message: str, fields: dict[str, object] | None) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, message, None, None)
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line.get("fields")) == (message, fields)


async def test_the_json_log_has_the_names_of_the_metrics_and_their_labels() -> None:
    async with web([ScriptedEngine()]) as client:
        await client.post("/v1/audio/speech", json={"input": "Front door open."})
        (request,) = (await client.get("/v1/requests")).json()["requests"]
        numbers = (await client.get("/metrics")).text
    measured = (
        *("characters", "audio_seconds", "first_audio_seconds", "queue_seconds", "synthesis_seconds"),
        *("encode_seconds", "send_seconds", "real_time_factor"),
    )
    for name in measured:
        assert f"# TYPE {PREFIX}_{name}" in numbers
        assert name in request
    samples = rf"^{PREFIX}_(?:requests_total|request_sources|fallbacks|{'|'.join(measured)})\w*{{(.*)}} "
    labels = {label for found in re.findall(samples, numbers, re.M) for label in re.findall(r"(\w+)=", found)}
    assert labels - {"le"} == {"api", "engine", "outcome", "cache", "fallback"}
    assert labels - {"le"} <= request.keys()
