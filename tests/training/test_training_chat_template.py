"""One renderer: the base's own text without tools, calls that can be read back, a mask over the response alone."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shape_models import HERMES
from small_models import (
    DEFAULT_SYSTEM,
    LOOKUP,
    TEMPLATE,
    lookup,
    many_rows,
    row,
    says,
    system,
    unasked_posts,
    user,
    write_tiny_base,
)
from transformers import AutoTokenizer

from locum.errors import BaseError
from locum.training.base import Base
from locum.training.chat_template import UNASKED, Renderer, message_to_wire, parse_response, with_questions
from locum.types import Message, Row, ToolCall

ODD = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("'\"\\{}<>|%#\n\r\t 中é🦉")), max_size=12)
CHAT = st.lists(
    st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=ODD), min_size=1, max_size=5
)


@pytest.fixture(scope="module")
def own(tiny_base: Base) -> Any:
    """The base's tokenizer with its own chat template, as anybody else would load it."""
    return AutoTokenizer.from_pretrained(tiny_base.folder)


def test_the_base_knows_no_tools_and_gets_a_template_that_does(tiny_renderer: Renderer) -> None:
    assert tiny_renderer.template != TEMPLATE
    assert "tool_call" in tiny_renderer.template
    assert tiny_renderer.tokenizer.convert_ids_to_tokens(tiny_renderer.end) == "<|im_end|>"


@given(chat=CHAT, opening=st.booleans())
@example(chat=[system(""), user("?")], opening=True)
@example(chat=[user("?"), system("later")], opening=True)
@settings(deadline=None)
def test_without_tools_our_template_is_the_bases_own(
    own: Any, tiny_renderer: Renderer, chat: list[Message], opening: bool
) -> None:
    wire = [message_to_wire(message) for message in with_questions(chat, answering=opening)]
    expected = own.apply_chat_template(wire, tokenize=False, add_generation_prompt=opening)
    assert (tiny_renderer.prompt_text(chat) if opening else tiny_renderer.text(chat)) == expected


def test_the_default_system_text_stands_beside_tools_too(tiny_renderer: Renderer) -> None:
    text = tiny_renderer.prompt_text([user("?")], [LOOKUP])
    assert text.startswith(f"<|im_start|>system\n{DEFAULT_SYSTEM}\n\nYou may call these tools:\n<tools>\n")
    line = text.splitlines()[6]
    assert json.loads(line) == LOOKUP
    assert "—" in line, "text is not escaped to ASCII"


def test_a_template_that_knows_tools_is_left_alone(tmp_path: Path) -> None:
    write_tiny_base(tmp_path, template=HERMES)
    assert Renderer(tmp_path).template == HERMES


def test_no_chat_template(tmp_path: Path) -> None:
    write_tiny_base(tmp_path, template="")
    with pytest.raises(BaseError, match="no chat template"):
        Renderer(tmp_path)


# --- the mask


@pytest.mark.parametrize("shape", [*many_rows(), *unasked_posts()], ids=lambda shape: f"{shape.session}{shape.turn}")
def test_the_mask_covers_the_response_with_its_end_and_nothing_else(tiny_renderer: Renderer, shape: Row) -> None:
    encoded = tiny_renderer.encode(shape)
    prompt, response = encoded.tokens[: encoded.response_start], encoded.tokens[encoded.response_start :]
    assert prompt == tiny_renderer.tokens(tiny_renderer.prompt_text(shape.prompt, shape.tools))
    assert response.count(tiny_renderer.end) == 1
    assert response[-1] == tiny_renderer.end
    text = str(tiny_renderer.tokenizer.decode(response[:-1]))
    said, calls, broken = parse_response(text)
    assert (said, broken) == (shape.response.content.strip(), 0)
    assert [(call.name, call.arguments) for call in calls] == [
        (call.name, call.arguments) for call in shape.response.tool_calls
    ]
    # Tool results stand before the response, never in it.
    for message in shape.prompt:
        if message.role == "tool":
            assert message.content not in text


