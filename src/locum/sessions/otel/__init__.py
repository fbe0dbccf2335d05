"""Spans of OpenTelemetry: GenAI's semantic conventions in their three generations, and OpenInference's.

`spans` reads spans and log records in every layout, `genai` and `openinference` find the messages in their attributes,
`reader` makes sessions of them. A file may hold spans of both conventions, or spans that follow both at once; it is
named after OpenInference where that is in it.

Formats: https://github.com/open-telemetry/semantic-conventions-genai and
https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md.
"""

from locum.sessions.otel.reader import SpanReader

__all__ = ["OTelGenAI", "OpenInference"]


class OpenInference(SpanReader):
    """Reader of spans of which some follow OpenInference: OTLP, and what Phoenix exports."""

    name = "openinference"
    marks = (b"openinference.span.kind", b"llm.input_messages", b"span_kind")


class OTelGenAI(SpanReader):
    """Reader of spans and log records that follow GenAI's conventions."""

    name = "otel_genai"
    marks = (b"gen_ai.",)
