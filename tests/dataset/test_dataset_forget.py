"""Forgetting a session: all of it and nothing else, the numbers of what is left, and no half-done folder."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import built_dataset as made
import msgspec
import pytest
from dataset_sessions import human, says, session
from hypothesis import given, settings
from hypothesis import strategies as st

from locum import files
from locum.dataset.card import card
from locum.dataset.forget import FORGOTTEN, Kin, digests_of, forget, holds, kin_of, records
from locum.dataset.scores import SCORES, RowScore, write_scores
from locum.dataset.split import SPLITS
from locum.dataset.stats import LineCounts, Stats
from locum.dataset.store import encode_row, read_drops, read_rows, read_stats
from locum.errors import DatasetError
from locum.files import digest
from locum.types import Drop, Message, Row

NOW = "2026-05-04T03:02:01+00:00"
SECRET = "the heron stands at the weir"


def row(session: str, turn: int, *, lineage: str = "", family: str = "reply", **more: Any) -> Row:
    asked = Message("user", f"{SECRET} of {session}, question {turn}", origin="human")
    answered = Message("assistant", f"answer {turn} in {session}", origin="agent")
    return Row(
        id=digest([session, turn]),
        session=session,
        lineage=lineage or session,
        turn=turn,
        family=family,
        messages=(asked, answered),
        provider="anthropic",
        model="claude-x",
        source=f"logs/{session}.jsonl",
        **more,
    )


def write(folder: Path, rows: dict[str, list[Row]], drops: list[Drop] | None = None) -> Path:
    """A dataset folder of these rows and drops, with what else may lie in one."""
    drops = drops or []
    folder.mkdir(parents=True)
    every = [row for split in SPLITS for row in rows.get(split, [])]
    for split in SPLITS:
        (folder / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows.get(split, [])))
    files.write_jsonl(folder / "drops.jsonl", drops)
    stats = Stats(
        files=len({row.source for row in every}),
        sessions=len({row.session for row in every} | {drop.session for drop in drops}),
        lines=LineCounts(total=100, used=90, noise=10),
        noise={"progress": 10},
        unknown={},
        bad=(),
        turns=len(every) + len(drops),
        rows=len(every),
        drops=dict(Counter(drop.reason for drop in drops)),
        families=dict(Counter(row.family for row in every)),
        splits={split: len(rows.get(split, [])) for split in SPLITS},
        redactions={"EMAIL": 3},
        formats={"claude_code": 2},
        narration=1,
        ordered_by="time",
        untimed=0,
        sessions_by_split={split: len({row.session for row in rows.get(split, [])}) for split in SPLITS},
        without_turns=0,
        context_chars=6000,
        response_chars=3000,
        shortened=sum(row.shortened > 0 for row in every),
        tiers=dict(Counter(row.tier for row in every)),
        models={"anthropic/claude-x": len(every)},
        contrasts=2,
    )
    files.write_json(folder / "stats.json", stats)
    (folder / "README.md").write_text(card(stats, provenance={"logs": "ab" * 32}), "utf-8")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two lineages: `a` with its fork `b`, and `c`."""
    rows = {
        "train": [row("a", 0, shortened=2), row("b", 1, lineage="a"), row("a", 1, family="post")],
        "test": [row("c", 0, tier="verified"), row("c", 1)],
    }
    drops = [
        Drop("a", 2, "tool_error", f"{SECRET} a", "logs/a.jsonl", "a"),
        Drop("b", 0, "copy", f"{SECRET} b", "logs/b.jsonl", "a"),
        Drop("copy-only", 0, "copy", f"{SECRET} copy", "logs/copy.jsonl", "a"),
        Drop("c", 2, "tool_error", "fine", "logs/c.jsonl", "c"),
    ]
    folder = write(tmp_path / "dataset", rows, drops)
    ids = {(of.session, of.turn): of.id for split in SPLITS for of in read_rows(folder, split)}
    scores = [
        RowScore(row=ids[one], family="reply", partner=ids[other], own=1.0, other=2.0, gain=1.0, tokens=3)
        for one, other in ((("a", 0), ("c", 0)), (("c", 0), ("a", 1)), (("c", 1), ("b", 1)))
    ]
    write_scores(folder, scores)
    files.write_jsonl(
        folder / "contrast.jsonl",
        [
            {"id": "1", "session": "a", "lineage": "a", "prompt": [{"role": "user", "content": SECRET}]},
            {"id": "2", "session": "c", "lineage": "c", "prompt": []},
        ],
    )
    (folder / "extra").mkdir()
    (folder / "extra" / "note.txt").write_text("kept")
    return folder


def test_the_kin_of_a_session_that_was_forgotten_before_can_still_be_forgotten(dataset: Path) -> None:
    forget(dataset, Kin(frozenset("a")), NOW)
    kin = kin_of([dataset], "a", lineage=True)
    assert kin.sessions == {"a", "b", "copy-only"}
    done = forget(dataset, kin, NOW)
    assert done is not None
    assert (done.sessions, done.kin_left) == (2, 0)
    assert kin_of([dataset], "a", lineage=True).sessions == {"a"}
    assert {about.session for split in SPLITS for about in read_rows(dataset, split)} == {"c"}