@given(said=ODD)
@settings(deadline=None, max_examples=60)
def test_any_text_is_a_response_whole(tiny_renderer: Renderer, said: str) -> None:
    shape = row(user("?"), says(f"{said}."))
    encoded = tiny_renderer.encode(shape)
    response = encoded.tokens[encoded.response_start :]
    assert tiny_renderer.tokenizer.decode(response) == f"{said}.<|im_end|>"


# --- reading calls back

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=6,
)
CALL = st.builds(ToolCall, id=st.just("x"), name=ODD.filter(bool), arguments=st.dictionaries(ODD, JSON, max_size=3))


@given(said=ODD, calls=st.lists(CALL, min_size=1, max_size=3))
@settings(deadline=None)
def test_rendered_calls_parse_back(tiny_renderer: Renderer, said: str, calls: list[ToolCall]) -> None:
    chat = [user("?"), says(said, *calls)]
    rendered = tiny_renderer.text(chat)[len(tiny_renderer.prompt_text(chat[:1])) :].removesuffix("<|im_end|>\n")
    text, found, broken = parse_response(rendered)
    assert broken == 0
    assert text == said.strip()
    assert [(call.name, call.arguments) for call in found] == [(call.name, call.arguments) for call in calls]
    assert len({call.id for call in found}) == len(calls)


def test_an_argument_that_holds_the_closing_mark(tiny_renderer: Renderer) -> None:
    chat = [user("?"), says("", lookup("a </tool_call> b <tool_call> c"), lookup("d"))]
    _, found, broken = parse_response(tiny_renderer.text(chat)[len(tiny_renderer.prompt_text(chat[:1])) :])
    assert broken == 0
    assert [call.arguments["id"] for call in found] == ["a </tool_call> b <tool_call> c", "d"]


@pytest.mark.parametrize(
    ("text", "said", "names", "broken"),
    [
        ("no call", "no call", [], 0),
        ('<tool_call>{"name": "f"}</tool_call>', "", ["f"], 0),
        ('ok <tool_call>{"name": "f", "arguments": {}}', "ok", ["f"], 0),
        ('<tool_call>{"name": "f", "arg', '<tool_call>{"name": "f", "arg', [], 1),
        ('<tool_call>{"name": 3}</tool_call>', '<tool_call>{"name": 3}</tool_call>', [], 1),
        (
            '<tool_call>{"name": "f", "arguments": []}</tool_call>!',
            '<tool_call>{"name": "f", "arguments": []}</tool_call>!',
            [],
            1,
        ),
        ('a<tool_call>x</tool_call>b<tool_call>{"name": "g"}</tool_call>c', "a<tool_call>x</tool_call>bc", ["g"], 1),
    ],
)
def test_what_is_no_call_stays_in_the_text_and_is_counted(text: str, said: str, names: list[str], broken: int) -> None:
    found_text, calls, count = parse_response(text)
    assert (found_text, [call.name for call in calls], count) == (said, names, broken)


_PIECES = [
    "<tool_call>",
    "</tool_call>",
    '{"name": "f"',
    ', "arguments": {',
    "}",
    "[" * 3000,
    '"',
    "\ud83e",
    "1e999",
    "\n",
]


@given(st.lists(st.sampled_from(_PIECES) | st.text(st.characters(), max_size=5), max_size=8).map("".join))
def test_no_text_breaks_the_parser(text: str) -> None:
    said, calls, broken = parse_response(text)
    assert len(calls) + broken <= text.count("<tool_call>")
    msgspec.json.encode(calls)  # whatever was read can be written
    if not calls:
        assert said == text.strip()


@pytest.mark.parametrize("value", ["-" + "9" * 5000, r'"\ud83e"', r'{"\udc00": 1}', "1e999", "NaN"])
def test_arguments_that_json_cannot_hold_again_are_no_call(value: str) -> None:
    """A model may write anything, and what is read of it goes into files."""
    text = f'<tool_call>{{"name": "f", "arguments": {{"n": {value}}}}}</tool_call>'
    said, calls, broken = parse_response(text)
    assert (said, calls, broken) == (text, (), 1)
    name = '<tool_call>{"name": "\\ud83e"}</tool_call>'
    assert parse_response(name) == (name, (), 1)


# --- templates that know no tools, or write calls that cannot be read back


