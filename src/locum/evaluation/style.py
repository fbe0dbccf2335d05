"""How much an arm sounds like the agent, by what writers do not watch: function words and punctuation.

The cosine form of Burrows' Delta (Smith & Aldridge 2011, doi 10.1080/09296174.2011.533591), without its division by
the spread over many authors, which three voices do not give. It is computed on the pooled texts: below a few
thousand words a single text says next to nothing (Eder 2015, doi 10.1093/llc/fqt066).
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from locum.types import Estimate

_WORDS = re.compile(r"[a-z']+|[.,;:!?()\-—–…\"]")
_LIST = """
the of and to a in that is it for on with as was at by be this from or an are not but have has had i you we they
he she its my your our their if so do does did no yes can could will would should may might must there here what
which who when where how why all any some more most than then now just only also still even because while
though however too very well up out off over about into after before again once one two first said that's it's
don't . , ; : ! ? ( ) - — – … \"
"""
FEATURES = tuple(_LIST.split())
"""English function words and punctuation marks."""
_INDEX = {feature: place for place, feature in enumerate(FEATURES)}


def profile(text: str) -> np.ndarray:
    """How often each of `FEATURES` stands in a text: float [features], counts."""
    counts = np.zeros(len(FEATURES))
    for word, times in Counter(_WORDS.findall(text.lower().replace("’", "'"))).items():
        if word in _INDEX:
            counts[_INDEX[word]] += times
    return counts


def similarity(agent: Sequence[str], arm: Sequence[str], clusters: Sequence[str]) -> Estimate | None:
    """Cosine similarity of two voices over the same prompts, each pooled, with a jackknife interval over sessions.

    Args:
        agent: the agent's answers.
        arm: the arm's answers to the same prompts.
        clusters: the session lineage of each.

    Returns:
        Between 0 and 1; square roots of the shares are compared, so that "the" alone does not decide. None where
        either voice used no function word at all.
    """
    names = sorted(set(clusters))
    place = {name: index for index, name in enumerate(names)}
    ours, theirs = np.zeros((len(names), len(FEATURES))), np.zeros((len(names), len(FEATURES)))
    for mine, other, cluster in zip(agent, arm, clusters, strict=True):
        ours[place[cluster]] += profile(mine)
        theirs[place[cluster]] += profile(other)
    whole = _cosine(ours.sum(0), theirs.sum(0))
    if whole is None:
        return None
    count = len(names)
    left_out = [_cosine(ours.sum(0) - ours[i], theirs.sum(0) - theirs[i]) for i in range(count)]
    kept = np.array([value for value in left_out if value is not None])
    if count == 1 or len(kept) < count:
        return Estimate(whole, 0.0, 1.0, rows=len(clusters), sessions=count)
    error = math.sqrt((count - 1) / count * float(((kept - kept.mean()) ** 2).sum()))
    reach = float(stdtrit(count - 1, 0.975)) * error
    return Estimate(whole, max(0.0, whole - reach), min(1.0, whole + reach), rows=len(clusters), sessions=count)


def _cosine(a: np.ndarray, b: np.ndarray) -> float | None:
    if not a.any() or not b.any():
        return None
    # Shares sum to one, so their square roots have length one and the product is the cosine (Bhattacharyya).
    return float(np.sqrt(a / a.sum()) @ np.sqrt(b / b.sum()))
