"""Sessions of pi and of OpenClaw, which is built on it.

pi: `~/.pi/agent/sessions/--<folder>--/<time>_<id>.jsonl`; OpenClaw: `~/.openclaw/agents/<agent>/sessions/<id>.jsonl`
with its archives (`.reset.<time>`, `.deleted.<time>`), under older names in `~/.clawdbot` and `~/.moltbot`; since
2026 its SQLite store `~/.openclaw/agents/<agent>/agent/openclaw-agent.sqlite`, which holds the same entries.

`entries` says what each entry holds, `envelopes` who wrote a text under the user role, `conversation` which entries
make a conversation, `store` opens the database. Versions 1 and 3 are verified on real files; version 2, the store and
what OpenClaw writes around messages are from the vendors' sources and public excerpts. What is assumed: a model
`delivery-mirror` only repeats what was said; prompts of schedules, heartbeats, hooks and sub-agents are known by how
they begin, and in the store also by their session's key. Archives and transcripts in cold storage
(`cold/<digest>.jsonl.zst`) are the same lines, compressed. Not read: what the store keeps of deleted sessions.
"""

from pathlib import Path
from typing import Any

from locum.sessions.jsonl import head_records, kind_of
from locum.sessions.ledger import Ledger
from locum.sessions.pi.conversation import sessions_of
from locum.sessions.pi.entries import read_entries
from locum.sessions.pi.store import is_store, read_store
from locum.sessions.reader import FileReading
from locum.sessions.sqlite import write_ahead_log
from locum.sessions.zstd import lines_of, unpacked_head

_STATE = frozenset({"model_change", "thinking_level_change", "session_info"})


class Pi:
    """Reader of pi's and OpenClaw's sessions."""

    name = "pi_openclaw"

    def detects(self, head: bytes, path: Path) -> bool:
        """A header or an entry that only this format has; or a database with a table of such entries."""
        return is_store(head, path) or any(map(_is_entry, head_records(unpacked_head(head))))

    def read(self, path: Path) -> FileReading:
        """A session for every context window in which the agent says something."""
        ledger = Ledger(path)
        with path.open("rb") as file:
            head = file.read(16)
        beside: tuple[str, ...] = ()
        if is_store(head, path):
            sessions = read_store(path, ledger)
            beside = (str(write_ahead_log(path)),)
        else:
            entries = read_entries(lines_of(path, ledger), ledger)
            sessions = sessions_of(entries, str(path), path.stem.rsplit("_", 1)[-1], ledger)
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines(), beside)


def _is_entry(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    kind = kind_of(record)
    if kind == "session":
        return isinstance(record.get("id"), str) and ("cwd" in record or "version" in record)
    if kind == "message":
        message = record.get("message")
        return isinstance(message, dict) and message.get("role") in ("toolResult", "bashExecution")
    if kind == "custom":
        return isinstance(record.get("customType"), str) and "parentId" in record
    return kind in _STATE and "timestamp" in record and ("parentId" in record or "thinkingLevel" in record)
