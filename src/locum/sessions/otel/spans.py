"""Spans and log records out of every layout in which they are exported.

OTLP as JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): {"resourceSpans": [{"scopeSpans":
[{"spans": [...]}]}]} with attributes as a list of keys and typed values, {"resourceLogs": ...} the same for events.
Plain spans have attributes as an object: the SDKs' console exporters, Phoenix's REST interface and its data frames
({"context.trace_id", "attributes.llm.input_messages", ...}). An object of nothing but attributes is a span as well.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from locum.sessions.jsonl import MAX_DEPTH, BadRecord
from locum.sessions.request_log.exchanges import time_of
from locum.sessions.tracing.records import parsed

_TYPED = ("stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue")
_SNAKE = {
    "resource_spans": "resourceSpans",
    "resource_logs": "resourceLogs",
    "scope_spans": "scopeSpans",
    "scope_logs": "scopeLogs",
    "instrumentationLibrarySpans": "scopeSpans",
    "log_records": "logRecords",
}
_LISTS = ("resourceSpans", "resourceLogs", "scopeSpans", "scopeLogs", "spans", "logRecords", "data", "traces")
"""Keys under which lists of spans, or of what holds them, stand."""
_OWN = ("gen_ai.", "openinference.", "llm.", "input.value", "traceloop.")
_PHOENIX = "attributes."
_LATEST = 2**63
"""Nanoseconds since 1970 that are no time any more."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened within a span, or was logged for it."""

    name: str
    attributes: dict[str, Any]
    body: Any = None


class Span(msgspec.Struct):
    """One span; of a log record whose span is not in the file, a span of its own."""

    number: int
    """Of its record."""
    id: str = ""
    trace: str = ""
    parent: str = ""
    name: str = ""
    time: str | None = None
    attributes: dict[str, Any] = {}
    """With dotted names, as they were set."""
    events: list[Event] = []
    failed: bool = False
    annotations: list[dict[str, Any]] = []


def unpacked(value: Any) -> Iterator[Any]:
    """The spans, log records and annotations in one value of a file, raw; anything else as it is."""
    pending = [value]
    while pending:
        one = pending.pop()
        inner: list[Any] = []
        if isinstance(one, dict) and "attributes" not in one:
            one = {_SNAKE.get(key, key): held for key, held in one.items()} if one.keys() & _SNAKE.keys() else one
            inner = [item for key in _LISTS if isinstance(one.get(key), list) for item in one[key]]
        elif isinstance(one, dict) and isinstance(one.get("spans"), list):
            inner = one["spans"]
        elif isinstance(one, list):
            inner = one
        if inner or (isinstance(one, dict) and any(one.get(key) == [] for key in _LISTS)):
            pending += reversed(inner)
        else:
            yield one


def is_span(raw: Any) -> bool:
    """Whether a raw record is a span or log record in one of the layouts."""
    if not isinstance(raw, dict):
        return False
    if isinstance(raw.get("attributes"), list | dict | str):
        return bool(raw.keys() & {"spanId", "span_id", "traceId", "trace_id", "context", "startTimeUnixNano", "events"})
    return any(isinstance(key, str) and key.startswith((*_OWN, _PHOENIX)) for key in raw)


def is_log(raw: Any) -> bool:
    """Whether a span or log record is the latter."""
    return "body" in raw or "eventName" in raw or "observedTimeUnixNano" in raw or "event_name" in raw


def span_of(raw: dict[str, Any], number: int) -> Span:
    """A raw span, or log record, which gets its event.

    Raises:
        BadRecord: it is nested too deeply.
    """
    context = _mapping(raw.get("context"))
    attributes = _attributes(raw)
    status = raw.get("status")
    code = _mapping(status).get("code", _mapping(status).get("status_code", raw.get("status_code", status)))
    span = Span(
        number=number,
        id=_id(raw.get("spanId"), raw.get("span_id"), context.get("span_id"), raw.get("context.span_id")),
        trace=_id(raw.get("traceId"), raw.get("trace_id"), context.get("trace_id"), raw.get("context.trace_id")),
        parent=_id(raw.get("parentSpanId"), raw.get("parent_span_id"), raw.get("parent_id")),
        name=raw["name"] if isinstance(raw.get("name"), str) else "",
        time=_time(raw),
        attributes=attributes,
        failed=code == 2 or (isinstance(code, str) and code.upper().endswith("ERROR")),
        annotations=[one for one in _list(raw.get("annotations")) if isinstance(one, dict)],
    )
    if "span_kind" in raw and "openinference.span.kind" not in attributes and not is_log(raw):
        attributes["openinference.span.kind"] = raw["span_kind"]
    if is_log(raw):
        span.events = [_logged(raw, attributes)]
    else:
        span.events = [*_events(raw.get("events")), *_events(attributes.get("events"))]
    return span


