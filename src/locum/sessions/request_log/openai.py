"""OpenAI's chat completions, which LiteLLM speaks for every provider; and the notation in which OpenHands makes
models without tools call them: `<function=NAME><parameter=KEY>...`, answered by "EXECUTION RESULT of [NAME]:".
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from locum.sessions.chat_messages import Conversation, tool_schemas, with_signals
from locum.sessions.grouping import Call
from locum.sessions.jsonl import BadRecord, decode
from locum.sessions.providers import provider_of
from locum.sessions.request_log.exchanges import Exchange
from locum.sessions.stops import stopped

_FAILED = re.compile(r"\[(?:The command completed|Command finished) with exit code [1-9][0-9]*\.?\]|^ERROR:")
_CALL = re.compile(r"<function=([^>\s]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_RESULT = re.compile(r"EXECUTION RESULT of \[([^\]]*)\]:\n?")
_DESCRIBED = re.compile(r"You have access to the following functions:\s{1,4}---- BEGIN FUNCTION #1")
"""Where a system prompt begins to describe the tools, which stand beside it as well."""
_TASK = ("NEW TASK DESCRIPTION", "END OF NEW TASK DESCRIPTION")
"""Between lines with these words stands what the human said, after an example of the notation."""
_ANY = msgspec.json.Decoder()


def call_of(exchange: Exchange, number: int) -> tuple[Call | None, str | None]:
    """The call, or None where it was not answered; and a kind of record that has no rule, of which there is none.

    Raises:
        BadRecord: the request or the response is not valid.
    """
    request, response = exchange.request, exchange.response
    choices = response.get("choices") if response is not None else None
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    answer = choice.get("message")
    if response is None or not isinstance(answer, dict):
        return None, None
    reading = _Reading(tool_schemas(request.get("tools") or request.get("functions")))
    for message in request["messages"]:
        reading.add(message)
    sent = len(reading.conversation.messages)
    reading.add({**answer, "role": "assistant"})
    messages = reading.conversation.messages
    messages[-1] = with_signals(messages[-1], *stopped(choice.get("finish_reason")))
    reading.conversation.amend(time=exchange.time, usage=exchange.usage)
    model = response.get("model") or request.get("model")
    model = model if isinstance(model, str) and model else None
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    call = Call(
        number=number,
        messages=messages,
        sent=sent,
        tools=reading.tools,
        model=model,
        provider=provider_of(model),
        started=exchange.time,
        limit=limit,
    )
    return call, None


class _Reading:
    """The messages of one call, converted one after the other."""

    def __init__(self, tools: tuple[dict[str, Any], ...]) -> None:
        self.tools = tools
        self.conversation = Conversation(failed=lambda result: _FAILED.search(result) is not None)
        self._noted: list[str] = []
        """Calls in the text notation that have no result yet."""

    def add(self, raw: dict[str, Any]) -> None:
        """Add one message."""
        role, text = raw.get("role"), _plain(raw.get("content"))
        if role == "assistant" and not raw.get("tool_calls") and "<function=" in text:
            self._say(text)
        elif role == "user" and (found := _RESULT.match(text)) and self._noted:
            self.conversation.add({"role": "tool", "tool_call_id": self._noted.pop(0), "content": text[found.end() :]})
        elif role in ("tool", "function") and not self._awaited(raw):
            # The call is no longer in the history that was sent.
            self.conversation.add({"role": "user", "content": raw.get("content")})
            self.conversation.amend(origin="tool")
        elif role == "system" and self.tools and (described := _DESCRIBED.search(text)):
            self.conversation.add({"role": "system", "content": text[: described.start()].rstrip()})
        elif role == "user" and text.startswith("Here's a running example") and _TASK[1] in text:
            task = text[text.find(_TASK[0]) : text.rfind(_TASK[1])]
            self.conversation.add({"role": "user", "content": "\n".join(task.split("\n")[1:-1])})
        else:
            self.conversation.add(raw)

    def _awaited(self, raw: dict[str, Any]) -> bool:
        call = raw.get("tool_call_id")
        return self.conversation.awaits(call) if isinstance(call, str) and call else raw.get("role") == "function"

    def _say(self, text: str) -> None:
        calls: list[dict[str, Any]] = []
        for name, body in _CALL.findall(text):
            given = {key: self._value(name, key, value) for key, value in _parameters(body)}
            calls.append(
                {
                    "id": f"call_{len(self.conversation.messages)}_{len(calls)}",
                    "function": {"name": name, "arguments": given},
                }
            )
        self._noted += [str(call["id"]) for call in calls]
        self.conversation.add({"role": "assistant", "content": _CALL.sub("", text).strip(), "tool_calls": calls})

    def _value(self, name: str, key: str, text: str) -> Any:
        """A parameter's value: a text, unless the tool's schema says that it is something else."""
        text = text.removeprefix("\n").removesuffix("\n")
        if _type(self.tools, name, key) in (None, "string"):
            return text
        try:
            return decode(_ANY, text.strip().encode())
        except BadRecord:
            return text


def _parameters(body: str) -> Iterator[tuple[str, str]]:
    """The parameters of a call in the text notation; one that is not closed was not completed."""
    for piece in body.split("<parameter=")[1:]:
        key, named, rest = piece.partition(">")
        value, closed, _ = rest.partition("</parameter>")
        if named and closed:
            yield key, value


def _type(tools: tuple[dict[str, Any], ...], name: str, key: str) -> Any:
    for tool in tools:
        value: Any = tool.get("function")
        if isinstance(value, dict) and value.get("name") == name:
            for step in ("parameters", "properties", key, "type"):
                value = value.get(step) if isinstance(value, dict) else None
            return value
    return None


def _plain(content: Any) -> str:
    """A content that is text alone, as one text; else an empty one."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str)) if len(texts) == len(parts) else ""
