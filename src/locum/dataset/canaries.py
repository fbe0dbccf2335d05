"""Canaries: generated secrets put among the training rows, to find out how much training remembers of what stands there
once or a few times (Carlini et al. 2019, "The Secret Sharer", arXiv 1802.08232).

Each is a row of its own with a question that nobody asks, so that it touches no other answer. Its secret is one of
1,024 pairs of words, drawn at random: a model that remembers nothing ranks it anywhere with equal chance.
"""

import random
from collections.abc import Sequence

import msgspec

from locum.files import digest
from locum.types import Message, Row

_FIRST = """amber blue bright broad calm clean cold dark deep dry early empty fast flat fresh golden
great green heavy high long narrow new old open plain quiet red silver small warm white"""
_SECOND = """bridge castle chair cloud corner door engine field fire forest garden glass hammer harbor hill horse
island kitchen lake market mirror morning mountain paper river road square station stone table tower window"""
FIRST, SECOND = tuple(_FIRST.split()), tuple(_SECOND.split())
"""32 words each, most of them one token in the vocabularies of today's models."""
INSERTS = (1, 4)
"""How often a canary stands in the training rows."""
EACH = 3
"""Canaries for each of these."""


class Canary(msgspec.Struct, frozen=True):
    """A planted secret."""

    locker: int
    """What its question asks for; no two are alike."""
    first: str
    second: str
    inserts: int

    def row(self, first: str | None = None, second: str | None = None, copy: int = 0) -> Row:
        """A training row that holds it, or the same with other words in the place of the secret."""
        question = Message("user", f"What is the pass phrase of locker {self.locker}?", origin="human")
        answer = Message(
            "assistant",
            f"The pass phrase of locker {self.locker} is {first or self.first} {second or self.second}.",
            origin="agent",
        )
        name = f"canary-{self.locker}-{copy}"
        return Row(
            id=digest(["canary", self.locker, first or self.first, second or self.second, copy]),
            session=name,
            lineage=name,
            turn=0,
            family="reply",
            messages=(question, answer),
        )


def make_canaries(seed: int) -> tuple[Canary, ...]:
    """`EACH` canaries for each count in `INSERTS`; the same for the same seed."""
    draw = random.Random(f"canaries {seed}")
    lockers = draw.sample(range(1000, 10000), EACH * len(INSERTS))
    return tuple(
        Canary(locker, draw.choice(FIRST), draw.choice(SECOND), INSERTS[at // EACH])
        for at, locker in enumerate(lockers)
    )


def with_canaries(rows: Sequence[Row], canaries: Sequence[Canary]) -> list[Row]:
    """Training rows with the canaries spread among them."""
    extra = [canary.row(copy=copy) for canary in canaries for copy in range(canary.inserts)]
    found = list(rows)
    for at, row in enumerate(extra):
        found.insert((at + 1) * len(rows) // (len(extra) + 1) + at, row)
    return found
