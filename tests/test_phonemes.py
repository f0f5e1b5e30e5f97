"""Pronunciations reach the engines that support them; others get the word alone."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator

import pytest

from tests.house import ScriptedEngine, connect, home_assistant_plain, service, tone
from wyoming_qwen3tts.engines.builtin import BuiltinEngine, to_misaki
from wyoming_qwen3tts.engines.espeak import EspeakEngine, to_mnemonics
from wyoming_qwen3tts.speech import Utterance, Voice
from wyoming_qwen3tts.text import phonemes, ssml
from wyoming_qwen3tts.text.frontend import Frontend, to_spoken_form
from wyoming_qwen3tts.text.markup import remove_markup

TOMATO = phonemes.annotate_word("tomato", "təˈmɑːtoʊ")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A [tomato](/təˈmɑːtoʊ/) a day.", f"A {TOMATO} a day."),
        ("A **[tomato](/təˈmɑːtoʊ/)** a day.", f"A {TOMATO} a day."),
        ("[see](/docs/page/) it", "see it"),
        ("[a](/b/c)", "a"),
        ("a\ufff9b", "ab"),
    ],
)
def test_a_pronunciation_stays_with_its_word_on_request(text: str, wanted: str) -> None:
    assert remove_markup(text, pronunciations=True) == wanted
    assert remove_markup(wanted, pronunciations=True) == wanted
    assert remove_markup(text) == phonemes.remove_pronunciations(wanted)


def test_the_spoken_form_leaves_pronunciations_alone() -> None:
    frontend = Frontend()
    text = frontend.remove_markup("The [2 tomatoes](/təˈmɑːtoʊz/) cost $5.", "en", pronunciations=True)
    spoken = phonemes.annotate_word("two tomatoes", "təˈmɑːtoʊz")
    assert frontend.normalize(text, "en") == f"The {spoken} cost five dollars."


def test_ssml_gives_pronunciations_on_request() -> None:
    document = "<speak>a <phoneme alphabet='ipa' ph='təˈmɑːtoʊ'>tomato</phoneme></speak>"
    assert ssml.parse_ssml(document, pronunciations=True) == [ssml.SsmlText(f"a {TOMATO}")]
    assert ssml.parse_ssml(document) == [ssml.SsmlText("a tomato")]
    assert ssml.parse_ssml(document.replace("ipa", "x-sampa"), pronunciations=True) == [
        ssml.SsmlText("a tomato")
    ]
    assert to_spoken_form(document, "en") == "a tomato"


class Pronouncing(ScriptedEngine):
    """An engine with or without support for pronunciations."""

    def __init__(self, *, able: bool) -> None:
        super().__init__(self._say)
        self.able = able
        self.texts: list[str] = []

    async def _say(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        self.texts.append(utterance.text)
        yield tone(utterance.text)

    def supports_phonemes(self, voice: Voice) -> bool:
        return self.able


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "A [tomato](/təˈmɑːtoʊ/) a day.",
        "<speak>A <phoneme ph='təˈmɑːtoʊ'>tomato</phoneme> a day.</speak>",
    ],
)
async def test_only_an_engine_that_reads_pronunciations_gets_them(able: bool, text: str) -> None:
    engine = Pronouncing(able=able)
    async with service([engine]) as uri, connect(uri) as client:
        await home_assistant_plain(client, text)
    assert engine.texts == [f"A {TOMATO if able else 'tomato'} a day."]


@pytest.mark.parametrize(
    ("pronunciation", "wanted"),
    [
        ("təˈmɑːtoʊ", "təmˈɑtO"),
        ("ˈskɛdʒuːl", "skˈɛʤul"),
        ("ˈbɜːrd", "bˈɜɹd"),
        ("tʃaɪ", "ʧI"),
        ("ˈbʌtɚ", "bˈʌtəɹ"),
    ],
)
def test_ipa_in_the_alphabet_of_the_built_in_voice(pronunciation: str, wanted: str) -> None:
    assert to_misaki(pronunciation) == wanted


def test_the_built_in_voice_says_pronunciations(heart: BuiltinEngine) -> None:
    assert heart._phonemes(f"A {TOMATO} a day.") == ["ɐ təmˈɑtO ɐ dˈA."]
    click = phonemes.annotate_word("tomato", "kǃa")
    assert heart._phonemes(f"A {click} a day.") == heart._phonemes("A tomato a day.")


@pytest.mark.parametrize(
    ("pronunciation", "wanted"),
    [("ʃøːn", "SY:n"), ("bɔ̃ˈʒuʁ", "bO~'Zur"), ("ˈniɲo", "'nin^o"), ("təˈmɑːtoʊ", "t@'mA:toU"), ("ʘa", "")],
)
def test_ipa_in_mnemonics_of_espeak(pronunciation: str, wanted: str) -> None:
    assert to_mnemonics(pronunciation) == wanted


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_espeak_says_the_sounds_that_its_language_has() -> None:
    robot = EspeakEngine("de,fr")
    await robot.start()
    schoen = phonemes.annotate_word("schon", "ʃøːn")
    assert await robot._prepare_text(f"Das ist {schoen}.", "de") == "Das ist [[SY:n]]."
    click = phonemes.annotate_word("klick", "kǃa")
    assert await robot._prepare_text(f"Ein {click}.", "de") == "Ein klick."
    assert await robot._prepare_text(phonemes.annotate_word("tomate", "təˈmɑːtoʊ"), "fr") == "tomate"
    voices = {voice.name: voice for voice in robot.voices()}

    async def sound(text: str) -> bytes:
        utterance = Utterance(text, voices["espeak-de"], "de")
        return b"".join([piece async for piece in robot.speak(utterance)])

    assert await sound(f"Das ist {schoen}.") == await sound("Das ist [[SY:n]].".replace("[[SY:n]]", schoen))
    assert await sound(schoen) != await sound("schon")
    assert await sound(click) == await sound("klick")
