"""Choosing at decisions: which of the options open there a model prefers, apart from knowing that one of them comes.

    format = -log sum_o p(o)        choice = -log(p(o*) / sum_o p(o))
    skill  = 1 - mean(choice) / mean(-log base rate of o*)

The base rate is the family's own in its training rows (each option counted half more, over the options open at that
place). Skill 0 is what knowing it alone gives; at or below that a model has learned what the agent mostly does, and
nothing about when.
"""

import msgspec
import numpy as np
import polars as pl

from locum.evaluation.results import Arms, Choice
from locum.evaluation.statistics import clustered_mean, paired_difference
from locum.types import Estimate


def choices(table: pl.DataFrame) -> dict[str, Choice]:
    """Family -> choice at its decisions; families without a decision that has options do not occur.

    Args:
        table: of `nll.SCHEMA`, with the arms `base` and `tuned`.
    """
    slots = table.filter(pl.col("choice").is_not_null())
    found = {}
    for family in sorted(set(slots["family"].to_list())):
        mine = slots.filter(pl.col("family") == family)
        arms = {arm: mine.filter(pl.col("arm") == arm).sort("row") for arm in ("base", "tuned")}
        if all(len(part) for part in arms.values()):
            found[str(family)] = _choice(arms["base"], arms["tuned"])
    return found


def skill(choice: np.ndarray, prior: np.ndarray, lineages: list[str]) -> Estimate:
    """1 - mean(choice) / mean(prior), with an interval over lineages.

    Args:
        choice, prior: nats a decision, shape (n,), n >= 1; prior above 0.
        lineages: of each decision.

    Returns:
        The interval is that of the ratio's linearisation (Taylor), clustered as `clustered_mean`; below 0 it has no end
        but what a single lineage could show.
    """
    ratio = choice.mean() / prior.mean()
    # The mean of these is the skill itself, and their spread that of the ratio.
    linear = (1 - ratio) - (choice - ratio * prior) / prior.mean()
    low = min(-1.0, float(linear.min()))
    return clustered_mean(np.clip(linear, low, None), lineages, bounds=(low, max(1.0, float(linear.max()))))


def _choice(base: pl.DataFrame, tuned: pl.DataFrame) -> Choice:
    lineages = base["lineage"].to_list()
    prior = base["prior"].to_numpy().astype(float)
    nats = {arm: part["choice"].to_numpy().astype(float) for arm, part in (("base", base), ("tuned", tuned))}
    hits = {arm: part["hit"].to_numpy().astype(float) for arm, part in (("base", base), ("tuned", tuned))}
    hits["prior"] = base["prior_hit"].to_numpy().astype(float)
    right: Arms = {arm: clustered_mean(values, lineages, bounds=(0.0, 1.0)) for arm, values in hits.items()}
    for other in ("base", "prior"):
        right[f"tuned-{other}"] = paired_difference(hits["tuned"], hits[other], lineages, bounds=(-1.0, 1.0))
    return Choice(
        options=float(base["options"].cast(pl.Float64).to_numpy().mean()),
        verified=int((base["tier"].cast(pl.String) == "verified").sum()),
        skill={arm: skill(values, prior, lineages) for arm, values in nats.items()},
        right=right,
        format={arm: _nats(part["format"], lineages) for arm, part in (("base", base), ("tuned", tuned))},
        choice={
            **{arm: _nats(pl.Series(v), lineages) for arm, v in nats.items()},
            "prior": _nats(base["prior"], lineages),
        },
    )


def _nats(values: pl.Series, lineages: list[str]) -> Estimate:
    x = values.to_numpy().astype(float)
    found = clustered_mean(x, lineages, bounds=(min(0.0, float(x.min())), max(1e-9, float(x.max()))))
    return msgspec.structs.replace(found, low=max(0.0, found.low))
