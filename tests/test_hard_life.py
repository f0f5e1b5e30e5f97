"""Faults of network and process: whatever happens to one, the next is spoken, and no torso is taken for whole."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
from wyoming.audio import AudioChunk
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.faults import (
    POOL,
    Heard,
    House,
    Road,
    audible,
    deaf,
    hear,
    house,
    nothing_partial,
    powerless,
    reset,
    unharmed,
    until,
    wire,
)
from tests.house import (
    HANG,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    raw,
    service,
    tone,
    types,
)
from tests.redis_server import Server
from tests.test_said_before import KEPT, Repeatable
from tests.web import free_port
from wyoming_qwen3tts.cache.redis_connection import MAX_CONNECTIONS
from wyoming_qwen3tts.cache.sqlite import FILE_NAME
from wyoming_qwen3tts.speech import Utterance

SENTENCE = "The dinner is on the table."
LONG = "Come to the table now, all of you. " * 60
"""Some 2 MB of sound: more than a network holds for whoever does not read."""
WHOLE = tone("Come to the table now, all of you.") * 60


@asynccontextmanager
async def nothing_left(uri: str, text: str = SENTENCE) -> AsyncIterator[None]:
    """Whatever happens inside to a service of this process: the next is spoken, and nothing is left of it."""

    async def speaks() -> None:
        async with connect(uri) as client:
            assert await home_assistant_plain(client, text) == tone(text)

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - it changes meanwhile

    await speaks()
    await until(lambda: not peers(), "a connection stays")
    before = descriptors()
    yield
    await speaks()
    await until(lambda: not peers(), lambda: f"tasks stay: {peers()}")
    await until(lambda: descriptors() <= before, lambda: f"{descriptors()} files are open, not {before}")


def peers() -> list[str]:
    """Return the names of the tasks that serve somebody."""
    mine = {"peer", "reader", "speaker", "maker", "flight", "pump"}
    return [name for task in asyncio.all_tasks() if (name := task.get_name()) in mine]


# -- who leaves without a word ------------------------------------------------------------------------------

TALK: Sequence[Event] = [
    Describe().event(),
    Synthesize("First of all, good morning.").event(),
    SynthesizeStart().event(),
    SynthesizeChunk("Then the soup ").event(),
    SynthesizeChunk("is served. And now ").event(),
    Synthesize("Then the soup is served. And now go.").event(),
    SynthesizeChunk("go.").event(),
    SynthesizeStop().event(),
    AudioChunk(rate=16_000, width=2, channels=1, audio=bytes(320)).event(),
    Ping("Here").event(),
]
SAID = ["First of all, good morning.", "Then the soup is served.", "And now go."]


def cuts() -> dict[str, int]:
    """Return where a client may be cut off, in bytes of TALK: around every event, and inside each part of it."""
    found, at = {"connect": 0}, 0
    for number, event in enumerate(TALK):
        sent = wire(event)
        header = sent.index(b"\n") + 1
        payload = len(event.payload or b"")
        name = f"{number} {event.type}"
        found[f"in the header of {name}"] = at + header // 2
        if header + payload < len(sent):
            found[f"before the data of {name}"] = at + header
            found[f"in the data of {name}"] = at + (header + len(sent) - payload) // 2
        if payload:
            found[f"in the payload of {name}"] = at + len(sent) - payload // 2
        at += len(sent)
        found[f"after {name}"] = at
    return found


async def test_a_client_may_be_cut_off_at_every_byte_that_matters(tmp_path: Path) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, cache_live=True, **KEPT) as uri:
        for where, size in cuts().items():
            async with nothing_left(uri):
                for late in (False, True):
                    async with raw(uri) as (reader, writer):
                        writer.write(wire(*TALK)[:size])
                        await writer.drain()
                        if late and where != "connect" and size >= len(wire(TALK[0])):
                            await hear(reader, until="info")  # now the server has begun to read
                        reset(writer)
        async with connect(uri) as client:
            heard = [await home_assistant_plain(client, text) for text in SAID]
            assert heard == [tone(text) for text in SAID]
        async with raw(uri) as (reader, writer):
            writer.write(wire(*TALK))
            writer.write_eof()
            told = await hear(reader)
        assert told.sound == b"".join(map(tone, SAID)), "nobody who was cut off has left a torso behind"
    assert await nothing_partial(tmp_path) == len(SAID) + 1


PIECES = 5


class Stepping(Repeatable):
    """An engine that gives a piece of its sound when it is told to."""

    def __init__(self) -> None:
        super().__init__(self._step)
        self.go = asyncio.Semaphore(0)
        self.steps = True
        self.speaking = 0

    async def _step(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        sound = tone(utterance.text)
        size = len(sound) // PIECES & ~1
        self.speaking += 1
        try:
            for number in range(PIECES):
                if self.steps:
                    await self.go.acquire()
                yield sound[number * size : (number + 1) * size if number < PIECES - 1 else None]
        finally:
            self.speaking -= 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_listener_may_be_cut_off_at_every_event_of_its_answer(
    tmp_path: Path, *, streamed: bool
) -> None:
    engine = Stepping()
    text = "Somebody is at the door."
    async with service([engine], data_dir=tmp_path, cache_live=True, **KEPT) as uri:
        engine.steps = False
        async with nothing_left(uri):
            engine.steps = True
            # After nothing, after each piece of the sound, and with all of it but its end.
            for pieces in range(PIECES):
                async with raw(uri) as (reader, writer):
                    writer.write(wire(*asked(text, streamed=streamed)))
                    heard = Heard()
                    size = len(tone(text)) // PIECES & ~1
                    for _ in range(pieces):
                        engine.go.release()
                    while len(heard.sound) < pieces * size:
                        await hear(reader, heard, until="audio-chunk")
                    await until(lambda: engine.speaking == 1, "nobody speaks")
                    reset(writer)
                assert "audio-stop" not in types(heard.events)
                await until(lambda: engine.speaking == 0, "the voice speaks on, to nobody")
            engine.steps = False
        for _ in range(2):
            async with connect(uri) as client:
                assert await home_assistant_streamed(client, [text]) == tone(text)
    assert engine.said == [SENTENCE, *[text] * (PIECES + 1)], "what was whole is said once"
    assert await nothing_partial(tmp_path) == 2


def asked(text: str, *, streamed: bool) -> list[Event]:
    """Return the events that ask for a text."""
    if not streamed:
        return [Synthesize(text).event()]
    return [SynthesizeStart().event(), SynthesizeChunk(text).event(), SynthesizeStop().event()]


async def test_a_listener_that_is_cut_off_with_its_sound_in_the_network_harms_nobody(tmp_path: Path) -> None:
    async with service([Repeatable()], data_dir=tmp_path, **KEPT) as uri, nothing_left(uri):
        for text in (LONG, LONG, SENTENCE):
            for _ in range(10):
                reader, writer = await deaf(uri)
                writer.write(wire(Synthesize(text).event()))
                await hear(reader, until="audio-chunk")
                reset(writer)
        async with connect(uri) as client:
            assert await home_assistant_plain(client, LONG) == WHOLE
    assert await nothing_partial(tmp_path) == 2


ROADS = 500
"""Networks that are tried; each is a seed."""


# -- a network that fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [False, True], ids=["to the server", "both ways"])
async def test_a_network_that_damages_a_byte_in_a_hundred_breaks_no_answer_but_its_own(
    tmp_path: Path, *, back: bool
) -> None:
    engine = Repeatable()
    settings: dict[str, Any] = {"idle_timeout": 0.5, "event_timeout": 0.5, "max_event_bytes": 1 << 16}
    outcomes: set[str] = set()
    async with service([engine], data_dir=tmp_path, **settings) as uri, nothing_left(uri):
        for seed in range(ROADS):
            before = len(engine.said)
            talk = random.Random(seed).choices(TALK, k=1 + seed % 6)
            road = Road(uri, damage=0.01, back=back, seed=seed)
            async with road.built(), raw(road.uri) as (reader, writer):
                writer.write(wire(*talk))
                writer.write_eof()
                heard = Heard()
                try:
                    await hear(reader, heard)
                except (ValueError, KeyError, TypeError, AttributeError):
                    assert back, "the server sent what is no event"
            if back:
                continue
            check_whole(heard, engine.said[before:])
            outcomes.add(heard.last)
            for event in heard.events:
                assert event.data.get("code") != "internal-error"
    assert back or {"error", "audio-stop"} <= outcomes, "some were damaged, some were not"


def check_whole(heard: Heard, said: Sequence[str]) -> None:
    """Check that every answer that ends well ends with the end of a sentence, and holds nothing else."""
    whole, ends = b"", {0}
    for text in said:
        whole += tone(text)
        ends.add(len(whole))
    assert whole.startswith(audible(heard.sound))
    for number, event in enumerate(heard.events):
        if event.type == "audio-stop":
            so_far = Heard()
            so_far.events = heard.events[:number]
            assert len(audible(so_far.sound)) in ends


async def test_clients_that_vanish_without_a_word_are_forgotten_in_the_end() -> None:
    """Their connections stay open for ever, as those of a machine whose cable was pulled do."""
    limits = "--idle-timeout 1 --event-timeout 1 --send-timeout 1 --debug".split()
    async with house(*limits) as running, unharmed(running, SENTENCE):
        road, before, come = Road(running.uri), running.descriptors, running.said(": connected")
        async with road.built(), AsyncExitStack() as stack:
            vanished: list[bytes] = [
                b"",
                wire(Describe().event()),
                wire(Synthesize(SENTENCE).event())[:20],
                wire(AudioChunk(rate=16_000, width=2, channels=1, audio=bytes(320)).event())[:-10],
                wire(SynthesizeStart().event()),
                wire(SynthesizeStart().event(), SynthesizeChunk(SENTENCE).event()),
                wire(Synthesize(LONG).event()),
                wire(SynthesizeStart().event(), SynthesizeChunk(LONG).event()),
                wire(*[Synthesize(LONG).event()] * 20),
            ]
            for sent in vanished:
                reader, writer = await deaf(road.uri)
                stack.callback(reset, writer)
                writer.write(sent)
                if b"table now" in sent:
                    await hear(reader, until="audio-chunk")
            await until(lambda: running.said(": connected") == come + len(vanished), "not all have come in")
            road.freeze()
            await running.speaks(SENTENCE)
            await until(lambda: running.descriptors <= before, lambda: f"{running.descriptors}, not {before}")
            for why, times in (
                ("the client read nothing", 3),
                ("event was not complete", 2),
                ("no event was received", 4),
            ):
                await until(lambda: running.said(f"{why} ") == times, f"{why}: not {times} times")  # noqa: B023


@pytest.mark.parametrize("streamed", [False, True])
async def test_who_reads_on_too_late_is_not_left_to_think_that_all_was_said(*, streamed: bool) -> None:
    """Home Assistant keeps what came before the mere end of a connection: it has to be broken off."""
    async with service([Repeatable()], send_timeout=0.3) as uri, nothing_left(uri):
        reader, writer = await deaf(uri)
        writer.write(wire(*asked(LONG, streamed=streamed)))
        heard = await hear(reader, until="audio-chunk")
        await until(lambda: not peers(), "nobody has given up")
        await hear(reader, heard)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        assert WHOLE.startswith(heard.sound)
        assert heard.sound != WHOLE
        assert "audio-stop" not in types(heard.events)
        assert heard.failed, f"a torso that ends with {heard.last}"


async def test_who_ends_their_side_inside_a_stream_is_not_left_to_think_that_all_was_said() -> None:
    async with service([Repeatable()]) as uri, nothing_left(uri):
        reader, writer = await deaf(uri)
        writer.write(wire(*asked(LONG, streamed=True)[:-1]))
        heard = await hear(reader, until="audio-chunk")
        writer.write_eof()
        await hear(reader, heard)
        writer.close()
        assert WHOLE.startswith(heard.sound)
        assert "audio-stop" not in types(heard.events)
        assert heard.failed, f"a torso that ends with {heard.last}"


@pytest.mark.parametrize("how", ["leaves", "is wrong"])
async def test_who_reads_the_last_sound_late_hears_it_and_breaks_nothing(how: str) -> None:
    """However much of it still waits in this process when the server has taken leave."""
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(what))
    sentence = "Come to the table now, all of you. "
    to_make = 0

    async def count(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        nonlocal to_make
        yield tone(utterance.text)
        to_make -= 1

    async with service([Repeatable(count)]) as uri, nothing_left(uri):
        for times in range(1, 24):
            to_make = times
            reader, writer = await deaf(uri)
            writer.write(wire(Synthesize(sentence * times).event()))
            if how == "leaves":
                writer.write_eof()
            else:
                writer.write(b"no event\n")
            heard = await hear(reader, until="audio-chunk")
            await until(lambda: not to_make, "not all is made")  # noqa: B023
            for _ in range(100):
                await asyncio.sleep(0)  # until the server waits for us, and for nothing else
            await hear(reader, heard)
            writer.close()
            assert types(heard.events) == ["audio-start", "audio-chunk", "audio-stop"] + ["error"] * (
                how != "leaves"
            )
            assert heard.sound == tone(sentence.strip()) * times
    assert not faults, "\n".join(map(str, faults))


# -- a process that stands still ----------------------------------------------------------------------------

STILL = [3.0, pytest.param(20.0, marks=pytest.mark.long)]
"""Seconds that a process stands still."""


@pytest.mark.parametrize("seconds", STILL)
async def test_a_server_that_stood_still_says_everything_to_its_end(seconds: float, tmp_path: Path) -> None:
    async with house("--data-dir", tmp_path) as running, unharmed(running, SENTENCE):
        heard = await over_a_standstill(running, seconds)
    for each, whole in heard:
        assert each.last in {"audio-stop", "synthesize-stopped", "info"}
        assert each.sound == whole
    await nothing_partial(tmp_path)


async def test_a_server_that_stood_still_for_longer_than_its_patience_leaves_no_torso_behind(
    tmp_path: Path,
) -> None:
    limits = "--idle-timeout 1 --event-timeout 1 --send-timeout 1 --engine-timeout 1".split()
    async with house("--data-dir", tmp_path, *limits) as running, unharmed(running, SENTENCE):
        for each, whole in await over_a_standstill(running, 2.0):
            assert whole.startswith(each.sound)
            if not each.failed:
                assert each.last in {"audio-stop", "synthesize-stopped", "info"}
                assert each.sound == whole
    await nothing_partial(tmp_path)


async def over_a_standstill(running: House, seconds: float) -> list[tuple[Heard, bytes]]:
    """Let a server stand still while it speaks to many; return what they heard, and what they are owed."""
    talking: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, Heard, str, bytes]] = []
    async with AsyncExitStack() as stack:

        async def come(sent: bytes, until: str, end: str, whole: bytes) -> asyncio.StreamWriter:
            reader, writer = await deaf(running.uri)
            stack.callback(reset, writer)
            writer.write(sent)
            heard = await hear(reader, until=until) if until else Heard()
            talking.append((reader, writer, heard, end, whole))
            return writer

        await come(wire(Synthesize(LONG).event()), "audio-chunk", "audio-stop", WHOLE)
        await come(wire(*asked(LONG, streamed=True)), "audio-chunk", "synthesize-stopped", WHOLE)
        await come(
            wire(Synthesize(f"First this. {LONG}").event()),
            "audio-start",
            "audio-stop",
            tone("First this.") + WHOLE,
        )
        writing = await come(
            wire(*asked(f"Here it goes. {LONG}", streamed=True)[:-1]),
            "audio-chunk",
            "synthesize-stopped",
            tone("Here it goes.") + WHOLE,
        )
        half = wire(Synthesize(SENTENCE).event())
        began = await come(half[:30], "", "audio-stop", tone(SENTENCE))
        with running.stopped():
            await come(half, "", "audio-stop", tone(SENTENCE))  # the system takes it in
            await come(wire(Describe().event()), "", "info", b"")
            writing.write(wire(SynthesizeStop().event()))
            began.write(half[30:])
            hearing = [
                asyncio.create_task(hear(reader, heard, until=end)) for reader, _, heard, end, _ in talking
            ]  # all that was sent before: there is room again when it goes on
            await asyncio.sleep(seconds)
        await asyncio.gather(*hearing)
    return [(heard, whole) for _, _, heard, _, whole in talking]


READS_LATE = """
import socket, sys
opened = socket.socket()
opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
opened.connect(("127.0.0.1", int(sys.argv[1])))
opened.sendall(bytes.fromhex(sys.argv[2]))
print("sent", flush=True)
try:
    while data := opened.recv(4096):
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        if b"audio-stop" in data:
            break
