"""OpenCode's sessions: the SQLite store, the files it had before, and what `opencode export` prints.

`~/.local/share/opencode/opencode.db`, or `storage/{session,message,part}/` there. `conversation` says what messages
and parts mean, `store` reads the database, `files` the JSON. No real file was at hand: everything is from the vendor's
source. Not read: messages of before July 2025 (parts and metadata within the message) and what
`opencode run --format json` prints (it holds no prompts).
"""

from pathlib import Path

from locum.sessions.jsonl import BOM, HEAD
from locum.sessions.ledger import Ledger
from locum.sessions.opencode.conversation import NAME
from locum.sessions.opencode.files import is_export, kind_of_file, read_export, read_session, session_file_of
from locum.sessions.opencode.store import is_store, read_store
from locum.sessions.reader import FileReading
from locum.sessions.sqlite import write_ahead_log


class OpenCode:
    """Reader of OpenCode's sessions."""

    name = NAME

    def detects(self, head: bytes, path: Path) -> bool:
        """A database with its tables, an export, or a file of a session, a message or a part."""
        return is_store(head, path) or is_export(head) or kind_of_file(head, path) is not None

    def read(self, path: Path) -> FileReading:
        """A session for every context window in which the agent says something.

        The file of a message or a part is in the account of its session's file, and holds nothing by itself.
        """
        ledger = Ledger(path)
        with path.open("rb") as file:
            head = file.read(len(BOM) + HEAD).removeprefix(BOM)
        beside: tuple[str, ...] = ()
        if is_store(head, path):
            sessions, beside = read_store(path, ledger), (str(write_ahead_log(path)),)
        else:
            kind = None if is_export(head) else kind_of_file(head, path)
            if kind is None:
                sessions = read_export(path, ledger)
            elif kind == "session":
                sessions, beside = read_session(path, ledger)
            else:
                sessions = []
                owner = session_file_of(path, kind)
                if owner is None:
                    ledger.noise(1, f"{kind} without its session")
                else:
                    beside = (str(owner),)
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines(), beside)
