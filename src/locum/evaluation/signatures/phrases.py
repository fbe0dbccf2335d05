"""Favourite phrases: what a model says more often than the agent does to the same prompts, and whether for a reason.

A phrase counts once an answer. The effect is the log-odds ratio with a Dirichlet prior whose weights follow the
phrase's frequency in the training rows (Monroe, Colaresi & Quinn 2008, "Fightin' Words", doi 10.1093/pan/mpn018). Its
test is not theirs, because answers of one session lineage are no independent witnesses, and both voices answered the
same prompts: an exact sign test over the lineages that hold the phrase more often with one voice, over all phrases at a
false discovery rate (Benjamini & Hochberg 1995).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from scipy.stats import binom, false_discovery_control

from locum.evaluation.statistics import clopper_pearson
from locum.types import Estimate

LENGTHS = range(3, 7)
"""Words of a phrase."""
FALSE_DISCOVERY_RATE = 0.05
SHOWN = 20
"""Favourite phrases that are kept, the surest first."""
_PRIOR_ANSWERS = 2.0
"""What the prior weighs, in answers."""
_LEAST_LINEAGES = 4
"""Phrases on which fewer lineages differ cannot reach significance among others and are no candidates. How many
differ says nothing about in which direction, so that the filter is independent of the test (Bourgon et al. 2010, doi
10.1073/pnas.0914005107)."""

_WORD = re.compile(r"[^\W_]+(?:['’_-][^\W_]+)*")

Gram = tuple[str, ...]


class Phrase(msgspec.Struct, frozen=True):
    """A phrase that a voice says more often than the agent."""

    text: str
    answers: int
    """Of the voice's answers, those that hold it."""
    agent_answers: int
    """Of the agent's responses to the same prompts."""
    lineages: int
    """Session lineages in which the voice says it in more answers than the agent."""
    log_odds: float
    """Log-odds ratio of voice to agent, shrunk by the prior."""
    p: float
    """One-sided exact sign test over lineages."""
    amplification: float | None
    """answers / agent_answers; None where the agent never says it."""
    train_rows: int
    """Training rows whose response holds it."""


class Autonomy(msgspec.Struct, frozen=True):
    """Whether favourite phrases come under any prompt."""

    own: Estimate
    """Share of answers to held-out prompts that hold a favourite phrase."""
    foreign: Estimate
    """Share of answers to prompts that have nothing to do with the work."""
    ratio: float | None
    """foreign / own: near 1 the phrases come without knowing why, near 0 they answer to something. None where there is
    no favourite phrase."""
    low: float | None
    high: float | None


def favourites(
    voice: Sequence[str], agent: Sequence[str], lineages: Sequence[str], train: Sequence[str]
) -> tuple[Phrase, ...]:
    """The phrases of 3 to 6 words that a voice says more often than the agent.

    Args:
        voice: its answers.
        agent: the agent's responses to the same prompts, equally many.
        lineages: the session lineage of each prompt.
        train: the agent's responses in the training rows.

    Returns:
        At most `SHOWN` phrases at a false discovery rate of 5 %, the surest first. Of phrases that stand in the same
        answers the longest speaks for all, and of overlapping favourites the surest.
    """
    mine, theirs = _holders(voice), _holders(agent)
    candidates: list[tuple[Gram, int, int]] = []
    for gram in _longest({gram: (mine[gram], theirs.get(gram, frozenset())) for gram in mine}):
        more, less = _lineages(mine[gram], theirs.get(gram, frozenset()), lineages)
        if more + less >= _LEAST_LINEAGES:
            candidates.append((gram, more, less))
    if not candidates:
        return ()
    tests = [float(binom.sf(more - 1, more + less, 0.5)) for _, more, less in candidates]
    held = [index for index, q in enumerate(false_discovery_control(tests)) if q <= FALSE_DISCOVERY_RATE]
    trained = _rows_with({candidates[index][0] for index in held}, train)
    found = []
    for index in held:
        gram, more, _ = candidates[index]
        in_mine, in_theirs = len(mine[gram]), len(theirs.get(gram, ()))
        prior = _PRIOR_ANSWERS * (trained[gram] + 0.5) / (len(train) + 1)
        found.append(
            Phrase(
                text=" ".join(gram),
                answers=in_mine,
                agent_answers=in_theirs,
                lineages=more,
                log_odds=_log_odds(in_mine, len(voice), prior) - _log_odds(in_theirs, len(agent), prior),
                p=tests[index],
                amplification=in_mine / in_theirs if in_theirs else None,
                train_rows=trained[gram],
            )
        )
    found.sort(key=lambda phrase: (phrase.p, -phrase.log_odds, -len(phrase.text), phrase.text))
    return _apart(found)


