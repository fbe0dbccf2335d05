"""The words of an agent's field: far commoner in its training rows than in general text.

How common a word is in general is read off the base's own tokenizer: a byte-pair vocabulary is learned from the
commonest pieces first, so a word's place in it is about its rank by frequency, and Zipf's law (with Mandelbrot's
shift; Mandelbrot 1953) turns a rank into a share. A word that is no single token is rarer than all that are.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from locum.types import Row

_WORD = re.compile(r"[^\W\d_]{3,}(?:[-'][^\W\d_]+)*")
_SHIFT = 2.7
_Z = 3.0
_LEAST = 3
"""Fewer occurrences say nothing of how common a word is."""


def word_ranks(vocabulary: Mapping[str, int]) -> dict[str, int]:
    """Word in lower case -> its rank among the words that are one token (with a space ahead), 0 for the commonest."""
    words: dict[str, int] = {}
    for token, number in vocabulary.items():
        if token[:1] in ("Ġ", "▁") and token[1:].isalpha():
            word = token[1:].lower()
            words[word] = min(number, words.get(word, number))
    return {word: rank for rank, word in enumerate(sorted(words, key=words.__getitem__))}


def domain_vocabulary(rows: Iterable[Row], ranks: Mapping[str, int], leave_out: Collection[str] = ()) -> frozenset[str]:
    """The words of the responses whose log-odds against general text lie more than three standard errors above nought.

    Args:
        rows: the training rows.
        ranks: `word_ranks` of the base's tokenizer.
        leave_out: words that are no domain's (function words).

    Returns:
        Words in lower case that at least two lineages use.
    """
    counts: Counter[str] = Counter()
    lineages: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for match in _WORD.finditer(row.response.content):
            word = match[0].lower()
            counts[word] += 1
            lineages[word].add(row.lineage)
    total = counts.total()
    scale = math.fsum(1 / (rank + _SHIFT) for rank in range(len(ranks) + 1))
    chosen = set()
    for word, count in counts.items():
        if count < _LEAST or len(lineages[word]) < 2 or word in leave_out:
            continue
        general = 1 / ((ranks.get(word, len(ranks)) + _SHIFT) * scale)
        odds = math.log((count + 0.5) / (total - count + 0.5)) - math.log(general / (1 - general))
        if odds > _Z * math.sqrt(1 / (count + 0.5) + 1 / (total - count + 0.5)):
            chosen.add(word)
    return frozenset(chosen)
