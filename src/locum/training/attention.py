"""Block-diagonal causal attention for packs, as an attention function that transformers' models call.

Registered under `NAME` in transformers' attention interface, so that every decoder it has can use it. The blocks of a
pack come in through the forward call's keyword arguments. What an architecture asks for beyond a causal softmax
(sliding windows, soft-capped scores, its own scale) is honoured; anything else is refused, never passed over.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from locum.errors import TrainingError

NAME = "locum_blocks"

SHORT = 1024
"""Blocks up to this many tokens keep their attention weights for the backward pass; those of longer ones would fill the
memory (18 MiB a layer at 2,048 tokens, growing with the square) and are made again."""
_TOGETHER = 96
"""Neighbouring blocks are computed as one under a common mask up to this many tokens: below, calls cost more than
products."""
_QUERIES = 160
"""Queries of a block at a time, about: each part meets the keys up to its own end alone, so little is computed in vain
(docs/decisions/0003-attention-kernel.md)."""
_ONE_CALL = frozenset({"cuda", "mps"})
"""Devices that mind calls more than masked scores: there one call covers the whole pack."""
_NEUTRAL = {"dropout", "position_ids", "use_cache", "cache_position", "output_attentions", "is_causal"}
"""What models pass along that changes nothing here: dropout is off, and a pack is causal and has no cache."""


class Part(NamedTuple):
    """Neighbouring queries of a pack that are computed together, with the keys that they may look at."""

    queries: slice
    keys: slice
    mask: torch.Tensor
    """Added to the scores: 0 where a query may look, else minus infinity. [repeat x queries, keys]"""
    kept: bool
    """Whether the attention weights stay until the backward pass; else they are made again."""


class Blocks:
    """Where the blocks of a pack begin and end, with the parts that its layers have asked for so far."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self._parts: dict[tuple[int | None, int], list[Part]] = {}
        self._masks: dict[tuple[Any, ...], torch.Tensor] = {}

    def parts(self, window: int | None, repeat: int, like: torch.Tensor) -> list[Part]:
        """The whole pack in parts: short neighbours as one under a common mask, a longer block some queries at a time.

        Args:
            window: how many tokens a query sees, itself included; None: all before it.
            repeat: query heads that share keys; their queries stand below one another.
            like: a tensor on the masks' device and in their precision.
        """
        key = (window, repeat)
        if key not in self._parts:
            self._parts[key] = list(self._split(window, repeat, like))
        return self._parts[key]

    def _split(self, window: int | None, repeat: int, like: torch.Tensor) -> Iterator[Part]:
        begin = 0
        for lengths in _together(self.lengths):
            tokens = sum(lengths)
            if len(lengths) > 1:
                whole = slice(begin, begin + tokens)
                yield Part(whole, whole, self.mask(lengths, window, repeat, like), True)
            else:
                size = math.ceil(tokens / max(1, round(tokens / _QUERIES)))
                for start in range(0, tokens, size):
                    end = min(start + size, tokens)
                    first = 0 if window is None else max(0, start - window + 1)
                    mask = self._part_mask(start - first, end - start, window, repeat, like)
                    queries, keys = slice(begin + start, begin + end), slice(begin + first, begin + end)
                    yield Part(queries, keys, mask, tokens <= SHORT)
            begin += tokens

    def _part_mask(
        self, before: int, queries: int, window: int | None, repeat: int, like: torch.Tensor
    ) -> torch.Tensor:
        """`mask` of some queries of one block that has `before` keys before them: [repeat x queries, keys]."""
        window = window if window is not None and window < before + queries else None
        key = (before, queries, window, repeat)
        if key not in self._masks:
            place = torch.arange(before + queries, device=like.device)
            self._masks[key] = _additive(_seen(place[before:], place, window), like.dtype).repeat(repeat, 1)
        return self._masks[key]

    def mask(self, lengths: Sequence[int], window: int | None, repeat: int, like: torch.Tensor) -> torch.Tensor:
        """What is added to scores of these blocks, side by side. [repeat x tokens, tokens]"""
        key = (tuple(lengths), window, repeat)
        if key not in self._masks:
            block = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(list(lengths))).to(like.device)
            seen = _seen_within(block, torch.arange(len(block), device=like.device), window)
            self._masks[key] = _additive(seen, like.dtype).repeat(repeat, 1)
        return self._masks[key]

    def whole(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """What is added to scores of the pack, each query against each key. [tokens, tokens]"""
        return self.mask(self.lengths, window, 1, like)


class NumberedBlocks:
    """Blocks told by tensors alone, so that steps recorded once can be repeated over others (`training.captured`).

    Args:
        block: the number of each token's block [tokens].
        place: each token's place in its block [tokens].
    """

    def __init__(self, block: torch.Tensor, place: torch.Tensor) -> None:
        self._block, self._place = block, place
        self._masks: dict[int | None, torch.Tensor] = {}

    def whole(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """As `Blocks`."""
        if window not in self._masks:
            self._masks[window] = _additive(_seen_within(self._block, self._place, window), like.dtype)
        return self._masks[window]

    def parts(self, window: int | None, repeat: int, like: torch.Tensor) -> list[Part]:
        """As `Blocks`, in one part."""
        everything = slice(0, len(self._block))
        mask = self.whole(window, like).repeat(repeat, 1)
        return [Part(everything, everything, mask, len(self._block) <= SHORT)]


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


def _seen_within(block: torch.Tensor, place: torch.Tensor, window: int | None) -> torch.Tensor:
    """`_seen` of tokens of several blocks, by the numbers of their blocks and their places: each within its own."""
    return _seen(place, place, window) & (block[:, None] == block[None, :])


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))


