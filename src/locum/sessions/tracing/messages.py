"""Messages of every dialect that tracers record, converted to the shape of OpenAI's chat completions.

OpenTelemetry's parts, OpenInference's contents, Anthropic's, Bedrock's and Gemini's blocks, items of OpenAI's Responses
API and LangChain's serialised messages differ in where they put texts, calls and results; all of that is here.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from locum.sessions.chat_messages import Conversation
from locum.sessions.jsonl import BadRecord, check_depth
from locum.sessions.tracing.records import parsed
from locum.types import Message

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_CLASSES = {
    "HumanMessage": "user",
    "SystemMessage": "system",
    "AIMessage": "assistant",
    "ToolMessage": "tool",
    "FunctionMessage": "tool",
}
"""LangChain's; the pieces of streams have `Chunk` after their names."""
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal", "plaintext"})
_CALLS = frozenset({"tool_call", "tool_use", "function_call", "toolUse", "functionCall"})
_RESULTS = frozenset(
    {"tool_call_response", "tool_result", "function_call_output", "toolResult", "function_response", "functionResponse"}
)
_HIDDEN = frozenset({"reasoning", "thinking", "redacted_thinking", "reasoningContent", "cachePoint"})
_UNREADABLE = frozenset(
    {"image", "image_url", "input_image", "audio", "input_audio", "video", "document", "blob", "file", "input_file"}
    | {"uri", "media", "inline_data", "inlineData", "file_data", "fileData"}
)
_SERVERS = frozenset(
    {"server_tool_call", "server_tool_call_response", "server_tool_use", "web_search_tool_result", "web_search_call"}
    | {"file_search_call", "code_interpreter_call", "code_execution_tool_result", "web_fetch_tool_result"}
    | {"executable_code", "code_execution_result", "mcp_call"}
)
"""What the provider's own tools were asked and found, which is not all in the log as text."""
_ITEMS = _CALLS | _RESULTS | _HIDDEN | _SERVERS


class Unfamiliar(BadRecord):
    """A kind of message or part for which there is no rule; the message names it."""


class Talk:
    """The messages of one call, converted one after the other."""

    def __init__(self) -> None:
        self._conversation = Conversation()

    @property
    def messages(self) -> list[Message]:
        """What was added."""
        return self._conversation.messages

    def add(self, raw: Any, role: str = "user") -> None:
        """Add a message of any dialect.

        Args:
            role: whose it is where it does not say.

        Raises:
            BadRecord: it is none.
        """
        for message in _converted(raw, role, 0):
            self._add(message)

    def _add(self, message: dict[str, Any]) -> None:
        conversation, call = self._conversation, message.get("tool_call_id")
        if message.pop("gap", False):
            conversation.gap()
        if message["role"] != "tool":
            conversation.add(message)
            return
        if message.pop("failed", False):
            conversation.signal(call, "tool_error")
        if not call or conversation.awaits(call):
            try:
                conversation.add(message)
                return
            except BadRecord:
                pass
        # The call is no longer in the history that was sent.
        conversation.add({"role": "user", "content": message["content"]})
        conversation.amend(origin="tool")


def is_message(value: Any) -> bool:
    """Whether a value is a message by its shape."""
    if not isinstance(value, dict):
        return False
    if "lc" in value or (isinstance(value.get("type"), str) and isinstance(value.get("data"), dict)):
        return True
    if any(isinstance(key, str) and key.startswith("message.") for key in value):
        return True
    if isinstance(value.get("role"), str):
        return True
    kind = value.get("type")
    return isinstance(kind, str) and (kind in _ROLES or kind in _ITEMS or _role_of_class(value) is not None)


def listed(value: Any) -> list[Any]:
    """A list, whether it stands as such, as JSON in a text, or as an object with the places as keys."""
    value = parsed(value)
    if isinstance(value, dict) and value and all(isinstance(key, str) and key.isdecimal() for key in value):
        return [value[key] for key in sorted(value, key=lambda key: (len(key.lstrip("0")), key.lstrip("0")))]
    return value if isinstance(value, list) else []


