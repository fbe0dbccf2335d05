"""One conversation with a tool, as tracers export it: fixtures for the readers of spans, Langfuse and LangSmith."""

import json
from pathlib import Path
from typing import Any

from claude_log import adds_up

from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of

Json = dict[str, Any]
SYSTEM = "You answer for a book shop."
ASKED = "Is order 7 on its way?"
CALL = {"id": "call-1", "name": "find_order", "arguments": {"number": 7}}
RESULT = "sent on Monday"
SAID = "Yes, it left on Monday."
TOOL: Json = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Looks up",
        "parameters": {"type": "object", "required": ["number"]},
    },
}
SECOND = "And order 8?"
CLOSING = "That one is still here."

OPENAI: list[Json] = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": ASKED},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call-1", "type": "function", "function": {"name": "find_order", "arguments": '{"number": 7}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call-1", "content": RESULT},
    {"role": "assistant", "content": SAID},
    {"role": "user", "content": SECOND},
    {"role": "assistant", "content": CLOSING},
]
"""The whole conversation; the calls answered up to its messages 2, 4 and 6."""
ANSWERS = (2, 4, 6)


def parts_of(message: Json) -> Json:
    """A message in OpenTelemetry's parts."""
    if message["role"] == "tool":
        part = {"type": "tool_call_response", "id": message["tool_call_id"], "response": message["content"]}
        return {"role": "tool", "parts": [part]}
    if message.get("tool_calls"):
        hidden = {"type": "reasoning", "content": "I should look."}
        return {"role": "assistant", "parts": [hidden, {"type": "tool_call", **CALL}], "finish_reason": "tool_call"}
    return {"role": message["role"], "parts": [{"type": "text", "content": message["content"]}]}


def any_value(value: Any) -> Json:
    """A value as OTLP writes it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def pairs(attributes: Json) -> list[Json]:
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items() if value is not None]


def span(
    id: str, attributes: Json, *, at: int = 0, trace: str = "t1", parent: str | None = "root", **more: Any
) -> Json:
    raw = {"traceId": trace, "spanId": id, "name": "chat", "startTimeUnixNano": str(1_790_000_000_000_000_000 + at)}
    raw |= {"parentSpanId": parent} if parent else {}
    return {**raw, "attributes": pairs(attributes), "status": {}, **more}


def otlp(*spans: Json) -> Json:
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(path: Path, name: str) -> FileReading:
    """The file, which has to be taken for one of the named format."""
    reader = reader_of(path)
    assert reader is not None
    assert reader.name == name
    reading = reader.read(path)
    adds_up(reading)
    return reading


def plain(reading: FileReading) -> list[list[tuple[str, str, list[Any]]]]:
    """What the sessions say, without who, when and where."""
    return [
        [(m.role, m.content, [(c.name, c.arguments) for c in m.tool_calls]) for m in session.messages]
        for session in reading.sessions
    ]


def told(upto: int = 6, *, system: bool = True) -> list[tuple[str, str, list[Any]]]:
    """What a session of the conversation says, up to one of its answers."""
    return [
        (one["role"], one["content"] or "", [("find_order", {"number": 7})] if one.get("tool_calls") else [])
        for one in OPENAI[0 if system else 1 : upto + 1]
    ]
