"""The cheap arms: what a lookup in the training rows decides, and the prompt that shows those rows to the base.

`knn` copies the decision of the nearest training row; `base_icl` is the base with the nearest rows in its prompt, which
alone buys much of a fine-tuned model's style (Lin et al. 2024, arXiv 2312.01552). A tuned model that does not beat them
is not needed.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from locum.evaluation.answers import asked
from locum.types import Message, Row

EXAMPLES = 4
"""Training rows that `base_icl` is shown, at most."""
EXAMPLE_CHARS = 2400
"""Budget of their requests and responses together; the nearest come first, and one that does not fit is left out."""
ROUTINE = 0.8
"""Similarity to a training row from which a held-out row counts as routine, and below which as novel."""


class Neighbour(msgspec.Struct, frozen=True):
    """A training row, and how like it a held-out row's prompt is."""

    row: Row
    similarity: float
    """Cosine, 0 to 1."""


class Nearest:
    """The training rows nearest to a prompt.

    Prompts are compared by TF-IDF over character pieces: what is asked last and the whole conversation (without system
    messages, which are alike everywhere) count one half each.

    Args:
        train: the training rows.
    """

    def __init__(self, train: Sequence[Row]) -> None:
        self._rows = list(train)
        self._families: dict[str, list[int]] = defaultdict(list)
        self._structures: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(self._rows):
            self._families[row.family].append(index)
            self._structures[row.structure].append(index)
        self._spaces: list[tuple[Any, Any]] = []
        if self._rows:
            from sklearn.feature_extraction.text import TfidfVectorizer

            for texts in ([asked(row) for row in self._rows], [_conversation(row) for row in self._rows]):
                space = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=200_000)
                self._spaces.append((space, space.fit_transform([text or "\N{BULLET}" for text in texts])))

    def of(self, rows: Sequence[Row], count: int = EXAMPLES) -> list[list[Neighbour]]:
        """The `count` nearest training rows of each row, nearest first: of its own family, of its structure where
        the family has none, and none where neither has."""
        if not rows or not self._rows:
            return [[] for _ in rows]
        import numpy as np

        found: list[list[Neighbour]] = []
        (last, seen_last), (whole, seen_whole) = self._spaces
        requests = last.transform([asked(row) for row in rows]), whole.transform([_conversation(row) for row in rows])
        for place, row in enumerate(rows):
            among = self._families.get(row.family) or self._structures.get(row.structure, [])
            if not among:
                found.append([])
                continue
            near = (requests[0][place] @ seen_last[among].T + requests[1][place] @ seen_whole[among].T).toarray()[0] / 2
            order = np.argsort(-near, kind="stable")[:count]
            found.append([Neighbour(self._rows[among[i]], min(1.0, float(near[i]))) for i in order])
        return found


def with_examples(row: Row, neighbours: Sequence[Neighbour], budget: int = EXAMPLE_CHARS) -> tuple[Message, ...]:
    """The row's prompt with its neighbours' last requests and responses before the conversation, the nearest last.

    Args:
        row: whose prompt is shown.
        neighbours: nearest first.
        budget: characters of all examples together; a request is cut at its front, a response never.
    """
    examples: list[tuple[Message, Message]] = []
    for neighbour in neighbours:
        answer = neighbour.row.response
        answer = Message(role="assistant", content=answer.content, tool_calls=answer.tool_calls)
        left = budget - len(answer.content) - sum(len(str(call.arguments)) for call in answer.tool_calls)
        room = min(left, budget // 3)
        if room > 0:
            request = asked(neighbour.row)[-room:]
            examples.append((Message(role="user", content=request), answer))
            budget = left - len(request)
    opening = [message for message in row.prompt if message.role == "system"]
    rest = [message for message in row.prompt if message.role != "system"]
    return (*opening, *(message for example in reversed(examples) for message in example), *rest)


def _conversation(row: Row) -> str:
    parts = []
    for message in row.prompt:
        if message.role != "system":
            parts += [message.content, *(f"{call.name} {call.arguments}" for call in message.tool_calls)]
    return "\n".join(parts)
