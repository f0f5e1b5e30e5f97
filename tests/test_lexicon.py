"""The user's lexicon."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from wyoming_qwen3tts.text.frontend import Frontend
from wyoming_qwen3tts.text.lexicon import Lexicon

FILE = """\
# for every language
HA = Home Assistant
zigbee = zig bee

[de]
Spülmaschine = Geschirrspüler
LED = L E D
[zh]
小爱 = 小艾
[en-GB]
kWh = units
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lexicon.txt"
    path.write_text(FILE, "utf-8")
    return path


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("en", "HA uses Zigbee.", "Home Assistant uses zig bee."),
        ("en", "Ha and ha and zigbees stay.", "Ha and ha and zigbees stay."),
        ("en", "It is 5 °C, says HA.", "It is five degrees Celsius, says Home Assistant."),
        ("en", "It used 3 kWh.", "It used three units."),
        ("de", "Die LED der Spülmaschine in HA: 5 kWh.", "Die L E D der Geschirrspüler in Home Assistant: fünf Kilowattstunden."),
        ("de-AT", "Die LED leuchtet.", "Die L E D leuchtet."),
        ("fr", "La LED de 5 W.", "La LED de cinq watts."),
        ("zh", "问小爱同学", "问小艾同学"),
    ],
)  # fmt: skip
def test_entries_are_said_as_they_ask(path: Path, language: str, text: str, spoken: str) -> None:
    assert Frontend(lexicon=Lexicon(path)).normalize(text, language) == spoken


def test_it_works_without_normalisation(path: Path) -> None:
    frontend = Frontend(lexicon=Lexicon(path), normalization=False)
    assert frontend.normalize("HA says 5 °C", "en") == "Home Assistant says 5 °C"


def test_a_change_is_noticed_and_a_missing_file_keeps_what_was_read(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frontend = Frontend(lexicon=Lexicon(path))
    assert frontend.normalize("HA", "en") == "Home Assistant"
    path.write_text("HA = the house", "utf-8")
    os.utime(path, ns=(1, 1))
    assert frontend.normalize("HA", "en") == "the house"
    path.unlink()
    with caplog.at_level(logging.WARNING):
        assert [frontend.normalize("HA", "en") for _ in range(3)] == ["the house"] * 3
    assert len(caplog.records) == 1, "said once"
    path.write_text("HA = back again", "utf-8")
    assert frontend.normalize("HA", "en") == "back again"


def test_a_bad_line_is_named_and_the_others_stand(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("one = 1st\nno equals sign\n = nothing\ntwo = second", "utf-8")
    with caplog.at_level(logging.WARNING):
        assert Frontend(lexicon=Lexicon(path)).normalize("one two", "en") == "1st second"
    assert "line 2: 'no equals sign'" in caplog.text
    assert "line 3" in caplog.text


def test_a_file_that_is_no_text_is_one_line(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"\xff\xfe\x00\x80")
    with caplog.at_level(logging.WARNING):
        assert Frontend(lexicon=Lexicon(path)).normalize("Hello 5", "en") == "Hello five"
    assert "lexicon.txt" in caplog.text
