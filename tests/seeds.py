"""Small whole logs of every format, in each of the layouts that it has: what is damaged in the tests of bad input."""

import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import zstandard
from planted_logs import WRITERS, Texts

from locum.sessions.registry import READERS

TEXTS = Texts("Please look at a.py.", "one = 1", "exit code: 0\nfine", "Done: one is 1.")


@cache
def seeds_of(format: str) -> tuple[tuple[str, bytes], ...]:
    """The name and content of each of a format's logs; a format without any is not tested, so there is none such."""
    with tempfile.TemporaryDirectory() as place:
        WRITERS[format].write(Path(place), TEXTS)
        planted = [(path.name, path.read_bytes()) for path in sorted(Path(place).iterdir())]
    return (*planted, *_MORE.get(format, ()))


def warm_up() -> None:
    """Read every seed once, so that everything that is imported late is imported."""
    for reader in READERS:
        for name, raw in seeds_of(reader.name):
            with tempfile.TemporaryDirectory() as place:
                path = Path(place, name)
                path.write_bytes(raw)
                reader.detects(raw[: 1 << 16], path)
                reader.read(path)


def _lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _gemini_lines() -> Iterator[Any]:
    yield {"sessionId": "s", "projectHash": "ab", "startTime": "2026-03-01T10:00:00Z", "kind": "main"}
    yield {"id": "1", "type": "user", "content": [{"text": "Go."}], "timestamp": "2026-03-01T10:00:01Z"}
    yield {"id": "2", "type": "gemini", "content": "First.", "model": "gemini-x"}
    yield {"$rewindTo": "2"}
    yield {"id": "3", "type": "gemini", "content": "Second.", "model": "gemini-x"}
    yield {"$set": {"messages": [{"id": "1", "type": "user", "content": "Go."}]}}
    yield {"id": "4", "type": "gemini", "content": "Third.", "model": "gemini-x"}


def _anthropic() -> dict[str, Any]:
    call = {"type": "tool_use", "id": "c1", "name": "write", "input": {"path": "a.py"}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "ok"}]}
    messages = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [{"type": "text", "text": "So."}, call]},
        {"role": "user", "content": [result, {"type": "text", "text": "On."}]},
    ]
    tools = [{"name": "write", "description": "", "input_schema": {"type": "object"}}]
    request = {"model": "claude-x", "max_tokens": 9000, "system": "You write.", "messages": messages, "tools": tools}
    answer = {"id": "m", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn"}
    return {"request": {"body": request}, "response": {"body": {**answer, "content": [{"type": "text", "text": "D."}]}}}


def _codex_stream() -> Iterator[Any]:
    command = {"id": "item_0", "type": "command_execution", "command": "ls", "status": "in_progress"}
    yield {"type": "thread.started", "thread_id": "t-2"}
    yield {"type": "turn.started"}
    yield {"type": "item.started", "item": command}
    yield {"type": "item.completed", "item": {**command, "aggregated_output": "a", "exit_code": 0, "status": "done"}}
    yield {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": "Done."}}
    yield {"type": "turn.completed", "usage": {}}


def _events() -> Iterator[Any]:
    told = {"source": "agent", "timestamp": "2026-03-01T10:00:00", "llm_response_id": "r1"}
    call = {"id": "c1", "name": "terminal", "arguments": '{"command": "ls"}'}
    said = {"role": "user", "content": [{"type": "text", "text": "Go."}]}
    yield {"id": "e0", "kind": "SystemPromptEvent", "source": "agent", "system_prompt": {"text": "You."}, "tools": []}
    yield {"id": "e1", "kind": "MessageEvent", "source": "user", "llm_message": said}
    yield {"id": "e2", "kind": "ActionEvent", **told, "tool_call_id": "c1", "tool_name": "terminal", "tool_call": call}
    observation = {"content": [{"type": "text", "text": "a.py"}], "exit_code": 0}
    yield {"id": "e3", "kind": "ObservationEvent", "source": "environment", "tool_call_id": "c1"} | {
        "observation": observation
    }


def _pull() -> dict[str, Any]:
    who = {"login": "ada"}
    comment = {"id": "PRRC_1", "author": who, "body": "Why?", "path": "a.py", "diffHunk": "@@ -1 +1 @@\n+x"}
    answer = {**comment, "id": "PRRC_2", "author": {"login": "helper[bot]"}, "body": "So.", "replyTo": {"id": "PRRC_1"}}
    thread = {"isResolved": True, "path": "a.py", "line": 1, "comments": {"nodes": [comment, answer]}}
    return {"data": {"repository": {"pullRequest": {"title": "T", "url": "https://github.com/a/b/pull/7"}
        | {"mergedAt": "2026-03-01T10:00:00Z", "reviewThreads": {"nodes": [thread]}}}}}  # fmt: skip


def _packed(format: str) -> tuple[str, bytes]:
    """The planted log of a format, compressed."""
    with tempfile.TemporaryDirectory() as place:
        WRITERS[format].write(Path(place), TEXTS)
        (path,) = Path(place).iterdir()
        return f"{path.name}.zst", zstandard.ZstdCompressor().compress(path.read_bytes())


_TABLE = (
    "id,trace_id,type,start_time,input,output,name\r\n"
    'g1,t1,GENERATION,2026-09-01 10:00:00,"[{""role"": ""user"", ""content"": ""Go.""}]",Done.,chat\r\n'
)
_MORE: dict[str, tuple[tuple[str, bytes], ...]] = {
    "gemini_cli": (("a.jsonl", _lines(*_gemini_lines())),),
    "request_log": (("a.json", json.dumps(_anthropic(), indent=1).encode()), ("b.jsonl", _lines(_anthropic()))),
    "codex": (("stream.jsonl", _lines(*_codex_stream())), _packed("codex")),
    "pi_openclaw": (_packed("pi_openclaw"),),
    "openhands": (("events.jsonl", _lines(*_events())),),
    "github_reviews": (("pull.json", json.dumps(_pull()).encode()),),
    "langfuse": (("observations.csv", _TABLE.encode()),),
}
