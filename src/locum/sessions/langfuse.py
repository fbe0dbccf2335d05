"""Langfuse's exports: observations, traces and scores as JSON, JSON lines, CSV or Parquet, in snake_case (blob storage)
or camelCase (interface and API).

Format: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields. Records are counted instead
of lines: one is an observation, a trace or a score. Legacy exports keep the three in files of their own; put together
in one file they are joined.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locum.sessions.jsonl import BadRecord, kind_of
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.sessions.request_log.exchanges import time_of
from locum.sessions.tracing import parquet
from locum.sessions.tracing.failures import Failure
from locum.sessions.tracing.messages import listed
from locum.sessions.tracing.payloads import LIMITS, asked_in, said_in
from locum.sessions.tracing.recorder import Recorder, Traced
from locum.sessions.tracing.records import numbered_records, parsed, samples
from locum.sessions.tracing.scores import Score
from locum.sessions.usage import usage_of

_AROUND = frozenset({"SPAN", "AGENT", "CHAIN"})
_STEPS = frozenset({"EVENT", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"})
_TYPES = _AROUND | _STEPS | {"GENERATION", "TOOL"}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TRACE = frozenset({"session_id", "user_id", "timestamp", "bookmarked", "public", "release"})
_PARTS = ("traces", "observations", "scores", "data", "trace")


class Langfuse:
    """Reader of Langfuse's exports."""

    name = "langfuse"

    def detects(self, head: bytes, path: Path) -> bool:
        """One observation, trace or score is enough."""
        if not any(mark in head for mark in (b"race_id", b"raceId", b"bservation", b"PAR1", b"ession")):
            return False
        records = (record for value in samples(head, path) for record in _unpacked(value))
        kinds = ("observation", "score", "new observation" if head.startswith(parquet.MAGIC) else "score")
        return any(_kind(record) in kinds or _is_trace(record) for record in records)

    def read(self, path: Path) -> FileReading:
        """One session for every conversation: its longest generation with the output of it."""
        ledger = Ledger(path)
        recorder = Recorder(path, self.name, ledger)
        for number, record in numbered_records(path, ledger, _unpacked):
            record = _snake(record) if isinstance(record, dict) else record
            try:
                _take(record, number, recorder, ledger)
            except BadRecord as reason:
                ledger.bad(number, str(reason))
        return FileReading(str(path), self.name, recorder.sessions(), ledger.lines())


def _take(record: Any, number: int, recorder: Recorder, ledger: Ledger) -> None:
    kind = _kind(record)
    if kind == "score":
        recorder.score(_score(record, number))
    elif kind == "trace":
        _take_trace(record, number, recorder, ledger)
    elif kind == "observation":
        _take_observation(record, number, recorder, ledger)
    elif kind == "new observation":
        ledger.unknown(number, f"observation: {kind_of(record)}")
    else:
        ledger.unknown(number, "(no observation, trace or score)")


def _take_trace(record: dict[str, Any], number: int, recorder: Recorder, ledger: Ledger) -> None:
    trace = _text(record.get("id"))
    recorder.belongs(trace, record.get("session_id"))
    recorder.root(trace, trace)
    for score in _scores_beside(record, number, trace=trace):
        recorder.score(score)
    around = _around(record, number, trace)
    if around is None:
        ledger.noise(number, "trace")
    else:
        recorder.take(around)


def _take_observation(record: dict[str, Any], number: int, recorder: Recorder, ledger: Ledger) -> None:
    kind, trace, id = record["type"], _text(record.get("trace_id")), _text(record.get("id"))
    recorder.belongs(trace, record.get("session_id"))
    if kind != "GENERATION" and not record.get("parent_observation_id"):
        recorder.root(id, trace)
    for score in _scores_beside(record, number, call=id):
        recorder.score(score)
    if kind == "GENERATION":
        generation = _generation(record, number)
        if generation is None:
            failed = record.get("level") == "ERROR"
            ledger.noise(number, "failed call" if failed else "call without content")
        else:
            recorder.take(generation)
    elif kind == "TOOL" and record.get("level") == "ERROR":
        name = _text(record.get("name"))
        recorder.tool_failed(Failure(number, trace, _tool_call(record), name, record.get("input")))
    elif kind in _AROUND and (around := _around(record, number, trace)) is not None:
        recorder.take(around)
    else:
        ledger.noise(number, f"step: {kind.lower()}")


def _generation(record: dict[str, Any], number: int) -> Traced | None:
    asked, said = asked_in(record.get("input")), said_in(record.get("output"))
    called = [call for one in listed(record.get("tool_calls")) if isinstance(call := parsed(one), dict)]
    messages = said.messages if said is not None else []
    if not messages and called:
        messages = [{"role": "assistant", "tool_calls": called}]
    if not messages:
        return None
    parameters = _mapping(record.get("model_parameters"))
    tools = record.get("tool_definitions")
    tools = tools if _mapping(tools) or listed(tools) else parameters.get("tools")
    limits = [parameters.get(limit) for limit in LIMITS]
    return Traced(
        number=number,
        asked=asked.messages if asked is not None else [],
        said=messages,
        id=_text(record.get("id")),
        trace=_text(record.get("trace_id")),
        conversation=_text(record.get("session_id")),
        time=time_of(record.get("start_time")),
        tools=tools or (asked.tools if asked is not None else None),
        model=record.get("provided_model_name") or record.get("model"),
        limit=next((limit for limit in (*limits, asked.limit if asked is not None else None) if limit), None),
        reason=said.reason if said is not None else None,
        failed=record.get("level") == "ERROR",
        usage=usage_of(_mapping(record.get("usage_details")) or _mapping(record.get("usage")), _cost(record)),
    )


