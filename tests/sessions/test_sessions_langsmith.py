"""LangSmith's exports: both serialisations of messages, every file format, feedback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest
from trace_exports import ANSWERS, CALL, OPENAI, TOOL, Json, plain, read, told, write

CLASSES = {"system": "SystemMessage", "user": "HumanMessage", "assistant": "AIMessage", "tool": "ToolMessage"}
TYPES = {"system": "system", "user": "human", "assistant": "ai", "tool": "tool"}


def fields(one: Json) -> Json:
    """A message's fields as LangChain names them."""
    body: Json = {"content": one["content"] or "", "additional_kwargs": {}, "response_metadata": {}}
    if one["role"] == "assistant":
        calls = [{"name": CALL["name"], "args": CALL["arguments"], "id": CALL["id"], "type": "tool_call"}]
        body["tool_calls"] = calls if one.get("tool_calls") else []
    if one["role"] == "tool":
        body |= {"tool_call_id": one["tool_call_id"], "status": "success", "name": "find_order"}
    return body


def constructed(one: Json) -> Json:
    path = ["langchain", "schema", "messages", CLASSES[one["role"]]]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": {**fields(one), "type": TYPES[one["role"]]}}


def dumped(one: Json) -> Json:
    return {"type": TYPES[one["role"]], **fields(one)}


def stored(one: Json) -> Json:
    return {"type": TYPES[one["role"]], "data": fields(one)}


def blocks(one: Json) -> Json:
    """As LangChain has Anthropic's answers: the call stands among the contents and beside them."""
    made = constructed(one)
    if one.get("tool_calls"):
        use = {"type": "tool_use", "id": CALL["id"], "name": CALL["name"], "input": CALL["arguments"]}
        made["kwargs"]["content"] = [use]
    elif one["role"] == "assistant":
        made["kwargs"]["content"] = [{"type": "text", "text": one["content"]}]
    return made


def langchain(serialise: Callable[[Json], Json], upto: int) -> tuple[Json, Json]:
    message = serialise(OPENAI[upto])
    generation = {
        "text": OPENAI[upto]["content"] or "",
        "generation_info": {"finish_reason": "stop"},
        "message": message,
    }
    outputs = {"generations": [[generation]], "llm_output": {"model_name": "gpt-x"}, "type": "LLMResult"}
    return {"messages": [[serialise(one) for one in OPENAI[:upto]]]}, outputs


SHAPES: dict[str, Callable[[int], tuple[Json, Json]]] = {
    "constructors": lambda upto: langchain(constructed, upto),
    "dumps": lambda upto: langchain(dumped, upto),
    "stored": lambda upto: langchain(stored, upto),
    "blocks": lambda upto: langchain(blocks, upto),
    "OpenAI's": lambda upto: (
        {"model": "gpt-x", "messages": OPENAI[:upto], "tools": [TOOL]},
        {"model": "gpt-x", "choices": [{"index": 0, "message": OPENAI[upto], "finish_reason": "stop"}]},
    ),
    "bare messages": lambda upto: ({"messages": OPENAI[:upto]}, {"messages": [OPENAI[upto]]}),
    "a message": lambda upto: ({"input": OPENAI[:upto]}, {"output": OPENAI[upto]}),
}


def run(upto: int, shape: str = "constructors", **more: Any) -> Json:
    inputs, outputs = SHAPES[shape](upto)
    return {
        "id": f"r{upto}",
        "trace_id": "t1",
        "parent_run_id": "root",
        "dotted_order": f"20260901T100000000000Zroot.20260901T10000{upto}000000Zr{upto}",
        "run_type": "llm",
        "name": "ChatOpenAI",
        "start_time": f"2026-09-01T10:00:0{upto}.000000",
        "end_time": None,
        "session_id": "project",
        "status": "success",
        "error": None,
        "inputs": inputs,
        "outputs": outputs,
        "extra": {
            "metadata": {"ls_model_name": "gpt-x", "thread_id": "k"},
            "invocation_params": {"tools": [TOOL], "model": "gpt-x"},
        },
        "feedback_stats": {},
        **more,
    }


def root(**more: Any) -> Json:
    ids = {"id": "root", "parent_run_id": None, "run_type": "chain", "name": "agent"}
    return run(2) | ids | {"inputs": {"question": "x"}, "outputs": {"answer": "y"}} | more


@pytest.mark.parametrize("shape", SHAPES)
def test_both_serialisations_say_the_same(tmp_path: Path, shape: str) -> None:
    path = write(tmp_path / "runs.jsonl", root(), *(run(upto, shape) for upto in ANSWERS))
    reading = read(path, "langsmith")
    assert plain(reading) == [told()]
    assert reading.lines.noise == {"step: chain": 1}
    (session,) = reading.sessions
    assert (session.lineage, session.model, session.tools) == ("langsmith:k", "gpt-x", (TOOL,))
    assert session.started == "2026-09-01T10:00:02.000Z"


def as_table(one: Json) -> Json:
    return {key: json.dumps(value) if isinstance(value, dict) else value for key, value in one.items()}


def nested() -> Json:
    return {**root(), "child_runs": [run(upto) for upto in ANSWERS]}


