"""Langfuse's exports: both spellings, every file format, the three kinds of records apart and together."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest
from trace_exports import ANSWERS, OPENAI, TOOL, Json, plain, read, told, write

from locum.types import Signal


def observation(upto: int, **more: Any) -> Json:
    """A generation as blob storage has it: input and output are texts."""
    return {
        "id": f"g{upto}",
        "trace_id": "t1",
        "type": "GENERATION",
        "parent_observation_id": "root",
        "start_time": f"2026-09-01 10:00:0{upto}.000000",
        "end_time": None,
        "name": "chat",
        "metadata": {},
        "level": "DEFAULT",
        "status_message": "",
        "input": json.dumps({"messages": OPENAI[:upto], "tools": [TOOL]}),
        "output": json.dumps(OPENAI[upto]),
        "provided_model_name": "gpt-x",
        "model_parameters": json.dumps({"temperature": 0.2}),
        "usage_details": {"input": 3},
        "session_id": "k",
        "tool_definitions": {},
        "tool_calls": [],
        **more,
    }


def score(value: Any = 1, *, call: str = "", trace: str = "t1", name: str = "user-feedback", **more: Any) -> Json:
    return {
        "id": f"{name}{call}{value}",
        "timestamp": "2026-09-02 10:00:00.000000",
        "trace_id": trace,
        "observation_id": call,
        "name": name,
        "value": value,
        "string_value": None,
        "data_type": "NUMERIC",
        "source": "API",
        **more,
    }


def trace(**more: Any) -> Json:
    return {
        "id": "t1",
        "timestamp": "2026-09-01 10:00:00.000000",
        "name": "shop",
        "user_id": "u",
        "session_id": "k",
        "tags": [],
        "public": False,
        "input": "Is order 7 on its way?",
        "output": "Yes",
        **more,
    }


def camel(record: Json) -> Json:
    return {re.sub(r"_([a-z])", lambda match: match[1].upper(), key): value for key, value in record.items()}


def as_table(records: list[Json]) -> list[Json]:
    """The records as rows of a table of texts."""
    return [
        {
            key: value if isinstance(value, str) else "" if value is None else json.dumps(value)
            for key, value in one.items()
        }
        for one in records
    ]


def write_csv(path: Path, records: list[Json]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, fieldnames=list(records[0]))
        rows.writeheader()
        rows.writerows(as_table(records))
    return path


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=1))
    return path


def write_parquet(path: Path, records: list[Json]) -> Path:
    polars.DataFrame(as_table(records)).write_parquet(path)
    return path


WRITERS: dict[str, Callable[[Path, list[Json]], Path]] = {
    "lines": lambda path, records: write(path, *records),
    "list": write_json,
    "page": lambda path, records: write_json(path, {"data": records, "meta": {"page": 1}}),
    "csv": write_csv,
    "parquet": write_parquet,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("spelling", ["snake", "camel"])
def test_observations_in_every_file_format(tmp_path: Path, writer: str, spelling: str) -> None:
    records = [observation(upto) for upto in ANSWERS]
    records = [camel(one) for one in records] if spelling == "camel" else records
    reading = read(WRITERS[writer](tmp_path / "export", records), "langfuse")
    assert plain(reading) == [told()]
    assert reading.lines.used == 3
    assert reading.lines.noise == ({"header": 1} if writer == "csv" else {})
    (session,) = reading.sessions
    assert (session.lineage, session.model, session.tools) == ("langfuse:k", "gpt-x", (TOOL,))
    assert session.started == "2026-09-01T10:00:02.000Z"


def signals(path: Path) -> list[tuple[Signal, ...]]:
    (session,) = read(path, "langfuse").sessions
    return [message.signals for message in session.messages if message.role == "assistant"]


@pytest.mark.parametrize("reverse", [False, True])
def test_traces_observations_and_scores_put_together_are_joined(tmp_path: Path, reverse: bool) -> None:
    legacy = [{key: value for key, value in observation(upto).items() if key != "session_id"} for upto in ANSWERS]
    scores = [score(1), score(0, call="g4")]
    records = [trace(), *legacy, *scores]
    path = write(tmp_path / "all.jsonl", *(reversed(records) if reverse else records))
    reading = read(path, "langfuse")
    assert reading.sessions[0].lineage == "langfuse:k"
    assert reading.lines.noise == {"trace": 1}
    assert signals(path) == [(), ("corrected",), ("praised",)]


def test_a_trace_with_everything_inside(tmp_path: Path) -> None:
    inner = [camel({key: value for key, value in observation(upto).items() if key != "trace_id"}) for upto in ANSWERS]
    whole = {**camel(trace()), "observations": inner, "scores": [camel(score(0, call="g2"))], "latency": 3}
    path = write_json(tmp_path / "trace.json", whole)
    assert plain(read(path, "langfuse")) == [told()]
    assert signals(path) == [("corrected",), (), ()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (score(1), ("praised",)),
        (score(0), ("corrected",)),
        (score(-1), ("corrected",)),
        (score(0.5), ()),
        (score(4), ()),
        (score(0, name="toxicity"), ()),
        (score(1, name="incorrectness_feedback", source="EVAL"), ()),
        (score(None, string_value="thumbs_down", data_type="CATEGORICAL", name="reaction"), ("corrected",)),
        (score(None, string_value="👍", data_type="CATEGORICAL", name="reaction"), ("praised",)),
        (score(1, string_value="True", data_type="BOOLEAN", name="helpful", source="ANNOTATION"), ("praised",)),
        (score(1, source="EVAL"), ()),
        (score(1, trace="t9"), ()),
    ],
)
def test_what_a_score_says(tmp_path: Path, given: Json, expected: tuple[Signal, ...]) -> None:
    path = write(tmp_path / "a.jsonl", observation(6), given)
    assert signals(path)[-1] == expected
    lines = read(path, "langfuse").lines
    assert lines.used == (2 if expected else 1)


def test_zero_says_nothing_where_a_name_goes_below_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", observation(6), score(0), score(-1, call="g1"))
    assert signals(path)[-1] == ()


def test_a_number_says_nothing_where_a_name_goes_above_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", observation(6), score(1), score(5, trace="t2"))
    assert signals(path)[-1] == ()


def test_rewards_are_of_the_whole_session_only(tmp_path: Path) -> None:
    reward = score(0.25, name="task-success")
    assert read(write(tmp_path / "a.jsonl", observation(6), reward), "langfuse").sessions[0].reward == 0.25
    judged = score(0.25, name="task-success", source="EVAL")
    assert read(write(tmp_path / "b.jsonl", observation(6), judged), "langfuse").sessions[0].reward is None
    of_call = score(0, name="success", call="g6")
    path = write(tmp_path / "c.jsonl", observation(6), of_call)
    assert read(path, "langfuse").sessions[0].reward is None
    assert signals(path)[-1] == ("corrected",)
    two = [observation(4, session_id=""), observation(6, session_id="", trace_id="t2"), reward]
    assert read(write(tmp_path / "d.jsonl", *two), "langfuse").sessions[0].reward is None
    both = [*two, score(1.0, name="task-success", trace="t2")]
    assert read(write(tmp_path / "e.jsonl", *both), "langfuse").sessions[0].reward == 0.25
    of_session = score(1.0, name="resolved", trace="", session_id="k")
    assert read(write(tmp_path / "f.jsonl", observation(6), of_session), "langfuse").sessions[0].reward == 1.0


def test_what_is_no_generation_is_counted_by_its_kind(tmp_path: Path) -> None:
    records = [
        observation(2),
        observation(4, id="a", output="", input=""),
        observation(4, id="b", output="", level="ERROR"),
        observation(4, id="c", type="RETRIEVER", output="x"),
        observation(4, id="d", type="TOOL", output="x"),
        observation(4, id="e", type="DREAM"),
        trace(id="t7"),
        {"id": "z"},
    ]
    reading = read(write(tmp_path / "a.jsonl", *records), "langfuse")
    assert reading.lines.noise == {
        "call without content": 1,
        "failed call": 1,
        "step: retriever": 1,
        "step: tool": 1,
        "trace": 1,
    }
    assert reading.lines.unknown == {"(no observation, trace or score)": 1, "observation: DREAM": 1}


def test_failures_become_signals(tmp_path: Path) -> None:
    tool = observation(4, id="t", type="TOOL", level="ERROR", metadata={"tool_call_id": "call-1"})
    assert signals(write(tmp_path / "a.jsonl", observation(4), tool)) == [("tool_error",), ()]
    assert signals(write(tmp_path / "b.jsonl", observation(4, level="ERROR"))) == [(), ("api_error",)]


def test_plain_texts_are_a_question_and_its_answer(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", observation(2, input="Is it open?", output="Until six."))
    assert plain(read(path, "langfuse")) == [[("user", "Is it open?", []), ("assistant", "Until six.", [])]]


def test_a_trace_counts_where_no_generation_is_recorded(tmp_path: Path) -> None:
    whole = trace(input=json.dumps(OPENAI[:6]), output=json.dumps(OPENAI[6]))
    assert plain(read(write(tmp_path / "a.jsonl", whole), "langfuse")) == [told()]
    both = read(write(tmp_path / "b.jsonl", whole, observation(4)), "langfuse")
    assert plain(both) == [told(4)]
    assert both.lines.noise == {"step around calls": 1}


def test_rows_of_csv_that_are_damaged_are_bad(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [observation(2)])
    raw = path.read_bytes()
    path.write_bytes(raw + b"a,b\r\n\r\n" + raw.split(b"\r\n")[1].replace(b"chat", b"ch\xffat") + b'\r\nx,"open')
    reading = read(path, "langfuse")
    assert [bad.reason for bad in reading.lines.bad] == [
        "not as many fields as the first line names",
        "not UTF-8",
        "not CSV: unexpected end of data",
    ]
    assert reading.lines.noise == {"blank": 1, "header": 1}
    assert len(reading.sessions) == 1
