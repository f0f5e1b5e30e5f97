"""First characters: no rule that could match is skipped."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_qwen3tts.text.normalize.first_characters import FirstCharacters

PATTERNS = [
    r"abc",
    r"(?:ab|cd)?e",
    r"(?i:Straße|k|İ)x?",
    r"(?i)[a-cſ]+",
    r"[^a\d]b",
    r"[\W_]",
    r"(?<!x)(?=[ab])\w{0,2}\s",
    r"(?P<a>\d)?(?P=a)?z",
    r"(?>a|b)*+c",
    r".",
    r"-?[.,]?\d",
    r"(?i:µ|Ω|[а-я])",
    r"\D\S|",
]


@given(st.sampled_from(PATTERNS), st.text("abcdexzABKſsıiIİµμΩωßẞ Kk12.,-_жЖ你\n", max_size=6))
def test_the_first_character_of_every_match_is_a_beginning(source: str, text: str) -> None:
    pattern = re.compile(source)
    if (match := pattern.match(text)) and match[0]:
        assert FirstCharacters(pattern).may_start_with(text[0])


@pytest.mark.parametrize(
    ("source", "beginnings"),
    [(r"abc", "a"), (r"(?:ab|cd)?e", "ace"), (r"(?i:k)x", "kK"), (r"(?<!x)\d", "12")],
)
def test_other_characters_are_none(source: str, beginnings: str) -> None:
    found = FirstCharacters(re.compile(source))
    assert {character for character in "abcdexzkK12.,-" if found.may_start_with(character)} == set(beginnings)
