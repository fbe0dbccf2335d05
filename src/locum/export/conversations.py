"""What a certificate is made on: made-up conversations of every shape, and the dataset's own held-out ones."""

from collections.abc import Sequence
from typing import Any

from locum.errors import TrainingError
from locum.training.chat_template import Renderer, with_questions
from locum.types import Message, Row, ToolCall

Conversation = tuple[str, tuple[Message, ...], tuple[dict[str, Any], ...]]
"""Name, messages, tools."""

_ASK = Message(role="user", content="Which order is late?")
_ODD = {"id": "W-17", "n": 2, "ok": True, "note": 'é "<&>"'}
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Find an order — by its id.",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    },
}


def _calls(*arguments: dict[str, Any]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(id=f"call_{at}", name="lookup", arguments=found) for at, found in enumerate(arguments))


def _spread(rows: Sequence[Row], limit: int) -> Sequence[Row]:
    step = max(1, len(rows) // limit) if limit else 1
    return rows[::step][:limit]


def conversations(rows: Sequence[Row], limit: int) -> list[Conversation]:
    """Prompts of made-up shapes, and of up to `limit` rows."""
    ask, tool = _ASK, _TOOL
    call = Message(role="assistant", tool_calls=_calls(_ODD))
    result = Message(role="tool", content='{"late": true, "days": 1.50}', tool_call_id="call_0", tool_name="lookup")
    answer = Message(role="assistant", content="W-17 is.\nTwo days.")
    system = Message(role="system", content="You look after orders.\nBe brief.")
    odd = Message(role="user", content="  naïve 🦉 \t12345  'quoted' \\n {{x}} <b> 中文\r\n\n\nend ")
    shapes: list[Conversation] = [
        ("one question", (ask,), ()),
        ("system text", (system, ask), ()),
        ("several turns", (ask, answer, odd), ()),
        ("odd characters", (odd,), ()),
        ("tools", (ask,), (tool,)),
        ("tools and system text", (system, ask), (tool,)),
        ("a tool call and its result", (ask, call, result), ()),
        ("a tool call and its result, with tools", (system, ask, call, result, answer, odd), (tool,)),
    ]
    held_out = [
        (f"held-out row {row.id[:12]}", with_questions(row.prompt, answering=True), row.tools)
        for row in _spread(rows, limit)
    ]
    return shapes + held_out


def answers_with_calls(rows: Sequence[Row], limit: int) -> list[Conversation]:
    """Conversations that end with an answer that calls tools: made-up ones, and up to `limit` rows."""
    hard = {"id": "</tool_call>", "lines": "a\n\tb", "none": None, "deep": {"list": [1, 2.5, "{x}"]}}
    made: list[tuple[str, Message]] = [
        ("a call", Message(role="assistant", tool_calls=_calls(_ODD))),
        ("a call after text", Message(role="assistant", content="I look.", tool_calls=_calls(_ODD))),
        ("a call with odd arguments", Message(role="assistant", tool_calls=_calls(hard))),
        ("two calls", Message(role="assistant", tool_calls=_calls(_ODD, {"id": "W-18"}))),
    ]
    calling = [row for row in rows if row.tools and row.response.tool_calls]
    held_out = [
        (f"held-out row {row.id[:12]}", with_questions(row.messages, answering=False), row.tools)
        for row in _spread(calling, limit)
    ]
    return [(name, (_ASK, answer), (_TOOL,)) for name, answer in made] + held_out


def rendered(
    renderer: Renderer, chosen: Sequence[Conversation]
) -> tuple[list[tuple[Conversation, str]], tuple[str, ...]]:
    """Each conversation's prompt, and the names of those that the base's own template refuses.

    What it refuses could not be trained on either, so that there is nothing to hold the engine to.
    """
    found, refused = [], []
    for conversation in chosen:
        name, messages, tools = conversation
        try:
            found.append((conversation, renderer.prompt_text(messages, tools)))
        except TrainingError:
            refused.append(name)
    return found, tuple(refused)
