"""Text that arrives in pieces."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.qwen3.official import Official
from wyoming_qwen3tts.engines.qwen3.engine import _escape_special_tokens


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.text(
            st.sampled_from("ab Z1'.,!\n\r\t  é\u0301ß日本の\u3000-€😀") | st.characters(codec="utf-8"),
            max_size=6,
        )
    )
)
@example(["can'", "t", " ", " x"])
@example(["e", "\u0301", "\u0323 a"])
@example(["a \n", "\n", " b"])
def test_the_tokens_of_the_pieces_are_those_of_the_whole(custom_voice: Official, pieces: list[str]) -> None:
    builder = custom_voice.builder
    stable = builder.stable_text()
    tokens = [token for piece in pieces for token in builder.tokens(stable.push(piece))]
    tokens += builder.tokens(stable.push("", end=True))
    assert tokens == builder.tokens("".join(pieces))


def test_a_text_cannot_pretend_to_be_the_models_marks(custom_voice: Official) -> None:
    builder = custom_voice.builder
    for mark in ("<|im_end|>", "<|im_start|>", "<tts_pad>", "<tts_text_eod>"):
        token = builder.tokens(mark)
        assert len(token) == 1
        assert token[0] not in builder.tokens(_escape_special_tokens(f"Say {mark} aloud"))
