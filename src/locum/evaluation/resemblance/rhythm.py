"""R3: how the sentences run, whatever they say: their lengths and how these follow one another, clauses, punctuation,
qualifiers, and turns from the concrete to the abstract within a sentence.

Every distance is between an arm on one half of the sessions and the agent on the other, over several halvings; the
agent on both gives what it differs from itself, and nearer than that is not nearer.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from locum.evaluation.resemblance.replicates import VOICES, Replicates, Talk, halves, too_few
from locum.types import Undefined

MIN_SENTENCES = 60
"""Of the agent and of each arm."""
SPLITS = 6
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_CLAUSE = re.compile(r"[,;:()–—]| - | (?:and|but|because|so|while|which|that|if|when) ")
_QUALIFIER = re.compile(
    r"\b(?:however|though|although|perhaps|maybe|probably|possibly|likely|rather|quite|somewhat|mostly|usually|often"
    r"|i (?:think|suspect|guess|believe)|that said|sort of|kind of|a bit|in fact|of course|at least|might|may)\b"
)
_ABSTRACT = re.compile(
    r"\b\w{3,}(?:ness|ity|tion|sion|ment|ism|ence|ance|ship|hood)\b|\b(?:meaning|truth|sense|idea)\b"
)
_MARKS = {"commas": re.compile(","), "dashes": re.compile(r"[–—]| - "), "colons": re.compile("[:;]")}


class Rhythm(msgspec.Struct, frozen=True):
    """How near each arm's rhythm is."""

    closeness: Replicates
    """Mean over the features of the agent's largest distance from itself over the arm's mean distance, at most 1: as
    near as the agent itself."""
    distances: dict[str, dict[str, float]]
    """Feature -> voice -> mean distance; the agent's is its distance from itself."""


class _Counted(msgspec.Struct, frozen=True):
    """One voice in one session."""

    lengths: tuple[float, ...]
    """Words per sentence."""
    clauses: tuple[float, ...]
    follows: tuple[tuple[float, float], ...]
    """Lengths of neighbouring sentences of one answer."""
    words: float
    turns: float
    marks: tuple[float, ...]
    """Commas, dashes, colons, qualifiers."""


FEATURES = ("sentence_length", "clauses", "succession", *_MARKS, "qualifiers", "abstract_turns")


def rhythm(spoken: Talk, seed: int = 0) -> Rhythm | Undefined:
    """Compare base and tuned with the agent, and the agent with itself."""
    count = len(spoken.lineages)
    counted = {
        voice: [
            _count([text for text, group in zip(spoken.texts[voice], spoken.groups, strict=True) if group == session])
            for session in range(count)
        ]
        for voice in VOICES
    }
    fewest = min((sum(len(c.lengths) for c in sessions) for sessions in counted.values()), default=0)
    short = too_few(fewest, MIN_SENTENCES, "sentences", count)
    if short is not None:
        return short
    cuts = halves(np.array([c.words for c in counted["agent"]]), SPLITS, seed)
    every = [_distances(counted, cuts, None), *(_distances(counted, cuts, session) for session in range(count))]
    near = [_closeness(gaps) for gaps in every]
    return Rhythm(
        closeness=Replicates(
            whole=near[0],
            without={voice: np.array([one[voice] for one in near[1:]]) for voice in VOICES},
            lineages=spoken.lineages,
            rows=spoken.rows,
        ),
        distances={
            feature: {voice: float(every[0][voice][:, at].mean()) for voice in VOICES}
            for at, feature in enumerate(FEATURES)
        },
    )


def _closeness(gaps: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    band = gaps["agent"].max(axis=0) + 1e-9
    return {voice: float(np.minimum(1.0, band / (gaps[voice].mean(axis=0) + 1e-9)).mean()) for voice in VOICES}


def _distances(
    counted: dict[str, list[_Counted]], cuts: NDArray[np.bool_], left_out: int | None
) -> dict[str, NDArray[np.float64]]:
    """Voice -> distances of each halving, float [2 * halvings, features]."""
    found: dict[str, list[NDArray[np.float64]]] = {voice: [] for voice in VOICES}
    for half in cuts:
        for side in (half, ~half):
            ours = _pool([c for at, c in enumerate(counted["agent"]) if side[at] and at != left_out])
            for voice in VOICES:
                theirs = _pool([c for at, c in enumerate(counted[voice]) if not side[at] and at != left_out])
                found[voice].append(_gap(ours, theirs))
    return {voice: np.array(gaps) for voice, gaps in found.items()}


def _pool(parts: Sequence[_Counted]) -> _Counted:
    return _Counted(
        lengths=tuple(length for part in parts for length in part.lengths),
        clauses=tuple(clause for part in parts for clause in part.clauses),
        follows=tuple(pair for part in parts for pair in part.follows),
        words=sum(part.words for part in parts),
        turns=sum(part.turns for part in parts),
        marks=tuple(sum(part.marks[at] for part in parts) for at in range(len(_MARKS) + 1)),
    )


def _gap(a: _Counted, b: _Counted) -> NDArray[np.float64]:
    if not a.lengths or not b.lengths:
        return np.full(len(FEATURES), np.nan)
    rates = [abs(m / max(1.0, a.words) - n / max(1.0, b.words)) * 100 for m, n in zip(a.marks, b.marks, strict=True)]
    return np.array(
        [
            wasserstein_distance(a.lengths, b.lengths),
            wasserstein_distance(a.clauses, b.clauses),
            abs(_correlation(a.follows) - _correlation(b.follows)),
            *rates,
            abs(a.turns / len(a.lengths) - b.turns / len(b.lengths)),
        ]
    )


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    if len(pairs) < 3:
        return 0.0
    x, y = np.array(pairs).T
    spread = float(x.std() * y.std())
    return float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 1e-12 else 0.0


def _count(texts: Sequence[str]) -> _Counted:
    lengths: list[float] = []
    clauses: list[float] = []
    follows: list[tuple[float, float]] = []
    turns = 0.0
    for text in texts:
        sentences = [s for s in _SENTENCE.findall(text.lower()) if s.split()]
        own = [float(len(sentence.split())) for sentence in sentences]
        lengths += own
        follows += pairwise(own)
        for sentence in sentences:
            parts = [part for part in _CLAUSE.split(sentence) if part.strip()] or [sentence]
            clauses.append(float(len(parts)))
            turns += bool(len(parts) > 1 and _ABSTRACT.search(parts[-1]) and not _ABSTRACT.search(parts[0]))
    whole = "\n".join(texts).lower()
    marks = [float(len(mark.findall(whole))) for mark in (*_MARKS.values(), _QUALIFIER)]
    return _Counted(tuple(lengths), tuple(clauses), tuple(follows), float(len(whole.split())), turns, tuple(marks))