except ConnectionResetError:
    print("reset")
"""


@pytest.mark.parametrize(("patience", "whole"), [(60, True), (1, False)])
async def test_a_client_that_stood_still_hears_the_rest_or_knows_that_there_is_more(
    patience: int, *, whole: bool
) -> None:
    async with house("--send-timeout", str(patience), "--debug") as running, unharmed(running, SENTENCE):
        port, sent = running.uri.rpartition(":")[2], wire(Synthesize(LONG).event())
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", READS_LATE, port, sent.hex()), stdout=asyncio.subprocess.PIPE
        )
        assert client.stdout is not None
        try:
            assert await client.stdout.readline() == b"sent\n"
            heard = await client.stdout.readexactly(4096)
            client.send_signal(signal.SIGSTOP)
            if whole:
                await asyncio.sleep(2.0)
            else:
                await running.logs("the client read nothing for 1 s")
            await running.speaks(SENTENCE)
            client.send_signal(signal.SIGCONT)
            heard += await client.stdout.read()
        finally:
            with suppress(ProcessLookupError):
                client.kill()
            await client.wait()
    reader = asyncio.StreamReader()
    reader.feed_data(heard.removesuffix(b"reset\n"))
    reader.feed_eof()
    told = await hear(reader)
    if heard.endswith(b"reset\n"):
        told.broken = "reset"
    if whole:
        assert told.last == "audio-stop"
        assert told.sound == WHOLE
    else:
        assert WHOLE.startswith(told.sound)
        assert told.failed, f"a torso that ends with {told.last}"


# -- a process that ends, and one that begins ---------------------------------------------------------------


@pytest.mark.parametrize("doors", ["one door", "two doors"])
async def test_who_is_spoken_to_when_the_server_is_stopped_hears_all_of_it_or_an_error(
    tmp_path: Path, doors: str
) -> None:
    port = free_port()
    http = ("--http-port", str(port)) if doors == "two doors" else ()
    async with (
        house("--data-dir", tmp_path, "--stop-timeout", "0.5", *http) as running,
        AsyncExitStack() as stack,
    ):
        talking = []
        for sent, end in (
            (wire(Synthesize(LONG).event()), "audio-stop"),
            (wire(*asked(LONG, streamed=True)), "synthesize-stopped"),
            (wire(*asked(LONG, streamed=True)[:-1]), "synthesize-stopped"),
            (wire(*[Synthesize(LONG).event()] * 3), ""),
        ):
            for _ in range(2):
                reader, writer = await deaf(running.uri)
                stack.callback(reset, writer)
                writer.write(sent)
                talking.append((reader, await hear(reader, until="audio-chunk"), end))
        downloads = []
        for _ in range(2 if http else 0):
            reader, writer = await deaf(f"tcp://127.0.0.1:{port}")
            stack.callback(reset, writer)
            body = f'{{"model": "tts-1", "voice": "tone", "response_format": "pcm", "input": "{LONG}"}}'
            head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Content-Type: application/json\r\n\r\n{body}".encode())
            assert b" 200 " in await reader.readline()
            downloads.append(reader)
        running.process.terminate()
        await running.logs("service: stopping")
        async with asyncio.timeout(HANG):
            heard = await asyncio.gather(*(hear(reader, told) for reader, told, _ in talking))
            bodies = await asyncio.gather(*map(downloaded, downloads))
        await running.ends_with(0)
    for told, (_, _, end) in zip(heard, talking, strict=True):
        stops = types(told.events).count("audio-stop")
        assert told.sound[: stops * len(WHOLE)] == WHOLE * stops, "what ends well is whole"
        assert WHOLE.startswith(told.sound[stops * len(WHOLE) :])
        assert told.failed or (stops and told.last in {end, "audio-stop"})
    for download in bodies:
        assert download is None or download == WHOLE, "a download that ends well is whole"
    assert sum("Traceback" in line for line in running.log) == 0
    await nothing_partial(tmp_path)


async def downloaded(reader: asyncio.StreamReader) -> bytes | None:
    """Return the body of an HTTP answer in chunks, None where it is broken off."""
    with suppress(ConnectionResetError, asyncio.IncompleteReadError):
        while (await reader.readuntil(b"\n")).strip():
            pass
        body = b""
        while size := int(await reader.readuntil(b"\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        return body
    return None


async def test_a_second_server_on_the_same_port_is_no_end_of_the_first(tmp_path: Path) -> None:
    async with house("--data-dir", tmp_path) as running, unharmed(running, SENTENCE):
        reader, writer = await deaf(running.uri)
        writer.write(wire(Synthesize(LONG).event()))
        heard = await hear(reader, until="audio-chunk")
        for options in (("--data-dir", str(tmp_path)), ("--http-port", running.uri.rpartition(":")[2])):
            uri = running.uri if options[0] == "--data-dir" else "tcp://127.0.0.1:0"
            second = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wyoming_qwen3tts", "--uri", uri, *options),
                stderr=asyncio.subprocess.PIPE,
            )
            _, log = await asyncio.wait_for(second.communicate(), HANG)
            assert second.returncode == 1
            assert b"error: cannot listen on" in log
            assert b"Traceback" not in log
        assert (await hear(reader, heard, until="audio-stop")).sound == WHOLE
        reset(writer)
    await nothing_partial(tmp_path)


async def test_the_port_of_a_server_that_was_killed_while_it_spoke_is_free_at_once(tmp_path: Path) -> None:
    async with house("--data-dir", tmp_path) as killed, AsyncExitStack() as stack:
        await killed.speaks(SENTENCE)
        for text in (LONG, f"Hello there. {LONG}"):
            reader, writer = await deaf(killed.uri)
            stack.callback(reset, writer)
            writer.write(wire(Synthesize(text).event()))
            await hear(reader, until="audio-chunk")
        killed.process.kill()
        await killed.process.wait()
        async with house("--data-dir", tmp_path, "--uri", killed.uri) as running:
            assert running.uri == killed.uri
            await running.speaks(SENTENCE)
            assert await running.say(LONG) == WHOLE
    await nothing_partial(tmp_path)


# -- very many ----------------------------------------------------------------------------------------------

GROWTH = 24 << 20
"""Bytes that a server may grow by, whoever came and went."""


async def test_ten_thousand_who_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    describe, half = wire(Describe().event()), wire(Synthesize(SENTENCE).event())[:40]
    async with house("--data-dir", tmp_path) as running:

        async def visit(number: int) -> None:
            reader, writer = await deaf(running.uri)
            writer.write((b"", half, describe, describe)[number % 4])
            if number % 4 == 2:
                assert (await hear(reader, until="info")).last == "info"
            if number % 3 == 0:
                reset(writer)
            elif number % 3 == 1:
                writer.write_eof()
                await hear(reader)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        async def visits(numbers: range) -> None:
            for number in numbers:
                await visit(number)

        async def all_of(many: int) -> None:
            async with asyncio.timeout(HANG * 2):
                await asyncio.gather(*(visits(range(first, many, 50)) for first in range(50)))
            await running.speaks(SENTENCE)

        await all_of(200)
        async with unharmed(running, "That was a crowd."):
            threads, memory = running.threads, running.memory
            await all_of(10_000)
            assert running.threads <= threads + POOL
            grown = running.memory - memory
            assert grown < GROWTH, f"{grown >> 20} MiB more"
        assert running.said("Traceback") == 0


# -- what is kept, where nothing can be ---------------------------------------------------------------------

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
GONE_ON = "cache: tier not used tier=disk"


def phrases(what: str) -> list[str]:
    return [f"{what} {number} is open." for number in NUMBERS]


async def goes_on(running: House, texts: Sequence[str]) -> None:
    """Hear all of this from a server that cannot keep it, and one line of its log about that."""
    for text in texts:
        await running.speaks(text)
    assert await running.say(LONG) == WHOLE
    await running.logs(GONE_ON)
    for text in phrases("Wall"):
        await running.speaks(text)
    assert running.said(GONE_ON) == 1
    assert running.said("Traceback") == 0


async def test_a_disk_that_is_full_for_this_process_keeps_nothing_and_silences_nobody(tmp_path: Path) -> None:
    """A quota, or a limit of files' sizes: what is written beyond it is refused."""
    async with house("--data-dir", tmp_path) as running, unharmed(running, SENTENCE):
        for text in phrases("Window"):
            await running.speaks(text)
        await kept(tmp_path, phrases("Window"))
        largest = max(path.stat().st_size for path in tmp_path.iterdir())
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        await goes_on(running, [*phrases("Door"), *phrases("Gate"), *phrases("Window")])
        await nothing_partial(tmp_path)
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await again(running, "cache: tier works again tier=disk", 1)
    assert await nothing_partial(tmp_path) > len(NUMBERS)


