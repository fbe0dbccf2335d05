"""From the table of losses to one curve a class: mean loss of every session at every checkpoint."""

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from locum.evaluation.nll import CONTEXT_OWN


class Curve(msgspec.Struct, frozen=True):
    """One class (or family) of tokens along the checkpoints of a run."""

    name: str
    steps: tuple[int, ...]
    """Rising; the first is 0, the base."""
    losses: NDArray[np.float64]
    """(checkpoints, sessions): each session's mean loss per token, in nats."""
    tokens: int
    """Tokens of the class, each counted once."""

    @property
    def sessions(self) -> int:
        """How many session lineages hold the class."""
        return int(self.losses.shape[1])

    @property
    def means(self) -> NDArray[np.float64]:
        """Loss at each checkpoint, every session counted alike: (checkpoints,)."""
        return np.asarray(self.losses.mean(axis=1))


def class_curves(table: pl.DataFrame) -> list[Curve]:
    """One curve a token class, and `all`; by the columns of `locum.evaluation.nll.SCHEMA`, in the rows' own context."""
    own = table.filter(pl.col("context").cast(pl.String) == CONTEXT_OWN)
    return [curve(own, "all"), *_by(own, "class")]


def family_curves(table: pl.DataFrame) -> list[Curve]:
    """One curve a family, over all of its response tokens."""
    return _by(table.filter(pl.col("context").cast(pl.String) == CONTEXT_OWN), "family")


def choice_curves(table: pl.DataFrame) -> list[Curve]:
    """One curve a family over its decisions alone: the loss of *which* of the open options it is.

    Style cannot touch it: what is learned of how a decision is written falls out of the options' sum.
    """
    slots = table.filter(pl.col("choice").is_not_null()).with_columns(pl.col("choice").alias("loss"))
    return _by(slots, "family")


def from_base_rate(table: pl.DataFrame) -> pl.DataFrame:
    """Checkpoints whose choices start from what the family's base rate gives, where that is better than the base.

    That an agent most often says yes is learned from any rows; a decision is only learned where the loss of the choice
    falls below what knowing that much would cost. Step 0 of a family takes the loss of the base rate in the training
    rows where it is the lower one on average.
    """
    known = (pl.col("prior").mean() < pl.col("choice").mean()).over("family")
    first = table.filter(pl.col("step") == 0).with_columns(
        choice=pl.when(known & pl.col("choice").is_not_null()).then(pl.col("prior")).otherwise(pl.col("choice"))
    )
    return pl.concat([first, table.filter(pl.col("step") != 0)])


def _by(table: pl.DataFrame, column: str) -> list[Curve]:
    names = sorted(table[column].cast(pl.String).unique().to_list())
    return [curve(table.filter(pl.col(column).cast(pl.String) == name), name) for name in names]


def curve(table: pl.DataFrame, name: str) -> Curve:
    """The curve of all lines of `table`; every session must be scored at every checkpoint."""
    means = (
        table.group_by("step", pl.col("lineage").cast(pl.String))
        .agg(pl.col("loss").cast(pl.Float64).mean())
        .sort("step", "lineage")
        .pivot(on="step", index="lineage", values="loss")
        .sort("lineage")
        .drop("lineage")
    )
    steps: Sequence[int] = [int(step) for step in means.columns]
    first = table.filter(pl.col("step") == (steps[0] if steps else 0))
    order = np.argsort(steps)
    return Curve(
        name, tuple(steps[i] for i in order), means.to_numpy().T[order] if steps else np.empty((0, 0)), len(first)
    )
