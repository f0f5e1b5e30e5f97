"""Voices of other machines: audio is complete, and a server that fails is not used."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.responses import JSONResponse, Response
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Attribution as WyomingAttribution
from wyoming.info import Describe, Info, TtsProgram, TtsVoice
from wyoming.tts import Synthesize, SynthesizeVoice

from tests import faults, house
from tests.faults import SCRIPTED, House, until
from tests.house import (
    CAST,
    HANG,
    ScriptedEngine,
    Spare,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    listed,
    octave,
    service,
    tone,
)
from tests.omni import BASE, CUSTOM, Omni, serving
from tests.web import free_port, web
from wyoming_qwen3tts.config.settings import RemoteSettings, SettingsError
from wyoming_qwen3tts.config.sources import load
from wyoming_qwen3tts.engines.base import Engine, EngineUnavailableError, UnsupportedTextError
from wyoming_qwen3tts.engines.remote import engine as remote_module
from wyoming_qwen3tts.engines.remote.engine import RemoteEngine
from wyoming_qwen3tts.speech import SAMPLE_RATE, Attribution, CustomVoice, Reference, Style, Utterance, Voice

LIMITS = RemoteSettings(remote_connect_timeout=5.0, remote_first_timeout=HANG, remote_gap_timeout=HANG)
HASTY = RemoteSettings(remote_connect_timeout=0.3, remote_first_timeout=0.3, remote_gap_timeout=0.5)
TEXT = "The washing machine has finished."
NEXT = "The lamp is on."


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers be looked at often."""
    monkeypatch.setattr(remote_module, "LOOK_INTERVAL", 0.1)
    monkeypatch.setattr(remote_module, "REST", (0.05,))
    monkeypatch.setattr("wyoming_qwen3tts.engines.managed.REST", (0.05,))


def engine_for(*uris: str) -> RemoteEngine:
    """An engine for these servers."""
    return RemoteEngine(replace(LIMITS, remote_uri=uris))


@asynccontextmanager
async def remote(
    *uris: str, limits: RemoteSettings = LIMITS, key: str | None = None
) -> AsyncIterator[RemoteEngine]:
    """An engine for these servers, started."""
    engine = RemoteEngine(replace(limits, remote_uri=uris, remote_key=key))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


def ask(engine: Engine, text: str = TEXT, name: str | None = None, **more: Any) -> Utterance:
    """Return an utterance for one of the engine's voices, the first one by default."""
    voice = next(voice for voice in engine.voices() if name in {None, voice.name})
    return Utterance(text, voice, more.pop("language", voice.languages[0]), **more)


async def heard(engine: Engine, said: Utterance | None = None) -> bytes:
    """Return all that an engine gives of an utterance."""
    async with aclosing(engine.speak(said or ask(engine))) as sounds:
        return b"".join([sound async for sound in sounds])


def door(number: int, what: str = "door") -> str:
    """Return one sentence of many: no number is in it, which a server would read in words."""
    return f"The {what} of {chr(ord('A') + number)}lan is open."


# -- a Wyoming server ---------------------------------------------------------------------------------------


async def test_another_server_is_heard_as_it_speaks() -> None:
    async with service([ScriptedEngine()]) as uri, remote(uri) as engine:
        for text in (TEXT, NEXT, "Über zwanzig Grad."):
            assert await heard(engine, ask(engine, text)) == tone(text)
        assert engine.servers()[uri]["spoken"] == 3


async def test_the_voices_of_another_server_are_those_of_this_one() -> None:
    async with service([ScriptedEngine(voices=CAST)], voice="Vivian") as back:
        async with service([engine_for(back)]) as front:
            async with connect(back) as one, connect(front) as other:
                there, here = await listed(one), await listed(other)
    assert [voice.name for voice in here] == [voice.name for voice in there]
    assert [voice.languages for voice in here] == [voice.languages for voice in there]
    # There a default voice is set, here none is; the order is the same otherwise.
    assert [(voice.description or "").removeprefix("(default) ") for voice in there] == [
        voice.description for voice in here
    ]
    assert {str(voice.description)[:5] for voice in here} >= {"also ", "last "}


async def test_a_server_like_this_one_has_brought_its_voices_to_a_level() -> None:
    own = ScriptedEngine()
    async with service([own]) as back:
        async with service([engine_for(back)], loudness=-30.0) as front_uri:
            assert await says(front_uri, TEXT) == tone(TEXT)
    assert own.said == [TEXT], "it was not measured"


async def test_it_is_told_the_voice_and_the_language_and_that_nobody_stands_in() -> None:
    async with fake() as server, remote(server.uri) as engine:
        await heard(engine, ask(engine, name="anna"))
        await heard(engine, ask(engine, name="anna", language="und"))
    voices = [event.data["voice"] for event in server.asked]
    assert voices == [{"name": "anna", "language": "de-DE"}, {"name": "anna"}]
    assert [event.data["context"] for event in server.asked] == [{"fallback": False, "via": []}] * 2


async def answered(client: AsyncClient, **context: object) -> Event:
    """Ask for a sentence with a context; return the first event of the answer."""
    await client.write_event(Synthesize(TEXT, context=context).event())
    answer = await client.read_event()
    assert answer is not None
    return answer


