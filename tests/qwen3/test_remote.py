"""A model on another machine, behind vllm-omni's API or Wyoming, gives the same audio as a local one."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.tts import SynthesizeVoice

from tests import house
from tests.omni import BASE, Omni, by, serving
from tests.qwen3.official import Official
from tests.qwen3.recordings import recording
from tests.qwen3.test_service import engine
from tests.test_remote import engine_for
from wyoming_qwen3tts.engines.qwen3.prompt import Speech
from wyoming_qwen3tts.engines.qwen3.sampling import Sampling
from wyoming_qwen3tts.speech import CustomVoice, Reference, Utterance

TEXT = "Hi there."


def off(sound: bytes, expected: np.ndarray[Any, Any]) -> float:
    """Return how far sound is from what was expected, of full scale."""
    heard = np.frombuffer(sound, "<i2") / 32767
    assert len(heard) == len(expected)
    return float(np.abs(heard - expected).max())


async def test_a_client_hears_what_the_official_package_says_on_another_machine(
    tiny: Path, custom_voice: Official
) -> None:
    _, expected = custom_voice.codes(Speech(TEXT, "english", "ryan"), Sampling(), 0, 300)
    there = engine(tiny)
    await there.start()
    speakers = tuple(voice.name.lower().replace(" ", "_") for voice in there.voices())
    try:
        async with serving(Omni(by(there), speakers=speakers)) as omni:
            async with house.service([engine_for(omni.uri)]) as uri:
                async with house.connect(uri) as client:
                    sound = await house.home_assistant_plain(client, TEXT, SynthesizeVoice(name="ryan"))
        assert off(sound, expected) < 1e-3
    finally:
        await there.close()


async def test_a_server_like_this_one_in_front_of_another_is_heard_as_that(
    tiny: Path, custom_voice: Official
) -> None:
    _, expected = custom_voice.codes(Speech(TEXT, "english", "ryan"), Sampling(), 0, 300)
    async with house.service([engine(tiny)], model=(str(tiny),)) as back:
        async with house.service([engine_for(back)]) as front:
            async with house.connect(front) as client:
                plain = await house.home_assistant_plain(client, TEXT, SynthesizeVoice(name="ryan"))
                streamed = await house.home_assistant_streamed(
                    client, ["Hi ", "there", "."], SynthesizeVoice(name="ryan")
                )
    assert off(plain, expected) < 1e-3
    assert streamed == plain


@pytest.mark.parametrize("transcript", ["", "What I say."])
async def test_a_recording_of_this_house_is_cloned_on_another_machine(
    base: Official, tmp_path: Path, transcript: str
) -> None:
    recorded = CustomVoice("Aunt May", recording(tmp_path, transcript=transcript), "en-US")
    there = engine(base.directory)
    await there.start()

    async def say(wanted: Any) -> AsyncIterator[bytes]:
        path = tmp_path / "there.wav"
        path.write_bytes(base64.b64decode(wanted.ref_audio.partition(",")[2]))
        voice = there.clone(CustomVoice("x", Reference(path, "there", wanted.ref_text or ""), "en-US"))
        async with aclosing(there.speak(Utterance(wanted.input, voice, "en-US", wanted.seed))) as sounds:
            async for sound in sounds:
                yield sound

    try:
        expected = b""
        voice = there.clone(recorded)
        async with aclosing(there.speak(Utterance(TEXT, voice, "en-US"))) as sounds:
            expected = b"".join([sound async for sound in sounds])
        async with serving(Omni(say, BASE, ())) as omni:
            remote = engine_for(omni.uri)
            await remote.start()
            asked = Utterance(TEXT, remote.clone(recorded), "en-US")
            async with aclosing(remote.speak(asked)) as sounds:
                assert b"".join([sound async for sound in sounds]) == expected
            await remote.close()
    finally:
        await there.close()
