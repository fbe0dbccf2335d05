"""Why a file that no reader recognises is left aside: what it is, where that is known."""

import codecs
from pathlib import Path

from locum.sessions.claude_code.checkpoints import is_record
from locum.sessions.json_records import head_values
from locum.sessions.jsonl import BOM, HEAD

UNKNOWN = "no known session format"
RECORD = "the record of an Entire checkpoint, no log itself"
NO_PROMPTS = "answers without what they answer: no prompt is kept beside them"

UTF_16 = "text in UTF-16, as PowerShell writes it: save it as UTF-8"
NOT_UTF_8 = "JSON that is not UTF-8: save it as UTF-8"

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ANSWERS = frozenset({"output", "response", "completion", "answer"})
_PROMPTS = frozenset(
    {"prompt", "prompts", "input", "inputs", "instruction", "question", "query", "request", "messages", "conversations"}
)


def why_unread(path: Path) -> str:
    """What kind of file it is, as the reason for which it is left aside.

    Raises:
        OSError: the file cannot be read.
    """
    if is_record(path):
        return RECORD
    with path.open("rb") as file:
        head = file.read(len(BOM) + HEAD).removeprefix(BOM)[:HEAD]
    if head.startswith(_UTF_16_MARKS):
        return UTF_16
    if head.lstrip()[:1] in (b"{", b"[") and not _is_utf8(head):
        return NOT_UTF_8
    first = next(iter(head_values(head, path)), None)
    if not isinstance(first, dict) or not _PROMPTS.isdisjoint(first):
        return UNKNOWN
    return NO_PROMPTS if any(isinstance(first.get(key), str) for key in _ANSWERS) else UNKNOWN


def _is_utf8(head: bytes) -> bool:
    try:
        # A head may be cut within a character.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError:
        return False
    return True
