"""Two workers of a Ray cluster end where one process ends, and say in one line what goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from ray_clusters import two_workers
from small_models import many_rows, row, says, user

from locum import files
from locum.errors import EngineError, TrainingError
from locum.training import ray_train
from locum.training.backend import LoraShape, Metric, TrainOptions
from locum.training.base import Base
from locum.training.device import Device
from locum.training.loop import train
from locum.training.ray_train import train_on_ray

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EXACT = Device("cpu", "float32")
OPTIONS = TrainOptions(shape=LoraShape(rank=4, alpha=8), max_steps=12, pack_tokens=256, patience=99, learning_rate=5e-3)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two workers on this computer."""
    pytest.importorskip("ray.train")
    with two_workers() as found:
        yield found


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("shard", [False, True], ids=["the whole base each", "the base dealt out"])
@pytest.mark.parametrize("top", [None, 1], ids=["all layers", "the top one"])
def test_two_workers_end_where_one_process_ends(
    address: str, tiny_base: Base, tmp_path: Path, top: int | None, shard: bool
) -> None:
    from safetensors.torch import load_file

    rows = many_rows()
    held_out = [row(user("Is it late again?"), says("Yes."), session="v"), rows[0]]
    options = msgspec.structs.replace(OPTIONS, shape=LoraShape(rank=4, alpha=8, top=top))
    seen: list[int] = []
    observed: list[Metric] = []
    there = train_on_ray(
        address,
        rows,
        held_out,
        tiny_base,
        tmp_path / "two",
        options,
        lambda work, done, total, note="": seen.append(done),
        observe=observed.append,
        device=EXACT,
        shard=shard,
    )
    here = train(rows, held_out, tiny_base, tmp_path / "one", options, device=EXACT)
    two, one = (files.read_jsonl(tmp_path / name / "metrics.jsonl", Metric) for name in ("two", "one"))
    assert [(m.step, m.tokens) for m in two] == [(m.step, m.tokens) for m in one]
    for name in ("train_loss", "valid_loss"):
        assert [getattr(m, name) for m in two] == pytest.approx([getattr(m, name) for m in one], abs=1e-4)
    adapters = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("two", "one")]
    assert adapters[0].keys() == adapters[1].keys()
    for name, tensor in adapters[1].items():
        torch.testing.assert_close(adapters[0][name], tensor, atol=1e-3, rtol=1e-3)
    moved = max(float(tensor.abs().max()) for name, tensor in adapters[1].items() if "lora_B" in name)
    assert moved > 0.01, "far more than the tolerance"
    assert (there.steps, there.best_step, there.rows) == (here.steps, here.best_step, here.rows)
    assert there.train_last == pytest.approx(here.train_last, abs=1e-4)
    assert seen[-1] == OPTIONS.max_steps
    assert observed == two
    assert not (tmp_path / "two" / ".training").exists()


def test_what_must_not_be_trained_through_is_said_by_its_own_name(
    address: str, tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = row(user("Say nothing"), says(""))
    with pytest.raises(TrainingError, match=rf"row {empty.id[:12]}: the response is empty[^\n]*$"):
        train_on_ray(address, [*many_rows(), empty], [], tiny_base, tmp_path / "empty", OPTIONS, device=EXACT)
    wild = msgspec.structs.replace(OPTIONS, learning_rate=1e38)
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf)"):
        train_on_ray(address, many_rows(), [], tiny_base, tmp_path / "nan", wild, device=EXACT)
    assert not (tmp_path / "nan" / "adapter").exists()
    monkeypatch.setattr(ray_train, "version", lambda: "locum 0.0")
    with pytest.raises(EngineError, match=r"a node has locum .*but this computer locum 0\.0"):
        train_on_ray(address, many_rows(), [], tiny_base, tmp_path / "old", OPTIONS, device=EXACT)


def test_nobody_there(tiny_base: Base, tmp_path: Path) -> None:
    pytest.importorskip("ray.train")
    with pytest.raises(EngineError, match="no Ray cluster at"):
        train_on_ray("127.0.0.1:9", many_rows(), [], tiny_base, tmp_path, OPTIONS)
    assert list(tmp_path.iterdir()) == []
