"""Voices that come, change and go while the service speaks, and who notices when."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import wave
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.house import (
    CAST,
    DEAF,
    HANG,
    RYAN,
    VIVIAN,
    ScriptedEngine,
    connect,
    home_assistant_plain,
    listed,
    offered,
    service,
)
from tests.test_segmentation import eventually
from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.engines.builtin import BuiltinEngine
from wyoming_qwen3tts.speech import CustomVoice, Reference, SpeechError, Utterance, Voice
from wyoming_qwen3tts.voices.catalog import UNUSABLE, UnknownVoiceError
from wyoming_qwen3tts.voices.registry import CLONING_MODEL, VoiceRegistry
from wyoming_qwen3tts.voices.store import CustomVoiceStore
from wyoming_qwen3tts.voices.store_reader import Problem, StoreContents

SOMEWHERE = Reference(Path("/nowhere.wav"), "digest")


def shelved(name: str, *, language: str = "de", description: str = "", seed: int = 3) -> CustomVoice:
    """A voice on a shelf, whose recording nobody looks at."""
    return CustomVoice(name, SOMEWHERE, language, description, seed)


@dataclass
class Shelf:
    """A library in memory, which counts how often it is looked at and read."""

    voices: Sequence[CustomVoice] = ()
    problems: Sequence[Problem] = ()
    looks: int = 0
    reads: int = 0
    error: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    """What a look waits for."""

    def __post_init__(self) -> None:
        self.gate.set()

    def signature(self) -> tuple[object, ...]:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        self.looks += 1
        seen = (*self.voices, *self.problems)
        assert self.gate.wait(HANG)
        if self.error is not None:
            raise self.error
        return seen

    def read(self) -> StoreContents:
        self.reads += 1
        return StoreContents(tuple(self.voices), tuple(self.problems))


class Cloner(ScriptedEngine):
    """An engine that clones, and notes what it is to prepare."""

    supports_cloning = True

    def __init__(self, voices: Sequence[Voice] = (RYAN, VIVIAN), refuses: str = "") -> None:
        super().__init__(voices=voices)
        self.refuses = refuses
        self.prepared: list[str] = []

    def clones_with(self) -> str:
        return self.refuses

    def clone(self, recorded: CustomVoice) -> Voice:
        if self.refuses:
            raise EngineUnavailableError(self.refuses)
        return Voice(
            recorded.name,
            recorded.description,
            (recorded.language or "en",),
            self.name,
            RYAN.attribution,
            seed=recorded.seed,
            reference=recorded.reference,
        )

    async def prepare(self, voices: Sequence[Voice]) -> None:
        self.prepared += [voice.name for voice in voices]


def register(
    shelf: Shelf | None = None,
    *engines: ScriptedEngine,
    styles: Path | None = None,
    default: str | None = None,
    language: str | None = None,
) -> VoiceRegistry:
    by_name = {engine.name: engine for engine in engines or (Cloner(),)}
    return VoiceRegistry(by_name, shelf, styles, default, language)


def names(of: VoiceRegistry) -> list[str]:
    return [voice.name for voice in of.catalog.voices if voice.rank == 0]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged since the last time."""
    found = [record.getMessage() for record in caplog.records if record.name.endswith("registry")]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


# -- what there is ------------------------------------------------------------------------------------------


async def test_recordings_speak_through_the_first_engine_that_clones() -> None:
    class Plain(ScriptedEngine):
        name = "plain"

    cloner = Cloner()
    found = register(Shelf([shelved("Oma", seed=9)]), Plain(voices=[DEAF]), cloner)
    await found.start()
    assert names(found) == ["heart", "Ryan", "Vivian", "Oma"]
    oma = found.catalog.find("oma")
    assert (oma.engine, oma.seed, oma.reference, oma.languages) == ("scripted", 9, SOMEWHERE, ("de",))
    await eventually(lambda: cloner.prepared == ["Oma"])
    await found.close()


async def test_where_no_engine_clones_the_log_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    found = register(Shelf([shelved("Oma")]), ScriptedEngine(voices=CAST))
    await found.start()
    with pytest.raises(SpeechError, match="voice Oma: no engine can speak with it: ") as error:
        found.catalog.find("oma")
    assert error.value.code == UNUSABLE
    assert lines(caplog) == [
        f'voices: problem reason="voice Oma: no engine can speak with it: that needs a Base checkpoint: --model {CLONING_MODEL}"'
    ]
    found = register(Shelf([shelved("Oma")]), Cloner(refuses="the Base model is not loaded"))
    await found.start()
    assert lines(caplog) == [
        'voices: problem reason="voice Oma: no engine can speak with it: the Base model is not loaded"'
    ]


