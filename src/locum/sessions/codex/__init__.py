"""Codex CLI's rollouts: `~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<id>.jsonl` and `~/.codex/archived_sessions`.

Three generations are read: bare response items behind a bare header (until September 2025, second-hand), items in
the `payload` of a line (since then, verified on real files), and the 2026 kinds (base instructions, custom and local
shell calls, world state, threads of sub-agents; from the vendor's source). What is assumed: a fork's or sub-agent's
file begins with its own `session_meta` and may repeat its parent's after it; a `namespace` beside a function's name
is part of the name. Rollouts that the client has compressed with zstd are read as they are. `lines` says what each
line holds, `items` what a response item says, `rollout` puts the conversation together, and `stream` reads what
`codex exec --json` prints.
"""

from pathlib import Path
from typing import Any

from locum.sessions.codex.rollout import read_rollout
from locum.sessions.codex.stream import is_event, read_stream
from locum.sessions.jsonl import HEAD, cut_line, head_records
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.sessions.zstd import unpacked_head

_TYPES = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted", "world_state"})
_HEADER = {"id", "timestamp", "instructions"}
_BARE_HEADER = _HEADER | {"git"}


class Codex:
    """Reader of Codex CLI's rollouts."""

    name = "codex"

    def detects(self, head: bytes, path: Path) -> bool:
        """One line of the log's own shape is enough."""
        head = unpacked_head(head)
        if any(_is_line(record) or is_event(record) for record in head_records(head)):
            return True
        # A first line with the base instructions and the tools may be longer than the head.
        cut = cut_line(head)
        return cut.startswith(b"{") and b'"session_meta"' in cut[:200] and b'"payload"' in cut[:200]

    def read(self, path: Path) -> FileReading:
        """A session for every context window in which the agent says something; what `exec` printed is told from a
        rollout by its first event."""
        ledger = Ledger(path)
        with path.open("rb") as file:
            head = unpacked_head(file.read(HEAD))
        kinds = (is_event(record) for record in head_records(head) if _is_line(record) or is_event(record))
        sessions = read_stream(path, ledger) if next(kinds, False) else read_rollout(path, ledger)
        return FileReading(str(path), self.name, sessions, ledger.lines())


def _is_line(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    kind = record.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        return isinstance(record.get("payload"), dict)
    if kind in ("function_call", "function_call_output"):
        return isinstance(record.get("call_id"), str) and ("arguments" in record or "output" in record)
    return record == {"record_type": "state"} or (record.keys() >= _HEADER and record.keys() <= _BARE_HEADER)
