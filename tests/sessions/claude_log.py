"""Writes Claude Code logs for tests: every line chained to the one before, ids and times counted up."""

import json
from pathlib import Path
from typing import Any

from locum.sessions.claude_code import ClaudeCode
from locum.sessions.reader import FileReading

Block = dict[str, Any]


def text(value: str) -> Block:
    return {"type": "text", "text": value}


def thinking(value: str = "hm") -> Block:
    return {"type": "thinking", "thinking": value, "signature": "s"}


def call(id_: str, name: str = "Bash", **arguments: Any) -> Block:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def result(id_: str, content: Any = "ok", error: bool = False) -> Block:
    return {"type": "tool_result", "tool_use_id": id_, "content": content, "is_error": error}


IMAGE: Block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


class Log:
    """One log file in the making."""

    def __init__(self, session: str = "s-1") -> None:
        self.session = session
        self.lines: list[str] = []
        self.last: str | None = None

    def add(self, kind: str, **fields: Any) -> str:
        """Append a line; returns its uuid. Without `parentUuid` it follows the line before."""
        n = len(self.lines) + 1
        line = {
            "type": kind,
            "uuid": f"{self.session}-u{n}",
            "parentUuid": self.last,
            "sessionId": self.session,
            "timestamp": f"2026-03-01T10:{n // 60:02}:{n % 60:02}.000Z",
            "isSidechain": False,
            "version": "2.1.12",
            **fields,
        }
        self.lines.append(json.dumps(line))
        uuid = str(line["uuid"])
        self.last = uuid
        return uuid

    def human(self, content: str | list[Block], **fields: Any) -> str:
        return self.add("user", message={"role": "user", "content": content}, **fields)

    def agent(self, id_: str, *blocks: Block, model: str = "claude-opus-4-5", **fields: Any) -> str:
        message = {"id": id_, "type": "message", "role": "assistant", "model": model, "content": list(blocks)}
        return self.add("assistant", message={**message, "stop_reason": None}, **fields)

    def raw(self, line: str) -> None:
        self.lines.append(line)

    def write(self, path: Path) -> Path:
        path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return path

    def read(self, folder: Path) -> FileReading:
        """Write the log and read it again; the account of its lines has to add up."""
        reading = ClaudeCode().read(self.write(folder / f"{self.session}.jsonl"))
        adds_up(reading)
        return reading


def adds_up(reading: FileReading) -> None:
    lines = reading.lines
    bad = len(lines.bad) + lines.bad_unlisted
    assert lines.total == lines.used + sum(lines.noise.values()) + sum(lines.unknown.values()) + bad
