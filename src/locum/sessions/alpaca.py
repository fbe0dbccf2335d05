"""Alpaca's training sets: {"instruction", "input"?, "output", "system"?, "history"?} as JSON lines or one list.

Format: https://github.com/tatsu-lab/stanford_alpaca, with `system` and `history` ([[question, answer], ...]) as
LLaMA-Factory adds them. The input follows the instruction after an empty line; whatever template a trainer would
put around both is the trainer's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locum.files import digest
from locum.sessions.json_records import head_values, read_records
from locum.sessions.jsonl import BadRecord
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.types import Message, Session


class Alpaca:
    """Reader of Alpaca's instructions."""

    name = "alpaca"

    def detects(self, head: bytes, path: Path) -> bool:
        """One record with an instruction and its output is enough."""
        return b'"instruction"' in head and any(_is_own(record) for record in head_values(head, path))

    def read(self, path: Path) -> FileReading:
        """One session a record."""
        ledger = Ledger(path)
        sessions = []
        for number, record in read_records(path, ledger):
            if not isinstance(record, dict) or not {"instruction", "output"} <= record.keys():
                ledger.unknown(number, "(no instruction and output)")
                continue
            try:
                messages = tuple(_messages(record))
            except BadRecord as reason:
                ledger.bad(number, str(reason))
                continue
            if messages[-1].content.strip():
                ledger.used(number)
                lineage = f"{self.name}:{digest([message.content for message in messages[:-1]])[:16]}"
                sessions.append(Session(f"{path.stem}:{number}", lineage, self.name, str(path), messages))
            else:
                ledger.noise(number, "unanswered")
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())


def _messages(record: dict[str, Any]) -> Iterator[Message]:
    system = _text(record, "system")
    if system.strip():
        yield Message("system", system, origin="system")
    history = record.get("history") or []
    if not isinstance(history, list):
        raise BadRecord("history is not a list")
    for exchange in history:
        if not isinstance(exchange, list) or len(exchange) != 2 or not all(isinstance(text, str) for text in exchange):
            raise BadRecord("history is not pairs of texts")
        yield Message("user", exchange[0], origin="human")
        yield Message("assistant", exchange[1], origin="agent")
    asked = "\n\n".join(text for text in (_text(record, "instruction"), _text(record, "input")) if text.strip())
    if asked:
        yield Message("user", asked, origin="human")
    yield Message("assistant", _text(record, "output"), origin="agent")


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str | None):
        raise BadRecord(f"{key} is not a text")
    return value or ""


def _is_own(record: Any) -> bool:
    return isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("instruction", "output"))
