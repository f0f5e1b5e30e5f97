"""What the tests share: a service to talk to, an engine that does as told, and clients of every manner."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event, async_read_event
from wyoming.info import Describe, Info, TtsVoice
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from wyoming_qwen3tts.app import Service
from wyoming_qwen3tts.audio.loudness import Levels
from wyoming_qwen3tts.config.settings import AudioSettings, LimitSettings, Settings
from wyoming_qwen3tts.engines.base import Engine
from wyoming_qwen3tts.engines.pool import EnginePool
from wyoming_qwen3tts.pipeline.synthesizer import Synthesizer
from wyoming_qwen3tts.speech import SAMPLE_RATE, Attribution, Utterance, Voice
from wyoming_qwen3tts.text.frontend import Frontend
from wyoming_qwen3tts.voices.calibration import Calibration
from wyoming_qwen3tts.voices.catalog import VoiceCatalog
from wyoming_qwen3tts.voices.registry import CustomVoiceSource, StaticVoices

HANG = 60.0
"""Seconds after which a test has hung."""

FORMAT = (24_000, 2, 1)

AS_IT_IS: dict[str, Any] = {"loudness": None, "trim_silence": None, "sentence_silence": 0.0}
"""Settings with which the sound of an engine reaches the client untouched."""

UNPROCESSED = AudioSettings(loudness=None, trim_silence=None, trim_padding=0.0, sentence_silence=0.0)
"""The same for the post-processing alone."""

AS_SET: dict[str, Any] = {name: getattr(Settings().audio, name) for name in AS_IT_IS}
"""Settings with which it is finished as a household hears it."""

NOT_KEPT: dict[str, Any] = {"cache_memory": 0.0, "cache_disk": 0.0}
"""Settings with which everything is made anew: a test is not to hear another one's sound."""

Script = Callable[[Utterance], AsyncGenerator[bytes, None]]


def tone(text: str) -> bytes:
    """Return 20 ms of sound a character of ``text``, different for different texts, never silent."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    samples = np.random.default_rng(seed).integers(1000, 20_000, len(text) * SAMPLE_RATE // 50)
    return samples.astype("<i2").tobytes()


async def say_tone(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    """The plainest script: the utterance's tone, in two pieces."""
    sound = tone(utterance.text)
    yield sound[:480]
    yield sound[480:]


class ScriptedEngine(Engine):
    """An engine that speaks by a script, for faults and timings that a real voice cannot be asked for."""

    name = "scripted"
    max_batch_size = 1000

    def __init__(self, script: Script = say_tone, voices: Sequence[Voice] | None = None) -> None:
        self.script = script
        self.said: list[str] = []
        """Texts in the order they were begun."""
        self.told: list[Utterance] = []
        """The same, with all that was said about them."""
        self.closed = False
        self._voices = voices

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True

    def voices(self) -> Sequence[Voice]:
        if self._voices is not None:
            return self._voices
        maker = Attribution("tests", "")
        return [
            Voice("tone", "Tone", ("en-US",), self.name, maker),
            Voice("Klang Zwei", "Klang", ("de-DE",), self.name, maker),
        ]

    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        self.said.append(utterance.text)
        self.told.append(utterance)
        return self.script(utterance)


def octave(text: str) -> bytes:
    """Return what ``Spare`` says."""
    return tone(f"spare {text}")


async def say_octave(utterance: Utterance) -> AsyncGenerator[bytes, None]:
    """Spare's script."""
    yield octave(utterance.text)


class Spare(ScriptedEngine):
    """Who says what another engine cannot: an octave of its own."""

    name = "spare"

    def __init__(self) -> None:
        maker = Attribution("tests", "")
        super().__init__(say_octave, [Voice("heart", "heart", ("en-US",), "spare", maker)])


MAKER = Attribution("Tiny CustomVoice", "https://tests.example", "Apache-2.0")


def speaker(name: str, *languages: str, **more: Any) -> Voice:
    """Return a voice as Qwen3-TTS has them: a mother tongue, an accent in other languages, an open ear."""
    qualities: dict[str, Any] = {"accented": True, "supports_instructions": True, **more}
    return Voice(name, f"{name}: somebody ({MAKER.name})", languages, "scripted", MAKER, **qualities)


