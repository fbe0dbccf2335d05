"""GenAI's conventions: the messages of a span, in whichever generation of them it was written.

1. `gen_ai.prompt.N.{role,content,tool_calls.M...}` and `gen_ai.completion.N...` (OpenLLMetry), before that JSON under
   `gen_ai.prompt` and `gen_ai.completion`, on the span or its `gen_ai.content.*` events;
2. an event for each message: `gen_ai.{system,user,assistant,tool}.message` and `gen_ai.choice`;
3. `gen_ai.{system_instructions,input.messages,output.messages,tool.definitions}`, on the span or on its event
   `gen_ai.client.inference.operation.details`.
"""

from typing import Any

import msgspec

from locum.sessions.otel.spans import Event, Span
from locum.sessions.tracing.messages import is_message, listed, tree
from locum.sessions.tracing.payloads import asked_in, said_in
from locum.sessions.tracing.records import parsed

CALLS = frozenset({"chat", "text_completion", "generate_content", "completion"})
AGENTS = frozenset({"invoke_agent", "invoke_workflow", "agent", "workflow"})
STEPS = frozenset({"execute_tool", "embeddings", "create_agent", "retrieval", "rerank", "plan", "evaluate"})
_ROLES = ("system", "user", "assistant", "tool")
_MESSAGES = {f"gen_ai.{role}.message": role for role in _ROLES}
_DETAILS = "gen_ai.client.inference.operation.details"


class Messages(msgspec.Struct, frozen=True):
    """What a span says was sent and answered."""

    asked: list[Any]
    said: list[Any]
    tools: Any = None
    reason: str | None = None
    limit: Any = None


def operation_of(span: Span) -> str:
    """The span's operation, empty where it is none of GenAI's."""
    attributes = span.attributes
    named = attributes.get("gen_ai.operation.name") or attributes.get("llm.request.type")
    if isinstance(named, str) and named:
        return named
    if isinstance(attributes.get("gen_ai.tool.name"), str):
        return "execute_tool"
    kind = attributes.get("traceloop.span.kind")
    if isinstance(kind, str):
        return {"tool": "execute_tool", "task": "workflow"}.get(kind, kind)
    # A log record, or one of the first generation, may not say it.
    return "chat" if any(key.startswith("gen_ai.") for key in span.attributes) or _told(span) else ""


def messages_of(span: Span) -> Messages | None:
    """The messages of a span, or None where it holds none.

    Raises:
        BadRecord: they are JSON that is cut.
    """
    holders = [span.attributes, *(event.attributes for event in span.events if event.name == _DETAILS)]
    holders += [event.body for event in span.events if event.name == _DETAILS and isinstance(event.body, dict)]
    current = next((_current(holder) for holder in holders if holder.get("gen_ai.output.messages")), None)
    found = current or _from_events(span.events) or _indexed(span.attributes) or _whole(span)
    if found is None or found.tools is not None:
        return found
    return msgspec.structs.replace(found, tools=_tools(span.attributes))


def reason_of(span: Span) -> str | None:
    """Why the answer stopped."""
    reasons = span.attributes.get("gen_ai.response.finish_reasons")
    reasons = parsed(reasons) if isinstance(reasons, str) else reasons
    first = next(iter(reasons), None) if isinstance(reasons, list) else reasons
    return first if isinstance(first, str) else None


def _current(holder: dict[str, Any]) -> Messages | None:
    asked = listed(holder.get("gen_ai.input.messages"))
    instructions = listed(holder.get("gen_ai.system_instructions"))
    if instructions:
        asked = [{"role": "system", "parts": instructions}, *asked]
    said = listed(holder.get("gen_ai.output.messages"))
    return Messages(asked, said, holder.get("gen_ai.tool.definitions"), _reason_in(said)) if said else None


def _from_events(events: list[Event]) -> Messages | None:
    asked: list[Any] = []
    said: list[Any] = []
    for event in events:
        body = _body(event)
        if event.name in _MESSAGES and body.keys() & {"content", "tool_calls", "parts"}:
            role = _MESSAGES[event.name]
            call = {"tool_call_id": body.get("id")} if role == "tool" else {}
            asked.append({"role": role, **call, **body})
        elif event.name == "gen_ai.choice" and not said:
            said = _choice(body)
    if not said and asked and asked[-1].get("role") == "assistant":
        said = [asked.pop()]  # an exporter that writes the answer as one more message
    return Messages(asked, said, reason=_reason_in(said)) if said else None


