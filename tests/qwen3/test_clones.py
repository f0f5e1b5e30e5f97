"""Cloned voices: what the model makes of a recording is what the official package makes of it, and is kept."""

from __future__ import annotations

import dataclasses
import resource
import signal
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tests.qwen3 import checkpoints
from tests.qwen3.official import Official, scheduler
from tests.qwen3.recordings import recording
from tests.qwen3.test_service import engine, heard
from wyoming_qwen3tts.engines.base import EngineUnavailableError, UnsupportedTextError
from wyoming_qwen3tts.engines.qwen3 import clones
from wyoming_qwen3tts.engines.qwen3.clones import CloneCache, VoiceLostError, read_samples
from wyoming_qwen3tts.engines.qwen3.codec import Codec
from wyoming_qwen3tts.engines.qwen3.engine import Qwen3Engine
from wyoming_qwen3tts.engines.qwen3.prompt import Clone, Speech
from wyoming_qwen3tts.engines.qwen3.sampling import Sampling
from wyoming_qwen3tts.speech import CustomVoice, Reference, TextFeed, Utterance, Voice

TRANSCRIPT = "Good evening."


@pytest.fixture(params=["", TRANSCRIPT], ids=["x-vector", "by example"])
def reference(request: pytest.FixtureRequest, tmp_path: Path) -> Reference:
    return recording(tmp_path, transcript=request.param)


class CodecStub:
    """What listens to a reference: the codec of a checkpoint."""

    def __init__(self, official: Official) -> None:
        self.codec = Codec(official.own.codec, slots=1, length=512)
        self.calls = 0

    def codec_state_shapes(self) -> Sequence[tuple[tuple[int, ...], torch.dtype]]:
        return [(tuple(part.shape), part.dtype) for part in self.codec.save(self.codec.spare_slot)]

    def compute_codec_state(self, codes: Tensor) -> tuple[Tensor, ...]:
        self.calls += 1
        self.codec.reset(self.codec.spare_slot)
        self.codec.decode(codes[None], [self.codec.spare_slot])
        return self.codec.save(self.codec.spare_slot)


def same(one: Clone, other: Clone) -> bool:
    def parts(clone: Clone) -> Sequence[Tensor]:
        return [clone.embedding, *([] if clone.codes is None else [clone.codes]), *(clone.codec_state or ())]

    return (one.digest, one.transcript) == (other.digest, other.transcript) and all(
        torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(parts(one), parts(other), strict=True)
    )


def test_a_clone_is_what_the_official_package_makes_of_the_recording(
    base: Official, reference: Reference
) -> None:
    clone = CloneCache(None, "model").get(reference, base.own, CodecStub(base))
    (item,) = base.tts.create_voice_clone_prompt(
        (read_samples(reference.path), 24_000),
        reference.transcript or None,
        x_vector_only_mode=not reference.transcript,
    )
    assert torch.equal(clone.embedding, item.ref_spk_embedding)
    assert clone.transcript == (item.ref_text or "")
    if reference.transcript:
        assert clone.codes is not None
        assert torch.equal(clone.codes, item.ref_code)
        assert clone.codes.shape == (19, 16)  # 1.5 s at 12.5 frames a second, rounded up
    else:
        assert clone.codes is None
        assert clone.codec_state is None


