"""The card: true numbers, a front matter that Hugging Face reads, and no way out of its tables for what logs say."""

from typing import Any

import msgspec
import pytest
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.dataset.card import card
from locum.dataset.stats import LineCounts, Stats


def stats(**changes: Any) -> Stats:
    made = Stats(
        files=3, sessions=12, lines=LineCounts(2000, 1500, 480, 15, 5), noise={}, unknown={}, bad=(),
        turns=1400, rows=1234, drops={"empty": 160, "near_duplicate": 6},
        families={"tool_decision": 1000, "reply": 234}, splits={"train": 900, "valid": 134, "test": 200},
        redactions={"EMAIL": 7}, formats={"claude_code": 3}, narration=4, ordered_by="time", untimed=0,
        sessions_by_split={"train": 8, "valid": 1, "test": 3}, without_turns=0, shortened=50,
        context_chars=6000, response_chars=3000,
        tiers={"recorded": 1234}, models={"anthropic/m|<b>\n# head": 1234}, notes=("Look out.",),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def front(text: str) -> dict[str, Any]:
    """The front matter, as the hub's own library reads it."""
    assert text.startswith("---\n")
    data: Any = DatasetCard(text).data
    return dict(data.to_dict())


def test_the_front_matter_names_every_split_and_the_type_of_every_column() -> None:
    matter = front(card(stats()))
    assert matter["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "train.jsonl"},
                {"split": "validation", "path": "valid.jsonl"},
                {"split": "test", "path": "test.jsonl"},
            ],
        }
    ]
    assert [column["name"] for column in matter["dataset_info"]["features"]] == ["messages", "tools", "locum"]
    assert matter["size_categories"] == ["1K<n<10K"]


def test_a_split_without_rows_is_not_named() -> None:
    matter = front(card(stats(splits={"train": 1234, "valid": 0, "test": 0})))
    assert matter["configs"][0]["data_files"] == [{"split": "train", "path": "train.jsonl"}]


@pytest.mark.parametrize(
    ("rows", "size"), [(1, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**7, "n>10M")]
)
def test_sizes(rows: int, size: str) -> None:
    assert front(card(stats(rows=rows)))["size_categories"] == [size]


def test_numbers_provenance_and_terms() -> None:
    text = card(stats(), provenance={"locum": "0.1.0", "sources": "ab" * 32}, terms=("anthropic: restricted", "two"))
    for said in (
        "**Note:** Look out.", "| turns | 1,400 |", "| rows | 1,234 |", "| dropped: near_duplicate | 6 |",
        "| train | 900 (8) |", "| EMAIL | 7 |", "2,000 lines: 1,500 used, 480 known noise, 15 of unknown kind, 5 bad",
        "| `claude_code` | 3 |", f"| sources | `{'ab' * 32}` |", "\n- anthropic: restricted\n- two\n",
        "| `anthropic/m\\|&lt;b> # head` | 1,234 |", "ordered by time",
    ):  # fmt: skip
        assert said in text
    assert "digest" not in card(stats())


@given(st.text(), st.text())
@settings(deadline=None)
def test_what_logs_say_cannot_break_out(name: str, line: str) -> None:
    text = card(stats(models={name: 3}), terms=(line,))
    plain = card(stats(models={"m": 3}), terms=("t",))
    assert len(text.splitlines()) == len(plain.splitlines())
    assert front(text) == front(plain)
