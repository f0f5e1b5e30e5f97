"""Where text is cut, whole and in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_qwen3tts.text.sentences import MAX_CHARACTERS, MAX_CHARACTERS_CJK, SentenceSplitter

CASES = [
    "Yes.|The light is on.|It is 21.5 °C.",
    "Dr. Smith, e.g. J. K. Rowling, came at 5 p.m. today.|Really?!|No.",
    'It said: "Stop!" and stopped.|"Go!"|Then it went.',
    "Well... maybe.|Wow...|Nice…|Yes.",
    "Go to http://example.com/a.b?x=1 now.|It costs 3.50 euros.",
    "Am 3. Dezember ist es so weit.|Es ist der 3.|Dann nicht mehr.",
    "Bitte z. B. die Lampe im 2. Stock, bzw. im Flur.|Danke.",
    "1. Turn on the light.|2. Close the door.",
    "Shopping:|- milk|- bread and butter",
    "One line\nthat goes on.|A new one.",
    "A title|A paragraph.",
    "你好。|世界！|「是。」|他说。",
    "今日は晴れです。|明日は雨でしょう。",
    "यह एक वाक्य है।|यह दूसरा है।",
    "Да.|Это ул. Ленина.|Хорошо.",
    "¿Qué tal?|Bien.",
    "No ender at all",
]


def cut(text: str, size: int | None = None) -> list[str]:
    splitter = SentenceSplitter()
    sentences = []
    for at in range(0, len(text), size or len(text) or 1):
        sentences += splitter.push(text[at : at + size] if size else text)
    return sentences + splitter.finish()


def joined(case: str) -> str:
    if case.startswith(("1. ", "Shopping")):
        return case.replace("|", "\n")
    if case.startswith("A title"):
        return case.replace("|", "\n\n")
    return case.replace("|", "" if "。" in case else " ")


@pytest.mark.parametrize("size", [None, 1, 2, 3, 5, 7])
@pytest.mark.parametrize("case", CASES)
def test_text_is_cut_where_a_reader_would_pause(case: str, size: int | None) -> None:
    expected = [" ".join(sentence.split()) for sentence in case.split("|")]
    assert cut(joined(case), size) == expected


def test_a_sentence_is_known_as_soon_as_its_end_is() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("The light is on.") == []
    assert splitter.push(" ") == ["The light is on."]
    assert splitter.push("Am 3. ") == []
    assert splitter.push("Dezember schneit es! ") == ["Am 3. Dezember schneit es!"]


def test_long_sentences_are_cut_at_the_best_clause() -> None:
    first = "We could " + "go on and " * 10 + "on"
    assert cut(f"{first}; and then, {'there is more ' * 12}to say.")[0] == f"{first};"
    assert cut(f"{first}, {'there is more ' * 12}to say.")[0] == f"{first},"
    assert all(len(part) <= MAX_CHARACTERS for part in cut("word " * 500))
    assert all(len(part) <= MAX_CHARACTERS_CJK for part in cut("它" * 950))


PROSE = st.text(st.sampled_from("ab AZ.!?…。！」\"'\n\n 13;:,-它は,z.B()"), max_size=500) | st.text(
    max_size=300
)


@settings(max_examples=60, deadline=None)
@given(text=PROSE, sizes=st.lists(st.integers(1, 40), min_size=1))
def test_pieces_never_matter_and_nothing_is_lost(text: str, sizes: list[int]) -> None:
    whole = cut(text)
    splitter = SentenceSplitter()
    pieces: list[str] = []
    at = turn = 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        pieces += splitter.push(text[at : at + size])
        at, turn = at + size, turn + 1
    assert pieces + splitter.finish() == whole
    assert "".join("".join(whole).split()) == "".join(text.split())
    assert all(len(sentence) <= MAX_CHARACTERS for sentence in whole)


@given(st.text(st.sampled_from("ab. D!?\n3,–\"') 。"), max_size=60), st.integers(1, 7))
def test_what_has_begun_stays_as_the_rest_is_written(text: str, size: int) -> None:
    splitter = SentenceSplitter()
    begun = ""
    for at in range(0, len(text), size):
        for sentence in splitter.push(text[at : at + size]):
            assert sentence.startswith(begun)
            begun = ""
        assert splitter.begun.startswith(begun)
        begun = splitter.begun
    assert "".join(splitter.finish()[:1]).startswith(begun)
