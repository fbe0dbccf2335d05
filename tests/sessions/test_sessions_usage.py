"""What calls took: every spelling of counts, and every reader of logs that hold them."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import Log, call, result, text, thinking

from locum.sessions.claude_code import ClaudeCode
from locum.sessions.registry import reader_of
from locum.sessions.usage import together, usage_of
from locum.types import Usage


@pytest.mark.parametrize(
    ("counts", "cost", "expected"),
    [
        ({"input_tokens": 10, "output_tokens": 4}, None, Usage(10, 4)),
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 70,
                "cache_creation_input_tokens": 20,
                "output_tokens": 4,
            },
            None,
            Usage(100, 4, 70),
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 70}},
            0.5,
            Usage(100, 4, 70, 0.5),
        ),
        (
            {"input_tokens": 100, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 70}},
            None,
            Usage(100, 4, 70),
        ),
        (
            {"input_tokens": 100, "cached_input_tokens": 70, "output_tokens": 4, "reasoning_output_tokens": 2},
            None,
            Usage(100, 4, 70),
        ),
        (
            {"input": 10, "output": 4, "cacheRead": 70, "cacheWrite": 20, "cost": {"input": 1, "total": 1.5}},
            None,
            Usage(100, 4, 70, 1.5),
        ),
        ({"input": 30, "input_cached_tokens": 70, "output": 4}, "0.25", Usage(100, 4, 70, 0.25)),
        ({"input_tokens": 100, "input_token_details": {"cache_read": 70}, "output_tokens": 4}, 0, Usage(100, 4, 70)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cost": 0.01}, 7, Usage(9, 1, 0, 0.01)),
        ({"prompt_tokens": 5.0, "completion_tokens": None}, None, Usage(5, 0)),
        ({"prompt_tokens": -5, "completion_tokens": True}, 1, None),
        ({"prompt_tokens": "many"}, 1, None),
        ({}, 1, None),
        ([1], 1, None),
        (None, 1, None),
    ],
)
def test_every_spelling_of_counts(counts: Any, cost: Any, expected: Usage | None) -> None:
    assert usage_of(counts, cost) == expected


def test_two_calls_of_one_message_are_summed() -> None:
    assert together(Usage(3, 1), Usage(4, 2, 1, 0.5)) == Usage(7, 3, 1, 0.5)
    assert together(None, Usage(4, 2)) == together(Usage(4, 2), None) == Usage(4, 2)
    assert together(Usage(1, 1), Usage(1, 1)) == Usage(2, 2)


def usages(path: Path) -> list[Usage | None]:
    """Of the agent's messages, session after session."""
    reader = reader_of(path)
    assert reader is not None
    return [
        message.usage
        for session in reader.read(path).sessions
        for message in session.messages
        if message.role == "assistant"
    ]


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def counted(output: Any, read: Any = 70) -> dict[str, Any]:
    return {
        "input_tokens": 10,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": 20,
        "output_tokens": output,
        "server_tool_use": {"web_search_requests": 0},
    }


def spoken(log: Log, id_: str, block: dict[str, Any], usage: Any, model: str = "claude-x") -> None:
    message = {"id": id_, "type": "message", "role": "assistant", "model": model, "content": [block], "usage": usage}
    log.add("assistant", message=message)


def test_claude_code_repeats_the_counts_on_each_line_and_the_last_holds_all(tmp_path: Path) -> None:
    log = Log()
    log.human("do")
    spoken(log, "m1", thinking(), counted(1))
    spoken(log, "m1", text("I look."), counted(1))
    spoken(log, "m1", call("c1"), counted(158))
    log.human([result("c1")])
    spoken(log, "m2", text("done"), counted(5, None), model="claude-y")
    log.human("more")
    for at, odd in enumerate((None, "x", [1], 3, {"input_tokens": "ten"}, {"output_tokens": 2})):
        spoken(log, f"odd{at}", text(f"{at}"), odd)
    path = log.write(tmp_path / "log.jsonl")
    assert usages(path)[:2] == [Usage(100, 158, 70, None, "claude-x"), Usage(30, 5, 0, None, "claude-y")]
    assert usages(path)[2:] == [None] * 5 + [Usage(0, 2, 0, None, "claude-x")]
    assert ClaudeCode().read(path).lines.bad == ()


def test_codex_counts_after_the_answer_and_sometimes_twice(tmp_path: Path) -> None:
    def count(total: int, last: int) -> dict[str, Any]:
        usage = {"input_tokens": last, "cached_input_tokens": 5, "output_tokens": 2}
        info = {"total_token_usage": {"input_tokens": total}, "last_token_usage": usage}
        return {"type": "event_msg", "payload": {"type": "token_count", "info": info}}

    def item(**payload: Any) -> dict[str, Any]:
        return {"timestamp": "2026-01-01T00:00:00Z", "type": "response_item", "payload": payload}

    def said(words: str) -> dict[str, Any]:
        return item(type="message", role="assistant", content=[{"type": "output_text", "text": words}])

    path = write(
        tmp_path / "rollout-1.jsonl",
        {"timestamp": "2026-01-01T00:00:00Z", "type": "session_meta", "payload": {"id": "a" * 20}},
        {"type": "turn_context", "payload": {"model": "gpt-x"}},
        item(type="message", role="user", content=[{"type": "input_text", "text": "do it"}]),
        {"type": "event_msg", "payload": {"type": "token_count", "info": None}},
        item(type="function_call", name="shell", arguments="{}", call_id="call_0123456789abcdef"),
        count(10, 10),
        count(10, 10),
        item(type="function_call_output", call_id="call_0123456789abcdef", output="ok"),
        said("done"),
        count(40, 30),
        count(60, 20),
    )
    assert usages(path) == [Usage(10, 2, 5, None, "gpt-x"), Usage(50, 4, 10, None, "gpt-x")]


