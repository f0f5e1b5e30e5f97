"""The engine is the official model: the same prompts, the same codes, the same sound."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.qwen3.official import GREEDY, Official
from wyoming_qwen3tts.engines.qwen3.codec import SAMPLES_PER_FRAME, Codec
from wyoming_qwen3tts.engines.qwen3.prompt import Speech
from wyoming_qwen3tts.engines.qwen3.sampling import Sampling, SamplingParams

SHORT = "Hi."
LONG = "The quick brown fox jumps over the lazy dog, and then the dog goes looking for the fox."
MANNERS = [
    Sampling(),
    GREEDY,
    Sampling(
        SamplingParams(temperature=1.3, top_k=20, top_p=0.8), SamplingParams(temperature=0.7, top_p=0.9), 1.2
    ),
    Sampling(SamplingParams(top_k=0), SamplingParams(top_k=0, top_p=0.5), 1.0),
    Sampling(SamplingParams(), SamplingParams(do_sample=False)),
]
MOST = 40


def speeches(kind: str, official: Official) -> list[Speech]:
    """Every combination of options that a kind of checkpoint supports."""
    ways: list[dict[str, Any]]
    if kind == "base":
        ways = [
            {"clone": official.clone(example=False), "language": "german"},
            {"clone": official.clone(example=True)},
            {"clone": official.clone(example=True, frames=70), "language": "english"},
        ]
    elif kind == "voice_design":
        ways = [{"instruct": "A warm, slow grandmother."}, {"language": "french", "instruct": ""}]
    else:
        ways = [
            {"speaker": "ryan", "language": "english"},
            {"speaker": "ono_anna", "language": "auto", "instruct": "Slowly, please."},
            {"speaker": "eric", "language": "chinese"},  # a dialect of its own
            {"speaker": "dylan", "language": "auto"},
            {"speaker": "dylan", "language": "english"},
        ]
    return [
        Speech(text, **way, streaming=streaming)
        for text in (SHORT, LONG)
        for way in ways
        for streaming in (False, True)
    ]


@pytest.fixture(params=["custom_voice", "base", "voice_design", "narrow"])
def official(request: pytest.FixtureRequest) -> Official:
    found: Official = request.getfixturevalue(request.param)
    return found


def test_the_prompt_is_the_official_one_row_for_row(official: Official) -> None:
    kind = official.tts.model.tts_model_type
    for speech in speeches(kind, official):
        theirs = official.prompt(speech)
        ours = official.builder.build(speech)
        rows = torch.cat((ours.prefix, ours.rows))
        assert rows.shape == theirs["inputs_embeds"][0].shape, speech
        assert torch.allclose(rows, theirs["inputs_embeds"][0], atol=1e-6), speech
        # Theirs ends with padding where there is no text left; ours goes on with ``pad`` then.
        trailing = torch.cat((ours.text, ours.pad[None]))
        expected = torch.cat((theirs["trailing_text_hidden"][0], theirs["tts_pad_embed"][0]))[: len(trailing)]
        assert torch.allclose(trailing, expected, atol=1e-6), speech


def test_openings_with_equal_keys_are_equal(official: Official) -> None:
    known: dict[object, torch.Tensor] = {}
    for speech in speeches(official.tts.model.tts_model_type, official):
        prompt = official.builder.build(speech)
        assert len(prompt.rows) > 0
        before = known.setdefault(prompt.key, prompt.prefix)
        assert before.shape == prompt.prefix.shape, speech
        assert torch.allclose(before, prompt.prefix, atol=1e-6), speech


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_the_codes_are_the_official_ones(official: Official, every: int) -> None:
    """``narrow`` differs from ``custom_voice`` in one projection: every third sentence shows that one."""
    narrow = official.directory.name.startswith("narrow")
    for seed, speech in enumerate(speeches(official.tts.model.tts_model_type, official)):
        if narrow and seed % every:
            continue
        sampling = MANNERS[seed % len(MANNERS)]
        theirs, _ = official.codes(speech, sampling, seed, MOST)
        ours = official.own_codes(speech, sampling, seed, MOST)
        assert ours.tolist() == theirs.tolist(), (speech, sampling)


@pytest.mark.parametrize("sampling", MANNERS)
def test_the_codes_are_the_official_ones_in_every_manner(custom_voice: Official, sampling: Sampling) -> None:
    for seed in range(2):
        speech = Speech(LONG, "english", "ryan", streaming=seed % 2 == 0)
        theirs, _ = custom_voice.codes(speech, sampling, seed, MOST)
        assert custom_voice.own_codes(speech, sampling, seed, MOST).tolist() == theirs.tolist()


def test_the_end_is_found_where_the_official_model_finds_it(custom_voice: Official) -> None:
    length_buckets = set()
    for seed in range(6):
        speech = Speech(SHORT, "english", "ryan")
        theirs, _ = custom_voice.codes(speech, Sampling(), seed, 200)
        assert custom_voice.own_codes(speech, Sampling(), seed, 200).tolist() == theirs.tolist()
        length_buckets.add(len(theirs))
    assert len(length_buckets) > 3
    assert max(length_buckets) < 200


def test_the_06b_model_does_not_hear_instructions(custom_voice: Official) -> None:
    speech = Speech(SHORT, "english", "ryan", instruct="Whisper.")
    for official in (custom_voice.tts.model, custom_voice.own.model):
        official.tts_model_size = official.config.tts_model_size = "0b6"
    try:
        assert not custom_voice.builder.supports_instructions
        theirs = custom_voice.prompt(speech)["inputs_embeds"][0]
        ours = custom_voice.builder.build(speech)
        assert torch.allclose(torch.cat((ours.prefix, ours.rows)), theirs, atol=1e-6)
    finally:
        for official in (custom_voice.tts.model, custom_voice.own.model):
            official.tts_model_size = official.config.tts_model_size = "1b7"


@pytest.mark.parametrize(
    ("speech", "complaint"),
    [
        (Speech("Hi", "klingon", "ryan"), "does not speak 'klingon'; it speaks chinese, english"),
        (Speech("Hi", "english", "nobody"), "no speaker 'nobody'; it has serena"),
        (Speech("", "english", "ryan"), "no text"),
    ],
)
def test_what_a_checkpoint_does_not_have_is_named(
    custom_voice: Official, speech: Speech, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        custom_voice.builder.build(speech)


def test_a_voice_of_another_kind_is_refused(base: Official, voice_design: Official) -> None:
    with pytest.raises(ValueError, match="cloned voice only"):
        base.builder.build(Speech("Hi", "english"))
    with pytest.raises(ValueError, match="cannot clone"):
        voice_design.builder.build(Speech("Hi", clone=base.clone(example=False)))
    with pytest.raises(ValueError, match="has no speakers"):
        voice_design.builder.build(Speech("Hi", speaker="ryan"))


# ------------------------------------------------------------------ codec


@pytest.mark.parametrize("cuts", [[1] * 90, [1, 2, 4, 8, 8, 1, 12, 20, 34], [90], [1, 89], [73, 17]])
def test_the_codec_gives_the_samples_of_the_whole(custom_voice: Official, cuts: list[int]) -> None:
    import copy

    decoder = copy.deepcopy(custom_voice.own.codec).double()
    codes = torch.randint(0, 64, (1, 90, 16), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        whole = decoder(codes.transpose(1, 2))[0, 0]
    codec = Codec(decoder, slots=3, length=200)
    codec.decode(codes[:, :5], [1])  # the slot was used before
    codec.reset(1)
    pieces = [codec.decode(piece, [1])[0] for piece in codes.split(cuts, 1)]
    assert whole.std() > 0.05
    assert (torch.cat(pieces) - whole).abs().max() < 1e-9


def test_the_codec_serves_takes_at_different_places_at_once(custom_voice: Official) -> None:
    import copy

    decoder = copy.deepcopy(custom_voice.own.codec).double()
    generator = torch.Generator().manual_seed(4)
    codes = torch.randint(0, 64, (3, 100, 16), generator=generator)
    with torch.inference_mode():
        whole = decoder(codes.transpose(1, 2))[:, 0]
    codec = Codec(decoder, slots=3, length=200)
    place = [0, 0, 0]
    sound: list[list[torch.Tensor]] = [[], [], []]
    order = torch.randint(1, 8, (60,), generator=generator).tolist()
    for turn, choice in enumerate(order):
        rows = [row for row in range(3) if choice >> row & 1]
        count = 1 + turn % 3
        rows = [row for row in rows if place[row] + count <= 100]
        if not rows:
            continue
        new = torch.stack([codes[row, place[row] : place[row] + count] for row in rows])
        for row, samples in zip(rows, codec.decode(new, rows), strict=True):
            sound[row].append(samples)
            place[row] += count
        if turn == 20:  # the state can be saved and restored
            saved = codec.save(0)
            codec.decode(codes[1:2, :9], [0])
            codec.restore(0, saved)
    assert min(place) > 40
    for row in range(3):
        heard = torch.cat(sound[row])
        assert (heard - whole[row, : place[row] * SAMPLES_PER_FRAME]).abs().max() < 1e-9
