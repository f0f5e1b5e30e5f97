"""What a client writes, and what a voice is then told: through the whole service, over a real socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from wyoming.audio import AudioChunk, AudioStop
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.house import (
    ScriptedEngine,
    connect,
    home_assistant_plain,
    home_assistant_streamed,
    raw,
    read_events,
    running_pool,
    service,
    sound_of,
    synthesizer,
    tone,
)
from tests.test_segmentation import eventually
from wyoming_qwen3tts.speech import BYTES_PER_SECOND, Attribution, SpeechRequest, TextFeed, Utterance, Voice
from wyoming_qwen3tts.text.frontend import Frontend, to_spoken_form
from wyoming_qwen3tts.text.segmentation import Segment, normalize_incrementally

SSML = """<?xml version="1.0"?>
<speak xml:lang="en-US">
  Call <say-as interpret-as="telephone">911</say-as>.<break time="2s"/>
  <prosody rate="fast">Be quick</prosody> and <sub alias="Home Assistant">HA</sub> helps.
  <voice name="klang_zwei"><lang xml:lang="de-DE">Es sind 5 °C.</lang></voice>
  <unknown>The rest</unknown> is text &amp; more.<break time="500ms"/>
</speak>"""


class Polyglot(ScriptedEngine):
    """Notes who says what; its third voice has many languages."""

    def __init__(self) -> None:
        super().__init__(self._say)
        self.utterances: list[Utterance] = []

    async def _say(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        self.utterances.append(utterance)
        yield tone(utterance.text)

    def voices(self) -> Sequence[Voice]:
        many = Voice("Many", "Many", ("en", "zh", "fr", "ru"), self.name, Attribution("tests", ""))
        return [*super().voices(), many]

    @property
    def heard(self) -> list[tuple[str, str, str]]:
        return [(each.voice.name, each.language, each.text) for each in self.utterances]


@pytest.fixture
def engine() -> Polyglot:
    return Polyglot()


async def say(
    engine: Polyglot, text: str, voice: str | None = None, **settings: Any
) -> list[tuple[str, str, str]]:
    """Return who said what, in which language; streamed text must come to the same sound."""
    asked = SynthesizeVoice(name=voice) if voice else None
    async with service([engine], **settings) as uri, connect(uri) as client:
        whole = await home_assistant_plain(client, text, asked)
        heard = engine.heard
        pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
        assert await home_assistant_streamed(client, pieces, asked) == whole
        assert engine.heard == heard * 2
    return heard


async def test_a_voice_is_told_what_to_say(engine: Polyglot) -> None:
    text = "## Weather\n\nIt is **21.5 °C**, see [the map](https://a.example/x). 🎉\n- wind: 5 km/h\n\n```sh\nls -l\n```"
    assert await say(engine, text) == [
        ("tone", "en-US", "Weather"),
        ("tone", "en-US", "It is twenty one point five degrees Celsius, see the map."),
        ("tone", "en-US", "wind: five kilometers per hour"),
        ("tone", "en-US", "ls -l"),
    ]


async def test_normalisation_can_be_switched_off_and_emoji_be_named(engine: Polyglot) -> None:
    heard = await say(engine, "It is *5 °C* outside 👍", normalize="off", emoji="name")
    assert [text for _, _, text in heard] == ["It is 5 °C outside thumbs up"]


async def test_a_lexicon_is_heard(engine: Polyglot, tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("HA = Home Assistant")
    assert (await say(engine, "HA has 3 lights.", lexicon=path))[0][2] == "Home Assistant has three lights."


@pytest.mark.parametrize(
    ("voice", "settings", "text", "heard"),
    [
        # Nobody asked for a voice: the text decides.
        (None, {}, "The light is on.", [("tone", "en-US", "The light is on.")]),
        (None, {}, "Das Licht ist an, es sind 5 °C.", [("Klang Zwei", "de-DE", "Das Licht ist an, es sind fünf Grad Celsius.")]),
        (None, {}, "La lumière est allumée dans la cuisine.", [("Many", "fr", "La lumière est allumée dans la cuisine.")]),
        (None, {}, "Play Für Elise by Beethoven.", [("tone", "en-US", "Play Für Elise by Beethoven.")]),
        (None, {"language": "de"}, "OK.", [("Klang Zwei", "de-DE", "OK.")]),
        (None, {"languages": ("en", "fr")}, "Das Licht ist jetzt an.", [("tone", "en-US", "Das Licht ist jetzt an.")]),
        (None, {"language_detector": "off"}, "Das Licht ist jetzt an.", [("tone", "en-US", "Das Licht ist jetzt an.")]),
        # A voice that was asked for stays, as long as it can read the letters.
        ("tone", {}, "Das Licht ist an, 5 Grad.", [("tone", "en-US", "Das Licht ist an, five Grad.")]),
        ("Many", {}, "La lumière est allumée. The light is on again.",
         [("Many", "fr", "La lumière est allumée."), ("Many", "en", "The light is on again.")]),
        ("Many", {}, "灯开了，21.5°C。", [("Many", "zh", "灯开了，二十一点五摄氏度。")]),
        ("Klang Zwei", {}, "Свет включён, 2 лампы.", [("Many", "ru", "Свет включён, две лампы.")]),
        # A setting is only what is expected: the text may say otherwise.
        ("Many", {"language": "ru"}, "21", [("Many", "ru", "двадцать один")]),
        ("Many", {"language": "ru"}, "The light is on now.", [("Many", "en", "The light is on now.")]),
    ],
)  # fmt: skip
async def test_each_sentence_has_its_language(
    engine: Polyglot, voice: str | None, settings: dict[str, object], text: str, heard: object
) -> None:
    assert await say(engine, text, voice, **settings) == heard


async def test_an_unknown_voice_is_one_line_in_the_log(
    engine: Polyglot, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with service([engine]) as uri, connect(uri) as client:
            text = "The light is on. The door is open. Then it rained."
            await home_assistant_plain(client, text, SynthesizeVoice(name="en_US-amy-medium"))
    assert caplog.text.count("voices: unknown voice requested=en_US-amy-medium") == 1


async def test_the_requests_own_language_wins(engine: Polyglot) -> None:
    async with service([engine]) as uri, connect(uri) as client:
        await home_assistant_plain(client, "The light is on: 2.", SynthesizeVoice(language="de"))
    assert engine.heard == [("Klang Zwei", "de-DE", "The light is on: zwei.")]


@pytest.mark.parametrize("declared", [True, False], ids=["text_format", "by its looks"])
async def test_ssml_is_followed_where_it_can_be(engine: Polyglot, declared: bool) -> None:
    text_format = "ssml" if declared else None
    async with service([engine]) as uri, raw(uri) as (reader, writer), connect(uri) as client:
        await client.write_event(Synthesize(SSML, text_format=text_format).event())
        sound = b""
        while not AudioStop.is_type((event := await client.read_event()).type):  # type: ignore[union-attr]
            if AudioChunk.is_type(event.type):  # type: ignore[union-attr]
                sound += AudioChunk.from_event(event).audio  # type: ignore[arg-type]
        whole = list(engine.utterances)
        writer.write(b"".join(_lines(SSML, text_format)))
        assert sound_of(await read_events(reader, until="synthesize-stopped")) == sound
    assert [(each.voice.name, each.text, each.speed) for each in whole] == [
        ("tone", "Call nine one one.", 1.0),
        ("tone", "Be quick", 1.25),
        ("tone", "and Home Assistant helps.", 1.0),
        ("Klang Zwei", "Es sind fünf Grad Celsius.", 1.0),
        ("tone", "The rest is text and more.", 1.0),
    ]
    assert engine.utterances == whole * 2
    first = tone("Call nine one one.")
    assert sound.startswith(first + bytes(2 * BYTES_PER_SECOND)), "the break, and nothing besides"
    assert sound.endswith(tone("The rest is text and more.") + bytes(BYTES_PER_SECOND // 2))


def _lines(text: str, text_format: str | None) -> list[bytes]:
    """A stream of text in pieces, as the bytes of its events."""
    from tests.test_bad_input import line

    start = SynthesizeStart(text_format=text_format).event()
    chunks = [SynthesizeChunk(text[at : at + 5]).event() for at in range(0, len(text), 5)]
    return [line(type=event.type, data=event.data) for event in (start, *chunks, SynthesizeStop().event())]


async def test_broken_ssml_is_read_as_well_as_can_be(engine: Polyglot) -> None:
    heard = await say(engine, "<speak>It is < 5 °C & <b>cold</speak")
    assert " ".join(text for _, _, text in heard) == "It is less than five degrees Celsius and cold"


async def test_ssml_with_nothing_to_say_is_silence(engine: Polyglot) -> None:
    assert await say(engine, '<speak><break time="3s"/></speak>') == []


async def test_an_unknown_text_format_is_text_and_a_line_in_the_log(
    engine: Polyglot, caplog: pytest.LogCaptureFixture
) -> None:
    async with service([engine]) as uri, connect(uri) as client:
        with caplog.at_level(logging.WARNING):
            await client.write_event(Synthesize("It is 5.", text_format="klingon").event())
            while not AudioStop.is_type((await client.read_event()).type):  # type: ignore[union-attr]
                pass
    assert engine.heard == [("tone", "en-US", "It is five.")]
    assert "unknown text_format, read as text event=synthesize value=klingon" in caplog.text


async def test_the_first_piece_of_a_reply_may_be_a_clause(engine: Polyglot) -> None:
    text = "Well, let me tell you what I have found about the weather, which will be mild. It rains."
    assert len(await say(engine, text)) == 3
    assert len(await say(Polyglot(), text, first_clause=False)) == 2


async def test_a_sentence_is_spoken_when_its_writer_stalls(engine: Polyglot) -> None:
    async with service([engine]) as uri, connect(uri) as client:
        await client.write_event(SynthesizeStart().event())
        for piece in ("It is on. ", "Wait.", " Let me look", " it up."):
            await client.write_event(SynthesizeChunk(piece).event())
        while not AudioChunk.is_type((await client.read_event()).type):  # type: ignore[union-attr]
            pass
        await eventually(lambda: len(engine.utterances) == 2)
        await client.write_event(SynthesizeChunk(" It rains 5").event())
        await asyncio.sleep(0.7)  # stalled, but in the middle of a sentence
        await client.write_event(SynthesizeChunk(".5 mm.").event())
        await client.write_event(SynthesizeStop().event())
        while (event := await client.read_event()) is not None and event.type != "synthesize-stopped":
            pass
    assert [text for _, _, text in engine.heard] == [
        "It is on.",
        "Wait. Let me look it up.",
        "It rains five point five millimeters.",
    ]


async def test_very_short_sentences_have_company_but_the_first_does_not_wait(engine: Polyglot) -> None:
    heard = await say(engine, "Yes. No. OK. The light is on. Fine.")
    assert [text for _, _, text in heard] == ["Yes.", "No. OK. The light is on.", "Fine."]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["The light ", "in the ", "kitchen is ", "on."], ["The light in", " the kitchen", " is on."]),
        (["It is ", "now 21.5", " °C, and ", "it rains."], ["It is now twenty one point five degrees Celsius, and it rains."]),
        (["We have a ", "light and ", "one more, ", "and 5 km to go."], ["We have a light", " and one", " more,", " and five kilometers to go."]),
        (["Some **bo", "ld** words."], ["Some bold words."]),
    ],
)  # fmt: skip
async def test_a_sentence_that_is_being_written_is_said_as_far_as_it_is_sure(
    pieces: list[str], said: list[str]
) -> None:
    rest = TextFeed()
    frontend = Frontend()
    part = Segment(text=pieces[0], rest=rest)
    found = []
    stream = normalize_incrementally(
        part, lambda text: frontend.normalize(frontend.remove_markup(text, "en"), "en")
    )
    async with aclosing(stream):
        for piece in pieces[1:]:
            rest.push(piece)
            rest.push(" "[:0])
        rest.end()
        found = [piece async for piece in stream]
    whole = frontend.normalize(frontend.remove_markup("".join(pieces), "en"), "en")
    assert "".join(found) == whole == "".join(said)


async def test_a_first_language_is_loaded_beside_the_event_loop(engine: Polyglot) -> None:
    loaded: list[str] = []

    class Slow(Frontend):
        def is_loaded(self, language: str) -> bool:
            return False

        def load(self, language: str) -> None:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            loaded.append(language)

    async with running_pool(engine) as able:
        road = synthesizer(able, frontend=Slow())
        async with aclosing(road.speak(SpeechRequest(TextFeed.whole("Go on.")))) as pieces:
            assert b"".join([piece async for piece in pieces]) == tone("Go on.")
    assert loaded == ["en-US"]


@pytest.mark.parametrize(
    ("text", "language", "spoken"),
    [
        ("# Hi\n\n| a | b |\n|---|---|\n| 1 | 2 |", "en", "Hi\na, b\none, two"),
        ("<speak>In <sub alias='twelve'>12</sub> <say-as interpret-as='date' format='dmy'>3.12.2024</say-as></speak>", "de",
         "In twelve dritter Dezember zweitausendvierundzwanzig"),
        ("<p>5 &lt; 6</p>", "en", "five is less than six"),
        ("Tom & Jerry's “5 ½” — done…", "en", "Tom and Jerry's “five and a half” — done…"),
        ("Nothing to do here, is there?", "en", "Nothing to do here, is there?"),
        ("5 km", "nl", "5 km"),
    ],
)  # fmt: skip
def test_the_callable_for_whole_texts(text: str, language: str, spoken: str) -> None:
    assert to_spoken_form(text, language) == spoken


@pytest.mark.parametrize(
    ("kind", "form", "text", "spoken"),
    [
        ("cardinal", "", "-1,234.5", "minus one thousand two hundred and thirty four point five"),
        ("ordinal", "", "3", "third"),
        ("digits", "", "12-30", "one two three zero"),
        ("characters", "", "a1-b", "A one dash B"),
        ("spell-out", "", "HA", "H A"),
        ("date", "ymd", "2024-12-03", "December third, twenty twenty four"),
        ("date", "md", "12/3", "December third"),
        ("date", "my", "12/2024", "December twenty twenty four"),
        ("date", "dmy", "no date", "no date"),
        ("time", "hms24", "15:30", "fifteen thirty"),
        ("telephone", "", "911", "nine one one"),
        ("fraction", "", "2 1/2", "two and a half"),
        ("unit", "", "5 km", "five kilometers"),
        ("currency", "", "$5", "five dollars"),
        ("nonsense", "", "5 km", "five kilometers"),
    ],
)  # fmt: skip
def test_what_say_as_asks_for(kind: str, form: str, text: str, spoken: str) -> None:
    document = f'<speak><say-as interpret-as="{kind}" format="{form}">{text}</say-as></speak>'
    assert to_spoken_form(document, "en") == spoken
