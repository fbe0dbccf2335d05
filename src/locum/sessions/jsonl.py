"""Reading JSON that others wrote: line by line, possibly cut, and never trusted."""

import ast
import json
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
BOM = b"\xef\xbb\xbf"
"""The byte order mark that some editors put before UTF-8."""
HEAD = 1 << 16
"""Bytes at the beginning of a file by which its format is recognised."""
_BUFFER = 1 << 17
"""Bytes that are read at once: lines of logs are long."""
MAX_DEPTH = 100
"""Arguments and schemas nested deeper than this are refused: written out again inside a row they would hit
Python's recursion limit far away from the file that is to blame."""

_ANY = msgspec.json.Decoder()
_EXTENT = json.JSONDecoder()
"""Finds where a value ends in a text that goes on, which msgspec does not."""
_GAP = re.compile(r"[\s,]*")
_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)

# Pairs come first, so that only surrogates without a partner reach the last alternative. JavaScript programs
# write them where they cut a text within an emoji; JSON's grammar allows them, UTF-8 does not.
_ESCAPES = re.compile(
    rb"\\(?:[^u]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class BadRecord(ValueError):
    """A record that is not valid in its format; the message is the reason, free of the record's content."""


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers from 1, without the white space around them; one at a time in
    memory.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb", buffering=_BUFFER) as file:
        for number, raw in enumerate(file, 1):
            yield number, (raw.removeprefix(BOM) if number == 1 else raw).strip()


def decode(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    """Decode one JSON value.

    Raises:
        BadRecord: it is cut, not JSON, not UTF-8, nested too deeply or not of the decoder's type.
    """
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError:
        raise BadRecord("not UTF-8") from None
    except RecursionError:
        raise BadRecord("nested too deeply") from None
    except msgspec.ValidationError as error:
        raise BadRecord(f"not a record: {error}") from None
    except msgspec.DecodeError as error:
        repaired = _ESCAPES.sub(_without_half_pairs, raw)
        if repaired != raw:
            return decode(decoder, repaired)
        cut = "truncated" in str(error)
        raise BadRecord("cut in the middle" if cut else f"not JSON: {error}") from None


def value_or_reason(raw: bytes) -> Any:
    """The JSON value, or the `BadRecord` that says why there is none."""
    try:
        return decode(_ANY, raw)
    except BadRecord as reason:
        return reason


def _without_half_pairs(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if len(escape[0]) == 6 else escape[0]


def values(text: str, at: int = 0) -> Iterator[bytes]:
    """The JSON values that stand one after the other in a text, commas or white space between them or
    nothing.

    Ends silently at the first place where no complete value begins. Of a text that `as_text` made, values have the
    bytes that the file has.
    """
    for start, end in spans(text, at):
        yield text[start:end].encode(errors="surrogateescape")


def as_text(raw: bytes) -> str:
    """Bytes as a text in which JSON values can be looked for, whether they are UTF-8 or not: what is none stays
    recognisable, so that it is a bad value and no text with replacement characters that nobody wrote."""
    return raw.decode(errors="surrogateescape")


def spans(text: str, at: int = 0) -> Iterator[tuple[int, int]]:
    """Where each of these values begins and ends."""
    while (gap := _GAP.match(text, at)) is not None:
        try:
            at = _EXTENT.raw_decode(text, gap.end())[1]
        except (ValueError, RecursionError):
            return
        yield gap.end(), at


def decode_line(decoder: msgspec.json.Decoder[T], raw: bytes) -> list[T]:
    """Decode the record on a line, or the records: programs that share a log sometimes lose the line's end.

    Raises:
        BadRecord: as `decode`, for any of them.
    """
    try:
        return [decoder.decode(raw)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return [decode(decoder, raw)]
    except BadRecord:
        pieces = list(values(raw.decode(errors="replace")))
        if len(pieces) < 2 or sum(map(len, pieces)) != len(raw):
            raise
    return [decode(decoder, piece) for piece in pieces]


def head_records(head: bytes) -> Iterator[Any]:
    """The records on the complete lines at the beginning of a JSONL file; what is no JSON is passed over.

    Args:
        head: the file's first bytes, `HEAD` of them or the whole file.
    """
    for line in head.removesuffix(cut_line(head)).split(b"\n"):
        try:
            yield decode(_ANY, line.strip())
        except BadRecord:
            continue


def cut_line(head: bytes) -> bytes:
    """The last line of a head, where the head ends before the file does; it may be cut anywhere."""
    return head[head.rfind(b"\n") + 1 :] if len(head) >= HEAD else b""


def arguments(raw: Any) -> dict[str, Any]:
    """A tool call's arguments as an object, whether the log holds one or the text of one.

    Raises:
        BadRecord: they are neither, or nested more than `MAX_DEPTH` deep.
    """
    value = _parsed(raw) if isinstance(raw, str) else raw
    if not isinstance(value, dict):
        raise BadRecord("tool call arguments are not a JSON object")
    check_depth(value)
    return value


def _parsed(text: str) -> Any:
    """The value of an argument text, or None where it has none."""
    if not text.strip():
        return {}  # how some providers write "no arguments"
    try:
        return decode(_ANY, text.encode())
    except BadRecord:
        pass
    # Harnesses in Python that add calls of their own write them as Python does: single quotes, None, True.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return msgspec.json.decode(msgspec.json.encode(ast.literal_eval(text)))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, msgspec.MsgspecError):
            return None


def kind_of(record: Any) -> str:
    """The `type` of a record or content block as a short name that can be counted and shown."""
    kind = record.get("type") if isinstance(record, dict) else None
    return kind[:40] if isinstance(kind, str) and kind else "(no type)"


def check_depth(value: Any) -> None:
    """Refuse a value that is nested too deeply to be written inside a row.

    Raises:
        BadRecord: it is nested more than `MAX_DEPTH` deep.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise BadRecord("nested too deeply")


def utc(raw: Any) -> str | None:
    """A timestamp as ISO 8601 in UTC with milliseconds, so that text order is time order; None where it is
    none.
    """
    if not isinstance(raw, str):
        return None
    try:
        time = datetime.fromisoformat(raw)
        if _UTC.fullmatch(raw):
            return raw  # as most logs have it
        aware = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
