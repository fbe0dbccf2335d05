"""Why a file that no reader recognises is left aside: what it is, where that is known."""

from pathlib import Path

from locum.sessions.claude_code.checkpoints import is_record

UNKNOWN = "no known session format"
RECORD = "the record of an Entire checkpoint, no log itself"


def why_unread(path: Path) -> str:
    """What kind of file it is, as the reason for which it is left aside."""
    return RECORD if is_record(path) else UNKNOWN