def _body(event: Event) -> dict[str, Any]:
    body = event.body if isinstance(event.body, dict) else parsed(event.attributes.get("gen_ai.event.content"))
    if isinstance(body, str) or (body is None and isinstance(event.body, str)):
        return {"content": body if body is not None else event.body}
    return {**_plain(event.attributes), **(body if isinstance(body, dict) else {})}


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """An event's attributes that are the message's own."""
    own = ("role", "content", "parts", "tool_calls", "id", "name", "message", "finish_reason")
    return {key: attributes[key] for key in own if attributes.get(key) is not None}


def _choice(body: dict[str, Any]) -> list[Any]:
    message = parsed(body.get("message"))
    reason = {"finish_reason": body.get("finish_reason")}
    if isinstance(message, dict):
        calls = body.get("tool_calls") or message.get("tool_calls")
        return [{**message, **reason, "role": "assistant", "tool_calls": calls}]
    if message is None and not body.get("tool_calls"):
        message = body.get("content")
    if message is None and not body.get("tool_calls"):
        return []
    return [{"role": "assistant", "content": message, "tool_calls": body.get("tool_calls"), **reason}]


def _indexed(attributes: dict[str, Any]) -> Messages | None:
    own = {key: value for key, value in attributes.items() if key.startswith(("gen_ai.prompt.", "gen_ai.completion."))}
    grown = tree(own).get("gen_ai", {})
    said = [one for one in listed(grown.get("completion")) if isinstance(one, dict)]
    if not any(one.get("content") or one.get("tool_calls") for one in said):
        return None
    asked = [one for one in listed(grown.get("prompt")) if isinstance(one, dict)]
    return Messages(asked, [{**one, "role": "assistant"} for one in said], reason=_reason_in(said))


def _whole(span: Span) -> Messages | None:
    """Prompt and completion as one value each."""
    holders = [span.attributes, *(event.attributes for event in span.events)]
    given = {
        key: next((holder[f"gen_ai.{key}"] for holder in holders if holder.get(f"gen_ai.{key}")), None)
        for key in ("prompt", "completion")
    }
    asked, said = asked_in(given["prompt"]), said_in(given["completion"])
    if said is None:
        return None
    return Messages(asked.messages if asked is not None else [], said.messages, reason=said.reason)


def _tools(attributes: dict[str, Any]) -> Any:
    if attributes.get("gen_ai.tool.definitions"):
        return attributes["gen_ai.tool.definitions"]
    own = {key: value for key, value in attributes.items() if key.startswith("llm.request.functions.")}
    return tree(own).get("llm", {}).get("request", {}).get("functions")


def _reason_in(said: list[Any]) -> str | None:
    reason = said[0].get("finish_reason") if said and isinstance(said[0], dict) else None
    return reason if isinstance(reason, str) else None


def _told(span: Span) -> bool:
    return any(event.name in _MESSAGES or event.name in ("gen_ai.choice", _DETAILS) for event in span.events)


def one_answer(said: list[Any]) -> list[Any]:
    """The answer among the messages that came out of one call.

    Several messages are choices, of which the first was gone on with; unless one of the others calls a tool: then they
    are the parts of one answer.
    """
    if len(said) < 2 or not all(isinstance(one, dict) for one in said):
        return said
    parts = [one for one in said if is_message(one) or one.keys() & {"content", "parts", "contents", "tool_calls"}]
    if not any(_calls(one) for one in parts[1:]):
        return parts[:1]
    blocks: list[Any] = []
    calls: list[Any] = []
    for one in parts:
        content = next((one[key] for key in ("parts", "contents", "content") if one.get(key) is not None), None)
        blocks += [content] if isinstance(content, str) else listed(content)
        calls += listed(one.get("tool_calls"))
    return [{"role": "assistant", "content": blocks, "tool_calls": calls}]


def _calls(message: dict[str, Any]) -> bool:
    parts = listed(message.get("parts"))
    return bool(message.get("tool_calls")) or any(
        isinstance(part, dict) and part.get("type") == "tool_call" for part in parts
    )