async def kept(data: Path, texts: Sequence[str]) -> None:
    """Wait until a cache's file has all these texts."""

    def there() -> bool:
        if not (data / FILE_NAME).exists():
            return False
        database = sqlite3.connect(data / FILE_NAME)
        try:
            found = {text for (text,) in database.execute("SELECT text FROM entries")}
        except sqlite3.OperationalError:
            return False
        finally:
            database.close()
        return found >= set(texts)

    await until(there, "not all is kept")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tests", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.fail(
            f"no small file system can be mounted ({mounted.stderr.strip()}): run the tests as root, in a "
            "container that was started with --cap-add SYS_ADMIN",
            pytrace=False,
        )
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_a_file_system_that_is_full_keeps_nothing_and_silences_nobody(small: Path) -> None:
    async with house("--data-dir", small) as running, unharmed(running, SENTENCE):
        await running.speaks("The first one is kept.")
        await kept(small, ["The first one is kept."])
        with (small / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        await goes_on(running, [*phrases("Door"), *phrases("Gate"), "The first one is kept."])
        (small / "ballast").unlink()
        await again(running, "cache: tier works again tier=disk", 1)
        assert await nothing_partial(small) >= 1
    async with house("--data-dir", small) as running:
        await running.speaks("The first one is kept.")


async def test_a_server_begins_on_a_file_system_that_is_full(small: Path) -> None:
    with (small / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    async with house("--data-dir", small) as running, unharmed(running, SENTENCE):
        await goes_on(running, [*phrases("Door"), *phrases("Door")])


@pytest.mark.parametrize("place", ["new", "used", "a file"])
async def test_a_directory_that_cannot_be_written_to_keeps_nothing_and_silences_nobody(
    tmp_path: Path, place: str
) -> None:
    data = tmp_path / "data"
    if place == "a file":
        data.write_text("no directory")
    else:
        data.mkdir()
    if place == "used":
        async with house("--data-dir", data) as running:
            await running.speaks("That was said before.")
            await kept(data, ["That was said before."])
            running.process.terminate()
            await running.ends_with(0)
    for path in (*(data.iterdir() if data.is_dir() else ()), data):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        async with house("--data-dir", data, before=powerless()) as running:
            async with unharmed(running, SENTENCE):
                await goes_on(running, [*phrases("Door"), *phrases("Door"), "That was said before."])
            running.process.terminate()
            await running.ends_with(0)
    finally:
        data.chmod(0o755)


async def test_a_file_that_another_process_writes_to_for_seconds_is_no_silence(tmp_path: Path) -> None:
    async with house("--data-dir", tmp_path) as running, unharmed(running, SENTENCE):
        for text in phrases("Window"):
            await running.speaks(text)
        await kept(tmp_path, phrases("Window"))
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for text in [*phrases("Door"), *phrases("Window"), *phrases("Door")]:
            await running.speaks(text)
        await running.logs(GONE_ON)
        for text in phrases("Gate"):
            await running.speaks(text)
        assert running.said(GONE_ON) == 1
        other.execute("ROLLBACK")
        other.close()
        await again(running, "cache: tier works again tier=disk", 1)
    assert await nothing_partial(tmp_path) > len(NUMBERS)


async def test_a_file_that_another_process_has_for_itself_is_no_silence(tmp_path: Path) -> None:
    async with house("--data-dir", tmp_path) as running:
        await running.speaks(SENTENCE)
        await kept(tmp_path, [SENTENCE])
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    async with house("--data-dir", tmp_path) as running, unharmed(running, SENTENCE):
        for text in [*phrases("Door"), *phrases("Door")]:
            await running.speaks(text)
        await running.logs(GONE_ON)
        assert running.said(GONE_ON) == 1
        other.execute("COMMIT")
        other.close()
        await again(running, "cache: tier works again tier=disk", 1)
    assert await nothing_partial(tmp_path) > 1


# -- a clock that jumps, and a Redis that goes --------------------------------------------------------------

DAY = 86_400.0


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_clock_that_jumps_while_somebody_speaks_is_not_noticed(
    tmp_path: Path, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, clock = Stepping(), time.time
    limits: dict[str, Any] = {
        "idle_timeout": 5.0,
        "event_timeout": 5.0,
        "send_timeout": 5.0,
        "engine_timeout": 5.0,
    }
    async with service([engine], data_dir=tmp_path, cache_days=2.0, **KEPT, **limits) as uri:
        async with connect(uri) as client, raw(uri) as (reader, writer), raw(uri) as (silent, waiting):
            writer.write(wire(*asked(SENTENCE, streamed=True)))
            waiting.write(wire(Synthesize("Come in.").event())[:20])
            engine.go.release()
            heard = await hear(reader, until="audio-chunk")
            monkeypatch.setattr(time, "time", lambda: clock() + jump)
            for _ in range(PIECES):
                engine.go.release()
            await hear(reader, heard, until="synthesize-stopped")
            assert heard.sound == tone(SENTENCE)
            engine.steps = False
            waiting.write(wire(Synthesize("Come in.").event())[20:])
            assert (await hear(silent, until="audio-stop")).sound == tone("Come in.")
            assert await home_assistant_plain(client, SENTENCE) == tone(SENTENCE)
    said = list(engine.said)
    for times, now in enumerate((jump, 0.0, -jump, 0.0)):
        monkeypatch.setattr(time, "time", lambda now=now: clock() + now)
        settings = {"data_dir": tmp_path, "cache_days": 2.5, **KEPT, "cache_memory": 0.0}
        async with service([engine], **settings) as uri, connect(uri) as client:
            assert await home_assistant_plain(client, SENTENCE) == tone(SENTENCE)
            assert await home_assistant_plain(client, "Come in.") == tone("Come in.")
        assert engine.said == said, f"the jump number {times} has lost what was kept"
    assert await nothing_partial(tmp_path) == 2


async def test_a_redis_that_comes_and_goes_while_the_server_speaks_is_no_silence(tmp_path: Path) -> None:
    redis = Server(tmp_path)
    redis.start()
    gone, back = "cache: tier not used tier=redis", "cache: tier works again tier=redis"
    options = ("--cache-redis", redis.url, "--cache-disk", "0", "--cache-memory", "0")
    try:
        async with house("--data-dir", tmp_path / "data", *options) as running:
            async with unharmed(running, SENTENCE, MAX_CONNECTIONS):
                for text in phrases("Window"):
                    await running.speaks(text)
                talking = await deaf(running.uri)
                talking[1].write(wire(Synthesize(LONG).event()))
                heard = await hear(talking[0], until="audio-chunk")
                with redis.stopped():
                    for text in phrases("Door"):
                        await running.speaks(text)
                    assert (await hear(talking[0], heard, until="audio-stop")).sound == WHOLE
                await again(running, back, 1)
                reset(talking[1])
                redis.kill()
                for text in [*phrases("Gate"), *phrases("Window")]:
                    await running.speaks(text)
                redis.start()
                await again(running, back, 2)
                assert running.said(gone) == 2
                assert running.said("Traceback") == 0
    finally:
        redis.kill()


async def again(running: House, told: str, times: int) -> None:
    """Go on speaking until the log says something so many times."""
    names = map("".join, product(ascii_lowercase, repeat=3))
    async with asyncio.timeout(HANG):
        while running.said(told) < times:
            await running.speaks(f"Mister {next(names)} is at the door.")
