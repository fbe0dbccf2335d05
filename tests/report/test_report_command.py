"""`locum report` and `locum compare` over runs that are there, and over what is no run."""

import json
from pathlib import Path

import msgspec
from command import Command
from report_run import RESULTS, samples, write_run

from locum.files import write_json, write_jsonl
from locum.locks import writing
from locum.report.inputs import read_run


def test_a_report_is_written_anew_as_page_and_markdown(locum: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    said = locum("report", str(run), "--json")
    assert said.code == 0, said.err
    written = json.loads(said.out)
    assert Path(written["report"]).read_text("utf-8").startswith("<!doctype html>")
    assert Path(written["markdown"]).read_text("utf-8").startswith("# relay")
    assert "no run folder" in locum("report", str(tmp_path / "nowhere")).error


def test_a_run_in_training_is_not_said_to_be_untrained(tmp_path: Path, home: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "metrics.jsonl").unlink()
    assert "nothing was trained" in read_run(run).gaps["metrics.jsonl"]
    (run / ".training").mkdir()
    assert "training was interrupted" in read_run(run).gaps["metrics.jsonl"]
    with writing(run):
        assert "training is under way" in read_run(run).gaps["metrics.jsonl"]
    assert "training was interrupted" in read_run(run).gaps["metrics.jsonl"]


def test_two_runs_are_compared_on_the_rows_that_both_were_asked(locum: Command, tmp_path: Path) -> None:
    first, second = write_run(tmp_path / "first"), write_run(tmp_path / "second")
    rows = samples(23)
    other = [
        msgspec.structs.replace(
            sample, tuned=msgspec.structs.replace(sample.tuned, loss=(sample.tuned.loss or 0) + 0.5)
        )
        for sample in rows[:-3]
    ]
    write_jsonl(second / "evaluation" / "samples.jsonl", other)
    write_json(second / "evaluation" / "results.json", msgspec.structs.replace(RESULTS, base="another"))
    said = locum("compare", str(first), str(second), "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["rows"], found["only_first"], found["only_second"]) == (20, 3, 0)
    (loss,) = [pair for pair in found["pairs"] if (pair["family"], pair["measure"]) == ("all", "loss")]
    assert abs(loss["difference"]["estimate"] - 0.5) < 1e-9
    (right,) = [pair for pair in found["pairs"] if (pair["family"], pair["measure"]) == ("all", "right")]
    assert right["difference"]["estimate"] == 0
    assert any("bases differ" in note for note in found["notes"])
    write_jsonl(second / "evaluation" / "samples.jsonl", [])
    assert "no row in common" in locum("compare", str(first), str(second)).error
    (second / "evaluation" / "results.json").unlink()
    assert "locum evaluate" in locum("compare", str(first), str(second)).error
