"""How well a model remembers the canaries among its training rows.

Exposure is log2 of the number of possible secrets less log2 of the true one's rank among them by likelihood (Carlini et
al. 2019, arXiv 1802.08232): 0 to 10 bits. A model that remembers nothing has b bits or more with probability 2^-b. All
1,024 secrets are ranked exactly, by 33 forward passes: one for the first words, one for the second after each first.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from locum import files
from locum.dataset.canaries import FIRST, SECOND, Canary
from locum.errors import TrainingError
from locum.progress import Progress, silent
from locum.runtime.scorer import Scorer
from locum.training.chat_template import Renderer

LogProbabilities = Callable[[Sequence[int]], npt.NDArray[np.float32]]
"""Prompt tokens -> log-probabilities of every token right after (`Scorer.next_log_probabilities`)."""


class Exposure(msgspec.Struct, frozen=True):
    """What a model betrays of one canary."""

    locker: int
    inserts: int
    """How often the canary stood in the training rows."""
    rank: int
    """Of the true secret among all, by likelihood; 1 is the likeliest. Ties count against the model's memory."""
    of: int
    bits: float
    """log2(of) - log2(rank)."""
    p: float
    """Chance of such a rank without memory: rank / of."""


def exposures(
    canaries: Sequence[Canary],
    log_probabilities: LogProbabilities,
    renderer: Renderer,
    progress: Progress = silent,
) -> list[Exposure]:
    """The exposure of each canary under a model.

    Where a word is several tokens its first speaks for it.

    Args:
        canaries: those that were planted (`RUN/canaries.json`).
        log_probabilities: the model.
        renderer: the base's renderer.
        progress: told how many canaries are done.

    Raises:
        TrainingError: two of the words begin with the same token, so that they cannot be told apart.
    """
    found = []
    for done, canary in enumerate(canaries):
        progress("canaries", done, len(canaries))
        found.append(_exposure(canary, log_probabilities, renderer))
    progress("canaries", len(canaries), len(canaries))
    return found


def require_rankable(canaries: Sequence[Canary], renderer: Renderer) -> None:
    """Refuse canaries that could be planted but never measured; raises as `exposures`."""
    for canary in canaries[:1]:
        _slot([renderer.encode(canary.row(first=word)).tokens for word in FIRST])
        _slot([renderer.encode(canary.row(second=word)).tokens for word in SECOND])


def exposed(
    planted: Path, model: Path, folder: Path, renderer: Renderer, progress: Progress = silent
) -> list[Exposure] | None:
    """The exposure of a run's canaries under its model file.

    Args:
        planted: `RUN/canaries.json`.
        model: the `.gguf` file.
        folder: the folder with its config.
        renderer: the base's renderer.
        progress: told how many are done.

    Returns:
        None where none were planted.
    """
    if not planted.is_file():
        return None
    with Scorer(model, folder) as scorer:
        return exposures(
            files.read_json(planted, tuple[Canary, ...]), scorer.next_log_probabilities, renderer, progress
        )


def _exposure(canary: Canary, log_probabilities: LogProbabilities, renderer: Renderer) -> Exposure:
    firsts = [renderer.encode(canary.row(first=word)).tokens for word in FIRST]
    start, first_tokens = _slot(firsts)
    seconds = [renderer.encode(canary.row(first=FIRST[0], second=word)).tokens for word in SECOND]
    second_at, second_tokens = _slot(seconds)
    # After another first word the second begins as much later as that word is longer.
    tail = len(seconds[0]) - second_at
    likely = log_probabilities(firsts[0][:start])[first_tokens].astype(float)
    table = np.array(
        [
            likely[at] + log_probabilities(tokens[: len(tokens) - tail])[second_tokens]
            for at, tokens in enumerate(
                renderer.encode(canary.row(first=word, second=SECOND[0])).tokens for word in FIRST
            )
        ]
    )
    true = table[FIRST.index(canary.first), SECOND.index(canary.second)]
    rank = int((table >= true).sum())
    return Exposure(
        locker=canary.locker,
        inserts=canary.inserts,
        rank=rank,
        of=table.size,
        bits=math.log2(table.size) - math.log2(rank),
        p=rank / table.size,
    )


def _slot(variants: Sequence[list[int]]) -> tuple[int, list[int]]:
    """Where token sequences that differ in one word part, and the token of each there."""
    at = 0
    while all(len(tokens) > at and tokens[at] == variants[0][at] for tokens in variants):
        at += 1
    found = [tokens[at] for tokens in variants]
    if len(set(found)) < len(found):
        raise TrainingError(
            "the base's tokenizer begins two words of the canaries with the same token, so they cannot be ranked; "
            "train without --canaries"
        )
    return at, found
