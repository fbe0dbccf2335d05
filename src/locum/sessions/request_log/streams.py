"""Streamed responses: server-sent events of either dialect, merged to the response that they are pieces of.

Formats: https://docs.anthropic.com/en/api/messages-streaming and OpenAI's chat.completion.chunk.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from locum.sessions.jsonl import BadRecord, decode

_ANY = msgspec.json.Decoder()


def stream_events(text: str) -> Iterator[dict[str, Any]]:
    """The events of a stream's text; what is no JSON object (`[DONE]`, a last line that is cut) is passed over."""
    for line in text.splitlines():
        if line.startswith("data:"):
            try:
                event = decode(_ANY, line[5:].strip().encode())
            except BadRecord:
                continue
            if isinstance(event, dict):
                yield event


def merged(events: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The response that a stream's events are pieces of, or None where they are of none.

    A stream that ends before its end was stopped; its response has no reason to stop.
    """
    listed = list(events)
    if any("choices" in event for event in listed):
        return _merged_chunks(listed)
    if any(event.get("type") == "message_start" for event in listed):
        return _merged_blocks(listed)
    return next((event for event in listed if event.get("type") in ("message", "error")), None)


def _merged_blocks(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Anthropic's: blocks that start, grow and stop."""
    message: dict[str, Any] = {}
    blocks: dict[Any, dict[str, Any]] = {}
    grown: dict[Any, str] = {}
    for event in events:
        index = event.get("index")
        index = index if isinstance(index, int) else None
        delta = event.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        match event.get("type"):
            case "message_start" if isinstance(event.get("message"), dict):
                message = dict(event["message"])
            case "content_block_start" if isinstance(event.get("content_block"), dict):
                blocks[index] = dict(event["content_block"])
            case "content_block_delta" if index in blocks:
                if isinstance(delta.get("text"), str):
                    blocks[index]["text"] = str(blocks[index].get("text") or "") + delta["text"]
                elif isinstance(delta.get("partial_json"), str):
                    grown[index] = grown.get(index, "") + delta["partial_json"]
            case "message_delta":
                message.update({key: value for key, value in delta.items() if value is not None})
                if isinstance(event.get("usage"), dict) and isinstance(message.get("usage"), dict):
                    message["usage"] = message["usage"] | event["usage"]
    for index, text in grown.items():
        blocks[index]["input"] = text
    return {**message, "type": "message", "content": [blocks[index] for index in sorted(blocks, key=_order)]}


def _merged_chunks(events: list[dict[str, Any]]) -> dict[str, Any]:
    """OpenAI's: pieces of the first choice's text and calls."""
    response: dict[str, Any] = {}
    content = ""
    reason: Any = None
    calls: dict[Any, dict[str, Any]] = {}
    for event in events:
        response = {**{key: event[key] for key in ("id", "model", "created") if key in event}, **response}
        if isinstance(event.get("usage"), dict):  # on the last one, which has no choices
            response["usage"] = event["usage"]
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        reason = choice.get("finish_reason") or reason
        delta = choice.get("delta", choice.get("message"))
        if not isinstance(delta, dict):
            continue
        if isinstance(delta.get("content"), str):
            content += delta["content"]
        pieces = delta.get("tool_calls")
        for piece in pieces if isinstance(pieces, list) else []:
            if isinstance(piece, dict):
                _grow(calls, piece)
    message = {"role": "assistant", "content": content, "tool_calls": [calls[at] for at in sorted(calls, key=_order)]}
    return {**response, "choices": [{"message": message, "finish_reason": reason}]}


def _grow(calls: dict[Any, dict[str, Any]], piece: dict[str, Any]) -> None:
    at = piece.get("index")
    call = calls.setdefault(
        at if isinstance(at, int) else None, {"id": None, "function": {"name": "", "arguments": ""}}
    )
    call["id"] = call["id"] or piece.get("id")
    function = piece.get("function")
    if isinstance(function, dict):
        for key in ("name", "arguments"):
            if isinstance(function.get(key), str):
                call["function"][key] += function[key]


def _order(index: Any) -> int:
    return index if isinstance(index, int) else -1
