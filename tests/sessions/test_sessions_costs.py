"""Logs made to be slow: eight times the size may take eight times the time, not sixty-four; numbers that are too large.

The logs are such that nothing of them is repeated in what is read. Time is the process's own, and compared with
itself; half way between the two lies room for a machine that is busy.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from growth import assert_grows_with_size
from held import holds
from planted_logs import WRITERS, Texts

from locum.sessions.read import read_file
from locum.sessions.reader import FileReading
from locum.sessions.request_log.exchanges import time_of
from locum.sessions.tracing.scores import Score

Json = dict[str, Any]
HUGE = 10**400


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def claude(kind: str, uuid: str, parent: str | None, session: str = "s") -> Json:
    message = {"role": kind, "content": "Go." if kind == "user" else [{"type": "text", "text": "So."}]}
    return {"type": kind, "uuid": uuid, "parentUuid": parent, "sessionId": session, "message": message}


def rewound(many: int) -> str:
    """Everything is asked for twice, from the same place."""
    records = [claude("user", "u", None), claude("assistant", "a", "u")]
    for n in range(many):
        records += [claude("user", f"u{n}", "a"), claude("assistant", f"a{n}", f"u{n}")]
    return lines(*records)


def joined(many: int) -> str:
    """Every session goes on from another one, all of them under one id."""
    apart = [claude("user", f"u{n}", None, f"s{n}") for n in range(many)]
    return lines(*apart, *(claude("user", f"v{n}", f"u{n}", "s0") for n in range(1, many)))


def compacted(many: int) -> str:
    records: list[Json] = [{"type": "session", "version": 3, "id": "s", "cwd": "/"}]
    said = {"role": "assistant", "content": [{"type": "text", "text": "So."}]}
    for n in range(many):
        records.append({"type": "message", "id": f"a{n}", "parentId": f"a{n - 1}" if n else None, "message": said})
    for n in range(many):
        above = f"c{n - 1}" if n else f"a{many - 1}"
        records.append({"type": "compaction", "id": f"c{n}", "parentId": above, "firstKeptEntryId": "gone"})
    return lines(*records)


def taken_back(many: int) -> str:
    said = [{"id": f"m{n}", "type": "gemini", "content": "So."} for n in range(many)]
    back = [{"$rewindTo": f"m{many - 1}"}, said[-1]]
    return lines({"sessionId": "s", "projectHash": "p", "startTime": "2026-03-01T10:00:00Z"}, *said, *back * many)


def answered_without_ids(many: int) -> str:
    """Results name their tool alone, and other calls wait before theirs."""

    def calls(tool: str) -> list[Json]:
        return [{"id": f"{tool}{n}", "function": {"name": tool, "arguments": "{}"}} for n in range(many)]

    said = {"role": "assistant", "content": "", "tool_calls": [*calls("never"), *calls("soon")]}
    result = {"role": "tool", "name": "soon", "content": "x"}
    return lines({"messages": [{"role": "user", "content": "Go."}, said, *[result] * many]})


def failed_elsewhere(many: int) -> str:
    """Tools failed with other arguments than any call has."""
    call = {"type": "tool_call", "name": "write"}
    calls = [{**call, "id": f"c{n}", "arguments": {"n": n}} for n in range(many)]
    asked = [{"role": "user", "parts": [{"type": "text", "content": "Go."}]}]
    told = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(asked)}
    told["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "parts": calls}])
    failed = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "write"}
    spans = [{"attributes": told}]
    for n in range(many):
        given = {"gen_ai.tool.call.arguments": json.dumps({"n": -1 - n})}
        spans.append({"attributes": {**failed, **given}, "status": {"code": 2}})  # type: ignore[dict-item]
    named = ({"traceId": "t", "spanId": f"s{n}", "parentSpanId": "r", **span} for n, span in enumerate(spans))
    return lines(*named)


def spoken_by_many(many: int) -> str:
    said = {"role": "assistant", "content": "So."}
    history = [{"role": "user", "content": "Go."}, *({**said, "agent": f"a{n}"} for n in range(many))]
    return json.dumps({"environment": "e", "trajectory": [], "history": history, "info": {"exit_status": "x"}})


def spaced(many: int) -> str:
    """A long stretch of white space in an answer."""
    info = {"id": "ses_1", "projectID": "p", "directory": "/", "time": {"created": 1}}
    about = {"id": "msg_1", "sessionID": "ses_1", "role": "assistant", "time": {"created": 1}}
    part = {"id": "prt_1", "messageID": "msg_1", "sessionID": "ses_1", "type": "text", "text": f"a{' ' * many * 10}b"}
    return json.dumps({"info": info, "messages": [{"info": about, "parts": [part]}]})


CASES: dict[str, tuple[Callable[[int], str], int]] = {
    "claude_code rewound": (rewound, 2500),
    "claude_code joined": (joined, 2500),
    "pi_openclaw": (compacted, 2500),
    "gemini_cli": (taken_back, 8000),
    "openai_chat": (answered_without_ids, 2500),
    "otel_genai": (failed_elsewhere, 1600),
    "swe_agent": (spoken_by_many, 12_000),
    "opencode": (spaced, 3000),
}


def read(path: Path, text: str) -> FileReading:
    path.write_text(text, encoding="utf-8")
    found = read_file(path, str(path))
    assert isinstance(found, FileReading)
    holds(found)
    return found


@pytest.mark.parametrize("case", CASES)
def test_time_grows_with_the_size_alone(case: str, tmp_path: Path) -> None:
    make, most = CASES[case]

    def written(many: int) -> Path:
        path = tmp_path / str(many)
        path.write_text(make(many), encoding="utf-8")
        return path

    paths = {many: written(many) for many in (most // 8, most)}
    found = read_file(paths[most], "log")
    assert isinstance(found, FileReading)
    assert found.format == case.split()[0]
    assert_grows_with_size(lambda many: read_file(paths[many], "log"), most)


def test_nested_rewinds_repeat_no_more_than_some_of_what_led_to_them(tmp_path: Path) -> None:
    records = []
    above = None
    for n in range(400):
        records += [claude("user", f"x{n}", above), claude("assistant", f"y{n}", f"x{n}")]
        records += [claude("user", f"u{n}", above), claude("assistant", f"v{n}", f"u{n}")]
        above = f"v{n}"
    sessions = read(tmp_path / "s.jsonl", lines(*records)).sessions
    assert len(sessions) == 400
    assert max(len(session.messages) for session in sessions[1:]) == 502
    deepest = max(sessions[1:], key=lambda session: session.messages[-1].id or "")
    assert [message.origin for message in deepest.messages].count("agent") == 1


def test_numbers_that_are_too_large_are_none() -> None:
    assert [time_of(HUGE), time_of(-HUGE), time_of(1e308)] == [None] * 3
    assert [Score(1, "reward", value).number_value for value in (HUGE, "9" * 5000, "nan", "-inf")] == [None] * 4
    assert Score(1, "reward", "0.5").number_value == 0.5


@pytest.mark.parametrize("format", ["otel_genai", "openinference", "langfuse", "langsmith", "request_log"])
def test_logs_with_such_numbers_are_read(format: str, tmp_path: Path) -> None:
    WRITERS[format].write(tmp_path, Texts("Go.", "x", "ok", "Done."))
    (path,) = tmp_path.iterdir()
    whole = path.read_text(encoding="utf-8")
    times = ("startTimeUnixNano", "start_time", "timestamp")
    for value in (HUGE, -HUGE, "9" * 4000, {"intValue": "--5"}, None):
        records = [json.loads(line) for line in whole.splitlines()]
        for record in records:
            inner = record.get("resourceSpans", [{"scopeSpans": [{"spans": [record]}]}])[0]
            for span in inner["scopeSpans"][0]["spans"]:
                span.update({key: value for key in times if key in span})
                if isinstance(span.get("attributes"), list):
                    limits = {"key": "gen_ai.request.max_tokens", "value": {"intValue": "9" * 5000}}
                    span["attributes"] += [limits, {"key": "x", "value": value}]
        found = read(path, lines(*records))
        assert found.format == format
        assert found.sessions
