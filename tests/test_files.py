"""Half-written artefacts never take a final name."""

import os
from pathlib import Path

import pytest

from locum import files


def test_an_error_leaves_the_old_file_and_no_leftover(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")

    def fail_half_way() -> None:
        with files.atomic_path(target) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_swapped_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for text in ("one", "two"):
        with files.atomic_path(target) as partial:
            partial.mkdir()
            (partial / text).write_text(text)
    assert os.listdir(target) == ["two"]
    assert os.listdir(tmp_path) == ["folder"]


def test_who_else_writes_is_seen(tmp_path: Path) -> None:
    target = tmp_path / "data"
    assert not files.written_elsewhere(target)
    for process, name, expected in ((os.getpid(), "data", False), (999999999, "data", False),
                                    (os.getppid(), "other", False), (os.getppid(), "data", True)):  # fmt: skip
        (tmp_path / f"{files.PARTIAL}{process}-{name}").mkdir()
        assert files.written_elsewhere(target) == expected


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    old = tmp_path / f"{files.PARTIAL}999999999-old-folder"
    old.mkdir()
    (old / "kept").write_text("kept")
    files.sweep_partials(tmp_path)
    assert os.listdir(tmp_path) == ["folder"]
    assert (tmp_path / "folder" / "kept").read_text() == "kept"


def test_jsonl_and_digests_round_trip(tmp_path: Path) -> None:
    files.write_jsonl(tmp_path / "a.jsonl", [{"b": 1, "a": 2}, {"a": 2, "b": 1}])
    first, second = files.read_jsonl(tmp_path / "a.jsonl", dict[str, int])
    assert files.digest(first) == files.digest(second)
    assert files.digest(first) != files.digest({"a": 2, "b": 2})


def test_a_file_never_takes_a_folders_place(tmp_path: Path) -> None:
    """`--inspect RUN` would have left one file of a whole run."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "kept").touch()
    with pytest.raises(IsADirectoryError, match="a folder stands where a file is to be written"):
        files.write_text(tmp_path / "run", "a log")
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "kept"]
