"""Sessions in, a dataset out: the identities hold, and nothing leaks from split to split."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from built_dataset import SALT, Dataset, intake_of, write
from built_dataset import build as build_dataset
from dataset_sessions import calls, human, result, says, session, sessions
from hypothesis import given, settings
from hypothesis import strategies as st

from locum import files
from locum.dataset import Options, funnel
from locum.dataset.cache import Readings
from locum.dataset.write import write_dataset
from locum.errors import DatasetError
from locum.parallel import Each, Processes, here
from locum.types import BadLine, Lines, Message, Session

LINES = Lines(total=10, used=5, noise={"progress": 2}, unknown={"new": 1}, bad=(BadLine("f", 3, "cut"),) * 2)
OPTIONS = Options()


def work(number: int, *more: Message, **about: Any) -> Session:
    return session(
        human(f"Look at {number}."), calls(f"c{number}", text="Looking."), result(f"c{number}"),
        says(f"{number} is fine."), *more,
        **{"id": f"s{number}", "started": f"2026-01-{number + 1:02}T00:00:00Z", **about},
    )  # fmt: skip


def build(*given_sessions: Session, options: Options = OPTIONS) -> Dataset:
    return build_dataset(*given_sessions, lines=LINES, options=options)


def test_numbers_of_a_dataset() -> None:
    failed = work(8, reward=0.0, provider="acme", model="large")
    stats = build(*(work(n, provider="acme", model="large") for n in range(8)), failed, session(id="empty")).stats
    assert (stats.files, stats.sessions, stats.without_turns) == (1, 10, 1)
    assert stats.formats == {"claude_code": 1}
    lines = stats.lines
    assert (lines.total, lines.used, lines.noise, lines.unknown, lines.bad) == (10, 5, 2, 1, 2)
    assert (stats.turns, stats.rows, stats.narration) == (18, 16, 9)
    assert stats.drops == {"failed_session": 2}
    assert stats.families == {"reply": 8, "tool_decision": 8}
    assert stats.splits == {"train": 10, "valid": 2, "test": 4}
    assert stats.sessions_by_split == {"train": 5, "valid": 1, "test": 2}
    assert stats.tiers == {"recorded": 8, "verified": 8}
    assert stats.models == {"acme/large": 16}
    assert funnel(stats) == [("sessions", 10), ("turns", 18), ("dropped: failed_session", 2), ("rows", 16)]


def own_ids(one: Session, lineage: int) -> list[Message]:
    """Messages whose ids no other lineage has: a common one would make it the same."""
    return [
        message if message.id is None else msgspec.structs.replace(message, id=f"{lineage} {message.id}")
        for message in one.messages
    ]


@given(st.lists(sessions(max_messages=12), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_identities(given_sessions: list[Session]) -> None:
    named = [
        session(*own_ids(one, at // 2), id=f"s{at}", lineage=f"l{at // 2}", started=f"2026-01-0{9 - at}")
        for at, one in enumerate(given_sessions)
    ]
    try:
        dataset = build(*named)
    except DatasetError:
        return  # nothing of it was usable
    stats = dataset.stats
    assert stats.turns == stats.rows + sum(stats.drops.values())
    assert stats.rows == sum(stats.splits.values()) == sum(stats.families.values()) == sum(stats.tiers.values())
    rows = [row for split in dataset.rows.values() for row in split]
    assert len({row.id for row in rows}) == len(rows)
    lineages = [{row.lineage for row in split} for split in dataset.rows.values()]
    assert sum(map(len, lineages)) == len(set().union(*lineages))
    starts = [[row.lineage for row in split] for split in dataset.rows.values()]
    in_time = sorted((lineage for split in starts for lineage in split), reverse=True)
    assert in_time == [lineage for split in starts for lineage in split]


def test_of_equal_rows_the_one_in_the_earlier_split_stays() -> None:
    same = (human("Status?"), says("All well."))
    # The first lineage has a late part, which lies after the others in time and yet trains.
    dataset = build(
        work(0, id="early", lineage="first"),
        session(*same, id="late", lineage="first", started="2026-01-20T00:00:00Z"),
        work(1), work(2), work(3), session(*same, id="again", lineage="s3", started="2026-01-05"),
    )  # fmt: skip
    [drop] = dataset.drops
    assert (drop.reason, drop.session) == ("duplicate", "again")
    assert "late" in {row.session for row in dataset.rows["train"]}
    contents = [{tuple((m.role, m.content) for m in row.messages) for row in split} for split in dataset.rows.values()]
    assert not contents[0] & contents[2]


def test_nothing_is_random() -> None:
    given_sessions = [work(n) for n in range(5)]
    assert build(*given_sessions) == build(*given_sessions)


def test_secrets_reach_neither_rows_nor_drops() -> None:
    address = "ada" + "@" + "analytical.org"
    told = work(1, human(f"Mail {address}."), says(f"Mailed {address}."), says(f"Mail {address}!", "truncated"))
    dataset = build(told, work(2, source=f"/Users/{'ada'}/log.jsonl"))
    assert address not in str(dataset)
    assert dataset.drops[0].excerpt == "Mail <EMAIL_1>!"
    assert dataset.stats.redactions == {"EMAIL": 3, "USER": 1}
    assert {row.source for row in dataset.rows["test"]} == {"/Users/<USER_1>/log.jsonl"}


@pytest.mark.parametrize(("number", "note"), [(1, "nothing to test on"), (2, "nothing to validate on")])
def test_small_datasets_say_what_they_lack(number: int, note: str) -> None:
    [said] = build(*(work(n) for n in range(number))).stats.notes
    assert note in said


def test_missing_times_are_said() -> None:
    untimed = [work(n, started=None) for n in range(3)]
    stats = build(*untimed).stats
    assert (stats.ordered_by, stats.untimed) == ("appearance", 3)
    assert "order of appearance" in stats.notes[0]
    mixed = build(*untimed, work(4)).stats
    assert (mixed.ordered_by, mixed.untimed) == ("time", 3)
    assert "put before all others" in mixed.notes[0]


def test_no_usable_row() -> None:
    with pytest.raises(DatasetError, match=r"^no row: all 3 turns of 1 sessions .*\(failed_session 2, empty 1\)"):
        build(work(1, says(" "), reward=0.0))
    with pytest.raises(DatasetError, match="no row: 1 sessions hold no message of the agent"):
        build(session(human("Hello?")))
    with pytest.raises(DatasetError, match="budgets of 10 characters"):
        build(work(1), options=Options(context_chars=10))


def test_a_held_out_row_that_is_nearly_a_training_row_is_dropped() -> None:
    long = " ".join(f"word{n} of the question" for n in range(40))
    asked = [session(human(long + end), says("The answer is " + long), id=f"q{n}", started=f"2026-02-0{n + 1}")
             for n, end in enumerate((".", "!"))]  # fmt: skip
    dataset = build(asked[0], *(work(n, started=f"2026-02-0{n + 2}T01:00:00Z") for n in range(4)), asked[1])
    before = build(asked[0], *(work(n, started=f"2026-02-0{n + 2}T01:00:00Z") for n in range(4)))
    assert before.stats.drops == {}
    late = msgspec.structs.replace(asked[1], started="2026-03-01T00:00:00Z")
    dataset = build(asked[0], *(work(n, started=f"2026-02-0{n + 2}T01:00:00Z") for n in range(4)), late)
    [drop] = dataset.drops
    assert (drop.reason, drop.session) == ("near_duplicate", "q1")
    assert drop.excerpt.startswith("The answer is word0")
    assert dataset.stats.turns == dataset.stats.rows + 1
    assert "q1" not in {row.session for split in dataset.rows.values() for row in split}


def test_uneven_splits_are_said() -> None:
    notes = build(*(work(n) for n in range(3))).stats.notes
    assert notes == (
        "Conversations are never divided, and few or large ones make uneven splits: valid 33% (of 10%), test 33% "
        "(of 20%).",
    )
    assert build(*(work(n) for n in range(10))).stats.notes == ()


def test_conversations_that_go_on_while_others_are_held_out_are_said() -> None:
    def talk(number: int, days: int) -> Session:
        times = [f"2026-01-{number + 1 + day:02}T00:00:00Z" for day in (0, days)]
        said = [says(f"{number} is fine.", time=times[0]), human("And?"), says(f"{number} is done.", time=times[1])]
        return session(human(f"Look at {number}."), *said, id=f"s{number}", started=times[0])

    assert build(*(talk(n, 0) for n in range(10))).stats.notes == ()
    assert build(*(talk(n, 19 if n in (1, 3) else 0) for n in range(10))).stats.notes == (
        "2 of the conversations that are trained on went on after the first held-out one began: they are ordered by"
        " when they began, and never divided.",
    )
    jumped = session(human("Look."), says("It is fine.", time="1970-01-01T00:00:00Z"), started="2026-03-01T00:00:00Z")
    assert build(*(talk(n, 0) for n in range(10)), jumped).stats.notes == ()  # a clock that was set back


def test_a_folder_that_another_extraction_writes_is_left_to_it(tmp_path: Path) -> None:
    other = tmp_path / f"{files.PARTIAL}{os.getppid()}-data"
    other.mkdir()
    with pytest.raises(DatasetError, match="is being written by another extraction"):
        write(tmp_path / "data", [work(n) for n in range(3)])
    assert os.listdir(tmp_path) == [other.name]


@pytest.mark.parametrize("each", [here, None])
def test_a_full_disk_leaves_the_dataset_before_and_nothing_half_written(tmp_path: Path, each: Each | None) -> None:
    def full(work: str, done: int, total: int, note: str = "") -> None:
        if work == "building rows":
            raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "data"
    write(target, [work(n) for n in range(3)])
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    with tempfile.TemporaryDirectory() as place, Processes(2, least=0) as processes:
        readings = Readings(Path(place))
        intake = intake_of(readings, [work(n, says("padding " * 90_000, "truncated")) for n in range(12)])
        with pytest.raises(OSError, match="No space left"):
            write_dataset(target, intake, readings, SALT, progress=full, each=each or processes)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert sorted(os.listdir(tmp_path)) == ["data", "data.redactions.json"]


def test_progress_is_told_and_processes_build_the_same(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def progress(work: str, done: int, total: int, note: str = "") -> None:
        if work == "building rows":
            told.append((done, total))

    readings = Readings(tmp_path)
    given_sessions = [work(n, says("padding " * 40_000, "truncated")) for n in range(4)]
    intake = intake_of(readings, given_sessions)
    with Processes(2, least=0) as processes:
        write_dataset(tmp_path / "many", intake, readings, SALT, progress=progress, each=processes)
    write_dataset(tmp_path / "one", intake, readings, SALT, each=here)
    assert told == [(2, 4), (4, 4)]
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl", "drops.jsonl", "stats.json", "README.md"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
