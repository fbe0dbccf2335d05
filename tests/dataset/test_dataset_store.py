"""The dataset folder: rows survive the round trip, others can read them, and half a folder is never seen."""

import json
import tempfile
from pathlib import Path

import pytest
from built_dataset import read, write
from dataset_sessions import calls, human, result, says, session
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.dataset import read_drops, read_rows, read_stats
from locum.dataset.store import (
    EncodedMessage,
    decode_row,
    encode_row,
    read_redactions,
    redactions_file,
    row_ids,
    rows_at,
)
from locum.errors import DatasetError
from locum.types import Message, Row, Session, ToolCall

text = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(text, values, max_size=3)
optional = st.none() | text
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=text,
    tool_calls=st.lists(st.builds(ToolCall, id=text, name=text, arguments=objects), max_size=2).map(tuple),
    tool_call_id=optional,
    tool_name=optional,
    origin=st.sampled_from(["system", "human", "agent", "harness", "tool"]),
    id=optional,
    time=optional,
    signals=st.lists(st.sampled_from(["truncated", "tool_error"]), max_size=2).map(tuple),
)
rows = st.builds(
    Row,
    id=text, session=text, lineage=text, turn=st.integers(0, 10**6), family=text,
    messages=st.lists(messages, min_size=1, max_size=4).map(tuple),
    tools=st.lists(objects, max_size=2).map(tuple),
    time=optional, format=text, source=text, provider=optional, model=optional,
    tier=st.sampled_from(["verified", "recorded"]), shortened=st.integers(0, 99),
    refines=optional, documents=st.lists(text, max_size=2).map(tuple),
)  # fmt: skip


@given(rows)
@settings(max_examples=200, deadline=None)
def test_round_trip_of_a_row(row: Row) -> None:
    line = encode_row(row)
    assert b"\n" not in line
    assert decode_row(line) == row


@given(st.lists(rows, max_size=4), st.sets(st.integers(0, 5)))
def test_some_rows_and_all_ids(made: list[Row], places: set[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in made))
        assert list(row_ids(folder, "test")) == [row.id for row in made]
        assert list(rows_at(folder, "test", places)) == [row for at, row in enumerate(made) if at in places]


def test_the_id_of_a_row_is_its_own_whatever_it_shows(tmp_path: Path) -> None:
    """Texts and arguments may look as the place does in which a line has its row's id."""
    looks_so = {"locum": {"id": "0" * 64}}
    told = f'"locum":{{"id":"{"1" * 64}"'
    row = Row(
        id="a" * 64,
        session=told,
        lineage=told,
        turn=0,
        family="reply",
        messages=(Message("user", told), Message("assistant", "", (ToolCall("c", "look", looks_so),), id=told)),
        source=told,
    )
    (tmp_path / "train.jsonl").write_bytes(encode_row(row) + b"\n")
    assert list(row_ids(tmp_path, "train")) == ["a" * 64]


def small_sessions() -> list[Session]:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    address = "ada" + "@" + "analytical.org"
    return [
        session(
            human(f"Look at {n} for {address}."), calls(f"c{n}", arguments={"n": n, "at": None}), 
            result(f"c{n}"), says(f"{n} is fine."), says(""),
            id=f"s{n}", started=f"2026-01-0{n}", tools=(tool,), model="m|<b>",
        )
        for n in range(1, 6)
    ]  # fmt: skip


def test_a_folder_holds_what_it_should_and_the_hashes_stand_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    stats = write(folder, small_sessions())
    beside = ["README.md", "contrast.jsonl", "documents.jsonl", "drops.jsonl", "stats.json"]
    names = [*beside, "test.jsonl", "train.jsonl", "valid.jsonl"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert read_stats(folder) == stats
    hashes = redactions_file(folder)
    assert hashes == tmp_path / "dataset.redactions.json"
    assert hashes.stat().st_mode & 0o777 == 0o600
    assert [(value.kind, value.placeholder) for value in read_redactions(folder).values] == [("EMAIL", "<EMAIL_1>")]
    assert "ada" not in "".join(path.read_text() for path in [*folder.iterdir(), hashes])


def test_lines_have_the_shape_that_trainers_read(tmp_path: Path) -> None:
    write(tmp_path / "dataset", small_sessions())
    decision, reply = map(json.loads, (tmp_path / "dataset" / "test.jsonl").read_text().splitlines())
    assert set(decision) == {"messages", "tools", "locum"}
    assert decision["tools"][0]["function"]["name"] == "look"
    call = {"id": "c5", "type": "function", "function": {"name": "look", "arguments": {"n": 5, "at": None}}}
    assert reply["messages"] == [
        {"role": "user", "content": "Look at 5 for <EMAIL_1>."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "seen", "tool_call_id": "c5", "name": "look"},
        {"role": "assistant", "content": "5 is fine."},
    ]
    assert decision["messages"] == reply["messages"][:2]


def test_the_card_says_what_is_inside(tmp_path: Path) -> None:
    write(tmp_path / "dataset", small_sessions())
    card = (tmp_path / "dataset" / "README.md").read_text()
    assert card.startswith("---\n")
    for said in (
        "| dropped: empty | 5 |", "| turns | 15 |", "| rows | 10 |", "`tool_decision`", "| train | 6 (3) |",
        "it says nothing and calls nothing", "| EMAIL | 5 |", "`unknown/m\\|&lt;b>`", "terms",
        "split: validation",
    ):  # fmt: skip
        assert said in card


def test_a_failed_write_leaves_the_old_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "dataset"
    write(folder, small_sessions())
    write(folder, small_sessions())  # replaces it
    before = read(folder)

    def full(message: Message) -> EncodedMessage:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locum.dataset.facts.encode_message", full)
    with pytest.raises(OSError, match="No space"):
        write(folder, small_sessions()[1:])
    assert read(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "dataset.redactions.json"]


def test_what_is_no_dataset(tmp_path: Path) -> None:
    for reads in (
        lambda: read_rows(tmp_path, "train"),
        lambda: read_stats(tmp_path),
        lambda: read_drops(tmp_path),
    ):
        with pytest.raises(DatasetError, match="is no dataset: it has no"):
            reads()
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DatasetError, match="exists and is no dataset"):
        write(tmp_path, small_sessions())
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("line", ["{", "{}", '{"messages": []}', '{"messages": [{"role": "human"}], "locum": 1}'])
def test_lines_that_are_no_rows(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "dataset"
    write(folder, small_sessions())
    with (folder / "train.jsonl").open("a") as out:
        out.write(line + "\n")
    with pytest.raises(DatasetError, match=r"train\.jsonl:7 is no row: .*; extract it again"):
        read_rows(folder, "train")
    (folder / "stats.json").write_text("[]")
    with pytest.raises(DatasetError, match="holds no statistics"):
        read_stats(folder)
