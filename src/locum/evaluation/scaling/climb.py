"""Train on nested subsets of a dataset's rows, score the same held-out rows each time, and put the losses together.

Every training is independent of the others and a function of its job alone, so that they can be done one after the
other or on a cluster (`locum.parallel.Each`). A rung may take as many steps as all the rows together would: held-out
loss ends it (early stopping), so that rungs differ in rows and not in how long they were trained.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from locum.dataset.store import read_rows
from locum.errors import DatasetError
from locum.evaluation import nll
from locum.evaluation.encode import encode
from locum.evaluation.losses import plan_rows
from locum.evaluation.sample import choose
from locum.evaluation.scaling.forecast import Forecast, forecast
from locum.evaluation.scaling.ladder import Ladder
from locum.evaluation.scaling.larger import lever
from locum.evaluation.scaling.results import Larger, Lever, Rung, Scaling, rows_digest
from locum.evaluation.scaling.subsets import FRACTIONS, nested
from locum.parallel import Each, here
from locum.progress import Progress, silent
from locum.runtime.trained_scorer import TrainedScorer
from locum.settings import Lexicons
from locum.training.backend import TrainOptions
from locum.training.base import resolve_base
from locum.training.chat_template import Renderer
from locum.training.loop import planned, train
from locum.types import Row

Sums = dict[str, dict[str, tuple[float, int]]]
"""Name of a class or family -> session lineage -> (nats, tokens)."""


class ScalingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How large the ladder is."""

    fractions: tuple[float, ...] = FRACTIONS
    seeds: int = 3
    held_out: int = 64
    """Held-out rows that every training is scored on."""
    asked: int | None = None
    """Rows to look ahead to; twice the training rows where None."""
    target: float | None = None
    """A loss, in nats per token, whose rows are asked for."""
    larger: str | None = None
    """A larger base to train on all the rows, as the user names it."""
    training: TrainOptions = TrainOptions()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One training."""

    fraction: float
    seed: int
    rows: tuple[Row, ...]
    valid: tuple[Row, ...]
    held_out: tuple[Row, ...]
    train: tuple[Row, ...]
    """All training rows: vocabulary and base rates are theirs on every rung."""
    base: str
    options: TrainOptions
    lexicons: Lexicons | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one training made of the held-out rows."""

    rung: Rung
    classes: Sums
    families: Sums
    choices: Sums
    base_rates: Sums
    """Of the same choices: the loss of always going by the family's base rate."""


def climb(
    dataset: Path,
    base: str,
    options: ScalingOptions | None = None,
    each: Each = here,
    progress: Progress = silent,
    lexicons: Lexicons | None = None,
) -> Scaling:
    """Run the whole ladder.

    Args:
        dataset: a dataset folder.
        base: as the user names it; every worker resolves it.
        options: the ladder's size.
        each: where the trainings are done.
        progress: told after each training.
        lexicons: the user's own words, by which tokens are told apart.

    Raises:
        DatasetError: there is no training row, nothing is held out, or the larger base is the same one.
        TrainingError: a training failed.
    """
    options = options or ScalingOptions()
    started = time.monotonic()
    rows = {split: read_rows(dataset, split) for split in ("train", "valid", "test")}
    if options.larger == base:
        raise DatasetError(f"{base!r} is the ladder's own base; name a larger one, or leave it out")
    bases = (base, *([options.larger] if options.larger else []))
    held_out = _readable(choose(rows["test"], options.held_out, 0), bases)
    if not rows["train"] or not held_out:
        raise DatasetError(f"{str(dataset)!r} has no {'training' if held_out else 'held-out'} rows; add sessions")
    jobs = [
        Job(
            fraction=fraction,
            seed=seed,
            rows=tuple(subset),
            valid=tuple(rows["valid"]),
            held_out=tuple(held_out),
            train=tuple(rows["train"]),
            base=name,
            options=msgspec.structs.replace(options.training, max_steps=steps, seed=seed),
            lexicons=lexicons,
        )
        for name, fractions in zip(bases, (options.fractions, (1.0,)), strict=False)
        for steps in (planned(rows["train"], resolve_base(name), options.training)[0],)
        for seed in range(options.seeds)
        for fraction, subset in zip(fractions, nested(rows["train"], fractions, seed), strict=True)
    ]
    found: dict[str, list[Outcome]] = {name: [] for name in bases}
    for done, (job, outcome) in enumerate(zip(jobs, each(run_job, jobs), strict=True), start=1):
        found[job.base].append(outcome)
        progress("ladder", done, len(jobs), f"{job.base}, {outcome.rung.rows} rows, {outcome.rung.steps} steps")
    outcomes = found[base]
    counts, sessions = _families(rows["train"])
    return Scaling(
        base=base,
        fractions=options.fractions,
        seeds=options.seeds,
        rungs=tuple(outcome.rung for outcome in outcomes),
        held_out_rows=len(held_out),
        held_out_sessions=len({row.lineage for row in held_out}),
        all=_forecasts([_whole(outcome) for outcome in outcomes], outcomes, options)["all"],
        classes=_forecasts([outcome.classes for outcome in outcomes], outcomes, options),
        families=_forecasts([outcome.families for outcome in outcomes], outcomes, options),
        choices=_forecasts(
            [outcome.choices for outcome in outcomes], outcomes, options, base_rates=outcomes[0].base_rates
        ),
        sessions=sessions,
        rows=counts,
        dataset=rows_digest(rows["train"]),
        seconds=time.monotonic() - started,
        larger=_larger(options.larger, outcomes, found[options.larger], options) if options.larger else None,
    )


