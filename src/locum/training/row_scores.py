"""How legible a row is, measured: the nats that its own prompt saves on its response over another row's prompt.

    score = NLL(response | another row's prompt) - NLL(response | own prompt)    under the base

The other row is of the same family and of another lineage, its prompt about as long, so that what is left of the
difference is what this prompt says and no other would. A response that can be seen to follow scores high; one that
rests on what the prompt does not hold, or would be said to anybody, scores about nought. This is the instance term of
the loss for the base alone (CXMI with a swapped context; Fernandes et al. 2021, arXiv:2105.03482).
"""

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import torch

from locum.dataset.scores import RowScore
from locum.errors import TrainingError
from locum.progress import Progress, silent
from locum.training.base import Base
from locum.training.chat_template import Encoded, Renderer
from locum.training.device import best_device
from locum.training.load import context_length, load_model
from locum.training.loss import split_by_row, target_losses
from locum.training.packing import chain, pack
from locum.types import Row

_PACK_TOKENS = 4096
_ROWS_AT_ONCE = 64
"""Rows that are tokenized and held at a time; those of one session are chained, so their order matters a little."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of scoring."""

    scores: tuple[RowScore, ...]
    """In the order of the rows given."""
    rows: int
    """Rows that could have been chosen."""
    chosen: int
    """Rows chosen: scores + alone + the length of skipped."""
    alone: int
    """Chosen rows whose family has no row of another lineage to lend a prompt."""
    skipped: tuple[str, ...]
    """Why a chosen row could not be scored, one sentence each."""
    tokens: int
    """Tokens computed, prompts included."""


def score_rows(
    rows: Sequence[Row], base: Base, *, limit: int = 200, seed: int = 0, progress: Progress = silent
) -> Scored:
    """Score a seeded choice of rows under a base.

    Args:
        rows: the rows of a dataset, all splits; every one of them may lend its prompt.
        base: the base under which the responses are scored.
        limit: how many rows to score at most; at least 1. The same seed and rows give the same choice.
        seed: of the choice.
        progress: told after every pack how many rows are done.

    Raises:
        TrainingError: there is no row.
        BaseError: the base has no usable chat template.
    """
    if not rows:
        raise TrainingError("there is no row to score: the dataset is empty; add sessions")
    chosen = _choice(rows, limit, seed)
    partners = match(rows, chosen)
    scorer = _Scorer(base)
    pairs = [(rows[index], rows[partners[index]]) for index in chosen if index in partners]
    scores: list[RowScore] = []
    for start in range(0, len(pairs), _ROWS_AT_ONCE):
        told = partial(_tell, progress, start, len(pairs))
        scores += scorer.score(pairs[start : start + _ROWS_AT_ONCE], told)
    progress("score", len(pairs), len(pairs))
    return Scored(
        scores=tuple(scores),
        rows=len(rows),
        chosen=len(chosen),
        alone=len(chosen) - len(pairs),
        skipped=tuple(scorer.skipped),
        tokens=scorer.tokens,
    )


def _tell(progress: Progress, before: int, total: int, done: int) -> None:
    progress("score", before + done, total)


def match(rows: Sequence[Row], chosen: Sequence[int]) -> dict[int, int]:
    """For each chosen row another one to lend its prompt: same family, other lineage, nearest in prompt length.

    Length is counted in characters of what the prompt says, as tokenizing every row of a dataset would cost more than
    the scores.

    Args:
        rows: all rows.
        chosen: indices into `rows`.

    Returns:
        Index of the row -> index of its partner; a row whose family has one lineage alone is left out.
    """
    by_family: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_family[row.family].append((_size(row), index))
    sizes: dict[str, list[int]] = {}
    for family, members in by_family.items():
        members.sort()
        sizes[family] = [size for size, _ in members]
    partners: dict[int, int] = {}
    for index in chosen:
        row = rows[index]
        members = by_family[row.family]
        found = _nearest(rows, members, sizes[row.family], row.lineage, _size(row))
        if found is not None:
            partners[index] = found
    return partners


