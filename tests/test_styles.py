"""Styles: what a household writes down, which voices that makes, and what a client then hears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wyoming.tts import SynthesizeVoice

from tests.house import (
    CAST,
    DEAF,
    ROBOT,
    RYAN,
    ScriptedEngine,
    SpeechFailedError,
    connect,
    home_assistant_plain,
    listed,
    offered,
    service,
)
from wyoming_qwen3tts.speech import FASTEST, Style, Utterance, Voice
from wyoming_qwen3tts.voices import styles
from wyoming_qwen3tts.voices.names import name_key
from wyoming_qwen3tts.voices.styles import Styles, apply_styles, read_styles, with_style

HOUSEHOLD = """
[calm]
instruct = \"\"\"Speak slowly
    and calmly.\"\"\"
speed = 0.9
gain = -3
seed = 7
voices = ["Ryan", "VIVIAN"]

[Deutsch]
language = "de"
voices = ["Ryan"]

[slow]
speed = 0.8
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "styles.toml"
    path.write_text(HOUSEHOLD, "utf-8")
    return path


# -- what a file says ---------------------------------------------------------------------------------------


def test_a_file_has_a_table_a_style(path: Path) -> None:
    found = read_styles(path)
    assert found.problems == ()
    assert found.styles == (
        (Style("calm", instruct="Speak slowly and calmly.", speed=0.9, gain=-3, seed=7), ("Ryan", "VIVIAN")),
        (Style("Deutsch", language="de"), ("Ryan",)),
        (Style("slow", speed=0.8), None),
    )


def test_where_there_is_no_file_there_are_no_styles(tmp_path: Path) -> None:
    assert read_styles(tmp_path / "styles.toml") == Styles()


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('speed = "fast"', "speed = 'fast': allowed is a number from 0.5 to 2"),
        ("speed = 2.01", "speed = 2.01: allowed is a number from 0.5 to 2"),
        ("speed = nan", "speed = nan: allowed is"),
        ("speed = true", "speed = True: allowed is"),
        ("gain = -21", "gain = -21: allowed is a number from -20 to 12"),
        ("gain = 12.5", "gain = 12.5: allowed is a number from -20 to 12"),
        ("seed = -1", "seed = -1: allowed is a whole number from 0 to 4294967295"),
        ("seed = 1.5", "seed = 1.5: allowed is a whole number"),
        ("language = 'German'", "language = 'German': allowed is a language tag, such as \"de\""),
        ("instruct = ' '", "instruct = ' ': allowed are words in quotes, up to 500 characters"),
        ("instruct = 3", "instruct = 3: allowed are words"),
        ("speed = 1.1\nvoices = 'Ryan'", "voices = 'Ryan': allowed is a list of names, such as [\"Ryan\"]"),
        ("speed = 1.1\nvoices = []", "voices = []: allowed is a list of names"),
        ("pitch = 3", "pitch = 3: a style has instruct, speed, gain, language, seed, voices"),
        ("seed = 0x" + "f" * 5000, "seed = a value that is too long to show: allowed is a whole number"),
        ("pitch = 0x" + "f" * 5000, "pitch = a value that is too long to show: a style has"),
        ('"a\\n\\u001b" = 3', "a\ufffd\ufffd = 3: a style has"),
        ('"' + "p" * 5000 + '" = 3', "p" * 79 + "… = 3: a style has"),
        ("voices = ['Ryan']", "it has none of instruct, speed, gain, language, seed"),
    ],
)
def test_a_bad_style_is_one_line_and_the_others_go_on(tmp_path: Path, written: str, problem: str) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(f"[bad]\n{written}\n[good]\nspeed = 1.1\n", "utf-8")
    found = read_styles(path)
    assert [style.name for style, _ in found.styles] == ["good"]
    (line,) = found.problems
    assert line.startswith(f"{path}: [bad] is left out: {problem}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("x" * 41, "1 to 40 characters, not 41"),
        ("a (b)", "no brackets"),
        ("a/b", "slashes"),
        ("a · b", "middle dots"),
        ("a\\u0007b", "control characters"),
        (" a", "no space at its ends"),
        ("!!!", "a letter or a digit"),
        ("GOOD", "it has the same name as [good]"),
    ],
)
def test_a_style_s_name_fits_behind_a_voice_s(tmp_path: Path, name: str, problem: str) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(f'[good]\nspeed = 1.1\n["{name}"]\nspeed = 1.1\n', "utf-8")
    found = read_styles(path)
    assert [style.name for style, _ in found.styles] == ["good"]
    (line,) = found.problems
    assert problem in line
    assert line.isprintable()
    assert len(line) < len(str(path)) + 250


