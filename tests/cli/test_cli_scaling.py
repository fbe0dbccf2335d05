"""`locum scaling`, `locum plan`, and what a run makes of its ladder, through the real command on a tiny base."""

import json
from pathlib import Path

import pytest
from command import Command

from locum.evaluation.anatomy.results import Anatomy
from locum.evaluation.scaling.results import Scaling
from locum.files import read_json
from locum.training.base import Base


@pytest.fixture
def data(locum: Command, logs: Path) -> Path:
    said = locum("extract", str(logs), "--out", "data", "--context-chars", "1200", "--json")
    assert said.code == 0, said.err
    return locum.folder / "data"


def test_a_plan_says_what_could_be_shown_and_learns_what_training_takes(
    locum: Command, data: Path, tiny_base: Base
) -> None:
    arguments = ("plan", "data", "--base", str(tiny_base.folder), "--max-steps", "2", "--json")
    first = locum(*arguments)
    assert first.code == 0, first.err
    found = json.loads(first.out)
    assert found["steps"] == 2
    assert (found["minutes"], found["accuracy"]) == (None, None)
    assert {family["family"] for family in found["families"]} >= {"tool_decision", "reply"}
    assert all(not family["can_pass"] for family in found["families"])
    (judged,) = (family for family in found["families"] if family["judged"])
    assert f"the gate would count {judged['judged']} of the rows held out, from" in first.err
    assert f"as much evidence as {judged['worth']:.1f} unrelated rows; it needs 29" in first.err
    train = ("train", "data", "--base", str(tiny_base.folder), "--out", "run", "--max-steps", "2", "--rank", "4")
    trained = locum(*train, "--lambda", "0.5", "--json")
    assert trained.code == 0, trained.err
    again = json.loads(locum(*arguments).out)
    assert again["minutes"] > 0
    assert again["timed"] == 1
    # The strength that was asked for is what everybody scales the adapter by.
    assert json.loads(trained.out)["lambda"] == 0.5
    config = json.loads((locum.folder / "run" / "adapter" / "adapter_config.json").read_bytes())
    assert (config["r"], config["lora_alpha"]) == (4, 4)


@pytest.mark.slow
def test_a_ladder_of_a_run_stands_in_the_run_and_is_found_there(locum: Command, data: Path, tiny_base: Base) -> None:
    base = str(tiny_base.folder)
    assert locum("train", "data", "--base", base, "--out", "run", "--max-steps", "3", "--json").code == 0
    ladder = ("scaling", "run", "--base", base, "--seeds", "1", "--max-steps", "2", "--rows", "4")
    said = locum(*ladder, "--larger", base)
    assert "the ladder's own base" in said.error
    said = locum(*ladder, "--json")
    assert said.code == 0, said.err
    written = json.loads(said.out)
    assert written["scaling"] == "run/scaling.json"
    found = read_json(locum.folder / "run" / "scaling.json", Scaling)
    assert len(found.rungs) == 7
    assert found.all.refused
    assert found.larger is None
    assert "--force" in locum(*ladder, "--json").error
    # The anatomy takes it as its second axis, and the report shows it.
    assert locum("anatomy", "run", "--rows", "4", "--train-rows", "2", "--json").code == 0
    notes = read_json(locum.folder / "run" / "anatomy" / "anatomy.json", Anatomy).notes
    assert not any("No ladder" in note for note in notes)
    assert locum("report", "run", "--json").code == 0
    text = (locum.folder / "run" / "report.md").read_text("utf-8")
    assert "## More rows" in text
    assert "Nothing is foretold" in text
    # Of a dataset alone it stands in the working directory; of other rows it is refused.
    assert json.loads(locum("scaling", "data", *ladder[2:], "--json").out)["scaling"] == "scaling.json"


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "nan", "much"])
def test_a_strength_out_of_range_is_wrong_usage(locum: Command, value: str) -> None:
    said = locum("train", "data", "--out", "run", "--lambda", value)
    assert (said.code, said.out) == (2, "")
    assert "--lambda" in said.err
    assert list(locum.folder.iterdir()) == []
