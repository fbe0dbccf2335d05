"""TensorBoard holds the curve that metrics.jsonl holds, a resumed run's too; what is missing is said in one line."""

import sys
from pathlib import Path
from typing import Any

import pytest
from small_models import many_rows

from locum import files
from locum.errors import EngineError
from locum.training import loop
from locum.training.backend import LoraShape, Metric, TrainOptions
from locum.training.base import Base
from locum.training.loop import train
from locum.training.trackers import TRACKERS, figures, tracked

OPTIONS = TrainOptions(shape=LoraShape(rank=2, alpha=4), max_steps=4, pack_tokens=256, patience=99)
METRICS = (
    Metric(step=0, seconds=0.5, tokens=0, train_loss=None, valid_loss=2.5),
    Metric(step=1, seconds=2.0, tokens=300, train_loss=2.25, valid_loss=None),
)


def scalars(run: Path) -> dict[str, dict[int, float]]:
    """Name -> step -> value, as TensorBoard itself reads it."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read: Any = EventAccumulator(str(run / "tensorboard"))
    read.Reload()
    return {name: {e.step: e.value for e in read.Scalars(name)} for name in read.Tags()["scalars"]}


def test_figures_leave_out_what_was_not_measured() -> None:
    assert figures(METRICS[0]) == {"valid_loss": 2.5, "tokens": 0}
    assert figures(METRICS[1]) == {"train_loss": 2.25, "tokens": 300, "tokens_per_second": 150}


@pytest.mark.usefixtures("float32")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_holds_the_curve_even_of_a_run_that_was_cut(
    tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    rows = many_rows()
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)

    def stop(work: str, done: int, total: int, note: str = "") -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), tracked("tensorboard", tmp_path, OPTIONS) as observe:
        train(rows, rows[:2], tiny_base, tmp_path, OPTIONS, stop, observe=observe)
    assert set(scalars(tmp_path)["train_loss"]) == {1, 2, 3}
    with tracked("tensorboard", tmp_path, OPTIONS) as observe:
        train(rows, rows[:2], tiny_base, tmp_path, OPTIONS, observe=observe)
    found = scalars(tmp_path)
    curve = files.read_jsonl(tmp_path / "metrics.jsonl", Metric)
    for name in ("train_loss", "valid_loss"):
        held = {m.step: getattr(m, name) for m in curve if getattr(m, name) is not None}
        assert found[name] == pytest.approx(held)
    assert len(curve) == 5
    assert found["tokens"][4] == curve[-1].tokens


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch.utils.tensorboard", "mlflow", "mlflow.tracking", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("name", TRACKERS)
def test_a_library_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=rf"--track {name} needs its library; install `locum\[{name}\]`$"):
        tracked(name, tmp_path, OPTIONS).__enter__()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_figures_and_options_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with tracked("mlflow", tmp_path / "one", OPTIONS) as observe:
        for metric in METRICS:
            observe(metric)
    client = tracking.MlflowClient()
    [found] = client.search_runs([client.get_experiment_by_name("locum").experiment_id])
    assert found.info.run_name == "one"
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {"valid_loss": 2.5, "train_loss": 2.25, "tokens": 300, "tokens_per_second": 150}
    assert found.data.params["shape.rank"] == "2"
    assert set(found.data.tags) <= {"mlflow.runName"}


@pytest.mark.filterwarnings("ignore")
def test_wandb_is_written_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    with tracked("wandb", tmp_path, OPTIONS) as observe:
        for metric in METRICS:
            observe(metric)
    [written] = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    raw = written.read_bytes()
    assert b"train_loss" in raw
    assert b"learning_rate" in raw
    for told in (str(tmp_path.parent), sys.executable):
        assert told.encode() not in raw
