"""Block-diagonal causal attention for packs, as an attention function that transformers' models call.

Registered under `NAME` in transformers' attention interface, so that every decoder it has can use it. The lengths
of the blocks come in through the forward call's keyword arguments, and no mask over the whole pack is ever made.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "locum_blocks"

SHORT = 768
"""Blocks up to this many tokens go through plain matrix products, longer ones through SDPA. Forward and backward on two
cores with AVX-512 bf16 (benchmarks/attention.py), products take half of SDPA's time at 190 tokens, a little more at 384
to 512, and two and a half times as long at 1,024: a bound near 384 would be faster there and is still to be tried."""


def register() -> None:
    """Make `attn_implementation=NAME` known to transformers."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(*args: Any, **kwargs: Any) -> None:
    return None


def attend(
    module: "torch.nn.Module",
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    scaling: float | None = None,
    *,
    block_lengths: list[int] | None = None,
    **kwargs: Any,
) -> tuple["torch.Tensor", None]:
    """Causal attention within each block of a pack.

    Args:
        module: the model's attention layer (unused beyond its head size).
        query: [1, heads, tokens, head size].
        key, value: [1, key-value heads, tokens, head size].
        attention_mask: always None here.
        scaling: factor on the scores; head size to the power -1/2 where None.
        block_lengths: tokens of each block; None means one block.

    Returns:
        [1, tokens, heads, head size], and no weights.
    """
    import torch

    tokens, size = query.shape[2], query.shape[3]
    scale = scaling if scaling is not None else size**-0.5
    lengths = block_lengths or [tokens]
    parts = [
        _attend_block(q, k, v, scale)
        for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _attend_block(query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", scale: float) -> "torch.Tensor":
    import torch
    from torch.nn import functional

    _, heads, tokens, size = query.shape
    groups = key.shape[1]
    if tokens > SHORT:
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scale, enable_gqa=groups != heads
        )
    # Heads that share keys stand below one another as rows of one product: nothing is repeated in memory.
    repeat = heads // groups
    scores = (query * scale).reshape(groups, repeat * tokens, size) @ key[0].transpose(1, 2)
    future = torch.ones(tokens, tokens, dtype=torch.bool, device=query.device).triu(1)
    scores = scores.view(groups, repeat, tokens, tokens).masked_fill(future, float("-inf"))
    weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return (weights.view(groups, repeat * tokens, tokens) @ value[0]).view(1, heads, tokens, size)
