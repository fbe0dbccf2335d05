"""OpenAI's chat fine-tuning format: JSON lines of {"messages": [...], "tools"?: [...]}; each line is one
session.

Format: https://platform.openai.com/docs/guides/supervised-fine-tuning. Exporters also write such records as one
JSON list. One may hold nothing but the assistant's message, with or without a system text: a post that nobody
asked for.
"""

import re
from pathlib import Path
from typing import Any

from locum.sessions.chat_messages import Conversation, lineage_of, tool_schemas
from locum.sessions.json_records import head_values, read_records
from locum.sessions.jsonl import BadRecord, cut_line, head_records
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.types import Session

_BEGINNING = re.compile(rb'\s*\{\s*"(?:messages|tools|functions|parallel_tool_calls)"\s*:')


class OpenAIChat:
    """Reader of chat fine-tuning sets."""

    name = "openai_chat"

    def detects(self, head: bytes, path: Path) -> bool:
        """One record with messages is enough; a first line longer than the head is known by how it begins."""
        if b'"messages"' not in head:
            return False
        if any(_has_messages(record) for record in head_records(head)):
            return True
        cut = cut_line(head)
        if _BEGINNING.match(cut) is not None and b'"messages"' in cut and b'"role"' in cut:
            return True
        return any(_has_messages(record) for record in head_values(head, path))

    def read(self, path: Path) -> FileReading:
        """One session a record."""
        ledger = Ledger(path)
        sessions = []
        for number, record in read_records(path, ledger):
            if not isinstance(record, dict):
                ledger.bad(number, "not a JSON object")
                continue
            if _is_row(record):
                ledger.noise(number, "row of a dataset")
                continue
            if not isinstance(record.get("messages"), list):
                ledger.unknown(number, "(no messages)")
                continue
            try:
                session = self._session(record, path, number)
            except BadRecord as reason:
                ledger.bad(number, str(reason))
                continue
            if any(message.origin == "agent" for message in session.messages):
                ledger.used(number)
                sessions.append(session)
            else:
                ledger.noise(number, "unanswered")
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())

    def _session(self, record: dict[str, Any], path: Path, number: int) -> Session:
        conversation = Conversation()
        for message in record["messages"]:
            conversation.add(message)
        messages = tuple(conversation.messages)
        model = record.get("model")
        return Session(
            id=f"{path.stem}:{number}",
            lineage=lineage_of(self.name, messages),
            format=self.name,
            source=str(path),
            messages=messages,
            tools=tool_schemas(record.get("tools") or record.get("functions")),
            model=model if isinstance(model, str) else None,
        )


def _is_row(record: dict[str, Any]) -> bool:
    """Whether it is a row of our own: read again, each row would pass for a session, and none of them is new."""
    return "locum" in record


def _has_messages(record: Any) -> bool:
    # A log of calls to a model has messages too, but the answer stands beside them, under "response".
    is_session = isinstance(record, dict) and "response" not in record and not _is_row(record)
    messages = record.get("messages") if is_session else None
    return isinstance(messages, list) and bool(messages) and isinstance(messages[0], dict) and "role" in messages[0]