def register(name: str = NAME, function: Callable[..., tuple[torch.Tensor, None]] | None = None) -> None:
    """Make `attn_implementation=name` known to transformers, without a mask over the whole pack.

    Args:
        name: how models ask for it.
        function: in the shape of `attend`, which is what is taken where None.
    """
    from transformers import AttentionInterface

    # No mask is registered beside it, so that transformers makes none (and does not wait for the device to know which).
    AttentionInterface.register(name, function or attend)


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


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    *,
    blocks: Blocks | NumberedBlocks | None = None,
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
        mask = blocks.whole(sliding_window, query)
        # Of torch's kernels on CUDA the one that takes a mask and keeps no weights wants a key for every head.
        key, value = (of.repeat_interleave(query.shape[1] // of.shape[1], dim=1) for of in (key, value))
        out = functional.scaled_dot_product_attention(query, key, value, mask, scale=scale)
        return out.transpose(1, 2).contiguous(), None
    parts = blocks.parts(sliding_window, query.shape[1] // key.shape[1], query)
    out = _Products.apply(query[0], key[0], value[0], parts, scale, softcap)  # type: ignore[no-untyped-call]
    return out.unsqueeze(0), None


class _Products(torch.autograd.Function):
    """softmax(cap(scale * Q K') + mask) V of a whole pack, part by part, in plain matrix products.

    One node for all parts: what autograd would do for each slice (a gradient of the pack's size, zeroed and added)
    costs more than the slice's products. Heads that share keys stand below one another as rows of one product: nothing
    is repeated in memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        parts: Sequence[Part],
        scale: float,
        softcap: float | None,
    ) -> torch.Tensor:
        """[heads, tokens, size], [groups, tokens, size] twice -> [tokens, heads, size]."""
        heads, tokens, _ = query.shape
        out = query.new_empty(tokens, heads, value.shape[2])
        learns = any(ctx.needs_input_grad)
        kept: list[torch.Tensor | None] = []
        for part in parts:
            weights, capped = _weights(_stacked(query, key, part.queries), key, part, scale, softcap)
            mixed = torch.bmm(weights, value[:, part.keys])
            out[part.queries] = mixed.view(heads, -1, value.shape[2]).transpose(0, 1)
            if learns:
                kept += [weights, capped] if part.kept else [None, None]
        if learns:
            ctx.save_for_backward(query, key, value, *kept)
        ctx.parts, ctx.scale, ctx.softcap = parts, scale, softcap
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of query, key and value; a token's heads lie side by side in memory, as projections want them."""
        query, key, value, *kept = ctx.saved_tensors
        of_out = gradients[0].transpose(0, 1)
        of_query = query.new_empty(query.shape[1], query.shape[0], query.shape[2]).transpose(0, 1)
        of_key, of_value = (
            like.new_zeros(like.shape[1], like.shape[0], like.shape[2]).transpose(0, 1) for like in (key, value)
        )
        for part, weights, capped in zip(ctx.parts, kept[::2], kept[1::2], strict=True):
            stacked = _stacked(query, key, part.queries)
            if weights is None:
                weights, capped = _weights(stacked, key, part, ctx.scale, ctx.softcap)
            outer = _stacked(of_out, key, part.queries)
            of_value[:, part.keys] += torch.bmm(weights.transpose(1, 2), outer)
            of_weights = torch.bmm(outer, value[:, part.keys].transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            if capped is not None:
                of_scores.mul_(1 - capped * capped)
            of_stacked = torch.bmm(of_scores, key[:, part.keys]).mul_(ctx.scale)
            of_query[:, part.queries] = of_stacked.view(query.shape[0], -1, query.shape[2])
            of_key[:, part.keys] += torch.bmm(of_scores.transpose(1, 2), stacked).mul_(ctx.scale)
        return of_query, of_key, of_value, None, None, None


def _stacked(heads: torch.Tensor, key: torch.Tensor, queries: slice) -> torch.Tensor:
    """[heads, tokens, size] -> [groups, repeat x queries, size]: the heads that share keys, one below another."""
    return heads[:, queries].reshape(key.shape[0], -1, heads.shape[2])


def _weights(
    stacked: torch.Tensor, key: torch.Tensor, part: Part, scale: float, softcap: float | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention weights of a part [groups, repeat x queries, keys], and what capping made of its scores."""
    keys = key[:, part.keys].transpose(1, 2)
    if not softcap:
        return torch.softmax(torch.baddbmm(part.mask, stacked, keys, alpha=scale), dim=-1), None
    capped = torch.bmm(stacked, keys).mul_(scale / softcap).tanh_()
    return torch.softmax((capped * softcap).add_(part.mask), dim=-1), capped