async def test_a_recording_is_a_voice_as_soon_as_somebody_can_speak_with_it() -> None:
    engine = Cloner(refuses="no server has a Base checkpoint")
    found = register(Shelf([shelved("Oma")]), engine)
    await found.start()
    assert "Oma" not in names(found)
    engine.refuses = ""
    await found.refresh()
    assert "Oma" in names(found)


async def test_a_recording_takes_no_other_voice_s_name(caplog: pytest.LogCaptureFixture) -> None:
    found = register(Shelf([shelved("RYAN"), shelved("Oma"), shelved("oma")]))
    await found.start()
    assert names(found) == ["Ryan", "Vivian", "Oma"]
    assert found.catalog.find("ryan") is RYAN
    assert lines(caplog) == [
        'voices: problem reason="voice RYAN: it is left out, since it has the same name as Ryan of the scripted engine"',
        'voices: problem reason="voice oma: it is left out, since it has the same name as the custom voice Oma"',
    ]


async def test_a_default_that_nobody_has_is_an_error_at_the_start_only() -> None:
    with pytest.raises(UnknownVoiceError, match="'Oma' is not one of: Ryan, Vivian"):
        await register(Shelf(), default="Oma").start()
    await register(Shelf([shelved("Oma")]), default="Oma").start()


async def test_a_library_that_cannot_be_read_keeps_nobody_else_from_speaking(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = Shelf([shelved("Oma")], error=OSError("disk on fire"))
    found = register(shelf)
    await found.start()
    await found.refresh()
    assert names(found) == ["Ryan", "Vivian"]
    assert lines(caplog) == ['voices: update failed, the voices stay unchanged reason="disk on fire"']
    shelf.error = None
    await found.refresh()
    assert names(found) == ["Ryan", "Vivian", "Oma"]
    shelf.error = RuntimeError("a fault of ours")
    await found.refresh()
    assert names(found) == ["Ryan", "Vivian", "Oma"]
    await found.close()


# -- what changes -------------------------------------------------------------------------------------------


async def test_where_nothing_changed_nothing_is_read(tmp_path: Path) -> None:
    shelf = Shelf([shelved("Oma")])
    (tmp_path / "styles.toml").write_text("[slow]\nspeed = 0.9\n")
    found = register(shelf, styles=tmp_path / "styles.toml")
    await found.start()
    before = found.catalog
    for _ in range(3):
        await found.refresh()
    assert found.catalog is before
    assert (shelf.looks, shelf.reads) == (4, 1)
    await found.close()


async def test_what_is_added_changed_and_removed_is_noticed_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cloner, shelf = Cloner(), Shelf([shelved("Oma"), shelved("Opa")])
    found = register(shelf, cloner)
    await found.start()
    before = found.catalog
    assert lines(caplog) == []
    shelf.voices = [shelved("Oma", seed=4), shelved("Mama")]
    await found.refresh()
    assert names(found) == ["Ryan", "Vivian", "Oma", "Mama"]
    assert before.has_voice("Opa"), "a catalog never changes: it is replaced"
    assert lines(caplog) == [
        "voices: added names=Mama",
        "voices: changed names=Oma",
        "voices: removed names=Opa",
    ]
    await eventually(lambda: cloner.prepared == ["Oma", "Opa", "Oma", "Mama"])
    await found.close()


async def test_styles_are_read_again_when_their_file_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "styles.toml"
    found = register(styles=path)
    await found.start()
    path.write_text("[slow]\nspeed = 0.9\nvoices = ['Ryan']\n")
    await found.refresh()
    assert names(found) == ["Ryan", "Ryan (slow)", "Vivian"]
    part = tmp_path / "part"
    part.write_text("[slow]\nspeed = 0.8\nvoices = ['Ryan']\n")
    os.utime(part, ns=(path.stat().st_mtime_ns,) * 2)
    part.replace(path)  # as editors do; as old and as long as the one before
    await found.refresh()
    slow = found.catalog.find("Ryan (slow)").style
    assert slow is not None
    assert slow.speed == 0.8
    path.unlink()
    await found.refresh()
    assert names(found) == ["Ryan", "Vivian"]
    assert lines(caplog) == [
        *(
            'voices: added names="Ryan (slow)"',
            'voices: changed names="Ryan (slow)"',
            'voices: removed names="Ryan (slow)"',
        ),
    ]
    await found.close()


async def test_a_problem_is_said_once_and_again_when_it_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, shelf = tmp_path / "styles.toml", Shelf(problems=[Problem("Oma", "no recording")])
    path.write_text("[slow]\nspeed = 9\n")
    found = register(shelf, styles=path)
    await found.start()
    style, oma = lines(caplog)
    assert style.startswith(f'voices: problem reason="{path}: [slow] is left out: speed = 9')
    assert oma == 'voices: problem reason="voice Oma: no recording"'
    shelf.voices = [shelved("Opa")]
    await found.refresh()
    assert lines(caplog) == ["voices: added names=Opa"]
    shelf.problems = []
    await found.refresh()
    shelf.problems = [Problem("Oma", "no recording")]
    await found.refresh()
    assert lines(caplog) == ['voices: problem reason="voice Oma: no recording"']
    await found.close()


async def test_a_long_list_of_changes_is_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    found = register(shelf)
    await found.start()
    shelf.voices = [shelved(f"Oma {number}") for number in range(12)]
    await found.refresh()
    assert lines(caplog)[0].endswith('Oma 6, Oma 7 and 4 more"')
    await found.close()


async def test_a_default_that_vanishes_is_a_warning_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf([shelved("Oma")])
    found = register(shelf, default="oma")
    await found.start()
    shelf.voices = []
    await found.refresh()
    assert (found.catalog.default, found.catalog.is_default_configured) == (RYAN, False)
    warning, gone = lines(caplog)
    assert "Ryan replaces it" in warning
    assert gone == "voices: removed names=Oma"
    shelf.voices = [shelved("Oma")]
    await found.refresh()
    assert (found.catalog.default.name, found.catalog.is_default_configured) == ("Oma", True)
    await found.close()


async def test_a_default_that_nobody_chose_stays_whoever_joins() -> None:
    shelf = Shelf([shelved("Oma")])
    found = register(shelf, language="de")
    await found.start()
    assert found.catalog.default.name == "Oma"
    shelf.voices = [shelved("Anna"), shelved("Oma")]
    await found.refresh()
    assert found.catalog.default.name == "Oma"
    await found.close()


async def test_where_the_last_voice_vanishes_it_stays(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf([shelved("Oma")])
    found = register(shelf, Cloner(voices=()))
    await found.start()
    shelf.voices = []
    for _ in range(2):
        await found.refresh()
    assert names(found) == ["Oma"]
    assert lines(caplog) == [
        'voices: update failed, the voices stay unchanged reason="no engine has a voice"'
    ]
    await found.close()


async def test_a_preparation_that_fails_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Cloner):
        async def prepare(self, voices: Sequence[Voice]) -> None:
            raise RuntimeError("out of memory")

    found = register(Shelf([shelved("Oma")]), Clumsy())
    await found.start()
    await eventually(lambda: "voices: preparation failed names=Oma" in caplog.text)
    await found.close()


# -- who looks, and when ------------------------------------------------------------------------------------


async def test_callers_share_a_look() -> None:
    shelf = Shelf()
    found = register(shelf)
    await found.start()
    await asyncio.gather(*(found.refresh() for _ in range(10)))
    assert shelf.looks == 2
    await found.close()


async def test_a_look_that_began_before_is_not_enough() -> None:
    shelf = Shelf()
    found = register(shelf)
    await found.start()
    shelf.gate.clear()
    first = asyncio.create_task(found.refresh())
    await eventually(lambda: shelf.looks == 2)
    shelf.voices = [shelved("Oma")]  # too late for the first look
    late = [asyncio.create_task(found.refresh()) for _ in range(5)]
    await asyncio.sleep(0)
    shelf.gate.set()
    await first
    assert not found.catalog.has_voice("Oma")
    await asyncio.gather(*late)
    assert found.catalog.has_voice("Oma")
    assert shelf.looks == 3
    await found.close()


async def test_a_caller_that_gives_up_ends_nobody_s_look() -> None:
    shelf = Shelf()
    found = register(shelf)
    await found.start()
    shelf.voices = [shelved("Oma")]
    shelf.gate.clear()
    caller = asyncio.create_task(found.refresh())
    await eventually(lambda: shelf.looks == 2)
    caller.cancel()
    await asyncio.wait({caller})
    shelf.gate.set()
    await eventually(lambda: found.catalog.has_voice("Oma"))
    await found.close()


async def test_somebody_may_watch() -> None:
    shelf = Shelf()
    found = register(shelf)
    await found.start()
    watching = asyncio.create_task(found.watch(0.001))
    shelf.voices = [shelved("Oma")]
    await eventually(lambda: found.catalog.has_voice("Oma"))
    watching.cancel()
    await asyncio.wait({watching})
    await found.close()


# -- through a client ---------------------------------------------------------------------------------------


async def test_a_voice_speaks_as_soon_as_it_is_there(caplog: pytest.LogCaptureFixture) -> None:
    engine, shelf = Cloner(), Shelf()
    async with service([engine], store=shelf) as uri, connect(uri) as client:
        await home_assistant_plain(client, "Here I am.", {"name": "Oma"})
        shelf.voices = [shelved("Oma", language="en")]
        await home_assistant_plain(client, "Here I am.", {"name": "Oma"})
        shelf.voices = [shelved("Oma", language="en"), shelved("Opa", language="en")]
        await home_assistant_plain(client, "Here I am.", {"speaker": "Opa"})
    assert [(told.voice.name, told.seed) for told in engine.told] == [("Ryan", 0), ("Oma", 3), ("Opa", 3)]
    assert caplog.text.count("voices: unknown voice requested=Oma used=Ryan") == 1


async def test_a_style_is_heard_as_soon_as_it_is_written(tmp_path: Path) -> None:
    engine, path = Cloner(), tmp_path / "styles.toml"
    async with service([engine], styles=path) as uri, connect(uri) as client:
        path.write_text("[calm]\ninstruct = 'Calmly.'\n")
        await home_assistant_plain(client, "Here I am.", {"name": "Ryan (calm)"})
    assert engine.told[0].voice.name == "Ryan (calm)"


async def test_a_known_voice_waits_for_no_look() -> None:
    engine, shelf = Cloner(), Shelf()
    async with service([engine], store=shelf) as uri, connect(uri) as client:
        shelf.gate.clear()
        await home_assistant_plain(client, "Here I am.", {"name": "Ryan"})
        await home_assistant_plain(client, "Here I am.")
        shelf.gate.set()
    assert shelf.looks == 1


async def test_the_list_of_voices_is_up_to_date() -> None:
    shelf = Shelf()
    async with service([Cloner()], store=shelf) as uri, connect(uri) as client:
        assert offered(await listed(client), "de") == []
        shelf.voices = [shelved("Oma", description="recorded in 2019")]
        assert offered(await listed(client), "de") == ["Oma"]
        shelf.voices = []
        assert offered(await listed(client), "de") == []


async def test_a_slow_disk_keeps_no_client_waiting_for_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_qwen3tts.server.wyoming.connection.REFRESH_TIMEOUT", 0.0)
    shelf = Shelf()
    async with service([Cloner()], store=shelf) as uri, connect(uri) as client:
        shelf.voices = [shelved("Oma")]
        shelf.gate.clear()
        assert offered(await listed(client), "de") == []
        shelf.gate.set()
        async with asyncio.timeout(HANG):
            while offered(await listed(client), "de") != ["Oma"]:
                pass


async def test_a_slow_disk_keeps_no_sentence_waiting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_qwen3tts.pipeline.plan.REFRESH_TIMEOUT", 0.0)
    engine, shelf = Cloner(), Shelf()
    async with service([engine], store=shelf) as uri, connect(uri) as client:
        shelf.gate.clear()
        await home_assistant_plain(client, "Here I am.", {"name": "Oma"})
        shelf.gate.set()
    assert engine.told[0].voice is RYAN


async def test_recordings_of_a_household_are_voices(tmp_path: Path, heart: BuiltinEngine) -> None:
    """With the real library: what ``voices add`` writes is heard with the next sentence."""
    (speaker,) = heart.voices()
    text = "The quick brown fox jumps over the lazy dog, and then it runs home through the rain."
    async with aclosing(heart.speak(Utterance(text, speaker, "en-US"))) as pieces:
        sound = b"".join([piece async for piece in pieces])
    with wave.open(str(tmp_path / "oma.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(sound)
    store = CustomVoiceStore(tmp_path / "data")
    engine = Cloner()
    async with service([engine], store=store) as uri, connect(uri) as client:
        added = await asyncio.to_thread(
            store.add, "Oma", tmp_path / "oma.wav", transcript=text, language="en", seed=11
        )
        await home_assistant_plain(client, "Here I am.", {"name": "oma"})
        assert "Oma" in [voice.name for voice in await listed(client)]
        await asyncio.to_thread(store.remove, "Oma")
        assert "Oma" not in [voice.name for voice in await listed(client)]
    (told,) = engine.told
    assert (told.voice.name, told.seed, told.voice.reference) == ("Oma", 11, added.reference)
    assert added.reference.transcript == text


async def test_who_went_is_told_before_the_end() -> None:
    told: list[str] = []

    async def gone(name: str) -> None:
        await asyncio.sleep(0.05)
        told.append(name)

    shelf = Shelf([shelved("May")])
    register = VoiceRegistry({"scripted": Cloner()}, shelf, None, None, None, gone)
    await register.start()
    shelf.voices = []
    await register.refresh()
    await register.close()
    assert told == ["May"]
