"""OpenInference's conventions: the messages of a span of the kind LLM, and what else a span may be."""

from typing import Any

from locum.sessions.otel.genai import Messages
from locum.sessions.otel.spans import Span
from locum.sessions.tracing.messages import listed, tree
from locum.sessions.tracing.payloads import LIMITS, asked_in, said_in
from locum.sessions.tracing.records import parsed

STEPS = frozenset({"EMBEDDING", "RETRIEVER", "RERANKER", "TOOL", "GUARDRAIL", "EVALUATOR", "PROMPT", "UNKNOWN"})
AGENTS = frozenset({"AGENT", "CHAIN"})


def kind_of(span: Span) -> str:
    """The span's kind in upper case, empty where it is none of OpenInference's."""
    kind = span.attributes.get("openinference.span.kind")
    if isinstance(kind, str):
        return "" if kind.upper().startswith("SPAN_KIND_") else kind.upper()
    return "LLM" if any(key.startswith("llm.output_messages") for key in span.attributes) else ""


def messages_of(span: Span) -> Messages | None:
    """The messages of a span, or None where it holds none: the flattened ones, else those in its input and output.

    Raises:
        BadRecord: they are JSON that is cut.
    """
    grown = _grown(span)
    said = [_message(one) for one in listed(grown.get("output_messages"))]
    asked = [_message(one) for one in listed(grown.get("input_messages"))]
    input, output = asked_in(span.attributes.get("input.value")), None
    if not said:
        output = said_in(span.attributes.get("output.value"))
        if output is None:
            return None
        said = output.messages
    if not asked and input is not None:
        asked = input.messages
    parameters = parsed(grown.get("invocation_parameters"))
    parameters = parameters if isinstance(parameters, dict) else {}
    tools = grown.get("tools") or parameters.get("tools") or (input.tools if input is not None else None)
    reason = grown.get("finish_reason") or (output.reason if output is not None else None)
    return Messages(
        asked,
        said,
        tools,
        reason if isinstance(reason, str) else None,
        next((parameters[one] for one in LIMITS if parameters.get(one) is not None), None),
    )


def payload_of(span: Span) -> Messages | None:
    """The messages that went into an agent or a chain and came out of it, where they are such by their shape.

    Raises:
        BadRecord: they are JSON that is cut.
    """
    asked, said = asked_in(span.attributes.get("input.value")), said_in(span.attributes.get("output.value"))
    if asked is None or said is None or not (asked.chat and said.chat):
        return None
    return Messages(asked.messages, said.messages, asked.tools, said.reason, asked.limit)


def _grown(span: Span) -> dict[str, Any]:
    own = {key: value for key, value in span.attributes.items() if key.startswith("llm.")}
    grown = tree(own).get("llm", {})
    return grown if isinstance(grown, dict) else {}


def _message(raw: Any) -> Any:
    """One message, which stands under a key of its own."""
    if isinstance(raw, dict):
        raw = tree(raw)
        raw = raw["message"] if isinstance(raw.get("message"), dict) else raw
    return raw
