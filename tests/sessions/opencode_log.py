"""Writes OpenCode's conversations for tests, in each of the places where OpenCode keeps them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

TABLES = (
    "CREATE TABLE session (id TEXT PRIMARY KEY, project_id TEXT, parent_id TEXT, title TEXT, revert TEXT,"
    " time_created INTEGER)",
    "CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT, time_created INTEGER, data TEXT)",
    "CREATE TABLE part (id TEXT PRIMARY KEY, message_id TEXT, session_id TEXT, data TEXT)",
)
START = 1_772_359_200_000
"""2026-03-01T10:00:00Z in milliseconds."""
Data = dict[str, Any]


def text(value: str, **more: Any) -> Data:
    return {"type": "text", "text": value, **more}


def tool(call: str, name: str = "bash", status: str = "completed", **state: Any) -> Data:
    filled = {"output": "ok", "metadata": {"exit": 0}} if status == "completed" else {}
    return {
        "type": "tool",
        "tool": name,
        "callID": call,
        "state": {"status": status, "input": {"command": "ls"}, **filled, **state},
    }


class Conversation:
    """One session in the making."""

    def __init__(self, id_: str = "ses_a", **info: Any) -> None:
        self.id = id_
        self.info: Data = {"id": id_, "projectID": "p", "directory": "/src", "title": "t", "time": {"created": START}}
        self.info.update(info)
        self.messages: list[tuple[str, Data, list[tuple[str, Data]]]] = []

    def add(self, role: str, *parts: Data, **data: Any) -> str:
        """Append a message; returns its id."""
        number = len(self.messages) + 1
        id_ = f"msg_{self.id[4:]}{number:03}"
        ids = [(f"prt_{self.id[4:]}{number:03}{at:02}", part) for at, part in enumerate(parts)]
        own: Data = {"role": role, "time": {"created": START + 1000 * number}, **data}
        if role == "assistant":
            own = {"modelID": "claude-sonnet-4-5", "providerID": "anthropic", **own}
        self.messages.append((id_, own, ids))
        return id_

    def export(self) -> Data:
        return {
            "info": self.info,
            "messages": [
                {
                    "info": {"id": id_, "sessionID": self.id, **data},
                    "parts": [{"id": part, "messageID": id_, "sessionID": self.id, **held} for part, held in parts],
                }
                for id_, data, parts in self.messages
            ],
        }

    def write_export(self, path: Path) -> Path:
        path.write_text(json.dumps(self.export(), indent=2))
        return path

    def write_files(self, storage: Path) -> Path:
        """Write the older storage; returns the session's file."""
        export = self.export()
        own = storage / "session" / "p" / f"{self.id}.json"
        _write(own, export["info"])
        for message in export["messages"]:
            _write(storage / "message" / self.id / f"{message['info']['id']}.json", message["info"])
            for part in message["parts"]:
                _write(storage / "part" / message["info"]["id"] / f"{part['id']}.json", part)
        return own


def write_store(path: Path, *conversations: Conversation) -> Path:
    with closing(sqlite3.connect(path)) as database:
        for table in TABLES:
            database.execute(table)
        for one in conversations:
            revert = json.dumps(one.info["revert"]) if "revert" in one.info else None
            row = (one.id, "p", one.info.get("parentID"), "t", revert, one.info["time"]["created"])
            database.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", row)
            for id_, data, parts in one.messages:
                created = data["time"]["created"]
                database.execute("INSERT INTO message VALUES (?, ?, ?, ?)", (id_, one.id, created, json.dumps(data)))
                database.executemany(
                    "INSERT INTO part VALUES (?, ?, ?, ?)",
                    [(part, id_, one.id, json.dumps(held)) for part, held in parts],
                )
        database.commit()
    return path


def _write(path: Path, value: Data) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2))
