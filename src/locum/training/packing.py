"""Rows to sequences to packs: every token that several rows share is computed once, and none is padding.

Rows of one session mostly continue one another: the later row's tokens begin with the earlier row's prompt and
response. Such rows are *chained* into one sequence with the loss on each response; under causal attention that is
exactly the same as computing each row alone, so a session's cost grows with its length, not with turns times length.
Sequences are then laid end to end in packs, kept apart by block-diagonal attention (`locum.training.attention`).
"""

from collections.abc import Iterator, Sequence

import msgspec

from locum.training.chat_template import Encoded


class TokenSequence(msgspec.Struct, frozen=True):
    """Token ids with the loss mask of the rows chained in them."""

    tokens: list[int]
    targets: list[tuple[int, int, int]]
    """(row index, start, end) of each response: the loss covers tokens[start:end]."""

    @property
    def target_tokens(self) -> int:
        """How many tokens the loss covers."""
        return sum(end - start for _, start, end in self.targets)


def chain(rows: Sequence[Encoded]) -> list[TokenSequence]:
    """Merge rows whose tokens begin with another row's tokens.

    Args:
        rows: encoded rows; a row's index in this list is its name in the result.

    Returns:
        Sequences in which every row's response is a target exactly once, ordered by their first row.
    """
    # In lexicographic order of tokens a row comes right before the rows that continue it.
    order = sorted(range(len(rows)), key=lambda index: rows[index].tokens)
    chained: list[TokenSequence] = []
    for index in order:
        row = rows[index]
        target = (index, row.response_start, len(row.tokens))
        last = chained[-1] if chained else None
        # The next row must leave the earlier response whole, or its end-of-turn target would be lost.
        if (
            last is not None
            and row.tokens[: len(last.tokens)] == last.tokens
            and row.response_start >= len(last.tokens)
        ):
            chained[-1] = TokenSequence(tokens=row.tokens, targets=[*last.targets, target])
        else:
            chained.append(TokenSequence(tokens=row.tokens, targets=[target]))
    return sorted(chained, key=lambda sequence: min(index for index, _, _ in sequence.targets))


def pack(sequences: Sequence[TokenSequence], budget: int) -> Iterator[list[TokenSequence]]:
    """Group sequences, in the order given, into packs of at most `budget` tokens (one longer sequence: alone)."""
    current: list[TokenSequence] = []
    size = 0
    for sequence in sequences:
        if current and size + len(sequence.tokens) > budget:
            yield current
            current, size = [], 0
        current.append(sequence)
        size += len(sequence.tokens)
    if current:
        yield current
