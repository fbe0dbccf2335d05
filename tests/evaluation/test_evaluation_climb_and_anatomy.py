"""The ladder and the anatomy from files to files, on a tiny base: every training and scoring is real."""

import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest
from answer_samples import decision_rows
from safetensors.torch import load_file
from small_models import write_tiny_base

from locum import files
from locum.dataset.store import encode_row, read_rows
from locum.errors import DatasetError, RunError
from locum.evaluation import nll
from locum.evaluation.anatomy.measure import AnatomyOptions, measure
from locum.evaluation.anatomy.passes import STRENGTHS
from locum.evaluation.anatomy.results import Anatomy
from locum.evaluation.encode import encode
from locum.evaluation.losses import plan_rows
from locum.evaluation.scaling.climb import ScalingOptions, climb
from locum.evaluation.scaling.ladder import Ladder
from locum.evaluation.scaling.larger import lever
from locum.evaluation.scaling.results import Scaling, read_scaling
from locum.export.fuse import fuse
from locum.export.gguf_file import write_gguf
from locum.export.quantize import QUANTIZATIONS
from locum.runtime.adapter_scorer import AdapterScorer
from locum.training.backend import TrainOptions
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.checkpoints import Checkpoint
from locum.training.loop import train
from locum.training.lora import read_shape, save_adapter
from locum.types import Row

pytestmark = pytest.mark.usefixtures("float32")


