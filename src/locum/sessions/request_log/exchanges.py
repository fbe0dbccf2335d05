"""Where in a record the request and the response are."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from locum.sessions.jsonl import BadRecord, decode, utc
from locum.sessions.request_log.streams import merged, stream_events
from locum.sessions.usage import usage_of
from locum.types import Usage

_REQUESTS = ("request", "request_body")
_RESPONSES = ("response", "response_body")
_OPTIONS = ("kwargs", "model_parameters", "optional_params")
"""Where LiteLLM and its users put what is not a message."""
_TIMES = ("timestamp", "startTime", "start_time", "created_at", "logged_at", "time")
_COSTS = ("response_cost", "cost", "spend")
"""Where LiteLLM and its users put US dollars."""
_WRAPPINGS = 6
_ANY = msgspec.json.Decoder()


class Exchange(msgspec.Struct, frozen=True):
    """One call: what was sent, and what came back."""

    request: dict[str, Any]
    """With the options that stood beside it, where it has none of that name itself."""
    response: dict[str, Any] | None
    """None where nothing came back."""
    time: str | None
    usage: Usage | None = None


def exchange_of(record: Any) -> Exchange | str | None:
    """The call that a record holds; the kind of noise where it is a call of something else; None where it is none.

    Raises:
        BadRecord: it has a request or response that is no valid JSON or stream.
    """
    if not isinstance(record, dict) or not any(key in record for key in _RESPONSES):
        return None
    wrapped = next((record[key] for key in _REQUESTS if key in record), None)
    request = record if wrapped is None else _body(wrapped)
    if not isinstance(request, dict):
        return "another endpoint" if _is_http(wrapped) else None
    # Where a harness rewrote the messages for a model without tools, those before are kept as well.
    raw = request.get("raw_messages")
    messages = raw if isinstance(raw, list) and raw else request.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        if isinstance(request.get("input"), str | list) and wrapped is not None:
            return "call of the Responses API"  # its history may be on the server
        return "another endpoint" if _is_http(wrapped) else None
    if not messages or "role" not in messages[0]:
        return None
    options: dict[str, Any] = {}
    for holder in (*(request.get(key) for key in _OPTIONS), request):
        if isinstance(holder, dict):
            options.update({key: value for key, value in holder.items() if value is not None})
    response = _body(next(record[key] for key in _RESPONSES if key in record))
    answer = {"choices": [{"message": {"content": response}}]} if isinstance(response, str) else response
    time = next((time for key in _TIMES if (time := time_of(record.get(key))) is not None), None)
    if time is None and isinstance(wrapped, dict):
        time = time_of(wrapped.get("timestamp"))
    if time is None and isinstance(answer, dict):
        time = time_of(answer.get("created"))
    if not isinstance(answer, dict):
        return Exchange({**options, "messages": messages}, None, time)
    cost = next((record[key] for key in _COSTS if key in record), None)
    return Exchange({**options, "messages": messages}, answer, time, usage_of(answer.get("usage"), cost))


def _body(value: Any) -> Any:
    """A body without its wrapping: of an HTTP message, of a text, of a stream.

    Raises:
        BadRecord: it is a text that looks like JSON and is none.
    """
    for _ in range(_WRAPPINGS):
        if isinstance(value, dict):
            inner = value.get("body", value.get("body_raw"))
            if inner is None:
                return value
            value = inner
        elif isinstance(value, list):
            return merged(event for event in value if isinstance(event, dict))
        elif isinstance(value, str) and value.lstrip().startswith(("event:", "data:")):
            return merged(stream_events(value.lstrip()))
        elif isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            value = decode(_ANY, value.encode())
        else:
            return value
    raise BadRecord("wrapped too deeply")


def _is_http(wrapped: Any) -> bool:
    return isinstance(wrapped, dict) and ("url" in wrapped or "method" in wrapped)


def time_of(value: Any) -> str | None:
    """A time, as text or in seconds or milliseconds since 1970, as `utc` writes it; None where it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return utc(value)
    try:
        time = datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return utc(time.isoformat())
