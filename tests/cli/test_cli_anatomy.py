"""`locum anatomy RUN --folds K`, through the real command on a tiny base."""

from pathlib import Path

import pytest
from answer_samples import decision_rows
from command import Command

from locum.dataset.store import encode_row
from locum.evaluation.anatomy.cross_fit import SCRATCH
from locum.training.base import Base


@pytest.mark.slow
def test_a_run_is_cross_fitted_and_its_report_says_so(locum: Command, logs: Path, tiny_base: Base) -> None:
    for arguments in (
        ("extract", str(logs), "--out", "data", "--context-chars", "1200"),
        ("train", "data", "--base", str(tiny_base.folder), "--out", "run", "--max-steps", "2", "--rank", "4"),
    ):
        assert locum(*arguments, "--json").code == 0
    said = locum("anatomy", "run", "--folds", "2", "--rows", "6", "--train-rows", "2")
    assert said.code == 0, said.err
    assert "6 held-out rows of 6 sessions, cross-fitted over 2 folds, at 3 checkpoints (step 0 to 2)" in said.out
    assert "note: Of this run's own adapter and its test rows alone" in said.out
    run = locum.folder / "run"
    assert not (run / SCRATCH).exists()
    assert locum("report", "run", "--json").code == 0
    assert "Cross-fitted over 2 folds, 6 sessions." in (run / "report.md").read_text("utf-8")


def test_what_cannot_be_cross_fitted_is_told_in_one_line(locum: Command) -> None:
    run = locum.folder / "run"
    assert "run/dataset is no dataset" in locum("anatomy", "run", "--folds", "2").error
    (run / "dataset").mkdir(parents=True)
    rows = decision_rows("tool_decision", 8, 1)
    for split, mine in (("train", rows[:6]), ("valid", rows[6:7]), ("test", rows[7:])):
        (run / "dataset" / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in mine))
    for folds, expected in (("9", "9 folds need 9 unrelated sessions, and there are 8"), ("1", "than or equal to 2")):
        said = locum("anatomy", "run", "--folds", folds, "--json")
        assert (said.code, said.out) == (2, "")
        (line,) = [line for line in said.err.splitlines() if line.startswith("Error: ")]
        assert "--folds" in line
        assert expected in line
    # Enough sessions, but nothing is trained there.
    assert "holds no adapter" in locum("anatomy", "run", "--folds", "8").error
    assert [path.name for path in run.iterdir()] == ["dataset"]