PRIVATE = "ada.lovelace@countess-mail.net 2026-05-03"


def test_a_session_that_is_called_after_a_person_is_forgotten_by_either_name(tmp_path: Path) -> None:
    """And nothing that was written shows what its log is called."""
    private = [session(human("Why?"), says(f"Because {n}."), id=PRIVATE, source=f"logs/{PRIVATE}.jsonl") for n in "ab"]
    other = session(human("Why?"), says("Never."), id="plain")
    for name in ("by-original", "by-shown", "by-copy"):
        made.write(tmp_path / name, [*private, other])
    shown = sorted({row.session for split in SPLITS for row in read_rows(tmp_path / "by-shown", split)} - {"plain"})
    assert [re.sub("[0-9a-f]{16}", "H", name) for name in shown] == ["redacted-H", "redacted-H@2"]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"lovelace" not in path.read_bytes(), path
    for name, called in (("by-original", PRIVATE), ("by-shown", shown[0]), ("by-copy", f"{PRIVATE}@2")):
        folder = tmp_path / name
        kin = kin_of([folder], called, lineage=False)
        done = forget(folder, kin, NOW)
        assert done is not None
        assert (done.sessions, done.kin_left) == (1, 1)
        left = {row.session for split in SPLITS for row in read_rows(folder, split)}
        assert left == {"plain", shown[0] if name == "by-copy" else shown[1]}
        assert len(records(folder, kin)) == 1
    again = kin_of([tmp_path / "by-original"], PRIVATE, lineage=True)
    done = forget(tmp_path / "by-original", again, NOW)
    assert done is not None
    assert done.kin_left == 0


def test_every_line_of_a_session_goes_and_no_other(dataset: Path) -> None:
    before = {path.name: path.read_bytes().splitlines() for path in dataset.glob("*.jsonl")}
    done = forget(dataset, Kin(frozenset("a")), NOW)
    assert done is not None
    assert done.lines == {"train.jsonl": 2, "drops.jsonl": 1, "contrast.jsonl": 1, "scores.jsonl": 2}
    assert (done.sessions, done.rows, done.drops, done.kin_left) == (1, 2, 1, 2)
    assert done.sources == ("logs/a.jsonl",)
    for name, lines in before.items():
        left = (dataset / name).read_bytes().splitlines()
        assert left == [line for line in lines if line in left], "what stays keeps its bytes and its order"
        assert len(left) == len(lines) - done.lines.get(name, 0)
    everything = b"".join(path.read_bytes() for path in dataset.rglob("*") if path.is_file()).decode()
    assert f"{SECRET} of a" not in everything
    assert f"{SECRET} a" not in everything
    assert f"{SECRET} of b" in everything
    assert (dataset / "extra" / "note.txt").read_text() == "kept"
    assert not list(dataset.parent.glob(".partial-*"))


def test_the_numbers_are_those_of_what_is_left(dataset: Path) -> None:
    forget(dataset, Kin(frozenset("a")), NOW)
    stats, drops = read_stats(dataset), read_drops(dataset)
    rows = {split: read_rows(dataset, split) for split in SPLITS}
    every = [row for split in SPLITS for row in rows[split]]
    assert stats.rows == len(every) == 3
    assert stats.turns == stats.rows + len(drops) == 6
    assert stats.drops == Counter(drop.reason for drop in drops)
    assert stats.families == {"reply": 3}
    assert stats.tiers == {"recorded": 2, "verified": 1}
    assert stats.models == {"anthropic/claude-x": 3}
    assert stats.splits == {split: len(rows[split]) for split in SPLITS}
    assert stats.contrasts == 1
    assert stats.sessions_by_split == {"train": 1, "valid": 0, "test": 1}
    assert (stats.sessions, stats.shortened) == (3, 0)
    assert (stats.lines.total, stats.narration, stats.redactions) == (100, 1, {"EMAIL": 3})
    assert stats.notes[-1].startswith("Forgotten on 2026-05-04: 1 session with 2 rows and 1 drop. ")
    page = (dataset / "README.md").read_text("utf-8")
    assert stats.notes[-1] in page
    assert "| `anthropic/claude-x` | 3 |" in page
    assert "ab" * 32 in page, "where it comes from is kept"
    assert "anthropic, Claude models: 3 rows" in page


def test_a_lineage_takes_forks_and_copies_without_rows(dataset: Path) -> None:
    kin = kin_of([dataset], "b", lineage=True)
    assert kin == Kin(frozenset(("a", "b", "copy-only")), frozenset("a"))
    done = forget(dataset, kin, NOW)
    assert done is not None
    assert (done.sessions, done.rows, done.drops, done.kin_left) == (3, 3, 3, 0)
    assert SECRET not in "".join((dataset / name).read_text() for name in ("train.jsonl", "drops.jsonl", SCORES))
    assert read_stats(dataset).families == {"reply": 2}


