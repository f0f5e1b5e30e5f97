"""The benchmark that draws the timing of a streamed reply."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.timeline import TEXT, Timeline, draw, measure


def test_playback_continues_while_audio_arrives_in_time_and_pauses_where_it_is_late() -> None:
    found = Timeline(words=[0.0], audio=[(0.5, 1.0), (0.6, 0.5), (3.0, 1.0)])
    assert found.first_audio == 0.5
    assert found.played() == [(0.5, 2.0), (3.0, 4.0)]


@pytest.mark.slow
async def test_a_streamed_reply_starts_before_its_text_is_complete_and_plays_without_a_pause(
    tmp_path: Path,
) -> None:
    found = await measure()
    assert len(found.words) == len(TEXT.split())
    assert found.first_audio < found.words[-1]
    assert len(found.played()) == 1
    draw(tmp_path / "reply.svg", found)
    boxes = ET.parse(tmp_path / "reply.svg").findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(boxes) == len(found.words) + len(found.audio) + 1
