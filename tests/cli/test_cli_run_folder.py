"""Whose folder it is: what is gone on with, what is refused, and what is never touched."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from locum import files
from locum.cli import deployed
from locum.cli.run_folder import Request, Run
from locum.errors import NameTakenError, RunError
from locum.runtime import store


def request(**changes: Any) -> Request:
    usual: dict[str, Any] = {
        "sources": ("/logs",), "name": "x", "base": "b", "quant": "Q8_0", "deploy": "none", "max_steps": None,
        "epochs": 3, "learning_rate": 0.002, "context_chars": 6000, "eval_rows": 64, "loss_rows": 256,
        "seed": 0, "skip_bad": False, "context": "keep", "settings": None, "force": False, "patience": 3,
        "layers": "all",
    }  # fmt: skip
    return Request(**usual | changes)


def opened(folder: Path, **changes: Any) -> Run:
    return Run(folder, request(**changes), lambda text: None)


def begun(folder: Path, *done: str, **changes: Any) -> Run:
    """A run that was interrupted after the stages `done`."""
    run = opened(folder, **changes)
    run.begin()
    for stage in done:
        run.stage(stage, lambda: {"by": "the first"})
    (folder / "dataset").mkdir()
    (folder / "dataset" / "old.jsonl").write_text("old")
    return run


def never() -> dict[str, Any]:
    raise AssertionError("this stage is done")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_nothing_is_written_before_there_is_something_to_write(tmp_path: Path) -> None:
    opened(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_same_request_goes_on_where_it_stopped(tmp_path: Path) -> None:
    begun(tmp_path, "dataset", "train")
    run = opened(tmp_path)
    run.begin()
    assert run.stage("dataset", never) == run.stage("train", never) == {"by": "the first"}
    assert run.stage("export", lambda: {"by": "the second"}) == {"by": "the second"}
    assert run.stage("export", lambda: {"by": "the third"}, anew=True) == {"by": "the third"}
    assert run.stage("export", never) == {"by": "the third"}
    assert (tmp_path / "dataset" / "old.jsonl").exists()
    assert set(run.seconds()) == {"dataset", "train", "export"}


def test_a_stage_that_fails_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        begun(tmp_path).stage("dataset", never)
    assert not opened(tmp_path).has_done("dataset")


def test_another_request_is_refused_by_what_differs(tmp_path: Path) -> None:
    begun(tmp_path, "dataset")
    with pytest.raises(RunError, match=r"max_steps None, now 9.*--force"):
        opened(tmp_path, max_steps=9)
    (tmp_path / ".request.json").write_text("{}")
    with pytest.raises(RunError, match="another version"):
        opened(tmp_path)


def test_force_begins_another_request_anew(tmp_path: Path) -> None:
    begun(tmp_path, "dataset")
    (tmp_path / "notes.txt").write_text("the user's own")
    run = opened(tmp_path, max_steps=9, force=True)
    assert (tmp_path / "dataset").exists(), "refused or failing requests must not have removed anything"
    run.begin()
    assert names(tmp_path) == {".request.json", "notes.txt"}
    assert run.stage("dataset", lambda: {"by": "the second"}) == {"by": "the second"}


@pytest.mark.parametrize("again", [True, False])
def test_a_forced_run_that_was_interrupted_goes_on_too(tmp_path: Path, again: bool) -> None:
    begun(tmp_path, "dataset", force=True)
    run = opened(tmp_path, force=again)
    assert run.stage("dataset", never) == {"by": "the first"}
    assert run.request.force, "what it was allowed to replace stays allowed"


def test_a_finished_run_is_replaced_by_force_alone(tmp_path: Path) -> None:
    run = begun(tmp_path, "dataset")
    run.finish({"request": msgspec.to_builtins(run.request), "digests": {}})
    assert names(tmp_path) == {"dataset", "manifest.json"}
    with pytest.raises(NameTakenError, match="--force"):
        opened(tmp_path)
    opened(tmp_path, force=True).begin()
    assert names(tmp_path) == {".request.json"}


def test_a_kill_while_finishing_leaves_a_finished_run(tmp_path: Path) -> None:
    run = begun(tmp_path, "dataset")
    files.write_json(tmp_path / "manifest.json", {"request": {}, "digests": {}})
    with pytest.raises(NameTakenError):
        opened(tmp_path)
    again = opened(tmp_path, force=True)
    assert not again.has_done("dataset")
    assert run.folder == again.folder


@pytest.mark.parametrize("force", [True, False])
def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path, force: bool) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "manifest.json").write_text('{"name": "somebody\'s web page"}')
    with pytest.raises(RunError, match="holds no run"):
        opened(tmp_path, force=force)
    assert names(tmp_path) == {"model", "manifest.json"}


def test_a_file_is_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file"):
        opened(tmp_path / "file")


def test_leftovers_of_a_killed_writer_are_swept_and_do_not_make_a_folder_foreign(tmp_path: Path) -> None:
    (tmp_path / f"{files.PARTIAL}999999999-dataset").mkdir()
    opened(tmp_path).begin()
    assert names(tmp_path) == {".request.json"}


def test_a_name_that_holds_this_very_model_is_free(tmp_path: Path, home: Path) -> None:
    """A run that was killed between deploying and taking note of it must not be refused by its own model."""
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    model = run / "model" / "x.Q8_0.gguf"
    model.write_bytes(b"weights")
    deployed.require_free("x", "embedded", False, run)
    store.put(store.Card("x", "b", "b.gguf", files.sha256_file(model), str(run)), model, force=False)
    deployed.require_free("x", "embedded", False, run)
    model.unlink()
    model.write_bytes(b"other weights")
    with pytest.raises(NameTakenError, match="--force"):
        deployed.require_free("x", "embedded", False, run)
    with pytest.raises(NameTakenError):
        deployed.require_free("x", "embedded", False, tmp_path / "another run")
    deployed.require_free("x", "embedded", True, run)
    deployed.require_free("x", "none", False, run)
