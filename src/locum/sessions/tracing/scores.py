"""What a score of a call or a trace says about the agent: scores, feedback and annotations in one shape.

A score has a name, a number or a label, and a source. What is counted, and why:
- Scores of model judges say what another model thinks; they are no outcome and left aside.
- A label counts if it is a plain yes or no.
- A number counts if the name says that more of it is better (feedback, correctness) and if every number of that name
  in the file lies between -1 and 1: 1 is praise, the lowest one an objection, and what lies between says neither.
- The reward of a whole trace, by its name, is ground truth of 0 to 1.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

_PRAISE = frozenset(
    {"thumbs up", "thumb up", "thumbsup", "up", "upvote", "like", "liked", "positive", "good", "great", "correct"}
    | {"helpful", "accept", "accepted", "approve", "approved", "yes", "true", "pass", "passed", "success", "👍", "+1"}
)
_OBJECTION = frozenset(
    {"thumbs down", "thumb down", "thumbsdown", "down", "downvote", "dislike", "disliked", "negative", "bad", "wrong"}
    | {"incorrect", "unhelpful", "not helpful", "reject", "rejected", "no", "false", "fail", "failed", "failure", "👎"}
    | {"-1"}
)
_BETTER = frozenset(
    {"feedback", "thumb", "thumbs", "rating", "user", "human", "correct", "correctness", "accuracy", "helpful"}
    | {"helpfulness", "quality", "accepted", "acceptance", "approved", "approval", "satisfaction", "satisfied", "like"}
    | {"good", "liked"}
)
_REWARDS = frozenset({"reward", "success", "resolved", "solved", "passed", "completed"})
_TURNED = frozenset({"not", "no", "in", "un", "dis", "non", "error", "errors", "failure", "negative"})
_MACHINES = frozenset({"eval", "llm", "model", "auto_eval", "evaluator"})

Opinion = Literal["praised", "corrected"]
_SIGNS = ("+1", "-1")
_OPINIONS: tuple[tuple[frozenset[str], Opinion], ...] = ((_PRAISE, "praised"), (_OBJECTION, "corrected"))


class Score(msgspec.Struct, frozen=True):
    """What somebody said about a call, a trace or a conversation."""

    number: int
    """Of its record."""
    name: str
    value: Any = None
    label: str | None = None
    source: str = ""
    """As the tracer names it; of model judges it is left aside."""
    call: str = ""
    """The span, run or observation that it is of; empty where it is of the whole trace."""
    trace: str = ""
    conversation: str = ""
    own: bool = True
    """It is a record of its own, and not a field of the call's."""

    @property
    def of_machine(self) -> bool:
        """Whether a model judged."""
        return self.source.lower() in _MACHINES

    @property
    def number_value(self) -> float | None:
        """The value as a number; of a CSV it comes as text."""
        if not isinstance(self.value, int | float | str):
            return None
        try:
            value = float(self.value)
        except (ValueError, OverflowError):
            return None
        return value if math.isfinite(value) else None

    @property
    def is_reward(self) -> bool:
        """Whether it is the ground truth of a whole trace or conversation, by its name and place."""
        words = _words(self.name)
        number = self.number_value
        whole = not self.call and number is not None and 0 <= number <= 1
        return whole and bool(words & _REWARDS) and not words & _TURNED and not self.of_machine


class Scale:
    """How the numbers of each name are meant, told by all of the file's."""

    def __init__(self, scores: Iterable[Score]) -> None:
        self._lowest: dict[str, float] = {}
        self._highest: dict[str, float] = {}
        for score in scores:
            number = score.number_value
            if number is not None:
                self._lowest[score.name] = min(number, self._lowest.get(score.name, number))
                self._highest[score.name] = max(number, self._highest.get(score.name, number))

    def opinion(self, score: Score) -> Opinion | None:
        """What a score says about the answer that it is of, or None where it says neither."""
        if score.of_machine:
            return None
        label = (score.label or "").strip().lower()
        label = label if label in _SIGNS else re.sub(r"[\s_-]+", " ", label)
        words = _words(score.name)
        if label and not words & _TURNED:
            for said, opinion in _OPINIONS:
                if label in said:
                    return opinion
        number = score.number_value
        if number is None or not words & (_BETTER | _REWARDS) or words & _TURNED:
            return None
        lowest = self._lowest[score.name]
        if lowest < -1 or self._highest[score.name] > 1:
            return None
        if number == 1:
            return "praised"
        return "corrected" if number == (-1 if lowest < 0 else 0) else None


def _words(name: str) -> set[str]:
    """The words of a name in any of the ways in which names are put together."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