@pytest.mark.parametrize("layout", ["list", "object", "nested"])
def test_every_layout_of_json(tmp_path: Path, layout: str) -> None:
    runs = [root(), *(run(upto) for upto in ANSWERS)]
    value = {"list": runs, "object": {"runs": runs}, "nested": nested()}[layout]
    (tmp_path / "runs.json").write_text(json.dumps(value, indent=1))
    reading = read(tmp_path / "runs.json", "langsmith")
    assert plain(reading) == [told()]
    assert reading.lines.total == 4


@pytest.mark.parametrize("as_text", [True, False])
def test_a_bulk_export(tmp_path: Path, as_text: bool) -> None:
    runs = [run(upto, "OpenAI's", feedback_stats={"user_score": {"n": 1, "avg": 1.0}}) for upto in ANSWERS]
    frame = polars.DataFrame([as_table(one) if as_text else one for one in runs])
    frame.with_columns(polars.col("start_time").str.to_datetime()).write_parquet(tmp_path / "runs.parquet")
    reading = read(tmp_path / "runs.parquet", "langsmith")
    assert plain(reading) == [told()]
    assert reading.lines.used == reading.lines.total == 3
    answers = [message for message in reading.sessions[0].messages if message.role == "assistant"]
    assert all(message.signals == ("praised",) for message in answers)


def test_more_rows_than_are_read_at_a_time(tmp_path: Path) -> None:
    runs = [as_table(run(2, id=f"r{n}", trace_id=f"t{n}", inputs={"input": f"Question {n}?"})) for n in range(600)]
    polars.DataFrame(runs).write_parquet(tmp_path / "runs.parquet")
    reading = read(tmp_path / "runs.parquet", "langsmith")
    assert reading.lines.used == reading.lines.total == 600
    assert len(reading.sessions) == 600


def feedback(of: str, score: Any, key: str = "thumbs", source: str = "app", **more: Any) -> Json:
    about = {"feedback_source": {"type": source}, "value": None, "comment": None}
    return {"id": f"f{of}", "run_id": of, "trace_id": "t1", "key": key, "score": score, **about, **more}


def test_feedback_becomes_signals(tmp_path: Path) -> None:
    told_by = [
        feedback("r2", 0),
        feedback("root", 1),
        feedback("r4", None, key="note", correction={"answer": "no"}),
        feedback("r6", 0, source="model"),
        feedback("r9", 0),
    ]
    reading = read(write(tmp_path / "a.jsonl", root(), *(run(upto) for upto in ANSWERS), *told_by), "langsmith")
    (session,) = reading.sessions
    assert [message.signals for message in session.messages if message.role == "assistant"] == [
        ("corrected",),
        ("corrected",),
        ("praised",),
    ]
    assert reading.lines.noise == {
        "score of a model judge": 1,
        "score of nothing in this file": 1,
        "step: chain": 1,
    }


def test_statistics_of_the_root_are_the_traces(tmp_path: Path) -> None:
    about = {"success": {"n": 1, "avg": 1.0}, "vagueness": {"n": 1, "avg": 0.0}}
    (session,) = read(write(tmp_path / "a.jsonl", root(feedback_stats=about), run(4)), "langsmith").sessions
    assert session.reward == 1.0
    assert session.messages[-1].signals == ()


def test_failures_become_signals(tmp_path: Path) -> None:
    output = {"output": constructed({**OPENAI[3]})}
    tool = run(2, id="t", run_type="tool", error="boom", inputs={"input": "{}"}, outputs=output)
    reading = read(write(tmp_path / "a.jsonl", run(4), tool), "langsmith")
    assert [m.signals for m in reading.sessions[0].messages if m.role == "assistant"] == [("tool_error",), ()]
    assert reading.lines.used == 2
    refused = constructed(OPENAI[3])
    refused["kwargs"]["status"] = "error"
    one = run(4)
    one["inputs"]["messages"][0][3] = refused
    (session,) = read(write(tmp_path / "b.jsonl", one), "langsmith").sessions
    assert session.messages[2].signals == ("tool_error",)


def test_runs_without_an_answer_are_counted_by_their_kind(tmp_path: Path) -> None:
    runs = [
        run(2),
        run(4, outputs=None, error="rate limit", status="error", id="a"),
        run(4, outputs={}, id="b"),
        run(4, run_type="retriever", id="c"),
        run(4, run_type="dream", id="d"),
        {"id": "e"},
    ]
    reading = read(write(tmp_path / "a.jsonl", *runs), "langsmith")
    assert reading.lines.noise == {"call without content": 1, "failed call": 1, "step: retriever": 1}
    assert reading.lines.unknown == {"(no run)": 1, "run type: dream": 1}


def test_a_graphs_state_counts_where_no_model_is_recorded(tmp_path: Path) -> None:
    asked, state = [dumped(one) for one in OPENAI[1:2]], [dumped(one) for one in OPENAI[1:5]]
    whole = root(inputs={"messages": asked}, outputs={"messages": state})
    assert plain(read(write(tmp_path / "a.jsonl", whole), "langsmith")) == [told(4, system=False)]
    both = read(write(tmp_path / "b.jsonl", whole, run(4)), "langsmith")
    assert plain(both) == [told(4)]
    assert both.lines.noise == {"step around calls": 1}


def test_an_answer_cut_at_its_limit(tmp_path: Path) -> None:
    one = run(4)
    one["outputs"]["generations"][0][0]["generation_info"]["finish_reason"] = "length"
    assert read(write(tmp_path / "a.jsonl", one), "langsmith").sessions[0].messages[-1].signals == ("truncated",)