def _cost(record: dict[str, Any]) -> Any:
    whole = next((record[key] for key in ("total_cost", "calculated_total_cost") if record.get(key)), None)
    return whole or _mapping(record.get("cost_details")).get("total")


def _around(record: dict[str, Any], number: int, trace: str) -> Traced | None:
    """What went into a trace or a step around calls, where it is messages by its shape."""
    try:
        asked, said = asked_in(record.get("input")), said_in(record.get("output"))
    except BadRecord:
        return None  # shortened for the overview; the calls themselves are whole
    if asked is None or said is None or not (asked.chat and said.chat):
        return None
    return Traced(
        number=number,
        asked=asked.messages,
        said=said.messages,
        id=_text(record.get("id")),
        trace=trace,
        conversation=_text(record.get("session_id")),
        time=time_of(record.get("start_time") or record.get("timestamp")),
        tools=asked.tools,
        reason=said.reason,
        failed=record.get("level") == "ERROR",
        outer=True,
    )


def _tool_call(record: dict[str, Any]) -> str:
    """The id of the call that a tool's observation is of, where an instrumentation wrote it down."""
    metadata = _mapping(record.get("metadata"))
    holders = (metadata, _mapping(metadata.get("attributes")), _mapping(record.get("input")))
    names = ("tool_call_id", "gen_ai.tool.call.id", "toolCallId", "tool_use_id")
    return next((text for holder in holders for name in names if (text := _text(holder.get(name)))), "")


def _score(record: dict[str, Any], number: int) -> Score:
    label = record.get("string_value")
    value = record.get("value")
    if not label and isinstance(value, str):
        label = value  # categories stand there in the API's version
    return Score(
        number=number,
        name=_text(record.get("name")),
        value=value,
        label=label if isinstance(label, str) else None,
        source=_text(record.get("source")),
        call=_text(record.get("observation_id")),
        trace=_text(record.get("trace_id")),
        conversation=_text(record.get("session_id")),
    )


def _scores_beside(record: dict[str, Any], number: int, *, call: str = "", trace: str = "") -> Iterator[Score]:
    """The scores in a column of their own: {name: value or values}."""
    scores = parsed(record.get("scores"))
    for name, values in scores.items() if isinstance(scores, dict) else ():
        for value in values if isinstance(values, list) else [values]:
            label = value if isinstance(value, str) else None
            yield Score(number=number, name=name, value=value, label=label, call=call, trace=trace, own=False)


def _unpacked(value: Any) -> Iterator[Any]:
    """The records in one value of a file; those inside of a trace know that it is theirs."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += reversed(one)
            continue
        found: list[Any] = []
        parts = _PARTS if isinstance(one, dict) and "id" not in one else _PARTS[1:3]
        for key in parts if isinstance(one, dict) and "type" not in one else ():
            held = one.get(key)
            if isinstance(held, dict) and key in ("trace", "data"):
                found.append(held)
            elif isinstance(held, list) and all(isinstance(inner, dict) for inner in held):
                found += [_of_trace(inner, one) for inner in held] if "id" in one else held
        if not found:
            yield one
            continue
        if "id" in one:
            yield {key: held for key, held in one.items() if key not in ("observations", "scores")}
        pending += reversed(found)


def _of_trace(inner: dict[str, Any], trace: dict[str, Any]) -> dict[str, Any]:
    return inner if inner.get("traceId") or inner.get("trace_id") else {**inner, "trace_id": trace["id"]}


def _kind(record: Any) -> str:
    """What a record is, empty where it is nothing of Langfuse's."""
    if not isinstance(record, dict):
        return ""
    record = _snake(record)
    kind = record.get("type")
    if isinstance(kind, str) and record.keys() & {"parent_observation_id", "trace_id"} and "start_time" in record:
        return "observation" if kind in _TYPES else "new observation"
    if "type" in record or "name" not in record:
        return ""
    if record.keys() & {"value", "string_value"} and record.keys() & {"trace_id", "observation_id", "session_id"}:
        return "score" if record.keys() & {"data_type", "source", "config_id"} else ""
    return "trace" if "id" in record and record.keys() & _TRACE else ""


def _is_trace(record: Any) -> bool:
    """Whether a record is a trace beyond doubt: of others' logs some have an id, a name and a time as well."""
    if _kind(record) != "trace":
        return False
    return len(_snake(record).keys() & (_TRACE | {"input", "output", "environment", "tags"})) > 4


def _snake(record: dict[str, Any]) -> dict[str, Any]:
    return {_HUMP.sub("_", key).lower() if isinstance(key, str) else key: value for key, value in record.items()}


def _mapping(value: Any) -> dict[str, Any]:
    try:
        value = parsed(value)
    except BadRecord:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