def tree(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes with dotted names as objects in objects; an object wins over a value of the same name."""
    grown: dict[str, Any] = {}
    for name, value in attributes.items():
        *path, last = name.split(".", 24)
        place = grown
        for step in path:
            inner = place.get(step)
            if not isinstance(inner, dict):
                inner = place[step] = {}
            place = inner
        if isinstance(value, dict) and isinstance(place.get(last), dict):
            place[last] = {**value, **place[last]}
        elif not isinstance(place.get(last), dict):
            place[last] = dict(value) if isinstance(value, dict) else value
    return grown


def _converted(raw: Any, role: str, depth: int) -> Iterator[dict[str, Any]]:
    """A message as one or more messages of OpenAI's."""
    if isinstance(raw, str):
        raw = {"role": role, "content": raw}
    if not isinstance(raw, dict) or depth > 4:
        raise BadRecord("a message that is neither a text nor an object")
    if any(name.startswith("message.") for name in raw):
        raw = tree(raw)
    inner = raw.get("message")
    if isinstance(inner, dict) and "content" not in raw:
        yield from _converted({"role": role, **tree(inner)}, role, depth + 1)
        return
    raw = _without_wrapping(raw)
    kind = raw.get("type")
    if isinstance(kind, str) and kind in _ITEMS and "role" not in raw:
        yield from _assembled("tool" if kind in _RESULTS else "assistant", {"content": [raw]})
        return
    named = raw.get("role") or raw.get("type") or role
    if not isinstance(named, str):
        raise BadRecord("a message without a known role")
    known = _ROLES.get(named.lower(), role if named == "message" else None)
    if known is None:
        raise Unfamiliar(f"message role: {named[:40]}")
    yield from _assembled(known, raw)


def _without_wrapping(raw: dict[str, Any]) -> dict[str, Any]:
    """A message out of LangChain's wrappings."""
    data, kwargs = raw.get("data"), raw.get("kwargs")
    if isinstance(kwargs, dict):
        return {**kwargs, "role": _role_of_class(raw) or kwargs.get("role") or kwargs.get("type")}
    if isinstance(data, dict) and isinstance(raw.get("type"), str):
        return {**data, "role": data.get("role") if raw["type"] == "chat" else raw["type"]}
    role = _role_of_class(raw)
    return raw if role is None else {**raw, "role": role}


def _role_of_class(raw: dict[str, Any]) -> str | None:
    path = raw.get("id") if isinstance(raw.get("kwargs"), dict) else None
    name = path[-1] if isinstance(path, list) and path else raw.get("type")
    return _CLASSES.get(name.removesuffix("Chunk")) if isinstance(name, str) else None


def _assembled(role: str, raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    gap = False
    for kind, block in _blocks(raw):
        if kind in _TEXTS:
            parts.append({"type": "text", "text": block})
        elif kind in _CALLS:
            calls.append(_call(block))
        elif kind in _RESULTS:
            results.append(_result(block))
        elif kind in _UNREADABLE or kind in _SERVERS:
            gap = gap or role == "assistant"
            parts += [] if role == "assistant" else [{"type": "image" if "image" in kind else kind}]
        elif kind not in _HIDDEN:
            raise Unfamiliar(f"message part: {kind[:40]}")
    yield from results
    if role == "assistant":
        yield {"role": role, "content": parts, "tool_calls": _all_calls(calls, raw), "gap": gap}
    elif role == "tool" and not results:
        content = "\n".join(part.get("text") or f"[{part['type']}]" for part in parts)
        call = raw.get("tool_call_id")
        failed = raw.get("status") == "error" or raw.get("is_error") is True
        yield {"role": role, "content": content, "tool_call_id": call, "name": raw.get("name"), "failed": failed}
    elif parts or not results:
        yield {"role": role, "content": parts}


def _blocks(raw: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parts of a message as kind and content."""
    content = next((raw[key] for key in ("parts", "contents", "content") if raw.get(key) is not None), None)
    if isinstance(content, str) and content.lstrip().startswith('[{"'):
        content = _blocks_in(content)
    many = content if isinstance(content, str) else listed(content) or content
    for block in many if isinstance(many, list) else [] if many is None else [many]:
        if isinstance(block, dict):
            inner = block.get("message_content")
            if isinstance(inner, dict) or any(name.startswith("message_content.") for name in block):
                inner = tree(block).get("message_content")
            yield _kind(inner if isinstance(inner, dict) else block)
        elif isinstance(block, str):
            yield "text", block
        elif block is not None:
            yield "text", _as_text(block)


def _blocks_in(text: str) -> Any:
    """The blocks of a text that is JSON of such (some tracers write them so); else the text."""
    try:
        value = parsed(text)
    except BadRecord:
        return text
    kinds = _TEXTS | _ITEMS | _UNREADABLE
    whole = isinstance(value, list) and all(
        isinstance(one, dict) and (kinds & {*one, one.get("type")}) for one in value
    )
    return value if whole else text


def _kind(block: dict[str, Any]) -> tuple[str, Any]:
    kind = "reasoning" if block.get("thought") is True else block.get("type")
    if not isinstance(kind, str) or kind not in _TEXTS | _ITEMS | _UNREADABLE:
        # Gemini's and Bedrock's parts have no type, but one key that names it.
        key = next((key for key in block if key in _ITEMS | _UNREADABLE or key == "text"), None)
        if key is None:
            return (
                ("text", _as_text(block)) if kind is None else (kind if isinstance(kind, str) else "(no type)", block)
            )
        kind = key
    if kind not in _TEXTS:
        inner = block.get(kind)
        return kind, {**inner, "type": kind} if isinstance(inner, dict) else block
    text = next((block[key] for key in ("text", "content", "refusal") if isinstance(block.get(key), str)), "")
    return kind, text


def _all_calls(calls: list[dict[str, Any]], raw: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls among the blocks and those beside them, each once."""
    more = raw.get("additional_kwargs")
    beside = listed(raw.get("tool_calls")) or listed(more.get("tool_calls") if isinstance(more, dict) else None)
    legacy = raw.get("function_call")
    if isinstance(legacy, dict):
        beside = [*beside, legacy]
    elif isinstance(raw.get("function_call_name"), str):
        beside = [*beside, {"name": raw["function_call_name"], "arguments": raw.get("function_call_arguments_json")}]
    known = {call["id"] for call in calls if call["id"]}
    found = [_call(call) for call in beside]
    return calls + [call for call in found if call["id"] not in known]


def _call(raw: Any) -> dict[str, Any]:
    if isinstance(raw, dict):
        raw = tree(raw) if any("tool_call." in name for name in raw) else raw
        inner = raw.get("tool_call")
        raw = tree(inner) if isinstance(inner, dict) else raw
        raw = tree(raw) if any(name.startswith("function.") for name in raw) else raw
    if not isinstance(raw, dict):
        raise BadRecord("a tool call that is no object")
    function = raw.get("function")
    body = function if isinstance(function, dict) else raw
    given: Any = next((body[key] for key in ("arguments", "args", "input") if body.get(key) is not None), {})
    call = next((raw[key] for key in ("call_id", "toolUseId", "id") if isinstance(raw.get(key), str)), None)
    return {"id": call, "function": {"name": body.get("name"), "arguments": given}}


def _result(raw: Any) -> dict[str, Any]:
    call = next(
        (raw[key] for key in ("tool_use_id", "toolUseId", "call_id", "tool_call_id", "id") if raw.get(key)), None
    )
    said = next((raw[key] for key in ("response", "result", "content", "output") if raw.get(key) is not None), "")
    failed = raw.get("is_error") is True or raw.get("status") == "error"
    return {
        "role": "tool",
        "tool_call_id": call if isinstance(call, str) else None,
        "name": raw.get("name"),
        "content": _result_text(said),
        "failed": failed,
    }


def _result_text(said: Any) -> str:
    if not isinstance(said, list) or not all(isinstance(part, dict) for part in said):
        return _as_text(said)
    kinds = [_kind(part) for part in said]
    return "\n".join(text if isinstance(text, str) else f"[{kind}]" for kind, text in kinds)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        check_depth(value)
    return msgspec.json.encode(value).decode()
