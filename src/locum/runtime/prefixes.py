"""Many continuations of few prompts: token sequences to a tree in which every shared beginning stands once.

The responses that are scored under a prompt (the row's own, those lent to it, the options open at a decision) branch
off it. Laid out as a tree, in which a token attends to the tokens on its own path and to no others, the prompt is
computed once, which under causal attention is exactly what computing each sequence alone would give (tree attention:
Miao et al. 2024, arXiv:2305.09781 section 4). `locum.training.packing.chain` is the case without branches.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from locum.training.chat_template import Encoded

if TYPE_CHECKING:
    import torch

NAME = "locum_tree"
_QUERIES = 512
"""Tokens whose attention weights exist at once."""


class Segment(msgspec.Struct):
    """Tokens that the same sequences share, side by side in a pack."""

    start: int
    """In the pack."""
    tokens: list[int]
    depth: int
    """Tokens on the path before it: the position of its first token."""
    parent: "Segment | None"

    @property
    def path(self) -> "list[Segment]":
        """The segments from the first to this one."""
        before = self.parent.path if self.parent else []
        return [*before, self]


class Tree(msgspec.Struct, frozen=True):
    """Sequences that are computed together."""

    segments: list[Segment]
    leaves: list[tuple[int, Segment]]
    """(index of the sequence, the segment that it ends in or with)."""

    @property
    def size(self) -> int:
        """Tokens to compute."""
        return sum(len(segment.tokens) for segment in self.segments)

    def places(self, leaf: Segment, length: int) -> list[int]:
        """Where the first `length` tokens of a sequence stand in the pack."""
        places = [place for part in leaf.path for place in range(part.start, part.start + len(part.tokens))]
        return places[:length]


def trees(sequences: Sequence[Encoded], budget: int) -> Iterator[Tree]:
    """Lay sequences out as trees of at most `budget` tokens each (one longer sequence: alone).

    Neighbours in the lexicographic order of tokens share the longest beginnings, so the trees are cut out of that
    order; a beginning that a tree shares with the next is computed in both.
    """
    order = sorted(range(len(sequences)), key=lambda index: sequences[index].tokens)
    chosen: list[int] = []
    size = 0
    for index in order:
        tokens = sequences[index].tokens
        new = len(tokens) - (_shared(sequences[chosen[-1]].tokens, tokens) if chosen else 0)
        if chosen and size + new > budget:
            yield _tree(sequences, chosen)
            chosen, size, new = [], 0, len(tokens)
        chosen.append(index)
        size += new
    if chosen:
        yield _tree(sequences, chosen)


def _tree(sequences: Sequence[Encoded], order: Sequence[int]) -> Tree:
    """The tree of sequences that stand in lexicographic order."""
    root = Segment(0, [], 0, None)
    segments: list[Segment] = []
    leaves: list[tuple[int, Segment]] = []
    path: list[Segment] = []
    before: list[int] = []
    for index in order:
        tokens = sequences[index].tokens
        shared = _shared(before, tokens)
        while path and path[-1].depth >= shared:
            path.pop()
        if path and path[-1].depth + len(path[-1].tokens) > shared:
            path.append(_split(path.pop(), shared, segments, leaves))
        if shared < len(tokens):
            segment = Segment(0, tokens[shared:], shared, path[-1] if path else None)
            segments.append(segment)
            path.append(segment)
        leaves.append((index, path[-1] if path else root))
        before = tokens
    start = 0
    for segment in segments:
        segment.start = start
        start += len(segment.tokens)
    return Tree(segments, leaves)


def _split(segment: Segment, at: int, segments: list[Segment], leaves: list[tuple[int, Segment]]) -> Segment:
    """Cut a segment at depth `at`; returns the first part. The second keeps the identity, and so its children."""
    cut = at - segment.depth
    first = Segment(0, segment.tokens[:cut], segment.depth, segment.parent)
    segments.insert(segments.index(segment), first)
    segment.tokens, segment.depth, segment.parent = segment.tokens[cut:], at, first
    return first


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle - 1)
    return low


def register() -> None:
    """Make `attn_implementation=NAME` known to transformers."""
    from locum.training import attention

    attention.register(NAME, attend)


def attend(
    module: "torch.nn.Module",
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    scaling: float | None = None,
    *,
    tree: Tree | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple["torch.Tensor", None]:
    """Attention of every token to the tokens on its path, itself included.

    Args:
        module: the model's attention layer.
        query: [1, heads, tokens, head size].
        key, value: [1, key-value heads, tokens, head size].
        attention_mask: always None here.
        scaling: factor on the scores; head size to the power -1/2 where None.
        tree: how the tokens are laid out; None means one sequence.
        sliding_window: how many tokens a query sees, itself included; None: all before it.
        softcap: scores s become softcap * tanh(s / softcap) (Gemma 2, arXiv:2408.00118); None: they stay.

    Returns:
        [1, tokens, heads, head size], and no weights.

    Raises:
        TrainingError: the model asks for something that is not known here.
    """
    import torch

    from locum.training import attention

    attention.require_known(module, kwargs)
    scale = scaling if scaling is not None else query.shape[3] ** -0.5
    segments = tree.segments if tree else [Segment(0, [0] * query.shape[2], 0, None)]
    parts = []
    for segment in segments:
        spans = [slice(part.start, part.start + len(part.tokens)) for part in segment.path]
        keys = torch.cat([key[0, :, span] for span in spans], dim=1)
        values = torch.cat([value[0, :, span] for span in spans], dim=1)
        for first in range(0, len(segment.tokens), _QUERIES):
            last = min(first + _QUERIES, len(segment.tokens))
            seen = segment.depth + last
            own = query[0, :, segment.start + first : segment.start + last]
            parts.append(_attend(own, keys[:, :seen], values[:, :seen], scale, sliding_window, softcap))
    return torch.cat(parts, dim=1).transpose(0, 1).unsqueeze(0).contiguous(), None


def _attend(
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    scale: float,
    window: int | None,
    softcap: float | None,
) -> "torch.Tensor":
    """Attention of the last tokens of a path: query [heads, n, size], key and value [key-value heads, m, size]."""
    import torch
    from torch.nn import functional

    heads, n, size = query.shape
    groups, m = key.shape[0], key.shape[1]
    # Heads that share keys stand below one another as rows of one product: nothing is repeated in memory.
    scores = (query * scale).reshape(groups, heads // groups * n, size) @ key.transpose(1, 2)
    if softcap:
        scores = (scores / softcap).tanh() * softcap
    distance = torch.arange(m - n, m, device=query.device)[:, None] - torch.arange(m, device=query.device)
    unseen = (distance < 0) if window is None else (distance < 0) | (distance >= window)
    scores = scores.view(groups, heads // groups, n, m).masked_fill(unseen, float("-inf"))
    weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return (weights.view(groups, heads // groups * n, m) @ value).view(heads, n, value.shape[2])
