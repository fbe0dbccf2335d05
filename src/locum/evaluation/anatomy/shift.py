"""Token shift: which words the tuned model says that the base would not (arXiv:2312.01552, there called alignment by
in-context tokens; found mostly stylistic)."""

import polars as pl

from locum.evaluation.anatomy.results import Shifted

MARGINAL = 3
"""Ranks 2 to this are marginal."""
TOP = 8


def shifts(table: pl.DataFrame, texts: dict[int, str]) -> tuple[Shifted, ...]:
    """Count what training changed in what is said.

    Args:
        table: of `nll.SCHEMA`: the tuned model's own answers, scored by the base in their own context.
        texts: token id -> its text.

    Returns:
        `all` first, then the classes by their number of tokens.
    """
    if table.is_empty():
        return ()
    names = table.group_by(pl.col("class").cast(pl.String)).len().sort("len", "class", descending=[True, False])
    return (
        _shifted("all", table, texts),
        *(_shifted(name, table.filter(pl.col("class").cast(pl.String) == name), texts) for name in names["class"]),
    )


def _shifted(name: str, table: pl.DataFrame, texts: dict[int, str]) -> Shifted:
    further = table.filter(pl.col("rank") > MARGINAL)
    top = further.group_by("token").len().sort("len", "token", descending=[True, False]).head(TOP)
    return Shifted(
        name,
        tokens=len(table),
        unshifted=float((table["rank"] == 1).sum()) / len(table),
        marginal=float(table["rank"].is_between(2, MARGINAL).sum()) / len(table),
        shifted=len(further) / len(table),
        top=tuple((texts.get(token, ""), count) for token, count in top.iter_rows()),
    )
