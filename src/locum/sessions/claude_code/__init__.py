"""Claude Code's session logs: `~/.claude/projects/<folder>/<session>.jsonl`, sub-agents' files beside them,
copies of them elsewhere, and what `claude -p --output-format stream-json` prints.

`lines` says what each line holds, `texts` who wrote it, `tree` which lines make a conversation, `checkpoints` what
became of its edits, `messages` builds the sessions. A pull request that a session led to (`pr-link`) is noise: that it
was opened says nothing of its fate.
"""

from pathlib import Path
from typing import Any

from locum.sessions.claude_code.checkpoints import kept_calls, read_checkpoint, record_beside
from locum.sessions.claude_code.lines import NOISE_TYPES, read_entries
from locum.sessions.claude_code.messages import sessions_of
from locum.sessions.claude_code.tree import branches
from locum.sessions.jsonl import cut_line, head_records
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading


class ClaudeCode:
    """Reader of Claude Code's JSONL."""

    name = "claude_code"

    def detects(self, head: bytes, path: Path) -> bool:
        """One line of the log's own shape is enough: logs begin with records of many kinds."""
        if any(_is_line(record) for record in head_records(head)):
            return True
        cut = cut_line(head)
        # A first line with a pasted image is longer than the head.
        return cut.startswith(b"{") and b'"sessionId"' in cut and b'"parentUuid"' in cut

    def read(self, path: Path) -> FileReading:
        """Sessions of their own: every context window, every sub-agent, every branch abandoned by a
        rewind.
        """
        ledger = Ledger(path)
        entries = read_entries(path, ledger)
        found = branches(entries, fallback=str(path))
        kept = kept_calls(read_checkpoint(path), entries)
        sessions = [session for branch in found for session in sessions_of(branch, str(path), ledger, kept)]
        for entry in entries:
            # What has no fate yet was said where the agent did not answer; used lines keep theirs.
            if entry.said is not None or entry.heard is not None:
                ledger.noise(entry.line, "unanswered")
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines(), (str(record_beside(path)),))


def _is_line(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    match record.get("type"):
        case "user" | "assistant":
            message = record.get("message")
            return (
                isinstance(message, dict)
                and "content" in message
                and any(key in record for key in ("uuid", "sessionId", "session_id"))
            )
        case "system" | "progress" | "attachment":
            return any(key in record for key in ("sessionId", "session_id")) and "uuid" in record
        case "summary":
            return "leafUuid" in record
        case "file-history-snapshot":
            return "snapshot" in record
        case str(kind):
            return kind in NOISE_TYPES and "sessionId" in record
    return False
