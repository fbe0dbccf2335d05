"""Who trains together: one process alone, or several that share every step (`locum.training.ray_train`).

A step stays the step that one process would take. Each member computes its share of the pack's sequences; its loss is
weighed so that the mean over the members is the mean over the pack's response tokens, and so are the gradients.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import torch
from torch import nn

from locum.training.device import Device
from locum.training.packing import TokenSequence

T = TypeVar("T")
Batch = Sequence[TokenSequence]
Objective = Callable[[Batch], torch.Tensor]


class Team(Protocol):
    """What the loop asks of those that train with it; every member asks the same in the same order."""

    rank: int
    """From 0, which writes and is seen."""
    size: int

    def loads_on(self, device: Device) -> Device:
        """Where the base is to be loaded that is trained on `device`."""
        ...

    def join(self, model: nn.Module, objective: Objective, device: Device) -> Objective:
        """The objective again; after its backward pass every gradient is the mean of the members' gradients.

        The model was loaded where `loads_on` says and is on `device` afterwards.
        """
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

    def loads_on(self, device: Device) -> Device:
        """As `Team`."""
        return device

    def join(self, model: nn.Module, objective: Objective, device: Device) -> Objective:
        """As `Team`."""
        return objective

    def mean(self, values: Sequence[float]) -> list[float]:
        """As `Team`."""
        return list(values)

    def agreed(self, value: T) -> T:
        """As `Team`."""
        return value


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
