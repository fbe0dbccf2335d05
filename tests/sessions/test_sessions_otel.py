"""Spans of OpenTelemetry and OpenInference, in every layout and generation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars
import pytest
from trace_exports import (
    ANSWERS,
    CALL,
    OPENAI,
    RESULT,
    SAID,
    TOOL,
    Json,
    any_value,
    otlp,
    pairs,
    parts_of,
    plain,
    read,
    span,
    told,
    write,
)

from locum.sessions.registry import reader_of

COMMON = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-x"}
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def current(upto: int, *, as_text: bool = True, instructions: bool = False) -> Json:
    asked, said = [parts_of(one) for one in OPENAI[:upto]], [parts_of(OPENAI[upto])]
    values: Json = {
        "gen_ai.output.messages": said,
        "gen_ai.tool.definitions": [{"type": "function", **TOOL["function"]}],
    }
    if instructions:
        values["gen_ai.system_instructions"] = asked.pop(0)["parts"]
    values["gen_ai.input.messages"] = asked
    return COMMON | {key: json.dumps(value) if as_text else value for key, value in values.items()}


def indexed(upto: int) -> Json:
    attributes: Json = {**COMMON, "llm.request.functions.0.name": "find_order"}
    attributes |= {
        "llm.request.functions.0.description": "Looks up",
        "llm.request.functions.0.parameters": json.dumps(TOOL["function"]["parameters"]),
    }
    for at, one in enumerate(OPENAI[: upto + 1]):
        place = f"gen_ai.prompt.{at}" if at < upto else "gen_ai.completion.0"
        attributes[f"{place}.role"] = one["role"]
        if one["content"] is not None:
            attributes[f"{place}.content"] = one["content"]
        if one["role"] == "tool":
            attributes[f"{place}.tool_call_id"] = one["tool_call_id"]
        for n, _ in enumerate(one.get("tool_calls", ())):
            attributes |= {
                f"{place}.tool_calls.{n}.id": CALL["id"],
                f"{place}.tool_calls.{n}.name": CALL["name"],
                f"{place}.tool_calls.{n}.arguments": json.dumps(CALL["arguments"]),
            }
    return attributes


def bodies(upto: int) -> list[tuple[str, Json]]:
    """The events of a call: names and bodies."""
    told: list[tuple[str, Json]] = []
    for one in OPENAI[:upto]:
        body = {key: value for key, value in one.items() if key != "tool_call_id" and value is not None}
        body |= {"id": one["tool_call_id"]} if one["role"] == "tool" else {}
        told.append((f"gen_ai.{one['role']}.message", body))
    answer = {key: value for key, value in OPENAI[upto].items() if value is not None}
    return [*told, ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": answer})]


def with_events(upto: int, **more: Any) -> Json:
    events = [
        {"name": name, "attributes": pairs({"gen_ai.event.content": json.dumps(body)})} for name, body in bodies(upto)
    ]
    return span(f"s{upto}", COMMON, at=upto, events=events, **more)


def with_attributes_on_events(upto: int) -> Json:
    events = []
    for name, body in bodies(upto):
        flat = {key: value if isinstance(value, str) else json.dumps(value) for key, value in body.items()}
        events.append({"name": name, "attributes": pairs(flat)})
    return span(f"s{upto}", COMMON, at=upto, events=events)


GENERATIONS: dict[str, Callable[[int], Json]] = {
    "texts of JSON": lambda upto: span(f"s{upto}", current(upto), at=upto),
    "structures": lambda upto: span(f"s{upto}", current(upto, as_text=False), at=upto),
    "instructions apart": lambda upto: span(f"s{upto}", current(upto, instructions=True), at=upto),
    "indexed": lambda upto: span(f"s{upto}", indexed(upto), at=upto),
    "events": with_events,
    "events with attributes": with_attributes_on_events,
    "event with the details": lambda upto: span(
        f"s{upto}",
        COMMON,
        at=upto,
        events=[
            {"name": "gen_ai.client.inference.operation.details", "attributes": pairs(current(upto, as_text=False))}
        ],
    ),
    "one value each": lambda upto: span(
        f"s{upto}",
        {**COMMON, "gen_ai.prompt": json.dumps(OPENAI[:upto]), "gen_ai.completion": json.dumps([OPENAI[upto]])},
        at=upto,
    ),
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("one_object", [True, False])
def test_every_generation_says_the_same(tmp_path: Path, generation: str, one_object: bool) -> None:
    spans = [GENERATIONS[generation](upto) for upto in ANSWERS]
    path = tmp_path / "traces.json"
    if one_object:
        path.write_text(json.dumps(otlp(*spans), indent=2))
    else:
        write(path, *(otlp(one) for one in spans))
    reading = read(path, "otel_genai")
    assert plain(reading) == [told()]
    assert reading.lines.used == reading.lines.total == 3
    (session,) = reading.sessions
    assert session.lineage == "otel_genai:t1"
    assert (session.model, session.started) == ("gpt-x", "2026-09-21T14:13:20.000Z")
    assert [message.tool_name for message in session.messages if message.role == "tool"] == ["find_order"]
    if generation not in ("events", "events with attributes", "one value each"):
        (tool,) = session.tools
        assert tool["function"]["name"] == "find_order"
        assert tool["function"]["parameters"] == TOOL["function"]["parameters"]


def log(upto: int, name: str, body: Any, *, as_attribute: bool) -> Json:
    record: Json = {"timeUnixNano": str(1_790_000_000_000_000_000 + upto), "traceId": "t1", "spanId": f"s{upto}"}
    named = {"attributes": pairs({"event.name": name})} if as_attribute else {"eventName": name, "attributes": []}
    return {**record, **named, "body": any_value(body)}


def logs(*records: Json) -> Json:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


@pytest.mark.parametrize("with_span", [True, False])
def test_events_that_were_logged_beside_the_span(tmp_path: Path, with_span: bool) -> None:
    records = [log(upto, *event, as_attribute=upto == 4) for upto in ANSWERS for event in bodies(upto)]
    spans = [otlp(*(span(f"s{upto}", COMMON, at=upto) for upto in ANSWERS))] if with_span else []
    reading = read(write(tmp_path / "logs.jsonl", logs(*records), *spans), "otel_genai")
    assert plain(reading) == [told()]
    assert reading.lines.used == reading.lines.total == len(records) + (3 if with_span else 0)


def test_an_event_with_the_details_and_no_span(tmp_path: Path) -> None:
    record = log(4, "gen_ai.client.inference.operation.details", "", as_attribute=False)
    record["attributes"] = pairs(current(4, as_text=False))
    assert plain(read(write(tmp_path / "a.jsonl", logs(record)), "otel_genai")) == [told(4)]


def test_what_is_not_a_call_is_counted_by_its_kind(tmp_path: Path) -> None:
    spans = [
        span("web", {"http.request.method": "GET"}),
        span("off", COMMON),
        span("broke", COMMON, status={"code": 2}),
        span("e", {"gen_ai.operation.name": "embeddings"}),
        span("t", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find_order"}),
        span("a", {"gen_ai.operation.name": "invoke_agent"}, parent=None),
        span("new", {"gen_ai.operation.name": "dream"}),
        span("c", current(2)),
        span("c", current(2)),
    ]
    reading = read(write(tmp_path / "a.jsonl", otlp(*spans)), "otel_genai")
    assert reading.lines.noise == {
        "call without content": 1,
        "failed call": 1,
        "span exported again": 1,
        "span of something else": 1,
        "step without content": 1,
        "step: embeddings": 1,
        "tool span": 1,
    }
    assert reading.lines.unknown == {"span kind: dream": 1}
    assert len(reading.sessions) == 1


def test_a_file_whose_first_spans_are_of_something_else(tmp_path: Path) -> None:
    others = [span(f"w{n}", {"http.request.method": "GET", "url.path": "/" + "x" * 400}) for n in range(300)]
    path = write(tmp_path / "a.json", *(otlp(one) for one in [*others, span("c", current(2))]))
    assert len(read(path, "otel_genai").sessions) == 1
    assert reader_of(write(tmp_path / "b.json", *(otlp(one) for one in others))) is None


def test_failures_and_reasons_become_signals(tmp_path: Path) -> None:
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.id": "call-1"}
    cut = current(6) | {"gen_ai.response.finish_reasons": ["length"]}
    spans = [
        span("c", current(4)),
        span("t", tool, status={"code": "STATUS_CODE_ERROR"}),
        span("d", cut, at=9),
        span("t2", {**tool, "gen_ai.tool.call.id": "call-9"}, status={"code": 2}),
    ]
    reading = read(write(tmp_path / "a.jsonl", otlp(*spans)), "otel_genai")
    (session,) = reading.sessions
    assert [message.signals for message in session.messages if message.role == "assistant"] == [
        ("tool_error",),
        (),
        ("truncated",),
    ]
    assert reading.lines.used == 3
    assert reading.lines.noise == {"failed tool call of no session": 1}


@pytest.mark.parametrize("convention", ["otel_genai", "openinference"])
def test_a_failed_tool_without_a_calls_id_is_known_by_its_arguments(tmp_path: Path, convention: str) -> None:
    if convention == "otel_genai":
        call, tool = current(4), {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find_order"}
        made: Json = {"gen_ai.tool.call.arguments": {"number": 7}}
    else:
        call, tool = flattened(4), {"openinference.span.kind": "TOOL", "tool.name": "find_order"}
        made = {"input.value": '{"number": 7}'}
    failed = [span("t", tool | made, status={"code": 2}), span("u", tool | made, status={"code": 2})]
    reading = read(write(tmp_path / "a.jsonl", otlp(*failed, span("c", call))), convention)
    assert "tool_error" in reading.sessions[0].messages[2].signals
    assert reading.lines.noise == {"failed tool call of no session": 1}


def test_an_answer_of_a_failed_call_is_the_providers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", otlp(span("c", current(4), status={"code": 2, "message": "overloaded"})))
    assert read(path, "otel_genai").sessions[0].messages[-1].signals == ("api_error",)


def test_an_agents_span_counts_where_no_calls_are_recorded(tmp_path: Path) -> None:
    agent = {**current(2), "gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": "k"}
    agent["gen_ai.input.messages"] = json.dumps([parts_of(one) for one in OPENAI[:2]])
    agent["gen_ai.output.messages"] = json.dumps([parts_of(one) for one in OPENAI[2:5]])
    root = span("r", agent, parent=None)
    alone = read(write(tmp_path / "a.jsonl", otlp(root)), "otel_genai")
    assert plain(alone) == [told(4)]
    assert alone.sessions[0].lineage == "otel_genai:k"
    both = read(write(tmp_path / "b.jsonl", otlp(root, span("c", current(2)), span("d", current(4)))), "otel_genai")
    assert plain(both) == [told(4)]
    assert both.lines.noise == {"step around calls": 1}


def test_two_choices_are_one_answer_and_its_parts_are_one_too(tmp_path: Path) -> None:
    choices = current(4) | {"gen_ai.output.messages": json.dumps([parts_of(OPENAI[4]), parts_of(OPENAI[6])])}
    assert plain(read(write(tmp_path / "a.jsonl", otlp(span("c", choices))), "otel_genai")) == [told(4)]
    thinks = {"role": "assistant", "parts": [{"type": "text", "content": "Let me look."}]}
    parts = current(2) | {"gen_ai.output.messages": json.dumps([thinks, parts_of(OPENAI[2])])}
    (said,) = plain(read(write(tmp_path / "b.jsonl", otlp(span("c", parts))), "otel_genai"))
    assert said[-1] == ("assistant", "Let me look.", [("find_order", {"number": 7})])


def test_what_is_not_text_makes_the_answer_lean_on_what_is_missing(tmp_path: Path) -> None:
    seen = [
        {
            "role": "user",
            "parts": [{"type": "text", "content": "See"}, {"type": "uri", "uri": "x", "modality": "image"}],
        }
    ]
    attributes = current(4) | {"gen_ai.input.messages": json.dumps(seen)}
    (session,) = read(write(tmp_path / "a.jsonl", otlp(span("c", attributes))), "otel_genai").sessions
    assert session.messages[0].content == "See\n[uri]"
    assert session.messages[-1].signals == ("unreadable",)


def test_a_value_that_the_exporter_cut_is_bad(tmp_path: Path) -> None:
    attributes = current(4)
    attributes["gen_ai.input.messages"] = attributes["gen_ai.input.messages"][:60]
    reading = read(write(tmp_path / "a.jsonl", otlp(span("c", attributes), span("d", current(4)))), "otel_genai")
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(1, "cut in the middle")]
    assert len(reading.sessions) == 1


def test_a_role_or_part_without_a_rule_is_named(tmp_path: Path) -> None:
    role = current(4) | {"gen_ai.output.messages": json.dumps([{"role": "chorus", "parts": []}])}
    part = current(4) | {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "smell"}]}])}
    reading = read(write(tmp_path / "a.jsonl", otlp(span("c", role), span("d", part))), "otel_genai")
    assert reading.lines.unknown == {"message part: smell": 1, "message role: chorus": 1}


def flattened(upto: int) -> Json:
    """A span's attributes in OpenInference's names."""
    attributes: Json = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-x", "session.id": "k"}
    attributes |= {"llm.tools.0.tool.json_schema": json.dumps(TOOL)}
    for at, one in enumerate(OPENAI[: upto + 1]):
        place = f"llm.input_messages.{at}.message" if at < upto else "llm.output_messages.0.message"
        attributes[f"{place}.role"] = one["role"]
        if one["content"] is not None and at % 2:
            attributes[f"{place}.content"] = one["content"]
        elif one["content"] is not None:
            attributes[f"{place}.contents.0.message_content.type"] = "text"
            attributes[f"{place}.contents.0.message_content.text"] = one["content"]
        if one["role"] == "tool":
            attributes[f"{place}.tool_call_id"] = one["tool_call_id"]
        for n, _ in enumerate(one.get("tool_calls", ())):
            attributes |= {
                f"{place}.tool_calls.{n}.tool_call.id": CALL["id"],
                f"{place}.tool_calls.{n}.tool_call.function.name": CALL["name"],
                f"{place}.tool_calls.{n}.tool_call.function.arguments": json.dumps(CALL["arguments"]),
            }
    return attributes


def framed(upto: int) -> Json:
    """A span as a row of Phoenix's data frame: lists are lists, the names inside of them dotted."""

    def dotted(one: Json) -> Json:
        calls = [
            {
                "tool_call.id": CALL["id"],
                "tool_call.function.name": CALL["name"],
                "tool_call.function.arguments": json.dumps(CALL["arguments"]),
            }
        ]
        return {
            "message.role": one["role"],
            "message.content": one["content"],
            "message.tool_call_id": one.get("tool_call_id"),
            "message.tool_calls": calls if one.get("tool_calls") else None,
        }

    return {
        "name": "ChatCompletion",
        "span_kind": "LLM",
        "parent_id": None,
        "start_time": f"2026-09-01T10:00:0{upto}+00:00",
        "status_code": "OK",
        "events": [],
        "context.span_id": f"s{upto}",
        "context.trace_id": "t1",
        "attributes.openinference.span.kind": "LLM",
        "attributes.llm.model_name": "gpt-x",
        "attributes.session.id": "k",
        "attributes.llm.tools": [{"tool.json_schema": json.dumps(TOOL)}],
        "attributes.llm.input_messages": [dotted(one) for one in OPENAI[:upto]],
        "attributes.llm.output_messages": [dotted(OPENAI[upto])],
    }


