"""What training gained, split exactly: type (what falls under any context) and instance (what the own context adds).

For the same response tokens let M be a model's loss in the row's own context and U its mean loss under K other rows'
prompts (same family, other lineage, the same for both models). Then, token by token and so in every sum,

    M_base - M_tuned  =  (U_base - U_tuned)  +  [(U_tuned - M_tuned) - (U_base - M_base)]
       total          =        type          +                 instance

U - M is what the context is worth to a model (conditional cross-mutual information; Fernandes et al. 2021,
arXiv:2105.03482). Type is manner: what comes next whatever was asked. Instance is what was learned about this case.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from locum.evaluation import nll
from locum.evaluation.donors import DONORS
from locum.evaluation.results import Gain, Gains
from locum.evaluation.statistics import clustered_mean
from locum.evaluation.token_classes import CLASSES, COPIED
from locum.types import Estimate


def gains(table: pl.DataFrame) -> Gains | None:
    """The gains in nats a token, over all rows that have their donors; None where no row has, or an arm is missing.

    Args:
        table: of `nll.SCHEMA`, one model an arm.
    """
    scored = table.filter(pl.col("context") == nll.CONTEXT_OWN)["row"].n_unique()
    parts = by_token(table)
    if parts.is_empty():
        return None
    apart = parts.filter(~pl.col("class").is_in(list(COPIED)))
    by_class = {name: parts.filter(pl.col("class") == name) for name in CLASSES}
    families = {str(name): apart.filter(pl.col("family") == name) for name in sorted(set(apart["family"].to_list()))}
    return Gains(
        rows=parts["row"].n_unique(),
        too_few=scored - parts["row"].n_unique(),
        donors=DONORS,
        headline=_gain(apart) if len(apart) else None,
        all=_gain(parts),
        classes={name: _gain(mine) for name, mine in by_class.items() if len(mine)},
        families={name: _gain(mine) for name, mine in families.items() if len(mine)},
    )


def by_token(table: pl.DataFrame) -> pl.DataFrame:
    """One line a token of the rows that have their donors.

    Returns:
        row, position, lineage, family, class, and in nats: total, type, instance, type_none (type measured with a
        prompt that says nothing in the place of the donors').
    """
    other = pl.col("context").cast(pl.String).str.starts_with("other_")
    wide = (
        table.filter(pl.col("arm").is_in(["base", "tuned"]))
        .with_columns(loss=pl.col("loss").cast(pl.Float64))
        .group_by("row", "position", "lineage", "family", "class", maintain_order=True)
        .agg(
            *(
                pl.col("loss").filter((pl.col("arm") == arm) & chosen).mean().alias(f"{name}_{arm}")
                for arm in ("base", "tuned")
                for name, chosen in (
                    ("own", pl.col("context") == nll.CONTEXT_OWN),
                    ("other", other),
                    ("none", pl.col("context") == nll.CONTEXT_NONE),
                )
            ),
        )
        .drop_nulls(["own_base", "own_tuned", "other_base", "other_tuned"])
    )
    saved = {arm: pl.col(f"other_{arm}") - pl.col(f"own_{arm}") for arm in ("base", "tuned")}
    return wide.select(
        "row",
        "position",
        "lineage",
        "family",
        "class",
        total=pl.col("own_base") - pl.col("own_tuned"),
        type=pl.col("other_base") - pl.col("other_tuned"),
        instance=saved["tuned"] - saved["base"],
        type_none=pl.col("none_base") - pl.col("none_tuned"),
    )


def _gain(parts: pl.DataFrame) -> Gain:
    lineages = parts["lineage"].to_list()
    rows = parts["row"].n_unique()
    return Gain(
        tokens=len(parts),
        total=_mean(parts["total"].to_numpy(), lineages, rows),
        type=_mean(parts["type"].to_numpy(), lineages, rows),
        instance=_mean(parts["instance"].to_numpy(), lineages, rows),
        type_none=None if parts["type_none"].null_count() else _mean(parts["type_none"].to_numpy(), lineages, rows),
    )


def _mean(values: npt.NDArray[np.float64], lineages: Sequence[str], rows: int) -> Estimate:
    # A loss has no upper end; what was seen bounds the interval of a single session.
    top = max(float(np.abs(values).max()), 1e-9)
    return msgspec.structs.replace(clustered_mean(values, lineages, bounds=(-top, top)), rows=rows)
