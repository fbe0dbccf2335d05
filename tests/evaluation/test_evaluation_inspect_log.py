"""The Inspect log: what it holds, and that Inspect itself reads it."""

from pathlib import Path

import pytest
from answer_samples import decision_rows, samples_of, silent

from locum import files
from locum.evaluation import going_wrong
from locum.evaluation.competence import competence
from locum.evaluation.inspect_log import export_inspect
from locum.evaluation.results import Results, Sample, Sampled


@pytest.fixture
def evaluated(tmp_path: Path) -> tuple[Path, list[Sample]]:
    """A run folder with the evaluation of a model that copies the agent, except in its first row."""
    rows = [*decision_rows("tool_decision", 3, 2), *decision_rows("reply", 2, 2, name="r")]
    wrong = rows[0].id
    samples = samples_of(rows, lambda r: silent(r) if r.id == wrong else r.response, silent, rows)
    samples = going_wrong.trace(samples, rows, [])
    size = Sampled(rows=len(rows), sessions=5, of_rows=len(rows), of_sessions=5, cap=64)
    results = Results(
        name="mine",
        base="tiny",
        model_file="mine.Q8_0.gguf",
        model_sha256="0" * 64,
        engine="llama.cpp",
        scored=size,
        generated=size,
        max_new_tokens=200,
        loss={},
        loss_by_family={},
        resemblance={},
        competence=competence(samples).measures,
        signatures=going_wrong.figures(samples),
        digests={"dataset/test.jsonl": "1" * 64},
    )
    (tmp_path / "evaluation").mkdir()
    files.write_json(tmp_path / "evaluation" / "results.json", results)
    files.write_jsonl(tmp_path / "evaluation" / "samples.jsonl", samples)
    return tmp_path, samples


def test_every_row_is_a_sample_with_its_prompt_answer_and_scores(evaluated: tuple[Path, list[Sample]]) -> None:
    run, samples = evaluated
    assert export_inspect(run, run / "log.json") == len(samples) == 10
    log = files.read_json(run / "log.json", dict)
    first = log["samples"][0]
    assert first["scores"]["right"]["value"] == "I"
    assert {sample["scores"]["right"]["value"] for sample in log["samples"][1:]} == {"C"}
    assert first["metadata"]["lineage"] == samples[0].lineage
    assert first["metadata"]["arms"].keys() >= {"agent", "base"}
    assert log["samples"][1]["output"]["choices"][0]["stop_reason"] == "tool_calls"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_inspect_reads_the_log(evaluated: tuple[Path, list[Sample]]) -> None:
    inspect_log = pytest.importorskip("inspect_ai.log")
    run, samples = evaluated
    export_inspect(run, run / "log.json")
    log = inspect_log.read_eval_log(str(run / "log.json"))
    assert (log.status, log.eval.model, log.eval.task) == ("success", "locum/mine", "locum_held_out")
    assert [sample.id for sample in log.samples] == [sample.row for sample in samples]
    assert log.samples[1].output.message.tool_calls[0].function == samples[1].tuned.tool_calls[0].name
    assert log.samples[0].input[0].text == samples[0].prompt[0].content
    assert log.samples[1].scores["right"].as_str() == "C"
    by_name = {score.name: score for score in log.results.scores}
    assert by_name["loops"].metrics["tuned-agent"].value == 0.0
    assert by_name["right/tool_decision"].metrics["right_tool/tuned"].value == pytest.approx(5 / 6)
    again = inspect_log.read_eval_log_sample(str(run / "log.json"), id=samples[0].row)
    assert again.target == log.samples[0].target
