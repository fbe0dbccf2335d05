"""Reading an answer: what it says, what it calls, what it decides, and in which ways it goes wrong."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from locum.evaluation.decisions import decision_label, parameters, same_decision
from locum.evaluation.results import Answer
from locum.evaluation.signatures.grounding import made_up
from locum.evaluation.signatures.repetition import loops, seq_rep
from locum.types import Message, Row, ToolCall


def spoken(text: str, calls: Sequence[ToolCall]) -> str:
    """The text in which an answer's details are counted: for tool calls their arguments as JSON, one call a line."""
    return "\n".join(msgspec.json.encode(call.arguments).decode() for call in calls) if calls else text


def read_answer(
    row: Row,
    text: str,
    calls: tuple[ToolCall, ...],
    finish: str,
    inventory: Iterable[str],
    loss: float | None = None,
) -> Answer:
    """Judge one answer to a row's prompt; the agent's own recorded response is read the same way.

    Args:
        row: whose prompt was answered, and whose response is the measure.
        text: what was said outside of tool calls.
        calls: the tool calls, in order.
        finish: `stop` or `length`.
        inventory: names of tools and parameters that need no support in the prompt.
        loss: mean nats per token of the *agent's* response under the model that answered.
    """
    words = spoken(text, calls)
    message = Message(role="assistant", content=text, tool_calls=calls)
    details = made_up(words, prompt_text(row), frozenset(inventory))
    return Answer(
        text=text,
        tool_calls=calls,
        finish=finish,
        made_up=tuple((detail.start, detail.end, detail.kind) for detail in details),
        repetition=seq_rep(words),
        loop=loops(words),
        decision=decision_label(row.structure, message),
        right=same_decision(row.structure, message, row.response, row.tools),
        loss=loss,
    )


def prompt_text(row: Row) -> str:
    """Everything that the model was shown, as plain text."""
    parts: list[str] = []
    for message in row.prompt:
        parts.append(message.content)
        parts += [f"{call.name} {msgspec.json.encode(call.arguments).decode()}" for call in message.tool_calls]
    return "\n".join(parts)


def inventory_of(rows: Iterable[Row]) -> frozenset[str]:
    """Names of the tools and parameters that the agent has: from schemas, and from the calls in the rows."""
    names: set[str] = set()
    for row in rows:
        for tool in row.tools:
            name = str(tool.get("function", tool).get("name", ""))
            names |= {name, *_property_names(parameters(row.tools, name))}
        for message in row.messages:
            for call in message.tool_calls:
                names |= {call.name, *call.arguments}
    return frozenset(names - {""})


def _property_names(schema: dict[str, Any] | None) -> Iterable[str]:
    properties = (schema or {}).get("properties")
    return properties if isinstance(properties, dict) else ()


def asked(row: Row) -> str:
    """The end of the prompt, as text: what the response answers."""
    return row.prompt[-1].content if row.prompt else ""
