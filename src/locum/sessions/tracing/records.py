"""Records of an export, whatever it was written as: JSON, JSON lines, CSV or Parquet.

A record is a span, run, observation or score; a line may hold many of them. Where each stands on a line of its own its
number is the line's.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.json_records import head_values, read_records
from locum.sessions.jsonl import BOM, HEAD, BadRecord, decode
from locum.sessions.ledger import Ledger
from locum.sessions.tracing import parquet

_LONGEST_FIELD = 1 << 30
_ANY = msgspec.json.Decoder()


def numbered_records(path: Path, ledger: Ledger, unpack: Callable[[Any], Iterable[Any]]) -> Iterator[tuple[int, Any]]:
    """The records of a file with their numbers from 1; what is no record goes to the ledger.

    Args:
        unpack: the records that one value of the file holds (a row of a table is one already).

    Raises:
        OSError: the file cannot be read.
    """
    beginning = _beginning(path)
    if beginning.startswith(parquet.MAGIC):
        yield from _parquet_rows(path, ledger)
        return
    if not _is_json(beginning):
        yield from _csv_rows(path, ledger)
        return
    aside = Ledger(path)
    last = 0
    drifted = False
    for line, value in read_records(path, aside):
        for record in unpack(value):
            drifted = drifted or last >= line
            last = max(last + 1, line)
            yield last, record
    for bad in aside.bad_lines():
        last = max(last, bad.line) if not drifted else last + 1
        ledger.bad(last if drifted else bad.line, bad.reason)
    for kind, count in aside.lines().noise.items():
        for number in range(-count, 0):
            ledger.noise(number, kind)


def samples(head: bytes, path: Path) -> Iterator[Any]:
    """Values by which a file's format is recognised; none where it is of no kind that is read here. Of Parquet only the
    names of the columns, with empty texts."""
    if head.startswith(parquet.MAGIC):
        yield parquet.columns(path)
    elif _is_json(head):
        yield from head_values(head, path)
    else:
        yield from _first_csv_row(head)


def parsed(value: Any) -> Any:
    """The value of a text that is JSON; anything else as it is.

    Raises:
        BadRecord: a text begins as JSON of messages does, and is cut.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return decode(_ANY, value.encode())
    except UnicodeEncodeError:
        raise BadRecord("not UTF-8") from None
    except BadRecord as reason:
        if str(reason) == "cut in the middle" and value.lstrip().startswith(('[{"', '{"')):
            raise
        return value


def _is_json(beginning: bytes) -> bool:
    return beginning.lstrip()[:1] in (b"{", b"[")


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD).removeprefix(BOM)


def _csv_rows(path: Path, ledger: Ledger) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file; their numbers are those of the lines on which they end."""
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = next(rows, [])
            ledger.noise(max(rows.line_num, 1), "header")
            for row in rows:
                if not row:
                    ledger.noise(rows.line_num, "blank")
                elif len(row) != len(header):
                    ledger.bad(rows.line_num, "not as many fields as the first line names")
                elif any(not _is_text(field) for field in row):
                    ledger.bad(rows.line_num, "not UTF-8")
                else:
                    yield rows.line_num, dict(zip(header, row, strict=True))
        except csv.Error as error:
            ledger.bad(rows.line_num + 1, f"not CSV: {error}")


def _is_text(field: str) -> bool:
    try:
        field.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_csv_row(head: bytes) -> Iterator[dict[str, str]]:
    lines = csv.reader(io.StringIO(head.decode("utf-8", "replace")))
    try:
        header = next(lines, [])
        first = next(lines, [])
    except csv.Error:
        return
    if len(header) > 2:
        yield {name: first[at] if at < len(first) else "" for at, name in enumerate(header)}


def _parquet_rows(path: Path, ledger: Ledger) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        for number, row in enumerate(parquet.rows(path), 1):
            yield number, row
    except parquet.NotParquet as reason:
        ledger.bad(number + 1, str(reason))
