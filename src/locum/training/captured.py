"""Steps on an NVIDIA GPU as CUDA graphs, since a GPU computes a step faster than Python can ask for its operations.

A graph repeats the same operations on tensors of the same shape and asks the processor for nothing in between. Packs
are therefore filled up to few shapes: with one more block, which no other block sees and no loss covers, and with
targets that weigh nothing. The loss and its gradients stay those of the pack.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from locum.training.attention import NumberedBlocks
from locum.training.loss import PackTensors, hidden_states_of, losses_after
from locum.training.packing import TokenSequence

_TOKENS = 256
"""Packs are filled up to a multiple of this many tokens."""
_TARGETS = 64
"""And to this many targets, or twice, four times, ... as many."""
_WORTH = 4
"""How often a shape comes before it is captured: that takes as long as four plain steps."""


class FilledPack(NamedTuple):
    """A pack of a shape that other packs share, in tensors alone. Blocks are numbered; padding is the last of them."""

    ids: torch.Tensor
    """[tokens]"""
    block: torch.Tensor
    """[tokens]: the number of each token's block."""
    place: torch.Tensor
    """[tokens]: each token's place in its block."""
    places: torch.Tensor
    """[targets]: right before each target."""
    wanted: torch.Tensor
    """[targets]: the ids of the targets."""
    weights: torch.Tensor
    """float32 [targets]: each one's share of the loss; 0 of those that fill up."""

    @classmethod
    def of(cls, pack: Sequence[TokenSequence], device: torch.device) -> "FilledPack":
        """Lay a pack out on a device."""
        tokens = sum(len(sequence.tokens) for sequence in pack)
        targets = sum(sequence.target_tokens for sequence in pack)
        padding = TokenSequence(tokens=[0] * (-tokens % _TOKENS), targets=[])
        blocks = [*pack, padding]
        laid = PackTensors.of(blocks, device)
        block = [number for number, sequence in enumerate(blocks) for _ in sequence.tokens]
        place = [at for sequence in blocks for at in range(len(sequence.tokens))]
        more = max(_TARGETS, 1 << (targets - 1).bit_length()) - targets
        return cls(
            laid.ids,
            torch.tensor(block, device=device),
            torch.tensor(place, device=device),
            nn.functional.pad(laid.places, (0, more)),
            nn.functional.pad(laid.wanted, (0, more)),
            nn.functional.pad(torch.full((targets,), 1 / targets, device=device), (0, more)),
        )


class PackLoss(nn.Module):
    """The mean loss of a filled pack's targets: tensors in, a scalar out, and nothing that waits for the device."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """The fields of a `FilledPack` -> nats a response token."""
        pack = FilledPack(*tensors)
        hidden = hidden_states_of(self.model, pack.ids, pack.place, NumberedBlocks(pack.block, pack.place))
        losses = losses_after(self.model, hidden, PackTensors(pack.ids, pack.places, pack.wanted))
        return (losses * pack.weights).sum()


class CapturedLoss:
    """The objective of a step: the mean loss of a pack, by a graph of its forward and one of its backward pass.

    Args:
        model: in torch, with its adapters on.
        capture: makes the module that repeats what a module does with tensors of these shapes; on CUDA
            `torch.cuda.make_graphed_callables`.
    """

    def __init__(self, model: Any, capture: Callable[[nn.Module, tuple[torch.Tensor, ...]], nn.Module]) -> None:
        self._model, self._capture = model, capture
        self._plain = PackLoss(model)
        self._seen = Counter[tuple[int, int]]()
        self._captured: dict[tuple[int, int], nn.Module] = {}

    def __call__(self, pack: Sequence[TokenSequence]) -> torch.Tensor:
        """The mean loss of a pack in nats a response token, to go backward from once before the next call."""
        tensors = FilledPack.of(pack, self._model.device)
        shape = len(tensors.ids), len(tensors.places)
        self._seen[shape] += 1
        if self._seen[shape] == _WORTH:
            # A module of its own: capturing puts a graph in place of its forward pass.
            self._captured[shape] = self._capture(PackLoss(self._model), tuple(tensors))
        loss: torch.Tensor = self._captured.get(shape, self._plain)(*tensors)
        return loss


def on_cuda(model: Any, tell: Callable[[str], None]) -> CapturedLoss:
    """`CapturedLoss` by CUDA graphs, which share their memory: a step ends before the next one begins.

    Args:
        model: on a CUDA device.
        tell: takes a sentence where a step cannot be captured; it is computed operation by operation then.
    """
    pool = torch.cuda.graph_pool_handle()

    def capture(module: nn.Module, tensors: tuple[torch.Tensor, ...]) -> nn.Module:
        # A graph reads where it was captured: tensors of its own, since the next step's come and go.
        static = tuple(tensor.clone() for tensor in tensors)
        try:
            return torch.cuda.make_graphed_callables(module, static, pool=pool)  # type: ignore[return-value]
        except RuntimeError as error:
            tell(f"steps are computed operation by operation: no graph of them ({str(error).splitlines()[0]})")
            return PackLoss(model)

    return CapturedLoss(model, capture)