def test_pi_states_dollars_and_the_clients_own_messages_take_nothing(tmp_path: Path) -> None:
    def entry(id_: str, parent: str | None, message: dict[str, Any]) -> dict[str, Any]:
        return {"type": "message", "id": id_, "parentId": parent, "timestamp": "2026-01-01T00:00:00Z"} | {
            "message": message
        }

    usage = {"input": 3, "output": 82, "cacheRead": 7, "cacheWrite": 10, "cost": {"total": 0.25}}
    agent = {"role": "assistant", "provider": "anthropic", "model": "claude-x", "usage": usage}
    path = write(
        tmp_path / "session.jsonl",
        {"type": "session", "version": 3, "id": "s", "timestamp": "2026-01-01T00:00:00Z", "cwd": "/"},
        entry("aaaaaaaa", None, {"role": "user", "content": "hi"}),
        entry("bbbbbbbb", "aaaaaaaa", agent | {"content": [{"type": "text", "text": "hello"}]}),
        entry(
            "cccccccc",
            "bbbbbbbb",
            agent | {"provider": "openclaw", "content": [{"type": "text", "text": "and this"}]},
        ),
    )
    assert usages(path) == [Usage(20, 82, 7, 0.25, "claude-x"), None]


def test_of_calls_that_repeat_their_history_each_answer_keeps_its_own(tmp_path: Path) -> None:
    def one(messages: list[Any], answer: str, usage: Any, **more: Any) -> dict[str, Any]:
        response = {"model": "gpt-x", "choices": [{"message": {"role": "assistant", "content": answer}}]}
        return {"request": {"model": "gpt-x", "messages": messages}, "response": response | {"usage": usage}, **more}

    first = [{"role": "user", "content": "one"}]
    second = [*first, {"role": "assistant", "content": "1"}, {"role": "user", "content": "two"}]
    path = write(
        tmp_path / "calls.jsonl",
        one(first, "1", {"prompt_tokens": 5, "completion_tokens": 1}, response_cost=0.5),
        one(second, "2", {"prompt_tokens": 9, "completion_tokens": 1}),
    )
    assert usages(path) == [Usage(5, 1, 0, 0.5, "gpt-x"), Usage(9, 1, 0, None, "gpt-x")]


def test_a_streams_last_event_has_the_counts(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "one"}]
    began = {"id": "m", "role": "assistant", "model": "claude-x", "content": [], "usage": {"input_tokens": 8}}
    blocks = [
        {"type": "message_start", "message": began},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    ]
    chunks = [
        {"model": "gpt-x", "choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]},
        {"model": "gpt-x", "choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 3}},
    ]
    request = {"model": "m", "max_tokens": 9000, "messages": messages}
    path = write(tmp_path / "a.jsonl", {"request": request | {"system": "s"}, "response": blocks})
    assert usages(path) == [Usage(8, 3, 0, None, "claude-x")]
    path = write(tmp_path / "b.jsonl", {"request": request, "response": chunks})
    assert usages(path) == [Usage(8, 3, 0, None, "gpt-x")]


def test_tracers(tmp_path: Path) -> None:
    asked, answered = [{"role": "user", "content": "one"}], {"role": "assistant", "content": "1"}
    generation = {
        "id": "g", "trace_id": "t", "type": "GENERATION", "start_time": "2026-01-01 10:00:00.0", "name": "chat",
        "input": json.dumps(asked), "output": json.dumps(answered), "provided_model_name": "gpt-x",
        "usage_details": {"input": 30, "input_cached_tokens": 70, "output": 4}, "total_cost": 0.25,
    }  # fmt: skip
    assert usages(write(tmp_path / "langfuse.jsonl", generation)) == [Usage(100, 4, 70, 0.25, "gpt-x")]
    run = {
        "id": "r", "trace_id": "t", "run_type": "llm", "name": "chat", "start_time": "2026-01-01T10:00:00",
        "inputs": {"messages": asked}, "outputs": {"choices": [{"message": answered}]},
        "prompt_tokens": 100, "completion_tokens": 4, "total_cost": "0.25",
        "extra": {"metadata": {"ls_model_name": "gpt-x"}},
    }  # fmt: skip
    assert usages(write(tmp_path / "langsmith.jsonl", run)) == [Usage(100, 4, 0, 0.25, "gpt-x")]

    def span(**counts: int) -> dict[str, Any]:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-x",
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "one"}]}],
            "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "1"}]}],
        }
        counts = {f"gen_ai.usage.{key.replace('__', '.')}": value for key, value in counts.items()}
        times = {"start_time": "2026-01-01T10:00:00Z", "end_time": "2026-01-01T10:00:01Z"}
        return {
            "name": "chat",
            "context": {"trace_id": "t", "span_id": "s"},
            "attributes": attributes | counts,
            **times,
        }

    now = span(input_tokens=100, output_tokens=4, cache_read__input_tokens=70)
    assert usages(write(tmp_path / "spans.jsonl", now)) == [Usage(100, 4, 70, None, "gpt-x")]
    before = span(prompt_tokens=100, completion_tokens=4)
    assert usages(write(tmp_path / "older.jsonl", before)) == [Usage(100, 4, 0, None, "gpt-x")]
