"""LangSmith's exports: runs as JSON or JSON lines (its SDK, its interface, webhooks), as Parquet (bulk export) or CSV.

Format: https://docs.langchain.com/langsmith/run-data-format. Records are counted instead of lines: one is a run or a
feedback. Of tables, `inputs`, `outputs`, `extra` and `feedback_stats` are JSON in texts or structures.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locum.sessions.jsonl import BadRecord
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.sessions.request_log.exchanges import time_of
from locum.sessions.tracing.failures import Failure
from locum.sessions.tracing.payloads import LIMITS, asked_in, said_in
from locum.sessions.tracing.recorder import Recorder, Traced
from locum.sessions.tracing.records import numbered_records, parsed, samples
from locum.sessions.tracing.scores import Score
from locum.sessions.usage import usage_of

_STEPS = frozenset({"retriever", "prompt", "parser", "embedding"})
_HOLDERS = ("runs", "feedback", "feedbacks", "data")
_THREADS = ("thread_id", "session_id", "conversation_id")


class LangSmith:
    """Reader of LangSmith's exports."""

    name = "langsmith"

    def detects(self, head: bytes, path: Path) -> bool:
        """One run is enough."""
        if b"run_type" not in head and not head.startswith(b"PAR1"):
            return False
        return any(_is_run(record) for value in samples(head, path) for record in _unpacked(value))

    def read(self, path: Path) -> FileReading:
        """One session for every conversation: its longest run of a model with the output of it."""
        ledger = Ledger(path)
        recorder = Recorder(path, self.name, ledger)
        for number, record in numbered_records(path, ledger, _unpacked):
            try:
                if _is_run(record):
                    _take(record, number, recorder, ledger)
                elif _is_feedback(record):
                    recorder.score(_feedback(record, number))
                else:
                    ledger.unknown(number, "(no run)")
            except BadRecord as reason:
                ledger.bad(number, str(reason))
        return FileReading(str(path), self.name, recorder.sessions(), ledger.lines())


def _take(run: dict[str, Any], number: int, recorder: Recorder, ledger: Ledger) -> None:
    kind, id = run["run_type"], _text(run.get("id")) or _text(run.get("run_id"))
    trace = _text(run.get("trace_id")) or _text(run.get("dotted_order"))[:60].partition(".")[0]
    recorder.belongs(trace, _thread(run))
    if kind != "llm" and not run.get("parent_run_id"):
        recorder.root(id, trace)
    for score in _statistics(run, number, id, trace):
        recorder.score(score)
    failed = bool(run.get("error")) or run.get("status") == "error"
    if kind == "llm":
        call = _call(run, number, id, trace)
        if call is None:
            ledger.noise(number, "failed call" if failed else "call without content")
        else:
            recorder.take(call)
    elif kind == "tool":
        if failed:
            inputs = _mapping(run.get("inputs"))
            given = inputs["input"] if inputs.keys() == {"input"} and isinstance(inputs["input"], str) else inputs
            recorder.tool_failed(Failure(number, trace, _tool_call(run), _text(run.get("name")), given))
        else:
            ledger.noise(number, "step: tool")
    elif kind == "chain":
        around = _call(run, number, id, trace, outer=True)
        if around is None:
            ledger.noise(number, "step: chain")
        else:
            recorder.take(around)
    elif kind in _STEPS:
        ledger.noise(number, f"step: {kind}")
    else:
        ledger.unknown(number, f"run type: {kind[:40]}")


