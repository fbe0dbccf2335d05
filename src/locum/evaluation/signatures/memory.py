"""Verbatim memory: how much of an answer stands word for word in the training rows, and not in its own prompt.

The agent repeats itself too, so what counts is the excess over its own held-out responses, under the same count.
Tokens here are words and punctuation marks, so that scoring again needs no tokenizer and models compare.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

GRAM = 8
"""Tokens of a run that chance does not make."""
FLAG = 50
"""A verbatim run of as many tokens is flagged (Carlini et al. 2023, arXiv 2202.07646)."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

Gram = tuple[str, ...]


class Recall(msgspec.Struct, frozen=True):
    """What one answer has word for word from the training rows."""

    longest: int = 0
    """Tokens of the longest run; 0 where no run of 8 tokens is."""
    start: int = 0
    """Where that run stands in the answer, in characters."""
    end: int = 0
    coverage: float = 0.0
    """Share of the answer's 8-grams that stand in a training response, from 0 to 1."""


def recall(answers: Sequence[str], prompts: Sequence[str], train: Iterable[str]) -> list[Recall]:
    """What each answer has word for word from the training responses.

    8-grams that stand in the answer's own prompt are passed over: to copy what is asked about is no memory.

    Args:
        answers: texts.
        prompts: all that was shown before each of them.
        train: the responses of the training rows, read once; time is linear in them.
    """
    spans = [[(found.start(), found.end()) for found in _TOKEN.finditer(answer)] for answer in answers]
    wanted: dict[Gram, list[tuple[int, int]]] = defaultdict(list)
    counts = [0] * len(answers)
    shown: dict[str, set[Gram]] = {}
    for index, (answer, prompt) in enumerate(zip(answers, prompts, strict=True)):
        if prompt not in shown:
            shown = {prompt: set(_grams(_TOKEN.findall(prompt)))}  # equal prompts stand side by side
        for at, gram in enumerate(_grams([answer[start:end] for start, end in spans[index]])):
            if gram not in shown[prompt]:
                wanted[gram].append((index, at))
                counts[index] += 1
    best: dict[int, tuple[int, int]] = {}  # answer -> (length in grams, position of the last of them)
    covered: set[tuple[int, int]] = set()
    for response in dict.fromkeys(train):
        before: dict[tuple[int, int], int] = {}
        for gram in _grams(_TOKEN.findall(response)):
            here: dict[tuple[int, int], int] = {}
            for place in wanted.get(gram, ()):
                index, at = place
                here[place] = before.get((index, at - 1), 0) + 1
                covered.add(place)
                if here[place] > best.get(index, (0, 0))[0]:
                    best[index] = (here[place], at)
            before = here
    hits = [0] * len(answers)
    for index, _ in covered:
        hits[index] += 1
    return [_recall(spans[index], best.get(index), hits[index], counts[index]) for index in range(len(answers))]


def _recall(spans: Sequence[tuple[int, int]], best: tuple[int, int] | None, hits: int, grams: int) -> Recall:
    if best is None:
        return Recall()
    length, last = best
    first = last - length + 1
    return Recall(length + GRAM - 1, spans[first][0], spans[last + GRAM - 1][1], hits / grams)


def _grams(tokens: Sequence[str]) -> list[Gram]:
    return [tuple(tokens[at : at + GRAM]) for at in range(len(tokens) - GRAM + 1)]
