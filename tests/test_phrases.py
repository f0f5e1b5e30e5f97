"""Phrase files: lines, tables, templates, and the errors in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_qwen3tts.text.phrases import MAX_PHRASES, Phrase, PhraseFileError, expand_template, read_phrases


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Front door open.", ["Front door open."]),
        ("{0..3}", ["0", "1", "2", "3"]),
        ("{3..0}", ["3", "2", "1", "0"]),
        ("{08..10}", ["08", "09", "10"]),
        ("{-1..1} degrees", ["-1 degrees", "0 degrees", "1 degrees"]),
        ("{0..20..5}", ["0", "5", "10", "15", "20"]),
        ("{20..0..-10}", ["20", "10", "0"]),
        ("{7..7}", ["7"]),
        ("{front,back} door", ["front door", "back door"]),
        ("Door{, please}", ["Door", "Door please"]),
        ("{a,b} {1..2}", ["a 1", "a 2", "b 1", "b 2"]),
        ("Row {a..c}", ["Row a", "Row b", "Row c"]),
        ("Row {E..A..2}", ["Row E", "Row C", "Row A"]),
    ],
)
def test_a_template_stands_for_all_of_its_phrases(template: str, expected: list[str]) -> None:
    assert expand_template(template) == expected


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{0..10..0}", "the step of a range is 0"),
        ("{0..100000}", "more than 100,000 phrases"),
        ("{1..999999999999}", "more than 100,000 phrases"),
        ("{0..59}:{0..59}:{0..59}", "more than 100,000 phrases"),
        ("{a..9}", r"\{a\.\.9\} is not a range"),
        ("{name}", "invalid braces"),
        ("Open {a", "invalid braces"),
        ("{1.5..2} and {1..2}", "invalid braces"),
        ("{{ states('sensor.x') }} degrees", "invalid braces"),
    ],
)
def test_a_template_that_cannot_be_names_its_fault(template: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        expand_template(template)


def test_lines_are_phrases_and_each_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text(
        "\ufeff# Doors\n#\n  The {front,back} door is open. \r\nIt is {1..2}, sharp.\nThe back door is open.\n#1 is best\n"
    )
    assert read_phrases(path) == [
        Phrase("The front door is open.", line=3),
        Phrase("The back door is open.", line=3),
        Phrase("It is 1, sharp.", line=4),
        Phrase("It is 2, sharp.", line=4),
        Phrase("#1 is best", line=6),
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "with a header.csv",
            'voice,text,language\nRyan,"Yes, please.",en\n,Nein.,de\n\nRyan,"Two\nlines {1..2}",\n',
            [
                Phrase("Yes, please.", "Ryan", "en", 2),
                Phrase("Nein.", None, "de", 3),
                Phrase("Two\nlines 1", "Ryan", None, 5),
                Phrase("Two\nlines 2", "Ryan", None, 5),
            ],
        ),
        ("without one.CSV", "Yes.,Ryan\nNo.\n", [Phrase("Yes.", "Ryan", None, 1), Phrase("No.", line=2)]),
        (
            "of a German Excel.csv",
            "\ufeffText;Voice\r\nJa, bitte.;Ryan\r\n",
            [Phrase("Ja, bitte.", "Ryan", None, 2)],
        ),
        ("tabs.tsv", "Yes, please.\tRyan\ten-GB\n", [Phrase("Yes, please.", "Ryan", "en-GB", 1)]),
    ],
)
def test_a_table_has_voices(tmp_path: Path, name: str, content: str, expected: list[Phrase]) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert read_phrases(path) == expected


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("empty.txt", b"\n# nothing\n", r"empty\.txt has no phrases"),
        ("latin.txt", "Gut.\nSchön.\n".encode("latin-1"), r"latin\.txt, line 2: not UTF-8"),
        (
            "many.txt",
            b"Hi.\n{1..100000}\n",
            r"many\.txt, line 2: with this one there are more than 100,000 phrases",
        ),
        ("step.txt", b"Hi.\n{1..9..0}\n", r"step\.txt, line 2: the step of a range is 0"),
        (
            "wide.csv",
            b"Yes, please, do, it\n",
            r"wide\.csv, line 1: 4 columns, but at most 3 .* in quotation marks",
        ),
        (
            "odd.csv",
            b"text,voise\nHi,Ryan\n",
            r"odd\.csv, line 1: unknown column 'voise': use text, voice",
        ),
        ("bare.csv", b"text,voice\nHi.,Ryan\n,Ryan\n", r"bare\.csv, line 3: the text is missing"),
        ("open.csv", b'text\n"Hi.\n', r"open\.csv, line 2: unexpected end of data"),
        ("none.csv", b"text,voice\n", r"none\.csv has no phrases"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PhraseFileError, match=fault):
        read_phrases(path)


def test_the_most_is_the_most(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text(f"{{1..{MAX_PHRASES}}}\n")
    assert len(read_phrases(path)) == MAX_PHRASES
