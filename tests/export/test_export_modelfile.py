"""The Modelfile says, in Ollama's own language, what training rendered."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from go_template import render
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shape_models import SHAPES, write_tokenizer
from small_models import DEFAULT_SYSTEM, LOOKUP, lookup, many_rows, result, says, system, user, write_tiny_base

from locum.errors import ExportError
from locum.export.modelfile import OllamaModel, describe_for_ollama, modelfile
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Message


@pytest.fixture(scope="module")
def described(tiny_base: Base, tiny_renderer: Renderer) -> OllamaModel:
    return describe_for_ollama(tiny_base, tiny_renderer)


def encode(value: Any) -> str:
    """JSON as training writes it; Ollama's has no spaces after its separators."""
    return json.dumps(value, ensure_ascii=False)


def as_ollama(described: OllamaModel, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
    """What Ollama makes of a conversation: system texts joined, the Modelfile's where there is none."""
    texts = [message.content for message in messages if message.role == "system"]
    data = {
        "System": "\n\n".join(texts) if texts else described.system,
        "Tools": list(tools),
        "Messages": [
            {
                "Role": message.role,
                "Content": message.content,
                "ToolCalls": [
                    {"Function": {"Name": call.name, "Arguments": call.arguments}} for call in message.tool_calls
                ],
            }
            for message in messages
        ],
    }
    return render(described.template, data, encode)


def parse(text: str) -> dict[str, list[str]]:
    """A Modelfile as Ollama reads it: INSTRUCTION, then a bare value, "one line", or three quotes around many."""
    found: dict[str, list[str]] = {}
    place = 0
    while place < len(text):
        line = re.compile(r"(?:#[^\n]*)?\n|(\w+)[ \t]+(?:(stop|\w+)[ \t]+(?=\S))?", re.I).match(text, place)
        assert line is not None, f"no instruction at {text[place : place + 30]!r}"
        if line[1] is None:
            place = line.end()
            continue
        name = line[1].upper()
        key = f"{name} {line[2]}" if name == "PARAMETER" else name
        start = line.end() if name == "PARAMETER" else line.end(1) + 1
        value = re.compile(r'"""(.*?)"""\n|"([^"\n]*)"\n|([^\n]*)\n', re.DOTALL).match(text, start)
        assert value is not None
        found.setdefault(key, []).append(next(part for part in value.groups() if part is not None))
        place = value.end()
    return found


def test_the_text_parses_to_what_was_described(described: OllamaModel) -> None:
    found = parse(modelfile(described, "tiny.Q8_0.gguf"))
    assert found == {
        "FROM": ["./tiny.Q8_0.gguf"],
        "TEMPLATE": [described.template],
        "PARAMETER stop": ["<|im_end|>", "<|im_start|>"],
        "PARAMETER temperature": ["0"],
        "PARAMETER repeat_penalty": ["1"],
        "SYSTEM": [DEFAULT_SYSTEM],
        "LICENSE": ["apache-2.0"],
    }


def test_a_base_without_a_default_system_text_or_licence(tmp_path: Path) -> None:
    plain = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    write_tiny_base(tmp_path, template=plain)
    renderer = Renderer(tmp_path)
    described = describe_for_ollama(Base(name="plain", folder=tmp_path), renderer)
    assert (described.system, described.licence) == ("", "")
    assert parse(modelfile(described, "m.gguf")).keys() & {"SYSTEM", "LICENSE"} == set()
    chat = [user("?")]
    assert (
        as_ollama(described, chat)
        == renderer.prompt_text(chat)
        == "<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n"
    )


TALK = st.lists(st.text(max_size=10), min_size=1, max_size=5).map(
    # Ollama joins neighbours of one role, so a conversation is one question and one answer after the other.
    lambda texts: [(says if index % 2 else user)(text) for index, text in enumerate(texts[: len(texts) - 1 | 1])]
)


@given(chat=TALK, before=st.none() | st.text(min_size=1, max_size=10))
@settings(deadline=None)
@example(chat=[user('  {{ .System }} "x" \n')], before=" \n")
def test_without_tools_the_go_template_is_the_renderer(
    described: OllamaModel, tiny_renderer: Renderer, chat: list[Message], before: str | None
) -> None:
    messages = [*([system(before)] if before else []), *chat]
    assert as_ollama(described, messages) == tiny_renderer.prompt_text(messages)


CALLS = [
    user("Which?"),
    says("I look.", lookup("W-1"), lookup("W-2", "call_1", n=1.5)),
    result("late", "call_0"),
    result("not late", "call_1"),
    says("", lookup("é")),
    result("?"),
]


@pytest.mark.parametrize("before", [(), (system("Be brief."),)])
@pytest.mark.parametrize("tools", [(), (LOOKUP,), (LOOKUP, LOOKUP)])
def test_with_tools_it_differs_in_the_spacing_of_json_alone(
    described: OllamaModel, tiny_renderer: Renderer, before: tuple[Message, ...], tools: tuple[dict[str, Any], ...]
) -> None:
    for chat in (CALLS, [user("?")]):
        messages = [*before, *chat]
        assert as_ollama(described, messages, tools) == tiny_renderer.prompt_text(messages, tools)


def test_rows_of_every_shape(described: OllamaModel, tiny_renderer: Renderer) -> None:
    for shape in many_rows():
        assert as_ollama(described, shape.prompt, shape.tools) == tiny_renderer.prompt_text(shape.prompt, shape.tools)


PLAIN = [
    [user("Which?")],
    [system("Be brief."), user("Which?"), says("That."), user("Why {{ .System }}?")],
    [user("Which?"), says("This.\nAnd that."), user("Why?")],
]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_family_says_in_go_what_training_rendered(tmp_path: Path, shape: str) -> None:
    """With and without system text, tools, calls and results, in the dialect of every family that is supported."""
    write_tokenizer(tmp_path, SHAPES[shape])
    (tmp_path / "config.json").write_text("{}")
    renderer = Renderer(tmp_path)
    described = describe_for_ollama(Base(name=shape, folder=tmp_path), renderer)
    for chat in PLAIN:
        assert as_ollama(described, chat) == renderer.prompt_text(chat)
    for before in ([], [system("Be brief.")]):
        for tools in ((), (LOOKUP,), (LOOKUP, LOOKUP)):
            for chat in (CALLS, [*CALLS, says("So."), user("Thanks.")], [*CALLS[:2], CALLS[2], user("Well?")]):
                assert as_ollama(described, [*before, *chat], tools) == renderer.prompt_text([*before, *chat], tools)
    ends = renderer.tokenizer.convert_ids_to_tokens(renderer.end)
    assert described.stop[0] == ends
    assert renderer.tokenizer.eos_token in described.stop


@pytest.mark.parametrize("shape", SHAPES)
def test_ollama_would_find_the_mark_of_a_tool_call(tmp_path: Path, shape: str) -> None:
    """It takes the first text inside `if .ToolCalls`, up to a brace."""
    write_tokenizer(tmp_path, SHAPES[shape])
    (tmp_path / "config.json").write_text("{}")
    template = describe_for_ollama(Base(name=shape, folder=tmp_path), Renderer(tmp_path)).template
    inside = template.partition("{{ if .ToolCalls }}")[2]
    text = re.sub(r"^(\{\{.*?\}\})+", "", inside, flags=re.DOTALL)
    assert text.partition("{")[0].strip() == "<tool_call>"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        # The turns are counted.
        (
            "{% for m in messages %}{{ m.role + loop.index|string + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'assistant' + (messages|length + 1)|string + '\n' }}{% endif %}",
            "no fixed words between its messages",
        ),
        # Some words get an answer of their own.
        (
            "{% for m in messages %}{{ m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
            "{% if add_generation_prompt %}"
            "{{ ('late\n' if 'late' in messages[-1]['content'] else '') + 'assistant\n' }}"
            "{% endif %}",
            "does more than put words between messages, as in 'one question'",
        ),
    ],
)
def test_a_template_that_is_no_frame_is_refused(tmp_path: Path, template: str, words: str) -> None:
    write_tiny_base(tmp_path, template=template)
    with pytest.raises(ExportError, match=r"what training rendered for 'other'.*--deploy embedded") as refused:
        describe_for_ollama(Base(name="other", folder=tmp_path), Renderer(tmp_path))
    assert words in str(refused.value)