def _nearest(
    rows: Sequence[Row], members: Sequence[tuple[int, int]], sizes: Sequence[int], lineage: str, size: int
) -> int | None:
    """The member of another lineage whose size is nearest to `size`; members are sorted by size, then index."""
    start = bisect_left(sizes, size)
    lend = (
        next((at for at in places if rows[members[at][1]].lineage != lineage), None)
        for places in (range(start, len(members)), range(start - 1, -1, -1))
    )
    found = [(abs(sizes[at] - size), members[at][1]) for at in lend if at is not None]
    return min(found)[1] if found else None


def _choice(rows: Sequence[Row], limit: int, seed: int) -> list[int]:
    """Indices of at most `limit` rows, in order. Which ones depends on the rows' ids and the seed, not their order."""
    if len(rows) <= limit:
        return list(range(len(rows)))
    by_id = sorted(range(len(rows)), key=lambda index: (rows[index].id, index))
    return sorted(random.Random(seed).sample(by_id, limit))


def _size(row: Row) -> int:
    """Characters that a prompt says, calls included, and its tools."""
    said = sum(len(message.content) for message in row.prompt)
    called = (call.arguments for message in row.prompt for call in message.tool_calls)
    return said + len(msgspec.json.encode([list(called), row.tools]))


class _Scorer:
    """A base, loaded; tells what it could not score and how much it computed."""

    def __init__(self, base: Base) -> None:
        self._renderer = Renderer(base.folder)
        self._limit = context_length(base.folder)
        self._model = load_model(base.folder, best_device())
        self.skipped: list[str] = []
        self.tokens = 0

    def score(self, pairs: Sequence[tuple[Row, Row]], told: Callable[[int], None]) -> list[RowScore]:
        """Score rows with their partners; `told` hears how many are done."""
        kept: list[tuple[Row, Row]] = []
        encoded: list[Encoded] = []
        for row, partner in pairs:
            try:
                encoded += self._encode(row, partner)
            except TrainingError as error:
                self.skipped.append(str(error))
            else:
                kept.append((row, partner))
        losses = self._losses(encoded, lambda done: told(round(done * len(pairs))))
        return [
            RowScore(
                row=row.id,
                family=row.family,
                partner=partner.id,
                own=losses[2 * at],
                other=losses[2 * at + 1],
                gain=losses[2 * at + 1] - losses[2 * at],
                tokens=len(encoded[2 * at].tokens) - encoded[2 * at].response_start,
            )
            for at, (row, partner) in enumerate(kept)
        ]

    def _encode(self, row: Row, partner: Row) -> tuple[Encoded, Encoded]:
        """The row, and its response after the partner's prompt: the very same tokens after other ones.

        Raises:
            TrainingError: one of them cannot be rendered, or is too long for the base.
        """
        own = self._renderer.encode(row)
        lent = self._renderer.tokens(self._renderer.prompt_text(partner.prompt, partner.tools))
        other = Encoded(tokens=lent + own.tokens[own.response_start :], response_start=len(lent))
        longest = max(len(own.tokens), len(other.tokens))
        if longest > self._limit:
            raise TrainingError(
                f"row {row.id[:12]} has {longest} tokens with its own or its partner's prompt, "
                f"more than the {self._limit} that the base can see"
            )
        return own, other

    def _losses(self, encoded: Sequence[Encoded], told: Callable[[float], None]) -> dict[int, float]:
        """Nats of every response, by its place in `encoded`; `told` hears the share that is done.

        Both sides of a pair go through the same packs: what several rows share is computed once.
        """
        losses: dict[int, float] = {}
        with torch.inference_mode():
            for batch in pack(chain(encoded), _PACK_TOKENS):
                for place, nats in split_by_row(batch, target_losses(self._model, batch)):
                    losses[place] = float(nats.cpu().double().sum())
                self.tokens += sum(len(sequence.tokens) for sequence in batch)
                told(len(losses) / len(encoded))
        return losses