RYAN = speaker("Ryan", "en-US", "zh-CN", "de-DE", "fr-FR")
VIVIAN = speaker("Vivian", "zh-CN", "en-US", "de-DE", "fr-FR")
DYLAN = speaker("Dylan", "zh-CN", "en-US", "de-DE", "fr-FR", rank=1)
DEAF = Voice("heart", "Heart (built-in)", ("en-US",), "scripted", Attribution("hibari", ""))
ROBOT = Voice("espeak-de", "German (robotic)", ("de",), "scripted", Attribution("eSpeak NG", ""), rank=2)
CAST = (VIVIAN, RYAN, DYLAN, DEAF, ROBOT)
"""Two native speakers, one of a dialect, a voice that follows no instruction, and a last resort."""


PATIENT = LimitSettings(stall_timeout=HANG, engine_timeout=HANG, exit_when_hung_for=0)
"""Bounds that no test meets."""


@asynccontextmanager
async def running_pool(
    *engines: Engine, limits: LimitSettings = PATIENT, **options: Any
) -> AsyncIterator[EnginePool]:
    """Engines that are relied on, started."""
    found = EnginePool(engines, limits, **options)
    await found.start()
    try:
        yield found
    finally:
        await found.close()


def synthesizer(able: EnginePool, *, speed: float = 1.0, frontend: Frontend | None = None) -> Synthesizer:
    """The pipeline alone, from a request to the engines' own audio."""
    unlimited: dict[str, Any] = {"buffer_seconds": 9.0, "keepalive_after": 0.0, "first_audio_timeout": 0.0}
    whole: dict[str, Any] = {"first_clause": False, "trim_padding": 0.0}
    return Synthesizer(
        StaticVoices(VoiceCatalog([voice for engine in able.values() for voice in engine.voices()])),
        able,
        Settings.of(speed=speed, **AS_IT_IS, **NOT_KEPT, **unlimited, **whole),
        calibration=Calibration(Levels(None), able),
        frontend=frontend or Frontend(),
    )


@asynccontextmanager
async def service(
    engines: Sequence[Engine] | None = None,
    *,
    store: CustomVoiceSource | None = None,
    styles: Path | None = None,
    **settings: Any,
) -> AsyncIterator[str]:
    """Run a service on a free port of this machine; give its URI.

    What ``engines`` say comes through as it is, unless the settings ask for more. ``store`` and ``styles`` (a
    file) are in the place of what the settings name. Without ``data_dir`` it begins with an empty one: what
    another test's service has learned of voices is nobody's business.
    """
    as_it_is = AS_IT_IS if engines else {}
    empty = None if "data_dir" in settings else tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    if empty is not None:
        settings["data_dir"] = Path(empty.name)
    settings = {"uri": ("tcp://127.0.0.1:0",), "stop_timeout": 1.0, **NOT_KEPT, **as_it_is, **settings}
    running = Service(Settings.of(**settings), engines, store=store, styles=styles)
    try:
        await running.start()
        await settled(running)
        yield str(running.addresses[0])
    finally:
        await running.stop()
        if empty is not None:
            empty.cleanup()


