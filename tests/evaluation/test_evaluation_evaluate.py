"""An evaluation from files to files, with the real engine: what it writes is what it says."""

import re
from pathlib import Path
from typing import NoReturn

import msgspec
import numpy as np
import polars as pl
import pytest
from answer_samples import decision_rows
from small_models import row, says, system, turns, user
from tiny_runs import put, tiny_models

from locum import files
from locum.errors import DatasetError, RunError
from locum.evaluation import nll
from locum.evaluation.compare import compare
from locum.evaluation.evaluate import EvaluateOptions, evaluate
from locum.evaluation.losses import Model
from locum.evaluation.rescore import evaluated as still_evaluated
from locum.evaluation.rescore import rescore
from locum.evaluation.results import Results, Sample
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Row

pytestmark = pytest.mark.usefixtures("float32")
OPTIONS = EvaluateOptions(rows=7, loss_rows=14, max_new_tokens=12, probes=1)


@pytest.fixture(scope="module")
def models(tiny_base: Base, tiny_renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Model]:
    return tiny_models(tiny_base, tiny_renderer, tmp_path_factory.mktemp("models"))


def own_context(run: Path) -> pl.DataFrame:
    """The table's lines in the rows' own contexts."""
    return nll.read(run / "evaluation" / "nll.parquet").filter(pl.col("context") == "own")


def held_out() -> list[Row]:
    talk = turns(
        system("Be brief."), user("Is it late?"), says("Yes."), user("Why?"), says("I will look."), session="t"
    )
    return [
        *decision_rows("tool_decision", 3, 3),
        *decision_rows("reply", 2, 3, tier="recorded", name="r"),
        *talk,
        row(user("Post"), says("We ship it — today!"), session="p", family="post"),
    ]


@pytest.fixture
def evaluated(tmp_path: Path, tiny_renderer: Renderer, models: tuple[Model, Model]) -> tuple[Path, list[Row], Results]:
    test = held_out()
    put(tmp_path, decision_rows("tool_decision", 5, name="train"), test)
    return tmp_path, test, evaluate(tmp_path, "mine", "tiny", *models, tiny_renderer, OPTIONS)


def test_the_table_adds_up_to_the_results(
    evaluated: tuple[Path, list[Row], Results], tiny_renderer: Renderer, models: tuple[Model, Model]
) -> None:
    run, test, results = evaluated
    table = own_context(run)
    assert table["row"].n_unique() == results.scored.rows == 14 < results.scored.of_rows == len(test)
    means = dict(table.group_by("arm").agg(pl.col("loss").cast(pl.Float64).mean()).iter_rows())
    assert means.keys() == {"base", "tuned"}
    for arm, mean in means.items():
        assert results.loss[arm].estimate == pytest.approx(mean, abs=1e-5)
    assert results.loss["base-tuned"].estimate == pytest.approx(means["base"] - means["tuned"], abs=1e-5)
    both = table.pivot("arm", index=["row", "position"], values="loss")
    assert np.abs(both["base"].to_numpy() - both["tuned"].to_numpy()).mean() > 0.05, "two models, not one twice"
    for family, arms in results.loss_by_family.items():
        mine = table.filter((pl.col("family") == family) & (pl.col("arm") == "tuned"))
        assert arms["tuned"].estimate == pytest.approx(mine["loss"].cast(pl.Float64).mean(), abs=1e-5)
    by_id = {row.id: row for row in test}
    for (row_id, arm), part in table.group_by(["row", "arm"]):
        encoded = tiny_renderer.encode(by_id[str(row_id)])
        response = encoded.tokens[encoded.response_start :]
        assert part.sort("position")["token"].to_list() == response, arm
        assert part["lineage"].unique().to_list() == [by_id[str(row_id)].lineage]
    # Which arm is which: the tuned file's own scores.
    shape = by_id[table["row"][0]]
    with Scorer(models[1].file, models[1].folder) as scorer:
        expected = scorer.score([tiny_renderer.encode(shape)])[0]
    mine = table.filter((pl.col("row") == shape.id) & (pl.col("arm") == "tuned")).sort("position")
    np.testing.assert_allclose(mine["loss"].to_numpy(), expected, atol=1e-5)


def test_samples_hold_the_three_voices(evaluated: tuple[Path, list[Row], Results], tiny_renderer: Renderer) -> None:
    run, test, results = evaluated
    samples = files.read_jsonl(run / "evaluation" / "samples.jsonl", Sample)
    table = own_context(run)
    assert len(samples) == results.generated.rows == 7
    assert {sample.family for sample in samples} == {"tool_decision", "reply", "post"}, "every family has its turn"
    by_id = {row.id: row for row in test}
    longest = max(map(len, tiny_renderer.tokenizer.get_vocab()))
    for sample in samples:
        shape = by_id[sample.row]
        assert (sample.session, sample.tier, sample.asked) == (shape.session, shape.tier, shape.prompt[-1].content)
        assert (sample.agent.text, sample.agent.tool_calls) == (shape.response.content, shape.response.tool_calls)
        assert sample.agent.right in (True, None)
        assert sample.tools_known == bool(shape.tools)
        for arm, answer in (("base", sample.base), ("tuned", sample.tuned)):
            mine = table.filter((pl.col("row") == sample.row) & (pl.col("arm") == arm))
            assert answer.loss == pytest.approx(mine["loss"].cast(pl.Float64).mean(), abs=1e-5)
            assert len(answer.text) <= OPTIONS.max_new_tokens * longest
        assert sample.majority == ("wait" if sample.family == "tool_decision" else None)
    assert any(sample.base.text != sample.tuned.text for sample in samples), "two models, not one"
    assert any(sample.tuned.text for sample in samples)


