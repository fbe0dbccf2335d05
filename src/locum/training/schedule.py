"""Which rows a run computes, when, and at which rate: functions of the rows' tokens, the options and the seed alone."""

import math
import random
from collections.abc import Iterable, Sequence

from locum.training.packing import TokenSequence, pack

LOOK_TOKENS = 4096
"""Tokens of a pack when nothing is learned from it."""


def plan(
    sequences: Sequence[TokenSequence], budget: int, epochs: int, steps: int | None, seed: int
) -> list[list[TokenSequence]]:
    """Every step's pack, in order: each pass shuffles the sequences by the seed and packs them anew.

    Args:
        sequences: what is trained on; at least one.
        budget: tokens of a pack.
        epochs: passes, unless `steps` is given.
        steps: how many steps, however many passes that is.
        seed: of the order.
    """
    packs: list[list[TokenSequence]] = []
    epoch = 0
    while (len(packs) < steps) if steps else (epoch < epochs):
        order = list(sequences)
        random.Random(f"{seed}/{epoch}").shuffle(order)
        packs.extend(pack(order, budget))
        epoch += 1
    return packs[:steps] if steps else packs


def rate(step: int, steps: int) -> float:
    """The share of the peak rate at a step: linear warm-up over the first twentieth, cosine down to a tenth."""
    warm = max(1, round(steps / 20))
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def tokens(sequences: Iterable[TokenSequence]) -> int:
    """How many tokens the sequences have together."""
    return sum(len(sequence.tokens) for sequence in sequences)


def planned_tokens(packs: Iterable[Sequence[TokenSequence]]) -> int:
    """How many tokens the packs have together."""
    return sum(map(tokens, packs))


def look_at(sequences: Sequence[TokenSequence], planned: int, seed: int) -> list[TokenSequence]:
    """The sequences that a look computes: a seeded choice of at most an eighth of the tokens that are trained on.

    A short run over long sessions would else spend most of its time looking. The least that is allowed is one pack of
    a look, and one sequence.
    """
    budget = max(LOOK_TOKENS, planned // 8)
    chosen: list[TokenSequence] = []
    size = 0
    for sequence in random.Random(seed).sample(sequences, len(sequences)):
        if not chosen or size + len(sequence.tokens) <= budget:
            chosen.append(sequence)
            size += len(sequence.tokens)
    return chosen


def look_steps(packs: Sequence[Sequence[TokenSequence]], valid: Sequence[TokenSequence]) -> set[int]:
    """When to look at the held-out rows: evenly spaced, at most ten times, and rarely enough to cost little.

    A look computes every held-out token forward only, about a third of a training step's work a token.
    """
    looks = max(2, min(10, planned_tokens(packs) // (2 * (tokens(valid) or 1))))
    return {max(1, round(len(packs) * look / looks)) for look in range(1, looks + 1)}