@pytest.mark.parametrize("name", ["x" * 5000, "\\u001b[2J\\n"])
def test_whatever_a_file_names_is_shown_on_one_short_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(f'"{name}" = 1\n["{name}."]\n"{name}" = 2\n[slow]\nspeed = 0.9\nvoices = ["{name}"]\n')
    found = read_styles(path)
    lines = [*found.problems, *apply_styles(found, CAST).problems]
    assert len(lines) == 3
    assert all(line.isprintable() and len(line) < len(str(path)) + 250 for line in lines)


def test_a_value_in_the_place_of_a_style_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "styles.toml"
    path.write_text("speed = 0.9\n[good]\nspeed = 1.1\n")
    assert [style.name for style, _ in read_styles(path).styles] == ["good"]
    assert read_styles(path).problems == (f"{path}: speed = 0.9: put it under a line [NAME]",)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"[calm]\nspeed = \n", r"is not TOML: .*line 2"),
        (b"[calm]\nspeed = 1.1\n# gr\xfc\xdfe\n", r", line 3: it is not UTF-8"),
        (b"a = " + b"[" * 5000, "is not TOML"),
        (b"[calm]\nseed = " + b"9" * 5000, "is not TOML"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path, written: bytes, problem: str) -> None:
    path = tmp_path / "styles.toml"
    path.write_bytes(written)
    found = read_styles(path)
    assert found.styles == ()
    (line,) = found.problems
    with pytest.raises(ValueError, match=problem):
        raise ValueError(line)


def test_a_folder_in_the_place_of_the_file_is_one_problem(tmp_path: Path) -> None:
    (line,) = read_styles(tmp_path).problems
    assert line.startswith(f"{tmp_path}: ")


def test_windows_editors_are_welcome(tmp_path: Path) -> None:
    path = tmp_path / "styles.toml"
    path.write_bytes("\ufeff[ruhig]\r\nspeed = 0.9\r\n".encode())
    assert [style.name for style, _ in read_styles(path).styles] == ["ruhig"]


# -- which voices that makes --------------------------------------------------------------------------------


def made(*written: tuple[Style, tuple[str, ...] | None], voices: tuple[Voice, ...] = CAST) -> Any:
    found = apply_styles(Styles(written), voices)
    names = [each.name for voice in voices for each in found.variants.get(name_key(voice.name), ())]
    return names, found.problems


def test_a_style_of_a_voice_is_a_voice() -> None:
    calm = with_style(RYAN, Style("calm", instruct="Calmly.", seed=7))
    assert (calm.name, calm.base, calm.speaker, calm.seed) == ("Ryan (calm)", "Ryan", "Ryan", 7)
    assert (calm.languages, calm.engine, calm.description) == (RYAN.languages, RYAN.engine, RYAN.description)
    assert with_style(RYAN, Style("slow", speed=0.9)).seed == RYAN.seed


