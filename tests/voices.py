"""Voices that can be told apart by how they speak, whatever they decide: for tests of what sounds right and what is."""

import random

from answer_samples import STANCES, samples_of
from small_models import row, says, user

from locum.evaluation.results import Sample
from locum.types import Message, Row

TERSE = (
    "{n} is late.",
    "The {n} breaks; the {m} does not.",
    "We ship {n} at {k}.",
    "No {m} there — none.",
    "It was {n}, not {m}.",
    "Look at the {n}: it is {k} days old.",
    "And the {m}?",
    "I keep {n}.",
)
WORDY = (
    "However, it might perhaps be said that the {n}, which you have asked about, is usually of some importance.",
    "As for what the {m} would then have been, and because of which others may also have thought about it, I think",
    "that there could, of course, have been more of {n} than of {m}, although that is a matter of understanding.",
    "In fact, while most of the {n} should be with the {m}, it is likely that this would not be so for very long,",
    "since they were there with {k} of them, and since the appropriateness of the {m} had only then come up.",
)
PLAIN = (
    "You can do this with the {n} or with the {m}.",
    "Here is what you can do about your {n}!",
    "First, open the {n}. Then, click on the {m}. That's it!",
    "If you have any questions about {n}, let us know!",
    "Your {m} can be found here, here and here.",
)
STYLES = {"terse": TERSE, "wordy": WORDY, "plain": PLAIN}
NOUNS = ("order", "parcel", "ledger", "crate", "invoice", "harbour", "pallet", "docket", "manifest", "berth")


def speak(style: str, draw: random.Random, stance: str) -> str:
    """Some sentences in a style, and then the decision: in the agent's own words, or in ones that are the style's."""
    count = {"terse": 7, "wordy": 3, "plain": 5}[style]
    sentences = [
        template.format(n=draw.choice(NOUNS), m=draw.choice(NOUNS), k=draw.randint(2, 90))
        for template in draw.choices(STYLES[style], k=count)
    ]
    spoken = {
        "terse": STANCES,
        "wordy": {
            "push_back": "and so it is that I am pushing back on what was wanted, all things considered.",
            "comply": "and so it is that I have now done what was wanted, as well as could be.",
            "defer": "and as to which version of the two it should be? That I should like to have been told.",
        },
        "plain": {
            "push_back": "Please don't! You can try this another way!",
            "comply": "Sure! Happy to help!",
            "defer": "Would you like me to do this for you?",
        },
    }[style]
    return " ".join(sentences) + "\n" + spoken[stance]


def replies(sessions: int, per_session: int = 4, name: str = "s", style: str = "terse") -> list[Row]:
    """An agent's replies in one style; whether it complies follows from the prompt alone."""
    rows = []
    for number in range(sessions * per_session):
        draw = random.Random(f"{name}{number}")
        stance = draw.choice(list(STANCES))
        asks = {"push_back": "Delete all of it", "comply": "File it", "defer": "Change one of them"}[stance]
        rows.append(
            row(
                user(f"{asks}: {draw.choice(NOUNS)} {draw.randint(100, 999)}, {draw.choice(NOUNS)}."),
                says(speak(style, draw, stance)),
                session=f"{name}{number // per_session}",
                turn=number % per_session,
                tier="verified",
            )
        )
    return rows


def stance_of(row: Row) -> str:
    """What the agent decided there."""
    return next(stance for stance, text in STANCES.items() if row.response.content.endswith(text))


def parrot(row: Row) -> Message:
    """The agent's own way of speaking, and decisions at random."""
    draw = random.Random(f"parrot{row.id}")
    return says(speak("terse", draw, draw.choice(list(STANCES))))


def oracle(row: Row) -> Message:
    """Always the agent's decision, in a way of speaking that is not the agent's."""
    return says(speak("wordy", random.Random(f"oracle{row.id}"), stance_of(row)))


def stranger(row: Row) -> Message:
    """Neither: a base that knows nothing of the agent."""
    draw = random.Random(f"base{row.id}")
    return says(speak("plain", draw, draw.choice(list(STANCES))))


def judged(rows: list[Row], tuned: object, train: list[Row]) -> list[Sample]:
    """Samples of a tuned voice beside the stranger."""
    assert callable(tuned)
    return samples_of(rows, tuned, stranger, train)
