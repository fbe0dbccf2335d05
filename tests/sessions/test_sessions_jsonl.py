"""Reading JSON that others wrote."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.sessions.jsonl import BadRecord, arguments, decode, decode_line, numbered_lines, utc, values

ANY = msgspec.json.Decoder()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1', "cut in the middle"),
        (b'{"a" 1}', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\0\0\0", "not JSON"),
        (b'{"a": 1e999}', "not a record"),
    ],
)
def test_what_is_wrong_with_a_record(raw: bytes, reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        decode(ANY, raw)


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_of_a_javascript_program_is_read(written: str) -> None:
    read = decode(ANY, json.dumps(written).encode())
    assert read == json.loads(json.dumps(written)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=3), min_size=1, max_size=4))
def test_records_that_share_a_line_are_told_apart(records: list[dict[str, int]]) -> None:
    raw = b"".join(msgspec.json.encode(record) for record in records)
    assert decode_line(ANY, raw) == records
    assert [decode(ANY, value) for value in values(raw.decode())] == records
    with pytest.raises(BadRecord):
        decode_line(ANY, raw + b"{")


def test_lines_are_numbered_from_one_and_free_of_marks(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbf1\r\n\n 3")
    assert list(numbered_lines(path)) == [(1, b"1"), (2, b""), (3, b"3")]


@pytest.mark.parametrize("raw", [None, 7, "text", "[1]", "{1}", "{'a'", "...", "{" * 9999, "__import__('os')"])
def test_arguments_that_are_no_object_are_refused(raw: Any) -> None:
    with pytest.raises(BadRecord, match="arguments"):
        arguments(raw)


def test_arguments_nested_too_deeply_are_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(200):
        nested = {"a": [nested]}
    with pytest.raises(BadRecord, match="nested too deeply"):
        arguments(nested)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(), st.lists, max_leaves=5),
        max_size=4,
    )
)
def test_arguments_survive_both_ways_of_writing_them(value: dict[str, Any]) -> None:
    assert arguments(value) == value
    assert arguments(msgspec.json.encode(value).decode()) == value
    assert arguments(repr(value)) == value or value == {}


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000Z"),
        ("2026-03-01T10:00:00.1234567+02:00", "2026-03-01T08:00:00.123Z"),
        ("2026-03-01T10:00:00", "2026-03-01T10:00:00.000Z"),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
        (1772359200, None),
        (None, None),
    ],
)
def test_times_are_brought_to_one_form(raw: Any, time: str | None) -> None:
    assert utc(raw) == time
