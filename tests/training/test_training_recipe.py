"""What a run says of its own training."""

from pathlib import Path

import pytest

from locum import files
from locum.errors import TrainingError
from locum.training.backend import LoraShape, Metric, TrainOptions
from locum.training.base import Base
from locum.training.loop import train
from locum.training.recipe import kept_step, read_options
from locum.types import Row


def test_a_run_says_how_it_was_trained_and_which_step_it_kept(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    options = TrainOptions(
        shape=LoraShape(rank=4, alpha=8, top=1, strength=0.5), max_steps=3, learning_rate=1e-3, seed=5
    )
    trained = train(rows, rows[:2], tiny_base, tmp_path, options)
    assert read_options(tmp_path) == options
    assert kept_step(tmp_path) == trained.best_step


@pytest.mark.parametrize(
    ("losses", "kept"), [((3.0, None, 2.0, 2.0), 2), ((1.0, None, 2.0, 1.5), 0), ((None, None, None, None), 3)]
)
def test_the_step_kept_is_the_first_of_the_best_held_out_loss(
    losses: tuple[float | None, ...], kept: int, tmp_path: Path
) -> None:
    curve = [Metric(step, 0.0, 0, None, loss) for step, loss in enumerate(losses)]
    files.write_jsonl(tmp_path / "metrics.jsonl", curve)
    assert kept_step(tmp_path) == kept


def test_what_is_not_there_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="does not say with which options"):
        read_options(tmp_path)
    with pytest.raises(TrainingError, match=r"metrics\.jsonl' cannot be read"):
        kept_step(tmp_path)
    files.write_text(tmp_path / "adapter" / "options.json", '{"epochs": "many"}')
    with pytest.raises(TrainingError, match=r"options\.json' cannot be read"):
        read_options(tmp_path)
