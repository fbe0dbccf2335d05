"""The dataset folder: rows survive the round trip, others can read them, and half a folder is never seen."""

import json
from pathlib import Path

import pytest
from dataset_sessions import calls, human, result, says, session
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.dataset import Dataset, Options, build_dataset, read_drops, read_rows, read_stats, write_dataset
from locum.dataset.store import decode_row, encode_row, read_redactions
from locum.errors import DatasetError
from locum.types import Lines, Message, Row, ToolCall

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
)  # fmt: skip


@given(rows)
@settings(max_examples=200, deadline=None)
def test_round_trip_of_a_row(row: Row) -> None:
    line = encode_row(row)
    assert b"\n" not in line
    assert decode_row(line) == row


def small_dataset() -> Dataset:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    address = "ada" + "@" + "analytical.org"
    made = [
        session(
            human(f"Look at {n} for {address}."), calls(f"c{n}", arguments={"n": n, "at": None}), 
            result(f"c{n}"), says(f"{n} is fine."), says(""),
            id=f"s{n}", started=f"2026-01-0{n}", tools=(tool,), model="m|<b>",
        )
        for n in range(1, 6)
    ]  # fmt: skip
    return build_dataset(made, Lines(), 5, {"claude_code": 5}, options=Options(salt="salt"))


def test_a_folder_reads_back_as_it_was_written(tmp_path: Path) -> None:
    dataset = small_dataset()
    folder = tmp_path / "dataset"
    write_dataset(folder, dataset)
    names = [
        "README.md",
        "drops.jsonl",
        "redactions.json",
        "stats.json",
        "test.jsonl",
        "train.jsonl",
        "valid.jsonl",
    ]
    assert sorted(path.name for path in folder.iterdir()) == names
    for split in ("train", "valid", "test"):
        assert tuple(read_rows(folder, split)) == dataset.rows[split]
    assert tuple(read_drops(folder)) == dataset.drops
    assert read_stats(folder) == dataset.stats
    assert read_redactions(folder) == dataset.redactions
    assert "ada" not in "".join(path.read_text() for path in folder.iterdir())


def test_lines_have_the_shape_that_trainers_read(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", small_dataset())
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
    write_dataset(tmp_path / "dataset", small_dataset())
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
    dataset = small_dataset()
    write_dataset(folder, dataset)
    write_dataset(folder, dataset)  # replaces it

    def full(row: Row) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locum.dataset.store.encode_row", full)
    with pytest.raises(OSError, match="No space"):
        write_dataset(folder, dataset)
    assert tuple(read_rows(folder, "train")) == dataset.rows["train"]
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_what_is_no_dataset(tmp_path: Path) -> None:
    for read in (
        lambda: read_rows(tmp_path, "train"),
        lambda: read_stats(tmp_path),
        lambda: read_drops(tmp_path),
    ):
        with pytest.raises(DatasetError, match="is no dataset: it has no"):
            read()
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DatasetError, match="exists and is no dataset"):
        write_dataset(tmp_path, small_dataset())
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("line", ["{", "{}", '{"messages": []}', '{"messages": [{"role": "human"}], "locum": 1}'])
def test_lines_that_are_no_rows(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "dataset"
    write_dataset(folder, small_dataset())
    with (folder / "train.jsonl").open("a") as out:
        out.write(line + "\n")
    with pytest.raises(DatasetError, match=r"train\.jsonl:7 is no row: .*; extract it again"):
        read_rows(folder, "train")
    (folder / "stats.json").write_text("[]")
    with pytest.raises(DatasetError, match="holds no statistics"):
        read_stats(folder)
