"""Logs are read once, in any number of processes, and nothing private waits on disk."""

import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from locum.dataset import cache, intake
from locum.dataset.cache import Readings
from locum.dataset.intake import Intake, stored_sessions, take_in
from locum.errors import SourceError
from locum.parallel import Processes
from locum.progress import silent
from locum.sessions.discover import Log, Skipped
from locum.types import Session

ADDRESS = "ada" + "@" + "analytical.org"


def write_log(path: Path, session: str, day: int = 1, asked: str = "How is it?") -> Path:
    """A Claude Code log of one question and its answer."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": asked},
        {"role": "assistant", "id": f"msg-{session}", "content": [{"type": "text", "text": "Fine."}]},
    ]
    lines = [
        {
            "type": message["role"], "uuid": f"{session}-{at}", "parentUuid": f"{session}-{at - 1}" if at else None,
            "sessionId": session, "timestamp": f"2026-03-{day:02}T10:00:0{at}.000Z", "message": message,
        }
        for at, message in enumerate(messages)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_logs(folder: Path, count: int = 3) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [write_log(folder / f"{n}.jsonl", f"s{n}", n + 1) for n in range(count)]


def settle(*paths: Path) -> None:
    """Make the logs as old as logs are that an agent has finished."""
    for path in paths:
        os.utime(path, (time.time() - 60, time.time() - 60))


def read_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from here on."""
    read: list[str] = []
    whole = intake.take_in_log

    def told(log: Log, salt: str, agents: frozenset[str]) -> bytes | Skipped:
        read.append(Path(log).name)
        return whole(log, salt, agents)

    monkeypatch.setattr(intake, "take_in_log", told)
    return read


def sessions(taken: Intake, readings: Readings) -> list[tuple[str, str, Session]]:
    return [
        (placed.id, placed.lineage, msgspec.json.decode(frame.unpack(), type=Session))
        for placed, frame in stored_sessions(taken, readings)
    ]


def test_only_what_is_new_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(*write_logs(tmp_path / "logs"))
    readings = Readings(tmp_path / "readings")
    first = take_in([tmp_path / "logs"], readings, "salt", silent)
    read = read_by(monkeypatch)
    assert take_in([tmp_path / "logs"], readings, "salt", silent) == first
    assert read == []
    settle(write_log(tmp_path / "logs" / "3.jsonl", "new", 9))
    with (tmp_path / "logs" / "1.jsonl").open("a") as log:
        log.write("{}\n")
    grown = take_in([tmp_path / "logs"], readings, "salt", silent)
    assert read == ["1.jsonl", "3.jsonl"]
    fresh = Readings(tmp_path / "fresh")
    assert sessions(grown, readings) == sessions(take_in([tmp_path / "logs"], fresh, "salt", silent), fresh)


def test_a_log_that_was_just_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_logs(tmp_path / "logs", 1)
    readings = Readings(tmp_path / "readings")
    take_in([tmp_path / "logs"], readings, "salt", silent)
    read = read_by(monkeypatch)
    take_in([tmp_path / "logs"], readings, "salt", silent)
    assert read == ["0.jsonl"]


def test_processes_take_in_the_same(tmp_path: Path) -> None:
    write_logs(tmp_path / "logs", 5)
    (tmp_path / "logs" / "notes.txt").write_text("hello")
    told: list[tuple[str, int, int, str]] = []

    def progress(work: str, done: int, total: int, note: str = "") -> None:
        told.append((work, done, total, note))

    one, many = Readings(tmp_path / "one"), Readings(tmp_path / "many")
    with Processes(2, least=0) as processes:
        taken = take_in([tmp_path / "logs"], many, "salt", progress, processes)
    alone = take_in([tmp_path / "logs"], one, "salt", silent)
    assert sessions(taken, many) == sessions(alone, one)
    assert taken.skipped == alone.skipped == (Skipped(str(tmp_path / "logs" / "notes.txt"), "no known session format"),)
    size = sum(path.stat().st_size for path in (tmp_path / "logs").iterdir())
    assert told[-1] == ("reading sessions", size, size, "6 of 6 files")


def test_what_waits_on_disk_holds_no_secret_and_no_stranger_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path / "home"))
    write_log(tmp_path / "s.jsonl", "s", asked=f"Mail {ADDRESS}.")
    with cache.opened("salt") as readings:
        taken = take_in([tmp_path / "s.jsonl"], readings, "salt", silent)
        assert ADDRESS not in str(sessions(taken, readings))
        [kept] = (tmp_path / "home" / "readings").glob("*/*.reading")
    assert (tmp_path / "home" / "readings").stat().st_mode & 0o077 == 0
    cache.forget_readings()
    assert not kept.exists()


def test_a_log_that_is_gone_leaves_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path / "home"))
    logs = write_logs(tmp_path / "logs")
    with cache.opened("salt") as readings:
        take_in([tmp_path / "logs"], readings, "salt", silent)
    logs[0].unlink()
    with cache.opened("salt") as readings:
        take_in([logs[1]], readings, "salt", silent)
    assert len(list((tmp_path / "home" / "readings").glob("*/*.reading"))) == 2


def test_two_at_once_do_not_meet_and_another_salt_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path / "home"))
    [log] = write_logs(tmp_path / "logs", 1)
    settle(log)
    with cache.opened("salt") as first:
        take_in([log], first, "salt", silent)
        with cache.opened("salt") as second:
            assert first.find(log) is not None
            assert second.find(log) is None
    with cache.opened("pepper") as other:
        assert other.find(log) is None


@pytest.mark.parametrize("damage", [b"", b"\xff" * 30, b"\x00" * 7, b"\x00" * 7 + b"\x09{}"])
def test_a_damaged_reading_is_as_good_as_none(tmp_path: Path, damage: bytes) -> None:
    [log] = write_logs(tmp_path / "logs", 1)
    settle(log)
    readings = Readings(tmp_path / "readings")
    take_in([log], readings, "salt", silent)
    [kept] = (tmp_path / "readings").iterdir()
    kept.write_bytes(damage)
    assert readings.find(log) is None


def test_copies_get_ids_of_their_own_and_one_lineage(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", "s")
    (tmp_path / "b.jsonl").write_bytes(path.read_bytes())
    readings = Readings(tmp_path / "readings")
    taken = sessions(take_in([tmp_path], readings, "salt", silent), readings)
    assert len({name for name, _, _ in taken}) == 2
    assert len({lineage for _, lineage, _ in taken}) == 1


def test_sources_that_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for source, said in ((tmp_path / "notes.txt", "not a session log"), (tmp_path, "no session in this folder")):
        with pytest.raises(SourceError, match=said):
            take_in([source], Readings(tmp_path / "readings"), "salt", silent)
