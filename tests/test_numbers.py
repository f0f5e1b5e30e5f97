"""Parsing of numbers, and the libraries that put them into words."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from wyoming_qwen3tts.text.normalize import normalize, numbers
from wyoming_qwen3tts.text.normalize.numbers import Number, parse_number

pytestmark = pytest.mark.xdist_group("inflect")  # which takes seconds to import, so one worker does it


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Neither from the tests before, nor for those after: what failed here is remembered too."""
    numbers.to_words.cache_clear()
    yield
    numbers.to_words.cache_clear()


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1,234.50", ".", Number("1234", "50")),
        ("1.234,50", ",", Number("1234", "50")),
        ("1 234,5", ",", Number("1234", "5")),
        ("1\u202f234", ",", Number("1234")),
        ("21.5", ",", Number("21", "5")),  # Home Assistant's states have a point everywhere
        ("21,5", ".", Number("21", "5")),
        ("0.125", ",", Number("0", "125")),
        ("1.000", ",", Number("1000")),
        ("1.000", ".", Number("1", "000")),
        ("007", ".", Number("007")),
    ],
)
def test_a_number_is_read_as_its_language_writes_it(text: str, decimal: str, number: Number) -> None:
    assert parse_number(text, decimal) == number
    assert parse_number(text, decimal, negative=True) == Number(number.whole, number.fraction, negative=True)


WITHOUT_NUM2WORDS = {
    "It is 21.5 °C.": "It is twenty one point five degrees Celsius.",
    "1,234 people": "one thousand two hundred and thirty four people",
    "the 3rd and the 21st": "the third and the twenty first",
    "in 1905": "in nineteen oh five",
    "in 1900": "in nineteen hundred",
    "in 2024": "in twenty twenty four",
    "in 2005": "in two thousand and five",
    "1/2 and 3/4": "one half and three quarters",
}


@pytest.mark.parametrize("text", WITHOUT_NUM2WORDS)
@pytest.mark.slow
def test_inflect_stands_in_for_num2words_in_english(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = normalize(text, "en")
    numbers.to_words.cache_clear()
    monkeypatch.setitem(sys.modules, "num2words", None)
    with caplog.at_level(logging.WARNING):
        assert normalize(text, "en") == expected == WITHOUT_NUM2WORDS[text]
    assert "cannot verbalize a number library=num2words" in caplog.text


def test_a_number_that_no_library_can_say_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)
    with caplog.at_level(logging.WARNING):
        assert normalize("Das sind 5 Äpfel, 3 kg.", "de") == "Das sind 5 Äpfel, 3 Kilogramm."
    assert caplog.text.count("library=num2words number=5 language=de") == 1, "said once"


@pytest.mark.slow
def test_a_library_that_fails_on_one_number_says_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import num2words

    def fails(value: int, **forms: str) -> str:
        if value == 13:
            raise OverflowError("unlucky")
        return str(real(value, **forms))

    real = num2words.num2words
    monkeypatch.setattr(num2words, "num2words", fails)
    with caplog.at_level(logging.WARNING):
        assert normalize("Ho 12 mele e 13 pere.", "it") == "Ho dodici mele e 13 pere."
        assert normalize("I have 12 apples and 13 pears.", "en") == "I have twelve apples and thirteen pears."
    assert "unlucky" in caplog.text


def test_numbers_without_end_are_spelled() -> None:
    assert normalize("1" * 16, "en") == " ".join(["one"] * 16)
    assert normalize("9" * 15, "en").startswith("nine hundred and ninety nine trillion")
