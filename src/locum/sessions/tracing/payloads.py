"""Where in what went into a call and what came out of it the messages are: tracers record the arguments and results of
whatever function they wrapped."""

from typing import Any

import msgspec

from locum.sessions.tracing.messages import is_message, listed
from locum.sessions.tracing.records import parsed

_DEPTH = 5
_HELD = ("messages", "contents", "chat_history", "input", "prompts", "prompt", "question", "query")
_SAID = ("choices", "generations", "candidates", "output", "outputs", "messages", "message", "response", "completion")
_INSTRUCTIONS = ("system", "instructions", "system_instruction", "system_prompt")


class Asked(msgspec.Struct, frozen=True):
    """What went into a call."""

    messages: list[Any]
    """Messages of any dialect, or texts of a human."""
    tools: Any = None
    limit: Any = None
    """Tokens that the answer was allowed."""
    chat: bool = True
    """They are messages by their shape; else a text or an object that stands for one."""


class Said(msgspec.Struct, frozen=True):
    """What came out of a call."""

    messages: list[Any]
    """Messages of any dialect, or texts of the model."""
    reason: str | None = None
    """Why it stopped, in the provider's words."""
    chat: bool = True
    """As of `Asked`."""


def asked_in(value: Any) -> Asked | None:
    """The messages that went into a call, or None where there is nothing that could be one.

    Raises:
        BadRecord: a text of JSON is cut.
    """
    return _asked(value, 0)


def said_in(value: Any) -> Said | None:
    """The messages that came out of a call, or None where there is nothing that could be one.

    Raises:
        BadRecord: a text of JSON is cut.
    """
    return _said(value, 0)


def _asked(value: Any, depth: int) -> Asked | None:
    value = parsed(value)
    if isinstance(value, str):
        return Asked([value], chat=False) if value.strip() else None
    if isinstance(value, list):
        while len(value) == 1 and isinstance(value[0], list):
            value = value[0]  # a batch of one
        if not value or not all(isinstance(one, str) or is_message(one) for one in value):
            return None
        return Asked(value, chat=any(is_message(one) for one in value))
    if not isinstance(value, dict) or depth > _DEPTH:
        return None
    if is_message(value):
        return Asked([value])
    for key in _HELD:
        inner = _asked(value.get(key), depth + 1)
        if inner is not None:
            before = [{"role": "system", "content": value[one]} for one in _INSTRUCTIONS if value.get(one)]
            config = value.get("config")
            options = {**(config if isinstance(config, dict) else {}), **value}
            return Asked(
                [*before[:1], *inner.messages],
                inner.tools or options.get("tools") or options.get("functions"),
                next((options[one] for one in LIMITS if options.get(one) is not None), inner.limit),
                inner.chat,
            )
    return None


def _said(value: Any, depth: int) -> Said | None:
    value = parsed(value)
    if isinstance(value, str):
        return Said([value], chat=False) if value.strip() else None
    if isinstance(value, list):
        while len(value) == 1 and isinstance(value[0], list):
            value = value[0]
        if value and all(is_message(one) for one in value):
            return Said(value)
        return _said(value[0], depth + 1) if len(value) == 1 and depth < _DEPTH else None
    if not isinstance(value, dict) or depth > _DEPTH:
        return None
    reason = _reason(value)
    if is_message(value) and ("output" not in value or value.get("type") != "response"):
        return Said([value], reason)
    for key in _SAID:
        given = value.get(key)
        if key in ("choices", "generations", "candidates"):
            given = _first(listed(given))
        inner = _said(given, depth + 1)
        if inner is not None:
            return Said(inner.messages, inner.reason or reason, inner.chat)
    text = next((value[key] for key in ("content", "text", "answer") if value.get(key)), None)
    if text is None and not listed(value.get("tool_calls")):
        return None
    return Said([{**value, "role": "assistant", "content": text}], reason, isinstance(value.get("content"), str | list))


def _first(choices: list[Any]) -> Any:
    """The first choice; its siblings were never answered to."""
    first = choices[0] if choices else None
    while isinstance(first, list):
        first = first[0] if first else None
    if isinstance(first, dict) and isinstance(first.get("content"), dict):
        return {**first["content"], "finish_reason": first.get("finish_reason") or first.get("finishReason")}
    return first


LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens", "maxTokens", "max_tokens_to_sample")
"""How the tokens that an answer may have are called."""


def _reason(value: dict[str, Any]) -> str | None:
    kwargs = value.get("kwargs")
    holders = [value, value.get("generation_info"), value.get("response_metadata")]
    holders += [kwargs.get("response_metadata")] if isinstance(kwargs, dict) else []
    for holder in holders:
        for key in ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason"):
            reason = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(reason, str):
                return reason
    return None
