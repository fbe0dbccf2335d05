"""R4: the agent's own words in the right places: in the answers in which the agent used them, and not in the others."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from locum.evaluation.resemblance.replicates import VOICES, Replicates, too_few
from locum.evaluation.results import Sample
from locum.evaluation.style import FEATURES
from locum.types import Row, Undefined

MIN_USES = 30
"""Places at which the agent used a word of its own."""
MIN_TRAIN_SESSIONS = 3
COMMON = 0.3
"""A word in more of the training responses than this share is no word of a matter, but a habit."""
_WORD = re.compile(r"[^\W\d_][\w.-]*[^\W_]")
_FUNCTION_WORDS = frozenset(FEATURES)


def own_words(train: Sequence[Row]) -> frozenset[str]:
    """Words of the agent's trade: in responses of at least three sessions, not in nearly all, no function words."""
    sessions: dict[str, set[str]] = defaultdict(set)
    rows: Counter[str] = Counter()
    for row in train:
        for word in _words(row.response.content):
            sessions[word].add(row.lineage)
            rows[word] += 1
    return frozenset(
        word for word, seen in sessions.items() if len(seen) >= MIN_TRAIN_SESSIONS and rows[word] <= COMMON * len(train)
    )


def vocabulary(samples: Sequence[Sample], own: frozenset[str]) -> Replicates | Undefined:
    """F1 of the places at which an arm uses the agent's own words, against those at which the agent did.

    A word that stands in what was asked is nobody's own there and counts at no place. The agent, being the measure, has
    1; `elsewhere` is the agent's answer to another session's prompt: the right words in the wrong places.
    """
    spoken = [sample for sample in samples if not sample.agent.tool_calls]
    lineages = tuple(sorted({sample.lineage for sample in spoken}))
    place = {name: at for at, name in enumerate(lineages)}
    used = {voice: [_used(s, s.answer(voice).text, own) for s in spoken] for voice in VOICES}
    used["elsewhere"] = [_used(s, spoken[at].agent.text, own) for s, at in zip(spoken, _donors(spoken), strict=True)]
    uses = sum(map(len, used["agent"]))
    short = too_few(uses, MIN_USES, "uses of the agent's own words", len(lineages))
    if short is not None:
        return short
    whole: dict[str, float] = {}
    without: dict[str, NDArray[np.float64]] = {}
    for voice, words in used.items():
        counts = np.zeros((len(lineages), 2))
        for sample, theirs, ours in zip(spoken, words, used["agent"], strict=True):
            counts[place[sample.lineage]] += (2 * len(theirs & ours), len(theirs) + len(ours))
        total = counts.sum(0)
        left = total - counts
        whole[voice] = float(total[0] / total[1])
        without[voice] = np.divide(left[:, 0], left[:, 1], out=np.full(len(lineages), np.nan), where=left[:, 1] > 0)
    return Replicates(whole, without, lineages, len(spoken))


def _donors(samples: Sequence[Sample]) -> list[int]:
    """For each sample the next one of another session."""
    count = len(samples)
    return [
        next((j % count for j in range(i + 1, i + count) if samples[j % count].lineage != samples[i].lineage), i)
        for i in range(count)
    ]


def _used(sample: Sample, text: str, own: frozenset[str]) -> frozenset[str]:
    return (_words(text) & own) - _words(sample.asked)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _FUNCTION_WORDS
