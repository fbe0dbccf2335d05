"""Questions with a right and a wrong answer that style cannot tell apart, and what a model makes of them.

A question's sides are scored by the tokens in which its answers differ, and by those alone. `contrasts` builds them;
here is what they are, and the table of answers (`evaluation/questions.parquet`), of which all their statistics are
functions.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import polars as pl

from locum.training.chat_template import Encoded

Kind = Literal[
    "context_swap",  # two rows' decisions under each other's prompts: a double difference
    "correction",  # what the agent did, and what it did once corrected
    "flipped_decision",  # another verdict or stance in the place of the agent's
    "swapped_argument",  # another value of the same kind that stands in the same prompt
    "swapped_tool",  # another tool whose schema the arguments keep
]
KINDS: tuple[Kind, ...] = ("context_swap", "correction", "flipped_decision", "swapped_argument", "swapped_tool")
_NAMES = pl.Categorical()
QUESTION_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "kind": _NAMES,
    "row": _NAMES,
    "lineage": _NAMES,
    "partner": _NAMES,  # the other row of a context swap, else null
    "partner_lineage": _NAMES,
    "family": _NAMES,
    "right_text": pl.String,
    "wrong_text": pl.String,
    "right_overlap": pl.Float32,  # share of the answer's words that the prompt holds
    "wrong_overlap": pl.Float32,
    "arm": _NAMES,
    "model": _NAMES,
    "step": pl.Int32,
    "right": pl.Float64,  # nats, over the tokens in which the answers differ
    "wrong": pl.Float64,
    "donor_right": pl.Float64,  # the same under another row's prompt; null where there is no donor
    "donor_wrong": pl.Float64,
}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Two answers, of which one is right."""

    kind: Kind
    row: str
    lineage: str
    family: str
    right_text: str
    wrong_text: str
    right_overlap: float
    wrong_overlap: float
    sides: tuple[tuple[Encoded, ...], tuple[Encoded, ...], tuple[Encoded, ...], tuple[Encoded, ...]]
    """right, wrong, and both under a donor's prompt (empty where there is none). A side's loss is the sum over its
    sequences."""
    partner: str | None = None
    partner_lineage: str | None = None

    def line(self, names: Mapping[str, str | int | None], losses: Sequence[Sequence[float]]) -> list[object]:
        """The question with one model's answers, as a line of the table."""
        right, wrong, *donor = [sum(side) if side else None for side in losses]
        about = {name: getattr(self, name) for name in QUESTION_SCHEMA if hasattr(self, name)}
        scored = {"right": right, "wrong": wrong, "donor_right": donor[0], "donor_wrong": donor[1]}
        line = {**about, **names, **scored}
        return [line[name] for name in QUESTION_SCHEMA]