def _readable(rows: Sequence[Row], bases: Sequence[str]) -> list[Row]:
    """The rows that every base can read: all are scored on the same ones."""
    kept = list(rows)
    for base in bases:
        encoded, _ = encode(kept, Renderer(resolve_base(base).folder))
        kept = [row for row in kept if row.id in encoded]
    return kept


def run_job(job: Job) -> Outcome:
    """Train and score one rung, in a folder that is gone afterwards."""
    started = time.monotonic()
    base = resolve_base(job.base)
    renderer = Renderer(base.folder)
    encoded, _ = encode(job.held_out, renderer)
    plan = plan_rows(job.held_out, encoded, job.train, (), renderer, job.lexicons)
    tables: list[pl.DataFrame] = []

    def score(model: Any) -> None:
        with TrainedScorer(model) as scorer:
            tables.append(plan.score(scorer, arm="tuned", model="rung", contexts="own").table)

    with tempfile.TemporaryDirectory(prefix="locum-") as folder:
        trained = train(job.rows, job.valid, base, Path(folder), job.options, use=score)
    table = tables[0]
    rung = Rung(
        fraction=job.fraction,
        seed=job.seed,
        rows=len(job.rows),
        sessions=len({row.lineage for row in job.rows}),
        steps=trained.steps,
        best_step=trained.best_step,
        seconds=time.monotonic() - started,
    )
    slots = table.filter(pl.col("choice").is_not_null())
    return Outcome(
        rung=rung,
        classes=_sums(table, "class"),
        families=_sums(table, "family"),
        choices=_sums(slots, "family", "choice"),
        base_rates=_sums(slots, "family", "prior"),
    )


def _sums(table: pl.DataFrame, column: str, loss: str = "loss") -> Sums:
    own = table.filter(pl.col("context").cast(pl.String) == nll.CONTEXT_OWN)
    sums: Sums = defaultdict(dict)
    grouped = own.group_by(pl.col(column).cast(pl.String), pl.col("lineage").cast(pl.String), maintain_order=True)
    for name, lineage, nats, tokens in grouped.agg(pl.col(loss).cast(pl.Float64).sum(), pl.len()).iter_rows():
        sums[name][lineage] = (nats, tokens)
    return dict(sums)


def _all(classes: Sums) -> dict[str, tuple[float, int]]:
    whole: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for sessions in classes.values():
        for lineage, (nats, tokens) in sessions.items():
            whole[lineage] = (whole[lineage][0] + nats, whole[lineage][1] + tokens)
    return dict(whole)


def _whole(outcome: Outcome) -> Sums:
    return {"all": _all(outcome.classes)}


def _larger(name: str, outcomes: Sequence[Outcome], larger: Sequence[Outcome], options: ScalingOptions) -> Larger:
    def levers(sums: Callable[[Outcome], Sums]) -> dict[str, Lever]:
        mine, theirs = [sums(outcome) for outcome in outcomes], [sums(outcome) for outcome in larger]
        shared = sorted(set(mine[0]).intersection(*theirs))
        found = {
            kind: lever(_ladder(kind, mine, outcomes, options), sorted(mine[0][kind]), [one[kind] for one in theirs])
            for kind in shared
        }
        return {kind: one for kind, one in found.items() if one is not None}

    return Larger(
        base=name,
        rungs=tuple(outcome.rung for outcome in larger),
        all=levers(_whole)["all"],
        families=levers(lambda outcome: outcome.families),
        choices=levers(lambda outcome: outcome.choices),
    )


def _forecasts(
    sums: Sequence[Sums], outcomes: Sequence[Outcome], options: ScalingOptions, base_rates: Sums | None = None
) -> dict[str, Forecast]:
    names = sorted({name for one in sums for name in one})
    return {
        name: forecast(_ladder(name, sums, outcomes, options, base_rates), options.asked, options.target)
        for name in names
    }


def _ladder(
    name: str,
    sums: Sequence[Sums],
    outcomes: Sequence[Outcome],
    options: ScalingOptions,
    base_rates: Sums | None = None,
) -> Ladder:
    """The losses of one name, rung by rung. Fractions that came to the same rows are one rung: the first."""
    lineages = sorted(sums[0][name])
    cube: dict[int, list[tuple[float, ...]]] = {}
    for fraction in options.fractions:
        mine = [i for i, outcome in enumerate(outcomes) if outcome.rung.fraction == fraction]
        rows = round(sum(outcomes[i].rung.rows for i in mine) / len(mine))
        cube.setdefault(rows, [tuple(sums[i][name][lineage][0] for lineage in lineages) for i in mine])
    tokens = tuple(sums[0][name][lineage][1] for lineage in lineages)
    base_rate = tuple(base_rates[name][lineage][0] for lineage in lineages) if base_rates else None
    return Ladder(tuple(sorted(cube)), tuple(tuple(cube[rows]) for rows in sorted(cube)), tokens, base_rate)


def _families(rows: Sequence[Row]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    counts: dict[str, int] = defaultdict(int)
    lineages: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        counts[row.family] += 1
        lineages[row.family].add(row.lineage)
    return dict(counts), {family: len(held) for family, held in lineages.items()}
