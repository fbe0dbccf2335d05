"""Anthropic's Messages: https://docs.anthropic.com/en/api/messages. Results of tools stand in messages of the user,
texts may follow them."""

from typing import Any

from locum.sessions.chat_messages import Conversation, tool_schemas, with_signals
from locum.sessions.claude_code.texts import hear
from locum.sessions.grouping import Call
from locum.sessions.jsonl import BadRecord, kind_of
from locum.sessions.providers import provider_of
from locum.sessions.request_log.exchanges import Exchange
from locum.sessions.stops import stopped
from locum.types import Signal

_HIDDEN = frozenset({"thinking", "redacted_thinking"})
_SERVERS = frozenset(
    {"server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"}
)
"""What the provider's own tools were asked and found, which is not all in the log as text."""


def call_of(exchange: Exchange, number: int) -> tuple[Call | None, str | None]:
    """The call, or None where it was not answered; and a kind of block that this reader has no rule for.

    Raises:
        BadRecord: the request or the response is not valid.
    """
    request, response = exchange.request, exchange.response
    answer = response.get("content") if response is not None else None
    if response is None or not isinstance(answer, list) or not answer:
        return None, None
    reading = _Reading()
    reading.system(request.get("system"))
    for message in request["messages"]:
        reading.add(message)
    sent = len(reading.conversation.messages)
    reading.say(answer)
    signals: list[Signal] = [*stopped(response.get("stop_reason"))]
    if response.get("type") == "message" and "stop_reason" in response and response["stop_reason"] is None:
        signals.append("interrupted")
    messages = reading.conversation.messages
    messages[-1] = with_signals(messages[-1], *signals)
    reading.conversation.amend(time=exchange.time, usage=exchange.usage)
    model = response.get("model") or request.get("model")
    model = model if isinstance(model, str) and model else None
    call = Call(
        number=number,
        messages=messages,
        sent=sent,
        tools=_tools(request.get("tools")),
        model=model,
        provider=provider_of(model),
        started=exchange.time,
        limit=request.get("max_tokens"),
    )
    return call, reading.unknown


class _Reading:
    """The messages of one call, converted one after the other."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.unknown: str | None = None

    def system(self, raw: Any) -> None:
        """Add the system prompt: a text, or a list of text blocks."""
        blocks = raw if isinstance(raw, list) else [{"text": raw}]
        texts = [block["text"] for block in blocks if isinstance(block, dict) and isinstance(block.get("text"), str)]
        # Billing marks change with every call.
        texts = [text for text in texts if not text.startswith("x-anthropic-billing-header")]
        if any(text.strip() for text in texts):
            self.conversation.add({"role": "system", "content": "\n\n".join(texts)})

    def add(self, message: dict[str, Any]) -> None:
        """Add one message of the request."""
        content = message.get("content")
        if not isinstance(content, str | list):
            raise BadRecord("content is neither text nor a list of blocks")
        if message.get("role") == "assistant":
            self.say(content if isinstance(content, list) else [{"type": "text", "text": content}])
        elif message.get("role") in ("user", "system"):
            self._hear(content, from_harness=message.get("role") == "system")
        else:
            raise BadRecord("a message without a known role")

    def say(self, blocks: list[Any]) -> None:
        """Add what the model said."""
        texts: list[str] = []
        calls: list[dict[str, Any]] = []
        for block in blocks:
            kind = kind_of(block)
            if kind == "text" and isinstance(block.get("text"), str):
                texts.append(block["text"])
            elif kind == "tool_use":
                calls.append(
                    {"id": block.get("id"), "function": {"name": block.get("name"), "arguments": block.get("input")}}
                )
            elif kind in _SERVERS:
                self.conversation.gap()
            elif kind not in _HIDDEN:
                self.unknown = f"assistant block: {kind}"
        content = "\n\n".join(text for text in texts if text.strip())
        self.conversation.add({"role": "assistant", "content": content, "tool_calls": calls})

    def _hear(self, content: str | list[Any], *, from_harness: bool) -> None:
        heard = hear(content, from_harness=from_harness, stopped=False)
        self.unknown = heard.unknown or self.unknown
        messages = self.conversation.messages
        for result in heard.results:
            if self.conversation.awaits(result.call):
                self.conversation.signal(result.call, *result.signals)
                self.conversation.add({"role": "tool", "tool_call_id": result.call, "content": result.text})
            else:
                self.conversation.add({"role": "user", "content": result.text})
                self.conversation.amend(origin="tool")
            if result.unreadable:
                self.conversation.gap()
        if heard.interrupted:
            last = next((at for at in range(len(messages) - 1, -1, -1) if messages[at].role == "assistant"), None)
            if last is not None:
                messages[last] = with_signals(messages[last], "interrupted")
        if heard.harness:
            self.conversation.add({"role": "user", "content": heard.harness})
            self.conversation.amend(origin="harness")
        if heard.human:
            self.conversation.add({"role": "user", "content": heard.human})
        if heard.unreadable:
            self.conversation.gap()


def _tools(raw: Any) -> tuple[dict[str, Any], ...]:
    """Tool schemas; the provider's own tools have none."""
    listed = (
        [tool for tool in raw if isinstance(tool, dict) and "input_schema" in tool] if isinstance(raw, list) else []
    )
    return tool_schemas(
        [
            {"name": tool.get("name"), "description": tool.get("description") or "", "parameters": tool["input_schema"]}
            for tool in listed
        ]
    )
