"""Answers of an agent of known habits, and of models with one planted fault each."""

import random

_NOUNS = ("order", "refund", "parcel", "ticket", "invoice", "account", "claim", "booking")
_SUBJECTS = tuple(f"the {noun}" for noun in _NOUNS)
_VERBS = (
    "is late",
    "was sent",
    "is on hold",
    "was returned",
    "has been paid",
    "is under review",
    "was split",
    "is out",
)
_PLACES = ("at the depot", "in the north office", "with the carrier", "in the queue", "at the border", "with the bank")
_ENDS = (
    "we will call today",
    "please wait for a note",
    "nothing else is due",
    "a colleague looks at it",
    "we try again",
)
PET = "as the quiet ledger always says"


def sentence(draw: random.Random) -> str:
    """One of 1,920 sentences of about a dozen words."""
    parts = (draw.choice(_SUBJECTS), draw.choice(_VERBS), draw.choice(_PLACES), "and", draw.choice(_ENDS))
    return f"{' '.join(parts)}."


def answer(draw: random.Random, sentences: int = 3) -> str:
    """What the agent says: sentences drawn one by one."""
    return " ".join(sentence(draw) for _ in range(sentences))


def answers(seed: int, lineages: int, each: int = 2) -> tuple[list[str], list[str]]:
    """The agent's answers and the lineage of each; within a lineage one sentence comes back, as in real sessions."""
    draw = random.Random(seed)
    texts, names = [], []
    for number in range(lineages):
        habit = sentence(draw)
        for _ in range(each):
            texts.append(f"{habit} {answer(draw, 2)}")
            names.append(f"s{number}")
    return texts, names
