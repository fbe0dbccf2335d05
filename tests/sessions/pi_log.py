"""Writes sessions of pi and OpenClaw for tests: entries chained by `parentId`, ids and times counted up."""

import json
from pathlib import Path
from typing import Any

from claude_log import adds_up

from locum.sessions.pi import Pi
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of

Block = dict[str, Any]


def text(value: str) -> Block:
    return {"type": "text", "text": value}


def call(id_: str, name: str = "bash", **arguments: Any) -> Block:
    return {"type": "toolCall", "id": id_, "name": name, "arguments": arguments}


IMAGE: Block = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
THOUGHT: Block = {"type": "thinking", "thinking": "hm", "thinkingSignature": "s"}


class Log:
    """One session in the making; `version` 1 writes no ids."""

    def __init__(self, session: str = "s-1", version: int = 3, **header: Any) -> None:
        self.session = session
        self.version = version
        first = {"type": "session", "id": session, "timestamp": "2026-03-01T10:00:00.000Z", "cwd": "/src", **header}
        self.entries: list[Any] = [first if version == 1 else {**first, "version": version}]
        self.last: str | None = None

    def add(self, kind: str, **fields: Any) -> str:
        """Append an entry; returns its id. Without `parentId` it follows the one before."""
        n = len(self.entries)
        entry: dict[str, Any] = {"type": kind, "timestamp": f"2026-03-01T10:{n // 60:02}:{n % 60:02}.000Z"}
        id_ = f"{n:08x}"
        if self.version > 1:
            entry |= {"id": id_, "parentId": self.last}
        self.entries.append({**entry, **fields})
        self.last = id_
        return id_

    def message(self, role: str, content: Any, at: dict[str, Any] | None = None, **fields: Any) -> str:
        return self.add("message", message={"role": role, "content": content, **fields}, **(at or {}))

    def user(self, content: Any, **at: Any) -> str:
        return self.message("user", content, at)

    def agent(self, *blocks: Block, stop: str = "stop", at: dict[str, Any] | None = None, **fields: Any) -> str:
        who = {"api": "anthropic-messages", "provider": "anthropic", "model": "claude-opus-4-6", "stopReason": stop}
        return self.message("assistant", list(blocks), at, **{**who, **fields})

    def result(self, id_: str, content: Any = "ok", error: bool = False, **fields: Any) -> str:
        blocks = [text(content)] if isinstance(content, str) else content
        return self.message("toolResult", blocks, toolCallId=id_, toolName="bash", isError=error, **fields)

    def read(self, folder: Path) -> FileReading:
        """Write the log and read it again; the account of its lines has to add up."""
        path = folder / f"2026-03-01T10-00-00-000Z_{self.session}.jsonl"
        lines = (entry if isinstance(entry, str) else json.dumps(entry) for entry in self.entries)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        reader = reader_of(path)
        assert isinstance(reader, Pi)
        reading = reader.read(path)
        adds_up(reading)
        assert reading.lines.total == len(self.entries)
        return reading
