"""OpenHands: evaluation outputs (V0, `output.jsonl`, one session a line) and event logs of its SDK (V1, one session
a file). What it logs of its calls to models is read as `request_log`.

`outputs` reads the first, `events` the second, and `conversation` a folder of one file an event. Records are counted
instead of lines in the first and the last: one is an event, and a line that cannot be read counts as one.

Assumed, because no file at hand holds it: histories of pairs (older outputs) are [action, observation], either of
which may be missing; `report` or `test_result` hold "resolved" where an evaluation ran; in V1, a
`SystemPromptEvent` holds {"system_prompt": {"text"}, "tools"}, a `MessageEvent` {"llm_message": {"role",
"content"}}, and rejections and errors name the call that they answer.
"""

from pathlib import Path
from typing import Any

from locum.sessions.json_records import head_values
from locum.sessions.openhands.conversation import event_folder, read_conversation, state_of
from locum.sessions.openhands.events import is_event, read_events
from locum.sessions.openhands.outputs import read_outputs
from locum.sessions.reader import FileReading
from locum.types import Lines


class OpenHands:
    """Reader of OpenHands' outputs and event logs."""

    name = "openhands"

    def detects(self, head: bytes, path: Path) -> bool:
        """One output or event is enough."""
        if b'"history"' not in head and b'"kind"' not in head and b'"instance_id"' not in head:
            return False
        return any(_is_output(record) or is_event(record) for record in head_values(head, path))

    def read(self, path: Path) -> FileReading:
        """Outputs and events are told apart by the file's first record of either shape.

        Of a folder of one file an event, the first file holds all; the others are in its account.
        """
        with path.open("rb") as file:
            head = file.read(1 << 16)
        if not any(is_event(record) for record in head_values(head, path)):
            sessions, lines = read_outputs(path)
            return FileReading(str(path), self.name, sessions, lines)
        folder = event_folder(path)
        if folder is not None and folder.first != path:
            return FileReading(str(path), self.name, (), Lines(), (str(folder.first),))
        if folder is not None:
            sessions, lines = read_conversation(folder)
            beside = (path.parent, state_of(path), *folder.files)
            return FileReading(str(path), self.name, sessions, lines, tuple(map(str, beside)))
        sessions, lines = read_events(path)
        return FileReading(str(path), self.name, sessions, lines)


def _is_output(record: Any) -> bool:
    return isinstance(record, dict) and "instance_id" in record and isinstance(record.get("history"), list)
