"""Sessions from spans. Records are counted instead of lines: one is a span, log record or annotation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from locum.sessions.jsonl import BadRecord
from locum.sessions.ledger import Ledger
from locum.sessions.otel import genai, openinference
from locum.sessions.otel.genai import Messages
from locum.sessions.otel.spans import Span, is_log, is_span, span_of, unpacked
from locum.sessions.reader import FileReading
from locum.sessions.tracing.failures import Failure
from locum.sessions.tracing.messages import Unfamiliar
from locum.sessions.tracing.payloads import LIMITS
from locum.sessions.tracing.recorder import Recorder, Traced
from locum.sessions.tracing.records import numbered_records, samples
from locum.sessions.tracing.scores import Score
from locum.sessions.usage import usage_of
from locum.types import Usage

_CHUNK = 1 << 20
_LAYOUTS = (
    *(b"esourceSpans", b"esourceLogs", b"esource_spans", b"esource_logs", b"ttributes", b"spans"),
    *(b"gen_ai.", b"openinference", b"llm.", b"PAR1"),
)
"""Parts of what stands at the beginning of a file of any layout."""
_IDENTITY = ("gen_ai.conversation.id", "session.id", "gen_ai.thread.id", "traceloop.association.properties.session_id")
_ANSWERS = ("gen_ai.output.messages", "gen_ai.completion", "llm.output_messages", "output.value")
_MODELS = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name")
_USAGE = (
    {
        "input_tokens": "gen_ai.usage.input_tokens",
        "output_tokens": "gen_ai.usage.output_tokens",
        "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    },
    {"input_tokens": "gen_ai.usage.prompt_tokens", "output_tokens": "gen_ai.usage.completion_tokens"},
    {
        "input_tokens": "llm.token_count.prompt",
        "output_tokens": "llm.token_count.completion",
        "cached_input_tokens": "llm.token_count.prompt_details.cache_read",
    },
)
"""What a span calls the counts, by generation."""


class SpanReader:
    """What readers of spans share; they differ in the conventions that a file has to hold."""

    name: ClassVar[str]
    marks: ClassVar[tuple[bytes, ...]]

    def detects(self, head: bytes, path: Path) -> bool:
        """Spans or log records of any layout, and the conventions' names anywhere in the file: the first spans are
        often those of a web server."""
        if not any(layout in head for layout in _LAYOUTS):
            return False
        if not any(is_span(raw) for value in samples(head, path) for raw in unpacked(value)):
            return False
        return _mentions(path, self.marks)

    def read(self, path: Path) -> FileReading:
        """One session for every conversation: its longest call with the response to it."""
        ledger = Ledger(path)
        recorder = Recorder(path, self.name, ledger)
        seen: dict[tuple[str, str], int] = {}
        waiting: dict[tuple[str, str], Span] = {}  # calls without messages: those may have been logged beside them
        logs: list[Span] = []
        for number, raw in numbered_records(path, ledger, unpacked):
            if isinstance(raw, dict) and (score := _annotation(raw, number)) is not None:
                recorder.score(score)
                continue
            if not is_span(raw):
                ledger.unknown(number, "(no span)")
                continue
            try:
                span = span_of(raw, number)
            except BadRecord as reason:
                ledger.bad(number, str(reason))
                continue
            if is_log(raw):
                logs.append(span)
            elif not _is_own(span) and not span.annotations:
                recorder.belongs(span.trace, _conversation(span))
                ledger.noise(number, "span of something else")
            else:
                key = (span.trace, span.id or str(number))
                if key in seen:
                    ledger.noise(number, "span exported again")
                    continue
                seen[key] = number
                if _waits(span):
                    waiting[key] = span
                else:
                    _take(span, recorder, ledger)
        for log in logs:
            _join(log, seen, waiting)
        for span in waiting.values():
            _take(span, recorder, ledger)
        sessions = recorder.sessions()
        for log in logs:
            leader = seen[log.trace, log.id or str(log.number)]
            if leader != log.number:
                ledger.follow(leader, log.number)
        return FileReading(str(path), self.name, sessions, ledger.lines())


def _waits(span: Span) -> bool:
    called = openinference.kind_of(span) == "LLM" or genai.operation_of(span) in genai.CALLS
    told = any(event.name.startswith("gen_ai.") for event in span.events)
    return called and not told and not any(key.startswith(_ANSWERS) for key in span.attributes)


def _join(log: Span, seen: dict[tuple[str, str], int], waiting: dict[tuple[str, str], Span]) -> None:
    """Add a log record to its span if that waits for it, or to the others of a span that is not in the file."""
    key = (log.trace, log.id or str(log.number))
    if key not in seen:
        seen[key] = log.number
        waiting[key] = log
    elif key in waiting:
        waiting[key].events += log.events


def _take(span: Span, recorder: Recorder, ledger: Ledger) -> None:
    recorder.belongs(span.trace, _conversation(span))
    for annotation in span.annotations:
        score = _annotation({"span_id": span.id, "trace_id": span.trace, **annotation}, span.number, own=False)
        if score is not None:
            recorder.score(score)
    kind, operation = openinference.kind_of(span), genai.operation_of(span)
    if not span.parent and kind != "LLM" and operation not in genai.CALLS:
        recorder.root(span.id, span.trace)
    try:
        if kind == "TOOL" or operation == "execute_tool":
            if span.failed:
                recorder.tool_failed(_failure(span))
            else:
                ledger.noise(span.number, "tool span")
        elif kind in openinference.AGENTS or (not kind and operation in genai.AGENTS):
            messages = genai.messages_of(span) or openinference.payload_of(span)
            _take_call(span, messages, recorder, ledger, outer=True)
        elif kind == "LLM" or (not kind and operation in genai.CALLS):
            messages = genai.messages_of(span) if operation else None
            _take_call(span, messages or openinference.messages_of(span), recorder, ledger)
        elif kind in openinference.STEPS or operation in genai.STEPS:
            ledger.noise(span.number, f"step: {(kind or operation).lower()}")
        elif (messages := genai.messages_of(span)) is not None:
            _take_call(span, messages, recorder, ledger)
        elif kind or operation:
            ledger.unknown(span.number, f"span kind: {(kind or operation)[:40]}")
        else:
            ledger.noise(span.number, "span of something else")
    except Unfamiliar as reason:
        ledger.unknown(span.number, str(reason))
    except BadRecord as reason:
        ledger.bad(span.number, str(reason))


def _failure(span: Span) -> Failure:
    def first(*names: str) -> Any:
        return next((span.attributes[name] for name in names if span.attributes.get(name)), "")

    call, tool = first("gen_ai.tool.call.id", "tool_call.id"), first("gen_ai.tool.name", "tool.name")
    return Failure(
        span.number,
        span.trace,
        call if isinstance(call, str) else "",
        tool if isinstance(tool, str) and tool else span.name,
        first("gen_ai.tool.call.arguments", "tool.parameters", "input.value", "input"),
    )


def _take_call(
    span: Span, messages: Messages | None, recorder: Recorder, ledger: Ledger, *, outer: bool = False
) -> None:
    if messages is None:
        ledger.noise(span.number, "step without content" if outer else _empty(span))
        return
    attributes = span.attributes
    limits = [attributes.get(f"gen_ai.request.{limit}") for limit in LIMITS]
    recorder.take(
        Traced(
            number=span.number,
            asked=messages.asked,
            said=messages.said if outer else genai.one_answer(messages.said),
            id=span.id,
            trace=span.trace,
            conversation=_conversation(span),
            time=span.time,
            tools=messages.tools,
            model=next((attributes[key] for key in _MODELS if attributes.get(key)), None),
            limit=next((limit for limit in (*limits, messages.limit) if limit is not None), None),
            reason=genai.reason_of(span) or messages.reason,
            failed=span.failed,
            usage=None if outer else _usage(attributes),
            outer=outer,
        )
    )


def _usage(attributes: Mapping[str, Any]) -> Usage | None:
    """The tokens of one call, in the words of OpenTelemetry or of OpenInference."""
    for words in _USAGE:
        counts = {name: attributes[key] for name, key in words.items() if key in attributes}
        if (found := usage_of(counts, attributes.get("llm.cost.total"))) is not None:
            return found
    return None


def _empty(span: Span) -> str:
    return "failed call" if span.failed else "call without content"


def _conversation(span: Span) -> str:
    return next((value for key in _IDENTITY if isinstance(value := span.attributes.get(key), str) and value), "")


def _is_own(span: Span) -> bool:
    return bool(openinference.kind_of(span) or genai.operation_of(span))


def _annotation(raw: dict[str, Any], number: int, *, own: bool = True) -> Score | None:
    """Phoenix's annotation of a span or trace, or GenAI's evaluation of one; None where it is something else."""
    result = raw.get("result")
    name = raw.get("name")
    if not isinstance(name, str) or "attributes" in raw or not raw.keys() & {"annotator_kind", "annotatorKind"}:
        return None
    result = result if isinstance(result, dict) else raw
    call, trace = (raw.get(key) for key in ("span_id", "trace_id"))
    label = result.get("label")
    return Score(
        number=number,
        name=name,
        value=result.get("score"),
        label=label if isinstance(label, str) else None,
        source=str(raw.get("annotator_kind") or raw.get("annotatorKind") or ""),
        call=call if isinstance(call, str) else "",
        trace=trace if isinstance(trace, str) else "",
        own=own,
    )


def _mentions(path: Path, marks: tuple[bytes, ...]) -> bool:
    longest = max(map(len, marks))
    with path.open("rb") as file:
        before = b""
        while chunk := file.read(_CHUNK):
            if any(mark in before + chunk for mark in marks):
                return True
            before = chunk[-longest:]
    return False
