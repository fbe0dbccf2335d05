"""What is asked of an adapter for an anatomy: rows at every checkpoint, and at every strength."""

from collections.abc import Sequence

import msgspec
import polars as pl

from locum.evaluation import nll
from locum.evaluation.encode import encode
from locum.evaluation.losses import plan_rows
from locum.evaluation.scoring import Plan
from locum.progress import Progress
from locum.runtime.adapter_scorer import AdapterScorer
from locum.settings import Lexicons
from locum.training.chat_template import Renderer
from locum.training.checkpoints import Checkpoint
from locum.types import Row

STRENGTHS = (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


class Seen(msgspec.Struct, frozen=True):
    """Tables of losses, of `nll.SCHEMA`."""

    held_out: pl.DataFrame
    """Rows that nothing was trained on, at every checkpoint."""
    trained: pl.DataFrame
    """Training rows, at every checkpoint."""
    ray: pl.DataFrame
    """The held-out rows at every strength of the kept adapter; `step` numbers them."""


def plan_of(rows: Sequence[Row], train: Sequence[Row], renderer: Renderer, lexicons: Lexicons | None) -> Plan:
    """What is scored of the rows, of those that can be rendered; `train` gives vocabulary and base rates."""
    encoded, _ = encode(rows, renderer)
    return plan_rows([row for row in rows if row.id in encoded], encoded, train, (), renderer, lexicons)


def look(
    scorer: AdapterScorer,
    points: Sequence[Checkpoint],
    kept: Checkpoint,
    plans: tuple[Plan, Plan],
    strengths: Sequence[float],
    progress: Progress,
    of: str = "",
) -> Seen:
    """Score held-out and training rows at every checkpoint, and the held-out ones along the ray of strengths.

    Args:
        scorer: of the base, with layers of the adapter's shape.
        points: the checkpoints.
        kept: the adapter at which the ray is looked at.
        plans: held-out rows, training rows.
        strengths: of the ray.
        progress: told after every look, of all that there are.
        of: whose checkpoints these are, for the name of the model in the tables.
    """
    work, looks = "look at checkpoints and strengths", len(points) + len(strengths)
    along, ray = [], []
    for number, point in enumerate(points):
        progress(work, number, looks, f"step {point.step}")
        along.append(_at(scorer, point, plans, of))
    scorer.use(kept)
    for number, strength in enumerate(strengths):
        progress(work, len(points) + number, looks, f"strength {strength:g}")
        ray.append(at_strength(scorer, strength, number, plans[0], of))
    progress(work, looks, looks)
    return Seen(
        held_out=nll.together([held_out for held_out, _ in along]),
        trained=nll.together([trained for _, trained in along]),
        ray=nll.together(ray),
    )


def at_strength(scorer: AdapterScorer, strength: float, number: int, plan: Plan, of: str = "") -> pl.DataFrame:
    """The rows with the adapter in use at one strength; `number` stands as `step` in the table."""
    scorer.set_strength(strength)
    name = f"{of}strength {strength:g}"
    return plan.score(scorer, arm="tuned", model=name, step=number, contexts="own").table


def _at(
    scorer: AdapterScorer, point: Checkpoint, plans: tuple[Plan, Plan], of: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    scorer.use(point)
    name = f"{of}{point.path.name}"
    held_out, trained = (
        plan.score(scorer, arm="tuned", model=name, step=point.step, contexts="own").table for plan in plans
    )
    return held_out, trained
