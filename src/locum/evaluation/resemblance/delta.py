"""R2: how much an arm sounds like the agent, by function words and punctuation.

The cosine form of Burrows' Delta (Smith & Aldridge 2011, doi 10.1080/09296174.2011.533591), without its division by
the spread over many authors, which three voices do not give. It is computed on pooled texts: below a few thousand words
a text says next to nothing (Eder 2015, doi 10.1093/llc/fqt066).
"""

import numpy as np
from numpy.typing import NDArray

from locum.evaluation.resemblance.replicates import VOICES, Replicates, Talk, halves, too_few
from locum.evaluation.style import FEATURES, profile
from locum.types import Undefined

MIN_WORDS = 2500
"""Of the agent's."""
SPLITS = 20


def delta(spoken: Talk, seed: int = 0) -> Replicates | Undefined:
    """Cosine similarity of each voice on one half of the sessions to the agent on the other, over several halvings.

    Between 0 and 1; square roots of the shares are compared, so that "the" alone does not decide. The agent's own
    value, against itself, is what a perfect imitation would get.
    """
    count = len(spoken.lineages)
    words = np.array([len(text.split()) for text in spoken.texts["agent"]], dtype=np.float64)
    short = too_few(int(words.sum()), MIN_WORDS, "words of the agent's", count)
    if short is not None:
        return short
    counts = {voice: np.zeros((count, len(FEATURES))) for voice in VOICES}
    for voice, table in counts.items():
        for text, group in zip(spoken.texts[voice], spoken.groups, strict=True):
            table[group] += profile(text)
    cuts = halves(np.bincount(spoken.groups, weights=words, minlength=count), SPLITS, seed).astype(np.float64)
    sides = np.concatenate([cuts, 1 - cuts])
    pooled = {voice: (sides @ table, (1 - sides) @ table) for voice, table in counts.items()}
    whole = {voice: _similarity(pooled["agent"][0], theirs) for voice, (_, theirs) in pooled.items()}
    without = {voice: np.zeros(count) for voice in VOICES}
    for session in range(count):
        ours = pooled["agent"][0] - np.outer(sides[:, session], counts["agent"][session])
        for voice, (_, theirs) in pooled.items():
            left = theirs - np.outer(1 - sides[:, session], counts[voice][session])
            without[voice][session] = _similarity(ours, left)
    return Replicates(whole, without, spoken.lineages, spoken.rows)


def _similarity(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Mean over the halvings, float [halvings, features] each; 0 where a voice used no function word at all."""
    # Shares sum to one, so their square roots have length one and the product is the cosine (Bhattacharyya).
    shares = [table / np.maximum(table.sum(axis=1, keepdims=True), 1.0) for table in (a, b)]
    return float((np.sqrt(shares[0]) * np.sqrt(shares[1])).sum(axis=1).mean())