async def settled(running: Service) -> None:
    """Wait until engines that load in the background have loaded, or cannot be."""
    async with asyncio.timeout(HANG):
        while any(member.is_loading for member in running.pool.members.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextmanager
def service_in_thread(engines: Sequence[Engine] | None = None, **settings: Any) -> Iterator[str]:
    """Run a service in a thread of its own, for tests that share one; give its URI."""
    uris: list[str] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            async with service(engines, **settings) as uri:
                uris.append(uri)
                started.set()
                await stop.wait()
        finally:
            started.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait(HANG)
    try:
        assert uris, "the service did not start"
        yield uris[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(HANG)
        loop.close()


@asynccontextmanager
async def connect(uri: str) -> AsyncIterator[AsyncClient]:
    """A client of the protocol's own library."""
    client = AsyncClient.from_uri(uri, connect_timeout=HANG, read_timeout=HANG)
    await client.connect()
    try:
        yield client
    finally:
        with suppress(OSError):
            await client.disconnect()


@asynccontextmanager
async def raw(uri: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection, for what no client library would send."""
    host, port = uri.removeprefix("tcp://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class SpeechFailedError(Exception):
    """The server answered with an error, or the connection ended early; ``heard``: the sound before that."""

    def __init__(self, text: str, code: str | None = None, heard: bytes = b"") -> None:
        super().__init__(text)
        self.code = code
        self.heard = heard


async def read_events(reader: asyncio.StreamReader, until: str | None = None) -> list[Event]:
    """Read events to the end of the connection, or to the first of type ``until``."""
    events = []
    async with asyncio.timeout(HANG):
        while (event := await async_read_event(reader)) is not None:
            events.append(event)
            if event.type == until:
                break
    return events


def types(events: Iterable[Event]) -> list[str]:
    """Return the types of events, runs of audio-chunk as one."""
    found: list[str] = []
    for event in events:
        if not (event.type == "audio-chunk" and found and found[-1] == "audio-chunk"):
            found.append(event.type)
    return found


def sound_of(events: Iterable[Event]) -> bytes:
    """Return the sound in events; every chunk must have the one format."""
    chunks = [AudioChunk.from_event(event) for event in events if AudioChunk.is_type(event.type)]
    assert all((chunk.rate, chunk.width, chunk.channels) == FORMAT for chunk in chunks)
    return b"".join(chunk.audio for chunk in chunks)


async def listed(client: AsyncClient) -> list[TtsVoice]:
    """Return the voices that a client is offered."""
    await client.write_event(Describe().event())
    event = await client.read_event()
    assert event is not None
    (program,) = Info.from_event(event).tts
    return program.voices


def offered(voices: Sequence[TtsVoice], language: str) -> list[str]:
    """Return the names that Home Assistant offers for a language, in its order."""
    able = [voice for voice in voices if language in voice.languages]
    return [voice.name for voice in sorted(able, key=lambda voice: voice.description or voice.name)]


async def home_assistant_plain(
    client: AsyncClient, text: str, voice: SynthesizeVoice | Mapping[str, str] | None = None
) -> bytes:
    """Home Assistant's read loop for a whole text: the first ``audio-stop`` ends it.

    A voice that is no ``SynthesizeVoice`` is sent as it is: the library sends one name and no more.
    """
    request = Synthesize(text=text, voice=voice if isinstance(voice, SynthesizeVoice) else None).event()
    if voice is not None and not isinstance(voice, SynthesizeVoice):
        request.data["voice"] = dict(voice)
    await client.write_event(request)
    sound: list[bytes] = []
    rate = None
    while (event := await client.read_event()) is not None:
        if Error.is_type(event.type):
            error = Error.from_event(event)
            raise SpeechFailedError(error.text, error.code, b"".join(sound))
        if AudioStop.is_type(event.type):
            assert rate == FORMAT
            return b"".join(sound)
        if AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            rate = (start.rate, start.width, start.channels)
        elif AudioChunk.is_type(event.type):
            assert rate is not None, "sound before audio-start is lost"
            sound.append(AudioChunk.from_event(event).audio)
    raise SpeechFailedError("the connection ended before audio-stop", heard=b"".join(sound))


async def home_assistant_streamed(
    client: AsyncClient, pieces: Iterable[str], voice: SynthesizeVoice | None = None
) -> bytes:
    """Home Assistant's two tasks for a text that is being written: only ``synthesize-stopped`` ends it."""
    pieces = list(pieces)

    async def write() -> None:
        await client.write_event(SynthesizeStart(voice=voice).event())
        for piece in pieces:
            await client.write_event(SynthesizeChunk(text=piece).event())
        await client.write_event(Synthesize(text="".join(pieces), voice=voice).event())
        await client.write_event(SynthesizeStop().event())

    writer = asyncio.create_task(write())
    sound: list[bytes] = []
    started = False
    try:
        while (event := await client.read_event()) is not None:
            if Error.is_type(event.type):
                error = Error.from_event(event)
                raise SpeechFailedError(error.text, error.code)
            if SynthesizeStopped.is_type(event.type):
                return b"".join(sound)
            if AudioStart.is_type(event.type):
                assert not started, "a second audio-start is ignored, so the format must not change"
                started = True
            elif AudioChunk.is_type(event.type):
                assert started, "sound before audio-start is lost"
                sound.append(AudioChunk.from_event(event).audio)
    finally:
        await writer
    raise SpeechFailedError("the connection ended before synthesize-stopped")
