"""ShareGPT and Alpaca, as JSON lines, as a list, as one object."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up

from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of


def read(folder: Path, content: bytes, name: str) -> FileReading:
    path = folder / "set.json"
    path.write_bytes(content)
    reader = reader_of(path)
    assert reader is not None
    assert reader.name == name
    reading = reader.read(path)
    adds_up(reading)
    return reading


def dump(layout: str, records: list[Any]) -> bytes:
    if layout == "lines":
        return b"\n".join(json.dumps(record).encode() for record in records)
    return json.dumps(records, indent=2 if layout == "pretty" else None).encode()


def talk(*said: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"conversations": [{"from": speaker, "value": value} for speaker, value in said], **more}


HELLO = talk(("human", "Who are you?"), ("gpt", "Ada."))


@pytest.mark.parametrize("layout", ["lines", "list", "pretty"])
def test_a_conversation_is_a_session_in_every_layout(tmp_path: Path, layout: str) -> None:
    reading = read(tmp_path, dump(layout, [HELLO, talk(("human", "?")), HELLO]), "sharegpt")
    assert [s.id for s in reading.sessions] == ["set:1", "set:3"]
    assert [(m.role, m.origin, m.content) for m in reading.sessions[0].messages] == [
        ("user", "human", "Who are you?"),
        ("assistant", "agent", "Ada."),
    ]
    assert reading.sessions[0].lineage == reading.sessions[1].lineage
    assert (reading.lines.total, reading.lines.noise) == (3, {"unanswered": 1})


def test_one_object_over_many_lines(tmp_path: Path) -> None:
    assert len(read(tmp_path, json.dumps(HELLO, indent=2).encode(), "sharegpt").sessions) == 1


def test_calls_and_observations(tmp_path: Path) -> None:
    two = [{"name": "find", "arguments": {"id": 1}}, {"name": "find", "arguments": '{"id": 2}'}]
    tools = [{"name": "find", "description": "Finds.", "parameters": {}}]
    used = talk(
        ("human", "Find both."),
        ("function_call", json.dumps(two)),
        ("observation", "one"),
        ("observation", "two"),
        ("gpt", "Found."),
        system="Be brief.",
        tools=json.dumps(tools),
    )
    (session,) = read(tmp_path, dump("lines", [used]), "sharegpt").sessions
    assert [m.role for m in session.messages] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert [c.arguments for c in session.messages[2].tool_calls] == [{"id": 1}, {"id": 2}]
    assert [m.tool_call_id for m in session.messages[3:5]] == [c.id for c in session.messages[2].tool_calls]
    assert session.tools == ({"type": "function", "function": tools[0]},)


def test_a_result_of_a_call_written_as_text_stays_a_tools(tmp_path: Path) -> None:
    noted = talk(("human", "Find."), ("gpt", "<tool_call>{}</tool_call>"), ("tool", "found"), ("gpt", "Here."))
    (session,) = read(tmp_path, dump("lines", [noted]), "sharegpt").sessions
    assert (session.messages[2].role, session.messages[2].origin) == ("user", "tool")


def test_bad_conversations_have_their_number_and_reason(tmp_path: Path) -> None:
    odd = [talk(("narrator", "x")), talk(("human", 7)), talk(("function_call", "{")), {"text": "x"}]
    reading = read(tmp_path, dump("lines", [HELLO, *odd]) + b'\n\n{"conversations": [', "sharegpt")
    assert [bad.line for bad in reading.lines.bad] == [2, 3, 4, 7]
    assert reading.lines.unknown == {"(no conversations)": 1}
    assert reading.lines.noise == {"blank": 1}


def test_of_a_cut_list_the_records_before_the_cut_are_read(tmp_path: Path) -> None:
    whole = dump("pretty", [HELLO, HELLO, HELLO])
    reading = read(tmp_path, whole[:-60], "sharegpt")
    assert len(reading.sessions) == 2
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(3, "cut in the middle")]


def test_a_first_record_longer_than_the_head_is_recognised(tmp_path: Path) -> None:
    long = talk(("human", "x" * (1 << 17)), ("gpt", "Yes."))
    for layout in ("lines", "list", "pretty"):
        assert len(read(tmp_path, dump(layout, [long]), "sharegpt").sessions) == 1


@pytest.mark.parametrize("layout", ["lines", "list", "pretty"])
def test_an_instruction_its_input_and_its_output(tmp_path: Path, layout: str) -> None:
    record = {"instruction": "Add.", "input": "1 2", "output": "3", "system": "Count.", "history": [["Hi", "Hello"]]}
    bare = {"instruction": "Greet.", "input": "", "output": "Hi."}
    reading = read(tmp_path, dump(layout, [record, bare, {**bare, "output": " "}]), "alpaca")
    full, short = reading.sessions
    assert [(m.role, m.content) for m in full.messages] == [
        ("system", "Count."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Add.\n\n1 2"),
        ("assistant", "3"),
    ]
    assert [m.content for m in short.messages] == ["Greet.", "Hi."]
    assert reading.lines.noise == {"unanswered": 1}


def test_bad_instructions(tmp_path: Path) -> None:
    good = {"instruction": "Greet.", "output": "Hi."}
    odd = [{**good, "input": 7}, {**good, "history": [["one"]]}, {**good, "history": "x"}, {"prompt": "x"}]
    reading = read(tmp_path, dump("lines", [good, *odd]), "alpaca")
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [
        (2, "input is not a text"),
        (3, "history is not pairs of texts"),
        (4, "history is not a list"),
    ]
    assert reading.lines.unknown == {"(no instruction and output)": 1}