@pytest.mark.parametrize(
    ("style", "name"),
    [
        (Style("Deutsch", language="de-DE"), "Ryan · Deutsch"),
        (Style("Deutsch", language="de-DE", seed=1), "Ryan · Deutsch"),
        (Style("ruhig", language="de-DE", speed=0.9), "Ryan (ruhig)"),
        (Style("ruhig", language="de-DE", instruct="Ruhig."), "Ryan (ruhig)"),
        (Style("leise", language="de-DE", gain=-6), "Ryan (leise)"),
    ],
)
def test_what_only_sets_a_language_is_named_so(style: Style, name: str) -> None:
    assert with_style(RYAN, style).name == name
    assert with_style(RYAN, style).languages == ("de-DE",)


def test_a_style_is_for_the_voices_it_names_or_for_every_voice_that_can() -> None:
    assert made((Style("slow", speed=0.9), ("ryan", "Ryan"))) == (["Ryan (slow)"], ())
    everybody = [voice for voice in CAST if voice.rank < 2]  # of last resorts there are a hundred
    assert made((Style("slow", speed=0.9), None))[0] == [f"{voice.name} (slow)" for voice in everybody]
    assert made((Style("slow", speed=0.9), ("espeak-de",))) == (["espeak-de (slow)"], ())
    assert made((Style("calm", instruct="Calmly."), None)) == (
        ["Vivian (calm)", "Ryan (calm)", "Dylan (calm)"],
        (),
    )
    assert made((Style("Deutsch", language="de"), None)) == (
        ["Vivian · Deutsch", "Ryan · Deutsch", "Dylan · Deutsch"],
        (),
    )


def test_a_language_is_called_as_the_voice_calls_it() -> None:
    found = apply_styles(Styles(((Style("Deutsch", language="de"), ("Ryan", "espeak-de")),)), CAST)
    assert {each.languages for variants in found.variants.values() for each in variants} == {
        ("de-DE",),
        ("de",),
    }


