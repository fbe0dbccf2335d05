"""Who trains together: one process alone, or several that share every step (`locum.training.ray_train`).

A step stays the step that one process would take. Each member computes its share of the pack's sequences; its loss is
weighed so that the mean over the members is the mean over the pack's response tokens, and so are the gradients.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from locum.training.packing import TokenSequence

T = TypeVar("T")
Batch = Sequence[TokenSequence]
Objective = Callable[[Batch], torch.Tensor]


class Team(Protocol):
    """What the loop asks of those that train with it; every member asks the same in the same order."""

    rank: int
    """From 0, which writes and is seen."""
    size: int

    def join(self, model: nn.Module, objective: Objective) -> Objective:
        """The objective again; after its backward pass every gradient is the mean of the members' gradients."""
        ...

    def mean(self, values: Sequence[float]) -> list[float]:
        """Each value's mean over the members."""
        ...

    def agreed(self, value: T) -> T:
        """The value that rank 0 has."""
        ...


class Alone:
    """A team of one."""

    rank, size = 0, 1

    def join(self, model: nn.Module, objective: Objective) -> Objective:
        """As `Team`."""
        return objective

    def mean(self, values: Sequence[float]) -> list[float]:
        """As `Team`."""
        return list(values)

    def agreed(self, value: T) -> T:
        """As `Team`."""
        return value


class Distributed:
    """The processes of torch's default process group; gradients come together in DistributedDataParallel.

    Args:
        wrap: puts a module into DistributedDataParallel; Ray Train's `prepare_model` in a worker of it.
    """

    def __init__(self, wrap: Callable[[nn.Module], Any]) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self._wrap = wrap

    def join(self, model: nn.Module, objective: Objective) -> Objective:
        """As `Team`; everybody gets rank 0's weights."""
        joined: Objective = self._wrap(_Objective(model, objective))
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


def share(batch: Batch, rank: int, size: int) -> list[TokenSequence]:
    """The sequences of a pack that a member computes: the longest first, each to whom has the fewest tokens.

    Returns:
        A list, empty where there are more members than sequences; the members' lists together are the pack.
    """
    loads = [0] * size
    mine: list[TokenSequence] = []
    for sequence in sorted(batch, key=lambda sequence: -len(sequence.tokens)):
        least = loads.index(min(loads))
        loads[least] += len(sequence.tokens)
        if least == rank:
            mine.append(sequence)
    return mine if size > 1 else list(batch)


def nothing(layers: Iterable[nn.Module]) -> torch.Tensor:
    """A loss of nought that still gives each trainable parameter a gradient: the share of one without a sequence."""
    return torch.stack([p.sum() * 0 for layer in layers for p in layer.parameters() if p.requires_grad]).sum()