def phoenix(upto: int, attributes: Json, **more: Any) -> Json:
    """A span as Phoenix's REST interface has it."""
    context = {"trace_id": "t1", "span_id": f"s{upto}"}
    times = {"start_time": f"2026-09-01T10:00:0{upto}+00:00"}
    return {
        "name": "x",
        "context": context,
        "span_kind": "LLM",
        **times,
        "attributes": attributes,
        "events": [],
        **more,
    }


def grown(upto: int) -> Json:
    """Attributes as objects in objects, as Phoenix keeps them."""
    messages = [{"message": {key: value for key, value in one.items() if value is not None}} for one in OPENAI]
    for one in messages:
        calls = one["message"].pop("tool_calls", None)
        if calls:
            one["message"]["tool_calls"] = [{"tool_call": calls[0]}]
    llm = {
        "model_name": "gpt-x",
        "input_messages": messages[:upto],
        "output_messages": [messages[upto]],
        "tools": [{"tool": {"json_schema": json.dumps(TOOL)}}],
    }
    return {"openinference": {"span": {"kind": "LLM"}}, "session": {"id": "k"}, "llm": llm}


def as_value(upto: int) -> Json:
    """Only what went in and came out, as JSON."""
    request = {"model": "gpt-x", "messages": OPENAI[:upto], "tools": [TOOL]}
    response = {"choices": [{"index": 0, "message": OPENAI[upto], "finish_reason": "stop"}]}
    values = {"input.value": json.dumps(request), "output.value": json.dumps(response)}
    return {"openinference.span.kind": "LLM", "llm.model_name": "gpt-x", "session.id": "k", **values}


