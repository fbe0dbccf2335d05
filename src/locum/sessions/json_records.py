"""Records of files that hold them as JSON lines, as one JSON list, or as one object: exporters write all three."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from locum.sessions.jsonl import (
    BOM,
    BadRecord,
    as_text,
    decode,
    decode_line,
    head_records,
    numbered_lines,
    spans,
    value_or_reason,
    values,
)
from locum.sessions.ledger import Ledger

T = TypeVar("T")
_ANY = msgspec.json.Decoder()
_LIST = msgspec.json.Decoder(list[Any])
_GAPS = str.maketrans("", "", " \t\r\n,")


def read_records(path: Path, ledger: Ledger) -> Iterator[tuple[int, Any]]:
    """The records of a file with their numbers from 1: of JSON lines the line's, else the place in the list.

    Blank lines and what is no JSON go to the ledger. Of a list that is cut, the records before the cut come; of one
    in which a record cannot be read, the others.

    Raises:
        OSError: the file cannot be read.
    """
    layout = _layout(path)
    if layout == "list":
        found, broken = list_records(path.read_bytes().removeprefix(BOM))
        for number, value in enumerate(found, 1):
            if isinstance(value, BadRecord):
                ledger.bad(number, str(value))
            else:
                yield number, value
        if broken is not None:
            ledger.bad(len(found) + 1, broken)
    elif layout == "object":
        found, broken = _objects(path.read_bytes().removeprefix(BOM))
        yield from enumerate(found, 1)
        if broken is not None:
            ledger.bad(len(found) + 1, broken)
    else:
        yield from line_records(path, _ANY, ledger)


def line_records(path: Path, decoder: msgspec.json.Decoder[T], ledger: Ledger) -> Iterator[tuple[int, T]]:
    """The records of JSON lines with their lines' numbers; blank lines and what is no record go to the ledger.

    Raises:
        OSError: the file cannot be read.
    """
    for number, raw in numbered_lines(path):
        if not raw:
            ledger.noise(number, "blank")
            continue
        try:
            records = decode_line(decoder, raw)
        except BadRecord as reason:
            ledger.bad(number, str(reason))
            continue
        for record in records:
            yield number, record


def list_records(raw: bytes) -> tuple[list[Any], str | None]:
    """The values of a JSON list, and what is wrong with it where it is cut or broken: then those before.

    Lists one after the other (pages of an API, as `gh api --paginate` prints them) are one. In the place of a value
    that is whole and cannot be read (it is not UTF-8, say) stands the `BadRecord` with the reason.
    """
    try:
        return decode(_LIST, raw), None
    except BadRecord as error:
        reason = str(error)
    text = as_text(raw)
    found: list[Any] = []
    end = 0
    for start, after in spans(text):
        if text[start] != "[":
            break
        found += map(value_or_reason, values(text[start : after - 1], 1))
        end = after
    rest = text[end:].strip()
    if rest.startswith("["):
        found += map(value_or_reason, values(rest, 1))
    return found, reason if rest else None


def member(raw: bytes, key: str) -> Any:
    """The value of a key of a JSON object that is cut somewhere: of a list the values before the cut.

    Returns:
        The value, or None where the key or a whole value is missing.
    """
    text = as_text(raw)
    at = text.find(f'"{key}"')
    colon = text.find(":", at)
    if at == -1 or colon == -1:
        return None
    whole = next(_whole(text, colon + 1), None)
    if whole is not None or not text[colon + 1 :].lstrip().startswith("["):
        return whole
    return list(_whole(text, text.find("[", colon) + 1))


def _objects(raw: bytes) -> tuple[list[Any], str | None]:
    """The value that a file is, or the values that stand one after the other in it, each over many lines; and what is
    wrong with it after those that are whole."""
    try:
        return [decode(_ANY, raw)], None
    except BadRecord as error:
        reason = str(error)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return [], "not UTF-8"
    pieces = list(values(text))
    # Between them stand only commas and white space, of which there is none at a value's ends.
    complete = "".join(piece.decode() for piece in pieces).translate(_GAPS) == text.translate(_GAPS)
    found: list[Any] = []
    for piece in pieces:
        try:
            found.append(decode(_ANY, piece))
        except BadRecord as error:
            return found, str(error)
    return found, None if complete and pieces else reason


def _whole(text: str, at: int) -> Iterator[Any]:
    for value in values(text, at):
        try:
            yield decode(_ANY, value)
        except BadRecord:
            return


def head_values(head: bytes, path: Path) -> Iterator[Any]:
    """The records by which a file's format is recognised: those that are whole in the head; where there is none,
    the first one, however long it is.
    """
    start = head.lstrip()[:1]
    if start == b"[":
        text = head.decode(errors="replace")
        found = list(_whole(text, text.find("[") + 1))
        yield from found or _first_of_list(path)
    elif start == b"{":
        if _layout(path) == "object":
            yield from _objects(path.read_bytes().removeprefix(BOM))[0]
        else:
            yield from list(head_records(head)) or _decoded(next(_lines(path), b""))


def _first_of_list(path: Path) -> Iterator[Any]:
    found, _ = list_records(path.read_bytes().removeprefix(BOM))
    yield from (value for value in found[:1] if not isinstance(value, BadRecord))


def _layout(path: Path) -> str:
    """ "list", "object" or "lines"."""
    lines = _lines(path)
    first = next(lines, b"")
    # After its bracket a list has a record, its end, or a new line; a damaged line goes on with something else.
    if first.startswith(b"[") and first[1:].lstrip()[:1] in b"{[]":
        # Of lines one may be a list itself.
        return "lines" if first.endswith(b"]") and next(lines, b"").startswith(b"{") else "list"
    if not first.startswith(b"{") or any(True for _ in _decoded(first)):
        return "lines"
    # Either the first of many lines is damaged, or one object goes over many lines: then the first holds
    # nothing but its brace or its first key.
    return "object" if len(first) < 200 and first[-1:] in b"{[," else "lines"


def _lines(path: Path) -> Iterator[bytes]:
    return (raw for _, raw in numbered_lines(path) if raw)


def _decoded(raw: bytes) -> Iterator[Any]:
    try:
        yield decode(_ANY, raw)
    except BadRecord:
        return
