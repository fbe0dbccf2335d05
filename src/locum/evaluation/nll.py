"""The table of losses, `evaluation/nll.parquet`: one line for every token, model and context it was scored in.

All statistics of losses are functions of this table and run no model. At decision slots (`decision_slots`) the line of
the slot's first token, in the row's own context, holds the split of the decision's loss: *format*, that one of the
open options comes here, and *choice*, that it is this one.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

_NAMES = pl.Categorical()
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": _NAMES,
    "session": _NAMES,
    "lineage": _NAMES,
    "time": _NAMES,  # of the row, ISO 8601; null where the log has none
    "family": _NAMES,
    "tier": _NAMES,  # verified, recorded
    "arm": _NAMES,  # base, tuned
    "model": _NAMES,  # SHA-256 of the file that was scored
    "step": pl.Int32,  # of the checkpoint; null for a finished model
    "context": _NAMES,  # own, other_1 .. other_4, none
    "donor": _NAMES,  # the row whose prompt was lent; null but for other_*
    "position": pl.Int32,  # in the response, from 0
    "token": pl.Int32,
    "start": pl.Int32,  # characters in the response as the chat template writes it
    "end": pl.Int32,
    "text": _NAMES,  # what the token adds to the response: joined they are it; "" for a character's later tokens
    "class": _NAMES,  # token_classes.CLASSES
    "word_initial": pl.Boolean,
    "bucket": _NAMES,  # of the position, from 1: 1-5, 6-20, 21-
    "loss": pl.Float32,  # nats
    "rank": pl.Int32,  # 1: the likeliest of the vocabulary
    # At a decision's first token in the row's own context, else null:
    "decision": _NAMES,  # what the agent decided
    "options": pl.Int32,  # labels open at this place
    "format": pl.Float32,  # nats: -log of the probability of all options together
    "choice": pl.Float32,  # nats: -log of the decision's share of that
    "prior": pl.Float32,  # nats: the same under the family's base rate in the training rows
    "hit": pl.Boolean,  # whether the decision is the likeliest of the options
    "prior_hit": pl.Boolean,  # whether it is the commonest of them in the training rows
}
CONTEXT_OWN, CONTEXT_NONE = "own", "none"


def context_other(number: int) -> str:
    """The name of the context lent by the donor of this number, from 1."""
    return f"other_{number}"


def empty() -> pl.DataFrame:
    """The table of an evaluation without rows."""
    return pl.DataFrame(schema=SCHEMA)


def together(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Several models' tables as one."""
    return pl.concat([empty(), *tables])


def write(table: pl.DataFrame, path: Path) -> None:
    """Write the table; names that repeat are stored once a column (dictionary encoding).

    As text, since how categories are numbered depends on what a process has read before: equal tables are equal files.
    """
    table.cast({pl.Categorical: pl.String}).write_parquet(path, compression="zstd")


def read(path: Path) -> pl.DataFrame:
    """Read what `write` wrote; the texts of a table of an earlier version are not known.

    Raises:
        polars.exceptions.PolarsError: the file is no such table.
    """
    table = pl.read_parquet(path)
    if "text" not in table.columns:
        table = table.with_columns(text=pl.lit(None, pl.String))
    return table.select(list(SCHEMA)).cast(pl.Schema(SCHEMA))
