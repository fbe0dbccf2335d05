"""A base that is dealt out: each of two processes holds its part, and the gradients are those of one process."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import many_rows

from locum.training.base import Base

pytestmark = pytest.mark.slow


def _member(rank: int, base: Base, folder: Path) -> None:
    """In a process of its own: what it holds and finds goes into a file."""
    from torch import distributed
    from torch.distributed.tensor import DTensor
    from torch.nn.parallel import DistributedDataParallel

    from locum.training.backend import LoraShape
    from locum.training.chat_template import Renderer
    from locum.training.device import Device
    from locum.training.distributed import Distributed
    from locum.training.load import load_model
    from locum.training.lora import add_lora
    from locum.training.loss import target_losses
    from locum.training.packing import chain
    from locum.training.rows import encode_rows
    from locum.training.team import share

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    exact = Device("cpu", "float32")
    team = Distributed(DistributedDataParallel, shard=True)
    assert team.loads_on(Device("cuda", "bfloat16")) == Device("cpu", "bfloat16")
    model = load_model(base.folder, exact)
    layers = add_lora(model, LoraShape(rank=4, alpha=8), seed=0)
    learning = [parameter for layer in layers.values() for parameter in (layer.lora_a, layer.lora_b)]
    with torch.no_grad():
        for layer in layers.values():
            layer.lora_b.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    batch = chain(encode_rows(many_rows(), Renderer(base.folder), 4096, skip_bad=False).encoded)

    def gradients(loss: torch.Tensor) -> list[torch.Tensor]:
        loss.backward()
        found = [parameter.grad for parameter in learning]
        for parameter in learning:
            parameter.grad = None
        return [gradient.clone() for gradient in found if gradient is not None]

    alone = gradients(target_losses(model, batch).sum())
    frozen = sum(p.numel() for p in model.get_decoder().layers.parameters() if not p.requires_grad)
    objective = team.join(model, lambda mine: target_losses(model, mine).sum() * 2, exact)
    together = gradients(objective(share(batch, rank, 2)))
    dealt = [parameter for parameter in model.parameters() if isinstance(parameter, DTensor)]
    torch.save(
        {
            "alone": alone,
            "together": together,
            "frozen": frozen,
            "dealt": sum(parameter.numel() for parameter in dealt),
            "held": sum(_here(parameter).numel() for parameter in dealt),
        },
        folder / f"{rank}.pt",
    )
    distributed.destroy_process_group()


def _here(parameter: Any) -> torch.Tensor:
    local: torch.Tensor = parameter.to_local()
    return local


def test_each_holds_a_part_and_the_gradients_are_those_of_one(tiny_base: Base, tmp_path: Path) -> None:
    # torch gives this function no types.
    torch.multiprocessing.spawn(_member, args=(tiny_base, tmp_path), nprocs=2)  # type: ignore[attr-defined,no-untyped-call]
    members = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for found in members:
        assert found["dealt"] == found["frozen"], "every frozen weight of the layers, and no other"
        assert found["held"] < 0.6 * found["dealt"]
        largest = max(float(gradient.abs().max()) for gradient in found["alone"])
        assert largest > 1
        for one, two in zip(found["alone"], found["together"], strict=True):
            torch.testing.assert_close(two, one, atol=1e-5 * largest, rtol=0)
    assert sum(found["held"] for found in members) == members[0]["dealt"]
