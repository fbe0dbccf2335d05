"""Block-diagonal causal attention for packs, as an attention function that transformers' models call.

Registered under `NAME` in transformers' attention interface, so that every decoder it has can use it. The blocks of a
pack come in through the forward call's keyword arguments. What an architecture asks for beyond a causal softmax
(sliding windows, soft-capped scores, its own scale) is honoured; anything else is refused, never passed over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from locum.errors import TrainingError

NAME = "locum_blocks"

SHORT = 1024
"""Blocks up to this many tokens keep their attention weights for the backward pass; those of longer ones would fill the
memory (18 MiB a layer at 2,048 tokens, growing with the square) and are made again."""
_TOGETHER = 96
"""Neighbouring blocks are computed as one under a common mask up to this many tokens: below, calls cost more than
products."""
_QUERIES = 128
"""Queries of a block at a time: each part meets the keys up to its own end alone, so little is computed in vain
(docs/decisions/0003-attention-kernel.md)."""
_ONE_CALL = frozenset({"cuda", "mps"})
"""Devices that mind calls more than masked scores: there one call covers the whole pack."""
_NEUTRAL = {"dropout", "position_ids", "use_cache", "cache_position", "output_attentions", "is_causal"}
"""What models pass along that changes nothing here: dropout is off, and a pack is causal and has no cache."""


class Blocks:
    """Where the blocks of a pack begin and end, with the masks that its layers have asked for so far."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self._groups = list(_together(self.lengths))
        self._masks: dict[tuple[Any, ...], torch.Tensor] = {}

    def groups(self) -> Iterator[tuple[int, list[int]]]:
        """(first token, lengths) of what is computed together: short neighbours, or one block."""
        start = 0
        for lengths in self._groups:
            yield start, lengths
            start += sum(lengths)

    def part_mask(self, before: int, queries: int, window: int | None, repeat: int, like: torch.Tensor) -> torch.Tensor:
        """`mask` of some queries of one block that has `before` keys before them: [repeat x queries, keys]."""
        key = (before, queries, window, repeat)
        if key not in self._masks:
            place = torch.arange(before + queries, device=like.device)
            self._masks[key] = _additive(_seen(place[before:], place, window), like.dtype).repeat(repeat, 1)
        return self._masks[key]

    def mask(self, lengths: Sequence[int], window: int | None, repeat: int, like: torch.Tensor) -> torch.Tensor:
        """What is added to scores: 0 where a query may look, else minus infinity. [repeat x tokens, tokens]"""
        key = (tuple(lengths), window, repeat)
        if key not in self._masks:
            block = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(list(lengths))).to(like.device)
            place = torch.arange(len(block), device=like.device)
            seen = _seen(place, place, window) & (block[:, None] == block[None, :])
            self._masks[key] = _additive(seen, like.dtype).repeat(repeat, 1)
        return self._masks[key]


def _together(lengths: Sequence[int]) -> Iterator[list[int]]:
    current: list[int] = []
    for length in lengths:
        if current and sum(current) + length > _TOGETHER:
            yield current
            current = []
        current.append(length)
    if current:
        yield current


def _seen(query: torch.Tensor, key: torch.Tensor, window: int | None) -> torch.Tensor:
    """Which keys a query may look at, by their places: itself and what is before it, `window` tokens in all."""
    distance = query[:, None] - key[None, :]
    return (distance >= 0) if window is None else (distance >= 0) & (distance < window)


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))