def test_results_are_written_as_they_are_returned(
    evaluated: tuple[Path, list[Row], Results], models: tuple[Model, Model]
) -> None:
    run, _, results = evaluated
    assert files.read_json(run / "evaluation" / "results.json", Results) == results
    assert (results.name, results.base, results.engine) == ("mine", "tiny", "llama.cpp")
    assert results.model_sha256 == files.sha256_file(models[1].file)
    assert results.seconds.keys() == {"score", "generate", "probe"}
    assert {"tool_decision", "reply"} == results.competence.keys()
    assert results.notes == ()
    assert sorted(path.name for path in (run / "evaluation").iterdir()) == [
        "nll.parquet",
        "probes.jsonl",
        "questions.parquet",
        "results.json",
        "samples.jsonl",
        "signatures.json",
    ]


def test_scoring_again_gives_the_same_figures_without_a_model(
    evaluated: tuple[Path, list[Row], Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _, results = evaluated
    monkeypatch.setattr(Scorer, "__init__", lambda *_: pytest.fail("a model was loaded"))
    monkeypatch.setattr(LlamaCpp, "__init__", lambda *_: pytest.fail("a model was loaded"))
    before = {name: (run / "evaluation" / name).read_bytes() for name in ("samples.jsonl", "signatures.json")}
    assert rescore(run) == results == files.read_json(run / "evaluation" / "results.json", Results)
    assert before == {name: (run / "evaluation" / name).read_bytes() for name in before}
    assert results.digests.keys() >= {
        "evaluation/samples.jsonl",
        "evaluation/nll.parquet",
        "dataset/test.jsonl",
        "code",
    }
    with (run / "evaluation" / "samples.jsonl").open("a") as samples:
        samples.write("\n")
    with pytest.raises(RunError, match=r"evaluation/samples.jsonl .* is not what was evaluated"):
        rescore(run)
    with pytest.raises(RunError, match="no evaluation"):
        rescore(run / "dataset")


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def killed(*_: object) -> NoReturn:
    raise Killed


@pytest.mark.parametrize("at", ["write_jsonl", "write_json", "_delete", "rename"])
def test_a_kill_while_scoring_again_leaves_an_evaluation(
    evaluated: tuple[Path, list[Row], Results], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The old one or the new one, but never new answers with old figures."""
    run, _, results = evaluated
    folder, before = run / "evaluation", (run / "evaluation" / "samples.jsonl").read_bytes()
    rename, count = Path.rename, iter(range(9))
    with monkeypatch.context() as patched:
        # Answers are judged otherwise than they were, so that every file that is written is another one.
        patched.setattr("locum.evaluation.rescore._read_again", lambda sample, *_: sample)
        patched.setattr("locum.evaluation.going_wrong.trace", lambda samples, *_: samples[::-1])
        if at == "rename":  # the old folder is aside, the new one not in its place, and nobody tidies up
            patched.setattr(Path, "rename", lambda path, to: killed() if next(count) else rename(path, to))
            patched.setattr(files, "_delete", lambda _: None)
        elif at == "_delete":
            patched.setattr(files, "_delete", lambda path: killed() if path.exists() else None)
        else:
            write = getattr(files, at)

            def write_and_die(path: Path, value: object) -> NoReturn:
                write(path, value)
                killed()

            patched.setattr(files, at, write_and_die)
        with pytest.raises(Killed):
            rescore(run)
    # The process that was killed had another number than this one, which goes on.
    for left in run.glob(".partial-*"):
        left.rename(run / re.sub(r"-\d+-", "-999999999-", left.name, count=1))
    again, samples = still_evaluated(run)
    after = (folder / "samples.jsonl").read_bytes()
    assert (after == before, again == results) == ((False, False) if at == "_delete" else (True, True))
    assert len(samples) == len(before.splitlines())
    assert rescore(run).digests["code"] == results.digests["code"]  # and it can be scored again
    assert [path.name for path in run.glob(".partial-*")] == []


def test_the_same_evaluation_gives_the_same_figures(
    evaluated: tuple[Path, list[Row], Results], tiny_renderer: Renderer, models: tuple[Model, Model]
) -> None:
    run, _, results = evaluated
    again = evaluate(run, "mine", "tiny", *models, tiny_renderer, OPTIONS)
    assert msgspec.structs.replace(again, seconds={}) == msgspec.structs.replace(results, seconds={})


def test_decisions_are_drawn_as_often_as_one_asks(
    evaluated: tuple[Path, list[Row], Results], tiny_renderer: Renderer, models: tuple[Model, Model]
) -> None:
    run, _, once = evaluated
    assert once.reliability is None
    several = msgspec.structs.replace(OPTIONS, repeat=3)
    results = evaluate(run, "mine", "tiny", *models, tiny_renderer, several)
    samples = files.read_jsonl(run / "evaluation" / "samples.jsonl", Sample)
    assert {len(sample.draws) for sample in samples} == {3}
    assert any(len({drawn.text for drawn in sample.draws}) > 1 for sample in samples), "drawn, not repeated"
    assert results.reliability is not None
    assert (results.reliability.draws, results.reliability.temperature) == (3, 0.7)
    for measures in results.reliability.families.values():
        assert list(measures) == ["pass^1", "pass^2", "pass^3", "agreement"]
    assert results.reliability.families.keys() == {"tool_decision", "reply"}
    assert rescore(run) == results
    greedy = msgspec.structs.replace(results, reliability=None, seconds={}, digests={})
    assert greedy == msgspec.structs.replace(once, seconds={}, digests={}), "what is greedy stays as it was"
    again = evaluate(run, "mine", "tiny", *models, tiny_renderer, several)
    assert again.reliability == results.reliability, "the seeds are fixed"


def test_how_many_were_answered_at_once_is_recorded(
    tmp_path: Path, tiny_renderer: Renderer, models: tuple[Model, Model], evaluated: tuple[Path, list[Row], Results]
) -> None:
    run, test, one = evaluated
    other = tmp_path / "three"
    put(other, decision_rows("tool_decision", 5, name="train"), test)
    options = msgspec.structs.replace(OPTIONS, at_once=3, repeat=2)
    three = evaluate(other, "mine", "tiny", *models, tiny_renderer, options)
    assert (one.at_once, three.at_once) == (1, 3)
    said = "Answers were generated 3 at a time: not those of one at a time, and again some may differ."
    assert said in three.notes
    assert not any("at a time" in note for note in one.notes)
    again = rescore(other)
    assert (again.at_once, again.notes) == (3, three.notes), "scoring again does not make it another"
    samples = files.read_jsonl(other / "evaluation" / "samples.jsonl", Sample)
    alone = files.read_jsonl(run / "evaluation" / "samples.jsonl", Sample)
    assert [sample.row for sample in samples] == [sample.row for sample in alone]
    assert all(len(sample.draws) == 2 for sample in samples)
    same = [s.tuned.text[:8] == a.tuned.text[:8] for s, a in zip(samples, alone, strict=True)]
    assert sum(same) > len(same) / 2, "each answer stands with its own row"
    assert (
        "Answers were generated 1 and 3 at a time, which alone makes many of them differ." in compare(run, other).notes
    )


def test_nothing_held_out(tmp_path: Path, tiny_renderer: Renderer, models: tuple[Model, Model]) -> None:
    put(tmp_path, decision_rows("reply", 2), [])
    results = evaluate(tmp_path, "mine", "tiny", *models, tiny_renderer, OPTIONS)
    assert any("Nothing was held out" in note for note in results.notes)
    assert [bool(part) for part in (results.loss, results.competence, results.resemblance)] == [False] * 3
    assert results.signatures == {}
    assert (results.scored.rows, results.generated.rows) == (0, 0)
    table = nll.read(tmp_path / "evaluation" / "nll.parquet")
    assert table.is_empty()
    assert {"row", "lineage", "arm", "position", "token", "loss"} <= set(table.columns)
    assert files.read_jsonl(tmp_path / "evaluation" / "samples.jsonl", Sample) == []


def test_rows_that_nothing_verifies_are_noted(
    tmp_path: Path, tiny_renderer: Renderer, models: tuple[Model, Model]
) -> None:
    put(tmp_path, [], decision_rows("reply", 2, 1, tier="recorded"))
    results = evaluate(tmp_path, "mine", "tiny", *models, tiny_renderer, OPTIONS)
    assert any("right means here what the agent did" in note for note in results.notes)


def test_a_row_that_nobody_can_render_is_left_out_and_noted(
    tmp_path: Path, tiny_renderer: Renderer, models: tuple[Model, Model]
) -> None:
    """An empty response is refused in training; here it must not cost the whole evaluation."""
    empty = row(user("Say nothing"), says(""), session="e")
    put(tmp_path, [], [empty, *decision_rows("reply", 2, 1)])
    results = evaluate(tmp_path, "mine", "tiny", *models, tiny_renderer, OPTIONS)
    assert (results.scored.rows, results.scored.of_rows) == (2, 3)
    assert any("1 held-out rows were left out" in note and empty.id[:12] in note for note in results.notes)


def test_no_dataset(tmp_path: Path, tiny_renderer: Renderer, models: tuple[Model, Model]) -> None:
    with pytest.raises(DatasetError, match="no dataset"):
        evaluate(tmp_path, "mine", "tiny", *models, tiny_renderer, OPTIONS)
    assert not (tmp_path / "evaluation").exists()
