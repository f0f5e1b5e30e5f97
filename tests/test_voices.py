"""Which voice answers, and which script it can read."""

from __future__ import annotations

import pytest

from wyoming_qwen3tts.speech import Attribution, SpeechError, Voice
from wyoming_qwen3tts.text import scripts
from wyoming_qwen3tts.voices.catalog import UNDETERMINED, UnknownVoice, VoiceCatalog


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
    assert scripts.script(text) == expected


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
    assert VoiceCatalog(VOICES).reader(asked, text) is speaks


def test_text_that_no_voice_reads_is_an_error() -> None:
    with pytest.raises(SpeechError, match="hangul") as error:
        VoiceCatalog(VOICES).reader(HEART, "안녕하세요")
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
    assert catalog.language(ryan, "de") == "de-DE"
    assert catalog.language(ryan, "en-GB") == "en-US"
    assert catalog.language(ryan, "fr") == UNDETERMINED
    assert catalog.language(ryan, None) == UNDETERMINED
    assert catalog.language(HEART, None) == "en-US"


def test_a_default_voice_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(UnknownVoice, match="'nobody' is not one of: heart, espeak-de"):
        VoiceCatalog(VOICES, "nobody")
    with pytest.raises(UnknownVoice, match="no engine has a voice"):
        VoiceCatalog(())
