"""The loss on response tokens alone, for packs of chained rows; shared by training and by held-out scoring.

The objective of a training step is the mean over the response tokens of its pack: every response token counts once and
alike, whether its row stands alone or is chained with others. A row weighs by the tokens of its response.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from locum.training.attention import Blocks, NumberedBlocks
from locum.training.packing import TokenSequence

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LOGITS = 2**24
"""Logits that exist at once: 341 positions of a vocabulary of 49,152 words, 64 of one of 256,000."""
_FLOATS = 2**20
"""Of those, how many are in float32 at once: 4 MiB stay in the processor's cache over all that is done to them."""


def target_losses(model: "PreTrainedModel", pack: Sequence[TokenSequence]) -> torch.Tensor:
    """Negative log-likelihood, in nats, of every target token of a pack.

    Args:
        model: a causal language model loaded with `attn_implementation=attention.NAME`.
        pack: sequences that stand side by side without seeing one another.

    Returns:
        float32 [targets]: sequence by sequence, in each the targets in the order of `TokenSequence.targets`.
    """
    tokens = PackTensors.of(pack, model.device)
    hidden = hidden_states(model, tokens.ids, [len(sequence.tokens) for sequence in pack])
    return losses_after(model, hidden, tokens)


class PackTensors(NamedTuple):
    """A pack on a device: its tokens, and where its targets come from."""

    ids: torch.Tensor
    """[tokens], the sequences end to end."""
    places: torch.Tensor
    """[targets]: right before each target, in the order of `target_losses`."""
    wanted: torch.Tensor
    """[targets]: the ids of the targets."""

    @classmethod
    def of(cls, pack: Sequence[TokenSequence], device: torch.device) -> "PackTensors":
        """Lay a pack out on a device."""
        ids = [token for sequence in pack for token in sequence.tokens]
        places: list[int] = []
        offset = 0
        for sequence in pack:
            for _, start, end in sequence.targets:
                places.extend(range(offset + start - 1, offset + end - 1))
            offset += len(sequence.tokens)
        wanted = [ids[place + 1] for place in places]
        return cls(*(torch.tensor(values, device=device) for values in (ids, places, wanted)))


def losses_after(model: "PreTrainedModel", hidden: torch.Tensor, pack: PackTensors) -> torch.Tensor:
    """`target_losses` of a pack whose last hidden states [tokens, hidden size] are known."""
    # Logits are made for the positions right before target tokens and for no others.
    states = hidden.index_select(0, pack.places)
    head = model.get_output_embeddings()
    return _TokenLosses.apply(  # type: ignore[no-untyped-call, no-any-return]
        states, head.weight, getattr(head, "bias", None), pack.wanted, _soft_cap(model)
    )


def hidden_states(model: "PreTrainedModel", ids: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """The decoder's last hidden states over a pack: ids [tokens], blocks of these lengths -> [tokens, hidden size]."""
    positions = torch.cat([torch.arange(length, device=ids.device) for length in lengths])
    return hidden_states_of(model, ids, positions, Blocks(lengths))


def hidden_states_of(
    model: "PreTrainedModel", ids: torch.Tensor, positions: torch.Tensor, blocks: Blocks | NumberedBlocks
) -> torch.Tensor:
    """`hidden_states` with each token's place in its block [tokens], and the blocks as attention takes them."""
    out: torch.Tensor = model.get_decoder()(
        input_ids=ids[None], position_ids=positions[None], use_cache=False, blocks=blocks
    ).last_hidden_state[0]
    return out


def _soft_cap(model: "PreTrainedModel") -> float | None:
    """The bound c of a model whose logits l are c * tanh(l / c) (Gemma 2), else None."""
    return getattr(model.config.get_text_config(), "final_logit_softcapping", None)


def logits(model: "PreTrainedModel", hidden: torch.Tensor) -> torch.Tensor:
    """The logits that follow hidden states, as the losses here take them: [positions, vocabulary]."""
    cap = _soft_cap(model)
    values: torch.Tensor = model.get_output_embeddings()(hidden)
    return (values / cap).tanh() * cap if cap else values


class _TokenLosses(torch.autograd.Function):
    """Cross-entropy of each position, whose logits never exist all at once, nor outlive the forward pass.

    A position's hidden state touches no loss but its own, so that the forward pass, which has the logits at hand, can
    keep d loss / d hidden instead of them; the backward pass multiplies. (The same idea as Liger Kernel's fused linear
    cross-entropy, arXiv:2410.10989 section 3.2.) The head is frozen: it gets no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        cap: float | None,
    ) -> torch.Tensor:
        """[targets, hidden size], [vocabulary, hidden size], [vocabulary] or None, [targets] -> float32 [targets]."""
        learns = ctx.needs_input_grad[0]
        size, few = max(1, _LOGITS // weight.shape[0]), max(1, _FLOATS // weight.shape[0])
        losses: list[torch.Tensor] = []
        kept: list[torch.Tensor] = []
        for states, wanted in zip(hidden.split(size), targets.split(size), strict=True):
            scores = torch.nn.functional.linear(states, weight, bias)
            for part, some in zip(scores.split(few), wanted.split(few), strict=True):
                loss, gradient = _cross_entropy(part.float(), some[:, None], cap, learns)
                losses.append(loss)
                if gradient is not None:
                    part.copy_(gradient)
            if learns:
                kept.append(scores @ weight)
        if kept:
            ctx.save_for_backward(torch.cat(kept))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradient of the hidden states."""
        (kept,) = ctx.saved_tensors
        return (kept * gradients[0][:, None]).to(kept.dtype), None, None, None, None


def _cross_entropy(
    scores: torch.Tensor, wanted: torch.Tensor, cap: float | None, learns: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """float32 [positions, vocabulary], overwritten, and [positions, 1] -> losses, and their slope where wanted.

    The slope is d loss / d score, of the scores as they came.
    """
    slope = None
    if cap:
        scores.div_(cap).tanh_()
        slope = 1 - scores * scores if learns else None
        scores.mul_(cap)
    surprise = torch.log_softmax(scores, dim=-1)
    loss = surprise.gather(1, wanted).squeeze(1).neg_()
    if not learns:
        return loss, None
    gradient = surprise.exp_()
    gradient.scatter_add_(1, wanted, torch.full_like(loss[:, None], -1.0))
    return loss, gradient if slope is None else gradient.mul_(slope)


def split_by_row(pack: Sequence[TokenSequence], losses: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (row index, its target tokens' losses) out of what `target_losses` returned for `pack`."""
    offset = 0
    for sequence in pack:
        for row, start, end in sequence.targets:
            yield row, losses[offset : offset + end - start]
            offset += end - start
