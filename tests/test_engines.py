"""The two voices that need no GPU, with all they cannot say."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from wyoming_qwen3tts.audio.pcm import KNEE, limit, to_pcm
from wyoming_qwen3tts.engines import builtin, espeak
from wyoming_qwen3tts.engines.base import Engine, EngineUnavailableError, UnsupportedTextError
from wyoming_qwen3tts.engines.builtin import BuiltinEngine
from wyoming_qwen3tts.engines.espeak import EspeakEngine, parse_voices
from wyoming_qwen3tts.speech import BYTES_PER_SECOND, SAMPLE_RATE, Utterance, Voice


@pytest.fixture
async def robot() -> AsyncIterator[EspeakEngine]:
    engine = EspeakEngine()
    await engine.start()
    yield engine
    await engine.close()


async def say(engine: Engine, text: str, voice: Voice | None = None) -> bytes:
    voice = voice or engine.voices()[0]
    async with aclosing(engine.speak(Utterance(text, voice, voice.languages[0]))) as pieces:
        return b"".join([piece async for piece in pieces])


def level(pcm: bytes) -> float:
    """Return the root mean square in dB of full scale."""
    samples = np.frombuffer(pcm, "<i2") / 32768
    return float(20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9))


async def test_the_builtin_voice_speaks(heart: BuiltinEngine) -> None:
    pcm = await say(heart, "The kitchen light is on, and the door is closed.")
    assert 2 < len(pcm) / BYTES_PER_SECOND < 5


async def test_the_same_utterance_is_the_same_sound_on_any_thread(heart: BuiltinEngine) -> None:
    sounds = await asyncio.gather(*(say(heart, "Good morning, everybody.") for _ in range(6)))
    assert len(set(sounds)) == 1


AWKWARD = [
    "①②③ go",
    "call " + "1" * 40,
    "9" * 36,
    "[word](/x/) and [link](http://example.com/a)",
    "a" * 200,
    "x " * 100,
    "e\u0301te\u0301 \u200b\u00ad zero\u200dwidth",
    "ﬁne ½ 10² Ⅳ 𝐇𝐞𝐥𝐥𝐨",
    "1\x07 2\x1b[0m",
    "http://user:pass@example.com:8080/a?b=c&d=e#f",
    "C:\\Windows\\System32 <b>bold</b> {{ states('sensor.x') }}",
    "Smiles 🙂 and 你好 and Привет inside.",
    "$1,234,567.89 — 12/31/1999 — 25:61",
    "٣ apples",
    "!!!a???",
]


@pytest.mark.parametrize("text", AWKWARD)
async def test_the_builtin_voice_says_something_for_awkward_text(heart: BuiltinEngine, text: str) -> None:
    pcm = await say(heart, text)
    assert len(pcm) > 0.2 * BYTES_PER_SECOND
    assert level(pcm) > -40


async def test_numbers_without_end_are_read_digit_by_digit() -> None:
    assert builtin.sanitize("1" * 16) == " ".join("1" * 16)
    assert builtin.sanitize("1" * 15) == "1" * 15
    assert builtin.sanitize("[a](/b/)") == "[a] (/b/)"
    assert builtin.sanitize("①\u200b\x00②") == "1 2"


async def test_text_without_words_cannot_be_said(heart: BuiltinEngine) -> None:
    with pytest.raises(UnsupportedTextError, match="nothing to say in '你好'"):
        await say(heart, "你好")


async def test_a_phonemizer_that_fails_gets_plainer_text(
    heart: BuiltinEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = heart._hibari.phonemize

    def fail_on_symbols(text: str) -> object:
        seen.append(text)
        if "§" in text:
            raise ValueError("invalid literal for int()")
        return real(text)

    monkeypatch.setattr(heart._hibari, "phonemize", fail_on_symbols)
    assert await say(heart, "Paragraph § five.")
    assert seen == ["Paragraph § five.", "Paragraph   five."]
    monkeypatch.setattr(heart._hibari, "phonemize", lambda text: 1 / 0)
    with pytest.raises(UnsupportedTextError, match="cannot say 'Hello'"):
        await say(heart, "Hello")


@pytest.mark.parametrize(
    "text", ["Hi.", "The quick brown fox jumps over the lazy dog.", "A number, " + "8" * 15]
)
async def test_a_sentence_in_pieces_has_the_samples_of_the_whole(heart: BuiltinEngine, text: str) -> None:
    (phonemes,) = heart._hibari.phonemize(text)
    ids = heart._hibari.ids(phonemes)
    whole = to_pcm(heart._hibari.from_ids(ids, rng=builtin.get_noise(0)))
    utterance = Utterance(text, heart.voices()[0], "en-US")
    async with aclosing(heart.speak(utterance)) as stream:
        pieces = [piece async for piece in stream]
    assert b"".join(pieces) == whole
    if len(whole) > 2 * BYTES_PER_SECOND:
        assert [len(piece) for piece in pieces] == [BYTES_PER_SECOND // 2, len(whole) - BYTES_PER_SECOND // 2]


async def test_a_sentence_that_nobody_wants_is_not_made(heart: BuiltinEngine) -> None:
    texts = [f"This is the sentence with the number {number}, and it is long enough." for number in range(50)]
    streams = [heart.speak(Utterance(text, heart.voices()[0], "en-US")) for text in texts]
    firsts = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await firsts[0]
    for first in firsts[1:]:
        first.cancel()
    await asyncio.gather(*firsts, return_exceptions=True)
    for stream in streams:
        await stream.aclose()
    assert heart._pool is not None
    assert heart._pool._work_queue.qsize() < 50
    assert await say(heart, "Still here.")


def test_what_is_loud_is_bent_and_never_clipped() -> None:
    samples = np.linspace(-8, 8, 10_001, dtype=np.float32)
    bent = limit(samples)
    assert np.abs(bent).max() < 1
    quiet = np.abs(samples) <= KNEE
    assert np.array_equal(bent[quiet], samples[quiet])
    assert (np.diff(bent) > 0).all()
    assert np.frombuffer(to_pcm(np.array([-3, 3], np.float32)), "<i2").tolist() == [-32767, 32767]


async def test_espeak_says_every_language_of_the_house(robot: EspeakEngine) -> None:
    texts = {
        "de": "Das Licht in der Küche ist an.",
        "fr": "La lumière de la cuisine est allumée.",
        "es": "La luz de la cocina está encendida.",
        "it": "La luce della cucina è accesa.",
        "pt-BR": "A luz da cozinha está acesa.",
        "ru": "Свет на кухне включён.",
        "zh": "厨房的灯开着。",
        "ja": "だいどころの あかりが ついています。",
        "ko": "주방 불이 켜져 있습니다.",
    }
    voices = {voice.languages[0]: voice for voice in robot.voices()}
    for tag, text in texts.items():
        pcm = await say(robot, text, voices[tag])
        assert 1 < len(pcm) / BYTES_PER_SECOND < 8, tag
        assert -26 < level(pcm) < -15, tag


async def test_espeak_is_resampled_not_sped_up(robot: EspeakEngine) -> None:
    voice = next(v for v in robot.voices() if v.languages == ("de",))
    wav = await robot._run(
        "-v", "de", "-s", str(espeak.WORDS_PER_MINUTE), "--stdin", "--stdout", stdin="Guten Tag."
    )
    seconds = (len(wav) - 44) / 2 / 22_050
    assert abs(len(await say(robot, "Guten Tag.", voice)) / 2 / SAMPLE_RATE - seconds) < 0.01


async def test_espeak_takes_no_commands_from_text(robot: EspeakEngine) -> None:
    for text in ("--help", "[[_^_de]] [[h@l'oU]]", "a\x00b", "<speak>x</speak>", "$(reboot) `x`", "\ud800 a"):
        assert await say(robot, text), text


@pytest.mark.parametrize("text", ["http://" + "a." * 200, "a." * 1000, "u.s.a. " * 300])
async def test_espeak_says_what_it_dies_of_in_another_way(robot: EspeakEngine, text: str) -> None:
    (german,) = [voice for voice in robot.voices() if voice.name == "espeak-de"]
    sound = b"".join([piece async for piece in robot.speak(Utterance(text, german, "de"))])
    assert len(sound) > 10 * BYTES_PER_SECOND


async def test_espeak_with_nothing_to_say_cannot_speak(robot: EspeakEngine) -> None:
    with pytest.raises(UnsupportedTextError):
        await say(robot, " ")


async def test_a_cancelled_utterance_ends_its_process(robot: EspeakEngine) -> None:
    stalled = asyncio.create_task(robot._run("--stdin", "--stdout", stdin="word " * 200_000))
    await asyncio.sleep(0.2)
    stalled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stalled
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert not [c for c in children if "espeak-ng" in Path(f"/proc/{c}/comm").read_text()]


async def test_languages_can_be_chosen() -> None:
    engine = EspeakEngine("fr, de")
    await engine.start()
    assert [voice.languages[0] for voice in engine.voices()] == ["de", "fr", "fr-BE", "fr-CH"]
    with pytest.raises(EngineUnavailableError, match="no voice for 'xx'"):
        await EspeakEngine("xx").start()


async def test_a_missing_or_broken_command_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="no-such-espeak is not installed"):
        await EspeakEngine(command="no-such-espeak").start()
    broken = tmp_path / "espeak-ng"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(broken.stat().st_mode | stat.S_IEXEC)
    with pytest.raises(EngineUnavailableError, match="ended with status 3"):
        await EspeakEngine(command=str(broken)).start()


def test_the_listing_of_voices_becomes_tags_and_names() -> None:
    listing = """Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  cmn             --/M      Chinese_(Mandarin,_latin_as_English) sit/cmn              (zh-cmn 5)(zh 5)
 5  cmn-latn-pinyin --/M      Chinese_(Mandarin,_latin_as_Pinyin) sit/cmn-Latn-pinyin  (zh-cmn 5)
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 5  fr-fr           --/M      French_(France)    roa/fr               (fr 5)
 5  es-419          --/M      Spanish_(Latin_America) roa/es-419           (es-mx 6)(es 6)
 5  vi-vn-x-central --/M      Vietnamese_(Central) aav/vi-VN-x-central
 5  yue             --/M      Chinese_(Cantonese) sit/yue              (zh-yue 5)(zh 8)
 5  yue             --/M      Chinese_(Cantonese,_latin_as_Jyutping) sit/yue-Latn-jyutping (zh-yue 5)
"""
    assert list(parse_voices(listing)) == [
        ("cmn", "zh", "Chinese (Mandarin)"),
        ("fr-fr", "fr", "French (France)"),
        ("es-419", "es-419", "Spanish (Latin America)"),
        ("yue", "yue", "Chinese (Cantonese)"),
    ]
