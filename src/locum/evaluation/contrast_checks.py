"""Contrast sets to shares answered right, with the checks that the sets ask what they are meant to ask.

- *option only*: a classifier that sees the answers and no prompt (naive Bayes over character trigrams, every lineage
  judged by the others). Above 55 % with the lower bound, the set can be solved without its questions.
- *donor*: the tuned model under another row's prompt; the same bound.
- *overlap*: the answer of which the prompt holds more words. A model has to beat it.
- *length gap*: how much longer right answers are, as a share of the mean length; up to 10 % either way is fair.

That a set passes does not prove that it holds no artefact (Feng et al. 2019, arXiv:1905.05778).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import polars as pl

from locum.evaluation.double_differences import mean_of_pairs, share_right
from locum.evaluation.questions import KINDS
from locum.evaluation.results import Arms, ContrastSet
from locum.evaluation.statistics import clustered_mean
from locum.types import Estimate

CHANCE = 0.55
LENGTH_GAP = 0.10


def contrast_sets(questions: pl.DataFrame) -> dict[str, ContrastSet]:
    """Kind -> how often each arm prefers the right answer; kinds without a question do not occur.

    Args:
        questions: of `questions.QUESTION_SCHEMA`, with the arms `base` and `tuned`.
    """
    found: dict[str, ContrastSet] = {}
    for kind in KINDS:
        mine = questions.filter(pl.col("kind") == kind)
        # Question by question in the order in which both arms were asked.
        arms = {arm: mine.filter(pl.col("arm") == arm) for arm in ("base", "tuned")}
        if all(len(part) for part in arms.values()):
            found[kind] = _contrast_set(arms["base"], arms["tuned"])
    return found


def _contrast_set(base: pl.DataFrame, tuned: pl.DataFrame) -> ContrastSet:
    nodes = [
        (one, other or one)
        for one, other in zip(base["lineage"].to_list(), base["partner_lineage"].to_list(), strict=True)
    ]
    pairs = any(one != other for one, other in nodes)

    def share(values: np.ndarray, low: float = 0.0) -> Estimate:
        if pairs:
            return mean_of_pairs(values, nodes, bounds=(low, 1.0))
        return clustered_mean(values, [one for one, _ in nodes], bounds=(low, 1.0))

    shares = {
        arm: share_right((part["wrong"] - part["right"]).to_numpy()) for arm, part in (("base", base), ("tuned", tuned))
    }
    shares["overlap"] = share_right((base["right_overlap"] - base["wrong_overlap"]).cast(pl.Float64).to_numpy())
    right: Arms = {arm: share(values) for arm, values in shares.items()}
    for other in ("base", "overlap"):
        right[f"tuned-{other}"] = share(shares["tuned"] - shares[other], -1.0)
    texts = list(zip(base["right_text"].to_list(), base["wrong_text"].to_list(), strict=True))
    # Both answers of a context swap are right and wrong once each, so nothing can be told from them.
    option_only = None if pairs else share(_option_only(texts, [one for one, _ in nodes]))
    lent = tuned.drop_nulls(["donor_right", "donor_wrong"])
    margins = share_right((lent["donor_wrong"] - lent["donor_right"]).to_numpy())
    donor = clustered_mean(margins, lent["lineage"].to_list(), bounds=(0.0, 1.0)) if len(lent) else None
    lengths = np.array([[len(one), len(other)] for one, other in texts], dtype=float)
    gap = float((lengths[:, 0] - lengths[:, 1]).mean() / lengths.mean())
    return ContrastSet(
        right=right, option_only=option_only, donor=donor, length_gap=gap, faults=_faults(option_only, donor, gap)
    )


def _faults(option_only: Estimate | None, donor: Estimate | None, gap: float) -> tuple[str, ...]:
    faults = []
    if option_only is not None and option_only.low > CHANCE:
        faults.append(f"the answers alone give {option_only.estimate:.0%}")
    if donor is not None and donor.low > CHANCE:
        faults.append(f"under another row's prompt the model still answers {donor.estimate:.0%}")
    if abs(gap) > LENGTH_GAP:
        faults.append(f"right answers are {abs(gap):.0%} {'longer' if gap > 0 else 'shorter'}")
    return tuple(faults)


def _option_only(texts: Sequence[tuple[str, str]], lineages: Sequence[str]) -> np.ndarray:
    """For each pair of answers whether naive Bayes, learned on the other lineages' pairs, finds the right one."""
    grams = [(_trigrams(right), _trigrams(wrong)) for right, wrong in texts]
    total: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    own: dict[str, tuple[Counter[str], Counter[str]]] = defaultdict(lambda: (Counter(), Counter()))
    for pair, lineage in zip(grams, lineages, strict=True):
        for side in (0, 1):
            total[side].update(pair[side])
            own[lineage][side].update(pair[side])

    def weight(gram: str, lineage: str) -> float:
        right, wrong = (total[side][gram] - own[lineage][side][gram] for side in (0, 1))
        return math.log((right + 0.5) / (wrong + 0.5))

    margins = [
        sum(weight(gram, lineage) for gram in right) - sum(weight(gram, lineage) for gram in wrong)
        for (right, wrong), lineage in zip(grams, lineages, strict=True)
    ]
    return share_right(margins)


def _trigrams(text: str) -> set[str]:
    padded = f"^{text.lower()}$"
    return {padded[at : at + 3] for at in range(max(1, len(padded) - 2))}
