"""Exit codes in the results of tools, in the shapes that harnesses write around what a command printed.

A header before the output ("Exit code: 1", "Process exited with code 1", "<returncode>1</returncode>") or an object
with a field for it, itself or under "metadata". What a command itself printed of other commands does not count.
"""

import re

import msgspec

from locum.sessions.jsonl import BadRecord, decode

_HEADER = re.compile(
    r"\s{0,9}(?:exit code:? |process exited with code |<returncode>\s{0,9})(-?\d{1,10})\b", re.IGNORECASE
)
_FIELDS = ("exit_code", "exitCode", "returncode", "return_code")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CODE = msgspec.json.Decoder(int)


def says_failure(result: str) -> bool:
    """Whether the text of a tool's result says that its command ended with another exit code than 0."""
    header = _HEADER.match(result)
    if header is not None:
        return int(header[1]) != 0
    if not result.startswith("{") or not any(f'"{field}"' in result for field in _FIELDS):
        return False
    try:
        fields = decode(_OBJECT, result.encode())
        if not any(field in fields for field in _FIELDS) and "metadata" in fields:
            fields = decode(_OBJECT, bytes(fields["metadata"]))
        return any(decode(_CODE, bytes(fields[field])) != 0 for field in _FIELDS if field in fields)
    except (BadRecord, UnicodeEncodeError):
        return False
