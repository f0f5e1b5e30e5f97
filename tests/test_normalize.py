"""Spoken forms, against tables that were written without looking at the rules.

``normalize/*.txt`` has one case a line: ``input → spoken form``. ``|`` separates alternatives; inside one, ``(a/b)``
is either, ``[a]`` is optional, ``[a/b]`` is either or neither. A line without an arrow has nothing to normalize and
must stay as it is.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_qwen3tts.text.normalize import interpret_say_as, normalize, units
from wyoming_qwen3tts.text.normalize.currencies import currency_symbols

TABLES = Path(__file__).parent / "normalize"
LANGUAGES = [
    pytest.param(
        tag, marks=pytest.mark.xdist_group(f"spoken-{tag}")
    )  # one worker compiles the patterns of a language
    for tag in ("de", "en", "es", "fr", "it", "ja", "ko", "pt", "pt-BR", "ru", "zh", "zh-TW")
]
GROUP = re.compile(r"\[[^][()]*\]|\([^][()]*\)")
SILENT = re.compile(r"[\s.,;:!?¿¡…'\"“”„‘’«»()\-–—、。,!?「」：，；！？（）]+")

PIECES = st.sampled_from(
    """
    light kitchen ist degré año São окно лампа 客厅 キッチン 거실 and y и e
    0 1 2 5 21 100 1999 2024 12345 007 3.14 0,5 -3 1,234 1.234 1.000.000 ½ 3/4 3rd 2. 1º 2-й VIII
    °C °F % kWh W/m² µg/m³ km/h hPa ppm lx dB GHz m³ L/min V A W mm/h MB/s min h m s kg € $ £ ₽ 個 개 台
    18:30 6:45am 13:05:09 2024-12-24 31/12/2025 24.12.2024 2025-01-05T07:30:00 5-10 20–25 24/7 21.5°C
    $3.99 2x 1e5 0x1F €0.32/kWh 3,50€ R$5 +15551234567 010-1234-5678 v2.10.1 192.168.1.1 me@example.com CO2 PM2.5
    HTTP 404 https://example.com/a_b?c=1#d light.living_room #tag @home_bot 5>3 a<b 5+3=8
    ±2 ~5 R&D §5 №5 x² {a} a|b c\\d e^2
    """.split()
)
SENTENCES = st.lists(PIECES, min_size=1, max_size=8).map(" ".join)
RUN_ON = st.lists(PIECES, max_size=5).map("".join)
ANYTHING = st.one_of(SENTENCES, RUN_ON, st.text(), st.text(st.sampled_from("15.,:/-+ aм%°€$第")))
WRITTEN = [f"{number} {symbol}" for number in ("2", "-3.5", "1/2") for symbol in sorted(units.unit_symbols())]
WRITTEN += [f"{symbol}2.50" for symbol in currency_symbols("zh")]
WRITTEN += [f"2 {sign} 3" for sign in "+-×÷<>≤≥±≈=&@~#%/^√∞§"] + [
    "S02E05",
    "24/7",
    "a_b@c.com",
    "http://a.b/c-d",
    "#a",
]
"""Input that makes a language use every word that it has."""
FORMS = (
    "21.5 °C|5%|7:30|18:30|2024-12-24|24.12.2024|192.168.1.1|v1.2.3|2.10.1|$5|€3.99|5 €|+1 555 123 4567|1/2|5-10|5–10 °C|"
    "9:00-17:00|12 MB/s|1013 hPa|#5|1'234.50|100 %|5 km/h|HTTP 404|me@example.com|light.kitchen|5 + 3 = 8|0.32 €/kWh|-3 °C"
).split("|")
"""Forms that a dash before them must not change."""
LEFT = re.compile(r"[%°€$£@#=<>^_{}|\\~²³µ]")
ALPHABETS = {
    "Latin": "abcdefghijklmnopqrstuvwxyzäöüßéèàçñãõ",
    "Cyrillic": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "Han": "灯开关房间温度窗门客厅",
    "kana": "あいうえおかきくけこさしすせそアイウエオカキクケコ",
    "hangul": "가나다라마바사아자차거너더러머버",
}


def readings(wanted: str) -> Iterator[str]:
    """Yield every spoken form that ``wanted`` allows."""
    group = GROUP.search(wanted)
    if group is None:
        yield from wanted.split("|")
        return
    words = group[0][1:-1].split("/") + [""] * group[0].startswith("[")
    for word in words:
        yield from readings(wanted[: group.start()] + word + wanted[group.end() :])


def plain(text: str, language: str) -> str:
    """Return ``text`` without case, punctuation and spaces that are not audible."""
    text = unicodedata.normalize("NFC", text).lower().replace("ё", "е")
    return SILENT.sub("" if language[:2] in ("ja", "ko", "zh") else " ", text).strip()


def _encodes(character: str, encoding: str) -> bool:
    try:
        return bool(character.encode(encoding))
    except UnicodeEncodeError:
        return False


def lines(language: str) -> list[str]:
    text = (TABLES / f"{language}.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tables_are_read_as_they_say(language: str) -> None:
    wrong = []
    for text, _, wanted in (line.partition(" → ") for line in lines(language)):
        got = normalize(text, language)
        able = {plain(reading, language) for reading in readings(wanted)}
        if (plain(got, language) not in able) if wanted else got != text:
            wrong.append(f"{text} → {got}, not {wanted or 'as it is'}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("en-GB", "Dial *#06# now.", "Dial star hash zero six hash now."),
        ("en-US", "Dial *#06# now.", "Dial star pound zero six pound now."),
        ("en-GB", "Press # to repeat.", "Press hash to repeat."),
    ],
)
def test_keys_have_the_names_of_the_region(language: str, text: str, wanted: str) -> None:
    assert normalize(text, language) == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tables_hold_enough(language: str) -> None:
    assert len(lines(language)) >= (120 if language == "en" else 35)
    assert sum(" → " not in line for line in lines(language)) >= 8


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=ANYTHING)
def test_said_once_it_is_said(language: str, text: str) -> None:
    once = normalize(text, language)
    assert normalize(once, language) == once


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("letters", ALPHABETS.values(), ids=ALPHABETS)
@given(data=st.data())
@settings(max_examples=30)
def test_words_are_left_alone(letters: str, language: str, data: st.DataObject) -> None:
    word = st.text(letters, min_size=5, max_size=12)  # shorter ones may be abbreviations
    parts = data.draw(st.lists(st.tuples(word, st.sampled_from([" ", ", ", ". ", "! ", "? "])), max_size=8))
    text = "".join(word + mark for word, mark in parts).strip()
    assert normalize(text, language) == text


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=SENTENCES)
def test_no_digit_and_no_symbol_is_left(language: str, text: str) -> None:
    got = normalize(text, language)
    assert not LEFT.search(got)
    assert not any(c.isdigit() for c in got)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dash", [" - ", " – ", " — ", " − ", " － ", ": - ", ": − "])
def test_a_dash_with_spaces_changes_nothing_in_what_follows(language: str, dash: str) -> None:
    base = normalize("OK", language)
    for form in FORMS:
        said = normalize(f"OK{dash}{form}", language)
        assert plain(said, language) == plain(f"{base}, {normalize(form, language)}", language), said


@pytest.mark.parametrize("tag", ["zh-HK", "zh-MO", "zh-Hant", "zh-Hant-TW", "zh_TW"])
def test_every_tag_of_traditional_chinese_is_read_alike(tag: str) -> None:
    for line in lines("zh-TW"):
        text = line.partition(" → ")[0]
        assert normalize(text, tag) == normalize(text, "zh-TW")


@pytest.mark.parametrize(
    ("kind", "form", "text", "tag", "said"),
    [
        ("cardinal", "", "16", "pt", "dezasseis"),
        ("cardinal", "", "16", "pt-PT", "dezasseis"),
        ("cardinal", "", "16", "pt-BR", "dezesseis"),
        ("date", "dmy", "1-12-2017", "pt", "um de dezembro de dois mil e dezassete"),
        ("date", "dmy", "1-12-2017", "pt-BR", "primeiro de dezembro de dois mil e dezessete"),
        ("characters", "", "#", "pt", "cardinal"),
        ("characters", "", "#", "pt-BR", "cerquilha"),
        ("time", "hms24", "14:30", "zh-TW", "十四點三十分"),
        ("time", "hms24", "14:30", "zh-CN", "十四点三十分"),
        ("characters", "", "_", "zh-HK", "下劃線"),
    ],
)
def test_say_as_follows_the_region(kind: str, form: str, text: str, tag: str, said: str) -> None:
    assert interpret_say_as(kind, form, text, tag) == said


def test_traditional_chinese_holds_no_simplified_character() -> None:
    """A character is simplified where GB 2312 has it, and Big5 has not."""
    said = set("".join(normalize(text, "zh-TW") for text in WRITTEN)) - set("".join(WRITTEN))
    assert len(said) > 100
    assert not [c for c in said if not _encodes(c, "big5") and _encodes(c, "gb2312")]


@pytest.mark.parametrize("unit", ["a.", "5h", "的1", "IV ", "1/2 ", "$", "a_", "+1 ", "5 km "])
def test_time_grows_with_the_length_and_no_faster(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        began = time.process_time()
        normalize(text, "en")
        return time.process_time() - began

    seconds(100)
    short, long = min(seconds(300) for _ in range(2)), seconds(2400)
    assert long < 40 * short + 0.05, "eight times the text, with room for noise"