async def test_nobody_stands_in_for_whoever_asks_so() -> None:
    async def refuse(said: Utterance) -> AsyncGenerator[bytes, None]:
        raise EngineUnavailableError("not now")
        yield b""

    engines = [ScriptedEngine(refuse), Spare()]
    async with service(engines) as uri, connect(uri) as client:
        assert await home_assistant_plain(client, TEXT) == octave(TEXT)
        answer = await answered(client, fallback=False)
        assert (answer.type, answer.data["code"]) == ("error", "engine-unavailable")


WRONG: dict[str, list[object]] = {"fallback": ["no", 1, [], {}], "via": ["a", {"a": 1}, [1], ["a" * 1000]]}
"""What is neither true nor false, and what is no list of names."""


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name in WRONG for wrong in WRONG[name]])
async def test_a_context_that_is_wrong_is_refused(name: str, wrong: object) -> None:
    async with service([ScriptedEngine()]) as uri, connect(uri) as client:
        answer = await answered(client, **{name: wrong})
        assert answer.data["code"] == "invalid-event"
        assert f"context.{name}" in answer.data["text"]


@pytest.mark.parametrize(("servers", "kind"), [(8, "audio-start"), (9, "error")])
async def test_a_request_comes_through_so_many_servers_and_no_more(servers: int, kind: str) -> None:
    async with service([ScriptedEngine()]) as uri, connect(uri) as client:
        answer = await answered(client, via=["server"] * servers)
        assert answer.type == kind
        assert answer.data.get("code") in {None, "loop-detected"}