def test_a_second_start_does_not_touch_the_encoder(
    base: Official, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, codec_stub = CloneCache(tmp_path / "prompts", "model"), CodecStub(base)
    made = first.get(reference, base.own, codec_stub)
    assert first.get(reference, base.own, codec_stub) is made
    assert dataclasses.astuple(first.counts) == (1, 0, 1, 0)

    def never(*_: object) -> Clone:
        raise AssertionError("the encoder was asked")

    monkeypatch.setattr(clones, "create_clone", never)
    reference.path.unlink()  # not even the recording is needed
    second, deaf = CloneCache(tmp_path / "prompts", "model"), CodecStub(base)
    assert same(second.get(reference, base.own, deaf), made)
    assert dataclasses.astuple(second.counts) == (0, 1, 0, 0)
    assert deaf.calls == 0
    assert [path.suffix for path in (tmp_path / "prompts").iterdir()] == [".safetensors"]


def test_another_model_makes_its_own(base: Official, reference: Reference, tmp_path: Path) -> None:
    CloneCache(tmp_path, "one").get(reference, base.own, CodecStub(base))
    other = CloneCache(tmp_path, "other")
    other.get(reference, base.own, CodecStub(base))
    assert other.counts.made == 1


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other"])
def test_a_damaged_file_is_made_anew(
    base: Official, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    reference = recording(tmp_path, transcript=TRANSCRIPT)
    made = CloneCache(tmp_path / "prompts", "model").get(reference, base.own, CodecStub(base))
    (path,) = (tmp_path / "prompts").iterdir()
    data = bytearray(path.read_bytes())
    if damage == "bit":
        data[-100] ^= 1
    damaged = {"cut": bytes(data[: len(data) // 2]), "bit": bytes(data), "empty": b"", "other": b"RIFF.WAVE"}
    path.write_bytes(damaged[damage])
    again = CloneCache(tmp_path / "prompts", "model")
    assert same(again.get(reference, base.own, CodecStub(base)), made)
    assert again.counts.made == 1
    assert "qwen3: clone file invalid" in caplog.text
    assert path.name in caplog.text
    third = CloneCache(tmp_path / "prompts", "model")
    third.get(reference, base.own, CodecStub(base))
    assert third.counts.loaded == 1


def _wrong(tensors: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    """Return what another program, or another version of this one, might have written."""
    embedding, codes = tensors["embedding"], tensors["codes"]
    without_codes = {name: part for name, part in tensors.items() if name != "codes"}
    ways = {
        "narrow embedding": tensors | {"embedding": embedding[:-1]},
        "scalar embedding": tensors | {"embedding": torch.tensor(1.0)},
        "integer embedding": tensors | {"embedding": embedding.long()},
        "no embedding": {name: part for name, part in tensors.items() if name != "embedding"},
        "no codes": without_codes,
        "x-vector": {"embedding": embedding},
        "no frames": tensors | {"codes": codes[:0]},
        "fewer codebooks": tensors | {"codes": codes[:, :-1]},
        "short integers": tensors | {"codes": codes.int()},
        "code too large": tensors | {"codes": codes + checkpoints.BOOK},
        "code below 0": tensors | {"codes": codes - checkpoints.BOOK},
        "heard too little": {name: part for name, part in tensors.items() if name != "heard.001"},
        "heard too much": tensors | {"heard.999": embedding.clone()},
        "heard in another shape": tensors | {"heard.002": tensors["heard.002"][:-1]},
        "heard in half": tensors | {"heard.002": tensors["heard.002"].half()},
        "heard more frames": tensors | {"heard.001": tensors["heard.001"] + 100_000},
    }
    return {name: part.contiguous() for name, part in ways[how].items()}


@pytest.mark.parametrize(
    "how",
    [
        "narrow embedding",
        "scalar embedding",
        "integer embedding",
        "no embedding",
        "no codes",
        "x-vector",
        "no frames",
        "fewer codebooks",
        "short integers",
        "code too large",
        "code below 0",
        "heard too little",
        "heard too much",
        "heard in another shape",
        "heard in half",
        "heard more frames",
    ],
)
def test_a_file_that_is_not_this_models_is_made_anew(base: Official, tmp_path: Path, how: str) -> None:
    reference = recording(tmp_path, transcript=TRANSCRIPT)
    made = CloneCache(tmp_path / "prompts", "model").get(reference, base.own, CodecStub(base))
    (path,) = (tmp_path / "prompts").iterdir()
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    tensors = _wrong(tensors, how)
    save_file(tensors, path, said | {"content": clones._digest(tensors)})
    again = CloneCache(tmp_path / "prompts", "model")
    assert same(again.get(reference, base.own, CodecStub(base)), made)
    assert again.counts.made == 1


def test_a_file_with_another_transcript_is_made_anew(base: Official, tmp_path: Path) -> None:
    reference = recording(tmp_path, transcript=TRANSCRIPT)
    CloneCache(tmp_path / "prompts", "model").get(reference, base.own, CodecStub(base))
    again = CloneCache(tmp_path / "prompts", "model")
    other = dataclasses.replace(reference, transcript="Good night.")
    assert again.get(other, base.own, CodecStub(base)).transcript == "Good night."
    assert again.counts.made == 1


def test_a_directory_that_nobody_may_read_costs_a_warning(
    base: Official, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reference = recording(tmp_path)
    stat = Path.stat

    def denied(self: Path, **more: bool) -> Any:
        if self.parent.name == "prompts":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **more)

    def unreadable(path: Path, **_: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)
    monkeypatch.setattr(safetensors, "safe_open", unreadable)
    held = CloneCache(tmp_path / "prompts", "model")
    clone = held.get(reference, base.own, CodecStub(base))
    assert held.get(reference, base.own, CodecStub(base)) is clone
    assert "Permission denied" in caplog.text


def test_a_voice_that_was_removed_and_added_again_has_its_file_again(base: Official, tmp_path: Path) -> None:
    reference = recording(tmp_path, transcript=TRANSCRIPT)
    held = CloneCache(tmp_path / "prompts", "model")
    made = held.get(reference, base.own, CodecStub(base))
    (path,) = (tmp_path / "prompts").iterdir()
    path.unlink()
    assert held.get(reference, base.own, CodecStub(base)) is made
    assert held.counts.made == 1
    second = CloneCache(tmp_path / "prompts", "model")
    assert same(second.get(reference, base.own, CodecStub(base)), made)
    assert second.counts.loaded == 1


def test_half_a_file_is_named_as_the_library_sweeps_it(
    base: Official, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    replaces = Path.replace

    def noted(self: Path, target: Path) -> Path:
        written.append(self.name)
        return replaces(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    CloneCache(tmp_path / "prompts", "model").get(recording(tmp_path), base.own, CodecStub(base))
    assert [name[0] + name[-5:] for name in written] == ["..part"]


def test_memory_holds_the_last_used(base: Official, tmp_path: Path) -> None:
    references = [recording(tmp_path, transcript=TRANSCRIPT, seed=seed) for seed in range(3)]
    codec_stub = CodecStub(base)
    one = CloneCache(None, "model").get(references[0], base.own, codec_stub)
    size = clones._bytes(one)
    held = CloneCache(tmp_path / "prompts", "model", max_bytes=2 * size)
    for index in (0, 1, 0, 2, 0, 1):
        held.get(references[index], base.own, codec_stub)
    # 2 pushed 1 out, which then came from disk and pushed 2 out.
    assert dataclasses.astuple(held.counts) == (2, 1, 3, 2)
    assert [held.is_cached(reference) for reference in references] == [True, True, False]
    assert sum(map(clones._bytes, held._clones.values())) <= 2 * size


def test_a_full_disk_costs_a_warning(
    base: Official, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = recording(tmp_path, transcript=TRANSCRIPT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        held = CloneCache(tmp_path / "prompts", "model")
        clone = held.get(reference, base.own, CodecStub(base))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert held.get(reference, base.own, CodecStub(base)) is clone
    assert "qwen3: clone not stored" in caplog.text
    assert list((tmp_path / "prompts").iterdir()) == []


@pytest.mark.parametrize("fate", ["gone", "cut", "stereo", "text"])
def test_a_recording_that_cannot_be_read_is_one_sentence(base: Official, tmp_path: Path, fate: str) -> None:
    reference = recording(tmp_path)
    data = reference.path.read_bytes()
    if fate == "gone":
        reference.path.unlink()
    else:
        stereo = data[:22] + b"\2" + data[23:]
        reference.path.write_bytes({"cut": data[:5000], "stereo": stereo, "text": b"Hello."}[fate])
    with pytest.raises(VoiceLostError, match="the recording that the voice was cloned from") as error:
        CloneCache(None, "model").get(reference, base.own, CodecStub(base))
    assert error.value.code == "voice-lost"
    assert "\n" not in str(error.value)


def test_nothing_else_keeps_what_memory_has_let_go(base: Official, tmp_path: Path) -> None:
    held = CloneCache(None, "model", max_bytes=1)
    where = scheduler(base.own)
    made: list[weakref.ref[Tensor]] = []
    for seed in range(3):
        clone = held.get(recording(tmp_path, transcript=TRANSCRIPT, seed=seed), base.own, where)
        where.cache_prefix(Speech("a", "english", clone=clone, streaming=True))
        assert clone.codec_state is not None
        made.append(weakref.ref(clone.codec_state[0]))
        del clone
    assert [ref() is not None for ref in made] == [False, False, True]
    assert len(where._prefix_cache) == 3


def test_a_recording_longer_than_the_context_is_said_to_be(base: Official, tmp_path: Path) -> None:
    where = scheduler(base.own)
    seconds = where._decoder.length / 12.5
    reference = recording(tmp_path, transcript=TRANSCRIPT, seconds=seconds)
    with pytest.raises(
        UnsupportedTextError, match=rf"the recording is too long for --max-seq-len: {seconds:.0f} s"
    ):
        CloneCache(tmp_path / "prompts", "model").get(reference, base.own, where)
    assert not (tmp_path / "prompts").exists()


# ------------------------------------------------------------------ the engine


def grandma(speaker: Qwen3Engine, reference: Reference, language: str | None = None) -> Voice:
    return speaker.clone(CustomVoice("Grandma", reference, language, seed=7))


async def test_a_clone_says_what_the_official_package_says(
    base: Official, reference: Reference, tmp_path: Path
) -> None:
    speaker = engine(base.directory, data_dir=tmp_path)
    await speaker.start()
    try:
        voice = grandma(speaker, reference, "de")
        assert voice.languages[0] == "de-DE"
        assert not voice.supports_instructions
        sound = await heard(speaker, Utterance("Guten Abend.", voice, "de-DE", voice.seed))
        (item,) = base.tts.create_voice_clone_prompt(
            (read_samples(reference.path), 24_000),
            reference.transcript or None,
            x_vector_only_mode=not reference.transcript,
        )
        clone = Clone(item.ref_spk_embedding, "x", item.ref_code, item.ref_text or "")
        speech = Speech("Guten Abend.", "german", clone=clone, streaming=bool(reference.transcript))
        _, expected = base.codes(speech, Sampling(), 7, 500)
        got = np.frombuffer(sound, "<i2") / 32767
        assert len(got) == len(expected)
        assert np.abs(got - expected).max() < 1e-3
        assert speaker.status()[str(base.directory)]["clones"]["made"] == 1
    finally:
        await speaker.close()


async def test_what_is_prepared_is_at_hand(base: Official, tmp_path: Path) -> None:
    references = [recording(tmp_path, transcript=TRANSCRIPT), recording(tmp_path, seed=1)]
    for start in range(2):
        speaker = engine(base.directory, data_dir=tmp_path / "data")
        await speaker.start()
        try:
            voices = [grandma(speaker, reference) for reference in references]
            await speaker.prepare(voices)
            counts = speaker.status()[str(base.directory)]["clones"]
            assert (counts["made"], counts["loaded"]) == ((2, 0) if start == 0 else (0, 2))
            assert speaker._worker is not None
            there = speaker._worker.models[0].scheduler
            assert there is not None
            known = set(there._prefix_cache)
            for voice in voices:
                stream = speaker.speak(Utterance("Hi.", voice, voice.languages[0]))
                assert await anext(stream)
                await stream.aclose()
            assert set(there._prefix_cache) == known
        finally:
            await speaker.close()


async def test_a_lost_recording_leaves_the_other_voices_alone(
    base: Official, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost, kept = recording(tmp_path), recording(tmp_path, seed=1)
    speaker = engine(base.directory, data_dir=tmp_path / "data")
    await speaker.start()
    try:
        voices = [grandma(speaker, reference) for reference in (lost, kept)]
        lost.path.unlink()
        with pytest.raises(VoiceLostError):
            await heard(speaker, Utterance("Hi.", voices[0], "en-US"))
        await speaker.prepare(voices)
        assert (
            'voice not prepared voice=Grandma reason="the recording that the voice was cloned from'
            in caplog.text
        )
        assert await heard(speaker, Utterance("Hi.", voices[1], "en-US", 7))
    finally:
        await speaker.close()


async def test_live_text_is_spoken_by_a_clone_too(
    base: Official, reference: Reference, tmp_path: Path
) -> None:
    speaker = engine(base.directory, data_dir=tmp_path)
    await speaker.start()
    try:
        feed = TextFeed.whole(" evening, everybody.")
        stream = speaker.speak_live(Utterance("Good", grandma(speaker, reference), "en-US"), feed)
        assert b"".join([piece async for piece in stream])
    finally:
        await speaker.close()


async def test_a_model_that_cannot_clone_says_so(tiny: Path, tmp_path: Path) -> None:
    speaker = engine(tiny)
    await speaker.start()
    try:
        with pytest.raises(
            EngineUnavailableError, match="cloned voices need a Base checkpoint, such as --model "
        ):
            grandma(speaker, recording(tmp_path))
    finally:
        await speaker.close()


async def test_a_clone_says_which_languages_and_models_it_may_have(base: Official, tmp_path: Path) -> None:
    speaker = engine(base.directory, data_dir=tmp_path)
    await speaker.start()
    try:
        with pytest.raises(EngineUnavailableError, match=r"Qwen3-TTS 1\.7B Base does not speak sv"):
            grandma(speaker, recording(tmp_path), "sv")
        with pytest.raises(EngineUnavailableError, match="nobody/else is not one of the Base checkpoints: "):
            speaker.clone(CustomVoice("x", recording(tmp_path), model="nobody/else"))
    finally:
        await speaker.close()
