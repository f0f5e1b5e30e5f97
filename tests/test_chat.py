"""Chat-template additions are removed: reasoning, tool calls, special tokens."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_qwen3tts.speech import TextFeed
from wyoming_qwen3tts.text import segmentation
from wyoming_qwen3tts.text.chat import CANCEL, ChatFilter, extract_reply
from wyoming_qwen3tts.text.frontend import to_spoken_form

REMOVED = {
    # Reasoning
    "<think>The user greets me. I greet back.</think>Hello there.": "Hello there.",
    "<think>\nOne line.\n\nAnother one.\n</think>\n\nHello there.": "Hello there.",
    "<think></think>\nHello there.": "Hello there.",
    "<think>\n\n</think>\n\nHello there.": "Hello there.",
    "<thinking>Hm. What now?</thinking> Fine.": "Fine.",
    "<reasoning>Two and two.</reasoning>Four.": "Four.",
    "<thought>Hm.</thought>Fine.": "Fine.",
    "<reflection>Was that right? Yes.</reflection>It was.": "It was.",
    "<thinking>a <reflection>b</reflection> c</thinking>Fine.": "Fine.",
    "<Think>Hm.</THINK>Fine.": "Fine.",
    "<thinking>Hm.</thinking>Fine.": "Fine.",
    "<seed:think>Hm.</seed:think>Fine.": "Fine.",
    "◁think▷Hm, a question.◁/think▷It is noon.": "It is noon.",
    "[THINK]Hm, a question.[/THINK]It is noon.": "It is noon.",
    "<|begin_of_thought|>Hm.<|end_of_thought|><|begin_of_solution|>Fine.<|end_of_solution|>": "Fine.",
    "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Fine.<|END_RESPONSE|>": "Fine.",
    "<unused94>thought\nHm.<unused95>Fine.": "Fine.",
    "<|channel>thought\nHm.<channel|>Fine.": "Fine.",
    '<think duration="3">Hm.</think>Fine.': "Fine.",
    "The lamp <think>which one?</think> is on.": "The lamp is on.",
    "Wait. <think>Hm.</think> Done. <think>Hm.</think> Bye.": "Wait. Done. Bye.",
    "<think>Hm. <think>Really?</think> Yes.</think>Fine.": "Fine.",
    "<think>Hm. <think> is a tag.</think>Fine.": "Fine.",
    "<think\n>Hm.</think\n>Fine.": "Fine.",
    "<antThinking>Hm.</antThinking>Fine.": "Fine.",
    "<internal_monologue>Hm.</internal_monologue>Fine.": "Fine.",
    "analysisAll is clear.assistantfinalFine.": "Fine.",
    # Cut off inside of a tag
    "Fine.<thi": "Fine.",
    "Fine.<think": "Fine.",
    "Fine. </think": "Fine.",
    "Fine.<|im_e": "Fine.",
    "Fine.[TOOL_C": "Fine.",
    '<tool_call>{}</tool_call>Fine.<tool_call id="x': "Fine.",
    "Fine.\n<answ": "Fine.",
    # Only the end
    "The user wants the time. I look it up.</think>It is noon.": "It is noon.",
    "Okay. So this is it.\n</think>\n\nIt is noon.": "It is noon.",
    "Hm.◁/think▷It is noon.": "It is noon.",
    "Hm.[/THINK]It is noon.": "It is noon.",
    "Hm.</thinking> It is noon.": "It is noon.",
    "</think>It is noon.": "It is noon.",
    # Unclosed
    "<think>I wonder. Why?": "",
    "<think>": "",
    "It is on. <think>Now what?": "It is on.",
    "[THINK]Hm. So": "",
    # Channels
    "<|channel|>analysis<|message|>The user asks.<|end|><|start|>assistant<|channel|>final<|message|>It is noon.<|return|>": "It is noon.",
    "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.": "Yes.",
    '<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{"zone": "UTC"}<|call|>It is noon.': "It is noon.",
    "<|channel|>final<|message|>It is noon.<|end|>": "It is noon.",
    "<|channel|>analysis<|message|>Cut off in the mid": "",
    "analysisThe user asks. Hm.assistantfinalIt is noon.": "It is noon.",
    # Tools
    '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>': "",
    'I look it up.<tool_call>{"name": "get_time"}</tool_call>It is noon.': "I look it up. It is noon.",
    'I look it up\n<tool_call>{"name": "get_time"}</tool_call>\nIt is noon.': "I look it up It is noon.",
    '<tool_call>{"a": 1}</tool_call><tool_call>{"a": 2}</tool_call>Done.': "Done.",
    "<function_call>{}</function_call>Done.": "Done.",
    "<function_calls><invoke name='x'><parameter name='y'>1</parameter></invoke></function_calls>Done.": "Done.",
    '<function=turn_on>{"area": "hall"}</function>Done.': "Done.",
    "<tool_response>\n21.5\n</tool_response>It is warm.": "It is warm.",
    "<tool_code>print(get_time())</tool_code>Done.": "Done.",
    '[TOOL_CALLS] [{"name": "get_time", "arguments": {}}]': "",
    '[TOOL_CALLS][{"name": "a",\n "arguments": {"b": [1]}}]\nIt is noon.': "It is noon.",
    '[TOOL_CALLS]get_time[ARGS]{"zone": "UTC"}': "",
    '[TOOL_RESULTS]{"x": 1}[/TOOL_RESULTS]It is noon.': "It is noon.",
    '<|tool_call|>[{"name": "x"}]<|/tool_call|>It is on.': "It is on.",
    '<|tool_call|>[{"name": "x"}]': "",
    "<|tool_call>call:x{y:1}<tool_call|>It is on.": "It is on.",
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>x<｜tool▁call▁end｜><｜tool▁calls▁end｜>It is on.": "It is on.",
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.x:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>On.": "On.",
    "<|python_tag|>brave_search.call(query='x')<|eom_id|>": "",
    '[TOOL_CALLS] [{"name": "x", "arguments": {"q": "[a]"}}] It rains.': "It rains.",
    '[TOOL_CALLS]a[ARGS]{"x": 1}[TOOL_CALLS]b[ARGS]{"y": 2} It rains.': "It rains.",
    '<|tool_call|>{"a": 1}, {"b": 2}\nIt rains.': "It rains.",
    "<|python_start|>x()<|python_end|>It rains.": "It rains.",
    "<tool>x</tool>It rains.": "It rains.",
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="x">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>It rains.': "It rains.",
    "<start_function_call>call:x{y:1}<end_function_call>It rains.": "It rains.",
    '<TOOLCALL>[{"name": "x"}]</TOOLCALL>It rains.': "It rains.",
    "<|FunctionCallBegin|>[{}]<|FunctionCallEnd|>It rains.": "It rains.",
    '<xai:function_call name="x"><parameter name="y">1</parameter></xai:function_call>It rains.': "It rains.",
    "```tool_code\nprint(x())\n```\nIt rains.": "It rains.",
    "```tool_outputs\n{}\n```\nIt rains.": "It rains.",
    "```tool_code\nprint(": "",
    # Wrappers
    "<think>Hm.</think><answer>It rains.</answer>": "It rains.",
    "<thinking>Hm.</thinking>\n<response>\nIt rains.\n</response>": "It rains.",
    "<analysis>Hm.</analysis>\n<final>It rains.</final>": "It rains.",
    "<plan>First this.</plan>It rains.": "It rains.",
    "<reasoning_content>Hm.</reasoning_content>It rains.": "It rains.",
    # Tokens
    "It is on.<|im_end|>": "It is on.",
    "<|im_start|>assistant\nIt is on.<|im_end|>": "It is on.",
    "<|im_start|>assistant It is on.": "It is on.",
    "It is on.<|im_end|>\n<|im_start|>assistant\nIt is off.": "It is on. It is off.",
    "<|start_header_id|>assistant<|end_header_id|>\n\nIt is on.<|eot_id|>": "It is on.",
    "<|begin_of_text|>It is on.<|end_of_text|>": "It is on.",
    "It is on.<|endoftext|>": "It is on.",
    "<start_of_turn>model\nIt is on.<end_of_turn>": "It is on.",
    "<|turn>model\nIt is on.<turn|>": "It is on.",
    "<s>It is on.</s>": "It is on.",
    "<s>[INST] Is it on? [/INST] It is.</s>": "Is it on? It is.",
    "<<SYS>>Be kind.<</SYS>> It is on.": "Be kind. It is on.",
    "<bos>It is on.<eos>": "It is on.",
    "It is on.<pad><pad><pad>": "It is on.",
    "<｜begin▁of▁sentence｜>It is on.<｜end▁of▁sentence｜>": "It is on.",
    "<｜Assistant｜>It is on.": "It is on.",
    "<|assistant|>\nIt is on.<|end|>": "It is on.",
    "[|assistant|]It is on.[|endofturn|]": "It is on.",
    "[gMASK]<sop>It is on.": "It is on.",
    "<|reserved_special_token_5|>It is on.": "It is on.",
    "It is <|fim_middle|> on.": "It is on.",
    "<|channel|>analysis<|message|>Hm.": "",
    "assistant\n\nIt is on.": "It is on.",
    '<details type="reasoning" done="true">\n<summary>Thought</summary>\nHm.\n</details>\nFine.': "Fine.",
    '[TOOL_CALLS]x[CALL_ID]abc[ARGS]{"name": "y"} Fine.': "Fine.",
    "Fine.</": "Fine.",
    "Fine.<|": "Fine.",
    "<|start_of_role|>assistant<|end_of_role|>It is on.<|end_of_text|>": "It is on.",
    "灯<think>哪一盏？</think>开了。<|im_end|>": "灯开了。",
}
KEPT = [
    "Type <answer> here",
    "Set the <plan> to x",
    "a < b and b > c",
    "I <3 you",
    "Is x <y or x<z?",
    "if x <thin then",
    "5 <6, <7 and <=8",
    "the <b>bold</b> one",
    "[1] and [x] and [INFO] and [I think] so",
    "Set <light> on",
    "think, thinking and thought",
    "a <| b |> c",
    "Analysis shows that it rains.",
    "analysis shows that it rains.",
    "analysis",
    "the assistantfinal word",
    "Use `<think>` and `</think>` in the template.",
    'The tags "<think>" and "</think>" go around it.',
    "The token `<|im_end|>` ends a turn.",
    "x <",
    "[",
    "<|",
    "<th",
    "if a <think about it",
    "if a <think about it> then",
    "x <plan",
    "Use ```<think>...</think>``` in the prompt.",
    "Write `<think>Hm.</think>` there.",
    "```python\nx()\n```",
    "assistant",
    "assistant\nof it",
    "<details><summary>More</summary>Text.</details>",
    "◁",
    "a<function b",
    "[/IN",
]
SPLITS = [1, 3, 7, 1000]


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def filtered(parts: list[str]) -> str:
    """Return the text that is left after the last CANCEL."""
    found = ChatFilter()
    text = "".join(map(found.push, parts)) + found.finish()
    return " ".join(text.rpartition(CANCEL)[2].replace("<s>", "").replace("</s>", "").split())


@pytest.mark.parametrize("size", SPLITS)
@pytest.mark.parametrize(("text", "wanted"), REMOVED.items())
def test_template_output_is_removed(text: str, wanted: str, size: int) -> None:
    got = filtered(pieces(text, size))
    assert got.replace("灯 开", "灯开") == wanted


@pytest.mark.parametrize("size", SPLITS)
@pytest.mark.parametrize("text", KEPT)
def test_text_that_is_no_template_output_stays(text: str, size: int) -> None:
    assert filtered(pieces(text, size)) == " ".join(text.split())


@pytest.mark.parametrize("text", ["a < b", "I <3 you", "if x <y", "<b>x", "[x] y", "<thunder", "5 <= 6"])
def test_no_text_is_held_back_that_cannot_become_a_tag(text: str) -> None:
    found = ChatFilter()
    assert "".join(found.push(character) for character in text) == text


@pytest.mark.parametrize(
    ("text", "held"), [("a <", "<"), ("a <th", "<th"), ("b [TO", "[TO"), ("c <|", "<|"), ("d ``", "``")]
)
def test_text_is_held_back_that_may_become_a_tag_until_the_text_ends(text: str, held: str) -> None:
    found = ChatFilter()
    assert found.push(text) == text.removesuffix(held)
    assert found.finish() == held


PIECES = st.sampled_from(
    [*"ab <>[]/|`\"\n", *"<think> </think> <tool_call> </tool_call> <|im_end|> ``` ```tool_code <thi [TOOL_CALLS] {} [INST] <|channel|> final <|message|>".split(),
     "analysis", "assistant", "<|im_start|>", "It is on. ", "◁think▷"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=15).map("".join), st.integers(1, 9))
def test_the_result_does_not_depend_on_the_pieces(text: str, size: int) -> None:
    assert filtered(pieces(text, size)) == filtered([text])
    assert extract_reply(text).split() == " ".join([filtered([text])]).split() or "<s>" in text


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<think",
        "<think>",
        "<think ",
        "[",
        "<|a",
        "</think>",
        "<|",
        "[TOOL_CALLS][",
        "<function=",
        "<|start|>",
        "<|im_start|>",
        "`<think>",
        "`",
        "<think>a</think>",
        "<think a=",
        "<think a='b' ",
        "`<think>a</think>",
    ],
)
def test_filter_time_grows_linearly(unit: str) -> None:
    began = time.process_time()
    filtered([unit * (100_000 // len(unit))])
    filtered(pieces(unit * (20_000 // len(unit)), 4))
    assert time.process_time() - began < 2.0


async def sentences(parts: list[str], *, live: bool = False, at_once: bool = False) -> list[str]:
    feed = TextFeed()
    for piece in parts:
        feed.push(piece)
    if at_once:
        feed.end()
    stream = segmentation.split_segments(feed, markup=None, language="en", first_clause=False, live=live)
    feed.end()
    return [(await segmentation.complete_segment(part)).text async for part in stream]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<think>One. Two.\n\nThree.</think>It is on. It is off.", ["It is on.", "It is off."]),
        ("Hm. The user. Yes.</think>It is on. It is off.", ["It is on.", "It is off."]),
        ("<think>One. Two.", []),
        ("I look<tool_call>{}</tool_call>It is on.", ["I look", "It is on."]),
        ("It is 5 <", ["It is 5 <"]),
    ],
)
async def test_sentences_have_no_template_output(text: str, wanted: list[str], live: bool) -> None:
    assert await sentences([text], live=live) == wanted


async def test_a_long_whole_text_with_only_the_end_of_the_reasoning_is_cut_before_it_is_spoken() -> None:
    text = "The user wants something. " * 500 + "</think>It is on."
    assert await sentences([text], at_once=True) == ["It is on."]


async def test_reasoning_without_its_beginning_is_dropped_as_far_as_it_is_not_spoken() -> None:
    feed = TextFeed()
    feed.push("The user asks. Let me see")
    stream = segmentation.split_segments(feed, markup=None, language="en", first_clause=False, live=False)
    first = await anext(stream)
    feed.push(" what. Hm.</think>It is on.")
    feed.end()
    assert [first.text, *[part.text async for part in stream]] == ["The user asks.", "It is on."]


async def test_reasoning_before_ssml_is_removed() -> None:
    text = "<think>Hm.</think><speak><s>It is on.</s><s>Fine.</s></speak>"
    assert await sentences([text], at_once=True) == ["It is on.", "Fine."]


async def test_a_sentence_is_spoken_while_the_model_reasons() -> None:
    feed = TextFeed()
    feed.push("Let me see. <think>Hm")
    stream = segmentation.split_segments(feed, markup=None, language="en", first_clause=False, live=False)
    assert (await anext(stream)).text == "Let me see."
    feed.push(". So.</think> It is on. <")
    assert (await anext(stream)).text == "It is on."
    feed.end()
    assert [part.text async for part in stream] == ["<"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<think>Hm.</think>It is on.<|im_end|>", "It is on."),
        ("<think>Hm.", ""),
        ("Use `<think>` here.", "Use think here."),
        ("The tag '</think>' ends it.", "The tag ' think ' ends it."),
        ('The token "<|im_end|>" ends it.', 'The token " im end " ends it.'),
        ("End it with `<|im_end|>` there.", "End it with im end there."),
    ],
)
def test_whole_texts_are_read_without_template_output(text: str, wanted: str) -> None:
    assert to_spoken_form(text, "en") == wanted