class Fake:
    """A Wyoming server of another kind, whose responses a test determines."""

    version = "2"

    def __init__(self, say: Callable[[Fake, Event, asyncio.StreamWriter], Awaitable[object]]) -> None:
        self.say = say
        self.asked: list[Event] = []
        self.connections: list[asyncio.StreamWriter] = []
        self.spoken_on: list[asyncio.StreamWriter] = []
        """The connection of every request."""
        self.tasks: set[asyncio.Task[object]] = set()
        """One for each connection."""
        self.uri = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer on one connection."""
        self.connections.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while (event := await async_read_event(reader)) is not None:
                if Describe.is_type(event.type):
                    await async_write_event(self.info(), writer)
                elif Synthesize.is_type(event.type):
                    self.asked.append(event)
                    self.spoken_on.append(writer)
                    await self.say(self, event, writer)
        except OSError:
            pass
        finally:
            writer.close()

    def info(self) -> Event:
        """Return what it says of itself."""
        maker = WyomingAttribution(name="tests", url="")
        voices = [
            TtsVoice(
                name=name,
                description=None,
                attribution=maker,
                installed=name != "gone",
                version=None,
                languages=["de_DE"],
            )
            for name in ("anna", "gone")
        ]
        program = TtsProgram(
            name="fake",
            description=None,
            attribution=maker,
            installed=True,
            version=self.version,
            voices=voices,
        )
        return Info(tts=[program]).event()


async def says_tone(fake: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
    """Answer as servers do."""
    await answers(writer, tone(event.data["text"]))


async def answers(
    writer: asyncio.StreamWriter, sound: bytes, rate: int = SAMPLE_RATE, width: int = 2, channels: int = 1
) -> None:
    """Send a sound, whole."""
    form = {"rate": rate, "width": width, "channels": channels}
    await async_write_event(AudioStart(**form).event(), writer)
    step = 700 * width * channels
    for start in range(0, len(sound), step):
        await async_write_event(AudioChunk(audio=sound[start : start + step], **form).event(), writer)
    await async_write_event(AudioStop().event(), writer)


@asynccontextmanager
async def fake(
    say: Callable[[Fake, Event, asyncio.StreamWriter], Awaitable[object]] = says_tone,
    kind: type[Fake] = Fake,
) -> AsyncIterator[Fake]:
    found = kind(say)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.uri = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        for task in found.tasks:
            task.cancel()
        await asyncio.gather(*found.tasks, return_exceptions=True)
        for writer in found.connections:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in found.connections), return_exceptions=True)


async def test_voices_that_are_not_installed_are_none() -> None:
    async with fake() as server, remote(server.uri) as engine:
        (voice,) = engine.voices()
        assert (voice.name, voice.languages, voice.engine) == ("anna", ("de-DE",), "remote")
        assert engine.identity(voice) == "wyoming fake 2"


async def test_a_connection_is_used_again() -> None:
    async with fake() as server, remote(server.uri) as engine:
        for number in range(5):
            assert await heard(engine, ask(engine, door(number))) == tone(door(number))
        assert len(set(map(id, server.spoken_on))) == 1


async def test_a_connection_that_was_closed_while_it_lay_idle_is_nobodys_fault() -> None:
    async with fake() as server, remote(server.uri) as engine:
        for number in range(3):
            assert await heard(engine, ask(engine, door(number))) == tone(door(number))
            server.spoken_on[-1].close()
        assert len(set(map(id, server.spoken_on))) == 3
        assert engine.servers()[server.uri]["failed"] == 0


async def test_who_leaves_leaves_the_other_server_too() -> None:
    left = asyncio.Event()

    async def babble(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
        await async_write_event(AudioStart(SAMPLE_RATE, 2, 1).event(), writer)
        try:
            while True:
                await async_write_event(AudioChunk(SAMPLE_RATE, 2, 1, tone("x")).event(), writer)
                await asyncio.sleep(0.005)
        except OSError:
            left.set()

    async with fake(babble) as server, remote(server.uri) as engine:
        async with aclosing(engine.speak(ask(engine))) as sounds:
            assert await anext(sounds)
        async with asyncio.timeout(HANG):
            await left.wait()


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
async def test_another_rate_is_brought_to_ours(rate: int, channels: int) -> None:
    seconds, pitch = 1.5, 440.0
    wave = 8000 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)
    sent = np.repeat(wave.round().astype("<i2"), channels).tobytes()

    async def say(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
        await answers(writer, sent, rate, 2, channels)

    async with fake(say) as server, remote(server.uri) as engine:
        got = np.frombuffer(await heard(engine), "<i2").astype(float)
    assert abs(len(got) - seconds * SAMPLE_RATE) <= 1
    expected = 8000 * np.sin(2 * np.pi * pitch * np.arange(len(got)) / SAMPLE_RATE)
    middle = slice(SAMPLE_RATE // 10, -SAMPLE_RATE // 10)
    error = got[middle] - expected[middle]
    assert 20 * np.log10(np.std(expected[middle]) / np.std(error)) > 50


async def truncates(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
    await async_write_event(AudioStart(SAMPLE_RATE, 2, 1).event(), writer)
    await async_write_event(AudioChunk(SAMPLE_RATE, 2, 1, tone("half")).event(), writer)
    writer.close()


async def sends_half_samples(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
    await answers(writer, tone("x") + b"\0")


async def sends_other_bits(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
    await answers(writer, bytes(3000), width=4)


async def changes_its_rate(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
    await async_write_event(AudioStart(SAMPLE_RATE, 2, 1).event(), writer)
    await async_write_event(AudioChunk(SAMPLE_RATE, 2, 1, tone("half")).event(), writer)
    await async_write_event(AudioChunk(16_000, 2, 1, tone("half")).event(), writer)


async def talks_nonsense(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    writer.close()


async def lacks_a_rate(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
    await async_write_event(AudioStart(SAMPLE_RATE, 2, 1).event(), writer)
    await async_write_event(Event("audio-chunk", {"width": 2}, b"1234"), writer)


@pytest.mark.parametrize(
    "say",
    [
        truncates,
        sends_half_samples,
        sends_other_bits,
        changes_its_rate,
        talks_nonsense,
        lacks_a_rate,
    ],
)
async def test_whatever_a_server_sends_nothing_is_whole_that_is_not(
    say: Callable[[Fake, Event, asyncio.StreamWriter], Awaitable[object]],
) -> None:
    async with fake(say) as server, remote(server.uri) as engine:
        with pytest.raises(EngineUnavailableError):
            await heard(engine)


# -- several of them ----------------------------------------------------------------------------------------


class Gate:
    """A script that waits to be let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.at = 0

    async def __call__(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        self.at += 1
        await self.go.wait()
        yield tone(said.text)


async def test_whoever_has_least_to_do_is_asked() -> None:
    gates = [Gate(), Gate(), Gate()]
    async with (
        service([ScriptedEngine(gates[0])]) as one,
        service([ScriptedEngine(gates[1])]) as two,
        service([ScriptedEngine(gates[2])]) as three,
        remote(one, two, three) as engine,
    ):
        asked = [asyncio.create_task(heard(engine, ask(engine, door(n)))) for n in range(9)]
        await until(lambda: sum(gate.at for gate in gates) == 9, "not all are asked")
        assert [gate.at for gate in gates] == [3, 3, 3]
        gates[1].go.set()
        await until(lambda: sum(task.done() for task in asked) == 3, "the second does not speak")
        more = [asyncio.create_task(heard(engine, ask(engine, door(n, "gate")))) for n in range(3)]
        await asyncio.gather(*more)  # all of them with the second, or they would wait
        for gate in gates:
            gate.go.set()
        assert await asyncio.gather(*asked) == [tone(door(n)) for n in range(9)]


@asynccontextmanager
async def mortal(port: int, script: Any = house.say_tone) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A server on a port; give what ends it, at once and with whatever it is at."""
    running = service([ScriptedEngine(script)], uri=(f"tcp://127.0.0.1:{port}",), stop_timeout=0.0)
    await running.__aenter__()
    ended = False

    async def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            await running.__aexit__(None, None, None)

    try:
        yield end
    finally:
        await end()


async def test_a_server_that_goes_is_not_missed_and_one_that_comes_back_is_asked() -> None:
    port = free_port()
    first = f"tcp://127.0.0.1:{port}"
    async with service([ScriptedEngine()]) as second:
        async with mortal(port) as end, remote(first, second) as engine:
            assert await heard(engine) == tone(TEXT)
            assert engine.servers()[first]["spoken"] == 1
            await end()
            for number in range(4):
                assert await heard(engine, ask(engine, door(number))) == tone(door(number))
            assert engine.servers()[second]["spoken"] == 4
            assert not engine.servers()[first]["up"]
            async with mortal(port):
                await until(lambda: engine.servers()[first]["up"], "it is not seen to be back")
                for number in range(2):
                    assert await heard(engine, ask(engine, door(number))) == tone(door(number))
                assert engine.servers()[first]["spoken"] >= 2


async def test_who_breaks_off_before_the_first_sound_is_not_heard_of() -> None:
    async def close(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with fake(close) as broken, fake() as well, remote(broken.uri, well.uri) as engine:
        for number in range(4):
            assert await heard(engine, ask(engine, door(number))) == tone(door(number))
        assert engine.servers()[well.uri]["spoken"] == 4
        assert engine.servers()[broken.uri]["failed"] >= 1


async def test_who_breaks_off_after_the_first_sound_is_an_error_and_nothing_is_said_twice() -> None:
    async with fake(truncates) as broken, fake() as well, remote(broken.uri, well.uri) as engine:
        async with aclosing(engine.speak(ask(engine))) as speech:
            assert await anext(speech) == tone("half")
            with pytest.raises(EngineUnavailableError, match="closed the connection"):
                await anext(speech)
        assert not well.asked


async def test_who_says_nothing_is_not_waited_for() -> None:
    async def sleep(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(HANG)

    async with fake(sleep) as hung, fake() as well, remote(hung.uri, well.uri, limits=HASTY) as engine:
        assert await heard(engine) == tone(TEXT)
        assert not engine.servers()[hung.uri]["up"]
        assert "no sound" in engine.servers()[hung.uri]["reason"]
        # It answers when it is looked at, but it is not relied on before it has spoken.
        await asyncio.sleep(0.3)
        assert not engine.servers()[hung.uri]["up"]
        hung.say = says_tone
        await until(lambda: engine.servers()[hung.uri]["up"], "it is not seen to speak again")


async def test_who_falls_silent_is_an_error() -> None:
    async def stop(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
        await async_write_event(AudioStart(SAMPLE_RATE, 2, 1).event(), writer)
        await async_write_event(AudioChunk(SAMPLE_RATE, 2, 1, tone("half")).event(), writer)
        await asyncio.sleep(HANG)

    async with fake(stop) as hung, remote(hung.uri, limits=HASTY) as engine:
        with pytest.raises(EngineUnavailableError, match=r"no more sound for 0\.5 s"):
            await heard(engine)


async def test_who_takes_no_connection_is_not_waited_for() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        deaf = f"tcp://127.0.0.1:{full.getsockname()[1]}"
        try:
            async with fake() as well, remote(deaf, well.uri, limits=HASTY) as engine:
                assert await heard(engine) == tone(TEXT)
                assert "did not respond within 0.3 s" in engine.servers()[deaf]["reason"]
        finally:
            for filler in fillers:
                filler.close()


async def test_a_server_that_is_busy_is_well_and_another_one_speaks() -> None:
    gate = Gate()
    async with (
        service([ScriptedEngine(gate)], max_concurrent_requests=1) as one,
        service([ScriptedEngine()]) as two,
        remote(one) as alone,
        remote(one, two) as engine,
    ):
        waiting = asyncio.create_task(heard(alone))
        await until(lambda: gate.at == 1, "nobody speaks")
        assert await heard(engine, ask(engine, NEXT)) == tone(NEXT)
        assert (engine.servers()[one]["up"], engine.servers()[one]["failed"]) == (True, 0)
        gate.go.set()
        assert await waiting == tone(TEXT)


async def test_a_text_that_nobody_can_say_is_no_fault_of_a_server() -> None:
    async def cannot(said: Utterance) -> AsyncGenerator[bytes, None]:
        raise UnsupportedTextError("not that")
        yield b""

    async with service([ScriptedEngine(cannot)]) as uri, remote(uri) as engine:
        for _ in range(4):
            with pytest.raises(UnsupportedTextError):
                await heard(engine)
        assert engine.servers()[uri]["up"]


# -- in the service -------------------------------------------------------------------------------------------


async def says(uri: str, text: str, voice: str | None = None) -> bytes:
    """Return the audio that a client gets."""
    async with connect(uri) as client:
        return await home_assistant_plain(client, text, SynthesizeVoice(name=voice) if voice else None)


async def comes(
    hear: Callable[[], Awaitable[bytes]], expected: bytes, meanwhile: bytes | None = None
) -> None:
    """Wait until a client gets this audio. ``meanwhile``: other audio allowed until then; None for any."""
    async with asyncio.timeout(HANG):
        while (sound := await hear()) != expected:
            assert meanwhile in {None, sound}
            await asyncio.sleep(0.02)


async def test_while_the_other_machine_is_away_somebody_else_speaks() -> None:
    port = free_port()
    engine = engine_for(f"tcp://127.0.0.1:{port}")
    async with mortal(port) as end, service([engine, Spare()]) as uri:
        assert await says(uri, TEXT) == tone(TEXT)
        await end()
        for number in range(5):
            assert await says(uri, door(number), "tone") == octave(door(number))
        async with mortal(port):
            await until(lambda: engine.servers()[f"tcp://127.0.0.1:{port}"]["up"], "it is not seen")
            await comes(lambda: says(uri, TEXT, "tone"), tone(TEXT), meanwhile=octave(TEXT))


async def test_a_machine_that_comes_late_is_welcome() -> None:
    port = free_port()
    engine = engine_for(f"tcp://127.0.0.1:{port}")
    async with service([engine, Spare()], fallback=True) as uri:
        assert await says(uri, TEXT) == octave(TEXT)
        async with mortal(port):
            await until(lambda: bool(engine.voices()), "it is not found")
            await comes(lambda: says(uri, TEXT, "tone"), tone(TEXT))
            async with connect(uri) as client:
                assert "tone" in {voice.name for voice in await listed(client)}


def front(uri: str, data: Path) -> RemoteEngine:
    """The engine of a front that remembers."""
    return RemoteEngine(replace(LIMITS, remote_uri=(uri,)), data / "remote.json")


async def test_a_house_that_starts_while_the_other_machine_is_away_knows_its_voices(tmp_path: Path) -> None:
    port = free_port()
    uri = f"tcp://127.0.0.1:{port}"
    kept: dict[str, Any] = {"cache_memory": 8.0, "cache_disk": 8.0, "data_dir": tmp_path, "voice": "tone"}
    async with mortal(port), service([front(uri, tmp_path), Spare()], **kept) as house_uri:
        assert await says(house_uri, TEXT) == tone(TEXT)
    async with service([front(uri, tmp_path), Spare()], **kept) as house_uri:
        async with connect(house_uri) as client:
            assert {voice.name for voice in await listed(client)} >= {"tone", "Klang Zwei", "heart"}
        assert await says(house_uri, TEXT) == tone(TEXT), "what it said before is kept"
        assert await says(house_uri, NEXT) == octave(NEXT)
        async with mortal(port):
            await comes(lambda: says(house_uri, NEXT), tone(NEXT), meanwhile=octave(NEXT))


async def test_a_machine_that_is_known_is_not_waited_for_at_start(tmp_path: Path) -> None:
    async with fake() as server:
        engine = front(server.uri, tmp_path)
        await engine.start()
        await engine.close()
        before = len(server.connections)
        engine = front(server.uri, tmp_path)
        await engine.find()
        assert [voice.name for voice in engine.voices()] == ["anna"]
        assert len(server.connections) == before, "it was asked"


async def test_a_server_of_another_version_speaks_for_one_that_fails() -> None:
    class Newer(Fake):
        version = "3"

    async def close(server: Fake, event: Event, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with fake(close) as old, fake(kind=Newer) as new, remote(old.uri, new.uri) as engine:
        for number in range(3):
            assert await heard(engine, ask(engine, door(number))) == tone(door(number))
        assert engine.identity(engine.voices()[0]) == "wyoming fake 2"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"a": 1}',
        b'{"a": {"voices": [{}], "identities": {}, "cloner": ""}}',
        b"\xff",
        None,
    ],
)
async def test_a_memory_that_is_damaged_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "remote.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    async with fake() as server:
        for _ in range(2):
            engine = front(server.uri, tmp_path)
            await engine.start()
            assert await heard(engine) == tone(TEXT)
            await engine.close()
    if content is not None:
        engine = front(server.uri, tmp_path)
        await engine.find()
        assert [voice.name for voice in engine.voices()] == ["anna"]
        await engine.close()


async def test_a_voice_of_the_same_name_stands_in_for_the_one_that_is_away() -> None:
    class Twin(ScriptedEngine):
        name = "twin"

        def voices(self) -> Sequence[Voice]:
            return [Voice("tone", "Tone", ("en-US",), "twin", Attribution("tests", ""))]

    async def low(said: Utterance) -> AsyncGenerator[bytes, None]:
        yield octave(said.text)

    port = free_port()
    engine = engine_for(f"tcp://127.0.0.1:{port}")
    async with mortal(port) as end, service([engine, Twin(low)]) as uri:
        assert await says(uri, TEXT, "tone") == tone(TEXT)
        await end()
        assert await says(uri, TEXT, "tone") == octave(TEXT)


async def test_who_has_the_same_name_stands_in_before_others_do() -> None:
    """A second machine with the same model: a voice that is away there is itself here."""

    async def refuse(said: Utterance) -> AsyncGenerator[bytes, None]:
        raise EngineUnavailableError("the GPU fell over")
        yield b""

    own, other = ScriptedEngine(refuse, CAST), ScriptedEngine(voices=CAST)
    async with service([other]) as uri, service([own, engine_for(uri)]) as front:
        for name, text in (("heart", TEXT), ("Ryan", NEXT), ("Dylan", "你好。"), ("Vivian", "再见。")):
            await comes(partial(says, front, text, name), tone(text))
            assert other.told[-1].voice.name == name


@asynccontextmanager
async def help_each_other(*down: bool) -> AsyncIterator[list[str]]:
    """Servers that each ask the next one, and the last one the first, where their own engine is ``down``."""
    ports = [free_port() for _ in down]
    uris = [f"tcp://127.0.0.1:{port}" for port in ports]

    def engines(at: int) -> list[Engine]:
        async def say(said: Utterance) -> AsyncGenerator[bytes, None]:
            if down[at]:
                raise EngineUnavailableError("the GPU fell over")
            yield tone(said.text)

        helper = engine_for(uris[(at + 1) % len(down)])
        return [ScriptedEngine(say), helper, Spare()]

    async with AsyncExitStack() as stack:
        houses = [engines(at) for at in range(len(down))]
        for own, uri in zip(houses, uris, strict=True):
            await stack.enter_async_context(service(own, uri=(uri,)))
        for own in houses:
            helper = own[1]
            assert isinstance(helper, RemoteEngine)
            await until(lambda: helper.fault() is None, "it does not see the others")  # noqa: B023
        yield uris


async def test_servers_that_stand_in_for_each_other_do() -> None:
    async with help_each_other(True, False) as uris:
        for uri in uris:
            await comes(partial(says, uri, TEXT, "tone"), tone(TEXT), octave(TEXT))


@pytest.mark.parametrize("servers", [1, 2, 3])
async def test_servers_that_can_only_ask_each_other_know_it_at_once(servers: int) -> None:
    """One that asks itself, or others that ask it, would wait for its own answer: a minute, here."""
    async with help_each_other(*[True] * servers) as uris:
        for number in range(4):
            asked = [says(uri, door(number), "tone") for uri in uris]
            assert await asyncio.gather(*asked) == [octave(door(number))] * servers


async def test_what_somebody_else_said_there_is_not_kept_here(tmp_path: Path) -> None:
    """A server whose own model is away is not asked to stand in: it would be kept as the voice that it is not."""
    down = True

    async def maybe(said: Utterance) -> AsyncGenerator[bytes, None]:
        if down:
            raise EngineUnavailableError("the GPU fell over")
        yield tone(said.text)

    kept: dict[str, Any] = {"cache_memory": 8.0, "cache_disk": 8.0, "data_dir": tmp_path}
    async with service([ScriptedEngine(maybe), Spare()]) as back:
        engine = engine_for(back)
        async with service([engine, Spare()], **kept) as front:
            assert await says(front, TEXT, "tone") == octave(TEXT)
            down = False
            await comes(lambda: says(front, TEXT, "tone"), tone(TEXT))
            down = True
            assert await says(front, TEXT, "tone") == tone(TEXT)


async def test_health_and_metrics_tell_how_the_other_machines_are() -> None:
    gone = f"tcp://127.0.0.1:{free_port()}"
    async with service([ScriptedEngine()]) as back:
        async with web([engine_for(back, gone), Spare()]) as client:
            assert await says(client.wyoming, TEXT) == tone(TEXT)
            (remote, _) = (await client.get("/health")).json()["engines"]
            assert remote["servers"][back] | {"reason": ""} == {
                "up": True,
                "reason": "",
                "asked": 0,
                "spoken": 1,
                "failed": 0,
                "voices": 2,
            }
            assert not remote["servers"][gone]["up"]
            assert "cannot be reached" in remote["servers"][gone]["reason"]
            numbers = (await client.get("/metrics")).text
            assert f'_remote_up{{server="{back}"}} 1.0' in numbers
            assert f'_remote_up{{server="{gone}"}} 0.0' in numbers
            assert f'_remote_spoken_total{{server="{back}"}} 1.0' in numbers


# -- vllm-omni ----------------------------------------------------------------------------------------------


async def omni_tone(wanted: Any) -> AsyncIterator[bytes]:
    """Say what was asked for in tones."""
    yield tone(wanted.input)


@pytest.fixture
async def omni() -> AsyncIterator[Omni]:
    async with serving(Omni(omni_tone)) as found:
        yield found


async def test_vllm_omni_is_heard_as_it_speaks(omni: Omni) -> None:
    async with remote(omni.uri) as engine:
        for text in (TEXT, NEXT, "窗户开着。"):
            assert await heard(engine, ask(engine, text)) == tone(text)
        assert len(omni.peers) == 1  # a connection is used again


async def test_its_speakers_are_the_model_cards(omni: Omni) -> None:
    async with remote(omni.uri) as engine:
        ryan, fu, vivian = engine.voices()
    assert [ryan.name, fu.name, vivian.name] == ["Ryan", "Uncle Fu", "Vivian"]
    assert ryan.description == "Ryan: energetic man, strong rhythm (Qwen3-TTS 1.7B CustomVoice)"
    assert (ryan.languages[0], fu.languages[0], len(ryan.languages)) == ("en-US", "zh-CN", 10)
    assert ryan.supports_instructions
    assert ryan.accented


@pytest.mark.parametrize(
    ("model", "hears"),
    [(CUSTOM, True), ("Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice", False), ("/models/house-CustomVoice", True)],
)
async def test_whether_it_hears_instructions_is_in_its_name(omni: Omni, model: str, hears: bool) -> None:
    omni.model = model
    async with remote(omni.uri) as engine:
        assert {voice.supports_instructions for voice in engine.voices()} == {hears}


async def test_what_vllm_omni_is_asked_for(omni: Omni) -> None:
    async with remote(omni.uri) as engine:
        fu = next(voice for voice in engine.voices() if voice.name == "Uncle Fu")
        calm = Voice(
            "Uncle Fu calm",
            "",
            fu.languages,
            fu.engine,
            fu.attribution,
            base="Uncle Fu",
            style=Style("calm", instruct="Speak calmly."),
            model=fu.model,
            supports_instructions=True,
        )
        await heard(engine, Utterance(TEXT, calm, "de-DE", seed=7))
        await heard(engine, Utterance(TEXT, fu, "und"))
    assert omni.bodies[0] == {
        "model": CUSTOM,
        "input": TEXT,
        "voice": "uncle_fu",
        "language": "German",
        "instructions": "Speak calmly.",
        "seed": 7,
        "max_new_tokens": 50 + 6 * len(TEXT),
        "sample_rate": 24_000,
        "response_format": "pcm",
        "stream": True,
        "stream_format": "audio",
    }
    assert omni.bodies[1]["language"] == "Auto"
    assert "instructions" not in omni.bodies[1]
    # vllm-omni's own class ignores what it does not know: nothing of it may be that.
    assert set(omni.bodies[0]) <= set(type(omni.asked[0]).model_fields)


@pytest.mark.parametrize("transcript", ["", "This is how I talk."])
async def test_a_recording_is_sent_with_what_it_says(omni: Omni, tmp_path: Path, transcript: str) -> None:
    omni.model, omni.speakers = BASE, ()
    path = tmp_path / "me.wav"
    path.write_bytes(b"RIFF" + bytes(range(256)))
    recorded = CustomVoice("Me", Reference(path, "digest", transcript), "de-DE", seed=3)
    async with remote(omni.uri) as engine:
        assert engine.clones_with() == (BASE,)
        voice = engine.clone(recorded)
        assert voice.languages[0] == "de-DE"
        assert await heard(engine, Utterance(TEXT, voice, "de-DE")) == tone(TEXT)
        path.unlink()
        with pytest.raises(UnsupportedTextError, match="recording"):
            await heard(engine, Utterance(TEXT, voice, "de-DE"))
    (body,) = omni.bodies
    assert body["task_type"] == "Base"
    kind, _, data = body["ref_audio"].partition(",")
    assert kind == "data:audio/wav;base64"
    assert base64.b64decode(data) == b"RIFF" + bytes(range(256))
    assert body.get("ref_text", "") == transcript
    assert body.get("x_vector_only_mode", False) is not bool(transcript)
    assert "voice" not in body


async def test_a_server_for_each_checkpoint_is_one_engine(omni: Omni, tmp_path: Path) -> None:
    path = tmp_path / "me.wav"
    path.write_bytes(b"RIFF")
    async with serving(Omni(omni_tone, BASE, ())) as base, remote(omni.uri, base.uri) as engine:
        clone = engine.clone(CustomVoice("Me", Reference(path, "digest")))
        assert await heard(engine, Utterance(TEXT, clone, "en-US")) == tone(TEXT)
        assert await heard(engine, ask(engine, NEXT)) == tone(NEXT)
        assert [one.input for one in base.asked] == [TEXT]
        assert [one.input for one in omni.asked] == [NEXT]


async def test_voices_that_were_uploaded_there_are_voices(omni: Omni) -> None:
    omni.model, omni.speakers, omni.uploaded = BASE, (), ("grandma",)
    async with remote(omni.uri) as engine:
        assert [voice.name for voice in engine.voices()] == ["grandma"]
        assert await heard(engine) == tone(TEXT)
        assert omni.bodies[0]["voice"] == "grandma"


async def test_a_key_is_sent(omni: Omni) -> None:
    omni.key = "sesame"
    async with remote(omni.uri, key="sesame") as engine:
        assert await heard(engine) == tone(TEXT)
    with pytest.raises(EngineUnavailableError, match="401"):
        async with remote(omni.uri, key="other"):
            pass


async def test_an_answer_that_breaks_off_is_never_whole(omni: Omni) -> None:
    async def breaks(wanted: Any) -> AsyncIterator[bytes]:
        yield tone("half of it")
        raise RuntimeError("the engine died")

    omni.say = breaks
    async with remote(omni.uri) as engine:
        with pytest.raises(EngineUnavailableError, match="lost"):
            await heard(engine)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", "audio/wav", ""])
async def test_an_answer_that_is_no_pcm_is_never_heard(omni: Omni, kind: str) -> None:
    async def answer() -> Response:
        return Response(tone(TEXT), headers={"content-type": kind})

    omni.fault = answer
    async with serving(Omni(omni_tone)) as well, remote(omni.uri, well.uri) as engine:
        assert await heard(engine) == tone(TEXT)
        assert len(well.asked) == 1
    async with remote(omni.uri) as engine:
        with pytest.raises(EngineUnavailableError, match="instead of PCM"):
            await heard(engine)


async def test_a_connection_that_http_closes_while_it_is_used_again_is_nobodys_fault() -> None:
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = 0
        while (head := await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /v1/"):
            models = {"data": [{"id": CUSTOM}], "voices": ["ryan"]}
            writer.write(answer(json.dumps(models).encode(), "application/json"))
        while head:
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            if requests == 1:
                break
            requests += 1
            asked.append(requests)
            writer.write(answer(tone(body["input"]), "audio/pcm"))
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    def answer(body: bytes, kind: str) -> bytes:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, remote(uri) as engine:
        for number in range(4):
            assert await heard(engine, ask(engine, door(number))) == tone(door(number))
        assert engine.servers()[uri]["failed"] == 0
        assert asked == [1, 1, 1, 1]


async def test_who_leaves_ends_the_work_there(omni: Omni) -> None:
    async def babble(wanted: Any) -> AsyncIterator[bytes]:
        while True:
            yield tone("some more of it")
            await asyncio.sleep(0.005)

    omni.say = babble
    async with remote(omni.uri) as engine:
        async with aclosing(engine.speak(ask(engine))) as sounds:
            assert await anext(sounds)
        await until(lambda: omni.cancelled == 1, "it goes on")


def answering(status: int) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return JSONResponse({"error": {"message": "so it is", "code": status}}, status)

    return answer


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503])
async def test_where_one_refuses_the_next_one_speaks(omni: Omni, status: int) -> None:
    omni.fault = answering(status)
    async with serving(Omni(omni_tone)) as well, remote(omni.uri, well.uri) as engine:
        assert await heard(engine) == tone(TEXT)
        assert engine.servers()[omni.uri]["up"]
        assert engine.servers()[omni.uri]["failed"] == (status in {404, 500})
    async with remote(omni.uri) as engine:
        with pytest.raises(
            UnsupportedTextError if status in {400, 422} else EngineUnavailableError, match="so it is"
        ):
            await heard(engine)


async def test_who_fails_often_is_left_alone_until_it_speaks(omni: Omni) -> None:
    omni.fault = answering(500)
    async with serving(Omni(omni_tone)) as well, remote(omni.uri, well.uri) as engine:
        for number in range(12):
            assert await heard(engine, ask(engine, door(number))) == tone(door(number))
        assert engine.servers()[omni.uri]["failed"] == 3
        assert not engine.servers()[omni.uri]["up"]
        omni.fault = None
        await until(lambda: engine.servers()[omni.uri]["up"], "it is not seen to be well")


async def test_a_server_that_does_not_speak_qwen3_is_named() -> None:
    async with serving(Omni(omni_tone, "some/model", ())) as empty:
        with pytest.raises(EngineUnavailableError, match=r"some/model.*has no voices"):
            async with remote(empty.uri):
                pass


async def test_nobody_there_is_named() -> None:
    http, tcp = (f"{scheme}://127.0.0.1:{free_port()}" for scheme in ("http", "tcp"))
    with pytest.raises(EngineUnavailableError) as failed:
        async with remote(http, tcp):
            pass
    for uri in (http, tcp):
        assert f"{uri} cannot be reached" in str(failed.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "gpu",
        "gpu:10200",
        "stdio://",
        "ftp://gpu",
        "http://",
        "http://gpu/?a=b",
        "tcp://gpu",
        "tcp://gpu:x",
    ],
)
def test_an_address_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="remote-uri"):
        load(["--remote-uri", wrong], {})


def test_several_addresses_have_spaces_between_them() -> None:
    uris = ("tcp://gpu:10200", "http://gpu:8091/omni", "https://[::1]:8443")
    assert load(["--remote-uri", " ".join(uris)], {}).remote.remote_uri == uris


# -- processes ----------------------------------------------------------------------------------------------

FRONT = (
    "-m",
    "wyoming_qwen3tts",
    *"--engine remote,builtin --cache-memory 0 --cache-disk 0".split(),
    *"--remote-first-timeout 1 --remote-gap-timeout 1 --engine-timeout 2".split(),
    *SCRIPTED[2:],
)
"""A front as it is started: it adds nothing to the sound of the server behind it."""


async def speaks_again(front: House) -> None:
    """Wait until a front uses the server behind it."""
    await comes(lambda: front.say(NEXT), tone(NEXT))


@pytest.mark.slow
async def test_a_machine_that_is_killed_leaves_the_house_speaking_and_is_heard_when_it_is_back(
    tmp_path: Path,
) -> None:
    port = free_port()
    place = ("--uri", f"tcp://127.0.0.1:{port}", "--data-dir", tmp_path)
    front = faults.house("--remote-uri", f"tcp://127.0.0.1:{port}", program=FRONT)
    async with faults.house(*place) as back, front as running:
        await running.speaks(TEXT)
        asked = [asyncio.create_task(running.say(door(number))) for number in range(8)]
        await until(lambda: any(task.done() for task in asked), "nobody speaks")
        back.process.kill()
        await back.process.wait()
        for number, heard in enumerate(await asyncio.gather(*asked, return_exceptions=True)):
            if isinstance(heard, SpeechFailedError):  # nobody else ends what one voice began
                assert heard.heard
                assert tone(door(number)).startswith(heard.heard)
            else:
                assert isinstance(heard, bytes), heard
                assert heard == tone(door(number)) or len(heard) > SAMPLE_RATE  # another voice's second
        assert len(await running.say(TEXT)) > SAMPLE_RATE
        assert await running.say(TEXT) != tone(TEXT)
        async with faults.house(*place):
            await speaks_again(running)


@pytest.mark.slow
async def test_a_machine_that_stands_still_is_not_waited_for(tmp_path: Path) -> None:
    async with faults.house("--data-dir", tmp_path) as back:
        async with faults.house("--remote-uri", back.uri, program=FRONT) as running:
            await running.speaks(TEXT)
            with back.stopped():
                for _ in range(2):
                    sound = await running.say(TEXT)
                    assert sound != tone(TEXT)
                    assert len(sound) > SAMPLE_RATE
            await speaks_again(running)
