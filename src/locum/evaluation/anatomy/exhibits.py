"""The rows that are recognisable and wrong in specific ways: much manner gained, nothing of the case."""

from collections.abc import Sequence

import polars as pl

from locum.evaluation.anatomy.results import Exhibit
from locum.evaluation.gains import by_token
from locum.evaluation.results import Sample
from locum.evaluation.token_classes import COPIED

SHOWN = 6
EXCERPT = 600
"""Characters of each text."""


def exhibits(table: pl.DataFrame, samples: Sequence[Sample]) -> tuple[Exhibit, ...]:
    """The tenth of the rows with the least instance gain, of those whose type gain lies above the middle.

    Args:
        table: of `nll.SCHEMA`, base and tuned in all contexts. Copied tokens are left out, as in the headline gains.
        samples: what was asked and answered.
    """
    answered = {sample.row: sample for sample in samples}
    rows = (
        by_token(table)
        .filter(~pl.col("class").is_in(list(COPIED)))
        .group_by(pl.col("row").cast(pl.String), maintain_order=True)
        .agg(pl.col("type").mean(), pl.col("instance").mean())
        .filter(pl.col("row").is_in(list(answered)))
    )
    if rows.is_empty():
        return ()
    manner = rows.filter((pl.col("type") >= pl.col("type").median()) & (pl.col("type") > 0))
    worst = manner.filter(pl.col("instance") <= pl.lit(rows["instance"].quantile(0.1))).sort("instance")
    return tuple(_exhibit(answered[row], type_, instance) for row, type_, instance in worst.head(SHOWN).iter_rows())


def _exhibit(sample: Sample, type_: float, instance: float) -> Exhibit:
    return Exhibit(
        row=sample.row,
        session=sample.session,
        family=sample.family,
        type=type_,
        instance=instance,
        asked=_tail(sample.asked),
        agent=sample.agent.text[:EXCERPT],
        tuned=sample.tuned.text[:EXCERPT],
    )


def _tail(text: str) -> str:
    return text if len(text) <= EXCERPT else f"…{text[-EXCERPT:]}"
