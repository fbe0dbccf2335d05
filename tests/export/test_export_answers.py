"""The certificate's second half: where a turn ends, and what becomes of the calls that a model writes."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from shape_models import write_shape
from small_models import LOOKUP, lookup, many_rows, row, says, user
from test_export_parity import Echo

from locum.errors import ExportError
from locum.export.conversations import answers_with_calls, conversations
from locum.export.gguf_file import write_gguf
from locum.export.parity import certify
from locum.runtime.llamacpp import LlamaCpp
from locum.training.base import Base
from locum.training.chat_template import Renderer, parse_response
from locum.types import Message, ToolCall


@pytest.fixture(scope="module")
def engine(tiny_base: Base, tiny_renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, path, "F16", "m")
    with LlamaCpp(path) as loaded:
        yield loaded


def test_a_turn_that_the_engine_does_not_end(engine: LlamaCpp, tiny_renderer: Renderer) -> None:
    """Training ended turns with another token than the one that the file names."""
    other = copy.copy(tiny_renderer)
    other.end = 1
    with pytest.raises(ExportError, match=r"llama\.cpp does not stop at '<\|im_start\|>'.*goes on with"):
        certify(other, engine, [])


class Steered(Echo):
    """An engine that stops and gives answers back as it should, but for what a test changes."""

    def write_end(self, prompt: Sequence[int], end: int) -> tuple[str, bool]:
        text, stopped = self.answers.get("end", ("", True))
        return str(text), bool(stopped)

    def read_answer(
        self, messages: Sequence[Message], written: str, tools: Sequence[dict[str, Any]], end: int
    ) -> tuple[str, tuple[ToolCall, ...]]:
        said, calls, _ = parse_response(written)
        spoil = self.answers.get("spoil")
        return spoil(said, calls) if spoil else (said, calls)


def test_an_engine_that_does_all_right(tiny_renderer: Renderer) -> None:
    found = certify(tiny_renderer, Steered(tiny_renderer), many_rows())
    assert found.calls is not None
    assert found.stops is not None


@pytest.mark.parametrize("end", [("\n", True), ("", False), (" and", False)])
def test_anything_after_the_end_fails(tiny_renderer: Renderer, end: tuple[str, bool]) -> None:
    with pytest.raises(ExportError, match="does not stop at"):
        certify(tiny_renderer, Steered(tiny_renderer, end=end), [])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said, calls: (said, ()),
        lambda said, calls: (said, calls[:1]),
        lambda said, calls: ("", calls),
        lambda said, calls: (said, tuple(ToolCall(call.id, call.name, {}) for call in calls)),
        lambda said, calls: (said, tuple(ToolCall(call.id, "look", call.arguments) for call in calls)),
        lambda said, calls: (
            said,
            tuple(ToolCall(c.id, c.name, {key: str(value) for key, value in c.arguments.items()}) for c in calls),
        ),
    ],
)
def test_a_call_that_is_lost_or_changed_fails(tiny_renderer: Renderer, spoil: Any) -> None:
    with pytest.raises(ExportError, match="does not give back the calls of"):
        certify(tiny_renderer, Steered(tiny_renderer, spoil=spoil), [])


def test_what_the_template_refuses_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, "gemma2")
    renderer = Renderer(folder)
    picky = "{% for message in messages if 'owl' in message.content %}{{ raise_exception('no owls') }}{% endfor %}"
    renderer.tokenizer.chat_template = picky + renderer.template
    refused = row(user("An owl?"), says("Yes."))
    found = certify(renderer, Echo(renderer), [refused])
    assert found.refused == (f"held-out row {refused.id[:12]}",)
    assert found.checked == len(found.conversations) == len(conversations([], 0))


def test_only_calls_that_a_client_could_get_back_are_checked() -> None:
    with_tools = row(user("?"), says("", lookup("W-1")), tools=[LOOKUP])
    without = row(user("?"), says("", lookup("W-1")))
    names = [name for name, _, _ in answers_with_calls([with_tools, without, row(user("?"), says("."))], 9)]
    assert names[4:] == [f"held-out row {with_tools.id[:12]}"]
