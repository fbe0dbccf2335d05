"""Cross-fitting from files to files on a tiny base, and by simulation what its intervals cover."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from answer_samples import decision_rows

from locum import files
from locum.dataset.split import SPLITS
from locum.dataset.store import encode_row, read_rows
from locum.errors import DatasetError, RunError, TrainingError
from locum.evaluation import nll
from locum.evaluation.anatomy import cross_fit
from locum.evaluation.anatomy.folds import deal
from locum.evaluation.anatomy.labels import interval
from locum.evaluation.anatomy.measure import AnatomyOptions, measure
from locum.evaluation.anatomy.passes import look, plan_of
from locum.evaluation.anatomy.results import Anatomy
from locum.runtime.adapter_scorer import AdapterScorer
from locum.training.backend import LoraShape, TrainOptions
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.checkpoints import Checkpoint
from locum.training.loop import train
from locum.types import Row

pytestmark = pytest.mark.usefixtures("float32")

RECIPE = TrainOptions(shape=LoraShape(rank=4, alpha=8), max_steps=6, learning_rate=4e-3)
FOLDS = AnatomyOptions(folds=3, strengths=(0.0, 1.0), train_rows=9)


@pytest.fixture(scope="module")
def whole_run(tiny_base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cross-fit") / "run"
    rows = decision_rows("tool_decision", 9, 2)
    parts = {"train": rows[:10], "valid": rows[10:12], "test": rows[12:]}
    (folder / "dataset").mkdir(parents=True)
    for split, mine in parts.items():
        (folder / "dataset" / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in mine))
    train(parts["train"], parts["valid"], tiny_base, folder, RECIPE)
    return folder


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Row], TrainOptions]]:
    """What cross-fitting trains on, and how."""
    done: list[tuple[Sequence[Row], TrainOptions]] = []

    def told(
        rows: Sequence[Row], valid: Sequence[Row], base: Base, folder: Path, options: TrainOptions, *more: Any
    ) -> Any:
        assert valid == (), "nothing may end a training that is scored on it"
        done.append((rows, options))
        return train(rows, valid, base, folder, options, *more)

    monkeypatch.setattr(cross_fit, "train", told)
    return done


def everything(run: Path) -> list[Row]:
    return [row for split in SPLITS for row in read_rows(run / "dataset", split)]


def test_every_row_is_scored_by_an_adapter_that_has_not_seen_its_session(
    run: Path, tiny_base: Base, tiny_renderer: Renderer, trainings: list[tuple[Sequence[Row], TrainOptions]]
) -> None:
    found = measure(run, tiny_base, tiny_renderer, FOLDS)
    assert found == files.read_json(run / "anatomy" / "anatomy.json", Anatomy)
    assert (found.folds, found.rows, found.sessions, found.train_rows) == (3, 18, 9, 9)
    assert found.classes[0].response.sessions == 9
    assert (
        found.classes[0].response.label != "undetermined" or "sessions; at least" not in found.classes[0].response.why
    )
    assert any("trained on the other folds" in note for note in found.notes)
    held_out, trained, ray = (nll.read(run / "anatomy" / f"{name}.parquet") for name in ("held_out", "trained", "ray"))
    assert {str(row) for row in held_out["row"]} == {row.id for row in everything(run)}
    for number, (rows, options) in enumerate(trainings, start=1):
        mine = pl.col("model").cast(pl.String).str.starts_with(f"fold {number}, ")
        seen = {row.lineage for row in rows}
        for table in (held_out, ray):
            assert not seen & {str(one) for one in table.filter(mine)["lineage"]}
        assert {str(one) for one in trained.filter(mine)["lineage"]} <= seen
        assert len(held_out.filter(mine)) > 0
        assert options == msgspec.structs.replace(RECIPE, max_steps=found.steps[-1], patience=0, skip_bad=True)
    assert len(trainings) == 3
    # The base is the base in every fold: strength 0, and the first checkpoint.
    np.testing.assert_allclose(
        held_out.filter(pl.col("step") == 0)["loss"], ray.filter(pl.col("step") == 0)["loss"], atol=1e-5
    )
    assert not (run / cross_fit.SCRATCH).exists()


def test_a_fold_is_what_training_and_scoring_by_hand_give(
    run: Path, tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path
) -> None:
    found = measure(run, tiny_base, tiny_renderer, FOLDS)
    first, *others = deal(everything(run), 3)
    rows = [row for fold in others for row in fold]
    options = msgspec.structs.replace(RECIPE, max_steps=found.steps[-1], patience=0)
    train(rows, [], tiny_base, tmp_path / "hand", options)
    with AdapterScorer(tiny_base.folder, RECIPE.shape) as scorer:
        scorer.use(Checkpoint(0, tmp_path / "hand" / "adapter" / "adapter_model.safetensors"))
        plan = plan_of(first, rows, tiny_renderer, None)
        expected = plan.score(scorer, arm="tuned", model="hand", contexts="own").table
    held_out = nll.read(run / "anatomy" / "held_out.parquet")
    mine = held_out.filter(
        pl.col("row").cast(pl.String).is_in([row.id for row in first]), pl.col("step") == found.steps[-1]
    )
    np.testing.assert_allclose(mine["loss"], expected["loss"], atol=1e-4)
    assert mine["class"].cast(pl.String).to_list() == expected["class"].cast(pl.String).to_list()


def test_steps_are_those_of_the_kept_adapter_in_proportion_to_the_rows(
    run: Path, tiny_base: Base, tiny_renderer: Renderer
) -> None:
    curve = [{"step": step, "seconds": 0, "tokens": 0, "train_loss": 1, "valid_loss": loss} for step, loss in CURVE]
    files.write_jsonl(run / "metrics.jsonl", curve)
    # Step 5 was kept, of training on 10 rows; with two folds each has 9 of 18.
    options = msgspec.structs.replace(FOLDS, folds=2, rows=2, train_rows=1)
    assert measure(run, tiny_base, tiny_renderer, options).steps == (0, 1, 2, 4)


CURVE = ((0, 3.0), (2, 2.5), (3, None), (5, 2.0), (6, 2.1))


def test_a_killed_one_goes_on_and_leaves_nothing_half_done(
    run: Path,
    tiny_base: Base,
    tiny_renderer: Renderer,
    trainings: list[tuple[Sequence[Row], TrainOptions]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = measure(run, tiny_base, tiny_renderer, FOLDS)
    files.remove(run / "anatomy")
    trainings.clear()

    def killed(*what: Any) -> Any:
        if what[-1] == "fold 2, ":
            raise KeyboardInterrupt
        return look(*what)

    with monkeypatch.context() as patch:
        patch.setattr(cross_fit, "look", killed)
        with pytest.raises(KeyboardInterrupt):
            measure(run, tiny_base, tiny_renderer, FOLDS)
    assert not (run / "anatomy").exists()
    assert len(trainings) == 2
    again = measure(run, tiny_base, tiny_renderer, FOLDS)
    assert len(trainings) == 3, "what was trained is not trained again"
    assert msgspec.structs.replace(again, seconds=0) == msgspec.structs.replace(whole, seconds=0)
    assert not (run / cross_fit.SCRATCH).exists()


def test_what_another_request_began_is_not_taken_up(
    run: Path,
    tiny_base: Base,
    tiny_renderer: Renderer,
    trainings: list[tuple[Sequence[Row], TrainOptions]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cross_fit, "look", lambda *what: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            measure(run, tiny_base, tiny_renderer, FOLDS)
    assert len(trainings) == 1
    found = measure(run, tiny_base, tiny_renderer, msgspec.structs.replace(FOLDS, folds=2))
    assert (len(trainings), found.folds) == (3, 2)


def test_rows_are_capped_over_all_folds_together(run: Path, tiny_base: Base, tiny_renderer: Renderer) -> None:
    options = msgspec.structs.replace(FOLDS, rows=2, train_rows=1)
    found = measure(run, tiny_base, tiny_renderer, options)
    assert (found.rows, found.train_rows) == (2, 1)


def test_what_cannot_be_cross_fitted_is_refused(run: Path, tiny_base: Base, tiny_renderer: Renderer) -> None:
    with pytest.raises(RunError, match="10 folds need 10 unrelated sessions, and there are 9"):
        measure(run, tiny_base, tiny_renderer, msgspec.structs.replace(FOLDS, folds=10))
    (run / "adapter" / "options.json").unlink()
    with pytest.raises(TrainingError, match="with which options it was trained"):
        measure(run, tiny_base, tiny_renderer, FOLDS)
    (run / "dataset" / "valid.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"no valid\.jsonl"):
        measure(run, tiny_base, tiny_renderer, FOLDS)
    assert not (run / "anatomy").exists()


def covered(sessions: int, folds: int, numbers: int, mean: float, sd: float, times: int = 2000) -> float:
    """How often the interval over sessions holds what the recipe gains on average, by a learner that is known.

    A session is so many numbers around `mean`. The base guesses 0, and the adapter of a fold the mean of the other
    folds' sessions, so that folds share what they are trained on; a loss is a squared error. Expected gain of a number:
    mean^2 - sd^2 / sessions trained on.
    """
    random = np.random.default_rng(0)
    fold = np.arange(sessions) % folds
    truth = numbers * (mean**2 - sd**2 * folds / (sessions * (folds - 1)))
    hits = 0
    for _ in range(times):
        said = random.normal(mean, sd, size=(sessions, numbers))
        guesses = np.stack([said[fold != one].mean(axis=0) for one in range(folds)])
        found = interval((said**2 - (said - guesses[fold]) ** 2).sum(axis=1), sessions)
        assert found is not None
        hits += found.low <= truth <= found.high
    return hits / times


@pytest.mark.parametrize(
    ("sessions", "folds", "numbers", "mean", "sd", "least", "most"),
    [
        (30, 5, 10, 0.3, 0.5, 0.87, 0.93),
        (10, 5, 10, 0.3, 0.5, 0.87, 0.93),
        # Where the gain hangs on one number, hardly known from so many sessions, what the folds share counts.
        (30, 5, 1, 0.2, 1.0, 0.80, 0.87),
        # Two folds share nothing, and each is trained on half of the sessions alone.
        (30, 2, 10, 0.2, 1.0, 0.74, 0.83),
    ],
)
def test_the_interval_covers_the_gain_of_a_known_learner_about_as_often_as_stated(
    sessions: int, folds: int, numbers: int, mean: float, sd: float, least: float, most: float
) -> None:
    share = covered(sessions, folds, numbers, mean, sd)
    print(f"{sessions} sessions of {numbers} numbers, mean {mean}, sd {sd}, {folds} folds: {share:.3f}")
    assert least <= share <= most
