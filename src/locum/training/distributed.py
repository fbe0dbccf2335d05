"""A team of the processes of torch's default process group: the same step in all, gradients as one would have them.

Gradients come together in DistributedDataParallel. The base's frozen weights are held by everybody, or dealt out.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from locum.training.device import Device
from locum.training.team import Batch, Objective

T = TypeVar("T")


class Distributed:
    """The processes of torch's default process group; gradients come together in DistributedDataParallel.

    Args:
        wrap: puts a module into DistributedDataParallel; Ray Train's `prepare_model` in a worker of it.
        shard: whether each member holds a part of the base's decoder layers alone, and gets the others' parts of a
            layer when it computes it (`torch.distributed.fsdp.fully_shard`, FSDP2; the idea is ZeRO's third stage,
            arXiv:1910.02054). Embeddings, the head and the adapter, which is small, are held by everybody.
    """

    def __init__(self, wrap: Callable[[nn.Module], Any], shard: bool = False) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self._wrap, self._shard = wrap, shard

    def loads_on(self, device: Device) -> Device:
        """As `Team`; a base that is dealt out may be too large for a GPU, so it comes by way of the processor."""
        return Device("cpu", device.dtype) if self._shard else device

    def join(self, model: nn.Module, objective: Objective, device: Device) -> Objective:
        """As `Team`; everybody gets rank 0's weights, but for those that are dealt out, of which each member deals out
        its own part to the others."""
        whole = _Objective(model, objective)
        if self._shard:
            _deal_out(model, device, self.size)
            # DistributedDataParallel must not touch them: they are no whole tensors any more.
            dealt = [name for name, parameter in whole.named_parameters() if isinstance(parameter, DTensor)]
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(whole, dealt)
        joined: Objective = self._wrap(whole)
        return joined

    def mean(self, values: Sequence[float]) -> list[float]:
        """As `Team`."""
        on_gpu = torch.distributed.get_backend() == "nccl"
        # An Apple GPU has no float64, but no process group either.
        held = torch.tensor(values, dtype=torch.float64, device="cuda" if on_gpu else "cpu")
        torch.distributed.all_reduce(held)
        return [float(value) for value in held / self.size]

    def agreed(self, value: T) -> T:
        """As `Team`; the value is pickled."""
        held = [value]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]


class _Objective(nn.Module):
    """An objective as the module that DistributedDataParallel wants, which holds the model's parameters."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: Batch) -> torch.Tensor:
        return self._objective(batch)


def _deal_out(model: Any, device: Device, size: int) -> None:
    """Leave each member its part of every decoder layer's frozen weights, and put everything on `device`."""
    mesh = init_device_mesh(device.name, (size,))
    learning = {parameter for parameter in model.parameters() if parameter.requires_grad}
    for layer in model.get_decoder().layers:
        fully_shard(layer, mesh=mesh, ignored_params=learning)
    model.to(device.name)
