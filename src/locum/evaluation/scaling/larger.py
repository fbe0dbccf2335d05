"""The other lever: what a larger base makes of the same rows, beside what more rows would.

A larger base often gains more than more rows do (arXiv:2402.17193). Bases may cut text into other tokens, so both
losses are divided by the tokens of the ladder's own base: nats of the same answers, in one unit.
"""

from collections.abc import Mapping, Sequence

from locum.evaluation.scaling.ladder import DRAWS, Ladder, band, resampled
from locum.evaluation.scaling.results import Lever


def lever(rungs: Ladder, lineages: Sequence[str], larger: Sequence[Mapping[str, tuple[float, int]]]) -> Lever | None:
    """Compare the largest rung of a ladder with the same rows under a larger base.

    Args:
        rungs: the ladder.
        lineages: the held-out session lineages, in the order of the ladder's.
        larger: for each seed, lineage -> (nats, tokens) under the larger base.

    Returns:
        None where the larger base was not scored on the same sessions, as where it finds other decisions.
    """
    if any(set(one) != set(lineages) for one in larger):
        return None
    nats = tuple(tuple(one[lineage][0] for lineage in lineages) for one in larger)
    two = Ladder((1, 2), (rungs.nats[-1], nats), rungs.tokens)
    draws, means = resampled(two, DRAWS, 0), two.means()
    loss, gain = draws[:, 1], draws[:, 0] - draws[:, 1]
    return Lever(float(means[1]), band(loss), float(means[0] - means[1]), band(gain))
