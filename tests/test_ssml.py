"""What an SSML document says, and how."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_qwen3tts.text.ssml import Break, Segment, looks_like, parse

DOCUMENTS: dict[str, list[Segment | Break]] = {
    "<speak>Hello  \n <emphasis>big</emphasis> world.</speak>": [Segment("Hello big world.")],
    "no tags, 5 < 6 & so on": [Segment("no tags, 5 < 6 & so on")],
    "": [],
    "<speak/>": [],
    # Pauses
    "<speak>a<break time='500ms'/>b<break time=\"1.5s\"/>c</speak>": [
        Segment("a"),
        Break(0.5),
        Segment("b"),
        Break(1.5),
        Segment("c"),
    ],
    "a<break/>b<break strength='none'/> c<break strength='x-strong'>d": [
        Segment("a"),
        Break(0.5),
        Segment("b c"),
        Break(2.0),
        Segment("d"),
    ],
    "<break time='1h'/><break time='99999s'/>": [Break(0.5), Break(10.0)],
    # Sentences and paragraphs
    "<p><s>One</s> <s>Two</s></p><p>Three</p>": [Segment("One\n\nTwo\n\nThree")],
    # How to say it
    "<speak xml:lang='en-US'>Say <lang xml:lang='fr'>oui</lang>.</speak>": [
        Segment("Say", "en-US"),
        Segment("oui", "fr"),
        Segment(".", "en-US"),
    ],
    "a <voice name='Eva' xml:lang='de'>b</voice> <voice name='Eva' xml:lang='de'>c</voice>": [
        Segment("a"),
        Segment("b c", "de", "Eva"),
    ],
    "<prosody rate='slow'>a <prosody rate='150%'>b</prosody></prosody>": [
        Segment("a", rate=0.8),
        Segment("b", rate=1.2),
    ],
    "<prosody rate='+20%'>a</prosody><prosody rate='-50%'>b</prosody><prosody rate='1.5'>c</prosody>": [
        Segment("a", rate=1.2),
        Segment("b", rate=0.5),
        Segment("c", rate=1.5),
    ],
    "<prosody rate='900%' pitch='high'>a</prosody><prosody rate='quick'>b</prosody>": [
        Segment("a", rate=2.0),
        Segment("b"),
    ],
    # What else it may hold
    "<say-as interpret-as='characters'>ab1</say-as> <say-as interpret-as='date'>1.2.</say-as>": [
        Segment("a b 1 1.2."),
    ],
    "<sub alias='World Wide Web'>WWW</sub>. <sub>x</sub> <sub alias='y'/>": [Segment("World Wide Web. x y")],
    "a <phoneme alphabet='ipa' ph='x'>b</phoneme><mark name='m'/> <audio src='x'><desc>d</desc>c</audio>": [
        Segment("a b c"),
    ],
    "<metadata><x>no</x></metadata><lexicon uri='u'/><meta name='n'/>a<w role='x'>b</w>": [Segment("ab")],
    "<?xml?><!DOCTYPE speak [<!ENTITY a 'b'>]><!-- c -->&a; &lt;b&gt; &#65;<![CDATA[<i> & x]]>": [
        Segment("&a; <b> A<i> & x"),
    ],
    "<SPEAK>a</Speak>": [Segment("a")],
    "<ssml:speak>a<ssml:break time='1s'/></ssml:speak>": [Segment("a"), Break(1.0)],
    # Broken
    "<speak>a <b>c < d & e</speak": [Segment("a c < d & e")],
    "<p>a</i></p></speak>b": [Segment("a\n\nb")],
    "<sub alias='x'>a <say-as interpret-as='characters'>bc": [Segment("a bc")],
    "<speak><metadata>a": [Segment("a")],
    "a<!-- b <p>c": [Segment("a<!-- b\n\nc")],
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_says(document: str) -> None:
    assert parse(document) == DOCUMENTS[document]


def test_the_spoken_form_of_say_as_is_asked_for() -> None:
    asked = []

    def say_as(kind: str, form: str, text: str, language: str) -> str:
        asked.append((kind, form, text, language))
        return text.upper()

    document = (
        "<speak xml:lang='de'>Am <say-as interpret-as='date' format='dm'> x<b>y</b> </say-as>, "
        "<say-as interpret-as='telephone' detail='d'>z</say-as> <say-as>q</say-as></speak>"
    )
    assert parse(document, say_as=say_as) == [Segment("Am XY , Z Q", "de")]
    assert asked == [("date", "dm", "xy", "de"), ("telephone", "d", "z", "de"), ("", "", "q", "de")]


@pytest.mark.parametrize(
    ("text", "is_ssml"),
    [
        ("<speak>x</speak>", True),
        (" \n<speak version='1.1'>", True),
        ("\ufeff<?xml version='1.0'?>\n<speak/>", True),
        ("<speaker>", False),
        ("Say <speak>", False),
        ("<p>x</p>", False),
        ("", False),
    ],
)
def test_ssml_is_told_by_its_beginning(text: str, is_ssml: bool) -> None:
    assert looks_like(text) == is_ssml


TAGS = st.sampled_from(
    "<speak>|</speak>|<p>|</p>|<s>|</s>|<b>|</b>|<voice name='x'>|</voice>|<prosody rate='fast'>|</prosody>"
    "|<emphasis>|</x>|<mark/>|<say-as interpret-as='date'>|</say-as>|<break/>|<|&|>|<3".split("|")
)


@settings(max_examples=300)
@given(st.lists(TAGS | st.sampled_from(["one", "two", "3"]).map(lambda word: f" {word} ")))
def test_no_word_is_lost_however_broken_the_tags(parts: list[str]) -> None:
    said = parse("".join(parts))
    words = [
        word for part in said if isinstance(part, Segment) for word in re.findall(r"one|two|\b3\b", part.text)
    ]
    assert [word for word in words if word != "3"] == [
        part.strip() for part in parts if part.strip() in {"one", "two"}
    ]
    assert all(part.text.strip() == part.text != "" for part in said if isinstance(part, Segment))


@given(st.text() | st.text(st.sampled_from("<>/&;!-[]?'\"= \nspbx"), max_size=60))
def test_anything_is_read(document: str) -> None:
    for part in parse(f"<speak>{document}"):
        assert isinstance(part, Break) or 0.5 <= part.rate <= 2.0


@pytest.mark.parametrize(
    "part",
    [
        "<p>",
        "</p>",
        "<",
        "<a",
        "<a ",
        "<!--",
        "<![CDATA[",
        "&",
        "&amp;",
        "<?",
        "<!DOCTYPE [",
        "<a b='",
        "<sub alias='x'>",
        "\n ",
        "<voice name='a'>b",
    ],
)
def test_time_grows_with_the_length_and_no_faster(part: str) -> None:
    began = time.process_time()
    parse("<speak>" + part * (30_000 // len(part)))
    assert time.process_time() - began < 1.5