LAYOUTS: dict[str, Callable[[], list[Any]]] = {
    "OTLP": lambda: [otlp(*(span(f"s{upto}", flattened(upto), at=upto) for upto in ANSWERS))],
    "input and output": lambda: [otlp(*(span(f"s{upto}", as_value(upto), at=upto) for upto in ANSWERS))],
    "REST": lambda: [{"data": [phoenix(upto, flattened(upto)) for upto in ANSWERS], "next_cursor": None}],
    "REST with objects": lambda: [phoenix(upto, grown(upto)) for upto in ANSWERS],
    "traces": lambda: [{"traceId": "t1", "spans": [phoenix(upto, flattened(upto)) for upto in ANSWERS]}],
    "data frame": lambda: [framed(upto) for upto in ANSWERS],
    "console": lambda: [
        {
            "name": "x",
            "context": {"trace_id": "0xt1", "span_id": f"0xs{upto}", "trace_state": "[]"},
            "kind": "SpanKind.INTERNAL",
            "parent_id": None,
            "start_time": f"2026-09-01T10:00:0{upto}.000000Z",
            "status": {"status_code": "OK"},
            "attributes": flattened(upto),
            "events": [],
        }
        for upto in ANSWERS
    ],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_openinference_says_the_same(tmp_path: Path, layout: str) -> None:
    reading = read(write(tmp_path / "spans.jsonl", *LAYOUTS[layout]()), "openinference")
    assert plain(reading) == [told()]
    (session,) = reading.sessions
    assert (session.lineage, session.model, session.tools) == ("openinference:k", "gpt-x", (TOOL,))
    assert reading.lines.used == reading.lines.total == 3
    assert session.started is not None


def test_objects_over_many_lines_one_after_the_other(tmp_path: Path) -> None:
    """As the console exporter writes them."""
    path = tmp_path / "spans.json"
    path.write_text("\n".join(json.dumps(one, indent=4) for one in LAYOUTS["console"]()) + "\n")
    assert plain(read(path, "openinference")) == [told()]
    path.write_text(path.read_text()[:-40])
    reading = read(path, "openinference")
    assert plain(reading) == [told(4)]
    assert [bad.line for bad in reading.lines.bad] == [3]


def test_a_data_frame_as_parquet(tmp_path: Path) -> None:
    path = tmp_path / "trace_dataset.parquet"
    frame = polars.DataFrame([framed(upto) for upto in ANSWERS])
    frame.with_columns(polars.col("start_time").str.to_datetime(time_zone="UTC")).write_parquet(path)
    reading = read(path, "openinference")
    assert plain(reading) == [told()]
    assert reading.sessions[0].started == "2026-09-01T10:00:02.000Z"


def annotation(of: str, score: Any, *, kind: str = "HUMAN", label: str | None = None, name: str = "feedback") -> Json:
    return {"id": of, "span_id": of, "name": name, "annotator_kind": kind, "result": {"label": label, "score": score}}


def test_annotations_of_people_become_signals(tmp_path: Path) -> None:
    chain = {"openinference.span.kind": "CHAIN", "input.value": "x", "output.value": "y"}
    spans = [
        phoenix(0, chain, span_kind="CHAIN", parent_id=None) | {"context": {"trace_id": "t1", "span_id": "root"}},
        phoenix(2, flattened(2), parent_id="root", annotations=[annotation("s2", 0, label="thumbs-down")]),
        phoenix(4, flattened(4), parent_id="root"),
    ]
    notes = [
        annotation("root", 1),
        annotation("s4", 0, kind="LLM"),
        annotation("s9", 1),
        annotation("s4", 0.5),
    ]
    reading = read(write(tmp_path / "a.jsonl", *spans, {"data": notes}), "openinference")
    (session,) = reading.sessions
    assert [message.signals for message in session.messages if message.role == "assistant"] == [
        ("corrected",),
        ("praised",),
    ]
    assert reading.lines.noise == {
        "score of a model judge": 1,
        "score of nothing in this file": 1,
        "score that says neither good nor bad": 1,
        "step without content": 1,
    }


def test_a_reward_of_the_whole_trace_is_its_ground_truth(tmp_path: Path) -> None:
    root = phoenix(0, {"openinference.span.kind": "AGENT"}, parent_id=None)
    spans = [root, phoenix(2, flattened(2), parent_id="s0"), phoenix(4, flattened(4), parent_id="s0")]
    reward = annotation("s0", 0.0, kind="CODE", name="task_success")
    reading = read(write(tmp_path / "a.jsonl", *spans, reward), "openinference")
    assert [session.reward for session in reading.sessions] == [0.0]
    judged = annotation("s0", 0.0, kind="LLM", name="task_success")
    assert read(write(tmp_path / "b.jsonl", *spans, judged), "openinference").sessions[0].reward is None


def test_the_attributes_alone_are_a_span(tmp_path: Path) -> None:
    path = tmp_path / "span.json"
    path.write_text(json.dumps(current(4), indent=2))
    assert plain(read(path, "otel_genai")) == [told(4)]
    path.write_text(json.dumps(flattened(4), indent=2))
    assert plain(read(path, "openinference")) == [told(4)]


def test_bedrocks_blocks_in_events(tmp_path: Path) -> None:
    """As Strands Agents write them: contents are JSON of blocks that have no type."""
    use = {"toolUse": {"toolUseId": "call-1", "name": "find_order", "input": {"number": 7}}}
    result = {"toolResult": {"toolUseId": "call-1", "status": "success", "content": [{"text": RESULT}]}}
    told_by = [
        ("gen_ai.user.message", {"content": json.dumps([{"text": OPENAI[1]["content"]}])}),
        ("gen_ai.assistant.message", {"content": json.dumps([use])}),
        ("gen_ai.tool.message", {"content": json.dumps([result])}),
        ("gen_ai.choice", {"message": json.dumps([{"text": SAID}]), "finish_reason": "end_turn"}),
    ]
    events = [{"name": name, "attributes": pairs(body)} for name, body in told_by]
    reading = read(write(tmp_path / "a.jsonl", otlp(span("c", COMMON, events=events))), "otel_genai")
    assert plain(reading) == [told(4, system=False)]


@pytest.mark.corpus
@pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout")
def test_real_spans_of_two_conventions_say_the_same() -> None:
    folder = DATA / "otel" / "openinference"
    one = read(folder / "openinference_client_span_tool_calls.json", "openinference")
    other = read(folder / "otel_genai_client_span_tool_calls.json", "otel_genai")
    assert plain(one) == plain(other)
    assert [message.role for message in one.sessions[0].messages] == ["user", "assistant", "tool", "assistant"]
    tool = read(folder / "otel_genai_tool_execution_span.json", "otel_genai")
    assert tool.lines.noise == {"tool span": 1}
    for reading in (one, other, tool):
        assert not reading.lines.unknown
        assert not reading.lines.bad


@pytest.mark.corpus
@pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout")
def test_no_other_real_file_is_taken_for_an_export_of_a_tracer() -> None:
    ours = {"otel_genai", "openinference", "langfuse", "langsmith"}
    found = {path for path in DATA.rglob("*") if path.is_file() and (r := reader_of(path)) and r.name in ours}
    assert {path.parent for path in found} == {DATA / "otel" / "openinference"}


@pytest.mark.corpus
@pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout")
@pytest.mark.parametrize("kind", ["input", "output"])
def test_every_part_of_the_conventions_schema_has_a_rule(kind: str, tmp_path: Path) -> None:
    schema = json.loads((DATA / "otel" / "schemas" / f"gen-ai-{kind}-messages.json").read_bytes())
    types = [part.get("properties", {}).get("type", {}) for part in schema["$defs"].values()]
    kinds = [one["const"] for one in types if "const" in one]
    assert len(kinds) > 6
    parts = [{"type": one, "content": "x", "name": "f", "id": None, "response": "r", "uri": "u"} for one in kinds]
    message = {"role": "assistant", "parts": parts}
    attributes = COMMON | {"gen_ai.input.messages": [message], "gen_ai.output.messages": [message]}
    (session,) = read(write(tmp_path / "a.jsonl", otlp(span("c", attributes))), "otel_genai").sessions
    assert msgspec.json.encode(session)
    assert "unreadable" in session.messages[-1].signals
