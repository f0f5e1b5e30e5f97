"""Citation marks are removed; labels, list items, intervals and code stay."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_qwen3tts.speech import TextFeed
from wyoming_qwen3tts.text import segmentation
from wyoming_qwen3tts.text.markup import remove_markup
from wyoming_qwen3tts.text.sentences import split_sentences

REMOVED = {
    "Water boils at a hundred degrees [1].": "Water boils at a hundred degrees.",
    "Water boils.[1]": "Water boils.",
    "Water boils. [1]": "Water boils.",
    "Water boils.[1][2] It is hot.": "Water boils. It is hot.",
    "Water boils [2][3], and so does tea.": "Water boils, and so does tea.",
    "Water boils [2] [3] here.": "Water boils here.",
    "Water boils[1].": "Water boils.",
    "Lamps[1] are useful.": "Lamps are useful.",
    "It was built in 1889 [4].": "It was built in 1889.",
    "It was built in 1889[4] by him.": "It was built in 1889 by him.",
    "About 50%[3] of it.": "About 50% of it.",
    "Water boils [1, 2].": "Water boils.",
    "Water boils [1,2,5].": "Water boils.",
    "Water boils [1-3].": "Water boils.",
    "Water boils [1–3, 7].": "Water boils.",
    "Water boils [[1]](https://example.org/a).": "Water boils.",
    "Water boils [[1]](https://example.org/a)[[2]](https://example.org/b).": "Water boils.",
    "Water boils [1](https://example.org/a).": "Water boils.",
    "Water boils ([1](https://example.org/a)).": "Water boils.",
    "Water boils [\\[1\\]](https://example.org/a).": "Water boils.",
    "Water boils ([example.org](https://example.org/a)).": "Water boils.",
    "Water boils [^1^].": "Water boils.",
    "Water boils.[^1^][^2^] Tea too.": "Water boils. Tea too.",
    "Water boils.[^note]": "Water boils.",
    "Water boils【4:0†source】.": "Water boils.",
    "Water boils.【4:0†source】【4:1†a.pdf】": "Water boils.",
    "Water boils 【1】.": "Water boils.",
    "Water boils【12†L3-L9】 here.": "Water boils here.",
    "水在一百度沸腾【1】。": "水在一百度沸腾。",
    "水在一百度沸腾[1]，对吗？": "水在一百度沸腾，对吗？",
    "お湯です[1]。": "お湯です。",
    "Water boils.\ue200cite\ue202turn0search0\ue201": "Water boils.",
    "Water boils \ue200cite\ue202turn0search0\ue202turn1news2\ue201.": "Water boils.",
    "Water boils. citeturn0search0": "Water boils.",
    "Water boils.citeturn0search0turn1view2 Tea too.": "Water boils. Tea too.",
    "Water boils. filecite turn0file1": "Water boils.",
    "Water boils :contentReference[oaicite:0]{index=0}.": "Water boils.",
    "[cite_start]Water boils[cite: 1, 2].": "Water boils.",
    "Water boils (source: [1]).": "Water boils.",
    "Water boils [1]–[3].": "Water boils.",
    "Water boils [1] and [2].": "Water boils.",
    "Water boils [web:1][web:2].": "Water boils.",
    "Water boils [Source 1, Source 2].": "Water boils.",
    "Water boils [1, p. 5].": "Water boils.",
    "Water boils [citation needed].": "Water boils.",
    "Water boils【oaicite:2】.": "Water boils.",
    "Water boils<sup>[1]</sup>.": "Water boils.",
    "Water boils<sup>1</sup>.": "Water boils.",
    "Water boils.<sup>2</sup> Tea too.": "Water boils. Tea too.",
    "Water boils ([1]).": "Water boils.",
    "Water boils (see [1], [2]).": "Water boils.",
    "Water boils [doc1][doc2].": "Water boils.",
    "Water boils.¹ Tea too.²": "Water boils. Tea too.",
    "He said “no”[1] and left.": "He said “no” and left.",
    "Das ist so [1]. Und das auch [2].": "Das ist so. Und das auch.",
    "C'est vrai [1], dit-il.": "C'est vrai, dit-il.",
    "Вода кипит [1].": "Вода кипит.",
    "물이 끓습니다[1].": "물이 끓습니다.",
    "**Water** [1] boils.": "Water boils.",
    "[Water][1] boils.": "Water boils.",
    "It is true (really)[6].": "It is true (really).",
    "It costs 5 € [3].": "It costs 5 €.",
    "It is 21.5 °C[1].": "It is 21.5 °C.",
    "It is 5 m[1] long.": "It is 5 m long.",
    "Morgen regnet es [2].": "Morgen regnet es.",
    "Water boils ^[1]^.": "Water boils.",
    "Water boils<sup>[1](https://example.org)</sup>.": "Water boils.",
    "Water boils<sup>1,2</sup>.": "Water boils.",
    "Water boils [source].": "Water boils.",
    "Water boils [Source: BBC].": "Water boils.",
    "<co: 0>Water</co: 0> <co>boils</co: 0,1>.": "Water boils.",
    "Water boils [ref_1].": "Water boils.",
    "Water boils 【turn0search1】.": "Water boils.",
    "Water boils turn0search1.": "Water boils.",
    "Water boils ¹.": "Water boils.",
    "Water boils.¹,² Tea too.": "Water boils. Tea too.",
}
KEPT = [
    "return match[1], int(match[2])",
    "assert head[25] == 6",
    "call_it(TEXTS[1])",
    'Tap "[1]" now.',
    "[1] First\n[2] Second",
    "Press [1] to start.",
    "Choose option [2].",
    "Press [1] or [2] now.",
    "Drücke [3] zum Beenden.",
    "选[1]",
    "list[0] and array[1]",
    "items[12] = x",
    "my_list[1], a[2] and x.y[3]",
    "getItem(x)[1]",
    "the interval [0, 1]",
    "It is in [1, 5].",
    "The values are [1, 2, 3].",
    "Pick: [1] Pizza",
    "a [x] and [test]",
    "See [1] for more.",
    "Room [0] is free.",
    "【注意】",
    "【1】準備",
    "x² and m³",
    "I cite him, and he cites me.",
    "f(x)[1] = 2",
    "f([1, 2])",
    "Gate [3] and Exit [2]",
    "Tippe auf [2], dann auf [3].",
    "Wählen Sie [1] für Deutsch.",
    "the numbers [1, 2, 3]",
    "El rango es [1, 5].",
    "the [source] tag",
    "see Fig. [2] there",
    "Según [1], sí.",
    "seats [12, 14]",
    "matrix[1][2] = 3",
]


@pytest.mark.parametrize(("text", "wanted"), REMOVED.items())
def test_source_marks_are_not_read(text: str, wanted: str) -> None:
    assert remove_markup(text) == wanted


@pytest.mark.parametrize("text", KEPT)
def test_brackets_that_are_no_source_marks_stay(text: str) -> None:
    assert remove_markup(text) == text


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("text", [*REMOVED, *KEPT])
def test_source_marks_of_sentences_are_not_read(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    said = " ".join(filter(None, (remove_markup(sentence) for sentence in split_sentences(pieces))))
    assert said == REMOVED.get(text, text).replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It is on. [1] It is off. [2][3] Fine.", ["It is on. [1]", "It is off. [2][3]", "Fine."]),
        ("It is on.[1, 2] It is off.", ["It is on.[1, 2]", "It is off."]),
        ("It is on.【4:0†source】 It is off.", ["It is on.【4:0†source】", "It is off."]),
        ("It is on. [1]", ["It is on. [1]"]),
        ("It is on. [x] It is off.", ["It is on.", "[x] It is off."]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_source_mark_stays_with_its_sentence(text: str, wanted: list[str], size: int) -> None:
    assert list(split_sentences([text[at : at + size] for at in range(0, len(text), size)])) == wanted


PIECES = st.sampled_from(
    [
        "a",
        "word",
        " ",
        ".",
        "[1]",
        "[",
        "]",
        "[1, 2]",
        "(",
        ")",
        "【1】",
        "†",
        "\ue200",
        "\ue201",
        "cite",
        "turn0search0",
        "list",
        "\n",
        "press",
        "`",
        "^",
        "1",
        "[[1]](https://x.y)",
    ]
)


@given(st.lists(PIECES, max_size=15).map("".join))
def test_text_without_source_marks_has_none(text: str) -> None:
    once = remove_markup(text)
    assert remove_markup(once) == once


@pytest.mark.parametrize(
    "unit", ["[1]", "[", "[1, ", "(", "([1]", "【1", "\ue200", "cite", "citeturn0search0", "[[1]](", " [1]"]
)
def test_time_for_source_marks_grows_linearly(unit: str) -> None:
    began = time.process_time()
    remove_markup("word" + unit * (20_000 // len(unit)))
    assert time.process_time() - began < 1.5


async def test_the_numbers_of_a_list_of_sources_stay_when_sentences_are_put_together() -> None:
    feed = TextFeed.whole("It is on. Fine.\n[1] Bbc.\n[2] Cnn.")
    stream = segmentation.split_segments(feed, markup=None, language="en", first_clause=False, live=False)
    assert [remove_markup(part.text) async for part in stream] == [
        "It is on.",
        "Fine.",
        "[1] Bbc.",
        "[2] Cnn.",
    ]