@pytest.mark.parametrize(
    ("style", "names", "problem"),
    [
        (Style("calm", instruct="x"), ("Ryan", "heart"),
         "style calm: heart does not follow instructions (hibari ignores them)"),
        (Style("ja", language="ja"), ("Ryan",), "style ja: Ryan does not speak ja"),
        (Style("ja", language="ja"), None, "style ja: no voice here speaks ja"),
        (Style("slow", speed=0.9), ("Ryan", "nobody"), "style slow: there is no voice 'nobody'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(style: Style, names: tuple[str, ...] | None, problem: str) -> None:
    assert made((style, names))[1] == (problem,)


def test_where_no_voice_follows_instructions_the_log_says_which_would() -> None:
    _, (line,) = made((Style("calm", instruct="x"), None), voices=(DEAF, ROBOT))
    assert line == (
        "style calm: no voice here follows instructions; "
        f"those of {styles.INSTRUCTABLE_MODEL} do: --model {styles.INSTRUCTABLE_MODEL}"
    )


def test_a_voice_s_own_name_is_not_taken_from_it() -> None:
    twin = Voice("Ryan Slow", "", ("en",), "scripted", RYAN.attribution)
    names, problems = made((Style("slow", speed=0.9), ("Ryan",)), voices=(RYAN, twin))
    assert names == []
    assert problems == ("style slow: Ryan (slow) is left out: there is a voice Ryan Slow",)


# -- what a client hears ------------------------------------------------------------------------------------


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(voices=CAST)


async def test_the_styles_of_a_voice_are_offered_behind_it(engine: ScriptedEngine, path: Path) -> None:
    async with service([engine], styles=path) as uri, connect(uri) as client:
        voices = await listed(client)
    names = [voice.name for voice in voices]
    assert names[:3] == ["Vivian", "Vivian (calm)", "Vivian (slow)"]
    assert offered(voices, "en-US") == [
        *("heart", "heart (slow)", "Ryan", "Ryan (calm)", "Ryan (slow)"),
        *("Dylan · English", "Vivian · English"),
    ]
    assert offered(voices, "de-DE") == [
        *("Ryan", "Ryan · Deutsch", "Ryan (calm)", "Ryan (slow)"),
        *("Vivian", "Vivian (calm)", "Vivian (slow)", "Dylan", "Dylan (slow)"),
    ]
    assert offered(voices, "de") == ["espeak-de"]
    described = {voice.name: voice.description for voice in voices}
    assert described["Ryan"] == "Ryan, somebody (Tiny CustomVoice)"
    assert described["Ryan (calm)"] == "Ryan: calm, somebody (Tiny CustomVoice)"
    speakers = {voice.name: [each.name for each in voice.speakers or []] for voice in voices}
    assert speakers["Ryan"] == ["calm", "Deutsch", "slow"]
    assert speakers["heart"] == ["slow"]
    assert speakers["Ryan (calm)"] == []


@pytest.mark.parametrize("name", ["Ryan (calm)", "ryan calm", "RYAN_(CALM)", "ryan-calm", "Ryan calm"])
async def test_a_style_is_asked_for_by_name(engine: ScriptedEngine, path: Path, name: str) -> None:
    async with service([engine], styles=path, speed=1.5) as uri, connect(uri) as client:
        await home_assistant_plain(client, "The light is on.", SynthesizeVoice(name=name))
    (told,) = engine.told
    assert (told.voice.name, told.voice.speaker, told.seed) == ("Ryan (calm)", "Ryan", 7)
    assert told.voice.style is not None
    assert told.voice.style.instruct == "Speak slowly and calmly."
    assert told.speed == pytest.approx(1.5 * 0.9)


async def test_a_speed_stays_within_bounds(engine: ScriptedEngine, tmp_path: Path) -> None:
    (tmp_path / "styles.toml").write_text("[quick]\nspeed = 1.9\n")
    async with service([engine], styles=tmp_path / "styles.toml", speed=1.5) as uri, connect(uri) as client:
        await home_assistant_plain(client, "The light is on.", SynthesizeVoice(name="Ryan (quick)"))
    assert engine.told[0].speed == FASTEST


@pytest.mark.parametrize(
    ("voice", "heard"),
    [
        ({"name": "Ryan"}, ("Ryan", "en-US")),
        ({"name": "Ryan", "speaker": "calm"}, ("Ryan (calm)", "en-US")),
        ({"name": "Ryan", "speaker": "Deutsch"}, ("Ryan · Deutsch", "de-DE")),
        ({"name": "Ryan", "speaker": "french"}, ("Ryan · Français", "fr-FR")),
        ({"name": "Ryan", "speaker": "Ryan"}, ("Ryan", "en-US")),
        ({"name": "Ryan (slow)", "speaker": "calm"}, ("Ryan (calm)", "en-US")),
        ({"speaker": "Ryan"}, ("Ryan", "en-US")),
        ({"speaker": "Ryan (calm)"}, ("Ryan (calm)", "en-US")),
        ({"name": "nobody", "speaker": "ryan"}, ("Ryan", "en-US")),
        ({"speaker": "calm"}, ("Vivian (calm)", "en-US")),
        ({"speaker": "calm", "language": "fr"}, ("Vivian (calm)", "fr-FR")),
        ({"speaker": "calm", "language": "en"}, ("Ryan (calm)", "en-US")),
    ],
    ids=str,
)
async def test_a_speaker_is_a_style_or_a_voice(
    engine: ScriptedEngine, path: Path, voice: dict[str, str], heard: tuple[str, str]
) -> None:
    async with service([engine], styles=path) as uri, connect(uri) as client:
        await home_assistant_plain(client, "The light is on now.", voice)
    assert [(told.voice.name, told.language) for told in engine.told] == [heard]


async def test_a_speaker_that_nobody_knows_is_ignored_with_a_warning(
    engine: ScriptedEngine, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with service([engine], styles=path) as uri, connect(uri) as client:
        voice = SynthesizeVoice(name="Ryan", speaker="angry")
        await home_assistant_plain(client, "One is on. Two is on. Three is on.", voice)
    assert {told.voice.name for told in engine.told} == {"Ryan"}
    assert caplog.text.count("voices: unknown style requested=angry voice=Ryan") == 1


async def test_a_style_that_a_voice_cannot_have_is_an_error_not_another_sound(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    (tmp_path / "styles.toml").write_text("[calm]\ninstruct = 'Calmly.'\n")
    for voice in ({"name": "heart (calm)"}, {"name": "heart", "speaker": "calm"}):
        async with service([engine], styles=tmp_path / "styles.toml") as uri, connect(uri) as client:
            assert "heart (calm)" not in [each.name for each in await listed(client)]
            with pytest.raises(SpeechFailedError, match="heart does not follow instructions") as failure:
                await home_assistant_plain(client, "The light is on.", voice)
            assert failure.value.code == "style-not-supported"
    assert engine.said == []


async def test_a_style_that_is_gone_leaves_its_voice(
    engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with service([engine]) as uri, connect(uri) as client:
        await home_assistant_plain(client, "The light is on.", SynthesizeVoice(name="Ryan (whispering)"))
        await home_assistant_plain(client, "The light is on.", SynthesizeVoice(name="Ryan · Klingon"))
    assert [told.voice for told in engine.told] == [RYAN, RYAN]
    assert 'voices: unknown voice requested="Ryan (whispering)" used=Ryan' in caplog.text


@pytest.mark.parametrize(
    ("voice", "text", "heard"),
    [
        (
            {"name": "Ryan · Deutsch"},
            "The light is on, 5 °C.",
            ("de-DE", "The light is on, fünf Grad Celsius."),
        ),
        ({"name": "Ryan · Deutsch"}, "灯开了。", ("de-DE", "灯开了。")),
        ({"name": "Ryan · Deutsch", "language": "en"}, "5 lights.", ("en-US", "five lights.")),
        ({"name": "Ryan · Deutsch", "language": "sw"}, "5", ("de-DE", "fünf")),
        ({"name": "Ryan"}, "Das Licht ist jetzt an.", ("de-DE", "Das Licht ist jetzt an.")),
    ],
)
async def test_a_style_s_language_is_fixed_unless_the_request_has_its_own(
    engine: ScriptedEngine, path: Path, voice: dict[str, str], text: str, heard: tuple[str, str]
) -> None:
    async with service([engine], styles=path) as uri, connect(uri) as client:
        await home_assistant_plain(client, text, voice)
    (told,) = engine.told
    assert (told.language, told.text) == heard
    assert told.voice.speaker == "Ryan"


async def test_a_style_may_be_the_default(engine: ScriptedEngine, path: Path) -> None:
    async with service([engine], styles=path, voice="ryan deutsch") as uri, connect(uri) as client:
        assert (await listed(client))[0].description == "(default) Ryan: Deutsch, somebody (Tiny CustomVoice)"
        await home_assistant_plain(client, "The light is on now.")
    assert (engine.told[0].voice.name, engine.told[0].language) == ("Ryan · Deutsch", "de-DE")


async def test_ssml_asks_for_styles_too(engine: ScriptedEngine, path: Path) -> None:
    text = '<speak>One. <voice name="Ryan (calm)">Two.</voice> <lang xml:lang="de-DE">Drei.</lang></speak>'
    async with service([engine], styles=path) as uri, connect(uri) as client:
        await home_assistant_plain(client, text, SynthesizeVoice(name="Vivian", speaker="slow"))
    assert [(told.text, told.voice.name) for told in engine.told] == [
        ("One.", "Vivian (slow)"),
        ("Two.", "Ryan (calm)"),
        ("Drei.", "Vivian (slow)"),
    ]
    assert engine.told[2].language == "de-DE"


def test_equal_styles_are_equal_utterances() -> None:
    one, other = (with_style(RYAN, Style("calm", instruct="x")) for _ in range(2))
    assert Utterance("a", one, "en-US") == Utterance("a", other, "en-US")
    assert Utterance("a", one, "en-US") != Utterance("a", RYAN, "en-US")