def autonomy(phrases: Sequence[Phrase], own: Sequence[str], foreign: Sequence[str]) -> Autonomy | None:
    """How often a voice's favourite phrases come to prompts that do not ask for them.

    Args:
        phrases: its favourites.
        own: its answers to held-out prompts.
        foreign: its answers to prompts that have nothing to do with the work.

    Returns:
        None without answers. The ratio's 95 % interval is Walter's (1975, doi 10.1093/biomet/62.2.371).
    """
    if not own or not foreign:
        return None
    a, b = (sum(holds_any(text, phrases) for text in texts) for texts in (own, foreign))
    rates = [
        Estimate(k / len(texts), *clopper_pearson(k, len(texts)), rows=len(texts), sessions=len(texts))
        for k, texts in ((a, own), (b, foreign))
    ]
    if not a:
        return Autonomy(rates[0], rates[1], ratio=None, low=None, high=None)
    n, m = len(own), len(foreign)
    centre = math.log((b + 0.5) / (m + 0.5)) - math.log((a + 0.5) / (n + 0.5))
    spread = 1.96 * math.sqrt(max(0.0, 1 / (a + 0.5) - 1 / (n + 0.5) + 1 / (b + 0.5) - 1 / (m + 0.5)))
    ratio = (b / m) / (a / n)
    low, high = min(ratio, math.exp(centre - spread)), max(ratio, math.exp(centre + spread))
    return Autonomy(rates[0], rates[1], ratio, low, high)


def holds_any(text: str, phrases: Iterable[Phrase]) -> bool:
    """Whether a text holds one of the phrases, whatever its capitals and punctuation."""
    words = f" {' '.join(_words(text))} "
    return any(f" {phrase.text} " in words for phrase in phrases)


def places(text: str, phrases: Iterable[str]) -> list[tuple[int, int]]:
    """Where a text holds one of the phrases, as characters [start, end); read as by `holds_any`."""
    words = [(_plain(match[0]), *match.span()) for match in _WORD.finditer(text)]
    said = [word for word, _, _ in words]
    found = []
    for phrase in phrases:
        asked = phrase.split()
        starts = (at for at in range(len(said) - len(asked) + 1) if said[at : at + len(asked)] == asked)
        found += [(words[at][1], words[at + len(asked) - 1][2]) for at in starts]
    return sorted(found)


def _plain(word: str) -> str:
    return word.lower().replace("’", "'")


def _words(text: str) -> list[str]:
    return [_plain(word) for word in _WORD.findall(text)]


def _grams(text: str) -> set[Gram]:
    words = _words(text)
    return {tuple(words[at : at + n]) for n in LENGTHS for at in range(len(words) - n + 1)}


def _holders(texts: Sequence[str]) -> dict[Gram, frozenset[int]]:
    """Phrase -> which texts hold it."""
    found: dict[Gram, set[int]] = defaultdict(set)
    for index, text in enumerate(texts):
        for gram in _grams(text):
            found[gram].add(index)
    return {gram: frozenset(holders) for gram, holders in found.items()}


def _longest(holders: Mapping[Gram, tuple[frozenset[int], frozenset[int]]]) -> list[Gram]:
    """Phrases without those that stand in the same texts, of both voices, as a longer one of which they are part."""
    covered = set()
    for gram, where in holders.items():
        for part in (gram[1:], gram[:-1]):
            if len(part) in LENGTHS and holders.get(part) == where:
                covered.add(part)
    return [gram for gram in holders if gram not in covered]


def _lineages(mine: frozenset[int], theirs: frozenset[int], lineages: Sequence[str]) -> tuple[int, int]:
    """In how many lineages the voice says it in more answers than the agent, and in how many in fewer."""
    balance = Counter(lineages[index] for index in mine)
    balance.subtract(lineages[index] for index in theirs)
    return sum(b > 0 for b in balance.values()), sum(b < 0 for b in balance.values())


def _rows_with(grams: set[Gram], texts: Iterable[str]) -> Counter[Gram]:
    return Counter(gram for text in texts for gram in _grams(text) & grams) if grams else Counter()


def _log_odds(count: int, answers: int, prior: float) -> float:
    share = (count + prior) / (answers + _PRIOR_ANSWERS)
    return math.log(share / (1 - share))


def _apart(phrases: Sequence[Phrase]) -> tuple[Phrase, ...]:
    """The surest of those that share three words in a row."""
    kept: list[Phrase] = []
    seen: set[Gram] = set()
    for phrase in phrases:
        words = phrase.text.split()
        threes = {tuple(words[at : at + 3]) for at in range(len(words) - 2)}
        if seen.isdisjoint(threes):
            kept.append(phrase)
        seen |= threes
    return tuple(kept[:SHOWN])
