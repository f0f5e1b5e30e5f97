"""Which voices are offered, which one answers, and which script it can read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wyoming.info import TtsVoice

from tests.house import (
    CAST,
    DEAF,
    ROBOT,
    RYAN,
    VIVIAN,
    ScriptedEngine,
    connect,
    home_assistant_plain,
    listed,
    offered,
    running_pool,
    service,
    speaker,
)
from wyoming_qwen3tts.engines.qwen3 import speakers
from wyoming_qwen3tts.server.wyoming.info import DescribeResponse, describe, sortable_description
from wyoming_qwen3tts.speech import LANGUAGES, UNDETERMINED, Attribution, SpeechError, Style, Voice
from wyoming_qwen3tts.text import scripts
from wyoming_qwen3tts.voices import names as voice_names
from wyoming_qwen3tts.voices.catalog import LOG_INTERVAL, LOG_LINES, UNUSABLE, UnknownVoiceError, VoiceCatalog
from wyoming_qwen3tts.voices.registry import StaticVoices
from wyoming_qwen3tts.voices.styles import Styles, with_style


def voice(name: str, *languages: str) -> Voice:
    return Voice(name, name, languages, "engine", Attribution("", ""))


HEART, GERMAN, RUSSIAN, UKRAINIAN, CHINESE, JAPANESE = VOICES = (
    voice("heart", "en-US"),
    voice("espeak-de", "de"),
    voice("espeak-ru", "ru"),
    voice("espeak-uk", "uk"),
    voice("espeak-cmn", "zh"),
    voice("espeak-ja", "ja"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello", "LATIN"),
        ("", "LATIN"),
        ("21,5 °C!", "LATIN"),
        ("Größe, naïve, łódź", "LATIN"),
        ("Привет, Wi-Fi", "CYRILLIC"),
        ("你好 OK", "CJK"),
        ("東京は晴れ", "HIRAGANA"),
        ("コーヒー", "HIRAGANA"),
        ("안녕하세요", "HANGUL"),
        ("مرحبا", "ARABIC"),
        ("שלום", "HEBREW"),
        ("Καλημέρα", "GREEK"),
        ("नमस्ते", "DEVANAGARI"),
        ("สวัสดี", "THAI"),
        ("Ｈｅｌｌｏ", "LATIN"),
    ],
)
def test_the_script_of_a_text(text: str, expected: str) -> None:
    assert scripts.detect_script(text) == expected


@pytest.mark.parametrize(
    ("asked", "text", "speaks"),
    [
        (HEART, "Hello", HEART),
        (HEART, "Привет", RUSSIAN),
        (UKRAINIAN, "Привіт", UKRAINIAN),
        (HEART, "你好", CHINESE),
        (JAPANESE, "東京", JAPANESE),
        (CHINESE, "東京は晴れ", JAPANESE),
        (RUSSIAN, "Wi-Fi", RUSSIAN),
        (GERMAN, "你好", CHINESE),
    ],
)
def test_a_voice_that_cannot_read_a_text_is_relieved(asked: Voice, text: str, speaks: Voice) -> None:
    assert VoiceCatalog(VOICES).voice_for_script(asked, text) is speaks


def test_text_that_no_voice_reads_is_an_error() -> None:
    with pytest.raises(SpeechError, match="hangul") as error:
        VoiceCatalog(VOICES).voice_for_script(HEART, "안녕하세요")
    assert error.value.code == "no-voice-for-script"


def test_a_voice_is_found_by_name_then_language_then_default() -> None:
    catalog = VoiceCatalog(VOICES, "ESPEAK de")
    assert catalog.default is GERMAN
    assert catalog.voices[0] is GERMAN
    assert sorted(v.name for v in catalog.voices) == sorted(v.name for v in VOICES)
    assert catalog.find("Heart") is HEART
    assert catalog.find(None, "ru_RU") is RUSSIAN
    assert catalog.find("nobody", "en") is HEART
    assert catalog.find("nobody", "pt-BR") is GERMAN
    assert catalog.find(None) is GERMAN


def test_of_voices_with_many_languages_the_one_that_was_born_to_it_speaks() -> None:
    maker = Attribution("", "")
    vivian = Voice("Vivian", "", ("zh-CN", "en-US", "de-DE"), "model", maker)
    ryan = Voice("Ryan", "", ("en-US", "zh-CN", "de-DE"), "model", maker)
    catalog = VoiceCatalog([vivian, ryan, *VOICES])
    assert catalog.find(None, "en") is ryan
    assert catalog.find(None, "zh-CN") is vivian
    assert catalog.find(None, "de-DE") is vivian  # a model's voice, not eSpeak's
    assert catalog.find(None, "ru") is RUSSIAN
    assert catalog.find(None) is vivian


def test_the_language_a_text_is_spoken_in() -> None:
    ryan = voice("Ryan", "en-US", "de-DE")
    catalog = VoiceCatalog([ryan, HEART])
    assert catalog.spoken_language(ryan, "de") == "de-DE"
    assert catalog.spoken_language(ryan, "en-GB") == "en-US"
    assert catalog.spoken_language(ryan, "fr") == UNDETERMINED
    assert catalog.spoken_language(ryan, None) == UNDETERMINED
    assert catalog.spoken_language(HEART, None) == "en-US"


def test_a_default_voice_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(UnknownVoiceError, match="'nobody' is not one of: heart, espeak-de"):
        VoiceCatalog(VOICES, "nobody")
    with pytest.raises(UnknownVoiceError, match="no engine has a voice"):
        VoiceCatalog(())


# -- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Uncle Fu", "uncle_fu", "UNCLE-FU", " uncle  fu. ", "UncleFu", "ＵＮＣＬＥ Fu"]
)
def test_case_spaces_and_punctuation_do_not_count(name: str) -> None:
    uncle = voice("Uncle Fu", "zh-CN")
    assert VoiceCatalog([*VOICES, uncle]).find(name) is uncle


@pytest.mark.parametrize(
    "names",
    [
        ("奶奶", "爷爷"),
        ("नानी", "नाना"),
        ("Mémé", "Meme"),
        ("👵", "👴"),
        ("祖母", "おばあさん"),
        ("Oma", "Oma 2"),
    ],
    ids=str,
)
def test_names_of_every_script_stay_distinct(names: Sequence[str]) -> None:
    voices = [voice(name, "en") for name in names]
    catalog = VoiceCatalog(voices)
    assert [catalog.find(name) for name in names] == voices
    assert catalog.problems == ()


def test_letters_that_are_written_in_two_ways_are_the_same() -> None:
    assert voice_names.name_key("Mémé") == voice_names.name_key("Me\u0301me\u0301")


def test_of_two_voices_of_one_name_the_first_speaks_and_the_other_is_a_problem() -> None:
    other = Voice("HEART", "", ("en",), "second", Attribution("", ""))
    catalog = VoiceCatalog([HEART, other])
    assert catalog.voices == (HEART,)
    assert catalog.problems == ("HEART of second is left out: another voice has that name",)


@pytest.mark.parametrize(
    ("name", "found", "language"),
    [
        ("Vivian · English", "Vivian · English", "en-US"),
        ("vivian-english", "Vivian · English", "en-US"),
        ("Vivian · en", "Vivian · English", "en-US"),
        ("Vivian (en-GB)", "Vivian · English", "en-US"),
        ("Ryan · de", "Ryan · Deutsch", "de-DE"),
        ("Ryan · German", "Ryan · Deutsch", "de-DE"),
        ("ryan_deutsch", "Ryan · Deutsch", "de-DE"),
        ("Ryan 中文", "Ryan · 中文", "zh-CN"),
        ("Ryan · English", "Ryan · English", "en-US"),
        ("nova · French", "Vivian · Français", "fr-FR"),
        ("heart · English", "heart", "en-US"),
    ],
)
def test_any_voice_can_be_asked_for_in_any_of_its_languages(name: str, found: str, language: str) -> None:
    voice = VoiceCatalog(CAST).find(name)
    assert (voice.name, voice.languages[0]) == (found, language)
    assert VoiceCatalog(CAST).has_voice(name)


@pytest.mark.parametrize("name", ["Ryan · ja", "nobody · German", "Ryande", "de", "German"])
def test_what_is_no_voice_and_a_language_of_it_is_not_found(name: str) -> None:
    assert not VoiceCatalog(CAST).knows_names(name)


SLOW = Styles(((Style("slow", speed=0.9), None), (Style("calm", instruct="Calmly."), None)))


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        *(
            (name, None)
            for name in ("elf", "ELF", "elf (slow)", "elf-slow", "elf calm", "Elf (gone)", "elf ()")
        ),
        *(
            (name, None)
            for name in ("elf · Deutsch", "elf_de", "elf (slow) · Deutsch", "elf-slow-de", "elf · x")
        ),
        *((name, None) for name in ("nova", "NOVA", "nova (slow)", "nova · French", "Uncle Elf (slow)")),
        *((None, name) for name in ("elf", "elf (slow)", "elf (gone)", "elf · Deutsch", "nova")),
        *(("elf", "slow"), ("elf", "Deutsch"), ("elf", "gone"), ("nova", "slow"), ("nobody", "elf (slow)")),
        ("alloy", "elf"),
    ],
)
def test_nobody_speaks_in_the_place_of_a_voice_that_cannot(name: str | None, speaker: str | None) -> None:
    unusable = dict.fromkeys(("Elf", "Nova", "Uncle Elf"), "the recording is silent")
    voices = [each for each in CAST if each is not VIVIAN]
    catalog = VoiceCatalog([*voices, voice("Ono Anna", "ja-JP")], styles=SLOW, unusable=unusable)
    for language in (None, "de", "ja"):
        with pytest.raises(SpeechError, match="the recording is silent") as error:
            catalog.find(name, language, speaker)
        assert error.value.code == UNUSABLE
    assert not catalog.knows_names(name, speaker)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Ryan (slow)", "Ryan (slow)"),
        ("Elfie", "Vivian"),
        ("elf and dwarf", "Vivian"),
        ("Ryan (a) (b)", "Ryan"),
    ],
)
def test_a_voice_that_cannot_speak_keeps_nobody_else_from_it(name: str, found: str) -> None:
    assert VoiceCatalog(CAST, styles=SLOW, unusable={"Elf": "it is silent"}).find(name).name == found


@pytest.mark.parametrize("name", sorted(voice_names.OPENAI_VOICES))
def test_openai_s_names_are_those_of_speakers_that_are_like_them(name: str) -> None:
    women = {"Serena", "Vivian", "Sohee", "Ono Anna"}
    likest = voice_names.OPENAI_VOICES[name]
    assert len({each in women for each in likest}) == 1, "of one sex"
    first, second = (speaker(each, "zh-CN") for each in likest[:2])
    assert VoiceCatalog([DEAF, second, first]).find(name.upper()) is first
    assert VoiceCatalog([DEAF, second]).find(name) is second
    own = voice(name.title(), "en")
    assert VoiceCatalog([DEAF, first, own]).find(name) is own


def test_where_no_speaker_is_like_it_the_default_speaks_and_nobody_is_warned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    catalog = VoiceCatalog([DEAF, ROBOT])
    assert catalog.find("alloy") is DEAF
    assert catalog.knows_names("alloy")
    assert not catalog.has_voice("alloy")
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (
        logging.INFO,
        "voices: no voice resembles OpenAI's requested=alloy used=heart",
    )


def test_an_unknown_name_is_one_short_line_and_not_said_with_every_sentence(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    catalog = VoiceCatalog([DEAF, ROBOT])
    for name, style in (("x\n\x1b" * 1000, None), ("heart", "y\n" * 1000), ("alloy", None)):
        for _ in range(5):
            catalog.find(name, None, style)
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.isprintable()
        assert len(line) < 150
        caplog.clear()
    now += LOG_INTERVAL
    catalog.find("alloy")
    assert len(caplog.records) == 1
    for number in range(3 * LOG_LINES):
        catalog.find(f"nobody {number}")
    assert len(caplog.records) == 1 + 3 * LOG_LINES
    assert len(catalog._logged) == LOG_LINES


@given(
    st.text(max_size=300) | st.just("a-" * 500), st.text(max_size=300), st.sampled_from([None, "de", "sw"])
)
def test_whatever_is_asked_for_somebody_answers(name: str, speaker: str, language: str | None) -> None:
    catalog = VoiceCatalog(CAST)
    voice = catalog.find(name, language, speaker)
    assert voice.speaker in {each.name for each in CAST}
    catalog.has_voice(name, speaker)
    catalog.knows_names(name, speaker)


def test_aliases_are_not_listed() -> None:
    assert not {each.name.lower() for each in VoiceCatalog(CAST).offered} & voice_names.OPENAI_VOICES.keys()


# -- what is offered ----------------------------------------------------------------------------------------


def described(catalog: VoiceCatalog) -> list[TtsVoice]:
    return describe(catalog, streaming=True).tts[0].voices


def test_a_voice_with_an_accent_is_offered_where_it_is_at_home_and_where_nobody_is() -> None:
    at_home = {each.name: each.languages for each in VoiceCatalog(CAST).offered}
    assert at_home["Ryan"] == ("en-US", "de-DE", "fr-FR")
    assert at_home["Vivian"] == at_home["Dylan"] == ("zh-CN", "de-DE", "fr-FR")
    assert at_home["Ryan · 中文"] == ("zh-CN",)
    assert at_home["Vivian · English"] == at_home["Dylan · English"] == ("en-US",)
    assert at_home["heart"] == ("en-US",)
    assert len(at_home) == len(CAST) + 3


def test_called_by_its_name_it_speaks_all_its_languages() -> None:
    assert VoiceCatalog(CAST).find("Ryan") is RYAN
    assert VoiceCatalog(CAST).spoken_language(RYAN, "zh") == "zh-CN"


def test_a_voice_of_any_model_or_engine_makes_a_language_somebody_s() -> None:
    other = replace(speaker("Hans", "de-DE", "en-US", "fr-FR", model="another"), engine="elsewhere")
    at_home = {each.name: each.languages for each in VoiceCatalog([RYAN, other]).offered}
    assert at_home == {
        "Ryan": ("en-US", "zh-CN", "fr-FR"),
        "Hans": ("de-DE", "fr-FR"),
        "Ryan · Deutsch": ("de-DE",),
        "Hans · English": ("en-US",),
    }


def test_a_clone_comes_before_native_speakers_in_its_own_language_only() -> None:
    may = speaker("Aunt May", *RYAN.languages, model="base", supports_instructions=False)
    catalog = VoiceCatalog([VIVIAN, RYAN, may, speaker("Aunt Zoe", *RYAN.languages, accented=False)])
    assert offered(described(catalog), "zh-CN") == ["Aunt Zoe", "Vivian", "Aunt May · 中文", "Ryan · 中文"]
    assert offered(described(catalog), "en-US") == ["Aunt May", "Aunt Zoe", "Ryan", "Vivian · English"]
    assert catalog.find("Aunt May") is may
    assert "also Aunt May: 中文, somebody (Tiny CustomVoice)" in [
        each.description for each in described(catalog)
    ]


@pytest.mark.parametrize("language", speakers.TAGS.values())
def test_home_assistant_and_the_server_begin_with_the_same_speaker(language: str) -> None:
    tags = speakers.TAGS
    everybody = [
        speaker(
            name.replace("_", " ").title(),
            *dict.fromkeys((tags[each.language], *tags.values())),
            rank=1 if each.dialect else 0,
        )
        for name, each in speakers.SPEAKERS.items()
    ]
    catalog = VoiceCatalog(everybody, language=language)
    assert offered(described(catalog), language)[0] == catalog.default.name
    assert VoiceCatalog(everybody).default.name == "Aiden"


def test_a_household_s_own_language_style_stands_in_the_place_of_ours() -> None:
    styles = Styles(((Style("Chinese", language="zh"), ("Ryan",)), (Style("中文", language="zh"), ("Ryan",))))
    catalog = VoiceCatalog([RYAN, VIVIAN], styles=styles)
    names = [each.name for each in catalog.offered]
    assert names == ["Ryan", "Ryan · Chinese", "Ryan · 中文", "Vivian", "Vivian · English"]
    assert catalog.find("Ryan · 中文").rank == 0


def test_the_default_comes_first_then_who_is_offered_first() -> None:
    names = [each.name for each in VoiceCatalog(CAST, "ryan").offered]
    assert names == [
        *("Ryan", "Vivian", "heart"),
        *("Vivian · English", "Ryan · 中文", "Dylan", "Dylan · English"),
        "espeak-de",
    ]


def test_descriptions_sort_the_way_home_assistant_shows_them() -> None:
    voices = described(VoiceCatalog(CAST, "ryan"))
    text = {each.name: each.description for each in voices}
    assert text == {
        "Ryan": "(default) Ryan, somebody (Tiny CustomVoice)",
        "Vivian": "Vivian, somebody (Tiny CustomVoice)",
        "heart": "Heart (built-in)",
        "Vivian · English": "also Vivian: English, somebody (Tiny CustomVoice)",
        "Ryan · 中文": "also Ryan: 中文, somebody (Tiny CustomVoice)",
        "Dylan": "also Dylan, somebody (Tiny CustomVoice)",
        "Dylan · English": "also Dylan: English, somebody (Tiny CustomVoice)",
        "espeak-de": "last resort, German (robotic)",
    }
    assert offered(voices, "en-US") == ["Ryan", "heart", "Dylan · English", "Vivian · English"]
    assert offered(voices, "zh-CN") == ["Vivian", "Dylan", "Ryan · 中文"]


def test_a_default_that_nobody_chose_is_not_called_so() -> None:
    assert described(VoiceCatalog(CAST))[0].description == "Vivian, somebody (Tiny CustomVoice)"


def test_a_last_resort_goes_by_its_language() -> None:
    voice = replace(ROBOT, description="Chinese (Mandarin) (eSpeak NG, robotic)")
    assert sortable_description(voice) == "last resort, Chinese (Mandarin) (eSpeak NG, robotic)"
    slow = with_style(voice, Style("slow", speed=0.9))
    assert sortable_description(slow) == "last resort, Chinese (Mandarin): slow (eSpeak NG, robotic)"
    assert sortable_description(replace(voice, description="")) == "last resort, espeak-de"


def test_every_description_has_the_name_in_it() -> None:
    voice = Voice("Oma", "recorded in 2019", ("de",), "scripted", Attribution("", ""))
    assert sortable_description(voice) == "Oma (recorded in 2019)"
    assert sortable_description(replace(voice, name="anna")) == "Anna (recorded in 2019)"
    assert sortable_description(replace(voice, name="奶奶")) == "Voice 奶奶 (recorded in 2019)"
    assert sortable_description(replace(voice, name="Oma", description="")) == "Oma"


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8) | st.sampled_from(
    ["Ryan", "anna", "Zoe", "Ärmel", "奶奶", "also", "last resort", "(x", "9"]
)
VOICE = st.builds(
    Voice,
    name=NAMES,
    description=st.text(max_size=12) | NAMES.map(lambda name: f"{name}: so and so"),
    languages=st.lists(st.sampled_from(LANGUAGES), min_size=1, max_size=4, unique=True).map(tuple),
    engine=st.just("any"),
    attribution=st.just(Attribution("", "")),
    accented=st.booleans(),
    rank=st.integers(0, 2),
)
STYLED = Styles(
    (
        (Style("calm", speed=0.9), None),
        (Style("Ärgerlich", gain=3), None),
        (Style("Deutsch", language="de"), None),
    )
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(VOICE, min_size=1, max_size=6), st.booleans())
def test_in_every_language_the_first_are_first(voices: list[Voice], chosen: bool) -> None:
    catalog = VoiceCatalog(voices, voices[0].name if chosen else None, styles=STYLED)
    offers = {each.name: (each, of) for each, of in zip(described(catalog), catalog.offered, strict=True)}
    assert len(offers) == len(catalog.offered), "a name is one voice's"
    spoken = {tag for each, _ in offers.values() for tag in each.languages}
    assert spoken == {tag for voice in catalog.voices for tag in voice.languages}, "no language is lost"
    for language in spoken:
        able = [offers[name] for name in offered([each for each, _ in offers.values()], language)]
        ranks = [-1 if chosen and of.name == catalog.default.name else of.rank for _, of in able]
        assert ranks == sorted(ranks)
        names = [of.name for _, of in able]
        for _, of in able:
            if of.base in names and of.name != catalog.default.name:
                assert names.index(of.base) < names.index(of.name)


async def test_the_answer_to_describe_is_made_once() -> None:
    voices = StaticVoices(VoiceCatalog(CAST))
    async with running_pool(ScriptedEngine()) as able:
        description = DescribeResponse(voices, able, streaming=True)
        first = description()
        assert description() is first
        voices.catalog = VoiceCatalog(CAST[:2])
        assert description() != first


# -- through a client ---------------------------------------------------------------------------------------


async def test_a_pipeline_in_any_language_begins_with_a_native_speaker() -> None:
    async with service([ScriptedEngine(voices=CAST)]) as uri, connect(uri) as client:
        voices = await listed(client)
    assert [offered(voices, tag)[0] for tag in ("en-US", "zh-CN", "de-DE", "de")] == [
        *("heart", "Vivian", "Ryan", "espeak-de"),
    ]
    assert all(each.installed and each.languages for each in voices)


@pytest.mark.parametrize(
    ("name", "text", "heard"),
    [
        ("Vivian · English", "灯开了。", ("Vivian · English", "en-US")),
        ("Vivian", "The light is on now.", ("Vivian", "en-US")),
        ("Dylan", "灯开了。", ("Dylan", "zh-CN")),
        ("verse", "The light is on now.", ("Ryan", "en-US")),
        ("Ryan · fr", "The light is on now.", ("Ryan · Français", "fr-FR")),
    ],
)
async def test_what_is_offered_is_heard(name: str, text: str, heard: tuple[str, str]) -> None:
    engine = ScriptedEngine(voices=CAST)
    async with service([engine]) as uri, connect(uri) as client:
        await home_assistant_plain(client, text, {"name": name})
    assert [(told.voice.name, told.language) for told in engine.told] == [heard]