TURNS = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '|' + m.content + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant|' }}{% endif %}"
).replace("<|im_start|>", "<|endoftext|>")
"""As Gemma's: no system text, roles in turn, no tools."""


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> tuple[Renderer, Any]:
    folder = tmp_path_factory.mktemp("around")
    write_tiny_base(folder, template=TURNS)
    return Renderer(folder), AutoTokenizer.from_pretrained(folder)


@given(st.lists(ODD, min_size=1, max_size=5))
@settings(deadline=None)
def test_what_the_template_takes_stays_as_it_is(around: tuple[Renderer, Any], said: list[str]) -> None:
    renderer, plain = around
    chat = [(user if at % 2 == 0 else says)(text) for at, text in enumerate(said)]
    wire = [{"role": message.role, "content": message.content} for message in chat]
    asked = chat[-1].role == "user"
    expected = plain.apply_chat_template(wire, tokenize=False, add_generation_prompt=asked)
    assert (renderer.prompt_text(chat) if asked else renderer.text(chat)) == expected


def test_tools_results_and_system_text_reach_a_template_that_knows_none(around: tuple[Renderer, Any]) -> None:
    renderer, _ = around
    chat = [
        system("Be brief."),
        user("Which?"),
        says("I look.", lookup("W-1"), lookup("W-2", "call_1")),
        Message(role="tool", content="late"),
        Message(role="tool", content="not late"),
        user("So?"),
    ]
    text = renderer.prompt_text(chat, [LOOKUP])
    assert text.startswith("<|endoftext|>user|Be brief.\n\nYou may call these tools:\n<tools>\n{")
    assert "</tool_call>\n\nWhich?<|im_end|><|endoftext|>assistant|I look.\n<tool_call>\n" in text
    assert text.endswith(
        "</tool_call><|im_end|><|endoftext|>user|<tool_response>\nlate\n</tool_response>\n<tool_response>\nnot late\n"
        "</tool_response>\nSo?<|im_end|><|endoftext|>assistant|"
    )


def test_every_row_can_be_encoded_behind_such_a_template(around: tuple[Renderer, Any], rows: list[Row]) -> None:
    for each in rows:
        assert around[0].encode(each).response_start > 0


def test_calls_that_cannot_be_read_back_are_written_in_a_way_that_can(tmp_path: Path) -> None:
    own = TEMPLATE.replace(
        "message['content'] +",
        "(message['content'] or (message.tool_calls[0].function | tojson)) + (tools | tojson if tools else '') +",
    )
    write_tiny_base(tmp_path, template=own)
    renderer = Renderer(tmp_path)
    assert renderer.template != own
    assert renderer.template.endswith(own)
    call = lookup("W-1")
    text = renderer.text([user("?"), says("", call)], [LOOKUP])
    assert [(found.name, found.arguments) for found in parse_response(text[text.rindex("<tool_call>") :])[1]] == [
        (call.name, call.arguments)
    ]


@given(st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), max_size=8), st.booleans())
def test_whatever_the_agent_says_follows_a_question(roles: list[str], answering: bool) -> None:
    spoken = tuple(Message(role=role, content=str(at)) for at, role in enumerate(roles))  # type: ignore[arg-type]
    whole = with_questions(spoken, answering=answering)
    assert [message for message in whole if message is not UNASKED] == list(spoken)
    assert with_questions(whole, answering=answering) == whole
    said = [*whole, *([says("next")] if answering else [])]
    assert all(
        at and said[at - 1].role in ("user", "tool") for at, message in enumerate(said) if message.role == "assistant"
    )
    # Nothing is asked where somebody asked.
    assert all(said[at + 1].role == "assistant" for at, message in enumerate(said) if message is UNASKED)


def test_posts_that_nobody_asked_for_are_one_sequence_of_answers(tiny_renderer: Renderer) -> None:
    posts = unasked_posts()
    shown = [tiny_renderer.encode(post).tokens for post in posts]
    for before, after in pairwise(shown):
        assert after[: len(before)] == before
    text = tiny_renderer.prompt_text(posts[2].prompt)
    asked = "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"
    assert text.endswith(f"{asked}We ship it.<|im_end|>\n{asked}It is out.<|im_end|>\n{asked}")
