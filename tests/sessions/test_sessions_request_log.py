"""Logs of calls to models: both dialects, wrappings, streams, repeated histories, side calls, calls in texts."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up

from locum.dataset import extract, read_rows
from locum.dataset.split import SPLITS
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.sessions.request_log import RequestLog

TOOL = {"type": "function", "function": {"name": "find", "parameters": {"properties": {"n": {"type": "integer"}}}}}


def read(folder: Path, *records: Any, tail: bytes = b"") -> FileReading:
    path = folder / "calls.jsonl"
    path.write_bytes(b"\n".join(json.dumps(record).encode() for record in records) + tail)
    reader = reader_of(path)
    assert isinstance(reader, RequestLog)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def made(id_: str, n: int, text: str | None = None) -> dict[str, Any]:
    call = {"id": id_, "type": "function", "function": {"name": "find", "arguments": json.dumps({"n": n})}}
    return {"role": "assistant", "content": text, "tool_calls": [call]}


def told(id_: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": text}


def chat(history: list[Any], message: dict[str, Any], reason: str = "stop", **more: Any) -> dict[str, Any]:
    """A call as LiteLLM logs it."""
    response = {"id": "x", "model": "gpt-x", "choices": [{"message": message, "finish_reason": reason}]}
    return {"messages": history, "tools": [TOOL], "response": response, "timestamp": 1767348000.5, **more}


SYSTEM = {"role": "system", "content": "You find things."}
FIRST = [SYSTEM, user("Find 1.")]
SECOND = [*FIRST, made("c1", 1), told("c1", "one")]
SAID = {"role": "assistant", "content": "Found."}


def test_calls_that_repeat_a_history_are_one_session(tmp_path: Path) -> None:
    reading = read(tmp_path, chat(FIRST, made("c1", 1), timestamp=1767348000), chat(SECOND, SAID))
    (session,) = reading.sessions
    assert [(m.role, m.origin, m.content) for m in session.messages] == [
        ("system", "system", "You find things."),
        ("user", "human", "Find 1."),
        ("assistant", "agent", ""),
        ("tool", "tool", "one"),
        ("assistant", "agent", "Found."),
    ]
    assert session.messages[2].tool_calls[0].arguments == {"n": 1}
    assert [m.time for m in session.messages if m.origin == "agent"] == [
        "2026-01-02T10:00:00.000Z",
        "2026-01-02T10:00:00.500Z",
    ]
    assert (session.started, session.model, session.provider) == ("2026-01-02T10:00:00.000Z", "gpt-x", "openai")
    assert session.tools == (TOOL,)
    assert (reading.lines.total, reading.lines.used) == (2, 2)


def test_the_order_of_the_log_and_repeated_calls_change_nothing(tmp_path: Path) -> None:
    short, long = chat(FIRST, made("c1", 1)), chat(SECOND, SAID)
    for order in ([long, short], [short, short, long], [short, long, long]):
        reading = read(tmp_path, *order)
        assert [len(s.messages) for s in reading.sessions] == [5]
        assert reading.lines.used == len(order)


def test_a_system_prompt_or_an_id_that_changes_splits_nothing(tmp_path: Path) -> None:
    today = [{"role": "system", "content": "Today is Friday."}, *FIRST[1:], made("z", 1), told("z", "one")]
    assert len(read(tmp_path, chat(FIRST, made("c1", 1)), chat(today, SAID)).sessions) == 1


def test_a_history_that_was_changed_is_a_session_of_the_same_lineage(tmp_path: Path) -> None:
    edited = [*FIRST, made("c1", 1), told("c1", "uno")]
    one, other = read(tmp_path, chat(SECOND, SAID), chat(edited, SAID)).sessions
    assert one.lineage == other.lineage
    other_talk = read(tmp_path, chat([SYSTEM, user("Find 2.")], SAID)).sessions[0]
    assert other_talk.lineage != one.lineage


def test_calls_in_files_of_their_own_give_every_turn_once(tmp_path: Path) -> None:
    for number, call in enumerate([chat(FIRST, made("c1", 1)), chat(SECOND, SAID)]):
        (tmp_path / f"{number}.json").write_text(json.dumps(call, indent=1))
    extract([tmp_path], tmp_path / "dataset", allow_terms=["openai"])
    rows = [row for split in SPLITS for row in read_rows(tmp_path / "dataset", split)]
    assert [row.response.content or row.response.tool_calls[0].name for row in rows] == ["find", "Found."]


def test_a_correction_and_a_truncated_answer_are_marked(tmp_path: Path) -> None:
    cut = {"role": "assistant", "content": "It is a"}
    history = [*FIRST, cut, user("No, that's wrong.")]
    (session,) = read(tmp_path, chat(FIRST, cut, "length"), chat(history, SAID)).sessions
    assert [m.signals for m in session.messages if m.origin == "agent"] == [("truncated", "corrected"), ()]


def test_a_command_that_failed_is_marked(tmp_path: Path) -> None:
    failed = [*FIRST, made("c1", 1), told("c1", "?\n[Command finished with exit code 2]")]
    (session,) = read(tmp_path, chat(failed, SAID)).sessions
    assert session.messages[2].signals == ("tool_error",)


@pytest.mark.parametrize(
    ("system", "asked", "limit", "kind"),
    [
        ("Generate a concise, sentence-case title.", "fix the bug", None, "side call: title"),
        ("Analyze if this message indicates a new conversation topic.", "fix", None, "side call: topic"),
        ("You are tasked with summarizing conversations.", "…", None, "side call: summary"),
        ("<policy_spec>", "ls", None, "side call: command check"),
        ("", "quota", 1, "side call: quota"),
        ("", "Write a 5-10 word title for this chat", 64, "side call: title"),
        ("Be brief.", "Is this about sport?", 64, "side call: short answer"),
    ],
)
def test_side_calls_are_noise_of_a_kind(tmp_path: Path, system: str, asked: str, limit: Any, kind: str) -> None:
    side = chat([{"role": "system", "content": system}, user(asked)], SAID, tools=None, max_tokens=limit)
    reading = read(tmp_path, chat(SECOND, SAID), side)
    assert len(reading.sessions) == 1
    assert reading.lines.noise == {kind: 1}


def test_work_that_resembles_side_calls_is_kept(tmp_path: Path) -> None:
    title = chat([user("Write a title for this post.")], SAID, tools=None)
    assert len(read(tmp_path, title).sessions) == 1
    short = chat([user("Is this about sport?")], SAID, tools=None, max_tokens=64)
    assert len(read(tmp_path, short).sessions) == 1  # no conversation with tools beside it


def test_a_compaction_is_no_turn_of_the_conversation(tmp_path: Path) -> None:
    ask = user("Your task is to create a detailed summary of the conversation so far.")
    reading = read(tmp_path, chat(SECOND, SAID), chat([*SECOND, SAID, ask], {"role": "assistant", "content": "1."}))
    assert [len(s.messages) for s in reading.sessions] == [5]
    assert reading.lines.noise == {"side call: summary": 1}


def anthropic(messages: list[Any], content: Any, **more: Any) -> dict[str, Any]:
    """A call as a tracer logs it."""
    request = {
        "model": "claude-x",
        "max_tokens": 9000,
        "system": [{"type": "text", "text": "You find things."}],
        "messages": messages,
        "tools": [{"name": "find", "description": "Finds.", "input_schema": {"type": "object"}}],
    }
    response = {"type": "message", "model": "claude-x", "content": content, "stop_reason": "end_turn", **more}
    return {
        "request": {"method": "POST", "url": "https://x/v1/messages", "timestamp": 1767348000, "body": request},
        "response": {"status_code": 200, "body": response},
    }


USE: list[dict[str, Any]] = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "I look."}]
USE += [{"type": "tool_use", "id": "t1", "name": "find", "input": {"n": 1}}]
HEARD = [
    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "none"}], "is_error": True},
    {"type": "text", "text": "<system-reminder>Be kind.</system-reminder>"},
    {"type": "text", "text": "Look again."},
]


def test_anthropics_messages(tmp_path: Path) -> None:
    ask = user([{"type": "text", "text": "Find 1.", "cache_control": {"type": "ephemeral"}}])
    reading = read(
        tmp_path,
        anthropic([ask], USE),
        anthropic([ask, {"role": "assistant", "content": USE}, user(HEARD)], [{"type": "text", "text": "Found."}]),
    )
    (session,) = reading.sessions
    assert [(m.role, m.origin, m.content) for m in session.messages if m.content] == [
        ("system", "system", "You find things."),
        ("user", "human", "Find 1."),
        ("assistant", "agent", "I look."),
        ("tool", "tool", "none"),
        ("user", "human", "Look again."),
        ("assistant", "agent", "Found."),
    ]
    assert session.messages[2].tool_calls[0].arguments == {"n": 1}
    assert session.messages[2].signals == ("tool_error",)
    assert (session.provider, session.started) == ("anthropic", "2026-01-02T10:00:00.000Z")
    assert session.tools[0]["function"]["parameters"] == {"type": "object"}


def test_an_image_leaves_a_mark_and_the_token_limit_a_signal(tmp_path: Path) -> None:
    look = user([{"type": "image", "source": {}}, {"type": "text", "text": "?"}])
    cut = anthropic([look], [{"type": "text", "text": "A c"}], stop_reason="max_tokens")
    (session,) = read(tmp_path, cut).sessions
    assert session.messages[-1].signals == ("unreadable", "truncated")


def test_an_answer_that_a_filter_broke_off_is_no_whole_one(tmp_path: Path) -> None:
    broken = anthropic([user("Hi.")], [{"type": "text", "text": "I c"}], stop_reason="refusal")
    for record in (broken, chat([user("Hi.")], {"role": "assistant", "content": "I c"}, "content_filter")):
        (session,) = read(tmp_path, record).sessions
        assert session.messages[-1].signals == ("interrupted",)


def test_a_result_whose_call_is_no_longer_in_the_history(tmp_path: Path) -> None:
    (session,) = read(tmp_path, anthropic([user(HEARD[:1])], [{"type": "text", "text": "Hm."}])).sessions
    assert [(m.role, m.origin) for m in session.messages[1:]] == [("user", "tool"), ("assistant", "agent")]


def sse(*events: dict[str, Any]) -> str:
    return "".join(f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n" for event in events)


BLOCKS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"type": "message", "model": "claude-x", "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "look."}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": "find"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"n"'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    {"type": "message_stop"},
]


@pytest.mark.parametrize("layout", ["text", "body", "list"])
def test_a_streamed_answer_of_anthropics_is_merged(tmp_path: Path, layout: str) -> None:
    record = anthropic([user("Find 1.")], [])
    record["response"] = {"text": sse(*BLOCKS), "body": {"body_raw": sse(*BLOCKS)}, "list": BLOCKS}[layout]
    (session,) = read(tmp_path, record).sessions
    last = session.messages[-1]
    assert (last.content, last.tool_calls[0].id, last.tool_calls[0].arguments) == ("I look.", "t1", {"n": 1})
    assert last.signals == ()


def test_a_stream_that_ends_early_was_stopped(tmp_path: Path) -> None:
    record = anthropic([user("Find 1.")], [])
    record["response"] = sse(*BLOCKS[:5])
    (session,) = read(tmp_path, record).sessions
    assert (session.messages[-1].content, session.messages[-1].signals) == ("I ", ("interrupted",))


def test_a_streamed_answer_of_openais_is_merged(tmp_path: Path) -> None:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"content": "I look."},
        {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "find", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"n": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
    ]
    chunks = "".join(f"data: {json.dumps({'model': 'gpt-x', 'choices': [{'delta': d}]})}\n\n" for d in deltas)
    (session,) = read(tmp_path, {**chat(FIRST, {}), "response": chunks + "data: [DONE]\n\n"}).sessions
    last = session.messages[-1]
    assert (last.content, last.tool_calls[0].name, last.tool_calls[0].arguments) == ("I look.", "find", {"n": 1})


def test_requests_and_responses_that_are_texts(tmp_path: Path) -> None:
    call = chat(FIRST, SAID)
    answer = call.pop("response")
    for response in (json.dumps(answer), {"body": json.dumps(answer)}, "Found."):
        (session,) = read(tmp_path, {"request": json.dumps(call), "response": response}).sessions
        assert session.messages[-1].content == "Found."


def test_calls_written_into_texts_are_calls(tmp_path: Path) -> None:
    note = "I look.\n\n<function=find>\n<parameter=n>1</parameter>\n<parameter=why>\nso\n</parameter>\n</function>"
    system = f"{SYSTEM['content']}\nYou have access to the following functions:\n\n---- BEGIN FUNCTION #1: find ----"
    task = "Here's a running example of it.\n\n-- NEW TASK DESCRIPTION --\nFind 1.\n-- END OF NEW TASK DESCRIPTION --\n"
    history = [
        {"role": "system", "content": system},
        user(task),
        {"role": "assistant", "content": note},
        user("EXECUTION RESULT of [find]:\none"),
    ]
    (session,) = read(tmp_path, chat(history, SAID)).sessions
    assert [(m.role, m.content) for m in session.messages] == [
        ("system", "You find things."),
        ("user", "Find 1."),
        ("assistant", "I look."),
        ("tool", "one"),
        ("assistant", "Found."),
    ]
    assert session.messages[2].tool_calls[0].arguments == {"n": 1, "why": "so"}
    # The server stops at the closing tag, so an answer lacks it.
    (cut,) = read(
        tmp_path, chat(history[:2], {"role": "assistant", "content": note.removesuffix("</function>")})
    ).sessions
    assert cut.messages[-1].tool_calls[0].arguments == {"n": 1, "why": "so"}


def test_messages_before_a_rewrite_are_preferred(tmp_path: Path) -> None:
    call = chat([user("rewritten")], SAID, raw_messages=SECOND)
    assert [m.role for m in read(tmp_path, call).sessions[0].messages][:4] == ["system", "user", "assistant", "tool"]


def test_what_is_no_answered_call(tmp_path: Path) -> None:
    other = {"request": {"method": "GET", "url": "https://x/v1/models"}, "response": {"body": {"data": []}}}
    responses = {"request": {"input": "Hi.", "model": "gpt-x"}, "response": {"output": []}}
    failed = {**chat(FIRST, SAID), "response": None}
    error = {**anthropic([user("Hi.")], []), "response": {"body": {"type": "error", "error": {}}}}
    bad = chat([*FIRST, {"role": "narrator", "content": "x"}], SAID)
    block = anthropic([user("Hi.")], [{"type": "text", "text": "Hi."}, {"type": "dance"}])
    reading = read(tmp_path, chat(SECOND, SAID), other, responses, failed, error, bad, block, {"x": 1}, tail=b"\n\n{")
    assert reading.lines.noise == {
        "another endpoint": 1,
        "call of the Responses API": 1,
        "call without an answer": 2,
        "blank": 1,
    }
    assert reading.lines.unknown == {"assistant block: dance": 1, "(no request with messages)": 1}
    assert [bad.line for bad in reading.lines.bad] == [6, 10]
    assert len(reading.sessions) == 2


def test_wrappings_within_wrappings_end(tmp_path: Path) -> None:
    deep: Any = {"x": 1}
    for _ in range(300):
        deep = {"body": deep}
    reading = read(tmp_path, chat(SECOND, SAID), {**chat(FIRST, SAID), "response": deep})
    assert [bad.reason for bad in reading.lines.bad] == ["wrapped too deeply"]


def test_a_call_longer_than_the_head_is_recognised_before_training_sets(tmp_path: Path) -> None:
    assert len(read(tmp_path, chat([user("x" * (1 << 17))], SAID)).sessions) == 1
