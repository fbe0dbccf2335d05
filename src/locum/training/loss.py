"""The loss on response tokens alone, for packs of chained rows; shared by training and by held-out scoring."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from locum.training.packing import TokenSequence

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LOGIT_ROWS = 1024
"""Positions whose logits exist at once: a 256,000-word vocabulary then needs 1 GiB in float32, not tens."""


def target_losses(model: "PreTrainedModel", pack: Sequence[TokenSequence]) -> torch.Tensor:
    """Negative log-likelihood, in nats, of every target token of a pack.

    Args:
        model: a causal language model loaded with `attn_implementation=attention.NAME`.
        pack: sequences that stand side by side without seeing one another.

    Returns:
        float32 [targets]: sequence by sequence, in each the targets in the order of `TokenSequence.targets`.
    """
    device = model.device
    ids = torch.tensor([[token for sequence in pack for token in sequence.tokens]], device=device)
    lengths = [len(sequence.tokens) for sequence in pack]
    positions = torch.cat([torch.arange(length, device=device) for length in lengths]).unsqueeze(0)
    hidden = model.get_decoder()(
        input_ids=ids, position_ids=positions, use_cache=False, block_lengths=lengths
    ).last_hidden_state[0]
    where: list[int] = []
    offset = 0
    for sequence in pack:
        for _, start, end in sequence.targets:
            where.extend(range(offset + start - 1, offset + end - 1))
        offset += len(sequence.tokens)
    # Logits are made for the positions right before target tokens and for no others.
    index = torch.tensor(where, device=device)
    head = model.get_output_embeddings()
    losses = [
        functional.cross_entropy(head(hidden[chunk]).float(), ids[0, chunk + 1], reduction="none")
        for chunk in index.split(_LOGIT_ROWS)
    ]
    return torch.cat(losses)


def split_by_row(pack: Sequence[TokenSequence], losses: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (row index, its target tokens' losses) out of what `target_losses` returned for `pack`."""
    offset = 0
    for sequence in pack:
        for row, start, end in sequence.targets:
            yield row, losses[offset : offset + end - start]
            offset += end - start
