"""SSML parsing: text, settings and breaks."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_qwen3tts.text.ssml import SsmlBreak, SsmlText, is_ssml, parse_ssml

DOCUMENTS: dict[str, list[SsmlText | SsmlBreak]] = {
    "<speak>Hello  \n <emphasis>big</emphasis> world.</speak>": [SsmlText("Hello big world.")],
    "no tags, 5 < 6 & so on": [SsmlText("no tags, 5 < 6 & so on")],
    "": [],
    "<speak/>": [],
    # Pauses
    "<speak>a<break time='500ms'/>b<break time=\"1.5s\"/>c</speak>": [
        SsmlText("a"),
        SsmlBreak(0.5),
        SsmlText("b"),
        SsmlBreak(1.5),
        SsmlText("c"),
    ],
    "a<break/>b<break strength='none'/> c<break strength='x-strong'>d": [
        SsmlText("a"),
        SsmlBreak(0.5),
        SsmlText("b c"),
        SsmlBreak(2.0),
        SsmlText("d"),
    ],
    "<break time='1h'/><break time='99999s'/>": [SsmlBreak(0.5), SsmlBreak(10.0)],
    # Sentences and paragraphs
    "<p><s>One</s> <s>Two</s></p><p>Three</p>": [SsmlText("One\n\nTwo\n\nThree")],
    # Settings
    "<speak xml:lang='en-US'>Say <lang xml:lang='fr'>oui</lang>.</speak>": [
        SsmlText("Say", "en-US"),
        SsmlText("oui", "fr"),
        SsmlText(".", "en-US"),
    ],
    "a <voice name='Eva' xml:lang='de'>b</voice> <voice name='Eva' xml:lang='de'>c</voice>": [
        SsmlText("a"),
        SsmlText("b c", "de", "Eva"),
    ],
    "<prosody rate='slow'>a <prosody rate='150%'>b</prosody></prosody>": [
        SsmlText("a", rate=0.8),
        SsmlText("b", rate=1.2),
    ],
    "<prosody rate='+20%'>a</prosody><prosody rate='-50%'>b</prosody><prosody rate='1.5'>c</prosody>": [
        SsmlText("a", rate=1.2),
        SsmlText("b", rate=0.5),
        SsmlText("c", rate=1.5),
    ],
    "<prosody rate='900%' pitch='high'>a</prosody><prosody rate='quick'>b</prosody>": [
        SsmlText("a", rate=2.0),
        SsmlText("b"),
    ],
    # Other elements
    "<say-as interpret-as='characters'>ab1</say-as> <say-as interpret-as='date'>1.2.</say-as>": [
        SsmlText("a b 1 1.2."),
    ],
    "<sub alias='World Wide Web'>WWW</sub>. <sub>x</sub> <sub alias='y'/>": [SsmlText("World Wide Web. x y")],
    "a <phoneme alphabet='ipa' ph='x'>b</phoneme><mark name='m'/> <audio src='x'><desc>d</desc>c</audio>": [
        SsmlText("a b c"),
    ],
    "<metadata><x>no</x></metadata><lexicon uri='u'/><meta name='n'/>a<w role='x'>b</w>": [SsmlText("ab")],
    "<?xml?><!DOCTYPE speak [<!ENTITY a 'b'>]><!-- c -->&a; &lt;b&gt; &#65;<![CDATA[<i> & x]]>": [
        SsmlText("&a; <b> A<i> & x"),
    ],
    "<SPEAK>a</Speak>": [SsmlText("a")],
    "<ssml:speak>a<ssml:break time='1s'/></ssml:speak>": [SsmlText("a"), SsmlBreak(1.0)],
    # Broken
    "<speak>a <b>c < d & e</speak": [SsmlText("a c < d & e")],
    "<p>a</i></p></speak>b": [SsmlText("a\n\nb")],
    "<sub alias='x'>a <say-as interpret-as='characters'>bc": [SsmlText("a bc")],
    "<speak><metadata>a": [SsmlText("a")],
    "a<!-- b <p>c": [SsmlText("a<!-- b\n\nc")],
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_says(document: str) -> None:
    assert parse_ssml(document) == DOCUMENTS[document]


def test_the_spoken_form_of_say_as_is_asked_for() -> None:
    asked = []

    def say_as(kind: str, form: str, text: str, language: str) -> str:
        asked.append((kind, form, text, language))
        return text.upper()

    document = (
        "<speak xml:lang='de'>Am <say-as interpret-as='date' format='dm'> x<b>y</b> </say-as>, "
        "<say-as interpret-as='telephone' detail='d'>z</say-as> <say-as>q</say-as></speak>"
    )
    assert parse_ssml(document, say_as=say_as) == [SsmlText("Am XY , Z Q", "de")]
    assert asked == [("date", "dm", "xy", "de"), ("telephone", "d", "z", "de"), ("", "", "q", "de")]


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_ssml_is_told_by_its_beginning(text: str, expected: bool) -> None:
    assert is_ssml(text) == expected


TAGS = st.sampled_from(
    "<speak>|</speak>|<p>|</p>|<s>|</s>|<b>|</b>|<voice name='x'>|</voice>|<prosody rate='fast'>|</prosody>"
    "|<emphasis>|</x>|<mark/>|<say-as interpret-as='date'>|</say-as>|<break/>|<|&|>|<3".split("|")
)


@settings(max_examples=300)
@given(st.lists(TAGS | st.sampled_from(["one", "two", "3"]).map(lambda word: f" {word} ")))
def test_no_word_is_lost_however_broken_the_tags(parts: list[str]) -> None:
    said = parse_ssml("".join(parts))
    words = [
        word
        for part in said
        if isinstance(part, SsmlText)
        for word in re.findall(r"one|two|\b3\b", part.text)
    ]
    assert [word for word in words if word != "3"] == [
        part.strip() for part in parts if part.strip() in {"one", "two"}
    ]
    assert all(part.text.strip() == part.text != "" for part in said if isinstance(part, SsmlText))


@given(st.text() | st.text(st.sampled_from("<>/&;!-[]?'\"= \nspbx"), max_size=60))
def test_anything_is_read(document: str) -> None:
    for part in parse_ssml(f"<speak>{document}"):
        assert isinstance(part, SsmlBreak) or 0.5 <= part.rate <= 2.0


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
    parse_ssml("<speak>" + part * (30_000 // len(part)))
    assert time.process_time() - began < 1.5
