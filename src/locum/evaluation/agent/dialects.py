"""A prompt as the agent's provider takes it, and what the provider answers as Locum's own: pure functions of values.

OpenAI's chat completions: https://platform.openai.com/docs/api-reference/chat
Anthropic's messages: https://docs.anthropic.com/en/api/messages
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from locum.types import Message, ToolCall

NO_RESULT = "(no result)"
"""Stands where the log holds a call and not what came of it: providers refuse a call without a result."""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the agent answered."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Literal["stop", "length", "refusal"] = "stop"
    """`length`: the cap on tokens ended it; `refusal`: the provider's own filter did."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    """Both as the provider counts them."""


class Dialect(Protocol):
    """How one provider's API is spoken."""

    path: str
    """Below the base address."""

    def request(
        self, model: str, prompt: Sequence[Message], tools: Sequence[dict[str, Any]], max_tokens: int
    ) -> dict[str, Any]:
        """The body of the request. No temperature is given: the agent answers as it does by default."""
        ...

    def reply(self, body: Any) -> Reply:
        """What the body of an answer says, decoded from JSON.

        Raises:
            msgspec.ValidationError: it is no answer.
        """
        ...


def paired(prompt: Sequence[Message]) -> list[Message]:
    """The messages with every call followed by its result, under ids of one pattern: providers refuse anything else.

    A result whose call is not in the prompt is what the user's side said.
    """
    found: list[Message] = []
    waiting: list[tuple[str, str]] = []
    count = 0

    def settle() -> None:
        found.extend(Message("tool", NO_RESULT, tool_call_id=id_) for _, id_ in waiting)
        waiting.clear()

    for message in prompt:
        if message.role == "tool" and waiting:
            at = next((at for at, (old, _) in enumerate(waiting) if old == message.tool_call_id), 0)
            found.append(msgspec.structs.replace(message, tool_call_id=waiting.pop(at)[1], tool_name=None))
            continue
        settle()
        if message.role == "tool":
            message = Message("user", message.content, origin="tool")
        elif message.tool_calls:
            calls = []
            for call in message.tool_calls:
                waiting.append((call.id, f"call_{count}"))
                calls.append(msgspec.structs.replace(call, id=f"call_{count}"))
                count += 1
            message = msgspec.structs.replace(message, tool_calls=tuple(calls))
        found.append(message)
    settle()
    return found


class _Function(msgspec.Struct, frozen=True):
    name: str
    arguments: str | None = None


class _Call(msgspec.Struct, frozen=True):
    function: _Function


class _Said(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: tuple[_Call, ...] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Said
    finish_reason: str | None = None


class _Tokens(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...]
    usage: _Tokens | None = None


class OpenAI:
    """Chat completions, which many servers speak."""

    path = "/chat/completions"

    def request(
        self, model: str, prompt: Sequence[Message], tools: Sequence[dict[str, Any]], max_tokens: int
    ) -> dict[str, Any]:
        """See `Dialect.request`."""
        from locum.runtime.llamacpp import message_for_server  # only here: it loads what `locum forget` does without

        body: dict[str, Any] = {
            "model": model,
            "messages": [message_for_server(message) for message in paired(prompt)],
            "max_completion_tokens": max_tokens,
        }
        if functions := _functions(tools):
            body["tools"] = [{"type": "function", "function": function} for function in functions]
        return body

    def reply(self, body: Any) -> Reply:
        """See `Dialect.reply`."""
        answer = msgspec.convert(body, _Completion)
        if not answer.choices:
            raise msgspec.ValidationError("an answer without a choice")
        choice, used = answer.choices[0], answer.usage or _Tokens()
        said = choice.message
        ended: dict[str | None, Literal["length", "refusal"]] = {"length": "length", "content_filter": "refusal"}
        return Reply(
            text=said.content or "",
            tool_calls=tuple(
                ToolCall(f"call_{at}", call.function.name, _arguments(call.function.arguments))
                for at, call in enumerate(said.tool_calls or ())
            ),
            finish="refusal" if said.refusal else ended.get(choice.finish_reason, "stop"),
            prompt_tokens=used.prompt_tokens,
            answer_tokens=used.completion_tokens,
        )


class _Block(msgspec.Struct, frozen=True):
    type: str
    text: str = ""
    name: str = ""
    input: dict[str, Any] = {}


class _Used(msgspec.Struct, frozen=True):
    input_tokens: int = 0
    output_tokens: int = 0


class _Answer(msgspec.Struct, frozen=True):
    content: tuple[_Block, ...]
    stop_reason: str | None = None
    usage: _Used | None = None


class Anthropic:
    """The Messages API."""

    path = "/v1/messages"

    def request(
        self, model: str, prompt: Sequence[Message], tools: Sequence[dict[str, Any]], max_tokens: int
    ) -> dict[str, Any]:
        """See `Dialect.request`."""
        turns: list[dict[str, Any]] = []
        for message in paired(prompt):
            role = "assistant" if message.role == "assistant" else "user"
            blocks = _blocks(message)
            if message.role == "system" or not blocks:
                continue
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += blocks
            else:
                turns.append({"role": role, "content": blocks})
        body: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "messages": turns}
        system = "\n\n".join(message.content for message in prompt if message.role == "system")
        if system.strip():
            body["system"] = system
        if functions := _functions(tools):
            body["tools"] = [
                {**_without_schema(function), "input_schema": function["parameters"]} for function in functions
            ]
        return body

    def reply(self, body: Any) -> Reply:
        """See `Dialect.reply`."""
        answer = msgspec.convert(body, _Answer)
        used = answer.usage or _Used()
        ended: dict[str | None, Literal["length", "refusal"]] = {"max_tokens": "length", "refusal": "refusal"}
        return Reply(
            text="\n".join(block.text for block in answer.content if block.type == "text"),
            tool_calls=tuple(
                ToolCall(f"call_{at}", block.name, block.input)
                for at, block in enumerate(block for block in answer.content if block.type == "tool_use")
            ),
            finish=ended.get(answer.stop_reason, "stop"),
            prompt_tokens=used.input_tokens,
            answer_tokens=used.output_tokens,
        )


DIALECTS: dict[str, Dialect] = {"openai": OpenAI(), "anthropic": Anthropic()}


def _functions(tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each tool's name, description and schema, however the log wrapped them; one without a name cannot be called."""
    found = []
    for tool in tools:
        function = tool.get("function", tool)
        if not isinstance(function, dict) or not function.get("name"):
            continue
        described = {"description": function["description"]} if function.get("description") else {}
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        found.append({"name": function["name"], **described, "parameters": parameters})
    return found


def _without_schema(function: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in function.items() if key != "parameters"}


def _blocks(message: Message) -> list[dict[str, Any]]:
    """A message as content blocks; text without a visible character is refused there, and left out."""
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}]
    said = [{"type": "text", "text": message.content}] if message.content.strip() else []
    return [
        *said,
        *(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            for call in message.tool_calls
        ),
    ]


def _arguments(text: str | None) -> dict[str, Any]:
    """Arguments, which come as JSON in a string; where that is no object, there are none."""
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