def put(folder: Path, *, train: list[Row], valid: list[Row], test: list[Row]) -> Path:
    folder.mkdir(parents=True)
    for split, rows in (("train", train), ("valid", valid), ("test", test)):
        (folder / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    everything = decision_rows("tool_decision", 14, 2)
    parts = [sorted({row.lineage for row in everything})[start:stop] for start, stop in ((0, 9), (9, 11), (11, 14))]
    train_rows, valid, test = ([row for row in everything if row.lineage in part] for part in parts)
    return put(tmp_path_factory.mktemp("climb") / "dataset", train=train_rows, valid=valid, test=test)


@pytest.fixture(scope="module")
def ladder(dataset: Path, tiny_base: Base) -> Scaling:
    options = ScalingOptions(fractions=(0.3, 1.0), seeds=2, training=TrainOptions(max_steps=3))
    return climb(dataset, str(tiny_base.folder), options)


def test_every_rung_is_trained_and_scored_on_the_same_rows(ladder: Scaling) -> None:
    assert [(rung.fraction, rung.seed) for rung in ladder.rungs] == [(0.3, 0), (1.0, 0), (0.3, 1), (1.0, 1)]
    assert {rung.rows for rung in ladder.rungs if rung.fraction == 1.0} == {18}
    assert all(rung.rows == 6 and rung.sessions == 3 for rung in ladder.rungs if rung.fraction == 0.3)
    assert all(1 <= rung.steps <= 3 for rung in ladder.rungs)
    assert ladder.all.rows == (6, 18)
    assert (ladder.held_out_rows, ladder.held_out_sessions) == (6, 3)
    assert set(ladder.families) == set(ladder.choices) == {"tool_decision"}
    # The classes are the whole: their nats add up to it, on every rung.
    assert ladder.all.losses[0] > 0
    assert ladder.families["tool_decision"].losses == pytest.approx(ladder.all.losses)
    # Of choices, and of nothing else, the base rate is known.
    assert ladder.choices["tool_decision"].base_rate == pytest.approx(1.5, abs=0.5)
    assert ladder.families["tool_decision"].base_rate is ladder.all.base_rate is None


def test_so_short_a_ladder_foretells_nothing(ladder: Scaling) -> None:
    assert any("2 rungs of 2 trainings" in reason for reason in ladder.all.refused)
    assert ladder.all.expected is None


def test_a_ladder_is_read_again_for_its_own_rows_alone(ladder: Scaling, dataset: Path, tmp_path: Path) -> None:
    files.write_json(tmp_path / "scaling.json", ladder)
    assert read_scaling(tmp_path / "scaling.json", dataset) == ladder
    other = put(tmp_path / "other", train=decision_rows("tool_decision", 2, 1), valid=[], test=[])
    with pytest.raises(RunError, match="over other rows"):
        read_scaling(tmp_path / "scaling.json", other)
    (tmp_path / "scaling.json").write_text("[]")
    with pytest.raises(RunError, match="cannot be read"):
        read_scaling(tmp_path / "scaling.json", dataset)


def test_nothing_held_out_is_no_ladder(tiny_base: Base, tmp_path: Path) -> None:
    rows = decision_rows("tool_decision", 2, 1)
    with pytest.raises(DatasetError, match="no held-out rows"):
        climb(put(tmp_path / "d", train=rows, valid=[], test=[]), str(tiny_base.folder))


def test_a_rung_loads_its_base_once_and_scores_what_it_trained(
    dataset: Path, tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from locum.training import load, loop

    real, loads = load.load_model, []

    def counted(folder: Path, device: object) -> object:
        loads.append(folder)
        return real(folder, device)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "load_model", counted)
    monkeypatch.setattr(load, "load_model", counted)
    options = TrainOptions(max_steps=4)
    found = climb(dataset, str(tiny_base.folder), ScalingOptions(fractions=(1.0,), seeds=1, training=options))
    assert len(loads) == 1
    rows = {split: read_rows(dataset, split) for split in ("train", "valid", "test")}
    train(rows["train"], rows["valid"], tiny_base, tmp_path, options)
    encoded, _ = encode(rows["test"], tiny_renderer)
    plan = plan_rows(rows["test"], encoded, rows["train"], (), tiny_renderer)
    with AdapterScorer(tiny_base.folder, options.shape) as scorer:
        scorer.use(Checkpoint(0, tmp_path / "adapter" / "adapter_model.safetensors"))
        table = plan.score(scorer, arm="tuned", model="again", contexts="own").table
    assert found.all.losses[0] == pytest.approx(float(table["loss"].cast(pl.Float64).mean()), abs=1e-5)  # type: ignore[arg-type]


def test_a_larger_base_is_the_other_lever(dataset: Path, tiny_base: Base, tmp_path: Path) -> None:
    (tmp_path / "larger").mkdir()
    write_tiny_base(tmp_path / "larger", num_hidden_layers=3)
    options = ScalingOptions(
        fractions=(0.5, 1.0), seeds=2, larger=str(tmp_path / "larger"), training=TrainOptions(max_steps=2)
    )
    found = climb(dataset, str(tiny_base.folder), options)
    assert found.larger is not None
    assert [(rung.fraction, rung.seed) for rung in found.larger.rungs] == [(1.0, 0), (1.0, 1)]
    assert len(found.rungs) == 4
    assert found.larger.all.gain == pytest.approx(found.all.losses[-1] - found.larger.all.loss)
    low, high = found.larger.all.gain_band
    assert low <= found.larger.all.gain <= high
    assert set(found.larger.families) == set(found.larger.choices) == {"tool_decision"}
    with pytest.raises(DatasetError, match="the ladder's own base"):
        climb(dataset, str(tiny_base.folder), msgspec.structs.replace(options, larger=str(tiny_base.folder)))


def test_the_levers_unit_is_the_token_of_the_ladders_own_base() -> None:
    ladder = Ladder((4, 8), (((9.0, 9.0), (9.0, 9.0)), ((6.0, 4.0), (6.0, 4.0))), (4, 4))
    # The larger base cuts the same text into twice as many tokens, and needs half of the nats.
    held = lever(ladder, ["a", "b"], [{"a": (3.0, 8), "b": (2.0, 8)}] * 2)
    assert held is not None
    assert held.loss == pytest.approx(5 / 8)
    assert held.gain == pytest.approx(10 / 8 - 5 / 8)
    assert lever(ladder, ["a", "b"], [{"a": (3.0, 8)}] * 2) is None


@pytest.fixture(scope="module")
def run(dataset: Path, tiny_base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anatomy") / "run"
    folder.mkdir()
    (folder / "dataset").symlink_to(dataset)
    train(read_rows(dataset, "train"), read_rows(dataset, "valid"), tiny_base, folder, TrainOptions(max_steps=8))
    return folder


def test_an_anatomy_looks_at_every_checkpoint_and_strength(
    run: Path, tiny_base: Base, tiny_renderer: Renderer, ladder: Scaling
) -> None:
    found = measure(run, tiny_base, tiny_renderer, AnatomyOptions(train_rows=4), scaling=ladder)
    assert found == files.read_json(run / "anatomy" / "anatomy.json", Anatomy)
    assert found.steps[0] == 0
    assert found.steps[-1] == 8
    whole = found.classes[0]
    assert whole.response.name == "all"
    assert whole.response.label == "undetermined", "three sessions carry no label"
    # Strength 0 is the base.
    table = nll.read(run / "anatomy" / "held_out.parquet")
    assert len(table) == sum(part.response.tokens for part in found.classes[1:]) * len(found.steps)
    assert whole.strengths[STRENGTHS.index(0.0)] == pytest.approx(whole.response.losses[0], abs=1e-5)
    assert sum(part.share or 0 for part in found.classes[1:]) == pytest.approx(1, abs=0.05)
    assert (found.train_rows, found.rows, found.sessions) == (4, 6, 3)
    assert (found.strength, found.model_file) == (1.0, "")
    assert all(part.quantized is None for part in found.classes)
    assert any("Nothing was evaluated" in note for note in found.notes)
    assert not any("No ladder" in note for note in found.notes)


def test_a_run_without_checkpoints_says_what_to_do(
    run: Path, tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="holds no checkpoints"):
        measure(tmp_path, tiny_base, tiny_renderer)


@pytest.mark.parametrize(("kind", "strength", "least", "most"), [("F32", 0.5, 0.0, 1e-3), ("Q4_0", 1.0, 1e-3, 5.0)])
def test_quantization_is_a_perturbation_like_any_other(
    run: Path,
    tiny_base: Base,
    tiny_renderer: Renderer,
    tmp_path: Path,
    kind: str,
    strength: float,
    least: float,
    most: float,
) -> None:
    """A file in full precision changes nothing, one of four bits does; compared at the strength that was written."""
    if kind not in QUANTIZATIONS:
        pytest.skip(f"{kind} needs a library that is not here")
    whole = tmp_path / "run"
    shutil.copytree(run, whole, symlinks=True)
    state = load_file(whole / "adapter" / "adapter_model.safetensors")
    shape = msgspec.structs.replace(read_shape(whole / "adapter"), strength=strength)
    save_adapter(whole / "adapter", state, shape, "tiny")
    fuse(tiny_base, whole / "adapter", whole / "fused", tiny_renderer)
    (whole / "model").mkdir()
    write_gguf(whole / "fused", tiny_base, tiny_renderer, whole / "model" / f"x.{kind}.gguf", kind, "x")
    found = measure(whole, tiny_base, tiny_renderer, AnatomyOptions(train_rows=2))
    assert (found.model_file, found.strength) == (f"x.{kind}.gguf", strength)
    assert any("0.5 times the strength" in note for note in found.notes) == (strength == 0.5)
    costs = [part.quantized for part in (*found.classes, *found.families, *found.choices)]
    assert all(cost is not None for cost in costs)
    assert least <= max(abs(cost.estimate) for cost in costs if cost) < most
    table = nll.read(whole / "anatomy" / "deployed.parquet")
    assert sorted(table["step"].unique().to_list()) == [0, 1]
