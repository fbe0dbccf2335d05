"""The gate judges what was evaluated, or nothing."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from answer_samples import decision_rows
from command import Command
from tiny_runs import put_evaluated

from locum import files
from locum.cli import stages
from locum.errors import MismatchError, RunError, UnreadableError
from locum.evaluation.results import Results


@pytest.fixture
def evaluated(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    put_evaluated(run, decision_rows("tool_decision", 3, name="train"), decision_rows("tool_decision", 3))
    return run


def doubled(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)


def whitewashed(path: Path) -> None:
    path.write_text(path.read_text("utf-8").replace('"right":false', '"right":true') + "\n", "utf-8")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("evaluation/samples.jsonl", doubled),
        ("evaluation/samples.jsonl", whitewashed),
        ("evaluation/signatures.json", whitewashed),
        ("dataset/test.jsonl", doubled),
        ("dataset/train.jsonl", doubled),
    ],
)
def test_what_was_not_evaluated_is_not_judged(evaluated: Path, name: str, change: Callable[[Path], None]) -> None:
    verdict = stages.gate(evaluated)["tool_decision"]
    assert verdict["verdict"] == "INSUFFICIENT"
    assert verdict["evaluation"] == files.sha256_file(evaluated / "evaluation" / "results.json")
    said = (evaluated / "verdict.json").read_bytes()
    change(evaluated / name)
    with pytest.raises(MismatchError, match=f"^{name} of .* is not what was evaluated"):
        stages.gate(evaluated)
    assert (evaluated / "verdict.json").read_bytes() == said


def test_another_model_file_is_not_judged_by_the_evaluation_of_the_one_before(evaluated: Path) -> None:
    (evaluated / "model").mkdir()
    (evaluated / "model" / "mine.Q4_0.gguf").write_bytes(b"exported once more")
    with pytest.raises(MismatchError, match="the model file"):
        stages.gate(evaluated)
    results = files.read_json(evaluated / "evaluation" / "results.json", Results)
    sha256 = files.sha256_file(evaluated / "model" / "mine.Q4_0.gguf")
    files.write_json(evaluated / "evaluation" / "results.json", msgspec.structs.replace(results, model_sha256=sha256))
    assert stages.gate(evaluated)


def test_results_that_do_not_say_what_they_are_of(evaluated: Path) -> None:
    path = evaluated / "evaluation" / "results.json"
    results = files.read_json(path, Results)
    files.write_json(path, msgspec.structs.replace(results, digests={}))
    with pytest.raises(MismatchError, match="--rescore"):
        stages.gate(evaluated)
    path.write_text(path.read_text("utf-8").replace('"schema": 1', '"schema": 2'), "utf-8")
    with pytest.raises(UnreadableError, match="another version of Locum"):
        stages.gate(evaluated)
    path.unlink()
    with pytest.raises(RunError, match="holds no evaluation"):
        stages.gate(evaluated)


def test_a_script_can_tell_by_the_exit_code(locum: Command, evaluated: Path) -> None:
    whitewashed(evaluated / "evaluation" / "samples.jsonl")
    code, out, err = locum("gate", str(evaluated), "--json")
    assert (code, out) == (30, "")
    assert err.startswith("error: evaluation/samples.jsonl of ")
    (evaluated / "evaluation" / "results.json").write_text('{"cut')
    assert "results.json' is damaged" in locum("evaluate", str(evaluated), "--rescore", "--json").error
