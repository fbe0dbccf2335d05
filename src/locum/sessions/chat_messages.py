"""Messages in the shape of OpenAI's chat completions, as training sets, benchmarks and API logs hold them.

Shape: {"role", "content": text | parts | null, "tool_calls"?: [{"id", "function": {"name", "arguments"}}],
"tool_call_id"?, "name"?}; before 2023-11 one "function_call" and the role "function" stood in for calls and
results (https://platform.openai.com/docs/api-reference/chat).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from locum.files import digest
from locum.sessions.exit_codes import says_failure
from locum.sessions.jsonl import BadRecord, arguments, check_depth
from locum.types import Message, Origin, Role, Signal, ToolCall

_ROLES: dict[str, tuple[Role, Origin]] = {
    "system": ("system", "system"),
    "developer": ("system", "system"),
    "user": ("user", "human"),
    "assistant": ("assistant", "agent"),
    "tool": ("tool", "tool"),
    "function": ("tool", "tool"),
}


class Conversation:
    """Converts messages one after the other and pairs results with calls, by id or, where there is none, in
    order.

    Args:
        failed: whether a tool's result says that the call failed, otherwise than by an exit code.
    """

    def __init__(self, failed: Callable[[str], bool] | None = None) -> None:
        self.messages: list[Message] = []
        self._failed = failed
        self._open: dict[str, tuple[str, int]] = {}  # call id -> tool name, index of the message that made it
        self._waiting: dict[str | None, deque[tuple[str, int]]] = {}  # tool name, or None for any -> calls in order
        self._unreadable = False
        self._calls = 0

    def add(self, raw: Any) -> None:
        """Append one message.

        Raises:
            BadRecord: it is no message of this shape, or the result of no call.
        """
        name = raw.get("role") if isinstance(raw, dict) else None
        if not isinstance(name, str) or name not in _ROLES:
            raise BadRecord("a message without a known role")
        role, origin = _ROLES[name]
        content, readable = _text(raw.get("content"))
        if role == "tool":
            self._add_result(raw, content)
        elif role == "assistant":
            self._add_turn(raw, content, origin)
        else:
            self.messages.append(Message(role, content, origin=origin))
        self._unreadable = self._unreadable or not readable

    def amend(self, **changes: Any) -> None:
        """Change fields of the message added last, where the log says more of it than its shape holds."""
        self.messages[-1] = msgspec.structs.replace(self.messages[-1], **changes)

    def signal(self, call: Any, *signals: Signal) -> None:
        """Give the message that made a call, its result not yet added, what the log says about the call."""
        if self.awaits(call):
            turn = self._open[call][1]
            self.messages[turn] = with_signals(self.messages[turn], *signals)

    def gap(self) -> None:
        """Something stands here that the log does not hold as text: the agent's next message leans on it."""
        self._unreadable = True

    def awaits(self, call: Any) -> bool:
        """Whether a call of this id has been made whose result has not been added."""
        return isinstance(call, str) and call in self._open

    def _add_turn(self, raw: dict[str, Any], content: str, origin: Origin) -> None:
        calls = tuple(self._calls_of(raw))
        refusal = raw.get("refusal")
        if not content and isinstance(refusal, str):
            content = refusal
        signals: tuple[Signal, ...] = ("unreadable",) if self._unreadable else ()
        self._unreadable = False
        for call in calls:
            self._open[call.id] = (call.name, len(self.messages))
            for name in (call.name, None):
                self._waiting.setdefault(name, deque()).append((call.id, len(self.messages)))
        # Weight 0: shown to the model in training, not learnt from. It stays context and is nobody's turn.
        origin = "harness" if raw.get("weight") == 0 else origin
        self.messages.append(Message("assistant", content, calls, origin=origin, signals=signals))

    def _calls_of(self, raw: dict[str, Any]) -> Iterator[ToolCall]:
        calls = raw.get("tool_calls") or []
        if not isinstance(calls, list):
            raise BadRecord("tool_calls is not a list")
        legacy = raw.get("function_call")
        for call in [*calls, *([{"function": legacy}] if legacy else [])]:
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict) or not isinstance(function.get("name"), str):
                raise BadRecord("a tool call without a function name")
            self._calls += 1
            given = call.get("id")
            yield ToolCall(
                given if isinstance(given, str) and given else f"call_{self._calls}",
                function["name"],
                arguments(function.get("arguments", {})),
            )

    def _add_result(self, raw: dict[str, Any], content: str) -> None:
        call = raw.get("tool_call_id")
        if not isinstance(call, str) or not call:
            call = self._first_open(raw.get("name"))
        if call not in self._open:
            raise BadRecord("a tool result without its call")
        tool, turn = self._open.pop(call)
        if says_failure(content) or (self._failed is not None and self._failed(content)):
            self.messages[turn] = with_signals(self.messages[turn], "tool_error")
        self.messages.append(Message("tool", content, tool_call_id=call, tool_name=tool, origin="tool"))

    def _first_open(self, tool: Any) -> str:
        """The first call, of that tool where one is named, that has no result yet; empty where there is none."""
        waiting = self._waiting.get(tool) if tool is None or isinstance(tool, str) else None
        while waiting:
            call, turn = waiting[0]
            if self._open.get(call, ("", -1))[1] == turn:
                return call
            waiting.popleft()
        return ""


def with_signals(message: Message, *signals: Signal) -> Message:
    """The message with these signals too, each of them once."""
    return msgspec.structs.replace(message, signals=tuple(dict.fromkeys((*message.signals, *signals))))


def _text(content: Any) -> tuple[str, bool]:
    """A content as text, and whether all of it is there: other parts than text leave their kind in
    brackets.
    """
    if content is None or isinstance(content, str):
        return content or "", True
    if not isinstance(content, list):
        raise BadRecord("content is neither text nor a list of parts")
    texts = []
    readable = True
    for part in content:
        text = part.get("text", part.get("refusal")) if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        else:
            kind = part.get("type") if isinstance(part, dict) else None
            images = kind in ("image_url", "image", "input_image")
            texts.append("[image]" if images else f"[{kind[:40] if isinstance(kind, str) else 'part'}]")
            readable = False
    return "\n".join(texts), readable


def lineage_of(format_name: str, messages: Sequence[Message]) -> str:
    """The lineage of a conversation without an id: its beginning up to and with the first answer, which a record that
    continues another one shares."""
    first = next((n for n, message in enumerate(messages, 1) if message.role == "assistant"), len(messages))
    return f"{format_name}:{digest(messages[:first])[:16]}"


def tool_schemas(raw: Any) -> tuple[dict[str, Any], ...]:
    """Tool schemas as {"type": "function", "function": {...}}, from that shape or from the bare functions.

    Raises:
        BadRecord: it is no list of objects.
    """
    if raw is None:
        return ()
    if not isinstance(raw, list) or not all(isinstance(tool, dict) for tool in raw):
        raise BadRecord("tools is not a list of objects")
    for tool in raw:
        check_depth(tool)
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in raw)
