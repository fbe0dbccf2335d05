"""OpenAI chat fine-tuning sets: one record, one session."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up

from locum.sessions.jsonl import HEAD
from locum.sessions.openai_chat import OpenAIChat
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of

ASK = {"role": "user", "content": "Weather?"}
TOOL = {"name": "weather", "parameters": {"type": "object", "properties": {}}}


def read(folder: Path, *records: Any) -> FileReading:
    path = folder / "train.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    reader = reader_of(path)
    assert isinstance(reader, OpenAIChat)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def called(arguments: Any, **more: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "weather", "arguments": arguments}, **more}],
    }


@pytest.mark.parametrize("arguments", ['{"city": "Rome"}', {"city": "Rome"}])
def test_arguments_as_text_and_as_object(tmp_path: Path, arguments: Any) -> None:
    line = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            ASK,
            called(arguments, id="c7", type="function"),
            {"role": "tool", "tool_call_id": "c7", "content": "sunny"},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "Sunny."}, {"type": "text", "text": "Hot."}],
            },
        ],
        "tools": [{"type": "function", "function": TOOL}],
    }
    (session,) = read(tmp_path, line).sessions
    assert [(m.role, m.origin) for m in session.messages] == [
        ("system", "system"),
        ("user", "human"),
        ("assistant", "agent"),
        ("tool", "tool"),
        ("assistant", "agent"),
    ]
    assert session.messages[2].tool_calls[0].arguments == {"city": "Rome"}
    assert session.messages[3].tool_name == "weather"
    assert session.messages[4].content == "Sunny.\nHot."
    assert session.tools == ({"type": "function", "function": TOOL},)
    assert session.id == "train:1"


def test_calls_of_the_first_api(tmp_path: Path) -> None:
    line = {
        "messages": [
            ASK,
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": ""}},
            {"role": "function", "name": "weather", "content": "sunny"},
            {"role": "assistant", "content": "Sunny."},
        ],
        "functions": [TOOL],
    }
    (session,) = read(tmp_path, line).sessions
    call = session.messages[1].tool_calls[0]
    assert (call.name, call.arguments) == ("weather", {})
    assert session.messages[2].tool_call_id == call.id
    assert session.tools == ({"type": "function", "function": TOOL},)


def test_calls_and_results_without_ids_pair_in_order(tmp_path: Path) -> None:
    two = {**called({"n": 1}), "tool_calls": called({"n": 1})["tool_calls"] + called({"n": 2})["tool_calls"]}
    results = [{"role": "tool", "content": "one"}, {"role": "tool", "content": "two"}]
    (session,) = read(tmp_path, {"messages": [ASK, two, *results]}).sessions
    ids = [c.id for c in session.messages[1].tool_calls]
    assert len(set(ids)) == 2
    assert [m.tool_call_id for m in session.messages[2:]] == ids


def test_weight_zero_is_context(tmp_path: Path) -> None:
    unlearnt = {"role": "assistant", "content": "Dunno.", "weight": 0}
    answer = {"role": "assistant", "content": "Sunny.", "weight": 1}
    reading = read(tmp_path, {"messages": [ASK, unlearnt, ASK, answer]}, {"messages": [ASK, unlearnt]})
    (session,) = reading.sessions
    assert [m.origin for m in session.messages] == ["human", "harness", "human", "agent"]
    assert reading.lines.noise == {"unanswered": 1}


def test_posts_without_a_prompt_survive(tmp_path: Path) -> None:
    post = {"role": "assistant", "content": "Good morning."}
    reading = read(tmp_path, {"messages": [post]}, {"messages": [{"role": "system", "content": "Ada"}, post]})
    assert [len(s.messages) for s in reading.sessions] == [1, 2]
    assert all(s.messages[-1].origin == "agent" for s in reading.sessions)


def test_images_leave_their_place_and_a_mark(tmp_path: Path) -> None:
    look = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "?"}],
    }
    (session,) = read(tmp_path, {"messages": [look, {"role": "assistant", "content": "A cat."}]}).sessions
    assert session.messages[0].content == "[image]\n?"
    assert session.messages[1].signals == ("unreadable",)


def test_conversations_that_go_on_share_a_lineage_and_equal_prompts_do_not(tmp_path: Path) -> None:
    one, other = ({"role": "assistant", "content": text} for text in ("Sunny.", "Rainy."))
    first, longer, second, third = read(
        tmp_path,
        {"messages": [ASK, one]},
        {"messages": [ASK, one, ASK, other]},
        {"messages": [ASK, other]},
        {"messages": [ASK, one]},
    ).sessions
    assert first.lineage == longer.lineage == third.lineage
    assert second.lineage != first.lineage


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([ASK, called("not json")], "tool call arguments are not a JSON object"),
        ([ASK, called("[1]")], "tool call arguments are not a JSON object"),
        ([ASK, {"role": "tool", "content": "x", "tool_call_id": "c"}], "a tool result without its call"),
        ([ASK, {"role": "narrator", "content": "x"}], "a message without a known role"),
        ([ASK, {"role": "assistant", "content": 7}], "content is neither text nor a list of parts"),
        ([ASK, {"role": "assistant", "tool_calls": [{"id": "c"}]}], "a tool call without a function name"),
        ([ASK, {"role": "assistant", "tool_calls": "c"}], "tool_calls is not a list"),
    ],
)
def test_a_bad_line_has_its_number_and_reason_and_stops_nothing(tmp_path: Path, messages: Any, reason: str) -> None:
    good = {"messages": [ASK, {"role": "assistant", "content": "Sunny."}]}
    reading = read(tmp_path, good, {"messages": messages}, "", '{"prompt": "x"}', '{"messages": [', good)
    assert [s.id for s in reading.sessions] == ["train:1", "train:6"]
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(2, reason), (5, "cut in the middle")]
    assert reading.lines.noise == {"blank": 1}
    assert reading.lines.unknown == {"(no messages)": 1}


def test_a_first_line_longer_than_the_head_is_recognised(tmp_path: Path) -> None:
    long = {"messages": [{"role": "system", "content": "x" * HEAD}, {"role": "assistant", "content": "Yes."}]}
    assert len(read(tmp_path, long).sessions) == 1


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wide", [False, True], ids=["short", "longer than the head"])
def test_a_list_of_records_is_read_as_its_lines_would_be(tmp_path: Path, indent: int | None, wide: bool) -> None:
    said = "Sunny. " * (HEAD // 4 if wide else 1)
    records = [
        {"id": 7, "messages": [ASK, {"role": "assistant", "content": said}]},
        {"messages": [ASK, {"role": "assistant", "content": "Rain."}]},
        {"messages": [ASK]},
        "nothing",
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(records, indent=indent))
    reader = reader_of(path)
    assert isinstance(reader, OpenAIChat)
    reading = reader.read(path)
    adds_up(reading)
    assert [session.messages[-1].content for session in reading.sessions] == [said, "Rain."]
    assert reading.lines.noise == {"unanswered": 1}
    assert [(line.line, line.reason) for line in reading.lines.bad] == [(4, "not a JSON object")]


@pytest.mark.parametrize("first", ['["messages": [', '[{"note": 1}]', "[]"])
def test_a_first_line_that_looks_like_a_list_costs_that_line_alone(tmp_path: Path, first: str) -> None:
    whole = json.dumps({"messages": [ASK, {"role": "assistant", "content": "Sunny."}]})
    reading = read(tmp_path, first, whole, whole)
    assert len(reading.sessions) == 2
    assert [line.line for line in reading.lines.bad] == [1]