def _logged(raw: dict[str, Any], attributes: dict[str, Any]) -> Event:
    name = raw.get("eventName") or raw.get("event_name") or attributes.get("event.name")
    return Event(name if isinstance(name, str) else "", attributes, any_value(raw.get("body")))


def _events(raw: Any) -> Iterator[Event]:
    for event in _list(raw):
        if isinstance(event, dict):
            attributes = _attributes(event) if "attributes" in event else event
            name = event.get("name") or event.get("event.name")
            yield Event(name if isinstance(name, str) else "", attributes, any_value(event.get("body")))


def _attributes(raw: dict[str, Any]) -> dict[str, Any]:
    given = parsed(raw.get("attributes"))
    if isinstance(given, list):
        return _pairs(given, 0)
    if isinstance(given, dict):
        return _dotted(given)
    named = {key: value for key, value in raw.items() if value is not None and isinstance(key, str)}
    phoenix = {key.removeprefix(_PHOENIX): value for key, value in named.items() if key.startswith(_PHOENIX)}
    return phoenix or named


def _dotted(given: dict[str, Any]) -> dict[str, Any]:
    """Attributes with names as they were set, where an exporter made objects of the first steps of them."""
    flat: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, dict) and key in ("gen_ai", "llm", "openinference", "session", "input", "output", "tool"):
            for inner, held in value.items():
                if isinstance(held, dict) and key in ("gen_ai", "openinference"):
                    flat.update({f"{key}.{inner}.{last}": one for last, one in held.items()})
                else:
                    flat[f"{key}.{inner}"] = held
        else:
            flat[key] = value
    return flat


def any_value(raw: Any, depth: int = 0) -> Any:
    """A value of OTLP's in JSON's types; any other as it is.

    Raises:
        BadRecord: it is nested more than `MAX_DEPTH` deep.
    """
    if depth > MAX_DEPTH:
        raise BadRecord("nested too deeply")
    if not isinstance(raw, dict) or len(raw) > 1 or not any(kind in raw for kind in _TYPED):
        return raw
    kind, value = next(iter(raw.items()))
    match kind:
        case "arrayValue":
            return [any_value(one, depth + 1) for one in _list(_mapping(value).get("values"))]
        case "kvlistValue":
            return _pairs(_list(_mapping(value).get("values")), depth + 1)
        case "intValue" if isinstance(value, str):
            return int(value) if value.removeprefix("-").isdecimal() and len(value) < 20 else value
    return value


def _pairs(raw: list[Any], depth: int) -> dict[str, Any]:
    pairs = (pair for pair in raw if isinstance(pair, dict) and isinstance(pair.get("key"), str))
    return {pair["key"]: any_value(pair.get("value"), depth) for pair in pairs}


def _time(raw: dict[str, Any]) -> str | None:
    for key in ("startTimeUnixNano", "start_time_unix_nano", "timeUnixNano", "time_unix_nano", "observedTimeUnixNano"):
        nanoseconds = raw.get(key)
        if isinstance(nanoseconds, str) and nanoseconds.isdecimal() and len(nanoseconds) < 20:
            nanoseconds = int(nanoseconds)
        if isinstance(nanoseconds, int) and 0 < nanoseconds < _LATEST:
            return time_of(nanoseconds / 1e9)
    for key in ("start_time", "startTime", "timestamp"):
        value = raw.get(key)
        if isinstance(value, int) and 1e17 < value < _LATEST:
            value /= 1e9
        if (time := time_of(value)) is not None:
            return time
    return None


def _id(*candidates: Any) -> str:
    """The first that is an id; the SDK for Python writes them as hexadecimal numbers."""
    return next((one.removeprefix("0x") for one in candidates if isinstance(one, str) and one), "")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    value = parsed(value)
    return value if isinstance(value, list) else []