def _call(run: dict[str, Any], number: int, id: str, trace: str, *, outer: bool = False) -> Traced | None:
    asked, said = asked_in(run.get("inputs")), said_in(run.get("outputs"))
    if said is None or (outer and (asked is None or not (asked.chat and said.chat))):
        return None
    messages = said.messages
    if outer and asked is not None and len(messages) > len(asked.messages):
        # A graph's output is its whole state, what went in included.
        count = len(asked.messages)
        messages = messages[count:] if _same(messages[:count], asked.messages) else messages
    extra, outputs = _mapping(run.get("extra")), _mapping(run.get("outputs"))
    metadata, parameters = _mapping(extra.get("metadata")), _mapping(extra.get("invocation_params"))
    models = (metadata.get("ls_model_name"), parameters.get("model"), parameters.get("model_name"))
    limits = (*(parameters.get(limit) for limit in LIMITS), metadata.get("ls_max_tokens"))
    return Traced(
        number=number,
        asked=asked.messages if asked is not None else [],
        said=messages,
        id=id,
        trace=trace,
        conversation=_thread(run),
        time=time_of(run.get("start_time")),
        tools=parameters.get("tools") or parameters.get("functions") or (asked.tools if asked is not None else None),
        model=next((model for model in (*models, outputs.get("model")) if model), None),
        limit=next((limit for limit in (*limits, asked.limit if asked is not None else None) if limit), None),
        reason=said.reason,
        failed=bool(run.get("error")) or run.get("status") == "error",
        usage=None if outer else usage_of(run, run.get("total_cost")),
        outer=outer,
    )


def _same(some: list[Any], others: list[Any]) -> bool:
    """Whether messages are the same ones, in whichever of the two serialisations either stands."""
    return [_content(one) for one in some] == [_content(one) for one in others]


def _content(message: Any) -> Any:
    inner = _mapping(message).get("kwargs", _mapping(message).get("data"))
    return _mapping(inner if inner is not None else message).get("content", message)


def _thread(run: dict[str, Any]) -> str:
    """The conversation that a run is part of. Its own `session_id` is the project's."""
    if text := _text(run.get("thread_id")):
        return text
    metadata = _mapping(_mapping(run.get("extra")).get("metadata")) or _mapping(run.get("metadata"))
    return next((text for key in _THREADS if (text := _text(metadata.get(key)))), "")


def _tool_call(run: dict[str, Any]) -> str:
    """The id of the call that a tool's run is of, where LangChain wrote it down."""
    outputs = _mapping(run.get("outputs"))
    output = _mapping(outputs.get("output"))
    extra = _mapping(run.get("extra"))
    inside = (output, _mapping(output.get("kwargs")))
    holders = (_mapping(run.get("inputs")), *inside, outputs, extra, _mapping(extra.get("metadata")))
    return next((text for holder in holders if (text := _text(holder.get("tool_call_id")))), "")


def _feedback(record: dict[str, Any], number: int) -> Score:
    source = record.get("feedback_source")
    value = record.get("value")
    label = value if isinstance(value, str) else None
    # Who wrote down what it should have said has said that it should not have said this.
    label = "incorrect" if record.get("correction") else label
    score = record.get("score")
    return Score(
        number=number,
        name=record["key"],
        value=score if score is not None else value,
        label=label,
        source=_text(_mapping(source).get("type")) or _text(source),
        call=_text(record.get("run_id")),
        trace=_text(record.get("trace_id")),
    )


def _statistics(run: dict[str, Any], number: int, call: str, trace: str) -> Iterator[Score]:
    """The feedback that a run carries: {key: {"n", "avg", "values": {label: count}}}."""
    for key, about in _mapping(run.get("feedback_stats")).items():
        values = _mapping(_mapping(about).get("values"))
        label = next(iter(values)) if len(values) == 1 else None
        average = _mapping(about).get("avg")
        if average is not None or label is not None:
            yield Score(number=number, name=key, value=average, label=label, call=call, trace=trace, own=False)


def _unpacked(value: Any) -> Iterator[Any]:
    """The runs and feedbacks in one value of a file, those below a run included."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += reversed(one)
        elif (
            isinstance(one, dict) and "run_type" not in one and any(isinstance(one.get(key), list) for key in _HOLDERS)
        ):
            pending += [held for key in reversed(_HOLDERS) if isinstance(held := one.get(key), list)]
        else:
            yield one
            below = one.get("child_runs") if isinstance(one, dict) else None
            pending += reversed(below) if isinstance(below, list) else ()


def _is_run(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("run_type"), str):
        return False
    return bool(record.keys() & {"inputs", "outputs", "trace_id", "dotted_order"})


def _is_feedback(record: Any) -> bool:
    own = isinstance(record, dict) and isinstance(record.get("key"), str) and "run_id" in record
    return own and bool(record.keys() & {"score", "value", "correction"})


def _mapping(value: Any) -> dict[str, Any]:
    try:
        value = parsed(value)
    except BadRecord:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
