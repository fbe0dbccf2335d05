"""Attention over packs is the masked softmax that it stands for, whatever the blocks, windows, caps and shared keys."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.training import attention
from locum.training.attention import Blocks, NumberedBlocks, attend

EDGES = (1, 2, 95, 96, 97, 159, 160, 161, 239, 240, 241, 319, 320, 321, 400, 401)
"""Lengths at which blocks are put together or taken apart, and their neighbours."""
SIZE = 4
packs = st.lists(st.sampled_from(EDGES) | st.integers(1, 450), min_size=1, max_size=3)


def masked_softmax(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    """[1, heads, tokens, size], [1, groups, tokens, size] twice -> [1, tokens, heads, size], as one would write it."""
    key, value = (of.repeat_interleave(query.shape[1] // of.shape[1], 1) for of in (key, value))
    scores = query @ key.transpose(-1, -2) * SIZE**-0.5
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    block, place = numbered(lengths)
    distance = place[:, None] - place[None]
    seen = (distance >= 0) & (distance < (window or len(place))) & (block[:, None] == block[None])
    mixed: torch.Tensor = scores.masked_fill(~seen, float("-inf")).softmax(-1) @ value
    return mixed.transpose(1, 2)


def numbered(lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Each token's block and its place in it."""
    block = [number for number, length in enumerate(lengths) for _ in range(length)]
    return torch.tensor(block), torch.tensor([at for length in lengths for at in range(length)])


@pytest.mark.parametrize("how", ["parts", "numbered", "numbered, one call"])
@settings(max_examples=15, deadline=None)
@given(
    lengths=packs,
    window=st.sampled_from([None, 1, 11, 159, 160, 161]),
    softcap=st.sampled_from([None, 2.0]),
    groups=st.integers(1, 2),
    repeat=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_outputs_and_gradients_are_those_of_the_masked_softmax(
    how: str, lengths: list[int], window: int | None, softcap: float | None, groups: int, repeat: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    given_heads = [
        torch.randn(1, heads, sum(lengths), SIZE, dtype=torch.float64, generator=generator)
        for heads in (groups * repeat, groups, groups)
    ]
    ours, theirs = ([heads.clone().requires_grad_() for heads in given_heads] for _ in range(2))
    blocks: Blocks | NumberedBlocks = Blocks(lengths) if how == "parts" else NumberedBlocks(*numbered(lengths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "_ONE_CALL", frozenset({"cpu"} if "one call" in how else ()))
        query, key, value = ours
        out, _ = attend(
            torch.nn.Identity(), query, key, value, None, blocks=blocks, sliding_window=window, softcap=softcap
        )
        query, key, value = theirs
        expected = masked_softmax(query, key, value, lengths, window, softcap)
        slope = torch.randn(expected.shape, dtype=torch.float64, generator=generator)
        out.backward(slope)
        expected.backward(slope)
    torch.testing.assert_close(out, expected, atol=1e-10, rtol=0)
    for mine, plain in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, plain.grad, atol=1e-10, rtol=0)
