"""How far two sides are apart in what they expect next: the fused model, the model file, the engine."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from locum.training.chat_template import Encoded, Renderer
from locum.training.rows import renderable
from locum.types import Row


class Predictor(Protocol):
    """A model's weights in torch, in full precision."""

    def next_log_probabilities(self, prompt: Sequence[int]) -> npt.NDArray[np.float32]:
        """Log-probabilities of the whole vocabulary after a prompt."""
        ...

    def score(self, rows: Sequence[Encoded]) -> list[npt.NDArray[np.float32]]:
        """Negative log-likelihood in nats of every response token of every row."""
        ...


Opener = Callable[[], AbstractContextManager[Predictor]]
"""Loads a predictor: only one is in memory at a time."""


class NextToken(Protocol):
    """A candidate next token."""

    @property
    def token(self) -> int:
        """Its id."""
        ...

    @property
    def logprob(self) -> float:
        """Its natural log-probability."""
        ...


class LogprobAgreement(msgspec.Struct, frozen=True):
    """How far the engine's next-token log-probabilities are from a model's in torch, in nats."""

    prompts: int
    tokens: int
    mean_abs_difference: float
    max_abs_difference: float
    bound: float
    """The export fails when the mean difference exceeds this."""

    def holds(self) -> bool:
        """Whether the mean is within the bound; what is no number is not."""
        return bool(self.mean_abs_difference <= self.bound)


class QuantizationCost(msgspec.Struct, frozen=True):
    """What a file's type costs on held-out responses: its weights against the fused model's, both in torch."""

    rows: int
    tokens: int
    fused: float
    """Nats per token."""
    file: float
    """Nats per token."""
    nats_per_token: float
    """The file's minus the fused model's; negative where rounding happened to help."""


def agreement(
    served: Sequence[Sequence[NextToken]], expected: Sequence[npt.NDArray[np.float32]], bound: float
) -> LogprobAgreement:
    """Compare an engine's likeliest next tokens with the same tokens' log-probabilities in torch.

    Args:
        served: the engine's candidates after each prompt.
        expected: log-probabilities of the whole vocabulary after the same prompts.
        bound: what the mean may be, in nats.
    """
    values = np.array(
        [
            abs(candidate.logprob - float(log_probabilities[candidate.token]))
            for candidates, log_probabilities in zip(served, expected, strict=True)
            for candidate in candidates
        ]
    )
    return LogprobAgreement(
        prompts=len(expected),
        tokens=len(values),
        mean_abs_difference=float(values.mean()),
        max_abs_difference=float(values.max()),
        bound=bound,
    )


_COST_ROWS, _ROW_TOKENS = 8, 768


def cost_rows(renderer: Renderer, rows: Sequence[Row]) -> list[Encoded]:
    """A few rows of moderate length, spread over the held-out ones; those that cannot be encoded are left out."""
    spread = rows[:: max(1, len(rows) // (2 * _COST_ROWS))]
    fitting = (tokens for _, tokens in renderable(spread, renderer) if len(tokens.tokens) <= _ROW_TOKENS)
    return list(islice(fitting, _COST_ROWS))


def quantization_cost(
    fused: Sequence[npt.NDArray[np.float32]], file: Sequence[npt.NDArray[np.float32]]
) -> QuantizationCost | None:
    """The cost from both sides' losses on the same rows; None where there is no row."""
    tokens = sum(len(row) for row in fused)
    if not tokens:
        return None
    before, after = (float(sum(row.sum() for row in side)) / tokens for side in (fused, file))
    return QuantizationCost(len(fused), tokens, before, after, after - before)