def test_a_lineage_reaches_from_one_dataset_into_another(dataset: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", {"train": [row("late-fork", 0, lineage="a")]})
    kin = kin_of([dataset, other], "copy-only", lineage=True)
    assert "late-fork" in kin.sessions
    assert forget(other, kin, NOW) is not None
    assert read_rows(other, "train") == []
    assert read_stats(other).rows == 0


def test_twice_is_harmless_and_remembered_without_the_id(dataset: Path) -> None:
    kin = Kin(frozenset(("copy-only", "a")))
    trained_on = files.sha256_file(dataset / "train.jsonl")
    assert digests_of(dataset, kin) == {trained_on}
    assert forget(dataset, kin, NOW) is not None
    after = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    assert forget(dataset, kin, "2027-01-01T00:00:00+00:00") is None
    assert {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()} == after
    assert "copy-only" not in (dataset / FORGOTTEN).read_text()
    assert [(record.rows, record.drops) for record in records(dataset, Kin(frozenset("a")))] == [(2, 1)]
    assert digests_of(dataset, Kin(frozenset("a"))) == {trained_on}
    assert digests_of(dataset, Kin(frozenset(("copy-only",)))) == set(), "no row of it was ever trained on"
    assert holds(dataset, Kin(frozenset(("copy-only",))))
    assert forget(dataset, Kin(frozenset("c")), NOW) is not None
    assert len(json.loads((dataset / FORGOTTEN).read_text())) == 3


def test_what_is_not_there_changes_nothing(dataset: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in dataset.rglob("*")}
    assert forget(dataset, Kin(frozenset(("nobody",))), NOW) is None
    assert not holds(dataset, Kin(frozenset(("nobody",))))
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*")} == before


def test_a_document_goes_with_the_last_row_that_names_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "dataset", {"train": [row("a", 0), row("c", 0)]})
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_bytes().splitlines()]
    for line, documents in zip(lines, (["own", "shared"], ["shared"]), strict=True):
        line["locum"]["documents"] = documents
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files.write_jsonl(
        folder / "documents.jsonl", [{"digest": "own", "text": SECRET}, {"digest": "shared", "text": "x"}]
    )
    files.write_json(folder / "stats.json", msgspec.structs.replace(read_stats(folder), documents=2))
    done = forget(folder, Kin(frozenset("a")), NOW)
    assert done is not None
    assert done.lines == {"train.jsonl": 1, "documents.jsonl": 1}
    assert read_stats(folder).documents == 1
    assert [json.loads(line)["digest"] for line in (folder / "documents.jsonl").read_bytes().splitlines()] == ["shared"]


@pytest.mark.parametrize("name", ["train.jsonl", "drops.jsonl", "contrast.jsonl", "unheard-of.jsonl"])
def test_a_line_that_cannot_be_read_stops_it_before_anything_is_written(dataset: Path, name: str) -> None:
    with (dataset / name).open("ab") as out:
        out.write(b'{"session": "a", "text": \n')
    before = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    with pytest.raises(DatasetError, match=rf"{name}:\d+ cannot be read"):
        forget(dataset, Kin(frozenset("a")), NOW)
    assert {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()} == before


def test_a_failure_while_writing_leaves_the_folder_whole(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locum.dataset.forget.files.write_json", fail)
    with pytest.raises(OSError, match="No space left"):
        forget(dataset, Kin(frozenset("a")), NOW)
    assert {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()} == before
    assert not list(dataset.parent.glob(".partial-*"))


_sessions = st.sampled_from("abcdef")


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(_sessions, st.sampled_from(SPLITS), st.sampled_from(["reply", "post"])), max_size=12),
    st.lists(st.tuples(_sessions, st.sampled_from(["copy", "tool_error"])), max_size=8),
    st.sets(_sessions, min_size=1, max_size=3),
)
def test_the_identities_hold_whatever_is_forgotten(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    drops: list[tuple[str, str]],
    gone: set[str],
) -> None:
    by_split: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for turn, (name, split, family) in enumerate(rows):
        by_split[split].append(row(name, turn, family=family))
    dropped = [Drop(name, turn + 100, reason) for turn, (name, reason) in enumerate(drops)]
    folder = write(tmp_path_factory.mktemp("forget") / "dataset", by_split, dropped)
    present = {session for session, _, _ in rows} | {session for session, _ in drops}
    done = forget(folder, Kin(frozenset(gone)), NOW)
    assert (done is not None) == bool(gone & present)
    left = write(
        folder.with_name("expected"),
        {split: [of for of in by_split[split] if of.session not in gone] for split in SPLITS},
        [drop for drop in dropped if drop.session not in gone],
    )
    stats, expected = read_stats(folder), read_stats(left)
    for field in ("turns", "rows", "drops", "families", "splits", "sessions_by_split", "tiers", "sessions"):
        assert getattr(stats, field) == getattr(expected, field), field
    for split in SPLITS:
        assert read_rows(folder, split) == read_rows(left, split)