def register(name: str = NAME, function: Callable[..., tuple[torch.Tensor, None]] | None = None) -> None:
    """Make `attn_implementation=name` known to transformers, without a mask over the whole pack.

    Args:
        name: how models ask for it.
        function: in the shape of `attend`, which is what is taken where None.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(name, function or attend)
    AttentionMaskInterface.register(name, _no_mask)


def require_known(module: torch.nn.Module, asked: Mapping[str, Any]) -> None:
    """Refuse what a model asks of its attention and nobody here honours.

    Raises:
        TrainingError: `asked` holds such a thing.
    """
    unknown = sorted(name for name, wanted in asked.items() if wanted is not None and name not in _NEUTRAL)
    if unknown:
        raise TrainingError(
            f"the attention of {type(module).__name__} needs {', '.join(unknown)}, which training does not honour; "
            "choose a base of another architecture"
        )


def _no_mask(*args: Any, **kwargs: Any) -> None:
    return None


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    *,
    blocks: Blocks | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each block of a pack.

    Args:
        module: the model's attention layer.
        query: [1, heads, tokens, head size].
        key, value: [1, key-value heads, tokens, head size].
        attention_mask: always None here.
        scaling: factor on the scores; head size to the power -1/2 where None.
        blocks: the pack's blocks; None means one block.
        sliding_window: how many tokens a query sees, itself included; None: all before it.
        softcap: scores s become softcap * tanh(s / softcap) (Gemma 2, arXiv:2408.00118); None: they stay.

    Returns:
        [1, tokens, heads, head size], and no weights.

    Raises:
        TrainingError: the model asks for something that is not known here.
    """
    require_known(module, kwargs)
    blocks = blocks or Blocks([query.shape[2]])
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if query.device.type in _ONE_CALL and not softcap:
        mask = blocks.mask(blocks.lengths, sliding_window, 1, query)
        gqa = key.shape[1] != query.shape[1]
        out = functional.scaled_dot_product_attention(query, key, value, mask, scale=scale, enable_gqa=gqa)
        return out.transpose(1, 2).contiguous(), None
    parts: list[torch.Tensor] = []
    for start, lengths in blocks.groups():
        end = start + sum(lengths)
        q, k, v = query[0, :, start:end], key[0, :, start:end], value[0, :, start:end]
        if len(lengths) > 1:
            mask = blocks.mask(lengths, sliding_window, q.shape[0] // k.shape[0], q)
            parts.append(_Products.apply(q, k, v, mask, scale, softcap))  # type: ignore[no-untyped-call]
        else:
            parts.append(_block(q, k, v, scale, sliding_window, softcap, blocks))
    return torch.cat(parts, dim=1).transpose(0, 1).unsqueeze(0), None


def _block(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
    blocks: Blocks,
) -> torch.Tensor:
    """One block, some queries at a time."""
    heads, tokens = query.shape[:2]
    window = window if window is not None and window < tokens else None
    parts: list[torch.Tensor] = []
    for start in range(0, tokens, _QUERIES):
        end = min(start + _QUERIES, tokens)
        first = 0 if window is None else max(0, start - window + 1)
        mask = blocks.part_mask(start - first, end - start, window, heads // key.shape[0], query)
        part = (query[:, start:end], key[:, first:end], value[:, first:end], mask, scale, softcap)
        if tokens > SHORT:
            parts.append(checkpoint(_Products.apply, *part, use_reentrant=False))
        else:
            parts.append(_Products.apply(*part))  # type: ignore[no-untyped-call]
    return torch.cat(parts, dim=1)


class _Products(torch.autograd.Function):
    """softmax(cap(scale * Q K') + mask) V by plain matrix products, which keeps the weights for backward and no more.

    Heads that share keys stand below one another as rows of one product: nothing is repeated in memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor,
        scale: float,
        softcap: float | None,
    ) -> torch.Tensor:
        """[heads, queries, size], [groups, keys, size] twice, [repeat x queries, keys] -> [heads, queries, size]."""
        heads, queries, _ = query.shape
        stacked = query.reshape(key.shape[0], -1, query.shape[2])
        if softcap:
            capped = torch.bmm(stacked, key.transpose(1, 2)).mul_(scale / softcap).tanh_()
            scores = (capped * softcap).add_(mask)
        else:
            capped = None
            scores = torch.baddbmm(mask, stacked, key.transpose(1, 2), alpha=scale)
        weights = torch.softmax(scores, dim=-1)
        ctx.save_for_backward(stacked, key, value, weights, capped)
        ctx.scale = scale
        return torch.bmm(weights, value).view(heads, queries, value.shape[2])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of query, key and value."""
        (gradient,) = gradients
        stacked, key, value, weights, capped = ctx.saved_tensors
        outer = gradient.reshape(key.shape[0], -1, value.shape[2])
        of_value = torch.bmm(weights.transpose(1, 2), outer)
        of_scores = torch._softmax_backward_data(torch.bmm(outer, value.transpose(1, 2)), weights, -1, weights.dtype)
        if capped is not None:
            of_scores.mul_(1 - capped * capped)
        of_query = torch.bmm(of_scores, key).mul_(ctx.scale)
        of_key = torch.bmm(of_scores.transpose(1, 2), stacked).mul_(ctx.scale)
        return of_query.view(gradient.shape[0], gradient.shape[1], -1), of_key, of_value, None, None, None
