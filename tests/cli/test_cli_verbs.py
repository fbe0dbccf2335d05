"""The verbs one after the other, where `locum run` is not wanted; and what they do to a finished run."""

import json
from pathlib import Path

import pytest
from command import Command

from locum.training.base import Base


@pytest.mark.slow
def test_the_verbs_one_by_one(locum: Command, logs: Path, tiny_base: Base) -> None:
    def told(*arguments: str, code: int = 0) -> dict[str, object]:
        said = locum(*arguments, "--json")
        assert said.code == code, said.err
        found: dict[str, object] = json.loads(said.out)
        return found

    told("extract", str(logs), "--out", "data")
    train = ("train", "data", "--base", str(tiny_base.folder), "--out", "tuned", "--max-steps", "2")
    assert told(*train)["steps"] == 2
    assert "--force" in locum(*train, "--json").error
    exported = told("export", "tuned", "--quant", "F16", "--name", "my.model")
    assert exported["model_file"] == "tuned/model/my.model.F16.gguf"
    deploy = ("deploy", "tuned", "--deploy", "embedded", "--name")
    assert told(*deploy, "one")["deployed"] == {"engine": "embedded", "name": "one"}
    assert told(*deploy, "one")["deployed"] == {"engine": "embedded", "name": "one"}, "it holds this very model"
    evaluated = told("evaluate", "tuned", "--eval-rows", "2", "--loss-rows", "3")
    assert evaluated["name"] == "my.model"
    assert (evaluated["scored"]["rows"], evaluated["generated"]["rows"], evaluated["at_once"]) == (3, 2, 1)  # type: ignore[index]
    evaluated = told("evaluate", "tuned", "--eval-rows", "2", "--loss-rows", "3", "--at-once", "2")
    assert (evaluated["generated"]["rows"], evaluated["at_once"]) == (2, 2)  # type: ignore[index]
    assert {verdict["verdict"] for verdict in told("gate", "tuned", code=10)["verdicts"].values()} == {"INSUFFICIENT"}  # type: ignore[attr-defined]
    assert "no family 'nope'" in locum("gate", "tuned", "--family", "nope", "--json").error
    # The same rows from a folder of their own are no conflict; other rows and other things are.
    told(*train, "--force")
    (locum.folder / "other" / "dataset").mkdir(parents=True)
    (locum.folder / "other" / "dataset" / "photo.jpg").write_text("the user's own")
    other = ("train", "data", "--base", str(tiny_base.folder), "--out", "other", "--max-steps", "1", "--json")
    assert "holds something else" in locum(*other).error
    assert (locum.folder / "other" / "dataset" / "photo.jpg").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sessions", [1, 2, 3])
def test_few_sessions_are_never_enough(locum: Command, tmp_path: Path, tiny_base: Base, sessions: int) -> None:
    """However many rows they hold: what counts is how many conversations agree."""
    for number in range(sessions):
        messages: list[dict[str, object]] = []
        for turn in range(150):
            call = {"name": "lookup", "arguments": '{"id": "W-17"}'}
            messages += [
                {"role": "user", "content": f"Look at W-17, part {number}.{turn}."},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": f"c{turn}", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": f"c{turn}", "content": "ok"},
            ]
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs" / f"{number}.jsonl").write_text(json.dumps({"messages": messages}) + "\n")
    code, out, err = locum(
        "run", "logs", "--name", "few", "--base", str(tiny_base.folder), "--max-steps", "1", "--eval-rows", "4",
        "--quant", "F32", "--deploy", "none", "--context-chars", "1200", "--skip-bad", "--json", "--out", "run",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["rows"] > 100
    assert {verdict["verdict"] for verdict in found["verdicts"].values()} == {"INSUFFICIENT"}
    if sessions == 1:
        assert "nothing to test on" in err
    assert locum("gate", "run").code == 10
